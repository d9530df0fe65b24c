#include "config_private.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <limits.h>
#include <string.h>

#define KEY_MAX 100u
#define LOAD_TIMEOUT_MS (10 * 60 * 1000)
#define DURATION_MAX_MS (30LL * 24 * 3600 * 1000)

struct merge {
    struct config *config;
    struct preset *preset;
    const char *section; // "*" or the preset's name
    char key[KEY_MAX + 1];
    const char *value;
    unsigned line;
    bool ok;
    unsigned kv_line; // of the last cache type
};

typedef void apply_fn(struct merge *merge);

#define merge_error(merge, ...)                                                                    \
    do {                                                                                           \
        config_problem((merge)->config, CONFIG_ERROR, (merge)->line, __VA_ARGS__);                 \
        (merge)->ok = false;                                                                       \
    } while (0)

bool config_is_name(const char *text) {
    if (text[0] == '-')
        return false; // it would be taken for an option
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                 "._:/@-");
    return length > 0 && length <= PRESET_NAME_MAX && text[length] == '\0';
}

static void replace(char **field, const char *value) {
    mem_free(*field);
    *field = mem_strdup(value);
}

// A later value takes an earlier one's place, so that flags stay unique and in order.
static void set_flag(struct merge *merge, const char *flag, const char *value) {
    struct preset *preset = merge->preset;
    for (size_t i = 0; i < preset->settings_count; i++) {
        struct preset_setting *setting = &preset->settings[i];
        if (strcmp(setting->flag, flag) == 0) {
            replace(&setting->value, value);
            setting->line = merge->line;
            return;
        }
    }
    preset->settings =
        mem_resize(preset->settings, (preset->settings_count + 1) * sizeof *preset->settings);
    preset->settings[preset->settings_count++] =
        (struct preset_setting){mem_strdup(flag), mem_strdup(value), merge->line};
}

bool config_is_reserved(const char *name) {
    static const char *const words[] = {"off", "status", "list", "logs", "sleep", "server", "*"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], name) == 0)
            return true;
    return false;
}

static void apply_engine(struct merge *merge) {
    if (merge->value[0] == '\0')
        merge_error(merge, "engine is empty; write a path, or \"default\", or leave it out");
    else
        replace(&merge->preset->engine, merge->value);
}

static void apply_model(struct merge *merge) {
    size_t length = strlen(merge->value);
    bool exists;
    if (length == 0) {
        merge_error(merge, "model is empty; write the path of a GGUF file");
        return;
    }
    if (length > 1 && merge->value[0] == '"' && merge->value[length - 1] == '"') {
        merge_error(merge, "values have no quotes in this file; write model = %.*s",
                    (int)(length - 2), merge->value + 1);
        return;
    }
    mem_free(merge->preset->model);
    merge->preset->model = config_resolve_model(merge->config, merge->value, &exists);
    if (!exists)
        config_problem(merge->config, CONFIG_WARNING, merge->line,
                       "there is no model file %s; put it there, or correct the path",
                       merge->preset->model);
}

static void apply_group(struct merge *merge) {
    if (config_is_name(merge->value))
        replace(&merge->preset->group, merge->value);
    else
        merge_error(merge, "group \"%.80s\" is no name; use letters, digits and . _ : / @ -",
                    merge->value);
}

static void apply_aliases(struct merge *merge) {
    char **aliases = config_split_list(merge->value);
    size_t count = 0;
    for (char **alias = aliases; *alias; alias++, count++)
        if (!config_is_name(*alias))
            merge_error(merge,
                        "alias \"%.80s\" is no name; use up to %u of letters, digits and "
                        ". _ : / @ - (not first), with commas between aliases",
                        *alias, PRESET_NAME_MAX);
        else if (config_is_reserved(*alias))
            merge_error(merge, "alias \"%s\" is a word of lmswitch; choose another", *alias);
    if (count > CONFIG_ALIASES_MAX)
        merge_error(merge, "%zu aliases; at most %u", count, CONFIG_ALIASES_MAX);
    config_free_list(merge->preset->aliases);
    merge->preset->aliases = aliases;
}

static void apply_ctx(struct merge *merge) {
    uint64_t tokens;
    if (strcmp(merge->value, "max") == 0) { // the planner finds out
        set_flag(merge, "ctx-size", "max");
        merge->preset->ctx_tokens = 0;
        return;
    }
    if (!str_to_size(merge->value, &tokens) || tokens > INT_MAX) {
        merge_error(merge,
                    "ctx \"%.40s\" is no number of tokens; write 8192 or 96K, max for what "
                    "fits, or 0 for the model's own",
                    merge->value);
        return;
    }
    char *plain = mem_printf("%llu", (unsigned long long)tokens);
    set_flag(merge, "ctx-size", plain);
    mem_free(plain);
    merge->preset->ctx_tokens = (int64_t)tokens;
}

static void set_cache_type(struct merge *merge, const char *flag) {
    size_t length = strspn(merge->value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789_");
    if (length == 0 || length > 16 || merge->value[length] != '\0') {
        merge_error(merge,
                    "\"%.40s\" is no cache type; write f16, q8_0, q4_0 or another that the "
                    "engine knows",
                    merge->value);
        return;
    }
    set_flag(merge, flag, merge->value);
    merge->kv_line = merge->line;
}

static void apply_cache_type(struct merge *merge) { set_cache_type(merge, merge->key); }

static void apply_kv(struct merge *merge) {
    set_cache_type(merge, "cache-type-k");
    if (merge->ok)
        set_cache_type(merge, "cache-type-v");
}

static void apply_parallel(struct merge *merge) {
    int64_t slots;
    if (!str_to_int(merge->value, -1, 1024, &slots) || slots == 0) {
        merge_error(merge,
                    "parallel \"%.40s\" is no number of slots; write 1 to 1024, or -1 for "
                    "automatic",
                    merge->value);
        return;
    }
    set_flag(merge, "parallel", merge->value);
    merge->preset->parallel = (int)slots;
}

static void apply_duration(struct merge *merge, int64_t *out) {
    int64_t ms;
    if (!str_to_duration_ms(merge->value, &ms) || ms > DURATION_MAX_MS)
        merge_error(merge, "%s \"%.40s\" is no time; write 90s, 10m, 2h or 500ms, at most 720h",
                    merge->key, merge->value);
    else
        *out = ms;
}

static void apply_idle_off(struct merge *merge) {
    if (strcmp(merge->value, "off") == 0 || strcmp(merge->value, "never") == 0)
        merge->preset->idle_off_ms = 0;
    else
        apply_duration(merge, &merge->preset->idle_off_ms);
}

static void apply_load_timeout(struct merge *merge) {
    apply_duration(merge, &merge->preset->load_timeout_ms);
    if (merge->ok && merge->preset->load_timeout_ms < 1000)
        merge_error(merge, "load-timeout below a second lets no model load; the default is 10m");
}

// How many layers keep their experts on the CPU; auto: as few as fit.
static void apply_n_cpu_moe(struct merge *merge) {
    int64_t layers;
    if (strcmp(merge->value, "auto") != 0 && !str_to_int(merge->value, 0, 4096, &layers))
        merge_error(merge,
                    "n-cpu-moe \"%.40s\" is no number of layers; write 16, or auto for as "
                    "few as fit",
                    merge->value);
    else
        set_flag(merge, "n-cpu-moe", merge->value);
}

static void apply_plan(struct merge *merge) {
    if (!str_to_bool(merge->value, &merge->preset->plan))
        merge_error(merge, "plan \"%.40s\" is neither on nor off", merge->value);
}

static void apply_default(struct merge *merge) {
    if (!str_to_bool(merge->value, &merge->preset->is_default))
        merge_error(merge, "default \"%.40s\" is neither on nor off", merge->value);
}

static void apply_description(struct merge *merge) {
    replace(&merge->preset->description, merge->value);
}

// Model files beside the model: found as the model is.
static void apply_model_file(struct merge *merge) {
    bool exists;
    char *path = config_resolve_model(merge->config, merge->value, &exists);
    set_flag(merge, merge->key, path);
    if (!exists)
        config_problem(merge->config, CONFIG_WARNING, merge->line, "%s: there is no file %s",
                       merge->key, path);
    mem_free(path);
}

// Ours, not the engine's old flag of that name, which was a number of tokens.
static void apply_draft(struct merge *merge) {
    struct preset *preset = merge->preset;
    int64_t tokens;
    bool exists = true, off = strcmp(merge->value, "none") == 0 || strcmp(merge->value, "off") == 0;
    if (str_to_int(merge->value, 0, INT_MAX, &tokens)) {
        merge_error(merge,
                    "draft names a model, or is auto or none; for the number of tokens "
                    "write draft-max = %.20s",
                    merge->value);
        return;
    }
    mem_free(preset->draft);
    preset->draft = off ? NULL
                    : strcmp(merge->value, "auto") == 0
                        ? mem_strdup("auto")
                        : config_resolve_model(merge->config, merge->value, &exists);
    preset->draft_line = merge->line;
    if (!exists)
        config_problem(merge->config, CONFIG_WARNING, merge->line, "draft: there is no file %s",
                       preset->draft);
}

// The engine starts in a folder of its own, so a relative path would lead nowhere.
static void apply_file(struct merge *merge) {
    char *path = config_resolve_beside(merge->config, merge->value);
    set_flag(merge, merge->key, path);
    mem_free(path);
}

static void apply_ignored(struct merge *merge) {
    config_problem(merge->config, CONFIG_WARNING, merge->line,
                   "%s is for llama-server's own router and does nothing here; remove it (see "
                   "default, and stop-grace in [server])",
                   merge->key);
}

static void apply_nothing(struct merge *merge) { (void)merge; }

static const struct own_key {
    const char *key;
    apply_fn *apply;
    bool named_only; // says nothing under [*]
} own_keys[] = {
    {"engine", apply_engine, false},
    {"model", apply_model, true},
    {"group", apply_group, false},
    {"aliases", apply_aliases, true},
    {"ctx-size", apply_ctx, false},
    {"kv", apply_kv, false},
    {"cache-type-k", apply_cache_type, false},
    {"cache-type-v", apply_cache_type, false},
    {"n-cpu-moe", apply_n_cpu_moe, false},
    {"parallel", apply_parallel, false},
    {"plan", apply_plan, false},
    {"idle-off", apply_idle_off, false},
    {"load-timeout", apply_load_timeout, false},
    {"default", apply_default, true},
    {"description", apply_description, true},
    {"draft", apply_draft, false},
    {"mmproj", apply_model_file, false},
    {"model-draft", apply_model_file, false},
    {"spec-draft-model", apply_model_file, false},
    {"chat-template-file", apply_file, false},
    {"grammar-file", apply_file, false},
    {"json-schema-file", apply_file, false},
    {"log-file", apply_file, false},
    {"load-on-startup", apply_ignored, false},
    {"stop-timeout", apply_ignored, false},
    {"version", apply_nothing, false},
};

const char *const config_preset_keys[] = {
    "engine",       "model",   "group",       "aliases", "ctx",   "kv", "idle-off",
    "load-timeout", "default", "description", "plan",    "draft", NULL};

// Other spellings of keys that we act upon or that people write most, so that [*] and [name] meet.
static const char *const other_names[][2] = {
    {"m", "model"},
    {"a", "aliases"},
    {"alias", "aliases"},
    {"c", "ctx-size"},
    {"ctx", "ctx-size"},
    {"ctk", "cache-type-k"},
    {"ctv", "cache-type-v"},
    {"np", "parallel"},
    {"n-parallel", "parallel"},
    {"mm", "mmproj"},
    {"md", "model-draft"},
    {"ngl", "n-gpu-layers"},
    {"gpu-layers", "n-gpu-layers"},
    {"ncmoe", "n-cpu-moe"},
    {"cmoe", "cpu-moe"},
    {"fa", "flash-attn"},
    {"t", "threads"},
    {"tb", "threads-batch"},
    {"b", "batch-size"},
    {"ub", "ubatch-size"},
    {"ot", "override-tensor"},
};

#define OURS "is set by ancalagon, which alone talks to the engine"
#define NETWORK                                                                                    \
    "makes the engine download, and engines have no network; get the GGUF first and "              \
    "set model"
#define FILES "lets requests reach files on this machine"
#define ROUTER "makes the engine a router; ancalagon is the router, one section a model"
#define EXITS "makes the engine print something and exit"

// A name that ends in "-" stands for all that begin with it.
static const char *const refused[][2] = {
    {"host", OURS "; to change the public address set listen in [server]"},
    {"port", OURS "; to change the public port set listen in [server]"},
    {"reuse-port", OURS},
    {"api-key", OURS "; for the public port set api-key-file in [server]"},
    {"api-key-file", OURS "; for the public port set api-key-file in [server]"},
    {"api-prefix", "moves the paths that ancalagon asks for"},
    {"ssl-", "would encrypt a local socket; put a TLS proxy in front of ancalagon instead"},
    {"cors-", OURS "; set allow-origin in [server]"},
    {"slot-save-path", FILES},
    {"path", FILES},
    {"media-path", FILES},
    {"tools", "lets requests run programs on this machine"},
    {"tools-", "lets requests run programs on this machine"},
    {"agent", "lets requests run programs on this machine"},
    {"ag", "lets requests run programs on this machine"},
    {"mcp-", "lets requests run programs on this machine"},
    {"ui-mcp-proxy", "lets requests reach other machines"},
    {"webui-mcp-proxy", "lets requests reach other machines"},
    {"models-", ROUTER},
    {"sleep-idle-seconds", "hides from ancalagon that the model is gone; set idle-off"},
    {"hf", NETWORK},
    {"hfr", NETWORK},
    {"hff", NETWORK},
    {"hfv", NETWORK},
    {"hfd", NETWORK},
    {"hfrd", NETWORK},
    {"hf-", NETWORK},
    {"spec-draft-hf", NETWORK},
    {"mu", NETWORK},
    {"model-url", NETWORK},
    {"mmu", NETWORK},
    {"mmproj-url", NETWORK},
    {"dr", NETWORK},
    {"docker-repo", NETWORK},
    {"help", EXITS},
    {"usage", EXITS},
    {"list-devices", EXITS},
    {"cache-list", EXITS},
    {"completion-bash", EXITS},
};

static const char *refusal_of(const char *key) {
    // A negated flag set to "off" is the flag itself.
    if (str_starts(key, "no-"))
        key += 3;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(refused[i][0], key) == 0 ||
            (str_ends(refused[i][0], "-") && str_starts(key, refused[i][0])))
            return refused[i][1];
    return NULL;
}

// The engine reads "_" as "-", so we must as well: a refused flag has one name.
static bool canonical_key(struct merge *merge, const char *written) {
    size_t length = strlen(written);
    if (length > KEY_MAX) {
        merge_error(merge, "\"%.40s...\" is no flag of any engine", written);
        return false;
    }
    if (str_starts(written, "LLAMA_")) {
        merge_error(merge,
                    "%s is an environment variable; write the flag's long name, such as "
                    "ctx-size",
                    written);
        return false;
    }
    for (size_t i = 0; i <= length; i++)
        merge->key[i] = written[i] == '_' ? '-' : written[i];
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++)
        if (strcmp(other_names[i][0], merge->key) == 0) {
            memcpy(merge->key, other_names[i][1], strlen(other_names[i][1]) + 1);
            break;
        }
    return true;
}

static bool is_server_key(const char *key) {
    for (const char *const *word = config_server_keys; *word; word++)
        if (strcmp(*word, key) == 0)
            return true;
    return false;
}

static void apply_key(struct merge *merge) {
    const char *reason, *meant;
    for (size_t i = 0; i < sizeof own_keys / sizeof *own_keys; i++) {
        if (strcmp(own_keys[i].key, merge->key) != 0)
            continue;
        if (own_keys[i].named_only && strcmp(merge->section, "*") == 0)
            merge_error(merge,
                        "%s cannot be the same for all presets; move it from [*] to a "
                        "[preset]",
                        merge->key);
        else
            own_keys[i].apply(merge);
        return;
    }
    if ((reason = refusal_of(merge->key)))
        merge_error(merge, "%s %s; remove it", merge->key, reason);
    else if (is_server_key(merge->key))
        merge_error(merge, "%s is for the whole server; move it to [server]", merge->key);
    else if ((meant = config_closest(merge->key, config_preset_keys)))
        merge_error(merge, "unknown key %s; did you mean %s?", merge->key, meant);
    else
        set_flag(merge, merge->key, merge->value);
}

static void apply_section(struct merge *merge, const struct ini_section *section) {
    struct {
        char key[KEY_MAX + 1];
        unsigned line;
    } *seen = mem_alloc((section->count + 1) * sizeof *seen);
    bool all_ok = merge->ok;
    merge->section = section->name;
    for (size_t i = 0; i < section->count; i++) {
        merge->ok = true;
        merge->line = section->entries[i].line;
        merge->value = section->entries[i].value;
        if (canonical_key(merge, section->entries[i].key)) {
            memcpy(seen[i].key, merge->key, sizeof seen[i].key);
            seen[i].line = merge->line;
            for (size_t k = 0; k < i && merge->ok; k++)
                if (strcmp(seen[k].key, merge->key) == 0)
                    merge_error(merge, "%s is %s again, set on line %u; keep one of them",
                                section->entries[i].key, merge->key, seen[k].line);
            if (merge->ok)
                apply_key(merge);
        }
        all_ok = all_ok && merge->ok;
    }
    merge->ok = all_ok;
    mem_free(seen);
}

// Mixed types take a slow path in the engine; an unset one is f16.
static void check_kv(struct merge *merge) {
    const char *k = preset_get(merge->preset, "cache-type-k");
    const char *v = preset_get(merge->preset, "cache-type-v");
    if (!k && !v)
        return;
    if (!k || !v || strcmp(k, v) != 0) {
        merge->line = merge->kv_line;
        merge_error(merge,
                    "K and V cache types differ (%s and %s): measured, K q8 with V q4 fell "
                    "to 3 tok/s; write kv = %s",
                    k ? k : "f16", v ? v : "f16", k ? k : v);
    }
    merge->preset->kv_type = k;
}

// Both say what speculates, and one of them would be passed over.
static void check_draft(struct merge *merge) {
    static const char *const OTHERS[] = {"model-draft", "spec-draft-model", "spec-type"};
    for (size_t i = 0; merge->preset->draft && i < sizeof OTHERS / sizeof *OTHERS; i++) {
        if (!preset_get(merge->preset, OTHERS[i]))
            continue;
        merge->line = merge->preset->draft_line;
        merge_error(merge,
                    "draft and %s both say what speculates; keep one (draft = none "
                    "takes it back from [*])",
                    OTHERS[i]);
        return;
    }
}

// Words that stand for "what fits" are for a plan to fill in.
static void check_open(struct merge *merge) {
    static const struct {
        const char *flag, *word, *written;
    } open[] = {{"ctx-size", "max", "ctx = max"},
                {"n-cpu-moe", "auto", "n-cpu-moe = auto"},
                {"cache-type-k", "auto", "kv = auto"}};
    for (size_t i = 0; !merge->preset->plan && i < sizeof open / sizeof *open; i++) {
        const char *value = preset_get(merge->preset, open[i].flag);
        if (value && strcmp(value, open[i].word) == 0)
            merge_error(merge, "%s needs a plan, and plan is off; write a number or a type",
                        open[i].written);
    }
}

static void check_engine(struct merge *merge) {
    struct preset *preset = merge->preset;
    bool exists;
    preset->engine_path = config_resolve_engine(merge->config, preset->engine, &exists);
    if (exists)
        return;
    if (strcmp(preset->engine, "default") == 0)
        config_problem(merge->config, CONFIG_WARNING, 0,
                       "there is no llama-server: set $ANCALAGON_ENGINE, put it on PATH, or let "
                       "\"make run\" build it (looked last at %s)",
                       preset->engine_path);
    else
        config_problem(merge->config, CONFIG_WARNING, preset->line,
                       "there is no engine %s; correct engine = %s", preset->engine_path,
                       preset->engine);
}

bool config_make_preset(struct config *config, const struct ini_section *defaults,
                        const struct ini_section *section, struct preset *preset) {
    struct merge merge = {.config = config, .preset = preset, .ok = true};
    preset->description = mem_strdup("");
    preset->group = mem_strdup("gpu");
    preset->engine = mem_strdup("default");
    preset->aliases = config_split_list("");
    preset->load_timeout_ms = LOAD_TIMEOUT_MS;
    preset->parallel = -1;
    preset->plan = true;
    if (defaults)
        apply_section(&merge, defaults);
    if (section) {
        preset->name = mem_strdup(section->name);
        preset->line = merge.line = section->line;
        if (!config_is_name(section->name))
            merge_error(&merge,
                        "[%.80s] is no name for a preset; use up to %u of letters, digits "
                        "and . _ : / @ - (not first)",
                        section->name, PRESET_NAME_MAX);
        else if (config_is_reserved(section->name))
            merge_error(&merge, "[%s] is a word of lmswitch; choose another name", section->name);
        apply_section(&merge, section);
        merge.line = section->line;
        if (!preset->model && merge.ok)
            merge_error(&merge, "[%s] has no model; add model = FILE.gguf%s", section->name,
                        span_is_nocase(span_of(section->name), "server")
                            ? ", or write [server] for the server's settings"
                            : "");
    }
    check_kv(&merge);
    check_draft(&merge);
    check_open(&merge);
    if (preset->name && merge.ok)
        check_engine(&merge);
    return merge.ok;
}
