#include "pairing.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// How far to look, in heights of the label; how much of the height must be shared.
static const float REACH_RIGHT = 40, REACH_BELOW = 2.2f, REACH_ASIDE = 14, ROW_SHARE = .5f,
                   CROWDED = .6f; // boxes of close rows overlap: they are larger than the letters

// What a value below costs more than one beside; one beside that is some letters away costs as
// much.
static const float BELOW_COST = .3f, OTHER_STYLE = .7f, GUESSED_COST = .25f;

struct offer {
    size_t pair, value;
    struct part part;
    enum pair_kind kind;
    float cost, weight;
};

struct match {
    const struct sheet *sheet;
    pair_fits_fn *fits;
    void *arg;
    struct pair *pairs;
    size_t count;
    struct offer *offers; // at most two a label
    size_t offer_count;
};

static struct offset offset_of(const struct sheet *sheet, const struct piece *a,
                               const struct piece *b) {
    return sheet_offset(sheet, a->line, &a->quad, b->line, &b->quad);
}

static bool is_like_size(const struct piece *a, const struct piece *b) {
    float ratio = b->height / (a->height > 1 ? a->height : 1);
    return ratio > .35f && ratio < 3;
}

static bool is_in_row(struct offset offset, const struct piece *label) {
    return offset.overlap_y >= ROW_SHARE && offset.right > -.5f * label->height;
}

// A label may go on in the next box ("TENSÃO" "PRIMÁRIA", "POTÊNCIA" "(kVA)").
static bool goes_on(const struct piece *label, const struct piece *next) {
    if (!piece_is_label(next))
        return false;
    if (next->hit.concept == label->hit.concept)
        return true;
    return label->hit.concept == CONCEPT_VOLTAGES &&
           (next->hit.concept == CONCEPT_PRIMARY || next->hit.concept == CONCEPT_SECONDARY);
}

// The nearest piece to the right but one; a continuation of the label is skipped.
static const struct piece *right_of(const struct sheet *sheet, const struct piece *label,
                                    const struct piece *but, struct offset *offset) {
    const struct piece *best = NULL;
    for (size_t i = 0; i < sheet->count; i++) {
        const struct piece *piece = &sheet->pieces[i];
        if (piece == label || piece == but || (piece->line == label->line && piece < label))
            continue;
        struct offset to = offset_of(sheet, label, piece);
        if (!is_in_row(to, label) || !is_like_size(label, piece) ||
            to.right > REACH_RIGHT * label->height || (best && to.right >= offset->right) ||
            (goes_on(label, piece) && to.right < 2 * label->height))
            continue;
        best = piece;
        *offset = to;
    }
    return best;
}

// Is what stands somewhere below in the column of the label? Cells put their value at the left, in
// the middle or further right, but never beyond the label of the next cell.
static bool is_in_column(const struct sheet *sheet, const struct piece *label, struct offset to) {
    if (to.overlap_x >= .3f || fabsf(to.left) < 1.5f * label->height ||
        fabsf(to.middle) < 1.5f * label->height)
        return true;
    if (to.left < 0 || to.right > REACH_ASIDE * label->height)
        return false;
    for (size_t i = 0; i < sheet->count; i++) {
        const struct piece *other = &sheet->pieces[i];
        if (other == label || !piece_is_label(other))
            continue;
        struct offset next = offset_of(sheet, label, other);
        if (next.overlap_y >= ROW_SHARE && next.left > 0 && next.left < to.left + label->height)
            return false;
    }
    return true;
}

static float aside_of(struct offset to) {
    float end = to.left < 0 ? 0 : fabsf(2 * to.middle - to.left); // of both, right-aligned
    return to.overlap_x > .5f ? 0 : fminf(end, fminf(fabsf(to.left), fabsf(to.middle)));
}

static const struct piece *below(const struct sheet *sheet, const struct piece *label,
                                 struct offset *offset) {
    const struct piece *best = NULL;
    float least = INFINITY;
    for (size_t i = 0; i < sheet->count; i++) {
        const struct piece *piece = &sheet->pieces[i];
        if (piece == label || piece->line == label->line || !is_like_size(label, piece))
            continue;
        struct offset to = offset_of(sheet, label, piece);
        float high = fmaxf(label->height, piece->height), far = to.below + .1f * aside_of(to);
        if (to.below < -CROWDED * label->height || to.below > REACH_BELOW * high ||
            to.overlap_y >= ROW_SHARE || far >= least || !is_in_column(sheet, label, to))
            continue;
        best = piece;
        least = far;
        *offset = to;
    }
    return best;
}

// The nearest piece over the label, in its column.
static const struct piece *above(const struct sheet *sheet, const struct piece *label,
                                 struct offset *offset) {
    const struct piece *best = NULL;
    for (size_t i = 0; i < sheet->count; i++) {
        const struct piece *piece = &sheet->pieces[i];
        if (piece->line == label->line || !is_like_size(label, piece))
            continue;
        struct offset to = offset_of(sheet, piece, label);
        if (to.below < -CROWDED * label->height || to.overlap_y >= ROW_SHARE ||
            to.below > REACH_BELOW * fmaxf(label->height, piece->height) || to.overlap_x < .3f ||
            (best && to.below >= offset->below))
            continue;
        best = piece;
        *offset = to;
    }
    return best;
}

// How far a word is from the column of a label.
static float apart(const struct sheet *sheet, const struct piece *label, const struct piece *value,
                   struct part word) {
    struct quad quad = part_upright(word, sheet_line(sheet, value));
    struct offset to = sheet_offset(sheet, label->line, &label->quad, value->line, &quad);
    return aside_of(to);
}

// Another label of the label's row is nearer to the word.
static bool is_others(const struct sheet *sheet, const struct piece *label,
                      const struct piece *value, struct part word) {
    float own = apart(sheet, label, value, word);
    for (size_t i = 0; i < sheet->count; i++) {
        const struct piece *other = &sheet->pieces[i];
        if (other == label || !piece_is_label(other))
            continue;
        struct offset to = offset_of(sheet, label, other);
        struct offset under = offset_of(sheet, other, value);
        if (to.overlap_y >= ROW_SHARE && under.overlap_x > 0 &&
            apart(sheet, other, value, word) < own)
            return true;
    }
    return false;
}

// "254 / 127" is one word.
static bool is_stroke(const char *text, size_t at) {
    return strchr("/-", text[at + 1]) || (at > 0 && strchr("/-", text[at - 1]));
}

// A row of values read as one box under a row of labels: the words of this label's column.
static struct part column_part(const struct sheet *sheet, const struct piece *label,
                               const struct piece *value) {
    const char *text = value->part.folded->text;
    struct part column = {value->part.folded, value->part.end, value->part.begin};
    for (size_t at = value->part.begin; at < value->part.end;) {
        size_t end = at;
        while (end < value->part.end && (text[end] != ' ' || is_stroke(text, end)))
            end++;
        struct part word = {value->part.folded, at, end};
        if (end > at && !is_others(sheet, label, value, word)) {
            column.begin = at < column.begin ? at : column.begin;
            column.end = end;
        }
        at = end + 1;
    }
    return part_trim(column);
}

static void add_offer(struct match *match, size_t pair, const struct piece *value, struct part part,
                      enum pair_kind kind, float cost) {
    const struct piece *label = &match->sheet->pieces[match->pairs[pair].label];
    if (part_is_empty(part))
        return;
    if (!match->fits(match->arg, label->hit.concept, label->hit.unit, part)) {
        if (kind != PAIR_BELOW && cost < .35f) {
            match->pairs[pair].blocked = true;
            match->pairs[pair].value = (size_t)(value - match->sheet->pieces);
        }
        return;
    }
    match->offers[match->offer_count++] = (struct offer){
        .pair = pair,
        .value = (size_t)(value - match->sheet->pieces),
        .part = part,
        .kind = kind,
        .cost = cost + (label->hit.guessed ? GUESSED_COST : 0),
        .weight = kind == PAIR_INLINE ? 1 : fmaxf(.85f, 1 - cost * .08f),
    };
}

// A unit that was not read right, or a stroke of the frame.
static bool is_junk(const struct piece *piece) {
    size_t begin = piece->part.begin, end = piece->part.end;
    for (size_t i = begin; i < end; i++)
        if (is_digit(piece->part.folded->text[i]) || piece->part.folded->text[i] == '~')
            return false;
    return end - begin <= 4;
}

static void offer_right(struct match *match, size_t pair, const struct piece *label) {
    struct offset to = {0};
    const struct piece *value = right_of(match->sheet, label, NULL, &to);
    enum concept concept = label->hit.concept;
    if (value && !piece_is_label(value) && is_junk(value) &&
        !match->fits(match->arg, concept, label->hit.unit, value->part))
        value = right_of(match->sheet, label, value, &to);
    if (!value || piece_is_label(value))
        return;
    bool inline_ = value->line == label->line && value == label + 1;
    float gap = fmaxf(0, to.right) / label->height;
    add_offer(match, pair, value, value->part, inline_ ? PAIR_INLINE : PAIR_RIGHT,
              inline_ ? 0 : .1f + .06f * fminf(gap, 12) + .4f * (1 - to.overlap_y));
}

// "CÓD. PATRIMÔNIO": the first label is only the beginning of the second.
static bool is_prefix(const struct sheet *sheet, const struct piece *label) {
    const struct piece *next = label + 1;
    return label->hit.concept >= CONCEPT_FIELDS && next < sheet->pieces + sheet->count &&
           next->line == label->line && piece_is_label(next) &&
           next->hit.concept < CONCEPT_FIELDS && next->part.begin <= label->part.end + 2;
}

static void offer_below(struct match *match, size_t pair, const struct piece *label) {
    if (is_prefix(match->sheet, label))
        return;
    struct offset to = {0};
    const struct piece *value = below(match->sheet, label, &to);
    if (!value || piece_is_label(value))
        return;
    float gap = fmaxf(0, to.below) / label->height;
    float aside = fminf(fabsf(to.left), fabsf(to.middle)) / label->height;
    add_offer(match, pair, value, column_part(match->sheet, label, value), PAIR_BELOW,
              BELOW_COST + .3f * gap + .04f * fminf(aside, 10));
}

static bool fits_above(const struct match *match, const struct piece *label) {
    struct offset to = {0};
    const struct piece *value = above(match->sheet, label, &to);
    return value && !piece_is_label(value) &&
           match->fits(match->arg, label->hit.concept, label->hit.unit,
                       column_part(match->sheet, label, value));
}

static void offer_above(struct match *match, size_t pair, const struct piece *label) {
    struct offset to = {0};
    const struct piece *value = above(match->sheet, label, &to);
    if (value && !piece_is_label(value))
        add_offer(match, pair, value, column_part(match->sheet, label, value), PAIR_BELOW,
                  BELOW_COST + .3f * fmaxf(0, to.below) / label->height);
}

// Small print under its value, as on forms: when that fits the labels of most fields, and what
// stands beside or below fits hardly any.
static void turn_over(struct match *match) {
    size_t over = 0, offered = 0;
    unsigned char *has = mem_alloc(match->count + 1);
    for (size_t i = 0; i < match->offer_count; i++)
        has[match->offers[i].pair] = 1;
    for (size_t i = 0; i < match->count; i++) {
        const struct piece *label = &match->sheet->pieces[match->pairs[i].label];
        bool field = label->hit.concept < CONCEPT_FIELDS && label->hit.concept != CONCEPT_MAKER;
        offered += field && has[i];
        over += field && !has[i] && fits_above(match, label);
    }
    mem_free(has);
    if (over < 3 || over <= 2 * offered)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < match->offer_count; i++)
        if (match->offers[i].kind != PAIR_BELOW)
            match->offers[kept++] = match->offers[i];
    match->offer_count = kept;
    for (size_t i = 0; i < match->count; i++)
        offer_above(match, i, &match->sheet->pieces[match->pairs[i].label]);
}

// A plate keeps to one way: its labels that offer one way only say which, and the other way costs
// more for the rest.
static void favour_style(struct match *match) {
    unsigned char *ways = mem_alloc(match->count + 1); // bits: 1 beside, 2 below
    size_t beside = 0, under = 0;
    for (size_t i = 0; i < match->offer_count; i++)
        ways[match->offers[i].pair] |= match->offers[i].kind == PAIR_BELOW ? 2 : 1;
    for (size_t i = 0; i < match->count; i++) {
        beside += ways[i] == 1;
        under += ways[i] == 2;
    }
    mem_free(ways);
    for (size_t i = 0; i < match->offer_count; i++) {
        struct offer *offer = &match->offers[i];
        if ((offer->kind == PAIR_BELOW && beside > 2 * under + 2) ||
            (offer->kind == PAIR_RIGHT && under > 2 * beside + 2))
            offer->cost += OTHER_STYLE;
    }
}

static int by_cost(const void *a, const void *b) {
    const struct offer *p = a, *q = b;
    if (p->cost != q->cost)
        return p->cost < q->cost ? -1 : 1;
    return (p->pair > q->pair) - (p->pair < q->pair);
}

// A part of a line serves one label.
static bool is_served(const struct match *match, const struct offer *offer) {
    for (size_t i = 0; i < match->count; i++) {
        const struct pair *pair = &match->pairs[i];
        if (pair->kind != PAIR_NONE && pair->value == offer->value &&
            pair->part.begin < offer->part.end && offer->part.begin < pair->part.end)
            return true;
    }
    return false;
}

static void settle(struct match *match) {
    qsort(match->offers, match->offer_count, sizeof *match->offers, by_cost);
    for (size_t i = 0; i < match->offer_count; i++) {
        const struct offer *offer = &match->offers[i];
        struct pair *pair = &match->pairs[offer->pair];
        if (pair->kind != PAIR_NONE || is_served(match, offer))
            continue;
        pair->value = offer->value;
        pair->part = offer->part;
        pair->kind = offer->kind;
        pair->weight = offer->weight;
    }
}

struct pair *pairs_find(const struct sheet *sheet, pair_fits_fn *fits, void *arg, size_t *count) {
    struct match match = {.sheet = sheet, .fits = fits, .arg = arg};
    match.pairs = mem_alloc((sheet->count + 1) * sizeof *match.pairs);
    match.offers = mem_alloc((2 * sheet->count + 1) * sizeof *match.offers);
    for (size_t i = 0; i < sheet->count; i++)
        if (piece_is_label(&sheet->pieces[i]))
            match.pairs[match.count++] = (struct pair){.label = i};
    for (size_t i = 0; i < match.count; i++) {
        const struct piece *label = &sheet->pieces[match.pairs[i].label];
        offer_right(&match, i, label);
        offer_below(&match, i, label);
    }
    turn_over(&match);
    favour_style(&match);
    settle(&match);
    mem_free(match.offers);
    *count = match.count;
    return match.pairs;
}
