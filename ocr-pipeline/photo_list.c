#define _GNU_SOURCE
#include "photo_list.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "file_wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 32, PHOTOS_MAX = 10000000 };

static const char *const endings[] = {".jpg",  ".jpeg", ".png",  ".webp", ".heic", ".heif",
                                      ".avif", ".tif",  ".tiff", ".bmp",  ".gif"};

bool photo_list_is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

bool photo_list_add(struct photo_list *list, const char *path, struct err *err) {
    if (list->count == PHOTOS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d photos", PHOTOS_MAX);
    if ((list->count & (list->count - 1)) == 0)
        list->paths =
            mem_resize(list->paths, (list->count ? 2 * list->count : 1) * sizeof *list->paths);
    list->paths[list->count++] = mem_strdup(path);
    return true;
}

// --- Folders

static bool is_share_error(int number) {
    return number == EHOSTDOWN || number == EHOSTUNREACH || number == ENETUNREACH ||
           number == ETIMEDOUT || number == ESTALE || number == ENOTCONN || number == EIO ||
           number == ECONNREFUSED || number == ECONNRESET;
}

static bool add_folder(struct photo_list *list, const char *folder, unsigned depth,
                       struct err *err);

static bool add_entry(struct photo_list *list, const char *folder, const char *name, unsigned depth,
                      struct err *err) {
    struct stat st;
    struct file_wait wait;
    char *path = path_join(folder, name);
    bool good = true;
    file_wait_begin(&wait, path);
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    file_wait_end(&wait);
    if (is_folder) {
        // A link to a folder could lead back up; a folder of its own is gone into.
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode))
            good = add_folder(list, path, depth + 1, err);
    } else if (photo_list_is_picture(name)) {
        good = photo_list_add(list, path, err);
    }
    mem_free(path);
    return good;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Names only, sorted: photos of a pole are numbered by whoever took them.
static bool list_names(struct photo_list *names, const char *folder, struct err *err) {
    struct file_wait wait;
    file_wait_begin(&wait, folder);
    DIR *dir = opendir(folder);
    int number = dir ? 0 : errno;
    bool good = dir != NULL;
    errno = 0;
    for (struct dirent *entry; good && (entry = readdir(dir)); errno = 0)
        good = entry->d_name[0] == '.' || photo_list_add(names, entry->d_name, err);
    number = dir ? errno : number;
    file_wait_end(&wait);
    errno = number;
    if (number) {
        good = err_errno(err, "cannot read the folder %s", folder);
        if (err && is_share_error(number))
            err->code = ERR_PEER;
    }
    if (dir)
        closedir(dir);
    if (names->count)
        qsort(names->paths, names->count, sizeof *names->paths, by_name);
    return good;
}

static bool add_folder(struct photo_list *list, const char *folder, unsigned depth,
                       struct err *err) {
    struct photo_list names = {0};
    if (depth > DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "%s: more than %d folders deep", folder, DEPTH_MAX);
    bool good = list_names(&names, folder, err);
    for (size_t i = 0; good && i < names.count; i++)
        good = add_entry(list, folder, names.paths[i], depth, err);
    photo_list_fini(&names);
    return good;
}

// --- Arguments

static bool add_pattern(struct photo_list *list, const char *pattern, struct err *err) {
    glob_t found;
    struct file_wait wait;
    file_wait_begin(&wait, pattern);
    int failed = glob(pattern, GLOB_ERR | GLOB_TILDE, NULL, &found);
    file_wait_end(&wait);
    bool good = failed == 0;
    if (failed == GLOB_NOMATCH || (failed && errno == ENOENT))
        err_set(err, ERR_NOTFOUND, "nothing matches %s", pattern);
    else if (failed)
        err_errno(err, "cannot look for %s", pattern);
    for (size_t i = 0; good && i < found.gl_pathc; i++)
        good = photo_list_add(list, found.gl_pathv[i], err);
    if (!failed)
        globfree(&found);
    return good;
}

static bool add_argument(struct photo_list *list, const char *argument, struct err *err) {
    struct stat st;
    size_t before = list->count;
    struct file_wait wait;
    file_wait_begin(&wait, argument);
    int failed = stat(argument, &st);
    file_wait_end(&wait);
    if (failed) {
        int number = errno;
        if (number == ENOENT && strpbrk(argument, "*?["))
            return add_pattern(list, argument, err);
        err_errno(err, "cannot read %s", argument);
        if (err && (number == ENOENT || number == ENOTDIR))
            err->code = ERR_NOTFOUND;
        return false;
    }
    if (!S_ISDIR(st.st_mode))
        return photo_list_add(list, argument, err);
    if (!add_folder(list, argument, 0, err))
        return false;
    return list->count > before ||
           err_set(err, ERR_INVALID, "there are no pictures in %s (jpg, png, webp, heic, tif ...)",
                   argument);
}

bool photo_list_make(struct photo_list *list, char *const *arguments, size_t count,
                     struct err *err) {
    *list = (struct photo_list){0};
    for (size_t i = 0; i < count; i++)
        if (!add_argument(list, arguments[i], err)) {
            photo_list_fini(list);
            return false;
        }
    return true;
}

void photo_list_fini(struct photo_list *list) {
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->paths[i]);
    mem_free(list->paths);
    *list = (struct photo_list){0};
}

// --- Bytes

char *photo_load(const char *path, size_t most, size_t *length, struct err *err) {
    struct stat st;
    struct file_wait wait;
    char *bytes = NULL;
    file_wait_begin(&wait, path);
    if (stat(path, &st) != 0)
        err_errno(err, "cannot read %s", path);
    else if (!S_ISREG(st.st_mode))
        err_set(err, ERR_INVALID, "%s is not a file", path);
    else
        bytes = path_read_file(path, most, length, err);
    file_wait_end(&wait);
    int number = errno;
    if (bytes || !err || (err->code != ERR_SYSTEM))
        return bytes;
    if (number == ENOENT || number == ENOTDIR)
        err->code = ERR_NOTFOUND;
    else if (number == EACCES || number == EPERM)
        err->code = ERR_DENIED;
    else if (is_share_error(number))
        err->code = ERR_PEER;
    return NULL;
}
