#define _GNU_SOURCE
#include "event/child.h"

#include "base/buf.h"

#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct event_base *base;

struct seen {
    struct buf lines;
    size_t count;
    size_t longest;
    int exits;
    struct child_exit status;
    pid_t noted; // a number printed as "pid N"
    bool destroy_on_line;
    bool stop_on_line;
    int grace_ms;
};

static void on_line(struct child *child, const char *line, size_t length, void *arg) {
    struct seen *seen = arg;
    assert_int_equal(strlen(line), length);
    seen->count++;
    if (length > seen->longest)
        seen->longest = length;
    buf_add(&seen->lines, line, length);
    buf_adds(&seen->lines, "|");
    if (strncmp(line, "pid ", 4) == 0)
        seen->noted = (pid_t)strtol(line + 4, NULL, 10);
    if (seen->stop_on_line)
        child_stop(child, seen->grace_ms);
    if (seen->destroy_on_line) {
        child_destroy(child);
        event_base_loopbreak(base);
    }
}

static void on_exit_seen(struct child *child, struct child_exit status, void *arg) {
    struct seen *seen = arg;
    seen->exits++;
    seen->status = status;
    assert_int_equal(child_pid(child), 0);
    event_base_loopbreak(base);
}

static char *const plain_env[] = {"PATH=/usr/bin:/bin", "MARK=set", NULL};

static struct child *start_shell(const char *script, struct seen *seen) {
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)script, NULL};
    struct child_spec spec = {
        .spawn = {.path = "/bin/sh", .argv = argv, .envp = plain_env, .cwd = "/"},
        .on_line = on_line,
        .on_exit = on_exit_seen,
        .arg = seen,
    };
    struct err err = {0};
    struct child *child = child_start(base, &spec, &err);
    if (!child)
        fail_msg("%s", err.text);
    return child;
}

static void run_shell(const char *script, struct seen *seen) {
    struct child *child = start_shell(script, seen);
    event_base_dispatch(base);
    assert_int_equal(seen->exits, 1);
    child_destroy(child);
}

static bool is_gone(pid_t pid) {
    // A killed process may need a moment; only its survival is a failure.
    for (int i = 0; i < 60000; i++) {
        if (kill(pid, 0) < 0)
            return true;
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        FILE *stat = fopen(path, "re");
        char state = 'X';
        if (stat) {
            int matched = fscanf(stat, "%*d (%*[^)]) %c", &state);
            (void)matched;
            fclose(stat);
        }
        if (state == 'Z' || state == 'X')
            return true;
        usleep(1000);
    }
    return false;
}

static int count_fds(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_lines_and_exit(void **state) {
    static const struct {
        const char *script;
        const char *lines;
        int code;
        int signal;
    } cases[] = {
        {"echo one; echo two >&2; exit 3", "one|two|", 3, 0},
        {"printf 'a\\r\\n\\nlast without newline'", "a||last without newline|", 0, 0},
        {"cat; echo eof", "eof|", 0, 0}, // stdin is /dev/null
        {"echo $MARK $HOME$USER; pwd", "set|/|", 0, 0},
        {"kill -9 $$", "", -1, SIGKILL},
        {"exec >&- 2>&-; exit 7", "", 7, 0}, // output closed before the end
        {"trap", "", 0, 0},                  // no signal is ignored
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen = {0};
        buf_init(&seen.lines, 1 << 20);
        run_shell(cases[i].script, &seen);
        assert_string_equal(buf_text(&seen.lines), cases[i].lines);
        assert_int_equal(seen.status.code, cases[i].code);
        assert_int_equal(seen.status.signal, cases[i].signal);
        assert_false(seen.status.asked);
        buf_fini(&seen.lines);
    }
}

static void test_all_output_arrives_before_exit(void **state) {
    struct seen seen = {0};
    buf_init(&seen.lines, 1);
    run_shell("i=0; while [ $i -lt 5000 ]; do echo line $i of a long log; i=$((i+1)); done", &seen);
    assert_int_equal(seen.count, 5000);
    buf_fini(&seen.lines);
}

static void test_long_line_is_cut(void **state) {
    struct seen seen = {0};
    buf_init(&seen.lines, 1);
    run_shell("head -c 300000 /dev/zero | tr '\\0' x; echo; echo after", &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.longest, CHILD_LINE_MAX);
    buf_fini(&seen.lines);
}

static void test_surroundings(void **state) {
    // A descriptor that is not close-on-exec, an ignored and a blocked signal: none goes along.
    int leak = dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 77);
    assert_int_equal(leak, 77);
    signal(SIGUSR1, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct seen seen = {0};
    buf_init(&seen.lines, 4096);
    run_shell("grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\t'; "
              "[ -e /proc/self/fd/77 ] && echo leaked; "
              "f=0; while [ $f -lt 200 ]; do [ -e /proc/$$/fd/$f ] && printf \"$f \"; "
              "f=$((f+1)); done; "
              "[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo leads",
              &seen);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    signal(SIGUSR1, SIG_DFL);
    close(leak);
    const char *text = buf_text(&seen.lines);
    assert_non_null(strstr(text, "SigBlk:0000000000000000"));
    const char *ignored = strstr(text, "SigIgn:");
    assert_non_null(ignored);
    // 32 and 33 are libc's own: nobody can reset them, and its posix_spawn (make) ignores them.
    assert_int_equal(strtoull(ignored + 7, NULL, 16) & ~0x180000000ull, 0);
    assert_null(strstr(text, "leaked"));
    assert_non_null(strstr(text, "0 1 2 leads"));
    buf_fini(&seen.lines);
}

static void test_cannot_start(void **state) {
    static const struct {
        const char *path;
        const char *cwd;
        enum err_code code;
        const char *text;
    } cases[] = {
        {"/nowhere/llama-server", NULL, ERR_NOTFOUND,
         "cannot start /nowhere/llama-server: No such file or directory"},
        {"/etc/passwd", NULL, ERR_SYSTEM, "cannot start /etc/passwd: Permission denied"},
        {"/bin/sh", "/nowhere", ERR_SYSTEM,
         "cannot start /bin/sh in /nowhere: No such file or directory"},
    };
    int before = count_fds();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *argv[] = {"x", NULL};
        struct child_spec spec = {
            .spawn = {.path = cases[i].path, .argv = argv, .envp = plain_env, .cwd = cases[i].cwd}};
        struct err err = {0};
        assert_null(child_start(base, &spec, &err));
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(err.text, cases[i].text);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // nothing left to reap
    }
    assert_int_equal(count_fds(), before);
}

static void test_stop(void **state) {
    static const struct {
        const char *script;
        int grace_ms;
        int code;
        int signal;
    } cases[] = {
        {"trap 'exit 5' TERM; echo up; while :; do sleep .01; done", 60000, 5, 0},
        {"echo up; exec sleep 60", 60000, -1, SIGTERM},
        {"trap '' TERM; echo up; while :; do sleep .01; done", 30, -1, SIGKILL},
        // A stopped process is woken to die.
        {"trap 'exit 6' TERM; (until grep -q 'State:.T' /proc/$$/status; do :; done; echo up) & "
         "kill -STOP $$; sleep 60",
         60000, 6, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seen seen = {.stop_on_line = true, .grace_ms = cases[i].grace_ms};
        buf_init(&seen.lines, 4096);
        run_shell(cases[i].script, &seen);
        assert_int_equal(seen.status.code, cases[i].code);
        assert_int_equal(seen.status.signal, cases[i].signal);
        assert_true(seen.status.asked);
        buf_fini(&seen.lines);
    }
}

static void test_group_goes_too(void **state) {
    static const char *const scripts[] = {
        // The leader ends by itself; its background process holds the pipe and must not survive.
        "sleep 600 & echo pid $!; exit 0",
        // The leader is asked to stop and does so; its child ignores the request.
        "(trap '' TERM; exec sleep 600) & echo pid $!; trap 'exit 0' TERM; wait",
    };
    for (size_t i = 0; i < 2; i++) {
        struct seen seen = {.stop_on_line = i == 1, .grace_ms = 60000};
        buf_init(&seen.lines, 4096);
        run_shell(scripts[i], &seen);
        assert_true(seen.noted > 1);
        assert_true(is_gone(seen.noted));
        buf_fini(&seen.lines);
    }
}

static bool is_noted(pid_t pid, void *arg) { return pid == *(const pid_t *)arg; }

static void test_escaped_process_does_not_delay_exit(void **state) {
    // Out of the group and with our pipe in hand. on_exit comes all the same (or this test hangs),
    // and as subreaper we can end and collect it.
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    struct seen seen = {0};
    buf_init(&seen.lines, 4096);
    run_shell("setsid sleep 600 & echo pid $!; sleep .1", &seen);
    assert_true(seen.noted > 1);
    assert_int_equal(kill(seen.noted, 0), 0);
    struct seen other = {0};
    buf_init(&other.lines, 4096);
    struct child *kept = start_shell("exit 9", &other);
    assert_int_equal(child_reap_orphans(NULL, NULL), 0); // it lives, and nobody wants it gone
    assert_int_equal(kill(seen.noted, 0), 0);
    while (child_reap_orphans(is_noted, &seen.noted) == 0)
        poll(NULL, 0, 1);
    assert_int_equal(kill(seen.noted, 0), -1);
    event_base_dispatch(base); // the status of a child of ours was not stolen
    assert_int_equal(other.status.code, 9);
    child_destroy(kept);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    buf_fini(&seen.lines);
    buf_fini(&other.lines);
}

static void test_destroy(void **state) {
    int before = count_fds();
    struct seen seen = {0};
    buf_init(&seen.lines, 4096);
    struct child *child = start_shell("trap '' TERM; sleep 600", &seen);
    pid_t pid = child_pid(child);
    child_destroy(child);
    assert_int_equal(kill(pid, 0), -1); // reaped, not only killed
    assert_int_equal(seen.exits, 0);

    seen.destroy_on_line = true; // from inside its own callback
    start_shell("echo a; echo b; echo c; sleep 600", &seen);
    event_base_dispatch(base);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.exits, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(count_fds(), before);
    buf_fini(&seen.lines);
}

static void test_dies_with_us(void **state) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t middle = fork();
    if (middle == 0) {
        struct event_base *own = event_base_new();
        char *argv[] = {"sleep", "600", NULL};
        struct child_spec spec = {.spawn = {.path = "/bin/sleep", .argv = argv, .envp = plain_env}};
        struct child *child = child_start(own, &spec, NULL);
        pid_t pid = child ? child_pid(child) : 0;
        ssize_t ignored = write(ends[1], &pid, sizeof(pid));
        (void)ignored;
        pause();
        _exit(0);
    }
    pid_t pid = 0;
    assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
    assert_true(pid > 1);
    assert_int_equal(kill(pid, 0), 0);
    kill(middle, SIGKILL);
    waitpid(middle, NULL, 0);
    assert_true(is_gone(pid));
    close(ends[0]);
    close(ends[1]);
}

static void test_capture(void **state) {
    static const struct {
        const char *script;
        int timeout_ms;
        size_t max;
        bool ok;
        enum err_code code;
        int status;
        const char *out;
    } cases[] = {
        {"echo out; echo err >&2; exit 4", 60000, 1000, true, ERR_NONE, 4, "out\nerr\n"},
        {"kill -TERM $$", 60000, 1000, true, ERR_NONE, 128 + SIGTERM, ""},
        {"echo early; trap '' TERM; sleep 600", 100, 1000, false, ERR_TIMEOUT, 128 + SIGKILL,
         "early\n"},
        {"yes", 60000, 8, false, ERR_LIMIT, 0, "y\ny\ny\ny\n"},
        {"sleep 600 & echo gone", 60000, 1000, true, ERR_NONE, 0, "gone\n"},
        {"setsid sleep 1 & echo gone; sleep .1", 60000, 1000, true, ERR_NONE, 0, "gone\n"},
    };
    int before = count_fds();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *argv[] = {"sh", "-c", (char *)(uintptr_t)cases[i].script, NULL};
        struct spawn_spec spec = {.path = "/bin/sh", .argv = argv, .envp = plain_env};
        struct buf out;
        buf_init(&out, 1 << 16);
        int status = -1;
        struct err err = {0};
        assert_int_equal(
            child_capture(&spec, cases[i].timeout_ms, cases[i].max, &out, &status, &err),
            cases[i].ok);
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(buf_text(&out), cases[i].out);
        if (cases[i].code != ERR_LIMIT)
            assert_int_equal(status, cases[i].status);
        buf_fini(&out);
    }
    assert_int_equal(count_fds(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_and_exit),
        cmocka_unit_test(test_all_output_arrives_before_exit),
        cmocka_unit_test(test_long_line_is_cut),
        cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_cannot_start),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_group_goes_too),
        cmocka_unit_test(test_escaped_process_does_not_delay_exit),
        cmocka_unit_test(test_destroy),
        cmocka_unit_test(test_dies_with_us),
        cmocka_unit_test(test_capture),
    };
    base = event_base_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    event_base_free(base);
    return failed;
}
