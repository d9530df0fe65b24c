// The whole of presets.ini, checked: the server's own settings and every preset, including those
// found in the models folders. A config is immutable once made; a reload makes a new one and the
// old one lives until nothing points into it. Relative paths count from the file's folder, model
// paths from the models folders.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "preset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_severity { CONFIG_WARNING, CONFIG_ERROR };

// What is wrong and what to write instead. Line 0: about the file or machine as a whole.
struct config_problem {
    enum config_severity severity;
    unsigned line;
    char *text;
};

struct config {
    char *path; // absolute

    // [server]
    char *listen_host; // an IPv4 or IPv6 address without brackets
    uint16_t listen_port;
    int64_t max_hold_ms;      // a waiting preset is served at latest after this much steady load
    int64_t stall_timeout_ms; // the least time without progress before an engine counts as hung
    int64_t drain_timeout_ms; // 0: wait for running requests as long as they take
    int64_t stop_grace_ms;    // between SIGTERM and SIGKILL
    int64_t ping_after_ms;
    int64_t ping_every_ms;
    uint64_t max_body_bytes;
    uint64_t max_held_bytes; // all waiting bodies together
    unsigned max_queue;
    unsigned max_connections;
    bool on_demand; // a request may start an engine
    bool scan;      // GGUFs in the models folders are presets too
    char *api_key_file;
    char *own_key;        // asked for in place of the file's, also on loopback; NULL = none
    char **allow_hosts;   // NULL-terminated, never NULL: Host values beyond loopback and listen
    char **allow_origins; // the same for Origin
    // NULL-terminated, in the order they are searched, may not exist: [server] models,
    // $ANCALAGON_MODELS, ~/models, the cache's models folder.
    char **models_dirs;

    struct preset *presets; // file order, then scanned ones by name
    size_t presets_count;

    struct config_problem *problems; // by line
    size_t problems_count;
    size_t errors_count;

    struct ini *ini; // private: the [*] section, for scanned presets
};

// For the server: NULL when there is any error; err then says the first and how many more.
// path NULL: the default file, which may be absent (then only scanned presets exist).
struct config *config_load(const char *path, struct err *err);

// For check-config: NULL only when the file cannot be read; errors are in `problems`, and what is
// wrong is left out of the rest.
struct config *config_inspect(const char *path, struct err *err);

// The same on bytes; path is what messages say and relative paths start from. Does not scan.
struct config *config_parse(const char *bytes, size_t length, const char *path, struct err *err);

// Adds a preset for each GGUF that no preset names, in the first of models_dirs and in the cache's,
// top level and one below. Part of config_load and config_inspect unless `scan = off`. Returns how
// many were added.
size_t config_scan_models(struct config *config);

// A preset for a GGUF that no preset names, as the scan makes it; NULL when [*] is wrong.
const struct preset *config_add_model(struct config *config, const char *path);

// Every GGUF in a folder and one below, sorted, each once: projectors and adapters too, of split
// files the first part. NULL-terminated; config_free_files frees it.
char **config_model_files(const char *dir);
void config_free_files(char **files); // NULL is fine

// Asks each preset's engine build whether it can do what the preset says, and adds what it cannot
// to the problems. Runs the binaries (--help): some tens of milliseconds each, once.
void config_check_engines(struct config *config);

// Adds what the presets' plans say: what does not fit on this machine were it empty, what no engine
// can do. Reads files: for commands.
void config_check_plans(struct config *config);

void config_destroy(struct config *config); // NULL is fine

const struct preset *config_find(const struct config *config, const char *name_or_alias);
// The same for a command: NULL names those that there are (ERR_NOTFOUND).
const struct preset *config_want(const struct config *config, const char *name_or_alias,
                                 struct err *err);

// The preset for a request that names none: the one marked default, else the one called
// "default", else the first; NULL when there are no presets.
const struct preset *config_default(const struct config *config);

// "127.0.0.1:1234", "[::1]:1234", "localhost:1234", an address or a port alone (the other part is
// then the default). *host is the caller's (mem_free).
bool config_parse_listen(const char *text, char **host, uint16_t *port, struct err *err);

// One line a problem: "<path>:<line>: error: <text>".
void config_describe_problems(const struct config *config, struct buf *out);
