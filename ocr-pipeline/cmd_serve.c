// ocr-pipeline serve: the API in the foreground.
#include "api.h"
#include "base/log.h"
#include "base/system.h"
#include "commands.h"
#include "http/address.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: ocr-pipeline serve [--listen ADDR:PORT] [--config FILE] [--fast] [--debug]\n\n"
    "Answers on ADDR:PORT (default 127.0.0.1:8091) until Ctrl-C, as Google's Gemini API does and\n"
    "under /api/v41/ocr. Any address beyond loopback demands keys: [server] api-key-file.\n\n"
    "  --listen ADDR:PORT   overrides [server] listen\n"
    "  --fast               the small networks: three times as fast, more mistakes\n"
    "  --config FILE        settings (default ~/.config/ancalagon/ocr.ini)\n"
    "  --debug              log more\n\n"
    "  curl -s --data-binary @photo.jpg -H 'Content-Type: image/jpeg' \\\n"
    "      http://127.0.0.1:8091/api/v41/ocr/poste/42\n\n"
    "Exit codes: 0 ended, 1 failed, 2 usage, 3 config, 4 set-up is missing,\n"
    "7 the disk is full.\n";

struct serve {
    const char *listen, *config_path;
    bool fast;
    struct config *config;
    struct pipeline *pipeline;
    struct loop *loop;
    struct api *api;
    struct signal_watch terminate, interrupt;
    struct timer patience;
    bool ending;
};

enum { PATIENCE_MS = 60000 };

static void on_idle(void *arg) {
    struct serve *serve = arg;
    loop_stop(serve->loop);
}

// What is not done waits in the store; a share that hangs is not waited for.
static void on_patience_gone(void *arg) {
    log_warn("ocr.end why=\"something does not end\"");
    _exit(EXIT_DONE);
}

// The photos that are being read end first: their networks cannot be taken away. Twice: at once.
static void on_signal(int signal, void *arg) {
    struct serve *serve = arg;
    if (serve->ending)
        _exit(EXIT_INTERRUPTED);
    serve->ending = true;
    log_info("ocr.ending reading=%u", desk_running(serve->api->desk));
    timer_start(&serve->patience, PATIENCE_MS);
    api_wind_down(serve->api, on_idle, serve);
}

// --- The socket

static bool open_api(struct serve *serve, struct err *err) {
    const struct config *config = serve->config;
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    int fd = http_listen_tcp(config->listen_host, config->listen_port, err);
    if (fd < 0)
        return false;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        close(fd);
        return err_errno(err, "cannot tell our own port");
    }
    serve->api =
        api_create(serve->loop, config, serve->pipeline, !address_is_loopback(&address), err);
    if (!serve->api) {
        close(fd);
        return false;
    }
    if (!http_server_listen(serve->api->server, fd, err))
        return false;
    bool v6 = strchr(config->listen_host, ':') != NULL;
    log_info("ocr.ready listen=%s%s%s:%u workers=%u pid=%d", v6 ? "[" : "", config->listen_host,
             v6 ? "]" : "", address_port(&address), config->workers, (int)getpid());
    return true;
}

// --- The run

static int run(struct serve *serve) {
    struct err err = {0};
    if (serve->listen && !config_listen(serve->config, serve->listen, &err))
        return command_fail(EXIT_USAGE, "--listen: %s", err.text);
    if (serve->fast)
        config_fast(serve->config);
    serve->pipeline = pipeline_create(serve->config, &err);
    if (!serve->pipeline)
        return command_fail(err.code == ERR_NOTFOUND ? EXIT_SETUP : EXIT_FAILED, "%s", err.text);
    serve->loop = loop_create(&err);
    if (!serve->loop || !open_api(serve, &err))
        return command_fail(err.code == ERR_NOTFOUND ? EXIT_SETUP : command_status(&err), "%s",
                            err.text);
    signal_watch_start(&serve->terminate, serve->loop, SIGTERM, on_signal, serve);
    signal_watch_start(&serve->interrupt, serve->loop, SIGINT, on_signal, serve);
    timer_init(&serve->patience, serve->loop, on_patience_gone, serve);
    loop_run(serve->loop);
    timer_stop(&serve->patience);
    signal_watch_stop(&serve->terminate);
    signal_watch_stop(&serve->interrupt);
    log_info("ocr.end");
    return EXIT_DONE;
}

static bool take_option(void *arg, int letter) {
    struct serve *serve = arg;
    switch (letter) {
    case 'l': serve->listen = optarg; break;
    case 'c': serve->config_path = optarg; break;
    case 'f': serve->fast = true; break;
    case 'd': log_set_level(LOG_LEVEL_DEBUG); break;
    default: return false;
    }
    return true;
}

static int parse(struct serve *serve, int argc, char **argv) {
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'}, {"config", required_argument, NULL, 'c'},
        {"fast", no_argument, NULL, 'f'},         {"debug", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    int status = command_options(argc, argv, options, help, take_option, serve);
    if (status >= 0)
        return status;
    if (optind < argc)
        return command_fail(EXIT_USAGE, "serve takes no \"%s\"", argv[optind]);
    return -1;
}

int cmd_serve(int argc, char **argv) {
    struct serve serve = {0};
    int status = parse(&serve, argc, argv);
    if (status >= 0)
        return status;
    system_return_memory(); // photos are large, and must not stay in malloc's heaps
    signal(SIGPIPE, SIG_IGN);
    serve.config = command_config(serve.config_path, &status);
    if (serve.config)
        status = run(&serve);
    api_destroy(serve.api);
    loop_destroy(serve.loop);
    pipeline_destroy(serve.pipeline);
    config_destroy(serve.config);
    return status;
}
