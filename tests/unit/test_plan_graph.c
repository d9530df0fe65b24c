// Graphs small enough to follow by hand: each answer comes from ggml-alloc's and the scheduler's
// rules, which the case names.
#include "plan/graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { N = GRAPH_NONE, F32 = 4, GPU = 0, CPU = 1 };

static struct graph *cpu_only(void) {
    return graph_create(1, (const uint32_t[]){32}, (const bool[]){false}, 1);
}

static struct graph *with_gpu(bool offloads, int copies) {
    return graph_create(2, (const uint32_t[]){128, 32}, (const bool[]){offloads, false}, copies);
}

static int op(struct graph *g, enum graph_op kind, int64_t width, int a, int b) {
    return graph_op(g, kind, F32, width, 1, 1, 1, a, b, N, N);
}

static uint64_t measure(struct graph *g, int result, int at) {
    uint64_t bytes[GRAPH_BACKENDS_MAX] = {0};
    graph_expand(g, result);
    graph_measure(g, bytes);
    graph_destroy(g);
    return bytes[at];
}

static void test_element_wise_results_take_over_their_source(void **state) {
    struct graph *g = cpu_only();
    int x = graph_input(g, F32, 1024, 1, 1);
    int y = op(g, GRAPH_REUSE, 1024, op(g, GRAPH_REUSE, 1024, x, N), N);
    assert_int_equal(measure(g, y, 0), 4096);

    g = cpu_only(); // not while another still reads it
    x = graph_input(g, F32, 1024, 1, 1);
    y = op(g, GRAPH_REUSE, 1024, x, N);
    assert_int_equal(measure(g, op(g, GRAPH_REUSE, 1024, y, x), 0), 8192);

    g = cpu_only(); // nor one of another shape
    x = graph_input(g, F32, 1024, 1, 1);
    assert_int_equal(measure(g, op(g, GRAPH_REUSE, 512, x, N), 0), 4096 + 2048);

    g = cpu_only(); // nor an output
    x = graph_input(g, F32, 1024, 1, 1);
    y = op(g, GRAPH_FRESH, 1024, x, N);
    graph_keep(g, y);
    assert_int_equal(measure(g, op(g, GRAPH_REUSE, 1024, y, N), 0), 8192);
}

static void test_the_dead_leave_holes(void **state) {
    struct graph *g = cpu_only(); // x 0..4K, a 4..8K, b in x's hole, c in a's
    int x = graph_input(g, F32, 1024, 1, 1);
    int a = op(g, GRAPH_FRESH, 1024, x, N);
    int b = op(g, GRAPH_FRESH, 1024, a, N);
    assert_int_equal(measure(g, op(g, GRAPH_FRESH, 1024, b, N), 0), 8192);

    g = cpu_only(); // a hole too small is passed over
    x = graph_input(g, F32, 1024, 1, 1);
    a = op(g, GRAPH_FRESH, 1024, x, N);
    assert_int_equal(measure(g, op(g, GRAPH_FRESH, 1025, a, N), 0), 8192 + 4128);

    g = cpu_only(); // neighbouring holes become one: x and a make room for c
    x = graph_input(g, F32, 1024, 1, 1);
    a = op(g, GRAPH_FRESH, 1024, x, N);
    b = op(g, GRAPH_FRESH, 16, a, x);
    assert_int_equal(measure(g, op(g, GRAPH_FRESH, 2048, b, N), 0), 8192 + 64);
}

static void test_the_tightest_hole_is_taken(void **state) {
    struct graph *g = cpu_only();
    int large = graph_input(g, F32, 2048, 1, 1); // 0..8K
    int wall = graph_input(g, F32, 8, 1, 1);
    int small = graph_input(g, F32, 1024, 1, 1); // 8K+32..12K+32
    int other = graph_input(g, F32, 8, 1, 1);
    // The sum frees both; then 4 KiB go into the small hole, so that 8 KiB fit into the large one.
    int sum = graph_op(g, GRAPH_FRESH, F32, 8, 1, 1, 1, large, wall, small, other);
    int tight = op(g, GRAPH_FRESH, 1024, sum, wall);
    int loose = op(g, GRAPH_FRESH, 2048, tight, other);
    int end = graph_op(g, GRAPH_FRESH, F32, 8, 1, 1, 1, tight, loose, wall, other);
    assert_int_equal(measure(g, end, 0), 8192 + 32 + 4096 + 32 + 32);
}

static void test_views_keep_their_source_alive(void **state) {
    struct graph *g = cpu_only();
    int x = graph_input(g, F32, 1024, 1, 1);
    const struct graph_shape half = {{512, 1, 1, 1}, {4, 2048, 2048, 2048}};
    int y = op(g, GRAPH_FRESH, 512, graph_view(g, x, &half), N);
    assert_int_equal(graph_shape(g, y).ne[0], 512);
    assert_int_equal(measure(g, op(g, GRAPH_FRESH, 1024, y, N), 0), 4096 + 2048);

    g = cpu_only(); // the view is looked at again at the end: z finds no hole, but the end does
    x = graph_input(g, F32, 1024, 1, 1);
    int v = graph_view(g, x, &half);
    y = op(g, GRAPH_FRESH, 512, v, N);
    int z = op(g, GRAPH_FRESH, 512, y, N);
    assert_int_equal(measure(g, op(g, GRAPH_FRESH, 512, z, v), 0), 4096 + 2 * 2048);
}

static void test_alignment_and_scratch(void **state) {
    struct graph *g = cpu_only();
    assert_int_equal(measure(g, op(g, GRAPH_FRESH, 1, graph_input(g, F32, 1, 1, 1), N), 0), 64);
    g = cpu_only();
    int y = op(g, GRAPH_FRESH, 1024, graph_input(g, F32, 1, 1, 1), N);
    graph_grow(g, y, 1000);
    assert_int_equal(measure(g, y, 0), 32 + 4096 + 1024);
}

// x is made on the host and multiplied where the weights are.
static void multiply(bool offloads, int copies, int weight_at, int64_t rows, uint64_t *bytes) {
    struct graph *g = with_gpu(offloads, copies);
    int w = graph_weight(g, weight_at, 65536);
    int x = graph_input(g, F32, 256, rows, 1);
    graph_expand(g, graph_op(g, GRAPH_FRESH, F32, 64, rows, 1, 1, w, x, N, N));
    graph_measure(g, bytes);
    graph_destroy(g);
}

static void test_copies_between_backends(void **state) {
    static const struct {
        bool offloads;
        int copies, weight_at;
        int64_t rows;
        uint64_t gpu, cpu;
    } cases[] = {
        {false, 1, GPU, 32, 32768 + 8192, 32768}, // the input's copy, the result; the input
        {false, 1, CPU, 32, 0, 32768 + 8192},
        {true, 1, CPU, 31, 0, 31 * 1280},                 // too few rows to fetch weights for
        {true, 1, CPU, 32, 65536 + 32768 + 8192, 32768},  // the weights' copy as well
        {false, 4, GPU, 32, 4 * 32768 + 8192, 4 * 32768}, // a pipeline holds four of each
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t bytes[2];
        multiply(cases[i].offloads, cases[i].copies, cases[i].weight_at, cases[i].rows, bytes);
        assert_int_equal(bytes[GPU], cases[i].gpu);
        assert_int_equal(bytes[CPU], cases[i].cpu);
    }
}

static void test_weights_and_caches_are_there_already(void **state) {
    struct graph *g = with_gpu(true, 1);
    int table = graph_weight(g, CPU, 1 << 20), ids = graph_input(g, F32, 64, 1, 1);
    int rows = graph_op(g, GRAPH_LOOKUP, F32, 256, 64, 1, 1, table, ids, N, N);
    int cache = graph_cache(g, GPU, 1 << 20);
    // Looked up on the host, whose table is not fetched; stored on the device, without a result.
    int stored = op(g, GRAPH_STORE, 256, rows, cache);
    uint64_t bytes[2];
    graph_expand(g, stored);
    graph_measure(g, bytes);
    graph_destroy(g);
    assert_int_equal(bytes[GPU], 65536);
    assert_int_equal(bytes[CPU], 256 + 65536);
}

static void test_many_holes_do_no_harm(void **state) {
    struct graph *g = cpu_only();
    int x = graph_input(g, F32, 1024, 1, 1), all[700];
    for (int i = 0; i < 700; i++) {
        all[i] = op(g, GRAPH_FRESH, 100 + i, x, N);
        graph_expand(g, all[i]);
    }
    int end = x; // every other one dies, one at a time
    for (int i = 0; i < 700; i += 2)
        end = op(g, GRAPH_FRESH, 8, all[i], end);
    for (int i = 1; i < 700; i += 2)
        end = op(g, GRAPH_FRESH, 8, all[i], end);
    uint64_t sum = 4096;
    for (int i = 0; i < 700; i++)
        sum += (uint64_t)(100 + i + 7) / 8 * 32;
    assert_in_range(measure(g, end, 0), sum, sum + 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_element_wise_results_take_over_their_source),
        cmocka_unit_test(test_the_dead_leave_holes),
        cmocka_unit_test(test_the_tightest_hole_is_taken),
        cmocka_unit_test(test_views_keep_their_source_alive),
        cmocka_unit_test(test_alignment_and_scratch),
        cmocka_unit_test(test_copies_between_backends),
        cmocka_unit_test(test_weights_and_caches_are_there_already),
        cmocka_unit_test(test_many_holes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
