// ONNX files written on the spot: a few nodes, constants and texts, in protobuf's wire format. The
// numbers of fields are those of onnx.proto (onnx/onnx, IR version 8).
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TINY_FLOAT = 1, TINY_INT64 = 7, TINY_HALF = 10 };

struct tiny_onnx {
    struct buf graph, metadata;
};

static inline void tiny_varint(struct buf *out, uint64_t value) {
    for (; value > 0x7f; value >>= 7)
        buf_add(out, &(char){(char)(value | 0x80)}, 1);
    buf_add(out, &(char){(char)value}, 1);
}

static inline void tiny_int(struct buf *out, unsigned field, uint64_t value) {
    tiny_varint(out, field << 3);
    tiny_varint(out, value);
}

static inline void tiny_bytes(struct buf *out, unsigned field, const void *bytes, size_t length) {
    tiny_varint(out, field << 3 | 2);
    tiny_varint(out, length);
    buf_add(out, bytes, length);
}

static inline void tiny_text(struct buf *out, unsigned field, const char *text) {
    tiny_bytes(out, field, text, strlen(text));
}

// Takes the inner message.
static inline void tiny_message(struct buf *out, unsigned field, struct buf *inner) {
    tiny_bytes(out, field, buf_bytes(inner), inner->length);
    buf_fini(inner);
}

static inline struct buf tiny_buf(void) {
    struct buf buf;
    buf_init(&buf, (size_t)64 << 20);
    return buf;
}

static inline struct tiny_onnx tiny_onnx_begin(void) {
    return (struct tiny_onnx){tiny_buf(), tiny_buf()};
}

// field 11: an input, 12: an output. A dimension of -1 is open.
static inline void tiny_value(struct tiny_onnx *t, unsigned field, const char *name, int type,
                              const int64_t *dims, size_t rank) {
    struct buf shape = tiny_buf(), tensor = tiny_buf(), kind = tiny_buf(), value = tiny_buf();
    for (size_t i = 0; i < rank; i++) {
        struct buf dim = tiny_buf();
        char open[64];
        snprintf(open, sizeof open, "%s_%zu", name, i);
        if (dims[i] < 0)
            tiny_text(&dim, 2, open);
        else
            tiny_int(&dim, 1, (uint64_t)dims[i]);
        tiny_message(&shape, 1, &dim);
    }
    tiny_int(&tensor, 1, (uint64_t)type);
    tiny_message(&tensor, 2, &shape);
    tiny_message(&kind, 1, &tensor);
    tiny_text(&value, 1, name);
    tiny_message(&value, 2, &kind);
    tiny_message(&t->graph, field, &value);
}

#define TINY_DIMS(...)                                                                             \
    (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

static inline void tiny_input(struct tiny_onnx *t, const char *name, int type, const int64_t *dims,
                              size_t rank) {
    tiny_value(t, 11, name, type, dims, rank);
}

static inline void tiny_output(struct tiny_onnx *t, const char *name, int type, const int64_t *dims,
                               size_t rank) {
    tiny_value(t, 12, name, type, dims, rank);
}

static inline void tiny_constant(struct tiny_onnx *t, const char *name, int type,
                                 const int64_t *dims, size_t rank, const void *data, size_t bytes) {
    struct buf tensor = tiny_buf();
    for (size_t i = 0; i < rank; i++)
        tiny_int(&tensor, 1, (uint64_t)dims[i]);
    tiny_int(&tensor, 2, (uint64_t)type);
    tiny_text(&tensor, 8, name);
    tiny_bytes(&tensor, 9, data, bytes);
    tiny_message(&t->graph, 5, &tensor);
}

// Names of inputs and outputs are separated by blanks.
static inline void tiny_names(struct buf *out, unsigned field, const char *names) {
    while (*names) {
        size_t length = strcspn(names, " ");
        tiny_bytes(out, field, names, length);
        names += length + strspn(names + length, " ");
    }
}

static inline void tiny_node(struct tiny_onnx *t, const char *op, const char *inputs,
                             const char *outputs) {
    struct buf node = tiny_buf();
    tiny_names(&node, 1, inputs);
    tiny_names(&node, 2, outputs);
    tiny_text(&node, 4, op);
    tiny_message(&t->graph, 1, &node);
}

static inline void tiny_metadata(struct tiny_onnx *t, const char *key, const char *value) {
    struct buf entry = tiny_buf();
    tiny_text(&entry, 1, key);
    tiny_text(&entry, 2, value);
    tiny_message(&t->metadata, 14, &entry);
}

// Writes bytes to a file. The path is the caller's; tiny_forget it.
static inline char *tiny_file(const struct buf *bytes) {
    char *path = mem_strdup("/tmp/tiny-onnx-XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, buf_bytes(bytes), bytes->length) != (ssize_t)bytes->length)
        abort();
    close(fd);
    return path;
}

static inline void tiny_forget(char *path) {
    unlink(path);
    mem_free(path);
}

// Writes the file and forgets the rest. The path is the caller's; tiny_forget it.
static inline char *tiny_onnx_write(struct tiny_onnx *t) {
    struct buf model = tiny_buf(), opset = tiny_buf();
    tiny_int(&model, 1, 8); // IR version
    tiny_int(&opset, 2, 13);
    tiny_message(&model, 8, &opset);
    tiny_text(&t->graph, 2, "tiny");
    tiny_message(&model, 7, &t->graph);
    buf_add(&model, buf_bytes(&t->metadata), t->metadata.length);
    buf_fini(&t->metadata);
    char *path = tiny_file(&model);
    buf_fini(&model);
    return path;
}
