// The characters that a recogniser can say, by class: class 0 is "nothing", then one a line of the
// text in the file's order, then the blank.
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { DICTIONARY_CHAR_MAX = 8 }; // bytes with the NUL

struct dictionary {
    char (*chars)[DICTIONARY_CHAR_MAX]; // [0] is ""
    size_t count;                       // classes
};

// text: lines of UTF-8. classes: of the network, 0 when its file does not say; a dictionary of
// another size is refused (it would misspell everything). `name` is for errors.
bool dictionary_parse(struct dictionary *out, const char *text, size_t length, size_t classes,
                      const char *name, struct err *err);
void dictionary_fini(struct dictionary *dictionary);
