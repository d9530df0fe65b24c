#include "format/json_stream.h"

#include <string.h>

enum state {
    STATE_VALUE,     // a value must come
    STATE_FIRST,     // a value, or the end of an empty array
    STATE_FIRST_KEY, // a key, or the end of an empty object
    STATE_KEY,       // a key must come
    STATE_COLON,     // after a key
    STATE_AFTER,     // after a value: comma or closing bracket
    STATE_TEXT,      // inside a string
    STATE_ESCAPE,    // after a backslash
    STATE_UNICODE,   // inside \uXXXX
    STATE_NUMBER,    // inside a number
    STATE_LITERAL,   // inside true, false, null
    STATE_DONE,      // the document is complete
};

enum { TEXT_VALUE, TEXT_KEY };

void json_stream_init(struct json_stream *stream, json_stream_fn *on_event, void *arg) {
    *stream = (struct json_stream){.on_event = on_event, .arg = arg, .state = STATE_VALUE};
}

static bool wrong(struct json_stream *s, struct err *err, const char *what) {
    s->failed = true;
    return err_set(err, ERR_INVALID, "not JSON at byte %llu: %s", (unsigned long long)s->offset,
                   what);
}

static bool emit(struct json_stream *s, enum json_event event, const char *bytes, size_t length,
                 struct err *err) {
    if (s->on_event(s->arg, event, bytes, length, err))
        return true;
    s->failed = true;
    return false;
}

static bool hold(struct json_stream *s, const char *bytes, size_t length, size_t max,
                 struct err *err) {
    if (length > max - s->held_length) {
        s->failed = true;
        return err_set(err, ERR_LIMIT, "a %s of more than %zu bytes at byte %llu",
                       s->state == STATE_NUMBER ? "number" : "key", max,
                       (unsigned long long)s->offset);
    }
    memcpy(s->held + s->held_length, bytes, length);
    s->held_length += length;
    return true;
}

static void value_done(struct json_stream *s) { s->state = s->depth ? STATE_AFTER : STATE_DONE; }

static bool in_array(const struct json_stream *s) {
    return s->depth > 0 && (s->arrays >> (s->depth - 1) & 1);
}

static bool open_bracket(struct json_stream *s, bool array, struct err *err) {
    if (s->depth == JSON_STREAM_DEPTH_MAX) {
        s->failed = true;
        return err_set(err, ERR_LIMIT, "brackets nested deeper than %d at byte %llu",
                       JSON_STREAM_DEPTH_MAX, (unsigned long long)s->offset);
    }
    uint64_t bit = 1ull << s->depth++;
    s->arrays = array ? s->arrays | bit : s->arrays & ~bit;
    s->state = array ? STATE_FIRST : STATE_FIRST_KEY;
    return emit(s, array ? JSON_EVENT_ARRAY : JSON_EVENT_OBJECT, NULL, 0, err);
}

static bool close_bracket(struct json_stream *s, bool array, struct err *err) {
    if (s->depth == 0 || in_array(s) != array)
        return wrong(s, err, "a bracket that closes nothing");
    s->depth--;
    value_done(s);
    return emit(s, array ? JSON_EVENT_ARRAY_END : JSON_EVENT_OBJECT_END, NULL, 0, err);
}

static void begin_text(struct json_stream *s, uint8_t what) {
    s->after = what;
    s->state = STATE_TEXT;
    s->held_length = 0;
    s->high = 0;
}

// Bytes of a string: of a key they are held, of a value handed on.
static bool text_bytes(struct json_stream *s, const char *bytes, size_t length, struct err *err) {
    if (length == 0)
        return true;
    if (s->after == TEXT_KEY)
        return hold(s, bytes, length, JSON_STREAM_KEY_MAX, err);
    return emit(s, JSON_EVENT_TEXT, bytes, length, err);
}

static bool code_point(struct json_stream *s, uint32_t c, struct err *err) {
    char out[4];
    size_t n = 0;
    if (c < 0x80) {
        out[n++] = (char)c;
    } else if (c < 0x800) {
        out[n++] = (char)(0xc0 | c >> 6);
        out[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        out[n++] = (char)(0xe0 | c >> 12);
        out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        out[n++] = (char)(0xf0 | c >> 18);
        out[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (c & 0x3f));
    }
    return text_bytes(s, out, n, err);
}

// Half of a surrogate pair whose other half never came.
static bool settle_half(struct json_stream *s, struct err *err) {
    if (!s->high)
        return true;
    s->high = 0;
    return code_point(s, 0xfffd, err);
}

static bool unit_done(struct json_stream *s, struct err *err) {
    s->state = STATE_TEXT;
    uint16_t unit = s->unit;
    if (unit >= 0xdc00 && unit < 0xe000 && s->high) {
        uint32_t c = 0x10000 + ((uint32_t)(s->high - 0xd800) << 10) + (unit - 0xdc00u);
        s->high = 0;
        return code_point(s, c, err);
    }
    if (!settle_half(s, err))
        return false;
    if (unit >= 0xd800 && unit < 0xdc00) {
        s->high = unit;
        return true;
    }
    return code_point(s, unit >= 0xdc00 && unit < 0xe000 ? 0xfffd : unit, err);
}

static bool end_text(struct json_stream *s, struct err *err) {
    if (!settle_half(s, err))
        return false;
    if (s->after == TEXT_KEY) {
        s->state = STATE_COLON;
        return emit(s, JSON_EVENT_KEY, s->held, s->held_length, err);
    }
    value_done(s);
    return emit(s, JSON_EVENT_TEXT_END, NULL, 0, err);
}

// Returns how many bytes were taken; 0: failed.
static size_t feed_text(struct json_stream *s, const char *bytes, size_t length, struct err *err) {
    size_t n = 0;
    while (n < length && bytes[n] != '"' && bytes[n] != '\\' && (unsigned char)bytes[n] >= 0x20)
        n++;
    if (n > 0)
        return settle_half(s, err) && text_bytes(s, bytes, n, err) ? n : 0;
    if (bytes[0] == '"')
        return end_text(s, err) ? 1 : 0;
    if (bytes[0] != '\\')
        return wrong(s, err, "a control character inside a string") ? 1 : 0;
    s->state = STATE_ESCAPE;
    return 1;
}

static bool feed_escape(struct json_stream *s, char c, struct err *err) {
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        s->state = STATE_UNICODE;
        s->digits = 4;
        s->unit = 0;
        return true;
    }
    const char *at = c ? strchr(FROM, c) : NULL;
    if (!at)
        return wrong(s, err, "an escape that does not exist");
    s->state = STATE_TEXT;
    return settle_half(s, err) && text_bytes(s, TO + (at - FROM), 1, err);
}

static bool feed_unicode(struct json_stream *s, char c, struct err *err) {
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0)
        return wrong(s, err, "\\u needs four hexadecimal digits");
    s->unit = (uint16_t)(s->unit << 4 | digit);
    return --s->digits > 0 || unit_done(s, err);
}

// number = [ "-" ] int [ "." digits ] [ ("e" | "E") [ "+" | "-" ] digits ]
static bool is_number(const char *at, const char *end) {
    at += at < end && *at == '-';
    const char *begin = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    if (at == begin || (*begin == '0' && at - begin > 1))
        return false;
    if (at < end && *at == '.') {
        begin = ++at;
        while (at < end && *at >= '0' && *at <= '9')
            at++;
        if (at == begin)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        begin = at;
        while (at < end && *at >= '0' && *at <= '9')
            at++;
        if (at == begin)
            return false;
    }
    return at == end;
}

static bool end_number(struct json_stream *s, struct err *err) {
    if (!is_number(s->held, s->held + s->held_length))
        return wrong(s, err, "this is no number");
    value_done(s);
    return emit(s, JSON_EVENT_NUMBER, s->held, s->held_length, err);
}

static bool in_number(char c) { return (c >= '0' && c <= '9') || (c && strchr("+-.eE", c)); }

static bool feed_literal(struct json_stream *s, char c, struct err *err) {
    if (c != *s->literal)
        return wrong(s, err, "a word that is not true, false or null");
    if (*++s->literal)
        return true;
    value_done(s);
    return emit(s, s->literal_event, NULL, 0, err);
}

static bool begin_literal(struct json_stream *s, const char *rest, enum json_event event) {
    s->literal = rest;
    s->literal_event = event;
    s->state = STATE_LITERAL;
    return true;
}

static bool begin_value(struct json_stream *s, char c, struct err *err) {
    switch (c) {
    case '{': return open_bracket(s, false, err);
    case '[': return open_bracket(s, true, err);
    case '"': begin_text(s, TEXT_VALUE); return true;
    case 't': return begin_literal(s, "rue", JSON_EVENT_TRUE);
    case 'f': return begin_literal(s, "alse", JSON_EVENT_FALSE);
    case 'n': return begin_literal(s, "ull", JSON_EVENT_NULL);
    default: break;
    }
    if (c != '-' && (c < '0' || c > '9'))
        return wrong(s, err, "a value must come here");
    s->state = STATE_NUMBER;
    s->held_length = 0;
    return hold(s, &c, 1, JSON_STREAM_NUMBER_MAX, err);
}

static bool feed_between(struct json_stream *s, char c, struct err *err) {
    switch (s->state) {
    case STATE_FIRST:
        if (c == ']')
            return close_bracket(s, true, err);
        return begin_value(s, c, err);
    case STATE_VALUE: return begin_value(s, c, err);
    case STATE_FIRST_KEY:
        if (c == '}')
            return close_bracket(s, false, err);
        // fall through
    case STATE_KEY:
        if (c != '"')
            return wrong(s, err, "a key must come here");
        begin_text(s, TEXT_KEY);
        return true;
    case STATE_COLON:
        if (c != ':')
            return wrong(s, err, "a colon must come here");
        s->state = STATE_VALUE;
        return true;
    case STATE_AFTER:
        if (c == ',') {
            s->state = in_array(s) ? STATE_VALUE : STATE_KEY;
            return true;
        }
        if (c == ']' || c == '}')
            return close_bracket(s, c == ']', err);
        return wrong(s, err, "a comma or a closing bracket must come here");
    default: return wrong(s, err, "something after the end of the document");
    }
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool json_stream_feed(struct json_stream *s, const char *bytes, size_t length, struct err *err) {
    if (s->failed)
        return err_set(err, ERR_INVALID, "the JSON before was refused");
    for (size_t i = 0; i < length;) {
        char c = bytes[i];
        size_t taken = 1;
        bool good = true;
        switch (s->state) {
        case STATE_TEXT: good = (taken = feed_text(s, bytes + i, length - i, err)) > 0; break;
        case STATE_ESCAPE: good = feed_escape(s, c, err); break;
        case STATE_UNICODE: good = feed_unicode(s, c, err); break;
        case STATE_LITERAL: good = feed_literal(s, c, err); break;
        case STATE_NUMBER:
            if (in_number(c)) {
                good = hold(s, &c, 1, JSON_STREAM_NUMBER_MAX, err);
            } else {
                good = end_number(s, err);
                taken = 0; // the byte is looked at again, in its new place
            }
            break;
        default: good = is_space(c) || feed_between(s, c, err); break;
        }
        if (!good)
            return false;
        i += taken;
        s->offset += taken;
    }
    return true;
}

bool json_stream_end(struct json_stream *s, struct err *err) {
    if (s->failed)
        return err_set(err, ERR_INVALID, "the JSON before was refused");
    if (s->state == STATE_NUMBER && s->depth == 0 && !end_number(s, err))
        return false;
    if (s->state != STATE_DONE)
        return wrong(s, err, "it ends in the middle");
    return true;
}
