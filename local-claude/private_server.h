// What a private ancalagon (`ancalagon private`) or a far script says, until the model is ready:
// shown as a progress bar on stderr, and kept. See ancalagon/attendant.h for the lines.
#pragma once

#include "base/err.h"
#include "base/progress.h"

#include <stdbool.h>
#include <stdint.h>

struct tether;

struct private_server {
    char *address; // numeric
    unsigned port;
    char *key;
    char *preset;       // the name that it serves the model by
    int64_t ctx_tokens; // 0 = not told
    bool toolless;      // its chat template knows no tools
    char *draft;        // what speculates, for the person; NULL = nothing
};

// Waits until it is ready. False: its own words, or what it printed last. `name` is what the bar
// says is being loaded.
bool private_server_wait(struct tether *tether, const char *name, struct private_server *server,
                         struct err *err);
void private_server_fini(struct private_server *server);

// The bar that both kinds of server share. On a terminal it moves; elsewhere one line says what is
// waited for, once a second has passed.
struct wait_view {
    struct progress bar;
    int64_t since_ms;
    bool told;
};
void wait_view_init(struct wait_view *view);
void wait_view_show(struct wait_view *view, const char *label, int64_t elapsed_ms,
                    int64_t expected_ms); // elapsed < 0: since init
void wait_view_end(struct wait_view *view);

// Of what a program printed, the last line that says something, without "ancalagon: " before it.
void last_words(const char *printed, char *out, size_t size);
