#include "config.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/system.h"
#include "http/address.h"
#include "http/where.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum kind {
    TEXT,
    PATH,
    PATH_OR_NONE,
    COUNT,
    BYTES,
    SHARE,
    DURATION,
    SWITCH,
    LISTEN,
    FAST,
    CHOICE,
    URL
};

#define MEMBER(name) offsetof(struct config, name)

// `least` and `most` are of counts, bytes and milliseconds.
static const struct setting {
    const char *section, *key;
    enum kind kind;
    size_t member;
    const char *initial; // as a line of the file would say it; NULL: nothing
    int64_t least, most;
    const char *choices; // of CHOICE, in the order of its enum, blanks between
} settings[] = {
    {"server", "listen", LISTEN, 0, "127.0.0.1:8091", 0, 0},
    {"server", "api-key-file", PATH, MEMBER(api_key_file), NULL, 0, 0},
    {"server", "allow-host", TEXT, MEMBER(allow_host), NULL, 0, 0},
    {"server", "state-dir", PATH, MEMBER(state_dir), NULL, 0, 0},
    {"read", "by", CHOICE, MEMBER(read_by), "ocr", 0, 0, "ocr vlm both"},
    {"read", "runtime", PATH, MEMBER(runtime), NULL, 0, 0},
    {"read", "fast", FAST, 0, NULL, 0, 0},
    {"read", "detect", PATH, MEMBER(detect), NULL, 0, 0},
    {"read", "orient", PATH, MEMBER(orient), NULL, 0, 0},
    {"read", "recognize", PATH, MEMBER(recognize), NULL, 0, 0},
    {"read", "dictionary", PATH, MEMBER(dictionary), NULL, 0, 0},
    {"read", "threads", COUNT, MEMBER(threads), "2", 1, 64},
    {"read", "workers", COUNT, MEMBER(workers), "1", 1, 8},
    {"read", "side", COUNT, MEMBER(side_pixels), "1600", 320, 8000},
    {"read", "box-confidence", SHARE, MEMBER(box_confidence), "0.5", 0, 0},
    {"read", "line-confidence", SHARE, MEMBER(line_confidence), "0.5", 0, 0},
    {"plate", "model", PATH_OR_NONE, MEMBER(plate_model), NULL, 0, 0},
    {"plate", "names", TEXT, MEMBER(plate_names), NULL, 0, 0},
    {"plate", "confidence", SHARE, MEMBER(plate_confidence), "0.25", 0, 0},
    {"plate", "padding", SHARE, MEMBER(plate_padding), "0.10", 0, 0},
    {"reason", "by", CHOICE, MEMBER(reason_by), "rules", 0, 0, "rules llm both"},
    {"vlm", "url", URL, MEMBER(vlm.url), NULL, 0, 0},
    {"vlm", "model", TEXT, MEMBER(vlm.model), NULL, 0, 0},
    {"vlm", "api-key-file", PATH, MEMBER(vlm.key_file), NULL, 0, 0},
    {"vlm", "timeout", DURATION, MEMBER(vlm.timeout_ms), "120s", 100, 3600000},
    {"vlm", "tokens", COUNT, MEMBER(vlm.tokens), "2048", 16, 100000},
    {"vlm", "fallback", SWITCH, MEMBER(vlm_fallback), "yes", 0, 0},
    {"llm", "url", URL, MEMBER(llm.url), NULL, 0, 0},
    {"llm", "model", TEXT, MEMBER(llm.model), NULL, 0, 0},
    {"llm", "api-key-file", PATH, MEMBER(llm.key_file), NULL, 0, 0},
    {"llm", "timeout", DURATION, MEMBER(llm.timeout_ms), "120s", 100, 3600000},
    {"llm", "tokens", COUNT, MEMBER(llm.tokens), "1024", 16, 100000},
    {"llm", "fallback", SWITCH, MEMBER(llm_fallback), "yes", 0, 0},
    {"gpu", "wait", DURATION, MEMBER(gpu_wait_ms), "10m", 0, 86400000},
    {"gpu", "pause", DURATION, MEMBER(gpu_pause_ms), "30s", 0, 3600000},
    {"gpu", "retry", DURATION, MEMBER(gpu_retry_ms), "24h", 0, 366LL * 86400000},
    {"audit", "characters", SHARE, MEMBER(audit.characters_least), NULL, 0, 0},
    {"audit", "listed", SHARE, MEMBER(audit.listed_least), NULL, 0, 0},
    {"audit", "confidence", SHARE, MEMBER(audit.confidence_least), NULL, 0, 0},
    {"audit", "fuse-utility", TEXT, MEMBER(audit.fuse_utility), NULL, 0, 0},
    {"audit", "identification", CHOICE, MEMBER(audit.identified), "poles", 0, 0,
     "poles photos off"},
    {"records", "file", PATH, MEMBER(records.file), NULL, 0, 0},
    {"records", "url", TEXT, MEMBER(records.url), NULL, 0, 0},
    {"records", "query", TEXT, MEMBER(records.query), NULL, 0, 0},
    {"records", "images-query", TEXT, MEMBER(records.images_query), NULL, 0, 0},
    {"records", "tag-images", SWITCH, MEMBER(records.tag_images), "on", 0, 0},
    {"records", "keep-images", DURATION, MEMBER(records.keep_ms), "720h", 60000, 3660LL * 86400000},
    {"records", "connect-timeout", DURATION, MEMBER(records.connect_ms), "5s", 100, 600000},
    {"records", "timeout", DURATION, MEMBER(records.timeout_ms), "5s", 100, 600000},
    {"records", "tolerance", SHARE, MEMBER(records_tolerance), "0.05", 0, 0},
    {"limits", "photo", BYTES, MEMBER(photo_bytes), "64M", 1024, 1LL << 30},
    {"limits", "photo-pixels", BYTES, MEMBER(photo_pixels), "120000000", 10000, 1LL << 31},
    {"limits", "body", BYTES, MEMBER(body_bytes), "200M", 1024, 4LL << 30},
    {"limits", "poles", COUNT, MEMBER(poles), "50", 1, 10000},
    {"limits", "photos-a-pole", COUNT, MEMBER(photos_a_pole), "30", 1, 1000},
    {"limits", "queue", COUNT, MEMBER(queue), "64", 1, 10000},
    {"limits", "file-wait", DURATION, MEMBER(file_wait_ms), "2m", 100, 86400000},
    {"limits", "keep-jobs", DURATION, MEMBER(keep_ms), "168h", 0, 366LL * 86400000},
};

enum { SETTINGS = sizeof settings / sizeof *settings };

// Sections of the same file that others read: domains.h.
static bool is_others(const char *section) {
    return str_starts(section, "ocr.") || str_starts(section, "maker ") ||
           str_starts(section, "fuses ");
}

static const char *keep(struct config *config, char *text) {
    config->texts = mem_resize(config->texts, (config->text_count + 1) * sizeof *config->texts);
    config->texts[config->text_count++] = text;
    return text;
}

// --- Values

static bool share_of(const char *text, float *out) {
    char *end;
    if (text[strspn(text, "0123456789.")] || !text[0])
        return false;
    double value = strtod(text, &end); // digits and one point: the same in every locale we set
    if (*end || value < 0 || value > 1)
        return false;
    *out = (float)value;
    return true;
}

// Relative to the file that says it.
static char *path_from(const struct config *config, const char *text) {
    char *expanded = path_expand(text);
    const char *slash = config->path ? strrchr(config->path, '/') : NULL;
    if (expanded[0] == '/' || !slash)
        return expanded;
    char *folder = mem_strndup(config->path, (size_t)(slash - config->path + 1));
    char *path = path_join(folder, expanded);
    mem_free(folder);
    mem_free(expanded);
    return path;
}

bool config_listen(struct config *config, const char *text, struct err *err) {
    char *host;
    if (!address_listen(text, 8091, &host, &config->listen_port, err))
        return false;
    config->listen_host = keep(config, host);
    return true;
}

static bool set_number(void *member, const struct setting *setting, const char *value) {
    int64_t number;
    uint64_t bytes;
    switch (setting->kind) {
    case COUNT:
        if (!str_to_int(value, setting->least, setting->most, &number))
            return false;
        *(unsigned *)member = (unsigned)number;
        return true;
    case BYTES:
        if (!str_to_size(value, &bytes) || bytes < (uint64_t)setting->least ||
            bytes > (uint64_t)setting->most)
            return false;
        *(uint64_t *)member = bytes;
        return true;
    case DURATION:
        return str_to_duration_ms(value, (int64_t *)member) &&
               *(int64_t *)member >= setting->least && *(int64_t *)member <= setting->most;
    default: return share_of(value, member);
    }
}

static const char *wanted(const struct setting *setting, char *text, size_t size) {
    if (setting->kind == SHARE)
        return "a number from 0 to 1, such as 0.5";
    if (setting->kind == DURATION)
        return "a time such as 36h, 10m or 90s";
    snprintf(text, size, "a whole number from %lld to %lld%s", (long long)setting->least,
             (long long)setting->most, setting->kind == BYTES ? "; K, M and G may be used" : "");
    return text;
}

// A host whose name nobody knows today may be there when it is asked.
static bool set_url(struct config *config, const char **member, const char *value,
                    struct err *err) {
    struct where where;
    struct err why = {0};
    *member = keep(config, mem_strdup(value));
    return where_read(&where, value, 0, 80, &why) || why.code == ERR_NOTFOUND ||
           err_set(err, ERR_INVALID, "url %s", why.text);
}

// The place of a word in a list.
static bool choice_of(const char *choices, const char *value, int *out) {
    size_t length = strlen(value);
    for (*out = 0; *choices; (*out)++) {
        size_t word = strcspn(choices, " ");
        if (word == length && strncmp(choices, value, word) == 0)
            return true;
        choices += word;
        choices += *choices == ' ';
    }
    return false;
}

static bool set(struct config *config, const struct setting *setting, const char *value,
                struct err *err) {
    void *member = (char *)config + setting->member;
    char text[96];
    bool on;
    if (!value[0])
        return err_set(err, ERR_INVALID, "%s needs a value", setting->key);
    switch (setting->kind) {
    case TEXT: *(const char **)member = keep(config, mem_strdup(value)); return true;
    case PATH: *(const char **)member = keep(config, path_from(config, value)); return true;
    case PATH_OR_NONE:
        *(const char **)member =
            strcmp(value, "none") == 0 ? NULL : keep(config, path_from(config, value));
        return true;
    case LISTEN: return config_listen(config, value, err);
    case URL: return set_url(config, member, value, err);
    case CHOICE:
        return choice_of(setting->choices, value, member) ||
               err_set(err, ERR_INVALID, "%s \"%.40s\" is none of: %s", setting->key, value,
                       setting->choices);
    case FAST:
    case SWITCH:
        if (!str_to_bool(value, &on))
            return err_set(err, ERR_INVALID, "%s \"%.40s\" is neither on nor off", setting->key,
                           value);
        if (setting->kind == SWITCH)
            *(bool *)member = on;
        else if (on)
            config_fast(config);
        return true;
    default:
        return set_number(member, setting, value) ||
               err_set(err, ERR_INVALID, "%s \"%.40s\" is not %s", setting->key, value,
                       wanted(setting, text, sizeof text));
    }
}

// --- The file

static const struct setting *find(const char *section, const char *key) {
    for (int i = 0; i < SETTINGS; i++)
        if (strcmp(settings[i].section, section) == 0 &&
            (!key || strcmp(settings[i].key, key) == 0))
            return &settings[i];
    return NULL;
}

static bool take_share_line(struct config *config, struct share *share,
                            const struct ini_entry *entry, struct err *err) {
    char *value = entry->value[0] && share_key_is_path(entry->key) ? path_from(config, entry->value)
                                                                   : mem_strdup(entry->value);
    bool good = share_set(share, entry->key, value, err);
    mem_free(value);
    if (!good)
        err_context(err, "%s:%u", config->path, entry->line);
    return good;
}

static bool take_share(struct config *config, const struct ini_section *section, struct err *err) {
    const char *name = section->name + strlen("share ");
    if (!name[strspn(name, " ")])
        return err_set(err, ERR_INVALID, "%s:%u: [share NAME] needs a name", config->path,
                       section->line);
    config->shares = mem_resize(config->shares, (config->share_count + 1) * sizeof *config->shares);
    struct share *share = &config->shares[config->share_count++];
    share_init(share, name);
    for (size_t i = 0; i < section->count; i++)
        if (!take_share_line(config, share, &section->entries[i], err))
            return false;
    if (share_check(share, err))
        return true;
    err_context(err, "%s:%u", config->path, section->line);
    return false;
}

const struct share *config_share(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->share_count; i++)
        if (strcmp(config->shares[i].name, name) == 0)
            return &config->shares[i];
    return NULL;
}

const struct share *config_share_of(const struct config *config, const char *source) {
    const struct share *found = NULL;
    for (size_t i = 0; i < config->share_count; i++) {
        const struct share *share = &config->shares[i];
        if (share_path_of(share, source) &&
            (!found || strlen(share->location) > strlen(found->location)))
            found = share;
    }
    return found;
}

bool config_has_records(const struct config *config) {
    return config->records.file || config->records.url || config->records.query;
}

static bool take_section(struct config *config, const struct ini_section *section,
                         struct err *err) {
    if (is_others(section->name) || (!section->name[0] && section->count == 0))
        return true;
    if (str_starts(section->name, "share "))
        return take_share(config, section, err);
    if (!find(section->name, NULL))
        return err_set(err, ERR_INVALID,
                       "%s:%u: there is no section [%.60s]; there are [server], [read], [plate], "
                       "[reason], [vlm], [llm], [gpu], [audit], [records], [limits], [share NAME]; "
                       "see ocr-pipeline(1)",
                       config->path, section->line, section->name);
    for (size_t i = 0; i < section->count; i++) {
        const struct ini_entry *entry = &section->entries[i];
        const struct setting *setting = find(section->name, entry->key);
        if (!setting)
            return err_set(err, ERR_INVALID, "%s:%u: [%s] has no \"%.60s\"; see ocr-pipeline(1)",
                           config->path, entry->line, section->name, entry->key);
        if (!set(config, setting, entry->value, err)) {
            err_context(err, "%s:%u", config->path, entry->line);
            return false;
        }
    }
    return true;
}

// A stage that a model is to do needs to know where it is.
static bool check_models(struct config *config, struct err *err) {
    config->vlm.section = "vlm";
    config->llm.section = "llm";
    config->vlm.wait_ms = config->llm.wait_ms = config->gpu_wait_ms;
    config->vlm.pause_ms = config->llm.pause_ms = config->gpu_pause_ms;
    const char *missing = config->read_by != READ_OCR && !config->vlm.url ? "[read] by needs [vlm]"
                          : config->reason_by != REASON_RULES && !config->llm.url
                              ? "[reason] by needs [llm]"
                              : NULL;
    return !missing || err_set(err, ERR_INVALID, "%s: %s url, such as http://127.0.0.1:8090",
                               config->path, missing);
}

static bool take_file(struct config *config, struct err *err) {
    size_t length;
    char *bytes = path_read_file(config->path, INI_MAX_BYTES, &length, err);
    if (!bytes)
        return false;
    config->ini = ini_parse(bytes, length, NULL, NULL, err);
    mem_free(bytes);
    if (!config->ini) {
        err_context(err, "%s", config->path);
        return false;
    }
    for (size_t i = 0; i < config->ini->count; i++)
        if (!take_section(config, &config->ini->sections[i], err))
            return false;
    return true;
}

void config_fast(struct config *config) {
    config->detect = keep(config, path_cache("ocr/fast-det.onnx"));
    config->recognize = keep(config, path_cache("ocr/fast-rec.onnx"));
    config->dictionary = keep(config, path_cache("ocr/fast-rec.txt"));
}

static bool is_missing(const char *path) {
    struct stat st;
    return stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

// Our own detector: beside a program that was built, in share/ of one that was installed. NULL: a
// program that was taken away from both does without.
static char *own_plate_model(void) {
    static const char *const PLACES[] = {"plate-finder.onnx",
                                         "../share/ancalagon/plate-finder.onnx"};
    char *program = system_program(), *found = NULL;
    char *folder = program ? mem_strndup(program, (size_t)(path_name(program) - program)) : NULL;
    for (size_t i = 0; folder && !found && i < sizeof PLACES / sizeof *PLACES; i++) {
        char *path = path_join(folder, PLACES[i]);
        if (is_missing(path))
            mem_free(path);
        else
            found = path;
    }
    mem_free(folder);
    mem_free(program);
    return found;
}

static void set_defaults(struct config *config) {
    char *plate_model = own_plate_model();
    config->plate_model = plate_model ? keep(config, plate_model) : NULL;
    config->audit = audit_defaults;
    for (int i = 0; i < SETTINGS; i++)
        if (settings[i].initial)
            set(config, &settings[i], settings[i].initial, NULL);
    config->state_dir = keep(config, path_state("ocr"));
    config->detect = keep(config, path_cache("ocr/det.onnx"));
    config->orient = keep(config, path_cache("ocr/cls.onnx"));
    config->recognize = keep(config, path_cache("ocr/rec.onnx"));
}

struct config *config_load(const char *path, struct err *err) {
    struct config *config = mem_alloc(sizeof *config);
    set_defaults(config);
    config->path = path ? path_absolute(path, err) : path_config("ocr.ini");
    if (!path && is_missing(config->path)) {
        mem_free(config->path);
        config->path = NULL;
        return config;
    }
    if (config->path && take_file(config, err) && check_models(config, err))
        return config;
    config_destroy(config);
    return NULL;
}

void config_destroy(struct config *config) {
    if (!config)
        return;
    ini_destroy(config->ini);
    for (size_t i = 0; i < config->text_count; i++)
        mem_free(config->texts[i]);
    mem_free(config->texts);
    for (size_t i = 0; i < config->share_count; i++)
        share_fini(&config->shares[i]);
    mem_free(config->shares);
    mem_free(config->path);
    mem_free(config);
}

struct image_limits config_image_limits(const struct config *config) {
    struct image_limits limits = image_default_limits;
    limits.file_bytes = (size_t)config->photo_bytes;
    limits.pixels = config->photo_pixels;
    return limits;
}
