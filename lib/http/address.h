// Numeric internet addresses. Names are refused, so that what is opened is what is written, and so
// that nothing asks DNS behind our back.
#pragma once

#include <sys/socket.h>

// "127.0.0.1", "::1" or "fe80::1%eth0" with a port; its length for bind and connect, 0 when it is
// no such address.
socklen_t address_parse(const char *text, unsigned port, struct sockaddr_storage *out);
