#pragma once
/* A connection of the fake engine and the request it is working on. fake_serve.c moves bytes and
 * time; fake_job.c decides what is said. All on the one loop thread. */
#include "fake.h"

enum job_phase {
    JOB_NONE,
    JOB_WAITING, /* for a slot */
    JOB_PREFILL,
    JOB_TOKENS,
    JOB_STUCK,   /* will never move again; ends when the client leaves */
    JOB_PADDING, /* a big body is being poured out */
    JOB_FLOODING,
};

struct job {
    enum job_phase phase;
    struct request_knobs knobs;
    struct answer answer;
    bool stream, headers_sent, report_progress, chunked;
    bool holds_slot;
    uint64_t start_ns, first_ns;
    long said; /* tokens sent so far */
    long pad_left;
    struct text tail; /* what follows the padding */
    struct conn *next_waiting;
};

struct conn {
    int fd;
    uint32_t generation;
    uint32_t events; /* as registered with epoll */
    struct text in, out;
    size_t out_off;
    bool keep_alive, http_1_0, close_when_flushed, muted, said_continue;
    bool broken; /* to be destroyed when the current event has been handled */
    struct conn *next_broken;
    uint64_t due_ns; /* 0: no timer */
    size_t heap_at;
    struct job job;
};

struct request {
    struct slice method, path, head, body;
};

struct counters {
    uint64_t opened, conns, requests, finished, closed_early, last_close_ns, tokens, seen, unknown;
    uint64_t prompt_tokens;
    long active, running, waiting, health_checks;
};

extern struct counters counters;
extern const struct knobs *the_knobs;
extern const struct fake_args *the_args;
extern uint64_t start_ns;
extern bool wedged;

uint64_t now_ns(void);

/* fake_serve.c */
void conn_write(struct conn *conn, const void *bytes, size_t len); /* queues */
bool conn_flush(struct conn *conn);                                /* false: broken */
void conn_arm(struct conn *conn, uint64_t due_ns);
void conn_disarm(struct conn *conn);
void conn_reset(struct conn *conn);  /* RST; the connection is broken afterwards */
void conn_finish(struct conn *conn); /* close once all is written */
void conn_each(void (*visit)(struct conn *conn, void *context), void *context);
size_t conn_pending(const struct conn *conn);
void conn_reply(struct conn *conn, int status, const char *type, const struct text *body);
void conn_error(struct conn *conn, int status, const char *kind, const char *message);

/* fake_job.c. A call may leave the connection broken, but never frees it. */
void job_begin(struct conn *conn, const struct request *request, enum fake_api api);
void job_step(struct conn *conn);      /* its time has come */
void job_drained(struct conn *conn);   /* its output was written: pour more */
void job_abandoned(struct conn *conn); /* the client has left */
void job_slots_json(struct text *out, long total);
long slot_limit(void); /* 0: none */
