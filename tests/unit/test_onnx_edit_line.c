// Lines that are shorter than their picture: what is left out changes no result, and networks of
// another kind are left alone.
#include "vision/onnx_edit.h"
#include "vision/onnx_graph.h"
#include "vision_support.h"

#include "tiny_net.h"

#include <math.h>

enum { CHANNELS = 4, CLASSES = 6, HEIGHT = 8 };

// A convolution 3 x 3 of all channels, or of each by itself.
static void put_conv(struct tiny_onnx *tiny, const char *from, const char *to, int64_t channels,
                     int64_t stride, bool apart) {
    struct buf attributes;
    char weights[64];
    snprintf(weights, sizeof weights, "weights.%s", to);
    buf_init(&attributes, 4096);
    onnx_put_ints(&attributes, "kernel_shape", (const int64_t[]){3, 3}, 2);
    onnx_put_ints(&attributes, "strides", (const int64_t[]){stride, stride}, 2);
    onnx_put_ints(&attributes, "pads", (const int64_t[]){1, 1, 1, 1}, 4);
    onnx_put_int(&attributes, "group", apart ? CHANNELS : 1);
    put_noise(tiny, weights, TINY_DIMS(CHANNELS, apart ? 1 : channels, 3, 3));
    onnx_put_node(&tiny->graph, "Conv", (struct span[]){span_of(from), span_of(weights)}, 2,
                  span_of(to), &attributes);
}

// What may be otherwise than in a recogniser.
enum oddity { PLAIN, SIDE_DOOR, NO_MEAN, HALVED_ONCE, OTHER_AXIS, UNKNOWN };

// A recogniser in small: halved twice, a mean over all that weighs the channels, tokens, classes.
static struct tiny_onnx recogniser(enum oddity oddity) {
    static const int64_t shape[] = {0, CHANNELS, -1};
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "x", TINY_FLOAT, TINY_DIMS(1, 3, HEIGHT, -1));
    tiny_output(&tiny, "y", TINY_FLOAT, TINY_DIMS(1, -1, CLASSES));
    put_noise(&tiny, "matrix", TINY_DIMS(CHANNELS, CLASSES));
    put_noise(&tiny, "bias", TINY_DIMS(CLASSES));
    tiny_constant(&tiny, "shape", TINY_INT64, TINY_DIMS(3), shape, sizeof shape);
    put_conv(&tiny, "x", "half", 3, 2, false);
    tiny_node(&tiny, "Relu", "half", "half.relu");
    put_pool(&tiny, "half.relu", "half.pool");
    put_conv(&tiny, "half.pool", "quarter", CHANNELS, oddity == HALVED_ONCE ? 1 : 2, false);
    put_conv(&tiny, "quarter", "wide", CHANNELS, 1, true);
    if (oddity == OTHER_AXIS)
        put_with(&tiny, "ReduceMean", "wide", "mean", "axes", (const int64_t[]){1, 2}, 2);
    else if (oddity == NO_MEAN)
        tiny_node(&tiny, "Relu", "wide", "mean");
    else
        put_with(&tiny, "ReduceMean", "wide", "mean", "axes", (const int64_t[]){2, 3}, 2);
    tiny_node(&tiny, oddity == UNKNOWN ? "Softsign" : "Sigmoid", "mean", "weight");
    tiny_node(&tiny, "Mul", "wide weight", "weighed");
    put_conv(&tiny, "weighed", "wider", CHANNELS, 1, true);
    put_with(&tiny, "AveragePool", "wider", "tokens", "kernel_shape", (const int64_t[]){2, 2}, 2);
    tiny_node(&tiny, "Reshape", oddity == SIDE_DOOR ? "wider shape" : "tokens shape", "flat");
    put_with(&tiny, "Transpose", "flat", "steps", "perm", (const int64_t[]){0, 2, 1}, 3);
    tiny_node(&tiny, "MatMul", "steps matrix", "product");
    tiny_node(&tiny, "Add", "product bias", "sum");
    put_with(&tiny, "Softmax", "sum", "y", "axis", (const int64_t[]){2}, 1);
    return tiny;
}

static bool edit(struct tiny_onnx tiny, struct onnx_line *line) {
    size_t length;
    struct buf out;
    char *path = tiny_onnx_write(&tiny);
    char *bytes = path_read_file(path, 1 << 20, &length, NULL);
    buf_init(&out, 4 << 20);
    bool edited = onnx_edit_line(&out, (const uint8_t *)bytes, length, line);
    assert_int_equal(edited, out.length > 0);
    buf_fini(&out);
    mem_free(bytes);
    unlink(path);
    mem_free(path);
    return edited;
}

static void test_reach(void **state) {
    struct onnx_line line;
    assert_true(edit(recogniser(PLAIN), &line));
    struct onnx_reach reach = line.stages[line.count - 1].reach;
    assert_int_equal(reach.left, 1 + 2 + 4 + 4);      // a pixel, two, a column, a column
    assert_int_equal(reach.right, 1 + 2 + 2 + 4 + 4); // and the pool's next one
}

static void test_left_alone(void **state) {
    struct onnx_line line;
    assert_false(edit(recogniser(SIDE_DOOR), &line));
    assert_false(edit(recogniser(NO_MEAN), &line));
    assert_false(edit(recogniser(HALVED_ONCE), &line));
    assert_false(edit(recogniser(OTHER_AXIS), &line));
    assert_false(edit(recogniser(UNKNOWN), &line));
    struct tiny_onnx two = recogniser(PLAIN);
    tiny_input(&two, "z", TINY_FLOAT, TINY_DIMS(1));
    assert_false(edit(two, &line));
}

static float *planes_of(int height, int width, int own) {
    float *planes = mem_alloc((size_t)(3 * height * width) * sizeof *planes);
    for (int y = 0; y < 3 * height; y++)
        for (int x = 0; x < own; x++) { // the same text whatever the width
            uint32_t state = (uint32_t)(y * 7919 + x * 31 + own);
            noise(&state);
            planes[y * width + x] = 2 * noise(&state);
        }
    return planes;
}

// Returns how many pixels of the width were computed.
static int expect_same(struct network *plain, struct network *lines, int height, int own, int width,
                       float tolerance) {
    struct err err = {0};
    struct tensors a, b;
    struct network_line line = network_line_of(lines, own, width);
    assert_in_range(line.computed, own, width);
    float *whole = planes_of(height, width, own), *part = planes_of(height, line.computed, own);
    if (!network_run(plain, whole, TINY_DIMS(1, 3, height, width), &a, &err) ||
        !network_run_line(lines, part, height, &line, &b, &err))
        fail_msg("own %d width %d: %s", own, width, err.text);
    assert_int_equal(a.shapes[0].dims[1], b.shapes[0].dims[1]);
    assert_int_equal(a.shapes[0].dims[2], b.shapes[0].dims[2]);
    for (int64_t i = 0; i < a.shapes[0].dims[1] * a.shapes[0].dims[2]; i++)
        if (!(fabsf(a.values[0][i] - b.values[0][i]) <= tolerance))
            fail_msg("own %d width %d value %lld: %g, not %g", own, width, (long long)i,
                     (double)b.values[0][i], (double)a.values[0][i]);
    tensors_fini(&a);
    tensors_fini(&b);
    mem_free(whole);
    mem_free(part);
    return line.computed;
}

static void expect_same_lines(const char *path, int height, float tolerance, const int (*sizes)[2],
                              size_t count, int least_saved) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct network *plain = network_load(onnx, path, NULL, &err);
    struct network *lines =
        network_load(onnx, path, &(struct network_options){.lines = true}, &err);
    int saved = 0;
    if (!plain || !lines)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < count; i++)
        saved +=
            sizes[i][1] - expect_same(plain, lines, height, sizes[i][0], sizes[i][1], tolerance);
    assert_true(saved >= least_saved);
    network_destroy(plain);
    network_destroy(lines);
    onnx_close(onnx);
}

static void test_small(void **state) {
    struct tiny_onnx tiny = recogniser(PLAIN);
    char *path = tiny_onnx_write(&tiny);
    static const int sizes[][2] = {{1, 200},  {8, 64},   {20, 201}, {21, 202},   {22, 203},
                                   {23, 204}, {24, 320}, {40, 64},  {199, 200},  {200, 200},
                                   {17, 57},  {17, 41},  {17, 49},  {300, 2999}, {9, 8 * 9}};
    expect_same_lines(path, HEIGHT, 1e-5f, sizes, sizeof sizes / sizeof *sizes, 3000);
    unlink(path);
    mem_free(path);
}

// The recogniser itself, whose steps all look at each other.
static void test_real(void **state) {
    char *path = fetched_or_skip("ocr/rec.onnx");
    static const int sizes[][2] = {{30, 320}, {77, 320},  {150, 320}, {250, 320},
                                   {90, 437}, {320, 533}, {320, 321}};
    expect_same_lines(path, 48, 1e-3f, sizes, sizeof sizes / sizeof *sizes, 400);
    mem_free(path);
}

// A network that is left alone gives for the whole picture what it gave.
static void test_other_kind(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "x", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    tiny_output(&tiny, "y", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    tiny_node(&tiny, "Neg", "x", "y");
    char *path = tiny_onnx_write(&tiny);
    struct network *network =
        network_load(onnx, path, &(struct network_options){.lines = true}, &err);
    assert_non_null(network);
    struct network_line line = network_line_of(network, 10, 320);
    assert_int_equal(line.computed, 320);
    float *planes = planes_of(4, 320, 10);
    struct tensors out;
    assert_true(network_run_line(network, planes, 4, &line, &out, &err));
    assert_int_equal(out.shapes[0].dims[3], 320);
    assert_true(out.values[0][5] == -planes[5]);
    tensors_fini(&out);
    mem_free(planes);
    network_destroy(network);
    onnx_close(onnx);
    unlink(path);
    mem_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reach),      cmocka_unit_test(test_left_alone),
        cmocka_unit_test(test_small),      cmocka_unit_test(test_real),
        cmocka_unit_test(test_other_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
