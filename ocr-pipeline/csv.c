#include "csv.h"

#include "base/mem.h"
#include "format/json.h"
#include "plate.h"

#include <string.h>

void csv_cell(struct buf *out, const char *text) {
    const char *line = buf_text(out);
    if (out->length && line[out->length - 1] != '\n')
        buf_adds(out, ",");
    // A number is no formula, whatever its sign.
    bool formula =
        text[0] && strchr("=+-@\t\r", text[0]) && text[strspn(text, "+-0123456789.")] != '\0';
    if (!formula && !strpbrk(text, ",\"\n\r")) {
        buf_adds(out, text[0] ? text : "");
        return;
    }
    buf_adds(out, formula ? "\"'" : "\"");
    for (; *text; text++) {
        if (*text == '"')
            buf_adds(out, "\"");
        buf_add(out, *text == '\n' || *text == '\r' ? " " : text, 1);
    }
    buf_adds(out, "\"");
}

static void add_heads(struct buf *out) {
    for (int i = 0; i < FIELD_COUNT; i++)
        csv_cell(out, field_key((enum field)i));
    csv_cell(out, "needs_review");
    csv_cell(out, "review_reasons");
}

void csv_head(struct buf *out) {
    csv_cell(out, "file");
    add_heads(out);
    csv_cell(out, "error");
}

static void add_value(struct buf *out, const json_t *value) {
    struct buf text;
    buf_init(&text, 4096);
    if (json_is_boolean(value))
        buf_adds(&text, json_is_true(value) ? "true" : "false");
    else if (json_is_string(value))
        buf_adds(&text, json_string_value(value));
    else if (value && !json_is_null(value))
        json_write(&text, value);
    csv_cell(out, buf_text(&text));
    buf_fini(&text);
}

static void add_reasons(struct buf *out, const json_t *reasons) {
    struct buf text;
    buf_init(&text, 4096);
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        const char *field = json_get_text(reason, "field", "");
        buf_printf(&text, "%s%s%s%s", i ? " " : "", field, field[0] ? ":" : "",
                   json_get_text(reason, "code", ""));
    }
    csv_cell(out, buf_text(&text));
    buf_fini(&text);
}

static void add_fields(struct buf *out, const json_t *report) {
    const json_t *fields = json_object_get(report, "fields");
    for (int i = 0; i < FIELD_COUNT; i++)
        add_value(out, json_object_get(json_object_get(fields, field_key((enum field)i)), "value"));
    add_value(out, json_object_get(report, "_needs_review"));
    add_reasons(out, json_object_get(report, "review_reasons"));
}

void csv_line(const json_t *report, struct buf *out) {
    csv_cell(out, json_get_text(report, "file", ""));
    add_fields(out, report);
    csv_cell(out, json_get_text(json_object_get(report, "error"), "code", ""));
}

void csv_pole_head(struct buf *out) {
    static const char *const BEFORE[] = {"poste", "fotos", "prontas"};
    static const char *const BEHIND[] = {"banco_trafo", "units", "kva_total", "registros",
                                         "registros_erro"};
    for (size_t i = 0; i < sizeof BEFORE / sizeof *BEFORE; i++)
        csv_cell(out, BEFORE[i]);
    add_heads(out);
    for (size_t i = 0; i < sizeof BEHIND / sizeof *BEHIND; i++)
        csv_cell(out, BEHIND[i]);
}

// "potencia_kva:same fabricante:different"; what one side does not say is left out.
static void add_matches(struct buf *out, const json_t *records) {
    struct buf text;
    buf_init(&text, 4096);
    for (int i = 0; i < FIELD_COUNT; i++) {
        const char *key = field_key((enum field)i);
        const char *match = json_get_text(json_object_get(records, key), "match", "unknown");
        if (strcmp(match, "unknown") != 0)
            buf_printf(&text, "%s%s:%s", text.length ? " " : "", key, match);
    }
    csv_cell(out, buf_text(&text));
    buf_fini(&text);
}

void csv_pole_line(const json_t *report, struct buf *out) {
    const json_t *records = json_object_get(report, "registros");
    csv_cell(out, json_get_text(report, "poste", ""));
    add_value(out, json_object_get(report, "fotos"));
    add_value(out, json_object_get(report, "prontas"));
    add_fields(out, report);
    add_value(out, json_object_get(records, "banco_trafo"));
    add_value(out, json_object_get(records, "units"));
    add_value(out, json_object_get(records, "kva_total"));
    add_matches(out, records);
    csv_cell(out, json_get_text(json_object_get(report, "registros_erro"), "code", ""));
}

char *csv_first(const char *line, size_t length) {
    if (length == 0 || line[0] != '"') {
        const char *comma = memchr(line, ',', length);
        return comma ? mem_strndup(line, (size_t)(comma - line)) : NULL;
    }
    struct buf cell;
    buf_init(&cell, length + 1);
    size_t i = 1;
    if (i + 1 < length && line[i] == '\'' && strchr("=+-@\t\r", line[i + 1]))
        i++; // ours, before what looks like a formula
    for (; i < length; i++) {
        if (line[i] == '"' && (i + 1 >= length || line[i + 1] != '"'))
            break;
        i += line[i] == '"';
        buf_add(&cell, line + i, 1);
    }
    char *text = i < length ? mem_strdup(buf_text(&cell)) : NULL;
    buf_fini(&cell);
    return text;
}
