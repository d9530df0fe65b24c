// ancalagon serve: the server in the foreground.
#include "base/log.h"
#include "commands.h"
#include "serve.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

static const char help[] =
    "usage: ancalagon serve [--config FILE] [--listen ADDR:PORT] [--with-terminal] [--debug]\n\n"
    "Serves the presets of FILE on ADDR:PORT (default 127.0.0.1:1234) until Ctrl-C. Any address\n"
    "beyond loopback demands an API key, made at the first start (see [server] api-key-file).\n"
    "SIGHUP or `ancalagon reload` reads FILE again without touching engines that did not change.\n\n"
    "  --config FILE        presets (default ~/.config/ancalagon/presets.ini)\n"
    "  --listen ADDR:PORT   overrides [server] listen\n"
    "  --with-terminal      end when the terminal is closed (`make run` does)\n"
    "  --debug              log more\n";

static bool parse_args(int argc, char **argv, struct serve_options *serve, int *code) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},  {"listen", required_argument, NULL, 'l'},
        {"with-terminal", no_argument, NULL, 't'}, {"debug", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            serve->config_path = optarg;
        else if (option == 'l')
            serve->listen = optarg;
        else if (option == 't')
            serve->with_terminal = true;
        else if (option == 'd')
            log_set_level(LOG_LEVEL_DEBUG);
        else {
            fputs(help, option == 'h' ? stdout : stderr);
            *code = option == 'h' ? EXIT_DONE : EXIT_USAGE;
            return false;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "ancalagon serve: what is \"%s\"?\n%s", argv[optind], help);
        *code = EXIT_USAGE;
        return false;
    }
    return true;
}

int cmd_serve(int argc, char **argv) {
    struct serve_options serve = {0};
    int code = 0;
    return parse_args(argc, argv, &serve, &code) ? serve_run(&serve) : code;
}
