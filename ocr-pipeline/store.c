#include "store.h"

#include "base/mem.h"
#include "event/loop.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PUT_OFF_LEAST_MS = 500, PUT_OFF_MOST_MS = 60000 };

struct store {
    sqlite3 *db;
};

// A photo is one row from the moment it is accepted; `result` comes with state 2 or 3, in the same
// statement. `turn` makes jobs take turns: the one that was served longest ago comes first.
static const char SCHEMA[] =
    "CREATE TABLE IF NOT EXISTS job (id TEXT PRIMARY KEY, kind TEXT NOT NULL, options TEXT,"
    " state INTEGER NOT NULL, created INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0,"
    " turn INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS photo (id INTEGER PRIMARY KEY, job TEXT NOT NULL"
    " REFERENCES job ON DELETE CASCADE, pole TEXT NOT NULL, number INTEGER NOT NULL,"
    " source TEXT NOT NULL, spooled INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0,"
    " result TEXT, code TEXT, UNIQUE (job, pole, number));"
    "CREATE TABLE IF NOT EXISTS photo_record (photo INTEGER PRIMARY KEY"
    " REFERENCES photo ON DELETE CASCADE, record TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS photo_state ON photo (state, job);";

// A job that waits for its share: since when, until when, and why.
static const char SCHEMA_1[] = "BEGIN IMMEDIATE;"
                               "ALTER TABLE job ADD COLUMN fault_since INTEGER NOT NULL DEFAULT 0;"
                               "ALTER TABLE job ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;"
                               "ALTER TABLE job ADD COLUMN fault TEXT NOT NULL DEFAULT '';"
                               "ALTER TABLE job ADD COLUMN fault_text TEXT NOT NULL DEFAULT '';"
                               "PRAGMA user_version = 1; COMMIT;";

// When a photo was put off last.
static const char SCHEMA_2[] = "BEGIN IMMEDIATE;"
                               "ALTER TABLE photo ADD COLUMN tried INTEGER NOT NULL DEFAULT 0;"
                               "PRAGMA user_version = 2; COMMIT;";

// How often the process crashed while a photo was under way.
static const char SCHEMA_3[] = "BEGIN IMMEDIATE;"
                               "ALTER TABLE photo ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;"
                               "PRAGMA user_version = 3; COMMIT;";

static bool wrong(struct store *store, const char *what, struct err *err) {
    int code = sqlite3_errcode(store->db), number = sqlite3_system_errno(store->db);
    const char *text = sqlite3_errmsg(store->db);
    switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, ERR_BUSY, "%s: %s (does another ocr-pipeline use it?)", what, text);
    case SQLITE_FULL: return err_set(err, ERR_FULL, "%s: %s", what, text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(err, ERR_SYSTEM, "%s: %s; move it away, and its jobs with it", what, text);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        if (number)
            return err_set(err, err_number_is_full(number) ? ERR_FULL : ERR_SYSTEM, "%s: %s: %s",
                           what, text, strerror(number));
    }
    return err_set(err, ERR_SYSTEM, "%s: %s", what, text);
}

static bool run(struct store *store, const char *sql, const char *what, struct err *err) {
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK || wrong(store, what, err);
}

// Several statements, of which all or none come to be: begin, then end with whether they went well.
static bool begin(struct store *store, const char *what, struct err *err) {
    return run(store, "BEGIN IMMEDIATE", what, err);
}

static bool end(struct store *store, bool good, const char *what, struct err *err) {
    good = good && run(store, "COMMIT", what, err);
    if (!good)
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL); // needs no room
    return good;
}

// Binds by letters: s text or NULL, i int64_t.
static sqlite3_stmt *prepare(struct store *store, const char *sql, const char *types, ...) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return NULL;
    va_list args;
    va_start(args, types);
    for (int i = 1; *types; types++, i++) {
        if (*types == 's')
            sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        else
            sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
    }
    va_end(args);
    return statement;
}

// Runs it to its end; how many rows it changed, -1 on failure.
static int finish(struct store *store, sqlite3_stmt *statement, const char *what, struct err *err) {
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        wrong(store, what, err);
        sqlite3_finalize(statement);
        return -1;
    }
    sqlite3_finalize(statement);
    return sqlite3_changes(store->db);
}

static void copy_column(sqlite3_stmt *row, int column, char *out, size_t size) {
    const char *text = (const char *)sqlite3_column_text(row, column);
    snprintf(out, size, "%s", text ? text : "");
}

static int64_t number(struct store *store, const char *sql) {
    sqlite3_stmt *row = prepare(store, sql, "");
    int64_t value = row && sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_finalize(row);
    return value;
}

// Files of earlier versions, and new ones.
static bool upgrade(struct store *store, struct err *err) {
    return run(store, SCHEMA, "its tables", err) &&
           (number(store, "PRAGMA user_version") >= 1 || run(store, SCHEMA_1, "its tables", err)) &&
           (number(store, "PRAGMA user_version") >= 2 || run(store, SCHEMA_2, "its tables", err)) &&
           (number(store, "PRAGMA user_version") >= 3 || run(store, SCHEMA_3, "its tables", err));
}

static bool recover(struct store *store, unsigned *recovered, struct err *err) {
    if (!run(store, "UPDATE job SET not_before = 0", "jobs that were put off", err))
        return false;
    int n = finish(store, prepare(store, "UPDATE photo SET state = 0 WHERE state = 1", ""),
                   "photos that were under way", err);
    if (recovered)
        *recovered = n > 0 ? (unsigned)n : 0;
    return n >= 0;
}

struct store *store_open(const char *path, unsigned *recovered, struct err *err) {
    struct store *store = mem_alloc(sizeof *store);
    bool good = sqlite3_open(path, &store->db) == SQLITE_OK || wrong(store, "cannot open it", err);
    if (good) {
        sqlite3_busy_timeout(store->db, 2000);
        // One process at a time: another would take what this one has under way for left over.
        good = run(store,
                   "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                   "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
                   "cannot open it", err) &&
               upgrade(store, err) && recover(store, recovered, err);
    }
    if (good)
        return store;
    err_context(err, "%s", path);
    store_close(store);
    return NULL;
}

void store_close(struct store *store) {
    if (!store)
        return;
    sqlite3_close(store->db);
    mem_free(store);
}

static bool add_photo(struct store *store, const char *job, const struct photo *photo,
                      struct err *err) {
    return finish(store,
                  prepare(store,
                          "INSERT INTO photo (job, pole, number, source, spooled)"
                          " VALUES (?, ?, ?, ?, ?)",
                          "ssisi", job, photo->pole, (int64_t)photo->number, photo->source,
                          (int64_t)photo->spooled),
                  "a photo of a job", err) >= 0;
}

// Nothing waits and nothing runs: it is over.
static bool end_if_over(struct store *store, const char *job, struct err *err) {
    return finish(store,
                  prepare(store,
                          "UPDATE job SET state = 2, ended = ? WHERE id = ? AND state = 1 AND NOT"
                          " EXISTS (SELECT 1 FROM photo WHERE job = job.id AND state < 2)",
                          "is", loop_wall_ms(), job),
                  "the end of a job", err) >= 0;
}

bool store_job_create(struct store *store, const char *kind, const char *options,
                      const struct photo *photos, size_t count, char id[33], struct err *err) {
    static const char what[] = "a new job";
    unsigned char random[16];
    sqlite3_randomness(sizeof random, random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
    if (!begin(store, what, err))
        return false;
    bool good = finish(store,
                       prepare(store,
                               "INSERT INTO job (id, kind, options, state, created)"
                               " VALUES (?, ?, ?, 1, ?)",
                               "sssi", id, kind, options, loop_wall_ms()),
                       what, err) >= 0;
    for (size_t i = 0; good && i < count; i++)
        good = add_photo(store, id, &photos[i], err);
    return end(store, good && end_if_over(store, id, err), what, err);
}

bool store_job_resume(struct store *store, const char *job, struct err *err) {
    int n = finish(store,
                   prepare(store,
                           "UPDATE job SET state = 1, ended = 0, not_before = 0, fault_since = 0,"
                           " fault = '', fault_text = '' WHERE id = ? AND state = 4",
                           "s", job),
                   "a job", err);
    struct job found;
    return n > 0 || (n == 0 && store_job_find(store, job, &found, err));
}

bool store_job_cancel(struct store *store, const char *job, struct err *err) {
    int n = finish(store,
                   prepare(store,
                           "UPDATE job SET state = 3, ended = ? WHERE id = ? AND state IN (1, 4)",
                           "is", loop_wall_ms(), job),
                   "a job", err);
    if (n == 0) {
        struct job found;
        return store_job_find(store, job, &found, err); // it has ended already
    }
    return n > 0;
}

static const char JOB_ROW[] =
    "SELECT id, kind, state, created, ended, (SELECT count(*) FROM photo WHERE job = j.id),"
    " (SELECT count(*) FROM photo WHERE job = j.id AND state = 0),"
    " (SELECT count(*) FROM photo WHERE job = j.id AND state = 1),"
    " (SELECT count(*) FROM photo WHERE job = j.id AND state = 2),"
    " (SELECT count(*) FROM photo WHERE job = j.id AND state = 3), fault, fault_text FROM job j";

static void read_job(sqlite3_stmt *row, struct job *job) {
    copy_column(row, 0, job->id, sizeof job->id);
    copy_column(row, 1, job->kind, sizeof job->kind);
    job->state = (enum job_state)sqlite3_column_int(row, 2);
    job->created_ms = sqlite3_column_int64(row, 3);
    job->ended_ms = sqlite3_column_int64(row, 4);
    unsigned *const counts[] = {&job->photos, &job->waiting, &job->running, &job->done,
                                &job->failed};
    for (int i = 0; i < 5; i++)
        *counts[i] = (unsigned)sqlite3_column_int(row, 5 + i);
    copy_column(row, 10, job->fault, sizeof job->fault);
    copy_column(row, 11, job->fault_text, sizeof job->fault_text);
}

bool store_job_find(struct store *store, const char *id, struct job *job, struct err *err) {
    char sql[sizeof JOB_ROW + 32];
    snprintf(sql, sizeof sql, "%s WHERE id = ?", JOB_ROW);
    sqlite3_stmt *row = prepare(store, sql, "s", id);
    int code = row ? sqlite3_step(row) : SQLITE_ERROR;
    if (code == SQLITE_ROW)
        read_job(row, job);
    bool good = code == SQLITE_ROW ||
                (code == SQLITE_DONE ? err_set(err, ERR_NOTFOUND, "there is no job %.40s", id)
                                     : wrong(store, "a job", err));
    sqlite3_finalize(row);
    return good;
}

bool store_jobs(struct store *store, struct job *jobs, size_t most, size_t *count,
                struct err *err) {
    char sql[sizeof JOB_ROW + 48];
    snprintf(sql, sizeof sql, "%s ORDER BY created DESC, id LIMIT ?", JOB_ROW);
    sqlite3_stmt *row = prepare(store, sql, "i", (int64_t)most);
    int code = row ? SQLITE_ROW : SQLITE_ERROR;
    for (*count = 0; row && *count < most && (code = sqlite3_step(row)) == SQLITE_ROW; ++*count)
        read_job(row, &jobs[*count]);
    bool good = code == SQLITE_DONE || code == SQLITE_ROW || wrong(store, "the jobs", err);
    sqlite3_finalize(row);
    return good;
}

static void read_photo(sqlite3_stmt *row, struct photo *photo) {
    photo->id = sqlite3_column_int64(row, 0);
    copy_column(row, 1, photo->job, sizeof photo->job);
    copy_column(row, 2, photo->pole, sizeof photo->pole);
    photo->number = (unsigned)sqlite3_column_int(row, 3);
    copy_column(row, 4, photo->source, sizeof photo->source);
    photo->spooled = sqlite3_column_int(row, 5) != 0;
    photo->crashes = (unsigned)sqlite3_column_int(row, 6);
}

#define PHOTO_COLUMNS "id, job, pole, number, source, spooled, crashes"
enum { PHOTO_COLUMN_COUNT = 7 };

static bool take_next(struct store *store, struct photo *photo, struct err *err) {
    sqlite3_stmt *row = prepare(
        store,
        "UPDATE photo SET state = 1 WHERE id = (SELECT p.id FROM photo p JOIN job j ON j.id = p.job"
        " WHERE p.state = 0 AND j.state = 1 AND j.not_before <= ?"
        " AND (p.crashes = 0 OR NOT EXISTS (SELECT 1 FROM photo WHERE state = 1))"
        " AND NOT EXISTS (SELECT 1 FROM photo WHERE state = 1 AND crashes > 0)"
        " ORDER BY j.turn, j.created, p.crashes, p.tried, p.id LIMIT 1) RETURNING " PHOTO_COLUMNS,
        "i", loop_wall_ms());
    int code = row ? sqlite3_step(row) : SQLITE_ERROR;
    bool found = code == SQLITE_ROW;
    if (found) {
        read_photo(row, photo);
        code = sqlite3_step(row); // to its end: RETURNING changes nothing for good before
    }
    bool good = code == SQLITE_DONE || wrong(store, "the next photo", err);
    sqlite3_finalize(row);
    return good && (found || err_set(err, ERR_NOTFOUND, "no photo waits"));
}

bool store_claim(struct store *store, struct photo *photo, struct err *err) {
    static const char what[] = "the next photo";
    if (!begin(store, what, err))
        return false;
    bool good = take_next(store, photo, err) &&
                finish(store,
                       prepare(store,
                               "UPDATE job SET turn = (SELECT max(turn) + 1 FROM job)"
                               " WHERE id = ?",
                               "s", photo->job),
                       "the turns of the jobs", err) >= 0;
    return end(store, good, what, err);
}

// ERR_NOTFOUND when it was forgotten with its job.
static bool job_of(struct store *store, int64_t photo, char job[33], struct err *err) {
    sqlite3_stmt *row = prepare(store, "SELECT job FROM photo WHERE id = ?", "i", photo);
    int code = row ? sqlite3_step(row) : SQLITE_ERROR;
    if (code == SQLITE_ROW)
        copy_column(row, 0, job, 33);
    bool good = code == SQLITE_ROW ||
                (code == SQLITE_DONE ? err_set(err, ERR_NOTFOUND, "the photo is forgotten")
                                     : wrong(store, "a result", err));
    sqlite3_finalize(row);
    return good;
}

int64_t store_next_due(struct store *store) {
    return number(store, "SELECT min(not_before) FROM job WHERE state = 1 AND not_before > 0 AND"
                         " EXISTS (SELECT 1 FROM photo WHERE job = job.id AND state = 0)");
}

static bool end_fault(struct store *store, const char *job, struct err *err) {
    return finish(store,
                  prepare(store,
                          "UPDATE job SET fault_since = 0, not_before = 0, fault = '',"
                          " fault_text = '' WHERE id = ? AND state = 1 AND fault_since != 0",
                          "s", job),
                  "a result", err) >= 0;
}

// One photo's result and its being done, its record and the end of its job: all or nothing.
static bool finish_photo(struct store *store, int64_t photo, const char *job, const char *result,
                         const char *code, const char *record, struct err *err) {
    int changed =
        finish(store,
               prepare(store,
                       "UPDATE photo SET state = ?, result = ?, code = ?"
                       " WHERE id = ? AND state < 2",
                       "issi", (int64_t)(code ? PHOTO_FAILED : PHOTO_DONE), result, code, photo),
               "a result", err);
    return changed >= 0 &&
           (!record || changed == 0 ||
            finish(store,
                   prepare(store, "INSERT INTO photo_record VALUES (?, ?)", "is", photo, record),
                   "a record", err) >= 0) &&
           end_fault(store, job, err) && end_if_over(store, job, err);
}

bool store_finish(struct store *store, int64_t photo, const char *result, const char *code,
                  const char *record, struct err *err) {
    static const char what[] = "a result";
    struct err why = {0};
    char job[33] = "";
    if (!job_of(store, photo, job, &why))
        return why.code == ERR_NOTFOUND || err_set(err, why.code, "%s", why.text);
    if (!begin(store, what, err))
        return false;
    return end(store, finish_photo(store, photo, job, result, code, record, err), what, err);
}

static bool put_back(struct store *store, int64_t photo, int64_t tried, struct err *err) {
    return finish(store,
                  prepare(store,
                          "UPDATE photo SET state = 0, tried = max(tried, ?)"
                          " WHERE id = ? AND state = 1",
                          "ii", tried, photo),
                  "a photo put back", err) >= 0;
}

bool store_release(struct store *store, int64_t photo, struct err *err) {
    return put_back(store, photo, 0, err);
}

bool store_crashed(struct store *store, int64_t photo, struct err *err) {
    return finish(store,
                  prepare(store,
                          "UPDATE photo SET crashes = crashes + 1 WHERE id = ? AND state < 2", "i",
                          photo),
                  "a photo of a crash", err) >= 0;
}

// A quarter of the time that it has been gone: quick at first, then seldom.
static bool put_job_off(struct store *store, const char *job, int64_t patience_ms, const char *code,
                        const char *text, struct err *err) {
    int64_t now = loop_wall_ms();
    return finish(store,
                  prepare(store,
                          "UPDATE job SET fault = ?, fault_text = ?,"
                          " fault_since = CASE fault_since WHEN 0 THEN ? ELSE fault_since END"
                          " WHERE id = ? AND state = 1",
                          "ssis", code, text, now, job),
                  "a job put off", err) >= 0 &&
           finish(store,
                  prepare(store,
                          "UPDATE job SET not_before = ? + min(max((? - fault_since) / 4, ?), ?)"
                          " WHERE id = ? AND state = 1",
                          "iiiis", now, now, (int64_t)PUT_OFF_LEAST_MS, (int64_t)PUT_OFF_MOST_MS,
                          job),
                  "a job put off", err) >= 0 &&
           finish(store,
                  prepare(store,
                          "UPDATE job SET state = 4, ended = ? WHERE id = ? AND state = 1"
                          " AND ? - fault_since >= ?",
                          "isii", now, job, now, patience_ms),
                  "a job put off", err) >= 0;
}

bool store_put_off(struct store *store, const struct photo *photo, int64_t patience_ms,
                   const char *code, const char *text, struct err *err) {
    static const char what[] = "a job put off";
    return begin(store, what, err) &&
           end(store,
               put_back(store, photo->id, loop_wall_ms(), err) &&
                   put_job_off(store, photo->job, patience_ms, code, text, err),
               what, err);
}

bool store_results(struct store *store, const char *job, store_result_fn *on_result, void *arg,
                   struct err *err) {
    sqlite3_stmt *row = prepare(store,
                                "SELECT " PHOTO_COLUMNS ", state, result, code, record FROM photo"
                                " LEFT JOIN photo_record ON photo = id"
                                " WHERE job = ? ORDER BY pole, number",
                                "s", job);
    int code = row ? SQLITE_ROW : SQLITE_ERROR;
    while (row && (code = sqlite3_step(row)) == SQLITE_ROW) {
        struct photo photo;
        read_photo(row, &photo);
        struct photo_result result = {
            .state = (enum photo_state)sqlite3_column_int(row, PHOTO_COLUMN_COUNT),
            .result = (const char *)sqlite3_column_text(row, PHOTO_COLUMN_COUNT + 1),
            .code = (const char *)sqlite3_column_text(row, PHOTO_COLUMN_COUNT + 2),
            .record = (const char *)sqlite3_column_text(row, PHOTO_COLUMN_COUNT + 3),
        };
        if (!on_result(arg, &photo, &result))
            break;
    }
    bool good = code == SQLITE_DONE || code == SQLITE_ROW || wrong(store, "results", err);
    sqlite3_finalize(row);
    return good;
}

bool store_needs_folder(struct store *store, const char *folder) {
    sqlite3_stmt *row = prepare(
        store,
        "SELECT 1 FROM photo p JOIN job j ON j.id = p.job WHERE p.spooled = 1 AND p.state < 2"
        " AND j.state IN (1, 4) AND substr(p.source, 1, length(?1) + 1) = ?1 || '/' LIMIT 1",
        "s", folder);
    int code = row ? sqlite3_step(row) : SQLITE_ERROR;
    sqlite3_finalize(row);
    return code != SQLITE_DONE;
}

unsigned store_expire(struct store *store, int64_t before_ms) {
    int n = finish(store,
                   prepare(store, "DELETE FROM job WHERE state >= 2 AND ended < ?", "i", before_ms),
                   "old jobs", NULL);
    return n > 0 ? (unsigned)n : 0;
}
