// What becomes of a conversation that is too long: which results of tools are cut, and how.
#include "chat/messages.h"

#include "base/mem.h"
#include "base/str.h"
#include "format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WINDOW = 32768, ANSWER = 4096 };

// A result of `lines` lines, each of 40 characters.
static void add_result(struct buf *out, unsigned turn, unsigned call, unsigned lines) {
    buf_printf(out, "{\"type\":\"tool_result\",\"tool_use_id\":\"t%u_%u\",\"content\":\"", turn,
               call);
    for (unsigned i = 0; i < lines; i++)
        buf_printf(out, "line %05u of what some tool has to say\\n", i);
    buf_adds(out, "\"}");
}

// A question, and `turns` turns of `calls` calls each with results of `lines` lines.
static void converse(struct messages_request *request, unsigned turns, unsigned calls,
                     unsigned lines) {
    struct buf body;
    struct err err = {0};
    buf_init(&body, 64 << 20);
    buf_printf(
        &body,
        "{\"model\":\"m\",\"max_tokens\":%d,\"system\":\"You help.\",\"messages\":[{\"role\":"
        "\"user\",\"content\":\"What is here?\"}",
        ANSWER);
    for (unsigned turn = 0; turn < turns; turn++) {
        buf_adds(&body, ",{\"role\":\"assistant\",\"content\":[");
        for (unsigned call = 0; call < calls; call++)
            buf_printf(&body,
                       "%s{\"type\":\"tool_use\",\"id\":\"t%u_%u\",\"name\":\"Read\",\"input\":{}}",
                       call ? "," : "", turn, call);
        buf_adds(&body, "]},{\"role\":\"user\",\"content\":[");
        for (unsigned call = 0; call < calls; call++) {
            buf_adds(&body, call ? "," : "");
            add_result(&body, turn, call, lines);
        }
        buf_adds(&body, "]}");
    }
    buf_adds(&body, "]}");
    if (!messages_parse(request, buf_bytes(&body), body.length, &err))
        fail_msg("%s", err.text);
    request->may_shorten = true;
    buf_fini(&body);
}

static const char *result(const struct messages_request *request, size_t turn, size_t call) {
    const json_t *message =
        json_array_get(json_object_get(request->root, "messages"), 2 * turn + 2);
    const json_t *block = json_array_get(json_object_get(message, "content"), call);
    return json_get_text(json_array_get(json_object_get(block, "content"), 0), "text", "");
}

static char *written(const struct messages_request *request) {
    struct buf out;
    buf_init(&out, 64 << 20);
    assert_true(json_write(&out, request->root));
    char *text = mem_strdup(buf_text(&out));
    buf_fini(&out);
    return text;
}

static void test_which(void **state) {
    static const struct {
        const char *what;
        unsigned turns, calls, lines;
        bool shortened;
    } cases[] = {
        {"five long results at once", 1, 5, 750, true},
        {"one very long result", 1, 1, 6000, true},
        {"a newest turn that is too long alone", 4, 5, 750, true},
        {"many turns, more than can be summed up at once", 30, 1, 750, true},
        {"turns that can be summed up", 3, 1, 750, false},
        {"two turns that can be summed up", 2, 2, 500, false},
        {"nothing to shorten", 0, 0, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct messages_request request;
        converse(&request, cases[i].turns, cases[i].calls, cases[i].lines);
        const json_t *before = request.root;
        int64_t tokens = messages_estimate_tokens(&request);
        bool shortened = messages_shorten(&request, 0, WINDOW);
        if (shortened != cases[i].shortened)
            fail_msg("%s: %d (%lld tokens)", cases[i].what, shortened, (long long)tokens);
        assert_int_equal(shortened, request.root != before);
        if (shortened && messages_estimate_tokens(&request) + ANSWER > WINDOW)
            fail_msg("%s: still too long", cases[i].what);
        messages_fini(&request);
    }
}

static void test_only_who_may(void **state) {
    struct messages_request request;
    converse(&request, 1, 5, 750);
    assert_false(messages_shorten(&request, 0, 0)); // no window is known
    request.may_shorten = false;
    assert_false(messages_shorten(&request, 0, WINDOW));
    messages_fini(&request);
}

static void test_how(void **state) {
    struct messages_request request, whole;
    converse(&request, 1, 5, 750);
    converse(&whole, 1, 5, 750);
    assert_true(messages_shorten(&request, 0, WINDOW));
    for (size_t call = 0; call < 5; call++) {
        const char *text = result(&request, 0, call), *all = result(&whole, 0, call);
        const char *note = strstr(text, "\n[... "), *tail = note ? strstr(note, " ...]\n") : NULL;
        unsigned gone, of;
        assert_non_null(tail);
        tail += strlen(" ...]\n");
        assert_int_equal(sscanf(note, "\n[... %u of %u characters are left out here", &gone, &of),
                         2);
        assert_non_null(strstr(note, "window of 32768 tokens"));
        size_t head = (size_t)(note - text), rest = strlen(tail);
        assert_int_equal(of, strlen(all));
        assert_int_equal(gone, strlen(all) - head - rest);
        assert_memory_equal(text, all, head); // whole lines of the start, and of the end
        assert_true(text[head - 1] == '\n');
        assert_string_equal(tail, all + strlen(all) - rest);
        assert_true(str_starts(tail, "line "));
        assert_true(rest > head / 5 && rest < head);
    }
    messages_fini(&request);
    messages_fini(&whole);
}

// Short results stay, and what is older than the last turn gives way to it.
static void test_what_stays(void **state) {
    struct messages_request request;
    converse(&request, 30, 1, 750);
    assert_true(messages_shorten(&request, 0, WINDOW));
    size_t older = strlen(result(&request, 28, 0)), last = strlen(result(&request, 29, 0));
    assert_true(2 * older < last);
    assert_int_equal(older, strlen(result(&request, 0, 0)));
    messages_fini(&request);
    converse(&request, 1, 6, 750);
    json_t *message = json_array_get(json_object_get(request.root, "messages"), 2);
    json_t *block = json_array_get(json_object_get(message, "content"), 3);
    json_set(block, "content", json_build("[{s:s, s:s}]", "type", "text", "text", "short"));
    assert_true(messages_shorten(&request, 0, WINDOW));
    assert_string_equal(result(&request, 0, 3), "short");
    messages_fini(&request);
}

// A conversation that goes on keeps its bytes, so that the engine finds what it has read.
static void test_same_bytes(void **state) {
    struct messages_request request, again, longer;
    converse(&request, 1, 5, 1500);
    converse(&again, 1, 5, 1500);
    assert_true(messages_shorten(&request, 0, WINDOW) && messages_shorten(&again, 0, WINDOW));
    char *one = written(&request), *two = written(&again);
    assert_string_equal(one, two);
    mem_free(one);
    mem_free(two);
    converse(&longer, 2, 5, 1500);
    json_t *message = json_array_get(json_object_get(longer.root, "messages"), 4), *block;
    size_t i;
    json_array_foreach(json_object_get(message, "content"), i, block)
        json_set(block, "content", json_build("[{s:s, s:s}]", "type", "text", "text", "short"));
    assert_true(messages_shorten(&longer, 0, WINDOW));
    for (i = 0; i < 5; i++)
        assert_string_equal(result(&longer, 0, i), result(&request, 0, i));
    messages_fini(&request);
    messages_fini(&again);
    messages_fini(&longer);
}

// The engine's count is what decides: more is cut until it is content, always from the whole.
static void test_until_it_fits(void **state) {
    struct messages_request request;
    converse(&request, 1, 5, 750);
    unsigned steps = 0;
    size_t before = strlen(result(&request, 0, 0)), whole = before;
    for (; messages_shorten(&request, WINDOW + 1000, WINDOW); steps++) {
        const char *text = result(&request, 0, 0), *note = strstr(text, "\n[... ");
        unsigned gone, of;
        assert_true(strlen(text) < before);
        before = strlen(text);
        assert_null(strstr(note + 1, "\n[... "));
        assert_int_equal(sscanf(note, "\n[... %u of %u ", &gone, &of), 2);
        assert_int_equal(of, whole);
    }
    assert_true(steps > 3 && steps < 16);
    messages_fini(&request);
}

static void test_what_cannot_be_helped(void **state) {
    struct messages_request request;
    converse(&request, 1, 2, 20);
    char *system = mem_alloc(400001);
    memset(system, 'x', 400000);
    json_set(request.root, "system", json_text(system));
    mem_free(system);
    assert_false(messages_shorten(&request, 0, WINDOW));
    messages_fini(&request);
}

static char *repeated(const char *words, unsigned times) {
    struct buf text;
    buf_init(&text, 1 << 20);
    for (unsigned i = 0; i < times; i++)
        buf_adds(&text, words);
    char *made = mem_strdup(buf_text(&text));
    buf_fini(&text);
    return made;
}

// A reminder and a question; an answer; another question: of so many lines each.
static void talk(struct messages_request *request, unsigned reminder, unsigned first,
                 unsigned second) {
    char *said[] = {repeated("Always be brief.\n", reminder),
                    repeated("The first question.\n", first),
                    repeated("The second question.\n", second)};
    char *noted = mem_printf("<system-reminder>\n%s</system-reminder>", said[0]);
    json_t *body =
        json_build("{s:s, s:i, s:[{s:s, s:[{s:s, s:s}, {s:s, s:s}]}, {s:s, s:s}, {s:s, s:s}]}",
                   "model", "m", "max_tokens", ANSWER, "messages", "role", "user", "content",
                   "type", "text", "text", noted, "type", "text", "text", said[1], "role",
                   "assistant", "content", "Yes.", "role", "user", "content", said[2]);
    struct buf out;
    struct err err = {0};
    buf_init(&out, 8 << 20);
    json_write(&out, body);
    json_decref(body);
    if (!messages_parse(request, buf_bytes(&out), out.length, &err))
        fail_msg("%s", err.text);
    request->may_shorten = true;
    buf_fini(&out);
    mem_free(noted);
    for (size_t i = 0; i < 3; i++)
        mem_free(said[i]);
}

static const char *block_text(const struct messages_request *request, size_t turn, size_t index) {
    const json_t *message = json_array_get(json_object_get(request->root, "messages"), turn);
    return json_get_text(json_array_get(json_object_get(message, "content"), index), "text", "");
}

// One answer is not enough for Claude Code to sum up. What was asked last is never touched, nor
// what it says itself; what was said before is, when nothing else helps.
static void test_words(void **state) {
    struct messages_request request;
    talk(&request, 100, 3000, 3000);
    const char *note = "characters are left out here";
    assert_true(messages_shorten(&request, 0, WINDOW));
    assert_null(strstr(block_text(&request, 0, 0), note));
    assert_non_null(strstr(block_text(&request, 0, 1), note));
    assert_true(str_starts(block_text(&request, 0, 1), "The first question.\n"));
    assert_null(strstr(block_text(&request, 2, 0), note));
    messages_fini(&request);
    talk(&request, 10, 10, 9000);
    assert_false(messages_shorten(&request, 0, WINDOW));
    messages_fini(&request);
    talk(&request, 9000, 10, 10);
    assert_false(messages_shorten(&request, 0, WINDOW));
    messages_fini(&request);
}

// Where results alone can be made to give enough, nobody's words are cut.
static void test_results_before_words(void **state) {
    struct messages_request request;
    converse(&request, 1, 5, 750);
    json_t *messages = json_object_get(request.root, "messages");
    char *words = repeated("The first question.\n", 1000);
    json_array_append_new(messages, json_build("{s:s, s:[{s:s, s:s}]}", "role", "user", "content",
                                               "type", "text", "text", "And now?"));
    json_set(json_array_get(json_object_get(json_array_get(messages, 0), "content"), 0), "text",
             json_text(words));
    assert_true(messages_shorten(&request, 0, WINDOW));
    assert_string_equal(block_text(&request, 0, 0), words);
    mem_free(words);
    messages_fini(&request);
}

// Never within a character, whatever a line's length.
static void test_characters(void **state) {
    static const char *const letters[] = {"\xc3\xbc", "\xe6\xbc\xa2", "\xf0\x9f\x90\x89"};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        struct messages_request request;
        struct buf text;
        buf_init(&text, 1 << 20);
        for (unsigned k = 0; k < 60000; k++)
            buf_adds(&text, letters[i]);
        converse(&request, 1, 1, 1);
        json_t *message = json_array_get(json_object_get(request.root, "messages"), 2);
        json_t *block = json_array_get(json_object_get(message, "content"), 0);
        json_t *first = json_array_get(json_object_get(block, "content"), 0);
        json_set(first, "text", json_text(buf_text(&text)));
        assert_true(messages_shorten(&request, 0, WINDOW));
        const char *cut = result(&request, 0, 0), *note = strstr(cut, "\n[... ");
        unsigned gone;
        size_t size = strlen(letters[i]);
        assert_int_equal(sscanf(note, "\n[... %u of 60000 ", &gone), 1);
        assert_int_equal((size_t)(note - cut) % size, 0);
        const char *tail = strstr(note, " ...]\n") + strlen(" ...]\n");
        assert_int_equal((size_t)(note - cut) / size + strlen(tail) / size + gone, 60000);
        assert_true(str_starts(tail, letters[i]));
        buf_fini(&text);
        messages_fini(&request);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which),      cmocka_unit_test(test_only_who_may),
        cmocka_unit_test(test_how),        cmocka_unit_test(test_what_stays),
        cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_until_it_fits),
        cmocka_unit_test(test_characters), cmocka_unit_test(test_what_cannot_be_helped),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_results_before_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
