// Networks that are written anew so that they are faster: what they give stays the same, and what
// is not understood is left alone.
#include "vision/onnx_edit.h"

#include "tiny_net.h"

#include <math.h>

enum { SIDE = 12, BLOCK = 16, FILE_MAX = 4 << 20 };

enum edit { GATES, ENLARGE, PHASES, SUMS, SCALES, CHANNELS };

static bool apply(enum edit edit, struct buf *out, const char *bytes, size_t length) {
    const uint8_t *file = (const uint8_t *)bytes;
    return edit == GATES     ? onnx_edit_gates(out, file, length)
           : edit == ENLARGE ? onnx_edit_enlarge(out, file, length)
           : edit == PHASES  ? onnx_edit_phases(out, file, length)
           : edit == SUMS    ? onnx_edit_sums(out, file, length, BLOCK)
           : edit == SCALES  ? onnx_edit_scales(out, file, length)
                             : onnx_edit_channels(out, file, length, BLOCK);
}

// The file, edited; NULL when it was left alone. Takes the network.
static char *edited_file(enum edit edit, char *path) {
    size_t length;
    struct buf out;
    char *bytes = path_read_file(path, 64 << 20, &length, NULL), *edited = NULL;
    assert_non_null(bytes);
    buf_init(&out, 128 << 20);
    if (apply(edit, &out, bytes, length))
        edited = tiny_file(&out);
    else
        assert_int_equal(out.length, 0);
    buf_fini(&out);
    mem_free(bytes);
    return edited;
}

static struct tensors run_file(struct onnx *onnx, const char *path, const float *planes,
                               int64_t height, int64_t width) {
    struct err err = {0};
    struct tensors out;
    struct network *network =
        network_load(onnx, path, &(struct network_options){.as_is = true}, &err);
    if (!network || !network_run(network, planes, TINY_DIMS(1, 3, height, width), &out, &err))
        fail_msg("%s", err.text);
    network_destroy(network);
    return out;
}

static float *noisy_planes(int64_t height, int64_t width) {
    size_t count = (size_t)(3 * height * width);
    float *planes = mem_alloc(count * sizeof *planes);
    uint32_t state = 7;
    for (size_t i = 0; i < count; i++)
        planes[i] = 2 * noise(&state);
    return planes;
}

static void expect_equal_for(const char *a, const char *b, const float *planes, int64_t height,
                             int64_t width, float tolerance) {
    struct onnx *onnx = open_onnx_or_skip();
    struct tensors x = run_file(onnx, a, planes, height, width);
    struct tensors y = run_file(onnx, b, planes, height, width);
    size_t count = 1;
    assert_int_equal(x.shapes[0].rank, y.shapes[0].rank);
    for (size_t i = 0; i < x.shapes[0].rank; i++) {
        assert_int_equal(x.shapes[0].dims[i], y.shapes[0].dims[i]);
        count *= (size_t)x.shapes[0].dims[i];
    }
    float most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmaxf(most, fabsf(x.values[0][i]));
        if (!(fabsf(x.values[0][i] - y.values[0][i]) <= tolerance))
            fail_msg("value %zu: %g, not %g", i, (double)y.values[0][i], (double)x.values[0][i]);
    }
    assert_true(most > 100 * tolerance); // else equal says nothing
    tensors_fini(&x);
    tensors_fini(&y);
    onnx_close(onnx);
}

static void expect_equal(const char *a, const char *b) {
    float *planes = noisy_planes(SIDE, SIDE);
    expect_equal_for(a, b, planes, SIDE, SIDE, 1e-4f);
    mem_free(planes);
}

static void expect_same(enum edit edit, struct tiny_onnx tiny) {
    char *path = tiny_onnx_write(&tiny), *edited = edited_file(edit, path);
    assert_non_null(edited);
    expect_equal(path, edited);
    assert_null(edited_file(edit, edited)); // there is nothing left to gain
    tiny_forget(edited);
    tiny_forget(path);
}

static void expect_alone(enum edit edit, struct tiny_onnx tiny) {
    char *path = tiny_onnx_write(&tiny);
    assert_null(edited_file(edit, path));
    tiny_forget(path);
}

static struct tiny_onnx net(int64_t channels) {
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "x", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    tiny_output(&tiny, "y", TINY_FLOAT, TINY_DIMS(1, channels, -1, -1));
    return tiny;
}

struct window {
    int64_t size, stride, pad, group;
};

// A convolution, or a transposed one, and what is added to each channel: "to" is the sum.
static void put_layer(struct tiny_onnx *tiny, const char *op, const char *from, const char *to,
                      int64_t in, int64_t out, struct window window) {
    struct buf attributes;
    char weights[64], bias[64], product[64], same[64];
    bool transposed = !strcmp(op, "ConvTranspose");
    snprintf(weights, sizeof weights, "weights.%s", to);
    snprintf(bias, sizeof bias, "bias.%s", to);
    snprintf(product, sizeof product, "product.%s", to);
    snprintf(same, sizeof same, "same.%s", to);
    buf_init(&attributes, 4096);
    onnx_put_ints(&attributes, "kernel_shape", (const int64_t[]){window.size, window.size}, 2);
    onnx_put_ints(&attributes, "strides", (const int64_t[]){window.stride, window.stride}, 2);
    onnx_put_ints(&attributes, "pads",
                  (const int64_t[]){window.pad, window.pad, window.pad, window.pad}, 4);
    onnx_put_int(&attributes, "group", window.group);
    if (transposed)
        put_noise(tiny, weights, TINY_DIMS(in, out / window.group, window.size, window.size));
    else
        put_noise(tiny, weights, TINY_DIMS(out, in / window.group, window.size, window.size));
    put_noise(tiny, bias, TINY_DIMS(1, out, 1, 1));
    onnx_put_node(&tiny->graph, op, (struct span[]){span_of(from), span_of(weights)}, 2,
                  span_of(product), &attributes);
    onnx_put_node(&tiny->graph, "Identity", &(struct span){product, strlen(product)}, 1,
                  span_of(same), NULL);
    onnx_put_node(&tiny->graph, "Add", (struct span[]){span_of(bias), span_of(same)}, 2,
                  span_of(to), NULL);
}

static const struct window three = {3, 1, 1, 1}, one = {1, 1, 0, 1}, halves = {3, 2, 1, 1};

// --- Channels

// What may be otherwise than in PP-OCR's stem.
enum oddity { PLAIN, READ_ELSEWHERE, GOES_OUT, OTHER_AXIS, APART, UNKNOWN_PART };

// Two branches of 24 and 12 channels side by side, and a convolution over both.
static struct tiny_onnx stem(enum oddity oddity) {
    struct tiny_onnx tiny = net(9);
    put_layer(&tiny, "Conv", "x", "a", 3, 24, halves);
    tiny_node(&tiny, "Relu", "a", "a.relu");
    put_pool(&tiny, "a.relu", "pool");
    put_layer(&tiny, "Conv", "a.relu", "b", 24, 12, three);
    tiny_node(&tiny, oddity == UNKNOWN_PART ? "Sigmoid" : "Relu", "b", "b.relu");
    put_with(&tiny, "Concat", "pool b.relu", "both", "axis",
             (const int64_t[]){oddity == OTHER_AXIS ? 2 : 1}, 1);
    tiny_node(&tiny, "Identity", "both", "both.same");
    if (oddity == READ_ELSEWHERE)
        tiny_node(&tiny, "Sigmoid", "both", "elsewhere");
    if (oddity == GOES_OUT)
        tiny_output(&tiny, "both.same", TINY_FLOAT, TINY_DIMS(1, 36, -1, -1));
    put_layer(&tiny, "Conv", "both.same", "sum", 36, oddity == APART ? 36 : 9,
              oddity == APART ? (struct window){3, 1, 1, 4} : three);
    if (oddity == READ_ELSEWHERE) {
        put_layer(&tiny, "Conv", "elsewhere", "other", 36, 9, one);
        tiny_node(&tiny, "Add", "sum other", "y");
    } else if (oddity == APART) {
        put_layer(&tiny, "Conv", "sum", "y", 36, 9, one);
    } else {
        tiny_node(&tiny, "Sigmoid", "sum", "y");
    }
    return tiny;
}

static size_t count_ops(const char *path, const char *op) {
    size_t length, count = 0;
    char *bytes = path_read_file(path, 64 << 20, &length, NULL);
    struct span graph = onnx_graph_of((struct span){bytes, length});
    struct protobuf_field field;
    while (protobuf_take(&graph, &field))
        count += field.number == GRAPH_NODE && span_is(protobuf_find(field.bytes, NODE_OP), op);
    mem_free(bytes);
    return count;
}

static void test_channels(void **state) {
    expect_same(CHANNELS, stem(PLAIN));
    struct tiny_onnx tiny = stem(PLAIN);
    char *path = tiny_onnx_write(&tiny), *edited = edited_file(CHANNELS, path);
    assert_int_equal(count_ops(path, "Concat"), 1);
    assert_int_equal(count_ops(edited, "Concat"), 0);
    assert_int_equal(count_ops(path, "Conv"), 3);
    assert_int_equal(count_ops(edited, "Conv"), 4);
    tiny_forget(path);
    tiny_forget(edited);
}

// A Concat of one thing hands its channels on.
static void test_channels_of_one(void **state) {
    struct tiny_onnx tiny = net(9);
    put_layer(&tiny, "Conv", "x", "a", 3, 24, three);
    put_with(&tiny, "Concat", "a", "alone", "axis", (const int64_t[]){1}, 1);
    put_layer(&tiny, "Conv", "alone", "y", 24, 9, three);
    expect_same(CHANNELS, tiny);
}

// What would see the further channels, or lose them, keeps the numbers that it knows; the first
// layer, which nobody of those reads, may gain all the same.
static void test_channels_of_others(void **state) {
    static const enum oddity odd[] = {READ_ELSEWHERE, GOES_OUT, OTHER_AXIS, APART, UNKNOWN_PART};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct tiny_onnx tiny = stem(odd[i]);
        char *path = tiny_onnx_write(&tiny), *edited = edited_file(CHANNELS, path);
        assert_int_equal(count_ops(path, "Concat"), 1);
        if (edited) {
            assert_int_equal(count_ops(edited, "Concat"), 1);
            expect_equal(path, edited);
            tiny_forget(edited);
        }
        tiny_forget(path);
    }
}

static void test_channels_alone(void **state) {
    struct tiny_onnx whole = net(16); // whole blocks throughout
    put_layer(&whole, "Conv", "x", "a", 3, 32, three);
    put_layer(&whole, "Conv", "a", "y", 32, 16, three);
    expect_alone(CHANNELS, whole);

    struct tiny_onnx few = net(4); // it would be ten times the work
    put_layer(&few, "Conv", "x", "a", 3, 4, three);
    put_layer(&few, "Conv", "a", "y", 4, 4, three);
    expect_alone(CHANNELS, few);

    struct tiny_onnx wrong = net(9); // 20 come, 24 are weighed
    put_layer(&wrong, "Conv", "x", "a", 3, 20, three);
    put_layer(&wrong, "Conv", "a", "y", 24, 9, three);
    expect_alone(CHANNELS, wrong);

    struct tiny_onnx given = net(9); // weights that can be given from outside
    put_layer(&given, "Conv", "x", "a", 3, 20, three);
    tiny_input(&given, "weights.a", TINY_FLOAT, TINY_DIMS(20, 3, 3, 3));
    put_layer(&given, "Conv", "a", "y", 20, 9, three);
    expect_alone(CHANNELS, given);
}

// --- Gates

// x + x * s: the sum and the product each with the one or the other first.
static struct tiny_onnx gated(const char *op, const char *product, const char *sum) {
    struct tiny_onnx tiny = net(3);
    tiny_node(&tiny, "GlobalAveragePool", "x", "mean");
    put_layer(&tiny, "Conv", "mean", "level", 3, 3, one);
    tiny_node(&tiny, op, "level", "gate");
    tiny_node(&tiny, "Mul", product, "product");
    tiny_node(&tiny, "Identity", "product", "same");
    tiny_node(&tiny, "Add", sum, "sum");
    tiny_node(&tiny, "Neg", "sum", "y");
    return tiny;
}

static void test_gates(void **state) {
    expect_same(GATES, gated("HardSigmoid", "x gate", "x same"));
    expect_same(GATES, gated("Sigmoid", "gate x", "product x"));
    struct tiny_onnx tiny = gated("Sigmoid", "gate x", "same x");
    char *path = tiny_onnx_write(&tiny), *edited = edited_file(GATES, path);
    assert_int_equal(count_ops(path, "Identity"), 2);
    assert_int_equal(count_ops(edited, "Identity"), 1); // whose value nobody wants is gone
    tiny_forget(path);
    tiny_forget(edited);
}

static void test_gates_alone(void **state) {
    expect_alone(GATES, gated("Relu", "x gate", "x same"));           // no gate
    expect_alone(GATES, gated("Sigmoid", "x gate", "level product")); // something else is added
    expect_alone(GATES, gated("Sigmoid", "x gate", "same same"));     // the product twice
    struct tiny_onnx twice = gated("Sigmoid", "x gate", "x product"); // which is wanted elsewhere
    tiny_output(&twice, "same", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    expect_alone(GATES, twice);
}

// --- Enlarging

static const struct window square = {2, 2, 0, 1}, triple = {3, 3, 0, 1};

static struct tiny_onnx enlarged(struct window first, struct window second) {
    struct tiny_onnx tiny = net(2);
    put_layer(&tiny, "Conv", "x", "a", 3, 8, three);
    put_layer(&tiny, "ConvTranspose", "a", "b", 8, 6, first);
    tiny_node(&tiny, "Relu", "b", "b.relu");
    put_layer(&tiny, "ConvTranspose", "b.relu", "c", 6, 2, second);
    tiny_node(&tiny, "Sigmoid", "c", "y");
    return tiny;
}

static void test_enlarge(void **state) {
    expect_same(ENLARGE, enlarged(square, square));
    expect_same(ENLARGE, enlarged(square, triple));
    expect_same(ENLARGE, enlarged(triple, square));
    struct tiny_onnx tiny = enlarged(square, square);
    char *path = tiny_onnx_write(&tiny), *edited = edited_file(ENLARGE, path);
    assert_int_equal(count_ops(edited, "ConvTranspose"), 0);
    assert_int_equal(count_ops(edited, "DepthToSpace"), 1);
    tiny_forget(path);
    tiny_forget(edited);
}

// Windows that overlap or are cut stay as they are; the other one of the two is changed.
static void test_enlarge_one(void **state) {
    static const struct window others[] = {{3, 2, 0, 1}, {2, 2, 1, 1}, {2, 2, 0, 2}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        for (int first = 0; first < 2; first++) {
            struct tiny_onnx tiny =
                first ? enlarged(others[i], square) : enlarged(square, others[i]);
            char *path = tiny_onnx_write(&tiny), *edited = edited_file(ENLARGE, path);
            assert_non_null(edited);
            assert_int_equal(count_ops(edited, "ConvTranspose"), 1);
            expect_equal(path, edited);
            tiny_forget(path);
            tiny_forget(edited);
        }
    expect_alone(ENLARGE, enlarged(others[0], others[1]));
}

// Pixels that are wanted between the two stay pixels.
static void test_enlarge_read_between(void **state) {
    struct tiny_onnx tiny = enlarged(square, square);
    tiny_output(&tiny, "b.relu", TINY_FLOAT, TINY_DIMS(1, 6, -1, -1));
    char *path = tiny_onnx_write(&tiny), *edited = edited_file(ENLARGE, path);
    assert_non_null(edited);
    assert_int_equal(count_ops(edited, "DepthToSpace"), 2);
    expect_equal(path, edited);
    tiny_forget(path);
    tiny_forget(edited);
}

// --- Phases

// What may be otherwise than at the end of PP-OCR's detector.
enum neck {
    NECK,
    BARE, // no steps behind the convolution
    LINEAR,
    CENTRED,
    CEILED,
    THREE_TIMES,
    SCALES_GIVEN,
    TWO_LARGE,
    ALL_SMALL,
    ROWS,
    READ_TWICE,
    UNPADDED,
    STEP_OF_NINE,
    MIXED_LAYOUT,
    OTHER_WAY,
    NECK_COUNT,
};

static void put_resize(struct tiny_onnx *tiny, enum neck neck, const char *from, const char *to,
                       int64_t times) {
    float by[] = {1, 1, (float)times, (float)times};
    struct buf attributes;
    char scales[64];
    snprintf(scales, sizeof scales, "scales.%s", to);
    tiny_constant(tiny, scales, TINY_FLOAT, TINY_DIMS(4), by, sizeof by);
    if (neck == SCALES_GIVEN)
        tiny_input(tiny, scales, TINY_FLOAT, TINY_DIMS(4));
    buf_init(&attributes, 4096);
    put_text(&attributes, "mode", neck == LINEAR ? "linear" : "nearest");
    put_text(&attributes, "coordinate_transformation_mode",
             neck == CENTRED ? "half_pixel" : "asymmetric");
    put_text(&attributes, "nearest_mode", neck == CEILED ? "ceil" : "floor");
    onnx_put_node(&tiny->graph, "Resize",
                  (struct span[]){span_of(from), span_of("nowhere"), span_of(scales)}, 3,
                  span_of(to), &attributes);
}

// A convolution of single pixels, with its bias.
static void put_step(struct tiny_onnx *tiny, const char *from, const char *to, int64_t in,
                     int64_t out, int64_t side) {
    char weights[64], bias[64];
    snprintf(weights, sizeof weights, "weights.%s", to);
    snprintf(bias, sizeof bias, "bias.%s", to);
    put_noise(tiny, weights, TINY_DIMS(out, in, side, side));
    put_noise(tiny, bias, TINY_DIMS(out));
    onnx_put_node(&tiny->graph, "Conv",
                  (struct span[]){span_of(from), span_of(weights), span_of(bias)}, 3, span_of(to),
                  NULL);
}

static void put_layout(struct tiny_onnx *tiny, enum neck neck, const char *from) {
    struct buf attributes;
    buf_init(&attributes, 4096);
    onnx_put_int(&attributes, "blocksize", 2);
    if (neck == MIXED_LAYOUT)
        put_text(&attributes, "mode", "CRD");
    onnx_put_node(&tiny->graph, neck == OTHER_WAY ? "SpaceToDepth" : "DepthToSpace",
                  &(struct span){from, strlen(from)}, 1, span_of("y"), &attributes);
}

// Pictures of 5, 4 and 6 channels, the last two enlarged to the size of the first.
static struct tiny_onnx neck_of(enum neck neck) {
    struct tiny_onnx tiny = net(neck == OTHER_WAY ? 32 : 2);
    int64_t times = neck == THREE_TIMES ? 3 : 4;
    tiny_constant(&tiny, "nowhere", TINY_FLOAT, TINY_DIMS(0), "", 0);
    put_layer(&tiny, "Conv", "x", neck == ALL_SMALL ? "a.small" : "a", 3, 5,
              neck == ALL_SMALL ? halves : three);
    if (neck == ALL_SMALL)
        put_resize(&tiny, neck, "a.small", "a", 2);
    put_layer(&tiny, "Conv", "x", "b.plain", 3, 4, neck == TWO_LARGE ? three : halves);
    tiny_node(&tiny, "GlobalAveragePool", "b.plain", "b.mean");
    tiny_node(&tiny, "Sigmoid", "b.mean", "b.gate");
    tiny_node(&tiny, "Mul", "b.gate b.plain", "b");
    put_layer(&tiny, "Conv", "x", "c", 3, 6, (struct window){times, times, 0, 1});
    if (neck == TWO_LARGE)
        tiny_node(&tiny, "Identity", "b", "b.large");
    else
        put_resize(&tiny, neck, "b", "b.large", 2);
    put_resize(&tiny, neck, "c", "c.large", times);
    tiny_node(&tiny, "Identity", "c.large", "c.same");
    put_with(&tiny, "Concat", neck == ROWS ? "a a a" : "c.same a b.large", "all", "axis",
             (const int64_t[]){neck == ROWS ? 2 : 1}, 1);
    put_layer(&tiny, "Conv", "all", "sum", neck == ROWS ? 5 : 15, 8,
              neck == UNPADDED ? (struct window){3, 1, 0, 1} : three);
    if (neck != BARE) {
        tiny_node(&tiny, "Relu", "sum", "relu");
        put_step(&tiny, "relu", "step", 8, 8, neck == STEP_OF_NINE ? 3 : 1);
        tiny_node(&tiny, "Sigmoid", "step", "last");
    }
    put_layout(&tiny, neck, neck == BARE ? "sum" : "last");
    if (neck == READ_TWICE)
        tiny_output(&tiny, "all", TINY_FLOAT, TINY_DIMS(1, 15, -1, -1));
    return tiny;
}

static void test_phases(void **state) {
    expect_same(PHASES, neck_of(NECK));
    expect_same(PHASES, neck_of(BARE));
    struct tiny_onnx tiny = neck_of(NECK);
    char *path = tiny_onnx_write(&tiny), *edited = edited_file(PHASES, path);
    float *planes = noisy_planes(8, 20);
    expect_equal_for(path, edited, planes, 8, 20, 1e-4f);
    mem_free(planes);
    assert_int_equal(count_ops(path, "Resize"), 2);
    assert_int_equal(count_ops(edited, "Resize"), 1); // twice is by the phases, 4 x is twice
    assert_int_equal(count_ops(edited, "Conv"), 3 + 4 * 3);
    tiny_forget(path);
    tiny_forget(edited);
}

static void test_phases_alone(void **state) {
    for (enum neck neck = LINEAR; neck < NECK_COUNT; neck++)
        expect_alone(PHASES, neck_of(neck));
}

// --- Sums

struct block {
    const char *gate, *product, *other, *next; // ops, and the two factors
    int64_t channels;
};

// A gated picture, and what two convolutions make of it, added up and convolved.
static struct tiny_onnx block_of(struct block block) {
    struct tiny_onnx tiny = net(3);
    int64_t n = block.channels;
    put_layer(&tiny, "Conv", "x", "a", 3, n, three);
    tiny_node(&tiny, "GlobalAveragePool", "a", "mean");
    put_layer(&tiny, "Conv", "mean", "level", n, n, one);
    tiny_node(&tiny, block.gate, "level", "gate");
    tiny_node(&tiny, "Mul", block.product, "product");
    tiny_node(&tiny, "Identity", "product", "same");
    put_layer(&tiny, "Conv", "same", "wide", n, n, one);
    tiny_node(&tiny, "Relu", "wide", "relu");
    put_layer(&tiny, "Conv", "relu", "narrow", n, n, one);
    tiny_node(&tiny, block.other, "narrow", "other");
    tiny_node(&tiny, "Add", "same other", "sum");
    tiny_node(&tiny, block.next, "sum", "next");
    put_layer(&tiny, "Conv", "next", "y", n, 3, three);
    return tiny;
}

static void test_sums(void **state) {
    expect_same(SUMS,
                block_of((struct block){"HardSigmoid", "a gate", "Identity", "Identity", 16}));
    expect_same(SUMS, block_of((struct block){"Sigmoid", "gate a", "Identity", "Identity", 32}));
}

static void test_sums_alone(void **state) {
    static const struct block others[] = {
        {"Relu", "a gate", "Identity", "Identity", 16},       // no gate
        {"Sigmoid", "gate gate", "Identity", "Identity", 16}, // nothing but a gate
        {"Sigmoid", "a gate", "Neg", "Identity", 16},         // in rows on the other side
        {"Sigmoid", "a gate", "Relu", "Identity", 16},     // which is no longer the convolution's
        {"Sigmoid", "a gate", "Identity", "Neg", 16},      // in rows behind
        {"Sigmoid", "a gate", "Identity", "Identity", 12}, // no whole blocks
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        expect_alone(SUMS, block_of(others[i]));
    struct tiny_onnx twice =
        block_of((struct block){"Sigmoid", "a gate", "Identity", "Identity", 16});
    tiny_output(&twice, "other", TINY_FLOAT, TINY_DIMS(1, 16, -1, -1)); // wanted elsewhere
    expect_alone(SUMS, twice);
}

// --- Scales

// A picture of three channels, scaled, shifted, and convolved; what stands around it is 0.
static struct tiny_onnx scaled(const float scale[3], const char *shifted, int64_t group) {
    struct tiny_onnx tiny = net(6);
    tiny_constant(&tiny, "scale", TINY_FLOAT, TINY_DIMS(3, 1, 1), scale, 3 * sizeof *scale);
    put_noise(&tiny, "shift", TINY_DIMS(3, 1, 1));
    tiny_node(&tiny, "Mul", "x scale", "scaled");
    tiny_node(&tiny, "Add", shifted, "shifted");
    put_layer(&tiny, "Conv", "shifted", "y", 3, 6, (struct window){3, 2, 1, group});
    return tiny;
}

static void test_scales(void **state) {
    static const float plain[] = {.5f, .25f, 3}, none[] = {.5f, 0, 3};
    expect_same(SCALES, scaled(plain, "scaled shift", 1));
    expect_same(SCALES, scaled(plain, "shift scaled", 1));
    expect_alone(SCALES, scaled(none, "scaled shift", 1));   // nothing to divide the shift by
    expect_alone(SCALES, scaled(plain, "scaled shift", 3));  // each channel by itself
    expect_alone(SCALES, scaled(plain, "scaled scaled", 1)); // no constant is added
    struct tiny_onnx twice = scaled(plain, "scaled shift", 1);
    tiny_output(&twice, "scaled", TINY_FLOAT, TINY_DIMS(1, 3, -1, -1));
    expect_alone(SCALES, twice);
}

// --- All

// Two rows of upright strokes on a light ground, which pass for text.
static float *strokes(int64_t height, int64_t width) {
    float *planes = mem_alloc((size_t)(3 * height * width) * sizeof *planes);
    for (int64_t y = 0; y < 3 * height; y++)
        for (int64_t x = 0; x < width; x++) {
            bool row = y % height % 40 >= 16 && y % height % 40 < 32 && x >= 16 && x < width - 16;
            planes[y * width + x] = row && x % 9 < 3 ? -1 : .8f;
        }
    return planes;
}

// All of them change PP-OCR's detector, and it finds what it found.
static void test_real(void **state) {
    char *path = fetched_or_skip("ocr/det.onnx");
    char *gates = edited_file(GATES, path), *large = edited_file(ENLARGE, gates);
    char *phases = edited_file(PHASES, large), *sums = edited_file(SUMS, phases);
    char *whole = edited_file(CHANNELS, sums);
    assert_non_null(whole);
    float *planes = strokes(96, 160);
    expect_equal_for(path, whole, planes, 96, 160, 1e-4f);
    mem_free(planes);
    tiny_forget(gates);
    tiny_forget(large);
    tiny_forget(phases);
    tiny_forget(sums);
    tiny_forget(whole);
    mem_free(path);
}

// No cut or torn file is read past its end.
static void expect_survived(const char *bytes, size_t length) {
    char *copy = mem_alloc(length + 1); // an allocation of its own: a sanitizer sees its end
    memcpy(copy, bytes, length);
    for (enum edit edit = GATES; edit <= CHANNELS; edit++) {
        struct buf out;
        buf_init(&out, FILE_MAX);
        apply(edit, &out, copy, length);
        buf_fini(&out);
    }
    mem_free(copy);
}

static void expect_torn(struct tiny_onnx tiny) {
    size_t length;
    uint32_t random = 1;
    char *path = tiny_onnx_write(&tiny), *bytes = path_read_file(path, FILE_MAX, &length, NULL);
    for (size_t cut = 0; cut < length; cut += 61)
        expect_survived(bytes, cut);
    for (int round = 0; round < 500; round++) {
        char kept[3];
        size_t places[3];
        for (size_t k = 0; k < 3; k++) {
            noise(&random);
            places[k] = (random >> 8) % length;
            kept[k] = bytes[places[k]];
            bytes[places[k]] = (char)(random >> 24);
        }
        expect_survived(bytes, length);
        for (size_t k = 3; k-- > 0;)
            bytes[places[k]] = kept[k];
    }
    mem_free(bytes);
    tiny_forget(path);
}

static void test_torn(void **state) {
    expect_torn(gated("Sigmoid", "x gate", "x same"));
    expect_torn(enlarged(square, square));
    expect_torn(stem(PLAIN));
    expect_torn(neck_of(NECK));
    expect_torn(scaled((const float[]){1, 2, 3}, "scaled shift", 1));
    expect_torn(block_of((struct block){"Sigmoid", "a gate", "Identity", "Identity", 16}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_channels_of_one),
        cmocka_unit_test(test_channels_of_others),
        cmocka_unit_test(test_channels_alone),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_gates_alone),
        cmocka_unit_test(test_enlarge),
        cmocka_unit_test(test_enlarge_one),
        cmocka_unit_test(test_enlarge_read_between),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_phases_alone),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_sums_alone),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_torn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
