// What the backend says, put into the order of the Messages API: one block at a time. Calls run in
// the order in which they began; the first that has not ended is told as it comes, the others wait,
// and so does text that comes amid one.
#include "chat/answer_parts.h"

#include "base/mem.h"
#include "chat/chat_error.h"

#include <ctype.h>
#include <string.h>

enum { MAX_CALLS = 512, MAX_NAME = 256, MIN_ID = 9, MAX_ID = 128 };

static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static size_t count_blank(const char *bytes, size_t length) {
    size_t n = 0;
    while (n < length && is_blank(bytes[n]))
        n++;
    return n;
}

static void keep(struct answer *answer, struct buf *buf, const char *bytes, size_t length) {
    if (!buf_add(buf, bytes, length))
        answer_break(answer, ERR_LIMIT, "a part of the answer is larger than %zu bytes",
                     answer->options.max_bytes);
}

static void scan(struct answer_scan *scan, const char *bytes, size_t length) {
    for (size_t i = 0; i < length && !scan->complete; i++) {
        char c = bytes[i];
        if (scan->after_backslash) {
            scan->after_backslash = false;
        } else if (scan->in_string) {
            scan->after_backslash = c == '\\';
            scan->in_string = c != '"';
        } else if (c == '"') {
            scan->in_string = true;
        } else if (c == '{' || c == '[') {
            scan->depth++;
        } else if ((c == '}' || c == ']') && scan->depth > 0) {
            scan->complete = --scan->depth == 0;
        }
    }
}

// Text

// White space before a block waits for text: alone it would be a block that the API itself
// refuses, and models put it between their thinking and their calls.
static void say_text(struct answer *answer, const char *bytes, size_t length) {
    if (answer->block == BLOCK_TEXT) {
        answer_out_text(answer, BLOCK_TEXT, bytes, length);
        return;
    }
    keep(answer, &answer->blank, bytes, length);
    if (count_blank(bytes, length) == length)
        return;
    answer_out_text(answer, BLOCK_TEXT, buf_bytes(&answer->blank), answer->blank.length);
    buf_clear(&answer->blank);
}

static void say_later_text(struct answer *answer) {
    if (answer->later_text.length > 0)
        say_text(answer, buf_bytes(&answer->later_text), answer->later_text.length);
    buf_clear(&answer->later_text);
}

bool answer_is_amid_call(struct answer *answer) {
    if (answer->calls_told == answer->call_count)
        return false;
    for (size_t i = answer->calls_told; i < answer->call_count; i++)
        answer->calls[i].closed |= answer->calls[i].scan.complete;
    answer_calls_advance(answer, false);
    return answer->calls_told < answer->call_count;
}

void answer_text(struct answer *answer, const char *bytes, size_t length) {
    if (length == 0)
        return;
    if (answer_is_amid_call(answer)) {
        keep(answer, &answer->later_text, bytes, length);
        return;
    }
    say_later_text(answer);
    say_text(answer, bytes, length);
}

void answer_thinking(struct answer *answer, const char *bytes, size_t length) {
    if (length == 0)
        return;
    // Amid a call there is no place for a thought, and behind it no use.
    if (!answer->options.thinking || answer_is_amid_call(answer))
        return;
    say_later_text(answer);
    buf_clear(&answer->blank);
    answer_out_text(answer, BLOCK_THINKING, bytes, length);
}

// Calls

static bool is_id_char(char c) {
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.' || c == ':';
}

// The client finds a result's call by its id in the whole conversation. Backends that number
// ("call_0") begin again with each answer; an id of theirs is kept only where it looks drawn.
static bool is_good_id(const struct answer *answer, size_t call) {
    const char *id = answer->calls[call].id;
    size_t length = id ? strlen(id) : 0;
    if (length < MIN_ID || length > MAX_ID)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_id_char(id[i]))
            return false;
    for (size_t i = 0; i < call; i++)
        if (answer->calls[i].id && strcmp(answer->calls[i].id, id) == 0)
            return false;
    return true;
}

// Unique in the conversation because the message's id is.
static char *make_id(const struct answer *answer, size_t call) {
    const char *id = answer->options.id;
    return mem_printf("toolu_%s_%zu", str_starts(id, "msg_") ? id + 4 : id, call);
}

static void begin_call(struct answer *answer, struct answer_call *call) {
    size_t place = (size_t)(call - answer->calls);
    buf_clear(&answer->blank);
    if (!is_good_id(answer, place)) {
        mem_free(call->id);
        call->id = make_id(answer, place);
    }
    // Without a name the client answers that there is no such tool, and the model tries again.
    answer_out_tool(answer, call->id, call->name.length ? buf_text(&call->name) : "unknown");
    call->begun = true;
}

// The name may still grow while no argument has come, and some backends tell it behind them.
static bool is_due(const struct answer_call *call, bool all) {
    bool named = call->name.length > 0;
    return call->begun || all || (named && (call->arguments.length > 0 || call->closed));
}

void answer_calls_advance(struct answer *answer, bool all) {
    while (answer->calls_told < answer->call_count && !answer->failed) {
        struct answer_call *call = &answer->calls[answer->calls_told];
        bool waited_for = answer->calls_told + 1 < answer->call_count;
        if (!is_due(call, all))
            return;
        if (!call->begun)
            begin_call(answer, call);
        answer_out_input(answer, buf_bytes(&call->arguments), call->arguments.length);
        buf_fini(&call->arguments);
        if (!all && !call->closed && !(waited_for && call->scan.complete))
            return;
        if (!call->has_arguments) // some clients parse what they were told, even when that was
                                  // nothing
            answer_out_input(answer, "{}", 2);
        answer_out_close(answer);
        answer->calls_told++;
    }
}

static struct answer_call *add_call(struct answer *answer, int64_t key) {
    if (answer->call_count == MAX_CALLS) {
        answer_break(answer, ERR_LIMIT, "more than %d tool calls in one answer", MAX_CALLS);
        return NULL;
    }
    if (!answer->calls || answer->call_count == answer->call_room) {
        answer->call_room = answer->call_room ? 2 * answer->call_room : 4;
        answer->calls = mem_resize(answer->calls, answer->call_room * sizeof *answer->calls);
    }
    struct answer_call *call = &answer->calls[answer->call_count++];
    *call = (struct answer_call){.key = key};
    buf_init(&call->name, MAX_NAME);
    buf_init(&call->arguments, answer->options.max_bytes);
    return call;
}

// Some servers give every call the index 0 or none, each with an id and a name of its own.
static bool is_another(const struct answer_call *call, const char *id, const char *name) {
    bool other_id = id && *id && call->id && *call->id && strcmp(id, call->id) != 0;
    bool named = name && *name;
    return named && (other_id || (call->key < 0 && call->scan.complete));
}

static struct answer_call *find_call(struct answer *answer, int64_t key, const char *id) {
    for (size_t i = answer->call_count; i-- > 0;) {
        struct answer_call *call = &answer->calls[i];
        if (key >= 0 ? call->key == key : id && call->id && strcmp(call->id, id) == 0)
            return call;
    }
    return key < 0 && answer->call_count > 0 ? &answer->calls[answer->call_count - 1] : NULL;
}

struct answer_call *answer_call_find(struct answer *answer, int64_t key, const char *id,
                                     const char *name) {
    struct answer_call *call = find_call(answer, key, id);
    if (!call || is_another(call, id, name))
        call = add_call(answer, key);
    if (call && id && *id && !call->id)
        call->id = mem_strdup(id);
    return call;
}

// A name comes whole, in pieces, or again and again as it grows.
void answer_call_name(struct answer *answer, struct answer_call *call, const char *name) {
    if (!name || !*name || call->begun)
        return;
    if (str_starts(name, buf_text(&call->name)))
        buf_clear(&call->name);
    if (!buf_adds(&call->name, name))
        answer_break(answer, ERR_PEER, "the name of a tool is longer than %d bytes", MAX_NAME);
}

void answer_call_arguments(struct answer *answer, struct answer_call *call, const char *bytes,
                           size_t length) {
    if (length == 0 || call < answer->calls + answer->calls_told)
        return; // at most white space comes behind the end of a call
    answer->deltas++;
    call->has_arguments = true;
    scan(&call->scan, bytes, length);
    keep(answer, &call->arguments, bytes, length);
    answer_calls_advance(answer, false);
}

void answer_calls_fini(struct answer *answer) {
    for (size_t i = 0; i < answer->call_count; i++) {
        mem_free(answer->calls[i].id);
        buf_fini(&answer->calls[i].name);
        buf_fini(&answer->calls[i].arguments);
    }
    mem_free(answer->calls);
}

// The end

bool answer_stop_is_asked(const struct answer *answer, const char *word) {
    size_t i;
    const json_t *asked;
    json_array_foreach(answer->stop_sequences, i, asked) if (json_is_text(asked, word)) return true;
    return false;
}

static void settle_usage(struct answer *answer) {
    struct answer_usage *usage = &answer->usage;
    if (!answer->output_told)
        usage->output_tokens = answer->deltas;
}

void answer_finish(struct answer *answer) {
    bool has_calls = answer->call_count > 0;
    answer_content_settle(answer);
    answer_calls_advance(answer, true);
    say_later_text(answer);
    if (has_calls &&
        (answer->stop == STOP_NONE || answer->stop == STOP_END || answer->stop == STOP_WORD))
        answer->stop = STOP_TOOLS;
    else if (!has_calls && answer->stop == STOP_TOOLS)
        answer->stop = STOP_END;
    settle_usage(answer);
    if (!answer->failed)
        answer_out_end(answer);
}

// llama-server reads its own model's answer and ends the stream when it cannot (llama.cpp #24807).
// The client must not lose the turn, and must do what makes the model try again:
//   a call was begun    -> tool_use: the client cannot parse the arguments and tells the model so
//   else                -> max_tokens: the client asks the model to go on, a few times. Why is said
//                          as its own words, the only ones that it will see of this.
// Both were seen to end well with Claude Code 2.1.197.
void answer_end_garbled(struct answer *answer, const char *text) {
    answer_content_settle(answer);
    if (answer->call_count > 0) {
        answer->stop = STOP_TOOLS;
    } else {
        char *said = mem_printf("%s(My last output could not be read by the server: %s)",
                                answer->block == BLOCK_TEXT ? "\n\n" : "", text);
        answer->stop = STOP_LENGTH;
        say_text(answer, said, strlen(said));
        mem_free(said);
    }
    answer_finish(answer);
}

bool answer_is_garbled(const char *text) {
    struct chat_error error;
    chat_error_read(&error, 0, span_of(text), 0, 0);
    return error.garbled;
}

void answer_backend_error(struct answer *answer, const json_t *json) {
    struct buf text;
    buf_init(&text, answer->options.max_bytes);
    json_write(&text, json);
    answer_backend_error_text(answer, (struct span){buf_bytes(&text), text.length});
    buf_fini(&text);
}

void answer_backend_error_text(struct answer *answer, struct span body) {
    struct chat_error error;
    chat_error_read(&error, 0, body, answer->prompt_tokens, answer->options.context_tokens);
    if (error.garbled && (answer->heard || answer->opened)) {
        answer_end_garbled(answer, error.text);
    } else if (error.overflow && answer->blocks > 0) {
        answer->stop = STOP_LENGTH; // the window filled while it spoke
        answer_finish(answer);
    } else {
        enum err_code code = error.overflow        ? ERR_INVALID
                             : error.status == 503 ? ERR_BUSY
                                                   : ERR_PEER;
        answer_break(answer, code, "%s", error.text);
        answer->status = error.status;
    }
}
