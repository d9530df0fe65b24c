#include "format/ini_edit.h"

#include "base/str.h"

#include <stdint.h>
#include <string.h>

struct line {
    struct span text;  // without blanks at both ends and without its end
    const char *begin; // of the bytes
    const char *end;   // after its line end
    bool ended;        // it has one
};

struct reader {
    const char *next, *end;
};

static void reader_init(struct reader *reader, const char *bytes, size_t length) {
    *reader = (struct reader){bytes, bytes + length};
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        reader->next += 3;
}

static bool next_line(struct reader *reader, struct line *out) {
    const char *p = reader->next;
    if (p >= reader->end)
        return false;
    out->begin = p;
    while (p < reader->end && *p != '\n' && *p != '\r')
        p++;
    out->text = span_trim((struct span){out->begin, (size_t)(p - out->begin)});
    out->ended = p < reader->end;
    if (out->ended)
        p += p + 1 < reader->end && p[0] == '\r' && p[1] == '\n' ? 2 : 1;
    out->end = reader->next = p;
    return true;
}

static bool is_header(const struct line *line, struct span *name) {
    if (line->text.length == 0 || line->text.data[0] != '[')
        return false;
    const char *close = memchr(line->text.data, ']', line->text.length);
    if (!close)
        return false;
    *name = span_trim((struct span){line->text.data + 1, (size_t)(close - line->text.data - 1)});
    return true;
}

static bool is_setting(const struct line *line) {
    char c = line->text.length ? line->text.data[0] : '\0';
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct span key_of(const struct line *line) {
    const char *equals = memchr(line->text.data, '=', line->text.length);
    size_t length = equals ? (size_t)(equals - line->text.data) : line->text.length;
    return span_trim((struct span){line->text.data, length});
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static bool is_marked(const struct line *line, const char *mark) {
    size_t m = strlen(mark), n = line->text.length;
    const char *t = line->text.data;
    if (is_setting(line)) {
        if (n < m + 2 || memcmp(t + n - m, mark, m) != 0)
            return false;
        for (n -= m; n > 0 && is_blank(t[n - 1]); n--)
            ;
        return n > 1 && t[n - 1] == ';' && is_blank(t[n - 2]);
    }
    return n >= m + 3 && t[0] == ';' && t[1] == ' ' && memcmp(t + 2, mark, m) == 0 &&
           t[2 + m] == ':';
}

// ---- placing ----

static const char *line_end(const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n')
            return "\n";
        if (bytes[i] == '\r')
            return i + 1 < length && bytes[i + 1] == '\n' ? "\r\n" : "\r";
    }
    return "\n";
}

static bool writable(const struct ini_line *line, struct err *err) {
    const char *value = line->value;
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f ||
            (line->key && (*p == ';' || *p == '#') && (p == value || is_blank(p[-1]))))
            return err_set(err, ERR_INVALID, "\"%.100s\" cannot be written as a value of %s", value,
                           line->key ? line->key : "a comment");
    return true;
}

bool ini_edit_has(const char *bytes, size_t length, const char *section, const char *mark,
                  const char *key) {
    struct reader reader;
    struct line line;
    bool inside = false;
    reader_init(&reader, bytes, length);
    while (next_line(&reader, &line)) {
        struct span name;
        if (is_header(&line, &name))
            inside = span_is(name, section);
        else if (inside && is_setting(&line) && !is_marked(&line, mark) &&
                 span_is(key_of(&line), key))
            return true;
    }
    return false;
}

// Where our lines go: where the old ones are, else below the section's last setting. SIZE_MAX: the
// section is not there.
static size_t find_place(const char *bytes, size_t length, const char *section, const char *mark) {
    struct reader reader;
    struct line line;
    bool inside = false, old = false;
    size_t at = SIZE_MAX;
    reader_init(&reader, bytes, length);
    while (next_line(&reader, &line)) {
        struct span name;
        bool header = is_header(&line, &name), ours;
        if (header)
            inside = span_is(name, section);
        if (!inside)
            continue;
        ours = is_marked(&line, mark);
        if (ours && !old)
            at = (size_t)(line.begin - bytes);
        old |= ours;
        if (!old && (header || is_setting(&line)))
            at = (size_t)(line.end - bytes);
    }
    return at;
}

static bool add_lines(struct buf *out, const char *mark, const struct ini_line *lines, size_t count,
                      const char *end, bool last_ends) {
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        if (!lines[i].key)
            ok = buf_printf(out, "; %s: %s", mark, lines[i].value);
        else if (lines[i].theirs)
            ok = buf_printf(out, "%s = %s", lines[i].key, lines[i].value);
        else
            ok = buf_printf(out, "%s = %s  ; %s", lines[i].key, lines[i].value, mark);
        if (i + 1 < count || last_ends)
            ok = ok && buf_adds(out, end);
    }
    return ok;
}

static bool add_section(const char *bytes, size_t length, const char *section, const char *end,
                        struct buf *out) {
    bool ends = length == 0 || bytes[length - 1] == '\n' || bytes[length - 1] == '\r';
    return buf_add(out, bytes, length) && (ends || buf_adds(out, end)) &&
           (length == 0 || buf_adds(out, end)) && buf_printf(out, "[%s]%s", section, end);
}

// Everything but our old lines, and the new ones at an offset (SIZE_MAX: nowhere).
static bool copy(const char *bytes, size_t length, const char *section, const char *mark, size_t at,
                 const struct ini_line *lines, size_t count, struct buf *out, bool *found) {
    struct reader reader;
    struct line line = {.ended = true};
    bool inside = false, ok;
    const char *end = line_end(bytes, length);
    reader_init(&reader, bytes, length);
    ok = buf_add(out, bytes, (size_t)(reader.next - bytes));
    while (ok && next_line(&reader, &line)) {
        struct span name;
        if ((size_t)(line.begin - bytes) == at)
            ok = add_lines(out, mark, lines, count, end, true);
        if (is_header(&line, &name))
            inside = span_is(name, section);
        bool ours = inside && is_marked(&line, mark);
        if (ours && found)
            *found = true;
        if (!ours)
            ok = ok && buf_add(out, line.begin, (size_t)(line.end - line.begin));
    }
    if (ok && at == length) // at the very end: a missing line end is made up for, and stays missing
        ok = (line.ended || buf_adds(out, end)) &&
             add_lines(out, mark, lines, count, end, line.ended);
    return ok;
}

bool ini_edit_strip(const char *bytes, size_t length, const char *section, const char *mark,
                    struct buf *out, bool *found) {
    if (found)
        *found = false;
    return copy(bytes, length, section, mark, SIZE_MAX, NULL, 0, out, found);
}

bool ini_edit_place(const char *bytes, size_t length, const char *section, const char *mark,
                    const struct ini_line *lines, size_t count, struct buf *out, struct err *err) {
    const char *end = line_end(bytes, length);
    size_t at = find_place(bytes, length, section, mark);
    bool ok;
    for (size_t i = 0; i < count; i++) {
        if (!writable(&lines[i], err))
            return false;
        if (lines[i].key && ini_edit_has(bytes, length, section, mark, lines[i].key))
            return err_set(err, ERR_INVALID, "[%s] sets %s itself", section, lines[i].key);
    }
    if (count > 0 && at == SIZE_MAX)
        ok = add_section(bytes, length, section, end, out) &&
             add_lines(out, mark, lines, count, end, true);
    else
        ok = copy(bytes, length, section, mark, count > 0 ? at : SIZE_MAX, lines, count, out, NULL);
    return ok || err_set(err, ERR_LIMIT, "the file would be larger than a megabyte");
}
