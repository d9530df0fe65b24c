#include "llama_log.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

unsigned llama_log_port(const char *line) {
    static const char *const marks[] = {"http://127.0.0.1:", "port: "};
    const char *said = strstr(line, "listening");
    char number[8];
    int64_t port;
    for (size_t i = 0; said && i < sizeof marks / sizeof *marks; i++) {
        const char *at = strstr(said, marks[i]);
        if (!at)
            continue;
        at += strlen(marks[i]);
        snprintf(number, sizeof number, "%.*s", (int)strspn(at, "0123456789"), at);
        if (str_to_int(number, 1, 65535, &port))
            return (unsigned)port;
    }
    return 0;
}
