// A model on another machine, over one ssh connection: a private ancalagon there when it has one,
// else its llama-server; reached through a socket that the connection carries, and ended with it.
#define _GNU_SOURCE
#include "backend.h"

#include "ask.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/diagnose.h"
#include "engine/props.h"
#include "event/loop.h"
#include "far_error.h"
#include "far_script.h"
#include "format/json.h"
#include "llama_log.h"
#include "menu.h"
#include "options.h"
#include "private_server.h"
#include "ssh.h"
#include "tether.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    SHOW_EVERY_MS = 100,
    MAX_COMMAND = 64 * 1024,
    MAX_ANSWERS = 4000, // one write into a pipe
    MAX_LOG = 64 * 1024,
    HEALTH_MS = 5000,
    KEY_BYTES = 24,
};

#define MARK "@lc "

static struct ssh *connection;

// One opening.
struct far {
    const struct options *options;
    const char *host;
    struct ssh *ssh;
    struct tether *tether;
    struct model_files files;
    const struct model_file *file; // chosen
    bool ancalagon;
    char key[4 + 2 * KEY_BYTES]; // of a bare llama-server
    struct buf log;              // of the same
    struct wait_view view;
};

// --- What there is

static void read_file(struct far *far, const char *text) {
    int64_t bytes;
    size_t digits = strspn(text, "0123456789");
    char number[24];
    snprintf(number, sizeof number, "%.*s", (int)digits, text);
    if (text[digits] == ' ' && str_to_int(number, 0, INT64_MAX, &bytes))
        model_files_add(&far->files, text + digits + 1, bytes);
}

static void read_models(struct far *far, const char *text) {
    json_t *listing = json_parse(text, strlen(text), 0, 0, NULL);
    model_files_read(&far->files, listing);
    json_decref(listing);
}

enum heard { HEARD_MORE, HEARD_CHOOSE, HEARD_ERROR };

static enum heard hear(struct far *far, const char *line, struct err *err) {
    if (!str_starts(line, MARK))
        return HEARD_MORE; // a login's greeting
    const char *text = line + strlen(MARK);
    if (str_starts(text, "hello "))
        far->ancalagon = str_starts(text, "hello ancalagon");
    else if (str_starts(text, "models "))
        read_models(far, text + 7);
    else if (str_starts(text, "file "))
        read_file(far, text + 5);
    else if (str_starts(text, "choose"))
        return HEARD_CHOOSE;
    else if (str_starts(text, "error ")) {
        far_error_told(err, far->host, text + 6);
        return HEARD_ERROR;
    }
    return HEARD_MORE;
}

static bool list_models(struct far *far, struct err *err) {
    char label[160];
    snprintf(label, sizeof label, "connecting to %.100s", far->host);
    far->files.folder = mem_printf(
        "%s of %s", far->options->remote_models_dir ? far->options->remote_models_dir : "~/models",
        far->host);
    enum heard heard = HEARD_MORE;
    const char *line;
    while (heard == HEARD_MORE) {
        enum tether_event event = tether_read(far->tether, SHOW_EVERY_MS, &line);
        if (event == TETHER_LINE)
            heard = hear(far, line, err);
        if (event == TETHER_END) {
            far_error_ended(err, far->host, tether_errors(far->tether));
            heard = HEARD_ERROR;
        }
        if (!ssh_may_ask(far->ssh))
            wait_view_show(&far->view, label, -1, 0);
    }
    tether_take_terminal(far->tether);
    wait_view_end(&far->view);
    return heard == HEARD_CHOOSE;
}

static bool choose(struct far *far, struct err *err) {
    char *memory = mem_printf("remote-llama-%s", far->host);
    for (char *p = memory; *p; p++)
        if (*p == '/')
            *p = '_';
    int index = menu_decide(&far->files, far->options->model, memory, err);
    if (index >= 0) {
        far->file = &far->files.items[index];
        menu_remember(memory, far->file->path);
    } else {
        err_context(err, "%s", far->host);
    }
    mem_free(memory);
    return index >= 0;
}

// --- Our answers

static bool make_key(char *key, struct err *err) {
    unsigned char random[KEY_BYTES];
    if (getentropy(random, sizeof random) != 0)
        return err_errno(err, "cannot get random bytes for a key");
    snprintf(key, 4, "sk-");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(key + 3 + 2 * i, 3, "%02x", random[i]);
    return true;
}

// A llama-server alone chooses no draft, so only a file that is named is one.
static const char *draft_for(const struct far *far) {
    const char *draft = far->options->draft;
    bool word = draft && (strcmp(draft, "auto") == 0 || strcmp(draft, "none") == 0);
    return draft && (far->ancalagon || !word) ? draft : "";
}

static bool answer(struct far *far, struct err *err) {
    const struct options *options = far->options;
    struct buf lines;
    int64_t ctx = model_file_ctx(far->file, options->context_tokens);
    if (!make_key(far->key, err))
        return false;
    buf_init(&lines, MAX_ANSWERS);
    const char *model = far->file->preset ? far->file->preset : far->file->path;
    bool ok = !strchr(model, '\n') && !strchr(draft_for(far), '\n') &&
              buf_printf(&lines, "=%s\n=", model) &&
              (!ctx || buf_printf(&lines, "%lld", (long long)ctx)) &&
              buf_printf(&lines, "\n=%s\n=", draft_for(far)) &&
              (!options->port || buf_printf(&lines, "%u", options->port)) &&
              buf_printf(&lines, "\n=%s\n", far->key);
    if (!ok)
        err_set(err, ERR_INVALID, "the model's name is none that can be sent to %s", far->host);
    else if (!(ok = tether_write(far->tether, buf_bytes(&lines), lines.length)))
        far_error_ended(err, far->host, tether_errors(far->tether));
    buf_fini(&lines);
    return ok;
}

// --- A llama-server that is alone

static void keep_log(struct far *far, const char *line) {
    if (far->log.length > MAX_LOG / 2)
        buf_drain(&far->log, far->log.length - MAX_LOG / 4);
    buf_printf(&far->log, "%.2000s\n", line);
}

// Its end, from its log and "@lc ended STATUS"; or the connection's.
static void tell_end(struct far *far, const char *line, struct err *err) {
    int64_t status = 0;
    const char *ended = line ? strstr(line, MARK "ended ") : NULL;
    struct diagnosis diagnosis;
    if (!ended) {
        far_error_ended(err, far->host, tether_errors(far->tether));
        return;
    }
    str_to_int(ended + strlen(MARK "ended "), 0, 255, &status);
    struct child_exit exit = {.code = status > 128 ? -1 : (int)status,
                              .signal = status > 128 ? (int)status - 128 : 0};
    diagnose(buf_text(&far->log), &exit, &diagnosis);
    err_set(err, ERR_PEER, "llama-server on %s: %.260s%s%.140s", far->host, diagnosis.text,
            diagnosis.fix[0] ? " " : "", diagnosis.fix);
}

static unsigned await_port(struct far *far, const char *label, struct err *err) {
    const char *line;
    unsigned port = 0;
    while (port == 0) {
        enum tether_event event = tether_read(far->tether, SHOW_EVERY_MS, &line);
        wait_view_show(&far->view, label, -1, 0);
        if (event == TETHER_END || (event == TETHER_LINE && str_starts(line, MARK "ended"))) {
            tell_end(far, event == TETHER_LINE ? line : NULL, err);
            break;
        }
        if (event == TETHER_LINE) {
            keep_log(far, line);
            port = llama_log_port(line);
        }
    }
    return port;
}

// Older builds listen before the model is there.
static bool await_health(struct far *far, const char *socket, const char *label, struct err *err) {
    const char *line;
    int64_t deadline = loop_now_ms() + HEALTH_MS;
    for (;;) {
        struct ask ask = {.unix_path = socket, .path = "/health", .key = far->key};
        ask_all(&ask, 1, HEALTH_MS);
        unsigned status = ask.status;
        struct err why = ask.err;
        ask_fini(&ask);
        if (status == 200)
            return true;
        if (status == 503)
            deadline = loop_now_ms() + HEALTH_MS; // it is loading
        if (loop_now_ms() > deadline)
            return err_set(err, ERR_PEER,
                           "the way through ssh to %s does not open: %s (does its sshd allow "
                           "AllowTcpForwarding?)",
                           far->host, why.text);
        enum tether_event event = tether_read(far->tether, SHOW_EVERY_MS, &line);
        wait_view_show(&far->view, label, -1, 0);
        if (event == TETHER_END || (event == TETHER_LINE && str_starts(line, MARK "ended"))) {
            tell_end(far, event == TETHER_LINE ? line : NULL, err);
            return false;
        }
        if (event == TETHER_LINE)
            keep_log(far, line);
    }
}

static struct props ask_props(const struct far *far, const char *socket) {
    struct ask ask = {.unix_path = socket, .path = "/props", .key = far->key};
    ask_all(&ask, 1, HEALTH_MS);
    struct props props = props_read(ask.json);
    ask_fini(&ask);
    return props;
}

static bool open_bare(struct far *far, struct place *place, struct err *err) {
    char label[240];
    snprintf(label, sizeof label, "loading %.120s on %.100s", far->file->file, far->host);
    wait_view_init(&far->view);
    unsigned port = await_port(far, label, err);
    const char *socket = port ? ssh_forward(far->ssh, port, err) : NULL;
    bool ok = socket && await_health(far, socket, label, err);
    wait_view_end(&far->view);
    if (!ok)
        return false;
    struct props props = ask_props(far, socket);
    place->label = mem_printf("llama-server on %s, for this run", far->host);
    place->unix_path = mem_strdup(socket);
    place->key = mem_strdup(far->key);
    place->model = model_file_name(far->file);
    place->context_tokens = props.window_tokens;
    place->blind = props.blind;
    place->toolless = props.toolless;
    place->api = CHAT_API_COMPLETIONS;
    return true;
}

// --- An ancalagon

static bool open_ancalagon(struct far *far, struct place *place, struct err *err) {
    struct private_server server;
    char *name = mem_printf("%s on %s", far->file->file, far->host);
    bool ok = private_server_wait(far->tether, name, &server, err);
    mem_free(name);
    if (!ok) {
        err_context(err, "%s", far->host);
        return false;
    }
    const char *socket = ssh_forward(far->ssh, server.port, err);
    if (socket) {
        snprintf(far->key, sizeof far->key, "%s", server.key ? server.key : "");
        ok = await_health(far, socket, "connecting", err);
    }
    if (socket && ok) {
        place->label =
            mem_printf("ancalagon on %s, for this run%s%s", far->host,
                       server.draft ? ", speculating with " : "", server.draft ? server.draft : "");
        place->unix_path = mem_strdup(socket);
        place->key = mem_strdup(server.key);
        place->model = mem_strdup(server.preset);
        place->context_tokens = server.ctx_tokens;
        place->toolless = server.toolless;
        place->api = CHAT_API_MESSAGES;
    }
    private_server_fini(&server);
    return socket && ok;
}

// --- The whole

static bool talk(struct far *far, struct place *place, struct err *err) {
    wait_view_init(&far->view);
    if (!list_models(far, err) || !choose(far, err))
        return false;
    if (far->options->dry_run)
        return place_foretell(place, far->file, far->options->context_tokens, far->host, err);
    if (!answer(far, err))
        return false;
    return far->ancalagon ? open_ancalagon(far, place, err) : open_bare(far, place, err);
}

static bool open_remote_llama(const struct options *options, struct place *place, struct err *err) {
    struct far far = {.options = options,
                      .host = options->ssh_host ? options->ssh_host : options->host};
    struct far_asked asked = {options->remote_models_dir, options->llama_server};
    struct buf command;
    *place = (struct place){0};
    buf_init(&command, MAX_COMMAND);
    buf_init(&far.log, MAX_LOG);
    far_command(&command, &asked);
    far.ssh = ssh_open(far.host, buf_text(&command), err);
    far.tether = far.ssh ? ssh_tether(far.ssh) : NULL;
    bool ok = far.ssh && talk(&far, place, err);
    if (ok) {
        place->prefix = place->prefix ? place->prefix : mem_strdup("");
        place->llama = true;
        tether_settle(far.tether);
        connection = far.ssh;
    } else {
        place_fini(place);
        ssh_close(far.ssh);
    }
    mem_wipe(far.key, sizeof far.key);
    model_files_fini(&far.files);
    buf_fini(&far.log);
    buf_fini(&command);
    return ok;
}

static void close_remote_llama(void) {
    ssh_close(connection);
    connection = NULL;
}

const struct backend backend_remote_llama = {
    .name = "remote-llama",
    .summary = "llama-server on another machine over ssh, for this run",
    .open = open_remote_llama,
    .close = close_remote_llama,
};
