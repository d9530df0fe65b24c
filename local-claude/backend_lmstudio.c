// LM Studio: a server that runs, whose models we list, and load with a context that Claude Code can
// work in. Its own /v1/messages cannot count and answers 200 to whatever it does not know, so our
// relay stands before its /v1/chat/completions.
#include "backend.h"

#include "base/mem.h"
#include "environment.h"
#include "lmstudio.h"
#include "lmstudio_config.h"
#include "lmstudio_kv.h"
#include "menu.h"
#include "model_choice.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

enum {
    USUAL_PORT = 1234,
    PROBE_MS = 300,
    ANSWER_MS = 5000,
    // Its own default, 4096, holds no more than a chat. What does not fit is tried in halves.
    SENSIBLE_CONTEXT = 65536,
    LEAST_CONTEXT = 16384,
};

#define MEMORY "lmstudio"

static bool probe(const struct options *options, char *why, size_t size) {
    struct where where;
    struct lmstudio lmstudio;
    struct err err = {0};
    if (!where_read(&where, options->host, options->port, USUAL_PORT, &err) ||
        !lmstudio_open(&lmstudio, &where, options->key, PROBE_MS, &err)) {
        snprintf(why, size, err.code == ERR_DENIED ? "%s" : "no LM Studio", err.text);
        return false;
    }
    snprintf(why, size, "LM Studio answers on %s", where.name);
    lmstudio_close(&lmstudio);
    return true;
}

// --- Which model

static void list_files(const struct lmstudio *lmstudio, struct model_files *files) {
    files->folder = mem_strdup("LM Studio");
    files->count = lmstudio->count;
    files->items = mem_alloc((lmstudio->count + 1) * sizeof *files->items);
    for (size_t i = 0; i < lmstudio->count; i++) {
        const struct lmstudio_model *model = &lmstudio->models[i];
        files->items[i] = (struct model_file){.file = mem_strdup(model->key),
                                              .path = mem_strdup(model->key),
                                              .quantisation = mem_strdup(model->quantisation),
                                              .reason = mem_strdup(""),
                                              .bytes = model->bytes,
                                              .ctx_tokens = model->max_context_tokens,
                                              .fits = true};
    }
}

static int first_loaded(const struct lmstudio *lmstudio) {
    for (size_t i = 0; i < lmstudio->count; i++)
        if (lmstudio->models[i].instance)
            return (int)i;
    return -1;
}

// The key of the one that is meant: by name, the loaded one, or the one that the user picks.
static char *choose(const struct options *options, const struct lmstudio *lmstudio,
                    struct err *err) {
    struct model_files files = {0};
    bool named = options->model && !model_choice_is_anthropic(options->model);
    int index = named ? -1 : first_loaded(lmstudio);
    if (lmstudio->count == 0) {
        err_set(err, ERR_NOTFOUND, "LM Studio has no language model; download one there");
        return NULL;
    }
    if (index < 0) {
        list_files(lmstudio, &files);
        index = menu_decide(&files, options->model, MEMORY, err);
        model_files_fini(&files);
    }
    return index >= 0 ? mem_strdup(lmstudio->models[index].key) : NULL;
}

// --- How it is loaded

static int64_t wanted_context(const struct options *options, const struct lmstudio_model *model) {
    int64_t most = model->max_context_tokens;
    int64_t wanted = options->context_tokens ? options->context_tokens : SENSIBLE_CONTEXT;
    if (most > 0 && wanted > most) {
        if (options->context_tokens)
            fprintf(stderr, "local-claude: --ctx %lld is more than %s has: %lld is used\n",
                    (long long)wanted, model->key, (long long)most);
        wanted = most;
    }
    return wanted;
}

static bool load(struct lmstudio *lmstudio, const struct options *options, const char *key,
                 int64_t context, struct err *err) {
    for (;; context /= 2) {
        if (lmstudio_load(lmstudio, key, context, err))
            return true;
        if (options->context_tokens || context / 2 < LEAST_CONTEXT || err->code != ERR_LIMIT)
            break;
        fprintf(stderr, "local-claude: not with %lld tokens of context (%s)\n", (long long)context,
                err->text);
    }
    err_context(err, "%s cannot be loaded with %lld tokens of context", key, (long long)context);
    return false;
}

// A second instance of a model would take its memory twice, so one that is too small is unloaded.
static bool make_room(struct lmstudio *lmstudio, const struct options *options,
                      const struct lmstudio_model *model, struct err *err) {
    if (!model->instance || !options->context_tokens || !lmstudio->v1 ||
        model->context_tokens >= wanted_context(options, model))
        return true;
    char *instance = mem_strdup(model->instance);
    fprintf(stderr, "local-claude: %s is loaded with %lld tokens of context: it is loaded anew\n",
            model->key, (long long)model->context_tokens);
    bool ok = lmstudio_unload(lmstudio, instance, err);
    mem_free(instance);
    return ok;
}

static bool have_loaded(struct lmstudio *lmstudio, const struct options *options, const char *key,
                        struct err *err) {
    int64_t context = wanted_context(options, lmstudio_find(lmstudio, key));
    if (!make_room(lmstudio, options, lmstudio_find(lmstudio, key), err))
        return false;
    const struct lmstudio_model *model = lmstudio_find(lmstudio, key);
    if (options->kv) {
        int64_t kept =
            model && model->instance && !options->context_tokens ? model->context_tokens : context;
        return model && lmstudio_kv_set(lmstudio, key, options->kv, kept, err);
    }
    if (model && !model->instance)
        return load(lmstudio, options, key, context, err);
    return model || err_set(err, ERR_PEER, "LM Studio lists %s no more", key);
}

static void describe(const struct options *options, const struct where *where,
                     const struct lmstudio *lmstudio, const struct lmstudio_model *model,
                     struct place *place) {
    place->label = mem_printf("LM Studio at %s", where->name);
    place->address = mem_strdup(lmstudio->address);
    place->port = where->port;
    place->prefix = mem_strdup(where->prefix);
    place->key = mem_strdup(options->key);
    place->model = mem_strdup(model->instance ? model->instance : model->key);
    place->context_tokens =
        model->instance ? model->context_tokens : wanted_context(options, model);
    if (place->context_tokens == 0)
        place->context_tokens = options->context_tokens;
    place->api = CHAT_API_COMPLETIONS;
}

static bool check_options(const struct options *options, const struct where *where,
                          struct err *err) {
    if (!options->kv)
        return true;
    if (!lmstudio_config_is_type(options->kv))
        return err_set(err, ERR_INVALID, "--kv: \"%s\" is no type of a KV cache; there are: %s",
                       options->kv, LMSTUDIO_KV_TYPES);
    return where->loopback ||
           err_set(err, ERR_INVALID,
                   "--kv is written into LM Studio's own files, and those are on %s: run it there",
                   where->host);
}

static bool open_lmstudio(const struct options *options, struct place *place, struct err *err) {
    struct where where;
    struct lmstudio lmstudio;
    *place = (struct place){0};
    if (!where_read(&where, options->host, options->port, USUAL_PORT, err) ||
        !check_options(options, &where, err) ||
        !lmstudio_open(&lmstudio, &where, options->key, ANSWER_MS, err))
        return false;
    char *key = choose(options, &lmstudio, err);
    bool ok = key && (options->dry_run || have_loaded(&lmstudio, options, key, err));
    const struct lmstudio_model *model = ok ? lmstudio_find(&lmstudio, key) : NULL;
    if (model) {
        lmstudio_kv_tell(model, options->kv);
        describe(options, &where, &lmstudio, model, place);
        menu_remember(MEMORY, key);
    } else if (ok) {
        err_set(err, ERR_PEER, "LM Studio lists %s no more", key);
    }
    mem_free(key);
    lmstudio_close(&lmstudio);
    return model != NULL;
}

const struct backend backend_lmstudio = {
    .name = "lmstudio",
    .summary = "LM Studio: one of its models, loaded if need be",
    .probe = probe,
    .open = open_lmstudio,
};
