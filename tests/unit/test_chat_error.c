#include "chat/chat_error.h"

#include "format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OVERFLOW(n, m)                                                                             \
    400, "invalid_request_error", "prompt is too long: " #n " tokens > " #m " maximum"

static const struct {
    const char *name;
    unsigned status;
    const char *body;
    unsigned expected_status;
    const char *type, *text;
    int64_t prompt, context; // known beforehand
} rows[] = {
    {"llama-server", 400,
     "{\"error\":{\"code\":400,\"message\":\"request (40000 tokens) exceeds the available context size "
     "(32768 tokens), try increasing it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":"
     "40000,\"n_ctx\":32768}}",
     OVERFLOW(40000, 32768)},
    {"llama-server, only the text", 400,
     "{\"error\":{\"message\":\"request (40000 tokens) exceeds the available context size (32768 tokens), "
     "try increasing it\"}}",
     OVERFLOW(40000, 32768)},
    {"llama-server amid an answer", 0,
     "{\"error\":{\"code\":500,\"message\":\"Context size has been exceeded.\",\"type\":\"server_error\"}}",
     OVERFLOW(32769, 32768), 30000, 32768},
    {"vLLM, prompt too long", 400,
     "{\"object\":\"error\",\"message\":\"This model's maximum context length is 16384 tokens. However, "
     "you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the "
     "length of the messages or completion.\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}",
     OVERFLOW(112946, 16384)},
    {"vLLM, too many asked for", 400,
     "{\"object\":\"error\",\"message\":\"This model's maximum context length is 32768 tokens. However, "
     "you requested 52000 tokens (20000 in the messages, 32000 in the completion). Please reduce the "
     "length of the messages or completion.\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}",
     400, "invalid_request_error",
     "input length and `max_tokens` exceed context limit: 20000 + 32000 > 32768"},
    {"vLLM, too little left to ask again", 400,
     "{\"message\":\"This model's maximum context length is 32768 tokens. However, you requested 62000 "
     "tokens (30000 in the messages, 32000 in the completion).\"}",
     OVERFLOW(32769, 32768)},
    {"vLLM 2026", 400,
     "{\"error\":{\"message\":\"This model's maximum context length is 262144 tokens. However, you "
     "requested 128000 output tokens and your prompt contains at least 134145 input tokens, for a total "
     "of at least 262145 tokens. Please reduce the length of the input prompt or the number of requested "
     "output tokens. (parameter=input_tokens, value=134145)\",\"type\":\"BadRequestError\",\"code\":400}}",
     400, "invalid_request_error",
     "input length and `max_tokens` exceed context limit: 134145 + 128000 > 262144"},
    {"vLLM, the decoder's text", 400,
     "{\"message\":\"The decoder prompt (length 40001) is longer than the maximum model length of 40000. "
     "Make sure that `max_model_len` is no smaller than the number of text tokens.\"}",
     OVERFLOW(40001, 40000)},
    {"OpenAI", 400,
     "{\"error\":{\"message\":\"This model's maximum context length is 128000 tokens. However, your "
     "messages resulted in 130001 tokens. Please reduce the length of the messages.\",\"type\":"
     "\"invalid_request_error\",\"param\":\"messages\",\"code\":\"context_length_exceeded\"}}",
     OVERFLOW(130001, 128000)},
    {"OpenAI without numbers", 400,
     "{\"error\":{\"message\":\"Your input exceeds the context window of this model. Please adjust your "
     "input and try again.\",\"type\":\"invalid_request_error\",\"code\":\"context_length_exceeded\"}}",
     OVERFLOW(70000, 65536), 70000, 65536},
    {"only a code", 400, "{\"error\":{\"message\":\"no\",\"code\":\"context_length_exceeded\"}}",
     OVERFLOW(9, 8), 9, 0},
    {"nothing known", 400, "{\"error\":{\"message\":\"no\",\"code\":\"context_length_exceeded\"}}",
     OVERFLOW(1, 0)},
    {"numbers with commas", 400,
     "{\"error\":{\"message\":\"This endpoint's maximum context length is 131,072 tokens. However, you "
     "requested about 140,000 tokens.\",\"code\":400}}",
     OVERFLOW(131073, 131072)},
    {"requested in all", 400,
     "{\"error\":{\"message\":\"This model's maximum context length is 4097 tokens, however you requested "
     "4226 tokens.\"}}",
     OVERFLOW(4226, 4097)},
    {"SGLang", 400,
     "{\"object\":\"error\",\"message\":\"The input (61709 tokens) is longer than the model's context "
     "length (40960 tokens).\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}",
     OVERFLOW(61709, 40960)},
    {"SGLang, too many asked for", 400,
     "{\"object\":\"error\",\"message\":\"Requested token count exceeds the model's maximum context "
     "length of 40960 tokens. You requested a total of 52000 tokens: 20000 tokens from the input messages "
     "and 32000 tokens for the completion. Please reduce the number of tokens in the input messages or "
     "the completion to fit within the limit.\",\"type\":\"BadRequestError\",\"code\":400}",
     400, "invalid_request_error",
     "input length and `max_tokens` exceed context limit: 20000 + 32000 > 40960"},
    {"SGLang, another limit", 400,
     "{\"message\":\"Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens). Use "
     "a shorter input or enable --allow-auto-truncate.\"}",
     OVERFLOW(160062, 59862)},
    {"TGI", 422,
     "{\"error\":\"Input validation error: `inputs` must have less than 32767 tokens. Given: 40000\","
     "\"error_type\":\"validation\"}",
     OVERFLOW(40000, 32767)},
    {"TGI, too many asked for", 422,
     "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 32768. Given: "
     "20000 `inputs` tokens and 32000 `max_new_tokens`\",\"error_type\":\"validation\"}",
     400, "invalid_request_error",
     "input length and `max_tokens` exceed context limit: 20000 + 32000 > 32768"},
    {"TabbyAPI", 400,
     "{\"detail\":{\"msg\":\"Prompt length 40000 is greater than max_seq_len 32768\"}}",
     OVERFLOW(40000, 32768)},
    {"LM Studio until 2025", 400,
     "{\"error\":\"Trying to keep the first 15857 tokens when context the overflows. However, the model "
     "is loaded with context length of only 4096 tokens, which is not enough. Try to load the model with "
     "a larger context length, or provide a shorter input\"}",
     OVERFLOW(15857, 4096)},
    {"LM Studio", 400,
     "{\"error\":\"The number of tokens to keep from the initial prompt is greater than the context "
     "length. Try to load the model with a larger context length, or provide a shorter input\"}",
     OVERFLOW(9000, 8192), 9000, 8192},
    {"LM Studio with numbers", 400,
     "{\"error\":{\"message\":\"The number of tokens to keep from the initial prompt is greater than the "
     "context length (n_keep: 10978 >= n_ctx: 8192). Try to load the model with a larger context "
     "length\"}}",
     OVERFLOW(10978, 8192)},
    {"LM Studio amid an answer", 0,
     "{\"error\":\"Reached context length of 4096 tokens with model (arch: gpt-oss) that does not "
     "currently support mid-generation context overflow.\"}",
     OVERFLOW(4097, 4096)},
    {"Ollama", 400, "{\"error\":\"prompt too long; exceeded max context length by 1200 tokens\"}",
     OVERFLOW(9392, 8192), 0, 8192},
    {"Ollama's embeddings", 400, "{\"error\":\"the input length exceeds the context length\"}",
     OVERFLOW(8193, 8192), 0, 8192},
    {"apfel's guardrails", 400,
     "{\"error\":{\"message\":\"The request was blocked by Apple's safety guardrails\",\"type\":"
     "\"content_policy_violation\"}}",
     400, "invalid_request_error",
     "Output blocked by content filtering policy (The request was blocked by Apple's safety "
     "guardrails)"},
    {"a content filter amid an answer", 0,
     "{\"error\":{\"message\":\"\",\"code\":\"content_filter\"}}", 400, "invalid_request_error",
     "Output blocked by content filtering policy"},
    {"LM Studio's guardrails, which are about memory", 500,
     "{\"error\":{\"message\":\"Model loading was stopped due to insufficient system resources. Adjust "
     "the model loading guardrails in settings\"}}",
     500, "api_error",
     "Model loading was stopped due to insufficient system resources. Adjust the model loading "
     "guardrails in settings"},
    {"apfel", 400,
     "{\"error\":{\"message\":\"Input exceeds the model's context window. Shorten the conversation "
     "history.\",\"type\":\"context_length_exceeded\"}}",
     OVERFLOW(5000, 4096), 5000, 4096},
    {"Anthropic, overflow", 400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: "
     "213462 tokens > 200000 maximum\"}}",
     OVERFLOW(213462, 200000), 1, 2},
    {"Anthropic, max_tokens", 400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"input length and "
     "`max_tokens` exceed context limit: 1 + 2 > 2\"}}",
     400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"},
    {"a text that only speaks of it", 400,
     "{\"error\":{\"message\":\"max_tokens must be positive\"}}", 400, "invalid_request_error",
     "max_tokens must be positive"},

    {"loading", 503,
     "{\"error\":{\"message\":\"Loading model\",\"type\":\"unavailable_error\",\"code\":503}}", 503,
     "overloaded_error", "Loading model"},
    {"busy", 429, "{\"error\":{\"message\":\"slow\"}}", 429, "rate_limit_error", "slow"},
    {"a key", 401,
     "{\"error\":{\"message\":\"Invalid API Key\",\"type\":\"authentication_error\"}}", 401,
     "authentication_error", "Invalid API Key"},
    {"no such model", 404, "{\"error\":\"model 'x' not found\"}", 404, "not_found_error",
     "model 'x' not found"},
    {"too large", 413, "too large", 413, "request_too_large", "too large"},
    {"not allowed", 403, "{\"message\":\"no\"}", 403, "permission_error", "no"},
    {"not supported", 501, "{\"error\":{\"message\":\"no images\"}}", 501, "api_error",
     "no images"},
    {"a gateway's page", 502, "<html>bad gateway</html>\n", 502, "api_error",
     "<html>bad gateway</html>"},
    {"late", 504, "{}", 504, "timeout_error",
     "the backend answered with HTTP status 504 and no text"},
    {"empty", 500, "", 500, "api_error", "the backend answered with HTTP status 500 and no text"},
    {"FastAPI", 422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\"}]}", 422,
     "invalid_request_error", "field required"},
    {"FastAPI's text", 400, "{\"detail\":\"no\"}", 400, "invalid_request_error", "no"},
    {"in a stream, with a code", 0, "{\"error\":{\"message\":\"no\",\"code\":503}}", 503,
     "overloaded_error", "no"},
    {"in a stream, without", 200, "{\"error\":{\"message\":\"no\"}}", 500, "api_error", "no"},
    {"a code as text", 0, "{\"error\":{\"message\":\"no\",\"code\":\"401\"}}", 401,
     "authentication_error", "no"},
    {"a code that says what it is", 0,
     "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\",\"type\":\"x\"}}", 404,
     "not_found_error", "no"},
    {"a type that is an exception", 0, "{\"message\":\"no\",\"type\":\"BadRequestError\"}", 400,
     "invalid_request_error", "no"},
    {"a status beside the error", 0, "{\"error\":\"no\",\"status_code\":503}", 503,
     "overloaded_error", "no"},
    {"errors in a list", 400, "{\"errors\":[{\"message\":\"no\"},{\"message\":\"yes\"}]}", 400,
     "invalid_request_error", "no"},
    {"an error in an error", 400, "{\"error\":{\"error\":{\"message\":\"no\"}}}", 400,
     "invalid_request_error", "no"},
    {"half a character", 400, "{\"error\":\"a \\ud83d b\"}", 400, "invalid_request_error",
     "a \xef\xbf\xbd b"},
    {"broken off without a word", 0, "{\"error\":{\"code\":500}}", 500, "api_error",
     "the backend broke its answer off with an error, and gave no reason"},
    {"a code that is a word", 200, "{\"error\":{\"message\":\"no\",\"code\":\"x\"}}", 500,
     "api_error", "no"},
};

static void test_read(void **state) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct chat_error error;
        chat_error_read(&error, rows[i].status, span_of(rows[i].body), rows[i].prompt,
                        rows[i].context);
        if (strcmp(error.text, rows[i].text) != 0)
            fail_msg("%s:\n  said     %s\n  expected %s", rows[i].name, error.text, rows[i].text);
        assert_string_equal(error.type, rows[i].type);
        assert_int_equal(error.status, rows[i].expected_status);
        assert_int_equal(error.overflow, strstr(rows[i].text, "too long: ") ||
                                             strstr(rows[i].text, "exceed context limit"));
        assert_false(error.garbled);
    }
}

static void test_is(void **state) {
    static const struct {
        const char *body;
        bool is;
    } cases[] = {
        {"{}", false},
        {"{\"error\":null}", false},
        {"{\"error\":\"\"}", false},
        {"{\"error\":[],\"errors\":[]}", false},
        {"{\"error\":{\"code\":0,\"message\":\"\",\"details\":[null,{}]}}", false},
        {"{\"error\":\"no\"}", true},
        {"{\"error\":true}", true},
        {"{\"error\":{\"code\":1}}", true},
        {"{\"error\":{\"message\":\"no\"},\"choices\":[{}]}", true},
        {"{\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"message\":\"x\",\"code\":7}", false},
        {"{\"choices\":[],\"usage\":{},\"object\":\"chat.completion.chunk\"}", false},
        {"{\"object\":\"error\",\"message\":\"no\"}", true},
        {"{\"type\":\"server_error\",\"message\":\"no\",\"code\":500}", true},
        {"{\"type\":\"notice\",\"message\":\"hi\"}", false},
        {"{\"type\":\"message_note\",\"message\":{\"text\":\"hi\"}}", false},
        {"{\"message\":\"no\"}", true},
        {"{\"detail\":\"no\"}", true},
        {"{\"text\":\"no\",\"error_code\":5}", true},
        {"{\"text\":\"hi\"}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = json_parse(cases[i].body, strlen(cases[i].body), 0, 0, NULL);
        assert_non_null(json);
        if (chat_error_is(json) != cases[i].is)
            fail_msg("%s", cases[i].body);
        json_decref(json);
    }
    assert_false(chat_error_is(NULL));
}

static void test_garbled(void **state) {
    static const struct {
        const char *text;
        bool garbled;
    } cases[] = {
        {"Failed to parse input at pos 92: <tool_call>", true},
        {"The model produced output that does not match the expected peg-native format", true},
        {"Invalid diff: now finding less tool calls!\n  Previous (1):", true},
        {"error parsing tool call: raw='{', err=unexpected end", true},
        {"Failed to parse messages: Missing 'role' in message", false},
        {"Failed to parse tools: Missing tool type", false},
        {"Failed to parse tool call arguments as JSON: [json.exception]", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct chat_error error;
        chat_error_read(&error, 500, span_of(cases[i].text), 0, 0);
        assert_int_equal(error.garbled, cases[i].garbled);
        assert_string_equal(error.type, "api_error");
    }
}

static void test_overflow(void **state) {
    static const struct {
        int64_t prompt, context, told_prompt, told_context;
    } cases[] = {{40000, 32768, 40000, 32768},
                 {0, 32768, 32769, 32768},
                 {40000, 0, 40000, 39999},
                 {0, 0, 1, 0},
                 {7, 7, 8, 7},
                 {-1, -1, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct chat_error error;
        chat_error_overflow(&error, cases[i].prompt, cases[i].context);
        assert_true(error.overflow);
        assert_int_equal(error.status, 400);
        assert_int_equal(error.prompt_tokens, cases[i].told_prompt);
        assert_int_equal(error.context_tokens, cases[i].told_context);
    }
}

static void test_body(void **state) {
    struct chat_error error;
    struct buf out;
    buf_init(&out, 1000);
    chat_error_read(&error, 503, span_of("a \"b\"\n\xff"), 0, 0);
    chat_error_body(&error, &out);
    assert_string_equal(buf_text(&out),
                        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
                        "\"message\":\"a \\\"b\\\"\\n\xef\xbf\xbd\"}}");
    buf_fini(&out);
    buf_init(&out, 20);
    chat_error_body(&error, &out);
    assert_int_equal(out.length, 0);
    buf_fini(&out);
}

// Long, deep, hostile: cut, and never read past its end.
static void test_hostile(void **state) {
    static char body[200000];
    static const char *const parts[] = {"x", "[", "{\"error\":", "1", ",", "\xff", "prompt ("};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t length = 0, n = strlen(parts[i]);
        for (; length + n < sizeof body; length += n)
            memcpy(body + length, parts[i], n);
        struct chat_error error;
        chat_error_read(&error, 500, (struct span){body, length}, 0, 0);
        assert_true(strlen(error.text) < sizeof error.text);
        assert_string_equal(error.type, "api_error");
    }
    struct chat_error error;
    chat_error_read(
        &error, 400,
        span_of("request (99999999999999999999999999 tokens) exceeds the available context "
                "size (8 tokens)"),
        0, 0);
    assert_true(error.overflow && error.prompt_tokens > 8 && error.context_tokens == 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),    cmocka_unit_test(test_is),
        cmocka_unit_test(test_garbled), cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_body),    cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
