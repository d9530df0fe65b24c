#define _GNU_SOURCE
#include "http/where.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static bool take(char *out, size_t size, const char *from, size_t length) {
    if (length >= size)
        return false;
    memcpy(out, from, length);
    out[length] = '\0';
    return true;
}

static size_t cut_behind(const char *path, size_t length, const char *end) {
    size_t n = strlen(end);
    bool has = length >= n && memcmp(path + length - n, end, n) == 0;
    return has ? length - n : length;
}

// Our paths bring their own "/v1"; people paste the address with it, or a whole endpoint.
static bool take_prefix(struct where *where, const char *path) {
    static const char *const ends[] = {"/v1/chat/completions", "/v1/completions", "/v1/messages",
                                       "/v1/models", "/v1"};
    size_t length = strlen(path), before;
    while (length && path[length - 1] == '/')
        length--;
    before = length;
    for (size_t i = 0; i < sizeof ends / sizeof *ends && length == before; i++)
        length = cut_behind(path, length, ends[i]);
    while (length && path[length - 1] == '/')
        length--;
    for (size_t i = 0; i < length; i++)
        if (path[i] <= ' ' || path[i] > '~' || path[i] == '?' || path[i] == '#')
            return false;
    return take(where->prefix, sizeof where->prefix, path, length);
}

static bool take_port(struct where *where, const char *text, size_t length) {
    char digits[8];
    int64_t port;
    if (!take(digits, sizeof digits, text, length) || !str_to_int(digits, 1, 65535, &port))
        return false;
    where->port = (unsigned)port;
    return true;
}

static bool split(struct where *where, const char *text) {
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    const char *close = text[0] == '[' ? memchr(text, ']', length) : NULL;
    const char *rest = close ? close + 1 : text, *end = text + length;
    const char *colon = memchr(rest, ':', (size_t)(end - rest));
    if (close && rest < end && rest != colon)
        return false;
    if ((slash && !take_prefix(where, slash)) || (text[0] == '[' && !close))
        return false;
    if (close) {
        if (colon && !take_port(where, colon + 1, (size_t)(text + length - colon - 1)))
            return false;
        return take(where->host, sizeof where->host, text + 1, (size_t)(close - text - 1));
    }
    bool bare_v6 = colon && memchr(colon + 1, ':', (size_t)(text + length - colon - 1));
    if (colon && !bare_v6) {
        if (!take_port(where, colon + 1, (size_t)(text + length - colon - 1)))
            return false;
        length = (size_t)(colon - text);
    }
    return length > 0 && take(where->host, sizeof where->host, text, length);
}

static void add(struct where *where, const char *numeric) {
    for (size_t i = 0; i < where->count; i++)
        if (strcmp(where->addresses[i], numeric) == 0)
            return;
    if (where->count < WHERE_ADDRESSES)
        snprintf(where->addresses[where->count++], WHERE_ADDRESS_SIZE, "%s", numeric);
}

// Numeric, as http_peer_create takes it: a link-local address means nothing without its interface.
static bool is_numeric(const char *text) {
    struct in6_addr v6;
    struct in_addr v4;
    char address[WHERE_ADDRESS_SIZE];
    const char *zone = strchr(text, '%');
    size_t length = zone ? (size_t)(zone - text) : strlen(text);
    return take(address, sizeof address, text, length) && strlen(text) < WHERE_ADDRESS_SIZE &&
           (inet_pton(AF_INET6, address, &v6) == 1 ||
            (!zone && inet_pton(AF_INET, address, &v4) == 1));
}

static bool is_loopback(const char *numeric) {
    struct in6_addr v6;
    struct in_addr v4;
    return (inet_pton(AF_INET6, numeric, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6)) ||
           (inet_pton(AF_INET, numeric, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

// The next of a family, from *item on.
static void add_next(struct where *where, const struct addrinfo **item, bool v4) {
    char numeric[WHERE_ADDRESS_SIZE];
    while (*item && ((*item)->ai_family == AF_INET) != v4)
        *item = (*item)->ai_next;
    if (*item && getnameinfo((*item)->ai_addr, (*item)->ai_addrlen, numeric, sizeof numeric, NULL,
                             0, NI_NUMERICHOST) == 0)
        add(where, numeric);
    if (*item)
        *item = (*item)->ai_next;
}

static void add_by_turns(struct where *where, const struct addrinfo *list) {
    const struct addrinfo *first = list, *second = list;
    bool v4_first = list->ai_family == AF_INET;
    while (first || second) {
        add_next(where, &first, v4_first);
        add_next(where, &second, !v4_first);
    }
}

static bool resolve(struct where *where, struct err *err) {
    if (is_numeric(where->host)) {
        add(where, where->host);
        return true;
    }
    if (strcasecmp(where->host, "localhost") == 0) { // some servers listen on one of the two only
        add(where, "127.0.0.1");
        add(where, "::1");
        return true;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int status = getaddrinfo(where->host, NULL, &hints, &list);
    if (status != 0)
        return err_set(err, ERR_NOTFOUND, "there is no host \"%s\" (%s)", where->host,
                       gai_strerror(status));
    add_by_turns(where, list);
    freeaddrinfo(list);
    return where->count > 0 ||
           err_set(err, ERR_NOTFOUND, "host \"%s\" has no address that can be used", where->host);
}

bool where_read(struct where *where, const char *host, unsigned port, unsigned usual_port,
                struct err *err) {
    *where = (struct where){0};
    const char *text = host ? host : "127.0.0.1";
    if (strncasecmp(text, "https://", 8) == 0)
        return err_set(err, ERR_INVALID,
                       "%s: TLS is not spoken here. On a network you do not trust, use: ssh -L "
                       "%u:127.0.0.1:%u HOST",
                       text, port ? port : usual_port, port ? port : usual_port);
    if (strncasecmp(text, "http://", 7) == 0)
        text += 7;
    if (!split(where, text))
        return err_set(err, ERR_INVALID, "\"%s\" is no host; write HOST, HOST:PORT or a URL", host);
    if (port)
        where->port = port;
    else if (!where->port)
        where->port = usual_port;
    snprintf(where->name, sizeof where->name, strchr(where->host, ':') ? "[%s]:%u" : "%s:%u",
             where->host, where->port);
    if (!resolve(where, err))
        return false;
    where->loopback = true;
    for (size_t i = 0; i < where->count; i++)
        where->loopback &= is_loopback(where->addresses[i]);
    return true;
}
