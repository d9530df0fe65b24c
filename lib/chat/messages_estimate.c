#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

// Tokens of a character, in hundredths, by its kind and by what stands in front of it: fitted to 36
// texts so that none of four tokenizers needs much more (SmolLM2's 49K words, Gemma's 262K, cl100k,
// o200k), and checked with 60 others. SmolLM2 needs the most, being made for English. The estimate
// in percent of what SmolLM2 | Gemma | cl100k | o200k need:
//   Claude Code's prompt and tools, 20.8K with SmolLM2: 115 120 126 126
//   English 117 122 126 127   C 111 111 137 137, JavaScript 122 127 145 144, Python 127 118 143 142
//   a diff 107 110 136 135    code behind 24 and 40 blanks 133 128 146 146, 142 123 157 156
//   JSON 114 127 154 144      indented 116 98 125 125      digits 98 98 185 185
//   Chinese 112 250 172 222   Japanese 100 281 158 211     Korean 100 347 215 332
//   Russian 106 279 177 275   Arabic 115 271 149 287       Hindi 202 697 228 613
//   German 95 123 118 131     French 113 141 136 149       Polish 94 129 119 129
//   Dutch 85 106 99 114       hexadecimal 103 105 164 163  base64 78 89 88 92
enum kind {
    LOWER,
    UPPER,
    DIGIT,
    BLANK,
    TAB,
    LINE,
    MARK,
    SIGN,     // Latin-1's
    LATIN,    // letters with marks: the word around them is a rare one, too
    CYRILLIC, // its two bytes
    NATIONAL, // the other scripts of two bytes: Greek, Hebrew, Arabic
    INDIC,    // scripts of three bytes, by the first of them
    SOUTHERN, // Georgian, Vietnamese
    SYMBOL,   // dashes, frames
    KANA,
    HAN,
    HANGUL,
    FORM, // full-width forms
    FAR,  // four bytes
    NO_KIND,
};

enum {
    COST_AGAIN = 25,    // the same mark for the third time in a row, or more often
    COST_MESSAGE = 800, // the template's marks around a turn, a call, a result, a tool
    COST_IMAGE = 160000,
    COST_QUOTES = 150,
    COST_COMMA = 75,
    LEAST_ASCII = 2, // no tokenizer needs less than this part of the estimate
    LEAST_OTHER = 8,
};

static const struct {
    unsigned first, more; // behind another kind, behind its own
} costs[NO_KIND] = {
    [LOWER] = {62, 20},      [UPPER] = {100, 40},   [DIGIT] = {120, 120},    [BLANK] = {2, 5},
    [TAB] = {25, 25},        [LINE] = {155, 25},    [MARK] = {72, 60},       [SIGN] = {120, 120},
    [LATIN] = {400, 400},    [CYRILLIC] = {92, 92}, [NATIONAL] = {130, 130}, [INDIC] = {290, 290},
    [SOUTHERN] = {200, 200}, [SYMBOL] = {150, 50},  [KANA] = {170, 170},     [HAN] = {195, 195},
    [HANGUL] = {280, 280},   [FORM] = {200, 200},   [FAR] = {330, 330},
};

// In hundredths of a token: what it may take, and what it takes surely.
struct cost {
    int64_t most, least;
};

static enum kind kind_of_ascii(unsigned char c) {
    if (c >= 'a' && c <= 'z')
        return LOWER;
    if (c >= 'A' && c <= 'Z')
        return UPPER;
    if (c >= '0' && c <= '9')
        return DIGIT;
    return c == ' ' ? BLANK : c == '\t' ? TAB : c == '\n' || c == '\r' ? LINE : MARK;
}

static enum kind kind_of(unsigned char first_byte) {
    static const struct {
        unsigned char upto;
        enum kind kind;
    } rows[] = {{0xc2, SIGN},     {0xcc, LATIN}, {0xcf, NATIONAL}, {0xd3, CYRILLIC},
                {0xdf, NATIONAL}, {0xe0, INDIC}, {0xe1, SOUTHERN}, {0xe2, SYMBOL},
                {0xe3, KANA},     {0xe9, HAN},   {0xed, HANGUL},   {0xef, FORM}};
    if (first_byte < 0x80)
        return kind_of_ascii(first_byte);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (first_byte <= rows[i].upto)
            return rows[i].kind;
    return FAR;
}

static void add(struct cost *cost, int64_t hundredths, int64_t part) {
    cost->most += hundredths;
    cost->least += hundredths / part;
}

static bool is_continuation(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static enum kind kind_before(const char *text, size_t index) {
    while (index > 0 && is_continuation(text[index - 1]))
        index--;
    return index > 0 ? kind_of((unsigned char)text[index - 1]) : NO_KIND;
}

static bool is_third_in_a_row(const char *text, size_t index) {
    return index > 1 && text[index] == text[index - 1] && text[index] == text[index - 2];
}

int64_t messages_estimate_byte(const char *text, size_t index) {
    if (is_continuation(text[index]))
        return 0; // counted with the first byte
    enum kind kind = kind_of((unsigned char)text[index]), before = kind_before(text, index);
    if (kind == MARK && is_third_in_a_row(text, index))
        return COST_AGAIN;
    bool more = kind == before || (kind == LOWER && before == UPPER);
    return more ? costs[kind].more : costs[kind].first;
}

static void add_text(struct cost *cost, const char *text) {
    for (size_t i = 0; text[i]; i++) {
        int64_t hundredths = messages_estimate_byte(text, i);
        cost->most += hundredths;
        if (is_third_in_a_row(text, i))
            cost->least += 1; // one token may be 64 times the same character
        else
            cost->least += hundredths / ((unsigned char)text[i] < 0x80 ? LEAST_ASCII : LEAST_OTHER);
    }
}

static void add_json(struct cost *cost, const json_t *json) {
    const char *key;
    json_t *value;
    size_t i;
    add(cost, json_is_string(json) ? COST_QUOTES : COST_COMMA, LEAST_ASCII);
    if (strcmp(json_get_text(json, "type", ""), "image") == 0) {
        add(cost, COST_IMAGE, LEAST_OTHER);
        return;
    }
    if (json_is_string(json))
        add_text(cost, json_string_value(json));
    else if (json_is_number(json))
        add(cost, 4 * costs[DIGIT].more, LEAST_ASCII);
    json_object_foreach((json_t *)json, key, value) {
        add(cost, COST_QUOTES, LEAST_ASCII);
        add_text(cost, key);
        add_json(cost, value);
    }
    json_array_foreach(json, i, value) {
        add(cost, COST_COMMA, LEAST_ASCII);
        add_json(cost, value);
    }
}

int64_t messages_estimate_json(const json_t *json) {
    struct cost cost = {0};
    add_json(&cost, json);
    return (cost.most + 99) / 100;
}

static void add_list(struct cost *cost, const json_t *list) {
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        add(cost, COST_MESSAGE, LEAST_ASCII);
        add_json(cost, item);
    }
}

static struct cost cost_of(const struct messages_request *request) {
    struct cost cost = {0};
    add(&cost, COST_MESSAGE, LEAST_ASCII);
    add_text(&cost, json_get_text(request->root, "system", ""));
    add_list(&cost, json_object_get(request->root, "messages"));
    add_list(&cost, json_object_get(request->root, "tools"));
    return cost;
}

int64_t messages_estimate_tokens(const struct messages_request *request) {
    return (cost_of(request).most + 99) / 100;
}

int64_t messages_least_tokens(const struct messages_request *request) {
    return cost_of(request).least / 100;
}
