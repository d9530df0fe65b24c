// What an engine says of its memory: the buffers it makes while it loads, and the table it prints
// when it ends in good order. Line by line from its output; nothing else in there is looked at.
//
//   load_tensors:        CUDA0 model buffer size = 13240.25 MiB     (llm_load_tensors: CUDA0 buffer
//   llama_kv_cache:      CUDA0 KV buffer size =  1632.00 MiB         size in builds before 2025)
//   sched_reserve:       CUDA0 compute buffer size =   250.50 MiB
//   common_memory_breakdown_print: | - CUDA0 (RTX 3090) | 24124 = 8060 + (15721 = ...) + 343 |
//
// llama.cpp prints the first kind from -lv 4 on (builds with a scale of verbosity), older builds
// always; the table alone may also come from a dry pass of --fit, so only a table after the start
// means something.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { MEMORY_BUFFERS_MAX = 32, MEMORY_ROWS_MAX = 17 };

struct memory_buffer {
    char name[40]; // "CUDA0", "CPU_Mapped", "RPC0[10.0.0.2:50052]"
    double weights_mib, kv_mib, state_mib, output_mib;
    double compute_mib; // of contexts before the one that is being made
    double compute_now_mib;
};

struct memory_row { // of the table at the end
    char device[24];
    char card[64];
    double total_mib, free_mib, self_mib;
    double unaccounted_mib; // of everybody on that device beside `self`; negative: not to be used
};

struct memory_report {
    struct memory_buffer buffer[MEMORY_BUFFERS_MAX];
    size_t buffers;
    struct memory_row row[MEMORY_ROWS_MAX];
    size_t rows;
};

// A zeroed struct is an empty report.
void memory_report_line(struct memory_report *report, const char *line);
void memory_report_forget_table(struct memory_report *report); // what came so far was a dry pass

struct memory_sum {
    double weights_mib, kv_mib, state_mib, compute_mib; // compute with the output buffer
    bool seen;                                          // compute buffers were told
};

// Of one device by its engine name ("CUDA0"), or of host memory (NULL).
struct memory_sum memory_report_sum(const struct memory_report *report, const char *device);
const struct memory_row *memory_report_row(const struct memory_report *report, const char *device);
