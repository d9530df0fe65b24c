#include "sheet.h"

#include "base/mem.h"
#include "date.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float distance(struct point a, struct point b) { return hypotf(a.x - b.x, a.y - b.y); }

static struct point quad_middle(const struct quad *quad) {
    struct point sum = {0, 0};
    for (size_t i = 0; i < 4; i++) {
        sum.x += quad->corners[i].x / 4;
        sum.y += quad->corners[i].y / 4;
    }
    return sum;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float middle_height(const struct text_line *lines, size_t count) {
    if (count == 0)
        return 1;
    float *heights = mem_alloc(count * sizeof *heights);
    for (size_t i = 0; i < count; i++)
        heights[i] = quad_height(&lines[i].upright);
    qsort(heights, count, sizeof *heights, by_size);
    float middle = heights[count / 2];
    mem_free(heights);
    return middle > 1 ? middle : 1;
}

// How text runs at a place: askew as a whole, and more so along a bent tank or in perspective.
struct bend {
    struct point middle, along; // of all text
    double slope, by_x, by_y; // of the direction there, against `along`; per pixel from the middle
};

static struct point vector_of(const struct quad *quad) {
    return (struct point){quad->corners[1].x - quad->corners[0].x,
                          quad->corners[1].y - quad->corners[0].y};
}

static struct point unit_vector(struct point vector) {
    float length = hypotf(vector.x, vector.y);
    return length > 0 ? (struct point){vector.x / length, vector.y / length} : (struct point){1, 0};
}

// A slope against `along`, -1..1; what runs across is noise (a lone digit's box).
static float slope_of(struct point vector, struct point along) {
    float x = vector.x * along.x + vector.y * along.y, y = vector.y * along.x - vector.x * along.y;
    return x > 0 ? fmaxf(-1, fminf(1, y / x)) : 0;
}

static void find_middle(const struct sheet *sheet, struct bend *bend) {
    struct point sum = {0, 0};
    double x = 0, y = 0, all = 0;
    for (size_t i = 0; i < sheet->line_count; i++) {
        struct point vector = vector_of(&sheet->lines[i].upright);
        struct point at = quad_middle(&sheet->lines[i].upright);
        double weight = (double)hypotf(vector.x, vector.y);
        sum = (struct point){sum.x + vector.x * (float)weight, sum.y + vector.y * (float)weight};
        x += at.x * weight;
        y += at.y * weight;
        all += weight;
    }
    bend->along = unit_vector(sum);
    bend->middle = (struct point){(float)(x / fmax(all, 1)), (float)(y / fmax(all, 1))};
}

// Least squares of slope = slope + by_x x + by_y y, each line weighed by its length squared, since
// the direction of a short box is noise and that of a long one is exact. The two that bend are held
// back (ridge), so that a few short lines bend nothing.
static void find_bend(const struct sheet *sheet, struct bend *bend) {
    double n = 0, xx = 0, yy = 0, xy = 0, sx = 0, sy = 0, s = 0;
    find_middle(sheet, bend);
    for (size_t pass = 0; pass < 2; pass++) {
        n = xx = yy = xy = sx = sy = s = 0;
        for (size_t i = 0; i < sheet->line_count; i++) {
            const struct quad *quad = &sheet->lines[i].upright;
            struct point vector = vector_of(quad), at = quad_middle(quad);
            double x = at.x - bend->middle.x, y = at.y - bend->middle.y;
            double slope = slope_of(vector, bend->along) - (pass ? bend->slope : 0);
            double weight = (double)fminf(hypotf(vector.x, vector.y) / sheet->height, 20);
            weight *= weight;
            n += weight;
            s += weight * slope;
            xx += weight * x * x;
            yy += weight * y * y;
            xy += weight * x * y;
            sx += weight * x * slope;
            sy += weight * y * slope;
        }
        if (!pass)
            bend->slope = n > 0 ? s / n : 0;
    }
    double ridge = 4 * 20 * sheet->height * sheet->height;
    double a = xx + ridge, b = yy + ridge, det = a * b - xy * xy;
    bend->by_x = det > 0 ? (sx * b - sy * xy) / det : 0;
    bend->by_y = det > 0 ? (sy * a - sx * xy) / det : 0;
}

// What the bend does not say is the mean of the lines around, the near and the long ones first.
static float slope_around(const struct sheet *sheet, const struct bend *bend, struct point place) {
    float reach = 8 * sheet->height, sum = 0, all = 0;
    for (size_t i = 0; i < sheet->line_count; i++) {
        const struct quad *quad = &sheet->lines[i].upright;
        struct point vector = vector_of(quad), at = quad_middle(quad);
        float far = distance(place, at) / reach, length = hypotf(vector.x, vector.y);
        float weight = length * length / ((1 + far * far) * (1 + far * far));
        double known = bend->slope + bend->by_x * (double)(at.x - bend->middle.x) +
                       bend->by_y * (double)(at.y - bend->middle.y);
        sum += weight * (slope_of(vector, bend->along) - (float)known);
        all += weight;
    }
    return all > 0 ? sum / all : 0;
}

static void find_directions(struct sheet *sheet) {
    struct bend bend = {0};
    find_bend(sheet, &bend);
    for (size_t i = 0; i < sheet->line_count; i++) {
        struct point at = quad_middle(&sheet->lines[i].upright);
        double known = bend.slope + bend.by_x * (double)(at.x - bend.middle.x) +
                       bend.by_y * (double)(at.y - bend.middle.y);
        float slope = (float)known + slope_around(sheet, &bend, at);
        sheet->directions[i] = unit_vector((struct point){bend.along.x - slope * bend.along.y,
                                                          bend.along.y + slope * bend.along.x});
    }
}

static bool has_word_char(struct part part) {
    for (size_t i = part.begin; i < part.end; i++)
        if (is_letter(part.folded->text[i]) || is_digit(part.folded->text[i]) ||
            part.folded->text[i] == '~')
            return true;
    return false;
}

static void add_piece(struct sheet *sheet, size_t line, struct part part,
                      const struct label_hit *hit) {
    if (!hit)
        part = part_trim(part);
    if (!has_word_char(part))
        return;
    if (sheet->count == sheet->capacity) {
        sheet->capacity = sheet->capacity ? sheet->capacity * 2 : 256;
        sheet->pieces = mem_resize(sheet->pieces, sheet->capacity * sizeof *sheet->pieces);
    }
    struct piece *piece = &sheet->pieces[sheet->count++];
    *piece = (struct piece){.part = part, .line = line};
    if (hit)
        piece->hit = *hit;
    piece->quad = part_upright(part, &sheet->lines[line]);
    piece->height = quad_height(&piece->quad);
}

// A piece without a label, which may begin with one that was not read right. Large letters are a
// maker's name.
static void add_unlabelled(struct sheet *sheet, size_t line, struct part part,
                           const struct labels *labels) {
    struct label_hit hit;
    part = part_trim(part);
    struct date date; // "MARÇO/2016" is near to "MARCA"
    bool dated = date_find(part, 2099, &date) && date.month;
    bool small = !dated && quad_height(&sheet->lines[line].upright) < 1.6f * sheet->height;
    if (small && labels_guess(labels, part, &hit)) {
        add_piece(sheet, line, (struct part){part.folded, hit.begin, hit.end}, &hit);
        part.begin = hit.end;
    }
    add_piece(sheet, line, part, NULL);
}

// "COD.CUENTE: 5666257", "MES/AN 03/16": a short label that is the beginning of a longer one, of a
// field, whose rest was not read right.
static bool goes_on(const struct labels *labels, const struct folded *folded,
                    const struct label_hit *hit, size_t end, struct label_hit *longer) {
    return hit->letters <= 4 && (hit->concept >= CONCEPT_FIELDS || hit->concept == CONCEPT_MONTH) &&
           labels_guess(labels, (struct part){folded, hit->begin, end}, longer) &&
           longer->concept < CONCEPT_FIELDS;
}

static void cut_line(struct sheet *sheet, size_t line, const struct labels *labels) {
    struct label_hit hits[LABEL_HITS_MAX], longer;
    const struct folded *folded = &sheet->folds[line];
    size_t count = labels_find(labels, folded, hits), at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t next = i + 1 < count ? hits[i + 1].begin : folded->length;
        if (goes_on(labels, folded, &hits[i], next, &longer))
            hits[i] = longer;
        add_unlabelled(sheet, line, (struct part){folded, at, hits[i].begin}, labels);
        add_piece(sheet, line, (struct part){folded, hits[i].begin, hits[i].end}, &hits[i]);
        at = hits[i].end;
    }
    add_unlabelled(sheet, line, (struct part){folded, at, folded->length}, labels);
}

void sheet_init(struct sheet *sheet, const struct text_line *lines, size_t count,
                const struct labels *labels) {
    count = count < LINES_MAX ? count : LINES_MAX;
    *sheet = (struct sheet){.lines = lines, .line_count = count};
    sheet->height = middle_height(lines, count);
    sheet->folds = mem_alloc((count + 1) * sizeof *sheet->folds);
    sheet->directions = mem_alloc((count + 1) * sizeof *sheet->directions);
    sheet->taken = mem_alloc((count + 1) * (FOLDED_MAX + 1));
    find_directions(sheet);
    for (size_t i = 0; i < count; i++) {
        fold_line(&sheet->folds[i], lines[i].text);
        cut_line(sheet, i, labels);
    }
    sheet_join_labels(sheet, labels);
}

void sheet_fini(struct sheet *sheet) {
    mem_free(sheet->folds);
    mem_free(sheet->directions);
    mem_free(sheet->taken);
    mem_free(sheet->pieces);
    *sheet = (struct sheet){0};
}

bool piece_is_label(const struct piece *piece) { return piece->hit.concept != CONCEPT_NONE; }

const struct text_line *sheet_line(const struct sheet *sheet, const struct piece *piece) {
    return &sheet->lines[piece->line];
}

void sheet_take(struct sheet *sheet, size_t line, struct part part, enum concept concept) {
    unsigned char *taken = sheet->taken + line * (FOLDED_MAX + 1);
    for (size_t i = part.begin; i < part.end; i++)
        taken[i] = (unsigned char)(taken[i] == CONCEPT_NONE ? concept : (enum concept)taken[i]);
}

enum concept sheet_taken(const struct sheet *sheet, size_t line, size_t at) {
    return (enum concept)sheet->taken[line * (FOLDED_MAX + 1) + at];
}

bool sheet_is_free(const struct sheet *sheet, size_t line, struct part part) {
    for (size_t i = part.begin; i < part.end; i++)
        if (sheet_taken(sheet, line, i) != CONCEPT_NONE)
            return false;
    return true;
}

struct extent {
    float x0, x1, y0, y1; // along and across
};

static struct extent extent_of(const struct quad *quad, struct point along) {
    struct extent extent = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t i = 0; i < 4; i++) {
        struct point p = quad->corners[i];
        float x = p.x * along.x + p.y * along.y, y = p.y * along.x - p.x * along.y;
        extent.x0 = fminf(extent.x0, x);
        extent.x1 = fmaxf(extent.x1, x);
        extent.y0 = fminf(extent.y0, y);
        extent.y1 = fmaxf(extent.y1, y);
    }
    return extent;
}

static float shared(float a0, float a1, float b0, float b1) {
    float both = fminf(a1, b1) - fmaxf(a0, b0), less = fminf(a1 - a0, b1 - b0);
    return both > 0 && less > 0 ? both / less : 0;
}

struct offset sheet_offset(const struct sheet *sheet, size_t a_line, const struct quad *a,
                           size_t b_line, const struct quad *b) {
    struct point u = sheet->directions[a_line], w = sheet->directions[b_line];
    struct point along = {u.x + w.x, u.y + w.y};
    float length = hypotf(along.x, along.y);
    along = length > 0 ? (struct point){along.x / length, along.y / length} : u;
    struct extent p = extent_of(a, along), q = extent_of(b, along);
    return (struct offset){
        .right = q.x0 - p.x1,
        .below = q.y0 - p.y1,
        .overlap_y = shared(p.y0, p.y1, q.y0, q.y1),
        .overlap_x = shared(p.x0, p.x1, q.x0, q.x1),
        .left = q.x0 - p.x0,
        .middle = (q.x0 + q.x1 - p.x0 - p.x1) / 2,
    };
}
