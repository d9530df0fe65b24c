// Jobs and their photos in one SQLite file: what was accepted is done, each photo exactly once,
// whenever the machine stops. A photo's result and its being done are one transaction; what was
// under way when the process died waits again at the next start.
//
// One connection, one thread at a time (the caller's lock). Blocking; never called on a loop.
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

// Made when it is not there; ":memory:" for tests. What was under way waits again (`recovered`,
// may be NULL: how many). ERR_BUSY: another process has it open; ERR_FULL: the disk is (true of all
// below that write); ERR_SYSTEM: SQLite's own words.
struct store *store_open(const char *path, unsigned *recovered, struct err *err);
void store_close(struct store *store); // NULL is fine

enum photo_state { PHOTO_WAITING, PHOTO_RUNNING, PHOTO_DONE, PHOTO_FAILED };
// Stopped: its share failed for too long; what waits goes on with store_job_resume.
enum job_state { JOB_OPEN = 1, JOB_DONE, JOB_CANCELLED, JOB_STOPPED };

struct photo {
    int64_t id;
    char job[33];      // of the job
    char pole[65];     // identifier of the pole it belongs to
    unsigned number;   // within the pole, from 0
    char source[1024]; // what share_photos.h calls it, or the path of one spooled for us
    bool spooled;      // is ours to delete when it is done
    unsigned crashes;  // while it was being read
};

// A new job with its photos, or nothing; its id (32 hex digits) goes to `id`.
bool store_job_create(struct store *store, const char *kind, const char *options,
                      const struct photo *photos, size_t count, char id[33], struct err *err);
// What is stopped goes on; another job stays as it is. False with ERR_NOTFOUND.
bool store_job_resume(struct store *store, const char *job, struct err *err);
// What waits is dropped; what runs may still end. False with ERR_NOTFOUND.
bool store_job_cancel(struct store *store, const char *job, struct err *err);

struct job {
    char id[33], kind[16];
    enum job_state state;
    int64_t created_ms, ended_ms; // since the epoch; ended 0: not yet
    unsigned photos, waiting, running, done, failed;
    char fault[32], fault_text[256]; // what its share does not do; "": nothing
};
bool store_job_find(struct store *store, const char *id, struct job *job, struct err *err);
// Newest first, at most `most`; how many goes to `count`.
bool store_jobs(struct store *store, struct job *jobs, size_t most, size_t *count, struct err *err);

// Claims the photo that waits longest, of the jobs in turn. False with ERR_NOTFOUND when none does.
// One that was read in a crash comes last in its job, and alone: so the second crash tells.
bool store_claim(struct store *store, struct photo *photo, struct err *err);
// When the next job that is put off, and has photos that wait, may go on (ms since the epoch); 0:
// there is none.
int64_t store_next_due(struct store *store);
// `result` is its JSON (kept as text); code NULL: read, else why not ("FILE_MISSING"). A photo that
// is already done stays as it is, and this is no error. The last one of a job ends it.
// `record` is what the records said of its pole (JSON), NULL: they were not asked.
bool store_finish(struct store *store, int64_t photo, const char *result, const char *code,
                  const char *record, struct err *err);
// It was being read when the process crashed. None that waits: this is no error.
bool store_crashed(struct store *store, int64_t photo, struct err *err);
// Puts a claimed photo back to wait, as it was.
bool store_release(struct store *store, int64_t photo, struct err *err);
// The same, behind those that were not tried yet, and its job is put off for a while that grows:
// its share or a model is gone that may come back. When it has been for `patience_ms`, the job is
// stopped. A photo that is done puts an end to it.
bool store_put_off(struct store *store, const struct photo *photo, int64_t patience_ms,
                   const char *code, const char *text, struct err *err);

struct photo_result {
    enum photo_state state;
    const char *result, *code, *record; // as they were given to store_finish; NULL: not there
};
// Results of a job in their order: pole, number. False ends the walk.
typedef bool store_result_fn(void *arg, const struct photo *photo,
                             const struct photo_result *result);
bool store_results(struct store *store, const char *job, store_result_fn *on_result, void *arg,
                   struct err *err);
// Does a job that has not ended still read photos out of this folder of ours? True when in doubt.
bool store_needs_folder(struct store *store, const char *folder);
// Forgets jobs that ended before this time (ms since the epoch); how many.
unsigned store_expire(struct store *store, int64_t before_ms);
