#include "base/mem.h"
#include "event/loop.h"
#include "sql_private.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_A_LOOK = 10000 }; // of SQLite's machine, between two looks at the clock

struct sqlite {
    struct sql sql;
    sqlite3 *db;
    int64_t timeout_ms, deadline_ms;
};

static bool wrong(struct sqlite *sqlite, const char *what, struct err *err) {
    enum err_code code = ERR_SYSTEM;
    switch (sqlite3_errcode(sqlite->db)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: code = ERR_BUSY; break;
    case SQLITE_INTERRUPT:
        return err_set(err, ERR_TIMEOUT, "%s: no answer within %lld ms", what,
                       (long long)sqlite->timeout_ms);
    case SQLITE_FULL: code = ERR_FULL; break;
    case SQLITE_READONLY:
    case SQLITE_PERM: code = ERR_DENIED; break;
    case SQLITE_ERROR:
    case SQLITE_RANGE: code = ERR_INVALID; break;
    default: break;
    }
    return err_set(err, code, "%s: %s", what, sqlite3_errmsg(sqlite->db));
}

static int is_late(void *arg) {
    const struct sqlite *sqlite = arg;
    return loop_now_ms() > sqlite->deadline_ms;
}

static sqlite3_stmt *prepare(struct sqlite *sqlite, const char *text, const char *const *texts,
                             size_t count) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(sqlite->db, text, -1, &statement, NULL) != SQLITE_OK)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "$%zu", i + 1);
        int index = sqlite3_bind_parameter_index(statement, name);
        if (index > 0)
            sqlite3_bind_text(statement, index, texts[i], -1, SQLITE_TRANSIENT);
    }
    return statement;
}

static bool give_row(sqlite3_stmt *statement, sql_row_fn *on_row, void *arg, struct err *err) {
    struct sql_row row = {.count = (size_t)sqlite3_column_count(statement)};
    if (row.count > SQL_COLUMNS_MAX)
        row.count = SQL_COLUMNS_MAX;
    for (size_t i = 0; i < row.count; i++) {
        const char *text = (const char *)sqlite3_column_text(statement, (int)i);
        row.names[i] = sqlite3_column_name(statement, (int)i);
        row.values[i] = text ? text : "";
    }
    return !on_row || on_row(arg, &row, err);
}

static bool run(struct sql *sql, const char *text, const char *const *texts, size_t count,
                sql_row_fn *on_row, void *arg, struct err *err) {
    struct sqlite *sqlite = (struct sqlite *)sql;
    sqlite->deadline_ms = loop_now_ms() + sqlite->timeout_ms;
    sqlite3_stmt *statement = prepare(sqlite, text, texts, count);
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    bool good = true;
    while (good && code == SQLITE_ROW) {
        good = give_row(statement, on_row, arg, err);
        code = good ? sqlite3_step(statement) : code;
    }
    if (good && code != SQLITE_DONE)
        good = wrong(sqlite, sql->where, err);
    sqlite3_finalize(statement);
    return good;
}

static void close_file(struct sql *sql) {
    sqlite3_close(((struct sqlite *)sql)->db);
    mem_free(sql);
}

static const struct sql_kind kind = {run, close_file};

struct sql *sql_open_sqlite(const char *path, enum sql_open how, int64_t timeout_ms,
                            struct err *err) {
    struct sqlite *sqlite = mem_alloc(sizeof *sqlite);
    sqlite->sql.kind = &kind;
    sqlite->timeout_ms = timeout_ms;
    snprintf(sqlite->sql.where, sizeof sqlite->sql.where, "%s", path);
    int flags = SQLITE_OPEN_READWRITE | (how == SQL_OURS ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(path, &sqlite->db, flags, NULL);
    if (code != SQLITE_OK) {
        if (code == SQLITE_CANTOPEN && how == SQL_THEIRS)
            err_set(err, ERR_NOTFOUND, "%s cannot be opened; is it there?", path);
        else
            wrong(sqlite, path, err);
        close_file(&sqlite->sql);
        return NULL;
    }
    sqlite3_busy_timeout(sqlite->db, (int)timeout_ms);
    sqlite3_progress_handler(sqlite->db, STEPS_A_LOOK, is_late, sqlite);
    // Readers and the one who writes do not wait for each other. Of a file that may not be written
    // nothing changes.
    if (how == SQL_OURS)
        sqlite3_exec(sqlite->db, "PRAGMA journal_mode = WAL;", NULL, NULL, NULL);
    return &sqlite->sql;
}
