// What onnx.c (the library), network.c (a file) and network_run.c (a run) share.
#pragma once

#include "vision/onnx.h"
#include "vision/onnx_api.h"
#include "vision/onnx_edit.h"
#include "vision/tensor_pool.h"

// The pool as the runtime sees it.
struct pool_allocator {
    struct ort_allocator face; // first: the runtime knows its address
    struct tensor_pool *pool;
    const struct ort_memory_info *memory;
};

struct onnx {
    void *library;
    char *path;
    const char *version; // the library's
    const struct ort_api *api;
    struct ort_env *env;
    struct ort_memory_info *memory;
    struct ort_allocator *allocator; // the library's
    struct pool_allocator tensors; // ours; without a pool when the system or the runtime wants none
};

struct network {
    struct onnx *onnx;
    char *path;
    struct ort_session *session;
    struct ort_metadata *metadata;
    char *input_name;
    struct tensor_shape input;
    bool wants_bytes;             // was loaded for network_run_pixels
    struct network_pixels pixels; // with these
    bool takes_bytes;             // and was changed to take them, onnx_edit.h
    bool wants_lines;             // was loaded for network_run_line
    bool wants_classes;           // only of steps that say something
    bool folds_lines;             // and was changed for it, onnx_edit_line
    struct onnx_line line;        // then
    size_t outputs;
    char *output_names[NETWORK_OUTPUTS_MAX];
    struct tensor_shape output[NETWORK_OUTPUTS_MAX];
    // Texts of the metadata that were asked for; few, so a list will do.
    struct text *texts;
};

struct text {
    struct text *next;
    char *key, *value;
};

// Takes the status; true when there is none. `what` begins the error's text.
bool onnx_ok(const struct ort_api *api, struct ort_status *status, struct err *err,
             const char *what);
bool onnx_read_shape(const struct ort_api *api, const struct ort_tensor_info *info,
                     struct tensor_shape *out, struct err *err, const char *what);
