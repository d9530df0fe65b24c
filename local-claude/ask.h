// A few small questions to servers that may not be there: all at once, with one deadline, blocking.
// For finding out who listens where, before there is anything else to do.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { ASK_BODY_MAX = 4 << 20 };

struct ask {
    // Set before; borrowed until ask_all returns.
    const char *address;   // numeric; NULL with a unix socket
    const char *unix_path; // or NULL
    unsigned port;
    const char *method; // NULL = GET
    const char *path;   // such as "/v1/models"
    const char *key;    // sent as a bearer token; NULL = none
    const char *body;   // JSON to send; NULL = none

    // What came of it; owned until ask_fini.
    unsigned status; // 0: no whole answer, and `err` says why (ERR_NOTFOUND: nobody listens there)
    struct buf bytes;
    json_t *json;       // the body when it is JSON, whatever the status; else NULL
    char challenge[64]; // WWW-Authenticate, cut; "" = none
    struct err err;
};

void ask_all(struct ask *asks, size_t count, int64_t timeout_ms);
// The same question at several addresses of one server: once one of them has answered well, the
// others have a quarter of a second left. An address that leads nowhere costs no more than that.
void ask_first(struct ask *asks, size_t count, int64_t timeout_ms);
// One question whose answer may take minutes; `label` says on a terminal what is waited for.
void ask_patiently(struct ask *ask, const char *label, int64_t timeout_ms);
void ask_fini(struct ask *ask);
// The answer is JSON with a good status; otherwise false, and err tells what came instead.
bool ask_good(const struct ask *ask, struct err *err);
