// The settings whose spelling differs between builds, and how much each matters. What is not listed
// goes through under its own name when the build has such a flag.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SETTING_FLAGS_MAX = 6 };

struct setting_rule {
    const char *name;                     // our one name for it
    const char *flags[SETTING_FLAGS_MAX]; // spellings, the best first
};

const struct setting_rule *setting_rule_find(const char *name); // by our name or any spelling

// A comfort: an engine without it gives the same answers in the same memory.
bool setting_is_comfort(const char *name);
