#include "base/mem.h"
#include "format/ini_edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MARK "tune"

static const struct ini_line TWO[] = {{NULL, "why", false}, {"threads", "6", false}};

static void assert_text(struct buf *out, const char *wanted) {
    if (strcmp(buf_text(out), wanted) != 0)
        print_message("got:\n%s\nwanted:\n%s\n", buf_text(out), wanted);
    assert_string_equal(buf_text(out), wanted);
    buf_fini(out);
}

// Placing into [a], and taking out again, which gives the original back.
static void placing(void **state) {
    (void)state;
    static const struct {
        const char *before, *after;
        bool ends_alike; // false: a line end that was missing stays behind
    } CASES[] = {
        {"[a]\nmodel = m\n", "[a]\nmodel = m\n; tune: why\nthreads = 6  ; tune\n", true},
        {"[a]\nmodel = m\n\n# of b\n[b]\nmodel = n\n",
         "[a]\nmodel = m\n; tune: why\nthreads = 6  ; tune\n\n# of b\n[b]\nmodel = n\n", true},
        {"[b]\nthreads = 3\n[a]\n[c]\n",
         "[b]\nthreads = 3\n[a]\n; tune: why\nthreads = 6  ; tune\n[c]\n", true},
        {"[*]\nthreads = 3\n[ a ] ; mine\nmodel=m\n",
         "[*]\nthreads = 3\n[ a ] ; mine\nmodel=m\n; tune: why\nthreads = 6  ; tune\n", true},
        {"[a]\r\nmodel = m\r\n", "[a]\r\nmodel = m\r\n; tune: why\r\nthreads = 6  ; tune\r\n",
         true},
        {"[a]\rmodel = m\r", "[a]\rmodel = m\r; tune: why\rthreads = 6  ; tune\r", true},
        {"[a]\nmodel = m", "[a]\nmodel = m\n; tune: why\nthreads = 6  ; tune", false},
        {"\xef\xbb\xbf[a]\nmodel = m\n",
         "\xef\xbb\xbf[a]\nmodel = m\n; tune: why\nthreads = 6  ; tune\n", true},
        {"[a]\n\tmodel = m ; tune my way\n;tune: mine\n",
         "[a]\n\tmodel = m ; tune my way\n; tune: why\nthreads = 6  ; tune\n;tune: mine\n", true},
        {"[a]\n; tuned by hand\nubatch-size = 64 ; tuned\n",
         "[a]\n; tuned by hand\nubatch-size = 64 ; tuned\n; tune: why\nthreads = 6  ; tune\n",
         true},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf out;
        struct err err = {0};
        bool found = false;
        buf_init(&out, 1 << 16);
        assert_true(ini_edit_place(CASES[i].before, strlen(CASES[i].before), "a", MARK, TWO, 2,
                                   &out, &err));
        assert_text(&out, CASES[i].after);
        buf_init(&out, 1 << 16);
        assert_true(
            ini_edit_strip(CASES[i].after, strlen(CASES[i].after), "a", MARK, &out, &found));
        assert_true(found);
        if (CASES[i].ends_alike)
            assert_text(&out, CASES[i].before);
        buf_fini(&out);
    }
}

// Our earlier lines go, wherever in the section they were; the user's stay, also between them.
static void replacing(void **state) {
    (void)state;
    static const struct {
        const char *before, *after;
    } CASES[] = {
        {"[a]\n; tune: old\nubatch-size = 64\t; tune\nmodel = m\n[b]\n; tune: of b\nt = 1 ; tune\n",
         "[a]\n; tune: why\nthreads = 6  ; tune\nmodel = m\n[b]\n; tune: of b\nt = 1 ; tune\n"},
        {"[a]\nmodel = m\n; tune: old\n; mine\nthreads = 2  ; tune\nkv = q8_0\n",
         "[a]\nmodel = m\n; tune: why\nthreads = 6  ; tune\n; mine\nkv = q8_0\n"},
        {"[a]\nmodel = m\nthreads = 2 ; tune",
         "[a]\nmodel = m\n; tune: why\nthreads = 6  ; tune\n"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf out;
        struct err err = {0};
        buf_init(&out, 1 << 16);
        assert_true(ini_edit_place(CASES[i].before, strlen(CASES[i].before), "a", MARK, TWO, 2,
                                   &out, &err));
        assert_text(&out, CASES[i].after);
    }
}

static void a_missing_section_is_added(void **state) {
    (void)state;
    const struct ini_line lines[] = {{"model", "/m/x.gguf", true}, {"threads", "6", false}};
    struct buf out;
    struct err err = {0};
    buf_init(&out, 1 << 16);
    assert_true(ini_edit_place("[b]\nx = 1", 9, "a", MARK, lines, 2, &out, &err));
    assert_text(&out, "[b]\nx = 1\n\n[a]\nmodel = /m/x.gguf\nthreads = 6  ; tune\n");
    buf_init(&out, 1 << 16);
    assert_true(ini_edit_place("", 0, "a", MARK, lines, 2, &out, &err));
    assert_text(&out, "[a]\nmodel = /m/x.gguf\nthreads = 6  ; tune\n");
}

static void the_users_keys_are_theirs(void **state) {
    (void)state;
    static const char file[] = "[*]\nthreads = 1\n[a]\nmodel = m\nthreads=8 ; mine\n[b]\nx = 1\n";
    struct buf out;
    struct err err = {0};
    buf_init(&out, 1 << 16);
    assert_false(ini_edit_place(file, sizeof file - 1, "a", MARK, TWO, 2, &out, &err));
    assert_string_equal(err.text, "[a] sets threads itself");
    assert_int_equal(out.length, 0);
    assert_true(ini_edit_has(file, sizeof file - 1, "a", MARK, "threads"));
    assert_false(ini_edit_has(file, sizeof file - 1, "b", MARK, "threads"));
    assert_false(ini_edit_has("[a]\nthreads = 1 ; tune\n", 23, "a", MARK, "threads"));
    buf_fini(&out);
}

static void values_that_would_read_otherwise(void **state) {
    (void)state;
    static const char *const VALUES[] = {"a\nb = 1", "x ; y", "x # y", "#x", "a\x01", "a\rb"};
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        const struct ini_line line = {"model-draft", VALUES[i], false};
        struct buf out;
        struct err err = {0};
        buf_init(&out, 1 << 16);
        assert_false(ini_edit_place("[a]\n", 4, "a", MARK, &line, 1, &out, &err));
        assert_int_equal(err.code, ERR_INVALID);
        buf_fini(&out);
    }
}

static void no_lines_take_ours_out(void **state) {
    (void)state;
    static const char file[] = "[a]\n; tune: x\nthreads = 1 ; tune\nmodel = m\n";
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_true(ini_edit_place(file, sizeof file - 1, "a", MARK, NULL, 0, &out, NULL));
    assert_text(&out, "[a]\nmodel = m\n");
    buf_init(&out, 20); // a full buffer is told
    assert_false(ini_edit_strip("[a]\nmodel = something long\n", 27, "a", MARK, &out, NULL));
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placing),
        cmocka_unit_test(replacing),
        cmocka_unit_test(a_missing_section_is_added),
        cmocka_unit_test(the_users_keys_are_theirs),
        cmocka_unit_test(values_that_would_read_otherwise),
        cmocka_unit_test(no_lines_take_ours_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
