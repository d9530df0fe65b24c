// What the files of answer.c share; private to them. Two readers (completions, native) tell what
// the backend said by the verbs below; the outgoing message is the one place that knows which
// blocks are open, so that whatever the readers say in whatever order, the result is legal.
//
//   reader:   answer_text, answer_thinking, answer_call_*, answer->usage, answer->stop
//   thoughts: answer_think.c finds them in content where the backend does not tell them apart
//   order:    answer_calls.c holds back what would interleave with a tool call
//   message:  answer_out.c writes events, or collects the content of a whole answer
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "chat/answer.h"
#include "format/json.h"
#include "format/sse.h"

enum answer_block { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_TOOL };

enum answer_stop { STOP_NONE, STOP_END, STOP_LENGTH, STOP_TOOLS, STOP_WORD, STOP_REFUSAL };

enum answer_mode { MODE_UNKNOWN, MODE_EVENTS, MODE_WHOLE }; // of what the backend sends

// Where content stands to its <think>...</think>.
enum answer_think {
    THINK_MAYBE,  // it may still begin with one
    THINK_INSIDE, // in front of the first word of the thought
    THINK_WORDS,  // in it
    THINK_BEHIND, // blanks behind the thought
    THINK_OVER,   // all that comes is text
};

#define ANSWER_SAMPLE 80u // bytes of what cannot be read that an error quotes

// Has a JSON object or array ended? Only brackets and strings are looked at.
struct answer_scan {
    unsigned depth;
    bool in_string, after_backslash, complete;
};

struct answer_call {
    int64_t key; // the backend's index of it
    char *id;    // as given; NULL = not yet
    struct buf name;
    struct buf arguments; // not told yet
    struct answer_scan scan;
    bool begun;  // its block is open
    bool closed; // the backend said that nothing more comes
    bool has_arguments;
};

struct answer {
    struct answer_options options; // texts are owned
    json_t *stop_sequences;

    enum answer_mode mode;
    struct sse sse;
    struct buf body;                // of a whole answer
    unsigned unread;                // events that are no JSON object
    char sample[ANSWER_SAMPLE + 1]; // how the first of them begins, or else the stream
    size_t sample_length;
    size_t fed_bytes;  // of the stream
    size_t read_bytes; // of it, in events
    struct err failure;
    unsigned status; // of the failure
    bool failed;     // nothing more is read
    bool ended;      // by answer_fail
    bool heard;      // the backend said something that belongs to an answer
    bool at_end;     // its body has ended

    struct buf *out; // of the call that is being made
    bool opened, complete;
    enum answer_block block;
    unsigned blocks;      // begun so far; the open one is blocks - 1
    struct buf blank;     // white space that begins a text block if text follows
    struct buf scratch;   // for escaping
    struct buf piece;     // the text of an event, unescaped
    struct buf content;   // of a whole answer for the client
    struct buf input;     // of its open tool call
    struct buf signature; // of the open thinking block
    int64_t native_block; // the backend's index of the open text or thinking

    struct answer_call *calls;
    size_t call_count, call_room;
    size_t calls_told;     // before it, all are closed
    struct buf later_text; // came amid a tool call

    enum answer_think think;
    struct buf held; // content that may be part of a mark

    struct answer_usage usage;
    int64_t prompt_tokens; // with those cached
    int64_t read_before;   // of those that the backend calls cached
    int64_t deltas;        // pieces that were said: the output tokens where nobody counts them
    bool output_told;
    enum answer_stop stop;
    char *stop_word;
};

// The first failure stays. Returns false.
bool answer_break(struct answer *answer, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// answer_out.c
void answer_out_start(struct answer *answer); // message_start unless it is out
void answer_out_ping(struct answer *answer);
void answer_out_text(struct answer *answer, enum answer_block kind, const char *bytes,
                     size_t length); // text or thinking; opens a block of the kind if need be
void answer_out_tool(struct answer *answer, const char *id, const char *name);
void answer_out_input(struct answer *answer, const char *bytes, size_t length);
bool answer_out_close(struct answer *answer); // the open block, if any; false: no room for it
void answer_out_end(struct answer *answer);   // message_delta and message_stop, or the whole
void answer_out_error(struct answer *answer, unsigned status, const char *text);

// answer_calls.c: what a reader says
bool answer_is_amid_call(struct answer *answer);
void answer_text(struct answer *answer, const char *bytes, size_t length);
void answer_thinking(struct answer *answer, const char *bytes, size_t length);
// The call that a piece belongs to: by the backend's index (-1 = it gave none) and id (NULL =
// none).
struct answer_call *answer_call_find(struct answer *answer, int64_t key, const char *id,
                                     const char *name);
void answer_call_name(struct answer *answer, struct answer_call *call, const char *name);
void answer_call_arguments(struct answer *answer, struct answer_call *call, const char *bytes,
                           size_t length);
void answer_calls_advance(struct answer *answer, bool all); // tells what can be told; all: the rest
void answer_calls_fini(struct answer *answer);
// Says what is left and ends the message with answer->stop.
void answer_finish(struct answer *answer);
// The backend says that it cannot read what its own model said.
bool answer_is_garbled(const char *text);
void answer_end_garbled(struct answer *answer, const char *text);
// An error that the backend told amid its answer.
void answer_backend_error(struct answer *answer, const json_t *json);
void answer_backend_error_text(struct answer *answer, struct span body); // JSON or not
bool answer_stop_is_asked(const struct answer *answer, const char *word);

// answer_think.c: text of a backend whose model may think aloud in it
void answer_content(struct answer *answer, const char *bytes, size_t length);
void answer_reasoning(struct answer *answer, const char *bytes, size_t length); // told as such
void answer_content_settle(struct answer *answer); // something else comes: nothing is held any more

// The readers; both take one event of a stream, or a whole answer.
// The first says false, and nothing else, for an event that is not the usual one.
bool answer_quick_event(struct answer *answer, struct span data);
void answer_completions_event(struct answer *answer, const json_t *chunk);
void answer_native_event(struct answer *answer, const json_t *event);
void answer_native_whole(struct answer *answer, const json_t *message);
