// How much memory the machine's GPUs and LM Studio's processes use: what a KV cache takes can only
// be measured.
#pragma once

#include <stdint.h>

// Bytes of both together; 0 = neither can be told here.
uint64_t lmstudio_memory(void);
