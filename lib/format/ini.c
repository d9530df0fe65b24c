#include "format/ini.h"

#include "base/mem.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct parse {
    struct ini *ini;
    char *next; // start of the next line in ini->text
    char *end;
    unsigned line;
    bool lost; // the last header was wrong: its settings belong nowhere
    size_t entries_count, entries_room, sections_room;
    ini_problem_fn *on_problem;
    void *arg;
    struct err *err;
};

// Reports a wrong line. True when reading goes on.
__attribute__((format(printf, 2, 3))) static bool problem(struct parse *parse, const char *format,
                                                          ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!parse->on_problem)
        return err_set(parse->err, ERR_INVALID, "line %u: %s", parse->line, text);
    parse->on_problem(parse->arg, parse->line, text);
    return true;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static bool is_key_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_key_char(char c) {
    return is_key_start(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

static char *skip_blanks(char *p) {
    while (is_blank(*p))
        p++;
    return p;
}

// Ends the text at `end`, less the blanks before it.
static void trim_end(const char *text, char *end) {
    while (end > text && is_blank(end[-1]))
        end--;
    *end = '\0';
}

static bool is_end_or_comment(const char *p) { return *p == '\0' || *p == ';' || *p == '#'; }

// Returns the next line, terminated in place, or NULL at the end.
static char *next_line(struct parse *parse, size_t *length) {
    if (parse->next >= parse->end)
        return NULL;
    char *line = parse->next, *p = line;
    while (p < parse->end && *p != '\n' && *p != '\r')
        p++;
    parse->next = p + 1;
    if (p + 1 < parse->end && p[0] == '\r' && p[1] == '\n')
        parse->next++;
    *p = '\0'; // the text has one byte more than the input
    *length = (size_t)(p - line);
    parse->line++;
    return line;
}

static struct ini_section *current_section(struct parse *parse) {
    return &parse->ini->sections[parse->ini->count - 1];
}

static bool add_section(struct parse *parse, const char *name) {
    struct ini *ini = parse->ini;
    if (ini->count == INI_MAX_SECTIONS)
        return err_set(parse->err, ERR_LIMIT, "line %u: more than %u sections", parse->line,
                       INI_MAX_SECTIONS);
    if (ini->count == parse->sections_room) {
        parse->sections_room = parse->sections_room ? parse->sections_room * 2 : 8;
        ini->sections = mem_resize(ini->sections, parse->sections_room * sizeof *ini->sections);
    }
    ini->sections[ini->count++] = (struct ini_section){.name = name, .line = parse->line};
    return true;
}

static bool parse_header(struct parse *parse, char *line) {
    parse->lost = true;
    char *close = strchr(line, ']');
    if (!close)
        return problem(parse, "\"[\" without \"]\"; a section begins with [name]");
    if (!is_end_or_comment(skip_blanks(close + 1)))
        return problem(parse, "text after \"]\"; put it on a line of its own");
    char *name = skip_blanks(line + 1);
    trim_end(name, close);
    if (*name == '\0')
        return problem(parse, "the section has no name; write [name]");
    const struct ini *ini = parse->ini;
    for (size_t i = 0; i < ini->count; i++)
        if (strcmp(ini->sections[i].name, name) == 0)
            return problem(parse, "section [%.100s] is already on line %u; merge the two", name,
                           ini->sections[i].line);
    if (!add_section(parse, name))
        return false;
    parse->lost = false;
    return true;
}

static bool add_entry(struct parse *parse, const char *key, const char *value) {
    struct ini *ini = parse->ini;
    if (ini->count == 0 && !add_section(parse, ""))
        return false;
    struct ini_section *section = current_section(parse);
    size_t first = parse->entries_count - section->count;
    for (size_t i = first; i < parse->entries_count; i++)
        if (strcmp(ini->entries[i].key, key) == 0)
            return problem(parse, "%.100s is already set on line %u; keep one of them", key,
                           ini->entries[i].line);
    if (parse->entries_count == INI_MAX_ENTRIES)
        return err_set(parse->err, ERR_LIMIT, "line %u: more than %u settings", parse->line,
                       INI_MAX_ENTRIES);
    if (parse->entries_count == parse->entries_room) {
        parse->entries_room = parse->entries_room ? parse->entries_room * 2 : 32;
        ini->entries = mem_resize(ini->entries, parse->entries_room * sizeof *ini->entries);
    }
    ini->entries[parse->entries_count++] =
        (struct ini_entry){.key = key, .value = value, .line = parse->line};
    section->count++;
    return true;
}

// Where a value ends: before a comment that follows a blank, or at the end of the line.
static char *value_end(char *value) {
    for (char *p = value; *p; p++)
        if ((*p == '#' || *p == ';') && (p == value || is_blank(p[-1])))
            return p;
    return value + strlen(value);
}

static bool parse_setting(struct parse *parse, char *line) {
    if (*line == '-')
        return problem(parse, "keys have no leading dashes; write \"%.100s\"",
                       line + strspn(line, "-"));
    char *p = line;
    if (is_key_start(*p))
        while (is_key_char(*p))
            p++;
    char *key_end = p;
    p = skip_blanks(p);
    if (key_end == line || *p != '=')
        return problem(parse, "expected \"key = value\", found \"%.60s\"", line);
    char *value = skip_blanks(p + 1);
    trim_end(value, value_end(value));
    *key_end = '\0';
    return parse->lost || add_entry(parse, line, value);
}

static bool has_control(const char *line, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
            return true;
    return false;
}

static bool parse_line(struct parse *parse, char *line, size_t length) {
    if (has_control(line, length))
        return problem(parse, "a control character; is this a text file?");
    if (length > INI_MAX_LINE)
        return problem(parse, "the line is longer than %u bytes", INI_MAX_LINE);
    line = skip_blanks(line);
    if (is_end_or_comment(line))
        return true;
    return *line == '[' ? parse_header(parse, line) : parse_setting(parse, line);
}

struct ini *ini_parse(const char *bytes, size_t length, ini_problem_fn *on_problem, void *arg,
                      struct err *err) {
    if (length > INI_MAX_BYTES) {
        err_set(err, ERR_LIMIT, "the file is larger than %u bytes", INI_MAX_BYTES);
        return NULL;
    }
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        length -= 3;
    }
    struct ini *ini = mem_alloc(sizeof *ini);
    ini->text = mem_alloc(length + 1);
    if (length)
        memcpy(ini->text, bytes, length);
    struct parse parse = {.ini = ini,
                          .next = ini->text,
                          .end = ini->text + length,
                          .on_problem = on_problem,
                          .arg = arg,
                          .err = err};
    char *line;
    size_t line_length;
    while ((line = next_line(&parse, &line_length)))
        if (!parse_line(&parse, line, line_length)) {
            ini_destroy(ini);
            return NULL;
        }
    // Only now do the entries stay where they are.
    size_t first = 0;
    for (size_t i = 0; i < ini->count && ini->entries; i++) {
        ini->sections[i].entries = ini->entries + first;
        first += ini->sections[i].count;
    }
    return ini;
}

void ini_destroy(struct ini *ini) {
    if (!ini)
        return;
    mem_free(ini->sections);
    mem_free(ini->entries);
    mem_free(ini->text);
    mem_free(ini);
}
