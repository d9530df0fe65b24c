// A list of strings that grows: a command line, an environment, names. Owns its strings; `items`
// is always terminated by NULL, so it can be handed to exec.
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct args {
    char **items;
    size_t count;
    size_t capacity;
};

void args_init(struct args *args);
void args_fini(struct args *args);
void args_add(struct args *args, const char *text);
void args_addn(struct args *args, const char *text, size_t length);
void args_addf(struct args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool args_has(const struct args *args, const char *text);

// One word as a POSIX shell would need it: bare when harmless, else in single quotes.
void args_quote(struct buf *out, const char *word);
