// Speculation in use: how many guesses are right, and whether they still pay. When they do not, the
// engine is started again without, at a moment when nothing runs, and that is remembered.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct service;
struct json_t; // jansson

// Of one engine's life. Sums fade, so that what matters is the present kind of work.
struct speculation {
    double generated, drafted, accepted;                  // tokens, faded
    uint64_t seen;                                        // generated tokens, all
    uint64_t last_generated, last_drafted, last_accepted; // the counters when last looked at
    bool losing;                                          // it is to be given up
    bool told; // ... or would be, did the preset not insist
};

// Fades the sums by what came, and adds it.
void speculation_add(struct speculation *s, uint64_t generated, uint64_t drafted,
                     uint64_t accepted);
double speculation_acceptance(const struct speculation *s); // negative: nothing was guessed yet

void speculation_begin(struct service *service);    // its engine is ready
void speculation_answered(struct service *service); // an answer has ended
void speculation_tick(struct service *service);     // now and then, while the engine is loaded
void speculation_end(struct service *service);      // its engine has ended: keeps what was learned

// For status: null when the preset has no draft key.
struct json_t *speculation_json(const struct service *service);
