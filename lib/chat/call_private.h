// What the files of call.c share; private to them.
//   call.c          its life and what the client gets
//   call_backend.c  what the backend is asked and says
//   call_opening.c  what conversations share, read first
#pragma once

#include "chat/answer.h"
#include "chat/call.h"
#include "chat/chat_error.h"

enum call_phase {
    CALL_WAITS,   // no backend, or one that was lost and whose owner thinks about it
    CALL_SAYS,    // answers without asking anybody, as soon as the loop runs
    CALL_COUNTS,  // how long is the prompt?
    CALL_OPENS,   // the backend reads what conversations share
    CALL_ASKS,    // the backend has the request and is silent
    CALL_ANSWERS, // it sends an answer
    CALL_REFUSES, // it sends an error
};

struct chat_call {
    struct loop *loop;
    struct chat_backend backend;
    struct messages_request request; // gone once the backend answers
    enum messages_form form;         // in which it is asked
    const struct chat_call_ops *ops;
    void *arg;
    enum call_phase phase;
    bool stream, only_count;
    bool told;   // the client has a head
    bool paused; // it takes no bytes
    bool dead;   // ended or cancelled; freed when the loop has unwound
    struct http_call *http;
    struct answer *answer; // made when first needed
    struct buf body;       // for the backend
    struct buf heard;      // of it: a count, an error
    struct buf out;        // for the client
    unsigned status;       // the backend's
    int64_t retry_after_s;
    int64_t prompt_tokens;               // counted; 0 = not
    int64_t room_tokens;                 // of the prompt, when it is asked for
    uint64_t opening[MESSAGES_OPENINGS]; // hashes of what it begins with; 0 = not looked at
    size_t openings;                     // looked at
    int64_t opening_read;                // tokens of those, read for this call
    unsigned opening_status;
    int64_t started_ms, asked_ms, sent_ms;
    int64_t again_ms; // when a backend that loads its model is asked again; 0 = not
    struct timer timer;
    struct deferred reclaim;
};

// call.c: all but call_tell end the call, or end in its end.
bool call_tell(struct chat_call *call); // passes `out` on; false when the call has ended meanwhile
struct answer *call_answer(struct chat_call *call);
void call_end(struct chat_call *call);
void call_refuse(struct chat_call *call, const struct chat_error *error);
void call_fail(struct chat_call *call, unsigned status, const char *text);
void call_lost(struct chat_call *call, const struct err *why);
void call_reply(struct chat_call *call, unsigned status); // `out` as a whole reply, JSON
void call_arm(struct chat_call *call); // the timer, after a change of phase; ends nothing

// call_backend.c
bool call_begin(struct chat_call *call, struct err *err); // counts, or asks
void call_again(struct chat_call *call);                  // the same, for the loop
void call_uncounted(struct chat_call *call);              // ends a count: the estimate must do
bool call_write(struct chat_call *call, const struct messages_target *more); // fills `body`
bool call_post(struct chat_call *call, const char *path, const struct http_call_ops *ops,
               struct err *err);
void call_ask(struct chat_call *call); // for the answer, with call->room_tokens

// call_opening.c
// True: the backend reads the opening now, and call_ask follows by itself.
bool opening_begin(struct chat_call *call);
// After an answer: was the opening where it should be?
void opening_check(struct chat_call *call);
