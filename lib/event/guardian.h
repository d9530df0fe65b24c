// Nothing outlives us, even when we are killed with SIGKILL: a small process of our own that waits
// for our end (a pipe closes) and then kills the process groups we had told it of, and whoever
// carries our mark (stray.h). tie_to_parent alone reaches only direct children: an engine behind a
// wrapper script would live on.
#pragma once

#include "base/err.h"

#include <sys/types.h>

struct guardian;

// Forks and runs `program` again as "ancalagon-guard", whose main() must call guardian_run; with
// program NULL, or if that fails, the fork itself does the work. To be called while there are no
// threads.
//
// `folder` (run_folder.h, of this run alone; NULL = none) is removed with us, however we end.
struct guardian *guardian_create(const char *program, const char *folder, struct err *err);
// The guardian's whole life, on standard input; mark and folder are its arguments.
int guardian_run(const char *mark, const char *folder);
void guardian_destroy(struct guardian *guardian); // ends it, nobody being left. NULL is fine
const char *guardian_mark(const struct guardian *guardian); // for the environment of what we start
void guardian_watch(struct guardian *guardian, pid_t group);
void guardian_forget(struct guardian *guardian, pid_t group); // its group is gone: never reuse it
