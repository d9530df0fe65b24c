#define _GNU_SOURCE
#include "base/path.h"

#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test-path-XXXXXX";

static void expect(char *got, const char *expected) {
    assert_string_equal(got, expected);
    mem_free(got);
}

static void test_names(void **state) {
    assert_string_equal(path_name("/a/b.gguf"), "b.gguf");
    assert_string_equal(path_name("b.gguf"), "b.gguf");
    assert_string_equal(path_name("a/"), "");
    assert_string_equal(path_name(""), "");
}

static void test_texts(void **state) {
    static const struct {
        const char *path, *absolute;
    } cases[] = {{"/a/b", "/a/b"},  {"/a//b/", "/a/b"},     {"/a/./b/.", "/a/b"},
                 {"/a/../b", "/b"}, {"/..", "/"},           {"/../../a", "/a"},
                 {"/", "/"},        {"/a/b/../../..", "/"}, {"/a..", "/a.."}};
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(path_absolute(cases[i].path, &err), cases[i].absolute);
    assert_int_equal(chdir("/tmp"), 0);
    expect(path_absolute("a/../b", &err), "/tmp/b");
    expect(path_join("/a", "b"), "/a/b");
    expect(path_join("/a/", "b"), "/a/b");
    expect(path_join("/a", "/b"), "/b");
}

static void test_places(void **state) {
    setenv("HOME", "/home/x", 1);
    setenv("XDG_CONFIG_HOME", "/c", 1);
    setenv("XDG_STATE_HOME", "relative", 1); // counts as unset
    unsetenv("XDG_CACHE_HOME");
    setenv("XDG_RUNTIME_DIR", "/r", 1);
    expect(path_config("f"), "/c/ancalagon/f");
    expect(path_state(NULL), "/home/x/.local/state/ancalagon");
    expect(path_cache(""), "/home/x/.cache/ancalagon");
    expect(path_runtime(), "/r/ancalagon");
    expect(path_expand("~/a"), "/home/x/a");
    expect(path_expand("~"), "/home/x");
    expect(path_expand("~a"), "~a");
    expect(path_expand("a~/b"), "a~/b");
}

static void test_private_folder(void **state) {
    struct err err;
    struct stat st;
    char *deep = path_join(folder, "a/b/c"), *file = path_join(folder, "file");
    assert_true(path_make_private(deep, &err));
    assert_true(path_make_private(deep, &err));
    assert_true(stat(deep, &st) == 0 && (st.st_mode & 0777) == 0700);
    chmod(deep, 0777);
    assert_true(path_make_private(deep, &err));
    assert_true(stat(deep, &st) == 0 && (st.st_mode & 077) == 0);
    char *link = path_join(folder, "link");
    assert_int_equal(symlink(deep, link), 0);
    assert_false(path_make_private(link, &err)); // somebody else may move it
    assert_true(path_write_file(file, "x", 1, 0600, &err));
    assert_false(path_make_private(file, &err));
    mem_free(deep);
    mem_free(link);
    mem_free(file);
}

static void test_files(void **state) {
    struct err err;
    struct stat st;
    size_t length;
    char *file = path_join(folder, "content"), *absent = path_join(folder, "no/content");
    assert_true(path_write_file(file, "old", 3, 0644, &err));
    assert_true(path_write_file(file, "a\0b", 3, 0600, &err));
    assert_true(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
    char *read = path_read_file(file, 3, &length, &err);
    assert_int_equal(length, 3);
    assert_memory_equal(read, "a\0b", 4);
    mem_free(read);
    assert_null(path_read_file(file, 2, NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    read = path_read_private(file, 3, &length, &err);
    assert_int_equal(length, 3);
    mem_free(read);
    assert_int_equal(chmod(file, 0640), 0);
    assert_null(path_read_private(file, 3, NULL, &err));
    assert_int_equal(err.code, ERR_DENIED);
    assert_null(path_read_private(absent, 3, NULL, &err));
    assert_null(path_read_file(absent, 2, NULL, &err));
    assert_null(path_read_file(folder, 2, NULL, &err));
    assert_int_equal(unlink(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_null(path_read_file(file, 2, NULL, &err)); // does not wait for a writer
    assert_int_equal(err.code, ERR_INVALID);
    assert_false(path_write_file(absent, "x", 1, 0600, &err));
    mem_free(file);
    mem_free(absent);
}

static int set_up(void **state) { return mkdtemp(folder) ? 0 : -1; }

static int tear_down(void **state) { // what the tests made, innermost first
    static const char *const names[] = {"a/b/c", "a/b", "a", "link", "file", "content", ""};
    int failed = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(folder, names[i]);
        failed |= remove(path);
        mem_free(path);
    }
    return failed;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names), cmocka_unit_test(test_texts), cmocka_unit_test(test_places),
        cmocka_unit_test(test_private_folder), cmocka_unit_test(test_files)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
