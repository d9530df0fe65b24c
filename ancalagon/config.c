#include "config.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "config_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBLEMS_MAX 1000u

void config_problem(struct config *config, enum config_severity severity, unsigned line,
                    const char *format, ...) {
    char text[600];
    va_list args;
    va_start(args, format);
    // The analyzer loses sight of va_start where it inlines this function.
    vsnprintf(text, sizeof text, format, args); // NOLINT(clang-analyzer-valist.Uninitialized)
    va_end(args);
    for (size_t i = 0; i < config->problems_count; i++)
        if (config->problems[i].line == line && strcmp(config->problems[i].text, text) == 0)
            return;
    bool is_first_error = severity == CONFIG_ERROR && config->errors_count == 0;
    config->errors_count += severity == CONFIG_ERROR;
    if (config->problems_count >= PROBLEMS_MAX && !is_first_error)
        return;
    config->problems =
        mem_resize(config->problems, (config->problems_count + 1) * sizeof *config->problems);
    config->problems[config->problems_count++] =
        (struct config_problem){severity, line, mem_strdup(text)};
}

char **config_split_list(const char *text) {
    size_t count = 0;
    char **list = mem_alloc(sizeof *list);
    for (;;) {
        text += strspn(text, ", \t");
        size_t length = strcspn(text, ", \t");
        if (length == 0)
            return list;
        list = mem_resize(list, (count + 2) * sizeof *list);
        list[count++] = mem_strndup(text, length);
        list[count] = NULL;
        text += length;
    }
}

void config_free_list(char **list) {
    for (char **item = list; item && *item; item++)
        mem_free(*item);
    mem_free(list);
}

// Edits (insert, drop, change, swap neighbours) between two short words; large when one is long.
static size_t distance(const char *a, const char *b) {
    enum { MAX = 24 };
    size_t n = strlen(a), m = strlen(b), rows[MAX + 1][MAX + 1];
    if (n > MAX || m > MAX)
        return MAX;
    for (size_t i = 0; i <= n; i++)
        for (size_t k = 0; k <= m; k++) {
            if (i == 0 || k == 0) {
                rows[i][k] = i + k;
                continue;
            }
            size_t best = rows[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            if (rows[i - 1][k] + 1 < best)
                best = rows[i - 1][k] + 1;
            if (rows[i][k - 1] + 1 < best)
                best = rows[i][k - 1] + 1;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
                rows[i - 2][k - 2] + 1 < best)
                best = rows[i - 2][k - 2] + 1;
            rows[i][k] = best;
        }
    return rows[n][m];
}

const char *config_closest(const char *key, const char *const *words) {
    size_t length = strlen(key), limit = length < 4 ? 0 : length < 6 ? 1 : 2;
    const char *closest = NULL;
    for (; *words; words++) {
        size_t edits = strlen(*words) < 4 ? limit + 1 : distance(key, *words);
        if (edits <= limit) {
            closest = *words;
            limit = edits - (edits > 0); // only a better one replaces it
        }
    }
    return closest;
}

const struct ini_section *config_section(const struct config *config, const char *name) {
    for (size_t i = 0; config->ini && i < config->ini->count; i++)
        if (strcmp(config->ini->sections[i].name, name) == 0)
            return &config->ini->sections[i];
    return NULL;
}

const struct ini_section *config_defaults(const struct config *config) {
    return config_section(config, "*");
}

void config_add_preset(struct config *config, const struct preset *preset) {
    config->presets =
        mem_resize(config->presets, (config->presets_count + 1) * sizeof *config->presets);
    config->presets[config->presets_count++] = *preset;
}

// A name means one preset, whether it is a name or an alias.
static bool is_name_free(struct config *config, const struct preset *preset, const char *name) {
    const struct preset *other = config_find(config, name);
    if (!other)
        return true;
    config_problem(config, CONFIG_ERROR, preset->line,
                   "[%s] is called %s, and so is [%s] on line %u; rename one", preset->name, name,
                   other->name, other->line);
    return false;
}

static bool is_unique(struct config *config, const struct preset *preset) {
    bool free = is_name_free(config, preset, preset->name);
    for (char **alias = preset->aliases; *alias; alias++)
        free = is_name_free(config, preset, *alias) && free;
    for (size_t i = 0; preset->is_default && i < config->presets_count; i++)
        if (config->presets[i].is_default) {
            config_problem(config, CONFIG_ERROR, preset->line,
                           "[%s] is default, and so is [%s] on line %u; keep one", preset->name,
                           config->presets[i].name, config->presets[i].line);
            return false;
        }
    return free;
}

static void apply_presets(struct config *config) {
    const struct ini_section *defaults = config_defaults(config);
    struct preset unnamed = {0};
    if (defaults)
        config_make_preset(config, defaults, NULL, &unnamed);
    preset_fini(&unnamed);
    for (size_t i = 0; i < config->ini->count; i++) {
        const struct ini_section *section = &config->ini->sections[i];
        struct preset preset = {0};
        if (section == defaults || strcmp(section->name, "server") == 0)
            continue;
        if (section->name[0] == '\0') { // llama.cpp's files may begin with "version = 1"
            for (size_t k = 0; k < section->count; k++)
                if (strcmp(section->entries[k].key, "version") != 0)
                    config_problem(config, CONFIG_ERROR, section->entries[k].line,
                                   "%.80s is above the first [section]; put it under [*] for all "
                                   "presets",
                                   section->entries[k].key);
            continue;
        }
        if (config_make_preset(config, defaults, section, &preset) && is_unique(config, &preset))
            config_add_preset(config, &preset);
        else
            preset_fini(&preset);
    }
}

// [server] default = NAME is another way to write default = on in [NAME].
static void apply_default_name(struct config *config) {
    const struct ini_section *server = config_section(config, "server");
    for (size_t i = 0; server && i < server->count; i++) {
        const struct ini_entry *entry = &server->entries[i];
        if (strcmp(entry->key, "default") != 0)
            continue;
        struct preset *named = (struct preset *)config_find(config, entry->value);
        const struct preset *marked = NULL;
        for (size_t k = 0; k < config->presets_count; k++)
            if (config->presets[k].is_default)
                marked = &config->presets[k];
        if (!named)
            config_problem(config, CONFIG_ERROR, entry->line, "default: there is no preset %.80s",
                           entry->value);
        else if (marked && marked != named)
            config_problem(config, CONFIG_ERROR, entry->line,
                           "default is %s here, but [%s] on line %u says default = on; keep one",
                           named->name, marked->name, marked->line);
        else
            named->is_default = true;
    }
}

static int compare_problems(const void *a, const void *b) {
    const struct config_problem *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line;
}

static void finish(struct config *config) {
    apply_default_name(config);
    if (config->problems_count)
        qsort(config->problems, config->problems_count, sizeof *config->problems, compare_problems);
}

static void on_ini_problem(void *arg, unsigned line, const char *text) {
    config_problem(arg, CONFIG_ERROR, line, "%s", text);
}

// Everything but what needs all presets to be known.
static struct config *parse(const char *bytes, size_t length, const char *path, struct err *err) {
    struct config *config = mem_alloc(sizeof *config);
    config->path = path_absolute(path, NULL);
    if (!config->path)
        config->path = mem_strdup(path);
    config_init_server(config);
    config->ini = ini_parse(bytes, length, on_ini_problem, config, err);
    if (!config->ini) {
        err_context(err, "%s", config->path);
        config_destroy(config);
        return NULL;
    }
    config_apply_server(config, config_section(config, "server"));
    apply_presets(config);
    return config;
}

struct config *config_parse(const char *bytes, size_t length, const char *path, struct err *err) {
    struct config *config = parse(bytes, length, path, err);
    if (config)
        finish(config);
    return config;
}

struct config *config_inspect(const char *path, struct err *err) {
    char *standard = path ? NULL : path_config("presets.ini");
    struct config *config = NULL;
    struct err why;
    size_t length = 0;
    char *bytes = path_read_file(path ? path : standard, INI_MAX_BYTES, &length, &why);
    if (!bytes && standard && access(standard, F_OK) != 0 && errno == ENOENT)
        bytes = mem_strdup("");
    if (!bytes) {
        if (err)
            *err = why;
        goto out;
    }
    config = parse(bytes, length, path ? path : standard, err);
    if (config && config->scan)
        config_scan_models(config);
    if (config)
        finish(config);
out:
    mem_free(bytes);
    mem_free(standard);
    return config;
}

struct config *config_load(const char *path, struct err *err) {
    struct config *config = config_inspect(path, err);
    if (!config || config->errors_count == 0)
        return config;
    const struct config_problem *first = config->problems;
    while (first->severity != CONFIG_ERROR)
        first++; // config_problem keeps room for one
    err_set(err, ERR_INVALID, "%s:%u: %s", config->path, first->line, first->text);
    if (config->errors_count > 1 && err) {
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used,
                 " (and %zu more: ancalagon check-config)", config->errors_count - 1);
    }
    config_destroy(config);
    return NULL;
}

void config_destroy(struct config *config) {
    if (!config)
        return;
    for (size_t i = 0; i < config->presets_count; i++)
        preset_fini(&config->presets[i]);
    for (size_t i = 0; i < config->problems_count; i++)
        mem_free(config->problems[i].text);
    mem_free(config->presets);
    mem_free(config->problems);
    config_free_list(config->allow_hosts);
    config_free_list(config->allow_origins);
    config_free_list(config->models_dirs);
    mem_free(config->path);
    mem_free(config->listen_host);
    mem_free(config->api_key_file);
    if (config->own_key)
        mem_wipe(config->own_key, strlen(config->own_key));
    mem_free(config->own_key);
    ini_destroy(config->ini);
    mem_free(config);
}

static void say_which_there_are(const struct config *config, const char *name, struct err *err) {
    char names[300] = "";
    size_t length = 0;
    for (size_t i = 0; i < config->presets_count && length < sizeof names; i++)
        length +=
            (size_t)snprintf(names + length, sizeof names - length, " %s", config->presets[i].name);
    err_set(err, ERR_NOTFOUND, "there is no preset \"%.80s\" in %s; there are:%s", name,
            config->path, names);
}

const struct preset *config_want(const struct config *config, const char *name_or_alias,
                                 struct err *err) {
    const struct preset *preset = config_find(config, name_or_alias);
    if (!preset)
        say_which_there_are(config, name_or_alias, err);
    return preset;
}

const struct preset *config_find(const struct config *config, const char *name_or_alias) {
    for (size_t i = 0; i < config->presets_count; i++) {
        const struct preset *preset = &config->presets[i];
        if (strcmp(preset->name, name_or_alias) == 0)
            return preset;
        for (char **alias = preset->aliases; *alias; alias++)
            if (strcmp(*alias, name_or_alias) == 0)
                return preset;
    }
    return NULL;
}

const struct preset *config_default(const struct config *config) {
    for (size_t i = 0; i < config->presets_count; i++)
        if (config->presets[i].is_default)
            return &config->presets[i];
    const struct preset *named = config_find(config, "default");
    return named || config->presets_count == 0 ? named : &config->presets[0];
}

void config_describe_problems(const struct config *config, struct buf *out) {
    for (size_t i = 0; i < config->problems_count; i++) {
        const struct config_problem *problem = &config->problems[i];
        const char *severity = problem->severity == CONFIG_ERROR ? "error" : "warning";
        if (problem->line)
            buf_printf(out, "%s:%u: %s: %s\n", config->path, problem->line, severity,
                       problem->text);
        else
            buf_printf(out, "%s: %s: %s\n", config->path, severity, problem->text);
    }
}
