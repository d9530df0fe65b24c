// How often a JPEG's decoder would go over the whole picture. A few bytes are enough for one more
// time (ITU-T T.81, G.1.2.2: a run of blocks without anything), so that a small file could keep it
// busy for hours; libjpeg itself has no bound.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { JPEG_SCANS_MAX = 100 }; // progressive photos have about ten

// True also for whatever is no JPEG. ERR_LIMIT.
bool jpeg_scans_check(const void *bytes, size_t length, const char *name, struct err *err);
