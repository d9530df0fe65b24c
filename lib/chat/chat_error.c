#include "chat/chat_error.h"

#include "base/str.h"
#include "format/json.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 32, MAX_BODY = 65536, MAX_NESTED = 4 };

// With less room than this Claude Code does not ask again with a smaller max_tokens but ends the
// session; then only compaction helps.
enum { MIN_OUTPUT = 4000 };

// https://docs.claude.com/en/api/errors
const char *chat_error_type(unsigned status) {
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503:
    case 529: return "overloaded_error";
    case 504: return "timeout_error";
    default: return status < 500 ? "invalid_request_error" : "api_error";
    }
}

// What the backend said

struct told {
    int64_t prompt, window, output, total, excess; // tokens; -1 = not told
    unsigned status;                               // 0 = not told
    bool overflow;
    bool refused; // for what it is about
};

// Texts of an overflow, in lower case. llama-server; vLLM and OpenAI; SGLang; LM Studio; Ollama;
// apfel; TGI; TabbyAPI; lmdeploy; MLX; Anthropic.
static const char *const overflow_texts[] = {
    "exceeds the available context size",
    "larger than the max context size",
    "context size has been exceeded",
    "maximum context length",
    "maximum model length",
    "context length is only",
    "longer than the model's context length",
    "exceeds the maximum allowed length",
    "greater than the context length",
    "when context the overflows",
    "reached context length of",
    "exceeded max context length",
    "exceeded context length",
    "exceeds the context length",
    "exceeds context length",
    "exceeds the context window",
    "exceeds the model's context window",
    "exceeded the context window",
    "exceeded model context window",
    "context window exceeded",
    "context_length_exceeded",
    "context length exceeded",
    "exceed_context_size_error",
    "`inputs` must have less than",
    "`max_new_tokens` must be <=",
    "greater than max_seq_len",
    "exceeds session_len",
    "exceeds maximum context",
    "prompt is too long",
    "exceed context limit",
};

// The model's own output could not be read; an error about the request ("Failed to parse messages")
// is none of these.
static const char *const garbled_texts[] = {
    "failed to parse input at",            // llama-server until 2026-07
    "model produced output that does not", // llama-server since
    "invalid diff:",                       // llama-server
    "error parsing tool call",             // Ollama
    "output could not be decoded",         // apfel
};

// Apple's guardrails, by apfel; others. LM Studio has guardrails of memory.
static const char *const refused_texts[] = {
    "guardrail",
    "content_policy",
    "content policy",
    "content_filter",
};
static const char *const memory_texts[] = {"loading guardrail", "system resources"};

static bool has_any(const char *text, const char *const *phrases, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strstr(text, phrases[i]))
            return true;
    return false;
}

// 40000, 40,000; -1 when there is none.
static int64_t number_at(const char *p) {
    int64_t value = -1;
    for (; isdigit((unsigned char)*p) || (value >= 0 && *p == ',' && isdigit((unsigned char)p[1]));
         p++)
        if (*p != ',' && value < INT64_MAX / 20)
            value = (value < 0 ? 0 : value) * 10 + (*p - '0');
    return value;
}

static int64_t number_before(const char *text, const char *p) {
    const char *begin = p;
    while (begin > text && (isdigit((unsigned char)begin[-1]) || begin[-1] == ','))
        begin--;
    while (*begin == ',')
        begin++;
    return begin < p ? number_at(begin) : -1;
}

// Where the numbers stand, by the words beside them; a later row that matches is the more exact.
static void read_numbers(struct told *told, const char *text) {
    const struct {
        const char *words;
        bool before; // the number stands before the words
        int64_t *number;
    } rows[] = {
        {"available context size (", false, &told->window},
        {"maximum context length is ", false, &told->window},
        {"maximum context length of ", false, &told->window},
        {"maximum model length of ", false, &told->window},
        {"model's context length (", false, &told->window},
        {"maximum allowed length (", false, &told->window},
        {"context length is only ", false, &told->window},
        {"context length of only ", false, &told->window},
        {"reached context length of ", false, &told->window},
        {"n_ctx: ", false, &told->window},
        {"must have less than ", false, &told->window},
        {"must be <= ", false, &told->window},
        {"max_seq_len ", false, &told->window},
        {"session_len ", false, &told->window},
        {"request (", false, &told->prompt},
        {"the input (", false, &told->prompt},
        {"input length (", false, &told->prompt},
        {"(length ", false, &told->prompt},
        {"input length ", false, &told->prompt},
        {"prompt length ", false, &told->prompt},
        {"your request has ", false, &told->prompt},
        {"given: ", false, &told->prompt}, // "N", or "N `inputs` tokens and M `max_new_tokens`"
        {"n_keep: ", false, &told->prompt},
        {"keep the first ", false, &told->prompt},
        {"messages resulted in ", false, &told->prompt},
        {"prompt contains ", false, &told->prompt},
        {"prompt contains at least ", false, &told->prompt},
        {" in the messages", true, &told->prompt},
        {" in your prompt", true, &told->prompt},
        {" tokens from the input messages", true, &told->prompt},
        {" in the completion", true, &told->output},
        {" for the completion", true, &told->output},
        {" tokens for the completion", true, &told->output},
        {" output tokens", true, &told->output},
        {"`inputs` tokens and ", false, &told->output},
        {"requested a total of ", false, &told->total},
        {"you requested ", false, &told->total},
        {"context length by ", false, &told->excess},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *at = strstr(text, rows[i].words);
        int64_t number = !at              ? -1
                         : rows[i].before ? number_before(text, at)
                                          : number_at(at + strlen(rows[i].words));
        if (number >= 0)
            *rows[i].number = number;
    }
}

static void lower(char *out, size_t size, const char *text) {
    size_t i = 0;
    for (; text[i] && i + 1 < size; i++)
        out[i] = (char)tolower((unsigned char)text[i]);
    out[i] = '\0';
}

static void put_text(struct chat_error *error, const char *bytes, size_t length) {
    if (length >= sizeof error->text)
        length = sizeof error->text - 1;
    memcpy(error->text, bytes, length);
    error->text[length] = '\0';
}

// The first words in a value: {"error": text}, {"error": {"message"}}, {"message"}, {"errors":
// [{"message"}]}, FastAPI's {"detail": text, {"msg"} or [{"msg"}]}.
static const char *words_in(const json_t *value, unsigned depth) {
    static const char *const members[] = {"error", "message", "msg", "detail", "errors"};
    const char *text = json_string_value(value);
    if (json_is_array(value) && depth > 0)
        text = words_in(json_array_get(value, 0), depth - 1);
    for (size_t i = 0; i < sizeof members / sizeof *members && depth > 0 && !text; i++)
        text = words_in(json_object_get(value, members[i]), depth - 1);
    return text && *text ? text : NULL;
}

static const char *find_message(const json_t *root) {
    const char *text = words_in(root, MAX_NESTED);
    return text || !json_object_get(root, "error_code") ? text : json_get_text(root, "text", NULL);
}

// What servers write where nothing is to be told.
static bool is_blank(const json_t *value) {
    const char *key;
    json_t *member;
    size_t i;
    bool blank = !value || json_is_null(value) || json_is_false(value) || json_is_object(value) ||
                 json_is_array(value) ||
                 (json_is_string(value) && json_string_length(value) == 0) ||
                 (json_is_number(value) && json_number_value(value) == 0);
    json_object_foreach((json_t *)value, key, member) { blank = blank && is_blank(member); }
    json_array_foreach(value, i, member) { blank = blank && is_blank(member); }
    return blank;
}

bool chat_error_is(const json_t *answer) {
    if (!is_blank(json_object_get(answer, "error")))
        return true;
    if (!is_blank(json_object_get(answer, "choices")))
        return false;
    const char *type = json_get_text(answer, "type", json_get_text(answer, "object", ""));
    const char *text = find_message(answer);
    return str_ends(type, "error") ||
           (text && (!*type || !is_blank(json_object_get(answer, "code"))));
}

// Words for a status, in lower case: Anthropic's and OpenAI's types and codes, llama-server's,
// vLLM's names of exceptions.
static unsigned status_of_word(const char *word) {
    static const struct {
        const char *word;
        unsigned status;
    } known[] = {
        {"invalid_request_error", 400}, {"badrequesterror", 400},
        {"invalid_api_key", 401},       {"authentication_error", 401},
        {"permission_error", 403},      {"permission_denied", 403},
        {"model_not_found", 404},       {"not_found_error", 404},
        {"notfounderror", 404},         {"request_too_large", 413},
        {"rate_limit_error", 429},      {"rate_limit_exceeded", 429},
        {"insufficient_quota", 429},    {"too_many_requests", 429},
        {"not_supported_error", 501},   {"overloaded_error", 503},
        {"unavailable_error", 503},     {"serviceunavailableerror", 503},
        {"service_unavailable", 503},   {"timeout_error", 504},
    };
    char low[40];
    lower(low, sizeof low, word);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].word, low) == 0)
            return known[i].status;
    return 0;
}

// A number, the text of one, or a word.
static unsigned status_of(const json_t *value) {
    const char *text = json_string_value(value);
    int64_t code = json_is_integer(value) ? json_integer_value(value) : 0;
    if (text && !str_to_int(text, 400, 599, &code))
        return status_of_word(text);
    return code >= 400 && code < 600 ? (unsigned)code : 0;
}

// Amid a stream there is no other than this.
static unsigned find_status(const json_t *at) {
    static const char *const members[] = {"code", "status", "status_code", "type"};
    unsigned status = 0;
    for (size_t i = 0; i < sizeof members / sizeof *members && status == 0; i++)
        status = status_of(json_object_get(at, members[i]));
    return status;
}

static void read_members(struct told *told, const json_t *root) {
    const json_t *error = json_object_get(root, "error");
    const json_t *at = json_is_object(error) ? error : root;
    const char *type = json_get_text(at, "type", ""), *word = json_get_text(at, "code", "");
    told->status = find_status(at);
    if (told->status == 0)
        told->status = find_status(root);
    told->prompt = json_get_int(at, "n_prompt_tokens", -1);
    told->window = json_get_int(at, "n_ctx", -1);
    told->overflow = strcmp(type, "exceed_context_size_error") == 0 || // llama-server
                     strcmp(type, "context_length_exceeded") == 0 ||   // apfel
                     strcmp(word, "context_length_exceeded") == 0;
    size_t count = sizeof refused_texts / sizeof *refused_texts;
    told->refused = has_any(type, refused_texts, count) || has_any(word, refused_texts, count);
}

static void read_body(struct chat_error *error, struct told *told, struct span body) {
    struct err why;
    json_t *root = json_parse_mended(body.data, body.length, MAX_DEPTH, 0, &why);
    const char *message = find_message(root);
    if (json_is_object(root))
        read_members(told, root);
    if (message)
        put_text(error, message, strlen(message));
    else if (!root)
        put_text(error, body.data, body.length); // no JSON: the text itself
    json_decref(root);
}

// What to say

static void set(struct chat_error *error, unsigned status) {
    error->status = status;
    error->type = chat_error_type(status);
}

void chat_error_overflow(struct chat_error *error, int64_t prompt_tokens, int64_t context_tokens) {
    // The client reads both numbers; where a backend tells none, only their order is meant.
    if (prompt_tokens <= 0)
        prompt_tokens = context_tokens > 0 ? context_tokens + 1 : 1;
    if (context_tokens <= 0)
        context_tokens = prompt_tokens - 1;
    if (prompt_tokens <= context_tokens)
        prompt_tokens = context_tokens + 1;
    *error = (struct chat_error){
        .overflow = true, .prompt_tokens = prompt_tokens, .context_tokens = context_tokens};
    set(error, 400);
    snprintf(error->text, sizeof error->text, "prompt is too long: %lld tokens > %lld maximum",
             (long long)prompt_tokens, (long long)context_tokens);
}

bool chat_error_is_too_long(const struct chat_error *error) {
    return error->overflow && str_starts(error->text, "prompt is too long: ");
}

// The prompt fits, its answer does not: the client asks again with a smaller max_tokens.
static void overflow_by_output(struct chat_error *error, const struct told *told) {
    *error = (struct chat_error){
        .overflow = true, .prompt_tokens = told->prompt, .context_tokens = told->window};
    set(error, 400);
    snprintf(error->text, sizeof error->text,
             "input length and `max_tokens` exceed context limit: %lld + %lld > %lld",
             (long long)told->prompt, (long long)told->output, (long long)told->window);
}

static void say_overflow(struct chat_error *error, struct told *told, int64_t prompt_tokens,
                         int64_t context_tokens) {
    if (told->window < 0)
        told->window = context_tokens;
    if (told->prompt < 0 && told->excess > 0 && told->window > 0)
        told->prompt = told->window + told->excess;
    if (told->prompt < 0 && told->total > 0 && told->output < 0)
        told->prompt = told->total;
    if (told->prompt < 0)
        told->prompt = prompt_tokens;
    if (told->output > 0 && told->prompt > 0 && told->prompt + MIN_OUTPUT <= told->window)
        overflow_by_output(error, told);
    else
        chat_error_overflow(error, told->prompt, told->window);
}

static bool is_refusal(const struct told *told, const char *text) {
    return told->refused ||
           (has_any(text, refused_texts, sizeof refused_texts / sizeof *refused_texts) &&
            !has_any(text, memory_texts, sizeof memory_texts / sizeof *memory_texts));
}

// Anthropic's text; asking again gives no other answer, so the status must not invite to it.
static void say_refusal(struct chat_error *error) {
    char told[sizeof error->text];
    memcpy(told, error->text, sizeof told);
    set(error, 400);
    snprintf(error->text, sizeof error->text,
             "Output blocked by content filtering policy%s%.900s%s", *told ? " (" : "", told,
             *told ? ")" : "");
}

static bool is_native_text(const char *text) {
    return strstr(text, "prompt is too long: ") ||
           strstr(text, "input length and `max_tokens` exceed context limit: ");
}

static unsigned choose_status(unsigned status, unsigned told) {
    if (status < 400)
        status = told ? told : 500;
    return status < 600 ? status : 500;
}

void chat_error_read(struct chat_error *error, unsigned status, struct span body,
                     int64_t prompt_tokens, int64_t context_tokens) {
    struct told told = {.prompt = -1, .window = -1, .output = -1, .total = -1, .excess = -1};
    char text[sizeof error->text];
    *error = (struct chat_error){.status = 0};
    if (body.length > MAX_BODY)
        body.length = MAX_BODY;
    while (body.length > 0 && isspace((unsigned char)body.data[body.length - 1]))
        body.length--;
    read_body(error, &told, body);
    lower(text, sizeof text, error->text);
    told.overflow |= has_any(text, overflow_texts, sizeof overflow_texts / sizeof *overflow_texts);
    if (is_native_text(text)) {
        error->overflow = true;
        set(error, 400);
    } else if (told.overflow) {
        read_numbers(&told, text);
        say_overflow(error, &told, prompt_tokens, context_tokens);
    } else if (is_refusal(&told, text)) {
        say_refusal(error);
    } else {
        error->garbled = has_any(text, garbled_texts, sizeof garbled_texts / sizeof *garbled_texts);
        set(error, choose_status(status, told.status));
        if (!*error->text && status == 0)
            snprintf(error->text, sizeof error->text,
                     "the backend broke its answer off with an error, and gave no reason");
        else if (!*error->text)
            snprintf(error->text, sizeof error->text,
                     "the backend answered with HTTP status %u and no text", status);
    }
}

void chat_error_body(const struct chat_error *error, struct buf *out) {
    size_t before = out->length;
    if (!buf_adds(out, "{\"type\":\"error\",\"error\":{\"type\":\"") ||
        !buf_adds(out, error->type) || !buf_adds(out, "\",\"message\":") ||
        !json_write_string(out, error->text, strlen(error->text)) || !buf_adds(out, "}}"))
        out->length = before;
}
