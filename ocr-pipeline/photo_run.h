// Photos through all stages, one after the other: a result each, on the terminal or in a file that
// a later run goes on with. What `read`, `tra` and `alt` have in common; they differ in where the
// photos come from.
#pragma once

#include "config.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

enum output { OUTPUT_PEOPLE, OUTPUT_JSON, OUTPUT_CSV };

struct photo_run_options {
    enum output output;
    const char *out, *annotate, *config_path;
    bool fast;
};

// The letters and rows of command_options that go to photo_run_option.
#define PHOTO_RUN_OPTIONS                                                                          \
    {"json", no_argument, NULL, 'j'}, {"csv", no_argument, NULL, 'v'},                             \
        {"out", required_argument, NULL, 'o'}, {"annotate", required_argument, NULL, 'a'},         \
        {"fast", no_argument, NULL, 'f'}, {"config", required_argument, NULL, 'c'},                \
        {"help", no_argument, NULL, 'h'}, {                                                        \
        NULL, 0, NULL, 0                                                                           \
    }
#define PHOTO_RUN_HELP                                                                               \
    "  --json           one object a line and photo: fields, texts, where they are, timings\n"       \
    "  --csv            one line a photo: the eleven fields\n"                                       \
    "  --out FILE       write there; run again, it goes on where it was stopped\n"                   \
    "  --annotate OUT   besides, photos with what was read drawn on them: a folder, or a file.jpg\n" \
    "  --fast           the small networks: three times as fast, more mistakes\n"                    \
    "  --config FILE    settings (default ~/.config/ancalagon/ocr.ini)\n"
bool photo_run_option(struct photo_run_options *options, int letter);
void photo_run_options_end(struct photo_run_options *options); // after the last one

struct photo_source {
    size_t count;
    const char *(*name)(void *arg, size_t index); // as results tell it: no two are the same
    // From several threads. The bytes are the caller's; NULL: `err` is the photo's result. A fault
    // of the share as a whole (share_fault_is_whole) is no photo's: it is waited for, or ends the
    // run.
    enum share_fault (*load)(void *arg, size_t index, char **bytes, size_t *length,
                             struct err *err);
    void *arg;
    int64_t patience_ms; // for a share that does not answer
};

// The command's exit status.
int photo_run(const struct photo_run_options *options, struct config *config,
              const struct photo_source *source);
