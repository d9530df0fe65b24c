// Reads what `llama-server --help` prints into a table of flags. Two layouts are known:
//
//   mainline   -ctk,  --cache-type-k TYPE              KV cache data type for K
//                                                      allowed values: f32, f16, ...
//              --mmap, --no-mmap                       whether to ...
//   old, ik      -fa,   --flash-attn (auto|on|off|0|1)
//                                                set Flash Attention (default: on)
//                -ctx-ckpt N, --ctx-checkpoints N
//
// A flag's row starts with '-' near the left edge; names are separated by commas, a value's
// placeholder follows a name after one space, the text after two or more or on the next line.
#pragma once

#include "engine/args.h"

#include <stdbool.h>
#include <stddef.h>

struct help_flag {
    struct args names;  // with their dashes: "-fa", "--flash-attn"
    char *placeholder;  // "N", "[on|off|auto]"; NULL when the flag takes no value
    char *text;         // one line
    char *initial;      // what "(default: X)" says, or NULL
    char *environment;  // "LLAMA_ARG_..." or NULL
    struct args values; // the only values allowed; empty when the text does not enumerate them
    bool removed;       // still printed, but "the argument has been removed"
};

struct help {
    struct help_flag *flags;
    size_t count;
    size_t capacity;
};

void help_parse(struct help *help, const char *text, size_t length);
void help_fini(struct help *help);

// By a name with dashes. Removed flags are found too: look at ->removed.
const struct help_flag *help_find(const struct help *help, const char *name);

// The name that switches the flag on or off: "--mmap" and "--no-mmap". NULL when there is none.
const char *help_positive(const struct help_flag *flag);
const char *help_negative(const struct help_flag *flag);
