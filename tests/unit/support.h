// For tests that read recorded texts from tests/unit/data.
#pragma once

#include "base/mem.h"
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>

static inline char *test_data(const char *name) {
    const char *dir = getenv("TEST_DATA");
    char *path = path_join(dir ? dir : "tests/unit/data", name);
    struct err err = {0};
    char *text = path_read_file(path, 1 << 20, NULL, &err);
    if (!text) {
        fprintf(stderr, "%s (set TEST_DATA to tests/unit/data)\n", err.text);
        abort();
    }
    mem_free(path);
    return text;
}
