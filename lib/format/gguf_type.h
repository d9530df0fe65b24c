// Tensor types: how many bytes a row takes. Numbers as in ggml.h (mainline); the private ranges of
// ik_llama.cpp (133...158, row-interleaved forms at +200) and of the TurboQuant forks (43...47) are
// known by name, since a file that uses them needs that engine.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Who can read a type.
enum gguf_type_family {
    GGUF_TYPE_MAINLINE,
    GGUF_TYPE_IK,      // ikawrakow/ik_llama.cpp
    GGUF_TYPE_TQ3,     // turbo-tan/llama.cpp-tq3
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
// Whose type it is, as far as numbers tell; names of interleaved forms are not in the table.
enum gguf_type_family gguf_type_family(uint32_t id);
// Bytes of one row of `elements`; 0 when they are no whole number of blocks.
uint64_t gguf_row_bytes(const struct gguf_type_info *type, uint64_t elements);
