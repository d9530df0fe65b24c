// ocr-share-files: looks at a folder of this machine, which may lie on another one (NFS, CIFS) and
// hang.
#include "base/mem.h"
#include "base/path.h"
#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *root;

static enum share_fault open_place(const struct helper_place *place, struct err *err) {
    struct stat st;
    if (stat(place->location, &st) == 0 && S_ISDIR(st.st_mode)) {
        root = mem_strdup(place->location);
        return SHARE_FINE;
    }
    // A folder that is not there is a share that was not mounted.
    err_errno(err, "%s", place->location);
    return errno == EACCES || errno == EPERM ? SHARE_DENIED : SHARE_UNREACHABLE;
}

static char *path_of(const char *path) {
    return path[0] ? path_join(root, path) : mem_strdup(root);
}

static char kind_of(mode_t mode) { return S_ISDIR(mode) ? 'd' : S_ISREG(mode) ? 'f' : 'o'; }

// A link to a folder could lead back up: it is neither.
static char kind_at(int folder, const char *name) {
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 'f'; // whoever reads it hears why
    if (!S_ISLNK(st.st_mode))
        return kind_of(st.st_mode);
    return fstatat(folder, name, &st, 0) == 0 && S_ISDIR(st.st_mode) ? 'o' : 'f';
}

static enum share_fault list_folder(const char *folder, helper_entry_fn *on_entry,
                                    struct err *err) {
    enum share_fault fault = SHARE_FINE;
    struct dirent *entry;
    char *path = path_of(folder);
    DIR *dir = opendir(path);
    mem_free(path);
    if (!dir)
        return helper_fault(errno, SHARE_FOLDER_MISSING, folder, err);
    for (errno = 0; (entry = readdir(dir)); errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !on_entry(kind_at(dirfd(dir), entry->d_name), entry->d_name))
            break;
    if (errno && !entry)
        fault = helper_fault(errno, SHARE_FOLDER_MISSING, folder, err);
    closedir(dir);
    return fault;
}

static enum share_fault look_at(const char *name, struct helper_info *info, struct err *err) {
    struct stat st;
    char *path = path_of(name);
    int failed = stat(path, &st);
    mem_free(path);
    if (failed)
        return helper_fault(errno, SHARE_FILE_MISSING, name, err);
    *info = (struct helper_info){kind_of(st.st_mode), (uint64_t)st.st_size};
    return SHARE_FINE;
}

static enum share_fault read_file(const char *name, uint64_t most, helper_bytes_fn *on_bytes,
                                  struct err *err) {
    struct stat st;
    char *path = path_of(name);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); // a pipe would wait for its other end
    enum share_fault fault;
    mem_free(path);
    if (fd < 0)
        return helper_fault(errno, SHARE_FILE_MISSING, name, err);
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        err_set(err, ERR_INVALID, "%s is not a file", name);
        fault = SHARE_FILE_MISSING;
    } else if ((uint64_t)st.st_size > most) {
        fault = helper_too_large(name, most, err);
    } else {
        fault = helper_copy(read, fd, name, most, on_bytes, err);
    }
    close(fd);
    return fault;
}

int main(void) {
    static const struct helper_ops ops = {open_place, list_folder, look_at, read_file};
    int status = helper_run(&ops);
    mem_free(root);
    return status;
}
