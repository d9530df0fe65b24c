// GGUF files for tests, written byte by byte, wrong ones too.
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/gguf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void put(struct buf *b, const void *bytes, size_t length) {
    assert(buf_add(b, bytes, length));
}
static inline void put_u32(struct buf *b, uint32_t n) { put(b, &n, 4); }
static inline void put_u64(struct buf *b, uint64_t n) { put(b, &n, 8); }
static inline void put_text(struct buf *b, const char *text) {
    put_u64(b, strlen(text));
    put(b, text, strlen(text));
}
static inline void put_head(struct buf *b, uint32_t version, uint64_t tensors, uint64_t values) {
    put(b, "GGUF", 4);
    put_u32(b, version);
    put_u64(b, tensors);
    put_u64(b, values);
}
static inline void put_key(struct buf *b, const char *key, enum gguf_value_type type) {
    put_text(b, key);
    put_u32(b, type);
}
static inline void put_key_u32(struct buf *b, const char *key, uint32_t n) {
    put_key(b, key, GGUF_U32);
    put_u32(b, n);
}
static inline void put_key_text(struct buf *b, const char *key, const char *text) {
    put_key(b, key, GGUF_STRING);
    put_text(b, text);
}
static inline void put_tensor(struct buf *b, const char *name, uint32_t type, uint64_t ne0,
                              uint64_t ne1, uint64_t offset) {
    put_text(b, name);
    put_u32(b, 2);
    put_u64(b, ne0);
    put_u64(b, ne1);
    put_u32(b, type);
    put_u64(b, offset);
}
static inline void put_zeros(struct buf *b, size_t count) {
    static const char zeros[4096];
    for (; count > sizeof zeros; count -= sizeof zeros)
        put(b, zeros, sizeof zeros);
    put(b, zeros, count);
}
static inline void put_padding(struct buf *b, size_t alignment) {
    put_zeros(b, (alignment - b->length % alignment) % alignment);
}

// A folder of its own for files, removed by test_folder_end.
static char test_folder[64];

static inline void test_folder_begin(void) {
    snprintf(test_folder, sizeof test_folder, "/tmp/ancalagon-gguf-XXXXXX");
    assert(mkdtemp(test_folder));
}

static inline char *test_file(const char *name) { return path_join(test_folder, name); }

static inline char *write_file(const char *name, const struct buf *b, size_t length) {
    char *path = test_file(name);
    struct err err = {0};
    if (!path_write_file(path, buf_bytes(b), length, 0600, &err)) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return path;
}

// Writes, opens, removes. NULL with the error's text in `err`.
static inline struct gguf *open_bytes(const struct buf *b, size_t length, struct err *err) {
    char *path = write_file("file.gguf", b, length);
    *err = (struct err){0};
    struct gguf *gguf = gguf_open(path, err);
    unlink(path);
    mem_free(path);
    return gguf;
}
