#include "trial_prompt.h"

#include "base/mem.h"

#include <string.h>

enum {
    NONCE = 8,           // tokens at the start of a prompt, drawn at random
    SENTENCE = 12,       // words in the shortest sentence, at least
    MAX_TEXT = 64 << 20, // of prose
};

// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016.
static uint32_t draw(struct trial_prompt *prompt, uint32_t below) {
    uint64_t x = prompt->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    prompt->random = x;
    return (uint32_t)((x * UINT64_C(2685821657736338717)) >> 32) % below;
}

void trial_prompt_init(struct trial_prompt *prompt, uint64_t seed) {
    *prompt = (struct trial_prompt){.first = -1, .last_start = -1, .random = seed | 1};
}

void trial_prompt_fini(struct trial_prompt *prompt) {
    mem_free(prompt->pool);
    prompt->pool = NULL;
    prompt->count = 0;
}

#define PICK(prompt, list) (list)[draw(prompt, sizeof(list) / sizeof *(list))]

// One sentence of at least SENTENCE words.
static void add_sentence(struct trial_prompt *prompt, struct buf *out) {
    static const char *const openings[] = {
        "In the morning",         "After the storm",  "Before anyone woke",   "By the old bridge",
        "At the end of the year", "On the third day", "According to the log", "Without a word",
        "Near the harbour",       "Every winter"};
    static const char *const subjects[] = {
        "the engineer",      "a young clerk",   "the river",     "their neighbour",
        "the first machine", "a tired driver",  "the committee", "an unsigned letter",
        "the gardener",      "the night shift", "our captain",   "a grey heron"};
    static const char *const verbs[] = {"measured", "carried", "forgot",  "repaired", "counted",
                                        "followed", "crossed", "sold",    "painted",  "described",
                                        "refused",  "opened",  "returned"};
    static const char *const qualities[] = {"narrow",  "copper", "silent",   "broken",  "distant",
                                            "yellow",  "heavy",  "borrowed", "careful", "frozen",
                                            "seventh", "hollow", "public"};
    static const char *const objects[] = {"ladder", "ledger", "transformer", "garden",  "lantern",
                                          "bridge", "letter", "compass",     "orchard", "turbine",
                                          "window", "market", "station",     "kettle"};
    static const char *const endings[] = {
        "because nobody had asked", "while the lights were out",    "and wrote the number down",
        "as the rules demanded",    "although it was already late", "and said nothing about it",
        "until the water rose",     "for the second time that week"};
    buf_printf(out, "%s, %s %s the %s %s near house %u, %s. ", PICK(prompt, openings),
               PICK(prompt, subjects), PICK(prompt, verbs), PICK(prompt, qualities),
               PICK(prompt, objects), draw(prompt, 9000) + 100, PICK(prompt, endings));
}

char *trial_prompt_ask(struct trial_prompt *prompt, size_t tokens) {
    struct buf text;
    buf_init(&text, MAX_TEXT);
    buf_adds(&text, "{\"add_special\":false,\"content\":\"");
    // No tokenizer makes fewer tokens than words of plain English.
    for (size_t words = 0; words < tokens + NONCE; words += SENTENCE)
        add_sentence(prompt, &text);
    buf_adds(&text, "\"}");
    return buf_take(&text, NULL);
}

bool trial_prompt_learn(struct trial_prompt *prompt, const json_t *answer, size_t tokens,
                        struct err *err) {
    const json_t *list = json_object_get(answer, "tokens");
    size_t count = json_array_size(list);
    if (count < tokens + NONCE)
        return err_set(err, ERR_PEER,
                       "the engine's /tokenize made %zu tokens of a text that is worth %zu", count,
                       tokens + NONCE);
    mem_free(prompt->pool);
    prompt->pool = mem_alloc(count * sizeof *prompt->pool);
    prompt->count = count;
    for (size_t i = 0; i < count; i++)
        prompt->pool[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return true;
}

void trial_prompt_learn_first(struct trial_prompt *prompt, const json_t *answer) {
    const json_t *token = json_array_get(json_object_get(answer, "tokens"), 0);
    prompt->first = json_is_integer(token) ? (int32_t)json_integer_value(token) : -1;
}

static int32_t start_of(struct trial_prompt *prompt) {
    int32_t start = prompt->last_start;
    for (unsigned i = 0; i < 64 && start == prompt->last_start; i++)
        start = prompt->pool[draw(prompt, (uint32_t)prompt->count)];
    prompt->last_start = start;
    return start;
}

bool trial_prompt_write(struct trial_prompt *prompt, size_t tokens, struct buf *out) {
    size_t written = 0, from = draw(prompt, (uint32_t)prompt->count);
    bool ok = buf_adds(out, "[");
    if (prompt->first >= 0 && tokens > 1 && ++written)
        ok = ok && buf_printf(out, "%d,", prompt->first);
    for (size_t i = 0; written < tokens; i++, written++) {
        int32_t token = i == 0      ? start_of(prompt)
                        : i < NONCE ? prompt->pool[draw(prompt, (uint32_t)prompt->count)]
                                    : prompt->pool[(from + i) % prompt->count];
        ok = ok && buf_printf(out, "%s%d", i ? "," : "", token);
    }
    return ok && buf_adds(out, "]");
}
