#include "engine/help.h"

#include "base/mem.h"
#include "base/str.h"

#include <ctype.h>
#include <string.h>

enum {
    FLAGS_MAX = 2000, // real builds have 250 to 450
    ROW_INDENT_MAX = 12,
    TEXT_MAX = 8 * 1024,
};

static bool is_name_char(char c) {
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.' || c == '+';
}

static bool starts_flag(const char *at, const char *end) {
    size_t dashes = 0;
    while (at < end && *at == '-' && dashes < 3) {
        dashes++;
        at++;
    }
    return dashes >= 1 && dashes <= 2 && at < end && isalpha((unsigned char)*at);
}

// Names and placeholders up to the text, whose beginning is returned.
static const char *read_names(struct help_flag *flag, const char *at, const char *end) {
    for (;;) {
        const char *name = at;
        while (at < end && is_name_char(*at))
            at++;
        args_addn(&flag->names, name, (size_t)(at - name));
        if (end - at >= 2 && at[0] == ' ' && at[1] != ' ') {
            const char *word = ++at;
            while (at < end && !(end - at >= 2 && at[0] == ' ' && at[1] == ' ') &&
                   !(end - at >= 3 && at[0] == ',' && at[1] == ' ' && at[2] == '-'))
                at++;
            if (!flag->placeholder && at > word)
                flag->placeholder = mem_strndup(word, (size_t)(at - word));
        }
        if (at >= end || *at != ',')
            return at;
        at++;
        while (at < end && *at == ' ')
            at++;
        if (!starts_flag(at, end))
            return at;
    }
}

static void add_text(struct buf *text, const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && isspace((unsigned char)end[-1]))
        end--;
    if (at == end)
        return;
    if (text->length > 0)
        buf_adds(text, " ");
    buf_add(text, at, (size_t)(end - at)); // past TEXT_MAX the rest is left out: nothing needs it
}

// "(default: 8192, -1 - no limit)" -> "8192"; "default: 'on')" -> "on".
static char *find_initial(const char *text) {
    const char *at = strstr(text, "default: ");
    if (!at)
        return NULL;
    at += strlen("default: ");
    size_t length = strcspn(at, ",);");
    const char *aside = strstr(at, " (");
    if (aside && (size_t)(aside - at) < length)
        length = (size_t)(aside - at);
    while (length > 0 && (*at == '\'' || *at == '"')) {
        at++;
        length--;
    }
    while (length > 0 && (at[length - 1] == '\'' || at[length - 1] == '"'))
        length--;
    return mem_strndup(at, length);
}

static char *find_environment(const char *text) {
    const char *at = strstr(text, "(env: ");
    if (!at)
        return NULL;
    at += strlen("(env: ");
    return mem_strndup(at, strcspn(at, ",) "));
}

static void split_values(struct args *values, const char *text, size_t length,
                         const char *between) {
    const char *end = text + length;
    while (text < end) {
        size_t item = strcspn(text, between);
        if (item > (size_t)(end - text))
            item = (size_t)(end - text);
        if (item > 0)
            args_addn(values, text, item);
        text += item + 1;
    }
}

// "{none,linear}" "[on|off]" "<0|1>" "(auto|on|off)" and the bare "none,draft-simple,...".
static void values_of_placeholder(struct help_flag *flag) {
    const char *text = flag->placeholder;
    size_t length = strlen(text);
    if (length < 3 || strstr(text, ".."))
        return;
    static const char open[] = "{[<(";
    static const char close[] = "}]>)";
    const char *kind = strchr(open, text[0]);
    if (kind && *kind && strchr(text, close[kind - open]) == text + length - 1 &&
        text[strcspn(text, "|,")] && !strchr(text, ' '))
        split_values(&flag->values, text + 1, length - 2, *kind == '<' ? "|" : "|,");
    else if (str_starts(text, "none,"))
        split_values(&flag->values, text, length, ",");
}

// "allowed values: f32, f16, q8_0 (default: f16)"
static void values_of_text(struct help_flag *flag) {
    const char *at = strstr(flag->text, "allowed values: ");
    if (!at)
        return;
    at += strlen("allowed values: ");
    for (;;) {
        size_t length = 0;
        while (is_name_char(at[length]))
            length++;
        if (length == 0)
            return;
        args_addn(&flag->values, at, length);
        at += length;
        if (at[0] != ',' || at[1] != ' ')
            return;
        at += 2;
    }
}

static void finish_flag(struct help_flag *flag, struct buf *text) {
    if (!flag)
        return;
    flag->text = mem_strdup(buf_text(text));
    flag->initial = find_initial(flag->text);
    flag->environment = find_environment(flag->text);
    flag->removed = strstr(flag->text, "argument has been removed") != NULL;
    if (flag->placeholder)
        values_of_placeholder(flag);
    if (flag->placeholder && flag->values.count == 0)
        values_of_text(flag);
    buf_clear(text);
}

static struct help_flag *add_flag(struct help *help) {
    if (help->count == FLAGS_MAX)
        return NULL;
    if (help->count == help->capacity) {
        help->capacity = help->capacity ? help->capacity * 2 : 64;
        help->flags = mem_resize(help->flags, help->capacity * sizeof(*help->flags));
    }
    struct help_flag *flag = &help->flags[help->count++];
    memset(flag, 0, sizeof(*flag));
    args_init(&flag->names);
    args_init(&flag->values);
    return flag;
}

void help_parse(struct help *help, const char *text, size_t length) {
    memset(help, 0, sizeof(*help));
    struct buf words;
    buf_init(&words, TEXT_MAX);
    struct help_flag *flag = NULL;
    const char *end = text + length;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        const char *at = text;
        while (at < line_end && *at == ' ')
            at++;
        bool near_edge = at - text <= ROW_INDENT_MAX;
        if (near_edge && starts_flag(at, line_end)) {
            finish_flag(flag, &words);
            flag = add_flag(help);
            if (!flag)
                break;
            add_text(&words, read_names(flag, at, line_end), line_end);
        } else if (near_edge && at < line_end) {
            finish_flag(flag, &words); // a section's title
            flag = NULL;
        } else if (flag) {
            add_text(&words, at, line_end);
        }
        text = line_end + 1;
    }
    finish_flag(flag, &words);
    buf_fini(&words);
}

void help_fini(struct help *help) {
    for (size_t i = 0; i < help->count; i++) {
        struct help_flag *flag = &help->flags[i];
        args_fini(&flag->names);
        args_fini(&flag->values);
        mem_free(flag->placeholder);
        mem_free(flag->text);
        mem_free(flag->initial);
        mem_free(flag->environment);
    }
    mem_free(help->flags);
    memset(help, 0, sizeof(*help));
}

const struct help_flag *help_find(const struct help *help, const char *name) {
    for (size_t i = 0; i < help->count; i++) {
        if (args_has(&help->flags[i].names, name))
            return &help->flags[i];
    }
    return NULL;
}

static bool is_negative(const char *name) {
    return str_starts(name, "--no-") || str_starts(name, "-no-");
}

// The last long name, else the last of all: rows go from short to long, and where there are two
// long names the later one is the older, more widely known one.
static const char *pick(const struct help_flag *flag, bool negative) {
    const char *found = NULL;
    bool has_long = false;
    bool only_negative = true; // of the long names; then "-nkvo" is one of them
    for (size_t i = 0; i < flag->names.count; i++) {
        const char *name = flag->names.items[i];
        has_long |= str_starts(name, "--");
        only_negative &= !str_starts(name, "--") || is_negative(name);
    }
    for (size_t i = 0; i < flag->names.count; i++) {
        const char *name = flag->names.items[i];
        if ((is_negative(name) || (has_long && only_negative)) != negative)
            continue;
        if (!found || str_starts(name, "--") || !str_starts(found, "--"))
            found = name;
    }
    return found;
}

const char *help_positive(const struct help_flag *flag) { return pick(flag, false); }

const char *help_negative(const struct help_flag *flag) { return pick(flag, true); }
