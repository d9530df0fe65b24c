// ancalagon private: one model for the program that started it, gone when that is gone.
#include "base/log.h"
#include "base/str.h"
#include "commands.h"
#include "private_config.h"
#include "serve.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
    "usage: ancalagon private --model MODEL [--ctx N|max] [--draft FILE|auto|none]\n"
    "                         [--engine FILE] [--models DIR] [--listen ADDR:PORT] [--beat TIME]\n"
    "                         [--config FILE] [--debug]\n\n"
    "One model for the program that starts it, beside any other ancalagon: loaded at once, on a\n"
    "free loopback port behind a key of its own. Tells where, how far and what went wrong on\n"
    "standard output, a JSON object a line. Ends, and its engine with it, when standard input does.\n\n"
    "  --model MODEL     a preset (its settings are taken) or a GGUF (what fits is taken)\n"
    "  --ctx N           context in tokens, such as 64K; max: the largest that fits\n"
    "  --draft WHAT      what speculates for it\n"
    "  --engine FILE     the llama-server to use\n"
    "  --models DIR      where drafts are looked for\n"
    "  --listen A:P      another address; default 127.0.0.1:0, any free port\n"
    "  --beat TIME       ends too when standard input is silent for so long, such as 15s\n\n"
    "Exit: 0 ended as asked, 1 the model could not be loaded, 2 usage, 3 config error.\n";

struct parsed {
    struct private_wish wish;
    struct serve_options serve;
};

static bool take(struct parsed *parsed, int option, const char *value) {
    switch (option) {
    case 'm': parsed->wish.model = value; return true;
    case 'x': parsed->wish.ctx = value; return true;
    case 'r': parsed->wish.draft = value; return true;
    case 'e': parsed->wish.engine = value; return true;
    case 'f': parsed->wish.models = value; return true;
    case 'l': parsed->serve.listen = value; return true;
    case 'c': parsed->serve.config_path = value; return true;
    case 'b': return str_to_duration_ms(value, &parsed->serve.beat_ms);
    case 'd': log_set_level(LOG_LEVEL_DEBUG); return true;
    default: return false;
    }
}

static int parse_args(int argc, char **argv, struct parsed *parsed) {
    static const struct option options[] = {{"model", required_argument, NULL, 'm'},
                                            {"ctx", required_argument, NULL, 'x'},
                                            {"draft", required_argument, NULL, 'r'},
                                            {"engine", required_argument, NULL, 'e'},
                                            {"models", required_argument, NULL, 'f'},
                                            {"listen", required_argument, NULL, 'l'},
                                            {"config", required_argument, NULL, 'c'},
                                            {"beat", required_argument, NULL, 'b'},
                                            {"debug", no_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (!take(parsed, option, optarg)) {
            fputs(help, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc || !parsed->wish.model) {
        fprintf(stderr, "ancalagon private: %s%s%s\n%s", optind < argc ? "what is \"" : "",
                optind < argc ? argv[optind] : "name a --model", optind < argc ? "\"?" : "", help);
        return EXIT_USAGE;
    }
    return -1;
}

int cmd_private(int argc, char **argv) {
    struct parsed parsed = {0};
    log_set_level(LOG_LEVEL_WARN); // its own words are on standard output
    int status = parse_args(argc, argv, &parsed);
    parsed.serve.wish = &parsed.wish;
    return status >= 0 ? status : serve_run(&parsed.serve);
}
