#define _GNU_SOURCE
#include "environment.h"

#include "base/mem.h"
#include "base/str.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

// Source of all names: Claude Code 2.1.197, measured (tests/scenario/test_local_claude.py).

// What would lead to another server, another account, another model, or report to somebody. "*" at
// the end: every name that begins so.
static const char *const unwanted[] = {
    "ANTHROPIC_*",
    "CLAUDE_API_KEY",
    "CLAUDE_CODE_USE_*", // Bedrock, Vertex, Foundry ...: they win over ANTHROPIC_BASE_URL
    "CLAUDE_CODE_OAUTH_*",
    "CLAUDE_CODE_API_*", // API_BASE_URL, API_KEY_FILE_DESCRIPTOR
    "CLAUDE_CODE_HFI_*",
    "CLAUDE_CODE_CUSTOM_OAUTH_URL",
    "CLAUDE_CODE_HOST_*", // its own proxies and logins
    "CLAUDE_CODE_PROXY_*",
    "CLAUDE_CODE_HTTP_PROXY",
    "CLAUDE_CODE_HTTPS_PROXY",
    "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
    "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR",
    "CLAUDE_CODE_REMOTE*",
    "CLAUDE_CODE_CLIENT_*", // certificates
    "CLAUDE_CODE_EXTRA_BODY",
    "CLAUDE_CODE_EXTRA_METADATA",
    "CLAUDE_CODE_ENABLE_TELEMETRY",
    "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
    "CLAUDE_CODE_BYOC_ENABLE_DATADOG",
    "CLAUDE_CODE_GB_BASE_URL",
    "CLAUDE_CODE_SIMPLE", // the size of the prompt is chosen by arguments
    "CLAUDE_CODE_SIMPLE_SYSTEM_PROMPT",
    "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE",
    "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
    "CLAUDE_AUTOCOMPACT_PCT_OVERRIDE",
    "CLAUDE_BRIDGE_*",
    "CLAUDE_LOCAL_OAUTH_*",
    "CLAUDE_SECURESTORAGE_CONFIG_DIR",
    "CLAUDE_TRUSTED_DEVICE_TOKEN",
    "DISABLE_AUTO_COMPACT",
    "DISABLE_COMPACT",
};

// What each run gets, whatever the backend.
static const char *const quiet[] = {
    "CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST=1", // no settings file may say where the model is
    "CLAUDE_CODE_ENABLE_TELEMETRY=0",
    "CLAUDE_CODE_ATTRIBUTION_HEADER=0", // changes with each first prompt, and with it the prefix
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL=1",
    "DISABLE_TELEMETRY=1",
    "DISABLE_ERROR_REPORTING=1",
    "DISABLE_AUTOUPDATER=1",
    // A long prompt takes a local model minutes; without these Claude Code asks again after five.
    "API_TIMEOUT_MS=3600000",
    "API_FORCE_IDLE_TIMEOUT=0",
    "CLAUDE_STREAM_IDLE_TIMEOUT_MS=3600000",
};

// Besides `quiet`, what settings files shall not change; those that a run does not set are not
// told.
static const char *const settled[] = {
    "CLAUDE_CONFIG_DIR=",
    "NO_PROXY=",
    "no_proxy=",
    "CLAUDE_CODE_MAX_CONTEXT_TOKENS=",
    "CLAUDE_CODE_AUTO_COMPACT_WINDOW=",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS=",
    "DISABLE_AUTO_COMPACT=",
    "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE=",
};

static const char *const model_variables[] = {
    "ANTHROPIC_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
};

enum {
    QUIET = sizeof quiet / sizeof *quiet,
    MODELS = sizeof model_variables / sizeof *model_variables,
    OURS = QUIET + MODELS + 16, // and those that are set one by one
    MAX_SETTINGS = 5 << 20,
};

struct list {
    char **entries;
    size_t count;
};

static bool matches(const char *name, size_t length, const char *pattern) {
    size_t n = strlen(pattern);
    if (pattern[n - 1] == '*')
        return length >= n - 1 && memcmp(name, pattern, n - 1) == 0;
    return n == length && memcmp(name, pattern, n) == 0;
}

static bool is_unwanted(const char *entry) {
    size_t length = strcspn(entry, "=");
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++)
        if (matches(entry, length, unwanted[i]))
            return true;
    return false;
}

static char **find(char *const *entries, size_t count, const char *entry) {
    size_t length = strcspn(entry, "=");
    for (size_t i = 0; i < count; i++)
        if (strncmp(entries[i], entry, length) == 0 && entries[i][length] == '=')
            return (char **)&entries[i];
    return NULL;
}

// Takes the entry over; one of the same name is replaced.
static void put(struct list *list, char *entry) {
    char **old = find(list->entries, list->count, entry);
    if (!old) {
        list->entries[list->count++] = entry;
        return;
    }
    mem_free(*old);
    *old = entry;
}

// Variables that no shell could name are nothing of Claude Code's either.
static bool is_name(const char *entry) {
    size_t length = strcspn(entry, "=");
    return length > 0 && strspn(entry, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789_") == length;
}

// Proxies stay, for what tools fetch; the way to the model never leads through them.
static void put_no_proxy(struct list *list, const char *name, const char *host) {
    char *probe = mem_printf("%s=", name);
    char **old = find(list->entries, list->count, probe);
    const char *value = old ? *old + strlen(probe) : "";
    put(list, mem_printf("%s127.0.0.1,localhost,::1%s%s%s%s", probe, host[0] ? "," : "", host,
                         value[0] ? "," : "", value));
    mem_free(probe);
}

static struct list inherit(char *const *inherited) {
    size_t count = 0;
    while (inherited[count])
        count++;
    struct list list = {mem_alloc((count + OURS + 1) * sizeof *list.entries), 0};
    for (size_t i = 0; i < count; i++)
        if (strchr(inherited[i], '=') && !is_unwanted(inherited[i]))
            put(&list, mem_strdup(inherited[i]));
    return list;
}

static void put_common(struct list *list, const char *config_dir, const char *host) {
    put(list, mem_printf("CLAUDE_CONFIG_DIR=%s", config_dir));
    for (size_t i = 0; i < QUIET; i++)
        put(list, mem_strdup(quiet[i]));
    put_no_proxy(list, "NO_PROXY", host);
    put_no_proxy(list, "no_proxy", host);
}

// "http://10.0.0.5:1234" -> "10.0.0.5"; "" for this machine, which is on the list anyway.
static void host_of(const char *url, char *out, size_t size) {
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t length = host[0] == '[' ? strcspn(++host, "]") : strcspn(host, ":/");
    snprintf(out, size, "%.*s", (int)length, host);
    if (strcmp(out, "127.0.0.1") == 0 || strcmp(out, "::1") == 0)
        out[0] = '\0';
}

// Compaction before the window is full needs a window that Claude Code believes in: it clamps to
// the context, and is never below 100,000 without that (facts: budget.h).
static void put_window(struct list *list, const struct environment_facts *facts) {
    if (facts->context_tokens > 0)
        put(list,
            mem_printf("CLAUDE_CODE_MAX_CONTEXT_TOKENS=%lld", (long long)facts->context_tokens));
    if (facts->context_tokens > 0 && facts->compacts)
        put(list, mem_printf("CLAUDE_CODE_AUTO_COMPACT_WINDOW=%lld",
                             (long long)(facts->context_tokens > 100000 ? facts->context_tokens
                                                                        : 100000)));
    if (facts->output_tokens > 0)
        put(list,
            mem_printf("CLAUDE_CODE_MAX_OUTPUT_TOKENS=%lld", (long long)facts->output_tokens));
    if (facts->trims)
        put(list, mem_strdup("DISABLE_AUTO_COMPACT=1"));
    // By its own estimate it would end a session before the window is full, and without asking:
    // what is counted exactly may be sent, and is refused, or shortened, where it does not fit.
    if (facts->counted)
        put(list, mem_strdup("CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE=100000000"));
}

static void put_limit(struct list *list, const char *name, int64_t value, int64_t usual) {
    if (value < usual && !find(list->entries, list->count, name))
        put(list, mem_printf("%s%lld", name, (long long)value));
}

// One result that fills what is left between compaction and the end of the window (13,000 tokens
// and an answer) leaves no room for the request that would sum up, and the session ends with
// "Prompt is too long". Claude Code's own limits are 25,000 tokens of a file and 30,000 characters.
static void put_tool_limits(struct list *list, int64_t context_tokens) {
    enum { FILE_TOKENS = 25000, SAFE_TOKENS = 10000, BASH_CHARACTERS = 30000 };
    if (context_tokens <= 0)
        return;
    int64_t file_tokens = context_tokens / 6 < SAFE_TOKENS ? context_tokens / 6 : SAFE_TOKENS;
    put_limit(list, "CLAUDE_CODE_FILE_READ_MAX_OUTPUT_TOKENS=", file_tokens, FILE_TOKENS);
    put_limit(list, "BASH_MAX_OUTPUT_LENGTH=", context_tokens / 2, BASH_CHARACTERS);
}

char **environment_make(const struct environment_facts *facts, char *const *inherited) {
    struct list list = inherit(inherited);
    char host[256];
    host_of(facts->base_url, host, sizeof host);
    put_common(&list, facts->config_dir, host);
    put(&list, mem_printf("ANTHROPIC_BASE_URL=%s", facts->base_url));
    if (facts->socket)
        put(&list, mem_printf("ANTHROPIC_UNIX_SOCKET=%s", facts->socket));
    put(&list, mem_printf("ANTHROPIC_AUTH_TOKEN=%s", facts->token));
    for (size_t i = 0; i < MODELS; i++)
        put(&list, mem_printf("%s=%s", model_variables[i], facts->model));
    put_window(&list, facts);
    put_tool_limits(&list, facts->context_tokens);
    return list.entries;
}

char **environment_make_offline(const char *config_dir, char *const *inherited) {
    struct list list = inherit(inherited);
    put_common(&list, config_dir, "");
    return list.entries;
}

static void tell_all(json_t *env, char *const *environment, const char *const *names,
                     size_t count) {
    size_t entries = 0;
    while (environment[entries])
        entries++;
    for (size_t i = 0; i < count; i++) {
        char **entry = find(environment, entries, names[i]);
        char *name = mem_strndup(names[i], strcspn(names[i], "="));
        if (entry)
            json_set(env, name, json_text(*entry + strlen(name) + 1));
        mem_free(name);
    }
}

// What we take out of the environment is not to come back by another way.
static void drop_unwanted(json_t *env, struct buf *dropped) {
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(env, next, name, value) {
        if (!is_unwanted(name))
            continue;
        buf_printf(dropped, "%s%s", dropped->length > 0 ? ", " : "", name);
        json_object_del(env, name);
    }
}

char *environment_settings(char *const *environment, json_t *theirs, struct buf *dropped) {
    json_t *settings = theirs ? theirs : json_build("{}");
    if (!json_is_object(json_object_get(settings, "env")))
        json_set(settings, "env", json_build("{}"));
    json_t *env = json_object_get(settings, "env");
    if (theirs)
        drop_unwanted(env, dropped);
    tell_all(env, environment, quiet, QUIET);
    tell_all(env, environment, settled, sizeof settled / sizeof *settled);
    struct buf text;
    buf_init(&text, MAX_SETTINGS);
    bool ok = json_write(&text, settings);
    json_decref(settings);
    char *out = ok ? buf_take(&text, NULL) : NULL;
    buf_fini(&text);
    return out;
}

void environment_free(char **environment) {
    for (char **entry = environment; environment && *entry; entry++) {
        mem_wipe(*entry, strlen(*entry)); // one of them is a key
        mem_free(*entry);
    }
    mem_free(environment);
}

static size_t count_of(char *const *entries) {
    size_t count = 0;
    while (entries[count])
        count++;
    return count;
}

static void print_quoted(struct buf *out, const char *text) {
    buf_adds(out, "'");
    for (; *text; text++)
        if (*text == '\'')
            buf_adds(out, "'\\''");
        else
            buf_add(out, text, 1);
    buf_adds(out, "'");
}

bool environment_print(char *const *environment, char *const *inherited, struct buf *out) {
    size_t count = count_of(environment), before = count_of(inherited);
    bool ok = true;
    for (size_t i = 0; i < before; i++)
        if (is_name(inherited[i]) && !find(environment, count, inherited[i]))
            ok = buf_printf(out, "unset %.*s\n", (int)strcspn(inherited[i], "="), inherited[i]);
    for (size_t i = 0; i < count && ok; i++) {
        char **old = find(inherited, before, environment[i]);
        if (old && strcmp(*old, environment[i]) == 0)
            continue;
        size_t name = strcspn(environment[i], "=");
        buf_printf(out, "export %.*s=", (int)name, environment[i]);
        print_quoted(out, environment[i] + name + 1);
        ok = buf_adds(out, "\n");
    }
    return ok;
}

const char *environment_model_id(const char *name) {
    static const char *const aliases[] = {"sonnet", "opus",    "haiku",  "fable",
                                          "best",   "default", "inherit"};
    if (name[0] == '/')
        name = strrchr(name, '/') + 1;
    bool taken = name[0] == '\0' || strcasestr(name, "claude") || strchr(name, '[');
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        taken |= strncasecmp(name, aliases[i], strlen(aliases[i])) == 0;
    return taken ? "local-model" : name;
}
