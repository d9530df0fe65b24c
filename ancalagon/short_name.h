// The names of shell aliases: "ll" and a short form of the preset's name, each of them once.
#pragma once

#include <jansson.h>
#include <stddef.h>

struct short_names {
    char **items;
    size_t count;
};

// "qwen36" -> "llq36", "coder" -> "llcoder"; an alias of up to three characters comes first. The
// caller's (mem_free). `aliases` is an array of text, or NULL.
char *short_name_choose(struct short_names *taken, const char *preset, const json_t *aliases);
void short_names_fini(struct short_names *taken);
