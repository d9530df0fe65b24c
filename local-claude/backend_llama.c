// A model on this machine: a private ancalagon of this run, which plans what fits, starts
// llama-server, and ends when we do.
#define _GNU_SOURCE
#include "backend.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/system.h"
#include "event/child.h"
#include "format/json.h"
#include "menu.h"
#include "options.h"
#include "private_server.h"
#include "programs.h"
#include "tether.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LIST_MS = 120 * 1000, // folders on a share that has to wake up
    MAX_LIST = 32 << 20,
    GRACE_MS = 1500, // more than ancalagon gives its engine
    ARGS = 24,
};

#define MEMORY "llama"

static struct tether *tether;

// --- Is it there?

static char *find_engine(const struct options *options) {
    if (options->llama_server)
        return mem_strdup(options->llama_server);
    char *found = program_on_path("llama-server");
    if (found)
        return found;
    char *built = path_cache("engine/bin/llama-server");
    if (program_is(built))
        return built;
    mem_free(built);
    return NULL;
}

static bool has_models(const char *dir, bool deeper) {
    DIR *folder = opendir(dir);
    struct dirent *entry;
    bool found = false;
    while (folder && !found && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        char *path = path_join(dir, entry->d_name);
        struct stat st;
        found = str_ends(entry->d_name, ".gguf") ||
                (deeper && stat(path, &st) == 0 && S_ISDIR(st.st_mode) && has_models(path, false));
        mem_free(path);
    }
    if (folder)
        closedir(folder);
    return found;
}

static bool find_models(const struct options *options) {
    const char *variable = getenv("ANCALAGON_MODELS");
    char *home = path_expand("~/models"), *cache = path_cache("models");
    bool found = options->models_dir ? has_models(options->models_dir, true)
                                     : (variable && has_models(variable, true)) ||
                                           has_models(home, true) || has_models(cache, true);
    mem_free(home);
    mem_free(cache);
    return found;
}

static bool probe(const struct options *options, char *why, size_t size) {
    char *ancalagon = program_of_house("ancalagon"), *engine = find_engine(options);
    bool models = find_models(options), ok = ancalagon && engine && models;
    if (ok)
        snprintf(why, size, "there is %s, and there are models", engine);
    else
        snprintf(why, size, "%s",
                 !engine      ? "no llama-server on PATH"
                 : !ancalagon ? "no ancalagon to run llama-server with"
                              : "llama-server is there, but no model (MODELS_DIR)");
    mem_free(ancalagon);
    mem_free(engine);
    return ok;
}

// --- What there is

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

// Of `ancalagon models --json`: the listing, or its own words.
static bool read_listing(struct model_files *files, struct buf *said, int status, struct err *err) {
    const char *text = buf_text(said), *start = strchr(text, '{');
    json_t *listing = start ? json_parse(start, strlen(start), 0, 0, NULL) : NULL;
    if (status == 0 && listing) {
        model_files_read(files, listing);
    } else {
        char words[400];
        last_words(text, words, sizeof words);
        err_set(err, ERR_SYSTEM, "%s", words[0] ? words : "ancalagon cannot list the models");
    }
    bool ok = status == 0 && listing;
    json_decref(listing);
    return ok;
}

static bool list_models(const char *ancalagon, const char *folder, struct model_files *files,
                        struct err *err) {
    const char *argv[] = {"ancalagon", "models", "--json", folder, NULL};
    struct spawn_spec spec = {.path = ancalagon, .argv = (char *const *)argv, .envp = environ};
    struct buf said;
    int status = 0;
    buf_init(&said, MAX_LIST);
    bool ok = child_capture(&spec, LIST_MS, MAX_LIST, &said, &status, err) &&
              read_listing(files, &said, status, err);
    buf_fini(&said);
    return ok;
}

// A file that is named by its path need not lie in the models folder.
static char *path_of(const struct options *options) {
    if (!options->model || !strchr(options->model, '/'))
        return NULL;
    char *expanded = path_expand(options->model), *path = path_absolute(expanded, NULL);
    mem_free(expanded);
    if (path && is_file(path))
        return path;
    mem_free(path);
    return NULL;
}

static bool choose(const struct options *options, const char *ancalagon, struct model_files *files,
                   size_t *chosen, struct err *err) {
    char *path = path_of(options), *folder = mem_strdup(path ? path : options->models_dir);
    if (path)
        folder[strrchr(path, '/') - path + (strrchr(path, '/') == path)] = '\0';
    bool ok = list_models(ancalagon, folder, files, err);
    int index = ok ? menu_decide(files, path ? path : options->model, MEMORY, err) : -1;
    mem_free(folder);
    mem_free(path);
    *chosen = index >= 0 ? (size_t)index : 0;
    return index >= 0;
}

// --- The run

struct command {
    const char *argv[ARGS];
    size_t count;
    char ctx[24], listen[32];
};

static void add(struct command *command, const char *option, const char *value) {
    if (!value)
        return;
    command->argv[command->count++] = option;
    command->argv[command->count++] = value;
}

static void make_command(struct command *command, const struct options *options,
                         const struct model_file *file) {
    *command = (struct command){.argv = {"ancalagon", "private"}, .count = 2};
    int64_t ctx = model_file_ctx(file, options->context_tokens);
    snprintf(command->ctx, sizeof command->ctx, "%lld", (long long)ctx);
    snprintf(command->listen, sizeof command->listen, "127.0.0.1:%u", options->port);
    add(command, "--model", file->preset ? file->preset : file->path);
    add(command, "--ctx", ctx ? command->ctx : NULL);
    add(command, "--draft", options->draft);
    add(command, "--engine", options->llama_server);
    add(command, "--models", options->models_dir);
    add(command, "--listen", options->port ? command->listen : NULL);
}

static void describe(struct private_server *server, struct place *place) {
    place->label =
        mem_printf("ancalagon on this machine, for this run%s%s",
                   server->draft ? ", speculating with " : "", server->draft ? server->draft : "");
    place->address = mem_strdup(server->address);
    place->port = server->port;
    place->prefix = mem_strdup("");
    place->key = mem_strdup(server->key);
    place->model = mem_strdup(server->preset);
    place->context_tokens = server->ctx_tokens;
    place->api = CHAT_API_MESSAGES;
    place->toolless = server->toolless;
    place->llama = true;
    place->direct = !str_starts(server->preset, "claude-");
}

static bool start(const struct options *options, const char *ancalagon,
                  const struct model_file *file, struct place *place, struct err *err) {
    struct command command;
    struct private_server server;
    make_command(&command, options, file);
    struct tether_spec spec = {.path = ancalagon,
                               .argv = (char *const *)command.argv,
                               .envp = environ,
                               .grace_ms = GRACE_MS,
                               .terminal = -1,
                               .folder_lock = -1};
    tether = tether_start(&spec, err);
    bool ok = tether && private_server_wait(tether, file->file, &server, err);
    if (ok) {
        tether_settle(tether);
        describe(&server, place);
        private_server_fini(&server);
        menu_remember(MEMORY, file->path);
    } else {
        tether_end(tether);
        tether = NULL;
    }
    return ok;
}

static bool open_llama(const struct options *options, struct place *place, struct err *err) {
    struct model_files files = {0};
    size_t chosen;
    *place = (struct place){0};
    char *ancalagon = program_of_house("ancalagon");
    bool ok = ancalagon ||
              err_set(err, ERR_NOTFOUND,
                      "ancalagon is neither beside local-claude nor on PATH; it runs the model");
    ok = ok && choose(options, ancalagon, &files, &chosen, err);
    if (ok && options->dry_run)
        ok = place->direct = place_foretell(place, &files.items[chosen], options->context_tokens,
                                            "this machine", err);
    else
        ok = ok && start(options, ancalagon, &files.items[chosen], place, err);
    model_files_fini(&files);
    mem_free(ancalagon);
    return ok;
}

static void close_llama(void) {
    tether_end(tether);
    tether = NULL;
}

const struct backend backend_llama = {
    .name = "llama",
    .summary = "llama-server on this machine, for this run",
    .probe = probe,
    .open = open_llama,
    .close = close_llama,
};
