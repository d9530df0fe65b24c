#include "vision/dictionary.h"

#include "base/mem.h"

#include <string.h>

static size_t count_lines(const char *text, size_t length) {
    size_t lines = 0;
    for (const char *at = text, *end = text + length; at < end; lines++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    return lines;
}

static bool add_line(struct dictionary *out, const char *line, size_t length, const char *name,
                     struct err *err) {
    if (length && line[length - 1] == '\r')
        length--;
    if (length == 0 || length >= DICTIONARY_CHAR_MAX || memchr(line, '\0', length))
        return err_set(err, ERR_INVALID, "%s: line %zu of the dictionary has %zu bytes; 1 to %d",
                       name, out->count, length, DICTIONARY_CHAR_MAX - 1);
    memcpy(out->chars[out->count++], line, length);
    return true;
}

bool dictionary_parse(struct dictionary *out, const char *text, size_t length, size_t classes,
                      const char *name, struct err *err) {
    size_t lines = count_lines(text, length);
    *out = (struct dictionary){.chars = mem_alloc((lines + 2) * sizeof *out->chars), .count = 1};
    for (const char *at = text, *end = text + length; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        if (!add_line(out, at, (size_t)(stop - at), name, err)) {
            dictionary_fini(out);
            return false;
        }
        at = newline ? newline + 1 : end;
    }
    // Some exports carry the blank in the file.
    if (classes == 0 || classes == out->count + 1)
        out->chars[out->count++][0] = ' ';
    if (classes && classes != out->count) {
        err_set(err, ERR_INVALID,
                "%s: the dictionary has %zu characters, the network knows %zu classes: they do not "
                "belong together",
                name, lines, classes);
        dictionary_fini(out);
        return false;
    }
    return true;
}

void dictionary_fini(struct dictionary *dictionary) {
    mem_free(dictionary->chars);
    *dictionary = (struct dictionary){0};
}
