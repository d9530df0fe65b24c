#include "http/address.h"

#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// An address that holds on one link only names its interface (RFC 4007, 11).
static bool parse_v6(const char *text, struct sockaddr_in6 *v6) {
    char address[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    int length = zone ? (int)(zone - text) : (int)strlen(text);
    if (length >= (int)sizeof address)
        return false;
    snprintf(address, sizeof address, "%.*s", length, text);
    if (zone && (v6->sin6_scope_id = if_nametoindex(zone + 1)) == 0)
        return false;
    return inet_pton(AF_INET6, address, &v6->sin6_addr) == 1;
}

socklen_t address_parse(const char *text, unsigned port, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof *v4;
    }
    memset(out, 0, sizeof *out);
    if (!parse_v6(text, v6))
        return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    return sizeof *v6;
}

bool address_is_numeric(const char *text) {
    unsigned char binary[16];
    return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}

bool address_is_loopback(const struct sockaddr_storage *address) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    switch (address->ss_family) {
    case AF_INET: return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    case AF_INET6: return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    default: return address->ss_family == AF_UNIX;
    }
}

unsigned address_port(const struct sockaddr_storage *address) {
    switch (address->ss_family) {
    case AF_INET: return ntohs(((const struct sockaddr_in *)address)->sin_port);
    case AF_INET6: return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    default: return 0;
    }
}

// The host's part, the caller's; what stands behind it goes to `port`, NULL: nothing does.
static char *split_listen(const char *text, const char **port) {
    const char *colon = strchr(text, ':');
    *port = NULL;
    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (!close || close[1])
            *port = close && close[1] == ':' ? close + 2 : "";
        return mem_strndup(text + 1, close ? (size_t)(close - text - 1) : 0);
    }
    if (*text && text[strspn(text, "0123456789")] == '\0') {
        *port = text;
        return mem_strdup("localhost");
    }
    if (!colon || strchr(colon + 1, ':'))
        return mem_strdup(text); // an address of IPv6 without brackets has no port
    *port = colon + 1;
    return mem_strndup(text, (size_t)(colon - text));
}

bool address_listen(const char *text, unsigned port, char **host, unsigned *out, struct err *err) {
    const char *port_text;
    char *name = split_listen(text, &port_text);
    const char *address = strcmp(name, "localhost") == 0 ? "127.0.0.1" : name;
    int64_t number = port;
    bool good = address_is_numeric(address) &&
                (!port_text || str_to_int(port_text, 0, UINT16_MAX, &number));
    if (good) {
        *host = mem_strdup(address);
        *out = (unsigned)number;
    } else {
        err_set(err, ERR_INVALID,
                "\"%.80s\" is no address to listen on; write 127.0.0.1:%u or [::1]:%u "
                "(0.0.0.0:%u for every IPv4 address of this machine)",
                text, port, port, port);
    }
    mem_free(name);
    return good;
}
