// "gpu.box", "10.0.0.5:8080", "[fe80::1]:8080", "http://gpu.box:8080/llm" -> numeric addresses,
// port and prefix. The name is resolved here, once; afterwards nobody asks DNS.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { WHERE_ADDRESSES = 4, WHERE_ADDRESS_SIZE = 64 };

struct where {
    char host[256]; // as given, without the rest
    unsigned port;
    char prefix[256]; // of the paths: "" or "/llm"; a trailing "/v1" is taken off
    char addresses[WHERE_ADDRESSES][WHERE_ADDRESS_SIZE];
    size_t count;
    bool loopback; // all of the addresses are
};

// `host` NULL: loopback. `port` 0: the one in `host`, else `usual_port`.
bool where_read(struct where *where, const char *host, unsigned port, unsigned usual_port,
                struct err *err);
