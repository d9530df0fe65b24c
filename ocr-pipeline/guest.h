// Whoever waits for an answer: what an exchange's data points to, and what is done with the pieces
// of its life. Embedded first in its owner.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct guest;

struct guest_ops {
    // A piece of the body; false refuses it, then `refuse` follows. NULL: takes none.
    bool (*body)(struct guest *guest, const char *bytes, size_t length, struct err *err);
    void (*complete)(struct guest *guest); // the body has come; NULL: nothing to do
    void (*refuse)(struct guest *guest, const struct err *err); // answers, and is gone
    void (*gone)(struct guest *guest);                          // the client is
};

struct guest {
    const struct guest_ops *ops;
};
