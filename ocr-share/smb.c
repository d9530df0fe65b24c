// SPDX-License-Identifier: GPL-3.0-or-later
//
// ocr-share-smb: looks at an SMB share, by Samba's libsmbclient. That library is under the GPL, and
// so is this program, which is why it is one of its own; the rest of the house only writes to its
// pipe.
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <libsmbclient.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { URL_MAX = 16 * 1024, FOLDER_ATTRIBUTE = 0x10, SMB_PORT = 445 };

static struct {
    char *root; // smb://HOST/SHARE[/FOLDER], escaped
    char *user, *password, *workgroup;
    bool host_known;
} session;

// --- Names

// Every byte that a URL could take for something else.
static bool add_escaped(struct buf *out, const char *text) {
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./";
    bool good = true;
    for (; good && *text; text++)
        good = strchr(plain, *text) ? buf_add(out, text, 1)
                                    : buf_printf(out, "%%%02X", (unsigned char)*text);
    return good;
}

// The caller's.
static char *url_of(const char *path) {
    struct buf url;
    buf_init(&url, URL_MAX);
    if (!buf_adds(&url, session.root) || (path[0] && !buf_adds(&url, "/")) ||
        !add_escaped(&url, path))
        buf_clear(&url);
    char *text = mem_strdup(buf_text(&url));
    buf_fini(&url);
    return text;
}

static void log_in(SMBCCTX *context, const char *server, const char *share, char *workgroup,
                   int workgroup_size, char *user, int user_size, char *password,
                   int password_size) {
    if (session.workgroup[0])
        snprintf(workgroup, (size_t)workgroup_size, "%s", session.workgroup);
    snprintf(user, (size_t)user_size, "%s", session.user);
    snprintf(password, (size_t)password_size, "%s", session.password);
}

// --- Is anybody there?

static bool answers(const struct addrinfo *address, int timeout_ms, int *why) {
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    socklen_t size = sizeof *why;
    if (fd < 0)
        return false;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    *why = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (*why == EINPROGRESS && poll(&wait, 1, timeout_ms) != 1)
        *why = ETIMEDOUT;
    else if (*why == EINPROGRESS)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, why, &size);
    close(fd);
    return *why == 0;
}

// The library tells a machine that is off from a share that is not there in no certain way. A name
// that only NetBIOS knows is left to it.
static bool somebody_answers(const char *host, const struct helper_place *place, struct err *err) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char port[12];
    int why = ENOENT;
    bool good = false;
    snprintf(port, sizeof port, "%u", place->port ? place->port : SMB_PORT);
    session.host_known = getaddrinfo(host, port, &hints, &found) == 0;
    if (!session.host_known)
        return true;
    for (const struct addrinfo *at = found; at && !good; at = at->ai_next)
        good = answers(at, (int)place->timeout_ms, &why);
    freeaddrinfo(found);
    errno = why;
    return good || err_errno(err, "%s port %s", host, port);
}

// --- The share

static enum share_fault fault_of_share(int number, const char *what, struct err *err) {
    if (number == EACCES || number == EPERM) {
        err_set(err, ERR_DENIED, "%s: %s is not let in", what,
                session.user[0] ? session.user : "a guest");
        return SHARE_DENIED;
    }
    if (!session.host_known) {
        err_set(err, ERR_PEER, "%s: no machine of this name is known", what);
        return SHARE_UNREACHABLE;
    }
    errno = number;
    err_errno(err, "%s", what);
    return number == ENOENT || number == ENODEV || number == ENOTDIR || number == EINVAL
               ? SHARE_MISSING
               : SHARE_UNREACHABLE;
}

static bool start_library(const struct helper_place *place, struct err *err) {
    SMBCCTX *context = smbc_new_context();
    if (!context)
        return err_errno(err, "libsmbclient");
    smbc_setOptionUserData(context, &session);
    smbc_setFunctionAuthDataWithContext(context, log_in);
    smbc_setTimeout(context, (int)place->timeout_ms);
    smbc_setOptionUseKerberos(context, 0); // asks name servers for a realm, and waits for them
    smbc_setOptionNoAutoAnonymousLogin(context, place->user[0] != '\0');
    smbc_setOptionUrlEncodeReaddirEntries(context, 0);
    if (place->port)
        smbc_setPort(context, (uint16_t)place->port);
    if (!smbc_init_context(context))
        return err_errno(err, "libsmbclient");
    smbc_set_context(context);
    return true;
}

static enum share_fault open_place(const struct helper_place *place, struct err *err) {
    struct buf root;
    struct stat st;
    char host[256];
    const char *name = place->location + strlen("smb://");
    if (!str_starts(place->location, "smb://") || strcspn(name, "/") >= sizeof host) {
        err_set(err, ERR_INVALID, "%s is no smb://HOST/SHARE", place->location);
        return SHARE_SETUP;
    }
    snprintf(host, sizeof host, "%.*s", (int)strcspn(name, "/"), name);
    if (!somebody_answers(host, place, err))
        return SHARE_UNREACHABLE;
    session.user = mem_strdup(place->user);
    session.password = mem_strdup(place->password);
    session.workgroup = mem_strdup(place->workgroup);
    if (!start_library(place, err))
        return SHARE_SETUP;
    buf_init(&root, URL_MAX);
    if (!buf_adds(&root, "smb://") || !add_escaped(&root, name))
        buf_clear(&root);
    session.root = mem_strdup(buf_text(&root));
    buf_fini(&root);
    if (smbc_stat(session.root, &st) != 0)
        return fault_of_share(errno, place->location, err);
    return SHARE_FINE;
}

// --- What is in it

static enum share_fault list_folder(const char *folder, helper_entry_fn *on_entry,
                                    struct err *err) {
    const struct libsmb_file_info *entry;
    char *url = url_of(folder);
    int dir = smbc_opendir(url);
    mem_free(url);
    if (dir < 0)
        return helper_fault(errno, SHARE_FOLDER_MISSING, folder, err);
    for (errno = 0; (entry = smbc_readdirplus((unsigned)dir)); errno = 0)
        if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0 &&
            !on_entry(entry->attrs & FOLDER_ATTRIBUTE ? 'd' : 'f', entry->name))
            break;
    int number = entry ? 0 : errno;
    smbc_closedir(dir);
    return number ? helper_fault(number, SHARE_FOLDER_MISSING, folder, err) : SHARE_FINE;
}

static enum share_fault look_at(const char *path, struct helper_info *info, struct err *err) {
    struct stat st;
    char *url = url_of(path);
    int failed = smbc_stat(url, &st);
    mem_free(url);
    if (failed)
        return helper_fault(errno, SHARE_FILE_MISSING, path, err);
    *info = (struct helper_info){S_ISDIR(st.st_mode) ? 'd' : 'f', (uint64_t)st.st_size};
    return SHARE_FINE;
}

static enum share_fault read_file(const char *path, uint64_t most, helper_bytes_fn *on_bytes,
                                  struct err *err) {
    struct stat st;
    char *url = url_of(path);
    int fd = smbc_open(url, O_RDONLY, 0);
    mem_free(url);
    if (fd < 0)
        return helper_fault(errno, SHARE_FILE_MISSING, path, err);
    enum share_fault fault = smbc_fstat(fd, &st) == 0 && (uint64_t)st.st_size > most
                                 ? helper_too_large(path, most, err)
                                 : helper_copy(smbc_read, fd, path, most, on_bytes, err);
    smbc_close(fd);
    return fault;
}

// What it holds goes with the process: to say goodbye to a server that hangs would hang, too.
int main(void) {
    static const struct helper_ops ops = {open_place, list_folder, look_at, read_file};
    _exit(helper_run(&ops));
}
