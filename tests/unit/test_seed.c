// The configuration folder of Claude Code: one flag is seen to, nothing else is touched.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/path.h"
#include "seed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_merge(void **state) {
    static const struct {
        const char *before, *after; // NULL: nothing to do
    } cases[] = {
        {NULL, "{\n  \"hasCompletedOnboarding\": true\n}\n"},
        {"{}", "{\n  \"hasCompletedOnboarding\": true\n}"},
        {"{\n  \"a\": 0.1,\n  \"b\": {\"hasCompletedOnboarding\": true}\n}\n",
         "{\n  \"hasCompletedOnboarding\": true,\n  \"a\": 0.1,\n"
         "  \"b\": {\"hasCompletedOnboarding\": true}\n}\n"},
        {"{\"a\":1,\"hasCompletedOnboarding\":true}", NULL},
        {"{\"z\":1,\"hasCompletedOnboarding\":false,\"a\":2}",
         "{\"z\":1,\"hasCompletedOnboarding\":true,\"a\":2}"},
        {"{\"hasCompletedOnboarding\":\"yes\"}", "{\"hasCompletedOnboarding\":true}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        size_t length = 0;
        const char *before = cases[i].before;
        char *after = seed_merge(before, before ? strlen(before) : 0, &length, &err);
        assert_int_equal(err.code, ERR_NONE);
        if (!cases[i].after) {
            assert_null(after);
            continue;
        }
        assert_non_null(after);
        assert_int_equal(length, strlen(cases[i].after));
        assert_memory_equal(after, cases[i].after, length);
        mem_free(after);
    }
}

static void test_damaged(void **state) {
    static const char *const cases[] = {"", "[]", "{", "null", "{\"a\":}", "\"text\"", "{} {}"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        size_t length;
        assert_null(seed_merge(cases[i], strlen(cases[i]), &length, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static char *file_in(const char *folder) { return mem_printf("%s/.claude.json", folder); }

static void test_folder(void **state) {
    char root[] = "/tmp/test-seed-XXXXXX";
    assert_non_null(mkdtemp(root));
    char *folder = mem_printf("%s/deep/.claude-local", root), *path = file_in(folder);
    struct err err = {0};
    struct stat st;
    assert_true(seed_config(folder, &err));
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    ino_t inode = st.st_ino;
    assert_true(seed_config(folder, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_ino, inode); // nothing to do: not written again
    assert_true(path_write_file(path, "{broken", 7, 0600, &err));
    assert_false(seed_config(folder, &err));
    assert_non_null(strstr(err.text, "is damaged"));
    char *text = path_read_file(path, 100, NULL, &err);
    assert_string_equal(text, "{broken");
    mem_free(text);
    unlink(path);
    rmdir(folder);
    mem_free(path);
    mem_free(folder);
}

// Many first runs at once: whoever loses the race must neither fail nor lose a member.
static void test_at_once(void **state) {
    enum { RUNS = 16 };
    char folder[] = "/tmp/test-seed-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = file_in(folder);
    struct err err;
    assert_true(path_write_file(path, "{\"kept\":1}", 10, 0600, &err));
    for (int i = 0; i < RUNS; i++)
        if (fork() == 0)
            _exit(seed_config(folder, NULL) ? 0 : 1);
    for (int i = 0; i < RUNS; i++) {
        int status;
        wait(&status);
        assert_int_equal(status, 0);
    }
    char *text = path_read_file(path, 1000, NULL, &err);
    assert_string_equal(text, "{\n  \"hasCompletedOnboarding\": true,\"kept\":1}");
    mem_free(text);
    unlink(path);
    mem_free(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
