// A server that runs already: an ancalagon, a llama-server, or whatever speaks OpenAI's API.
#include "backend.h"

#include "base/mem.h"
#include "environment.h"
#include "model_choice.h"
#include "options.h"
#include "server_info.h"

#include <stdio.h>
#include <string.h>

enum {
    USUAL_PORT = 1234,
    PROBE_MS = 300,
    ANSWER_MS = 5000,
};

static const char *const kind_names[] = {
    [SERVER_OTHER] = "server", [SERVER_ANCALAGON] = "ancalagon", [SERVER_LLAMA] = "llama-server"};

// Only what is surely ours to take by itself: others on this port have a backend of their own.
static bool probe(const struct options *options, char *why, size_t size) {
    struct where where;
    struct server_info info;
    struct err err = {0};
    if (!where_read(&where, options->host, options->port, USUAL_PORT, &err)) {
        snprintf(why, size, "%s", err.text);
        return false;
    }
    if (!server_info_read(&info, &where, options->key, PROBE_MS, &err)) {
        if (err.code == ERR_DENIED)
            snprintf(why, size, "%s", err.text);
        else
            snprintf(why, size, "no ancalagon on %s", where.name);
        return false;
    }
    bool known = info.kind != SERVER_OTHER;
    snprintf(why, size, known ? "%s answers on %s" : "the %s on %s is of an unknown kind",
             kind_names[info.kind], where.name);
    server_info_fini(&info);
    return known;
}

static int64_t choose_context(const struct options *options, int64_t told) {
    int64_t wanted = options->context_tokens;
    if (wanted == 0 || told == 0)
        return told ? told : wanted;
    if (wanted > told)
        fprintf(stderr, "local-claude: --ctx %lld is more than the server has: %lld is used\n",
                (long long)wanted, (long long)told);
    return wanted < told ? wanted : told;
}

static void describe(const struct options *options, const struct where *where,
                     const struct server_info *info, size_t index, struct place *place) {
    const char *name = server_info_name(info, index);
    struct server_model model = server_info_model(info, where, index, ANSWER_MS);
    bool renamed = strcmp(environment_model_id(name), name) != 0;
    place->label = mem_printf("%s at %s", kind_names[info->kind], where->name);
    place->address = mem_strdup(info->address);
    place->port = where->port;
    place->prefix = mem_strdup(where->prefix);
    place->key = mem_strdup(info->key);
    place->model = mem_strdup(name);
    place->context_tokens = choose_context(options, model.context_tokens);
    place->blind = model.blind;
    place->toolless = model.toolless;
    place->api = CHAT_API_COMPLETIONS;
    place->llama = info->kind != SERVER_OTHER;
    // Under a name that Claude Code would misread, the relay has to put the right one in.
    place->direct = info->kind == SERVER_ANCALAGON && !renamed;
    if (info->kind == SERVER_ANCALAGON)
        place->api = CHAT_API_MESSAGES;
}

// "--model sonnet" out of habit, or from a script that knows nothing of local models.
static int choose_model(const struct options *options, const struct server_info *info,
                        struct err *err) {
    int index = server_info_choose(info, options->model, err);
    if (index >= 0 || !model_choice_is_anthropic(options->model))
        return index;
    index = server_info_choose(info, NULL, err);
    fprintf(stderr, "local-claude: %s is one of Anthropic's models; %s answers in its place\n",
            options->model, server_info_name(info, (size_t)index));
    return index;
}

// A window that is decided when the model loads is worth the wait: the first prompt would wait too.
static bool learn_window(const struct options *options, struct server_info *info,
                         const struct where *where, size_t index, struct err *err) {
    bool open = info->kind == SERVER_ANCALAGON && options->context_tokens == 0 &&
                !options->dry_run && !options->print_env &&
                server_info_model(info, where, index, ANSWER_MS).context_tokens == 0;
    return !open || server_info_load(info, where, index, err);
}

static bool open_remote(const struct options *options, struct place *place, struct err *err) {
    struct where where;
    struct server_info info;
    *place = (struct place){0};
    if (!where_read(&where, options->host, options->port, USUAL_PORT, err) ||
        !server_info_read(&info, &where, options->key, ANSWER_MS, err))
        return false;
    int index = choose_model(options, &info, err);
    bool ok = index >= 0 && learn_window(options, &info, &where, (size_t)index, err);
    if (ok)
        describe(options, &where, &info, (size_t)index, place);
    server_info_fini(&info);
    return ok;
}

const struct backend backend_remote = {
    .name = "remote",
    .summary = "a server that runs already: ancalagon, or anything OpenAI-compatible",
    .lasting = true,
    .probe = probe,
    .open = open_remote,
};
