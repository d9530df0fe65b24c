// PostgreSQL's client library, opened when a database is asked for: a machine without it builds and
// runs all the same. Its functions and structs have stood as they are since libpq.so.5 (2005);
// https://www.postgresql.org/docs/current/libpq.html.
#pragma once

#include "base/err.h"

#include <stddef.h>

struct pg_conn;
struct pg_result;
struct pg_option {
    char *keyword, *environment, *compiled, *value, *label, *show;
    int size;
};

enum pg_polling { PG_POLL_FAILED, PG_POLL_READ, PG_POLL_WRITE, PG_POLL_OK };
enum pg_conn_status { PG_CONNECTION_OK, PG_CONNECTION_BAD };
enum { PG_TRANSACTION_IDLE = 0, PG_FIELD_SQLSTATE = 'C' };
enum pg_status { PG_COMMAND_DONE = 1, PG_ROWS_END = 2, PG_ROW = 9 };

struct libpq {
    struct pg_option *(*parse)(const char *url, char **why);
    void (*options_free)(struct pg_option *options);
    void (*text_free)(void *text);
    struct pg_conn *(*connect)(const char *const *keywords, const char *const *values, int expand);
    enum pg_polling (*poll)(struct pg_conn *conn);
    int (*conn_status)(const struct pg_conn *conn);
    int (*socket)(const struct pg_conn *conn);
    int (*asks_password)(const struct pg_conn *conn); // and there was none
    int (*used_password)(const struct pg_conn *conn);
    int (*transaction)(const struct pg_conn *conn);
    char *(*conn_error)(const struct pg_conn *conn);
    void (*finish)(struct pg_conn *conn);
    void *(*on_notice)(struct pg_conn *conn, void (*fn)(void *arg, const char *text), void *arg);
    int (*set_nonblocking)(struct pg_conn *conn, int on);
    int (*send)(struct pg_conn *conn, const char *statement, int count, const unsigned *types,
                const char *const *values, const int *lengths, const int *formats, int binary);
    int (*row_by_row)(struct pg_conn *conn);
    int (*flush)(struct pg_conn *conn);
    int (*consume)(struct pg_conn *conn);
    int (*is_busy)(struct pg_conn *conn);
    struct pg_result *(*result)(struct pg_conn *conn);
    int (*status)(const struct pg_result *result);
    char *(*error_field)(const struct pg_result *result, int field);
    char *(*error)(const struct pg_result *result);
    int (*rows)(const struct pg_result *result);
    int (*columns)(const struct pg_result *result);
    char *(*column)(const struct pg_result *result, int column);
    char *(*value)(const struct pg_result *result, int row, int column);
    void (*clear)(struct pg_result *result);
};

// Opened once and never closed. NULL with ERR_NOTFOUND, which names the package.
const struct libpq *libpq_open(struct err *err);
