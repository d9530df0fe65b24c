// Where the model runs. A backend finds it, or starts it and ends it, and says how it is reached:
// a *place*. Claude Code meets every place through the same Messages API: an ancalagon speaks it by
// itself, before any other stands our relay (relay.h).
//
//   remote        a server that runs: an ancalagon, or anything OpenAI-compatible
//   llama         a private ancalagon of this run, on this machine: it plans, starts, watches
//   remote-llama  the same on another machine over ssh; a bare llama-server will do there
//   lmstudio      LM Studio on this machine or another: listed and loaded over its REST API
//   apfel         Apple Intelligence: a small window, chat only
#pragma once

#include "base/err.h"
#include "chat/call.h"

#include <stdbool.h>
#include <stdint.h>

struct model_file;
struct options;

// All owned by the place (place_fini).
struct place {
    char *label;   // for the person: "ancalagon at 127.0.0.1:1234"
    char *address; // numeric IPv4 or IPv6; NULL with a unix socket
    unsigned port;
    char *unix_path;
    char *prefix;           // of its API's paths; "" as a rule
    char *key;              // bearer token, NULL = none
    char *model;            // the name that it knows; never starts with "claude-": that name would
                            // make Claude Code send its long prompt
    int64_t context_tokens; // 0 = unknown
    int64_t max_output_tokens; // 0 = by the window
    enum chat_api api;
    bool direct;    // it is an ancalagon: no relay needed
    bool llama;     // a llama-server (or an ancalagon before one)
    bool blind;     // its model takes no images
    bool toolless;  // its model's chat template knows no tools
    bool chat_only; // too small for tools: --bare --tools ""
    bool plain;     // it refuses stop sequences: they are not sent
    bool trims;     // our relay drops the oldest turns, the window cannot be compacted
};
void place_fini(struct place *place);
// Of a dry run: where a model of this run would be, with `wanted` tokens of context (0 = as many as
// fit). Nothing is started, nobody is there. False when it does not fit.
bool place_foretell(struct place *place, const struct model_file *file, int64_t wanted,
                    const char *machine, struct err *err);

struct backend {
    const char *name, *summary;
    bool lasting; // its places may be used without us: they end later, and need no relay
    // True when it seems to be there, within a few milliseconds, without starting anything; *why is
    // a few words either way ("ancalagon answers on 127.0.0.1:1234").
    bool (*probe)(const struct options *options, char *why, size_t size);
    // Ready when it returns true; shows progress on stderr when it takes over a second. Whatever it
    // started dies with this process, however it dies.
    bool (*open)(const struct options *options, struct place *place, struct err *err);
    // Ends what open started, waits for its end. Safe when nothing was.
    void (*close)(void);
};

extern const struct backend backend_remote, backend_llama, backend_remote_llama, backend_lmstudio,
    backend_apfel;
