// A line of text as the rules see it: capitals without accents, one spelling for each sign, and for
// every byte the character of the line it came from, so that raw text, box and confidence stay at
// hand. Nothing is corrected here.
//
//   letters, digits   A-Z 0-9; full-width, Greek and Cyrillic look-alikes too
//   o                 a ring: º ° ˚ (the only small letter there is)
//   ~                 a phase sign: Ø ∅ Φ, and ~ itself
//   - / . , : ( )     dashes, fractions, stops, brackets of all kinds
//   #                 anything else
#pragma once

#include "vision/text_reader.h"

#include <stddef.h>
#include <stdint.h>

enum { FOLDED_MAX = 512 }; // bytes of a line that the rules look at; what is longer is no plate's

struct folded {
    char text[FOLDED_MAX + 1];
    uint16_t from[FOLDED_MAX + 1]; // index of the character; from[length] is their number
    size_t length;
};

void fold_line(struct folded *folded, const char *utf8);

// Part of a folded text.
struct part {
    const struct folded *folded;
    size_t begin, end;
};

struct part part_all(const struct folded *folded);
struct part part_trim(struct part part); // signs and blanks at both ends
// What follows a label that was not read: "C CUENTE: 0758627", "coxc.......0838530". Trimmed; all
// of the part where nothing leads to a value.
struct part part_after_leaders(struct part part);
// From the word on that has the first digit: "SLM FKSIVEV 8H" gives "8H". Of words alone the last.
struct part part_after_words(struct part part);
// "110. 5H" gives "5H", "PA18: 50" the number.
struct part part_last_word(struct part part);
// The words of a part one after the other, *at begins with its begin. False: no more.
bool part_next_word(struct part part, size_t *at, struct part *word);
bool part_is_empty(struct part part);
size_t part_letters(struct part part); // how many it begins with
// "/ 127": the line, or what follows a label, begins with a stroke, so what was before it stands
// elsewhere or was not read.
bool part_is_cut(struct part part, size_t at);

// What was read there, as it was read; cut at a whole character when `size` is too small.
void part_raw(struct part part, const struct text_line *line, char *out, size_t size);
// The least confidence among its characters; the line's own when no characters are known.
float part_confidence(struct part part, const struct text_line *line);
// How likely the doubtful character there is another one: the most of second confidences.
float part_doubt(struct part part, const struct text_line *line);
// Where it is: the line's region, cut along the text. `upright` for geometry, `quad` for people.
struct quad part_upright(struct part part, const struct text_line *line);
struct box part_box(struct part part, const struct text_line *line);

// Letters and digits only, look-alikes as one (0 O, 1 I L, 5 S, 8 B, 2 Z, 6 G, 4 A): how labels and
// names are found in text that was not read quite right. `at`, when not NULL: where in `text` each
// came from.
size_t skeleton_of(const char *text, size_t length, char *out, uint16_t *at, size_t size);
bool is_letter(char c);
bool is_digit(char c);
// Edit distance (insert, drop, replace), `most` + 1 when it is more than `most` (at most 3).
unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length,
                       unsigned most);
// The same to the nearest prefix of `text`, of at least one letter and of `taken`; among equals the
// one as long as `a`, or else the shortest.
unsigned edit_prefix(const char *a, size_t a_length, const char *text, size_t length, unsigned most,
                     size_t *taken);
