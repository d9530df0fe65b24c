#define _GNU_SOURCE
#include "install.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 1 << 20, MAX_MANIFEST = 32 << 20 };

struct item {
    char *path;
    char *content; // wanted; NULL: not wanted any more
    char *written; // what we wrote last time, by the manifest; NULL: never
    bool once;
    enum install_act act;
};

struct install {
    char *manifest;
    struct item *items;
    size_t count;
    char **folders; // made by us, parents first
    size_t folder_count;
    bool had_manifest;
};

static struct item *find(struct install *install, const char *path) {
    for (size_t i = 0; i < install->count; i++)
        if (strcmp(install->items[i].path, path) == 0)
            return &install->items[i];
    return NULL;
}

static struct item *obtain(struct install *install, const char *path) {
    struct item *item = find(install, path);
    if (item)
        return item;
    install->items = mem_resize(install->items, (install->count + 1) * sizeof *install->items);
    item = &install->items[install->count++];
    *item = (struct item){.path = mem_strdup(path)};
    return item;
}

static bool has_folder(const struct install *install, const char *path) {
    for (size_t i = 0; i < install->folder_count; i++)
        if (strcmp(install->folders[i], path) == 0)
            return true;
    return false;
}

static void add_folder(struct install *install, const char *path) {
    if (has_folder(install, path))
        return;
    install->folders =
        mem_resize(install->folders, (install->folder_count + 1) * sizeof *install->folders);
    install->folders[install->folder_count++] = mem_strdup(path);
}

static bool read_manifest(struct install *install, struct err *err) {
    size_t length, i;
    char *bytes = path_read_file(install->manifest, MAX_MANIFEST, &length, err);
    if (!bytes)
        return false;
    json_t *json = json_parse(bytes, length, 0, 0, err), *entry;
    mem_free(bytes);
    if (!json) {
        err_context(err, "%s", install->manifest);
        return false;
    }
    json_array_foreach(json_object_get(json, "files"), i, entry) {
        const char *path = json_get_text(entry, "path", NULL);
        const char *content = json_get_text(entry, "content", NULL);
        if (path && path[0] == '/' && content)
            obtain(install, path)->written = mem_strdup(content);
    }
    json_array_foreach(json_object_get(json, "folders"), i,
                       entry) if (json_is_string(entry) && json_string_value(entry)[0] == '/')
        add_folder(install, json_string_value(entry));
    json_decref(json);
    return true;
}

struct install *install_open(const char *manifest_path, struct err *err) {
    struct install *install = mem_alloc(sizeof *install);
    install->manifest = mem_strdup(manifest_path);
    if (access(manifest_path, F_OK) != 0)
        return install;
    install->had_manifest = true;
    if (read_manifest(install, err))
        return install;
    install_close(install);
    return NULL;
}

void install_close(struct install *install) {
    if (!install)
        return;
    for (size_t i = 0; i < install->count; i++) {
        mem_free(install->items[i].path);
        mem_free(install->items[i].content);
        mem_free(install->items[i].written);
    }
    for (size_t i = 0; i < install->folder_count; i++)
        mem_free(install->folders[i]);
    mem_free(install->items);
    mem_free(install->folders);
    mem_free(install->manifest);
    mem_free(install);
}

bool install_is_empty(const struct install *install) { return !install->had_manifest; }

void install_want(struct install *install, const char *path, const char *content, size_t length) {
    struct item *item = obtain(install, path);
    mem_free(item->content);
    item->content = mem_strndup(content, length);
}

void install_want_once(struct install *install, const char *path, const char *content,
                       size_t length) {
    install_want(install, path, content, length);
    find(install, path)->once = true;
}

void install_want_folder(struct install *install, const char *path) {
    char *part = mem_strdup(path);
    for (char *end = strchr(part + 1, '/'); end; end = strchr(end + 1, '/')) {
        *end = '\0';
        if (access(part, F_OK) != 0)
            add_folder(install, part);
        *end = '/';
    }
    if (access(path, F_OK) != 0)
        add_folder(install, path);
    mem_free(part);
}

static bool is_same(const char *a, const char *b) { return a && b && strcmp(a, b) == 0; }

// NULL when absent; a file we cannot read, or a link, or anything odd counts as somebody else's.
static char *on_disk(const char *path, bool *there) {
    struct stat st;
    *there = lstat(path, &st) == 0;
    if (!*there || !S_ISREG(st.st_mode))
        return NULL;
    return path_read_file(path, MAX_FILE, NULL, NULL);
}

static enum install_act decide(const struct item *item) {
    bool there;
    char *now = on_disk(item->path, &there);
    bool unedited = is_same(now, item->written);
    enum install_act act;
    if (!item->content)
        act = !there ? INSTALL_KEEP : unedited ? INSTALL_DELETE : INSTALL_LEAVE;
    else if (!there)
        act = INSTALL_CREATE;
    else if (item->once || is_same(now, item->content))
        act = INSTALL_KEEP;
    else
        act = unedited ? INSTALL_UPDATE : INSTALL_BESIDE;
    mem_free(now);
    return act;
}

// The new text of an edited file is a file of its own, with the same rules.
static void plan_beside(struct install *install, const char *path, const char *content) {
    char *beside = mem_printf("%s.new", path);
    install_want(install, beside, content, strlen(content));
    struct item *item = find(install, beside);
    item->act = decide(item);
    if (item->act == INSTALL_BESIDE)
        item->act = INSTALL_UPDATE; // FILE.new is ours by its name
    mem_free(beside);
}

void install_plan(struct install *install) {
    for (size_t i = 0; i < install->count; i++)
        install->items[i].act = decide(&install->items[i]);
    size_t count = install->count; // plan_beside moves the array
    for (size_t i = 0; i < count; i++)
        if (install->items[i].act == INSTALL_BESIDE)
            plan_beside(install, install->items[i].path, install->items[i].content);
}

size_t install_changes(const struct install *install) {
    size_t changes = 0;
    for (size_t i = 0; i < install->count; i++) {
        enum install_act act = install->items[i].act;
        changes += act == INSTALL_CREATE || act == INSTALL_UPDATE || act == INSTALL_DELETE;
    }
    return changes;
}

void install_print(const struct install *install, FILE *out) {
    static const char *const words[] = {
        [INSTALL_KEEP] = NULL,           [INSTALL_CREATE] = "write",  [INSTALL_UPDATE] = "update",
        [INSTALL_BESIDE] = "keep yours", [INSTALL_DELETE] = "remove", [INSTALL_LEAVE] = "leave",
    };
    for (size_t i = 0; i < install->count; i++) {
        const struct item *item = &install->items[i];
        if (!words[item->act])
            continue;
        const char *why = item->act == INSTALL_BESIDE  ? "  (you changed it; see FILE.new)"
                          : item->act == INSTALL_LEAVE ? "  (you changed it; it is yours now)"
                                                       : "";
        fprintf(out, "  %-10s %s%s\n", words[item->act], item->path, why);
    }
}

// mkdir -p that remembers what was not there before.
static bool make_folders(struct install *install, const char *file, struct err *err) {
    char *path = mem_strdup(file);
    bool ok = true;
    for (char *slash = strchr(path + 1, '/'); ok && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) == 0)
            add_folder(install, path);
        else if (errno != EEXIST)
            ok = err_errno(err, "cannot make folder %s", path);
        *slash = '/';
    }
    mem_free(path);
    return ok;
}

static bool carry_out(struct install *install, struct item *item, struct err *err) {
    switch (item->act) {
    case INSTALL_CREATE:
    case INSTALL_UPDATE:
        assert(item->content);
        if (!make_folders(install, item->path, err) ||
            !path_write_file(item->path, item->content, strlen(item->content), 0644, err))
            return false;
        mem_free(item->written);
        item->written = mem_strdup(item->content);
        return true;
    case INSTALL_DELETE:
        if (unlink(item->path) != 0 && errno != ENOENT)
            return err_errno(err, "cannot remove %s", item->path);
        break;
    case INSTALL_KEEP:
        if (item->content)
            return true; // the manifest goes on saying whether it is ours
        break;
    case INSTALL_BESIDE: // an edited file stays in the manifest: undoing the edit makes it ours
                         // again
        return true;
    case INSTALL_LEAVE: break;
    }
    mem_free(item->written);
    item->written = NULL;
    return true;
}

static bool write_manifest(struct install *install, struct err *err) {
    json_t *files = json_array(), *folders = json_array();
    for (size_t i = 0; i < install->count; i++) {
        const struct item *item = &install->items[i];
        if (item->written)
            json_array_append_new(
                files, json_build("{s:s, s:s}", "path", item->path, "content", item->written));
    }
    for (size_t i = 0; i < install->folder_count; i++)
        json_array_append_new(folders, json_text(install->folders[i]));
    json_t *json = json_build("{s:i, s:o, s:o}", "version", 1, "files", files, "folders", folders);
    struct buf text;
    buf_init(&text, MAX_MANIFEST);
    bool ok = json_write(&text, json)
                  ? path_write_file(install->manifest, buf_bytes(&text), text.length, 0600, err)
                  : err_set(err, ERR_LIMIT, "%s would get too long", install->manifest);
    buf_fini(&text);
    json_decref(json);
    return ok;
}

// Deepest first; what is not empty stays, and is not ours any more once nothing else is.
static void remove_folders(struct install *install) {
    for (size_t i = install->folder_count; i-- > 0;)
        rmdir(install->folders[i]);
}

// The manifest is JSON, and must give back to the byte what it was told.
static bool can_be_noted(const struct install *install, struct err *err) {
    for (size_t i = 0; i < install->count; i++) {
        const struct item *item = &install->items[i];
        if (item->content && !(json_is_utf8(item->path) && json_is_utf8(item->content)))
            return err_set(err, ERR_INVALID,
                           "%s: its path, or one that it names, is not UTF-8; use another folder",
                           item->path);
    }
    for (size_t i = 0; i < install->folder_count; i++)
        if (!json_is_utf8(install->folders[i]))
            return err_set(err, ERR_INVALID, "the name of folder %s is not UTF-8",
                           install->folders[i]);
    return true;
}

bool install_apply(struct install *install, struct err *err) {
    bool wanted = false, ok = true;
    for (size_t i = 0; i < install->count; i++)
        wanted = wanted || install->items[i].content;
    if (!can_be_noted(install, err))
        return false;
    if (wanted && !make_folders(install, install->manifest, err))
        return false;
    for (size_t i = 0; ok && i < install->count; i++)
        ok = carry_out(install, &install->items[i], err);
    if (!wanted && ok) {
        if (unlink(install->manifest) != 0 && errno != ENOENT)
            return err_errno(err, "cannot remove %s", install->manifest);
        remove_folders(install);
        return true;
    }
    // Also after a failure: what was written must be known to the next run. A preset that is gone
    // leaves an empty drop-in folder behind.
    struct err second;
    bool saved = write_manifest(install, ok ? err : &second);
    if (ok)
        for (size_t i = install->folder_count; i-- > 0;)
            if (strstr(install->folders[i], ".service.d"))
                rmdir(install->folders[i]);
    return ok && saved;
}
