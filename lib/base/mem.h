// Allocation that cannot fail: running out of memory aborts here, in one place, with one line.
// Any size that a peer controls is bounded by the caller before it reaches these functions.
#pragma once

#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((returns_nonnull)); // zeroed
void *mem_resize(void *ptr, size_t size)
    __attribute__((returns_nonnull)); // like realloc; new bytes are not zeroed
char *mem_strdup(const char *text);   // NULL gives NULL
char *mem_strndup(const char *text, size_t length) __attribute__((returns_nonnull));
void mem_free(void *ptr);              // NULL is fine
void mem_wipe(void *ptr, size_t size); // zeroes secrets; never optimised away
char *mem_printf(const char *format, ...) __attribute__((returns_nonnull, format(printf, 1, 2)));
