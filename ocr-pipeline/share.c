#include "share.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 10000, PATIENCE_MS = 30 * 60 * 1000 };

#define SMB "smb://"

void share_init(struct share *share, const char *name) {
    *share = (struct share){
        .name = mem_strdup(name), .timeout_ms = TIMEOUT_MS, .patience_ms = PATIENCE_MS};
}

void share_fini(struct share *share) {
    mem_free(share->name);
    mem_free(share->location);
    mem_free(share->credentials);
    mem_free(share->workgroup);
    *share = (struct share){0};
}

bool share_is_smb(const struct share *share) { return str_starts(share->location, SMB); }

bool share_key_is_path(const char *key) {
    return strcmp(key, "path") == 0 || strcmp(key, "credentials") == 0;
}

// --- smb://HOST[:PORT]/SHARE[/FOLDER]

// Escapes of a URL, where they are some, become what they stand for; NUL is none.
static char *unescape(const char *text) {
    char *plain = mem_alloc(strlen(text) + 1), *out = plain;
    for (; *text; text++) {
        int high = *text == '%' ? str_hex_digit(text[1]) : -1,
            low = high >= 0 ? str_hex_digit(text[2]) : -1;
        bool escape = low >= 0 && high + low > 0;
        *out++ = escape ? (char)(16 * high + low) : *text;
        text += escape ? 2 : 0;
    }
    return plain;
}

static bool set_port(struct share *share, const char *text, struct err *err) {
    int64_t port;
    if (!str_to_int(text, 1, 65535, &port))
        return err_set(err, ERR_INVALID, "port \"%.40s\" is not a whole number from 1 to 65535",
                       text);
    share->port = (unsigned)port;
    return true;
}

static bool set_url(struct share *share, const char *url, struct err *err) {
    static const char how[] = "write smb://HOST/SHARE or smb://HOST/SHARE/FOLDER";
    if (!str_starts(url, SMB))
        return err_set(err, ERR_INVALID, "\"%.120s\" is no URL of a share; %s", url, how);
    const char *host = url + strlen(SMB), *slash = strchr(host, '/');
    size_t length = slash ? (size_t)(slash - host) : 0;
    if (memchr(host, '@', length))
        return err_set(err, ERR_INVALID,
                       "users and passwords do not stand in a URL; name a file that only you can "
                       "read: credentials = FILE");
    const char *colon = memchr(host, ':', length);
    size_t name = colon ? (size_t)(colon - host) : length;
    char *port = mem_strndup(host, length), *path = unescape(slash ? slash + 1 : "");
    bool good = !colon || set_port(share, port + name + 1, err);
    while (str_ends(path, "/"))
        path[strlen(path) - 1] = '\0';
    if (good && (name == 0 || !path[0] || path[0] == '/' || !share_path_is_inside(path)))
        good = err_set(err, ERR_INVALID, "\"%.120s\" names no share; %s", url, how);
    if (good) {
        mem_free(share->location);
        share->location = mem_printf(SMB "%.*s/%s", (int)name, host, path);
    }
    mem_free(port);
    mem_free(path);
    return good;
}

// --- Settings

static bool set_path(struct share *share, const char *path, struct err *err) {
    if (share->location)
        return err_set(err, ERR_INVALID, "a share has a path or a url, one of them");
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    share->location = mem_strndup(path, length);
    return true;
}

static bool set_time(int64_t *out, int64_t least_ms, const char *key, const char *value,
                     struct err *err) {
    return (str_to_duration_ms(value, out) && *out >= least_ms && *out <= 86400000) ||
           err_set(err, ERR_INVALID, "%s \"%.40s\" is not a time such as 10s, 5m or 1h", key,
                   value);
}

static void replace(char **member, const char *value) {
    mem_free(*member);
    *member = mem_strdup(value);
}

bool share_set(struct share *share, const char *key, const char *value, struct err *err) {
    if (!value[0])
        return err_set(err, ERR_INVALID, "%s needs a value", key);
    if (strcmp(key, "path") == 0)
        return set_path(share, value, err);
    if (strcmp(key, "url") == 0 && share->location)
        return err_set(err, ERR_INVALID, "a share has a path or a url, one of them");
    if (strcmp(key, "url") == 0)
        return set_url(share, value, err);
    if (strcmp(key, "port") == 0)
        return set_port(share, value, err);
    if (strcmp(key, "timeout") == 0)
        return set_time(&share->timeout_ms, 100, key, value, err);
    if (strcmp(key, "patience") == 0)
        return set_time(&share->patience_ms, 0, key, value, err);
    if (strcmp(key, "credentials") == 0)
        replace(&share->credentials, value);
    else if (strcmp(key, "workgroup") == 0)
        replace(&share->workgroup, value);
    else
        return err_set(err, ERR_INVALID,
                       "[share NAME] has no \"%.60s\"; it has path or url, and credentials, "
                       "workgroup, port, timeout, patience",
                       key);
    return true;
}

bool share_check(const struct share *share, struct err *err) {
    if (!share->location)
        return err_set(err, ERR_INVALID, "[share NAME] needs path = FOLDER or url = smb://...");
    if (!share_is_smb(share) && (share->credentials || share->workgroup || share->port))
        return err_set(err, ERR_INVALID,
                       "credentials, workgroup and port are of a share with a url");
    return true;
}

void share_adopt(struct share *share, const struct share *other) {
    replace(&share->credentials, other->credentials);
    replace(&share->workgroup, other->workgroup);
    share->port = share->port ? share->port : other->port;
    share->timeout_ms = other->timeout_ms;
    share->patience_ms = other->patience_ms;
}

// --- Paths

const char *share_path_of(const struct share *share, const char *source) {
    size_t length = strlen(share->location);
    if (strcmp(share->location, "/") == 0 && source[0] == '/')
        return source + 1;
    if (strncmp(source, share->location, length) != 0 || source[length] != '/')
        return NULL;
    return source + length + 1;
}

// --- Faults

static const struct {
    enum share_fault fault;
    const char *code;
    enum err_code kind;
    bool whole;
} faults[] = {
    {SHARE_UNREACHABLE, "SHARE_UNREACHABLE", ERR_PEER, true},
    {SHARE_DENIED, "SHARE_DENIED", ERR_DENIED, true},
    {SHARE_MISSING, "SHARE_MISSING", ERR_NOTFOUND, true},
    {SHARE_SETUP, "SHARE_SETUP", ERR_SYSTEM, true},
    {SHARE_FOLDER_MISSING, "FOLDER_MISSING", ERR_NOTFOUND, false},
    {SHARE_FOLDER_EMPTY, "FOLDER_EMPTY", ERR_NOTFOUND, false},
    {SHARE_FILE_MISSING, "FILE_MISSING", ERR_NOTFOUND, false},
    {SHARE_FILE_DENIED, "FILE_DENIED", ERR_DENIED, false},
    {SHARE_TOO_LARGE, "TOO_LARGE", ERR_LIMIT, false},
};

enum { FAULTS = sizeof faults / sizeof *faults };

// What a helper sends that is none of them is the helper's fault.
static size_t fault_index(enum share_fault fault) {
    for (size_t i = 0; i < FAULTS; i++)
        if (faults[i].fault == fault)
            return i;
    return 0;
}

const char *share_fault_code(enum share_fault fault) { return faults[fault_index(fault)].code; }

enum err_code share_fault_kind(enum share_fault fault) { return faults[fault_index(fault)].kind; }

bool share_fault_is_whole(enum share_fault fault) {
    return fault != SHARE_FINE && faults[fault_index(fault)].whole;
}
