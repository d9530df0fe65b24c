// Recognisers that give the classes of those steps only that say something: what they give is what
// they gave before, and no step is left out that said anything.
#include "vision/onnx_edit.h"

#include "tiny_net.h"

#include <math.h>

enum { STEPS = 200, CHANNELS = 24, CLASSES = 600, FILE_MAX = 4 << 20 };

struct shape {
    int64_t classes, axis;
    const char *sum; // what the bias is added to
    float first;     // the first class's bias
};

static const struct shape USUAL = {CLASSES, 2, "product bias", 2.5f};

// A product, a bias and a Softmax; logits of classes are about normal, so that "first" says in how
// many steps the first one is the largest.
static char *recogniser(struct shape shape) {
    static float bias[CLASSES];
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "x", TINY_FLOAT, TINY_DIMS(1, -1, CHANNELS));
    tiny_output(&tiny, "y", TINY_FLOAT, TINY_DIMS(1, -1, shape.classes));
    put_noise(&tiny, "w", TINY_DIMS(CHANNELS, shape.classes));
    for (int64_t i = 0; i < shape.classes; i++)
        bias[i] = i ? .01f * (float)(i % 7) : shape.first;
    tiny_constant(&tiny, "bias", TINY_FLOAT, TINY_DIMS(shape.classes), bias,
                  (size_t)shape.classes * sizeof *bias);
    tiny_node(&tiny, "MatMul", "x w", "product");
    tiny_node(&tiny, "Add", shape.sum, "sum");
    put_with(&tiny, "Softmax", "sum", "y", "axis", &shape.axis, 1);
    return tiny_onnx_write(&tiny);
}

static bool edit(struct buf *out, const char *bytes, size_t length) {
    return onnx_edit_classes(out, (const uint8_t *)bytes, length);
}

// NULL when the file was left alone.
static char *edited(const char *path) {
    size_t length;
    struct buf out;
    char *bytes = path_read_file(path, FILE_MAX, &length, NULL), *file = NULL;
    buf_init(&out, 8 * FILE_MAX);
    if (edit(&out, bytes, length))
        file = tiny_file(&out);
    buf_fini(&out);
    mem_free(bytes);
    return file;
}

static struct tensors run(struct onnx *onnx, const char *path,
                          const struct network_options *options, const float *input,
                          const int64_t *dims, size_t rank) {
    struct err err = {0};
    struct tensors out;
    struct network *network = network_load(onnx, path, options, &err);
    if (!network || !network_run(network, input, dims, rank, &out, &err))
        fail_msg("%s", err.text);
    if (network_outputs(network) == 2)
        assert_string_equal(network_output_name(network, 1), ONNX_CLASSES_KEPT);
    network_destroy(network);
    return out;
}

static bool says_nothing(const float *row, size_t classes) {
    for (size_t i = 1; i < classes; i++)
        if (row[i] >= row[0])
            return false;
    return true;
}

// How many steps are kept; `nothing`: how many say nothing.
static size_t compare(const struct tensors *whole, const struct tensors *kept, size_t *nothing) {
    size_t rows = 0, steps = (size_t)whole->shapes[0].dims[1],
           classes = (size_t)whole->shapes[0].dims[2];
    assert_int_equal(whole->count, 1);
    assert_int_equal(kept->count, 2);
    assert_int_equal(kept->shapes[0].rank, 3);
    assert_int_equal(kept->shapes[1].rank, 1);
    assert_int_equal(kept->shapes[1].dims[0], steps);
    *nothing = 0;
    for (size_t step = 0; step < steps; step++) {
        const float *row = whole->values[0] + step * classes;
        *nothing += says_nothing(row, classes);
        if (kept->values[1][step] == 0) {
            assert_true(says_nothing(row, classes));
            continue;
        }
        for (size_t i = 0; i < classes; i++)
            assert_true(fabsf(kept->values[0][rows * classes + i] - row[i]) < 1e-5f);
        rows++;
    }
    assert_int_equal(kept->shapes[0].dims[1], rows);
    return rows;
}

static size_t kept_of(struct shape shape, float loud, size_t *nothing) {
    struct onnx *onnx = open_onnx_or_skip();
    char *path = recogniser(shape), *file = edited(path);
    float *input = mem_alloc(STEPS * CHANNELS * sizeof *input);
    uint32_t state = 3;
    for (size_t i = 0; i < STEPS * CHANNELS; i++)
        input[i] = 2 * noise(&state) * (i / CHANNELS % 9 == 0 ? loud : 1);
    assert_non_null(file);
    const struct network_options as_is = {.as_is = true};
    struct tensors whole = run(onnx, path, &as_is, input, TINY_DIMS(1, STEPS, CHANNELS)),
                   kept = run(onnx, file, &as_is, input, TINY_DIMS(1, STEPS, CHANNELS));
    size_t count = compare(&whole, &kept, nothing);
    tensors_fini(&whole);
    tensors_fini(&kept);
    mem_free(input);
    tiny_forget(file);
    tiny_forget(path);
    onnx_close(onnx);
    return count;
}

static void test_kept(void **state) {
    size_t nothing, kept = kept_of(USUAL, 1, &nothing);
    assert_in_range(nothing, STEPS / 5, STEPS * 4 / 5);
    assert_true(kept >= STEPS - nothing);
    assert_true(kept < STEPS - nothing + nothing / 4); // the bound is close
}

// All are scaled alike as whole numbers, so that loud steps take the others' bits.
static void test_loud(void **state) {
    size_t nothing, kept = kept_of(USUAL, 50, &nothing);
    assert_true(kept >= STEPS - nothing);
    kept = kept_of(USUAL, 1e6f, &nothing);
    assert_true(kept >= STEPS - nothing);
}

static void test_none_and_all(void **state) {
    size_t nothing;
    assert_int_equal(kept_of((struct shape){CLASSES, -1, "product bias", 100}, 1, &nothing), 0);
    assert_int_equal(nothing, STEPS);
    assert_int_equal(kept_of((struct shape){CLASSES, 2, "product bias", -100}, 1, &nothing), STEPS);
    assert_int_equal(nothing, 0);
}

// The recogniser itself, and strokes on grey, which say something here and there.
static void test_real(void **state) {
    enum { HEIGHT = 48, WIDTH = 480, PLANES = 3 * HEIGHT * WIDTH };
    char *path = fetched_or_skip("ocr/rec.onnx");
    struct onnx *onnx = open_onnx_or_skip();
    float *planes = mem_alloc(PLANES * sizeof *planes);
    for (int i = 0; i < PLANES; i++) {
        int x = i % WIDTH, y = i / WIDTH % HEIGHT;
        bool stroke = x < WIDTH / 2 && y > 8 && y < 40 && (x % 24 < 4 || y % 15 < x / 24 % 4);
        planes[i] = stroke ? -.8f : .6f;
    }
    size_t nothing;
    struct tensors whole = run(onnx, path, &(struct network_options){.as_is = true}, planes,
                               TINY_DIMS(1, 3, HEIGHT, WIDTH)),
                   kept = run(onnx, path, &(struct network_options){.classes = true}, planes,
                              TINY_DIMS(1, 3, HEIGHT, WIDTH));
    size_t count = compare(&whole, &kept, &nothing);
    assert_true(count > 0 && count < (size_t)whole.shapes[0].dims[1] - nothing / 2);
    tensors_fini(&whole);
    tensors_fini(&kept);
    mem_free(planes);
    onnx_close(onnx);
    mem_free(path);
}

static void expect_alone(struct shape shape) {
    char *path = recogniser(shape);
    assert_null(edited(path));
    tiny_forget(path);
}

static void test_alone(void **state) {
    expect_alone((struct shape){511, 2, "product bias", 1});
    expect_alone((struct shape){CLASSES, 1, "product bias", 1});
    expect_alone((struct shape){CLASSES, 2, "product product", 1});
    expect_alone((struct shape){CLASSES, 2, "bias product", 1});
    char *path = recogniser(USUAL), *once = edited(path);
    assert_non_null(once);
    assert_null(edited(once)); // there is nothing left to gain
    tiny_forget(once);
    tiny_forget(path);
}

static void test_torn(void **state) {
    size_t length;
    char *path = recogniser(USUAL), *bytes = path_read_file(path, FILE_MAX, &length, NULL);
    uint32_t random = 5;
    struct buf out;
    for (int round = 0; round < 600; round++) {
        noise(&random);
        // Names and shapes stand behind the constants, which are most of the file.
        size_t place = length - 1 - (random >> 8) % 700;
        char kept = bytes[place];
        bytes[place] = (char)(random >> 24);
        buf_init(&out, 8 * FILE_MAX);
        edit(&out, bytes, round % 3 ? length : place);
        buf_fini(&out);
        bytes[place] = kept;
    }
    mem_free(bytes);
    tiny_forget(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),         cmocka_unit_test(test_loud),
        cmocka_unit_test(test_none_and_all), cmocka_unit_test(test_alone),
        cmocka_unit_test(test_real),         cmocka_unit_test(test_torn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
