// The server in the foreground, from its config to its end: what `serve` and `private` share.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct private_wish;

struct serve_options {
    const char *config_path;         // presets; NULL: the default file
    const char *listen;              // over [server] listen; NULL
    const struct private_wish *wish; // one model for the program that started us; NULL: serve all
    bool with_terminal;              // ends when its terminal is closed, as programs in it do
    int64_t beat_ms; // private: ends when standard input is silent this long; 0 = never
};

int serve_run(const struct serve_options *options); // the exit status
