#include "joints.h"

#include "base/mem.h"
#include "normalise.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// How far apart the parts may stand, and how much of their height they share, in heights of text.
static const float GAP_MOST = 3.2f, SHIFT_MOST = .4f;

// Does `text` end with a digit and a stroke, or with a digit? Blanks do not count.
static bool ends_with_stroke(const char *text, bool *digit) {
    size_t end = strlen(text);
    bool stroke = false;
    while (end > 0 && (text[end - 1] == ' ' || (text[end - 1] == '/' && !stroke)))
        stroke |= text[--end] == '/';
    *digit = end > 0 && is_digit(text[end - 1]);
    return stroke;
}

static bool begins_with_stroke(const char *text, bool *digit) {
    bool stroke = false;
    while (*text == ' ' || (*text == '/' && !stroke))
        stroke |= *text++ == '/';
    *digit = is_digit(*text) || !*text; // a lone stroke has its number in the next part
    return stroke;
}

static bool is_value_cut(const struct text_line *left, const struct text_line *right) {
    bool before, after;
    bool ends = ends_with_stroke(left->text, &before),
         begins = begins_with_stroke(right->text, &after);
    return before && after && ends != begins;
}

static float distance(struct point a, struct point b) { return hypotf(b.x - a.x, b.y - a.y); }

// `right` goes on where `left` ends: along its line, in letters of its size.
static bool goes_on(const struct text_line *left, const struct text_line *right) {
    const struct point *a = left->upright.corners, *b = right->upright.corners;
    float wide = distance(a[0], a[1]), tall = quad_height(&left->upright);
    float other = quad_height(&right->upright);
    if (wide <= 0 || tall <= 0 || other < .6f * tall || other > 1.6f * tall)
        return false;
    struct point along = {(a[1].x - a[0].x) / wide, (a[1].y - a[0].y) / wide};
    struct point from = {(a[1].x + a[2].x) / 2, (a[1].y + a[2].y) / 2};
    struct point to = {(b[0].x + b[3].x) / 2 - from.x, (b[0].y + b[3].y) / 2 - from.y};
    float gap = to.x * along.x + to.y * along.y, shift = to.y * along.x - to.x * along.y;
    return gap > -.3f * tall && gap < GAP_MOST * tall && fabsf(shift) < SHIFT_MOST * tall;
}

static struct quad span(const struct quad *left, const struct quad *right) {
    return (struct quad){
        {left->corners[0], right->corners[1], right->corners[2], left->corners[3]}};
}

// Characters of a part, their places as shares of the whole.
static void put_chars(struct text_line *line, const struct text_line *part, float from, float to) {
    for (size_t i = 0; i < part->char_count; i++) {
        struct text_char *c = &line->chars[line->char_count++];
        *c = part->chars[i];
        c->x0 = from + (to - from) * c->x0;
        c->x1 = from + (to - from) * c->x1;
    }
}

static struct text_line put_together(const struct text_line *left, const struct text_line *right) {
    struct text_line line = *left;
    size_t size = strlen(left->text) + strlen(right->text) + 1;
    line.text = mem_alloc(size);
    snprintf(line.text, size, "%s%s", left->text, right->text);
    line.confidence = fminf(left->confidence, right->confidence);
    line.quad = span(&left->quad, &right->quad);
    line.upright = span(&left->upright, &right->upright);
    line.chars = NULL;
    line.char_count = 0;
    if (!left->chars || !right->chars)
        return line;
    const struct point *a = left->upright.corners, *b = right->upright.corners;
    float wide = fmaxf(1, distance(a[0], b[1]));
    line.chars = mem_alloc((left->char_count + right->char_count + 1) * sizeof *line.chars);
    put_chars(&line, left, 0, distance(a[0], a[1]) / wide);
    put_chars(&line, right, 1 - distance(b[0], b[1]) / wide, 1);
    return line;
}

// One pair becomes one line, at the place of its left part; false when there is none.
static bool join_next(struct joints *joints, size_t most) {
    for (size_t i = 0; i < joints->count && joints->own_count < most; i++)
        for (size_t k = 0; k < joints->count; k++) {
            struct text_line *left = &joints->lines[i], *right = &joints->lines[k];
            if (i == k || !is_value_cut(left, right) || !goes_on(left, right))
                continue;
            *left = joints->own[joints->own_count++] = put_together(left, right);
            memmove(right, right + 1, (joints->count - k - 1) * sizeof *right);
            joints->count--;
            return true;
        }
    return false;
}

void joints_init(struct joints *joints, const struct text_line *lines, size_t count, size_t most) {
    count = count < most ? count : most;
    *joints = (struct joints){.count = count};
    joints->lines = mem_alloc((count + 1) * sizeof *joints->lines);
    joints->own = mem_alloc((count + 1) * sizeof *joints->own);
    if (count > 0)
        memcpy(joints->lines, lines, count * sizeof *lines);
    while (join_next(joints, count))
        ;
}

void joints_fini(struct joints *joints) {
    for (size_t i = 0; i < joints->own_count; i++) {
        mem_free(joints->own[i].text);
        mem_free(joints->own[i].chars);
    }
    mem_free(joints->own);
    mem_free(joints->lines);
}
