#include "format/gguf_type.h"

#include <stddef.h>
#include <strings.h>

// Mainline: ggml.c type_traits. The forks: their ggml.h. In order of their numbers.
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
    {31, "Q4_0_4_4", 32, 18, 0, GGUF_TYPE_OLD},
    {31, "TQ3_1S_AP1", 512, 260, 0, GGUF_TYPE_TQ3},
    {32, "Q4_0_4_8", 32, 18, 0, GGUF_TYPE_OLD},
    {33, "Q4_0_8_8", 32, 18, 0, GGUF_TYPE_OLD},
    {34, "TQ1_0", 256, 54, 0, GGUF_TYPE_MAINLINE},
    {35, "TQ2_0", 256, 66, 0, GGUF_TYPE_MAINLINE},
    {36, "IQ4_NL_4_4", 32, 18, 0, GGUF_TYPE_OLD},
    {37, "IQ4_NL_4_8", 32, 18, 0, GGUF_TYPE_OLD},
    {38, "IQ4_NL_8_8", 32, 18, 0, GGUF_TYPE_OLD},
    {39, "MXFP4", 32, 17, 0, GGUF_TYPE_MAINLINE},
    {40, "NVFP4", 64, 36, 0, GGUF_TYPE_MAINLINE},
    {41, "Q1_0", 128, 18, 0, GGUF_TYPE_MAINLINE},
    {41, "Q2_0", 64, 18, 0, GGUF_TYPE_TQ3},
    {42, "Q2_0", 64, 18, 0, GGUF_TYPE_MAINLINE},
    {42, "Q1_0", 128, 18, 0, GGUF_TYPE_TQ3},
    {44, "TQ3_1S", 32, 16, 0, GGUF_TYPE_TQ3},
    {45, "TQ3_1S", 32, 16, 0, GGUF_TYPE_TURBO},
    {46, "TQ3_4S", 32, 16, 0, GGUF_TYPE_TQ3},
    {46, "TQ4_1S", 32, 20, 0, GGUF_TYPE_TURBO},
    {47, "TQ3_1S", 32, 16, 0, GGUF_TYPE_TURBO},
    {48, "TQ4_1S", 32, 20, 0, GGUF_TYPE_TURBO},
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
    {200, "TQ3_0", 32, 14, 0, GGUF_TYPE_TQ3},
    {202, "Q4_0_R8", 32, 18, 0, GGUF_TYPE_IK},
    {206, "Q5_0_R4", 32, 22, 0, GGUF_TYPE_IK},
    {208, "Q8_0_R8", 32, 34, 0, GGUF_TYPE_IK},
    {210, "Q2_K_R4", 256, 84, 0, GGUF_TYPE_IK},
    {211, "Q3_K_R4", 256, 110, 0, GGUF_TYPE_IK},
    {212, "Q4_K_R4", 256, 144, 0, GGUF_TYPE_IK},
    {213, "Q5_K_R4", 256, 176, 0, GGUF_TYPE_IK},
    {214, "Q6_K_R4", 256, 210, 0, GGUF_TYPE_IK},
    {216, "IQ2_XXS_R4", 256, 66, 0, GGUF_TYPE_IK},
    {217, "IQ2_XS_R4", 256, 74, 0, GGUF_TYPE_IK},
    {218, "IQ3_XXS_R4", 256, 98, 0, GGUF_TYPE_IK},
    {219, "IQ1_S_R4", 32, 6, 2, GGUF_TYPE_IK},
    {220, "IQ4_NL_R4", 32, 18, 0, GGUF_TYPE_IK},
    {221, "IQ3_S_R4", 256, 110, 0, GGUF_TYPE_IK},
    {222, "IQ2_S_R4", 256, 82, 0, GGUF_TYPE_IK},
    {223, "IQ4_XS_R8", 256, 136, 0, GGUF_TYPE_IK},
    {229, "IQ1_M_R4", 32, 7, 2, GGUF_TYPE_IK},
    {230, "BF16_R16", 1, 2, 0, GGUF_TYPE_IK},
    {333, "Q6_0_R4", 32, 26, 0, GGUF_TYPE_IK},
    {335, "IQ2_BN_R4", 64, 16, 4, GGUF_TYPE_IK},
    {337, "IQ2_K_R4", 256, 76, 0, GGUF_TYPE_IK},
    {338, "IQ3_K_R4", 256, 110, 0, GGUF_TYPE_IK},
    {339, "IQ4_K_R4", 256, 144, 0, GGUF_TYPE_IK},
    {340, "IQ5_K_R4", 256, 176, 0, GGUF_TYPE_IK},
    {344, "IQ4_KS_R4", 256, 136, 4, GGUF_TYPE_IK},
    {352, "IQ5_KS_R4", 256, 168, 4, GGUF_TYPE_IK},
};
enum { COUNT = sizeof TYPES / sizeof *TYPES };

const struct gguf_type_info *gguf_type_info(uint32_t id) {
    size_t low = 0, high = COUNT; // the first row that is not below
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (TYPES[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < COUNT && TYPES[low].id == id ? &TYPES[low] : NULL;
}

const struct gguf_type_info *gguf_type_next(const struct gguf_type_info *type) {
    if (!type)
        return TYPES;
    return type + 1 < TYPES + COUNT ? type + 1 : NULL;
}

const struct gguf_type_info *gguf_type_named(const char *name) {
    for (size_t i = 0; i < COUNT; i++)
        if (strcasecmp(TYPES[i].name, name) == 0)
            return &TYPES[i];
    return NULL;
}

bool gguf_type_ambiguous(uint32_t id) {
    const struct gguf_type_info *info = gguf_type_info(id);
    return !info || id > 40 || info->family != GGUF_TYPE_MAINLINE;
}

const char *gguf_type_engine(enum gguf_type_family family) {
    switch (family) {
    case GGUF_TYPE_MAINLINE: return "llama.cpp";
    case GGUF_TYPE_IK: return "ikawrakow/ik_llama.cpp";
    case GGUF_TYPE_TQ3: return "turbo-tan/llama.cpp-tq3";
    case GGUF_TYPE_TURBO: return "TheTom/llama-cpp-turboquant, or a fork of it";
    case GGUF_TYPE_OLD: return "a llama.cpp of 2024";
    case GGUF_TYPE_UNKNOWN: break;
    }
    return "the fork that made the file";
}

uint64_t gguf_row_bytes(const struct gguf_type_info *type, uint64_t elements) {
    if (elements % type->block != 0)
        return 0;
    return type->row_bytes + elements / type->block * type->block_bytes;
}
