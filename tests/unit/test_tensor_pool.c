#include "vision/tensor_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static void test_get_and_put(void **state) {
    struct tensor_pool *pool = tensor_pool_create((size_t)64 * MIB);
    assert_non_null(pool);
    char *a = tensor_pool_get(pool, 1), *b = tensor_pool_get(pool, 1000),
         *c = tensor_pool_get(pool, MIB);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal((uintptr_t)b % 64, 0);
    assert_int_equal((uintptr_t)c % 64, 0);
    a[0] = 1;
    memset(b, 2, 1000);
    memset(c, 3, MIB);
    assert_int_equal(a[0], 1);
    assert_int_equal(b[0] + b[999], 4);
    tensor_pool_put(pool, b);
    assert_ptr_equal(tensor_pool_get(pool, 900), b); // the hole that fits
    tensor_pool_put(pool, NULL);
    tensor_pool_destroy(pool);
    tensor_pool_destroy(NULL);
}

// The smallest hole that fits is taken, and neighbours become one.
static void test_holes(void **state) {
    struct tensor_pool *pool = tensor_pool_create((size_t)64 * MIB);
    char *blocks[8];
    for (size_t i = 0; i < 8; i++)
        blocks[i] = tensor_pool_get(pool, (i + 1) * MIB);
    tensor_pool_put(pool, blocks[6]);
    tensor_pool_put(pool, blocks[2]);
    tensor_pool_put(pool, blocks[4]);
    assert_ptr_equal(tensor_pool_get(pool, 3 * MIB - 100), blocks[2]);
    assert_ptr_equal(tensor_pool_get(pool, 4 * MIB), blocks[4]);
    tensor_pool_put(pool, blocks[5]); // between the rest of 4 and the hole of 6
    assert_ptr_equal(tensor_pool_get(pool, 13 * MIB), blocks[4] + 4 * MIB + 64);
    tensor_pool_destroy(pool);
}

static void test_bounds(void **state) {
    struct tensor_pool *pool = tensor_pool_create(4 * MIB);
    assert_null(tensor_pool_get(pool, 5 * MIB));
    assert_null(tensor_pool_get(pool, SIZE_MAX));
    assert_null(tensor_pool_get(pool, SIZE_MAX - 63));
    char *a = tensor_pool_get(pool, 3 * MIB);
    assert_non_null(a);
    assert_null(tensor_pool_get(pool, 2 * MIB));
    tensor_pool_put(pool, a);
    assert_ptr_equal(tensor_pool_get(pool, 4 * MIB - 64), a);
    tensor_pool_destroy(pool);
}

// Holes keep no pages that would make the whole larger than what was in use at once, and after a
// large run most goes back to the system; what was given back is usable again.
static void test_pages(void **state) {
    enum { BLOCKS = 16 };
    struct tensor_pool *pool = tensor_pool_create((size_t)2048 * MIB);
    for (int round = 0; round < 3; round++) {
        char *blocks[BLOCKS];
        // Every second block goes; the larger ones that follow fit no hole.
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = tensor_pool_get(pool, (size_t)20 * MIB);
            memset(blocks[i], 1, (size_t)20 * MIB);
        }
        for (size_t i = 0; i < BLOCKS; i += 2)
            tensor_pool_put(pool, blocks[i]);
        for (size_t i = 0; i < BLOCKS; i += 4) {
            blocks[i] = tensor_pool_get(pool, (size_t)40 * MIB);
            memset(blocks[i], 2, (size_t)40 * MIB);
        }
        for (size_t i = 1; i < BLOCKS; i += 2)
            assert_int_equal(blocks[i][20 * MIB - 1] + blocks[i][0], 2);
        for (size_t i = 0; i < BLOCKS; i++)
            if (i % 4 != 2)
                tensor_pool_put(pool, blocks[i]);
        assert_int_equal(tensor_pool_use(pool).now_bytes, 0);
    }
    struct tensor_pool_use use = tensor_pool_use(pool);
    assert_true(use.most_bytes >= (size_t)320 * MIB && use.most_bytes < (size_t)321 * MIB);
    if (use.warm_bytes > (size_t)(320 + 2 * 20) * MIB)
        fail_msg("%zu MiB have pages", use.warm_bytes / MIB);
    tensor_pool_destroy(pool);
}

// Blocks of all sizes in all orders: none overlaps another, and in the end all is one hole.
static void test_churn(void **state) {
    enum { LIVE = 64, ROUNDS = 20000 };
    struct tensor_pool *pool = tensor_pool_create((size_t)256 * MIB);
    unsigned char *blocks[LIVE] = {0};
    size_t sizes[LIVE] = {0};
    uint32_t random = 7;
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1664525 + 1013904223;
        size_t i = random >> 16 & (LIVE - 1);
        if (blocks[i]) {
            for (size_t k = 0; k < sizes[i]; k += sizes[i] / 7 + 1)
                assert_int_equal(blocks[i][k], (unsigned char)i);
            assert_int_equal(blocks[i][sizes[i] - 1], (unsigned char)i);
            tensor_pool_put(pool, blocks[i]);
            blocks[i] = NULL;
        } else {
            sizes[i] = 1 + (random >> 3) % (random & 64 ? 200000 : 700);
            blocks[i] = tensor_pool_get(pool, sizes[i]);
            assert_non_null(blocks[i]);
            memset(blocks[i], (int)i, sizes[i]);
        }
    }
    for (size_t i = 0; i < LIVE; i++)
        tensor_pool_put(pool, blocks[i]);
    struct tensor_pool_use use = tensor_pool_use(pool);
    assert_int_equal(use.now_bytes, 0);
    assert_non_null(tensor_pool_get(pool, (size_t)255 * MIB));
    tensor_pool_destroy(pool);
}

// Large ones, more than keep their pages: pages wander, and what is in use stays as it was written.
static void test_wandering_pages(void **state) {
    enum { LIVE = 16, ROUNDS = 600, STEP = 65536 };
    struct tensor_pool *pool = tensor_pool_create((size_t)2048 * MIB);
    uint32_t *blocks[LIVE] = {0}, random = 3;
    size_t sizes[LIVE] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1664525 + 1013904223;
        size_t i = random >> 16 & (LIVE - 1);
        if (blocks[i]) {
            for (size_t at = 0; at < sizes[i]; at += STEP)
                assert_int_equal(blocks[i][at / sizeof **blocks], i + at);
            tensor_pool_put(pool, blocks[i]);
            blocks[i] = NULL;
        } else {
            sizes[i] = STEP + (random >> 3) % ((size_t)40 * MIB);
            blocks[i] = tensor_pool_get(pool, sizes[i]);
            for (size_t at = 0; at < sizes[i]; at += STEP)
                blocks[i][at / sizeof **blocks] = (uint32_t)(i + at);
        }
    }
    for (size_t i = 0; i < LIVE; i++)
        tensor_pool_put(pool, blocks[i]);
    struct tensor_pool_use use = tensor_pool_use(pool);
    assert_int_equal(use.now_bytes, 0);
    assert_true(use.most_bytes > (size_t)200 * MIB && use.warm_bytes < use.most_bytes + 80 * MIB);
    assert_non_null(tensor_pool_get(pool, (size_t)2047 * MIB));
    tensor_pool_destroy(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_and_put), cmocka_unit_test(test_holes),
        cmocka_unit_test(test_bounds),      cmocka_unit_test(test_pages),
        cmocka_unit_test(test_churn),       cmocka_unit_test(test_wandering_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
