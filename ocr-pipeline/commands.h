// The subcommands, one file each (cmd_<name>.c). argv[0] is the command's own name. Each returns
// the program's exit status.
#pragma once

#include "config.h"

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,    // some of it could not be done; what could is there
    EXIT_USAGE = 2,     // the command line makes no sense
    EXIT_CONFIG = 3,    // the settings are wrong
    EXIT_SETUP = 4,     // networks or the library are not there
    EXIT_SHARE = 5,     // a share does not answer
    EXIT_NOTHING = 6,   // there are no photos
    EXIT_FULL = 7,      // no room is left on the disk
    EXIT_DENIED = 8,    // a share does not let us in
    EXIT_MISSING = 9,   // what is named is not there: a share, a folder in it, a batch
    EXIT_NO_BATCH = 10, // what alt is given
    EXIT_INTERRUPTED = 130,
};

int cmd_read(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_records(int argc, char **argv);
int cmd_tra(int argc, char **argv);
int cmd_alt(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

int command_status(const struct err *err); // of what ended a command
int command_share_status(enum share_fault fault);
// "ocr-pipeline: TEXT" to stderr, then the status.
int command_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct option; // getopt.h
// Every option but --help, which prints `help`, goes to `take`, its value in optarg; false: it is
// no option of this command. -1: go on, optind is at the first word that is none; else the exit
// status.
int command_options(int argc, char **argv, const struct option *options, const char *help,
                    bool (*take)(void *arg, int letter), void *arg);
// With what it says on stderr; NULL leaves the exit status.
struct config *command_config(const char *path, int *status);
