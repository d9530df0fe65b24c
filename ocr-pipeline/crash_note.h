// A note that outlives a crash of this process: that it died by a fault of its own (a decoder, a
// network's runtime), and was not killed by somebody.
#pragma once

#include <stdbool.h>

bool crash_note_is_there(const char *path);
// Takes it away. From here on a fault leaves one there, and the process ends as it would have.
void crash_note_arm(const char *path);
