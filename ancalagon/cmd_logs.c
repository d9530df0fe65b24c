// logs: what the engine printed, from the server's ring; -f goes on until Ctrl-C or the end.
#include "base/mem.h"
#include "cli.h"
#include "control_client.h"
#include "format/json.h"
#include "ssh.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: ancalagon logs [-f] [PRESET] [--json] [--host user@box] [--config FILE]\n\n"
    "The command line of PRESET's engine and the last lines it printed (default: the loaded one).\n\n"
    "  -f, --follow       and the ones to come, until Ctrl-C or the server ends\n"
    "  --json             each line as {\"line\": ..}\n"
    "  --host user@box    from that machine, over ssh\n";

enum { LOOK_EVERY_MS = 500, MAX_LINE = 64 * 1024 };

struct logs {
    struct control *control;
    struct timer look;
    struct signal_watch interrupt;
    struct buf line; // with --json, until it is whole
    bool json, terminal, interrupted, reader_gone, ended;
    unsigned status; // of the answer
    char *error;
    struct err err;
};

// On a terminal control characters are blanked: an engine's text must not steer it.
static bool print_text(const struct logs *logs, const char *bytes, size_t length) {
    if (!logs->terminal)
        return fwrite(bytes, 1, length, stdout) == length;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (putchar((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? ' ' : c) == EOF)
            return false;
    }
    return true;
}

static bool print_json_line(struct buf *line) {
    struct buf out;
    buf_init(&out, 8 * MAX_LINE);
    json_t *json = json_build("{s:o}", "line", json_text_n(buf_bytes(line), line->length));
    json_write(&out, json);
    json_decref(json);
    buf_adds(&out, "\n");
    buf_clear(line);
    bool ok = fwrite(buf_bytes(&out), 1, out.length, stdout) == out.length;
    buf_fini(&out);
    return ok;
}

static bool print_json(struct logs *logs, const char *bytes, size_t length) {
    bool ok = true;
    while (ok && length > 0) {
        const char *newline = memchr(bytes, '\n', length);
        size_t piece = newline ? (size_t)(newline - bytes) : length;
        buf_add(&logs->line, bytes, piece); // what does not fit is cut; the server's lines do
        ok = !newline || print_json_line(&logs->line);
        piece += newline != NULL;
        bytes += piece;
        length -= piece;
    }
    return ok;
}

static void on_bytes(void *arg, const char *bytes, size_t length) {
    struct logs *logs = arg;
    bool ok = logs->json ? print_json(logs, bytes, length) : print_text(logs, bytes, length);
    if (!ok || fflush(stdout) != 0) {
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
                        .json = cli->json,
                        .terminal = isatty(STDOUT_FILENO)};
    if (!logs.control)
        return cli_fail_control(&err);
    buf_init(&logs.line, MAX_LINE);
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
    buf_fini(&logs.line);
    mem_free(target);
    mem_free(name);
    return status;
}

int cmd_logs(int argc, char **argv) {
    struct cli cli;
    unsigned options = CLI_JSON | CLI_HOST | CLI_FOLLOW | CLI_NO_START;
    int status = cli_parse(&cli, argc, argv, options, 0, 1, help);
    return status >= 0 ? status : do_logs(&cli, cli.args[0]);
}
