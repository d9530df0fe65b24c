// Sets what an engine says of its memory against what was planned for it, and keeps both
// (memory_store.h). A build that is only talkative when asked (-lv 4 of those with a scale of
// verbosity: its trace level names sizes, never prompts) is asked in the first run of each
// combination of build, model and settings.
#pragma once

#include "decision.h"
#include "memory_store.h"

struct memory_watch { // of one run of one engine
    struct memory_report report;
    struct memory_seen seen; // of this run, or of the last one with the same plan
    bool known;              // `seen` holds something
    bool loaded;
};

// May add to *decision that the engine be talkative.
void memory_watch_begin(struct memory_watch *watch, const struct memory_store *store,
                        const struct preset *preset, struct decision *decision);
void memory_watch_line(struct memory_watch *watch, const char *line);

// It has loaded: what it made is compared. True when it differs so much that it should be told:
// text says how.
bool memory_watch_loaded(struct memory_watch *watch, struct memory_store *store,
                         const struct preset *preset, const struct decision *decision, char *text,
                         size_t size);
// It ended in good order: what its driver took besides is learned.
void memory_watch_ended(struct memory_watch *watch, struct memory_store *store,
                        const struct decision *decision);
