// What runs on the other machine: a small sh script, given to ssh as its command. It finds
// ancalagon there, else llama-server, lists the models, waits for our choice, runs it, and ends
// with the connection. It writes no file. Its words, a line each, on standard output:
//
//   @lc hello ancalagon|llama-server PATH   what will run the model
//   @lc models JSON                         what `ancalagon models --json` says there
//   @lc file BYTES PATH                     one model, where there is no ancalagon
//   @lc choose                              now it waits for the answers
//   @lc error WORD TEXT                     it cannot; WORD is one of those of far_error.h
//   @lc ended STATUS                        llama-server has ended
//
// The answers: a line each, which begins with "=": model, context, draft, port, key (each may be
// empty but the first). Empty lines are beats, as they are afterwards. Then an ancalagon says what
// private_server.h reads; a llama-server prints its log.
#pragma once

#include "base/buf.h"

enum {
    FAR_BEAT_MS = 1000, // from us
    FAR_SILENCE_S = 15, // without one: it ends
};

struct far_asked {
    const char *models;       // folder; NULL = ~/models. "C:\models" is /mnt/c/models on WSL
    const char *llama_server; // taken when it is there, after that machine's own LLAMA_SERVER; NULL
};

// The command line for ssh: for the login shell of the other side, whichever that is.
void far_command(struct buf *out, const struct far_asked *asked);

// "C:\models\x" -> "/mnt/c/models/x"; NULL when it is no path of Windows. The caller's.
char *far_wsl_path(const char *path);
