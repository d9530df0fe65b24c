#define _GNU_SOURCE
#include "guard.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "http/host.h"
#include "http/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { KEY_BYTES = (GUARD_KEY_SIZE - 4) / 2 };

struct guard {
    const struct config *config;
    struct http_keys *keys; // NULL when no key is wanted
    char host_name[HTTP_HOST_MAX + 1];
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

static bool make_key_file(const char *path, struct err *err) {
    char key[GUARD_KEY_SIZE + 1];
    if (!guard_make_key(key, err))
        return false;
    strncat(key, "\n", sizeof key - strlen(key) - 1);
    char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    bool ok = path_make_private(folder, err) && path_write_file(path, key, strlen(key), 0600, err);
    mem_free(folder);
    if (ok)
        log_info("guard.key made=\"%s\"", path);
    return ok;
}

static struct http_keys *read_keys(const char *path, struct err *err) {
    if (access(path, F_OK) != 0 && errno == ENOENT && !make_key_file(path, err))
        return NULL;
    return http_keys_read(path, ", or remove it to get a new one", err);
}

struct guard *guard_create(const struct config *config, bool exposed, struct err *err) {
    struct guard *guard = mem_alloc(sizeof *guard);
    guard->config = config;
    http_own_name(guard->host_name);
    guard->keys = config->own_key ? http_keys_of(config->own_key) : NULL;
    if (exposed && !guard->keys && !(guard->keys = read_keys(config->api_key_file, err))) {
        mem_free(guard);
        return NULL;
    }
    return guard;
}

void guard_destroy(struct guard *guard) {
    if (!guard)
        return;
    http_keys_destroy(guard->keys);
    mem_free(guard);
}

bool guard_wants_key(const struct guard *guard) { return guard->keys != NULL; }

static bool host_allowed(const struct guard *guard, struct span host) {
    char name[HTTP_HOST_MAX + 1];
    if (!http_host_name(host, name))
        return false;
    for (char **allowed = guard->config->allow_hosts; *allowed; allowed++)
        if (strcasecmp(name, *allowed) == 0)
            return true;
    return http_is_own(name, guard->host_name);
}

bool guard_origin_allowed(const struct guard *guard, struct span origin) {
    char name[HTTP_HOST_MAX + 1];
    for (char **allowed = guard->config->allow_origins; *allowed; allowed++)
        if (strcmp(*allowed, "*") == 0 || span_is_nocase(origin, *allowed))
            return true;
    return http_origin_name(origin, name) && http_is_loopback(name);
}

static bool has_key(const struct guard *guard, const struct http_head *head) {
    struct span bearer = http_head_bearer(head), plain = http_head_value(head, "x-api-key");
    return (bearer.length && http_keys_fit(guard->keys, bearer)) ||
           (plain.length && http_keys_fit(guard->keys, plain));
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
    if (!http_origin_once(head)) {
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
