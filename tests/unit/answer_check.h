// Reads what answer.c wrote for a client as a strict client would: every event must be legal where
// it stands (docs.anthropic.com "Streaming Messages"). For the unit test and the fuzzer.
#pragma once

#include "base/buf.h"
#include "base/mem.h"
#include "format/json.h"
#include "format/sse.h"

#include <stdio.h>
#include <string.h>

struct answer_check {
    json_t *message; // as the client has put it together; inputs of calls as text
    json_t *block;   // the open one, borrowed
    bool has_delta, complete, failed, signed_off;
    unsigned pings;
    char error[300];
    char fault[300]; // "" = legal so far
};

static void check_fault(struct answer_check *check, const char *what,
                        const struct sse_event *event) {
    if (!*check->fault)
        snprintf(check->fault, sizeof check->fault, "%s: %.*s", what, (int)event->data.length,
                 event->data.data);
}

static bool check_is_count(const json_t *usage, const char *key) {
    const json_t *count = json_object_get(usage, key);
    return json_is_integer(count) && json_integer_value(count) >= 0;
}

static bool check_usage(const json_t *usage) {
    return check_is_count(usage, "input_tokens") && check_is_count(usage, "output_tokens") &&
           check_is_count(usage, "cache_read_input_tokens") &&
           check_is_count(usage, "cache_creation_input_tokens");
}

// A stop reason, and a stop sequence exactly where it says so.
static bool check_stop(const json_t *at) {
    static const char *const known[] = {"end_turn", "max_tokens", "tool_use", "stop_sequence",
                                        "refusal"};
    const char *reason = json_get_text(at, "stop_reason", "");
    bool is_known = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known |= strcmp(reason, known[i]) == 0;
    bool has_word = json_is_string(json_object_get(at, "stop_sequence"));
    return is_known && json_object_get(at, "stop_sequence") &&
           has_word == (strcmp(reason, "stop_sequence") == 0);
}

static bool check_block(const json_t *block) {
    const char *type = json_get_text(block, "type", "");
    if (strcmp(type, "text") == 0)
        return json_is_string(json_object_get(block, "text"));
    if (strcmp(type, "thinking") == 0)
        return json_is_string(json_object_get(block, "thinking")) &&
               json_is_string(json_object_get(block, "signature"));
    return strcmp(type, "tool_use") == 0 && *json_get_text(block, "id", "") &&
           *json_get_text(block, "name", "") && json_object_get(block, "input");
}

// Every call of a message has an id of its own; a message is never empty.
static bool check_content(const json_t *content) {
    size_t i, k;
    const json_t *a, *b;
    json_array_foreach(content, i, a) {
        if (!check_block(a))
            return false;
        json_array_foreach(content, k, b) if (k < i && json_object_get(a, "id") &&
                                              json_equal(json_object_get(a, "id"),
                                                         json_object_get(b, "id"))) return false;
    }
    return i > 0;
}

static void check_append(json_t *object, const char *key, const char *more) {
    char *text = mem_printf("%s%s", json_get_text(object, key, ""), more);
    json_set(object, key, json_text(text));
    mem_free(text);
}

static bool check_delta(struct answer_check *check, const json_t *delta) {
    static const struct {
        const char *type, *block, *from, *to;
    } kinds[] = {{"text_delta", "text", "text", "text"},
                 {"thinking_delta", "thinking", "thinking", "thinking"},
                 {"signature_delta", "thinking", "signature", "signature"},
                 {"input_json_delta", "tool_use", "partial_json", "input"}};
    const char *type = json_get_text(delta, "type", "");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *text = json_get_text(delta, kinds[i].from, NULL);
        if (strcmp(type, kinds[i].type) != 0)
            continue;
        if (!text || check->signed_off ||
            strcmp(json_get_text(check->block, "type", ""), kinds[i].block) != 0)
            return false;
        check->signed_off = strcmp(type, "signature_delta") == 0;
        check_append(check->block, kinds[i].to, text);
        return true;
    }
    return false;
}

static bool check_start(struct answer_check *check, json_t *message) {
    if (check->message || !check_usage(json_object_get(message, "usage")) ||
        strcmp(json_get_text(message, "role", ""), "assistant") != 0 ||
        strcmp(json_get_text(message, "type", ""), "message") != 0 ||
        !json_get_text(message, "id", NULL) || !json_get_text(message, "model", NULL) ||
        !json_is_null(json_object_get(message, "stop_reason")) ||
        json_array_size(json_object_get(message, "content")) != 0)
        return false;
    check->message = json_incref(message);
    return true;
}

static bool check_block_start(struct answer_check *check, const json_t *event) {
    json_t *content = json_object_get(check->message, "content");
    json_t *block = json_object_get(event, "content_block");
    if (check->block || check->has_delta || !check_block(block) ||
        json_get_int(event, "index", -1) != (int64_t)json_array_size(content))
        return false;
    if (json_object_get(block, "input"))
        json_set(block, "input", json_text(""));
    json_array_append(content, block);
    check->block = block;
    check->signed_off = false;
    return true;
}

static bool check_message_delta(struct answer_check *check, const json_t *event) {
    json_t *delta = json_object_get(event, "delta");
    json_t *content = json_object_get(check->message, "content");
    if (check->block || check->has_delta || !check_stop(delta) ||
        !check_usage(json_object_get(event, "usage")) || !check_content(content))
        return false;
    json_object_update(check->message, delta);
    json_object_set(check->message, "usage", json_object_get(event, "usage"));
    check->has_delta = true;
    return true;
}

static bool check_typed(struct answer_check *check, const char *type, json_t *event) {
    json_t *content = json_object_get(check->message, "content");
    bool is_open =
        check->block && json_get_int(event, "index", -1) + 1 == (int64_t)json_array_size(content);
    if (strcmp(type, "error") == 0) {
        const json_t *error = json_object_get(event, "error");
        snprintf(check->error, sizeof check->error, "%s: %s", json_get_text(error, "type", ""),
                 json_get_text(error, "message", ""));
        check->failed = true;
        return !check->block && !check->has_delta && json_get_text(error, "type", NULL) &&
               json_get_text(error, "message", NULL);
    }
    if (strcmp(type, "message_start") == 0)
        return check_start(check, json_object_get(event, "message"));
    if (!check->message)
        return false;
    if (strcmp(type, "ping") == 0) {
        check->pings++;
        return true;
    }
    if (strcmp(type, "content_block_start") == 0)
        return check_block_start(check, event);
    if (strcmp(type, "content_block_delta") == 0)
        return is_open && check_delta(check, json_object_get(event, "delta"));
    if (strcmp(type, "content_block_stop") == 0) {
        bool is_thinking = strcmp(json_get_text(check->block, "type", ""), "thinking") == 0;
        bool ok = is_open && is_thinking == check->signed_off;
        check->block = NULL;
        check->signed_off = false;
        return ok;
    }
    if (strcmp(type, "message_delta") == 0)
        return check_message_delta(check, event);
    check->complete = true;
    return strcmp(type, "message_stop") == 0 && check->has_delta;
}

static void check_event(void *arg, const struct sse_event *event) {
    struct answer_check *check = arg;
    json_t *json = json_parse(event->data.data, event->data.length, 0, JSON_PARSE_UNIQUE, NULL);
    const char *type = json_get_text(json, "type", NULL);
    if (!type || !span_is(event->name, type) || check->complete || check->failed ||
        !check_typed(check, type, json))
        check_fault(check, "not legal here", event);
    json_decref(json);
}

// The bytes must end where an event does.
static void check_stream(struct answer_check *check, const char *bytes, size_t length) {
    struct sse sse;
    *check = (struct answer_check){.pings = 0};
    sse_init(&sse, length + 1, check_event, check);
    sse_feed(&sse, bytes, length);
    sse_fini(&sse);
    if (length > 0 && (length < 2 || memcmp(bytes + length - 2, "\n\n", 2) != 0))
        snprintf(check->fault, sizeof check->fault, "the last event is cut");
}

// A whole answer; inputs that are objects become text, so that both forms compare.
static void check_whole(struct answer_check *check, const char *bytes, size_t length) {
    *check = (struct answer_check){.pings = 0};
    check->message = json_parse(bytes, length, 0, JSON_PARSE_UNIQUE, NULL);
    json_t *content = json_object_get(check->message, "content"), *block;
    size_t i;
    json_array_foreach(content, i, block) {
        json_t *input = json_object_get(block, "input");
        struct buf text;
        buf_init(&text, 8 * length);
        if (json_is_object(input) && json_write(&text, input))
            json_set(block, "input", json_text(buf_text(&text)));
        buf_fini(&text);
    }
    check->complete = check->message && check_content(content) && check_stop(check->message) &&
                      check_usage(json_object_get(check->message, "usage"));
    if (!check->complete)
        snprintf(check->fault, sizeof check->fault, "not a message: %.*s", (int)length, bytes);
}

static void check_free(struct answer_check *check) { json_decref(check->message); }
