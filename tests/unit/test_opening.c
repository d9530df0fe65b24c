// What conversations share is read by itself, once, where the backend cannot go back to it.
#include "call_fixture.h"

#define CONTEXT                                                                                            \
    "<system-reminder>\\nAs you answer the user's questions, you can use the following context:\\n"        \
    "# claudeMd\\nInstructions.\\n\\nContents of /%s/CLAUDE.md:\\n\\nBe brief.\\n# currentDate\\nToday's " \
    "date is 2026-11-27.\\n\\n      IMPORTANT: this context may or may not be relevant.\\n"                \
    "</system-reminder>\\n"
#define READ(tokens, cached)                                                                       \
    "{\"timings\":{\"prompt_n\":" #tokens ",\"cache_n\":" #cached "},\"choices\":[]}"
#define ANSWER(prompt, cached)                                                                     \
    "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},"       \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":" #prompt                           \
    ",\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":" #cached "}}}"
#define JINJA                                                                                      \
    "{\"error\":{\"code\":500,\"message\":\"Jinja Exception: no\",\"type\":\"server_error\"}}"

// A conversation of Claude Code's in a project: its first question, or a later one.
static struct messages_request conversation(const char *project, bool later) {
    struct messages_request request;
    struct err err = {0};
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_adds(&text, "{\"model\":\"local\",\"max_tokens\":100,\"system\":\"");
    for (int i = 0; i < 1000; i++)
        buf_adds(&text, "a rule, ");
    buf_adds(&text,
             "\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"");
    buf_printf(&text, CONTEXT, project);
    buf_adds(&text, "\"},{\"type\":\"text\",\"text\":\"a question\"}]}");
    if (later)
        buf_adds(&text, ",{\"role\":\"assistant\",\"content\":\"yes\"},"
                        "{\"role\":\"user\",\"content\":\"more\"}");
    buf_adds(&text, ",{\"role\":\"system\",\"content\":\"the skills\"}]}");
    if (!messages_parse(&request, buf_bytes(&text), text.length, &err))
        fail_msg("%s", err.text);
    buf_fini(&text);
    return request;
}

static struct chat_backend forgetful(struct fixture *f) {
    struct chat_backend backend = llama(f);
    backend.context_tokens = 65536;
    backend.learned = &f->learned;
    backend.forgets = true;
    return backend;
}

static bool body_has(struct fixture *f, const char *text) {
    return strstr(buf_text(&f->body), text) != NULL;
}

static void begin(struct fixture *f, const char *project, bool later) {
    struct chat_backend backend = forgetful(f);
    f->status = f->ended = 0;
    buf_clear(&f->log);
    start(f, &backend, conversation(project, later));
}

// The backend is asked to read a part; it ends where the project's own words begin (`project`
// NULL), or those of this conversation.
static void assert_reads(struct fixture *f, const char *project) {
    wait_asked(f, CHAT);
    assert_int_equal(asked_number(f, "n_predict"), 0);
    assert_true(body_has(f, "\"add_generation_prompt\":false"));
    assert_true(body_has(f, "a rule, "));
    assert_true(body_has(f, "Instructions."));
    assert_int_equal(body_has(f, "Be brief."), project != NULL);
    assert_false(body_has(f, "a question"));
    if (project)
        assert_true(body_has(f, project));
    assert_int_equal(f->status, 0);
}

// {"input_tokens": read, "cache_read_input_tokens": cached} is what the client hears.
static void assert_answered(struct fixture *f, const char *answer, int64_t read, int64_t cached) {
    char usage[80];
    wait_asked(f, CHAT);
    assert_true(body_has(f, "a question"));
    assert_false(body_has(f, "n_predict"));
    reply(f, 200, NULL, answer);
    PUMP_UNTIL(f->loop, f->ended);
    assert_int_equal(f->status, 200);
    snprintf(usage, sizeof usage, "\"input_tokens\":%lld,", (long long)read);
    assert_heard(f, usage);
    snprintf(usage, sizeof usage, "\"cache_read_input_tokens\":%lld,", (long long)cached);
    assert_heard(f, usage);
}

static void test_once(void **state) {
    struct fixture f;
    fixture_init(&f);
    begin(&f, "sea", false);
    assert_reads(&f, NULL);
    reply(&f, 200, NULL, READ(900, 0));
    assert_reads(&f, "/sea/");
    reply(&f, 200, NULL, READ(100, 896));
    assert_answered(&f, ANSWER(1100, 990), 1100, 0);
    begin(&f, "sea", false); // all is there
    assert_answered(&f, ANSWER(1100, 1096), 4, 1096);
    begin(&f, "moor", false); // another project: its own part is new
    assert_reads(&f, "/moor/");
    reply(&f, 200, NULL, READ(104, 896));
    assert_answered(&f, ANSWER(1100, 996), 208, 892);
    fixture_fini(&f);
}

// What went missing is read again, the next time.
static void test_missed(void **state) {
    struct fixture f;
    fixture_init(&f);
    begin(&f, "sea", false);
    assert_reads(&f, NULL);
    reply(&f, 200, NULL, READ(900, 0));
    assert_reads(&f, "/sea/");
    reply(&f, 200, NULL, READ(100, 900));
    assert_answered(&f, ANSWER(1100, 1000), 1100, 0);
    begin(&f, "sea", false);
    assert_answered(&f, ANSWER(1100, 895), 205, 895);
    begin(&f, "sea", false);
    assert_reads(&f, "/sea/");
    reply(&f, 200, NULL, READ(105, 895));
    assert_answered(&f, ANSWER(1100, 1000), 205, 895);
    begin(&f, "sea", false);
    assert_answered(&f, ANSWER(1100, 0), 1100, 0);
    begin(&f, "sea", false);
    assert_reads(&f, NULL);
    chat_call_cancel(f.call);
    PUMP_UNTIL(f.loop, f.left > 0);
    fixture_fini(&f);
}

static void test_not_read(void **state) {
    struct fixture f;
    fixture_init(&f);
    begin(&f, "sea", true); // one that goes on
    assert_answered(&f, ANSWER(1100, 0), 1100, 0);
    struct chat_backend dense = forgetful(&f);
    dense.forgets = false;
    f.status = f.ended = 0;
    start(&f, &dense, conversation("sea", false));
    assert_answered(&f, ANSWER(1100, 0), 1100, 0);
    struct chat_backend backend = forgetful(&f);
    f.status = f.ended = 0;
    start(&f, &backend, request_of(3000, false, "")); // nobody's words
    wait_asked(&f, CHAT);
    reply(&f, 200, NULL, WHOLE_ANSWER);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.asks, 3);
    fixture_fini(&f);
}

// It is a help, and no condition.
static void test_refused(void **state) {
    static const struct {
        unsigned status;
        const char *body;
        bool again; // the next part is tried, and the next conversation's
    } cases[] = {
        {400, "{\"error\":{\"code\":400,\"message\":\"n_predict?\"}}", false},
        {503, "{\"error\":{\"code\":503,\"message\":\"busy\"}}", true},
        {500, JINJA, true},
        {200, "{}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        fixture_init(&f);
        for (int n = 0; n < 2; n++) {
            begin(&f, "sea", false);
            for (int part = 0; part < 2; part++) {
                if (!cases[i].again && n + part > 0)
                    continue;
                assert_reads(&f, part == 0 ? NULL : "/sea/");
                reply(&f, cases[i].status, NULL, cases[i].body);
            }
            assert_answered(&f, ANSWER(1100, 0), 1100, 0);
        }
        fixture_fini(&f);
    }
}

static void test_lost(void **state) {
    struct fixture f;
    fixture_init(&f);
    begin(&f, "sea", false);
    assert_reads(&f, NULL);
    struct http_exchange *exchange = f.asked;
    f.asked = NULL;
    http_reply_abort(exchange);
    assert_reads(&f, "/sea/");
    reply(&f, 200, NULL, READ(1000, 0));
    assert_answered(&f, ANSWER(1100, 1000), 1100, 0);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),     cmocka_unit_test(test_missed),
        cmocka_unit_test(test_not_read), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
