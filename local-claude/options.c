#include "options.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "format/ini.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum kind { TEXT, PATH, SECRET, PORT, TOKENS, SWITCH };
enum where { ON_COMMAND = 1, IN_FILE = 2, BOTH = 3 };

static const struct setting {
    const char *name;     // "--name" on the command line, "name = ..." in the file
    const char *variable; // of the environment, or NULL
    enum kind kind;
    enum where where;
    size_t member;
} settings[] = {
    {"backend", "LCC_BACKEND", TEXT, BOTH, offsetof(struct options, backend)},
    {"host", "LCC_HOST", TEXT, BOTH, offsetof(struct options, host)},
    {"port", "LCC_PORT", PORT, BOTH, offsetof(struct options, port)},
    {"model", "LCC_MODEL", TEXT, BOTH, offsetof(struct options, model)},
    {"ctx", "LCC_CTX", TOKENS, BOTH, offsetof(struct options, context_tokens)},
    {"kv", "LCC_KV", TEXT, BOTH, offsetof(struct options, kv)},
    {"draft", "LLAMA_DRAFT", TEXT, BOTH, offsetof(struct options, draft)},
    {"llama-server", "LLAMA_SERVER", PATH, IN_FILE, offsetof(struct options, llama_server)},
    {"models-dir", "MODELS_DIR", PATH, IN_FILE, offsetof(struct options, models_dir)},
    {"ssh-host", "REMOTE_SSH_HOST", TEXT, IN_FILE, offsetof(struct options, ssh_host)},
    {"remote-models-dir", "REMOTE_MODELS_DIR", TEXT, IN_FILE,
     offsetof(struct options, remote_models_dir)},
    {"claude", "LOCAL_CLAUDE_BIN", PATH, IN_FILE, offsetof(struct options, claude)},
    // Not on the command line, which every user of the machine can read.
    {"api-key", "LCC_API_KEY", SECRET, IN_FILE, offsetof(struct options, key)},
    {"lean", NULL, SWITCH, BOTH, offsetof(struct options, lean)},
    {"airgap", NULL, SWITCH, BOTH, offsetof(struct options, airgap)},
    {"print-env", NULL, SWITCH, ON_COMMAND, offsetof(struct options, print_env)},
    {"dry-run", NULL, SWITCH, ON_COMMAND, offsetof(struct options, dry_run)},
    {"help", NULL, SWITCH, ON_COMMAND, offsetof(struct options, help)},
    {"version", NULL, SWITCH, ON_COMMAND, offsetof(struct options, version)},
};

enum { SETTINGS = sizeof settings / sizeof *settings };

static const char *keep(struct options *options, char *text) {
    options->texts = mem_resize(options->texts, (options->text_count + 1) * sizeof *options->texts);
    options->texts[options->text_count++] = text;
    return text;
}

static bool is_header_word(const char *text) {
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

// `source` is how the user wrote the setting: "--port", "LCC_PORT", "file:3: port".
static bool set(struct options *options, const struct setting *setting, const char *source,
                const char *value, struct err *err) {
    char *member = (char *)options + setting->member;
    uint64_t tokens;
    int64_t port;
    bool on;
    switch (setting->kind) {
    case TEXT: *(const char **)member = keep(options, mem_strdup(value)); return true;
    case PATH: *(const char **)member = keep(options, path_expand(value)); return true;
    case SECRET:
        if (!is_header_word(value))
            return err_set(err, ERR_INVALID, "%s: a key has neither blanks nor odd characters",
                           source);
        *(const char **)member = keep(options, mem_strdup(value));
        return true;
    case PORT:
        if (!str_to_int(value, 1, 65535, &port))
            return err_set(err, ERR_INVALID, "%s: \"%s\" is no port; 1 to 65535", source, value);
        *(unsigned *)member = (unsigned)port;
        return true;
    case TOKENS:
        if (!str_to_size(value, &tokens) || tokens < 256 || tokens > (1u << 30))
            return err_set(err, ERR_INVALID, "%s: \"%s\" is no number of tokens, such as 64K",
                           source, value);
        *(int64_t *)member = (int64_t)tokens;
        return true;
    case SWITCH:
        if (!str_to_bool(value, &on))
            return err_set(err, ERR_INVALID, "%s: \"%s\" is neither on nor off", source, value);
        *(bool *)member = on;
        return true;
    }
    return false;
}

// --- The file

static char *file_path(void) {
    const char *base = getenv("XDG_CONFIG_HOME");
    char *given = base && base[0] == '/' ? path_join(base, "local-claude.ini") : NULL;
    return given ? given : path_expand("~/.config/local-claude.ini");
}

static const struct setting *find_key(const char *name) {
    for (int i = 0; i < SETTINGS; i++)
        if ((settings[i].where & IN_FILE) && strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

static bool take_entry(struct options *options, const char *path, const struct ini_entry *entry,
                       struct err *err) {
    const struct setting *setting = find_key(entry->key);
    struct stat st;
    if (!setting)
        return err_set(err, ERR_INVALID, "%s:%u: there is no setting \"%s\"; see local-claude(1)",
                       path, entry->line, entry->key);
    if (strcmp(setting->name, "api-key") == 0 && stat(path, &st) == 0 && (st.st_mode & 077))
        return err_set(err, ERR_DENIED, "%s:%u: others can read this key; run: chmod 600 %s", path,
                       entry->line, path);
    char *source = mem_printf("%s:%u: %s", path, entry->line, entry->key);
    bool ok = set(options, setting, source, entry->value, err);
    mem_free(source);
    return ok;
}

static bool take_file(struct options *options, const char *path, const struct ini *ini,
                      struct err *err) {
    for (size_t i = 0; i < ini->count; i++) {
        const struct ini_section *section = &ini->sections[i];
        if (section->name[0])
            return err_set(err, ERR_INVALID, "%s:%u: this file has no sections", path,
                           section->line);
        for (size_t k = 0; k < section->count; k++)
            if (!take_entry(options, path, &section->entries[k], err))
                return false;
    }
    return true;
}

static bool read_file(struct options *options, struct err *err) {
    char *path = file_path();
    struct stat st;
    bool ok = true;
    if (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        mem_free(path);
        return true;
    }
    size_t length;
    char *bytes = path_read_file(path, INI_MAX_BYTES, &length, err);
    struct ini *ini = bytes ? ini_parse(bytes, length, NULL, NULL, err) : NULL;
    if (bytes && !ini)
        err_context(err, "%s", path);
    ok = ini && take_file(options, path, ini, err);
    ini_destroy(ini);
    mem_free(bytes);
    mem_free(path);
    return ok;
}

// --- The environment

static const char *variable(const char *name) {
    const char *value = name ? getenv(name) : NULL;
    return value && value[0] ? value : NULL;
}

static bool read_environment(struct options *options, struct err *err) {
    for (int i = 0; i < SETTINGS; i++) {
        const char *value = variable(settings[i].variable);
        if (value && !set(options, &settings[i], settings[i].variable, value, err))
            return false;
    }
    return true;
}

// LLAMA_PORT is the name that users of llama-server have for the same thing.
static bool read_llama_port(struct options *options, bool port_given, struct err *err) {
    const char *value = variable("LLAMA_PORT");
    if (!value || port_given || !options->backend || strcmp(options->backend, "llama") != 0)
        return true;
    for (int i = 0; i < SETTINGS; i++)
        if (settings[i].kind == PORT)
            return set(options, &settings[i], "LLAMA_PORT", value, err);
    return true;
}

// --- The command line

static const struct setting *find_flag(const char *argument, const char **value) {
    if (!str_starts(argument, "--"))
        return NULL;
    size_t length = strcspn(argument + 2, "=");
    *value = argument[2 + length] == '=' ? argument + 3 + length : NULL;
    for (int i = 0; i < SETTINGS; i++)
        if ((settings[i].where & ON_COMMAND) && strlen(settings[i].name) == length &&
            memcmp(settings[i].name, argument + 2, length) == 0)
            return &settings[i];
    return NULL;
}

static bool read_arguments(struct options *options, int argc, char **argv, bool *port_given,
                           struct err *err) {
    options->claude_args = mem_alloc(((size_t)argc + 1) * sizeof *options->claude_args);
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = NULL, *flag = argv[i];
        const struct setting *setting = find_flag(flag, &value);
        if (!setting) {
            options->claude_args[options->claude_arg_count++] = argv[i];
            continue;
        }
        if (!value && setting->kind == SWITCH)
            value = "on";
        if (!value && i + 1 < argc)
            value = argv[++i];
        if (!value || !*value)
            return err_set(err, ERR_INVALID, "%s needs a value", flag);
        if (!set(options, setting, flag, value, err))
            return false;
        *port_given |= setting->kind == PORT;
    }
    while (++i < argc)
        options->claude_args[options->claude_arg_count++] = argv[i];
    return true;
}

bool options_read(struct options *options, int argc, char **argv, struct err *err) {
    bool port_given = false;
    *options = (struct options){0};
    return read_file(options, err) && read_environment(options, err) &&
           read_arguments(options, argc, argv, &port_given, err) &&
           read_llama_port(options, port_given, err);
}

void options_fini(struct options *options) {
    for (size_t i = 0; i < options->text_count; i++)
        mem_free(options->texts[i]);
    mem_free(options->texts);
    mem_free(options->claude_args);
    *options = (struct options){0};
}

bool options_passes(const struct options *options, const char *flag) {
    size_t length = strlen(flag);
    for (int i = 0; i < options->claude_arg_count; i++) {
        const char *argument = options->claude_args[i];
        if (strncmp(argument, flag, length) == 0 &&
            (argument[length] == '\0' || argument[length] == '='))
            return true;
    }
    return false;
}
