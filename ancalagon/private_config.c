#include "private_config.h"

#include "base/mem.h"
#include "base/path.h"
#include "config_private.h"
#include "guard.h"
#include "preset_overlay.h"

#include <string.h>
#include <sys/stat.h>

enum { STOP_GRACE_MS = 500 }; // whoever started us is gone: nobody waits for an answer

static bool same_file(const char *a, const struct stat *b) {
    struct stat st;
    return stat(a, &st) == 0 && st.st_dev == b->st_dev && st.st_ino == b->st_ino;
}

// The user's own preset of a file comes before one that the scan made.
static const struct preset *find_by_file(const struct config *config, const struct stat *file) {
    const struct preset *found = NULL;
    for (size_t i = 0; i < config->presets_count; i++) {
        const struct preset *preset = &config->presets[i];
        if ((!found || (found->is_scanned && !preset->is_scanned)) &&
            same_file(preset->model, file))
            found = preset;
    }
    return found;
}

// Nobody asks for the models that were found besides: their names are free.
static const struct preset *add_model(struct config *config, const char *path) {
    size_t kept = 0;
    for (size_t i = 0; i < config->presets_count; i++) {
        if (config->presets[i].is_scanned)
            preset_fini(&config->presets[i]);
        else
            config->presets[kept++] = config->presets[i];
    }
    config->presets_count = kept;
    return config_add_model(config, path);
}

static const struct preset *find(struct config *config, const char *model, struct err *err) {
    const struct preset *preset = config_find(config, model);
    if (preset)
        return preset;
    bool exists;
    struct stat file;
    char *path = strchr(model, '/') ? path_absolute(model, NULL)
                                    : config_resolve_model(config, model, &exists);
    if (!path || stat(path, &file) != 0 || !S_ISREG(file.st_mode))
        err_set(err, ERR_NOTFOUND, "there is neither a preset nor a model file %s", model);
    else if (!(preset = find_by_file(config, &file)) && !(preset = add_model(config, path)))
        err_set(err, ERR_INVALID, "[*] in %s leaves no preset for %s", config->path, model);
    mem_free(path);
    return preset;
}

static void lay(struct overlay *overlays, size_t *count, const char *setting, const char *value) {
    if (value)
        overlays[(*count)++] = (struct overlay){setting, value};
}

// A file is found as models are; words stay what they are.
static bool find_draft(const struct config *config, const char *draft, char **out,
                       struct err *err) {
    struct stat file;
    bool exists;
    *out = NULL;
    if (!draft || strcmp(draft, "auto") == 0 || strcmp(draft, "none") == 0) {
        *out = mem_strdup(draft);
        return true;
    }
    *out = strchr(draft, '/') ? path_absolute(draft, NULL)
                              : config_resolve_model(config, draft, &exists);
    return (*out && stat(*out, &file) == 0) ||
           err_set(err, ERR_NOTFOUND, "there is no draft %s", *out ? *out : draft);
}

static bool make_preset(const struct preset *from, const struct private_wish *wish,
                        const char *draft, struct preset *out, struct err *err) {
    struct overlay overlays[8];
    size_t count = 0;
    bool open = from->is_scanned; // nobody has said anything about it but [*]
    lay(overlays, &count, "ctx",
        wish->ctx                               ? wish->ctx
        : open && !preset_get(from, "ctx-size") ? "max"
                                                : NULL);
    lay(overlays, &count, "draft",
        wish->draft            ? wish->draft
        : open && !from->draft ? "auto"
                               : NULL);
    if (open && !from->kv_type)
        lay(overlays, &count, "kv", "auto");
    if (open && !preset_get(from, "n-cpu-moe") && !preset_get(from, "cpu-moe"))
        lay(overlays, &count, "n-cpu-moe", "auto");
    return preset_overlay(from, wish->engine, overlays, count, out, err);
}

static void keep_only(struct config *config, const struct preset *preset) {
    for (size_t i = 0; i < config->presets_count; i++)
        preset_fini(&config->presets[i]);
    config->presets_count = 0;
    config_add_preset(config, preset);
    config->presets[0].is_default = true;
    config->presets[0].idle_off_ms = 0;
    config->scan = false;
}

static void set_server(struct config *config, const struct private_wish *wish) {
    mem_free(config->listen_host);
    config->listen_host = mem_strdup("127.0.0.1");
    config->listen_port = 0;
    config->on_demand = true;
    config->stop_grace_ms = STOP_GRACE_MS;
    if (wish->models) {
        char *folder = path_absolute(wish->models, NULL);
        config_set_models_dirs(config, folder ? folder : wish->models);
        mem_free(folder);
    }
}

struct config *private_config(const char *config_path, const struct private_wish *wish,
                              struct err *err) {
    struct preset preset;
    char key[GUARD_KEY_SIZE], *draft = NULL;
    struct config *config = config_load(config_path, err);
    if (config)
        set_server(config, wish);
    const struct preset *from = config ? find(config, wish->model, err) : NULL;
    if (!from || !find_draft(config, wish->draft, &draft, err) || !guard_make_key(key, err) ||
        !make_preset(from, wish, draft, &preset, err)) {
        mem_free(draft);
        config_destroy(config);
        return NULL;
    }
    mem_free(draft);
    config->own_key = mem_strdup(key);
    mem_wipe(key, sizeof key);
    keep_only(config, &preset);
    return config;
}
