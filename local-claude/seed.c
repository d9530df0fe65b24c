#define _GNU_SOURCE
#include "seed.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"
#include "format/json_peek.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAG "hasCompletedOnboarding"

enum { MAX_FILE = 64 << 20, MAX_DEPTH = 512 };

char *seed_folder(void) { return path_expand("~/.claude-local"); }

// Claude Code reads the last of two members of one name, so a flag that is there and not true is
// taken out first: such a file is written anew, with its members in their order.
static char *rewrite(json_t *root, size_t *length) {
    struct buf out;
    buf_init(&out, MAX_FILE);
    json_set(root, FLAG, json_true());
    char *text = json_write(&out, root) ? buf_take(&out, length) : NULL;
    buf_fini(&out);
    return text;
}

char *seed_merge(const char *text, size_t length, size_t *out_length, struct err *err) {
    if (!text) {
        text = "{}\n";
        length = 3;
    }
    struct json_peek peek;
    json_t *root = json_parse_mended(text, length, MAX_DEPTH, 0, err);
    char *out = NULL;
    if (!root || !json_is_object(root) || !json_peek(text, length, MAX_DEPTH, &peek, err)) {
        if (root && !json_is_object(root))
            err_set(err, ERR_INVALID, "it is no JSON object");
    } else if (json_object_get(root, FLAG) && !json_get_bool(root, FLAG, false)) {
        out = rewrite(root, out_length);
    } else if (!json_object_get(root, FLAG)) {
        out = mem_printf("%.*s\n  \"" FLAG "\": true%s%.*s", (int)peek.members_begin, text,
                         peek.is_empty ? "\n" : ",", (int)(length - peek.members_begin),
                         text + peek.members_begin);
        *out_length = strlen(out);
    }
    json_decref(root);
    return out;
}

static bool is_absent(const char *path) {
    struct stat st;
    return lstat(path, &st) != 0 && errno == ENOENT;
}

static bool merge_file(const char *path, struct err *err) {
    struct err why = {0};
    size_t length = 0, out_length = 0;
    char *text = NULL;
    if (!is_absent(path) && !(text = path_read_file(path, MAX_FILE, &length, err)))
        return false;
    char *merged = seed_merge(text, length, &out_length, &why);
    mem_free(text);
    if (!merged && why.code == ERR_NONE)
        return true;
    bool ok = merged ? path_write_file(path, merged, out_length, 0600, err)
                     : err_set(err, ERR_INVALID,
                               "%s is damaged (%s); it was left as it is: mend it or move it away",
                               path, why.text);
    mem_free(merged);
    return ok;
}

bool seed_config(const char *folder, struct err *err) {
    if (!path_make_private(folder, err))
        return false;
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        err_errno(err, "cannot lock %s", folder);
        if (lock >= 0)
            close(lock);
        return false;
    }
    char *path = path_join(folder, ".claude.json");
    bool ok = merge_file(path, err);
    mem_free(path);
    close(lock);
    return ok;
}
