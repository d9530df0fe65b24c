// A private server and the program that started it: what becomes of the model is told on standard
// output, one JSON object a line; standard input says that the other side still lives.
//
//   {"listen": "127.0.0.1:40123", "key": "sk-...", "pid": 4711, "version": "0.1.0"}   first
//   {"state": "planning"}, {"state": "loading", "elapsed_ms": 800, "expected_ms": 3000 or null}
//   {"state": "ready", "preset": "coder", "model": PATH, "ctx": 65536, "tools": true, "draft": ...,
//   "ms": 2100}
//   {"state": "failed", "error": "..."}   and the server ends
//
// Input that ends, or is silent for longer than was agreed, ends the server. What comes is dropped.
#pragma once

#include "base/err.h"

#include <stdint.h>

struct server;
struct attendant;

// Loads the only preset at once. `key` is told and not kept.
struct attendant *attendant_start(struct server *server, const char *key, int64_t beat_ms);
bool attendant_failed(const struct attendant *attendant);
void attendant_end(struct attendant *attendant); // NULL is fine
