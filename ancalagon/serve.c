// Under a terminal, systemd, or a program that wants a model of its own.
#define _GNU_SOURCE
#include "serve.h"

#include "attendant.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/run_folder.h"
#include "base/system.h"
#include "commands.h"
#include "event/tie.h"
#include "http/address.h"
#include "notify.h"
#include "private_config.h"
#include "runtime.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { TERMINAL_EVERY_MS = 500 };

struct serve {
    const struct serve_options *options;
    struct loop *loop;
    struct server *server;
    struct signal_watch terminate, interrupt, hangup;
    struct notify notify; // systemd, when it started us
    struct timer watchdog;
    struct timer terminal; // whether it is there still
    int lock_fd, file_lock_fd;
    struct attendant *attendant; // of a private server
    char *runtime_dir;
    char *file_dir; // of the presets file's real path, when it was named by a link; else NULL
};

// --- Signals and systemd

static void on_terminate(int signal, void *arg) {
    struct serve *serve = arg;
    notify_stopping(&serve->notify);
    server_stop(serve->server);
}

static void on_hangup(int signal, void *arg) {
    struct serve *serve = arg;
    struct err err;
    if (serve->options->wish) { // there is no file to read again; the terminal has gone
        server_stop(serve->server);
        return;
    }
    notify_reloading(&serve->notify);
    if (!server_reload(serve->server, &err))
        log_error("server.reload error=\"%s\"", err.text);
    notify_ready(&serve->notify);
}

static void on_watchdog(void *arg) {
    struct serve *serve = arg;
    notify_watchdog(&serve->notify);
    timer_start(&serve->watchdog, serve->notify.watchdog_ms);
}

// SIGHUP does not tell it: whoever leads the terminal's session gets that, and may be a make or a
// wrapper that waits for us and says nothing.
static void on_look_at_terminal(void *arg) {
    struct serve *serve = arg;
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENXIO) {
        log_info("server.terminal_closed");
        on_terminate(SIGHUP, serve);
        return;
    }
    if (fd >= 0)
        close(fd);
    timer_start(&serve->terminal, TERMINAL_EVERY_MS);
}

// --- Sockets

// Public sockets: systemd's when it passed some, else our own. Returns how many, 0 = failed.
static int open_sockets(struct notify *notify, const struct config *config, int fds[], int max,
                        bool *exposed, struct err *err) {
    int count = 0;
    for (size_t i = 0; i < notify->fds_count && count < max; i++) {
        fds[count++] = notify->fds[i].fd;
        notify->fds[i].fd = -1; // taken
    }
    if (count == 0) {
        fds[0] = http_listen_tcp(config->listen_host, config->listen_port, err);
        count = fds[0] >= 0;
    }
    *exposed = false;
    for (int i = 0; i < count; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        if (getsockname(fds[i], (struct sockaddr *)&address, &length) != 0 ||
            !address_is_loopback(&address))
            *exposed = true;
    }
    return count;
}

// The address as clients would write it; the port may have been 0.
static void describe_listen(struct server *server, int fd) {
    const struct config *config = server->config;
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    unsigned port = config->listen_port;
    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0 && address_port(&address))
        port = address_port(&address);
    bool v6 = strchr(config->listen_host, ':') != NULL;
    snprintf(server->listen, sizeof server->listen, "%s%s%s:%u", v6 ? "[" : "", config->listen_host,
             v6 ? "]" : "", port);
}

static bool take_lock(const char *folder, int *fd, struct err *err) {
    if (!path_make_private(folder, err))
        return false;
    char *path = path_join(folder, "lock");
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool ok = *fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) == 0;
    if (!ok && errno == EWOULDBLOCK)
        err_set(err, ERR_BUSY,
                "a server is already running for this config; see: ancalagon status");
    else if (!ok)
        err_errno(err, "cannot lock %s", path);
    mem_free(path);
    return ok;
}

static void remove_folder(const char *folder) {
    static const char *const names[] = {"control.sock", "lock"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = path_join(folder, names[i]);
        unlink(path);
        mem_free(path);
    }
    rmdir(folder);
}

static bool make_private_folder(struct serve *serve, struct err *err) {
    char *base = path_runtime();
    serve->runtime_dir = run_folder_make(base, "private-", &serve->lock_fd, err);
    mem_free(base);
    return serve->runtime_dir != NULL;
}

// One server a config, whatever links name it: the locks are held as long as we live.
static bool take_locks(struct serve *serve, const char *config_path, struct err *err) {
    if (serve->options->wish)
        return make_private_folder(serve, err);
    serve->runtime_dir = runtime_dir_for(config_path);
    if (!take_lock(serve->runtime_dir, &serve->lock_fd, err))
        return false;
    char file[PATH_MAX];
    if (realpath(config_path, file) && strcmp(file, config_path) != 0)
        serve->file_dir = runtime_dir_for(file);
    if (!serve->file_dir || take_lock(serve->file_dir, &serve->file_lock_fd, err))
        return true;
    remove_folder(serve->runtime_dir);
    return false;
}

// So that commands find us by the file's own name, too.
static void link_control(const struct serve *serve, const char *control) {
    if (!serve->file_dir)
        return;
    char *path = path_join(serve->file_dir, "control.sock");
    unlink(path);
    if (symlink(control, path) != 0)
        log_warn("serve.link path=%s error=%d", path, errno);
    mem_free(path);
}

static bool start(struct serve *serve, struct config *config, struct err *err) {
    int fds[8];
    bool exposed;
    bool listen_given = serve->options->listen || serve->notify.fds_count > 0;
    int count = open_sockets(&serve->notify, config, fds, 8, &exposed, err);
    if (count == 0) {
        config_destroy(config);
        return false;
    }
    serve->server = server_create(serve->loop, config, serve->runtime_dir,
                                  serve->options->wish != NULL, exposed, err);
    if (!serve->server)
        return false;
    serve->server->listen_given = listen_given;
    describe_listen(serve->server, fds[0]);
    for (int i = 0; i < count; i++)
        if (!http_server_listen(serve->server->front, fds[i], err))
            return false;
    if (serve->options->wish)
        return true; // who started it says what it does
    char *control = path_join(serve->runtime_dir, "control.sock");
    int fd = http_listen_unix(control, err);
    link_control(serve, control);
    mem_free(control);
    return fd >= 0 && http_server_listen(serve->server->control, fd, err);
}

// nohup's word counts for more than ours.
static bool is_to_end_with_terminal(const struct serve *serve) {
    struct sigaction hangup;
    return serve->options->with_terminal && sigaction(SIGHUP, NULL, &hangup) == 0 &&
           hangup.sa_handler != SIG_IGN;
}

static void watch_outside(struct serve *serve) {
    timer_init(&serve->terminal, serve->loop, on_look_at_terminal, serve);
    if (is_to_end_with_terminal(serve))
        on_look_at_terminal(serve);
    signal_watch_start(&serve->terminate, serve->loop, SIGTERM, on_terminate, serve);
    signal_watch_start(&serve->interrupt, serve->loop, SIGINT, on_terminate, serve);
    signal_watch_start(&serve->hangup, serve->loop, SIGHUP, on_hangup, serve);
    timer_init(&serve->watchdog, serve->loop, on_watchdog, serve);
    if (serve->notify.watchdog_ms > 0)
        on_watchdog(serve);
}

static void unwatch_outside(struct serve *serve) {
    signal_watch_stop(&serve->terminate);
    signal_watch_stop(&serve->interrupt);
    signal_watch_stop(&serve->hangup);
    timer_stop(&serve->watchdog);
    timer_stop(&serve->terminal);
}

static struct config *load(const struct serve_options *options, int *status) {
    struct err err = {0};
    struct config *config = options->wish
                                ? private_config(options->config_path, options->wish, &err)
                                : config_load(options->config_path, &err);
    *status = err.code == ERR_NOTFOUND ? EXIT_USAGE : EXIT_CONFIG;
    if (config && options->listen) {
        mem_free(config->listen_host);
        config->listen_host = NULL;
        if (!config_parse_listen(options->listen, &config->listen_host, &config->listen_port,
                                 &err)) {
            err_context(&err, "--listen");
            config_destroy(config);
            config = NULL;
            *status = EXIT_USAGE;
        }
    }
    if (!config)
        fprintf(stderr, "ancalagon: %s\n", err.text);
    return config;
}

static void attend(struct serve *serve, struct config *config) {
    if (!serve->options->wish)
        return;
    serve->attendant = attendant_start(serve->server, config->own_key, serve->options->beat_ms);
}

static void remove_folders(struct serve *serve) {
    if (serve->options->wish)
        run_folder_remove(serve->runtime_dir);
    else
        remove_folder(serve->runtime_dir);
    if (serve->file_dir)
        remove_folder(serve->file_dir);
}

static int run(struct serve *serve) {
    struct err err = {0};
    int status;
    struct config *config = load(serve->options, &status);
    if (!config)
        return status;
    if (!take_locks(serve, config->path, &err)) {
        fprintf(stderr, "ancalagon: %s\n", err.text);
        config_destroy(config);
        return EXIT_FAILED;
    }
    serve->loop = loop_create(&err);
    bool ok = serve->loop && start(serve, config, &err);
    if (ok) {
        watch_outside(serve);
        log_info("server.ready listen=%s presets=%zu pid=%d", serve->server->listen,
                 config->presets_count, (int)getpid());
        notify_ready(&serve->notify);
        attend(serve, config);
        loop_run(serve->loop);
        ok = !attendant_failed(serve->attendant);
        attendant_end(serve->attendant);
        unwatch_outside(serve);
        log_info("server.end");
    } else {
        fprintf(stderr, "ancalagon: %s\n", err.text);
    }
    server_destroy(serve->server);
    loop_destroy(serve->loop);
    remove_folders(serve);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

int serve_run(const struct serve_options *options) {
    struct serve serve = {.options = options, .lock_fd = -1, .file_lock_fd = -1};
    system_return_memory(); // large bodies must not stay in malloc's heaps
    signal(SIGPIPE, SIG_IGN);
    tie_adopt(); // what an engine forks away comes back to us
    struct err err;
    if (!notify_init(&serve.notify, &err))
        log_warn("serve.notify why=\"%s\"", err.text);
    int status = run(&serve);
    notify_fini(&serve.notify);
    mem_free(serve.runtime_dir);
    mem_free(serve.file_dir);
    if (serve.lock_fd >= 0)
        close(serve.lock_fd);
    if (serve.file_lock_fd >= 0)
        close(serve.file_lock_fd);
    return status;
}
