#define _GNU_SOURCE
#include "ssh.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MAX_COMMAND = 64 * 1024,
    // ssh binds a temporary name 17 characters longer, in the 107 that a socket address has.
    MAX_CONTROL_PATH = 88,
    SSH_FAILED = 255,
};

void ssh_quote(struct buf *out, const char *word) {
    buf_adds(out, "'");
    for (const char *p = word; *p; p++) {
        if (*p == '\'')
            buf_adds(out, "'\\''");
        else if (*p == '\\') // fish takes \\ for one, even inside quotes
            buf_adds(out, "'\\\\'");
        else
            buf_add(out, p, 1);
    }
    buf_adds(out, "'");
}

// sh -c takes the program's name as $0 and the rest as "$@". Where PATH does not lead to lmswitch,
// a login shell's may.
void ssh_remote_command(struct buf *out, const char *const *words) {
    static const char find[] =
        "PATH=\"$HOME/.local/bin:$PATH:/usr/local/bin\"; "
        "command -v lmswitch >/dev/null 2>&1 && exec lmswitch \"$@\"; "
        "exec sh -lc 'command -v lmswitch >/dev/null 2>&1 && exec lmswitch \"$@\"; "
        "echo \"lmswitch: not found on this machine; install ancalagon there\" >&2; exit 4' "
        "lmswitch \"$@\"";
    buf_adds(out, "exec sh -c ");
    ssh_quote(out, find);
    buf_adds(out, " lmswitch");
    for (; *words; words++) {
        buf_adds(out, " ");
        ssh_quote(out, *words);
    }
}

// In our private folder, short enough for a socket address; NULL: do without sharing.
static char *control_path(const char *host) {
    char *runtime = path_runtime();
    if (strlen(runtime) + 24 > MAX_CONTROL_PATH) {
        mem_free(runtime);
        runtime = mem_printf("/tmp/ancalagon-%u", (unsigned)getuid());
    }
    char *path = NULL;
    if (path_make_private(runtime, NULL))
        path = mem_printf("%s/ssh-%016llx", runtime, (unsigned long long)str_hash(host));
    mem_free(runtime);
    return path;
}

static pid_t start(char *const *argv, int *output) {
    int fds[2] = {-1, -1};
    if (output && pipe(fds) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        if (output) {
            dup2(fds[1], STDOUT_FILENO);
            close(fds[0]);
            close(fds[1]);
        }
        execvp(argv[0], argv);
        fprintf(stderr, "ancalagon: cannot start %s: %s\n", argv[0], strerror(errno));
        _exit(SSH_FAILED);
    }
    if (output) {
        close(fds[1]);
        *output = fds[0];
    }
    return pid;
}

static void read_all(int fd, struct buf *out) {
    char block[4096];
    ssize_t n;
    while ((n = read(fd, block, sizeof block)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(out, block, (size_t)n);
    close(fd);
}

// Ctrl-C belongs to the far side while it runs; we report what it made of it.
static int run(const char *host, char *const *argv, struct buf *out) {
    int output = -1, status = 0;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGINT, &ignore, &before);
    pid_t pid = start(argv, out ? &output : NULL);
    if (pid > 0 && out)
        read_all(output, out);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    sigaction(SIGINT, &before, NULL);
    if (pid < 0)
        return cli_fail(EXIT_UNREACHABLE, "cannot start ssh: %s", strerror(errno));
    if (WIFSIGNALED(status))
        return 128 + WTERMSIG(status);
    if (WEXITSTATUS(status) == SSH_FAILED)
        return cli_fail(EXIT_UNREACHABLE, "cannot reach %s over ssh", host);
    return WEXITSTATUS(status);
}

int ssh_lmswitch(const struct cli *cli, const char *const *words, struct buf *out) {
    const char *host = cli->host, *program = getenv("ANCALAGON_SSH"), *all[16];
    size_t count = 0;
    if (host[0] == '\0' || host[0] == '-')
        return cli_fail(EXIT_USAGE, "\"%s\" is no host; write --host user@box", host);
    while (*words && count < 8)
        all[count++] = *words++;
    if (cli->follow)
        all[count++] = "--follow";
    if (cli->json)
        all[count++] = "--json";
    if (cli->no_start)
        all[count++] = "--no-start";
    if (cli->config) {
        all[count++] = "--config";
        all[count++] = cli->config;
    }
    all[count] = NULL;
    struct buf command;
    buf_init(&command, MAX_COMMAND);
    ssh_remote_command(&command, all);
    char *path = control_path(host);
    char *sharing = path ? mem_printf("ControlPath=%s", path) : NULL;
    bool terminal = !out && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    const char *argv[20];
    size_t n = 0;
    argv[n++] = program && *program ? program : "ssh";
    argv[n++] = terminal ? "-t" : "-T"; // with a terminal over there: its progress bar, its Ctrl-C
    argv[n++] = "-o";
    argv[n++] = "LogLevel=ERROR";
    if (sharing) {
        argv[n++] = "-o";
        argv[n++] = "ControlMaster=auto";
        argv[n++] = "-o";
        argv[n++] = "ControlPersist=60";
        argv[n++] = "-o";
        argv[n++] = sharing;
    }
    argv[n++] = "--";
    argv[n++] = host;
    argv[n++] = buf_text(&command);
    argv[n] = NULL;
    int status = run(host, (char *const *)argv, out);
    buf_fini(&command);
    mem_free(sharing);
    mem_free(path);
    return status;
}
