#include "engine/hush.h"

#include "base/str.h"

#include <string.h>

// "0.00.684.621 I srv  ..." or, without a prefix, the module's own word.
static bool begins_message(const char *line) {
    static const char *const modules[] = {"srv  ", "slot ", "que  ", "res  ", "cmn  "};
    size_t clock = strspn(line, "0123456789.");
    if (clock >= 10 && line[clock] == ' ' && line[clock + 1] >= 'A' && line[clock + 1] <= 'Z' &&
        line[clock + 2] == ' ')
        return true;
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        if (str_starts(line, modules[i]))
            return true;
    return false;
}

bool hush_line(struct hush *hush, const char *line) {
    if (strstr(line, "anthropic string not as expected"))
        hush->on = true;
    else if (hush->on && begins_message(line))
        hush->on = false;
    return hush->on;
}
