// Apple Intelligence through apfel: a window of 4096 tokens (8192 from macOS 27 on), in which
// Claude Code can talk but not work. Its chat completions refuse what they do not know. Source:
// https://github.com/Arthur-Ficial/apfel
#include "backend.h"

#include "ask.h"
#include "base/mem.h"
#include "format/json.h"
#include "http/where.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

enum {
    USUAL_PORT = 11434, // Ollama's too
    PROBE_MS = 300,
    ANSWER_MS = 5000,
    LEAST_WINDOW = 4096, // a cold start tells 0
    RESERVE = 512,       // what it keeps for its answer
};

#define MODEL "apple-foundationmodel"

struct apfel {
    const char *address;
    int64_t context_tokens;
    bool available;
    char status[48];
};

static bool is_apfel(const json_t *models) {
    size_t i;
    const json_t *model;
    json_array_foreach(json_object_get(models, "data"), i,
                       model) if (strcmp(json_get_text(model, "id", ""), MODEL) == 0) return true;
    return false;
}

static void read_health(struct apfel *apfel, const json_t *health) {
    apfel->context_tokens = json_get_int(health, "context_window", 0);
    if (apfel->context_tokens < LEAST_WINDOW)
        apfel->context_tokens = LEAST_WINDOW;
    snprintf(apfel->status, sizeof apfel->status, "%s", json_get_text(health, "status", "ok"));
    apfel->available = strcmp(apfel->status, "model_unavailable") != 0;
}

static bool explain(const struct where *where, const struct ask *ask, struct err *err) {
    if (ask->status == 401 || ask->status == 403)
        return err_set(err, ERR_DENIED, "apfel at %s wants its token; set LCC_API_KEY",
                       where->name);
    if (ask->status == 0)
        return err_set(err, ERR_NOTFOUND, "no apfel on %s; start it: apfel --serve --port %u",
                       where->name, where->port);
    return err_set(err, ERR_NOTFOUND,
                   "what answers on %s is no apfel (Ollama uses this port too); start it on "
                   "another: apfel --serve --port 11435, and name that with --port",
                   where->name);
}

static bool find(struct apfel *apfel, const struct where *where, const char *key,
                 int64_t timeout_ms, struct err *err) {
    struct ask asks[2 * WHERE_ADDRESSES];
    size_t count = 2 * where->count;
    *apfel = (struct apfel){0};
    for (size_t i = 0; i < count; i++)
        asks[i] = (struct ask){.address = where->addresses[i / 2],
                               .port = where->port,
                               .path = i % 2 ? "/health" : "/v1/models",
                               .key = key};
    ask_all(asks, count, timeout_ms);
    for (size_t i = 0; i < count && !apfel->address; i += 2)
        if (ask_good(&asks[i], NULL) && is_apfel(asks[i].json)) {
            apfel->address = where->addresses[i / 2];
            read_health(apfel, asks[i + 1].json);
        }
    if (!apfel->address)
        explain(where, &asks[0], err);
    for (size_t i = 0; i < count; i++)
        ask_fini(&asks[i]);
    return apfel->address != NULL;
}

static bool probe(const struct options *options, char *why, size_t size) {
    struct where where;
    struct apfel apfel;
    struct err err = {0};
    bool ok = where_read(&where, options->host, options->port, USUAL_PORT, &err) &&
              find(&apfel, &where, options->key, PROBE_MS, &err) && apfel.available;
    snprintf(why, size, ok ? "apfel answers on %s" : "no apfel", where.name);
    return ok;
}

static bool open_apfel(const struct options *options, struct place *place, struct err *err) {
    struct where where;
    struct apfel apfel;
    *place = (struct place){0};
    if (!where_read(&where, options->host, options->port, USUAL_PORT, err) ||
        !find(&apfel, &where, options->key, ANSWER_MS, err))
        return false;
    if (!apfel.available)
        return err_set(err, ERR_BUSY,
                       "apfel answers, but Apple Intelligence is not available (%s): switch it on "
                       "in System Settings, and wait until its model is there",
                       apfel.status);
    fprintf(stderr,
            "local-claude: chat only: Claude Code's tools take 19K tokens, Apple Intelligence has "
            "%lld. The oldest turns are left out when it is full\n",
            (long long)apfel.context_tokens);
    place->label = mem_printf("Apple Intelligence (apfel) at %s", where.name);
    place->address = mem_strdup(apfel.address);
    place->port = where.port;
    place->prefix = mem_strdup("");
    place->key = mem_strdup(options->key);
    place->model = mem_strdup(MODEL);
    place->context_tokens = apfel.context_tokens;
    place->max_output_tokens = RESERVE;
    place->api = CHAT_API_COMPLETIONS;
    place->chat_only = place->trims = place->plain = place->blind = true;
    return true;
}

const struct backend backend_apfel = {
    .name = "apfel",
    .summary = "Apple Intelligence through apfel: a small window, chat only",
    .probe = probe,
    .open = open_apfel,
};
