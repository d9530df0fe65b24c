// Numeric internet addresses. Names are refused, so that what is opened is what is written, and so
// that nothing asks DNS behind our back.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/socket.h>

// "127.0.0.1", "::1" or "fe80::1%eth0" with a port; its length for bind and connect, 0 when it is
// no such address.
socklen_t address_parse(const char *text, unsigned port, struct sockaddr_storage *out);
bool address_is_numeric(const char *text);                        // without a zone
bool address_is_loopback(const struct sockaddr_storage *address); // a unix socket is, too
unsigned address_port(const struct sockaddr_storage *address);    // 0: it has none

// Where to listen, as people write it: "127.0.0.1:1234", "[::1]:1234", "localhost", "1234". What is
// left out is 127.0.0.1 and `port`. `host` is numeric and the caller's (mem_free).
bool address_listen(const char *text, unsigned port, char **host, unsigned *out, struct err *err);
