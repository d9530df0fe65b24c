#include "format/json_peek.h"

#include "base/str.h"

#include <stdlib.h>
#include <string.h>

// The longest member that we look for, and one byte more to tell that a key is longer.
#define KEY_ROOM 24

enum member { MEMBER_OTHER, MEMBER_MODEL, MEMBER_STREAM, MEMBER_MAX_TOKENS };

struct scan {
    const unsigned char *begin, *p, *end;
    unsigned depth, max_depth;
    uint64_t arrays[JSON_PEEK_DEPTH_MAX / 64]; // one bit a level: "[" rather than "{"
    enum member member;                        // of the top-level member being read
    bool model_seen;                           // with any value, null included
    struct json_peek *out;
    struct err *err;
};

static bool fail_at(struct scan *scan, const unsigned char *at, const char *why) {
    return err_set(scan->err, ERR_INVALID, "%s at byte %zu", why, (size_t)(at - scan->begin));
}

static bool fail(struct scan *scan, const char *why) {
    return fail_at(scan, scan->p, scan->p < scan->end ? why : "JSON ends too early");
}

static void skip_space(struct scan *scan) {
    while (scan->p < scan->end &&
           (*scan->p == ' ' || *scan->p == '\n' || *scan->p == '\r' || *scan->p == '\t'))
        scan->p++;
}

// Marks, by the top bit of its byte, each of 8 bytes that is a quote, a backslash or a control
// character. A byte that lies above a marked one (by value of the word) may be marked wrongly.
static uint64_t special_bytes(const unsigned char *p) {
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t x, quote, slash;
    memcpy(&x, p, sizeof x);
    quote = x ^ (ones * '"');
    slash = x ^ (ones * '\\');
    return (((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
           tops;
}

// The first special byte, or at most 7 bytes before it or the end.
static const unsigned char *skip_plain_words(const unsigned char *p, const unsigned char *end,
                                             size_t words) {
    for (; words > 0 && end - p >= 8; words--, p += 8) {
        uint64_t marks = special_bytes(p);
        if (marks == 0)
            continue;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return p + __builtin_ctzll(marks) / 8;
#else
        return p;
#endif
    }
    return p;
}

static bool is_special(unsigned char c) { return c == '"' || c == '\\' || c < 0x20; }

// Text has an escape every line; images travel as megabytes of base64 in one string. So: words
// for a while, then 32 bytes a step.
static const unsigned char *skip_plain(const unsigned char *p, const unsigned char *end) {
    p = skip_plain_words(p, end, 8);
    if (p < end && is_special(*p))
        return p;
    while (end - p >= 32 && !(special_bytes(p) | special_bytes(p + 8) | special_bytes(p + 16) |
                              special_bytes(p + 24)))
        p += 32;
    p = skip_plain_words(p, end, SIZE_MAX);
    while (p < end && !is_special(*p))
        p++;
    return p;
}

static bool is_escape(unsigned char c) {
    switch (c) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return true;
    default: return false;
    }
}

// Reads the four digits of \uXXXX; -1 when they are not.
static int read_hex4(const unsigned char *p, const unsigned char *end) {
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = str_hex_digit((char)p[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

// Moves from the opening quote past the closing one.
static bool skip_string(struct scan *scan) {
    scan->p++;
    for (;;) {
        scan->p = skip_plain(scan->p, scan->end);
        if (scan->p == scan->end)
            return fail(scan, "");
        if (*scan->p == '"')
            break;
        if (*scan->p != '\\')
            return fail(scan, "raw control character in a string");
        if (scan->end - scan->p < 2) {
            scan->p = scan->end;
            return fail(scan, "");
        }
        unsigned char c = scan->p[1];
        if (c == 'u' ? read_hex4(scan->p + 2, scan->end) < 0 : !is_escape(c))
            return fail(scan, "bad escape in a string");
        scan->p += c == 'u' ? 6 : 2;
    }
    scan->p++;
    return true;
}

static size_t put_utf8(unsigned code, unsigned char out[4]) {
    if (code < 0x80) {
        out[0] = (unsigned char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n; --i > 0; code >>= 6)
        out[i] = (unsigned char)(0x80 | (code & 0x3f));
    out[0] = (unsigned char)((0xf00 >> n) | code);
    return n;
}

// Decodes the escape at *p (already checked by skip_string) and moves past it. 0 when it is half
// of a surrogate pair without the other.
static size_t read_escape(const unsigned char **p, const unsigned char *end, unsigned char out[4]) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    unsigned char c = (*p)[1];
    const char *named = strchr(from, c);
    if (c != 'u') {
        *p += 2;
        out[0] = named ? (unsigned char)to[named - from] : c;
        return 1;
    }
    int code = read_hex4(*p + 2, end);
    *p += 6;
    if (code < 0xd800 || code > 0xdfff)
        return put_utf8((unsigned)code, out);
    int low = end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u' ? read_hex4(*p + 2, end) : -1;
    if (code > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0;
    *p += 6;
    return put_utf8(0x10000u + (((unsigned)code - 0xd800u) << 10) + ((unsigned)low - 0xdc00u), out);
}

enum unescape { UNESCAPE_OK, UNESCAPE_LONG, UNESCAPE_SURROGATE };

// Unescapes the body of a checked string, without its quotes, into out and terminates it.
static enum unescape unescape(const unsigned char *p, const unsigned char *end, char *out,
                              size_t room, size_t *length) {
    size_t used = 0;
    while (p < end) {
        unsigned char piece[4] = {*p};
        size_t n = 1;
        if (*p == '\\')
            n = read_escape(&p, end, piece);
        else
            p++;
        if (n == 0)
            return UNESCAPE_SURROGATE;
        if (used + n >= room)
            return UNESCAPE_LONG;
        memcpy(out + used, piece, n);
        used += n;
    }
    out[used] = '\0';
    *length = used;
    return UNESCAPE_OK;
}

static enum member member_of(const unsigned char *begin, const unsigned char *end) {
    static const struct {
        const char *key;
        enum member member;
    } known[] = {{"model", MEMBER_MODEL},
                 {"stream", MEMBER_STREAM},
                 {"max_tokens", MEMBER_MAX_TOKENS},
                 {"n_predict", MEMBER_MAX_TOKENS},
                 {"max_completion_tokens", MEMBER_MAX_TOKENS}};
    char key[KEY_ROOM];
    size_t length;
    // A NUL inside makes a key of ours longer, not equal: lengths are compared too.
    if (unescape(begin + 1, end - 1, key, sizeof key, &length) != UNESCAPE_OK)
        return MEMBER_OTHER;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].key) == length && memcmp(known[i].key, key, length) == 0)
            return known[i].member;
    return MEMBER_OTHER;
}

static bool take_model(struct scan *scan, const unsigned char *begin) {
    struct json_peek *out = scan->out;
    char model[JSON_PEEK_MODEL_MAX] = "";
    size_t length = 0;
    bool is_null = *begin == 'n';
    if (*begin != '"' && !is_null)
        return fail_at(scan, begin, "\"model\" is not a string");
    if (!is_null) {
        enum unescape result = unescape(begin + 1, scan->p - 1, model, sizeof model, &length);
        if (result == UNESCAPE_LONG) {
            fail_at(scan, begin, "\"model\" is longer than 255 bytes");
            if (scan->err)
                scan->err->code = ERR_LIMIT;
            return false;
        }
        if (result == UNESCAPE_SURROGATE || memchr(model, '\0', length))
            return fail_at(scan, begin, "\"model\" has an escape that is no character");
    }
    if (scan->model_seen && (out->has_model != !is_null || out->model_length != length ||
                             memcmp(out->model, model, length) != 0))
        return fail_at(scan, begin, "a second \"model\" with another value");
    scan->model_seen = true;
    if (is_null)
        return true;
    out->has_model = true;
    out->model_length = length;
    memcpy(out->model, model, sizeof model);
    out->model_begin = (size_t)(begin - scan->begin);
    out->model_end = (size_t)(scan->p - scan->begin);
    return true;
}

// Keeps whole numbers that fit; engines read 100.0 or 1e2 in their own ways.
static void take_max_tokens(struct scan *scan, const unsigned char *begin) {
    struct json_peek *out = scan->out;
    int64_t value = 0;
    const unsigned char *p = begin;
    for (; p < scan->p && *p >= '0' && *p <= '9' && value < INT64_MAX / 10 - 1; p++)
        value = value * 10 + (*p - '0');
    if (p == begin || p < scan->p)
        return;
    if (!out->has_max_tokens || value < out->max_tokens)
        out->max_tokens = value;
    out->has_max_tokens = true;
}

// Called after a scalar of the top-level object, from begin to scan->p.
static bool take_member(struct scan *scan, const unsigned char *begin) {
    switch (scan->member) {
    case MEMBER_MODEL: return take_model(scan, begin);
    case MEMBER_STREAM:
        if (*begin == 't' || *begin == 'f') {
            scan->out->has_stream = true;
            scan->out->stream = *begin == 't';
        }
        return true;
    case MEMBER_MAX_TOKENS: take_max_tokens(scan, begin); return true;
    case MEMBER_OTHER: break;
    }
    return true;
}

static bool skip_word(struct scan *scan, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(scan->end - scan->p) < length || memcmp(scan->p, word, length) != 0)
        return fail_at(scan, scan->p, "expected a value");
    scan->p += length;
    return true;
}

static bool skip_digits(struct scan *scan) {
    const unsigned char *begin = scan->p;
    while (scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9')
        scan->p++;
    return scan->p > begin || fail(scan, "expected a digit");
}

static bool at(const struct scan *scan, unsigned char c) {
    return scan->p < scan->end && *scan->p == c;
}

// number = "-"? ("0" | [1-9][0-9]*) ("." [0-9]+)? ([eE] [+-]? [0-9]+)?
static bool skip_number(struct scan *scan) {
    if (at(scan, '-'))
        scan->p++;
    if (at(scan, '0'))
        scan->p++;
    else if (!skip_digits(scan))
        return false;
    if (at(scan, '.')) {
        scan->p++;
        if (!skip_digits(scan))
            return false;
    }
    if (at(scan, 'e') || at(scan, 'E')) {
        scan->p++;
        if (at(scan, '+') || at(scan, '-'))
            scan->p++;
        return skip_digits(scan);
    }
    return true;
}

static bool skip_scalar(struct scan *scan) {
    switch (*scan->p) {
    case '"': return skip_string(scan);
    case 't': return skip_word(scan, "true");
    case 'f': return skip_word(scan, "false");
    case 'n': return skip_word(scan, "null");
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return skip_number(scan);
    default: return fail(scan, "expected a value");
    }
}

static bool in_array(const struct scan *scan) {
    unsigned level = scan->depth - 1;
    return scan->arrays[level / 64] >> (level % 64) & 1;
}

static bool open_bracket(struct scan *scan) {
    if (scan->depth == scan->max_depth)
        return err_set(scan->err, ERR_LIMIT, "JSON nested deeper than %u levels at byte %zu",
                       scan->max_depth, (size_t)(scan->p - scan->begin));
    uint64_t bit = (uint64_t)1 << (scan->depth % 64);
    if (*scan->p == '[')
        scan->arrays[scan->depth / 64] |= bit;
    else
        scan->arrays[scan->depth / 64] &= ~bit;
    scan->depth++;
    scan->p++;
    return true;
}

static bool read_key(struct scan *scan) {
    const unsigned char *begin = scan->p;
    if (!at(scan, '"'))
        return fail(scan, "expected a key in quotes");
    if (!skip_string(scan))
        return false;
    if (scan->depth == 1)
        scan->member = member_of(begin, scan->p);
    skip_space(scan);
    if (!at(scan, ':'))
        return fail(scan, "expected \":\"");
    scan->p++;
    skip_space(scan);
    return true;
}

// Reads from where a member or element is due, with its key, until a scalar is past or a bracket
// is open. *opened tells which.
static bool read_item(struct scan *scan, bool *opened) {
    if (!in_array(scan) && !read_key(scan))
        return false;
    if (scan->p == scan->end)
        return fail(scan, "");
    *opened = *scan->p == '{' || *scan->p == '[';
    if (*opened) {
        if (scan->depth == 1 && scan->member == MEMBER_MODEL)
            return fail(scan, "\"model\" is not a string");
        return open_bracket(scan);
    }
    const unsigned char *begin = scan->p;
    return skip_scalar(scan) && (scan->depth > 1 || take_member(scan, begin));
}

// After an item or an open bracket: closes what closes here. *more: another item follows.
static bool read_close(struct scan *scan, bool opened, bool *more) {
    *more = false;
    for (;; opened = false) {
        skip_space(scan);
        bool closes = at(scan, in_array(scan) ? ']' : '}');
        if (!closes && opened)
            return *more = true; // the first item
        if (!closes && !at(scan, ','))
            return fail(scan,
                        in_array(scan) ? "expected \",\" or \"]\"" : "expected \",\" or \"}\"");
        scan->p++;
        if (!closes) {
            skip_space(scan);
            return *more = true;
        }
        if (--scan->depth == 0)
            return true;
    }
}

bool json_peek(const char *bytes, size_t length, unsigned max_depth, struct json_peek *out,
               struct err *err) {
    struct scan scan;
    memset(out, 0, sizeof *out);
    memset(scan.arrays, 0, sizeof scan.arrays);
    scan.begin = scan.p = (const unsigned char *)(bytes ? bytes : "");
    scan.end = scan.begin + length;
    scan.depth = 0;
    scan.max_depth = max_depth ? max_depth : JSON_PEEK_DEPTH_DEFAULT;
    if (scan.max_depth > JSON_PEEK_DEPTH_MAX)
        scan.max_depth = JSON_PEEK_DEPTH_MAX;
    scan.member = MEMBER_OTHER;
    scan.model_seen = false;
    scan.out = out;
    scan.err = err;

    skip_space(&scan);
    if (!at(&scan, '{'))
        return fail_at(&scan, scan.p, "not a JSON object");
    bool opened = true, more;
    if (!open_bracket(&scan))
        return false;
    out->members_begin = (size_t)(scan.p - scan.begin);
    if (!read_close(&scan, true, &more))
        return false;
    out->is_empty = !more;
    while (more)
        if (!read_item(&scan, &opened) || !read_close(&scan, opened, &more))
            return false;
    skip_space(&scan);
    if (scan.p < scan.end)
        return fail(&scan, "text after the JSON object");
    return true;
}
