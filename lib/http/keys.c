#include "http/keys.h"

#include "base/mem.h"
#include "base/path.h"
#include "http/head.h"

#include <string.h>

enum { MAX_KEY_FILE = 64 * 1024 };

struct http_keys {
    char *lines;
};

// The next line that holds a key, without the blanks around it; false at the end.
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

static struct http_keys *take(char *lines) {
    struct http_keys *keys = mem_alloc(sizeof *keys);
    keys->lines = lines;
    return keys;
}

struct http_keys *http_keys_of(const char *lines) {
    return take(mem_strdup(lines));
}

struct span http_keys_first(const struct http_keys *keys) {
    const char *at = keys->lines;
    struct span first;
    return next_key(&at, &first) ? first : (struct span){0};
}

struct http_keys *http_keys_read(const char *path, const char *advice, struct err *err) {
    struct span first;
    char *lines = path_read_private(path, MAX_KEY_FILE, NULL, err);
    if (!lines)
        return NULL;
    struct http_keys *keys = take(lines);
    const char *at = lines;
    if (next_key(&at, &first))
        return keys;
    err_set(err, ERR_INVALID, "%s holds no key; write one a line%s", path, advice);
    http_keys_destroy(keys);
    return NULL;
}

void http_keys_destroy(struct http_keys *keys) {
    if (!keys)
        return;
    mem_wipe(keys->lines, strlen(keys->lines));
    mem_free(keys->lines);
    mem_free(keys);
}

bool http_keys_fit(const struct http_keys *keys, struct span given) {
    bool fits = false;
    const char *at = keys->lines;
    struct span line;
    while (next_key(&at, &line)) { // every line is compared
        char *key = mem_strndup(line.data, line.length);
        fits |= str_equal_secret(key, given);
        mem_wipe(key, line.length);
        mem_free(key);
    }
    return fits;
}

struct span http_head_bearer(const struct http_head *head) {
    struct span value = http_head_value(head, "authorization");
    struct span scheme = {value.data, value.length < 7 ? value.length : 7};
    return span_is_nocase(scheme, "bearer ")
               ? span_trim((struct span){value.data + 7, value.length - 7})
               : (struct span){NULL, 0};
}
