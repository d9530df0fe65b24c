#include "short_name.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdbool.h>
#include <string.h>

enum { SHORT_ALIAS = 3 };

static bool is_plain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Letters and digits only, so that it is a name in every shell.
static char *strip(const char *text) {
    char *out = mem_alloc(strlen(text) + 1), *end = out;
    for (; *text; text++)
        if (is_plain(*text))
            *end++ = *text;
    return out;
}

static bool is_taken(const struct short_names *taken, const char *name) {
    static const char *const ours[] = {"lloff", "llstatus", "lllogs"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(ours[i], name) == 0)
            return true;
    for (size_t i = 0; i < taken->count; i++)
        if (strcmp(taken->items[i], name) == 0)
            return true;
    return false;
}

static const char *shortest_alias(const json_t *aliases) {
    size_t i, best_length = SHORT_ALIAS + 1;
    json_t *alias;
    const char *best = NULL;
    json_array_foreach(aliases, i, alias) {
        const char *text = json_string_value(alias);
        if (text && *text && strlen(text) < best_length) {
            best = text;
            best_length = strlen(text);
        }
    }
    return best;
}

char *short_name_choose(struct short_names *taken, const char *preset, const json_t *aliases) {
    const char *alias = shortest_alias(aliases);
    char *plain = strip(alias ? alias : preset);
    bool qwen = str_starts(plain, "qwen") && plain[4] >= '0' && plain[4] <= '9';
    char *name = mem_printf("ll%s%s", qwen ? "q" : "", plain + (qwen ? 4 : 0));
    mem_free(plain);
    if (is_taken(taken, name)) {
        mem_free(name);
        plain = strip(preset);
        name = mem_printf("ll%s", plain);
        for (unsigned n = 2; is_taken(taken, name); n++) {
            mem_free(name);
            name = mem_printf("ll%s%u", plain, n);
        }
        mem_free(plain);
    }
    taken->items = mem_resize(taken->items, (taken->count + 1) * sizeof *taken->items);
    taken->items[taken->count++] = mem_strdup(name);
    return name;
}

void short_names_fini(struct short_names *taken) {
    for (size_t i = 0; i < taken->count; i++)
        mem_free(taken->items[i]);
    mem_free(taken->items);
    *taken = (struct short_names){0};
}
