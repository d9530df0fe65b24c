#define _GNU_SOURCE
#include "private_server.h"

#include "base/mem.h"
#include "base/str.h"
#include "event/loop.h"
#include "format/json.h"
#include "tether.h"

#include <stdio.h>
#include <string.h>

enum { SHOW_EVERY_MS = 100, SHOW_AFTER_MS = 300, TELL_AFTER_MS = 1000 };

// --- The bar

void wait_view_init(struct wait_view *view) {
    progress_init(&view->bar, stderr);
    view->since_ms = loop_now_ms();
    view->told = false;
}

void wait_view_show(struct wait_view *view, const char *label, int64_t elapsed_ms,
                    int64_t expected_ms) {
    int64_t waited = loop_now_ms() - view->since_ms;
    if (waited >= SHOW_AFTER_MS)
        progress_draw(&view->bar, label, elapsed_ms < 0 ? waited : elapsed_ms, expected_ms);
    if (view->bar.shown || view->told || waited < TELL_AFTER_MS)
        return;
    view->told = true;
    fprintf(stderr, "local-claude: %s\n", label);
}

void wait_view_end(struct wait_view *view) { progress_clear(&view->bar); }

void last_words(const char *printed, char *out, size_t size) {
    out[0] = '\0';
    while (*printed) {
        size_t length = strcspn(printed, "\r\n");
        if (length)
            snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), printed);
        printed += length;
        printed += strspn(printed, "\r\n");
    }
    if (str_starts(out, "ancalagon: "))
        memmove(out, out + 11, strlen(out) - 10);
}

// --- The lines

struct waiting {
    struct private_server *server;
    struct wait_view view;
    const char *name;
    char label[160];
    int64_t elapsed_ms, expected_ms, heard_ms;
    bool ready;
};

static void set_label(struct waiting *waiting, const char *what) {
    snprintf(waiting->label, sizeof waiting->label, "%s %.120s", what, waiting->name);
}

static bool read_listen(struct private_server *server, const json_t *line, struct err *err) {
    const char *listen = json_get_text(line, "listen", ""), *colon = strrchr(listen, ':');
    int64_t port;
    if (!colon || !str_to_int(colon + 1, 1, 65535, &port))
        return err_set(err, ERR_PEER, "ancalagon listens on \"%.60s\", which is no address",
                       listen);
    server->address = mem_strndup(listen, (size_t)(colon - listen));
    server->port = (unsigned)port;
    server->key = mem_strdup(json_get_text(line, "key", NULL));
    return true;
}

static void read_ready(struct waiting *waiting, const json_t *line) {
    struct private_server *server = waiting->server;
    const json_t *draft = json_object_get(line, "draft");
    server->preset = mem_strdup(json_get_text(line, "preset", waiting->name));
    server->ctx_tokens = json_get_int(line, "ctx", 0);
    server->toolless = !json_get_bool(line, "tools", true);
    if (json_get_bool(draft, "on", false))
        server->draft = mem_strdup(json_get_text(draft, "model", NULL));
    waiting->ready = true;
}

static bool take(struct waiting *waiting, const char *text, struct err *err) {
    if (text[0] != '{')
        return true;
    json_t *line = json_parse(text, strlen(text), 0, 0, NULL);
    const char *state = json_get_text(line, "state", "");
    bool ok = true;
    if (json_object_get(line, "listen"))
        ok = read_listen(waiting->server, line, err);
    else if (strcmp(state, "ready") == 0 && waiting->server->address)
        read_ready(waiting, line);
    else if (strcmp(state, "failed") == 0)
        ok = err_set(err, ERR_PEER, "%s", json_get_text(line, "error", "it could not be loaded"));
    else if (strcmp(state, "loading") == 0) {
        set_label(waiting, "loading");
        waiting->elapsed_ms = json_get_int(line, "elapsed_ms", 0);
        waiting->expected_ms = json_get_int(line, "expected_ms", 0);
        waiting->heard_ms = loop_now_ms();
    }
    json_decref(line);
    return ok;
}

static void show(struct waiting *waiting) {
    int64_t since = waiting->heard_ms ? loop_now_ms() - waiting->heard_ms : 0;
    wait_view_show(&waiting->view, waiting->label,
                   waiting->heard_ms ? waiting->elapsed_ms + since : -1, waiting->expected_ms);
}

bool private_server_wait(struct tether *tether, const char *name, struct private_server *server,
                         struct err *err) {
    struct waiting waiting = {.server = server, .name = name};
    *server = (struct private_server){0};
    wait_view_init(&waiting.view);
    set_label(&waiting, "planning");
    bool ok = true;
    const char *line;
    while (ok && !waiting.ready) {
        enum tether_event event = tether_read(tether, SHOW_EVERY_MS, &line);
        if (event == TETHER_LINE) {
            ok = take(&waiting, line, err);
        } else if (event == TETHER_END) {
            char words[400];
            last_words(tether_errors(tether), words, sizeof words);
            ok = err_set(err, ERR_PEER, "%s", words[0] ? words : "ancalagon ended without a word");
        }
        show(&waiting);
    }
    wait_view_end(&waiting.view);
    if (!ok)
        private_server_fini(server);
    return ok;
}

void private_server_fini(struct private_server *server) {
    if (server->key)
        mem_wipe(server->key, strlen(server->key));
    mem_free(server->key);
    mem_free(server->address);
    mem_free(server->preset);
    mem_free(server->draft);
    *server = (struct private_server){0};
}
