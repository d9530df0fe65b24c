// Messages from a backend that speaks them already. They are read and told again, never passed:
// llama-server leaves blocks open side by side, gives no `input`, ends with half of the usage, and
// tells errors in OpenAI's shape. Blocks that no local model makes (redacted thinking, results of
// server tools, citations) are left out.
#include "chat/answer_parts.h"

#include "base/mem.h"
#include "chat/chat_error.h"

#include <string.h>

static struct span text_of(const json_t *object, const char *key) {
    const json_t *text = json_object_get(object, key);
    return json_is_string(text) ? (struct span){json_string_value(text), json_string_length(text)}
                                : (struct span){"", 0};
}

static bool is_type(const json_t *object, const char *type) {
    return strcmp(json_get_text(object, "type", ""), type) == 0;
}

static void read_usage(struct answer *answer, const json_t *usage) {
    struct answer_usage *told = &answer->usage;
    if (!json_is_object(usage))
        return;
    const json_t *input = json_object_get(usage, "input_tokens");
    int64_t output = json_get_int(usage, "output_tokens", 0);
    told->cached_tokens = json_get_int(usage, "cache_read_input_tokens", told->cached_tokens);
    if (told->cached_tokens < 0)
        told->cached_tokens = 0;
    // What was written to a cache was read all the same.
    int64_t written = json_get_int(usage, "cache_creation_input_tokens", 0);
    if (json_is_integer(input) && json_integer_value(input) >= 0)
        told->input_tokens = json_integer_value(input) + (written > 0 ? written : 0);
    if (output > 0) {
        told->output_tokens = output;
        answer->output_told = true;
    }
}

static void read_stop(struct answer *answer, const json_t *delta) {
    static const struct {
        const char *reason;
        enum answer_stop stop;
    } known[] = {
        {"max_tokens", STOP_LENGTH},
        {"model_context_window_exceeded", STOP_LENGTH},
        {"tool_use", STOP_TOOLS},
        {"refusal", STOP_REFUSAL},
    };
    const char *reason = json_get_text(delta, "stop_reason", NULL);
    if (!reason)
        return;
    answer->heard = true;
    answer->stop = STOP_END;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].reason, reason) == 0)
            answer->stop = known[i].stop;
    // llama-server says end_turn where a stop sequence matched, its template's own ones too.
    const char *word = json_get_text(delta, "stop_sequence", NULL);
    if (answer->stop == STOP_END && word && answer_stop_is_asked(answer, word)) {
        answer->stop = STOP_WORD;
        mem_free(answer->stop_word);
        answer->stop_word = mem_strdup(word);
    }
}

static void read_input(struct answer *answer, struct answer_call *call, const json_t *input) {
    struct buf text;
    if (!json_is_object(input) || json_object_size(input) == 0)
        return;
    buf_init(&text, answer->options.max_bytes);
    if (!json_write(&text, input))
        answer_break(answer, ERR_LIMIT, "the input of a tool call is too large");
    answer_call_arguments(answer, call, buf_bytes(&text), text.length);
    buf_fini(&text);
}

// Clients take the last one said.
static void sign(struct answer *answer, struct span signature) {
    if (answer->block != BLOCK_THINKING)
        return;
    buf_clear(&answer->signature);
    if (!buf_add(&answer->signature, signature.data, signature.length))
        answer_break(answer, ERR_LIMIT, "the signature of a thinking block is too large");
}

static void say(struct answer *answer, int64_t index, struct span text, bool thinking) {
    answer->native_block = index;
    answer->deltas += text.length > 0;
    if (thinking)
        answer_thinking(answer, text.data, text.length);
    else
        answer_text(answer, text.data, text.length);
}

static void end_block(struct answer *answer, int64_t index) {
    for (size_t i = answer->calls_told; i < answer->call_count; i++)
        if (answer->calls[i].key == index) {
            answer->calls[i].closed = true;
            answer_calls_advance(answer, false);
            return;
        }
    if (answer->native_block == index && answer->block != BLOCK_TOOL)
        answer_out_close(answer);
}

static void begin_block(struct answer *answer, int64_t index, const json_t *block) {
    answer->heard = true;
    if (is_type(block, "text")) {
        say(answer, index, text_of(block, "text"), false);
    } else if (is_type(block, "thinking")) {
        say(answer, index, text_of(block, "thinking"), true);
        sign(answer, text_of(block, "signature"));
    } else if (is_type(block, "tool_use")) {
        const char *name = json_get_text(block, "name", NULL);
        struct answer_call *call =
            answer_call_find(answer, index, json_get_text(block, "id", NULL), name);
        if (!call)
            return;
        answer_call_name(answer, call, name);
        read_input(answer, call, json_object_get(block, "input"));
    }
}

static void read_delta(struct answer *answer, int64_t index, const json_t *delta) {
    answer->heard = true;
    if (is_type(delta, "text_delta")) {
        say(answer, index, text_of(delta, "text"), false);
    } else if (is_type(delta, "thinking_delta")) {
        say(answer, index, text_of(delta, "thinking"), true);
    } else if (is_type(delta, "signature_delta")) {
        sign(answer, text_of(delta, "signature"));
    } else if (is_type(delta, "input_json_delta")) {
        struct span text = text_of(delta, "partial_json");
        struct answer_call *call = answer_call_find(answer, index, NULL, NULL);
        if (call)
            answer_call_arguments(answer, call, text.data, text.length);
    }
}

static void read_start(struct answer *answer, const json_t *message) {
    read_usage(answer, json_object_get(message, "usage"));
    answer->heard = true;
    answer_out_start(answer);
}

void answer_native_event(struct answer *answer, const json_t *event) {
    int64_t index = json_get_int(event, "index", 0);
    if (is_type(event, "message_start")) {
        read_start(answer, json_object_get(event, "message"));
    } else if (is_type(event, "content_block_start")) {
        begin_block(answer, index, json_object_get(event, "content_block"));
    } else if (is_type(event, "content_block_delta")) {
        read_delta(answer, index, json_object_get(event, "delta"));
    } else if (is_type(event, "content_block_stop")) {
        end_block(answer, index);
    } else if (is_type(event, "message_delta")) {
        read_usage(answer, json_object_get(event, "usage"));
        read_stop(answer, json_object_get(event, "delta"));
    } else if (is_type(event, "message_stop")) {
        answer_finish(answer);
    } else if (is_type(event, "ping")) {
        answer_out_ping(answer);
    } else if (chat_error_is(event)) {
        answer_backend_error(answer, event);
    } // kinds that nobody knows yet are passed over, as the API's documentation has it
}

void answer_native_whole(struct answer *answer, const json_t *message) {
    const json_t *content = json_object_get(message, "content"), *block;
    size_t i;
    if (!json_is_array(content)) {
        if (chat_error_is(message))
            answer_backend_error(answer, message);
        return;
    }
    answer->heard = true;
    read_usage(answer, json_object_get(message, "usage"));
    json_array_foreach(content, i, block) {
        if (answer->failed)
            return;
        begin_block(answer, (int64_t)i, block);
        end_block(answer, (int64_t)i);
    }
    read_stop(answer, message);
}
