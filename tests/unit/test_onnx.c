// Every function of the table in onnx_api.h is called here through the real library; a wrong
// position calls another function and does not survive it.
#include "vision/half.h"
#include "vision_support.h"

#include "tiny_onnx.h"

#include <math.h>

static struct network *load(struct onnx *onnx, struct tiny_onnx *tiny, struct err *err) {
    char *path = tiny_onnx_write(tiny);
    struct network *network = network_load(onnx, path, NULL, err);
    unlink(path);
    mem_free(path);
    return network;
}

static void assert_shape(struct tensor_shape shape, enum tensor_type type, const int64_t *dims,
                         size_t rank) {
    assert_int_equal(shape.type, type);
    assert_int_equal(shape.rank, rank);
    for (size_t i = 0; i < rank; i++)
        assert_int_equal(shape.dims[i], dims[i]);
}

static void test_library(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    int major, minor;
    assert_int_equal(sscanf(onnx_version(onnx), "%d.%d.", &major, &minor), 2);
    assert_int_equal(major, 1);
    assert_true(minor >= 17);
    assert_true(strlen(onnx_path(onnx)) > 0);
    struct onnx *second = open_onnx_or_skip(); // one environment serves both
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "x", TINY_FLOAT, TINY_DIMS(1));
    tiny_output(&tiny, "y", TINY_FLOAT, TINY_DIMS(1));
    tiny_node(&tiny, "Abs", "x", "y");
    struct err err = {0};
    onnx_close(onnx);
    struct network *network = load(second, &tiny, &err);
    assert_non_null(network);
    struct tensors out;
    assert_true(network_run(network, (float[]){-2}, TINY_DIMS(1), &out, &err));
    assert_true(out.values[0][0] == 2);
    tensors_fini(&out);
    network_destroy(network);
    onnx_close(second);
    onnx_close(NULL);
    network_destroy(NULL);
}

static void test_no_library(void **state) {
    struct err err = {0};
    assert_null(onnx_open("/nowhere/libonnxruntime.so", &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    assert_non_null(strstr(err.text, "tools/get-ocr"));
    assert_null(onnx_open("libm.so.6", &err)); // a library, but another
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.text, "not ONNX Runtime"));
    setenv("OCR_ONNXRUNTIME", "/nowhere/else.so", 1);
    assert_null(onnx_open(NULL, &err));
    assert_non_null(strstr(err.text, "/nowhere/else.so"));
    unsetenv("OCR_ONNXRUNTIME");
}

// A network with everything that is asked about: names, open dimensions, texts, three kinds of
// outputs.
static struct tiny_onnx describe_all(void) {
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "picture", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    tiny_output(&tiny, "positive", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    tiny_output(&tiny, "shape", TINY_INT64, TINY_DIMS(4));
    tiny_output(&tiny, "same", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    tiny_node(&tiny, "Relu", "picture", "positive");
    tiny_node(&tiny, "Shape", "picture", "shape");
    tiny_node(&tiny, "Identity", "picture", "same");
    tiny_metadata(&tiny, "names", "{0: 'placa'}");
    tiny_metadata(&tiny, "empty", "");
    return tiny;
}

static void test_describe(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct tiny_onnx tiny = describe_all();
    struct network *network = load(onnx, &tiny, &err);
    if (!network)
        fail_msg("%s", err.text);
    assert_int_equal(network_outputs(network), 3);
    assert_string_equal(network_output_name(network, 0), "positive");
    assert_string_equal(network_output_name(network, 1), "shape");
    assert_shape(network_input_shape(network), TENSOR_F32, TINY_DIMS(1, 3, -1, -1));
    assert_shape(network_output_shape(network, 0), TENSOR_F32, TINY_DIMS(1, 3, -1, -1));
    assert_shape(network_output_shape(network, 1), TENSOR_I64, TINY_DIMS(4));
    assert_string_equal(network_metadata(network, "names"), "{0: 'placa'}");
    assert_ptr_equal(network_metadata(network, "names"), network_metadata(network, "names"));
    assert_string_equal(network_metadata(network, "empty"), "");
    assert_null(network_metadata(network, "stride"));
    assert_null(network_metadata(network, "stride"));
    assert_non_null(strstr(network_path(network), "tiny-onnx"));
    network_destroy(network);
    onnx_close(onnx);
}

static void test_run(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct tiny_onnx tiny = describe_all();
    struct network *network = load(onnx, &tiny, &err);
    const float input[12] = {-1, 2, -3, 4, 5, -6, 7, 8, 9, -10, 11, 12};
    for (int64_t width = 1; width <= 4; width++) {
        if (width == 3)
            continue;
        struct tensors out;
        assert_true(network_run(network, input, TINY_DIMS(1, 3, 4 / width, width), &out, &err));
        assert_int_equal(out.count, 3);
        assert_shape(out.shapes[0], TENSOR_F32, TINY_DIMS(1, 3, 4 / width, width));
        assert_int_equal(out.shapes[1].type, TENSOR_I64);
        assert_null(out.values[1]);
        for (size_t i = 0; i < 12; i++) {
            assert_true(out.values[0][i] == fmaxf(0, input[i]));
            assert_true(out.values[2][i] == input[i]);
        }
        tensors_fini(&out);
        tensors_fini(&out); // twice is fine
    }
    network_destroy(network);
    onnx_close(onnx);
}

// A run that fails says why and leaves the network as it was.
static void test_bad_runs(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct tiny_onnx tiny = describe_all();
    struct network *network = load(onnx, &tiny, NULL);
    const float input[12] = {0};
    const struct {
        int64_t dims[7];
        size_t rank;
    } rows[] = {
        {{1, 4, 1, 3}, 4},
        {{12}, 1},
        {{1, 3, 4}, 3},
        {{1, 3, -2, 2}, 4},
        {{1, 3, 0, 4}, 4},
        {{1, 1, 1, 1, 1, 1, 1}, 7},
        {{1, 3, INT64_MAX, 4}, 4},
        {{INT64_MAX, 3, INT64_MAX, 4}, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tensors out;
        struct err err = {0};
        assert_false(network_run(network, input, rows[i].dims, rows[i].rank, &out, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_true(strlen(err.text) > 10);
        assert_null(out.owner);
        assert_true(network_run(network, input, TINY_DIMS(1, 3, 2, 2), &out, &err));
        tensors_fini(&out);
    }
    network_destroy(network);
    onnx_close(onnx);
}

static void test_halves(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "x", TINY_HALF, TINY_DIMS(-1));
    tiny_output(&tiny, "y", TINY_HALF, TINY_DIMS(-1));
    tiny_node(&tiny, "Identity", "x", "y");
    struct network *network = load(onnx, &tiny, &err);
    if (!network)
        fail_msg("%s", err.text);
    assert_shape(network_input_shape(network), TENSOR_F16, TINY_DIMS(-1));
    struct tensors out;
    assert_true(network_run(network, (float[]){1, -0.5f, 1 / 3.f}, TINY_DIMS(3), &out, &err));
    assert_shape(out.shapes[0], TENSOR_F16, TINY_DIMS(3));
    assert_true(out.values[0][0] == 1 && out.values[0][1] == -0.5f);
    assert_true(fabsf(out.values[0][2] - 1 / 3.f) < 1e-3f && out.values[0][2] != 1 / 3.f);
    tensors_fini(&out);
    network_destroy(network);
    onnx_close(onnx);
}

static void test_refused(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    assert_null(network_load(onnx, "/nowhere/det.onnx", NULL, &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    assert_non_null(strstr(err.text, "/nowhere/det.onnx"));
    char *path = mem_strdup("/tmp/no-onnx-XXXXXX");
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "not a network at all", 20), 20);
    close(fd);
    assert_null(network_load(onnx, path, NULL, &err));
    assert_int_equal(err.code, ERR_INVALID);
    unlink(path);
    mem_free(path);

    struct tiny_onnx two = tiny_onnx_begin();
    tiny_input(&two, "a", TINY_FLOAT, TINY_DIMS(1));
    tiny_input(&two, "b", TINY_FLOAT, TINY_DIMS(1));
    tiny_output(&two, "y", TINY_FLOAT, TINY_DIMS(1));
    tiny_node(&two, "Add", "a b", "y");
    assert_null(load(onnx, &two, &err));
    assert_non_null(strstr(err.text, "takes 2 inputs"));

    struct tiny_onnx numbers = tiny_onnx_begin();
    tiny_input(&numbers, "a", TINY_INT64, TINY_DIMS(1));
    tiny_output(&numbers, "y", TINY_INT64, TINY_DIMS(1));
    tiny_node(&numbers, "Identity", "a", "y");
    assert_null(load(onnx, &numbers, &err));
    assert_non_null(strstr(err.text, "floats"));

    struct tiny_onnx unknown = tiny_onnx_begin();
    tiny_input(&unknown, "a", TINY_FLOAT, TINY_DIMS(1));
    tiny_output(&unknown, "y", TINY_FLOAT, TINY_DIMS(1));
    tiny_node(&unknown, "Frobnicate", "a", "y");
    assert_null(load(onnx, &unknown, &err));
    assert_non_null(strstr(err.text, "Frobnicate"));

    struct tiny_onnx many = tiny_onnx_begin();
    tiny_input(&many, "a", TINY_FLOAT, TINY_DIMS(1));
    for (int i = 0; i <= NETWORK_OUTPUTS_MAX; i++) {
        char name[8];
        snprintf(name, sizeof name, "y%d", i);
        tiny_output(&many, name, TINY_FLOAT, TINY_DIMS(1));
        tiny_node(&many, "Identity", "a", name);
    }
    assert_null(load(onnx, &many, &err));
    assert_non_null(strstr(err.text, "outputs"));
    onnx_close(onnx);
}

// What is no tensor is told as such and not read.
static void test_sequence(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct tiny_onnx tiny = tiny_onnx_begin();
    struct buf element = tiny_buf(), tensor = tiny_buf(), sequence = tiny_buf(), kind = tiny_buf(),
               value = tiny_buf();
    tiny_input(&tiny, "x", TINY_FLOAT, TINY_DIMS(2));
    tiny_int(&tensor, 1, TINY_FLOAT);
    tiny_message(&element, 1, &tensor);
    tiny_message(&sequence, 1, &element);
    tiny_message(&kind, 4, &sequence);
    tiny_text(&value, 1, "y");
    tiny_message(&value, 2, &kind);
    tiny_message(&tiny.graph, 12, &value);
    tiny_node(&tiny, "SequenceConstruct", "x x", "y");
    struct network *network = load(onnx, &tiny, &err);
    if (!network)
        fail_msg("%s", err.text);
    assert_int_equal(network_output_shape(network, 0).type, TENSOR_OTHER);
    struct tensors out;
    assert_true(network_run(network, (float[]){1, 2}, TINY_DIMS(2), &out, &err));
    assert_null(out.values[0]);
    tensors_fini(&out);
    network_destroy(network);
    onnx_close(onnx);
}

// Tensors live in our pool while there is one, and all of them come back.
static void test_memory(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "x", TINY_FLOAT, TINY_DIMS(-1));
    tiny_output(&tiny, "y", TINY_FLOAT, TINY_DIMS(-1));
    tiny_node(&tiny, "Abs", "x", "z");
    tiny_node(&tiny, "Exp", "z", "y");
    struct network *network = load(onnx, &tiny, &err);
    float *input = mem_alloc((size_t)4 << 20);
    struct tensors out;
    struct onnx_use before = onnx_use(onnx);
    assert_true(network_run(network, input, TINY_DIMS(1 << 20), &out, &err));
    assert_true(onnx_use(onnx).most_bytes >= (size_t)4 << 20);
    tensors_fini(&out);
    assert_int_equal(onnx_use(onnx).now_bytes, before.now_bytes);
    mem_free(input);
    network_destroy(network);
    onnx_close(onnx);
}

static void test_half_numbers(void **state) {
    static const struct {
        float value;
        uint16_t half;
    } rows[] = {
        {0, 0},
        {-0.f, 0x8000},
        {1, 0x3c00},
        {-2, 0xc000},
        {65504, 0x7bff},
        {65519, 0x7bff},
        {65520, 0x7c00},
        {1e9f, 0x7c00},
        {-1e9f, 0xfc00},
        {0x1p-24f, 1},
        {0x1p-25f, 0},
        {0x1.8p-24f, 2},
        {0x1p-14f, 0x400},
        {0x1.ff8p-15f, 0x3ff},
        {1 + 0x1p-11f, 0x3c00},
        {1 + 0x1.8p-10f, 0x3c02},
        {INFINITY, 0x7c00},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (half_from_float(rows[i].value) != rows[i].half)
            fail_msg("%a: %04x, not %04x", (double)rows[i].value, half_from_float(rows[i].value),
                     rows[i].half);
    assert_true(isnan(half_to_float(half_from_float(NAN))));
    for (uint32_t half = 0; half < 0x10000; half++) {
        float value = half_to_float((uint16_t)half);
        if (!isnan(value) && half_from_float(value) != half)
            fail_msg("%04x became %a and %04x", half, (double)value, half_from_float(value));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library),  cmocka_unit_test(test_no_library),
        cmocka_unit_test(test_describe), cmocka_unit_test(test_run),
        cmocka_unit_test(test_bad_runs), cmocka_unit_test(test_halves),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_memory),   cmocka_unit_test(test_half_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
