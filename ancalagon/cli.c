#define _GNU_SOURCE
#include "cli.h"

#include "base/str.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct known {
    unsigned bit; // 0: every command takes it
    struct option option;
} known[] = {
    {0, {"config", required_argument, NULL, 'c'}},
    {0, {"help", no_argument, NULL, 'h'}},
    {CLI_JSON, {"json", no_argument, NULL, 'j'}},
    {CLI_HOST, {"host", required_argument, NULL, 'H'}},
    {CLI_FOLLOW, {"follow", no_argument, NULL, 'f'}},
    {CLI_NO_START, {"no-start", no_argument, NULL, 'n'}},
    {CLI_SHELL, {"shell", required_argument, NULL, 's'}},
    {CLI_FOR, {"for", required_argument, NULL, 'F'}},
    {CLI_YES, {"yes", no_argument, NULL, 'y'}},
    {CLI_UNINSTALL, {"uninstall", no_argument, NULL, 'u'}},
    {CLI_DRY_RUN, {"dry-run", no_argument, NULL, 'd'}},
};

static const char *program = "ancalagon";

enum { KNOWN = sizeof known / sizeof *known };

static void apply(struct cli *cli, int letter) {
    switch (letter) {
    case 'c': cli->config = optarg; break;
    case 'j': cli->json = true; break;
    case 'H': cli->host = optarg; break;
    case 'f': cli->follow = true; break;
    case 'n': cli->no_start = true; break;
    case 's': cli->shell = optarg; break;
    case 'F': cli->for_host = optarg; break;
    case 'y': cli->yes = true; break;
    case 'u': cli->uninstall = true; break;
    case 'd': cli->dry_run = true; break;
    default: break;
    }
}

// The word that holds the option getopt has just refused: it steps over a word of several letters
// ("-dash") only after the last of them.
static const char *refused_word(char *const *argv) {
    const char *last = argv[optind - 1];
    bool is_letter = optopt && optopt < 256; // of a known option that lacks or refuses a value: no
    if (!is_letter || (last[0] == '-' && (last[1] == '-' || strchr(last + 1, optopt))))
        return last;
    return argv[optind];
}

static int refuse(const struct cli *cli, const char *word, const char *why) {
    fprintf(stderr, "%s: %s %s; see: %s --help\n", cli->command, word, why, cli->command);
    return EXIT_USAGE;
}

int cli_parse(struct cli *cli, int argc, char **argv, unsigned options, int min_args, int max_args,
              const char *help) {
    static char command[64]; // one command a process
    bool alone = strcmp(argv[0], "lmswitch") == 0;
    snprintf(command, sizeof command, "%s%s", alone ? "" : "ancalagon ", argv[0]);
    *cli = (struct cli){.command = command};
    struct option table[KNOWN + 1] = {0};
    size_t count = 0;
    for (size_t i = 0; i < KNOWN; i++)
        if (!known[i].bit || (options & known[i].bit))
            table[count++] = known[i].option;
    char letters[8];
    snprintf(letters, sizeof letters, ":h%s%s", options & CLI_FOLLOW ? "f" : "",
             options & CLI_YES ? "y" : "");
    opterr = 0;
    optind = 0; // glibc: start afresh
    int letter;
    while ((letter = getopt_long(argc, argv, letters, table, NULL)) != -1) {
        if (letter == 'h') {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (letter == ':')
            return refuse(cli, argv[optind - 1], "needs a value");
        if (letter == '?')
            return refuse(cli, refused_word(argv), "is no option here");
        apply(cli, letter);
    }
    cli->args = argv + optind;
    cli->arg_count = argc - optind;
    if (cli->arg_count < min_args) {
        fprintf(stderr, "%s: something is missing\n\n%s", cli->command, help);
        return EXIT_USAGE;
    }
    if (cli->arg_count > max_args)
        return refuse(cli, cli->args[max_args], "is one word too many");
    return -1;
}

int cli_parse_own(int argc, char **argv, const struct option *own, const char *help,
                  bool (*take)(void *arg, int letter, const char *text), void *arg,
                  const char **preset) {
    int letter;
    optind = 1;
    while ((letter = getopt_long(argc, argv, "", own, NULL)) != -1) {
        if (letter == 'h') {
            fputs(help, stdout);
            return EXIT_DONE;
        }
        if (letter == '?')
            return cli_fail(EXIT_USAGE, "see: ancalagon %s --help", argv[0]);
        if (!take(arg, letter, optarg))
            return EXIT_USAGE;
    }
    if (argc - optind != 1)
        return cli_fail(EXIT_USAGE, "%s takes one preset; see: ancalagon %s --help", argv[0],
                        argv[0]);
    *preset = argv[optind];
    return -1;
}

bool cli_number(const char *command, const char *option, const char *text, int64_t min, int64_t max,
                unsigned *out) {
    uint64_t value;
    if (str_to_size(text, &value) && value <= INT64_MAX && (int64_t)value >= min &&
        (int64_t)value <= max) {
        *out = (unsigned)value;
        return true;
    }
    fprintf(stderr, "ancalagon %s: --%s takes a number from %lld to %lld, not \"%s\"\n", command,
            option, (long long)min, (long long)max, text);
    return false;
}

int cli_fail(int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", cli_program());
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

int cli_fail_control(const struct err *err) {
    return cli_fail(err->code == ERR_NOTFOUND ? EXIT_NO_SERVER : EXIT_UNREACHABLE, "%s", err->text);
}

void cli_be(const char *name) { program = name; }

const char *cli_program(void) { return program; }

void cli_print_body(const struct buf *body) {
    size_t length = body->length;
    while (length && (buf_bytes(body)[length - 1] == '\n' || buf_bytes(body)[length - 1] == '\r'))
        length--;
    printf("%.*s\n", (int)length, buf_bytes(body));
}
