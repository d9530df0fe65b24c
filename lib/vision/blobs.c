#include "vision/blobs.h"

#include "base/mem.h"

#include <string.h>

// A row's stretch of equal pixels, x0 <= x < x1.
struct run {
    int y, x0, x1;
    uint32_t parent; // of the union-find forest: He, Chao, Suzuki, "A run-based two-scan labeling
                     // algorithm" (2008)
};

struct runs {
    struct run *items;
    size_t count, room;
};

static void add_run(struct runs *runs, int y, int x0, int x1) {
    if (runs->count == runs->room) {
        runs->room = runs->room ? runs->room * 2 : 256;
        runs->items = mem_resize(runs->items, runs->room * sizeof *runs->items);
    }
    runs->items[runs->count] = (struct run){y, x0, x1, (uint32_t)runs->count};
    runs->count++;
}

static void add_row(struct runs *runs, const uint8_t *row, int y, int width, uint8_t mark) {
    for (int x = 0; x < width;) {
        const uint8_t *begin = memchr(row + x, mark, (size_t)(width - x));
        if (!begin)
            return;
        int x0 = (int)(begin - row);
        const uint8_t *end = memchr(begin, !mark, (size_t)(width - x0));
        x = end ? (int)(end - row) : width;
        add_run(runs, y, x0, x);
    }
}

static uint32_t root_of(struct run *runs, uint32_t at) {
    while (runs[at].parent != at)
        at = runs[at].parent = runs[runs[at].parent].parent;
    return at;
}

static void join(struct run *runs, uint32_t a, uint32_t b) {
    a = root_of(runs, a);
    b = root_of(runs, b);
    if (a < b)
        runs[b].parent = a;
    else
        runs[a].parent = b;
}

// Joins the runs of a row, [row, end), with those of the row above, [above, row).
static void join_rows(struct run *runs, size_t above, size_t row, size_t end, int reach) {
    for (size_t a = above, b = row; a < row && b < end;) {
        if (runs[a].x0 < runs[b].x1 + reach && runs[b].x0 < runs[a].x1 + reach)
            join(runs, (uint32_t)a, (uint32_t)b);
        if (runs[a].x1 < runs[b].x1)
            a++;
        else
            b++;
    }
}

// All runs of the mark, joined into groups. reach 1: corners touch.
static struct runs find_runs(const uint8_t *marks, int width, int height, uint8_t mark, int reach) {
    struct runs runs = {0};
    size_t above = 0;
    for (int y = 0; y < height; y++) {
        size_t row = runs.count;
        add_row(&runs, marks + (size_t)y * (size_t)width, y, width, mark);
        join_rows(runs.items, above, row, runs.count, reach);
        above = row;
    }
    return runs;
}

static size_t run_points(const struct run *run, struct point *out) {
    out[0] = (struct point){(float)run->x0, (float)run->y};
    out[1] = (struct point){(float)run->x1 - 1, (float)run->y};
    return 2;
}

// The marked pixels around a run of a hole: at both ends, and the outermost ones above and below.
static size_t rim_points(const struct run *run, const uint8_t *marks, int width,
                         struct point *out) {
    size_t count = 0;
    out[count++] = (struct point){(float)run->x0 - 1, (float)run->y};
    out[count++] = (struct point){(float)run->x1, (float)run->y};
    for (int y = run->y - 1; y <= run->y + 1; y += 2) {
        const uint8_t *row = marks + (size_t)y * (size_t)width;
        int x0 = run->x0, x1 = run->x1 - 1;
        while (x0 <= x1 && !row[x0])
            x0++;
        while (x1 > x0 && !row[x1])
            x1--;
        if (x0 <= x1) {
            out[count++] = (struct point){(float)x0, (float)y};
            out[count++] = (struct point){(float)x1, (float)y};
        }
    }
    return count;
}

// A group of unmarked pixels that reaches the picture's edge is no hole.
static void mark_open(struct runs *runs, uint8_t *open, int width, int height) {
    for (size_t i = 0; i < runs->count; i++) {
        const struct run *run = &runs->items[i];
        if (run->x0 == 0 || run->y == 0 || run->x1 == width || run->y == height - 1)
            open[root_of(runs->items, (uint32_t)i)] = 1;
    }
}

enum { RUN_POINTS = 6 };

// Lays the runs' points down group by group: first how many each has, then where each begins.
static void add_groups(struct blobs *out, struct runs *runs, const uint8_t *marks, int width,
                       const uint8_t *skip) {
    size_t *at = mem_alloc((runs->count + 1) * sizeof *at);
    struct point points[RUN_POINTS];
    size_t first = out->count, total = out->starts[first];
    for (size_t i = 0; i < runs->count; i++) {
        uint32_t root = root_of(runs->items, (uint32_t)i);
        const struct run *run = &runs->items[i];
        if (!skip)
            at[root] += run_points(run, points);
        else if (!skip[root])
            at[root] += rim_points(run, marks, width, points);
    }
    size_t groups = 0;
    for (size_t i = 0; i < runs->count; i++)
        groups += at[i] > 0;
    out->starts = mem_resize(out->starts, (first + groups + 1) * sizeof *out->starts);
    for (size_t i = 0; i < runs->count; i++) {
        if (!at[i])
            continue;
        size_t count = at[i];
        at[i] = total;
        total += count;
        out->starts[++out->count] = total;
    }
    out->points = mem_resize(out->points, total * sizeof *out->points);
    for (size_t i = 0; i < runs->count; i++) {
        uint32_t root = root_of(runs->items, (uint32_t)i);
        const struct run *run = &runs->items[i];
        if (skip && skip[root])
            continue;
        size_t count = skip ? rim_points(run, marks, width, points) : run_points(run, points);
        memcpy(out->points + at[root], points, count * sizeof *points);
        at[root] += count;
    }
    mem_free(at);
}

void blobs_find(struct blobs *out, const uint8_t *marks, int width, int height) {
    *out = (struct blobs){.starts = mem_alloc(sizeof *out->starts)};
    struct runs runs = find_runs(marks, width, height, 1, 1);
    add_groups(out, &runs, marks, width, NULL);
    mem_free(runs.items);
    runs = find_runs(marks, width, height, 0, 0);
    uint8_t *open = mem_alloc(runs.count + 1);
    mark_open(&runs, open, width, height);
    add_groups(out, &runs, marks, width, open);
    mem_free(open);
    mem_free(runs.items);
}

void blobs_fini(struct blobs *blobs) {
    mem_free(blobs->points);
    mem_free(blobs->starts);
    *blobs = (struct blobs){0};
}
