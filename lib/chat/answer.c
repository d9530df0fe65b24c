// The bytes of the backend: events or a whole answer, told by their first byte, not by what was
// asked for; some servers stream to whom did not ask, or do not to whom did.
#include "chat/answer_parts.h"

#include "base/log.h"
#include "base/mem.h"
#include "chat/chat_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// Deeper than any answer; the arguments of calls are texts.
enum { MAX_DEPTH = 128, COMMENT_BYTES = 1 << 16 };

// So many chunks without a word of an answer are none.
enum { MAX_UNREAD = 64 };

bool answer_break(struct answer *answer, enum err_code code, const char *format, ...) {
    char text[sizeof answer->failure.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!answer->failed) {
        err_set(&answer->failure, code, "%s", text);
        answer->status = 502;
    }
    answer->failed = true;
    return false;
}

static json_t *parse(struct span data) {
    json_t *json = json_parse_mended(data.data, data.length, MAX_DEPTH, 0, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

// Events and the body are cut anywhere, so what is quoted of them must not depend on the cuts.
static void take_sample(struct answer *answer, const char *bytes, size_t length) {
    for (size_t i = 0; i < length && answer->sample_length < ANSWER_SAMPLE; i++) {
        char c = bytes[i];
        answer->sample[answer->sample_length++] = c == '\n' || c == '\r' || c == '\0' ? ' ' : c;
    }
}

static bool break_unread(struct answer *answer) {
    return answer_break(answer, ERR_PEER, "the backend's answer is not JSON: %s%s", answer->sample,
                        answer->sample_length == ANSWER_SAMPLE ? "..." : "");
}

static size_t quiet_limit(const struct answer *answer) {
    return answer->options.max_bytes + COMMENT_BYTES;
}

static void on_done(struct answer *answer) {
    if (answer->heard)
        answer_finish(answer);
    else if (answer->unread > 0)
        break_unread(answer);
    else
        answer_break(answer, ERR_PEER, "the backend ended its answer without saying anything");
}

// Words of a proxy, a number, a chunk that was mangled: the rest of the answer is worth more than
// the piece that is lost. Not amid a tool call, where another command than the model's would be
// carried out.
static void pass_over(struct answer *answer, struct span data) {
    bool is_chunk = *data.data == '{';
    if (is_chunk && answer->at_end) // cut off: that the answer is not complete says more
        return;
    if (answer->unread++ == 0) {
        answer->sample_length = 0;
        memset(answer->sample, 0, sizeof answer->sample);
        take_sample(answer, data.data, data.length);
        log_warn("chat.event.skipped bytes=%zu why=\"no JSON object\"", data.length);
    }
    if (is_chunk && answer_is_amid_call(answer))
        answer_break(answer, ERR_PEER, "a piece of the backend's tool call cannot be read");
    else if (is_chunk && !answer->heard && answer->unread >= MAX_UNREAD)
        break_unread(answer);
}

static void read_object(struct answer *answer, const json_t *json, bool is_error) {
    if (is_error)
        answer_backend_error(answer, json);
    else if (answer->options.source == ANSWER_MESSAGES)
        answer_native_event(answer, json);
    else
        answer_completions_event(answer, json);
}

static void on_event(void *arg, const struct sse_event *event) {
    struct answer *answer = arg;
    struct span data = span_trim(event->data);
    if (answer->failed || answer->complete)
        return;
    answer->read_bytes += event->raw_bytes;
    if (answer->sse.skipped > 0 || event->raw_bytes > quiet_limit(answer)) {
        answer_break(answer, ERR_LIMIT, "an event of the backend is larger than %zu bytes",
                     answer->options.max_bytes);
        return;
    }
    bool is_error = span_is(event->name, "error");
    if (data.length == 0 && !is_error)
        return;
    if (span_is(data, "[DONE]")) {
        on_done(answer);
        return;
    }
    if (!is_error && answer->options.source == ANSWER_COMPLETIONS &&
        answer_quick_event(answer, data))
        return;
    json_t *json = parse(data);
    if (json)
        read_object(answer, json, is_error);
    else if (is_error)
        answer_backend_error_text(answer, data);
    else
        pass_over(answer, data);
    json_decref(json);
}

static bool result(struct answer *answer, struct err *err) {
    answer->out = NULL;
    if (answer->failed && err)
        *err = answer->failure;
    return !answer->failed;
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// Bytes of U+FEFF, which some servers write in front.
static bool is_mark(char c) { return c == '\xef' || c == '\xbb' || c == '\xbf'; }

// What stands before the first byte that tells is dropped: neither form gives it a meaning.
static void find_mode(struct answer *answer, const char **bytes, size_t *length) {
    while (*length > 0 && (is_space(**bytes) || is_mark(**bytes))) {
        ++*bytes;
        --*length;
    }
    if (*length > 0)
        answer->mode = **bytes == '{' ? MODE_WHOLE : MODE_EVENTS;
}

static void feed_events(struct answer *answer, const char *bytes, size_t length) {
    answer->fed_bytes += length;
    if (answer->unread == 0) // an event's is better
        take_sample(answer, bytes, length);
    sse_feed(&answer->sse, bytes, length);
    if (!answer->complete &&
        (answer->sse.skipped > 0 || answer->fed_bytes - answer->read_bytes > quiet_limit(answer)))
        answer_break(answer, ERR_LIMIT, "an event of the backend is larger than %zu bytes",
                     answer->options.max_bytes);
}

bool answer_feed(struct answer *answer, const char *bytes, size_t length, struct buf *out,
                 struct err *err) {
    if (answer->complete)
        return true; // what comes behind the end belongs to nobody
    answer->out = out;
    if (!answer->failed && answer->mode == MODE_UNKNOWN)
        find_mode(answer, &bytes, &length);
    if (answer->failed || length == 0)
        return result(answer, err);
    if (answer->mode == MODE_EVENTS)
        feed_events(answer, bytes, length);
    else if (!buf_add(&answer->body, bytes, length))
        answer_break(answer, ERR_LIMIT, "the backend's answer is larger than %zu bytes",
                     answer->options.max_bytes);
    return result(answer, err);
}

static void read_whole(struct answer *answer) {
    struct span data = {buf_bytes(&answer->body), answer->body.length};
    json_t *json = parse(data);
    if (!json) {
        take_sample(answer, data.data, data.length);
        break_unread(answer);
        return;
    }
    if (answer->options.source == ANSWER_MESSAGES)
        answer_native_whole(answer, json);
    else
        answer_completions_event(answer, json);
    json_decref(json);
    if (!answer->failed && !answer->complete)
        on_done(answer);
}

static bool begins_as_events(const struct answer *answer) {
    static const char *const lines[] = {":", "data:", "event:", "id:", "retry:"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (str_starts(answer->sample, lines[i]))
            return true;
    return answer->mode == MODE_UNKNOWN || answer->read_bytes > 0;
}

static void end_events(struct answer *answer) {
    sse_feed(&answer->sse, "\n\n", 2); // some servers forget the last blank line
    if (answer->failed || answer->complete)
        return;
    if (answer->stop != STOP_NONE)
        answer_finish(answer); // without [DONE]
    else if (!answer->heard && answer->unread > 0)
        break_unread(answer);
    else if (!begins_as_events(answer))
        answer_break(answer, ERR_PEER,
                     "the backend's answer is neither JSON nor a stream of events: %s%s",
                     answer->sample, answer->sample_length == ANSWER_SAMPLE ? "..." : "");
    else
        answer_break(answer, ERR_PEER, "the backend's answer ended before it was complete");
}

bool answer_end(struct answer *answer, struct buf *out, struct err *err) {
    answer->out = out;
    if (answer->failed || answer->complete)
        return result(answer, err);
    answer->at_end = true;
    if (answer->mode == MODE_WHOLE)
        read_whole(answer);
    else
        end_events(answer);
    return result(answer, err);
}

void answer_read_before(struct answer *answer, int64_t tokens) { answer->read_before = tokens; }

void answer_open(struct answer *answer, struct buf *out) {
    if (!answer->options.stream || answer->opened || answer->failed)
        return;
    answer_ping(answer, out);
}

void answer_ping(struct answer *answer, struct buf *out) {
    if (!answer->options.stream || answer->failed || answer->complete)
        return;
    answer->out = out;
    answer_out_ping(answer);
    answer->out = NULL;
}

void answer_fail(struct answer *answer, unsigned status, const char *text, struct buf *out) {
    bool told = answer->complete || answer->ended;
    answer->out = out;
    if (!told && !answer->failed && answer->opened && answer_is_garbled(text))
        answer_end_garbled(answer, text);
    told |= answer->complete;
    answer_break(answer, ERR_PEER, "%s", text);
    answer->ended = true;
    if (!told && answer->options.stream)
        answer_out_error(answer, status, text);
    answer->out = NULL;
}

void answer_say(struct answer *answer, const char *text, struct buf *out) {
    if (answer->failed || answer->complete)
        return;
    answer->out = out;
    answer->output_told = true; // none
    answer_text(answer, text, strlen(text));
    answer_finish(answer);
    answer->out = NULL;
}

void answer_preface(struct answer *answer, const char *text, struct buf *out) {
    if (answer->failed || answer->complete)
        return;
    answer->out = out;
    answer_text(answer, text, strlen(text));
    answer->out = NULL;
}

unsigned answer_status(const struct answer *answer) { return answer->status; }
bool answer_opened(const struct answer *answer) { return answer->opened; }
bool answer_complete(const struct answer *answer) { return answer->complete; }
struct answer_usage answer_usage(const struct answer *answer) {
    return answer->usage;
}

struct answer *answer_create(const struct answer_options *options) {
    struct answer *answer = mem_alloc(sizeof *answer);
    size_t max = options->max_bytes;
    answer->options = *options;
    answer->options.model = mem_strdup(options->model ? options->model : "");
    answer->options.id = mem_strdup(options->id ? options->id : "msg_0");
    answer->stop_sequences = json_deep_copy(options->stop_sequences);
    answer->options.stop_sequences = answer->stop_sequences;
    answer->prompt_tokens = answer->usage.input_tokens = options->prompt_tokens;
    answer->native_block = -1;
    sse_init(&answer->sse, max, on_event, answer);
    // Escaped, a byte becomes up to six.
    struct buf *const kept[] = {&answer->body,  &answer->blank,     &answer->content,
                                &answer->input, &answer->signature, &answer->later_text,
                                &answer->piece, &answer->held};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        buf_init(kept[i], max);
    buf_init(&answer->scratch, 6 * max + 256);
    return answer;
}

void answer_destroy(struct answer *answer) {
    if (!answer)
        return;
    struct buf *const kept[] = {&answer->body,    &answer->blank,     &answer->content,
                                &answer->input,   &answer->signature, &answer->later_text,
                                &answer->scratch, &answer->piece,     &answer->held};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        buf_fini(kept[i]);
    answer_calls_fini(answer);
    sse_fini(&answer->sse);
    json_decref(answer->stop_sequences);
    mem_free((char *)answer->options.model);
    mem_free((char *)answer->options.id);
    mem_free(answer->stop_word);
    mem_free(answer);
}
