#define _GNU_SOURCE
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "budget.h"
#include "claude.h"
#include "event/child.h"
#include "format/json.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ANSWER_MS = 20000, MAX_HELP = 1 << 20, MAX_CACHE = 64 * 1024 };

#define EXCLUDE "--exclude-dynamic-system-prompt-sections"
// Of the versions in budget.c's table.
#define COMMANDS                                                                                   \
    " agents auth auto-mode doctor gateway install mcp plugin plugins project setup-token "        \
    "ultrareview update upgrade "

// --- What it says of itself

static void ask(const struct claude *claude, const char *flag, char *const *environment,
                struct buf *out) {
    char *argv[] = {claude->path, (char *)flag, NULL};
    struct spawn_spec spec = {.path = claude->path, .argv = argv, .envp = environment};
    int status;
    struct err err;
    if (!child_capture(&spec, ANSWER_MS, MAX_HELP, out, &status, &err) || status != 0)
        buf_clear(out);
}

// "2.1.197 (Claude Code)" -> "2.1.197"
static char *read_version(const char *text) {
    size_t length = strspn(text, "0123456789.");
    return length > 0 ? mem_strndup(text, length) : NULL;
}

// Names at the beginning of the indented lines below "Commands:"; "plugin|plugins" are two.
static char *read_commands(const char *help) {
    struct buf out;
    buf_init(&out, 4096);
    buf_adds(&out, " ");
    const char *line = strstr(help, "\nCommands:");
    for (line = line ? strchr(line + 1, '\n') : NULL; line; line = strchr(line + 1, '\n')) {
        const char *word = line + 1;
        if (strncmp(word, "  ", 2) != 0 || !islower((unsigned char)word[2]))
            continue;
        for (word += 2; islower((unsigned char)*word) || *word == '-' || *word == '|'; word++)
            buf_add(&out, *word == '|' ? " " : word, 1);
        buf_adds(&out, " ");
    }
    return buf_take(&out, NULL);
}

static void ask_all_of_it(struct claude *claude, char *const *environment) {
    struct buf out;
    buf_init(&out, MAX_HELP);
    ask(claude, "--version", environment, &out);
    claude->version = read_version(buf_text(&out));
    buf_clear(&out);
    ask(claude, "--help", environment, &out);
    claude->excludes_dynamic_prompt = strstr(buf_text(&out), EXCLUDE) != NULL;
    claude->takes_settings = strstr(buf_text(&out), " --settings ") != NULL;
    claude->commands = read_commands(buf_text(&out));
    buf_fini(&out);
}

// --- Remembered, by what the file is

static json_t *identity(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0)
        return NULL;
    return json_build("[s, I, I, I]", path, (json_int_t)st.st_ino, (json_int_t)st.st_size,
                      (json_int_t)st.st_mtime);
}

static char *cache_path(const struct claude *claude) {
    char *name =
        mem_printf("local-claude/claude-%016llx.json", (unsigned long long)str_hash(claude->path));
    char *path = path_cache(name);
    mem_free(name);
    return path;
}

static bool recall(struct claude *claude, const char *path, const json_t *file) {
    size_t length;
    char *text = path_read_file(path, MAX_CACHE, &length, NULL);
    json_t *json = text ? json_parse(text, length, 0, 0, NULL) : NULL;
    bool same = json && json_equal(json_object_get(json, "file"), file);
    if (same) {
        claude->version = mem_strdup(json_get_text(json, "version", NULL));
        claude->excludes_dynamic_prompt = json_get_bool(json, "excludes_dynamic_prompt", false);
        claude->takes_settings = json_get_bool(json, "takes_settings", false);
        claude->commands = mem_strdup(json_get_text(json, "commands", " "));
    }
    json_decref(json);
    mem_free(text);
    return same;
}

// Not being able to remember costs a second at the next start, no more.
static void remember(const struct claude *claude, const char *path, const json_t *file) {
    json_t *json =
        json_build("{s:O, s:s, s:b, s:b, s:s}", "file", file, "version", claude->version,
                   "excludes_dynamic_prompt", (int)claude->excludes_dynamic_prompt,
                   "takes_settings", (int)claude->takes_settings, "commands", claude->commands);
    char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    struct buf text;
    buf_init(&text, MAX_CACHE);
    if (json_write(&text, json) && path_make_private(folder, NULL))
        path_write_file(path, buf_bytes(&text), text.length, 0600, NULL);
    buf_fini(&text);
    mem_free(folder);
    json_decref(json);
}

// --- Known without asking: versions that the tests run, by what is written beside the file

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return mem_strndup(path, slash && slash > path ? (size_t)(slash - path) : 1);
}

// npm's package.json, beside the program or one folder up.
static char *version_of_package(const char *folder) {
    char *path = path_join(folder, "package.json");
    char *text = path_read_file(path, MAX_CACHE, NULL, NULL);
    json_t *json = text ? json_parse(text, strlen(text), 0, 0, NULL) : NULL;
    bool ours = str_starts(json_get_text(json, "name", ""), "@anthropic-ai/claude-code");
    char *version = ours ? mem_strdup(json_get_text(json, "version", NULL)) : NULL;
    json_decref(json);
    mem_free(text);
    mem_free(path);
    return version;
}

// Its own installer names the file by the version: ~/.local/share/claude/versions/2.1.197.
static char *version_of_file(const char *path) {
    char real[PATH_MAX];
    if (!realpath(path, real))
        return NULL;
    const char *name = strrchr(real, '/') + 1;
    if (name[0] && name[strspn(name, "0123456789.")] == '\0')
        return mem_strdup(name);
    char *folder = folder_of(real), *parent = folder_of(folder);
    char *version = version_of_package(folder);
    version = version ? version : version_of_package(parent);
    mem_free(folder);
    mem_free(parent);
    return version;
}

static bool know(struct claude *claude) {
    char *version = version_of_file(claude->path);
    if (!version || !budget_knows(version)) {
        mem_free(version);
        return false;
    }
    claude->version = version;
    claude->excludes_dynamic_prompt = claude->takes_settings = true;
    claude->commands = mem_strdup(COMMANDS);
    return true;
}

void claude_learn(struct claude *claude, char *const *environment) {
    if (know(claude))
        return;
    json_t *file = identity(claude->path);
    char *path = cache_path(claude);
    if (!recall(claude, path, file)) {
        ask_all_of_it(claude, environment);
        if (claude->version && file)
            remember(claude, path, file);
    }
    mem_free(path);
    json_decref(file);
}
