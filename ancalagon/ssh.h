// The same command on another machine: `lmswitch --host user@box coder` runs `lmswitch coder`
// there. The first call makes one ssh connection, which the next ones share for a minute.
// $ANCALAGON_SSH names another ssh program.
#pragma once

#include "base/buf.h"
#include "cli.h"

// Runs lmswitch there with these words (NULL-terminated), --config and the flags of `cli`. With
// `out` its output is kept there and not printed. Returns its exit status; 5 when the machine
// cannot be reached; 4 when lmswitch is not there.
int ssh_lmswitch(const struct cli *cli, const char *const *words, struct buf *out);

// The command line for the other side's login shell, whichever that is.
void ssh_remote_command(struct buf *out, const char *const *words);
// One word in single quotes that sh, bash, zsh and fish all read the same way.
void ssh_quote(struct buf *out, const char *word);
