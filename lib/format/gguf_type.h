// Tensor types: how many bytes a row takes, and which engine reads it. Numbers as in ggml.h
// (mainline); the private ranges of ik_llama.cpp (133...158, row-interleaved forms 200 higher) and
// of the TurboQuant forks (31...37, 43...48) are known as well, since a file that uses them needs
// that engine. Forks number differently, so one id may stand for several types.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Who can read a type.
enum gguf_type_family {
    GGUF_TYPE_MAINLINE,
    GGUF_TYPE_IK,      // ikawrakow/ik_llama.cpp
    GGUF_TYPE_TQ3,     // turbo-tan/llama.cpp-tq3
    GGUF_TYPE_TURBO,   // other TurboQuant forks: TheTom/llama-cpp-turboquant and its descendants
    GGUF_TYPE_OLD,     // llama.cpp until 2024: repacked forms that were removed
    GGUF_TYPE_UNKNOWN, // sized from offsets only
};

struct gguf_type_info {
    uint32_t id;
    const char *name; // "Q4_K"
    uint32_t block;   // elements a block
    uint32_t block_bytes;
    uint32_t row_bytes; // in front of each row, besides its blocks (ik_llama.cpp)
    enum gguf_type_family family;
};

enum gguf_type_id { // those that code asks for by name
    GGUF_TYPE_F32 = 0,
    GGUF_TYPE_F16 = 1,
    GGUF_TYPE_Q4_0 = 2,
    GGUF_TYPE_Q8_0 = 8,
    GGUF_TYPE_BF16 = 30,
};

const struct gguf_type_info *gguf_type_info(uint32_t id);       // NULL when not in the table
const struct gguf_type_info *gguf_type_named(const char *name); // case folded, "q4_0"; or NULL
// All types in order of their numbers, the likelier meaning of a number first. NULL: the first one,
// and NULL is returned after the last.
const struct gguf_type_info *gguf_type_next(const struct gguf_type_info *type);
// The number alone does not tell the type: another engine means something else by it.
bool gguf_type_ambiguous(uint32_t id);
// Who reads it, for people: "llama.cpp", "turbo-tan/llama.cpp-tq3".
const char *gguf_type_engine(enum gguf_type_family family);
// Bytes of one row of `elements`; 0 when they are no whole number of blocks.
uint64_t gguf_row_bytes(const struct gguf_type_info *type, uint64_t elements);
