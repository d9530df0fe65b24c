// A child with a note ends in some way; does its note tell of a crash, and of which photos?
#include "base/path.h"
#include "base/system.h"
#include "crash_note.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static void end_in_order(void) {
    crash_note_end();
    _exit(0);
}
static void end_without(void) { _exit(0); }
static void be_killed(void) { raise(SIGKILL); }
static void abort_it(void) { abort(); }
static void touch_nothing(void) { raise(SIGSEGV); }

static int deeper(const volatile char *above, int more) { // NOLINT(misc-no-recursion)
    volatile char room[4096];
    room[0] = above ? above[0] : 0;
    return more ? deeper(room, more - 1) + room[0] : 0;
}

static void *overflow(void *arg) {
    struct crash_watch watch;
    crash_note_enter(&watch, (struct crash_photo){7, 0});
    int depth = deeper(arg, INT32_MAX);
    crash_note_leave(&watch);
    return depth ? arg : NULL;
}

static void have_no_stack(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, overflow, NULL);
    pthread_join(thread, NULL);
}

static void read_some(void (*end)(void)) {
    struct crash_watch first, second, third;
    crash_note_enter(&first, (struct crash_photo){1, 0});
    crash_note_enter(&second, (struct crash_photo){UINT64_MAX, 1});
    crash_note_leave(&first);
    crash_note_enter(&third, (struct crash_photo){3, 0}); // in the place of the first
    end();
}

static void fault_with_two(void) { read_some(touch_nothing); }
static void killed_with_two(void) { read_some(be_killed); }

// In another process, as a server is; what became of it.
static int child(void (*act)(void)) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none);
        if (!freopen("/dev/null", "w", stderr)) // sanitizers have much to say
            _exit(3);
        for (int i = SIGILL; i <= SIGSEGV; i++) // cmocka's
            signal(i, SIG_DFL);
        crash_note_begin(path);
        act();
        _exit(4);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool tells(void) {
    struct crash_photos photos;
    return crash_note_tells(path, &photos);
}

static void test_ends(void **state) {
    (void)state;
    static const struct {
        void (*act)(void);
        int number; // of the signal; 0: it exits
        bool tells;
    } CASES[] = {
        {touch_nothing, SIGSEGV, true}, {abort_it, SIGABRT, true}, {be_killed, SIGKILL, false},
        {have_no_stack, SIGSEGV, true}, {end_without, 0, false},   {touch_nothing, SIGSEGV, true},
        {end_in_order, 0, false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int status = child(CASES[i].act);
        int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        if (number != CASES[i].number && // a sanitizer reports a fault, and aborts
            !(number == SIGABRT && CASES[i].number == SIGSEGV))
            fail_msg("case %zu: signal %d", i, number);
        if (tells() != CASES[i].tells)
            fail_msg("case %zu", i);
    }
    assert_int_not_equal(access(path, F_OK), 0);
    assert_false(tells());
}

// Those that were being read when it crashed, and no others.
static void test_photos(void **state) {
    (void)state;
    struct crash_photos photos;
    struct err err = {0};
    child(fault_with_two);
    assert_true(crash_note_tells(path, &photos));
    assert_int_equal(photos.count, 2);
    assert_true(photos.list[0].id == 3 && photos.list[0].crashes == 1);
    assert_true(photos.list[1].id == UINT64_MAX && photos.list[1].crashes == 2);
    assert_false(crash_note_gives_up(0, &err) || crash_note_gives_up(1, &err));
    assert_true(crash_note_gives_up(2, &err));
    assert_int_equal(err.code, ERR_SYSTEM);
    child(have_no_stack);
    assert_true(crash_note_tells(path, &photos));
    assert_true(photos.count == 1 && photos.list[0].id == 7);
    child(killed_with_two);
    assert_false(crash_note_tells(path, &photos));
    assert_int_equal(photos.count, 0);
    unlink(path);
}

static void write_note(const char *boot, long long kills) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "r %s %lld\n", boot, kills);
    fclose(file);
}

// Another count than when it began: somebody was killed. Of another start of the machine no count
// tells.
static void test_memory(void **state) {
    (void)state;
    struct system_kills kills;
    if (!system_kills_read(&kills))
        skip();
    child(be_killed);
    assert_false(tells());
    write_note(kills.boot, (long long)kills.count - 1);
    assert_true(tells());
    write_note("00000000-0000-0000-0000-000000000000", (long long)kills.count - 1);
    assert_false(tells());
    for (const char *const *text = (const char *const[]){"", "r", "r x", "\n\n", NULL}; *text;
         text++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(*text, file);
        fclose(file);
        assert_false(tells());
    }
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_photos),
        cmocka_unit_test(test_memory),
    };
    snprintf(path, sizeof path, "/tmp/test-ocr-crash-%d", (int)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
