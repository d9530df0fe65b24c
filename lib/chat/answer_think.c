// Thoughts in content: models whose server does not tell them apart (no reasoning_content) say
// <think>...</think> in front of their answer. Only there is it a mark; behind the first word it is
// text that the user may have asked for. A mark may be torn over any number of pieces.
#define _GNU_SOURCE
#include "chat/answer_parts.h"

#include <string.h>

#define OPEN "<think>"
#define CLOSE "</think>"

static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static struct span without_blanks(struct span text) {
    while (text.length > 0 && is_blank(*text.data))
        text = (struct span){text.data + 1, text.length - 1};
    return text;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static struct span without_blanks_behind(struct span text) {
    while (text.length > 0 && is_blank(text.data[text.length - 1]))
        text.length--;
    return text;
}

static bool starts(struct span text, const char *mark) {
    return memcmp(text.data, mark, least(text.length, strlen(mark))) == 0;
}

// What surely belongs to the thought: not blanks, nor the beginning of the mark, at its end.
static struct span sure_part(struct span text) {
    for (size_t k = least(text.length, strlen(CLOSE) - 1); k > 0; k--)
        if (memcmp(text.data + text.length - k, CLOSE, k) == 0) {
            text.length -= k;
            break;
        }
    return without_blanks_behind(text);
}

// The functions below take what they can from the front of the content and give the rest.

static struct span begin(struct answer *answer, struct span text) {
    struct span rest = without_blanks(text);
    if (!starts(rest, OPEN)) {
        answer->think = THINK_OVER;
        return text;
    }
    if (rest.length < strlen(OPEN))
        return text;
    answer->think = THINK_INSIDE;
    return (struct span){rest.data + strlen(OPEN), rest.length - strlen(OPEN)};
}

static struct span think(struct answer *answer, struct span text) {
    const char *close = memmem(text.data, text.length, CLOSE, strlen(CLOSE));
    struct span thought =
        close ? without_blanks_behind((struct span){text.data, (size_t)(close - text.data)})
              : sure_part(text);
    if (thought.length > 0)
        answer->think = THINK_WORDS;
    answer_thinking(answer, thought.data, thought.length);
    if (!close)
        return (struct span){text.data + thought.length, text.length - thought.length};
    answer->think = THINK_BEHIND;
    const char *rest = close + strlen(CLOSE);
    return (struct span){rest, (size_t)(text.data + text.length - rest)};
}

static struct span advance(struct answer *answer, struct span text) {
    if (answer->think == THINK_MAYBE)
        text = begin(answer, text);
    if (answer->think == THINK_INSIDE)
        text = without_blanks(text);
    if (answer->think == THINK_INSIDE || answer->think == THINK_WORDS)
        text = think(answer, text);
    if (answer->think == THINK_BEHIND)
        text = without_blanks(text);
    if (answer->think == THINK_BEHIND && text.length > 0)
        answer->think = THINK_OVER;
    return text;
}

void answer_content(struct answer *answer, const char *bytes, size_t length) {
    if (answer->think == THINK_OVER) {
        answer_text(answer, bytes, length);
        return;
    }
    if (!buf_add(&answer->held, bytes, length)) {
        answer_break(answer, ERR_LIMIT, "a part of the answer is larger than %zu bytes",
                     answer->options.max_bytes);
        return;
    }
    struct span all = {buf_bytes(&answer->held), answer->held.length};
    struct span rest = advance(answer, all);
    if (answer->think == THINK_OVER) {
        answer_text(answer, rest.data, rest.length);
        buf_clear(&answer->held);
        return;
    }
    buf_drain(&answer->held, all.length - rest.length);
}

void answer_reasoning(struct answer *answer, const char *bytes, size_t length) {
    answer_content_settle(answer);
    answer_thinking(answer, bytes, length);
}

void answer_content_settle(struct answer *answer) {
    bool in_thought = answer->think == THINK_INSIDE || answer->think == THINK_WORDS;
    answer->think = THINK_OVER;
    if (answer->held.length > 0)
        (in_thought ? answer_thinking : answer_text)(answer, buf_bytes(&answer->held),
                                                     answer->held.length);
    buf_clear(&answer->held);
}
