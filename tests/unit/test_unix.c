// Sockets in folders so deep that their path does not fit into an address.
#define _GNU_SOURCE
#include "http/unix.h"

#include "base/mem.h"
#include "base/path.h"
#include "http/server.h"

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

static bool can_connect(const char *path) {
    struct unix_address where;
    struct err err;
    if (!unix_address_open(&where, path, &err))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    bool ok = connect(fd, (struct sockaddr *)&where.address, where.length) == 0;
    unix_address_close(&where);
    close(fd);
    return ok;
}

static void test_lengths(void **state) {
    char folder[] = "/tmp/test-unix-XXXXXX";
    assert_non_null(mkdtemp(folder));
    for (int depth = 0; depth < 4; depth++) { // 0, 90, 180, 270 bytes below it
        char *deep = mem_strdup(folder);
        for (int i = 0; i < depth; i++) {
            char *next = mem_printf("%s/%089d", deep, i);
            mem_free(deep);
            deep = next;
        }
        struct err err = {0};
        struct stat st;
        assert_true(path_make_private(deep, &err));
        char *path = path_join(deep, "control.sock");
        int fd = http_listen_unix(path, &err);
        assert_true(fd >= 0);
        assert_true(can_connect(path));
        assert_true(stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
        close(fd);
        assert_false(can_connect(path));
        fd = http_listen_unix(path, &err); // what a dead server left is taken over
        assert_true(fd >= 0 && can_connect(path));
        close(fd);
        unlink(path);
        mem_free(path);
        mem_free(deep);
    }
    for (int depth = 3; depth >= 0; depth--) {
        char *deep = mem_strdup(folder);
        for (int i = 0; i < depth; i++) {
            char *next = mem_printf("%s/%089d", deep, i);
            mem_free(deep);
            deep = next;
        }
        rmdir(deep);
        mem_free(deep);
    }
}

static void test_refusals(void **state) {
    struct unix_address where;
    struct err err = {0};
    char *name = mem_printf("/tmp/%0200d", 1), *folder = mem_printf("/no/%0200d/x", 1);
    assert_false(unix_address_open(&where, name, &err)); // the name itself is too long
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(where.folder, -1);
    assert_false(unix_address_open(&where, folder, &err));
    assert_int_equal(http_listen_unix(folder, &err), -1);
    assert_int_equal(http_listen_tcp("localhost", 0, &err), -1); // addresses, not names
    assert_int_equal(http_listen_tcp("", 0, &err), -1);
    mem_free(name);
    mem_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
