// Plates for tests, drawn as text: a row of the drawing is a row of the plate, two blanks part
// what a reader would read as two lines. A column is 10 pixels, a row 30, letters are 16 high.
#pragma once

#include "base/mem.h"
#include "plate.h"
#include "vision/text_reader.h"

#include <stdio.h>
#include <string.h>

enum { DRAWN_MAX = 96 };

struct drawing {
    struct text_line lines[DRAWN_MAX];
    size_t count;
};

static inline void drawing_add(struct drawing *drawing, const char *text, size_t bytes,
                               unsigned row, unsigned column, unsigned columns, float confidence) {
    struct text_line *line = &drawing->lines[drawing->count++];
    float x0 = (float)column * 10, x1 = (float)(column + columns) * 10;
    float y0 = (float)row * 30 + 7, y1 = y0 + 16;
    *line = (struct text_line){.text = mem_strndup(text, bytes), .confidence = confidence};
    line->quad = (struct quad){{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}};
    line->upright = line->quad;
}

static inline void draw(struct drawing *drawing, const char *picture) {
    unsigned row = 0, column = 0;
    drawing->count = 0;
    for (const char *p = picture; *p; row++, column = 0) {
        while (*p && *p != '\n') {
            for (; *p == ' '; p++)
                column++;
            const char *begin = p;
            unsigned columns = 0;
            while (*p && *p != '\n' && !(p[0] == ' ' && (p[1] == ' ' || p[1] == '\n')))
                columns += ((unsigned char)*p++ & 0xC0) != 0x80;
            if (p > begin)
                drawing_add(drawing, begin, (size_t)(p - begin), row, column, columns, .97f);
            column += columns;
        }
        p += *p == '\n';
    }
}

static inline void drawing_fini(struct drawing *drawing) {
    for (size_t i = 0; i < drawing->count; i++)
        mem_free(drawing->lines[i].text);
    drawing->count = 0;
}

// "potencia_kva=75 fases=3": the values that are there, in the order of fields.
static inline void values_text(const struct plate *plate, char *out, size_t size) {
    size_t length = 0;
    out[0] = '\0';
    for (int i = 0; i < FIELD_COUNT && length < size; i++)
        if (plate->values[i].text[0])
            length += (size_t)snprintf(out + length, size - length, "%s%s=%s", length ? "; " : "",
                                       field_key((enum field)i), plate->values[i].text);
}

// "elo_fusivel:suggested": the reasons in their order.
static inline void reasons_text(const struct plate *plate, char *out, size_t size) {
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < plate->reason_count && length < size; i++)
        length += (size_t)snprintf(
            out + length, size - length, "%s%s:%s", length ? "; " : "",
            plate->reasons[i].field < FIELD_COUNT ? field_key(plate->reasons[i].field) : "plate",
            plate->reasons[i].code);
}
