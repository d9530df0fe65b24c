#pragma once
/* fake_llama: a stand-in for llama-server that fails on command.
 *
 * One thread, one epoll loop. It shares no code with lib/ on purpose: it is the witness that the
 * server is judged by, so it must not inherit the server's mistakes.
 *
 * What a request does is set by "knobs". They come, later ones winning, from the file MODEL.fake
 * beside the model (key=value lines), from FAKE_<NAME> in the environment, from --fake-<name> on
 * the command line, and for one request from the body's top-level object "fake". */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_dialect { DIALECT_MAINLINE = 1, DIALECT_OLD = 2, DIALECT_IK = 4 };

/* What happens once the tokens of a request are out. */
enum fake_then {
    THEN_FINISH,
    THEN_HANG,          /* keep the connection, never send again; /slots shows no progress */
    THEN_IDLE,          /* the same on the wire, but /slots shows the prompt advancing */
    THEN_CLOSE,         /* FIN in the middle of the answer */
    THEN_RESET,         /* RST in the middle of the answer */
    THEN_KILL,          /* SIGKILL to itself */
    THEN_STOP,          /* SIGSTOP to itself */
    THEN_EXIT,          /* exit(1) */
    THEN_GARBAGE,       /* bytes that are no HTTP */
    THEN_NO_LAST_CHUNK, /* all content, but the terminating chunk never comes: FIN instead */
    THEN_NO_DONE,       /* well framed, but no closing event of the protocol */
    THEN_FLOOD,         /* tokens as fast as the peer reads, without end */
    THEN_ERROR,         /* an error event inside the stream, then a clean end */
    THEN_WEDGE,         /* every request stops moving; /health stays 200 */
};

enum fake_framing { FRAMING_AUTO, FRAMING_CHUNKED, FRAMING_CLOSE };

struct request_knobs {
    long tokens;
    long interval_ms; /* between tokens */
    long first_ms;    /* before the first token: prefill */
    long status;      /* answer this HTTP error instead */
    long body_bytes;  /* pad a non-streamed answer's text to this size */
    long token_bytes; /* pad each streamed token to this size */
    bool split;       /* cut chunks inside events and UTF-8 sequences, write them one by one */
    bool close_after_headers;
    bool early_headers; /* stream: headers at once, not with the first token */
    bool prefill_stuck; /* no prompt progress in /slots while first_ms passes */
    long draft_accept;  /* started with a draft: percent of its guesses that are right; -1: 60 */
    bool witness;       /* chat: the text begins with who answered, "[fake {...}]" */
    long calls;         /* chat: so many parallel tool calls behind the text */
    long prompt;        /* tokens of the prompt; 0: by the body's size */
    bool stamp;         /* each token is the monotonic clock in ns: bench/load reads it */
    /* What "timings" claims, whatever it took; 0: what it took. */
    long prompt_us;  /* for each token of the prompt */
    long predict_us; /* for each token but the first */
    long drift;      /* thousandths more with every completion of this process */
    long cached;     /* tokens of the prompt that it says it had cached */
    long drafted;    /* per token; a draft that is never wrong */
    enum fake_then then;
    enum fake_framing framing;
    char tag[128];
    char hold[256]; /* after the tokens it waits, with its slot, while this file is there */
};

/* Speed by flags (fake_speed.c). The first rules come first.
 *   with.FLAG=80,120          with that flag decoding takes 80 %, the prompt 120 % of the time
 *   with.FLAG.VALUE=80,120    with that flag and value
 *   each.FLAG=300,20          for each unit of its value 300 us more a token, 20 a prompt token
 *   oom_below.FLAG=7          with a smaller value it dies for want of memory */
enum { SPEED_RULES_MAX = 32 };
struct speed_rule {
    enum speed_kind { SPEED_WITH, SPEED_EACH, SPEED_OOM_BELOW } kind;
    char flag[48], value[32];
    long predict, prompt;
};

struct knobs {
    struct speed_rule speed_rule[SPEED_RULES_MAX];
    int speed_rules;
    enum fake_dialect dialect;
    struct request_knobs request;
    long load_ms;        /* 503 this long */
    char load_hold[256]; /* ... and while this file is there */
    long health_503;     /* then 503 to this many health checks more */
    bool never_healthy;
    bool health_hang;   /* /health is accepted and never answered */
    bool late_bind;     /* listen only when loaded */
    long wedge_after;   /* tokens, process-wide; -1 never */
    long exit_at_start; /* exit code; -1 never */
    long exit_ms;       /* before exit_at_start */
    long exit_after_ms; /* exit 1 after; -1 never */
    long stop_after_ms; /* SIGSTOP after; -1 never */
    long term_ms;       /* how long SIGTERM takes */
    bool ignore_sigterm;
    bool fork_and_exit;   /* a grandchild keeps the pipe, the child is gone */
    bool fork_child;      /* serve, with a stubborn grandchild */
    bool stale_socket;    /* bind only if nobody left a socket file, and leave one */
    long slot_delay;      /* ms added before each request runs */
    long slots;           /* -1: what -np says; 0: no limit */
    long n_ctx;           /* as /props tells it */
    bool no_count;        /* a build without /v1/chat/completions/input_tokens */
    long log_flood;       /* lines on stderr at start */
    long fault_starts;    /* faults only in the first N starts (counted beside the model); -1 all */
    char cause[32];       /* text of exit_at_start: oom tensor load bind fit flag */
    char report[512];     /* file with what is printed of the memory at the start, with -lv 4 */
    char report_end[512]; /* ... and at a clean end */
    char log_dir[512];
    char exclusive[512]; /* lock file: two engines alive at once are noted in PATH.overlap */
};

/* fake_flags.c */
struct fake_args {
    const char *model, *host, *port, *api_key, *alias, *draft_model, *spec_type;
    long parallel, verbosity; /* -1 not given */
    bool drafts;              /* speculation is on, as the real one would understand its flags */
    long draft_n;             /* guesses a step */
    bool metrics, help, version, list_devices, embeddings;
};
void flags_help(enum fake_dialect dialect);
extern bool flags_turbo; /* cache types as TurboQuant forks have them */
/* Parses argv as that dialect would; on a bad flag prints its words to stderr and returns false. */
bool flags_parse(int argc, char **argv, enum fake_dialect dialect, struct fake_args *args);

/* fake_speed.c */
bool speed_rule_set(struct knobs *knobs, const char *key, const char *value);
void speed_apply(struct knobs *knobs, int argc, char **argv);

/* fake_knobs.c */
void knobs_init(struct knobs *knobs);
bool knobs_set(struct knobs *knobs, const char *key, const char *value);
void knobs_from_file(struct knobs *knobs, const char *path);
void knobs_from_env(struct knobs *knobs);
bool request_knobs_set(struct request_knobs *knobs, const char *key, const char *value);

struct slice {
    const char *at;
    size_t len;
};
/* Walks the members of one JSON object, without checking more than it needs. */
struct members {
    const char *at, *end;
};
struct members members_of(struct slice object);
bool members_next(struct members *walk, struct slice *key, struct slice *value);
bool slice_is(struct slice s, const char *text);
/* Copies a JSON string's content (or a bare word) as it stands, without unescaping. */
void slice_text(struct slice value, char *out, size_t size);

/* fake_answer.c: the wire shapes */
enum fake_api {
    API_CHAT,
    API_COMPLETIONS,
    API_NATIVE, /* /completion, /infill */
    API_MESSAGES,
    API_RESPONSES,
    API_EMBEDDINGS,
    API_RERANK,
    API_TOKENIZE,
    API_DETOKENIZE,
    API_TEMPLATE,
    API_COUNT,
    API_NONE,
};
struct answer {
    enum fake_api api;
    const char *model; /* base name of -m */
    const char *tag;
    long prompt_tokens, tokens, cached;
    long words; /* /tokenize: one token each */
    double prompt_ms, predicted_ms;
    long draft_n, draft_accepted; /* 0: no speculation */
    unsigned long id;
    bool include_usage;
    bool witness;
    long calls;
};
/* All append to a growing text; they return nothing because running out of memory ends the fake. */
struct text {
    char *at;
    size_t len, cap;
};
void text_add(struct text *text, const void *bytes, size_t len);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_add_json(struct text *text, const char *bytes, size_t len); /* escaped, unquoted */
enum fake_api answer_api(struct slice path);
void answer_token_text(long index, char out[32]);
void answer_open(struct text *out, const struct answer *answer);
void answer_progress(struct text *out, const struct answer *answer, long processed, long ms);
void answer_token(struct text *out, const struct answer *answer, long index, long pad);
void answer_close(struct text *out, const struct answer *answer, bool done);
void answer_stream_error(struct text *out, const struct answer *answer);
/* A whole answer as JSON in two halves; a body of any size goes between them as plain letters. */
void answer_whole(struct text *head, struct text *tail, const struct answer *answer);

/* fake_probe.c: can this process open an internet socket? JSON object */
void probe_sockets(struct text *out);

/* fake_serve.c: binds, serves, returns the exit code */
int serve(const struct knobs *knobs, const struct fake_args *args);
extern volatile int serve_stop;
