#include "api_jobs.h"

#include "base/mem.h"
#include "csv.h"
#include "format/json.h"
#include "job_poles.h"
#include "jobs.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MOST = 100, RESULTS_MAX = 512 << 20, PING_MS = 15000 };

static const char *state_name(enum job_state state) {
    switch (state) {
    case JOB_OPEN: return "aberto";
    case JOB_DONE: return "pronto";
    case JOB_STOPPED: return "parado";
    case JOB_CANCELLED: break;
    }
    return "cancelado";
}

// What keeps it from going on, now or for good.
static json_t *fault_json(const struct job *job) {
    if (!job->fault[0] || (job->state != JOB_OPEN && job->state != JOB_STOPPED))
        return json_null();
    return json_build("{s:s, s:s}", "code", job->fault, "text", job->fault_text);
}

json_t *job_json(const struct job *job) {
    return json_build("{s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "id", job->id,
                      "tipo", job->kind, "estado", state_name(job->state), "erro", fault_json(job),
                      "fotos", (json_int_t)job->photos, "esperando",
                      (json_int_t)(job->state == JOB_CANCELLED ? 0 : job->waiting), "lendo",
                      (json_int_t)job->running, "prontas", (json_int_t)job->done, "falhas",
                      (json_int_t)job->failed, "criado_ms", (json_int_t)job->created_ms, "fim_ms",
                      job->ended_ms ? json_integer(job->ended_ms) : json_null());
}

// --- One question for the clerk

struct question {
    struct guest guest;
    struct api *api;
    struct http_exchange *exchange; // NULL: has gone
    enum route route;
    char job[ROUTE_NAME_MAX];
    struct buf text; // the answer
    struct job found;
    struct err err;
};

static void question_destroy(struct question *question) {
    if (question->exchange)
        http_exchange_set_data(question->exchange, NULL);
    buf_fini(&question->text);
    mem_free(question);
}

static void write_tree(struct buf *out, json_t *json) {
    json_write(out, json);
    json_decref(json);
}

static void write_list(struct question *question) {
    struct job *jobs = mem_alloc(LIST_MOST * sizeof *jobs);
    size_t count;
    store_jobs(jobs_store(question->api->jobs), jobs, LIST_MOST, &count, &question->err);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, job_json(&jobs[i]));
    write_tree(&question->text, json_build("{s:o}", "trabalhos", list));
    mem_free(jobs);
}

static void next_item(struct buf *out) {
    if (out->data[out->start + out->length - 1] == '}')
        buf_adds(out, ",\n");
}

// Results are kept as text, and go out as they are.
static bool write_result(void *arg, const struct photo *photo, const struct photo_result *result) {
    static const char *const states[] = {"esperando", "lendo", "pronta", "falha"};
    struct question *question = arg;
    struct buf *out = &question->text;
    next_item(out);
    buf_adds(out, "{\"poste\":");
    json_write_string(out, photo->pole, strlen(photo->pole));
    buf_printf(out, ",\"imagem\":%u,\"estado\":\"%s\",\"resultado\":", photo->number + 1,
               states[result->state]);
    return buf_adds(out, result->result ? result->result : "null") && buf_adds(out, "}");
}

static bool write_csv(void *arg, const struct photo *photo, const struct photo_result *result) {
    struct question *question = arg;
    json_t *report =
        result->result ? json_parse(result->result, strlen(result->result), 0, 0, NULL) : NULL;
    char number[16];
    snprintf(number, sizeof number, "%u", photo->number + 1);
    csv_cell(&question->text, photo->pole);
    csv_cell(&question->text, number);
    csv_line(report, &question->text);
    json_decref(report);
    return buf_adds(&question->text, "\r\n");
}

static void write_pole(void *arg, json_t *report) {
    struct question *question = arg;
    next_item(&question->text);
    json_write(&question->text, report);
}

static void write_pole_csv(void *arg, json_t *report) {
    struct question *question = arg;
    csv_pole_line(report, &question->text);
    buf_adds(&question->text, "\r\n");
}

static bool write_poles(struct question *question, void (*on_pole)(void *arg, json_t *report)) {
    const struct api *api = question->api;
    struct pole_reader reader = {.store = jobs_store(api->jobs),
                                 .pipeline = api->pipeline,
                                 .tolerance = (double)api->config->records_tolerance,
                                 .on_pole = on_pole,
                                 .arg = question};
    return job_poles(&reader, question->job, &question->err);
}

static void write_results(struct question *question) {
    struct store *store = jobs_store(question->api->jobs);
    struct buf *out = &question->text;
    if (question->route == ROUTE_JOB_CSV) {
        csv_cell(out, "poste");
        csv_cell(out, "imagem");
        csv_head(out);
        buf_adds(out, "\r\n");
        store_results(store, question->job, write_csv, question, &question->err);
        return;
    }
    if (question->route == ROUTE_JOB_POLES_CSV) {
        csv_pole_head(out);
        buf_adds(out, "\r\n");
        write_poles(question, write_pole_csv);
        return;
    }
    buf_adds(out, "{\"trabalho\":");
    write_tree(out, job_json(&question->found));
    buf_adds(out, ",\"postes\":[\n");
    if (!write_poles(question, write_pole))
        return;
    buf_adds(out, "],\"resultados\":[\n");
    if (store_results(store, question->job, write_result, question, &question->err))
        buf_adds(out, "]}");
}

static bool is_table(enum route route) {
    return route == ROUTE_JOB_CSV || route == ROUTE_JOB_POLES_CSV;
}

static void run_question(void *arg) {
    struct question *question = arg;
    struct store *store = jobs_store(question->api->jobs);
    if (question->route == ROUTE_JOBS) {
        write_list(question);
        return;
    }
    if (question->route == ROUTE_JOB_CANCEL &&
        !store_job_cancel(store, question->job, &question->err))
        return;
    if (question->route == ROUTE_JOB_RESUME &&
        !store_job_resume(store, question->job, &question->err))
        return;
    if (!store_job_find(store, question->job, &question->found, &question->err))
        return;
    if (question->route == ROUTE_JOB_CANCEL && question->found.running == 0)
        jobs_forget_spool(question->api->jobs, question->job);
    if (question->route == ROUTE_JOB_RESULTS || is_table(question->route))
        write_results(question);
    else
        write_tree(&question->text, job_json(&question->found));
}

static void watch_start(struct api *api, struct http_exchange *exchange, const struct job *job);

static void question_done(void *arg) {
    struct question *question = arg;
    struct http_exchange *exchange = question->exchange;
    struct api *api = question->api;
    struct job found = question->found;
    if (question->route == ROUTE_JOB_CANCEL && !question->err.code)
        jobs_tell(api->jobs, &found);
    if (question->route == ROUTE_JOB_RESUME)
        jobs_wake(api->jobs);
    if (!exchange) {
        question_destroy(question);
        return;
    }
    http_exchange_set_data(exchange, NULL);
    question->exchange = NULL;
    if (question->err.code == ERR_NOTFOUND)
        api_fail(exchange, 404, "JOB_NOT_FOUND", question->err.text);
    else if (question->err.code)
        api_fail_request(exchange, &question->err);
    else if (question->route == ROUTE_JOB_EVENTS)
        watch_start(api, exchange, &found);
    else
        http_reply(exchange, 200,
                   is_table(question->route) ? "text/csv; charset=utf-8" : "application/json", NULL,
                   buf_bytes(&question->text), question->text.length);
    question_destroy(question);
}

static void question_drop(void *arg) { question_destroy(arg); }

static const struct desk_ops question_desk_ops = {run_question, question_done, question_drop};

static void question_gone(struct guest *guest) { ((struct question *)guest)->exchange = NULL; }

static const struct guest_ops question_ops = {.gone = question_gone};

void api_jobs_ask(struct api *api, struct http_exchange *exchange, enum route route,
                  const char *name) {
    struct err err = {0};
    struct question *question = mem_alloc(sizeof *question);
    *question = (struct question){
        .guest.ops = &question_ops, .api = api, .exchange = exchange, .route = route};
    snprintf(question->job, sizeof question->job, "%s", name);
    buf_init(&question->text, RESULTS_MAX);
    http_exchange_set_data(exchange, question);
    if (jobs_errand(api->jobs, &question_desk_ops, question, &err))
        return;
    question_destroy(question);
    api_fail_request(exchange, &err);
}

// --- Progress, until the job ends

struct job_stream {
    struct guest guest;
    struct http_exchange *exchange;
    struct job_watch *watch;
    struct timer ping;
};

static void stream_destroy(struct job_stream *stream) {
    http_exchange_set_data(stream->exchange, NULL);
    timer_stop(&stream->ping);
    jobs_unwatch(stream->watch);
    mem_free(stream);
}

static bool is_over(const struct job *job) {
    return job->state == JOB_CANCELLED || job->state == JOB_DONE || job->state == JOB_STOPPED;
}

static void send_state(struct http_exchange *exchange, const struct job *job) {
    struct buf text;
    buf_init(&text, 1 << 16);
    buf_printf(&text, "event: %s\ndata: ", is_over(job) ? "fim" : "progresso");
    write_tree(&text, job_json(job));
    buf_adds(&text, "\n\n");
    http_reply_body(exchange, buf_bytes(&text), text.length);
    buf_fini(&text);
}

static void on_change(void *arg, const struct job *job) {
    struct job_stream *stream = arg;
    struct http_exchange *exchange = stream->exchange;
    send_state(exchange, job);
    timer_start(&stream->ping, PING_MS);
    if (!is_over(job))
        return;
    stream_destroy(stream);
    http_reply_end(exchange);
}

static void on_ping(void *arg) {
    struct job_stream *stream = arg;
    http_reply_body(stream->exchange, ": ping\n\n", 8);
    timer_start(&stream->ping, PING_MS);
}

static void stream_gone(struct guest *guest) { stream_destroy((struct job_stream *)guest); }

static const struct guest_ops stream_ops = {.gone = stream_gone};

static void watch_start(struct api *api, struct http_exchange *exchange, const struct job *job) {
    http_reply_begin(exchange, 200,
                     "Content-Type: text/event-stream\r\nCache-Control: no-store\r\n", -1);
    send_state(exchange, job);
    if (is_over(job)) {
        http_reply_end(exchange);
        return;
    }
    struct job_stream *stream = mem_alloc(sizeof *stream);
    stream->guest.ops = &stream_ops;
    stream->exchange = exchange;
    stream->watch = jobs_watch(api->jobs, job->id, on_change, stream);
    timer_init(&stream->ping, api->loop, on_ping, stream);
    timer_start(&stream->ping, PING_MS);
    http_exchange_set_data(exchange, stream);
}
