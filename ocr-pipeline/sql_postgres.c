#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "event/loop.h"
#include "libpq.h"
#include "sql_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    OPTIONS_MAX = 64,
    PAUSE_MS = 5000, // after a failure nobody waits for the next one
    GRACE_MS = 1000, // for the server's own words, when its statement_timeout ends one
};

struct postgres {
    struct sql sql;
    const struct libpq *pq;
    char *keywords[OPTIONS_MAX + 4], *values[OPTIONS_MAX + 4]; // to connect with; a NULL ends them
    size_t option_count;
    int64_t connect_ms, timeout_ms;
    struct pg_conn *conn;   // NULL: none
    bool in_transaction;    // what was said before is lost with the connection
    bool gave_row;          // of this statement
    struct err failure;     // why the last connection failed or hung
    int64_t asked_again_ms; // not before; 0: at once
};

// --- What is said of it, on one line

static void say(char *out, size_t size, const char *text) {
    size_t length = 0;
    for (; *text && length + 1 < size; text++) {
        bool blank = strchr(" \t\r\n", *text) != NULL;
        if (!blank)
            out[length++] = *text;
        else if (length > 0 && out[length - 1] != ' ')
            out[length++] = ' ';
    }
    while (length > 0 && out[length - 1] == ' ')
        length--;
    out[length] = '\0';
}

static bool fail(struct postgres *db, enum err_code code, const char *text, const char *advice,
                 struct err *err) {
    char line[384];
    say(line, sizeof line, text);
    return err_set(err, code, "%s: %s%s", db->sql.where, line, advice);
}

// --- The connection

static void disconnect(struct postgres *db) {
    if (db->conn)
        db->pq->finish(db->conn);
    db->conn = NULL;
}

// Until the socket is ready or the time is over.
static bool wait_for(struct postgres *db, short events, int64_t deadline_ms) {
    struct pollfd fd = {db->pq->socket(db->conn), events, 0};
    for (;;) {
        int64_t left = deadline_ms - loop_now_ms();
        if (left <= 0) // whatever is there: it may go on for ever
            return false;
        int n = poll(&fd, 1, (int)left);
        if (n > 0)
            return true;
        if (n == 0 || errno != EINTR)
            return false;
    }
}

static bool refused(struct postgres *db, struct err *err) {
    const struct libpq *pq = db->pq;
    bool password = pq->asks_password(db->conn) || pq->used_password(db->conn);
    return fail(db, password ? ERR_DENIED : ERR_PEER, pq->conn_error(db->conn),
                password ? " (the password is the URL's, PGPASSWORD's or that of ~/.pgpass)" : "",
                err);
}

static void no_notice(void *arg, const char *text) {}

static bool connect_now(struct postgres *db, struct err *err) {
    const struct libpq *pq = db->pq;
    int64_t deadline_ms = loop_now_ms() + db->connect_ms;
    enum pg_polling next = PG_POLL_WRITE;
    db->conn = pq->connect((const char *const *)db->keywords, (const char *const *)db->values, 0);
    if (!db->conn)
        return fail(db, ERR_SYSTEM, "no memory for a connection", "", err);
    pq->on_notice(db->conn, no_notice, NULL); // libpq would print them
    if (pq->conn_status(db->conn) == PG_CONNECTION_BAD)
        next = PG_POLL_FAILED;
    while (next == PG_POLL_READ || next == PG_POLL_WRITE) {
        if (!wait_for(db, next == PG_POLL_READ ? POLLIN : POLLOUT, deadline_ms))
            return err_set(err, ERR_TIMEOUT, "%s: no connection within %lld ms", db->sql.where,
                           (long long)db->connect_ms);
        next = pq->poll(db->conn);
    }
    return next == PG_POLL_OK ? pq->set_nonblocking(db->conn, 1) == 0 || refused(db, err)
                              : refused(db, err);
}

// --- One statement

static enum err_code code_of(const char *state) {
    static const struct {
        const char *begin; // of an SQLSTATE
        enum err_code code;
    } CODES[] = {
        {"57014", ERR_TIMEOUT}, // query_canceled: statement_timeout
        {"55P03", ERR_BUSY},    // lock_not_available
        {"40", ERR_BUSY},       // a deadlock, a transaction that must be done again
        {"53100", ERR_FULL},    // disk_full
        {"53", ERR_BUSY},       // too many connections, no memory
        {"57P", ERR_PEER},      // it is being shut down, or starts
        {"08", ERR_PEER},       // the connection
        {"28", ERR_DENIED},     // who asks
        {"42501", ERR_DENIED},  // insufficient_privilege
        {"25006", ERR_DENIED},  // read only
        {"42", ERR_INVALID},    // no such table or column, a mistake in the statement
        {"22", ERR_INVALID},    // a value that does not fit its column's type
    };
    for (size_t i = 0; state && i < sizeof CODES / sizeof *CODES; i++)
        if (str_starts(state, CODES[i].begin))
            return CODES[i].code;
    return ERR_SYSTEM;
}

static bool give_row(struct postgres *db, const struct pg_result *result, sql_row_fn *on_row,
                     void *arg, struct err *err) {
    const struct libpq *pq = db->pq;
    struct sql_row row = {.count = (size_t)pq->columns(result)};
    if (row.count > SQL_COLUMNS_MAX)
        row.count = SQL_COLUMNS_MAX;
    for (size_t i = 0; i < row.count; i++) {
        row.names[i] = pq->column(result, (int)i);
        row.values[i] = pq->value(result, 0, (int)i);
    }
    db->gave_row = true;
    return !on_row || on_row(arg, &row, err);
}

static bool take_result(struct postgres *db, const struct pg_result *result, sql_row_fn *on_row,
                        void *arg, struct err *err) {
    const struct libpq *pq = db->pq;
    int status = pq->status(result);
    if (status == PG_COMMAND_DONE || status == PG_ROWS_END)
        return true;
    if (status == PG_ROW)
        return pq->rows(result) == 0 || give_row(db, result, on_row, arg, err);
    const char *state = pq->error_field(result, PG_FIELD_SQLSTATE);
    // What the library says itself has no state: the connection has gone.
    enum err_code code = state && *state ? code_of(state) : ERR_PEER;
    return fail(db, code, pq->error(result), "", err);
}

// The next result, NULL at the end; false when none comes.
static bool next_result(struct postgres *db, int64_t deadline_ms, struct pg_result **result,
                        struct err *err) {
    const struct libpq *pq = db->pq;
    int left;
    while ((left = pq->flush(db->conn)) == 1 || pq->is_busy(db->conn)) {
        if (!wait_for(db, left == 1 ? POLLIN | POLLOUT : POLLIN, deadline_ms))
            return err_set(err, ERR_TIMEOUT, "%s: no answer within %lld ms", db->sql.where,
                           (long long)db->timeout_ms);
        if (!pq->consume(db->conn))
            return fail(db, ERR_PEER, pq->conn_error(db->conn), "", err);
    }
    if (left < 0)
        return fail(db, ERR_PEER, pq->conn_error(db->conn), "", err);
    *result = pq->result(db->conn);
    return true;
}

// Whatever is left of a statement when it failed is not waited for: the connection goes.
static bool ask(struct postgres *db, const char *statement, const char *const *texts, size_t count,
                sql_row_fn *on_row, void *arg, struct err *err) {
    const struct libpq *pq = db->pq;
    int64_t deadline_ms = loop_now_ms() + db->timeout_ms + GRACE_MS;
    struct pg_result *result = NULL;
    bool good = true;
    db->gave_row = false;
    if (!pq->send(db->conn, statement, (int)count, NULL, texts, NULL, NULL, 0) ||
        !pq->row_by_row(db->conn))
        return fail(db, ERR_PEER, pq->conn_error(db->conn), "", err);
    for (;;) {
        if (!next_result(db, deadline_ms, &result, good ? err : NULL)) {
            disconnect(db);
            return false;
        }
        if (!result)
            break;
        if (good && !take_result(db, result, on_row, arg, err)) {
            good = false;
            if (pq->status(result) == PG_ROW) { // enough was seen: there may be millions more
                pq->clear(result);
                disconnect(db);
                return false;
            }
        }
        pq->clear(result);
    }
    db->in_transaction = pq->transaction(db->conn) != PG_TRANSACTION_IDLE;
    return good;
}

// --- Asking, whatever became of the server meanwhile

// A statement that takes longer is ended by the server, so that it does not go on for nobody.
static bool connect_and_set(struct postgres *db, struct err *err) {
    char milliseconds[24];
    const char *texts[] = {milliseconds};
    snprintf(milliseconds, sizeof milliseconds, "%lld", (long long)db->timeout_ms);
    db->in_transaction = false;
    if (connect_now(db, err) &&
        ask(db, "SELECT set_config('statement_timeout', $1, false)", texts, 1, NULL, NULL, err)) {
        log_debug("records.connected to=%s", db->sql.where);
        return true;
    }
    disconnect(db);
    return false;
}

static bool is_lost(const struct postgres *db) {
    return !db->conn || db->pq->conn_status(db->conn) != PG_CONNECTION_OK;
}

// Of a server that is away everybody would wait as long as the first one did.
static void remember(struct postgres *db, const struct err *err) {
    if (err->code != ERR_PEER && err->code != ERR_TIMEOUT && err->code != ERR_DENIED)
        return;
    db->failure = *err;
    db->asked_again_ms = loop_now_ms() + PAUSE_MS;
}

static bool run(struct sql *sql, const char *statement, const char *const *texts, size_t count,
                sql_row_fn *on_row, void *arg, struct err *err) {
    struct postgres *db = (struct postgres *)sql;
    struct err why = {0};
    bool was_connected = db->conn != NULL, was_in_transaction = db->in_transaction;
    if (is_lost(db) && loop_now_ms() < db->asked_again_ms)
        return err_set(err, db->failure.code, "%s", db->failure.text);
    bool good = (db->conn || connect_and_set(db, &why)) &&
                ask(db, statement, texts, count, on_row, arg, &why);
    // A connection that broke while nobody looked: the server was started anew. What was said in a
    // transaction is gone with it, and a row that was given is not given twice.
    if (!good && was_connected && why.code == ERR_PEER && !was_in_transaction && !db->gave_row) {
        disconnect(db);
        why = (struct err){0};
        good = connect_and_set(db, &why) && ask(db, statement, texts, count, on_row, arg, &why);
    }
    if (good) {
        db->asked_again_ms = 0;
        return true;
    }
    if (is_lost(db)) {
        disconnect(db);
        db->in_transaction = false;
        remember(db, &why);
    }
    return err_set(err, why.code, "%s", why.text);
}

// --- Life

static void close_server(struct sql *sql) {
    struct postgres *db = (struct postgres *)sql;
    disconnect(db);
    for (size_t i = 0; i < db->option_count; i++) {
        mem_wipe(db->values[i], strlen(db->values[i])); // one of them is a password
        mem_free(db->keywords[i]);
        mem_free(db->values[i]);
    }
    mem_free(db);
}

static const struct sql_kind kind = {run, close_server};

static void add_option(struct postgres *db, const char *keyword, const char *value) {
    db->keywords[db->option_count] = mem_strdup(keyword);
    db->values[db->option_count++] = mem_strdup(value);
}

static void tell_where(struct postgres *db, const struct pg_option *options) {
    const char *user = "", *host = "", *port = "", *name = "";
    for (const struct pg_option *option = options; option->keyword; option++) {
        const char **slot = strcmp(option->keyword, "user") == 0                   ? &user
                            : strcmp(option->keyword, "host") == 0                 ? &host
                            : strcmp(option->keyword, "hostaddr") == 0 && !host[0] ? &host
                            : strcmp(option->keyword, "port") == 0                 ? &port
                            : strcmp(option->keyword, "dbname") == 0               ? &name
                                                                                   : NULL;
        if (slot && option->value)
            *slot = option->value;
    }
    snprintf(db->sql.where, sizeof db->sql.where, "postgresql://%s%s%s%s%s/%s", user,
             user[0] ? "@" : "", host, port[0] ? ":" : "", port, name);
}

// A second @ is a password's, of which a part would be taken for a host and told to everybody.
static bool is_url(const char *url) {
    const char *at = strchr(url, '@');
    return (str_starts(url, "postgresql://") || str_starts(url, "postgres://")) &&
           (!at || !strchr(at + 1, '@'));
}

static bool take_url(struct postgres *db, const char *url, struct err *err) {
    char *why = NULL;
    struct pg_option *options = is_url(url) ? db->pq->parse(url, &why) : NULL;
    db->pq->text_free(why); // it quotes the URL, with its password
    if (!options)
        return err_set(err, ERR_INVALID,
                       "[records] url is none of PostgreSQL's: write "
                       "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and @ : / ? # of a password "
                       "as %%40 %%3A %%2F %%3F %%23");
    for (const struct pg_option *option = options; option->keyword; option++)
        if (option->value && db->option_count < OPTIONS_MAX)
            add_option(db, option->keyword, option->value);
    tell_where(db, options);
    add_option(db, "client_encoding", "UTF8");
    add_option(db, "fallback_application_name", "ocr-pipeline");
    db->pq->options_free(options);
    return true;
}

struct sql *sql_open_postgres(const char *url, int64_t connect_ms, int64_t timeout_ms,
                              struct err *err) {
    const struct libpq *pq = libpq_open(err);
    if (!pq)
        return NULL;
    struct postgres *db = mem_alloc(sizeof *db);
    db->sql.kind = &kind;
    db->pq = pq;
    db->connect_ms = connect_ms;
    db->timeout_ms = timeout_ms;
    if (take_url(db, url, err))
        return &db->sql;
    close_server(&db->sql);
    return NULL;
}
