// Pieces of networks for tiny_onnx.h: weights of noise, nodes with attributes.
#pragma once

#include "vision/onnx_graph.h"
#include "vision_support.h"

#include "tiny_onnx.h"

static inline float noise(uint32_t *state) {
    *state = *state * 1664525 + 1013904223;
    return (float)(*state >> 8) / (float)(1 << 24) - .5f;
}

static inline void put_noise(struct tiny_onnx *tiny, const char *name, const int64_t *dims,
                             size_t rank) {
    static float values[1 << 15];
    uint32_t state = 977;
    size_t count = 1;
    for (const char *c = name; *c; c++)
        state = state * 31 + (uint32_t)*c;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    assert_true(count <= sizeof values / sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = noise(&state);
    tiny_constant(tiny, name, TINY_FLOAT, dims, rank, values, count * sizeof *values);
}

// A node with one attribute, of whole numbers. Names of inputs are separated by blanks.
static inline void put_with(struct tiny_onnx *tiny, const char *op, const char *from,
                            const char *to, const char *attribute, const int64_t *values,
                            size_t count) {
    struct span inputs[4];
    struct buf attributes;
    size_t inputs_count = 0;
    buf_init(&attributes, 4096);
    if (count == 1)
        onnx_put_int(&attributes, attribute, values[0]);
    else
        onnx_put_ints(&attributes, attribute, values, count);
    if (span_is(span_of(op), "AveragePool"))
        onnx_put_ints(&attributes, "strides", values, count);
    for (; *from; from += strspn(from, " ")) {
        assert_true(inputs_count < sizeof inputs / sizeof *inputs);
        inputs[inputs_count] = (struct span){from, strcspn(from, " ")};
        from += inputs[inputs_count++].length;
    }
    onnx_put_node(&tiny->graph, op, inputs, inputs_count, span_of(to), &attributes);
}

static inline void put_text(struct buf *attributes, const char *name, const char *text) {
    enum { NAME = 1, TEXT = 4, TYPE = 20, IS_TEXT = 3 };
    struct buf one;
    buf_init(&one, 4096);
    protobuf_put_text(&one, NAME, name);
    protobuf_put_text(&one, TEXT, text);
    protobuf_put_int(&one, TYPE, IS_TEXT);
    protobuf_put_message(attributes, NODE_ATTRIBUTE, &one);
}

// The larger of two neighbours, the last one with nobody: ONNX's words for that.
static inline void put_pool(struct tiny_onnx *tiny, const char *from, const char *to) {
    struct buf attributes;
    buf_init(&attributes, 4096);
    onnx_put_ints(&attributes, "kernel_shape", (const int64_t[]){2, 2}, 2);
    put_text(&attributes, "auto_pad", "SAME_UPPER");
    onnx_put_node(&tiny->graph, "MaxPool", &(struct span){from, strlen(from)}, 1, span_of(to),
                  &attributes);
}
