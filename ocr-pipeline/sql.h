// One database that is asked in SQL: a file of SQLite's, or a PostgreSQL server. Statements are
// written so that both understand them; what varies is bound ($1, $2 ...), never pasted.
//
// One thread at a time (the caller's lock). Blocking, but never longer than its timeouts; never
// called on a loop.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql;
enum { SQL_COLUMNS_MAX = 64 };

enum sql_open {
    SQL_THEIRS, // somebody else's: nothing is made
    SQL_OURS,   // made when it is not there
};

// ":memory:" for tests. ERR_NOTFOUND: there is no such file.
struct sql *sql_open_sqlite(const char *path, enum sql_open how, int64_t timeout_ms,
                            struct err *err);
// Connects when it is asked, again when the connection is lost, and after a failure not for some
// seconds. ERR_NOTFOUND: libpq is not installed; ERR_INVALID: it is no URL of PostgreSQL's.
struct sql *sql_open_postgres(const char *url, int64_t connect_ms, int64_t timeout_ms,
                              struct err *err);
void sql_close(struct sql *sql);              // NULL is fine
const char *sql_where(const struct sql *sql); // for people; without a password

struct sql_row {
    size_t count;
    const char *names[SQL_COLUMNS_MAX], *values[SQL_COLUMNS_MAX]; // NULL is ""
};
// False ends the statement, which then fails with what is in err.
typedef bool sql_row_fn(void *arg, const struct sql_row *row, struct err *err);

// `texts` are bound in their order; `on_row` may be NULL. ERR_PEER: the server is not reachable;
// ERR_TIMEOUT; ERR_DENIED; ERR_BUSY; ERR_INVALID: it does not understand the statement, or knows no
// such table; ERR_FULL; ERR_SYSTEM.
bool sql_run(struct sql *sql, const char *statement, const char *const *texts, size_t count,
             sql_row_fn *on_row, void *arg, struct err *err);
