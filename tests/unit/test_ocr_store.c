#include "store.h"

#include "base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void new_job(struct store *store, const char *kind, unsigned count, char id[33]) {
    struct err err = {0};
    struct photo *photos = mem_alloc((count + 1) * sizeof *photos);
    for (unsigned i = 0; i < count; i++) {
        photos[i] = (struct photo){.number = i % 3};
        snprintf(photos[i].pole, sizeof photos[i].pole, "pole-%03u", i / 3);
        snprintf(photos[i].source, sizeof photos[i].source, "/photos/%u.jpg", i);
    }
    if (!store_job_create(store, kind, NULL, photos, count, id, &err))
        fail_msg("%s", err.text);
    mem_free(photos);
}

static struct job job_of(struct store *store, const char *id) {
    struct job job;
    struct err err = {0};
    if (!store_job_find(store, id, &job, &err))
        fail_msg("%s", err.text);
    return job;
}

struct seen {
    unsigned rows, good, records;
    char last[80];
};

static bool see(void *arg, const struct photo *photo, const struct photo_result *result) {
    struct seen *seen = arg;
    char key[80], expected[80];
    snprintf(key, sizeof key, "%s/%u", photo->pole, photo->number);
    assert_true(strcmp(key, seen->last) > 0); // in their order, none twice
    snprintf(seen->last, sizeof seen->last, "%s", key);
    snprintf(expected, sizeof expected, "{\"of\":\"%.60s\"}", photo->source);
    seen->rows++;
    seen->records += result->record && strcmp(result->record, "{}") == 0;
    seen->good += result->state == PHOTO_DONE && result->result &&
                  strcmp(result->result, expected) == 0 && !result->code;
    return true;
}

static void work_on(struct store *store, unsigned most) {
    struct photo photo;
    struct err err = {0};
    while (most-- > 0 && store_claim(store, &photo, &err)) {
        char result[80];
        snprintf(result, sizeof result, "{\"of\":\"%.60s\"}", photo.source);
        assert_true(store_finish(store, photo.id, result, NULL, "{}", &err));
    }
}

static void test_a_job_from_begin_to_end(void **state) {
    (void)state;
    struct err err = {0};
    struct store *store = store_open(":memory:", NULL, &err);
    struct photo photo;
    char id[33];
    assert_false(store_claim(store, &photo, &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    new_job(store, "lote", 4, id);
    assert_int_equal(strlen(id), 32);
    struct job job = job_of(store, id);
    assert_int_equal(job.state, JOB_OPEN);
    assert_int_equal(job.photos, 4);
    assert_int_equal(job.waiting, 4);
    assert_true(store_claim(store, &photo, &err));
    assert_string_equal(photo.source, "/photos/0.jpg");
    assert_int_equal(job_of(store, id).running, 1);
    assert_true(store_release(store, photo.id, &err));
    assert_int_equal(job_of(store, id).waiting, 4);
    work_on(store, 3);
    assert_true(store_claim(store, &photo, &err));
    assert_true(store_finish(store, photo.id, NULL, "FILE_MISSING", NULL, &err));
    job = job_of(store, id);
    assert_int_equal(job.state, JOB_DONE);
    assert_int_equal(job.done, 3);
    assert_int_equal(job.failed, 1);
    assert_true(job.ended_ms >= job.created_ms);
    // A result that comes twice changes nothing.
    assert_true(store_finish(store, photo.id, "{\"of\":\"another\"}", NULL, "{}", &err));
    assert_int_equal(job_of(store, id).failed, 1);
    struct seen seen = {0};
    assert_true(store_results(store, id, see, &seen, &err));
    assert_int_equal(seen.rows, 4);
    assert_int_equal(seen.good, 3);
    assert_int_equal(seen.records, 3); // none of the one that failed, which came twice
    assert_int_equal(store_expire(store, job.ended_ms), 0);
    assert_int_equal(store_expire(store, job.ended_ms + 1), 1);
    assert_false(store_job_find(store, id, &job, &err));
    store_close(store);
}

// What needs something that is gone goes behind what was not tried, and is done later.
static void test_a_photo_put_off(void **state) {
    (void)state;
    struct err err = {0};
    struct store *store = store_open(":memory:", NULL, &err);
    struct photo photo;
    char id[33];
    new_job(store, "lote", 3, id);
    assert_true(store_claim(store, &photo, &err));
    assert_true(store_put_off(store, &photo, 1000000, "GpuHangError", "it hung", &err));
    assert_string_equal(job_of(store, id).fault, "GpuHangError");
    assert_int_equal(job_of(store, id).waiting, 3);
    while (!store_claim(store, &photo, &err)) // until the job's time has come
        usleep(10000);
    for (int i = 1; i <= 3; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "/photos/%d.jpg", i % 3);
        assert_string_equal(photo.source, expected);
        assert_true(store_finish(store, photo.id, "{}", NULL, NULL, &err));
        assert_int_equal(store_claim(store, &photo, &err), i < 3);
    }
    assert_int_equal(job_of(store, id).state, JOB_DONE);
    store_close(store);
}

static struct store *reopen(struct store *store, const char *path) {
    struct err err = {0};
    store_close(store);
    store = store_open(path, NULL, &err);
    if (!store)
        fail_msg("%s", err.text);
    return store;
}

static void forget(const char *path) {
    static const char *const TAILS[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof TAILS / sizeof *TAILS; i++) {
        char side[80];
        snprintf(side, sizeof side, "%s%s", path, TAILS[i]);
        unlink(side);
    }
}

// Two were read in a crash: they come last, and one by one; nobody is blamed for a kill.
static void test_after_a_crash(void **state) {
    (void)state;
    char path[64], id[33];
    struct err err = {0};
    struct photo photo, other, late;
    snprintf(path, sizeof path, "/tmp/test-ocr-store-crash-%d.db", (int)getpid());
    struct store *store = reopen(NULL, path);
    new_job(store, "lote", 4, id);
    assert_true(store_claim(store, &photo, &err) && store_claim(store, &other, &err));
    store = reopen(store, path);
    assert_true(store_claim(store, &photo, &err) && store_claim(store, &other, &err) &&
                store_claim(store, &late, &err)); // the third is claimed, and not read yet
    assert_string_equal(photo.source, "/photos/0.jpg");
    assert_int_equal(photo.crashes, 0);
    store = reopen(store, path);
    assert_true(store_crashed(store, photo.id, &err) && store_crashed(store, other.id, &err));
    assert_true(store_crashed(store, 12345, &err)); // of a job that is forgotten
    assert_true(store_claim(store, &photo, &err));
    assert_string_equal(photo.source, "/photos/2.jpg");
    assert_true(store_finish(store, photo.id, "{}", NULL, NULL, &err));
    assert_true(store_claim(store, &photo, &err));
    assert_string_equal(photo.source, "/photos/3.jpg");
    assert_false(store_claim(store, &other, &err)); // not beside another
    assert_int_equal(err.code, ERR_NOTFOUND);
    assert_true(store_finish(store, photo.id, "{}", NULL, NULL, &err));
    assert_true(store_claim(store, &photo, &err));
    assert_string_equal(photo.source, "/photos/0.jpg");
    assert_int_equal(photo.crashes, 1);
    assert_false(store_claim(store, &other, &err)); // nor another beside it
    store = reopen(store, path);
    assert_true(store_crashed(store, photo.id, &err));
    for (unsigned crashes = 1; crashes <= 2; crashes++) {
        assert_true(store_claim(store, &photo, &err));
        assert_string_equal(photo.source, crashes == 1 ? "/photos/1.jpg" : "/photos/0.jpg");
        assert_int_equal(photo.crashes, crashes);
        assert_true(store_finish(store, photo.id, "{}", NULL, NULL, &err));
    }
    assert_int_equal(job_of(store, id).state, JOB_DONE);
    store_close(store);
    forget(path);
}

static void test_jobs_take_turns(void **state) {
    (void)state;
    struct err err = {0};
    struct store *store = store_open(":memory:", NULL, &err);
    char large[33], small[33];
    struct photo photo;
    new_job(store, "tra", 30, large);
    new_job(store, "lote", 3, small);
    unsigned of_small = 0;
    for (int i = 0; i < 6; i++) {
        assert_true(store_claim(store, &photo, &err));
        of_small += strcmp(photo.job, small) == 0;
    }
    assert_int_equal(of_small, 3); // not behind the thirty
    store_close(store);
}

static void test_cancelled_and_empty_jobs(void **state) {
    (void)state;
    struct err err = {0};
    struct store *store = store_open(":memory:", NULL, &err);
    char id[33], empty[33];
    struct photo photo;
    new_job(store, "lote", 3, id);
    assert_true(store_claim(store, &photo, &err));
    assert_true(store_job_cancel(store, id, &err));
    assert_int_equal(job_of(store, id).state, JOB_CANCELLED);
    assert_true(store_finish(store, photo.id, "{}", NULL, NULL, &err)); // what ran may end
    assert_int_equal(job_of(store, id).done, 1);
    assert_false(store_claim(store, &photo, &err));
    assert_true(store_job_cancel(store, id, &err)); // again
    assert_false(store_job_cancel(store, "no-such-job", &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    new_job(store, "lote", 0, empty);
    assert_int_equal(job_of(store, empty).state, JOB_DONE);
    struct job jobs[8];
    size_t count;
    assert_true(store_jobs(store, jobs, 8, &count, &err));
    assert_int_equal(count, 2);
    store_close(store);
}

static void test_a_job_is_there_whole_or_not_at_all(void **state) {
    (void)state;
    struct err err = {0};
    struct store *store = store_open(":memory:", NULL, &err);
    struct photo twice[] = {{.pole = "1", .source = "/a"}, {.pole = "1", .source = "/b"}};
    struct job jobs[8];
    size_t count;
    char id[33];
    assert_false(store_job_create(store, "lote", NULL, twice, 2, id, &err));
    assert_true(store_jobs(store, jobs, 8, &count, &err));
    assert_int_equal(count, 0);
    store_close(store);
}

static void test_folders_of_open_jobs_are_needed(void **state) {
    (void)state;
    struct err err = {0};
    struct store *store = store_open(":memory:", NULL, &err);
    struct photo photo = {.pole = "1", .source = "/spool/50%_a/0", .spooled = true};
    char id[33];
    assert_true(store_job_create(store, "lote", NULL, &photo, 1, id, &err));
    assert_true(store_needs_folder(store, "/spool/50%_a"));
    assert_false(store_needs_folder(store, "/spool/50%_b"));
    assert_false(store_needs_folder(store, "/spool/50%"));
    assert_true(store_claim(store, &photo, &err));
    assert_true(store_needs_folder(store, "/spool/50%_a"));
    assert_true(store_finish(store, photo.id, "{}", NULL, NULL, &err));
    assert_false(store_needs_folder(store, "/spool/50%_a"));
    store_close(store);
}

// A worker is killed again and again in the middle of its work; at the end every photo is there
// once, with its own result.
static void test_killed_many_times(void **state) {
    (void)state;
    enum { PHOTOS = 120, KILLS = 20 };
    char path[64], id[33];
    struct err err = {0};
    snprintf(path, sizeof path, "/tmp/test-ocr-store-%d.db", (int)getpid());
    struct store *store = store_open(path, NULL, &err);
    if (!store)
        fail_msg("%s", err.text);
    new_job(store, "lote", PHOTOS, id);
    store_close(store);
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        int ready[2];
        assert_int_equal(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0) {
            struct store *own = store_open(path, NULL, NULL);
            for (;;) {
                struct photo photo;
                char result[80];
                if (!own || !store_claim(own, &photo, NULL))
                    pause();
                if (write(ready[1], "x", 1) != 1)
                    _exit(1);
                snprintf(result, sizeof result, "{\"of\":\"%.60s\"}", photo.source);
                store_finish(own, photo.id, result, NULL, NULL, NULL);
            }
        }
        char x;
        for (int i = 0; i <= kill_number % 5; i++) // somewhere in the work, not before it
            assert_int_equal(read(ready[0], &x, 1), 1);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        close(ready[0]);
        close(ready[1]);
    }
    unsigned recovered = 0;
    store = store_open(path, &recovered, &err);
    assert_non_null(store);
    assert_true(recovered <= 1);
    work_on(store, PHOTOS);
    assert_int_equal(job_of(store, id).state, JOB_DONE);
    struct seen seen = {0};
    assert_true(store_results(store, id, see, &seen, &err));
    assert_int_equal(seen.rows, PHOTOS);
    assert_int_equal(seen.good, PHOTOS);
    store_close(store);
    forget(path);
}

static void test_a_job_waits_for_its_share(void **state) {
    (void)state;
    struct err err = {0};
    struct store *store = store_open(":memory:", NULL, &err);
    char id[33], other[33];
    struct photo photo, put_off, first;
    new_job(store, "alimentador", 3, id);
    new_job(store, "lote", 1, other);
    assert_int_equal(store_next_due(store), 0);
    assert_true(store_claim(store, &put_off, &err));
    assert_string_equal(put_off.job, id);
    assert_true(store_put_off(store, &put_off, 60000, "SHARE_UNREACHABLE", "it is off", &err));
    struct job job = job_of(store, id);
    assert_int_equal(job.state, JOB_OPEN);
    assert_int_equal(job.waiting, 3);
    assert_string_equal(job.fault, "SHARE_UNREACHABLE");
    assert_string_equal(job.fault_text, "it is off");
    assert_true(store_next_due(store) > job.created_ms);
    // Others go on meanwhile.
    assert_true(store_claim(store, &photo, &err));
    assert_string_equal(photo.job, other);
    assert_true(store_finish(store, photo.id, "{}", NULL, NULL, &err));
    assert_false(store_claim(store, &photo, &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    // Once its photos are under way, nobody has to come for them. The one that was tried is last.
    while (!store_claim(store, &first, &err))
        usleep(10000);
    for (int i = 0; i < 2; i++)
        assert_true(store_claim(store, &photo, &err));
    assert_int_equal(photo.id, put_off.id);
    assert_int_equal(store_next_due(store), 0);
    assert_true(store_release(store, first.id, &err));
    // A result ends the waiting.
    assert_true(store_finish(store, put_off.id, "{}", NULL, NULL, &err));
    assert_string_equal(job_of(store, id).fault, "");
    assert_int_equal(store_next_due(store), 0);
    assert_true(store_claim(store, &photo, &err));
    assert_string_equal(photo.job, id);
    store_close(store);
}

static void test_a_job_whose_share_stays_away(void **state) {
    (void)state;
    struct err err = {0};
    struct store *store = store_open(":memory:", NULL, &err);
    char id[33];
    struct photo photo, second;
    new_job(store, "alimentador", 3, id);
    assert_true(store_claim(store, &photo, &err));
    assert_true(store_claim(store, &second, &err));
    assert_true(store_put_off(store, &photo, 0, "SHARE_DENIED", "no", &err));
    struct job job = job_of(store, id);
    assert_int_equal(job.state, JOB_STOPPED);
    assert_true(job.ended_ms >= job.created_ms);
    assert_int_equal(job.waiting, 2);
    // What was under way may still end, or come back.
    assert_true(store_put_off(store, &second, 0, "SHARE_DENIED", "no", &err));
    assert_int_equal(job_of(store, id).waiting, 3);
    assert_false(store_claim(store, &photo, &err));
    assert_true(store_job_resume(store, id, &err));
    job = job_of(store, id);
    assert_int_equal(job.state, JOB_OPEN);
    assert_string_equal(job.fault, "");
    work_on(store, 3);
    assert_int_equal(job_of(store, id).state, JOB_DONE);
    assert_true(store_job_resume(store, id, &err)); // changes nothing
    assert_int_equal(job_of(store, id).state, JOB_DONE);
    assert_false(store_job_resume(store, "no such job", &err));
    assert_int_equal(err.code, ERR_NOTFOUND);
    // A stopped job can be cancelled.
    new_job(store, "alimentador", 1, id);
    assert_true(store_claim(store, &photo, &err));
    assert_true(store_put_off(store, &photo, 0, "SHARE_DENIED", "no", &err));
    assert_true(store_job_cancel(store, id, &err));
    assert_int_equal(job_of(store, id).state, JOB_CANCELLED);
    store_close(store);
}

// A file that an earlier version made.
static void test_files_of_before(void **state) {
    (void)state;
    char path[64], side[80], id[33];
    struct err err = {0};
    sqlite3 *db;
    snprintf(path, sizeof path, "/tmp/test-ocr-store-old-%d.db", (int)getpid());
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE TABLE job (id TEXT PRIMARY KEY, kind TEXT NOT NULL, options TEXT,"
                     " state INTEGER NOT NULL, created INTEGER NOT NULL,"
                     " ended INTEGER NOT NULL DEFAULT 0, turn INTEGER NOT NULL DEFAULT 0)"
                     " WITHOUT ROWID;"
                     "INSERT INTO job (id, kind, state, created) VALUES ('old', 'lote', 1, 1)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    for (int i = 0; i < 2; i++) {
        struct store *store = store_open(path, NULL, &err);
        if (!store)
            fail_msg("%s", err.text);
        assert_string_equal(job_of(store, "old").fault, "");
        new_job(store, "lote", 1, id);
        store_close(store);
    }
    static const char *const TAILS[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(side, sizeof side, "%s%s", path, TAILS[i]);
        unlink(side);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_from_begin_to_end),
        cmocka_unit_test(test_a_photo_put_off),
        cmocka_unit_test(test_after_a_crash),
        cmocka_unit_test(test_jobs_take_turns),
        cmocka_unit_test(test_cancelled_and_empty_jobs),
        cmocka_unit_test(test_a_job_is_there_whole_or_not_at_all),
        cmocka_unit_test(test_folders_of_open_jobs_are_needed),
        cmocka_unit_test(test_a_job_waits_for_its_share),
        cmocka_unit_test(test_a_job_whose_share_stays_away),
        cmocka_unit_test(test_files_of_before),
        cmocka_unit_test(test_killed_many_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
