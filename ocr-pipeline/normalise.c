#include "normalise.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// U+00A0..U+017F: what is left of a letter without its marks.
static const char LATIN[] = " #########A\"#-##" // A0
                            "o+23'##.#1o\"####" // B0
                            "AAAAAAACEEEEIIII"  // C0
                            "DNOOOOOX~UUUUYTS"  // D0
                            "AAAAAAACEEEEIIII"  // E0
                            "DNOOOOO/~UUUUYTY"  // F0
                            "AAAAAACCCCCCCCDD"  // 100
                            "DDEEEEEEEEEEGGGG"  // 110
                            "GGGGHHHHIIIIIIII"  // 120
                            "IIIIJJKKKLLLLLLL"  // 130
                            "LLLNNNNNNNNNOOOO"  // 140
                            "OOOORRRRRRSSSSSS"  // 150
                            "SSTTTTTTUUUUUUUU"  // 160
                            "UUUUWWYYYZZZZZZS"; // 170

// Everything else that plates and their readers write.
static const struct {
    uint32_t code;
    const char *text;
} OTHERS[] = {
    {0xBC, "1/4"},  {0xBD, "1/2"},  {0xBE, "3/4"},  {0x2DA, "o"},    {0x391, "A"},   {0x392, "B"},
    {0x395, "E"},   {0x396, "Z"},   {0x397, "H"},   {0x399, "I"},    {0x39A, "K"},   {0x39C, "M"},
    {0x39D, "N"},   {0x39F, "O"},   {0x3A1, "P"},   {0x3A4, "T"},    {0x3A5, "Y"},   {0x3A6, "~"},
    {0x3A7, "X"},   {0x3BA, "K"},   {0x3BD, "V"},   {0x3BF, "O"},    {0x3C6, "~"},   {0x3C7, "X"},
    {0x3D5, "~"},   {0x405, "S"},   {0x406, "I"},   {0x408, "J"},    {0x410, "A"},   {0x412, "B"},
    {0x415, "E"},   {0x41A, "K"},   {0x41C, "M"},   {0x41D, "H"},    {0x41E, "O"},   {0x420, "P"},
    {0x421, "C"},   {0x422, "T"},   {0x423, "Y"},   {0x424, "~"},    {0x425, "X"},   {0x430, "A"},
    {0x435, "E"},   {0x43A, "K"},   {0x43E, "O"},   {0x440, "P"},    {0x441, "C"},   {0x442, "T"},
    {0x443, "Y"},   {0x444, "~"},   {0x445, "X"},   {0x2018, "'"},   {0x2019, "'"},  {0x201C, "\""},
    {0x201D, "\""}, {0x2022, "."},  {0x2024, "."},  {0x2026, "..."}, {0x2044, "/"},  {0x2070, "o"},
    {0x2103, "oC"}, {0x2116, "No"}, {0x2126, "#"},  {0x2205, "~"},   {0x2212, "-"},  {0x2215, "/"},
    {0x221A, "#"},  {0x2223, "|"},  {0x223C, "~"},  {0x2248, "~"},   {0x2300, "~"},  {0x2460, "1"},
    {0x2461, "2"},  {0x2462, "3"},  {0x2500, "-"},  {0x2502, "|"},   {0x25CB, "o"},  {0x25E6, "o"},
    {0x3001, ","},  {0x3002, "."},  {0x3007, "O"},  {0x300C, "("},   {0x300D, ")"},  {0x3010, "("},
    {0x3011, ")"},  {0x30FB, "."},  {0x338F, "KG"}, {0x3390, "HZ"},  {0x33B8, "KV"}, {0x33BE, "KW"},
    {0x4E00, "-"},  {0x4E28, "|"},  {0x4E8C, "="},
};

bool is_letter(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *ascii_of(uint32_t code, char buffer[2]) {
    char c = (char)code;
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    if (c == '[' || c == '{')
        c = '(';
    if (c == ']' || c == '}')
        c = ')';
    buffer[0] = code < ' ' || code == 0x7F ? ' ' : c == '_' ? '-' : c;
    return buffer;
}

// The folded text of one code point: "" for a mark that belongs to the letter before it.
static const char *fold_code(uint32_t code, char buffer[2]) {
    buffer[1] = '\0';
    if (code >= 0xFF01 && code <= 0xFF5E) // full-width forms, a block of ASCII
        code -= 0xFEE0;
    if (code < 0x80)
        return ascii_of(code, buffer);
    if ((code >= 0x300 && code <= 0x36F) || code == 0xFEFF || code == 0x200B)
        return "";
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        if (OTHERS[i].code == code)
            return OTHERS[i].text;
    if (code >= 0xA0 && code <= 0x17F) {
        buffer[0] = LATIN[code - 0xA0];
        return buffer;
    }
    if ((code >= 0x2010 && code <= 0x2015) || code == 0x30FC || code == 0xFF0D)
        return "-";
    if (code == 0x3000 || (code >= 0x2000 && code <= 0x200A) || code == 0x202F)
        return " ";
    return "#";
}

// One code point at `at`, moved past it; a byte that is not UTF-8 is U+FFFD.
static uint32_t next_code(const char *utf8, size_t *at) {
    const unsigned char *p = (const unsigned char *)utf8 + *at;
    size_t more = *p < 0x80 ? 0 : *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : *p >= 0xC0 ? 1 : 9;
    uint32_t code = more == 0 ? *p : more == 9 ? 0xFFFD : *p & (0x3Fu >> more);
    size_t i = 1;
    for (; more != 9 && i <= more && (p[i] & 0xC0) == 0x80; i++)
        code = code << 6 | (p[i] & 0x3F);
    *at += i;
    return more == 9 || i <= more ? 0xFFFD : code;
}

void fold_line(struct folded *folded, const char *utf8) {
    size_t at = 0, index = 0;
    folded->length = 0;
    while (utf8[at]) {
        char buffer[8] = "";
        const char *text = fold_code(next_code(utf8, &at), buffer);
        size_t length = strlen(text);
        if (folded->length + length > FOLDED_MAX)
            break;
        for (size_t i = 0; i < length; i++) {
            folded->text[folded->length] = text[i];
            folded->from[folded->length++] = (uint16_t)index;
        }
        index++;
    }
    folded->text[folded->length] = '\0';
    folded->from[folded->length] = (uint16_t)index;
}

struct part part_all(const struct folded *folded) {
    return (struct part){folded, 0, folded->length};
}

static bool is_edge_sign(char c) { return strchr(" :;.,-=|()*'\"_<>+/\\", c) != NULL; }

struct part part_trim(struct part part) {
    const char *text = part.folded->text;
    while (part.begin < part.end && is_edge_sign(text[part.begin]))
        part.begin++;
    while (part.end > part.begin && is_edge_sign(text[part.end - 1]))
        part.end--;
    return part;
}

struct part part_after_leaders(struct part part) {
    const char *text = part.folded->text;
    size_t begin = part.begin, dots = 0, letters = 0, digits = 0;
    for (size_t i = part.begin; i < part.end; i++) {
        dots = text[i] == '.' ? dots + 1 : 0;
        bool dash = text[i] == '-' && i > part.begin && text[i - 1] == ' ' && text[i + 1] == ' ';
        bool label = letters > 0 && (digits == 0 || (digits == 1 && letters > 1)); // "0 CTE:"
        bool leader = dots == 3 || (dots == 2 && is_digit(text[i + 1])); // "DERE..6359989"
        if (letters > 0 && (leader || (label && (dash || strchr(":=", text[i])))))
            begin = i + 1;
        letters += is_letter(text[i]);
        digits += is_digit(text[i]);
    }
    struct part rest = part_trim((struct part){part.folded, begin, part.end});
    return part_is_empty(rest) ? part_trim(part) : rest;
}

struct part part_after_words(struct part part) {
    const char *text = part.folded->text;
    for (size_t at = part.begin; at < part.end && !is_digit(text[at]); at++)
        if (text[at] == ' ')
            part.begin = at + 1;
    return part;
}

static bool parts_words(char c) { return strchr(" :=", c) != NULL; }

bool part_next_word(struct part part, size_t *at, struct part *word) {
    const char *text = part.folded->text;
    while (*at < part.end && parts_words(text[*at]))
        (*at)++;
    *word = (struct part){part.folded, *at, *at};
    while (*at < part.end && !parts_words(text[*at]))
        word->end = ++*at;
    return !part_is_empty(*word);
}

struct part part_last_word(struct part part) {
    struct part word, last = part;
    for (size_t at = part.begin; part_next_word(part, &at, &word);)
        last = word;
    return last;
}

bool part_is_empty(struct part part) { return part.begin >= part.end; }

size_t part_letters(struct part part) {
    size_t at = part.begin;
    while (at < part.end && is_letter(part.folded->text[at]))
        at++;
    return at - part.begin;
}

bool part_is_cut(struct part part, size_t at) {
    bool stroke = false;
    while (at > 0 && strchr(" /|\\", part.folded->text[at - 1]))
        stroke |= part.folded->text[--at] != ' ';
    return stroke && (at == 0 || strchr(":=)", part.folded->text[at - 1]));
}

// The characters [first, last) of a part.
static void part_chars(struct part part, size_t *first, size_t *last) {
    *first = part.folded->from[part.begin];
    *last = part_is_empty(part) ? *first : (size_t)part.folded->from[part.end - 1] + 1;
}

void part_raw(struct part part, const struct text_line *line, char *out, size_t size) {
    size_t first, last, index = 0, at = 0, begin = 0, end = 0;
    part_chars(part, &first, &last);
    for (; line->text[at] && index < last; index++) {
        if (index == first)
            begin = at;
        size_t before = at;
        next_code(line->text, &at);
        if (index >= first && at - begin >= size) {
            end = before;
            break;
        }
        end = at;
    }
    snprintf(out, size, "%.*s", (int)(end > begin ? end - begin : 0), line->text + begin);
}

// Characters are known when there is one for each code point of the text.
static bool has_chars(struct part part, const struct text_line *line) {
    return line->chars && line->char_count >= part.folded->from[part.folded->length];
}

float part_confidence(struct part part, const struct text_line *line) {
    size_t first, last;
    if (!has_chars(part, line))
        return line->confidence;
    part_chars(part, &first, &last);
    float least = 1;
    for (size_t i = first; i < last; i++)
        if (line->chars[i].text[0] != ' ' && line->chars[i].confidence < least)
            least = line->chars[i].confidence;
    return least;
}

float part_doubt(struct part part, const struct text_line *line) {
    size_t first, last;
    float most = 0;
    if (!has_chars(part, line))
        return 0;
    part_chars(part, &first, &last);
    for (size_t i = first; i < last; i++)
        if (line->chars[i].second[0] && line->chars[i].second_confidence > most)
            most = line->chars[i].second_confidence;
    return most;
}

static struct point between(struct point a, struct point b, float share) {
    return (struct point){a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share};
}

static struct quad cut(const struct quad *quad, float from, float to) {
    const struct point *c = quad->corners;
    return (struct quad){{between(c[0], c[1], from), between(c[0], c[1], to),
                          between(c[3], c[2], to), between(c[3], c[2], from)}};
}

// Shares of the line's width; without characters each takes the same.
static struct quad part_quad(struct part part, const struct text_line *line,
                             const struct quad *quad) {
    size_t first, last, count = part.folded->from[part.folded->length];
    part_chars(part, &first, &last);
    if (count == 0 || last <= first)
        return *quad;
    if (has_chars(part, line))
        return cut(quad, line->chars[first].x0, line->chars[last - 1].x1);
    return cut(quad, (float)first / (float)count, (float)last / (float)count);
}

struct quad part_upright(struct part part, const struct text_line *line) {
    return part_quad(part, line, &line->upright);
}

struct box part_box(struct part part, const struct text_line *line) {
    struct quad quad = part_quad(part, line, &line->quad);
    return quad_box(&quad);
}

static char look_alike(char c) {
    switch (c) {
    case '0':
    case 'Q': return 'O';
    case '1':
    case 'L': return 'I';
    case '5': return 'S';
    case '8': return 'B';
    case '2': return 'Z';
    case '6': return 'G';
    case '4': return 'A';
    default: return c;
    }
}

size_t skeleton_of(const char *text, size_t length, char *out, uint16_t *at, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < length && count + 1 < size; i++) {
        char c = text[i] == 'o' ? 'O' : text[i] == '|' || text[i] == '!' ? 'I' : text[i];
        if (!is_letter(c) && !is_digit(c))
            continue;
        if (at)
            at[count] = (uint16_t)i;
        out[count++] = look_alike(c);
    }
    out[count] = '\0';
    return count;
}

enum { EDIT_ROW = 64 };

// The last row of the table of edits: cell j, how far `a` is from the first j letters of `b`. Only
// cells `from` .. `to` can be `most` at most, in every row those beside the diagonal. False when
// none of them is.
static bool edit_band(const char *a, size_t a_length, const char *b, size_t b_length, unsigned most,
                      unsigned row[EDIT_ROW + 1], size_t *from, size_t *to) {
    bool near = true;
    *from = 0;
    *to = most < b_length ? most : b_length;
    for (size_t j = 0; j <= *to; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length && near; i++) {
        unsigned corner = row[*from], left = most;
        near = false;
        if (*to < b_length)
            row[++*to] = most + 1;
        if (i > most) {
            ++*from;
        } else {
            row[0] = left = (unsigned)i;
            near = true;
        }
        for (size_t j = *from > 0 ? *from : 1; j <= *to; j++) {
            unsigned replace = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            unsigned shift = (corner < left ? corner : left) + 1;
            row[j] = left = replace < shift ? replace : shift;
            near |= left <= most;
        }
    }
    return near;
}

unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length,
                       unsigned most) {
    unsigned row[EDIT_ROW + 1];
    size_t from, to, apart = a_length > b_length ? a_length - b_length : b_length - a_length;
    if (apart > most || b_length > EDIT_ROW ||
        !edit_band(a, a_length, b, b_length, most, row, &from, &to))
        return most + 1;
    return row[b_length] > most ? most + 1 : row[b_length];
}

unsigned edit_prefix(const char *a, size_t a_length, const char *text, size_t length, unsigned most,
                     size_t *taken) {
    unsigned row[EDIT_ROW + 1], best = most + 1;
    size_t from, to, wide = a_length + most < length ? a_length + most : length;
    if (wide > EDIT_ROW || !edit_band(a, a_length, text, wide, most, row, &from, &to))
        return best;
    for (size_t j = from > 0 ? from : 1; j <= to; j++)
        if (row[j] < best || (row[j] == best && j == a_length)) {
            best = row[j];
            *taken = j;
        }
    return best;
}
