#include "vision/onnx_private.h"

#include "base/mem.h"
#include "vision/half.h"

#include <assert.h>

enum { INPUTS_MAX = 3 };

// What the runtime gave, and what was converted from it.
struct run {
    const struct ort_api *api;
    struct ort_value *inputs[INPUTS_MAX];
    const char *input_names[INPUTS_MAX];
    size_t input_count;
    uint16_t *halves; // the input, when the network wants halves
    struct ort_value *values[NETWORK_OUTPUTS_MAX];
    float *floats[NETWORK_OUTPUTS_MAX];
};

static void run_destroy(struct run *run) {
    for (size_t i = 0; i < run->input_count; i++)
        run->api->release_value(run->inputs[i]);
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
static bool add_input(const struct network *network, struct run *run, const char *name,
                      const void *data, size_t bytes, const int64_t *dims, size_t rank, int element,
                      struct err *err) {
    assert(run->input_count < INPUTS_MAX);
    if (!onnx_ok(run->api,
                 run->api->create_tensor(network->onnx->memory, (void *)data, bytes, dims, rank,
                                         element, &run->inputs[run->input_count]),
                 err, network->path))
        return false;
    run->input_names[run->input_count++] = name;
    return true;
}

static bool add_picture(const struct network *network, struct run *run, const void *data,
                        size_t bytes, const int64_t *dims, size_t rank, int element,
                        struct err *err) {
    return add_input(network, run, network->input_name, data, bytes, dims, rank, element, err);
}

static bool make_input(const struct network *network, struct run *run, const float *input,
                       const int64_t *dims, size_t rank, struct err *err) {
    size_t count;
    if (!check_dims(network, dims, rank, &count, err))
        return false;
    if (network->input.type == TENSOR_F32)
        return add_picture(network, run, input, count * sizeof *input, dims, rank, ORT_ELEMENT_F32,
                           err);
    run->halves = mem_alloc(count * sizeof *run->halves);
    half_from_floats(run->halves, input, count);
    return add_picture(network, run, run->halves, count * sizeof *run->halves, dims, rank,
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
        good = onnx_ok(run->api,
                       run->api->run(network->session, NULL, run->input_names,
                                     (const struct ort_value *const *)run->inputs, run->input_count,
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
                      add_picture(network, run, planes, count, dims, 4, ORT_ELEMENT_U8, err), out,
                      err);
    }
    float *floats = make_floats(&network->pixels, planes, count / 3);
    bool good = network_run(network, floats, dims, 4, out, err);
    mem_free(floats);
    return good;
}

// --- Lines. The convolutions' columns are ONNX_LINE_COLUMN pixels wide, two make a token.

static int columns_of(int width) { return (int)(((unsigned)width + 3) / ONNX_LINE_COLUMN); }

// The first token of which no column sees the text.
static int clean_token(const struct network *network, int own) {
    return (own + network->line_reach.left + ONNX_LINE_TOKEN - 1) / ONNX_LINE_TOKEN;
}

struct network_line network_line_of(const struct network *network, int own, int width) {
    struct network_line line = {own, width, width};
    if (!network->folds_lines)
        return line;
    // Nor the picture's end.
    int least = (clean_token(network, own) + 1) * ONNX_LINE_TOKEN + network->line_reach.right;
    if (width > least)
        line.computed -= (width - least) / ONNX_LINE_TOKEN * ONNX_LINE_TOKEN;
    return line;
}

struct line_inputs {
    float *weights;
    int64_t *tokens;
    int columns, token_count;
};

// The clean token stands for itself and for all that were left out.
static void line_inputs_init(struct line_inputs *inputs, const struct network *network,
                             const struct network_line *line) {
    int left_out = (line->width - line->computed) / ONNX_LINE_TOKEN;
    int clean = clean_token(network, line->own), whole = columns_of(line->width);
    *inputs = (struct line_inputs){.columns = columns_of(line->computed), .token_count = whole / 2};
    inputs->weights = mem_alloc(((size_t)inputs->columns + 1) * sizeof *inputs->weights);
    inputs->tokens = mem_alloc(((size_t)inputs->token_count + 1) * sizeof *inputs->tokens);
    for (int i = 0; i < inputs->columns; i++)
        inputs->weights[i] = (float)(i / 2 == clean ? 1 + left_out : 1) / (float)whole;
    for (int i = 0; i < inputs->token_count; i++)
        inputs->tokens[i] = i <= clean ? i : i <= clean + left_out ? clean : i - left_out;
}

static void line_inputs_fini(struct line_inputs *inputs) {
    mem_free(inputs->weights);
    mem_free(inputs->tokens);
}

static bool add_line_inputs(const struct network *network, struct run *run,
                            const struct line_inputs *inputs, struct err *err) {
    const int64_t columns[] = {inputs->columns, 1};
    const int64_t tokens = inputs->token_count;
    return add_input(network, run, ONNX_LINE_COLUMNS, inputs->weights,
                     (size_t)columns[0] * sizeof *inputs->weights, columns, 2, ORT_ELEMENT_F32,
                     err) &&
           add_input(network, run, ONNX_LINE_TOKENS, inputs->tokens,
                     (size_t)tokens * sizeof *inputs->tokens, &tokens, 1, ORT_ELEMENT_I64, err);
}

bool network_run_line(struct network *network, const float *planes, int height,
                      const struct network_line *line, struct tensors *out, struct err *err) {
    assert(network->wants_lines);
    const int64_t dims[] = {1, 3, height, line->computed};
    if (!network->folds_lines)
        return network_run(network, planes, dims, 4, out, err);
    struct line_inputs inputs;
    struct run *run = begin(network, out);
    line_inputs_init(&inputs, network, line);
    bool good = finish(network, run,
                       make_input(network, run, planes, dims, 4, err) &&
                           add_line_inputs(network, run, &inputs, err),
                       out, err);
    line_inputs_fini(&inputs);
    return good;
}

void tensors_fini(struct tensors *tensors) {
    if (tensors->owner)
        run_destroy(tensors->owner);
    *tensors = (struct tensors){0};
}
