#define _GNU_SOURCE
#include "door.h"

#include "base/mem.h"
#include "base/str.h"
#include "http/host.h"
#include "http/keys.h"

#include <string.h>

enum { KEY_MAX = 256 };

struct door {
    struct http_keys *keys; // NULL: none are wanted
    char *hosts;            // allow-host
    char own[HTTP_HOST_MAX + 1];
};

static bool open_keys(struct door *door, const struct config *config, bool exposed,
                      struct err *err) {
    if (!config->api_key_file)
        return !exposed || err_set(err, ERR_DENIED,
                                   "others can reach %s; name a file of keys first: "
                                   "[server] api-key-file = FILE",
                                   config->listen_host);
    door->keys = http_keys_read(config->api_key_file, "", err);
    return door->keys != NULL;
}

struct door *door_create(const struct config *config, bool exposed, struct err *err) {
    struct door *door = mem_alloc(sizeof *door);
    door->hosts = mem_strdup(config->allow_host ? config->allow_host : "");
    http_own_name(door->own);
    if (open_keys(door, config, exposed, err))
        return door;
    door_destroy(door);
    return NULL;
}

void door_destroy(struct door *door) {
    if (!door)
        return;
    http_keys_destroy(door->keys);
    mem_free(door->hosts);
    mem_free(door);
}

// --- Host and Origin

static bool is_listed(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; (at = strcasestr(at, name)); at += length)
        if ((at == list || strchr(", ", at[-1])) && (!at[length] || strchr(", ", at[length])))
            return true;
    return false;
}

static bool host_fits(const struct door *door, struct span host) {
    char name[HTTP_HOST_MAX + 1];
    return http_host_name(host, name) &&
           (http_is_own(name, door->own) || is_listed(door->hosts, name));
}

static bool origin_fits(const struct door *door, const struct http_head *head) {
    const struct http_field *origin = http_head_find(head, "origin");
    char name[HTTP_HOST_MAX + 1];
    return !origin || (http_origin_once(head) && http_origin_name(origin->value, name) &&
                       (http_is_loopback(name) || is_listed(door->hosts, name)));
}

// --- Keys

static enum door_verdict check_key(const struct door *door, const struct http_head *head) {
    char query[KEY_MAX];
    struct span given = http_head_value(head, "x-goog-api-key");
    if (!given.length)
        given = http_head_value(head, "x-api-key");
    if (!given.length)
        given = http_head_bearer(head);
    if (!given.length && http_head_query(head, "key", query, sizeof query))
        given = span_of(query);
    if (!given.length)
        return DOOR_NO_KEY;
    return http_keys_fit(door->keys, given) ? DOOR_OPEN : DOOR_BAD_KEY;
}

enum door_verdict door_check(const struct door *door, const struct http_head *head) {
    if (!host_fits(door, http_head_value(head, "host")))
        return DOOR_BAD_HOST;
    if (!origin_fits(door, head))
        return DOOR_BAD_ORIGIN;
    return door->keys ? check_key(door, head) : DOOR_OPEN;
}

const char *door_says(enum door_verdict verdict) {
    switch (verdict) {
    case DOOR_NO_KEY: return "this server wants a key: x-goog-api-key, ?key= or a bearer";
    case DOOR_BAD_KEY: return "API key not valid. Please pass a valid API key.";
    case DOOR_BAD_HOST: return "the request is for another host; see [server] allow-host";
    case DOOR_BAD_ORIGIN: return "pages of other sites may not ask; see [server] allow-host";
    case DOOR_OPEN: break;
    }
    return "";
}
