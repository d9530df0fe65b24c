// The usual chunk of a stream, read where it lies: one choice with a piece of text, of a thought or
// of a call's arguments. jansson takes 5 us for a tree of llama-server's chunk, this half of one.
// Whatever is not as usual is left to answer_completions_event, before anything was said.
#include "chat/answer_parts.h"

#include <string.h>

struct quick {
    const char *p, *end;
    struct span content, reasoning_content, reasoning,
        arguments; // between the quotes; data NULL = none
    bool has_call;
    int64_t call;
};

typedef bool member_fn(struct quick *quick, struct span key);

static void skip_space(struct quick *quick) {
    while (quick->p < quick->end && strchr(" \t\r\n", *quick->p) && *quick->p)
        quick->p++;
}

// Takes the character c, with the space around it.
static bool take(struct quick *quick, char c) {
    skip_space(quick);
    if (quick->p == quick->end || *quick->p != c)
        return false;
    quick->p++;
    skip_space(quick);
    return true;
}

static bool take_string(struct quick *quick, struct span *out) {
    if (quick->p == quick->end || *quick->p != '"')
        return false;
    const char *begin = ++quick->p;
    for (; quick->p < quick->end && *quick->p != '"'; quick->p++) {
        if ((unsigned char)*quick->p < 0x20)
            return false;
        if (*quick->p == '\\' && (++quick->p == quick->end || *quick->p == 'u'))
            return false;
    }
    if (quick->p == quick->end)
        return false;
    *out = (struct span){begin, (size_t)(quick->p++ - begin)};
    return true;
}

// A number or a word; a string gives an empty span.
static bool take_scalar(struct quick *quick, struct span *out) {
    if (quick->p < quick->end && *quick->p == '"') {
        bool ok = take_string(quick, out);
        *out = (struct span){"", 0};
        return ok;
    }
    const char *begin = quick->p;
    while (quick->p < quick->end && *quick->p && !strchr(",]}[{\": \t\r\n", *quick->p))
        quick->p++;
    *out = (struct span){begin, (size_t)(quick->p - begin)};
    return out->length > 0;
}

static bool take_null(struct quick *quick) {
    struct span value;
    return take_scalar(quick, &value) && span_is(value, "null");
}

static bool skip_scalar(struct quick *quick) {
    struct span value;
    return take_scalar(quick, &value);
}

static bool take_text(struct quick *quick, struct span *out) {
    return (quick->p < quick->end && *quick->p == '"') ? take_string(quick, out) : take_null(quick);
}

static bool each_member(struct quick *quick, member_fn *fn) {
    struct span key;
    if (!take(quick, '{'))
        return false;
    if (take(quick, '}'))
        return true;
    do {
        if (!take_string(quick, &key) || !take(quick, ':') || !fn(quick, key))
            return false;
    } while (take(quick, ','));
    return take(quick, '}');
}

static bool only_element(struct quick *quick, member_fn *fn) {
    return take(quick, '[') && each_member(quick, fn) && take(quick, ']');
}

static bool function_member(struct quick *quick, struct span key) {
    return span_is(key, "arguments") ? take_string(quick, &quick->arguments) : take_null(quick);
}

static bool call_member(struct quick *quick, struct span key) {
    if (span_is(key, "function"))
        return each_member(quick, function_member);
    if (span_is(key, "type"))
        return skip_scalar(quick);
    if (!span_is(key, "index"))
        return take_null(quick);
    if (quick->p == quick->end || *quick->p < '0' || *quick->p > '9')
        return false;
    struct span value;
    take_scalar(quick, &value);
    quick->call = *value.data - '0';
    quick->has_call = true;
    return value.length == 1;
}

static bool delta_member(struct quick *quick, struct span key) {
    if (span_is(key, "content"))
        return take_text(quick, &quick->content);
    if (span_is(key, "reasoning_content"))
        return take_text(quick, &quick->reasoning_content);
    if (span_is(key, "reasoning"))
        return take_text(quick, &quick->reasoning);
    if (span_is(key, "role"))
        return skip_scalar(quick);
    if (span_is(key, "tool_calls") && quick->p < quick->end && *quick->p == '[')
        return only_element(quick, call_member);
    return take_null(quick);
}

static bool choice_member(struct quick *quick, struct span key) {
    struct span value;
    if (span_is(key, "delta"))
        return each_member(quick, delta_member);
    if (span_is(key, "index"))
        return take_scalar(quick, &value) && span_is(value, "0");
    return take_null(quick);
}

static bool chunk_member(struct quick *quick, struct span key) {
    if (span_is(key, "choices"))
        return only_element(quick, choice_member);
    if (span_is(key, "usage") || span_is(key, "timings") || span_is(key, "error"))
        return take_null(quick);
    return skip_scalar(quick);
}

static bool unescape(struct buf *out, struct span text) {
    static const char named[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    const char *p = text.data, *end = p + text.length;
    buf_clear(out);
    while (p < end) {
        const char *next = memchr(p, '\\', (size_t)(end - p));
        if (!buf_add(out, p, (size_t)((next ? next : end) - p)))
            return false;
        if (!next)
            break;
        const char *name = named;
        while (*name && *name != next[1])
            name += 2;
        if (!*name || !buf_add(out, name + 1, 1))
            return false;
        p = next + 2;
    }
    return json_is_utf8(buf_text(out));
}

static bool say(struct answer *answer, const struct quick *quick) {
    struct span thought =
        quick->reasoning_content.length > 0 ? quick->reasoning_content : quick->reasoning;
    bool has_arguments = quick->arguments.data != NULL;
    const struct span said = has_arguments        ? quick->arguments
                             : thought.length > 0 ? thought
                                                  : quick->content;
    // More than one of them, or arguments of no known call, is not usual.
    if ((thought.length > 0) + (quick->content.length > 0) + has_arguments != 1 ||
        has_arguments != quick->has_call || !unescape(&answer->piece, said))
        return false;
    const char *bytes = buf_bytes(&answer->piece);
    size_t length = answer->piece.length;
    answer->heard = true;
    answer_out_start(answer);
    if (has_arguments) {
        answer_content_settle(answer);
        struct answer_call *call = answer_call_find(answer, quick->call, NULL, NULL);
        if (call)
            answer_call_arguments(answer, call, bytes, length);
    } else {
        answer->deltas++;
        (thought.length > 0 ? answer_reasoning : answer_content)(answer, bytes, length);
    }
    return true;
}

bool answer_quick_event(struct answer *answer, struct span data) {
    struct quick quick = {.p = data.data, .end = data.data + data.length};
    return each_member(&quick, chunk_member) && quick.p == quick.end && say(answer, &quick);
}
