#define _GNU_SOURCE
#include "claude.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "event/child.h"
#include "format/json.h"
#include "platform.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ANSWER_MS = 20000, MAX_HELP = 1 << 20, MAX_CACHE = 64 * 1024 };

#define EXCLUDE "--exclude-dynamic-system-prompt-sections"

// --- Finding it

static bool is_program(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

// A link of ours that is called "claude" would start itself for ever.
static bool is_us(const char *path) {
    struct stat theirs, ours;
    char *self = platform_program();
    bool same = self && stat(path, &theirs) == 0 && stat(self, &ours) == 0 &&
                theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
    mem_free(self);
    return same;
}

static char *on_path(void) {
    const char *p = getenv("PATH");
    while (p && *p) {
        size_t length = strcspn(p, ":");
        if (*p == '/') {
            char *full = mem_printf("%.*s/claude", (int)length, p);
            if (is_program(full) && !is_us(full))
                return full;
            mem_free(full);
        }
        p += length + (p[length] == ':');
    }
    return NULL;
}

static char *where_installers_put_it(void) {
    static const char *const places[] = {"~/.local/bin/claude", "~/.claude/local/claude"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *full = path_expand(places[i]);
        if (is_program(full) && !is_us(full))
            return full;
        mem_free(full);
    }
    return NULL;
}

bool claude_find(struct claude *claude, const char *wanted, struct err *err) {
    *claude = (struct claude){0};
    if (wanted && strchr(wanted, '/')) {
        claude->path = path_absolute(wanted, NULL);
        if (claude->path && is_program(claude->path))
            return true;
        return err_set(err, ERR_NOTFOUND, "%s is no program (LOCAL_CLAUDE_BIN)", wanted);
    }
    claude->path = on_path();
    if (!claude->path)
        claude->path = where_installers_put_it();
    return claude->path || err_set(err, ERR_NOTFOUND,
                                   "Claude Code is not installed; get it with: npm install -g "
                                   "@anthropic-ai/claude-code (or name it: LOCAL_CLAUDE_BIN=...)");
}

void claude_fini(struct claude *claude) {
    mem_free(claude->path);
    mem_free(claude->version);
    mem_free(claude->commands);
    *claude = (struct claude){0};
}

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
        claude->commands = mem_strdup(json_get_text(json, "commands", " "));
    }
    json_decref(json);
    mem_free(text);
    return same;
}

// Not being able to remember costs a second at the next start, no more.
static void remember(const struct claude *claude, const char *path, const json_t *file) {
    json_t *json = json_build("{s:O, s:s, s:b, s:s}", "file", file, "version", claude->version,
                              "excludes_dynamic_prompt", (int)claude->excludes_dynamic_prompt,
                              "commands", claude->commands);
    char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    struct buf text;
    buf_init(&text, MAX_CACHE);
    if (json_write(&text, json) && path_make_private(folder, NULL))
        path_write_file(path, buf_bytes(&text), text.length, 0600, NULL);
    buf_fini(&text);
    mem_free(folder);
    json_decref(json);
}

void claude_learn(struct claude *claude, char *const *environment) {
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

bool claude_has_command(const struct claude *claude, const char *word) {
    char *pattern = mem_printf(" %s ", word);
    bool found = claude->commands && strstr(claude->commands, pattern);
    mem_free(pattern);
    return found;
}
