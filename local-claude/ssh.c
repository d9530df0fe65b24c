#define _GNU_SOURCE
#include "ssh.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/run_folder.h"
#include "base/system.h"
#include "event/child.h"
#include "far_script.h"
#include "private_server.h"
#include "programs.h"
#include "tether.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    // ssh binds a temporary name 17 characters longer, in the 103 that a socket address has
    // (macOS).
    MAX_SOCKET = 86,
    GRACE_MS = 1500,
    FORWARD_MS = 10000,
    MAX_SAID = 64 * 1024,
};

struct ssh {
    char *host, *program, *folder, *control, *api;
    int lock, terminal;
    struct tether *tether;
};

static char *find_program(struct err *err) {
    const char *named = getenv("ANCALAGON_SSH");
    char *path = named && *named ? (strchr(named, '/') ? mem_strdup(named) : program_on_path(named))
                                 : program_on_path("ssh");
    if (!path)
        err_set(err, ERR_NOTFOUND, "there is no ssh on PATH");
    return path;
}

// Where sockets have room for their names.
static char *make_folder(int *lock, struct err *err) {
    char *base = path_runtime_of("local-claude");
    if (strlen(base) + strlen("/12345678/ssh") > MAX_SOCKET) {
        mem_free(base);
        base = mem_printf("/tmp/local-claude-%u", (unsigned)getuid());
    }
    char *folder = path_make_private(base, err) ? run_folder_make(base, "", lock, err) : NULL;
    mem_free(base);
    return folder;
}

// Only a process in front may hand the terminal on.
static int open_terminal(void) {
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return -1;
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd >= 0 && tcgetpgrp(fd) == getpgrp())
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool start(struct ssh *ssh, const char *command, struct err *err) {
    char *path = mem_printf("ControlPath=%s", ssh->control);
    const char *argv[] = {
        "ssh", "-T",
        // A machine that is unreachable is noticed in the time in which it notices us.
        "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", "-o", "ConnectTimeout=15",
        // Ours alone: a master that others share would outlive us, or not be ours to end.
        "-o", "ControlMaster=yes", "-o", path, "-o", "ControlPersist=no", "-o",
        ssh->terminal >= 0 ? "BatchMode=no" : "BatchMode=yes",
        // What the user's config has for this machine besides.
        "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no", "-o", "ForwardX11=no", "-o",
        "RemoteCommand=none", "-o", "RequestTTY=no", "-o", "PermitLocalCommand=no", "-o",
        "StreamLocalBindUnlink=yes", "-o", "LogLevel=ERROR", "--", ssh->host, command, NULL};
    struct tether_spec spec = {.path = ssh->program,
                               .argv = (char *const *)argv,
                               .envp = environ,
                               .beat_ms = FAR_BEAT_MS,
                               .grace_ms = GRACE_MS,
                               .terminal = ssh->terminal,
                               .folder = ssh->folder,
                               .folder_lock = ssh->lock};
    ssh->tether = tether_start(&spec, err);
    mem_free(path);
    return ssh->tether != NULL;
}

struct ssh *ssh_open(const char *host, const char *command, struct err *err) {
    if (!host || !*host || *host == '-') {
        err_set(err, ERR_INVALID,
                "say which machine: REMOTE_SSH_HOST=user@box (what ssh takes), or ssh-host in "
                "~/.config/local-claude.ini");
        return NULL;
    }
    struct ssh *ssh = mem_alloc(sizeof *ssh);
    ssh->lock = ssh->terminal = -1;
    ssh->host = mem_strdup(host);
    if (!(ssh->program = find_program(err)) || !(ssh->folder = make_folder(&ssh->lock, err))) {
        ssh_close(ssh);
        return NULL;
    }
    ssh->control = path_join(ssh->folder, "ssh");
    ssh->api = path_join(ssh->folder, "api");
    ssh->terminal = open_terminal();
    if (start(ssh, command, err))
        return ssh;
    ssh_close(ssh);
    return NULL;
}

void ssh_close(struct ssh *ssh) {
    if (!ssh)
        return;
    tether_end(ssh->tether);
    if (ssh->lock >= 0)
        close(ssh->lock);
    if (ssh->terminal >= 0)
        close(ssh->terminal);
    mem_free(ssh->host);
    mem_free(ssh->program);
    mem_free(ssh->folder);
    mem_free(ssh->control);
    mem_free(ssh->api);
    mem_free(ssh);
}

struct tether *ssh_tether(struct ssh *ssh) {
    return ssh->tether;
}

bool ssh_may_ask(const struct ssh *ssh) { return ssh->terminal >= 0; }

// Asked of the connection that stands, by another ssh that only passes the request on.
const char *ssh_forward(struct ssh *ssh, unsigned port, struct err *err) {
    char *forward = mem_printf("%s:127.0.0.1:%u", ssh->api, port);
    const char *argv[] = {"ssh",
                          "-F",
                          "none",
                          "-S",
                          ssh->control,
                          "-O",
                          "forward",
                          "-L",
                          forward,
                          "-o",
                          "StreamLocalBindUnlink=yes",
                          "--",
                          ssh->host,
                          NULL};
    struct spawn_spec spec = {.path = ssh->program, .argv = (char *const *)argv, .envp = environ};
    struct buf said;
    int status = 0;
    buf_init(&said, MAX_SAID);
    bool ok = child_capture(&spec, FORWARD_MS, MAX_SAID, &said, &status, err);
    if (ok && status != 0) {
        char words[300];
        last_words(buf_text(&said), words, sizeof words);
        ok = err_set(err, ERR_PEER, "ssh cannot forward port %u of %s: %s", port, ssh->host, words);
    }
    buf_fini(&said);
    mem_free(forward);
    return ok ? ssh->api : NULL;
}
