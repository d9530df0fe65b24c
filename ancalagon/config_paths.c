#define _GNU_SOURCE
#include "config_private.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCAN_FILES_MAX 4096u

// Folds "." and ".."; a path that cannot be resolved stays as it is.
static char *absolute(char *path) {
    char *full = path_absolute(path, NULL);
    if (!full)
        return path;
    mem_free(path);
    return full;
}

char *config_resolve_beside(const struct config *config, const char *value) {
    char *expanded = path_expand(value);
    const char *slash = strrchr(config->path, '/');
    char *folder = mem_strndup(config->path, slash ? (size_t)(slash - config->path) + 1 : 0);
    char *full = path_join(*folder ? folder : ".", expanded);
    mem_free(folder);
    mem_free(expanded);
    return absolute(full);
}

void config_set_models_dirs(struct config *config, const char *server_models) {
    const char *variable = getenv("ANCALAGON_MODELS");
    char **dirs = mem_alloc(5 * sizeof *dirs);
    size_t count = 0;
    if (server_models)
        dirs[count++] = config_resolve_beside(config, server_models);
    if (variable && *variable)
        dirs[count++] = absolute(path_expand(variable));
    dirs[count++] = path_expand("~/models");
    dirs[count++] = path_cache("models");
    config_free_list(config->models_dirs);
    config->models_dirs = dirs;
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *config_resolve_model(const struct config *config, const char *value, bool *exists) {
    char *expanded = path_expand(value);
    if (expanded[0] == '/') {
        *exists = is_file(expanded);
        return absolute(expanded);
    }
    char *found = NULL;
    for (char **dir = config->models_dirs; *dir && !found; dir++) {
        found = path_join(*dir, expanded);
        if (!is_file(found)) {
            mem_free(found);
            found = NULL;
        }
    }
    *exists = found != NULL;
    if (!found)
        found = path_join(config->models_dirs[0], expanded);
    mem_free(expanded);
    return absolute(found);
}

static bool is_program(const char *path) { return is_file(path) && access(path, X_OK) == 0; }

// Searches PATH as a shell does, but only its absolute folders. NULL when it is not there.
static char *find_on_path(const char *name) {
    const char *p = getenv("PATH");
    while (p && *p) {
        size_t length = strcspn(p, ":");
        if (*p == '/') {
            char *full = mem_printf("%.*s/%s", (int)length, p, name);
            if (is_program(full))
                return full;
            mem_free(full);
        }
        p += length + (p[length] == ':');
    }
    return NULL;
}

char *config_resolve_engine(const struct config *config, const char *engine, bool *exists) {
    const char *variable = getenv("ANCALAGON_ENGINE");
    char *path;
    if (strcmp(engine, "default") == 0) {
        path = variable && *variable ? absolute(path_expand(variable)) : NULL;
        if (!path)
            path = find_on_path("llama-server");
        if (!path)
            path = path_cache("engine/bin/llama-server");
    } else if (strchr(engine, '/')) {
        path = config_resolve_beside(config, engine);
    } else if (!(path = find_on_path(engine))) {
        // A fork beside the default engine: engine/NAME/bin/llama-server in the cache.
        char *name = mem_printf("engine/%s/bin/llama-server", engine);
        path = path_cache(name);
        mem_free(name);
    }
    *exists = is_program(path);
    return path;
}

// Files found, as paths; sorted at the end so that the answer does not depend on the disk.
struct found {
    char **paths;
    size_t count;
};

static bool is_first_part(const char *name) {
    const char *of = strstr(name, "-of-");
    return !of || of - name < 6 || of[-6] != '-' || strspn(of - 5, "0123456789") != 5 ||
           memcmp(of - 5, "00001", 5) == 0;
}

// Whatever it is named: also projectors and adapters.
static bool is_gguf_name(const char *name) {
    size_t length = strlen(name);
    return name[0] != '.' && length > 5 && strcasecmp(name + length - 5, ".gguf") == 0 &&
           is_first_part(name);
}

static bool is_model_name(const char *name) {
    return is_gguf_name(name) && !strcasestr(name, "mmproj");
}

static void scan_dir(const char *dir, bool deeper, bool (*wanted)(const char *name),
                     struct found *found) {
    DIR *handle = opendir(dir);
    struct dirent *item;
    while (handle && (item = readdir(handle)) && found->count < SCAN_FILES_MAX) {
        if (item->d_name[0] == '.')
            continue;
        char *path = path_join(dir, item->d_name);
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && deeper)
            scan_dir(path, false, wanted, found);
        if (!wanted(item->d_name) || !is_file(path)) {
            mem_free(path);
            continue;
        }
        found->paths = mem_resize(found->paths, (found->count + 1) * sizeof *found->paths);
        found->paths[found->count++] = path;
    }
    if (handle)
        closedir(handle);
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Links and folders reached by two ways count once.
static bool is_same_file(const char *a, const char *b) {
    struct stat x, y;
    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

char **config_model_files(const char *dir) {
    struct found found = {NULL, 0};
    size_t kept = 0;
    scan_dir(dir, true, is_gguf_name, &found);
    if (found.count)
        qsort(found.paths, found.count, sizeof *found.paths, compare_paths);
    struct stat *seen = mem_alloc((found.count + 1) * sizeof *seen);
    for (size_t i = 0; i < found.count; i++) {
        bool again = stat(found.paths[i], &seen[kept]) != 0;
        for (size_t k = 0; k < kept && !again; k++)
            again = seen[k].st_dev == seen[kept].st_dev && seen[k].st_ino == seen[kept].st_ino;
        if (again)
            mem_free(found.paths[i]);
        else
            found.paths[kept++] = found.paths[i];
    }
    mem_free(seen);
    found.paths = mem_resize(found.paths, (kept + 1) * sizeof *found.paths);
    found.paths[kept] = NULL;
    return found.paths;
}

static bool is_taken(const struct config *config, const char *path) {
    for (size_t i = 0; i < config->presets_count; i++)
        if (is_same_file(config->presets[i].model, path))
            return true;
    return false;
}

// "Models/Qwen3-4B Q4-00001-of-00003.gguf" -> "qwen3-4b-q4", with -2, -3 ... when that is taken.
static char *name_for(const struct config *config, const char *path) {
    const char *file = strrchr(path, '/') + 1;
    size_t length = strlen(file) - 5;
    const char *of = strstr(file, "-00001-of-");
    if (of && of > file)
        length = (size_t)(of - file);
    if (length > PRESET_NAME_MAX - 4)
        length = PRESET_NAME_MAX - 4;
    char *stem = mem_strndup(file, length);
    for (char *p = stem; *p; p++) {
        char one[2] = {*p, '\0'};
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
        else if (!config_is_name(one) || *p == '/')
            *p = '-';
    }
    const char *start = stem + strspn(stem, "-"); // else it would be taken for an option
    if (*start == '\0')
        start = "model";
    char *name = mem_strdup(start);
    for (unsigned n = 2; config_is_reserved(name) || config_find(config, name); n++) {
        mem_free(name);
        name = mem_printf("%s-%u", start, n);
    }
    mem_free(stem);
    return name;
}

static bool add_scanned(struct config *config, const char *path) {
    struct preset preset = {.is_scanned = true};
    preset.name = name_for(config, path);
    preset.model = mem_strdup(path);
    if (!config_make_preset(config, config_defaults(config), NULL, &preset)) {
        preset_fini(&preset); // [*] is wrong, and already said so
        return false;
    }
    config_add_preset(config, &preset);
    return true;
}

const struct preset *config_add_model(struct config *config, const char *path) {
    return config->presets_count < CONFIG_PRESETS_MAX && add_scanned(config, path)
               ? &config->presets[config->presets_count - 1]
               : NULL;
}

size_t config_scan_models(struct config *config) {
    struct found found = {NULL, 0};
    size_t added = 0, last = 0;
    while (config->models_dirs[last + 1])
        last++;
    scan_dir(config->models_dirs[0], true, is_model_name, &found);
    if (last > 0)
        scan_dir(config->models_dirs[last], true, is_model_name, &found);
    if (found.count)
        qsort(found.paths, found.count, sizeof *found.paths, compare_paths);
    for (size_t i = 0; i < found.count; i++) {
        if (config->presets_count < CONFIG_PRESETS_MAX && !is_taken(config, found.paths[i]))
            added += add_scanned(config, found.paths[i]);
        mem_free(found.paths[i]);
    }
    mem_free(found.paths);
    return added;
}

void config_free_files(char **files) { config_free_list(files); }
