// Which paths there are, and whose protocol each speaks. An allow-list: what is not here is 404,
// whatever the engine may offer (slots, tools, file access and property writes never pass).
#pragma once

#include "base/str.h"
#include "http/head.h"
#include "protocol.h"

#include <stdbool.h>

enum route_kind {
    ROUTE_GENERATE, // takes a slot of the engine; streams when asked to
    ROUTE_COMPUTE,  // takes a slot; answers in one piece, whatever is asked
    ROUTE_LIGHT,    // passes to the engine beside the slots
    ROUTE_PEEK,     // GET, passes only to an engine that is up
    ROUTE_MODELS,   // answered here, as are those that follow
    ROUTE_HEALTH,
    ROUTE_METRICS,
    ROUTE_HOME,
};

struct route {
    const char *path;
    const char *method; // HEAD goes where GET goes
    enum route_kind kind;
    enum protocol protocol;
};

// NULL when there is none; *wrong_method (may be NULL) names the method that would do.
const struct route *route_find(struct span method, struct span path, const char **wrong_method);
// The protocol that whoever sent this head speaks. Where the path does not tell (/v1/models is in
// both APIs, an unknown path may be of either), the header that every Anthropic client sends does.
enum protocol route_protocol(const struct http_head *head);
