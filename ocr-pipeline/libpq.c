#include "libpq.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static struct libpq calls;
static const char *missing; // a function that it has not
static bool there;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_calls(void *library) {
    const struct {
        const char *name;
        void *slot;
    } table[] = {
        {"PQconninfoParse", &calls.parse},
        {"PQconninfoFree", &calls.options_free},
        {"PQfreemem", &calls.text_free},
        {"PQconnectStartParams", &calls.connect},
        {"PQconnectPoll", &calls.poll},
        {"PQstatus", &calls.conn_status},
        {"PQsocket", &calls.socket},
        {"PQconnectionNeedsPassword", &calls.asks_password},
        {"PQconnectionUsedPassword", &calls.used_password},
        {"PQtransactionStatus", &calls.transaction},
        {"PQerrorMessage", &calls.conn_error},
        {"PQfinish", &calls.finish},
        {"PQsetNoticeProcessor", &calls.on_notice},
        {"PQsetnonblocking", &calls.set_nonblocking},
        {"PQsendQueryParams", &calls.send},
        {"PQsetSingleRowMode", &calls.row_by_row},
        {"PQflush", &calls.flush},
        {"PQconsumeInput", &calls.consume},
        {"PQisBusy", &calls.is_busy},
        {"PQgetResult", &calls.result},
        {"PQresultStatus", &calls.status},
        {"PQresultErrorField", &calls.error_field},
        {"PQresultErrorMessage", &calls.error},
        {"PQntuples", &calls.rows},
        {"PQnfields", &calls.columns},
        {"PQfname", &calls.column},
        {"PQgetvalue", &calls.value},
        {"PQclear", &calls.clear},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        void *symbol = dlsym(library, table[i].name);
        memcpy(table[i].slot, &symbol, sizeof symbol); // POSIX's way to a function pointer
        if (!symbol)
            missing = table[i].name;
    }
}

static void open_library(void) {
    static const char *const NAMES[] = {"libpq.so.5", "libpq.5.dylib"};
    const char *chosen = getenv("OCR_LIBPQ");
    void *library = chosen ? dlopen(chosen, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; !chosen && !library && i < sizeof NAMES / sizeof *NAMES; i++)
        library = dlopen(NAMES[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return;
    find_calls(library);
    there = true;
}

const struct libpq *libpq_open(struct err *err) {
    pthread_once(&once, open_library);
    if (!there)
        err_set(err, ERR_NOTFOUND,
                "PostgreSQL's client library is not installed (libpq.so.5); Debian and Ubuntu: "
                "apt install libpq5, Fedora: dnf install libpq; or name it in OCR_LIBPQ");
    else if (missing)
        err_set(err, ERR_NOTFOUND, "PostgreSQL's client library is too old: it has no %s", missing);
    return there && !missing ? &calls : NULL;
}
