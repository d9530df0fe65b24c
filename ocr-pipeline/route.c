#include "route.h"

#include <string.h>

#define OURS "/api/v41/ocr/"

enum method { GET, POST, DELETE };

static const struct pattern {
    enum method method;
    const char *path; // "*": one segment, the name
    enum route route;
} patterns[] = {
    {GET, "/", ROUTE_HOME},
    {GET, "/health", ROUTE_HEALTH},
    {GET, "/openapi.json", ROUTE_OPENAPI},
    {POST, OURS "poste/*", ROUTE_POLE},
    {POST, OURS "poste/*/texto", ROUTE_POLE_TEXT},
    {POST, OURS "lote", ROUTE_BATCH},
    {POST, OURS "alimentador/*", ROUTE_FEEDER},
    {GET, OURS "trabalhos", ROUTE_JOBS},
    {GET, OURS "trabalhos/*", ROUTE_JOB},
    {DELETE, OURS "trabalhos/*", ROUTE_JOB_CANCEL},
    {POST, OURS "trabalhos/*/retomar", ROUTE_JOB_RESUME},
    {GET, OURS "trabalhos/*/eventos", ROUTE_JOB_EVENTS},
    {GET, OURS "trabalhos/*/resultados", ROUTE_JOB_RESULTS},
    {GET, OURS "trabalhos/*/resultados.csv", ROUTE_JOB_CSV},
    {GET, OURS "trabalhos/*/postes.csv", ROUTE_JOB_POLES_CSV},
};

static const struct {
    const char *action;
    enum route route;
} actions[] = {
    {":generateContent", ROUTE_GENERATE},
    {":streamGenerateContent", ROUTE_STREAM},
    {":countTokens", ROUTE_COUNT},
};

static bool is_method(const struct http_head *head, enum method method) {
    if (method == GET)
        return span_is(head->method, "GET") || span_is(head->method, "HEAD");
    return span_is(head->method, method == POST ? "POST" : "DELETE");
}

// `name` is the segment where the pattern has its star.
static bool path_fits(struct span path, const char *pattern, struct span *name) {
    size_t at = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            const char *slash = memchr(path.data + at, '/', path.length - at);
            size_t length = slash ? (size_t)(slash - path.data) - at : path.length - at;
            if (length == 0)
                return false;
            *name = (struct span){path.data + at, length};
            at += length;
        } else if (at == path.length || path.data[at++] != *pattern) {
            return false;
        }
    }
    return at == path.length;
}

// "/v1beta/models/NAME:action", "/models" ...: what stands behind "models"; false when it is none.
static bool google_path(struct span path, struct span *rest) {
    if (path.length > 2 && path.data[1] == 'v' && path.data[2] >= '0' && path.data[2] <= '9') {
        const char *slash = memchr(path.data + 1, '/', path.length - 1);
        if (!slash)
            return false;
        path = (struct span){slash, path.length - (size_t)(slash - path.data)};
    }
    if (path.length < 7 || memcmp(path.data, "/models", 7) != 0 ||
        (path.length > 7 && path.data[7] != '/'))
        return false;
    *rest = (struct span){path.data + 7, path.length - 7};
    return true;
}

static enum route google_route(const struct http_head *head, struct span rest, struct span *name) {
    if (rest.length <= 1)
        return is_method(head, GET) ? ROUTE_MODELS : ROUTE_WRONG_METHOD;
    *name = (struct span){rest.data + 1, rest.length - 1};
    const char *colon = memchr(name->data, ':', name->length);
    if (!colon)
        return is_method(head, GET) ? ROUTE_MODEL : ROUTE_WRONG_METHOD;
    struct span action = {colon, name->length - (size_t)(colon - name->data)};
    name->length -= action.length;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (span_is(action, actions[i].action))
            return is_method(head, POST) ? actions[i].route : ROUTE_WRONG_METHOD;
    return ROUTE_NONE;
}

static enum route our_route(const struct http_head *head, struct span path, struct span *name) {
    enum route route = ROUTE_NONE;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (!path_fits(path, patterns[i].path, name))
            continue;
        if (is_method(head, patterns[i].method))
            return patterns[i].route;
        route = ROUTE_WRONG_METHOD;
    }
    return route;
}

enum route route_of(const struct http_head *head, char name[ROUTE_NAME_MAX]) {
    struct span path = http_head_path(head), part = {NULL, 0}, rest;
    name[0] = '\0';
    if (path.length == 0 || path.data[0] != '/')
        return ROUTE_NONE;
    enum route route =
        google_path(path, &rest) ? google_route(head, rest, &part) : our_route(head, path, &part);
    if (part.length && !http_path_decode(part, name, ROUTE_NAME_MAX))
        return ROUTE_NONE;
    return route;
}

const char *route_allow(const struct http_head *head) {
    static const char *const LINES[] = {NULL, "Allow: GET, HEAD\r\n", "Allow: POST\r\n",
                                        [1 << GET | 1 << DELETE] = "Allow: GET, HEAD, DELETE\r\n"};
    struct span path = http_head_path(head), rest, name;
    unsigned methods = 0;
    if (google_path(path, &rest))
        methods = memchr(path.data, ':', path.length) ? 1 << POST : 1 << GET;
    else
        for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
            methods |= path_fits(path, patterns[i].path, &name) ? 1u << patterns[i].method : 0;
    return LINES[methods];
}

bool route_is_gemini(const struct http_head *head) {
    struct span rest;
    struct span path = http_head_path(head);
    return path.length > 0 && path.data[0] == '/' && google_path(path, &rest);
}

bool route_takes_photos(enum route route) {
    return route == ROUTE_GENERATE || route == ROUTE_STREAM || route == ROUTE_COUNT ||
           route == ROUTE_POLE || route == ROUTE_POLE_TEXT || route == ROUTE_BATCH;
}
