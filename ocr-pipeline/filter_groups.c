// Lines that stand together: the nearest are joined first, until what is left is far apart. A group
// that speaks of another thing is never joined with one that is a plate's.
#include "filter_private.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

// How far apart lines of one thing may be, in heights of the smaller text; lines as close as those
// of a paragraph are one thing whatever they say. How many points make a group a plate's for sure.
static const float REACH = 4, CLOSE = 1.5f, LIKE = 1.6f, UNLIKE = 5;
enum { PLATE_POINTS = 6 };

struct edge {
    float distance;
    bool close;
    uint16_t a, b;
};

static float line_height(const struct text_line *line) {
    float height = quad_height(&line->upright);
    return height > 1 ? height : 1;
}

// Columns stand further apart than rows.
static float distance_of(const struct sheet *sheet, size_t a, size_t b, bool *close) {
    const struct text_line *p = &sheet->lines[a], *q = &sheet->lines[b];
    struct offset to = sheet_offset(sheet, a, &p->upright, b, &q->upright);
    struct offset back = sheet_offset(sheet, b, &q->upright, a, &p->upright);
    float right = fmaxf(0, fmaxf(to.right, back.right));
    float below = fmaxf(0, fmaxf(to.below, back.below));
    // offset's gaps are signed one way: the larger of both is the gap, 0 when they overlap.
    float height = fminf(line_height(p), line_height(q));
    // Letters of another size are another thing's more often than not.
    float ratio = fmaxf(line_height(p), line_height(q)) / height;
    *close = fmaxf(right, below) < CLOSE * height && ratio <= LIKE;
    return ratio > UNLIKE ? INFINITY
                          : hypotf(right * .5f, below) / height * (ratio > LIKE ? ratio : 1);
}

static int by_distance(const void *a, const void *b) {
    const struct edge *p = a, *q = b;
    return (p->distance > q->distance) - (p->distance < q->distance);
}

size_t group_of(const struct groups *groups, size_t line) {
    while (groups->root[line] != line)
        line = groups->root[line];
    return line;
}

static bool may_join(const struct mark *a, const struct mark *b) {
    enum text_class x = mark_foreign(a), y = mark_foreign(b);
    if (x == TEXT_NAMEPLATE && y == TEXT_NAMEPLATE)
        return true;
    if (x != TEXT_NAMEPLATE && y != TEXT_NAMEPLATE)
        return x == y;
    const struct mark *plate = x == TEXT_NAMEPLATE ? a : b;
    return plate->plate < PLATE_POINTS && !plate->maker;
}

// Warnings are stuck close to plates, in letters as large as the maker's.
static bool warns_beside_plate(const struct mark *a, const struct mark *b) {
    enum text_class x = mark_foreign(a), y = mark_foreign(b);
    return (x == TEXT_NAMEPLATE && y == TEXT_OTHER) || (x == TEXT_OTHER && y == TEXT_NAMEPLATE);
}

static void join(struct groups *groups, size_t a, size_t b, bool close) {
    size_t x = group_of(groups, a), y = group_of(groups, b);
    const struct mark *p = &groups->sums[x], *q = &groups->sums[y];
    if (x == y || (!may_join(p, q) && (!close || warns_beside_plate(p, q))))
        return;
    size_t root = x < y ? x : y, other = x < y ? y : x;
    groups->root[other] = root;
    struct mark *sum = &groups->sums[root], *more = &groups->sums[other];
    sum->plate += more->plate;
    sum->maker |= more->maker;
    for (int i = 0; i <= TEXT_OTHER; i++)
        sum->votes[i] += more->votes[i];
}

static bool is_parted(enum side a, enum side b) {
    return a != SIDE_UNKNOWN && b != SIDE_UNKNOWN && a != b;
}

void groups_init(struct groups *groups, const struct sheet *sheet, const struct mark *marks,
                 const enum side *sides) {
    size_t count = sheet->line_count, edge_count = 0;
    groups->root = mem_alloc((count + 1) * sizeof *groups->root);
    groups->sums = mem_alloc((count + 1) * sizeof *groups->sums);
    struct edge *edges = mem_alloc((count * count / 2 + 1) * sizeof *edges);
    for (size_t i = 0; i < count; i++) {
        groups->root[i] = i;
        groups->sums[i] = marks[i];
        for (size_t k = 0; k < i; k++) {
            bool close;
            float distance = distance_of(sheet, k, i, &close);
            if (distance < REACH && !is_parted(sides[k], sides[i]))
                edges[edge_count++] = (struct edge){distance, close, (uint16_t)k, (uint16_t)i};
        }
    }
    qsort(edges, edge_count, sizeof *edges, by_distance);
    for (size_t i = 0; i < edge_count; i++)
        join(groups, edges[i].a, edges[i].b, edges[i].close);
    mem_free(edges);
}

void groups_fini(struct groups *groups) {
    mem_free(groups->root);
    mem_free(groups->sums);
}
