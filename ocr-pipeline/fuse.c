#include "fuse.h"

#include "number.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *word, *fuse;
} WORDS[] = {
    {"LAMINA", "LAM"}, {"LAM", "LAM"}, {"DIRETO", "DIR"},
    {"DIRETA", "DIR"}, {"DIR", "DIR"}, {"S/C", "S/C"},
};
static const char *const CURVES[] = {"EF", "H", "K", "T", "F"};

static bool is_word_end(struct part part, size_t at) {
    return at >= part.end || !(is_letter(part.folded->text[at]) || is_digit(part.folded->text[at]));
}

static bool word_at(struct part part, size_t at, struct fuse *fuse) {
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        size_t length = strlen(WORDS[i].word);
        if (at + length > part.end || !is_word_end(part, at + length) ||
            strncmp(part.folded->text + at, WORDS[i].word, length) != 0)
            continue;
        *fuse = (struct fuse){.begin = at, .end = at + length};
        snprintf(fuse->text, sizeof fuse->text, "%s", WORDS[i].fuse);
        return true;
    }
    return false;
}

// Past blanks and a dash between number and letter.
static size_t skip_joint(struct part part, size_t at) {
    while (at < part.end && strchr(" -", part.folded->text[at]))
        at++;
    return at;
}

// "8HH": of a blurred letter a second one is left.
static const char *curve_at(struct part part, size_t at, bool typed, size_t *end) {
    const char *text = part.folded->text;
    for (size_t i = 0; i < sizeof CURVES / sizeof *CURVES; i++) {
        size_t length = strlen(CURVES[i]);
        if (at + length > part.end || strncmp(text + at, CURVES[i], length) != 0)
            continue;
        bool twice = typed && length == 1 && at + 1 < part.end && text[at + 1] == text[at];
        *end = at + length + twice;
        if (is_word_end(part, *end))
            return CURVES[i];
    }
    return NULL;
}

static void write_fuse(const struct number *number, const char *curve, struct fuse *fuse) {
    const char *whole = number->whole;
    bool point = number->sign != '\0';
    // "05H": the comma was not read.
    const char *fraction = number->fraction;
    if (!point && whole[0] == '0' && whole[1]) {
        fraction = whole + 1;
        point = true;
    }
    snprintf(fuse->text, sizeof fuse->text, "%.3s%s%.3s%.4s",
             point && whole[0] == '0' ? "0" : whole, point ? "," : "", point ? fraction : "",
             curve);
}

static bool number_and_curve(struct part part, size_t at, bool typed, struct fuse *fuse) {
    struct number number;
    if (!number_at(&part, at, typed, &number) || strlen(number.whole) > 3)
        return false;
    *fuse = (struct fuse){.begin = at, .swaps = number.swaps};
    size_t next = skip_joint(part, number.end);
    const char *curve = curve_at(part, next, typed, &fuse->end);
    if (curve) {
        write_fuse(&number, curve, fuse);
        return true;
    }
    // One letter that is no curve ("5N"): the list may know better.
    char letter[2] = {next < part.end ? part.folded->text[next] : '\0'};
    if (!typed || number.swaps || next != number.end || !is_letter(letter[0]) ||
        !is_word_end(part, next + 1) || strchr("VALW", letter[0]))
        return false;
    fuse->end = next + 1;
    fuse->guessed = true;
    write_fuse(&number, letter, fuse);
    return true;
}

bool fuse_find(struct part part, bool typed, struct fuse *fuse) {
    const char *text = part.folded->text;
    for (size_t at = part.begin; at < part.end; at++) {
        bool inside = at > part.begin && (is_letter(text[at - 1]) || is_digit(text[at - 1]));
        size_t number = at;
        if (inside)
            continue;
        if (at + 2 < part.end && !strncmp(text + at, "EF", 2))
            number = skip_joint(part, at + 2);
        if (number_and_curve(part, number, typed, fuse) || word_at(part, at, fuse)) {
            fuse->begin = at;
            return true;
        }
    }
    return false;
}
