#include "format/ini.h"

#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// "[section] key=value ..." of the whole file, the form that the tables below expect.
static void flatten(const struct ini *ini, struct buf *out) {
    for (size_t i = 0; i < ini->count; i++) {
        buf_printf(out, "[%s]%u ", ini->sections[i].name, ini->sections[i].line);
        for (size_t k = 0; k < ini->sections[i].count; k++) {
            const struct ini_entry *entry = &ini->sections[i].entries[k];
            buf_printf(out, "%s=%s|%u ", entry->key, entry->value, entry->line);
        }
    }
}

static void test_accepts(void **state) {
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", ""},
        {"\n\n; c\n # c\n", ""},
        {"[*]\nctx = 1\n[a b]\nk=v", "[*]1 ctx=1|2 [a b]3 k=v|4 "},
        {"[a]\r\nk = v \r\n\r\nl = w\r\n", "[a]1 k=v|2 l=w|4 "},
        {"[a]\rk=1\rl=2", "[a]1 k=1|2 l=2|3 "},
        {"\xef\xbb\xbf[a]\n", "[a]1 "},
        {"version = 1\n[a]\n", "[]1 version=1|1 [a]2 "},
        {"[a] ; note\n  k\t=\t v w \t# note\n", "[a]1 k=v w|2 "},
        {"[a]\nk = a#b;c\nl = # gone\nm =#gone\nn =\n", "[a]1 k=a#b;c|2 l=|3 m=|4 n=|5 "},
        {"[a]\nk = {\"x\": [\"y = z\"]}\n", "[a]1 k={\"x\": [\"y = z\"]}|2 "},
        {"[a]\nk = \xc3\xa9\n_A.b-9 = x\n", "[a]1 k=\xc3\xa9|2 _A.b-9=x|3 "},
        {"[a]\n[b]\nk=1\n", "[a]1 [b]2 k=1|3 "},
        {"[a]\nk=1\n[b]\nk=2\n", "[a]1 k=1|2 [b]3 k=2|4 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct buf out;
        buf_init(&out, 10000);
        struct ini *ini = ini_parse(cases[i].text, strlen(cases[i].text), NULL, NULL, &err);
        assert_string_equal(err.text, "");
        assert_non_null(ini);
        flatten(ini, &out);
        assert_string_equal(buf_text(&out), cases[i].expected);
        ini_destroy(ini);
        buf_fini(&out);
    }
}

static void test_refuses(void **state) {
    static const struct {
        const char *text, *expected; // a part of the message
    } cases[] = {
        {"[a]\nk = 1\n\n[a]\n", "line 4: section [a] is already on line 1"},
        {"[a]\nk = 1\nj = 1\nk = 1\n", "line 4: k is already set on line 2"},
        {"[a\n", "line 1: \"[\" without \"]\""},
        {"[ ]\n", "line 1: the section has no name"},
        {"[a] x\n", "line 1: text after"},
        {"[a]\nhello\n", "line 2: expected \"key = value\""},
        {"[a]\n= 1\n", "line 2: expected \"key = value\""},
        {"[a]\n9k = 1\n", "line 2: expected \"key = value\""},
        {"[a]\na b = 1\n", "line 2: expected \"key = value\""},
        {"[a]\n--ctx-size = 1\n", "line 2: keys have no leading dashes; write \"ctx-size = 1\""},
        {"[a]\nk = \x1b[31m\n", "line 2: a control character"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        assert_null(ini_parse(cases[i].text, strlen(cases[i].text), NULL, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, cases[i].expected))
            fail_msg("got \"%s\", expected \"%s\"", err.text, cases[i].expected);
    }
    struct err err = {0};
    assert_null(ini_parse("[a]\nk = \0x\n", 11, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "line 2: a control character"));
}

static void count_problem(void *arg, unsigned line, const char *text) {
    buf_printf(arg, "%u ", line);
}

static void test_goes_on_after_problems(void **state) {
    static const char text[] = "[a]\nk = 1\nbad\n[b\nlost = 1\n[a]\nlost = 2\n[c]\nk = 2\n";
    struct buf lines, out;
    buf_init(&lines, 1000);
    buf_init(&out, 1000);
    struct ini *ini = ini_parse(text, strlen(text), count_problem, &lines, NULL);
    assert_non_null(ini);
    flatten(ini, &out);
    assert_string_equal(buf_text(&lines), "3 4 6 ");
    assert_string_equal(buf_text(&out), "[a]1 k=1|2 [c]8 k=2|9 ");
    ini_destroy(ini);
    buf_fini(&lines);
    buf_fini(&out);
}

// One below a bound passes, one above does not.
static void test_bounds(void **state) {
    static const struct {
        const char *format;
        unsigned max, extra; // extra: the header line
    } cases[] = {{"[s%u]\n", INI_MAX_SECTIONS, 0}, {"k%u = 1\n", INI_MAX_ENTRIES, 1}};
    for (size_t i = 0; i < 2; i++) {
        struct buf text;
        struct err err = {0};
        buf_init(&text, INI_MAX_BYTES);
        if (cases[i].extra)
            buf_adds(&text, "[s]\n");
        for (unsigned n = 0; n < cases[i].max; n++) {
            char line[40];
            snprintf(line, sizeof line, i == 0 ? "[s%u]\n" : "k%u = 1\n", n);
            buf_adds(&text, line);
        }
        struct ini *ini = ini_parse(buf_bytes(&text), text.length, NULL, NULL, &err);
        assert_non_null(ini);
        ini_destroy(ini);
        buf_adds(&text, i == 0 ? "[more]\n" : "more = 1\n");
        assert_null(ini_parse(buf_bytes(&text), text.length, count_problem, &text, &err));
        assert_int_equal(err.code, ERR_LIMIT);
        buf_fini(&text);
    }
    struct err err = {0};
    char *large = mem_alloc(INI_MAX_BYTES + 1);
    memset(large, '\n', INI_MAX_BYTES + 1);
    assert_null(ini_parse(large, INI_MAX_BYTES + 1, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    struct ini *ini = ini_parse(large, INI_MAX_BYTES, NULL, NULL, &err);
    assert_non_null(ini);
    ini_destroy(ini);
    memset(large, 'k', INI_MAX_LINE + 2);
    large[1] = '=';
    assert_null(ini_parse(large, INI_MAX_BYTES, NULL, NULL, &err));
    assert_non_null(strstr(err.text, "line 1: the line is longer"));
    mem_free(large);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_goes_on_after_problems),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
