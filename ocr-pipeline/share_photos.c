#include "share_photos.h"

#include "base/mem.h"
#include "base/path.h"
#include "share_session.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 32, SOURCE_MAX = 1023, KEPT_MAX = 8 };

struct walk {
    const struct share *share;
    struct share_session *session;
    struct photo_list *list;
};

static bool add_source(struct photo_list *list, const struct share *share, const char *path,
                       struct err *err) {
    char *source = path_join(share->location, path);
    bool good = strlen(source) <= SOURCE_MAX
                    ? photo_list_add(list, source, err)
                    : err_set(err, ERR_LIMIT, "the path has more than %d bytes: %.200s...",
                              SOURCE_MAX, source);
    mem_free(source);
    return good;
}

// --- Folders

// Names with their kind in front, in a list of paths.
static bool on_entry(void *arg, char kind, const char *name, struct err *err) {
    bool wanted = name[0] != '.' && !strchr(name, '/') &&
                  (kind == 'd' || (kind == 'f' && photo_list_is_picture(name)));
    char *entry = wanted ? mem_printf("%c%s", kind, name) : NULL;
    bool good = !wanted || photo_list_add(arg, entry, err);
    mem_free(entry);
    return good;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

static enum share_fault add_folder(struct walk *walk, const char *folder, unsigned depth,
                                   struct err *err) {
    struct photo_list entries = {0};
    if (depth > DEPTH_MAX) {
        err_set(err, ERR_LIMIT, "%s: more than %d folders deep", folder, DEPTH_MAX);
        return SHARE_TOO_LARGE;
    }
    enum share_fault fault = share_session_list(walk->session, folder, on_entry, &entries, err);
    if (!fault && entries.count)
        qsort(entries.paths, entries.count, sizeof *entries.paths, by_name);
    for (size_t i = 0; !fault && i < entries.count; i++) {
        char *path =
            folder[0] ? path_join(folder, entries.paths[i] + 1) : mem_strdup(entries.paths[i] + 1);
        if (entries.paths[i][0] == 'd')
            fault = add_folder(walk, path, depth + 1, err);
        else if (!add_source(walk->list, walk->share, path, err))
            fault = SHARE_TOO_LARGE;
        mem_free(path);
    }
    photo_list_fini(&entries);
    return fault;
}

enum share_fault share_photos_list(const struct share *share, const char *folder,
                                   struct photo_list *list, struct err *err) {
    struct walk walk = {.share = share, .list = list};
    *list = (struct photo_list){0};
    if (strcmp(folder, ".") == 0)
        folder = "";
    enum share_fault fault = share_session_open(share, &walk.session, err);
    if (!fault)
        fault = add_folder(&walk, folder, 0, err);
    share_session_close(walk.session);
    if (!fault && list->count == 0) {
        err_set(err, share_fault_kind(SHARE_FOLDER_EMPTY),
                "there are no pictures in %s (jpg, png, webp, heic, tif ...)",
                folder[0] ? folder : share->location);
        fault = SHARE_FOLDER_EMPTY;
    }
    if (fault)
        photo_list_fini(list);
    return fault;
}

// --- Files

static enum share_fault check_one(struct walk *walk, const char *name, struct err *err) {
    char kind;
    uint64_t size;
    enum share_fault fault = share_session_stat(walk->session, name, &kind, &size, err);
    if (!fault && kind != 'f') {
        err_set(err, share_fault_kind(SHARE_FILE_MISSING), "%s is not a file", name);
        return SHARE_FILE_MISSING;
    }
    if (!fault && !add_source(walk->list, walk->share, name, err))
        return SHARE_TOO_LARGE;
    return fault;
}

enum share_fault share_photos_check(const struct share *share,
                                    const char *(*name)(void *arg, size_t index), void *arg,
                                    size_t count, struct photo_list *list, struct err *err) {
    struct walk walk = {.share = share, .list = list};
    *list = (struct photo_list){0};
    enum share_fault fault = share_session_open(share, &walk.session, err);
    for (size_t i = 0; !fault && i < count; i++)
        fault = check_one(&walk, name(arg, i), err);
    share_session_close(walk.session);
    if (fault)
        photo_list_fini(list);
    return fault;
}

// Over the session at hand; whatever that cannot do a new one is asked for, which is at hand then:
// servers end sessions that were idle, and what is wrong with a photo only a good one tells.
static enum share_fault load(const struct share *share, struct share_session **session,
                             const char *source, size_t most, char **bytes, size_t *length,
                             struct err *err) {
    const char *path = share_path_of(share, source);
    *bytes = NULL;
    *length = 0;
    if (!path) {
        err_set(err, share_fault_kind(SHARE_SETUP), "%s does not lie on %s", source,
                share->location);
        return SHARE_SETUP;
    }
    if (*session && share_session_read(*session, path, most, bytes, length, NULL) == SHARE_FINE)
        return SHARE_FINE;
    share_session_close(*session);
    enum share_fault fault = share_session_open(share, session, err);
    return fault ? fault : share_session_read(*session, path, most, bytes, length, err);
}

enum share_fault share_photos_load(const struct share *share, const char *source, size_t most,
                                   char **bytes, size_t *length, struct err *err) {
    struct share_session *session = NULL;
    enum share_fault fault = load(share, &session, source, most, bytes, length, err);
    share_session_close(session);
    return fault;
}

// --- Files, one after the other

struct share_run {
    const struct share *share;
    pthread_mutex_t lock;
    struct share_session *idle[KEPT_MAX]; // under lock
    size_t count;
};

struct share_run *share_run_create(const struct share *share) {
    struct share_run *run = mem_alloc(sizeof *run);
    *run = (struct share_run){.share = share};
    pthread_mutex_init(&run->lock, NULL);
    return run;
}

void share_run_destroy(struct share_run *run) {
    if (!run)
        return;
    for (size_t i = 0; i < run->count; i++)
        share_session_close(run->idle[i]);
    pthread_mutex_destroy(&run->lock);
    mem_free(run);
}

static struct share_session *take_idle(struct share_run *run) {
    pthread_mutex_lock(&run->lock);
    struct share_session *session = run->count ? run->idle[--run->count] : NULL;
    pthread_mutex_unlock(&run->lock);
    return session;
}

static void give_back(struct share_run *run, struct share_session *session) {
    pthread_mutex_lock(&run->lock);
    bool room = run->count < KEPT_MAX;
    if (room)
        run->idle[run->count++] = session;
    pthread_mutex_unlock(&run->lock);
    if (!room)
        share_session_close(session);
}

enum share_fault share_run_load(struct share_run *run, const char *source, size_t most,
                                char **bytes, size_t *length, struct err *err) {
    struct share_session *session = take_idle(run);
    enum share_fault fault = load(run->share, &session, source, most, bytes, length, err);
    if (fault)
        share_session_close(session);
    else
        give_back(run, session);
    return fault;
}

static bool on_any(void *arg, char kind, const char *name, struct err *err) { return true; }

enum share_fault share_photos_try(const struct share *share, struct err *err) {
    struct share_session *session;
    enum share_fault fault = share_session_open(share, &session, err);
    if (!fault)
        fault = share_session_list(session, "", on_any, NULL, err);
    share_session_close(session);
    return fault;
}
