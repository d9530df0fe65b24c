#include "engine/args.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void args_init(struct args *args) {
    *args = (struct args){.capacity = 8};
    args->items = mem_alloc(args->capacity * sizeof(char *));
}

void args_fini(struct args *args) {
    for (size_t i = 0; i < args->count; i++)
        mem_free(args->items[i]);
    mem_free(args->items);
    *args = (struct args){0};
}

void args_addn(struct args *args, const char *text, size_t length) {
    if (args->count + 1 >= args->capacity) {
        args->capacity = args->capacity ? args->capacity * 2 : 8;
        args->items = mem_resize(args->items, args->capacity * sizeof(char *));
    }
    args->items[args->count++] = mem_strndup(text, length);
    args->items[args->count] = NULL;
}

void args_add(struct args *args, const char *text) { args_addn(args, text, strlen(text)); }

void args_addf(struct args *args, const char *format, ...) {
    char text[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    args_add(args, text);
}

bool args_has(const struct args *args, const char *text) {
    for (size_t i = 0; i < args->count; i++) {
        if (strcmp(args->items[i], text) == 0)
            return true;
    }
    return false;
}

void args_quote(struct buf *out, const char *word) {
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-_=./:,+@%";
    if (*word && word[strspn(word, harmless)] == '\0') {
        buf_adds(out, word);
        return;
    }
    buf_adds(out, "'");
    for (const char *at = word; *at; at++) {
        if (*at == '\'')
            buf_adds(out, "'\\''");
        else
            buf_add(out, at, 1);
    }
    buf_adds(out, "'");
}
