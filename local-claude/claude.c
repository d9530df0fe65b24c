#define _GNU_SOURCE
#include "claude.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

// A link of ours that is called "claude" would start itself for ever.
static bool is_us(const char *path) {
    struct stat theirs, ours;
    char *self = system_program();
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

bool claude_has_command(const struct claude *claude, const char *word) {
    char *pattern = mem_printf(" %s ", word);
    bool found = claude->commands && strstr(claude->commands, pattern);
    mem_free(pattern);
    return found;
}
