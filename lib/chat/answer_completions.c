// OpenAI's chat completions, as every server of them says it. Sources: platform.openai.com "Chat
// completions" (streaming); llama.cpp tools/server (timings, errors); vLLM (stop_reason), SGLang
// (matched_stop), OpenRouter and Ollama (reasoning), DeepSeek (prompt_cache_hit_tokens).
#include "chat/answer_parts.h"

#include "base/mem.h"
#include "chat/chat_error.h"

#include <string.h>

typedef void say_fn(struct answer *answer, const char *bytes, size_t length);

static void say(struct answer *answer, say_fn *fn, const json_t *text) {
    if (json_is_string(text) && json_string_length(text) > 0) {
        answer->heard = true;
        answer->deltas++;
        fn(answer, json_string_value(text), json_string_length(text));
    }
}

// A text, or an array of parts.
static void read_content(struct answer *answer, const json_t *content) {
    size_t i;
    const json_t *part;
    say(answer, answer_content, content);
    json_array_foreach(content, i, part) say(answer, answer_content, json_object_get(part, "text"));
}

// Some servers say the same thought under both names.
static void read_reasoning(struct answer *answer, const json_t *delta) {
    const json_t *text = json_object_get(delta, "reasoning_content");
    if (!json_is_string(text) || json_string_length(text) == 0)
        text = json_object_get(delta, "reasoning");
    say(answer, answer_reasoning, text);
}

static void read_arguments(struct answer *answer, struct answer_call *call,
                           const json_t *arguments) {
    if (json_is_string(arguments)) {
        answer_call_arguments(answer, call, json_string_value(arguments),
                              json_string_length(arguments));
    } else if (json_is_object(arguments)) {
        struct buf text;
        buf_init(&text, answer->options.max_bytes);
        if (!json_write(&text, arguments))
            answer_break(answer, ERR_LIMIT, "the arguments of a tool call are too large");
        // An empty one may stand for "not yet"; no arguments become {} anyway.
        if (json_object_size(arguments) > 0)
            answer_call_arguments(answer, call, buf_bytes(&text), text.length);
        buf_fini(&text);
    }
}

static void read_call(struct answer *answer, int64_t key, const char *id, const json_t *function) {
    const char *name = json_get_text(function, "name", NULL);
    const json_t *arguments = json_object_get(function, "arguments");
    if (!id && !name && !arguments)
        return;
    answer->heard = true;
    answer_content_settle(answer);
    struct answer_call *call = answer_call_find(answer, key, id, name);
    if (!call)
        return;
    answer_call_name(answer, call, name);
    read_arguments(answer, call, arguments);
}

// In a whole answer the place in the array is the index.
static void read_calls(struct answer *answer, const json_t *calls, bool whole) {
    size_t i;
    const json_t *call;
    json_array_foreach(calls, i, call) {
        if (!json_is_object(call) || answer->failed)
            continue;
        int64_t key = whole ? (int64_t)i : json_get_int(call, "index", -1);
        read_call(answer, key, json_get_text(call, "id", NULL), json_object_get(call, "function"));
    }
}

static void read_finish(struct answer *answer, const json_t *choice) {
    static const struct {
        const char *reason;
        enum answer_stop stop;
    } known[] = {
        {"length", STOP_LENGTH},       {"max_tokens", STOP_LENGTH},      {"tool_calls", STOP_TOOLS},
        {"function_call", STOP_TOOLS}, {"content_filter", STOP_REFUSAL},
    };
    const char *reason = json_get_text(choice, "finish_reason", NULL);
    if (!reason || !*reason)
        return;
    answer->heard = true;
    if (strcmp(reason, "abort") == 0 || strcmp(reason, "error") == 0) {
        answer_break(answer, ERR_PEER, "the backend broke its answer off (\"%s\")", reason);
        return;
    }
    answer->stop = STOP_END;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].reason, reason) == 0)
            answer->stop = known[i].stop;
    const char *word = json_get_text(choice, "stop_reason", NULL);
    if (!word)
        word = json_get_text(choice, "matched_stop", NULL);
    if (answer->stop == STOP_END && word && answer_stop_is_asked(answer, word)) {
        answer->stop = STOP_WORD;
        mem_free(answer->stop_word);
        answer->stop_word = mem_strdup(word);
    }
}

static void read_choice(struct answer *answer, const json_t *choice) {
    const json_t *delta = json_object_get(choice, "delta");
    bool whole = !json_is_object(delta);
    if (whole)
        delta = json_object_get(choice, "message");
    if (json_is_object(delta)) {
        answer->heard = true;
        answer_out_start(answer);
        read_reasoning(answer, delta);
        read_content(answer, json_object_get(delta, "content"));
        say(answer, answer_content, json_object_get(delta, "refusal"));
        read_calls(answer, json_object_get(delta, "tool_calls"), whole);
        const json_t *function = json_object_get(delta, "function_call"); // before 2023-11
        if (json_is_object(function))
            read_call(answer, 0, NULL, function);
    }
    read_finish(answer, choice);
}

static int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

static void set_prompt(struct answer *answer, int64_t prompt, int64_t cached) {
    if (prompt > 0)
        answer->prompt_tokens = prompt;
    if (cached >= 0)
        answer->usage.cached_tokens = max_of(cached - answer->read_before, 0);
    if (answer->usage.cached_tokens > answer->prompt_tokens)
        answer->usage.cached_tokens = answer->prompt_tokens;
    answer->usage.input_tokens = answer->prompt_tokens - answer->usage.cached_tokens;
}

static void set_output(struct answer *answer, int64_t output) {
    if (output > 0) {
        answer->usage.output_tokens = output;
        answer->output_told = true;
    }
}

// The last one told is the truest. llama-server's timings tell the cached tokens where usage does
// not; its usage comes in the same chunk or never.
static void read_usage(struct answer *answer, const json_t *chunk) {
    const json_t *usage = json_object_get(chunk, "usage");
    const json_t *timings = json_object_get(chunk, "timings");
    if (!json_is_object(usage) && !json_is_object(timings))
        return;
    int64_t cached = json_get_int(timings, "cache_n", -1);
    int64_t prompt = max_of(cached, 0) + json_get_int(timings, "prompt_n", 0);
    int64_t output = json_get_int(timings, "predicted_n", 0);
    const json_t *details = json_object_get(usage, "prompt_tokens_details");
    cached = json_get_int(usage, "prompt_cache_hit_tokens", cached);
    cached = json_get_int(details, "cached_tokens", cached);
    set_prompt(answer, json_get_int(usage, "prompt_tokens", prompt), cached);
    set_output(answer, json_get_int(usage, "completion_tokens", output));
}

void answer_completions_event(struct answer *answer, const json_t *chunk) {
    if (chat_error_is(chunk)) {
        answer_backend_error(answer, chunk);
        return;
    }
    read_usage(answer, chunk);
    size_t i;
    const json_t *choice;
    json_array_foreach(json_object_get(chunk, "choices"), i,
                       choice) if (json_get_int(choice, "index", 0) == 0 && !answer->failed)
        read_choice(answer, choice);
}
