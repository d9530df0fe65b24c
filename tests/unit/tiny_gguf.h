// GGUF headers written on the spot: a model of a few numbers and of tensors without data.
#pragma once

#include "base/mem.h"
#include "format/gguf_type.h"
#include "plan/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tiny {
    const char *arch;
    FILE *keys, *tensors;
    char *key_text, *tensor_text;
    size_t key_bytes, tensor_bytes;
    uint64_t key_count, tensor_count, data_bytes;
};

static inline void tiny_put(FILE *out, uint64_t value, size_t bytes) {
    fwrite(&value, 1, bytes, out); // little-endian, as every machine that we build for
}

static inline void tiny_string(FILE *out, const char *text) {
    tiny_put(out, strlen(text), 8);
    fputs(text, out);
}

static inline void tiny_key(struct tiny *t, const char *name, uint32_t type) {
    char key[96];
    snprintf(key, sizeof key, "%s.%s", t->arch, name);
    tiny_string(t->keys, key);
    tiny_put(t->keys, type, 4);
    t->key_count++;
}

static inline void tiny_number(struct tiny *t, const char *name, uint32_t value) {
    enum { UINT32 = 4 };
    tiny_key(t, name, UINT32);
    tiny_put(t->keys, value, 4);
}

static inline void tiny_numbers(struct tiny *t, const char *name, const uint32_t *values,
                                size_t count) {
    enum { UINT32 = 4, ARRAY = 9 };
    tiny_key(t, name, ARRAY);
    tiny_put(t->keys, UINT32, 4);
    tiny_put(t->keys, count, 8);
    fwrite(values, sizeof *values, count, t->keys);
}

static inline void tiny_tensor(struct tiny *t, const char *name, uint32_t type, uint64_t ne0,
                               uint64_t ne1, uint64_t ne2) {
    tiny_string(t->tensors, name);
    tiny_put(t->tensors, 3, 4);
    tiny_put(t->tensors, ne0, 8);
    tiny_put(t->tensors, ne1, 8);
    tiny_put(t->tensors, ne2, 8);
    tiny_put(t->tensors, type, 4);
    tiny_put(t->tensors, t->data_bytes, 8);
    uint64_t bytes = gguf_row_bytes(gguf_type_info(type), ne0) * ne1 * ne2;
    t->data_bytes += (bytes + 31) / 32 * 32;
    t->tensor_count++;
}

static inline void tiny_start(struct tiny *t, const char *arch) {
    *t = (struct tiny){.arch = arch};
    t->keys = open_memstream(&t->key_text, &t->key_bytes);
    t->tensors = open_memstream(&t->tensor_text, &t->tensor_bytes);
    enum { STRING = 8 };
    tiny_string(t->keys, "general.architecture");
    tiny_put(t->keys, STRING, 4);
    tiny_string(t->keys, arch);
    t->key_count = 1;
}

// NULL: refused, as `err` says.
static inline struct model *tiny_try(struct tiny *t, struct err *err) {
    fclose(t->keys);
    fclose(t->tensors);
    FILE *out = tmpfile();
    fwrite("GGUF", 1, 4, out);
    tiny_put(out, 3, 4);
    tiny_put(out, t->tensor_count, 8);
    tiny_put(out, t->key_count, 8);
    fwrite(t->key_text, 1, t->key_bytes, out);
    fwrite(t->tensor_text, 1, t->tensor_bytes, out);
    fflush(out);
    long header = (ftell(out) + 31) / 32 * 32;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fileno(out));
    struct model *model = NULL;
    if (ftruncate(fileno(out), header + (long)t->data_bytes) == 0)
        model = model_open(path, err);
    fclose(out);
    free(t->key_text);
    free(t->tensor_text);
    return model;
}

static inline struct model *tiny_open(struct tiny *t) {
    struct err err = {0};
    struct model *model = tiny_try(t, &err);
    if (!model) {
        fprintf(stderr, "tiny model: %s\n", err.text);
        abort();
    }
    return model;
}

enum {
    TINY_EMBD = 1024,
    TINY_HEADS = 16,
    TINY_HEADS_KV = 4, // of 64 elements each
    TINY_FF = 4096,
    TINY_EXPERT_FF = 512,
    TINY_VOCAB = 4000,
    TINY_CTX = 32768,
};

static inline void tiny_shape(struct tiny *t, uint32_t layers, uint32_t experts) {
    tiny_number(t, "block_count", layers);
    tiny_number(t, "embedding_length", TINY_EMBD);
    tiny_number(t, "context_length", TINY_CTX);
    tiny_number(t, "vocab_size", TINY_VOCAB);
    tiny_number(t, "attention.head_count", TINY_HEADS);
    tiny_number(t, "attention.head_count_kv", TINY_HEADS_KV);
    tiny_number(t, "feed_forward_length", TINY_FF);
    if (experts) {
        tiny_number(t, "expert_count", experts);
        tiny_number(t, "expert_used_count", 2);
        tiny_number(t, "expert_feed_forward_length", TINY_EXPERT_FF);
    }
}

static inline void tiny_layer(struct tiny *t, uint32_t i, uint32_t experts) {
    const struct {
        const char *name;
        uint32_t type;
        uint32_t ne[3];
    } dense[] =
        {
            {"ffn_gate.weight", GGUF_TYPE_F16, {TINY_EMBD, TINY_FF, 1}},
            {"ffn_up.weight", GGUF_TYPE_F16, {TINY_EMBD, TINY_FF, 1}},
            {"ffn_down.weight", GGUF_TYPE_F16, {TINY_FF, TINY_EMBD, 1}},
        },
      mixed[] =
          {
              {"ffn_gate_exps.weight", GGUF_TYPE_F16, {TINY_EMBD, TINY_EXPERT_FF, experts}},
              {"ffn_up_exps.weight", GGUF_TYPE_F16, {TINY_EMBD, TINY_EXPERT_FF, experts}},
              {"ffn_down_exps.weight", GGUF_TYPE_F16, {TINY_EXPERT_FF, TINY_EMBD, experts}},
          },
      attention[] = {
          {"attn_norm.weight", GGUF_TYPE_F32, {TINY_EMBD, 1, 1}},
          {"attn_q.weight", GGUF_TYPE_F16, {TINY_EMBD, TINY_HEADS * 64, 1}},
          {"attn_k.weight", GGUF_TYPE_F16, {TINY_EMBD, TINY_HEADS_KV * 64, 1}},
          {"attn_v.weight", GGUF_TYPE_F16, {TINY_EMBD, TINY_HEADS_KV * 64, 1}},
          {"attn_output.weight", GGUF_TYPE_F16, {TINY_HEADS * 64, TINY_EMBD, 1}},
          {"ffn_norm.weight", GGUF_TYPE_F32, {TINY_EMBD, 1, 1}},
      };
    char name[64];
    snprintf(name, sizeof name, "blk.%u.ffn_gate_inp.weight", i);
    if (experts)
        tiny_tensor(t, name, GGUF_TYPE_F32, TINY_EMBD, experts, 1);
    for (size_t j = 0; j < sizeof attention / sizeof *attention; j++) {
        snprintf(name, sizeof name, "blk.%u.%s", i, attention[j].name);
        tiny_tensor(t, name, attention[j].type, attention[j].ne[0], attention[j].ne[1], 1);
    }
    for (size_t j = 0; j < 3; j++) {
        const uint32_t *ne = experts ? mixed[j].ne : dense[j].ne;
        snprintf(name, sizeof name, "blk.%u.%s", i, experts ? mixed[j].name : dense[j].name);
        tiny_tensor(t, name, GGUF_TYPE_F16, ne[0], ne[1], ne[2]);
    }
}

// A model of the plainest kind; every byte of it can be added up by hand.
static inline struct model *tiny_model(const char *arch, uint32_t layers, uint32_t experts,
                                       bool tied) {
    struct tiny t;
    tiny_start(&t, arch);
    tiny_shape(&t, layers, experts);
    tiny_tensor(&t, "token_embd.weight", GGUF_TYPE_F16, TINY_EMBD, TINY_VOCAB, 1);
    tiny_tensor(&t, "output_norm.weight", GGUF_TYPE_F32, TINY_EMBD, 1, 1);
    if (!tied)
        tiny_tensor(&t, "output.weight", GGUF_TYPE_F16, TINY_EMBD, TINY_VOCAB, 1);
    for (uint32_t i = 0; i < layers; i++)
        tiny_layer(&t, i, experts);
    return tiny_open(&t);
}

enum {
    TINY_ATTENTION_BYTES = 2 * 4 * TINY_EMBD + // norms
                           2 * TINY_EMBD * 64 * (2 * TINY_HEADS + 2 * TINY_HEADS_KV),
    TINY_FF_BYTES = 2 * 3 * TINY_EMBD * TINY_FF,
    TINY_ROUTER_BYTES = 4 * TINY_EMBD,                      // for each expert
    TINY_EXPERT_BYTES = 2 * 3 * TINY_EMBD * TINY_EXPERT_FF, // each
    TINY_TABLE_BYTES = 2 * TINY_EMBD * TINY_VOCAB,
};
