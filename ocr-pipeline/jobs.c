#include "jobs.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "crash_note.h"
#include "format/json.h"
#include "photo_list.h"
#include "pole_report.h"
#include "report.h"
#include "share_photos.h"
#include "spool.h"

#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
    LOADERS = 4,
    ERRANDS_MAX = 1024,
    RESULT_MAX = 16 << 20,
    AGAIN_MS = 1000,
    AGAIN_MOST_MS = 60000
};

struct job_watch {
    TAILQ_ENTRY(job_watch) link;
    struct jobs *jobs;
    char job[33];
    void (*on_change)(void *arg, const struct job *job);
    void *arg;
};
TAILQ_HEAD(watch_list, job_watch);
TAILQ_HEAD(piece_list, piece);

struct jobs {
    struct loop *loop;
    const struct config *config;
    struct pipeline *pipeline;
    struct records *records;
    struct desk *desk;    // where photos are read
    struct desk *clerk;   // one thread: the store's
    struct desk *loaders; // a share that hangs holds one of these, and no reader
    struct store *store;
    struct watch_list watches;
    struct piece_list claimed;
    struct timer again;
    struct timer rest;            // armed: a model failed, nothing is claimed
    struct piece_list unfinished; // read, and not yet taken by the store: its disk is full
    struct err trouble;           // as it was logged
    unsigned under_way;           // how many are claimed
    bool claiming, winding_down;
    void (*on_idle)(void *arg);
    void *idle_arg;
};

// A photo from its claim to its result; moves from desk to desk.
struct piece {
    TAILQ_ENTRY(piece) link;    // while it is unfinished
    TAILQ_ENTRY(piece) claimed; // when `listed`
    struct jobs *jobs;
    struct photo photo;
    char *bytes;
    size_t length;
    struct err err;         // of the store
    struct err why;         // there is no reading
    struct recall recall;   // its job was cancelled, or the server ends
    bool listed;            // among the claimed
    enum share_fault fault; // of its share
    int64_t due_ms;         // none waits before
    char *result;           // JSON
    char *record;           // JSON: what the records say of its pole; NULL: nothing
    struct job job;         // as it is after this photo
    bool job_known;
};

static void fetch_next(struct jobs *jobs);

static void piece_free(struct piece *piece) {
    mem_free(piece->bytes);
    mem_free(piece->result);
    mem_free(piece->record);
    mem_free(piece);
}

// What was claimed and not done waits again at the next start.
static void piece_drop(void *arg) {
    struct piece *piece = arg;
    if (piece->listed)
        TAILQ_REMOVE(&piece->jobs->claimed, piece, claimed);
    piece->jobs->under_way--;
    piece_free(piece);
}

// Tried again until it works: once in the log is enough.
static void trouble(struct jobs *jobs, const char *what, const struct err *err) {
    if (jobs->winding_down)
        return;
    if (strcmp(jobs->trouble.text, err->text) != 0)
        log_error("job.%s error=\"%s\"", what, err->text);
    jobs->trouble = *err;
    timer_start(&jobs->again, AGAIN_MS);
}

static void trouble_over(struct jobs *jobs) {
    if (jobs->trouble.code)
        log_info("job.goes_on");
    jobs->trouble = (struct err){0};
}

static void piece_fail(struct piece *piece, const char *what, const struct err *err) {
    trouble(piece->jobs, what, err);
    piece_drop(piece);
}

// --- The result

static bool find_folder(void *arg, const struct photo *photo, const struct photo_result *result) {
    char *folder = arg;
    const char *slash = strrchr(photo->source, '/');
    if (photo->spooled && slash)
        snprintf(folder, sizeof photo->source, "%.*s", (int)(slash - photo->source), photo->source);
    return false; // one folder a job
}

void jobs_forget_spool(struct jobs *jobs, const char *job) {
    char folder[sizeof((struct photo *)0)->source] = "";
    store_results(jobs->store, job, find_folder, folder, NULL);
    if (folder[0])
        spool_remove(folder);
}

// What every photo of the job needs does not work: its share, or a model. The job waits for it, and
// at last for a person. Nothing but silence may end by itself.
static bool is_to_wait(const struct piece *piece) {
    return share_fault_is_whole(piece->fault) || (piece->bytes && models_are_away(&piece->why));
}

static bool put_off(struct piece *piece) {
    struct jobs *jobs = piece->jobs;
    const char *code = report_code(&piece->why);
    int64_t patience_ms = jobs->config->gpu_retry_ms;
    if (share_fault_is_whole(piece->fault)) {
        const struct share *share = config_share_of(jobs->config, piece->photo.source);
        code = share_fault_code(piece->fault);
        patience_ms = share && piece->fault == SHARE_UNREACHABLE ? share->patience_ms : 0;
    }
    if (!store_put_off(jobs->store, &piece->photo, patience_ms, code, piece->why.text, &piece->err))
        return false;
    log_warn("job.put_off job=%s code=%s", piece->photo.job, code);
    return true;
}

static bool store_outcome(struct piece *piece) {
    struct store *store = piece->jobs->store;
    if (piece->why.code == ERR_BUSY && atomic_load(&piece->recall.asked))
        return store_release(store, piece->photo.id, &piece->err);
    if (is_to_wait(piece))
        return put_off(piece);
    if (!store_finish(store, piece->photo.id, piece->result,
                      piece->why.code ? report_code(&piece->why) : NULL, piece->record,
                      &piece->err))
        return false;
    if (piece->photo.spooled)
        unlink(piece->photo.source);
    return true;
}

static void run_finish(void *arg) {
    struct piece *piece = arg;
    struct jobs *jobs = piece->jobs;
    piece->err = (struct err){0};
    if (!store_outcome(piece))
        return;
    piece->job_known = store_job_find(jobs->store, piece->photo.job, &piece->job, NULL);
    if (piece->job_known && (piece->job.state == JOB_DONE || piece->job.state == JOB_CANCELLED))
        jobs_forget_spool(jobs, piece->photo.job);
}

static void finish_done(void *arg) {
    struct piece *piece = arg;
    struct jobs *jobs = piece->jobs;
    if (piece->err.code && !jobs->winding_down) {
        trouble(jobs, "finish", &piece->err);
        TAILQ_INSERT_TAIL(&jobs->unfinished, piece, link);
        return;
    }
    if (!piece->err.code)
        trouble_over(jobs);
    if (piece->job_known)
        jobs_tell(jobs, &piece->job);
    piece_drop(piece);
    fetch_next(jobs);
}

static const struct desk_ops finish_ops = {run_finish, finish_done, piece_drop};

// --- The reading

static char *text_of(const json_t *json) {
    struct buf text;
    buf_init(&text, RESULT_MAX);
    json_write(&text, json);
    return buf_take(&text, NULL);
}

// Of a pole with a photo that could be read; what its photos say together is told with the results.
static void ask_records(struct piece *piece, const struct reading *reading) {
    struct record_answer answer;
    pole_ask_records(piece->jobs->records, piece->photo.pole, &reading, 1, &answer);
    json_t *json = record_answer_json(&answer);
    if (json)
        piece->record = text_of(json);
    json_decref(json);
}

static void run_read(void *arg) {
    struct piece *piece = arg;
    struct reading reading = {0};
    struct crash_watch watch;
    const char *name = path_name(piece->photo.source);
    char spooled[24];
    snprintf(spooled, sizeof spooled, "imagem %u", piece->photo.number + 1);
    if (piece->photo.spooled)
        name = spooled;
    crash_note_enter(&watch, (struct crash_photo){.id = (uint64_t)piece->photo.id});
    if (!piece->why.code && !crash_note_gives_up(piece->photo.crashes, &piece->why))
        pipeline_read_for(piece->jobs->pipeline, piece->bytes, piece->length, name, AREA_PLATE,
                          &piece->recall, &reading, &piece->why);
    json_t *report =
        piece->why.code ? report_error_json(name, &piece->why) : report_json(name, &reading);
    piece->result = text_of(report);
    json_decref(report);
    if (!piece->why.code)
        ask_records(piece, &reading);
    reading_fini(&reading);
    crash_note_leave(&watch);
}

static void hand_in(struct piece *piece) {
    struct err err = {0};
    if (!desk_submit(piece->jobs->clerk, DESK_MORE, &finish_ops, piece, &err))
        piece_fail(piece, "finish", &err);
}

static void read_done(void *arg) { hand_in(arg); }

static const struct desk_ops read_ops = {run_read, read_done, piece_drop};

// --- The bytes

static void run_load(void *arg) {
    struct piece *piece = arg;
    const struct config *config = piece->jobs->config;
    const char *source = piece->photo.source;
    if (piece->photo.spooled) {
        piece->bytes = photo_load(source, (size_t)config->photo_bytes, &piece->length, &piece->why);
        return;
    }
    const struct share *share = config_share_of(config, source);
    if (share) {
        piece->fault = share_photos_load(share, source, (size_t)config->photo_bytes, &piece->bytes,
                                         &piece->length, &piece->why);
    } else {
        piece->fault = SHARE_SETUP;
        err_set(&piece->why, share_fault_kind(SHARE_SETUP),
                "no [share NAME] of the settings has %.300s", source);
    }
}

static void load_done(void *arg) {
    struct piece *piece = arg;
    struct err err = {0};
    if (share_fault_is_whole(piece->fault))
        hand_in(piece);
    else if (!desk_submit(piece->jobs->desk, piece->photo.crashes ? DESK_ALONE : DESK_BATCH,
                          &read_ops, piece, &err))
        piece_fail(piece, "read", &err);
}

static const struct desk_ops load_ops = {run_load, load_done, piece_drop};

// --- The next photo

static void run_claim(void *arg) {
    struct piece *piece = arg;
    if (!store_claim(piece->jobs->store, &piece->photo, &piece->err) &&
        piece->err.code == ERR_NOTFOUND)
        piece->due_ms = store_next_due(piece->jobs->store);
}

static void wait_until(struct jobs *jobs, int64_t due_ms) {
    int64_t left = due_ms - loop_wall_ms();
    timer_start(&jobs->again, left < 0 ? 0 : left < AGAIN_MOST_MS ? left : AGAIN_MOST_MS);
}

static void claim_done(void *arg) {
    struct piece *piece = arg;
    struct jobs *jobs = piece->jobs;
    struct err err = {0};
    jobs->claiming = false;
    piece->listed = !piece->err.code;
    if (piece->listed)
        TAILQ_INSERT_TAIL(&jobs->claimed, piece, claimed);
    if (piece->err.code == ERR_NOTFOUND) {
        if (piece->due_ms && !jobs->winding_down)
            wait_until(jobs, piece->due_ms);
        piece_drop(piece);
    } else if (piece->err.code) {
        piece_fail(piece, "claim", &piece->err);
    } else if (!desk_submit(jobs->loaders, DESK_MORE, &load_ops, piece, &err)) {
        piece_fail(piece, "load", &err);
    } else {
        trouble_over(jobs);
        fetch_next(jobs);
    }
}

static void claim_drop(void *arg) {
    struct piece *piece = arg;
    piece->jobs->claiming = false;
    piece_drop(piece);
}

static const struct desk_ops claim_ops = {run_claim, claim_done, claim_drop};

// As many are claimed as are read at once, and one that is loaded meanwhile.
static void fetch_next(struct jobs *jobs) {
    struct err err = {0};
    if (jobs->claiming || jobs->winding_down || jobs->under_way > jobs->config->workers)
        return;
    struct piece *piece = mem_alloc(sizeof *piece);
    *piece = (struct piece){.jobs = jobs};
    jobs->under_way++;
    jobs->claiming = true;
    if (!desk_submit(jobs->clerk, DESK_MORE, &claim_ops, piece, &err))
        claim_drop(piece);
}

void jobs_wake(struct jobs *jobs) { fetch_next(jobs); }

// --- Life

static void on_again(void *arg) {
    struct jobs *jobs = arg;
    struct piece_list unfinished = TAILQ_HEAD_INITIALIZER(unfinished);
    TAILQ_CONCAT(&unfinished, &jobs->unfinished, link);
    for (struct piece *piece; (piece = TAILQ_FIRST(&unfinished));) {
        TAILQ_REMOVE(&unfinished, piece, link);
        hand_in(piece);
    }
    fetch_next(jobs);
}

static bool is_needed(void *arg, const char *folder) { return store_needs_folder(arg, folder); }

// The old note is gone before the store hears of it: nothing is blamed twice for one crash.
static bool begin_note(struct store *store, const char *note, struct err *err) {
    struct crash_photos photos;
    if (crash_note_tells(note, &photos))
        log_warn("job.crashed photos=%zu", photos.count);
    crash_note_begin(note);
    for (size_t i = 0; i < photos.count; i++)
        if (!store_crashed(store, (int64_t)photos.list[i].id, err)) {
            crash_note_end();
            return false;
        }
    return true;
}

static struct store *open_store(const struct config *config, unsigned *recovered, struct err *err) {
    char *path = path_join(config->state_dir, "jobs.sqlite");
    char *note = path_join(config->state_dir, "jobs.running");
    struct store *store =
        path_make_private(config->state_dir, err) ? store_open(path, recovered, err) : NULL;
    if (store && !begin_note(store, note, err)) {
        store_close(store);
        store = NULL;
    }
    mem_free(note);
    mem_free(path);
    return store;
}

struct jobs *jobs_create(struct loop *loop, const struct config *config, struct pipeline *pipeline,
                         struct records *records, struct desk *desk, struct err *err) {
    unsigned recovered = 0;
    struct jobs *jobs = mem_alloc(sizeof *jobs);
    jobs->loop = loop;
    jobs->config = config;
    jobs->pipeline = pipeline;
    jobs->records = records;
    jobs->desk = desk;
    TAILQ_INIT(&jobs->watches);
    TAILQ_INIT(&jobs->claimed);
    TAILQ_INIT(&jobs->unfinished);
    timer_init(&jobs->again, loop, on_again, jobs);
    jobs->clerk = desk_create(loop, 1, ERRANDS_MAX);
    jobs->loaders = desk_create(loop, LOADERS, ERRANDS_MAX);
    jobs->store = open_store(config, &recovered, err);
    if (!jobs->store) {
        jobs_destroy(jobs);
        return NULL;
    }
    store_expire(jobs->store, loop_wall_ms() - config->keep_ms);
    spool_sweep(config->state_dir, is_needed, jobs->store);
    if (recovered)
        log_info("job.recovered photos=%u", recovered);
    fetch_next(jobs);
    return jobs;
}

void jobs_destroy(struct jobs *jobs) {
    if (!jobs)
        return;
    timer_stop(&jobs->again);
    jobs->winding_down = true;
    for (struct piece *piece; (piece = TAILQ_FIRST(&jobs->unfinished));) {
        TAILQ_REMOVE(&jobs->unfinished, piece, link);
        piece_drop(piece);
    }
    desk_destroy(jobs->clerk);
    desk_destroy(jobs->loaders);
    if (jobs->store)
        crash_note_end();
    store_close(jobs->store);
    mem_free(jobs);
}

static void on_clerk_idle(void *arg) {
    struct jobs *jobs = arg;
    jobs->on_idle(jobs->idle_arg);
}

static void on_loaders_idle(void *arg) {
    struct jobs *jobs = arg;
    desk_wind_down(jobs->clerk, on_clerk_idle, jobs);
}

void jobs_wind_down(struct jobs *jobs, void (*on_idle)(void *arg), void *arg) {
    jobs->winding_down = true;
    jobs->on_idle = on_idle;
    jobs->idle_arg = arg;
    desk_wind_down(jobs->loaders, on_loaders_idle, jobs);
}

struct order *jobs_errand(struct jobs *jobs, const struct desk_ops *ops, void *arg,
                          struct err *err) {
    return desk_submit(jobs->clerk, DESK_NOW, ops, arg, err);
}

struct order *jobs_load(struct jobs *jobs, const struct desk_ops *ops, void *arg, struct err *err) {
    return desk_submit(jobs->loaders, DESK_NOW, ops, arg, err);
}

struct store *jobs_store(struct jobs *jobs) {
    return jobs->store;
}

const struct config *jobs_config(const struct jobs *jobs) { return jobs->config; }

// --- Those who watch

struct job_watch *jobs_watch(struct jobs *jobs, const char *job,
                             void (*on_change)(void *arg, const struct job *job), void *arg) {
    struct job_watch *watch = mem_alloc(sizeof *watch);
    watch->jobs = jobs;
    snprintf(watch->job, sizeof watch->job, "%s", job);
    watch->on_change = on_change;
    watch->arg = arg;
    TAILQ_INSERT_TAIL(&jobs->watches, watch, link);
    return watch;
}

void jobs_unwatch(struct job_watch *watch) {
    TAILQ_REMOVE(&watch->jobs->watches, watch, link);
    mem_free(watch);
}

// Photos of a cancelled job that wait for a model give up their places. NULL: of all jobs.
static void recall_pieces(struct jobs *jobs, const char *job) {
    struct piece *piece;
    TAILQ_FOREACH (piece, &jobs->claimed, claimed)
        if (!job || strcmp(piece->photo.job, job) == 0)
            pipeline_recall(jobs->pipeline, &piece->recall);
}

void jobs_let_go(struct jobs *jobs) { recall_pieces(jobs, NULL); }

void jobs_tell(struct jobs *jobs, const struct job *job) {
    struct job_watch *watch = TAILQ_FIRST(&jobs->watches), *next;
    if (job->state == JOB_CANCELLED)
        recall_pieces(jobs, job->id);
    for (; watch; watch = next) {
        next = TAILQ_NEXT(watch, link); // it may end itself
        if (strcmp(watch->job, job->id) == 0)
            watch->on_change(watch->arg, job);
    }
}
