// What systemd says and hears, against real sockets; and the progress line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/progress.h"
#include "notify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int listen_at(const char *name, char *variable, size_t size) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s%d", name, (int)getpid());
    snprintf(variable, size, "%s", address.sun_path);
    socklen_t full = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    else
        unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, full + (name[0] != '@')), 0);
    return fd;
}

static void assert_heard(int fd, const char *wanted) {
    char text[1024];
    ssize_t length = recv(fd, text, sizeof text - 1, 0);
    assert_true(length >= 0);
    text[length] = '\0';
    assert_string_equal(text, wanted);
}

static void test_talk(void **state) {
    static const char *const names[] = {"@ancalagon-test-", "/tmp/ancalagon-test-"};
    for (size_t i = 0; i < 2; i++) {
        char variable[108];
        int fd = listen_at(names[i], variable, sizeof variable);
        setenv("NOTIFY_SOCKET", variable, 1);
        struct notify notify;
        struct err err;
        assert_true(notify_init(&notify, &err));
        assert_null(getenv("NOTIFY_SOCKET")); // no child shall speak for us
        notify_ready(&notify);
        assert_heard(fd, "READY=1");
        notify_status(&notify, "%s\nREADY=1", "loading");
        assert_heard(fd, "STATUS=loading READY=1");
        notify_stopping(&notify);
        assert_heard(fd, "STOPPING=1");
        notify_watchdog(&notify);
        assert_heard(fd, "WATCHDOG=1");
        notify_reloading(&notify);
        char text[128];
        ssize_t length = recv(fd, text, sizeof text - 1, 0);
        assert_true(length > 0);
        text[length] = '\0';
        long long usec = 0;
        assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%lld", &usec), 1);
        assert_true(usec > 0);
        close(fd);
        assert_false(notify_send(&notify, "READY=1")); // nobody there: said, not fatal
        notify_fini(&notify);
        if (names[i][0] == '/')
            unlink(variable);
    }
}

static void test_watchdog(void **state) {
    char us[16], other[16];
    snprintf(us, sizeof us, "%d", (int)getpid());
    snprintf(other, sizeof other, "%d", (int)getppid());
    const struct {
        const char *usec, *pid;
        bool ok;
        int64_t ms;
    } cases[] = {
        {"30000000", NULL, true, 15000},
        {"30000000", us, true, 15000},
        {"30000000", other, true, 0},
        {"1", us, true, 1},
        {"0", us, false, 0},
        {"-5", us, false, 0},
        {"soon", us, false, 0},
        {NULL, us, true, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (cases[i].usec)
            setenv("WATCHDOG_USEC", cases[i].usec, 1);
        if (cases[i].pid)
            setenv("WATCHDOG_PID", cases[i].pid, 1);
        struct notify notify;
        struct err err;
        assert_int_equal(notify_init(&notify, &err), cases[i].ok);
        assert_int_equal(notify.watchdog_ms, cases[i].ms);
        assert_false(notify_send(&notify, "READY=1"));
        notify_fini(&notify);
    }
}

static void test_bad_socket(void **state) {
    static const char *const paths[] = {"", "relative", "@", "/"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        setenv("NOTIFY_SOCKET", paths[i], 1);
        struct notify notify;
        struct err err;
        assert_false(notify_init(&notify, &err));
        assert_int_equal(notify.socket, -1);
        notify_fini(&notify);
    }
}

static void test_listen_fds(void **state) {
    char us[16];
    snprintf(us, sizeof us, "%d", (int)getpid());
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    // Descriptors 3 and 4 are systemd's by its protocol; keep what the test runner has there.
    int kept3 = fcntl(3, F_DUPFD_CLOEXEC, 20), kept4 = fcntl(4, F_DUPFD_CLOEXEC, 20);
    int spare = fcntl(pipes[0], F_DUPFD, 30);
    assert_int_equal(dup2(spare, 3), 3);
    assert_int_equal(dup2(spare, 4), 4);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_PID", us, 1);
    setenv("LISTEN_FDNAMES", "http:admin", 1);
    struct notify notify;
    struct err err;
    assert_true(notify_init(&notify, &err));
    assert_int_equal(notify.fds_count, 2);
    assert_int_equal(notify.fds[0].fd, 3);
    assert_string_equal(notify.fds[0].name, "http");
    assert_int_equal(notify.fds[1].fd, 4);
    assert_string_equal(notify.fds[1].name, "admin");
    assert_true(fcntl(4, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(4, F_GETFL) & O_NONBLOCK);
    assert_null(getenv("LISTEN_FDS"));
    notify.fds[0].fd = -1; // taken
    notify_fini(&notify);
    assert_int_equal(fcntl(4, F_GETFD), -1);
    assert_true(fcntl(3, F_GETFD) >= 0);
    // For another process: not ours.
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1);
    assert_true(notify_init(&notify, &err));
    assert_int_equal(notify.fds_count, 0);
    // Ours but absurd, or not open.
    setenv("LISTEN_FDS", "9999999", 1);
    setenv("LISTEN_PID", us, 1);
    assert_false(notify_init(&notify, &err));
    assert_int_equal(notify.fds_count, 0);
    close(3);
    if (kept3 >= 0)
        dup2(kept3, 3);
    if (kept4 >= 0)
        dup2(kept4, 4);
    close(spare);
}

static void test_progress(void **state) {
    static const struct {
        unsigned columns;
        int64_t elapsed, expected;
        const char *wanted;
    } cases[] = {
        {80, 0, 4000, "x  ........................  0 ms of about 4.0 s"},
        {80, 2000, 4000, "x  ############............  2.0 s of about 4.0 s"},
        {80, 4000, 4000, "x  #######################.  4.0 s of about 4.0 s"},
        {80, 65000, 4000, "x  #######################.  1 min 05 s, longer than the usual 4.0 s"},
        {80, 0, 0, "x  ######..................  0 ms"},
        {80, 1800, 0, "x  ..................######  1.8 s"},
        {80, 3600, 0, "x  ######..................  3.6 s"},
        {20, 2000, 0, "x  2.0 s"},
        {3, 2000, 4000, "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[256];
        progress_format(line, sizeof line, cases[i].columns, false, "x", cases[i].elapsed,
                        cases[i].expected);
        assert_string_equal(line, cases[i].wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talk),       cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_bad_socket), cmocka_unit_test(test_listen_fds),
        cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
