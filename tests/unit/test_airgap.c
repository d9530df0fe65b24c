// An airgap that cannot be made is no run. What happens inside one: tests/scenario/test_airgap.py.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "airgap.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// A system without the one or the other: the calls are refused, as an administrator's policy and
// an older kernel would.
static void refuse(const char *call, int error) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)error), seccomp_syscall_resolve_name(call),
                     0);
    if (seccomp_load(filter) != 0)
        _exit(77);
    seccomp_release(filter);
}

enum { MADE = 1, WITH_SOCKET = 2, DENIED = 3 };

static int outcome(bool namespaces, bool landlock, char *text, size_t size) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct err err = {0};
        if (!namespaces)
            refuse("unshare", EPERM);
        if (!landlock)
            refuse("landlock_create_ruleset", ENOSYS);
        struct airgap *airgap = airgap_create(&err);
        dprintf(ends[1], "%s", airgap ? airgap_means(airgap) : err.text);
        int code = !airgap                 ? (err.code == ERR_DENIED ? DENIED : 0)
                   : airgap_socket(airgap) ? WITH_SOCKET
                                           : MADE;
        airgap_destroy(airgap);
        _exit(code);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], text, size - 1);
    text[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_what_is_offered(void **state) {
    char folder[] = "/tmp/airgap-test-XXXXXX", text[600];
    assert_non_null(mkdtemp(folder));
    setenv("XDG_RUNTIME_DIR", folder, 1);
    int best = outcome(true, true, text, sizeof text);
    print_message("# here: %s\n", text);
    assert_true(best == MADE || best == WITH_SOCKET || best == DENIED);
    int second = outcome(false, true, text, sizeof text);
    print_message("# without namespaces: %s\n", text);
    assert_true(second == WITH_SOCKET || second == DENIED);
    if (second == WITH_SOCKET)
        assert_non_null(strstr(text, "stay within reach"));
    assert_int_equal(outcome(false, false, text, sizeof text), DENIED);
    assert_non_null(strstr(text, "--airgap cannot be enforced here"));
    char inner[64];
    snprintf(inner, sizeof inner, "%s/ancalagon", folder);
    rmdir(inner); // fails unless the socket is gone
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_offered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
