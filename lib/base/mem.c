#define _GNU_SOURCE
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *ptr) {
    if (!ptr) {
        fputs("fatal: out of memory\n", stderr);
        abort();
    }
    return ptr;
}

void *mem_alloc(size_t size) { return check(calloc(1, size ? size : 1)); }

void *mem_resize(void *ptr, size_t size) { return check(realloc(ptr, size ? size : 1)); }

char *mem_strdup(const char *text) { return text ? check(strdup(text)) : NULL; }

char *mem_strndup(const char *text, size_t length) { return check(strndup(text, length)); }

void mem_free(void *ptr) { free(ptr); }

// A function that could be any other by the time it is called cannot be left out.
void mem_wipe(void *ptr, size_t size) {
    static void *(*const volatile set)(void *, int, size_t) = memset;
    set(ptr, 0, size);
}

char *mem_printf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return check(text);
}
