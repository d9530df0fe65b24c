#include "vision/geometry.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

float box_width(struct box box) { return box.x1 > box.x0 ? box.x1 - box.x0 : 0; }
float box_height(struct box box) { return box.y1 > box.y0 ? box.y1 - box.y0 : 0; }
float box_area(struct box box) { return box_width(box) * box_height(box); }

float box_overlap(struct box a, struct box b) {
    struct box both = {fmaxf(a.x0, b.x0), fmaxf(a.y0, b.y0), fminf(a.x1, b.x1), fminf(a.y1, b.y1)};
    float shared = box_area(both), all = box_area(a) + box_area(b) - shared;
    return all > 0 ? shared / all : 0;
}

struct box box_pad(struct box box, float share, int width, int height) {
    float dx = box_width(box) * share, dy = box_height(box) * share;
    return (struct box){fmaxf(0, box.x0 - dx), fmaxf(0, box.y0 - dy),
                        fminf((float)width, box.x1 + dx), fminf((float)height, box.y1 + dy)};
}

float quad_height(const struct quad *quad) {
    const struct point *p = quad->corners;
    return (hypotf(p[0].x - p[3].x, p[0].y - p[3].y) + hypotf(p[1].x - p[2].x, p[1].y - p[2].y)) /
           2;
}

struct box quad_box(const struct quad *quad) {
    const struct point *p = quad->corners;
    struct box box = {p->x, p->y, p->x, p->y};
    for (size_t i = 1; i < 4; i++) {
        box.x0 = fminf(box.x0, p[i].x);
        box.y0 = fminf(box.y0, p[i].y);
        box.x1 = fmaxf(box.x1, p[i].x);
        box.y1 = fmaxf(box.y1, p[i].y);
    }
    return box;
}

static struct point turn_once(struct point p, int width) {
    return (struct point){p.y, (float)width - p.x};
}

struct quad quad_turn(const struct quad *quad, unsigned quarters, int width, int height) {
    struct quad turned = *quad;
    for (unsigned q = 0; q < quarters % 4; q++) {
        for (size_t i = 0; i < 4; i++)
            turned.corners[i] = turn_once(turned.corners[i], width);
        int swap = width;
        width = height;
        height = swap;
    }
    return turned;
}

struct quad quad_in_order(const struct quad *quad) {
    struct point p[4];
    for (size_t i = 0; i < 4; i++) { // by x; equal ones stay as they are
        size_t at = i;
        for (; at > 0 && p[at - 1].x > quad->corners[i].x; at--)
            p[at] = p[at - 1];
        p[at] = quad->corners[i];
    }
    bool left = p[1].y < p[0].y, right = p[3].y < p[2].y;
    return (struct quad){{p[left], p[2 + right], p[3 - right], p[!left]}};
}

static int by_x_then_y(const void *a, const void *b) {
    const struct point *p = a, *q = b;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return (p->y > q->y) - (p->y < q->y);
}

// Which way a -> b -> c turns; doubles, because pictures reach 30,000 pixels and squares are added.
static double turn_of(struct point a, struct point b, struct point c) {
    return ((double)b.x - a.x) * ((double)c.y - a.y) - ((double)b.y - a.y) * ((double)c.x - a.x);
}

// Andrew's monotone chain (Information Processing Letters 9, 1979): the hull's corners in `hull`,
// which has room for count + 1.
static size_t convex_hull(struct point *points, size_t count, struct point *hull) {
    qsort(points, count, sizeof *points, by_x_then_y);
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        while (size >= 2 && turn_of(hull[size - 2], hull[size - 1], points[i]) <= 0)
            size--;
        hull[size++] = points[i];
    }
    size_t lower = size + 1;
    for (size_t i = count - 1; i-- > 0;) {
        while (size >= lower && turn_of(hull[size - 2], hull[size - 1], points[i]) <= 0)
            size--;
        hull[size++] = points[i];
    }
    return size > 1 ? size - 1 : size; // the last is the first again
}

// A rectangle along a direction: where it begins and ends along and across it.
struct span_rect {
    double ux, uy; // unit vector
    double along0, along1, across0, across1;
};

static double span_area(const struct span_rect *rect) {
    return (rect->along1 - rect->along0) * (rect->across1 - rect->across0);
}

static struct span_rect span_along(const struct point *hull, size_t count, double ux, double uy) {
    struct span_rect rect = {ux, uy, INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t i = 0; i < count; i++) {
        double along = hull[i].x * ux + hull[i].y * uy, across = hull[i].y * ux - hull[i].x * uy;
        rect.along0 = fmin(rect.along0, along);
        rect.along1 = fmax(rect.along1, along);
        rect.across0 = fmin(rect.across0, across);
        rect.across1 = fmax(rect.across1, across);
    }
    return rect;
}

static struct point span_point(const struct span_rect *rect, double along, double across) {
    return (struct point){(float)(along * rect->ux - across * rect->uy),
                          (float)(along * rect->uy + across * rect->ux)};
}

static float distance(struct point a, struct point b) { return hypotf(a.x - b.x, a.y - b.y); }

struct quad hull_min_rect(const struct point *hull, size_t count, float *width, float *height) {
    struct span_rect best = span_along(hull, count, 1, 0);
    double area = count == 1 ? span_area(&best) : INFINITY;
    // The smallest rectangle has a side along one of the hull's (Freeman and Shapira, 1975).
    for (size_t i = 0; i < count && count > 1; i++) {
        struct point from = hull[i], to = hull[(i + 1) % count];
        double dx = (double)to.x - from.x, dy = (double)to.y - from.y, length = hypot(dx, dy);
        if (length == 0)
            continue;
        struct span_rect rect = span_along(hull, count, dx / length, dy / length);
        if (span_area(&rect) < area) {
            area = span_area(&rect);
            best = rect;
        }
    }
    struct quad quad = {{span_point(&best, best.along0, best.across0),
                         span_point(&best, best.along1, best.across0),
                         span_point(&best, best.along1, best.across1),
                         span_point(&best, best.along0, best.across1)}};
    quad = quad_in_order(&quad);
    *width = distance(quad.corners[0], quad.corners[1]);
    *height = distance(quad.corners[0], quad.corners[3]);
    return quad;
}

struct quad points_min_rect(struct point *points, size_t count, struct point *room, float *width,
                            float *height) {
    assert(count >= 1);
    return hull_min_rect(room, convex_hull(points, count, room), width, height);
}
