#include "reader.h"

#include <stdio.h>

bool reader_can(const struct dialect *dialect, enum gguf_type_family family) {
    switch (family) {
    case GGUF_TYPE_MAINLINE: return true;
    case GGUF_TYPE_TQ3: return dialect->family == DIALECT_TQ3;
    case GGUF_TYPE_TURBO:
        return dialect->family == DIALECT_TQ3; // their --help is told apart no more
    case GGUF_TYPE_IK: return dialect->family == DIALECT_IK;
    case GGUF_TYPE_OLD: return dialect->family == DIALECT_OLD || dialect->family == DIALECT_UNKNOWN;
    case GGUF_TYPE_UNKNOWN: // a newer mainline may have learnt it
        return dialect->family != DIALECT_MAINLINE || dialect->build > 11434;
    }
    return true;
}

enum reads reader_reads(const struct dialect *dialect, enum gguf_type_family family,
                        const char *type_name) {
    if (family == GGUF_TYPE_MAINLINE ||
        (family != GGUF_TYPE_UNKNOWN && reader_can(dialect, family)))
        return READS_YES;
    if (!type_name || family == GGUF_TYPE_UNKNOWN)
        return READS_UNKNOWN;
    enum reads answer = reads_type(dialect->path, type_name);
    bool plain = dialect->family == DIALECT_MAINLINE || dialect->family == DIALECT_OLD;
    return answer == READS_UNKNOWN && plain ? READS_NO : answer;
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
