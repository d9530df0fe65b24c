#include "format/gguf_type.h"

#include <stddef.h>
#include <strings.h>

// Mainline: ggml.c type_traits. ik_llama.cpp and the TurboQuant forks: their ggml.h; the forks'
// numbers from 43 on are not unique among them, so a name is a hint and offsets decide the size.
static const struct gguf_type_info TYPES[] = {
    {0, "F32", 1, 4, 0, GGUF_TYPE_MAINLINE},
    {1, "F16", 1, 2, 0, GGUF_TYPE_MAINLINE},
    {2, "Q4_0", 32, 18, 0, GGUF_TYPE_MAINLINE},
    {3, "Q4_1", 32, 20, 0, GGUF_TYPE_MAINLINE},
    {6, "Q5_0", 32, 22, 0, GGUF_TYPE_MAINLINE},
    {7, "Q5_1", 32, 24, 0, GGUF_TYPE_MAINLINE},
    {8, "Q8_0", 32, 34, 0, GGUF_TYPE_MAINLINE},
    {9, "Q8_1", 32, 36, 0, GGUF_TYPE_MAINLINE},
    {10, "Q2_K", 256, 84, 0, GGUF_TYPE_MAINLINE},
    {11, "Q3_K", 256, 110, 0, GGUF_TYPE_MAINLINE},
    {12, "Q4_K", 256, 144, 0, GGUF_TYPE_MAINLINE},
    {13, "Q5_K", 256, 176, 0, GGUF_TYPE_MAINLINE},
    {14, "Q6_K", 256, 210, 0, GGUF_TYPE_MAINLINE},
    {15, "Q8_K", 256, 292, 0, GGUF_TYPE_MAINLINE},
    {16, "IQ2_XXS", 256, 66, 0, GGUF_TYPE_MAINLINE},
    {17, "IQ2_XS", 256, 74, 0, GGUF_TYPE_MAINLINE},
    {18, "IQ3_XXS", 256, 98, 0, GGUF_TYPE_MAINLINE},
    {19, "IQ1_S", 256, 50, 0, GGUF_TYPE_MAINLINE},
    {20, "IQ4_NL", 32, 18, 0, GGUF_TYPE_MAINLINE},
    {21, "IQ3_S", 256, 110, 0, GGUF_TYPE_MAINLINE},
    {22, "IQ2_S", 256, 82, 0, GGUF_TYPE_MAINLINE},
    {23, "IQ4_XS", 256, 136, 0, GGUF_TYPE_MAINLINE},
    {24, "I8", 1, 1, 0, GGUF_TYPE_MAINLINE},
    {25, "I16", 1, 2, 0, GGUF_TYPE_MAINLINE},
    {26, "I32", 1, 4, 0, GGUF_TYPE_MAINLINE},
    {27, "I64", 1, 8, 0, GGUF_TYPE_MAINLINE},
    {28, "F64", 1, 8, 0, GGUF_TYPE_MAINLINE},
    {29, "IQ1_M", 256, 56, 0, GGUF_TYPE_MAINLINE},
    {30, "BF16", 1, 2, 0, GGUF_TYPE_MAINLINE},
    {34, "TQ1_0", 256, 54, 0, GGUF_TYPE_MAINLINE},
    {35, "TQ2_0", 256, 66, 0, GGUF_TYPE_MAINLINE},
    {39, "MXFP4", 32, 17, 0, GGUF_TYPE_MAINLINE},
    {40, "NVFP4", 64, 36, 0, GGUF_TYPE_MAINLINE},
    {41, "Q1_0", 128, 18, 0, GGUF_TYPE_MAINLINE},
    {42, "Q2_0", 64, 18, 0, GGUF_TYPE_MAINLINE},
    {44, "TQ3_1S", 32, 16, 0, GGUF_TYPE_TQ3},
    {46, "TQ3_4S", 32, 16, 0, GGUF_TYPE_TQ3},
    {133, "Q6_0", 32, 26, 0, GGUF_TYPE_IK},
    {134, "IQ1_BN", 64, 13, 2, GGUF_TYPE_IK},
    {135, "IQ2_BN", 64, 16, 4, GGUF_TYPE_IK},
    {137, "IQ2_K", 256, 76, 0, GGUF_TYPE_IK},
    {138, "IQ3_K", 256, 110, 0, GGUF_TYPE_IK},
    {139, "IQ4_K", 256, 144, 0, GGUF_TYPE_IK},
    {140, "IQ5_K", 256, 176, 0, GGUF_TYPE_IK},
    {141, "IQ6_K", 256, 212, 0, GGUF_TYPE_IK},
    {144, "IQ4_KS", 256, 136, 4, GGUF_TYPE_IK},
    {145, "IQ2_KS", 256, 70, 2, GGUF_TYPE_IK},
    {146, "IQ4_KSS", 256, 128, 4, GGUF_TYPE_IK},
    {152, "IQ5_KS", 256, 168, 4, GGUF_TYPE_IK},
    {153, "IQ2_KT", 256, 68, 4, GGUF_TYPE_IK},
    {154, "IQ3_KT", 256, 100, 4, GGUF_TYPE_IK},
    {155, "IQ4_KT", 256, 128, 4, GGUF_TYPE_IK},
    {156, "IQ3_KS", 256, 102, 2, GGUF_TYPE_IK},
    {157, "IQ2_KL", 256, 86, 2, GGUF_TYPE_IK},
    {158, "IQ1_KT", 256, 56, 4, GGUF_TYPE_IK},
};
enum { COUNT = sizeof TYPES / sizeof *TYPES };

const struct gguf_type_info *gguf_type_info(uint32_t id) {
    for (size_t i = id < COUNT ? id : COUNT - 1;; i--) { // ascending, with gaps
        if (TYPES[i].id == id)
            return &TYPES[i];
        if (TYPES[i].id < id || i == 0)
            return NULL;
    }
}

enum gguf_type_family gguf_type_family(uint32_t id) {
    const struct gguf_type_info *info = gguf_type_info(id);
    if (info)
        return info->family;
    // ik_llama.cpp numbers the row-interleaved form of a type 200 higher.
    return id >= 202 && id < 400 && gguf_type_info(id - 200) ? GGUF_TYPE_IK : GGUF_TYPE_UNKNOWN;
}

const struct gguf_type_info *gguf_type_named(const char *name) {
    for (size_t i = 0; i < COUNT; i++)
        if (strcasecmp(TYPES[i].name, name) == 0)
            return &TYPES[i];
    return NULL;
}

uint64_t gguf_row_bytes(const struct gguf_type_info *type, uint64_t elements) {
    if (elements % type->block != 0)
        return 0;
    return type->row_bytes + elements / type->block * type->block_bytes;
}
