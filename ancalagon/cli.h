// What every command shares: its command line, and how it ends. Options may stand anywhere among
// the arguments; a command names the ones it takes, so that a wrong one is refused and not ignored.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "commands.h"

#include <stdbool.h>
#include <stdint.h>

struct option; // getopt.h

enum cli_option {
    CLI_JSON = 1 << 0,
    CLI_HOST = 1 << 1,
    CLI_FOLLOW = 1 << 2,
    CLI_NO_START = 1 << 3,
    CLI_SHELL = 1 << 4,
    CLI_FOR = 1 << 5,
    CLI_YES = 1 << 6,
    CLI_UNINSTALL = 1 << 7,
    CLI_DRY_RUN = 1 << 8,
};

struct cli {
    const char *command; // as its user typed it: "ancalagon switch" or "lmswitch"
    const char *config;  // --config, or NULL
    const char *host;
    const char *shell;
    const char *for_host;
    bool json, follow, no_start, yes, uninstall, dry_run;
    char **args; // what is left; NULL-terminated, points into argv
    int arg_count;
};

// --config and --help are always taken. `options` is a set of enum cli_option. Returns -1 when the
// command should go on; else the exit status, after having printed what there is to say.
int cli_parse(struct cli *cli, int argc, char **argv, unsigned options, int min_args, int max_args,
              const char *help);

// The command line of a command that has options of its own and takes one preset: `take` is given
// each option's letter with its value, and says what is wrong with it itself (false). Returns as
// cli_parse does.
int cli_parse_own(int argc, char **argv, const struct option *known, const char *help,
                  bool (*take)(void *arg, int letter, const char *text), void *arg,
                  const char **preset);
// A number of such an option, "2048" or "2K"; false when it was told what it takes.
bool cli_number(const char *command, const char *option, const char *text, int64_t min, int64_t max,
                unsigned *out);

// "ancalagon: TEXT" to stderr, then the status.
int cli_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The exit status for a failure to reach the server.
int cli_fail_control(const struct err *err);

// The body of an answer on stdout, with one line end after it.
void cli_print_body(const struct buf *body);

// "ancalagon", or what cli_be said: as we were called.
void cli_be(const char *name); // kept by the caller
const char *cli_program(void);

// Commands that lmswitch has too, once the command line is read.
int do_status(const struct cli *cli);
int do_list(const struct cli *cli);
int do_logs(const struct cli *cli, const char *preset); // NULL: the loaded one
