#include "ask.h"

#include "base/progress.h"
#include "event/loop.h"
#include "format/json.h"
#include "http/client.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FIELDS = 4096, TICK_MS = 100, OTHERS_MS = 250 };

// One round of questions.
struct round {
    struct loop *loop;
    struct timer deadline;
    size_t open;
    bool one_is_enough;
    struct timer tick;
    struct progress bar;
    const char *label; // NULL = nothing is shown
    int64_t began_ms;
};

struct question {
    struct round *round;
    struct ask *ask;
    struct http_peer *peer;
    struct http_call *call;
    struct buf fields;
};

static void end(struct question *question) {
    question->call = NULL;
    if (--question->round->open == 0)
        loop_stop(question->round->loop);
}

static void on_head(struct http_call *call, const struct http_head *head, void *arg) {
    struct ask *ask = ((struct question *)arg)->ask;
    struct span challenge = http_head_value(head, "www-authenticate");
    ask->status = head->status;
    snprintf(ask->challenge, sizeof ask->challenge, "%.*s", (int)challenge.length, challenge.data);
}

static void on_fail(struct http_call *call, const struct err *why, void *arg) {
    struct question *question = arg;
    question->ask->status = 0;
    question->ask->err = *why;
    end(question);
}

static void on_body(struct http_call *call, const char *bytes, size_t length, void *arg) {
    struct question *question = arg;
    if (buf_add(&question->ask->bytes, bytes, length))
        return;
    struct err err;
    err_set(&err, ERR_LIMIT, "its answer is longer than %d bytes", ASK_BODY_MAX);
    http_call_cancel(call);
    on_fail(call, &err, question);
}

static void on_end(struct http_call *call, void *arg) {
    struct question *question = arg;
    struct ask *ask = question->ask;
    ask->json = json_parse(buf_bytes(&ask->bytes), ask->bytes.length, 0, JSON_PARSE_ANY, &ask->err);
    bool heard = ask_good(ask, NULL) || ask->status == 401 || ask->status == 403;
    if (question->round->one_is_enough && heard)
        timer_start(&question->round->deadline, OTHERS_MS);
    end(question);
}

static const struct http_call_ops ops = {on_head, on_body, on_end, on_fail};

static void start(struct question *question) {
    struct ask *ask = question->ask;
    buf_init(&ask->bytes, ASK_BODY_MAX);
    buf_init(&question->fields, MAX_FIELDS);
    if (ask->key)
        buf_printf(&question->fields, "Authorization: Bearer %s\r\n", ask->key);
    if (ask->body)
        buf_adds(&question->fields, "Content-Type: application/json\r\n");
    question->peer =
        http_peer_create(question->round->loop, ask->unix_path, ask->address, ask->port);
    struct span fields = {buf_bytes(&question->fields), question->fields.length};
    question->call =
        http_call_start(question->peer, ask->method ? ask->method : "GET", span_of(ask->path),
                        fields, span_of(ask->body), &ops, question, &ask->err);
    question->round->open += question->call != NULL;
}

static void on_deadline(void *arg) { loop_stop(((struct round *)arg)->loop); }

static void finish(struct question *question, int64_t timeout_ms) {
    struct ask *ask = question->ask;
    if (question->call) {
        http_call_cancel(question->call);
        ask->status = 0;
        err_set(&ask->err, ERR_TIMEOUT, "no answer within %lld ms", (long long)timeout_ms);
    }
    http_peer_destroy(question->peer);
    buf_fini(&question->fields);
}

static void on_tick(void *arg) {
    struct round *round = arg;
    int64_t elapsed = loop_now_ms() - round->began_ms;
    if (elapsed > 5 * TICK_MS)
        progress_draw(&round->bar, round->label, elapsed, 0);
    timer_start(&round->tick, TICK_MS);
}

static void wait_for(struct round *round, int64_t timeout_ms) {
    timer_start(&round->deadline, timeout_ms);
    if (round->label) {
        progress_init(&round->bar, stderr);
        round->began_ms = loop_now_ms();
        timer_start(&round->tick, TICK_MS);
    }
    loop_run(round->loop);
    timer_stop(&round->deadline);
    timer_stop(&round->tick);
    if (round->label)
        progress_clear(&round->bar);
}

static void ask_round(struct ask *asks, size_t count, struct round round, int64_t timeout_ms) {
    enum { MOST = 8 };
    struct question questions[MOST] = {0};
    count = count < MOST ? count : MOST;
    for (size_t i = 0; i < count; i++)
        asks[i].status = 0;
    if (!(round.loop = loop_create(&asks[0].err)))
        return;
    timer_init(&round.deadline, round.loop, on_deadline, &round);
    timer_init(&round.tick, round.loop, on_tick, &round);
    for (size_t i = 0; i < count; i++) {
        questions[i] = (struct question){.round = &round, .ask = &asks[i]};
        start(&questions[i]);
    }
    if (round.open > 0)
        wait_for(&round, timeout_ms);
    for (size_t i = 0; i < count; i++)
        finish(&questions[i], timeout_ms);
    loop_destroy(round.loop);
}

void ask_all(struct ask *asks, size_t count, int64_t timeout_ms) {
    ask_round(asks, count, (struct round){0}, timeout_ms);
}

void ask_first(struct ask *asks, size_t count, int64_t timeout_ms) {
    ask_round(asks, count, (struct round){.one_is_enough = true}, timeout_ms);
}

void ask_patiently(struct ask *ask, const char *label, int64_t timeout_ms) {
    ask_round(ask, 1, (struct round){.label = label}, timeout_ms);
}

void ask_fini(struct ask *ask) {
    json_decref(ask->json);
    ask->json = NULL;
    buf_fini(&ask->bytes);
}

bool ask_good(const struct ask *ask, struct err *err) {
    if (ask->status == 0)
        return err_set(err, ask->err.code, "%s", ask->err.text);
    if (ask->status == 401 || ask->status == 403)
        return err_set(err, ERR_DENIED, "it wants an API key (status %u)", ask->status);
    if (ask->status >= 400)
        return err_set(err, ERR_PEER, "%s is answered with status %u", ask->path, ask->status);
    if (!json_is_object(ask->json))
        return err_set(err, ERR_PEER, "%s is not answered with JSON", ask->path);
    return true;
}
