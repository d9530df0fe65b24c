// The environment of a run: what is set, what is taken out, what a shell is told.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "environment.h"

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct environment_facts facts = {
    .base_url = "http://10.0.0.5:1234",
    .token = "sk-x",
    .model = "qwen3-coder",
    .config_dir = "/home/me/.claude-local",
    .context_tokens = 65536,
    .output_tokens = 8192,
    .compacts = true,
};

static const char *value_of(char **environment, const char *name) {
    size_t length = strlen(name);
    const char *found = NULL;
    unsigned count = 0;
    for (; *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
            found = *environment + length + 1;
            count++;
        }
    assert_true(count <= 1);
    return found;
}

static void test_what_is_set(void **state) {
    static const struct {
        const char *name, *value;
    } cases[] = {
        {"ANTHROPIC_BASE_URL", "http://10.0.0.5:1234"},
        {"ANTHROPIC_AUTH_TOKEN", "sk-x"},
        {"ANTHROPIC_MODEL", "qwen3-coder"},
        {"ANTHROPIC_SMALL_FAST_MODEL", "qwen3-coder"},
        {"ANTHROPIC_DEFAULT_OPUS_MODEL", "qwen3-coder"},
        {"ANTHROPIC_DEFAULT_SONNET_MODEL", "qwen3-coder"},
        {"ANTHROPIC_DEFAULT_HAIKU_MODEL", "qwen3-coder"},
        {"ANTHROPIC_DEFAULT_FABLE_MODEL", "qwen3-coder"},
        {"CLAUDE_CODE_SUBAGENT_MODEL", "qwen3-coder"},
        {"CLAUDE_CONFIG_DIR", "/home/me/.claude-local"},
        {"CLAUDE_CODE_ATTRIBUTION_HEADER", "0"},
        {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"},
        {"CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "1"},
        {"DISABLE_TELEMETRY", "1"},
        {"DISABLE_ERROR_REPORTING", "1"},
        {"DISABLE_AUTOUPDATER", "1"},
        {"CLAUDE_CODE_MAX_CONTEXT_TOKENS", "65536"},
        {"CLAUDE_CODE_AUTO_COMPACT_WINDOW", "100000"},
        {"CLAUDE_CODE_MAX_OUTPUT_TOKENS", "8192"},
        {"CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS", "10000"},
        {"BASH_MAX_OUTPUT_LENGTH", NULL},
        {"API_TIMEOUT_MS", "3600000"},
        {"API_FORCE_IDLE_TIMEOUT", "0"},
        {"CLAUDE_STREAM_IDLE_TIMEOUT_MS", "3600000"},
        {"NO_PROXY", "127.0.0.1,localhost,::1,10.0.0.5,corp.example"},
        {"no_proxy", "127.0.0.1,localhost,::1,10.0.0.5"},
        {"HTTPS_PROXY", "http://proxy:3128"},
        {"PATH", "/bin"},
        {"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST", "1"},
        {"CLAUDE_CODE_ENABLE_TELEMETRY", "0"},
        {"DISABLE_AUTO_COMPACT", NULL},
    };
    static char *const inherited[] = {"PATH=/bin",
                                      "ANTHROPIC_MODEL=claude-x",
                                      "NO_PROXY=corp.example",
                                      "HTTPS_PROXY=http://proxy:3128",
                                      "CLAUDE_CONFIG_DIR=/else",
                                      "no equals sign",
                                      NULL};
    char **made = environment_make(&facts, inherited);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *value = value_of(made, cases[i].name);
        if (cases[i].value)
            assert_string_equal(value, cases[i].value);
        else
            assert_null(value);
    }
    environment_free(made);
}

static void test_tool_limits(void **state) {
    struct environment_facts small = facts;
    small.context_tokens = 32768;
    static char *const none[] = {NULL};
    char **made = environment_make(&small, none);
    assert_string_equal(value_of(made, "CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS"), "5461");
    assert_string_equal(value_of(made, "BASH_MAX_OUTPUT_LENGTH"), "16384");
    environment_free(made);
    static char *const own[] = {"BASH_MAX_OUTPUT_LENGTH=20000", NULL};
    made = environment_make(&small, own);
    assert_string_equal(value_of(made, "BASH_MAX_OUTPUT_LENGTH"), "20000");
    environment_free(made);
}

// Where the server counts, it decides what fits.
static void test_blocking_limit(void **state) {
    static char *const none[] = {NULL};
    struct environment_facts counted = facts;
    counted.counted = true;
    char **made = environment_make(&counted, none);
    assert_string_equal(value_of(made, "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE"), "100000000");
    char *settings = environment_settings(made, NULL, NULL);
    assert_non_null(strstr(settings, "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE"));
    mem_free(settings);
    environment_free(made);
    made = environment_make(&facts, none);
    assert_null(value_of(made, "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE"));
    environment_free(made);
}

static void test_what_is_taken_out(void **state) {
    static const char *const gone[] = {
        "ANTHROPIC_API_KEY=secret",
        "ANTHROPIC_CUSTOM_HEADERS=X: secret",
        "ANTHROPIC_BEDROCK_BASE_URL=http://x",
        "ANTHROPIC_UNIX_SOCKET=/x",
        "CLAUDE_API_KEY=secret",
        "CLAUDE_CODE_USE_BEDROCK=1",
        "CLAUDE_CODE_USE_VERTEX=1",
        "CLAUDE_CODE_USE_FOUNDRY=1",
        "CLAUDE_CODE_USE_GATEWAY=1",
        "CLAUDE_CODE_OAUTH_TOKEN=secret",
        "CLAUDE_CODE_OAUTH_REFRESH_TOKEN=s",
        "CLAUDE_CODE_API_BASE_URL=http://x",
        "CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR=3",
        "CLAUDE_CODE_EXTRA_BODY={}",
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY=1",
        "CLAUDE_CODE_PROXY_URL=http://x",
        "CLAUDE_CODE_HTTPS_PROXY=http://x",
        "CLAUDE_CODE_REMOTE=1",
        "CLAUDE_CODE_SIMPLE=1",
        "DISABLE_COMPACT=1",
        "CLAUDE_TRUSTED_DEVICE_TOKEN=secret",
    };
    static const char *const kept[] = {
        "CLAUDE_CODE_MAX_RETRIES=2", "CLAUDE_EFFORT=low", "AWS_REGION=x",
        "MAX_THINKING_TOKENS=0",     "EDITOR=vi",         "HTTP_PROXY=http://p"};
    enum { GONE = sizeof gone / sizeof *gone, KEPT = sizeof kept / sizeof *kept };
    char *inherited[GONE + KEPT + 1];
    memcpy(inherited, gone, sizeof gone);
    memcpy(inherited + GONE, kept, sizeof kept);
    inherited[GONE + KEPT] = NULL;
    char **made = environment_make(&facts, inherited);
    char **offline = environment_make_offline("/c", inherited);
    for (char **entry = made; *entry; entry++)
        assert_null(strstr(*entry, "secret"));
    for (size_t i = 0; i < GONE; i++) {
        char name[80] = "";
        memcpy(name, gone[i], strcspn(gone[i], "="));
        assert_null(value_of(made, name));
        assert_null(value_of(offline, name));
    }
    for (size_t i = 0; i < KEPT; i++) {
        char name[64] = "";
        memcpy(name, kept[i], strcspn(kept[i], "="));
        assert_string_equal(value_of(made, name), strchr(kept[i], '=') + 1);
    }
    assert_null(value_of(offline, "ANTHROPIC_BASE_URL"));
    assert_string_equal(value_of(offline, "CLAUDE_CONFIG_DIR"), "/c");
    environment_free(made);
    environment_free(offline);
}

static void test_windows(void **state) {
    static const struct {
        int64_t context;
        bool compacts, trims;
        const char *max, *compact, *off;
    } cases[] = {
        {65536, true, false, "65536", "100000", NULL},
        {262144, true, false, "262144", "262144", NULL},
        {8192, false, false, "8192", NULL, NULL},
        {4096, false, true, "4096", NULL, "1"},
        {0, false, false, NULL, NULL, NULL},
    };
    static char *const nothing[] = {NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct environment_facts other = facts;
        other.context_tokens = cases[i].context;
        other.compacts = cases[i].compacts;
        other.trims = cases[i].trims;
        char **made = environment_make(&other, nothing);
        const char *got[] = {value_of(made, "CLAUDE_CODE_MAX_CONTEXT_TOKENS"),
                             value_of(made, "CLAUDE_CODE_AUTO_COMPACT_WINDOW"),
                             value_of(made, "DISABLE_AUTO_COMPACT")};
        const char *wanted[] = {cases[i].max, cases[i].compact, cases[i].off};
        for (size_t k = 0; k < 3; k++) {
            if (wanted[k])
                assert_string_equal(got[k], wanted[k]);
            else
                assert_null(got[k]);
        }
        environment_free(made);
    }
}

static void test_model_ids(void **state) {
    static const struct {
        const char *name, *id;
    } cases[] = {
        {"qwen3-coder", "qwen3-coder"},
        {"unsloth/Qwen3-30B", "unsloth/Qwen3-30B"},
        {"claude-sonnet-4-5", "local-model"},
        {"Claude-distill-8B", "local-model"},
        {"qwen-claude-sonnet-4-5-distill", "local-model"},
        {"sonnet", "local-model"},
        {"opusplan", "local-model"},
        {"default", "local-model"},
        {"qwen[1m]", "local-model"},
        {"/home/claude/models/Qwen3-8B-Q4_K_M.gguf", "Qwen3-8B-Q4_K_M.gguf"},
        {"/", "local-model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(environment_model_id(cases[i].name), cases[i].id);
}

static void test_settings(void **state) {
    static char *const inherited[] = {"NO_PROXY=a\"b\\", "EDITOR=vi", NULL};
    struct environment_facts lean = facts;
    lean.compacts = false;
    char **made = environment_make(&lean, inherited),
         *text = environment_settings(made, NULL, NULL);
    assert_non_null(strstr(text, "{\"env\":{\"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST\":\"1\","));
    assert_non_null(strstr(text, "\"CLAUDE_CONFIG_DIR\":\"/home/me/.claude-local\""));
    assert_non_null(strstr(text, ",a\\\"b\\\\\""));
    assert_null(strstr(text, "sk-x"));
    assert_null(strstr(text, "ANTHROPIC"));
    assert_null(strstr(text, "AUTO_COMPACT"));
    assert_null(strstr(text, "EDITOR"));
    mem_free(text);
    environment_free(made);
}

static void test_settings_over_the_users(void **state) {
    static char *const inherited[] = {"EDITOR=vi", NULL};
    static const char *const cases[][3] = {
        // theirs; what is in the outcome; what was left out
        {"{}", "{\"env\":{\"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST\":\"1\"", ""},
        {"{\"model\":\"x\",\"env\":{\"MINE\":\"1\"}}", "{\"model\":\"x\",\"env\":{\"MINE\":\"1\",",
         ""},
        {"{\"env\":{\"DISABLE_TELEMETRY\":\"0\"}}", "\"DISABLE_TELEMETRY\":\"1\"", ""},
        {"{\"env\":{\"CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST\":\"\"}}", "MANAGED_BY_HOST\":\"1\"",
         ""},
        {"{\"env\":{\"ANTHROPIC_BASE_URL\":\"x\",\"A\":\"2\",\"CLAUDE_CODE_USE_VERTEX\":\"1\"}}",
         "{\"env\":{\"A\":\"2\",", "ANTHROPIC_BASE_URL, CLAUDE_CODE_USE_VERTEX"},
        {"{\"env\":\"odd\"}", "{\"env\":{\"CLAUDE_CODE_PROVIDER", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf dropped;
        buf_init(&dropped, 1024);
        char **made = environment_make(&facts, inherited);
        json_t *theirs = json_parse(cases[i][0], strlen(cases[i][0]), 0, 0, NULL);
        char *text = environment_settings(made, theirs, &dropped);
        assert_non_null(strstr(text, cases[i][1]));
        assert_null(strstr(text, "ANTHROPIC"));
        assert_string_equal(buf_text(&dropped), cases[i][2]);
        mem_free(text);
        buf_fini(&dropped);
        environment_free(made);
    }
}

static void test_print(void **state) {
    static char *const inherited[] = {"PATH=/bin", "ANTHROPIC_API_KEY=x", "ODD%%=1", NULL};
    static char *const made[] = {"PATH=/bin", "A=it's $(here)", NULL};
    struct buf out;
    buf_init(&out, 4096);
    assert_true(environment_print(made, inherited, &out));
    assert_string_equal(buf_text(&out), "unset ANTHROPIC_API_KEY\nexport A='it'\\''s $(here)'\n");
    buf_fini(&out);
    buf_init(&out, 16);
    assert_false(environment_print(made, inherited, &out));
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_set),    cmocka_unit_test(test_tool_limits),
        cmocka_unit_test(test_blocking_limit), cmocka_unit_test(test_what_is_taken_out),
        cmocka_unit_test(test_windows),        cmocka_unit_test(test_model_ids),
        cmocka_unit_test(test_settings),       cmocka_unit_test(test_settings_over_the_users),
        cmocka_unit_test(test_print),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
