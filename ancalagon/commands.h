// The subcommands, one file each (cmd_<name>.c). argv[0] is the command's own name, as in
// `ancalagon switch coder` -> {"switch", "coder"}. Each returns the program's exit status.
#pragma once

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,      // the server tried and could not
    EXIT_USAGE = 2,       // the command line makes no sense
    EXIT_CONFIG = 3,      // the presets file is wrong
    EXIT_NO_SERVER = 4,   // none is running for this presets file
    EXIT_UNREACHABLE = 5, // it is there, but does not answer as it should
    EXIT_INTERRUPTED = 130,
};

int cmd_serve(int argc, char **argv);
int cmd_private(int argc, char **argv);  // one model for the program that started it
int cmd_lmswitch(int argc, char **argv); // PRESET or one of the words below
int cmd_switch(int argc, char **argv);
int cmd_off(int argc, char **argv);
int cmd_sleep(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_aliases(int argc, char **argv);
int cmd_check_config(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_tune(int argc, char **argv);
int cmd_engines(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_setup(int argc, char **argv);
int cmd_hold(int argc, char **argv); // what ancalagon@PRESET.service runs; not listed in --help
