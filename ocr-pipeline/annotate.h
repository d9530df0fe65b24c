// A photo with what was read drawn on it: for people who ask why.
#pragma once

#include "base/err.h"
#include "pipeline.h"

#include <stddef.h>

// Writes a JPEG, whole or not at all. Texts are outlined in green, what the filters took away in
// grey, the plate in blue, the values of fields in red.
bool annotate_write(const char *path, const void *bytes, size_t length, const char *name,
                    const struct reading *reading, const struct config *config, struct err *err);
