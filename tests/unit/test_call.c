// One call of the Messages API against a server that is a script: what the backend is asked, what
// the client hears, and that nothing is left behind, whatever the ending.
#include "call_fixture.h"

static void test_stream(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    start(&f, &backend, request_of(10, true, ""));
    wait_asked(&f, CHAT); // so small a prompt is not counted
    begin_events(&f);
    event(&f, TEXT_EVENT);
    PUMP_UNTIL(f.loop, times(&f, "hello"));
    assert_int_equal(f.ended, 0);
    end_events(&f);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 200);
    assert_string_equal(f.type, "text/event-stream");
    assert_int_equal(times(&f, "event: message_start"), 1);
    assert_int_equal(times(&f, "event: message_stop"), 1);
    assert_true(f.backend_bytes > 0);
    assert_int_equal(f.cut + f.lost, 0);
    fixture_fini(&f);
}

static void test_whole(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    start(&f, &backend, request_of(10, false, ""));
    wait_asked(&f, CHAT);
    reply(&f, 200, NULL, WHOLE_ANSWER);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 200);
    assert_string_equal(f.type, "application/json");
    assert_heard(&f, "\"text\":\"hello\"");
    assert_heard(&f, "\"stop_reason\":\"end_turn\"");
    fixture_fini(&f);
}

// A stream was asked for, a whole answer comes: still a legal stream.
static void test_whole_instead_of_stream(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    start(&f, &backend, request_of(10, true, ""));
    wait_asked(&f, CHAT);
    reply(&f, 200, NULL, WHOLE_ANSWER);
    PUMP_UNTIL(f.loop, f.ended);
    assert_string_equal(f.type, "text/event-stream");
    assert_int_equal(times(&f, "event: message_start"), 1);
    assert_int_equal(times(&f, "event: message_stop"), 1);
    assert_heard(&f, "hello");
    fixture_fini(&f);
}

static void test_native(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = {.peer = f.peer, .api = CHAT_API_MESSAGES, .prefix = "/p"};
    start(&f, &backend, request_of(10, false, ""));
    wait_asked(&f, "/p/v1/messages");
    reply(&f, 200, NULL,
          "{\"id\":\"x\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[{"
          "\"type\":\"text\",\"text\":\"hello\"}],\"stop_reason\":\"end_turn\",\"usage\":{"
          "\"input_tokens\":9,\"output_tokens\":1}}");
    PUMP_UNTIL(f.loop, f.ended);
    assert_heard(&f, "hello");
    fixture_fini(&f);
}

static void test_counted(void **state) {
    static const struct {
        const char *count;
        const char *refusal; // NULL: it is asked
        int64_t max_tokens;  // then
    } rows[] = {
        {"{\"input_tokens\":3000}", NULL, 1000},
        {"{\"input_tokens\":3500}", NULL, 596},
        {"{\"input_tokens\":4096}", "prompt is too long: 4096 tokens > 3584 maximum", 0},
        {"{\"input_tokens\":4000}", "prompt is too long: 4000 tokens > 3584 maximum", 0},
        {"{\"input_tokens\":40000}", "prompt is too long: 40000 tokens > 4096 maximum", 0},
        {"{\"error\":\"unknown\"}", NULL, 1000}, // then the estimate must do
    };
    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        struct fixture f;
        fixture_init(&f);
        struct chat_backend backend = llama(&f);
        start(&f, &backend, request_of(1500, i % 2, ""));
        wait_asked(&f, COUNT);
        reply(&f, 200, NULL, rows[i / 2].count);
        if (!rows[i / 2].refusal) {
            wait_asked(&f, CHAT);
            assert_int_equal(asked_number(&f, "max_tokens"), rows[i / 2].max_tokens);
            reply(&f, 200, NULL, WHOLE_ANSWER);
            PUMP_UNTIL(f.loop, f.ended);
            assert_int_equal(f.status, 200);
        } else {
            PUMP_UNTIL(f.loop, f.ended);
            assert_int_equal(f.status, 400);
            assert_string_equal(f.type, "application/json");
            assert_heard(&f, rows[i / 2].refusal);
            assert_heard(&f, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\"");
            assert_int_equal(f.asks, 1);
        }
        fixture_fini(&f);
    }
}

static void test_cannot_count(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    backend.learned = &f.learned;
    start(&f, &backend, request_of(1500, true, ""));
    wait_asked(&f, COUNT);
    reply(&f, 404, NULL, "{\"error\":{\"code\":404,\"message\":\"File Not Found\"}}");
    wait_asked(&f, CHAT);
    reply(&f, 200, NULL, WHOLE_ANSWER);
    PUMP_UNTIL(f.loop, f.ended);
    assert_true(f.learned.cannot_count);
    f.status = f.ended = 0;
    start(&f, &backend, request_of(1500, true, ""));
    wait_asked(&f, CHAT); // at once
    chat_call_cancel(f.call);
    fixture_fini(&f);
}

#define JINJA "{\"error\":{\"code\":500,\"message\":\"Jinja Exception: no such role\"}}"

static void test_forms(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    backend.learned = &f.learned;
    static const char system[] = ",\"system\":\"Be brief.\"";
    start(&f, &backend, request_of(10, true, system));
    for (int i = 0; i < 2; i++) {
        wait_asked(&f, CHAT);
        assert_non_null(strstr(buf_text(&f.body), "\"system\""));
        reply(&f, 500, NULL, JINJA);
    }
    wait_asked(&f, CHAT);
    assert_null(strstr(buf_text(&f.body), "\"system\""));
    reply(&f, 200, NULL, WHOLE_ANSWER);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 200);
    assert_int_equal(f.learned.form, MESSAGES_FORM_PLAIN);
    f.status = f.ended = 0;
    start(&f, &backend, request_of(1500, true, system)); // kept; also while it is counted
    wait_asked(&f, COUNT);
    assert_null(strstr(buf_text(&f.body), "\"system\""));
    chat_call_cancel(f.call);
    pump_some(f.loop);

    f.learned.form = MESSAGES_FORM_USUAL; // what no form helps is no reason to keep to one
    start(&f, &backend, request_of(1500, true, system));
    for (int i = 0; i < 3; i++) {
        wait_asked(&f, COUNT);
        reply(&f, 500, NULL, JINJA);
    }
    wait_asked(&f, CHAT);
    reply(&f, 500, NULL, JINJA);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 500);
    assert_heard(&f, "Jinja Exception: no such role");
    assert_int_equal(f.learned.form, MESSAGES_FORM_USUAL);
    fixture_fini(&f);
}

// A server that cannot count would cut such a prompt, or sit over it for an hour.
static void test_surely_too_long(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = {.peer = f.peer, .context_tokens = 4096};
    start(&f, &backend, request_of(20000, true, ""));
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 400);
    assert_heard(&f, "prompt is too long: ");
    assert_int_equal(f.asks, 0);
    fixture_fini(&f);
}

// One turn with a result of so many words.
static struct messages_request request_of_result(unsigned words, bool may_shorten) {
    struct messages_request request;
    struct err err = {0};
    struct buf text;
    buf_init(&text, 64 << 20);
    buf_adds(&text,
             "{\"model\":\"local\",\"max_tokens\":500,\"stream\":true,\"messages\":["
             "{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":[{\"type\":"
             "\"tool_use\",\"id\":\"t1\",\"name\":\"Read\",\"input\":{}}]},{\"role\":\"user\","
             "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"");
    for (unsigned i = 0; i < words; i++)
        buf_adds(&text, "word ");
    buf_adds(&text, "\"}]}]}");
    if (!messages_parse(&request, buf_bytes(&text), text.length, &err))
        fail_msg("%s", err.text);
    request.may_shorten = may_shorten;
    buf_fini(&text);
    return request;
}

#define SHORTER "characters are left out here: they do not fit"

// What no summary could help is shortened until the engine is content with its count.
static void test_shortened(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    start(&f, &backend, request_of_result(6000, true));
    wait_asked(&f, COUNT);
    assert_null(strstr(buf_text(&f.body), SHORTER));
    size_t length = f.body.length;
    reply(&f, 200, NULL, "{\"input_tokens\":6000}");
    wait_asked(&f, COUNT);
    assert_non_null(strstr(buf_text(&f.body), SHORTER));
    assert_true(f.body.length < length);
    length = f.body.length;
    reply(&f, 200, NULL, "{\"input_tokens\":4000}"); // not enough yet
    wait_asked(&f, COUNT);
    assert_true(f.body.length < length);
    reply(&f, 200, NULL, "{\"input_tokens\":3000}");
    wait_asked(&f, CHAT);
    assert_non_null(strstr(buf_text(&f.body), SHORTER));
    reply(&f, 200, NULL, WHOLE_ANSWER);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 200);

    f.status = f.ended = 0; // another client has to be told
    start(&f, &backend, request_of_result(6000, false));
    wait_asked(&f, COUNT);
    reply(&f, 200, NULL, "{\"input_tokens\":6000}");
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 400);
    assert_heard(&f, "prompt is too long: 6000 tokens > 4096 maximum");
    fixture_fini(&f);
}

// A server that cannot count refuses; one that refuses everything is asked a bounded number of
// times.
static void test_shortened_when_refused(void **state) {
    static const char refusal[] =
        "{\"error\":{\"code\":400,\"message\":\"request (6000 tokens) exceeds "
        "the available context size (4096 tokens)\",\"type\":"
        "\"exceed_context_size_error\",\"n_prompt_tokens\":6000,"
        "\"n_ctx\":4096}}";
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = {.peer = f.peer, .prefix = ""}; // its window is not known either
    start(&f, &backend, request_of_result(6000, true));
    wait_asked(&f, CHAT);
    assert_null(strstr(buf_text(&f.body), SHORTER));
    reply(&f, 400, NULL, refusal);
    wait_asked(&f, CHAT);
    assert_non_null(strstr(buf_text(&f.body), SHORTER));
    reply(&f, 200, NULL, WHOLE_ANSWER);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 200);
    f.status = f.ended = f.asks = 0;
    start(&f, &backend, request_of_result(6000, true));
    while (!f.ended) {
        PUMP_UNTIL(f.loop, f.asked || f.ended);
        if (f.asked)
            reply(&f, 400, NULL, refusal);
    }
    assert_int_equal(f.status, 400);
    assert_true(f.asks > 2 && f.asks < 20);
    assert_heard(&f, "prompt is too long: 6000 tokens > 4096 maximum");
    fixture_fini(&f);
}

static void test_count_tokens(void **state) {
    for (int exact = 0; exact < 2; exact++) {
        struct fixture f;
        struct err err = {0};
        fixture_init(&f);
        struct chat_backend backend = llama(&f);
        backend.llama = exact;
        struct messages_request request = request_of(10, false, "");
        f.call = chat_call_count(f.loop, &backend, &request, &ops, &f, &err);
        assert_non_null(f.call);
        if (exact) {
            wait_asked(&f, COUNT);
            reply(&f, 200, NULL, "{\"object\":\"x\",\"input_tokens\":17}");
        }
        PUMP_UNTIL(f.loop, f.ended);
        assert_int_equal(f.status, 200);
        assert_int_equal(f.asks, exact);
        if (exact)
            assert_string_equal(buf_text(&f.log), "{\"input_tokens\":17}");
        else
            assert_heard(&f, ",\"estimate\":true}");
        fixture_fini(&f);
    }
}

static void test_early(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    backend.early_ms = backend.ping_ms = 1;
    start(&f, &backend, request_of(10, true, ""));
    wait_asked(&f, CHAT);
    PUMP_UNTIL(f.loop, times(&f, "event: ping") >= 3);
    assert_int_equal(times(&f, "event: message_start"), 1);
    begin_events(&f);
    event(&f, TEXT_EVENT);
    end_events(&f);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(times(&f, "event: message_start"), 1);
    assert_int_equal(times(&f, "event: message_stop"), 1);
    fixture_fini(&f);
}

// What the backend says after the stream was opened can only be an event.
static void test_early_then_error(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    backend.early_ms = 1;
    start(&f, &backend, request_of(10, true, ""));
    wait_asked(&f, CHAT);
    PUMP_UNTIL(f.loop, times(&f, "event: ping"));
    reply(&f, 400, NULL,
          "{\"error\":{\"code\":400,\"message\":\"request (5000 tokens) exceeds the available "
          "context size (4096 tokens)\",\"type\":\"exceed_context_size_error\","
          "\"n_prompt_tokens\":5000,\"n_ctx\":4096}}");
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 200);
    assert_heard(&f, "event: error\ndata: {\"type\":\"error\"");
    assert_heard(&f, "prompt is too long: 5000 tokens > 4096 maximum");
    fixture_fini(&f);
}

static void test_refused(void **state) {
    for (int stream = 0; stream < 2; stream++) {
        struct fixture f;
        fixture_init(&f);
        struct chat_backend backend = llama(&f);
        start(&f, &backend, request_of(10, stream, ""));
        wait_asked(&f, CHAT);
        reply(&f, 503, "Retry-After: 7\r\n",
              "{\"error\":{\"code\":503,\"message\":\"All slots are busy\"}}");
        PUMP_UNTIL(f.loop, f.ended);
        assert_int_equal(f.status, 503);
        assert_int_equal(f.retry_after_s, 7);
        assert_string_equal(buf_text(&f.log),
                            "{\"type\":\"error\",\"error\":{\"type\":"
                            "\"overloaded_error\",\"message\":\"All slots are busy\"}}");
        fixture_fini(&f);
    }
}

static void test_model_is_loading(void **state) {
    for (int stream = 0; stream < 2; stream++) {
        struct fixture f;
        fixture_init(&f);
        struct chat_backend backend = llama(&f);
        backend.early_ms = backend.ping_ms = 1;
        start(&f, &backend, request_of(10, stream, ""));
        for (int i = 0; i < 3; i++) {
            wait_asked(&f, CHAT);
            reply(&f, 503, NULL, "{\"error\":{\"code\":503,\"message\":\"Loading model\"}}");
        }
        if (stream)
            PUMP_UNTIL(f.loop, times(&f, "event: ping"));
        wait_asked(&f, CHAT);
        reply(&f, 200, NULL, WHOLE_ANSWER);
        PUMP_UNTIL(f.loop, f.ended);
        assert_int_equal(f.status, 200);
        assert_heard(&f, "hello");
        fixture_fini(&f);
    }
}

// The stream's head is out at the backend, nothing yet at the client: a status can still tell it.
static void test_error_as_first_event(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    start(&f, &backend, request_of(10, true, ""));
    wait_asked(&f, CHAT);
    begin_events(&f);
    event(&f, "{\"error\":{\"code\":500,\"message\":\"out of memory\"}}");
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(f.status, 500);
    assert_heard(&f, "out of memory");
    fixture_fini(&f);
}

static void test_cut(void **state) {
    for (int owned = 0; owned < 2; owned++) {
        struct fixture f;
        struct err why = {ERR_PEER, "out of GPU memory"};
        fixture_init(&f);
        struct chat_backend backend = llama(&f);
        f.owns_losses = owned;
        start(&f, &backend, request_of(10, true, ""));
        wait_asked(&f, CHAT);
        begin_events(&f);
        event(&f, TEXT_EVENT);
        PUMP_UNTIL(f.loop, times(&f, "hello"));
        http_reply_abort(f.asked);
        f.asked = NULL;
        PUMP_UNTIL(f.loop, f.lost);
        if (owned) {
            assert_int_equal(f.ended, 0);
            chat_call_fail(f.call, 502, &why);
            assert_heard(&f, "out of GPU memory");
        }
        assert_int_equal(f.ended, 1);
        assert_heard(&f, "event: content_block_stop");
        assert_heard(&f, "event: error");
        assert_int_equal(times(&f, "message_stop"), 0);
        fixture_fini(&f);
    }
}

// The body's end is missing, but all was said.
static void test_cut_behind_the_end(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    start(&f, &backend, request_of(10, true, ""));
    wait_asked(&f, CHAT);
    begin_events(&f);
    event(&f, TEXT_EVENT);
    event(&f, "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}");
    event(&f, "[DONE]");
    PUMP_UNTIL(f.loop, times(&f, "message_stop") && chat_call_complete(f.call));
    http_reply_abort(f.asked);
    f.asked = NULL;
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(times(&f, "event: error"), 0);
    assert_int_equal(f.lost, 0);
    fixture_fini(&f);
}

static void test_unreachable(void **state) {
    struct fixture f;
    struct err err = {0};
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    struct http_peer *nobody = http_peer_create(f.loop, "/nonexistent/socket", NULL, 0);
    struct messages_request request = request_of(10, true, "");
    backend.peer = nobody;
    assert_null(chat_call_start(f.loop, &backend, &request, &ops, &f, &err));
    messages_fini(&request); // still ours
    backend.peer = NULL;
    start(&f, &backend, request_of(10, true, ""));
    backend.peer = nobody;
    assert_false(chat_call_proceed(f.call, &backend, &err));
    chat_call_fail(f.call, 502, &err);
    assert_int_equal(f.status, 502);
    assert_int_equal(f.ended, 1);
    http_peer_destroy(nobody);
    fixture_fini(&f);
}

// No backend yet; then one that goes without a word; then one that answers.
static void test_waits(void **state) {
    struct fixture f;
    struct err err = {0};
    fixture_init(&f);
    struct chat_backend backend = llama(&f), later = backend;
    backend.peer = NULL;
    backend.early_ms = 1;
    f.owns_losses = true;
    start(&f, &backend, request_of(10, true, ""));
    PUMP_UNTIL(f.loop, times(&f, "event: ping"));
    assert_true(chat_call_proceed(f.call, &later, &err));
    wait_asked(&f, CHAT);
    http_reply_abort(f.asked);
    f.asked = NULL;
    PUMP_UNTIL(f.loop, f.lost);
    assert_int_equal(chat_call_status(f.call), 0);
    chat_call_withdraw(f.call);
    assert_true(chat_call_proceed(f.call, &later, &err));
    wait_asked(&f, CHAT);
    begin_events(&f);
    event(&f, TEXT_EVENT);
    end_events(&f);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(times(&f, "event: message_start"), 1);
    assert_int_equal(times(&f, "event: error"), 0);
    fixture_fini(&f);
}

static void test_only_server_tools(void **state) {
    for (int stream = 0; stream < 2; stream++) {
        struct fixture f;
        fixture_init(&f);
        struct chat_backend backend = llama(&f);
        start(
            &f, &backend,
            request_of(10, stream,
                       ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]"));
        PUMP_UNTIL(f.loop, f.ended);
        assert_int_equal(f.status, 200);
        assert_int_equal(f.asks, 0);
        assert_heard(&f, "web_search");
        fixture_fini(&f);
    }
}

static void test_cancel(void **state) {
    static const enum act acts[] = {NOTHING, CANCEL_IN_HEAD, CANCEL_IN_BODY};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        struct fixture f;
        fixture_init(&f);
        struct chat_backend backend = llama(&f);
        f.act = acts[i];
        start(&f, &backend, request_of(1500, true, ""));
        wait_asked(&f, COUNT);
        reply(&f, 200, NULL, "{\"input_tokens\":2000}");
        wait_asked(&f, CHAT);
        if (acts[i] == NOTHING)
            chat_call_cancel(f.call);
        begin_events(&f);
        event(&f, TEXT_EVENT);
        PUMP_UNTIL(f.loop, f.left);
        assert_int_equal(f.ended, acts[i] != NOTHING); // by itself
        fixture_fini(&f);
    }
    for (int asked = 0; asked < 2; asked++) { // while it is counted, and before anything
        struct fixture f;
        fixture_init(&f);
        struct chat_backend backend = llama(&f);
        start(&f, &backend, request_of(1500, true, ""));
        if (asked)
            wait_asked(&f, COUNT);
        chat_call_cancel(f.call);
        pump_some(f.loop);
        assert_int_equal(f.status + f.ended + f.cut, 0);
        assert_int_equal(f.left, f.asks);
        fixture_fini(&f);
    }
}

static void test_fail_from_within(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    f.act = FAIL_IN_BODY;
    start(&f, &backend, request_of(10, true, ""));
    wait_asked(&f, CHAT);
    begin_events(&f);
    event(&f, TEXT_EVENT);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(times(&f, "event: error"), 1);
    assert_heard(&f, "the engine died");
    fixture_fini(&f);
}

static void test_pause(void **state) {
    struct fixture f;
    fixture_init(&f);
    struct chat_backend backend = llama(&f);
    f.act = PAUSE_IN_BODY;
    start(&f, &backend, request_of(10, true, ""));
    wait_asked(&f, CHAT);
    begin_events(&f);
    event(&f, TEXT_EVENT);
    PUMP_UNTIL(f.loop, times(&f, "hello"));
    size_t before = f.log.length;
    end_events(&f);
    pump_some(f.loop);
    assert_int_equal(f.log.length, before);
    assert_int_equal(f.ended, 0);
    chat_call_resume(f.call);
    PUMP_UNTIL(f.loop, f.ended);
    assert_int_equal(times(&f, "event: message_stop"), 1);
    fixture_fini(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_whole_instead_of_stream),
        cmocka_unit_test(test_native),
        cmocka_unit_test(test_counted),
        cmocka_unit_test(test_cannot_count),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_surely_too_long),
        cmocka_unit_test(test_shortened),
        cmocka_unit_test(test_shortened_when_refused),
        cmocka_unit_test(test_count_tokens),
        cmocka_unit_test(test_early),
        cmocka_unit_test(test_early_then_error),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_model_is_loading),
        cmocka_unit_test(test_error_as_first_event),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_cut_behind_the_end),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_only_server_tools),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_fail_from_within),
        cmocka_unit_test(test_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
