#define _GNU_SOURCE
#include "door.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOST_MAX = 255, KEY_FILE_MAX = 64 * 1024, KEY_MAX = 256 };

struct door {
    char *keys;  // lines; NULL: none are wanted
    char *hosts; // allow-host
    char own[HOST_MAX + 1];
};

static bool read_keys(struct door *door, const char *path, struct err *err) {
    struct stat st;
    if (stat(path, &st) != 0)
        return err_errno(err, "cannot look at the key file %s", path);
    if (st.st_mode & 077)
        return err_set(err, ERR_DENIED, "%s can be read by others; run: chmod 600 %s", path, path);
    door->keys = path_read_file(path, KEY_FILE_MAX, NULL, err);
    for (const char *at = door->keys; at && *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (at[strspn(at, " \t\r")] != '\n' && at[strspn(at, " \t\r")] != '#' &&
            at[strspn(at, " \t\r")])
            return true;
    return door->keys && err_set(err, ERR_INVALID, "%s holds no key; write one a line", path);
}

struct door *door_create(const struct config *config, bool exposed, struct err *err) {
    struct door *door = mem_alloc(sizeof *door);
    door->hosts = mem_strdup(config->allow_host ? config->allow_host : "");
    gethostname(door->own, HOST_MAX);
    if (config->api_key_file
            ? read_keys(door, config->api_key_file, err)
            : !exposed || err_set(err, ERR_DENIED,
                                  "others can reach %s; name a file of keys first: "
                                  "[server] api-key-file = FILE",
                                  config->listen_host))
        return door;
    door_destroy(door);
    return NULL;
}

void door_destroy(struct door *door) {
    if (!door)
        return;
    if (door->keys)
        mem_wipe(door->keys, strlen(door->keys));
    mem_free(door->keys);
    mem_free(door->hosts);
    mem_free(door);
}

// --- Host and Origin

static bool is_address(const char *name) {
    unsigned char binary[16];
    return inet_pton(AF_INET, name, binary) == 1 || inet_pton(AF_INET6, name, binary) == 1;
}

static bool is_loopback(const char *name) {
    struct in_addr v4;
    return strcasecmp(name, "localhost") == 0 || strcmp(name, "::1") == 0 ||
           (inet_pton(AF_INET, name, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127);
}

// "name:port", "[::1]:port" -> the name; "" when it is no name that could be ours.
static void name_of(struct span host, char out[HOST_MAX + 1]) {
    const char *close =
        host.length && host.data[0] == '[' ? memchr(host.data, ']', host.length) : NULL;
    const char *colon = close ? NULL : memchr(host.data ? host.data : "", ':', host.length);
    struct span name = host;
    out[0] = '\0';
    if (close)
        name = (struct span){host.data + 1, (size_t)(close - host.data) - 1};
    else if (colon)
        name.length = (size_t)(colon - host.data);
    struct span rest = {NULL, 0};
    if (close || colon)
        rest = (struct span){close ? close + 1 : colon,
                             (size_t)(host.data + host.length - (close ? close + 1 : colon))};
    for (size_t i = 0; i < rest.length; i++)
        if (i == 0 ? rest.data[i] != ':' : rest.data[i] < '0' || rest.data[i] > '9')
            return;
    if (name.length == 0 || name.length > HOST_MAX)
        return;
    memcpy(out, name.data, name.length);
    out[name.length] = '\0';
}

static bool is_listed(const char *list, const char *name) {
    size_t length = strlen(name);
    for (const char *at = list; (at = strcasestr(at, name)); at += length)
        if ((at == list || strchr(", ", at[-1])) && (!at[length] || strchr(", ", at[length])))
            return true;
    return false;
}

static bool host_fits(const struct door *door, struct span host) {
    char name[HOST_MAX + 1];
    name_of(host, name);
    return name[0] && (is_address(name) || is_loopback(name) || strcasecmp(name, door->own) == 0 ||
                       is_listed(door->hosts, name));
}

static bool origin_fits(const struct door *door, const struct http_head *head) {
    const struct http_field *origin = http_head_find(head, "origin");
    if (!origin)
        return true;
    const char *slashes = memmem(origin->value.data, origin->value.length, "://", 3);
    if (!slashes)
        return false;
    char name[HOST_MAX + 1];
    name_of((struct span){slashes + 3,
                          origin->value.length - (size_t)(slashes + 3 - origin->value.data)},
            name);
    return is_loopback(name) || (name[0] && is_listed(door->hosts, name));
}

// --- Keys

static bool key_fits(const struct door *door, struct span given) {
    bool fits = false;
    for (const char *at = door->keys; *at; at += *at == '\n') { // all of them: time tells nothing
        size_t length = strcspn(at, "\n");
        struct span line = span_trim((struct span){at, length});
        if (line.length && line.data[line.length - 1] == '\r')
            line.length--;
        char *key = mem_strndup(line.data, line.length);
        if (line.length && line.data[0] != '#')
            fits |= str_equal_secret(key, given);
        mem_wipe(key, line.length);
        mem_free(key);
        at += length;
    }
    return fits;
}

static enum door_verdict check_key(const struct door *door, const struct http_head *head) {
    char query[KEY_MAX];
    struct span bearer = http_head_value(head, "authorization");
    struct span given = http_head_value(head, "x-goog-api-key");
    if (!given.length)
        given = http_head_value(head, "x-api-key");
    if (!given.length && bearer.length > 7 && strncasecmp(bearer.data, "bearer ", 7) == 0)
        given = span_trim((struct span){bearer.data + 7, bearer.length - 7});
    if (!given.length && http_head_query(head, "key", query, sizeof query))
        given = span_of(query);
    if (!given.length)
        return DOOR_NO_KEY;
    return key_fits(door, given) ? DOOR_OPEN : DOOR_BAD_KEY;
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
