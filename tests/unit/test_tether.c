// A tethered program: its words, its beats, its end.
#define _GNU_SOURCE
#include "tether.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/run_folder.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SOON_MS = 20000 };

static struct tether *start(const char *script, int beat_ms, int grace_ms, const char *folder,
                            int lock) {
    const char *argv[] = {"sh", "-c", script, NULL};
    struct err err = {0};
    struct tether_spec spec = {.path = "/bin/sh",
                               .argv = (char *const *)argv,
                               .envp = environ,
                               .beat_ms = beat_ms,
                               .grace_ms = grace_ms,
                               .terminal = -1,
                               .folder = folder,
                               .folder_lock = lock};
    struct tether *tether = tether_start(&spec, &err);
    assert_non_null(tether);
    return tether;
}

static const char *line_of(struct tether *tether) {
    const char *line;
    assert_int_equal(tether_read(tether, SOON_MS, &line), TETHER_LINE);
    return line;
}

static pid_t number_of(struct tether *tether) { return (pid_t)strtol(line_of(tether), NULL, 10); }

static bool is_gone(pid_t pid) { return kill(pid, 0) != 0 && errno == ESRCH; }

// Not ours to reap, so its end is looked for.
static void await_end(pid_t pid) {
    for (int i = 0; i < SOON_MS / 10 && !is_gone(pid); i++)
        usleep(10000);
    assert_true(is_gone(pid));
}

static void test_words_and_status(void **state) {
    const char *line;
    struct tether *tether = start("echo one; echo two; echo why >&2; exit 7", 0, 1000, NULL, -1);
    assert_string_equal(line_of(tether), "one");
    assert_string_equal(line_of(tether), "two");
    assert_int_equal(tether_read(tether, SOON_MS, &line), TETHER_END);
    assert_string_equal(tether_errors(tether), "why\n");
    assert_int_equal(tether_end(tether), 7);
}

static void test_what_we_say(void **state) {
    struct tether *tether = start("read a; read b; echo \"$b $a\"", 0, 1000, NULL, -1);
    assert_true(tether_write(tether, "x\ny\n", 4));
    assert_string_equal(line_of(tether), "y x");
    assert_int_equal(tether_end(tether), 0);
}

static void test_silence(void **state) {
    const char *line;
    struct tether *tether = start("read a; exit 3", 0, 1000, NULL, -1);
    assert_int_equal(tether_read(tether, 20, &line), TETHER_TIMEOUT);
    assert_int_equal(tether_end(tether), 3); // its input ended
}

static void test_beats_while_we_do_nothing(void **state) {
    struct tether *tether = start("read a; read b; read c; echo three", 10, 1000, NULL, -1);
    assert_string_equal(line_of(tether), "three");
    tether_end(tether);
}

static void test_one_that_does_not_end(void **state) {
    struct tether *tether =
        start("trap '' TERM HUP INT; echo $$; while :; do sleep 1; done", 0, 50, NULL, -1);
    pid_t pid = number_of(tether);
    assert_int_equal(tether_end(tether), 128 + SIGKILL);
    assert_true(is_gone(pid));
}

static void test_what_it_started_goes_with_it(void **state) {
    struct tether *tether = start("sleep 1000 & echo $!; read a", 0, 1000, NULL, -1);
    pid_t pid = number_of(tether);
    tether_end(tether);
    await_end(pid);
}

// We are killed: in a process of its own, since it is we who end.
static void test_our_death(void **state) {
    int report[2];
    assert_int_equal(pipe(report), 0);
    pid_t us = fork();
    if (us == 0) {
        struct tether *tether =
            start("trap '' TERM; echo $$; while :; do sleep 1; done", 0, 50, NULL, -1);
        pid_t pid = number_of(tether);
        ssize_t ignored = write(report[1], &pid, sizeof pid);
        (void)ignored;
        tether_settle(tether);
        raise(SIGKILL);
    }
    pid_t pid = 0;
    assert_int_equal(read(report[0], &pid, sizeof pid), sizeof pid);
    assert_int_equal(waitpid(us, NULL, 0), us);
    await_end(pid);
    close(report[0]);
    close(report[1]);
}

// More than a pipe holds, with nobody of us reading.
static void test_output_is_drained(void **state) {
    struct tether *tether = start("i=0; while [ $i -lt 3000 ]; do echo "
                                  "0123456789012345678901234567890123456789012345678901234567890; "
                                  "i=$((i+1)); done; exit 5",
                                  0, SOON_MS, NULL, -1);
    tether_settle(tether);
    assert_int_equal(tether_end(tether), 5);
}

static void test_folder(void **state) {
    char base[] = "/tmp/test-tether-XXXXXX";
    assert_non_null(mkdtemp(base));
    struct err err = {0};
    int lock = -1, other = -1;
    char *folder = run_folder_make(base, "run-", &lock, &err);
    assert_non_null(folder);
    struct tether *tether = start("echo here; read a", 0, 1000, folder, lock);
    line_of(tether);
    char *file = path_join(folder, "socket");
    assert_true(path_write_file(file, "", 0, 0600, &err));
    close(lock); // the keeper still holds it: a sweep leaves the folder alone
    char *second = run_folder_make(base, "run-", &other, &err);
    assert_int_equal(access(file, F_OK), 0);
    tether_end(tether);
    assert_int_not_equal(access(folder, F_OK), 0);
    close(other); // left as by a run that was killed
    char *third = run_folder_make(base, "run-", &other, &err);
    assert_int_not_equal(access(second, F_OK), 0);
    run_folder_remove(third);
    close(other);
    assert_int_equal(rmdir(base), 0);
    mem_free(file);
    mem_free(folder);
    mem_free(second);
    mem_free(third);
}

static void test_no_such_program(void **state) {
    const char *argv[] = {"x", NULL}, *line;
    struct err err = {0};
    struct tether_spec spec = {.path = "/no/such/program",
                               .argv = (char *const *)argv,
                               .envp = environ,
                               .grace_ms = 1000,
                               .terminal = -1,
                               .folder_lock = -1};
    struct tether *tether = tether_start(&spec, &err);
    assert_int_equal(tether_read(tether, SOON_MS, &line), TETHER_END);
    assert_non_null(strstr(tether_errors(tether), "cannot start /no/such/program"));
    assert_int_equal(tether_end(tether), 127);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_and_status),
        cmocka_unit_test(test_what_we_say),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_beats_while_we_do_nothing),
        cmocka_unit_test(test_one_that_does_not_end),
        cmocka_unit_test(test_what_it_started_goes_with_it),
        cmocka_unit_test(test_our_death),
        cmocka_unit_test(test_output_is_drained),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_no_such_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
