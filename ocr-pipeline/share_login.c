#include "share_login.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <string.h>

enum { FILE_MAX = 64 * 1024 };

static char **member_of(struct share_login *login, struct span key) {
    if (span_is(key, "username") || span_is(key, "user"))
        return &login->user;
    if (span_is(key, "password") || span_is(key, "pass"))
        return &login->password;
    return span_is(key, "domain") || span_is(key, "workgroup") ? &login->workgroup : NULL;
}

// Blanks belong to a password, but not around a key.
static bool take_line(struct share_login *login, struct span line) {
    const char *equals = line.length ? memchr(line.data, '=', line.length) : NULL;
    if (span_trim(line).length == 0 || line.data[0] == '#')
        return true;
    if (!equals)
        return false;
    size_t at = (size_t)(equals - line.data) + 1;
    char **member = member_of(login, span_trim((struct span){line.data, at - 1}));
    if (!member)
        return false;
    mem_free(*member);
    *member = mem_strndup(line.data + at, line.length - at);
    return true;
}

static bool take_file(struct share_login *login, const char *path, const char *text,
                      struct err *err) {
    unsigned number = 1;
    for (const char *at = text; *at; number++) {
        struct span line = {at, strcspn(at, "\r\n")};
        if (!take_line(login, line))
            return err_set(err, ERR_INVALID,
                           "%s:%u: a line is username=, password= or domain=, and its value", path,
                           number);
        at += line.length;
        at += *at == '\r';
        at += *at == '\n';
    }
    return login->user[0] || err_set(err, ERR_INVALID, "%s has no username=", path);
}

static bool read_file(struct share_login *login, const char *path, struct err *err) {
    size_t length;
    char *text = path_read_private(path, FILE_MAX, &length, err);
    if (!text)
        return false;
    bool good = take_file(login, path, text, err);
    mem_wipe(text, length);
    mem_free(text);
    return good;
}

bool share_login_read(const struct share *share, struct share_login *login, struct err *err) {
    *login = (struct share_login){mem_strdup(""), mem_strdup(""), mem_strdup("")};
    bool good = !share->credentials || read_file(login, share->credentials, err);
    if (good && share->workgroup) {
        mem_free(login->workgroup);
        login->workgroup = mem_strdup(share->workgroup);
    }
    if (!good)
        share_login_fini(login);
    return good;
}

void share_login_fini(struct share_login *login) {
    if (login->password)
        mem_wipe(login->password, strlen(login->password));
    mem_free(login->user);
    mem_free(login->password);
    mem_free(login->workgroup);
    *login = (struct share_login){0};
}
