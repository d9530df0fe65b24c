// Labels whose words stand on two lines in a narrow cell, "ORDEM DE" above "FABRICAÇÃO": each line
// alone says nothing, or something else.
#include "sheet.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>

// How far the lines may be apart and how much their letters may differ, in heights of text.
static const float GAP_MOST = .9f, OVERLAP_MOST = .45f, SHIFT_MOST = .8f, TALLER_MOST = 1.4f;

static bool promises_more(const struct folded *folded) {
    const char *text = folded->text;
    return str_ends(text, " DE") || str_ends(text, " DO") || str_ends(text, " DA");
}

static bool stands_below(const struct sheet *sheet, size_t above, size_t below) {
    const struct quad *a = &sheet->lines[above].upright, *b = &sheet->lines[below].upright;
    struct offset offset = sheet_offset(sheet, above, a, below, b);
    float height = quad_height(a), other = quad_height(b);
    return offset.below <= GAP_MOST * height && offset.below >= -OVERLAP_MOST * height &&
           fabsf(offset.left) <= SHIFT_MOST * height && other <= TALLER_MOST * height &&
           height <= TALLER_MOST * other;
}

// The label that both lines are together, all of them.
static bool joined_label(const struct sheet *sheet, size_t above, size_t below,
                         const struct labels *labels, struct label_hit *hit) {
    struct folded both;
    struct label_hit hits[LABEL_HITS_MAX];
    char text[2 * FOLDED_MAX + 2];
    snprintf(text, sizeof text, "%s %s", sheet->lines[above].text, sheet->lines[below].text);
    fold_line(&both, text);
    if (labels_find(labels, &both, hits) != 1 || hits[0].begin > 0 || hits[0].end < both.length)
        return false;
    *hit = hits[0];
    return true;
}

static bool says(const struct sheet *sheet, size_t line, enum concept concept) {
    for (size_t i = 0; i < sheet->count; i++)
        if (sheet->pieces[i].line == line && sheet->pieces[i].hit.concept == concept)
            return true;
    return false;
}

// The upper line becomes the label, at the place of both.
static void join(struct sheet *sheet, size_t above, size_t below, const struct label_hit *hit) {
    const struct quad *upper = &sheet->lines[above].upright, *lower = &sheet->lines[below].upright;
    const struct folded *folded = &sheet->folds[above];
    struct piece *piece = sheet->pieces, *end = piece + sheet->count;
    while (piece < end && piece->line != above)
        piece++;
    if (piece == end)
        return;
    piece->part = (struct part){folded, 0, folded->length};
    piece->hit = *hit;
    piece->hit.begin = 0;
    piece->hit.end = folded->length;
    piece->quad =
        (struct quad){{upper->corners[0], upper->corners[1], lower->corners[2], lower->corners[3]}};
    size_t label = (size_t)(piece - sheet->pieces), kept = 0;
    for (size_t i = 0; i < sheet->count; i++) {
        size_t line = sheet->pieces[i].line;
        if (i == label || (line != above && line != below))
            sheet->pieces[kept++] = sheet->pieces[i];
    }
    sheet->count = kept;
}

static void join_below(struct sheet *sheet, size_t above, const struct labels *labels) {
    struct label_hit hit;
    for (size_t i = 0; i < sheet->line_count; i++)
        if (i != above && stands_below(sheet, above, i) &&
            joined_label(sheet, above, i, labels, &hit) &&
            !(says(sheet, above, hit.concept) && says(sheet, i, hit.concept))) {
            join(sheet, above, i, &hit);
            return;
        }
}

void sheet_join_labels(struct sheet *sheet, const struct labels *labels) {
    for (size_t i = 0; i < sheet->line_count; i++)
        if (promises_more(&sheet->folds[i]))
            join_below(sheet, i, labels);
}
