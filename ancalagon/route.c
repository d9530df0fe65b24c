#include "route.h"

#include <stddef.h>

static const struct route routes[] = {
    {"/v1/chat/completions", "POST", ROUTE_GENERATE, PROTOCOL_OPENAI},
    {"/v1/completions", "POST", ROUTE_GENERATE, PROTOCOL_OPENAI},
    {"/v1/responses", "POST", ROUTE_GENERATE, PROTOCOL_RESPONSES},
    {"/v1/embeddings", "POST", ROUTE_COMPUTE, PROTOCOL_OPENAI},
    {"/v1/rerank", "POST", ROUTE_COMPUTE, PROTOCOL_OPENAI},
    {"/v1/messages", "POST", ROUTE_GENERATE, PROTOCOL_ANTHROPIC},
    {"/v1/messages/count_tokens", "POST", ROUTE_LIGHT, PROTOCOL_ANTHROPIC},
    {"/infill", "POST", ROUTE_GENERATE, PROTOCOL_OPENAI},
    {"/tokenize", "POST", ROUTE_LIGHT, PROTOCOL_OPENAI},
    {"/detokenize", "POST", ROUTE_LIGHT, PROTOCOL_OPENAI},
    {"/apply-template", "POST", ROUTE_LIGHT, PROTOCOL_OPENAI},
    {"/props", "GET", ROUTE_PEEK, PROTOCOL_OPENAI},
    {"/v1/models", "GET", ROUTE_MODELS, PROTOCOL_OPENAI},
    {"/health", "GET", ROUTE_HEALTH, PROTOCOL_OPENAI},
    {"/metrics", "GET", ROUTE_METRICS, PROTOCOL_OPENAI},
    {"/", "GET", ROUTE_HOME, PROTOCOL_OPENAI},
};

static bool method_fits(struct span method, const char *wanted) {
    return span_is(method, wanted) || (span_is(method, "HEAD") && wanted[0] == 'G');
}

// /v1/models/NAME is the one path with a variable part.
static bool path_fits(struct span path, const struct route *route) {
    if (span_is(path, route->path))
        return true;
    struct span head = {path.data, 11};
    return route->kind == ROUTE_MODELS && path.length > 11 && span_is(head, "/v1/models/");
}

const struct route *route_find(struct span method, struct span path, const char **wrong_method) {
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!path_fits(path, &routes[i]))
            continue;
        if (method_fits(method, routes[i].method))
            return &routes[i];
        if (wrong_method)
            *wrong_method = routes[i].method;
    }
    return NULL;
}

enum protocol route_protocol(const struct http_head *head) {
    struct span path = http_head_path(head);
    struct span start = {path.data, path.length < 12 ? path.length : 12};
    if (span_is(start, "/v1/messages"))
        return PROTOCOL_ANTHROPIC;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (routes[i].kind < ROUTE_MODELS && path_fits(path, &routes[i]))
            return routes[i].protocol;
    return http_head_find(head, "anthropic-version") ? PROTOCOL_ANTHROPIC : PROTOCOL_OPENAI;
}
