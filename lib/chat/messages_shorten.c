// Results of tools, and older words, made shorter, so that a conversation fits.
//
// What Claude Code does when it hears "prompt is too long" (2.1.197, measured; the tests are in
// tests/scenario/test_real_agent.py): it has its oldest turns summed up, as many as one request
// takes, keeps the newer ones as they are, and asks again, once. So its session ends when only one
// answer stands before the last prompt, when the newest turn alone is too long, and when the
// conversation comes to more than about two windows. Only then is anything shortened here;
// otherwise it is told, and sums up.
#include "base/mem.h"
#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

enum {
    SUMMARY_TOKENS = 2048, // what it asks for a summary with
    LAST_SHARE = 4,        // results of the last turn keep four times what older ones keep
    LEAST_TOKENS = 32,
    TAIL_SHARE = 4,   // a quarter of what stays is the end: errors stand there
    LINE_SHARE = 8,   // so much of a part is given up to end with a whole line
    NOTE_TOKENS = 80, // of the words in their place, rather too many
};

// What an older result may keep: such a part of the window, and no size in between. So the results
// of a last turn often keep their bytes when they become older ones, and the engine its cache.
static const unsigned short parts[] = {2,  3,  4,  6,   8,   12,  16,  24, 32,
                                       48, 64, 96, 128, 192, 256, 384, 512};
enum { PARTS = sizeof parts / sizeof *parts };

// All in tokens as estimated here, which is not what the engine counts.
struct lengths {
    int64_t total, room, window;
    int64_t base;  // what every request begins with: system text, tools, reminders
    int64_t first; // the first turn's words
    int64_t tail;  // the last answer and all behind it
    size_t answers;
};

// What is cut, and how far.
struct cut {
    int64_t window_tokens;
    int64_t limit;  // of a result, or words, in estimated tokens
    bool words;     // not results alone, but also what was said before the last prompt
    size_t results; // index of the last turn with results; 0 = none
    size_t prompt;  // ... of the last turn in which the user said something
};

static bool is_role(const json_t *message, const char *role) {
    return strcmp(json_get_text(message, "role", ""), role) == 0;
}

static bool is_type(const json_t *block, const char *type) {
    return strcmp(json_get_text(block, "type", ""), type) == 0;
}

// CLAUDE.md, and what else Claude Code itself puts before a prompt, stays.
static bool is_said(const json_t *block) {
    return is_type(block, "text") &&
           !str_starts(json_get_text(block, "text", ""), "<system-reminder>");
}

static bool has(const json_t *message, bool (*is)(const json_t *block)) {
    size_t i;
    json_t *block;
    json_array_foreach(json_object_get(message, "content"), i, block) {
        if (is(block))
            return true;
    }
    return false;
}

static bool is_result(const json_t *block) { return is_type(block, "tool_result"); }

static struct lengths measure(const struct messages_request *request, int64_t prompt_tokens,
                              int64_t window_tokens) {
    struct lengths lengths = {.total = messages_estimate_tokens(request)};
    json_t *messages = json_object_get(request->root, "messages"), *message, *block;
    int64_t all = 0;
    size_t i;
    json_array_foreach(json_object_get(json_array_get(messages, 0), "content"), i, block) {
        int64_t tokens = messages_estimate_json(block);
        *(is_said(block) ? &lengths.first : &lengths.base) += tokens;
    }
    json_array_foreach(messages, i, message) {
        int64_t tokens = messages_estimate_json(message);
        bool answer = is_role(message, "assistant");
        all += tokens;
        lengths.tail = answer ? tokens : lengths.tail + tokens;
        lengths.answers += answer;
    }
    lengths.base += lengths.total - all;
    int64_t answer = window_tokens / 8;
    if (answer > request->max_tokens)
        answer = request->max_tokens;
    double scale = prompt_tokens > 0 ? (double)lengths.total / (double)prompt_tokens : 1;
    lengths.window = (int64_t)((double)window_tokens * scale);
    lengths.room = (int64_t)((double)(window_tokens - answer) * scale);
    return lengths;
}

static bool can_be_summed_up(const struct lengths *lengths) {
    int64_t least = lengths->window / 4 < SUMMARY_TOKENS ? lengths->window / 4 : SUMMARY_TOKENS;
    int64_t room = lengths->room - lengths->base;
    return lengths->answers >= 2 && lengths->first + least <= room &&
           lengths->tail + least <= room && lengths->total - lengths->base <= room * 3 / 2;
}

// --- One text

// Bytes from the start (or, backwards, from the end) that come to at most `tokens`.
static size_t bytes_within(const char *text, size_t length, int64_t tokens, bool backwards) {
    int64_t cost = 0;
    size_t n = 0;
    while (n < length) {
        cost += messages_estimate_byte(text, backwards ? length - 1 - n : n);
        if (cost > tokens * 100)
            break;
        n++;
    }
    return n;
}

static bool is_inside(char c) { return ((unsigned char)c & 0xc0) == 0x80; } // of a character

// The end of what is kept at the start: behind a line where one is near, never within a character.
static size_t head_end(const char *text, size_t length, int64_t tokens) {
    size_t end = bytes_within(text, length, tokens, false);
    for (size_t i = end; i > end - end / LINE_SHARE; i--)
        if (text[i - 1] == '\n')
            return i;
    while (end > 0 && end < length && is_inside(text[end]))
        end--;
    return end;
}

static size_t tail_start(const char *text, size_t length, int64_t tokens) {
    size_t size = bytes_within(text, length, tokens, true), start = length - size;
    for (size_t i = start; i < start + size / LINE_SHARE; i++)
        if (text[i] == '\n')
            return i + 1;
    while (start < length && is_inside(text[start]))
        start++;
    return start;
}

static size_t characters(const char *text, size_t length) {
    size_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += !is_inside(text[i]);
    return count;
}

static char *shorten_text(const char *text, int64_t tokens, int64_t window_tokens) {
    size_t length = strlen(text), head = head_end(text, length, tokens - tokens / TAIL_SHARE);
    size_t tail = tail_start(text + head, length - head, tokens / TAIL_SHARE) + head;
    return mem_printf("%.*s\n[... %zu of %zu characters are left out here: they do not fit into "
                      "this model's window of %lld tokens. Ask for what you need of them, in "
                      "smaller parts ...]\n%s",
                      (int)head, text, characters(text + head, tail - head),
                      characters(text, length), (long long)window_tokens, text + tail);
}

// --- The conversation

static struct cut find_turns(const json_t *messages, int64_t window_tokens) {
    struct cut cut = {.window_tokens = window_tokens};
    json_t *message;
    size_t i;
    json_array_foreach(messages, i, message) {
        if (has(message, is_result))
            cut.results = i;
        if (is_role(message, "user") && has(message, is_said))
            cut.prompt = i;
    }
    return cut;
}

// What a block of a turn may keep; 0 = all of it.
static int64_t limit_of(const struct cut *cut, size_t turn, const json_t *block) {
    int64_t limit = cut->limit > LEAST_TOKENS ? cut->limit : LEAST_TOKENS;
    if (is_result(block))
        return turn == cut->results ? limit * LAST_SHARE : limit;
    return cut->words && turn < cut->prompt && is_said(block) ? limit : 0;
}

static int64_t tokens_of(const json_t *text_block) {
    return messages_estimate_json(json_object_get(text_block, "text"));
}

// Of a text, or of the texts in a result.
static int64_t text_tokens(const json_t *block) {
    int64_t tokens = 0;
    size_t i;
    json_t *inner;
    if (is_type(block, "text"))
        return tokens_of(block);
    json_array_foreach(json_object_get(block, "content"), i, inner) {
        tokens += is_type(inner, "text") ? tokens_of(inner) : 0;
    }
    return tokens;
}

static void shorten_block(json_t *text_block, int64_t limit, int64_t window_tokens) {
    if (!is_type(text_block, "text") || tokens_of(text_block) <= limit + NOTE_TOKENS)
        return;
    char *text = shorten_text(json_get_text(text_block, "text", ""), limit, window_tokens);
    json_set(text_block, "text", json_text(text));
    mem_free(text);
}

// Several texts of one result share its limit.
static void shorten_result(json_t *result, int64_t limit, int64_t window_tokens) {
    int64_t tokens = text_tokens(result);
    json_t *inner;
    size_t i;
    if (tokens <= limit + NOTE_TOKENS)
        return;
    json_array_foreach(json_object_get(result, "content"), i, inner) {
        shorten_block(inner, limit * tokens_of(inner) / tokens, window_tokens);
    }
}

// Tokens that the cut saves; where `carry_out`, it is made.
static int64_t apply(const struct cut *cut, json_t *messages, bool carry_out) {
    int64_t saved = 0;
    json_t *message, *block;
    size_t i, k;
    json_array_foreach(messages, i, message) {
        json_array_foreach(json_object_get(message, "content"), k, block) {
            int64_t limit = limit_of(cut, i, block);
            int64_t over = limit ? text_tokens(block) - limit - NOTE_TOKENS : 0;
            saved += over > 0 ? over : 0;
            if (over > 0 && carry_out)
                (is_result(block) ? shorten_result : shorten_block)(block, limit,
                                                                    cut->window_tokens);
        }
    }
    return saved;
}

// The root before anything was cut stays: what the request says of itself points into it.
static void replace_root(struct messages_request *request, json_t *root) {
    if (request->whole)
        json_decref(request->root);
    else
        request->whole = request->root;
    request->root = root;
}

bool messages_shorten(struct messages_request *request, int64_t prompt_tokens,
                      int64_t window_tokens) {
    if (!request->may_shorten || window_tokens <= 0)
        return false;
    struct lengths lengths = measure(request, prompt_tokens, window_tokens);
    if (!request->whole && can_be_summed_up(&lengths))
        return false;
    struct messages_request whole = *request;
    whole.root = request->whole ? request->whole : request->root;
    int64_t total = messages_estimate_tokens(&whole);
    json_t *messages = json_object_get(whole.root, "messages");
    struct cut cut = find_turns(messages, window_tokens);
    while (request->shortened < 2 * PARTS) { // of results, then of words too
        cut.words = request->shortened >= PARTS;
        cut.limit = window_tokens / parts[request->shortened++ % PARTS];
        int64_t saved = apply(&cut, messages, false);
        if (saved == 0 || total - saved > lengths.room)
            continue;
        json_t *root = json_deep_copy(whole.root);
        apply(&cut, json_object_get(root, "messages"), true);
        replace_root(request, root);
        return true;
    }
    return false;
}
