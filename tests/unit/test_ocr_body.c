#include "body.h"

#include "base/buf.h"
#include "base/mem.h"
#include "format/base64.h"
#include "format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEEP = 4 };

struct photos {
    struct buf bytes[KEEP];
    size_t complete, pieces;
};

static bool is_image(const char *parent, const char *key) {
    return (strcmp(parent, "inlineData") == 0 && strcmp(key, "data") == 0) ||
           strcmp(key, "imagens") == 0;
}

static bool on_image(void *arg, size_t index, const void *bytes, size_t length, bool complete,
                     struct err *err) {
    struct photos *photos = arg;
    assert_int_equal(index, photos->complete);
    assert_true(length > 0 || complete);
    buf_add(&photos->bytes[index], bytes, length);
    photos->pieces++;
    photos->complete += complete;
    return length < 3 || memcmp(bytes, "BAD", 3) != 0 ||
           err_set(err, ERR_DENIED, "the disk is full");
}

static const struct body_ops ops = {is_image, on_image};

// The tree as text and the photos behind it, or the error.
static char *read_in(const char *text, size_t length, size_t step) {
    struct photos photos = {.complete = 0};
    struct body_limits limits = {.tree_bytes = 4000, .images = 3, .image_bytes = 100};
    struct err err = {0};
    struct buf out;
    for (size_t i = 0; i < KEEP; i++)
        buf_init(&photos.bytes[i], 1 << 20);
    buf_init(&out, 1 << 20);
    struct body *body = body_create(&limits, &ops, &photos);
    bool good = true;
    for (size_t at = 0; at < length && good; at += step)
        good = body_feed(body, text + at, length - at < step ? length - at : step, &err);
    json_t *tree = good ? body_end(body, &err) : NULL;
    if (tree) {
        json_write(&out, tree);
        for (size_t i = 0; i < photos.complete; i++) {
            buf_adds(&out, " | ");
            buf_add(&out, buf_bytes(&photos.bytes[i]), photos.bytes[i].length);
        }
    } else {
        buf_printf(&out, "! %s", err.text);
    }
    json_decref(tree);
    body_destroy(body);
    for (size_t i = 0; i < KEEP; i++)
        buf_fini(&photos.bytes[i]);
    return buf_take(&out, NULL);
}

static const struct {
    const char *text, *expected;
} cases[] = {
    {"{\"a\":[1,2.5,\"x\\u00e9\",null,true,{\"b\":{}}]}",
     "{\"a\":[1,2.5,\"x\xc3\xa9\",null,true,{\"b\":{}}]}"},
    {"{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"Zm9vYmFy\"}}",
     "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":0}} | foobar"},
    {"{\"data\":\"Zm9v\"}", "{\"data\":\"Zm9v\"}"}, // not under inlineData
    {"{\"p\":[{\"id\":7,\"imagens\":[\"Zg==\",\"Zm8=\"]},{\"imagens\":[\"\"]}]}",
     "{\"p\":[{\"id\":7,\"imagens\":[0,1]},{\"imagens\":[2]}]} | f | fo | "},
    {"{\"imagens\":[\"data:image/jpeg;base64,Zm9v\"]}", "{\"imagens\":[0]} | foo"},
    {"{\"imagens\":[null,3]}", "{\"imagens\":[null,3]}"},
    {"[]", "[]"},
    {"{\"imagens\":[\"Zg\",\"Zg\",\"Zg\",\"Zg\"]}", "! more than 3 photos in one request"},
    {"{\"imagens\":[\"Zg\",\"Z!\"]}",
     "! photo 2: this is not base64: \"!\" (0x21) does not belong"},
    {"{\"imagens\":[\"Z\"]}", "! photo 1: this base64 is cut short"},
    {"{\"imagens\":[\"QkFE\"]}", "! the disk is full"},
    {"{\"a\":1,\"a\":2}", "! the key \"a\" is there twice"},
    {"{\"a\":1", "! not JSON at byte 6: it ends in the middle"},
};

static void test_bodies_however_they_are_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 40; step++) {
            // In smaller pieces "BAD" does not come at once.
            if (strstr(cases[i].text, "QkFE") && step < 30)
                continue;
            char *found = read_in(cases[i].text, strlen(cases[i].text), step);
            assert_string_equal(found, cases[i].expected);
            mem_free(found);
        }
}

static void test_limits(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_adds(&text, "{\"imagens\":[\"");
    for (int i = 0; i < 35; i++) // 105 bytes
        buf_adds(&text, "AAAA");
    buf_adds(&text, "\"]}");
    char *found = read_in(buf_text(&text), text.length, 17);
    assert_string_equal(found, "! photo 1 has more than 100 bytes");
    mem_free(found);
    buf_clear(&text);
    buf_adds(&text, "[0");
    for (int i = 0; i < 100; i++) // each value costs, however short
        buf_adds(&text, ",0");
    buf_adds(&text, "]");
    found = read_in(buf_text(&text), text.length, 50);
    assert_string_equal(found, "! more than 4000 bytes beside the photos");
    mem_free(found);
    buf_fini(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies_however_they_are_cut),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
