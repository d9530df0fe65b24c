#include "vision/onnx_private.h"

#include "base/mem.h"
#include "vision/half.h"

#include <assert.h>

enum { INPUTS_MAX = 2 * ONNX_LINE_STAGES + 2 };

// What the runtime gave, and what was converted from it.
struct run {
    const struct ort_api *api;
    struct ort_value *inputs[INPUTS_MAX];
    const char *input_names[INPUTS_MAX];
    struct onnx_line_name line_names[INPUTS_MAX];
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
    size_t count = 0;
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

// What a stage computes of a line's columns: all as far as a clean token, whose columns see no
// text, and of those behind it, which are like it, only the last ones, which see the picture's end.
struct folded {
    int clean, left_out; // tokens
    int columns, whole;  // that are computed, that there are
};

static int columns_of(int width) { return (int)(((unsigned)width + 3) / ONNX_LINE_COLUMN); }

static struct folded fold(const struct network *network, size_t stage, int own, int width) {
    struct onnx_reach reach = network->line.stages[stage].reach;
    struct folded folded = {.clean = (own + reach.left + ONNX_LINE_TOKEN - 1) / ONNX_LINE_TOKEN,
                            .whole = columns_of(width)};
    int least = (folded.clean + 1) * ONNX_LINE_TOKEN + reach.right;
    folded.left_out = width > least ? (width - least) / ONNX_LINE_TOKEN : 0;
    folded.columns = folded.whole - 2 * folded.left_out;
    return folded;
}

// Where the column stands among all, and which computed one stands for one of all.
static int unfold(const struct folded *folded, int column) {
    return column / 2 <= folded->clean ? column : column + 2 * folded->left_out;
}

static int folded_place(const struct folded *folded, int column) {
    int token = column / 2;
    return token <= folded->clean                      ? column
           : token <= folded->clean + folded->left_out ? 2 * folded->clean + column % 2
                                                       : column - 2 * folded->left_out;
}

struct network_line network_line_of(const struct network *network, int own, int width) {
    struct network_line line = {own, width, width};
    if (network->folds_lines)
        line.computed -= fold(network, 0, own, width).left_out * ONNX_LINE_TOKEN;
    return line;
}

// What the network wants besides the picture.
struct line_inputs {
    float *places[ONNX_LINE_STAGES + 1], *weights[ONNX_LINE_STAGES];
};

static void line_inputs_fini(struct line_inputs *inputs) {
    for (size_t i = 0; i < ONNX_LINE_STAGES; i++)
        mem_free(inputs->weights[i]);
    for (size_t i = 0; i <= ONNX_LINE_STAGES; i++)
        mem_free(inputs->places[i]);
}

// A name that lives as long as the run.
static const char *line_name(struct run *run, const char *input, size_t stage) {
    struct onnx_line_name *name = &run->line_names[run->input_count];
    *name = onnx_line_name(input, stage);
    return name->text;
}

static bool add_floats(const struct network *network, struct run *run, const char *name,
                       const float *values, int64_t rows, int64_t columns, struct err *err) {
    return add_input(network, run, name, values, (size_t)(rows * columns) * sizeof *values,
                     (const int64_t[]){rows, columns}, 2, ORT_ELEMENT_F32, err);
}

static float *make_places(const struct folded *from, const struct folded *to) {
    float *places = mem_alloc((size_t)from->columns * (size_t)to->columns * sizeof *places);
    for (int i = 0; i < to->columns; i++)
        places[folded_place(from, unfold(to, i)) * to->columns + i] = 1;
    return places;
}

// The clean token counts for all that were left out.
static float *make_weights(const struct folded *folded) {
    float *weights = mem_alloc((size_t)folded->columns * sizeof *weights);
    for (int i = 0; i < folded->columns; i++)
        weights[i] =
            (float)(i / 2 == folded->clean ? 1 + folded->left_out : 1) / (float)folded->whole;
    return weights;
}

// Of tokens, two columns each.
static float *make_token_places(const struct folded *last) {
    int tokens = last->whole / 2;
    float *places = mem_alloc((size_t)(last->columns / 2 * tokens + 1) * sizeof *places);
    for (int i = 0; i < tokens; i++)
        places[folded_place(last, 2 * i) / 2 * tokens + i] = 1;
    return places;
}

static bool add_line_inputs(const struct network *network, struct run *run,
                            const struct network_line *line, struct line_inputs *inputs,
                            struct err *err) {
    struct folded before = {0}, stage = {0};
    for (size_t i = 0; i < network->line.count; i++, before = stage) {
        stage = fold(network, i, line->own, line->width);
        if (i > 0) {
            inputs->places[i] = make_places(&before, &stage);
            if (!add_floats(network, run, line_name(run, ONNX_LINE_PLACES, i), inputs->places[i],
                            before.columns, stage.columns, err))
                return false;
        }
        if (network->line.stages[i].mean) {
            inputs->weights[i] = make_weights(&stage);
            if (!add_floats(network, run, line_name(run, ONNX_LINE_COLUMNS, i), inputs->weights[i],
                            stage.columns, 1, err))
                return false;
        }
    }
    size_t last = network->line.count;
    inputs->places[last] = make_token_places(&stage);
    return add_floats(network, run, line_name(run, ONNX_LINE_PLACES, last), inputs->places[last],
                      stage.columns / 2, stage.whole / 2, err);
}

bool network_run_line(struct network *network, const float *planes, int height,
                      const struct network_line *line, struct tensors *out, struct err *err) {
    assert(network->wants_lines);
    const int64_t dims[] = {1, 3, height, line->computed};
    if (!network->folds_lines)
        return network_run(network, planes, dims, 4, out, err);
    struct line_inputs inputs = {0};
    struct run *run = begin(network, out);
    bool good = finish(network, run,
                       make_input(network, run, planes, dims, 4, err) &&
                           add_line_inputs(network, run, line, &inputs, err),
                       out, err);
    line_inputs_fini(&inputs);
    return good;
}

void tensors_fini(struct tensors *tensors) {
    if (tensors->owner)
        run_destroy(tensors->owner);
    *tensors = (struct tensors){0};
}
