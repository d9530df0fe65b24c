/* What the fake engine does with a request: slots, tokens over time, and every way to fail. */
#include "fake_conn.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MS = 1000000, FILL = 65536, OUT_HIGH = 262144 };

static struct conn *waiting_first, *waiting_last;

long slot_limit(void) {
    if (the_knobs->slots >= 0)
        return the_knobs->slots;
    return the_args->parallel > 0 ? the_args->parallel : 0;
}

static void wait_for_slot(struct conn *conn) {
    conn->job.phase = JOB_WAITING;
    conn->job.next_waiting = NULL;
    if (waiting_last)
        waiting_last->job.next_waiting = conn;
    else
        waiting_first = conn;
    waiting_last = conn;
    counters.waiting++;
}

static void stop_waiting(struct conn *conn) {
    struct conn *previous = NULL;
    for (struct conn *at = waiting_first; at; previous = at, at = at->job.next_waiting) {
        if (at != conn)
            continue;
        if (previous)
            previous->job.next_waiting = at->job.next_waiting;
        else
            waiting_first = at->job.next_waiting;
        if (waiting_last == at)
            waiting_last = previous;
        counters.waiting--;
        return;
    }
}

static void take_slot(struct conn *conn) {
    struct job *job = &conn->job;
    job->holds_slot = true;
    counters.running++;
    job->phase = JOB_PREFILL;
    job->start_ns = now_ns();
}

static void free_slot(struct conn *conn) {
    if (!conn->job.holds_slot)
        return;
    conn->job.holds_slot = false;
    counters.running--;
    if (waiting_first && !wedged) {
        struct conn *next = waiting_first;
        stop_waiting(next);
        take_slot(next);
        conn_arm(next, now_ns()); /* from the loop, so that calls do not nest */
    }
}

/* The one way a request ends, whoever ended it. */
static void job_end(struct conn *conn) {
    if (conn->job.phase == JOB_NONE)
        return;
    if (conn->job.phase == JOB_WAITING)
        stop_waiting(conn);
    conn_disarm(conn);
    free_slot(conn);
    counters.active--;
    free(conn->job.tail.at);
    conn->job.tail = (struct text){0};
    conn->job.phase = JOB_NONE;
}

void job_abandoned(struct conn *conn) {
    if (conn->job.phase == JOB_NONE)
        return;
    counters.closed_early++;
    counters.last_close_ns = now_ns();
    job_end(conn);
}

static void finish(struct conn *conn) {
    counters.finished++;
    job_end(conn);
    if (!conn->keep_alive)
        conn_finish(conn);
}

/* Bytes of a stream, framed. With split, chunks end inside events and inside letters. */
static void say(struct conn *conn, const struct text *text) {
    struct job *job = &conn->job;
    size_t step = 0;
    for (size_t at = 0; at < text->len; at += step) {
        step = text->len - at;
        if (job->knobs.split && step > 1 + at % 5)
            step = 1 + at % 5;
        char size[24];
        if (job->chunked)
            conn_write(conn, size, (size_t)snprintf(size, sizeof size, "%zx\r\n", step));
        conn_write(conn, text->at + at, step);
        if (job->chunked)
            conn_write(conn, "\r\n", 2);
        if (job->knobs.split && !conn_flush(conn))
            return;
    }
}

static void say_headers(struct conn *conn) {
    struct job *job = &conn->job;
    if (job->headers_sent)
        return;
    job->headers_sent = true;
    job->chunked = !conn->http_1_0 && job->knobs.framing != FRAMING_CLOSE;
    if (!job->chunked)
        conn->keep_alive = false;
    char head[256];
    int n;
    if (!job->stream) /* only to break off behind it: the length is a promise not kept */
        n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: application/json; "
                     "charset=utf-8\r\nContent-Length: 321\r\n\r\n");
    else
        n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\n%sContent-Type: "
                     "text/event-stream\r\n%s\r\n",
                     conn->keep_alive ? "" : "Connection: close\r\n",
                     job->chunked ? "Transfer-Encoding: chunked\r\n" : "");
    conn_write(conn, head, (size_t)n);
}

/* Timings that a test can reckon with, to the digit. */
static void claim(struct job *job) {
    static long before;
    const struct request_knobs *knobs = &job->knobs;
    if (job->answer.api > API_RESPONSES)
        return;
    double factor = 1 + (double)(before * knobs->drift) / 1000;
    if (knobs->prompt_us)
        job->answer.prompt_ms =
            factor * (double)(job->answer.prompt_tokens * knobs->prompt_us) / 1000;
    if (knobs->predict_us && job->said > 0)
        job->answer.predicted_ms = factor * (double)((job->said - 1) * knobs->predict_us) / 1000;
    job->answer.cached = knobs->cached;
    if (knobs->drafted)
        job->answer.draft_n = job->answer.draft_accepted = knobs->drafted * job->said;
    before++;
}

static void measure(struct job *job) {
    uint64_t now = now_ns(), first = job->first_ns ? job->first_ns : now;
    job->answer.prompt_ms = (double)(first - job->start_ns) / 1e6;
    job->answer.predicted_ms = (double)(now - first) / 1e6;
    job->answer.tokens = job->said;
    if (the_args->drafts && the_args->draft_n > 0) {
        long percent = job->knobs.draft_accept >= 0 ? job->knobs.draft_accept : 60;
        long steps = job->said * 100 / (100 + the_args->draft_n * percent);
        steps = steps < 1 ? 1 : steps;
        job->answer.draft_n = steps * the_args->draft_n;
        job->answer.draft_accepted = job->said - steps;
    }
    claim(job);
}

/* The end of a whole (not streamed) answer: head of the JSON, padding, tail. */
static void answer_now(struct conn *conn) {
    struct job *job = &conn->job;
    struct text body = {0};
    measure(job);
    answer_whole(&body, &job->tail, &job->answer);
    job->pad_left = job->knobs.body_bytes;
    size_t total = body.len + (size_t)job->pad_left + job->tail.len;
    job->chunked = job->knobs.framing == FRAMING_CHUNKED && !conn->http_1_0;
    if (job->knobs.framing == FRAMING_CLOSE)
        conn->keep_alive = false;
    char head[256], length[64] = "";
    if (job->chunked)
        snprintf(length, sizeof length, "Transfer-Encoding: chunked\r\n");
    else if (job->knobs.framing != FRAMING_CLOSE)
        snprintf(length, sizeof length, "Content-Length: %zu\r\n",
                 total + (job->knobs.then == THEN_NO_LAST_CHUNK ? 64 : 0));
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\n%sContent-Type: application/json; "
                     "charset=utf-8\r\n%s\r\n",
                     conn->keep_alive ? "" : "Connection: close\r\n", length);
    conn_write(conn, head, (size_t)n);
    if (job->pad_left == 0) {
        text_add(&body, job->tail.at, job->tail.len);
        say(conn, &body);
        free(body.at);
        if (job->chunked && job->knobs.then != THEN_NO_LAST_CHUNK)
            conn_write(conn, "0\r\n\r\n", 5);
        if (job->knobs.then == THEN_NO_LAST_CHUNK)
            conn->keep_alive = false;
        finish(conn);
        return;
    }
    say(conn, &body);
    free(body.at);
    job->phase = JOB_PADDING;
    job_drained(conn);
}

static void pour_padding(struct conn *conn) {
    struct job *job = &conn->job;
    static char letters[FILL];
    if (!letters[0])
        memset(letters, 'x', sizeof letters);
    while (job->pad_left > 0 && conn_pending(conn) < OUT_HIGH) {
        size_t n = job->pad_left < FILL ? (size_t)job->pad_left : FILL;
        struct text piece = {.at = letters, .len = n};
        say(conn, &piece);
        job->pad_left -= (long)n;
    }
    if (job->pad_left > 0)
        return;
    say(conn, &job->tail);
    if (job->chunked)
        conn_write(conn, "0\r\n\r\n", 5);
    finish(conn);
}

static void pour_tokens(struct conn *conn) {
    struct job *job = &conn->job;
    while (conn_pending(conn) < OUT_HIGH) {
        struct text event = {0};
        answer_token(&event, &job->answer, job->said++, job->knobs.token_bytes);
        counters.tokens++;
        say(conn, &event);
        free(event.at);
    }
}

void job_drained(struct conn *conn) {
    if (conn->job.phase == JOB_PADDING)
        pour_padding(conn);
    else if (conn->job.phase == JOB_FLOODING)
        pour_tokens(conn);
}

static void stick(struct conn *conn) {
    conn_disarm(conn);
    conn->job.phase = JOB_STUCK;
}

static void die(int signal_number) { kill(getpid(), signal_number); }

/* The failures that a request can ask for, after its tokens. Returns true when it was one. */
static bool fail(struct conn *conn) {
    struct job *job = &conn->job;
    struct text text = {0};
    switch (job->knobs.then) {
    case THEN_FINISH:
    case THEN_NO_LAST_CHUNK:
    case THEN_NO_DONE: return false;
    case THEN_WEDGE:
        wedged = true;
        /* fall through */
    case THEN_HANG:
    case THEN_IDLE:
        conn_flush(conn);
        stick(conn);
        return true;
    case THEN_CLOSE:
        conn->keep_alive = false;
        finish(conn);
        return true;
    case THEN_RESET:
        conn_flush(conn);
        counters.finished++;
        job_end(conn);
        conn_reset(conn);
        return true;
    case THEN_KILL:
        conn_flush(conn);
        die(SIGKILL);
        return true;
    case THEN_STOP:
        conn_flush(conn);
        die(SIGSTOP);
        stick(conn);
        return true;
    case THEN_EXIT:
        conn_flush(conn);
        fprintf(stderr, "GGML_ASSERT(false && \"fake\") failed\n");
        _exit(1);
    case THEN_GARBAGE:
        conn_write(conn, "\x16\x03\x01garbage\r\n\r\n\xff\xff\xff", 18);
        conn->keep_alive = false;
        finish(conn);
        return true;
    case THEN_FLOOD:
        if (!job->stream)
            return false;
        say_headers(conn);
        job->phase = JOB_FLOODING;
        pour_tokens(conn);
        return true;
    case THEN_ERROR:
        if (!job->stream) {
            job_end(conn);
            conn_error(conn, 500, "server_error", "Compute error.");
            counters.finished++;
            return true;
        }
        say_headers(conn);
        answer_stream_error(&text, &job->answer);
        say(conn, &text);
        free(text.at);
        if (job->chunked)
            conn_write(conn, "0\r\n\r\n", 5);
        finish(conn);
        return true;
    }
    return false;
}

static void end_stream(struct conn *conn) {
    struct job *job = &conn->job;
    struct text text = {0};
    measure(job);
    say_headers(conn);
    answer_close(&text, &job->answer, job->knobs.then != THEN_NO_DONE);
    say(conn, &text);
    free(text.at);
    if (job->knobs.then == THEN_NO_LAST_CHUNK)
        conn->keep_alive = false;
    else if (job->chunked)
        conn_write(conn, "0\r\n\r\n", 5);
    finish(conn);
}

static void begin_tokens(struct conn *conn) {
    struct job *job = &conn->job;
    job->phase = JOB_TOKENS;
    job->first_ns = now_ns();
    counters.prompt_tokens += (uint64_t)job->answer.prompt_tokens;
    if (!job->stream)
        return;
    say_headers(conn);
    struct text text = {0};
    answer_open(&text, &job->answer);
    say(conn, &text);
    free(text.at);
}

static long prefill_done(const struct job *job) {
    long total = job->answer.prompt_tokens;
    if (job->phase == JOB_WAITING || job->phase == JOB_NONE || job->knobs.prefill_stuck)
        return 0;
    long ms = (long)((now_ns() - job->start_ns) / MS);
    if (job->phase == JOB_STUCK && job->knobs.then == THEN_IDLE)
        return ms;
    if (job->phase != JOB_PREFILL || job->knobs.first_ms <= 0)
        return total;
    return total * ms / (job->knobs.first_ms + 1);
}

/* Prefill: waits for its end, telling how far it is if the caller asked (return_progress). */
static bool prefill(struct conn *conn) {
    struct job *job = &conn->job;
    uint64_t end = job->start_ns + (uint64_t)(job->knobs.first_ms + the_knobs->slot_delay) * MS;
    uint64_t now = now_ns();
    if (job->stream && job->knobs.early_headers)
        say_headers(conn);
    if (job->knobs.close_after_headers) {
        say_headers(conn);
        conn->keep_alive = false;
        finish(conn);
        return false;
    }
    if (now >= end) {
        begin_tokens(conn);
        return true;
    }
    uint64_t next = end;
    if (job->report_progress && job->stream) {
        say_headers(conn);
        struct text text = {0};
        answer_progress(&text, &job->answer, prefill_done(job), (long)((now - job->start_ns) / MS));
        say(conn, &text);
        free(text.at);
        next = now + 50 * MS < end ? now + 50 * MS : end;
    }
    conn_arm(conn, next);
    return false;
}

static bool held(const struct job *job) {
    return job->knobs.hold[0] && access(job->knobs.hold, F_OK) == 0;
}

void job_step(struct conn *conn) {
    struct job *job = &conn->job;
    if (wedged) {
        stick(conn);
        return;
    }
    if (job->phase == JOB_PREFILL && !prefill(conn))
        return;
    if (job->phase != JOB_TOKENS)
        return;
    while (job->said < job->knobs.tokens) {
        if (the_knobs->wedge_after >= 0 && counters.tokens >= (uint64_t)the_knobs->wedge_after) {
            wedged = true;
            stick(conn);
            return;
        }
        if (job->stream) {
            struct text event = {0};
            answer_token(&event, &job->answer, job->knobs.stamp ? -(long)now_ns() : job->said,
                         job->knobs.token_bytes);
            say(conn, &event);
            free(event.at);
            if (conn->broken)
                return;
        }
        counters.tokens++;
        if (++job->said < job->knobs.tokens && job->knobs.interval_ms > 0) {
            conn_arm(conn, now_ns() + (uint64_t)job->knobs.interval_ms * MS);
            return;
        }
    }
    if (held(job)) {
        conn_arm(conn, now_ns() + 5 * MS);
        return;
    }
    if (fail(conn))
        return;
    if (job->stream)
        end_stream(conn);
    else
        answer_now(conn);
}

static long count(struct slice text, char wanted) {
    long found = 0;
    for (size_t i = 0; i < text.len; i++)
        found += text.at[i] == wanted;
    return found;
}

static void set_knobs(struct job *job, struct slice object) {
    struct slice name, setting;
    for (struct members in = members_of(object); members_next(&in, &name, &setting);) {
        char word[64], text[256];
        slice_text(name, word, sizeof word);
        slice_text(setting, text, sizeof text);
        if (!request_knobs_set(&job->knobs, word, text))
            fprintf(stderr, "fake_llama: unknown request knob %s=%s\n", word, text);
    }
}

/* Whoever translates a request on its way keeps what was said in it: "[fake {\"tokens\":2}]". */
static void read_marker(struct job *job, struct slice body) {
    static const char mark[] = "[fake {";
    char object[2048];
    size_t len = 0;
    const char *at = memmem(body.at, body.len, mark, sizeof mark - 1), *end = body.at + body.len;
    if (!at)
        return;
    for (at += sizeof mark - 2; at < end && *at != ']' && len < sizeof object; at++) {
        at += *at == '\\' && at + 1 < end;
        object[len++] = *at;
    }
    set_knobs(job, (struct slice){object, len});
}

static void read_body(struct job *job, struct slice body) {
    struct slice key, value;
    long predict = 0;
    bool ignore_eos = false;
    for (struct members at = members_of(body); members_next(&at, &key, &value);) {
        if (slice_is(key, "stream"))
            job->stream = slice_is(value, "true");
        else if (slice_is(key, "return_progress"))
            job->report_progress = slice_is(value, "true");
        else if (slice_is(key, "prompt") && value.len > 2 && value.at[0] == '[')
            job->answer.prompt_tokens = count(value, ',') + 1;
        else if (slice_is(key, "n_predict"))
            predict = strtol(value.at, NULL, 10);
        else if (slice_is(key, "ignore_eos"))
            ignore_eos = slice_is(value, "true");
        else if (slice_is(key, "content"))
            job->answer.words = value.len > 2 ? count(value, ' ') + 1 : 0;
        else if (slice_is(key, "stream_options"))
            job->answer.include_usage = memmem(value.at, value.len, "true", 4) != NULL;
        else if (slice_is(key, "fake"))
            set_knobs(job, value);
    }
    read_marker(job, body);
    if (ignore_eos && predict > 0) /* the caller wants exactly so many */
        job->knobs.tokens = predict;
}

static bool can_stream(enum fake_api api) { return api <= API_RESPONSES; }

void job_begin(struct conn *conn, const struct request *request, enum fake_api api) {
    static unsigned long ids;
    struct job *job = &conn->job;
    *job = (struct job){.knobs = the_knobs->request};
    job->answer = (struct answer){.api = api, .id = ++ids};
    job->answer.prompt_tokens = (long)(request->body.len / 4) + 1;
    read_body(job, request->body);
    job->stream = job->stream && can_stream(api);
    const char *slash = the_args->model ? strrchr(the_args->model, '/') : NULL;
    job->answer.model = slash ? slash + 1 : the_args->model ? the_args->model : "none";
    job->answer.tag = job->knobs.tag;
    job->answer.witness = job->knobs.witness;
    job->answer.calls = job->knobs.calls;
    if (job->knobs.prompt > 0)
        job->answer.prompt_tokens = job->knobs.prompt;
    job->start_ns = now_ns();
    counters.requests++;
    counters.active++;
    if (job->knobs.status >= 400) {
        job->phase = JOB_PREFILL;
        job_end(conn);
        counters.finished++;
        conn_error(conn, (int)job->knobs.status, "server_error", "the fake was told to fail");
        return;
    }
    long limit = slot_limit();
    if (limit > 0 && counters.running >= limit) {
        wait_for_slot(conn);
        return;
    }
    take_slot(conn);
    job_step(conn);
}

struct slots_walk {
    struct text *out;
    long id;
};

static void add_slot(struct conn *conn, void *context) {
    struct slots_walk *walk = context;
    const struct job *job = &conn->job;
    if (!job->holds_slot)
        return;
    text_addf(walk->out,
              "%s{\"id\":%ld,\"n_ctx\":8192,\"speculative\":false,\"is_processing\":true,"
              "\"id_task\":%lu,\"n_prompt_tokens\":%ld,\"n_prompt_tokens_processed\":%ld,"
              "\"n_prompt_tokens_cache\":0,\"next_token\":[{\"has_next_token\":true,"
              "\"has_new_line\":false,\"n_remain\":-1,\"n_decoded\":%ld}]}",
              walk->id ? "," : "", walk->id, job->answer.id, job->answer.prompt_tokens,
              prefill_done(job), job->said);
    walk->id++;
}

void job_slots_json(struct text *out, long total) {
    struct slots_walk walk = {out, 0};
    text_addf(out, "[");
    conn_each(add_slot, &walk);
    for (; walk.id < total; walk.id++)
        text_addf(out,
                  "%s{\"id\":%ld,\"n_ctx\":8192,\"speculative\":false,\"is_processing\":false}",
                  walk.id ? "," : "", walk.id);
    text_addf(out, "]");
}
