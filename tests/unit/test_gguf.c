#include "gguf_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static int begin(void **state) {
    test_folder_begin();
    return 0;
}

static int end(void **state) { return rmdir(test_folder); }

static void start(struct buf *b, uint64_t tensors, uint64_t values) {
    buf_init(b, 64 << 20);
    put_head(b, 3, tensors, values);
}

static void refused(struct buf *b, const char *why) {
    struct err err;
    struct gguf *gguf = open_bytes(b, b->length, &err);
    if (gguf || !strstr(err.text, why))
        fail_msg("wanted \"%s\", got \"%s\"", why, gguf ? "(accepted)" : err.text);
    assert_non_null(strstr(err.text, "file.gguf")); // names the file
    buf_fini(b);
}

static struct gguf *accepted(struct buf *b) {
    struct err err;
    struct gguf *gguf = open_bytes(b, b->length, &err);
    if (!gguf)
        fail_msg("%s", err.text);
    buf_fini(b);
    return gguf;
}

// ---- metadata ----

static const struct scalar {
    const char *key;
    enum gguf_value_type type;
    uint64_t bits; // as in the file
    size_t size;
    bool is_uint;
    uint64_t as_uint;
    double as_number;
} SCALARS[] = {
    {"u8", GGUF_U8, 255, 1, true, 255, 255},
    {"i8", GGUF_I8, 0x80, 1, false, 0, -128},
    {"i8+", GGUF_I8, 0x7f, 1, true, 127, 127},
    {"u16", GGUF_U16, 65535, 2, true, 65535, 65535},
    {"i16", GGUF_I16, 0xffff, 2, false, 0, -1},
    {"u32", GGUF_U32, UINT32_MAX, 4, true, UINT32_MAX, 4294967295.0},
    {"i32", GGUF_I32, 0x80000000, 4, false, 0, -2147483648.0},
    {"i32+", GGUF_I32, 7, 4, true, 7, 7},
    {"f32", GGUF_F32, 0x3fc00000, 4, false, 0, 1.5},
    {"yes", GGUF_BOOL, 1, 1, true, 1, 1},
    {"no", GGUF_BOOL, 0, 1, true, 0, 0},
    {"u64", GGUF_U64, UINT64_MAX, 8, true, UINT64_MAX, 18446744073709551615.0},
    {"i64", GGUF_I64, UINT64_MAX, 8, false, 0, -1},
    {"i64+", GGUF_I64, INT64_MAX, 8, true, INT64_MAX, 9223372036854775807.0},
    {"f64", GGUF_F64, 0xbff8000000000000, 8, false, 0, -1.5},
};
enum { SCALAR_COUNT = sizeof SCALARS / sizeof *SCALARS };

static void test_scalars(void **state) {
    for (uint32_t version = 2; version <= 3; version++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        put_head(&b, version, 0, SCALAR_COUNT);
        for (size_t i = 0; i < SCALAR_COUNT; i++) {
            put_key(&b, SCALARS[i].key, SCALARS[i].type);
            put(&b, &SCALARS[i].bits, SCALARS[i].size);
        }
        struct gguf *gguf = accepted(&b);
        assert_int_equal(gguf_version(gguf), version);
        assert_int_equal(gguf_keys(gguf), SCALAR_COUNT);
        for (size_t i = 0; i < SCALAR_COUNT; i++) {
            const struct scalar *s = &SCALARS[i];
            enum gguf_value_type type;
            uint64_t number = 12345;
            double real;
            assert_string_equal(gguf_key_at(gguf, i, &type), s->key);
            assert_int_equal(type, s->type);
            assert_true(gguf_has(gguf, s->key));
            assert_int_equal(gguf_uint(gguf, s->key, &number), s->is_uint);
            assert_true(number == (s->is_uint ? s->as_uint : 12345)); // untouched
            assert_true(gguf_number(gguf, s->key, &real));
            assert_true(real == s->as_number);
            assert_null(gguf_text(gguf, s->key).data);
        }
        bool flag = false;
        assert_true(gguf_bool(gguf, "yes", &flag) && flag);
        assert_true(gguf_bool(gguf, "no", &flag) && !flag);
        assert_true(gguf_bool(gguf, "u8", &flag) && flag);
        assert_false(gguf_bool(gguf, "f32", &flag));
        assert_false(gguf_has(gguf, "absent"));
        gguf_close(gguf);
    }
}

static void test_texts(void **state) {
    struct buf b;
    start(&b, 0, 3);
    put_key_text(&b, "general.name", "a name");
    put_key_text(&b, "empty", "");
    put_key(&b, "long", GGUF_STRING);
    put_u64(&b, GGUF_TEXT_KEPT + 1);
    put_zeros(&b, GGUF_TEXT_KEPT + 1);
    struct gguf *gguf = accepted(&b);
    uint64_t number;
    double real;
    assert_true(span_is(gguf_text(gguf, "general.name"), "a name"));
    assert_int_equal(gguf_text(gguf, "empty").length, 0);
    assert_int_equal(gguf_text(gguf, "long").length, 0); // passed over, and what follows is read
    assert_true(gguf_has(gguf, "long"));
    assert_false(gguf_uint(gguf, "general.name", &number));
    assert_false(gguf_number(gguf, "general.name", &real));
    gguf_close(gguf);
}

static void put_numbers(struct buf *b, const char *key, enum gguf_value_type type, size_t size,
                        uint64_t count) {
    put_key(b, key, GGUF_ARRAY);
    put_u32(b, type);
    put_u64(b, count);
    for (uint64_t i = 0; i < count; i++)
        put(b, &i, size);
}

static void test_arrays(void **state) {
    static const struct {
        const char *key;
        enum gguf_value_type type;
        size_t size;
    } ARRAYS[] = {{"u8", GGUF_U8, 1},   {"i8", GGUF_I8, 1},     {"u16", GGUF_U16, 2},
                  {"i16", GGUF_I16, 2}, {"u32", GGUF_U32, 4},   {"i32", GGUF_I32, 4},
                  {"f32", GGUF_F32, 4}, {"bool", GGUF_BOOL, 1}, {"u64", GGUF_U64, 8},
                  {"i64", GGUF_I64, 8}, {"f64", GGUF_F64, 8}};
    enum { COUNT = sizeof ARRAYS / sizeof *ARRAYS };
    struct buf b;
    start(&b, 0, COUNT + 3);
    for (size_t i = 0; i < COUNT; i++)
        put_numbers(&b, ARRAYS[i].key, ARRAYS[i].type, ARRAYS[i].size, 100);
    put_numbers(&b, "kept", GGUF_U32, 4, GGUF_ARRAY_KEPT);
    put_numbers(&b, "large", GGUF_U32, 4, GGUF_ARRAY_KEPT + 1);
    put_numbers(&b, "none", GGUF_U32, 4, 0);
    struct gguf *gguf = accepted(&b);
    enum gguf_value_type type;
    uint64_t count, value = 77;
    for (size_t i = 0; i < COUNT; i++) {
        bool whole = ARRAYS[i].type != GGUF_F32 && ARRAYS[i].type != GGUF_F64;
        assert_true(gguf_array(gguf, ARRAYS[i].key, &type, &count));
        assert_int_equal(type, ARRAYS[i].type);
        assert_int_equal(count, 100);
        assert_int_equal(gguf_array_uint(gguf, ARRAYS[i].key, 99, &value), whole);
        assert_true(!whole || value == 99);
        assert_false(gguf_array_uint(gguf, ARRAYS[i].key, 100, &value));
    }
    assert_true(gguf_array_uint(gguf, "kept", GGUF_ARRAY_KEPT - 1, &value));
    assert_int_equal(value, GGUF_ARRAY_KEPT - 1);
    assert_true(gguf_array(gguf, "large", &type, &count));
    assert_int_equal(count, GGUF_ARRAY_KEPT + 1);
    assert_false(gguf_array_uint(gguf, "large", 0, &value));
    assert_true(gguf_array(gguf, "none", &type, &count) && count == 0);
    assert_false(gguf_uint(gguf, "u8", &value));
    gguf_close(gguf);
}

static void test_negative_elements_are_no_numbers(void **state) {
    struct buf b;
    start(&b, 0, 1);
    put_key(&b, "list", GGUF_ARRAY);
    put_u32(&b, GGUF_I32);
    put_u64(&b, 2);
    put_u32(&b, UINT32_MAX);
    put_u32(&b, 5);
    struct gguf *gguf = accepted(&b);
    uint64_t value;
    assert_false(gguf_array_uint(gguf, "list", 0, &value));
    assert_true(gguf_array_uint(gguf, "list", 1, &value) && value == 5);
    gguf_close(gguf);
}

// How many there are until the end or an error; the last one's text in `last`.
static uint64_t read_list(const struct gguf *gguf, const char *key, char last[64],
                          struct err *err) {
    struct gguf_list *list = gguf_list_open(gguf, key, err);
    struct span text;
    uint64_t count = 0;
    for (; list && gguf_list_next(list, &text, err); count++)
        snprintf(last, 64, "%.*s", (int)text.length, text.data);
    gguf_list_close(list);
    return count;
}

// As large as the largest vocabulary in use; read without holding it.
static void test_vocabulary(void **state) {
    enum { TOKENS = 250000 };
    struct buf b;
    char word[32];
    start(&b, 1, 2);
    put_key(&b, "tokenizer.ggml.tokens", GGUF_ARRAY);
    put_u32(&b, GGUF_STRING);
    put_u64(&b, TOKENS);
    for (int i = 0; i < TOKENS; i++) {
        snprintf(word, sizeof word, "token-%d", i);
        put_text(&b, word);
    }
    put_key_u32(&b, "after", 9);
    put_tensor(&b, "t", 0, 4, 1, 0);
    put_padding(&b, 32);
    put_zeros(&b, 32);
    char *path = write_file("vocab.gguf", &b, b.length);
    buf_fini(&b);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    struct err err = {0};
    struct gguf *gguf = gguf_open(path, &err);
    getrusage(RUSAGE_SELF, &after);
    assert_non_null(gguf);
#ifndef __SANITIZE_ADDRESS__
    assert_true(after.ru_maxrss - before.ru_maxrss < 1024); // KiB
#endif
    uint64_t number = 0;
    assert_true(gguf_uint(gguf, "after", &number) && number == 9);
    char last[64] = "";
    assert_int_equal(read_list(gguf, "tokenizer.ggml.tokens", last, &err), TOKENS);
    assert_int_equal(err.code, ERR_NONE);
    assert_string_equal(last, "token-249999");
    assert_int_equal(read_list(gguf, "after", last, &err), 0);
    assert_int_equal(err.code, ERR_NOTFOUND);
    assert_int_equal(truncate(path, 1000), 0); // changed under us
    err = (struct err){0};
    assert_true(read_list(gguf, "tokenizer.ggml.tokens", last, &err) < 100);
    assert_non_null(strstr(err.text, "incomplete"));
    unlink(path);
    assert_int_equal(read_list(gguf, "tokenizer.ggml.tokens", last, &err), 0);
    assert_non_null(strstr(err.text, "cannot open"));
    gguf_close(gguf);
    mem_free(path);
}

// ---- tensors ----

// Every type of the table with a size that its engine gives it.
static void test_every_type(void **state) {
    for (const struct gguf_type_info *type = gguf_type_next(NULL); type;
         type = gguf_type_next(type)) {
        struct buf b;
        uint64_t ne0 = (uint64_t)type->block * 8, bytes = gguf_row_bytes(type, ne0) * 48;
        uint64_t padded = (bytes + 31) / 32 * 32;
        start(&b, 3, 0);
        put_tensor(&b, "first", type->id, ne0, 48, 0);
        put_tensor(&b, "second", 0, 8, 2, padded);
        put_tensor(&b, "third", type->id, ne0, 48, padded + 64);
        put_padding(&b, 32);
        put_zeros(&b, (size_t)(2 * padded + 64));
        struct gguf *gguf = accepted(&b);
        const struct gguf_tensor *first = gguf_tensor_at(gguf, 0), *third = gguf_tensor_at(gguf, 2);
        assert_int_equal(first->bytes, bytes);
        assert_int_equal(third->bytes, bytes);
        assert_ptr_equal(first->info, type); // told apart from the others of its number
        assert_ptr_equal(third->info, type);
        assert_ptr_equal(gguf_tensor_find(gguf, "second"), gguf_tensor_at(gguf, 1));
        assert_null(gguf_tensor_find(gguf, "fourth"));
        assert_int_equal(gguf_tensor_at(gguf, 1)->bytes, 64);
        gguf_close(gguf);
    }
}

static void test_unknown_types_are_sized_from_offsets(void **state) {
    static const uint32_t IDS[] = {4, 5, 43, 49, 60, 132, 136, 201, 399, 1000, UINT32_MAX};
    for (size_t i = 0; i < sizeof IDS / sizeof *IDS; i++) {
        struct buf b;
        start(&b, 3, 0); // not in the order of their places
        put_tensor(&b, "b", IDS[i], 512, 7, 640);
        put_tensor(&b, "a", IDS[i], 512, 7, 0);
        put_tensor(&b, "c", 0, 8, 1, 640 + 320);
        put_padding(&b, 32);
        put_zeros(&b, 640 + 320 + 32);
        struct gguf *gguf = accepted(&b);
        assert_int_equal(gguf_tensor_find(gguf, "a")->bytes, 640);
        assert_int_equal(gguf_tensor_find(gguf, "b")->bytes, 320);
        assert_null(gguf_tensor_find(gguf, "a")->info);
        gguf_close(gguf);
    }
}

// turbo-tan's fork swaps Q1_0 and Q2_0; others use 46 for another type.
static void test_forks_number_differently(void **state) {
    static const struct {
        uint32_t id, block, block_bytes;
        const char *name;
        enum gguf_type_family family;
    } CASES[] = {
        {41, 128, 18, "Q1_0", GGUF_TYPE_MAINLINE}, {41, 64, 18, "Q2_0", GGUF_TYPE_TQ3},
        {42, 64, 18, "Q2_0", GGUF_TYPE_MAINLINE},  {42, 128, 18, "Q1_0", GGUF_TYPE_TQ3},
        {44, 32, 16, "TQ3_1S", GGUF_TYPE_TQ3},     {46, 32, 16, "TQ3_4S", GGUF_TYPE_TQ3},
        {46, 32, 20, "TQ4_1S", GGUF_TYPE_TURBO},   {46, 32, 24, NULL, GGUF_TYPE_UNKNOWN},
        {139, 256, 144, "IQ4_K", GGUF_TYPE_IK},    {139, 256, 200, "IQ4_K", GGUF_TYPE_IK},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf b;
        uint64_t bytes = 2048 / CASES[i].block * CASES[i].block_bytes * 4;
        start(&b, 1, 0);
        put_tensor(&b, "t", CASES[i].id, 2048, 4, 0);
        put_padding(&b, 32);
        put_zeros(&b, (size_t)bytes);
        struct gguf *gguf = accepted(&b);
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, 0);
        assert_int_equal(tensor->bytes, bytes);
        assert_int_equal(tensor->info ? tensor->info->family : GGUF_TYPE_UNKNOWN, CASES[i].family);
        if (CASES[i].name)
            assert_string_equal(tensor->info->name, CASES[i].name);
        gguf_close(gguf);
    }
}

static void test_dimensions(void **state) {
    for (uint32_t dims = 0; dims <= 5; dims++) {
        struct buf b;
        start(&b, 1, 0);
        put_text(&b, "t");
        put_u32(&b, dims);
        for (uint32_t i = 0; i < dims; i++)
            put_u64(&b, i + 2);
        put_u32(&b, 0);
        put_u64(&b, 0);
        put_padding(&b, 32);
        put_zeros(&b, 4 * 2 * 3 * 4 * 5);
        if (dims > GGUF_DIMS_MAX) {
            refused(&b, "more than 4 dimensions");
            continue;
        }
        static const uint64_t BYTES[] = {4, 8, 24, 96, 480};
        struct gguf *gguf = accepted(&b);
        assert_int_equal(gguf_tensor_at(gguf, 0)->bytes, BYTES[dims]);
        assert_int_equal(gguf_tensor_at(gguf, 0)->ne[3], dims == 4 ? 5 : 1);
        gguf_close(gguf);
    }
}

static void one_tensor(struct buf *b, const char *name, uint32_t type, uint64_t ne0, uint64_t ne1,
                       uint64_t offset, size_t data) {
    start(b, 1, 0);
    put_tensor(b, name, type, ne0, ne1, offset);
    put_padding(b, 32);
    put_zeros(b, data);
}

static void test_impossible_tensors(void **state) {
    struct buf b;
    char name[GGUF_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    one_tensor(&b, name, 0, 4, 1, 0, 64);
    refused(&b, "name that is empty or too long");
    one_tensor(&b, "", 0, 4, 1, 0, 64);
    refused(&b, "name that is empty or too long");
    one_tensor(&b, "t", 0, 0, 1, 0, 64);
    refused(&b, "impossible size");
    one_tensor(&b, "t", 0, UINT64_C(1) << 32, UINT64_C(1) << 32, 0, 64); // 2^64 elements: 0
    refused(&b, "impossible size");
    one_tensor(&b, "t", 0, UINT64_C(1) << 62, 1, 0, 64); // 2^64 bytes
    refused(&b, "impossible size");
    one_tensor(&b, "t", 0, UINT64_C(1) << 60, 1, 0, 64);
    refused(&b, "download is incomplete");
    one_tensor(&b, "t", 28, UINT64_C(1) << 60, 1, UINT64_MAX - 31, 64);
    refused(&b, "download is incomplete");
    one_tensor(&b, "t", 0, 4, 1, 4, 64);
    refused(&b, "not aligned");
    one_tensor(&b, "t", 0, 32, 1, 32, 128);
    refused(&b, "would end 32 bytes behind");
    one_tensor(&b, "t", 0, 32, 1, 32, 160);
    gguf_close(accepted(&b));
    one_tensor(&b, "t", 2, 33, 1, 0, 64);
    refused(&b, "no whole number of blocks");
    one_tensor(&b, "t", 46, 32, 1, 64, 64);
    refused(&b, "incomplete");
    one_tensor(&b, "t", 46, 32, 1, UINT64_MAX - 31, 64);
    refused(&b, "incomplete");
    start(&b, 2, 0);
    put_tensor(&b, "t", 0, 32, 1, 0);
    put_tensor(&b, "u", 0, 32, 1, 96);
    put_zeros(&b, 512);
    refused(&b, "overlap");
    start(&b, 2, 0);
    put_tensor(&b, "t", 46, 32, 1, 0);
    put_tensor(&b, "u", 46, 32, 1, 0);
    put_zeros(&b, 512);
    refused(&b, "overlap");
    start(&b, 2, 0);
    put_tensor(&b, "t", 0, 4, 1, 0);
    put_tensor(&b, "t", 0, 4, 1, 32);
    put_zeros(&b, 512);
    refused(&b, "tensor t is there twice");
}

static void test_name_with_nul(void **state) {
    struct buf b;
    start(&b, 1, 0);
    put_u64(&b, 3);
    put(&b, "a\0b", 3);
    put_zeros(&b, 128);
    refused(&b, "name that is empty or too long");
}

static void test_many_tensors(void **state) {
    enum { COUNT = 50000 };
    struct buf b;
    char name[64];
    start(&b, COUNT, 0);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "blk.%d.ffn_up.weight", i);
        put_tensor(&b, name, 0, 8, 1, (uint64_t)(COUNT - 1 - i) * 32); // from behind
    }
    put_padding(&b, 32);
    put_zeros(&b, COUNT * 32);
    struct gguf *gguf = accepted(&b);
    assert_int_equal(gguf_tensors(gguf), COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "blk.%d.ffn_up.weight", i);
        assert_ptr_equal(gguf_tensor_find(gguf, name), gguf_tensor_at(gguf, (size_t)i));
    }
    gguf_close(gguf);
}

// ---- hostile heads ----

static void test_not_gguf(void **state) {
    static const struct {
        const char *bytes;
        size_t length;
        const char *why;
    } CASES[] = {
        {"", 0, "ends in the middle"},
        {"GGU", 3, "ends in the middle"},
        {"GGML\3\0\0\0", 8, "not a GGUF file"},
        {"ggjt\3\0\0\0", 8, "not a GGUF file"},
        {"<!DOCTYPE html>", 15, "not a GGUF file"},
        {"version https://git-lfs.github.com/spec/v1", 42, "not a GGUF file"},
        {"GGUF\1\0\0\0", 8, "version 1"},
        {"GGUF\0\0\0\3", 8, "big-endian"},
        {"GGUF\0\0\0\2", 8, "big-endian"},
        {"GGUF\4\0\0\0", 8, "version we do not know"},
        {"GGUF\377\377\377\377", 8, "version we do not know"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf b;
        buf_init(&b, 100);
        put(&b, CASES[i].bytes, CASES[i].length);
        refused(&b, CASES[i].why);
    }
    struct err err = {0};
    assert_null(gguf_open("/nonexistent/file.gguf", &err));
    assert_non_null(strstr(err.text, "cannot open /nonexistent/file.gguf"));
    assert_null(gguf_open("/dev/null", &err));
    assert_non_null(strstr(err.text, "not a file"));
    assert_null(gguf_open("/tmp", &err));
    assert_null(gguf_open("/nonexistent", NULL));
}

static void test_counts(void **state) {
    static const struct {
        uint64_t tensors, values;
        const char *why;
    } CASES[] = {
        {0, UINT64_MAX, "more metadata than any model"},
        {0, GGUF_KEYS_MAX + 1, "more metadata than any model"},
        {UINT64_MAX, 0, "more tensors than the file could hold"},
        {1000, 0, "more tensors than the file could hold"},
        {0, 5, "ends in the middle"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf b;
        start(&b, CASES[i].tensors, CASES[i].values);
        refused(&b, CASES[i].why);
    }
    struct buf b;
    start(&b, GGUF_TENSORS_MAX + 1, 0);
    put_zeros(&b, (GGUF_TENSORS_MAX + 1) * 40);
    refused(&b, "more tensors than any model");
}

static void test_keys(void **state) {
    struct buf b;
    char name[GGUF_KEY_MAX + 2];
    memset(name, 'k', sizeof name);
    name[sizeof name - 1] = '\0';
    start(&b, 0, 1);
    put_key_u32(&b, name, 1);
    refused(&b, "key that is empty or too long");
    start(&b, 0, 1);
    put_key_u32(&b, name + 1, 1);
    gguf_close(accepted(&b));
    start(&b, 0, 1);
    put_key_u32(&b, "", 1);
    refused(&b, "key that is empty or too long");
    start(&b, 0, 2);
    put_key_u32(&b, "k", 1);
    put_key_u32(&b, "k", 2);
    refused(&b, "key that is there twice");
    start(&b, 0, 1);
    put_key(&b, "k", (enum gguf_value_type)13);
    put_u64(&b, 0);
    refused(&b, "value of an unknown type");
    start(&b, 0, GGUF_KEYS_MAX);
    for (int i = 0; i < GGUF_KEYS_MAX; i++) {
        snprintf(name, sizeof name, "key-%d", i);
        put_key_u32(&b, name, (uint32_t)i);
    }
    struct gguf *gguf = accepted(&b);
    uint64_t number;
    assert_true(gguf_uint(gguf, "key-4095", &number) && number == 4095);
    gguf_close(gguf);
}

static void array_head(struct buf *b, uint32_t element, uint64_t count) {
    start(b, 0, 1);
    put_key(b, "list", GGUF_ARRAY);
    put_u32(b, element);
    put_u64(b, count);
}

static void test_hostile_arrays(void **state) {
    struct buf b;
    array_head(&b, GGUF_ARRAY, 1); // a list of lists
    put_u32(&b, GGUF_U8);
    put_u64(&b, 1);
    put_zeros(&b, 8);
    refused(&b, "arrays of arrays");
    array_head(&b, 13, 1);
    refused(&b, "array of an unknown type");
    array_head(&b, UINT32_MAX, 1);
    refused(&b, "array of an unknown type");
    array_head(&b, GGUF_U64, UINT64_MAX / 8 + 2); // 8 bytes each: wraps around to 8
    put_zeros(&b, 64);
    refused(&b, "array larger than the file");
    array_head(&b, GGUF_U8, 65);
    put_zeros(&b, 64);
    refused(&b, "array larger than the file");
    array_head(&b, GGUF_STRING, UINT64_MAX);
    put_zeros(&b, 64);
    refused(&b, "more strings than the file could hold");
    array_head(&b, GGUF_STRING, 2);
    put_text(&b, "fine");
    put_u64(&b, UINT64_MAX); // the next one's length
    refused(&b, "ends in the middle");
    start(&b, 0, 1);
    put_key(&b, "text", GGUF_STRING);
    put_u64(&b, UINT64_MAX - 3);
    put_zeros(&b, 64);
    refused(&b, "ends in the middle");
}

static void test_alignment(void **state) {
    static const uint32_t BAD[] = {0, 3, 48, 131072, 0x80000000};
    static const uint32_t GOOD[] = {1, 8, 32, 64, 4096, 65536};
    struct buf b;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        start(&b, 0, 1);
        put_key_u32(&b, "general.alignment", BAD[i]);
        refused(&b, "alignment that is no power of two");
    }
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
        start(&b, 2, 1);
        put_key_u32(&b, "general.alignment", GOOD[i]);
        put_tensor(&b, "t", 0, 2, 1, 0);
        put_tensor(&b, "u", 0, 2, 1, GOOD[i] < 8 ? 8 : GOOD[i]);
        put_padding(&b, GOOD[i]);
        put_zeros(&b, (GOOD[i] < 8 ? 8 : GOOD[i]) + 8);
        struct gguf *gguf = accepted(&b);
        assert_int_equal(gguf_alignment(gguf), GOOD[i]);
        gguf_close(gguf);
    }
}

// What is kept in memory has a limit for all values together.
static void test_kept_metadata_is_bounded(void **state) {
    enum { COUNT = 20 };
    struct buf b;
    char key[16];
    start(&b, 0, COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "text-%d", i);
        put_key(&b, key, GGUF_STRING);
        put_u64(&b, GGUF_TEXT_KEPT);
        put_zeros(&b, GGUF_TEXT_KEPT);
    }
    struct gguf *gguf = accepted(&b);
    assert_int_equal(gguf_text(gguf, "text-15").length, GGUF_TEXT_KEPT);
    assert_int_equal(gguf_text(gguf, "text-16").length, 0);
    assert_true(gguf_has(gguf, "text-19"));
    gguf_close(gguf);
}

// A hole of many GB, all of it "strings", must not keep its reader busy.
static void test_endless_header(void **state) {
    struct buf b;
    array_head(&b, GGUF_STRING, UINT64_C(1) << 32);
    char *path = write_file("hole.gguf", &b, b.length);
    assert_int_equal(truncate(path, (off_t)1 << 36), 0);
    struct err err = {0};
    assert_null(gguf_open(path, &err));
    assert_non_null(strstr(err.text, "longer than any model's"));
    unlink(path);
    mem_free(path);
    buf_fini(&b);
}

// Some of everything, cut at every byte: an error each time, never a crash, never half a file.
static void test_truncated_everywhere(void **state) {
    struct buf b;
    start(&b, 2, 4);
    put_key_text(&b, "general.architecture", "llama");
    put_key_u32(&b, "llama.block_count", 1);
    put_numbers(&b, "list", GGUF_U16, 2, 3);
    put_key(&b, "words", GGUF_ARRAY);
    put_u32(&b, GGUF_STRING);
    put_u64(&b, 2);
    put_text(&b, "a");
    put_text(&b, "bc");
    put_tensor(&b, "t", 2, 32, 2, 0);
    put_tensor(&b, "u", 46, 32, 2, 64);
    size_t header = b.length;
    put_padding(&b, 32);
    put_zeros(&b, 64 + 32);
    for (size_t i = 0; i < b.length; i++) {
        struct err err;
        struct gguf *gguf = open_bytes(&b, i, &err);
        if (i > b.length - 32) { // the last tensor's type is known by its size alone
            assert_true(!gguf || !gguf_tensor_at(gguf, 1)->info);
            gguf_close(gguf);
            continue;
        }
        assert_null(gguf);
        assert_true(strstr(err.text, "incomplete") ||
                    (i < header && (strstr(err.text, "could hold") || strstr(err.text, "larger"))));
    }
    gguf_close(accepted(&b));
}

// ---- splits ----

struct part {
    const char *file;
    uint32_t number, count;
    const char *tensor;
    bool bare; // without split.* keys
};

static void write_part(const struct part *part, uint32_t total) {
    struct buf b;
    start(&b, 1, part->bare ? 1 : 4);
    put_key_text(&b, "general.architecture", "llama");
    if (!part->bare) {
        put_key_u32(&b, "split.no", part->number);
        put_key_u32(&b, "split.count", part->count);
        put_key_u32(&b, "split.tensors.count", total);
    }
    put_tensor(&b, part->tensor, 0, 8, 1, 0);
    put_padding(&b, 32);
    put_zeros(&b, 32);
    mem_free(write_file(part->file, &b, b.length));
    buf_fini(&b);
}

static void test_splits(void **state) {
#define ONE "m-00001-of-00003.gguf"
#define TWO "m-00002-of-00003.gguf"
#define THREE "m-00003-of-00003.gguf"
    static const struct {
        struct part parts[3];
        uint32_t total;
        const char *open;
        const char *why; // NULL: fine
    } CASES[] = {
        {{{ONE, 0, 3, "a", 0}, {TWO, 1, 3, "b", 0}, {THREE, 2, 3, "c", 0}}, 3, ONE, NULL},
        {{{ONE, 0, 3, "a", 0}, {TWO, 1, 3, "b", 0}, {THREE, 2, 3, "c", 0}}, 3, THREE, NULL},
        {{{ONE, 0, 3, "a", 0}, {TWO, 1, 3, "b", 0}}, 3, ONE, "cannot open"},
        {{{TWO, 1, 3, "b", 0}, {THREE, 2, 3, "c", 0}}, 3, TWO, "part 1 is not beside it"},
        {{{ONE, 0, 3, "a", 0}, {TWO, 1, 4, "b", 0}, {THREE, 2, 3, "c", 0}}, 3, ONE, "no part"},
        {{{ONE, 0, 3, "a", 0}, {TWO, 2, 3, "b", 0}, {THREE, 2, 3, "c", 0}}, 3, ONE, "no part"},
        {{{ONE, 0, 3, "a", 0}, {TWO, 1, 3, "b", 1}, {THREE, 2, 3, "c", 0}}, 3, ONE, "no part"},
        {{{ONE, 0, 3, "a", 0}, {TWO, 1, 3, "b", 0}, {THREE, 2, 3, "c", 0}}, 9, ONE, "in place of"},
        {{{ONE, 0, 3, "a", 0}, {TWO, 1, 3, "b", 0}, {THREE, 2, 3, "a", 0}}, 3, ONE, "twice"},
        {{{ONE, 0, 0, "a", 0}}, 1, ONE, "into 0 parts"},
        {{{ONE, 0, 100000, "a", 0}}, 1, ONE, "into 100000 parts"},
        {{{"other.gguf", 0, 3, "a", 0}}, 3, "other.gguf", "name does not end in"},
        {{{"m-0000x-of-00003.gguf", 0, 3, "a", 0}}, 3, "m-0000x-of-00003.gguf", "name does not"},
        {{{"the-best-of-seven.gguf", 0, 1, "a", 1}}, 1, "the-best-of-seven.gguf", NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        for (size_t p = 0; p < 3 && CASES[i].parts[p].file; p++)
            write_part(&CASES[i].parts[p], CASES[i].total);
        struct err err = {0};
        char *path = test_file(CASES[i].open);
        struct gguf *gguf = gguf_open(path, &err);
        if (CASES[i].why && (gguf || !strstr(err.text, CASES[i].why)))
            fail_msg("case %zu: %s", i, gguf ? "accepted" : err.text);
        if (!CASES[i].why && !gguf)
            fail_msg("case %zu: %s", i, err.text);
        if (gguf && gguf_splits(gguf) == 3) {
            assert_true(str_ends(gguf_path(gguf), ONE));
            assert_int_equal(gguf_tensors(gguf), 3);
            assert_int_equal(gguf_tensor_find(gguf, "c")->file, 2);
            assert_int_equal(gguf_tensor_find(gguf, "c")->bytes, 32);
        }
        gguf_close(gguf);
        mem_free(path);
        for (size_t p = 0; p < 3 && CASES[i].parts[p].file; p++) {
            path = test_file(CASES[i].parts[p].file);
            unlink(path);
            mem_free(path);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_negative_elements_are_no_numbers),
        cmocka_unit_test(test_vocabulary),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_unknown_types_are_sized_from_offsets),
        cmocka_unit_test(test_forks_number_differently),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_impossible_tensors),
        cmocka_unit_test(test_name_with_nul),
        cmocka_unit_test(test_many_tensors),
        cmocka_unit_test(test_not_gguf),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_hostile_arrays),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_kept_metadata_is_bounded),
        cmocka_unit_test(test_endless_header),
        cmocka_unit_test(test_truncated_everywhere),
        cmocka_unit_test(test_splits),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
