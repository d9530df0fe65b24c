// logs: what the engine printed, from the server's ring; -f goes on until Ctrl-C or the end.
#include "base/mem.h"
#include "cli.h"
#include "control_client.h"
#include "ssh.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static const char help[] =
    "usage: ancalagon logs [-f] [PRESET] [--host user@box] [--config FILE]\n\n"
    "The command line of PRESET's engine and the last lines it printed (default: the loaded one).\n\n"
    "  -f, --follow       and the ones to come, until Ctrl-C or the server ends\n"
    "  --host user@box    from that machine, over ssh\n";

enum { LOOK_EVERY_MS = 500 };

struct logs {
    struct control *control;
    struct timer look;
    struct signal_watch interrupt;
    bool terminal, interrupted, reader_gone, ended;
    unsigned status; // of the answer
    char *error;
    struct err err;
};

// On a terminal control characters are blanked: an engine's text must not steer it.
static void on_bytes(void *arg, const char *bytes, size_t length) {
    struct logs *logs = arg;
    size_t written = 0;
    if (!logs->terminal) {
        written = fwrite(bytes, 1, length, stdout);
    } else {
        for (; written < length; written++) {
            unsigned char c = (unsigned char)bytes[written];
            if (putchar((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? ' ' : c) == EOF)
                break;
        }
    }
    if (written < length || fflush(stdout) != 0) {
        logs->reader_gone = true;
        control_stop(logs->control);
    }
}

static void on_done(void *arg, struct control_reply *reply, const struct err *why) {
    struct logs *logs = arg;
    logs->ended = true;
    logs->status = reply->status;
    if (why)
        logs->err = *why;
    else if (reply->status >= 400)
        logs->error = mem_strdup(control_reply_error(reply));
    control_stop(logs->control);
}

// `logs -f | head` must end although no new line shows us that nobody reads.
static void on_look(void *arg) {
    struct logs *logs = arg;
    struct pollfd out = {.fd = STDOUT_FILENO};
    if (poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP | POLLNVAL))) {
        logs->reader_gone = true;
        control_stop(logs->control);
        return;
    }
    timer_start(&logs->look, LOOK_EVERY_MS);
}

static void on_interrupt(int signal, void *arg) {
    struct logs *logs = arg;
    logs->interrupted = true;
    control_stop(logs->control);
}

static int tell(const struct logs *logs, bool follow) {
    if (logs->reader_gone)
        return EXIT_DONE;
    if (logs->interrupted)
        return EXIT_INTERRUPTED;
    if (logs->error)
        return cli_fail(EXIT_FAILED, "%s", logs->error);
    if (logs->err.code != ERR_NONE && !(follow && logs->status))
        return cli_fail_control(&logs->err);
    if (follow)
        fprintf(stderr, "%s: the server has ended\n", cli_program());
    return EXIT_DONE;
}

int do_logs(const struct cli *cli, const char *preset) {
    if (cli->host)
        return ssh_lmswitch(cli, (const char *const[]){"logs", preset, NULL}, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct err err = {0};
    struct logs logs = {.control = control_open(cli->config, &err),
                        .terminal = isatty(STDOUT_FILENO)};
    if (!logs.control)
        return cli_fail_control(&err);
    char *name = control_escape(preset ? preset : "");
    char *target = mem_printf("/logs?%s%s%sfollow=%d", preset ? "preset=" : "", name,
                              preset ? "&" : "", cli->follow);
    struct loop *loop = control_loop(logs.control);
    timer_init(&logs.look, loop, on_look, &logs);
    timer_start(&logs.look, LOOK_EVERY_MS);
    signal_watch_start(&logs.interrupt, loop, SIGINT, on_interrupt, &logs);
    int status;
    if (control_start(logs.control, "GET", target, NULL, on_bytes, on_done, &logs, &err)) {
        while (!logs.ended && !logs.interrupted && !logs.reader_gone)
            control_run(logs.control);
        status = tell(&logs, cli->follow);
    } else {
        status = cli_fail_control(&err);
    }
    timer_stop(&logs.look);
    signal_watch_stop(&logs.interrupt);
    control_close(logs.control);
    mem_free(logs.error);
    mem_free(target);
    mem_free(name);
    return status;
}

int cmd_logs(int argc, char **argv) {
    struct cli cli;
    unsigned options = CLI_HOST | CLI_FOLLOW | CLI_NO_START;
    int status = cli_parse(&cli, argc, argv, options, 0, 1, help);
    return status >= 0 ? status : do_logs(&cli, cli.args[0]);
}
