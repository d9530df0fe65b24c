#define _GNU_SOURCE
#include "http/host.h"

#include "http/address.h"
#include "http/head.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool is_port(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return length <= 5;
}

// Nor is a name with an empty label.
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
    return host.length > 0 && host.length <= HTTP_HOST_MAX;
}

bool http_host_name(struct span host, char name[HTTP_HOST_MAX + 1]) {
    name[0] = '\0';
    if (!host.data || host.length == 0)
        return false;
    const char *colon = str_last(host.data, host.length, ':');
    const char *bracket = memchr(host.data, ']', host.length);
    if (colon && (!bracket || colon > bracket)) {
        if (!is_port(colon + 1, host.length - (size_t)(colon + 1 - host.data)))
            return false;
        host.length = (size_t)(colon - host.data);
    }
    bool bracketed = host.length > 2 && host.data[0] == '[';
    if (bracketed) {
        if (host.data[host.length - 1] != ']')
            return false;
        host = (struct span){host.data + 1, host.length - 2};
    } else if (host.length && host.data[host.length - 1] == '.') {
        host.length--;
    }
    if (!is_host(host, bracketed))
        return false;
    for (size_t i = 0; i < host.length; i++) {
        char c = host.data[i];
        name[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    name[host.length] = '\0';
    return true;
}

bool http_origin_name(struct span origin, char name[HTTP_HOST_MAX + 1]) {
    const char *slashes = origin.data ? memmem(origin.data, origin.length, "://", 3) : NULL;
    struct span scheme = {origin.data, slashes ? (size_t)(slashes - origin.data) : 0};
    name[0] = '\0';
    return (span_is(scheme, "http") || span_is(scheme, "https")) &&
           http_host_name((struct span){slashes + 3, origin.length - scheme.length - 3}, name);
}

bool http_origin_once(const struct http_head *head) {
    unsigned count = 0;
    for (size_t i = 0; i < head->field_count; i++)
        count += span_is_nocase(head->fields[i].name, "origin");
    return count <= 1;
}

void http_own_name(char name[HTTP_HOST_MAX + 1]) {
    memset(name, 0, HTTP_HOST_MAX + 1); // a name that is cut is not ended
    gethostname(name, HTTP_HOST_MAX);
}

bool http_is_loopback(const char *name) {
    struct in_addr v4;
    if (strcmp(name, "localhost") == 0 || str_ends(name, ".localhost") || strcmp(name, "::1") == 0)
        return true;
    return inet_pton(AF_INET, name, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

bool http_is_own(const char *name, const char *own) {
    char local[HTTP_HOST_MAX + 8];
    snprintf(local, sizeof local, "%s.local", own);
    return address_is_numeric(name) || http_is_loopback(name) || strcasecmp(name, own) == 0 ||
           strcasecmp(name, local) == 0;
}
