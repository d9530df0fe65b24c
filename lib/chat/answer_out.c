// The outgoing message. Every event is appended whole or not at all, so a ping or an error can
// follow at any time.
#include "chat/answer_parts.h"

#include "chat/chat_error.h"

#include <string.h>

static void add_text(struct buf *out, bool *ok, const char *text) {
    *ok = *ok && buf_adds(out, text);
}

static void add_string(struct buf *out, bool *ok, const char *bytes, size_t length) {
    *ok = *ok && json_write_string(out, bytes, length);
}

// An event that did not fit is taken back; the client cannot be told any more.
static void end_event(struct answer *answer, size_t before, bool ok) {
    if (ok)
        return;
    answer->out->length = before;
    answer_break(answer, ERR_LIMIT, "the client takes the answer too slowly to be kept");
}

static void add_usage(struct buf *out, bool *ok, const struct answer_usage *usage) {
    *ok = *ok && buf_printf(out,
                            "{\"input_tokens\":%lld,\"cache_creation_input_tokens\":0,"
                            "\"cache_read_input_tokens\":%lld,\"output_tokens\":%lld}",
                            (long long)usage->input_tokens, (long long)usage->cached_tokens,
                            (long long)usage->output_tokens);
}

static void add_head(struct answer *answer, struct buf *out, bool *ok) {
    add_text(out, ok, "{\"id\":");
    add_string(out, ok, answer->options.id, strlen(answer->options.id));
    add_text(out, ok, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    add_string(out, ok, answer->options.model, strlen(answer->options.model));
}

void answer_out_start(struct answer *answer) {
    if (answer->opened || !answer->options.stream)
        return;
    struct buf *out = answer->out;
    size_t before = out->length;
    bool ok = true;
    add_text(out, &ok, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
    add_head(answer, out, &ok);
    add_text(out, &ok, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    add_usage(out, &ok, &answer->usage);
    add_text(out, &ok, "}}\n\n");
    answer->opened = ok;
    end_event(answer, before, ok);
}

void answer_out_ping(struct answer *answer) {
    answer_out_start(answer);
    // A ping that finds no room is no loss: the client has bytes to read.
    if (answer->opened && answer->options.stream)
        buf_adds(answer->out, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

// Appends text inside an open JSON string.
static bool add_inner(struct answer *answer, struct buf *out, const char *bytes, size_t length) {
    buf_clear(&answer->scratch);
    if (!json_write_string(&answer->scratch, bytes, length))
        return false;
    return buf_add(out, buf_bytes(&answer->scratch) + 1, answer->scratch.length - 2);
}

static void keep(struct answer *answer, bool ok) {
    if (!ok)
        answer_break(answer, ERR_LIMIT, "the answer is larger than %zu bytes",
                     answer->options.max_bytes);
}

static void open_event(struct answer *answer, const char *block) {
    answer_out_start(answer);
    size_t before = answer->out->length;
    end_event(answer, before,
              answer->opened &&
                  buf_printf(answer->out,
                             "event: content_block_start\ndata: {\"type\":\"content_block_start\","
                             "\"index\":%u,\"content_block\":%s}\n\n",
                             answer->blocks - 1, block));
    if (answer->failed)
        answer->block = BLOCK_NONE; // it never began
}

static void add_delta(struct answer *answer, const char *type, const char *member,
                      const char *bytes, size_t length) {
    struct buf *out = answer->out;
    size_t before = out->length;
    bool ok = buf_printf(out,
                         "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                         "\"index\":%u,\"delta\":{\"type\":\"%s\",\"%s\":",
                         answer->blocks - 1, type, member);
    add_string(out, &ok, bytes, length);
    add_text(out, &ok, "}}\n\n");
    end_event(answer, before, ok);
}

static bool open_block(struct answer *answer, enum answer_block kind) {
    if (!answer_out_close(answer))
        return false;
    answer->block = kind;
    answer->blocks++;
    if (!answer->options.stream && answer->blocks > 1)
        keep(answer, buf_adds(&answer->content, ","));
    return true;
}

void answer_out_text(struct answer *answer, enum answer_block kind, const char *bytes,
                     size_t length) {
    bool is_text = kind == BLOCK_TEXT;
    if (answer->failed)
        return;
    if (answer->block != kind) {
        if (!open_block(answer, kind))
            return;
        if (answer->options.stream)
            open_event(answer,
                       is_text ? "{\"type\":\"text\",\"text\":\"\"}"
                               : "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
        else
            keep(answer,
                 buf_adds(&answer->content, is_text ? "{\"type\":\"text\",\"text\":\""
                                                    : "{\"type\":\"thinking\",\"thinking\":\""));
    }
    if (length == 0 || answer->failed)
        return;
    if (!answer->options.stream)
        keep(answer, add_inner(answer, &answer->content, bytes, length));
    else if (is_text)
        add_delta(answer, "text_delta", "text", bytes, length);
    else
        add_delta(answer, "thinking_delta", "thinking", bytes, length);
}

void answer_out_tool(struct answer *answer, const char *id, const char *name) {
    if (answer->failed || !open_block(answer, BLOCK_TOOL))
        return;
    struct buf *block = answer->options.stream ? &answer->scratch : &answer->content;
    buf_clear(&answer->scratch);
    bool ok = buf_adds(block, "{\"type\":\"tool_use\",\"id\":");
    add_string(block, &ok, id, strlen(id));
    add_text(block, &ok, ",\"name\":");
    add_string(block, &ok, name, strlen(name));
    add_text(block, &ok, answer->options.stream ? ",\"input\":{}}" : ",\"input\":");
    keep(answer, ok);
    if (answer->options.stream && ok)
        open_event(answer, buf_text(&answer->scratch));
}

void answer_out_input(struct answer *answer, const char *bytes, size_t length) {
    if (answer->failed || length == 0)
        return;
    if (answer->options.stream)
        add_delta(answer, "input_json_delta", "partial_json", bytes, length);
    else
        keep(answer, buf_add(&answer->input, bytes, length));
}

// `input` is an object; what does not parse as one is told as the text that it is, which a client
// can show to the model. An empty one is {}.
static void add_input(struct answer *answer) {
    const char *bytes = buf_bytes(&answer->input);
    size_t length = answer->input.length;
    json_t *object = json_parse(bytes, length, 0, 0, NULL);
    if (length == 0)
        keep(answer, buf_adds(&answer->content, "{}"));
    else if (json_is_object(object))
        keep(answer, buf_add(&answer->content, bytes, length));
    else
        keep(answer, json_write_string(&answer->content, bytes, length));
    json_decref(object);
    buf_clear(&answer->input);
}

static void close_whole(struct answer *answer) {
    switch (answer->block) {
    case BLOCK_TEXT: keep(answer, buf_adds(&answer->content, "\"}")); break;
    case BLOCK_THINKING:
        keep(answer, buf_adds(&answer->content, "\",\"signature\":") &&
                         json_write_string(&answer->content, buf_bytes(&answer->signature),
                                           answer->signature.length) &&
                         buf_adds(&answer->content, "}"));
        break;
    case BLOCK_TOOL:
        add_input(answer);
        keep(answer, buf_adds(&answer->content, "}"));
        break;
    case BLOCK_NONE: break;
    }
}

// Clients replay a thinking block with its signature, and miss one that was never there.
static bool add_signature(struct answer *answer) {
    struct buf *out = answer->out;
    bool ok = buf_printf(out,
                         "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                         "\"index\":%u,\"delta\":{\"type\":\"signature_delta\",\"signature\":",
                         answer->blocks - 1);
    add_string(out, &ok, buf_bytes(&answer->signature), answer->signature.length);
    add_text(out, &ok, "}}\n\n");
    return ok;
}

// False when it found no room: then nothing may follow.
static bool close_stream(struct answer *answer) {
    size_t before = answer->out->length;
    bool ok = answer->block != BLOCK_THINKING || add_signature(answer);
    ok = ok && buf_printf(answer->out,
                          "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
                          "\"index\":%u}\n\n",
                          answer->blocks - 1);
    end_event(answer, before, ok);
    return ok;
}

bool answer_out_close(struct answer *answer) {
    if (answer->block == BLOCK_NONE)
        return true;
    if (!answer->options.stream)
        close_whole(answer);
    else if (!close_stream(answer))
        return false;
    buf_clear(&answer->signature);
    answer->block = BLOCK_NONE;
    return true;
}

static void add_stop(struct answer *answer, struct buf *out, bool *ok) {
    static const char *const names[] = {
        [STOP_NONE] = "end_turn",  [STOP_END] = "end_turn",       [STOP_LENGTH] = "max_tokens",
        [STOP_TOOLS] = "tool_use", [STOP_WORD] = "stop_sequence", [STOP_REFUSAL] = "refusal",
    };
    *ok = *ok && buf_printf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":", names[answer->stop]);
    if (answer->stop == STOP_WORD)
        add_string(out, ok, answer->stop_word, strlen(answer->stop_word));
    else
        add_text(out, ok, "null");
}

static void end_whole(struct answer *answer, bool *ok) {
    struct buf *out = answer->out;
    add_head(answer, out, ok);
    add_text(out, ok, ",\"content\":[");
    *ok = *ok && buf_add(out, buf_bytes(&answer->content), answer->content.length);
    add_text(out, ok, "],");
    add_stop(answer, out, ok);
    add_text(out, ok, ",\"usage\":");
    add_usage(out, ok, &answer->usage);
    add_text(out, ok, "}");
}

static void end_stream(struct answer *answer, bool *ok) {
    struct buf *out = answer->out;
    add_text(out, ok, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
    add_stop(answer, out, ok);
    add_text(out, ok, "},\"usage\":");
    add_usage(out, ok, &answer->usage);
    add_text(out, ok, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

void answer_out_end(struct answer *answer) {
    if (answer->blocks == 0)
        answer_out_text(answer, BLOCK_TEXT, "", 0);
    answer_out_close(answer);
    if (answer->failed)
        return;
    size_t before = answer->out->length;
    bool ok = true;
    if (answer->options.stream)
        end_stream(answer, &ok);
    else
        end_whole(answer, &ok);
    answer->complete = answer->opened = ok;
    end_event(answer, before, ok);
}

void answer_out_error(struct answer *answer, unsigned status, const char *text) {
    struct chat_error error;
    struct buf *out = answer->out;
    if (!answer_out_close(answer))
        return;
    chat_error_read(&error, status, span_of(text), answer->prompt_tokens,
                    answer->options.context_tokens);
    size_t before = out->length;
    if (!buf_adds(out, "event: error\ndata: "))
        return;
    size_t begin = out->length;
    chat_error_body(&error, out);
    if (out->length == begin || !buf_adds(out, "\n\n"))
        out->length = before;
    answer->opened = true;
}
