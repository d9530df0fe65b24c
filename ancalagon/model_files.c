#include "model_files.h"

#include "base/mem.h"
#include "base/system.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void forget(struct model_file *file) {
    model_close(file->model);
    gguf_close(file->projector);
    mem_free(file->path);
    *file = (struct model_file){0};
}

static bool is_same(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           system_changed_ns(a) == system_changed_ns(b) &&
           system_touched_ns(a) == system_touched_ns(b);
}

static bool starts_like_gguf(const char *path) {
    char magic[4];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool yes = fd >= 0 && read(fd, magic, sizeof magic) == sizeof magic &&
               memcmp(magic, "GGUF", sizeof magic) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

static void read_one(struct model_file *file, const char *path, bool is_projector) {
    struct stat now;
    bool there = path && stat(path, &now) == 0 && access(path, R_OK) == 0;
    if (there && file->path && strcmp(file->path, path) == 0 && is_same(&file->stat, &now))
        return;
    struct err missing = {0};
    if (path && !there) {
        int why = errno;
        err_errno(&missing, "cannot read the model %s", path);
        if (why == ENOENT || why == ENOTDIR || why == EACCES)
            missing.code = ERR_INVALID; // else the disk or the network may come back
    }
    forget(file);
    if (!path)
        return;
    file->path = mem_strdup(path);
    file->err = missing;
    if (!there)
        return;
    file->stat = now;
    file->is_local = system_file_is_local(path);
    if (!starts_like_gguf(path))
        file->foreign = true;
    else if (is_projector)
        file->projector = gguf_open(path, &file->err);
    else
        file->model = model_open(path, &file->err);
}

void model_files_read(struct model_files *files, const char *const paths[MODEL_FILES]) {
    for (size_t i = 0; i < MODEL_FILES; i++)
        read_one(&files->file[i], paths[i], i == MODEL_FILE_PROJECTOR);
}

bool model_files_current(const struct model_files *files, const char *const paths[MODEL_FILES]) {
    for (size_t i = 0; i < MODEL_FILES; i++) {
        const struct model_file *file = &files->file[i];
        struct stat now;
        if (!paths[i] && !file->path)
            continue;
        if (!paths[i] || !file->path || strcmp(paths[i], file->path) != 0 || !file->is_local ||
            stat(paths[i], &now) != 0 || !is_same(&file->stat, &now))
            return false;
    }
    return true;
}

void model_files_fini(struct model_files *files) {
    for (size_t i = 0; i < MODEL_FILES; i++)
        forget(&files->file[i]);
    draft_files_fini(&files->drafts);
}
