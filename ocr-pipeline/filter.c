#include "filter_private.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

// A plate's text has at least so many points (two labels); a group with so many is a plate's part
// even some way off, and so is one with a maker's name and "TRANSFORMADOR".
enum { POINTS_LABEL = 2, POINTS_LEAST = 3, POINTS_HEAD = 5, POINTS_SURE = 6 };
// How far beside the plate's text more of it may stand, in its width or height, whichever is more.
static const float NEAR_LABELS = .35f, NEAR_COLUMN = .9f, NEAR_MAKER = .25f, FAR_MAKER = 1.3f,
                   NEAR_LEVEL = .5f, WIDER = 2;
// Lines in the row or below a line of the plate: heights between them, ratio of their heights.
static const float ROW_REACH = 40, BELOW_REACH = 2.6f, LIKE_LEAST = .5f, LIKE_MOST = 2.2f;
// A plate of which little but maker and title were understood: so few lines; how far its body
// reaches below, in widths of the title, and how high its text is, as a share of the title's.
enum { HEAD_LINES = 4 };
static const float BODY_REACH = .9f, BODY_LEAST = .3f, BODY_MOST = 1.3f;
// How much larger than the detector's box the plate may be.
static const float BOX_SLACK = .12f, BOX_INSIDE = .02f, MAKER_SLACK = .25f; // a logo stands over it

const char *text_class_name(enum text_class text_class) {
    static const char *const NAMES[] = {"nameplate", "meter", "pole", "telecom", "other"};
    return NAMES[text_class];
}

struct extent {
    float x0, x1, y0, y1; // along and across the text of the photo
};

struct filter {
    const struct filter_context *context;
    struct sheet sheet;
    struct mark *marks;
    struct groups groups;
    struct point along;
    bool *plate; // a line
    struct extent hull;
    bool has_hull;
};

static struct extent no_extent(void) {
    return (struct extent){INFINITY, -INFINITY, INFINITY, -INFINITY};
}

static void extend(struct extent *extent, const struct quad *quad, struct point along) {
    for (size_t i = 0; i < 4; i++) {
        struct point p = quad->corners[i];
        float x = p.x * along.x + p.y * along.y, y = p.y * along.x - p.x * along.y;
        extent->x0 = fminf(extent->x0, x);
        extent->x1 = fmaxf(extent->x1, x);
        extent->y0 = fminf(extent->y0, y);
        extent->y1 = fmaxf(extent->y1, y);
    }
}

static struct extent extent_of_line(const struct filter *filter, size_t line) {
    struct extent extent = no_extent();
    extend(&extent, &filter->sheet.lines[line].upright, filter->along);
    return extent;
}

static struct extent extent_of_group(const struct filter *filter, size_t root) {
    struct extent extent = no_extent();
    for (size_t i = 0; i < filter->sheet.line_count; i++)
        if (group_of(&filter->groups, i) == root)
            extend(&extent, &filter->sheet.lines[i].upright, filter->along);
    return extent;
}

static bool holds_middle(const struct extent *outer, const struct extent *inner) {
    float x = (inner->x0 + inner->x1) / 2, y = (inner->y0 + inner->y1) / 2;
    return x >= outer->x0 && x <= outer->x1 && y >= outer->y0 && y <= outer->y1;
}

static float gap_between(const struct extent *a, const struct extent *b) {
    float x = fmaxf(0, fmaxf(a->x0 - b->x1, b->x0 - a->x1));
    float y = fmaxf(0, fmaxf(a->y0 - b->y1, b->y0 - a->y1));
    return hypotf(x, y);
}

static float hull_side(const struct filter *filter) {
    return fmaxf(filter->hull.x1 - filter->hull.x0, filter->hull.y1 - filter->hull.y0);
}

// The text's main direction.
static struct point direction_of(const struct sheet *sheet) {
    struct point sum = {0, 0};
    for (size_t i = 0; i < sheet->line_count; i++) {
        sum.x += sheet->directions[i].x;
        sum.y += sheet->directions[i].y;
    }
    float length = hypotf(sum.x, sum.y);
    return length > 0 ? (struct point){sum.x / length, sum.y / length} : (struct point){1, 0};
}

static bool has_box(const struct filter *filter) {
    return filter->context && filter->context->plate.x1 > filter->context->plate.x0;
}

// In the detector's box, grown by a share of its sides. The box is of the photo as it is.
static bool in_box(const struct filter *filter, size_t line, float slack) {
    struct box own = quad_box(&filter->sheet.lines[line].quad), box = filter->context->plate;
    float x = (own.x0 + own.x1) / 2, y = (own.y0 + own.y1) / 2;
    float wide = slack * box_width(box), tall = slack * box_height(box);
    return x >= box.x0 - wide && x <= box.x1 + wide && y >= box.y0 - tall && y <= box.y1 + tall;
}

static enum side side_of(const struct filter *filter, size_t line) {
    if (!has_box(filter))
        return SIDE_UNKNOWN;
    return in_box(filter, line, BOX_INSIDE)   ? SIDE_INSIDE
           : !in_box(filter, line, BOX_SLACK) ? SIDE_OUTSIDE
                                              : SIDE_UNKNOWN;
}

static bool is_foreign(const struct filter *filter, size_t root) {
    return mark_foreign(&filter->groups.sums[root]) != TEXT_NAMEPLATE;
}

static void take_group(struct filter *filter, size_t root) {
    for (size_t i = 0; i < filter->sheet.line_count; i++)
        if (group_of(&filter->groups, i) == root)
            filter->plate[i] = true;
}

static void find_hull(struct filter *filter) {
    filter->hull = no_extent();
    filter->has_hull = false;
    for (size_t i = 0; i < filter->sheet.line_count; i++)
        if (filter->plate[i]) {
            extend(&filter->hull, &filter->sheet.lines[i].upright, filter->along);
            filter->has_hull = true;
        }
}

// What the plate's text surely is: the group with most labels, or what is in the detector's box.
static void find_core(struct filter *filter) {
    size_t best = SIZE_MAX;
    unsigned most = 0;
    bool named = false;
    for (size_t i = 0; i < filter->sheet.line_count; i++) {
        const struct mark *sum = &filter->groups.sums[i];
        bool out = has_box(filter) && !in_box(filter, i, BOX_SLACK);
        if (group_of(&filter->groups, i) != i || is_foreign(filter, i) || out ||
            sum->plate < most || (sum->plate == most && (named || !sum->maker)))
            continue;
        best = i;
        most = sum->plate;
        named = sum->maker;
    }
    if (best != SIZE_MAX && (most >= POINTS_LEAST || named))
        take_group(filter, best);
    if (has_box(filter) && filter->context->seen != CONTEXT_POLE)
        for (size_t i = 0; i < filter->sheet.line_count; i++)
            if (in_box(filter, i, BOX_INSIDE) && !is_foreign(filter, group_of(&filter->groups, i)))
                filter->plate[i] = true;
    find_hull(filter);
}

// In the row of a line of the plate, or below one, in letters of about the same size.
static bool is_beside(const struct filter *filter, size_t line) {
    const struct sheet *sheet = &filter->sheet;
    const struct text_line *own = &sheet->lines[line];
    for (size_t i = 0; i < sheet->line_count; i++) {
        if (!filter->plate[i] || filter->marks[i].plate == 0)
            continue;
        const struct text_line *other = &sheet->lines[i];
        struct offset to = sheet_offset(sheet, i, &other->upright, line, &own->upright);
        float height = fmaxf(1, quad_height(&other->upright)),
              ratio = quad_height(&own->upright) / height;
        if (ratio < LIKE_LEAST || ratio > LIKE_MOST)
            continue;
        bool row = to.overlap_y >= .5f && to.right > -height && to.right < ROW_REACH * height &&
                   to.right < .45f * hull_side(filter);
        bool below =
            to.overlap_x > .2f && to.below > -.5f * height && to.below < BELOW_REACH * height;
        if (row || below)
            return true;
    }
    return false;
}

// They stand in the same rows.
static bool is_level(const struct extent *a, const struct extent *b) {
    float both = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0);
    return both > .5f * fminf(a->y1 - a->y0, b->y1 - b->y0);
}

static bool names_its_maker(const struct filter *filter) {
    for (size_t i = 0; i < filter->sheet.line_count; i++)
        if (filter->plate[i] && filter->marks[i].maker)
            return true;
    return false;
}

static bool group_belongs(const struct filter *filter, size_t root) {
    struct extent extent = extent_of_group(filter, root);
    const struct mark *sum = &filter->groups.sums[root];
    float gap = gap_between(&filter->hull, &extent), side = hull_side(filter);
    if (is_foreign(filter, root)) // a warning on the plate itself is a part of it
        return gap <= 0 && holds_middle(&filter->hull, &extent) &&
               extent.x1 - extent.x0 < .95f * (filter->hull.x1 - filter->hull.x0);
    // Another column of a wide plate is as high as the first.
    float wide = is_level(&filter->hull, &extent) ? WIDER : 1;
    bool head = sum->maker && sum->plate >= POINTS_HEAD; // which is as wide as the plate
    return (head && gap < NEAR_COLUMN * fmaxf(side, extent.x1 - extent.x0)) ||
           (sum->plate >= POINTS_SURE && gap < wide * NEAR_COLUMN * side) ||
           (sum->plate >= POINTS_LEAST && gap < wide * NEAR_LABELS * side) ||
           (sum->plate >= POINTS_LABEL && wide > 1 && gap < NEAR_LEVEL * side) ||
           (sum->maker && gap < (names_its_maker(filter) ? NEAR_MAKER : FAR_MAKER) * side);
}

static bool line_belongs(const struct filter *filter, size_t line) {
    size_t root = group_of(&filter->groups, line);
    struct extent extent = extent_of_line(filter, line);
    float slack = filter->marks[line].maker ? MAKER_SLACK : BOX_SLACK;
    if (has_box(filter) && !in_box(filter, line, slack))
        return false;
    if (group_belongs(filter, root))
        return true;
    if (is_foreign(filter, root))
        return false;
    return holds_middle(&filter->hull, &extent) || is_beside(filter, line);
}

// Each round may bring lines that others belong to.
static void grow(struct filter *filter) {
    bool more = filter->has_hull;
    for (int round = 0; round < 3 && more; round++) {
        more = false;
        for (size_t i = 0; i < filter->sheet.line_count; i++)
            if (!filter->plate[i] && line_belongs(filter, i))
                filter->plate[i] = more = true;
        find_hull(filter);
    }
}

// Where no label was read right, the lines under the maker's name and title are the plate's all the
// same: what they are the rules will tell, and a person.
static void add_body(struct filter *filter) {
    size_t lines = 0;
    float tallest = 0;
    for (size_t i = 0; i < filter->sheet.line_count; i++) {
        lines += filter->plate[i];
        if (filter->plate[i])
            tallest = fmaxf(tallest, quad_height(&filter->sheet.lines[i].upright));
    }
    if (!filter->has_hull || lines > HEAD_LINES)
        return;
    struct extent body = filter->hull;
    body.y1 += BODY_REACH * (body.x1 - body.x0);
    for (size_t i = 0; i < filter->sheet.line_count; i++) {
        struct extent extent = extent_of_line(filter, i);
        float height = quad_height(&filter->sheet.lines[i].upright);
        if (holds_middle(&body, &extent) && height > BODY_LEAST * tallest &&
            height < BODY_MOST * tallest && mark_foreign(&filter->marks[i]) == TEXT_NAMEPLATE &&
            (!has_box(filter) || in_box(filter, i, BOX_SLACK)))
            filter->plate[i] = true;
    }
    find_hull(filter);
}

// Few characters, most of them digits, larger than a plate's: the number of a pole.
static bool is_pole_number(const struct filter *filter, size_t line) {
    const struct folded *folded = &filter->sheet.folds[line];
    size_t digits = 0, letters = 0;
    for (size_t i = 0; i < folded->length; i++) {
        digits += is_digit(folded->text[i]);
        letters += is_letter(folded->text[i]);
    }
    return digits >= 2 && digits + letters <= 12 && letters <= 4;
}

static enum text_class other_class(const struct filter *filter, size_t line) {
    size_t root = group_of(&filter->groups, line);
    enum text_class foreign = mark_foreign(&filter->groups.sums[root]);
    if (foreign != TEXT_NAMEPLATE)
        return foreign;
    if (filter->context && filter->context->seen == CONTEXT_POLE && has_box(filter) &&
        in_box(filter, line, BOX_INSIDE))
        return TEXT_POLE;
    return is_pole_number(filter, line) ? TEXT_POLE : TEXT_OTHER;
}

void filter_classify(const struct text_line *lines, size_t count,
                     const struct filter_context *context, const struct domains *domains,
                     enum text_class *classes) {
    struct filter *filter = mem_alloc(sizeof *filter);
    filter->context = context;
    sheet_init(&filter->sheet, lines, count, domains_labels(domains));
    filter->along = direction_of(&filter->sheet);
    filter->marks = mem_alloc((count + 1) * sizeof *filter->marks);
    filter->plate = mem_alloc(count + 1);
    filter_mark(&filter->sheet, domains, filter->marks);
    enum side *sides = mem_alloc((count + 1) * sizeof *sides);
    for (size_t i = 0; i < filter->sheet.line_count; i++)
        sides[i] = side_of(filter, i);
    groups_init(&filter->groups, &filter->sheet, filter->marks, sides);
    mem_free(sides);
    find_core(filter);
    grow(filter);
    add_body(filter);
    for (size_t i = 0; i < count; i++)
        classes[i] = i >= filter->sheet.line_count ? TEXT_OTHER
                     : filter->plate[i]            ? TEXT_NAMEPLATE
                                                   : other_class(filter, i);
    groups_fini(&filter->groups);
    mem_free(filter->plate);
    mem_free(filter->marks);
    sheet_fini(&filter->sheet);
    mem_free(filter);
}

size_t filter_keep(const struct text_line *lines, const enum text_class *classes, size_t count,
                   enum text_class wanted, struct text_line *out) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (classes[i] == wanted)
            out[kept++] = lines[i];
    return kept;
}
