#include "vision/onnx_private.h"

#include "base/mem.h"
#include "vision/half.h"

#include <assert.h>

// What the runtime gave, and what was converted from it.
struct run {
    const struct ort_api *api;
    struct ort_value *input;
    uint16_t *halves; // the input, when the network wants halves
    struct ort_value *values[NETWORK_OUTPUTS_MAX];
    float *floats[NETWORK_OUTPUTS_MAX];
};

static void run_destroy(struct run *run) {
    if (run->input)
        run->api->release_value(run->input);
    mem_free(run->halves);
    for (size_t i = 0; i < NETWORK_OUTPUTS_MAX; i++) {
        if (run->values[i])
            run->api->release_value(run->values[i]);
        mem_free(run->floats[i]);
    }
    mem_free(run);
}

// Elements of a shape whose dimensions are all known; false when they pass the address space.
static bool count_elements(const int64_t *dims, size_t rank, size_t *count) {
    *count = 1;
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(*count, (size_t)dims[i], count))
            return false;
    return *count <= SIZE_MAX / sizeof(float);
}

static bool check_dims(const struct network *network, const int64_t *dims, size_t rank,
                       size_t *count, struct err *err) {
    if (rank <= TENSOR_RANK_MAX && count_elements(dims, rank, count) && *count > 0)
        return true;
    return err_set(err, ERR_INVALID, "%s: an input of this shape cannot be", network->path);
}

// The runtime only reads the data.
static bool make_tensor(const struct network *network, struct run *run, const void *data,
                        size_t bytes, const int64_t *dims, size_t rank, int element,
                        struct err *err) {
    return onnx_ok(run->api,
                   run->api->create_tensor(network->onnx->memory, (void *)data, bytes, dims, rank,
                                           element, &run->input),
                   err, network->path);
}

static bool make_input(const struct network *network, struct run *run, const float *input,
                       const int64_t *dims, size_t rank, struct err *err) {
    size_t count;
    if (!check_dims(network, dims, rank, &count, err))
        return false;
    if (network->input.type == TENSOR_F32)
        return make_tensor(network, run, input, count * sizeof *input, dims, rank, ORT_ELEMENT_F32,
                           err);
    run->halves = mem_alloc(count * sizeof *run->halves);
    half_from_floats(run->halves, input, count);
    return make_tensor(network, run, run->halves, count * sizeof *run->halves, dims, rank,
                       ORT_ELEMENT_F16, err);
}

static bool read_output(const struct network *network, struct run *run, size_t index,
                        struct tensors *out, struct err *err) {
    const struct ort_api *api = run->api;
    struct ort_tensor_info *info = NULL;
    struct tensor_shape *shape = &out->shapes[index];
    int tensor = 0;
    void *data = NULL;
    size_t count;
    if (!run->values[index] ||
        !onnx_ok(api, api->is_tensor(run->values[index], &tensor), err, network->path))
        return false;
    if (!tensor)
        return true;
    if (!onnx_ok(api, api->value_tensor_info(run->values[index], &info), err, network->path))
        return false;
    bool good = onnx_read_shape(api, info, shape, err, network->path);
    api->release_tensor_info(info);
    if (!good || !count_elements(shape->dims, shape->rank, &count))
        return false;
    if (shape->type != TENSOR_F32 && shape->type != TENSOR_F16)
        return true;
    if (!onnx_ok(api, api->tensor_data(run->values[index], &data), err, network->path))
        return false;
    out->values[index] = data;
    if (shape->type == TENSOR_F16) {
        out->values[index] = run->floats[index] = mem_alloc((count ? count : 1) * sizeof(float));
        half_to_floats(run->floats[index], data, count);
    }
    return true;
}

static struct run *begin(const struct network *network, struct tensors *out) {
    struct run *run = mem_alloc(sizeof *run);
    run->api = network->onnx->api;
    *out = (struct tensors){.count = network->outputs, .owner = run};
    return run;
}

static bool finish(const struct network *network, struct run *run, bool good, struct tensors *out,
                   struct err *err) {
    if (good) {
        const char *names[] = {network->input_name};
        const struct ort_value *inputs[] = {run->input};
        good = onnx_ok(run->api,
                       run->api->run(network->session, NULL, names, inputs, 1,
                                     (const char *const *)network->output_names, network->outputs,
                                     run->values),
                       err, network->path);
    }
    for (size_t i = 0; good && i < network->outputs; i++)
        good = read_output(network, run, i, out, err);
    if (!good)
        tensors_fini(out);
    return good;
}

bool network_run(struct network *network, const float *input, const int64_t *dims, size_t rank,
                 struct tensors *out, struct err *err) {
    assert(!network->takes_bytes);
    struct run *run = begin(network, out);
    return finish(network, run, make_input(network, run, input, dims, rank, err), out, err);
}

// What the nodes in front do where the file could not be given them.
static float *make_floats(const struct network_pixels *pixels, const uint8_t *planes,
                          size_t plane) {
    float *floats = mem_alloc(3 * plane * sizeof *floats);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = c * plane; i < (c + 1) * plane; i++)
            floats[i] = (float)planes[i] * pixels->scale[c] + pixels->shift[c];
    return floats;
}

bool network_run_pixels(struct network *network, const uint8_t *planes, int height, int width,
                        struct tensors *out, struct err *err) {
    assert(network->wants_bytes);
    const int64_t dims[] = {1, 3, height, width};
    size_t count;
    *out = (struct tensors){0};
    if (!check_dims(network, dims, 4, &count, err))
        return false;
    if (network->takes_bytes) {
        struct run *run = begin(network, out);
        return finish(network, run,
                      make_tensor(network, run, planes, count, dims, 4, ORT_ELEMENT_U8, err), out,
                      err);
    }
    float *floats = make_floats(&network->pixels, planes, count / 3);
    bool good = network_run(network, floats, dims, 4, out, err);
    mem_free(floats);
    return good;
}

void tensors_fini(struct tensors *tensors) {
    if (tensors->owner)
        run_destroy(tensors->owner);
    *tensors = (struct tensors){0};
}
