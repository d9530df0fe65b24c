#define _GNU_SOURCE
#include "event/stray.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// A process that left group and session, with this in its environment.
static pid_t start(const char *entry) {
    pid_t pid = fork();
    if (pid == 0) {
        char *const argv[] = {"sleep", "600", NULL};
        char *const envp[] = {"PATH=/usr/bin:/bin", (char *)entry, "LAST=1", NULL};
        setsid();
        execvpe("sleep", argv, envp);
        _exit(127);
    }
    return pid;
}

// Until exec its environment is a copy of ours.
static bool wait_read(pid_t pid, const char *mark, unsigned *run) {
    for (int i = 0; i < 60000; i++) {
        if (stray_read(pid, mark, run))
            return true;
        poll(NULL, 0, 1);
    }
    return false;
}

static void test_marked_are_found_and_ended(void **state) {
    struct err err;
    char mark[STRAY_MARK_MAX], other[STRAY_MARK_MAX], entry[2][STRAY_MARK_MAX + 16];
    unsigned run = 0;
    assert_true(stray_mark(mark, &err) && stray_mark(other, &err));
    assert_string_not_equal(mark, other);
    snprintf(entry[0], sizeof entry[0], "%s%u", mark, 17u);
    snprintf(entry[1], sizeof entry[1], "%s%u", other, 18u);
    pid_t ours = start(entry[0]), theirs = start(entry[1]);
    assert_true(wait_read(ours, mark, &run));
    assert_int_equal(run, 17);
    assert_true(wait_read(theirs, other, &run));
    assert_false(stray_read(theirs, mark, &run));
    assert_false(stray_read(getpid(), mark, &run));

    stray_kill(mark);
    int status = 0;
    assert_int_equal(waitpid(ours, &status, 0), ours);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(waitpid(theirs, &status, WNOHANG), 0);
    stray_kill(other);
    assert_int_equal(waitpid(theirs, &status, 0), theirs);
    assert_false(stray_read(theirs, other, &run)); // gone
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_marked_are_found_and_ended)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
