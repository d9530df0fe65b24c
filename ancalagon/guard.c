#define _GNU_SOURCE
#include "guard.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_BYTES = (GUARD_KEY_SIZE - 4) / 2, MAX_KEY_FILE = 64 * 1024, MAX_HOST = 255 };

struct guard {
    const struct config *config;
    char *keys; // lines of the key file, NULL when no key is wanted
    char host_name[MAX_HOST + 1];
};

bool guard_make_key(char key[GUARD_KEY_SIZE], struct err *err) {
    unsigned char random[KEY_BYTES];
    if (getentropy(random, sizeof random) != 0)
        return err_errno(err, "cannot get random bytes for an API key");
    snprintf(key, GUARD_KEY_SIZE, "sk-");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(key + 3 + 2 * i, 3, "%02x", random[i]);
    return true;
}

static char *make_key_file(const char *path, struct err *err) {
    char key[GUARD_KEY_SIZE + 1];
    if (!guard_make_key(key, err))
        return NULL;
    strncat(key, "\n", sizeof key - strlen(key) - 1);
    char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    bool ok = path_make_private(folder, err) && path_write_file(path, key, strlen(key), 0600, err);
    mem_free(folder);
    if (!ok)
        return NULL;
    log_info("guard.key made=\"%s\"", path);
    return mem_strdup(key);
}

// The next line of a key file that holds a key, without the blanks around it; false at the end.
static bool next_key(const char **at, struct span *key) {
    while (**at) {
        size_t length = strcspn(*at, "\r\n");
        *key = span_trim((struct span){*at, length});
        *at += length;
        *at += strspn(*at, "\r\n");
        if (key->length && key->data[0] != '#')
            return true;
    }
    return false;
}

static char *read_keys(const char *path, struct err *err) {
    struct stat st;
    if (stat(path, &st) != 0)
        return errno == ENOENT ? make_key_file(path, err)
                               : (err_errno(err, "cannot look at %s", path), NULL);
    if (st.st_mode & 077) {
        err_set(err, ERR_DENIED, "%s can be read by others; run: chmod 600 %s", path, path);
        return NULL;
    }
    char *keys = path_read_file(path, MAX_KEY_FILE, NULL, err);
    const char *at = keys;
    struct span first;
    if (keys && !next_key(&at, &first)) {
        err_set(err, ERR_INVALID,
                "%s holds no key; write one a line, or remove it to get a new one", path);
        mem_free(keys);
        return NULL;
    }
    return keys;
}

struct guard *guard_create(const struct config *config, bool exposed, struct err *err) {
    struct guard *guard = mem_alloc(sizeof *guard);
    guard->config = config;
    gethostname(guard->host_name, MAX_HOST);
    guard->keys = mem_strdup(config->own_key);
    if (exposed && !guard->keys && !(guard->keys = read_keys(config->api_key_file, err))) {
        mem_free(guard);
        return NULL;
    }
    return guard;
}

void guard_destroy(struct guard *guard) {
    if (!guard)
        return;
    if (guard->keys)
        mem_wipe(guard->keys, strlen(guard->keys));
    mem_free(guard->keys);
    mem_free(guard);
}

bool guard_wants_key(const struct guard *guard) { return guard->keys != NULL; }

static bool is_port(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return length <= 5;
}

// Only what names and addresses are made of. A path, a fragment or a user in front of an innocent
// ending is none of it, nor is a name with an empty label.
static bool is_host(struct span host, bool bracketed) {
    for (size_t i = 0; i < host.length; i++) {
        char c = host.data[i], folded = (char)(c | 0x20);
        bool digit = c >= '0' && c <= '9', dot = c == '.';
        bool good = bracketed
                        ? digit || dot || c == ':' || (folded >= 'a' && folded <= 'f')
                        : digit || dot || c == '-' || c == '_' || (folded >= 'a' && folded <= 'z');
        if (!good || (dot && (i == 0 || host.data[i - 1] == '.')))
            return false;
    }
    return host.length > 0 && host.length <= MAX_HOST;
}

// "name:port", "[::1]:port" -> the name, lower case, without brackets; empty when malformed.
static void host_name_of(struct span host, char out[MAX_HOST + 1]) {
    out[0] = '\0';
    if (!host.data || host.length == 0)
        return;
    const char *colon = str_last(host.data, host.length, ':');
    const char *bracket = memchr(host.data, ']', host.length);
    if (colon && (!bracket || colon > bracket)) {
        if (!is_port(colon + 1, host.length - (size_t)(colon + 1 - host.data)))
            return;
        host.length = (size_t)(colon - host.data);
    }
    bool bracketed = host.length > 2 && host.data[0] == '[';
    if (bracketed) {
        if (host.data[host.length - 1] != ']')
            return;
        host = (struct span){host.data + 1, host.length - 2};
    } else if (host.length && host.data[host.length - 1] == '.') {
        host.length--;
    }
    if (!is_host(host, bracketed))
        return;
    for (size_t i = 0; i < host.length; i++) {
        char c = host.data[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out[host.length] = '\0';
}

static bool is_ip(const char *name) {
    unsigned char address[16];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static bool is_loopback(const char *name) {
    struct in_addr v4;
    if (strcmp(name, "localhost") == 0 || str_ends(name, ".localhost") || strcmp(name, "::1") == 0)
        return true;
    return inet_pton(AF_INET, name, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

static bool host_allowed(const struct guard *guard, struct span host) {
    char name[MAX_HOST + 1], local[MAX_HOST + 8];
    host_name_of(host, name);
    if (!name[0])
        return false;
    if (is_ip(name) || is_loopback(name) || strcasecmp(name, guard->host_name) == 0)
        return true;
    snprintf(local, sizeof local, "%s.local", guard->host_name);
    if (strcasecmp(name, local) == 0)
        return true;
    for (char **allowed = guard->config->allow_hosts; *allowed; allowed++)
        if (strcasecmp(name, *allowed) == 0)
            return true;
    return false;
}

bool guard_origin_allowed(const struct guard *guard, struct span origin) {
    for (char **allowed = guard->config->allow_origins; *allowed; allowed++)
        if (strcmp(*allowed, "*") == 0 || span_is_nocase(origin, *allowed))
            return true;
    const char *slashes = memmem(origin.data, origin.length, "://", 3);
    struct span scheme = {origin.data, slashes ? (size_t)(slashes - origin.data) : 0};
    if (!span_is(scheme, "http") && !span_is(scheme, "https"))
        return false;
    char name[MAX_HOST + 1];
    host_name_of((struct span){slashes + 3, origin.length - scheme.length - 3}, name);
    return is_loopback(name);
}

// A browser sends one; a second one was put there by somebody else.
static bool origin_once(const struct http_head *head) {
    unsigned count = 0;
    for (size_t i = 0; i < head->field_count; i++)
        count += span_is_nocase(head->fields[i].name, "origin");
    return count <= 1;
}

static bool key_fits(const struct guard *guard, struct span given) {
    bool fits = false;
    const char *at = guard->keys;
    struct span line;
    while (next_key(&at, &line)) { // every line is compared, so that time tells nothing
        char *key = mem_strndup(line.data, line.length);
        fits |= str_equal_secret(key, given);
        mem_wipe(key, line.length);
        mem_free(key);
    }
    return fits;
}

static bool has_key(const struct guard *guard, const struct http_head *head) {
    struct span bearer = http_head_value(head, "authorization");
    struct span scheme = {bearer.data, bearer.length < 7 ? bearer.length : 7};
    if (span_is_nocase(scheme, "bearer ") &&
        key_fits(guard, span_trim((struct span){bearer.data + 7, bearer.length - 7})))
        return true;
    struct span plain = http_head_value(head, "x-api-key");
    return plain.length && key_fits(guard, plain);
}

enum guard_verdict guard_check(const struct guard *guard, const struct http_head *head,
                               struct err *why) {
    const struct http_field *host = http_head_find(head, "host");
    const struct http_field *origin = http_head_find(head, "origin");
    if (host && !host_allowed(guard, host->value)) {
        err_set(why, ERR_DENIED,
                "this server does not answer to the name \"%.*s\"; add it as allow-host in "
                "[server] if it is yours",
                (int)(host->value.length > 80 ? 80 : host->value.length), host->value.data);
        return GUARD_BAD_HOST;
    }
    if (!origin_once(head)) {
        err_set(why, ERR_DENIED, "a request has one Origin header at most");
        return GUARD_BAD_ORIGIN;
    }
    if (origin && !guard_origin_allowed(guard, origin->value)) {
        err_set(why, ERR_DENIED,
                "pages from \"%.*s\" may not use this server; add it as allow-origin in [server] "
                "if it is yours",
                (int)(origin->value.length > 80 ? 80 : origin->value.length), origin->value.data);
        return GUARD_BAD_ORIGIN;
    }
    if (guard->keys && !span_is(head->method, "OPTIONS") && !has_key(guard, head)) {
        err_set(why, ERR_DENIED,
                "an API key is needed: Authorization: Bearer KEY, or x-api-key: KEY (the key is "
                "in the server's api-key-file)");
        return GUARD_NO_KEY;
    }
    return GUARD_PASS;
}
