// The environment in which Claude Code meets a local model and nothing else: where the API is,
// which model, how large its window; everything of the user's that would lead elsewhere is taken
// out.
#pragma once

#include "base/buf.h"
#include "format/json.h"

#include <stdbool.h>
#include <stdint.h>

struct environment_facts {
    const char *base_url;   // "http://127.0.0.1:1234"
    const char *socket;     // unix socket on which base_url is met; NULL = TCP
    const char *token;      // for that server; never empty: Claude Code would ask for a login
    const char *model;      // environment_model_id of its name
    const char *config_dir; // absolute
    int64_t context_tokens; // 0 = unknown: Claude Code's own idea stands
    int64_t output_tokens;  // of one answer at most; 0 = unset
    bool compacts; // compaction before the window is full; otherwise only when it overflows
    bool trims;    // the window cannot be compacted at all: no attempt
    bool counted;  // the server counts each prompt before it is begun, and refuses what is too long
};

// A new environment, NULL-terminated, from an inherited one. Free with environment_free.
char **environment_make(const struct environment_facts *facts, char *const *inherited);
// The same without a model or a server, for commands of Claude Code that need none.
char **environment_make_offline(const char *config_dir, char *const *inherited);
void environment_free(char **environment);

// The same once more as JSON for Claude Code's --settings, without the address and the token: the
// "env" of a project's .claude/settings.json counts more than the environment, and would turn
// telemetry on or move the folder; that of --settings counts more than a project's. Where the model
// is, CLAUDE_CODE_PROVIDER_MANAGED_BY_HOST keeps from it. `theirs` (taken over; NULL = none) are
// settings of the user's to put it into; what their "env" has of the names that are not inherited
// either is taken out, and named in `dropped`. The caller's (mem_free); NULL when they are too
// large.
char *environment_settings(char *const *environment, json_t *theirs, struct buf *dropped);

// What a shell must be told (export and unset) to get from `inherited` to `environment`; for eval.
bool environment_print(char *const *environment, char *const *inherited, struct buf *out);

// The name by which Claude Code may know a model. One that it could take for one of Anthropic's
// (claude-..., sonnet) would get the long prompt, or be looked up: it becomes "local-model", and a
// path its file's name; then the server must be asked under its own. A part of `name` or a
// constant.
const char *environment_model_id(const char *name);
