// A model behind an OpenAI-compatible server, asked by threads that may block: one question at a
// time of all that share a gate, each with a deadline, an answer of bounded size, and an end as
// soon as nobody waits for it. After a hang the server is left alone for a while, so that not every
// photo waits for the same dead GPU. No tools, no streams; nothing of a question is logged.
#pragma once

#include "base/err.h"
#include "gpu_gate.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_server;

struct model_options {
    const char *section; // of the settings, for errors: "vlm"
    const char *url;     // http://HOST:PORT, perhaps with a path
    const char *model;   // NULL: the server's own choice
    const char *key_file;
    int64_t timeout_ms;        // of one answer
    int64_t wait_ms, pause_ms; // for the gate; after a hang
    unsigned tokens;           // that it may write
};

// Everything is borrowed and must outlive the server, which need not be there yet. Errors are of
// the key file.
struct model_server *model_server_open(const struct model_options *options, struct gpu_gate *gate,
                                       struct err *err);
void model_server_close(struct model_server *server); // NULL is fine

// Asks for a chat completion, greedily; `messages` and `format` (response_format; NULL: none) are
// taken over. The answer's text (model_answer.h), the caller's. NULL with
//   ERR_UNAVAILABLE  nobody listens there, or it refuses
//   ERR_HANG         it does not answer in time, or lost its GPU or the connection meanwhile; also
//                    for a while after that, without asking
//   ERR_GARBLED      it answered something else, or more than anybody reads
//   ERR_TIMEOUT      others kept the GPU
//   ERR_BUSY         recalled
char *model_server_ask(struct model_server *server, json_t *messages, json_t *format,
                       const struct recall *recall, struct err *err);
// Is it there, and does it list the model? Does not wait for the gate.
bool model_server_check(struct model_server *server, struct err *err);
