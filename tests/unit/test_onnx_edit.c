// What is changed in a file before the runtime sees it: the results must be the same, and what is
// not understood is left alone.
#include "vision/onnx_edit.h"
#include "vision/protobuf.h"
#include "vision_support.h"

#include "tiny_onnx.h"

#include <math.h>

static uint8_t *take_file(struct tiny_onnx *tiny, size_t *length) {
    char *path = tiny_onnx_write(tiny);
    uint8_t *bytes = (uint8_t *)path_read_file(path, 1 << 20, length, NULL);
    assert_non_null(bytes);
    unlink(path);
    mem_free(path);
    return bytes;
}

// The outputs' names of the nodes in the order of the file, separated by blanks.
static void order_of(const uint8_t *bytes, size_t length, struct buf *out) {
    struct span graph = protobuf_find((struct span){(const char *)bytes, length}, 7);
    struct protobuf_field field;
    buf_init(out, 1000);
    while (protobuf_take(&graph, &field)) {
        if (field.number != 1)
            continue;
        struct span name = protobuf_find(field.bytes, 2);
        buf_add(out, name.data, name.length);
        buf_add(out, " ", 1);
    }
}

static void expect_order(struct tiny_onnx tiny, bool moved, const char *expected) {
    size_t length;
    struct buf order;
    uint8_t *bytes = take_file(&tiny, &length);
    assert_int_equal(onnx_edit_order(bytes, length), moved);
    order_of(bytes, length, &order);
    assert_string_equal(buf_text(&order), expected);
    buf_fini(&order);
    mem_free(bytes);
}

static struct tiny_onnx branches(void) {
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "x", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    tiny_output(&tiny, "y", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    return tiny;
}

static void test_order(void **state) {
    struct tiny_onnx tiny = branches();
    tiny_node(&tiny, "Relu", "x", "side");
    tiny_node(&tiny, "Identity", "side", "same");
    tiny_node(&tiny, "Neg", "x", "small");
    tiny_node(&tiny, "Resize", "small", "large");
    tiny_node(&tiny, "Add", "large same", "y");
    expect_order(tiny, true, "small large side same y ");
}

// Somebody between wants the branch; the branch stands behind already; both are enlarged; the sum
// has three parts; a node with a graph inside reads what it likes.
static void test_order_stays(void **state) {
    struct tiny_onnx wanted = branches();
    tiny_node(&wanted, "Relu", "x", "side");
    tiny_node(&wanted, "Neg", "side", "small");
    tiny_node(&wanted, "Resize", "small", "large");
    tiny_node(&wanted, "Add", "large side", "y");
    expect_order(wanted, false, "side small large y ");

    struct tiny_onnx behind = branches();
    tiny_node(&behind, "Neg", "x", "small");
    tiny_node(&behind, "Resize", "small", "large");
    tiny_node(&behind, "Relu", "x", "side");
    tiny_node(&behind, "Add", "large side", "y");
    expect_order(behind, false, "small large side y ");

    struct tiny_onnx both = branches();
    tiny_node(&both, "Resize", "x", "a");
    tiny_node(&both, "Resize", "x", "b");
    tiny_node(&both, "Add", "a b", "y");
    expect_order(both, false, "a b y ");

    struct tiny_onnx three = branches();
    tiny_node(&three, "Relu", "x", "side");
    tiny_node(&three, "Resize", "x", "large");
    tiny_node(&three, "Sum", "large side x", "y");
    expect_order(three, false, "side large y ");

    struct tiny_onnx inner = branches();
    tiny_node(&inner, "Relu", "x", "side");
    tiny_node(&inner, "If", "x", "small");
    tiny_node(&inner, "Resize", "small", "large");
    tiny_node(&inner, "Add", "large side", "y");
    expect_order(inner, false, "side small large y ");
}

// A branch of two sums in a row moves behind the last node that may keep it waiting, never past one
// that reads it.
static void test_order_twice(void **state) {
    struct tiny_onnx tiny = branches();
    tiny_node(&tiny, "Relu", "x", "one");
    tiny_node(&tiny, "Abs", "x", "two");
    tiny_node(&tiny, "Neg", "x", "small");
    tiny_node(&tiny, "Resize", "small", "large");
    tiny_node(&tiny, "Add", "large one", "middle");
    tiny_node(&tiny, "Resize", "middle", "larger");
    tiny_node(&tiny, "Add", "two larger", "y");
    expect_order(tiny, true, "small large one middle larger two y ");
}

// No cut or torn file is read past its end, and the file stays as long as it was.
static void test_torn(void **state) {
    struct tiny_onnx tiny = branches();
    tiny_node(&tiny, "Relu", "x", "side");
    tiny_node(&tiny, "Resize", "x", "large");
    tiny_node(&tiny, "Add", "large side", "y");
    size_t length;
    uint8_t *bytes = take_file(&tiny, &length);
    const struct network_pixels pixels = {{1, 1, 1}, {0, 0, 0}};
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = mem_alloc(cut + 1); // an allocation of its own: a sanitizer sees its end
        memcpy(copy, bytes, cut);
        struct buf out;
        buf_init(&out, 1 << 20);
        onnx_edit_order(copy, cut);
        onnx_edit_pixels(&out, copy, cut, &pixels);
        buf_fini(&out);
        mem_free(copy);
    }
    uint32_t state32 = 1;
    for (int round = 0; round < 2000; round++) {
        uint8_t *copy = mem_alloc(length);
        memcpy(copy, bytes, length);
        for (int k = 0; k < 3; k++) {
            state32 = state32 * 1664525 + 1013904223;
            copy[(state32 >> 8) % length] = (uint8_t)(state32 >> 24);
        }
        struct buf out;
        buf_init(&out, 1 << 20);
        onnx_edit_order(copy, length);
        onnx_edit_pixels(&out, copy, length, &pixels);
        buf_fini(&out);
        mem_free(copy);
    }
    mem_free(bytes);
}

static const struct network_pixels shades = {{.5f, .25f, 2}, {-1, 0, 3}};

// A network of floats gives for bytes what it gives for the floats of these bytes.
static void expect_pixels(struct onnx *onnx, struct tiny_onnx tiny, float tolerance) {
    struct err err = {0};
    char *path = tiny_onnx_write(&tiny);
    struct network *bytes =
        network_load(onnx, path, &(struct network_options){.pixels = &shades}, &err);
    struct network *floats = network_load(onnx, path, NULL, &err);
    if (!bytes || !floats)
        fail_msg("%s", err.text);
    uint8_t planes[3 * 2 * 5];
    float values[3 * 2 * 5];
    for (size_t i = 0; i < 30; i++) {
        planes[i] = (uint8_t)(i * 8);
        values[i] = (float)planes[i] * shades.scale[i / 10] + shades.shift[i / 10];
    }
    assert_int_equal(network_input_shape(bytes).type, network_input_shape(floats).type);
    struct tensors a, b;
    assert_true(network_run_pixels(bytes, planes, 2, 5, &a, &err));
    assert_true(network_run(floats, values, TINY_DIMS(1, 3, 2, 5), &b, &err));
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < 30; i++)
        assert_true(fabsf(a.values[0][i] - b.values[0][i]) <= tolerance);
    tensors_fini(&a);
    tensors_fini(&b);
    assert_false(network_run_pixels(bytes, planes, 0, 5, &a, &err));
    assert_int_equal(err.code, ERR_INVALID);
    network_destroy(bytes);
    network_destroy(floats);
    unlink(path);
    mem_free(path);
}

static void test_pixels(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct tiny_onnx tiny = branches();
    tiny_node(&tiny, "Neg", "x", "y");
    tiny_metadata(&tiny, "names", "{0: 'placa'}");
    expect_pixels(onnx, tiny, 0);
    // Of halves: not changed in the file, converted outside.
    struct tiny_onnx halves = tiny_onnx_begin();
    tiny_input(&halves, "x", TINY_HALF, TINY_DIMS(1, 3, -1, -1));
    tiny_output(&halves, "y", TINY_HALF, TINY_DIMS(1, 3, -1, -1));
    tiny_node(&halves, "Identity", "x", "y");
    expect_pixels(onnx, halves, 0);
    onnx_close(onnx);
}

// Texts of the file and names of its outputs are still there.
static void test_pixels_keep(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct tiny_onnx tiny = branches();
    tiny_node(&tiny, "Neg", "x", "y");
    tiny_metadata(&tiny, "names", "{0: 'placa'}");
    char *path = tiny_onnx_write(&tiny);
    struct network *network =
        network_load(onnx, path, &(struct network_options){.pixels = &shades}, &err);
    assert_non_null(network);
    assert_string_equal(network_metadata(network, "names"), "{0: 'placa'}");
    assert_string_equal(network_output_name(network, 0), "y");
    assert_int_equal(network_input_shape(network).rank, 4);
    assert_int_equal(network_input_shape(network).dims[1], 3);
    network_destroy(network);
    unlink(path);
    mem_free(path);
    onnx_close(onnx);
}

static void test_pixels_refused(void **state) {
    struct tiny_onnx two = branches();
    tiny_input(&two, "z", TINY_FLOAT, TINY_DIMS(1));
    tiny_node(&two, "Add", "x z", "y");
    size_t length;
    uint8_t *bytes = take_file(&two, &length);
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_false(onnx_edit_pixels(&out, bytes, length, &shades));
    assert_int_equal(out.length, 0);
    mem_free(bytes);
    // A second graph, be it empty, would be lost.
    struct tiny_onnx one = branches();
    tiny_node(&one, "Relu", "x", "y");
    bytes = take_file(&one, &length);
    assert_true(onnx_edit_pixels(&out, bytes, length, &shades));
    buf_clear(&out);
    uint8_t *more = mem_alloc(length + 2);
    memcpy(more, (const uint8_t[]){7 << 3 | 2, 0}, 2);
    memcpy(more + 2, bytes, length);
    assert_false(onnx_edit_pixels(&out, more, length + 2, &shades));
    assert_int_equal(out.length, 0);
    mem_free(bytes);
    mem_free(more);
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),          cmocka_unit_test(test_order_stays),
        cmocka_unit_test(test_order_twice),    cmocka_unit_test(test_torn),
        cmocka_unit_test(test_pixels),         cmocka_unit_test(test_pixels_keep),
        cmocka_unit_test(test_pixels_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
