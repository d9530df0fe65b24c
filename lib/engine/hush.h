// Keeps prompts out of logs: engines print a piece of one now and then, as part of an error. Known:
// llama-server's "anthropic string not as expected: ", followed by the whole system prompt
// (server-chat.cpp, build 11434).
#pragma once

#include <stdbool.h>

struct hush {
    bool on; // within such a text, which may have many lines
};

// Is this line, or a part of what was printed with it, such a text? Then it is not to be kept.
bool hush_line(struct hush *hush, const char *line);
