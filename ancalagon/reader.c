#include "reader.h"

#include <stdio.h>

bool reader_can(const struct dialect *dialect, enum gguf_type_family family) {
    switch (family) {
    case GGUF_TYPE_MAINLINE: return true;
    case GGUF_TYPE_TQ3: return dialect->family == DIALECT_TQ3;
    case GGUF_TYPE_TURBO: return dialect->family == DIALECT_TQ3; // their --help is told apart no more
    case GGUF_TYPE_IK: return dialect->family == DIALECT_IK;
    case GGUF_TYPE_OLD: return dialect->family == DIALECT_OLD || dialect->family == DIALECT_UNKNOWN;
    case GGUF_TYPE_UNKNOWN: // a newer mainline may have learnt it
        return dialect->family != DIALECT_MAINLINE || dialect->build > 11434;
    }
    return true;
}

bool reader_note(enum gguf_type_family family, const char *type_name, char *text, size_t size) {
    if (family == GGUF_TYPE_MAINLINE)
        text[0] = '\0';
    else if (family == GGUF_TYPE_UNKNOWN)
        snprintf(text, size,
                 "tensor types that llama.cpp does not know: it needs the fork that made them "
                 "(sizes are taken from the file)");
    else if (family == GGUF_TYPE_OLD)
        snprintf(text, size, "%s tensors: llama.cpp dropped them; get the file as Q4_0",
                 type_name ? type_name : "repacked");
    else
        snprintf(text, size,
                 "%s tensors: only the fork %s reads them; build it and name it with engine = in "
                 "the preset",
                 type_name ? type_name : "other", gguf_type_engine(family));
    return text[0] != '\0';
}
