// "gpu.box", "10.0.0.5:8080", "::1", "[fe80::1%eth0]:8080", "http://gpu.box:8080/llm/v1/" ->
// numeric addresses, port and prefix. The name is resolved here, once; afterwards nobody asks DNS.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { WHERE_ADDRESSES = 4, WHERE_ADDRESS_SIZE = 64 };

struct where {
    char host[256]; // as given, without the rest
    unsigned port;
    char name[270];   // for the person: "gpu.box:8080", "[::1]:8080"
    char prefix[256]; // of the paths: "" or "/llm"; "/v1" is taken off, and an endpoint behind it
    char addresses[WHERE_ADDRESSES][WHERE_ADDRESS_SIZE]; // as the resolver prefers them, but both
                                                         // families by turns: one may lead nowhere
    size_t count;
    bool loopback; // all of the addresses are
};

// `host` NULL: loopback. `port` 0: the one in `host`, else `usual_port`.
bool where_read(struct where *where, const char *host, unsigned port, unsigned usual_port,
                struct err *err);
