/* The wire shapes of llama-server's answers, per protocol. */
#include "fake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void text_room(struct text *text, size_t more) {
    if (text->len + more + 1 <= text->cap)
        return;
    size_t cap = text->cap ? text->cap : 1024;
    while (cap < text->len + more + 1)
        cap *= 2;
    text->at = realloc(text->at, cap);
    if (!text->at)
        abort();
    text->cap = cap;
}

void text_add(struct text *text, const void *bytes, size_t len) {
    text_room(text, len);
    memcpy(text->at + text->len, bytes, len);
    text->len += len;
    text->at[text->len] = 0;
}

void text_addf(struct text *text, const char *format, ...) {
    for (;;) {
        text_room(text, 256);
        va_list args;
        va_start(args, format);
        int n = vsnprintf(text->at + text->len, text->cap - text->len, format, args);
        va_end(args);
        if (n < 0)
            abort();
        if ((size_t)n < text->cap - text->len) {
            text->len += (size_t)n;
            return;
        }
        text_room(text, (size_t)n);
    }
}

void text_add_json(struct text *text, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\')
            text_addf(text, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            text_addf(text, "\\u%04x", c); /* bytes as Latin-1: a witness keeps what it saw */
        else
            text_add(text, &bytes[i], 1);
    }
}

enum fake_api answer_api(struct slice path) {
    static const struct {
        const char *path;
        enum fake_api api;
    } table[] = {
        {"/v1/chat/completions", API_CHAT},
        {"/chat/completions", API_CHAT},
        {"/v1/completions", API_COMPLETIONS},
        {"/completions", API_NATIVE},
        {"/completion", API_NATIVE},
        {"/infill", API_NATIVE},
        {"/v1/messages", API_MESSAGES},
        {"/v1/messages/count_tokens", API_COUNT},
        {"/v1/chat/completions/input_tokens", API_COUNT},
        {"/v1/responses", API_RESPONSES},
        {"/responses", API_RESPONSES},
        {"/v1/embeddings", API_EMBEDDINGS},
        {"/embeddings", API_EMBEDDINGS},
        {"/v1/rerank", API_RERANK},
        {"/rerank", API_RERANK},
        {"/tokenize", API_TOKENIZE},
        {"/detokenize", API_DETOKENIZE},
        {"/apply-template", API_TEMPLATE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (slice_is(path, table[i].path))
            return table[i].api;
    return API_NONE;
}

/* Words of more than one byte a letter, so that careless cutting shows. */
void answer_token_text(long index, char out[32]) {
    static const char *const words[] = {"Hello", " w\u00f6rld", " \u6f22\u5b57", " \U0001f999"};
    if (index < 0) /* a stamp */
        snprintf(out, 32, "%ld", -index);
    else
        snprintf(out, 32, "%s", words[index & 3]);
}

static void add_timings(struct text *out, const struct answer *a) {
    double per = a->tokens ? a->predicted_ms / (double)a->tokens : 0;
    text_addf(out,
              "\"timings\":{\"cache_n\":%ld,\"prompt_n\":%ld,\"prompt_ms\":%.3f,"
              "\"prompt_per_token_ms\":%.3f,\"prompt_per_second\":%.3f,\"predicted_n\":%ld,"
              "\"predicted_ms\":%.3f,\"predicted_per_token_ms\":%.3f,\"predicted_per_second\":%.3f",
              a->cached, a->prompt_tokens, a->prompt_ms,
              a->prompt_tokens ? a->prompt_ms / (double)a->prompt_tokens : 0,
              a->prompt_ms > 0 ? 1e3 * (double)a->prompt_tokens / a->prompt_ms : 0, a->tokens,
              a->predicted_ms, per, per > 0 ? 1e3 / per : 0);
    if (a->draft_n > 0)
        text_addf(out, ",\"draft_n\":%ld,\"draft_n_accepted\":%ld", a->draft_n, a->draft_accepted);
    text_addf(out, "}");
}

static void add_usage(struct text *out, const struct answer *a) {
    text_addf(out,
              "\"usage\":{\"completion_tokens\":%ld,\"prompt_tokens\":%ld,\"total_tokens\":%ld,"
              "\"prompt_tokens_details\":{\"cached_tokens\":%ld}}",
              a->tokens, a->prompt_tokens, a->tokens + a->prompt_tokens, a->cached);
}

/* Who answered, and to whom: the tests' proof that answers were not mixed up. */
static void add_witness(struct text *out, const struct answer *a) {
    text_addf(out, "\"fake\":{\"pid\":%d,\"model\":\"%s\",\"tag\":\"", (int)getpid(), a->model);
    text_add_json(out, a->tag, strlen(a->tag));
    text_addf(out, "\"}");
}

static long created(void) { return (long)time(NULL); }

static void chat_chunk(struct text *out, const struct answer *a, const char *choices) {
    text_addf(out,
              "{\"choices\":%s,\"created\":%ld,\"id\":\"chatcmpl-fake%lu\",\"model\":\"%s\","
              "\"system_fingerprint\":\"b11434-fake\",\"object\":\"chat.completion.chunk\",",
              choices, created(), a->id, a->model);
    add_witness(out, a);
}

static const char *const responses_open[] = {"response.created", "response.in_progress"};

/* The witness as text of the answer, for whoever gets only that. */
static void add_told_witness(struct text *out, const struct answer *a) {
    if (!a->witness)
        return;
    struct text told = {0};
    text_addf(&told, "[fake {\"pid\":%d,\"model\":\"%s\",\"tag\":\"", (int)getpid(), a->model);
    text_add_json(&told, a->tag, strlen(a->tag));
    text_addf(&told, "\"}]");
    text_add_json(out, told.at, told.len);
    free(told.at);
}

static void add_call(struct text *out, long index, const char *arguments) {
    text_addf(out,
              "{\"index\":%ld,\"id\":\"call_%ld\",\"type\":\"function\",\"function\":{\"name\":"
              "\"read_file\",\"arguments\":\"%s\"}}",
              index, index, arguments);
}

/* Arguments in two pieces, the calls one after the other. */
static void add_call_chunks(struct text *out, const struct answer *a) {
    for (long i = 0; i < a->calls; i++) {
        text_addf(out, "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{"
                       "\"tool_calls\":[");
        add_call(out, i, "{\\\"path\\\":");
        text_addf(
            out,
            "]}}]}\n\ndata: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{"
            "\"tool_calls\":[{\"index\":%ld,\"function\":{\"arguments\":\"\\\"f%ld\\\"}\"}}]}}"
            "]}\n\n",
            i, i);
    }
}

void answer_open(struct text *out, const struct answer *a) {
    if (a->api == API_CHAT && a->witness) {
        text_addf(out, "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{"
                       "\"role\":\"assistant\",\"content\":\"");
        add_told_witness(out, a);
        text_addf(out, "\"}}],\"object\":\"chat.completion.chunk\"}\n\n");
    } else if (a->api == API_CHAT) {
        text_addf(out, "data: ");
        chat_chunk(out, a,
                   "[{\"finish_reason\":null,\"index\":0,\"delta\":{\"role\":\"assistant\","
                   "\"content\":null}}]");
        text_addf(out, "}\n\n");
    } else if (a->api == API_MESSAGES) {
        text_addf(out,
                  "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
                  "\"chatcmpl-fake%lu\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],"
                  "\"model\":\"%s\",\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"
                  "\"cache_read_input_tokens\":%ld,\"input_tokens\":%ld,\"output_tokens\":0}},",
                  a->id, a->model, a->cached, a->prompt_tokens - a->cached);
        add_witness(out, a);
        text_addf(out, "}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\","
                       "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    } else if (a->api == API_RESPONSES) {
        for (size_t i = 0; i < 2; i++) {
            text_addf(out,
                      "event: %s\ndata: {\"type\":\"%s\",\"response\":{\"id\":\"resp_fake%lu\","
                      "\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"%s\"},",
                      responses_open[i], responses_open[i], a->id, a->model);
            add_witness(out, a);
            text_addf(out, "}\n\n");
        }
        text_addf(out,
                  "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added"
                  "\",\"item\":{\"content\":[],\"id\":\"msg_fake%lu\",\"role\":\"assistant\","
                  "\"status\":\"in_progress\",\"type\":\"message\"}}\n\nevent: "
                  "response.content_part.added\ndata: {\"type\":\"response.content_part.added\","
                  "\"item_id\":\"msg_fake%lu\",\"part\":{\"type\":\"output_text\",\"text\":\"\"}}"
                  "\n\n",
                  a->id, a->id);
    }
}

void answer_progress(struct text *out, const struct answer *a, long processed, long ms) {
    if (a->api != API_CHAT)
        return;
    text_addf(out, "data: ");
    chat_chunk(out, a, "[{\"finish_reason\":null,\"index\":0,\"delta\":{}}]");
    text_addf(out,
              ",\"prompt_progress\":{\"total\":%ld,\"cache\":%ld,\"processed\":%ld,\"time_ms\":%ld}"
              "}\n\n",
              a->prompt_tokens, a->cached, processed, ms);
}

static void add_word(struct text *out, long index, long pad) {
    char word[32];
    answer_token_text(index, word);
    text_addf(out, "%s", word);
    for (long i = (long)strlen(word); i < pad; i++)
        text_add(out, "x", 1);
}

void answer_token(struct text *out, const struct answer *a, long index, long pad) {
    switch (a->api) {
    case API_CHAT:
        text_addf(out, "data: {\"choices\":[{\"finish_reason\":null,\"index\":0,\"delta\":{"
                       "\"content\":\"");
        add_word(out, index, pad);
        text_addf(out,
                  "\"}}],\"created\":%ld,\"id\":\"chatcmpl-fake%lu\",\"model\":\"%s\","
                  "\"system_fingerprint\":\"b11434-fake\",\"object\":\"chat.completion.chunk\"}"
                  "\n\n",
                  created(), a->id, a->model);
        break;
    case API_MESSAGES:
        text_addf(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                       "\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"");
        add_word(out, index, pad);
        text_addf(out, "\"}}\n\n");
        break;
    case API_RESPONSES:
        text_addf(out,
                  "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta"
                  "\",\"item_id\":\"msg_fake%lu\",\"delta\":\"",
                  a->id);
        add_word(out, index, pad);
        text_addf(out, "\"}\n\n");
        break;
    case API_COMPLETIONS:
        text_addf(out, "data: {\"choices\":[{\"text\":\"");
        add_word(out, index, pad);
        text_addf(out,
                  "\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}],\"created\":%ld,"
                  "\"model\":\"%s\",\"object\":\"text_completion\",\"id\":\"chatcmpl-fake%lu\",",
                  created(), a->model, a->id);
        add_witness(out, a);
        text_addf(out, "}\n\n");
        break;
    default:
        text_addf(out, "data: {\"index\":0,\"content\":\"");
        add_word(out, index, pad);
        text_addf(out, "\",\"tokens\":[],\"stop\":false,\"id_slot\":0}\n\n");
    }
}

void answer_close(struct text *out, const struct answer *a, bool done) {
    switch (a->api) {
    case API_CHAT:
        add_call_chunks(out, a);
        text_addf(out, "data: ");
        chat_chunk(out, a,
                   a->calls ? "[{\"finish_reason\":\"tool_calls\",\"index\":0,\"delta\":{}}]"
                            : "[{\"finish_reason\":\"stop\",\"index\":0,\"delta\":{}}]");
        if (a->include_usage) {
            text_addf(out, "}\n\ndata: ");
            chat_chunk(out, a, "[]");
            text_addf(out, ",");
            add_usage(out, a);
        }
        text_addf(out, ",");
        add_timings(out, a);
        text_addf(out, "}\n\n");
        break;
    case API_COMPLETIONS:
        text_addf(out,
                  "data: {\"choices\":[{\"text\":\"\",\"index\":0,\"logprobs\":null,"
                  "\"finish_reason\":\"stop\"}],\"created\":%ld,\"model\":\"%s\",\"object\":"
                  "\"text_completion\",",
                  created(), a->model);
        add_usage(out, a);
        text_addf(out, ",");
        add_timings(out, a);
        text_addf(out, "}\n\n");
        break;
    case API_MESSAGES:
        text_addf(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
                       "\"index\":0}\n\n");
        text_addf(out,
                  "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
                  "\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{"
                  "\"output_tokens\":%ld}}\n\n",
                  a->tokens);
        if (done)
            text_addf(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        return;
    case API_RESPONSES:
        if (!done)
            return;
        text_addf(out,
                  "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{"
                  "\"id\":\"resp_fake%lu\",\"object\":\"response\",\"created_at\":%ld,\"status\":"
                  "\"completed\",\"model\":\"%s\",\"output\":[],\"usage\":{\"input_tokens\":%ld,"
                  "\"output_tokens\":%ld,\"total_tokens\":%ld}},",
                  a->id, created(), a->model, a->prompt_tokens, a->tokens,
                  a->prompt_tokens + a->tokens);
        add_timings(out, a);
        text_addf(out, "}\n\n");
        return;
    default:
        text_addf(out, "data: {\"index\":0,\"content\":\"\",\"stop\":true,\"model\":\"%s\",",
                  a->model);
        add_timings(out, a);
        text_addf(out, "}\n\n");
        return; /* the native stream has no [DONE] */
    }
    if (done)
        text_addf(out, "data: [DONE]\n\n");
}

void answer_stream_error(struct text *out, const struct answer *a) {
    if (a->api == API_MESSAGES)
        text_addf(out, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","
                       "\"message\":\"Compute error.\"}}\n\n");
    else
        text_addf(out, "data: {\"error\":{\"code\":500,\"message\":\"Compute error.\",\"type\":"
                       "\"server_error\"}}\n\n");
}

static void whole_text(struct text *head, const struct answer *a) {
    for (long i = 0; i < a->tokens; i++)
        add_word(head, i, 0);
}

static void whole_chat(struct text *head, struct text *tail, const struct answer *a) {
    text_addf(head,
              "{\"choices\":[{\"finish_reason\":\"%s\",\"index\":0,\"message\":{\"role\":"
              "\"assistant\",\"content\":\"",
              a->calls ? "tool_calls" : "stop");
    add_told_witness(head, a);
    whole_text(head, a);
    text_addf(tail, "\"");
    for (long i = 0; i < a->calls; i++) {
        text_addf(tail, i ? "," : ",\"tool_calls\":[");
        add_call(tail, i, "{\\\"path\\\":\\\"f\\\"}");
    }
    text_addf(tail,
              "%s}}],\"created\":%ld,\"model\":\"%s\",\"system_fingerprint\":\"b11434-fake\","
              "\"object\":\"chat.completion\",\"id\":\"chatcmpl-fake%lu\",",
              a->calls ? "]" : "", created(), a->model, a->id);
}

static void whole_messages(struct text *head, struct text *tail, const struct answer *a) {
    text_addf(
        head,
        "{\"id\":\"chatcmpl-fake%lu\",\"type\":\"message\",\"role\":\"assistant\",\"content\":"
        "[{\"type\":\"text\",\"text\":\"",
        a->id);
    whole_text(head, a);
    text_addf(tail,
              "\"}],\"model\":\"%s\",\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":"
              "{\"cache_read_input_tokens\":%ld,\"input_tokens\":%ld,\"output_tokens\":%ld},",
              a->model, a->cached, a->prompt_tokens - a->cached, a->tokens);
    add_witness(tail, a);
    text_addf(tail, "}");
}

static void whole_responses(struct text *head, struct text *tail, const struct answer *a) {
    text_addf(head,
              "{\"completed_at\":%ld,\"created_at\":%ld,\"id\":\"resp_fake%lu\",\"model\":\"%s\","
              "\"object\":\"response\",\"output\":[{\"content\":[{\"type\":\"output_text\","
              "\"annotations\":[],\"logprobs\":[],\"text\":\"",
              created(), created(), a->id, a->model);
    whole_text(head, a);
    text_addf(
        tail,
        "\"}],\"id\":\"msg_fake%lu\",\"role\":\"assistant\",\"status\":\"completed\",\"type\":"
        "\"message\"}],\"status\":\"completed\",\"usage\":{\"input_tokens\":%ld,"
        "\"output_tokens\":%ld,\"total_tokens\":%ld},",
        a->id, a->prompt_tokens, a->tokens, a->prompt_tokens + a->tokens);
    add_witness(tail, a);
    text_addf(tail, "}");
}

static void whole_small(struct text *head, struct text *tail, const struct answer *a) {
    switch (a->api) {
    case API_EMBEDDINGS:
        text_addf(head,
                  "{\"model\":\"%s\",\"object\":\"list\",\"usage\":{\"prompt_tokens\":%ld,"
                  "\"total_tokens\":%ld},\"data\":[{\"embedding\":[0.125,-0.25,0.5,0.75],"
                  "\"index\":0,\"object\":\"embedding\"}],\"padding\":\"",
                  a->model, a->prompt_tokens, a->prompt_tokens);
        break;
    case API_RERANK:
        text_addf(head,
                  "{\"model\":\"%s\",\"object\":\"list\",\"usage\":{\"prompt_tokens\":%ld,"
                  "\"total_tokens\":%ld},\"results\":[{\"index\":0,\"relevance_score\":0.5}],"
                  "\"padding\":\"",
                  a->model, a->prompt_tokens, a->prompt_tokens);
        break;
    case API_TOKENIZE:
        text_addf(head, "{\"tokens\":[1");
        for (long i = 0; i < a->words; i++)
            text_addf(head, ",%ld", 2 + i * 7919 % 30000);
        text_addf(head, "],\"padding\":\"");
        break;
    case API_COUNT:
        text_addf(head, "{\"input_tokens\":%ld,\"padding\":\"", a->prompt_tokens);
        break;
    case API_TEMPLATE:
        text_addf(head, "{\"prompt\":\"<|im_start|>user\\nhi<|im_end|>\\n\",\"padding\":\"");
        break;
    default: text_addf(head, "{\"content\":\"Hello\",\"padding\":\"");
    }
    text_addf(tail, "\",");
    add_witness(tail, a);
    text_addf(tail, "}");
}

void answer_whole(struct text *head, struct text *tail, const struct answer *a) {
    switch (a->api) {
    case API_MESSAGES: whole_messages(head, tail, a); return;
    case API_RESPONSES: whole_responses(head, tail, a); return;
    case API_CHAT: whole_chat(head, tail, a); break;
    case API_COMPLETIONS:
        text_addf(head, "{\"choices\":[{\"text\":\"");
        whole_text(head, a);
        text_addf(tail,
                  "\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}],\"created\":%ld,"
                  "\"model\":\"%s\",\"object\":\"text_completion\",\"id\":\"chatcmpl-fake%lu\",",
                  created(), a->model, a->id);
        break;
    case API_NATIVE:
        text_addf(head, "{\"index\":0,\"content\":\"");
        whole_text(head, a);
        text_addf(tail, "\",\"tokens\":[],\"id_slot\":0,\"stop\":true,\"model\":\"%s\",", a->model);
        break;
    default: whole_small(head, tail, a); return;
    }
    add_usage(tail, a);
    text_addf(tail, ",");
    add_timings(tail, a);
    text_addf(tail, ",");
    add_witness(tail, a);
    text_addf(tail, "}");
}
