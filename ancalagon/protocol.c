#include "protocol.h"

#include "chat/chat_error.h"
#include "format/json.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

enum { MAX_ERROR_DEPTH = 16 };

unsigned protocol_status(enum err_code code) {
    switch (code) {
    case ERR_INVALID: return 400;
    case ERR_NOTFOUND: return 404;
    case ERR_LIMIT: return 413;
    case ERR_DENIED: return 403;
    case ERR_BUSY: return 503;
    case ERR_TIMEOUT: return 504;
    case ERR_PEER: return 502;
    default: return 500;
    }
}

static const char *openai_type(unsigned status) {
    if (status == 401)
        return "authentication_error";
    if (status == 403)
        return "permission_error";
    if (status == 429)
        return "rate_limit_error";
    return status < 500 ? "invalid_request_error" : "server_error";
}

static void add_string(struct buf *out, const char *text) {
    json_write_string(out, text, strlen(text));
}

static void openai_object(struct buf *out, unsigned status, const char *message, const char *code) {
    buf_adds(out, "{\"error\":{\"message\":");
    add_string(out, message);
    buf_printf(out, ",\"type\":\"%s\",\"param\":%s,\"code\":", openai_type(status),
               code && strcmp(code, "model_not_found") == 0 ? "\"model\"" : "null");
    if (code)
        add_string(out, code);
    else
        buf_adds(out, "null");
    buf_adds(out, "}}");
}

static void anthropic_object(struct buf *out, unsigned status, const char *message) {
    buf_printf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":",
               chat_error_type(status));
    add_string(out, message);
    buf_adds(out, "}}");
}

void protocol_error_body(struct buf *out, enum protocol protocol, unsigned status,
                         const char *message, const char *code) {
    if (protocol == PROTOCOL_ANTHROPIC)
        anthropic_object(out, status, message);
    else
        openai_object(out, status, message, code);
}

void protocol_error_event(struct buf *out, enum protocol protocol, unsigned status,
                          const char *message, const char *code) {
    assert(protocol != PROTOCOL_ANTHROPIC);
    if (protocol == PROTOCOL_OPENAI) {
        buf_adds(out, "data: ");
        openai_object(out, status, message, code);
    } else {
        buf_adds(out, "event: error\ndata: {\"type\":\"error\",\"code\":");
        add_string(out, code ? code : openai_type(status));
        buf_adds(out, ",\"message\":");
        add_string(out, message);
        buf_adds(out, ",\"param\":null,\"sequence_number\":0}");
    }
    buf_adds(out, "\n\n");
}

struct span protocol_ping(void) {
    return span_of(": ping\n\n");
}

bool protocol_translate_error(struct buf *out, enum protocol protocol, unsigned status,
                              struct span body, bool as_event) {
    if (protocol == PROTOCOL_OPENAI && !as_event)
        return false; // llama-server's own shape is close enough to be left alone
    json_t *root = json_parse(body.data, body.length, MAX_ERROR_DEPTH, 0, NULL);
    json_t *error = json_object_get(root, "error");
    const char *message = json_is_string(error)
                              ? json_string_value(error)
                              : json_string_value(json_object_get(error, "message"));
    if (!message && json_is_string(json_object_get(root, "message")))
        message = json_string_value(json_object_get(root, "message"));
    bool translate = as_event || message;
    if (translate) {
        const char *text = message ? message : "the engine refused the request";
        if (as_event)
            protocol_error_event(out, protocol, status, text, NULL);
        else
            protocol_error_body(out, protocol, status, text, NULL);
    }
    json_decref(root);
    return translate;
}
