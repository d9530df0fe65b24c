#include "engine/dialect.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/system.h"
#include "engine/environment.h"
#include "event/child.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PROBE_TIMEOUT_MS = 5 * 1000,
    PROBE_NO_GPU_TIMEOUT_MS = 1000,
    PROBE_MAX_BYTES = 1024 * 1024,
    DEVICES_MAX = 64,
};

struct cached {
    struct dialect *dialect;
    dev_t device;
    ino_t inode;
    off_t size;
    int64_t changed_ns;
    SLIST_ENTRY(cached) link;
};

static SLIST_HEAD(, cached) cache = SLIST_HEAD_INITIALIZER(cache);

// What every llama-server since 2024 has had: for one whose help cannot be read.
static const char minimal_help[] = "-m,    --model FNAME          model path\n"
                                   "-c,    --ctx-size N           size of the prompt context\n"
                                   "-ngl,  --gpu-layers N         layers to store in VRAM\n"
                                   "-t,    --threads N            threads\n"
                                   "-b,    --batch-size N         batch size\n"
                                   "-ub,   --ubatch-size N        physical batch size\n"
                                   "-np,   --parallel N           slots\n"
                                   "-ctk,  --cache-type-k TYPE    type for K\n"
                                   "-ctv,  --cache-type-v TYPE    type for V\n"
                                   "--mmproj FILE                 projector\n"
                                   "--host HOST                   address\n"
                                   "--port PORT                   port\n"
                                   "--api-key KEY                 key\n"
                                   "-a,    --alias STRING         name\n"
                                   "--jinja                       templates\n";

// "version: 0.6.0-dev (build 11434, commit 0123abc)" or, older, "version: 4567 (0123abc)".
static void read_version(struct dialect *dialect, const char *text) {
    const char *at = text ? strstr(text, "version: ") : NULL;
    if (!at) {
        dialect->version = mem_strdup("");
        return;
    }
    at += strlen("version: ");
    dialect->version = mem_strndup(at, strcspn(at, "\r\n"));
    const char *build = strstr(dialect->version, "build ");
    const char *number = build ? build + strlen("build ") : dialect->version;
    if (number[strspn(number, "0123456789")] != '.')
        dialect->build = strtoll(number, NULL, 10);
}

// "  CUDA0: NVIDIA GeForce RTX 4070 Ti SUPER (16063 MiB, 15652 MiB free)"
static bool read_device(const char *line, size_t length, struct dialect_device *device) {
    char text[512];
    if (length >= sizeof(text) || length < 4 || line[0] != ' ')
        return false;
    memcpy(text, line, length);
    text[length] = '\0';
    char *colon = strstr(text, ": ");
    char *open = strrchr(text, '(');
    if (!colon || !open || open < colon)
        return false;
    char *rest = NULL;
    int64_t total = strtoll(open + 1, &rest, 10);
    if (rest == open + 1 || !str_starts(rest, " MiB"))
        return false;
    const char *comma = strchr(rest, ',');
    const char *name = text + strspn(text, " ");
    struct span description = span_trim((struct span){colon + 2, (size_t)(open - (colon + 2))});
    *device = (struct dialect_device){
        .name = mem_strndup(name, (size_t)(colon - name)),
        .description = mem_strndup(description.data, description.length),
        .total_mib = total,
        .free_mib = comma ? strtoll(comma + 1, NULL, 10) : total,
    };
    return true;
}

static void read_devices(struct dialect *dialect, const char *text) {
    const char *at = text ? strstr(text, "Available devices:") : NULL;
    if (!at)
        return;
    dialect->devices_known = true;
    dialect->devices = mem_alloc(DEVICES_MAX * sizeof(*dialect->devices));
    while ((at = strchr(at, '\n')) && dialect->device_count < DEVICES_MAX) {
        at++;
        if (read_device(at, strcspn(at, "\r\n"), &dialect->devices[dialect->device_count]))
            dialect->device_count++;
    }
}

static bool mentions(const struct help_flag *flag, const char *word) {
    if (!flag)
        return false;
    for (size_t i = 0; i < flag->values.count; i++) {
        if (strstr(flag->values.items[i], word))
            return true;
    }
    return strstr(flag->text, word) != NULL;
}

static enum dialect_family guess_family(const struct dialect *dialect) {
    if (dialect->guessed)
        return DIALECT_UNKNOWN;
    if (dialect_flag(dialect, "--run-time-repack") || dialect_flag(dialect, "--mla-use"))
        return DIALECT_IK;
    const struct help_flag *type = dialect_flag(dialect, "--cache-type-k");
    if (mentions(type, "turbo") || mentions(type, "tq3") || strstr(dialect->version, "tq3") ||
        (dialect->path && strstr(dialect->path, "tq3")))
        return DIALECT_TQ3;
    return dialect_flag(dialect, "--load-mode") ? DIALECT_MAINLINE : DIALECT_OLD;
}

struct dialect *dialect_create(const char *path, const char *help, const char *version,
                               const char *devices) {
    struct dialect *dialect = mem_alloc(sizeof(*dialect));
    dialect->path = mem_strdup(path);
    read_version(dialect, version);
    read_devices(dialect, devices);
    help_parse(&dialect->help, help, strlen(help));
    // A wrapper may print a line or two of its own; a llama-server without --model is none.
    if (!help_find(&dialect->help, "--model")) {
        help_fini(&dialect->help);
        help_parse(&dialect->help, minimal_help, sizeof(minimal_help) - 1);
        dialect->guessed = true;
    }
    dialect->family = guess_family(dialect);
    dialect->unix_socket = mentions(dialect_flag(dialect, "--host"), ".sock");
    return dialect;
}

void dialect_destroy(struct dialect *dialect) {
    if (!dialect)
        return;
    dialect_devices_fini(&(struct dialect_devices){dialect->devices, dialect->device_count});
    help_fini(&dialect->help);
    mem_free(dialect->version);
    mem_free(dialect->path);
    mem_free(dialect);
}

const char *dialect_family_name(enum dialect_family family) {
    switch (family) {
    case DIALECT_MAINLINE: return "llama.cpp";
    case DIALECT_OLD: return "llama.cpp (older)";
    case DIALECT_TQ3: return "llama.cpp-tq3";
    case DIALECT_IK: return "ik_llama.cpp";
    case DIALECT_UNKNOWN: break;
    }
    return "unknown";
}

const struct help_flag *dialect_flag(const struct dialect *dialect, const char *name) {
    const struct help_flag *flag = help_find(&dialect->help, name);
    return flag && !flag->removed ? flag : NULL;
}

// Probing -----------------------------------------------------------------------------------------

// Waking a GPU driver can take seconds; without one, a build that does not answer at once will not.
static int devices_timeout_ms(void) {
    static const char *const nodes[] = {"/dev/nvidiactl", "/dev/kfd", "/dev/dri/renderD128",
                                        "/dev/dxg"};
    for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++)
        if (access(nodes[i], F_OK) == 0)
            return PROBE_TIMEOUT_MS;
    return PROBE_NO_GPU_TIMEOUT_MS;
}

static bool ask(const char *path, const char *flag, const char *rpc, int timeout_ms,
                struct buf *out, struct err *err) {
    struct args argv;
    struct args envp;
    args_init(&argv);
    args_init(&envp);
    args_add(&argv, path);
    if (rpc) {
        args_add(&argv, "--rpc");
        args_add(&argv, rpc);
    }
    args_add(&argv, flag);
    environment_scrub(environ, &envp);
    struct spawn_spec spec = {.path = path, .argv = argv.items, .envp = envp.items};
    buf_init(out, PROBE_MAX_BYTES + 1);
    // The exit status is no guide: some builds print their help and end with 1.
    int status = 0;
    bool ok = child_capture(&spec, timeout_ms, PROBE_MAX_BYTES, out, &status, err);
    // 127 and 126 are a shell's, and the dynamic loader's, way to say that nothing ran.
    if (ok && (status >= 126 || (status != 0 && out->length == 0))) {
        const char *text = buf_text(out);
        ok = err_set(err, ERR_SYSTEM, "%s %s ended with status %d: %.300s", path, flag, status,
                     *text ? text : "it printed nothing");
    }
    args_fini(&argv);
    args_fini(&envp);
    return ok;
}

static struct dialect *run_probe(const char *path, struct err *err) {
    struct buf help = {0};
    struct buf version = {0};
    struct buf devices = {0};
    struct dialect *dialect = NULL;
    bool asked_devices = false;
    struct err unheard = {0};
    if (!ask(path, "--help", NULL, PROBE_TIMEOUT_MS, &help, &unheard)) {
        if (unheard.code != ERR_TIMEOUT) {
            if (err)
                *err = unheard;
            goto out;
        }
        // A server that takes no notice of --help and just runs: it may still be a good one.
        log_warn("engine.help path=%s why=\"%s\"", path, unheard.text);
        buf_clear(&help);
    }
    const char *help_text = buf_text(&help);
    struct err ignored = {0};
    ask(path, "--version", NULL, devices_timeout_ms(), &version, &ignored);
    if (strstr(help_text, "--list-devices")) {
        asked_devices = ask(path, "--list-devices", NULL, devices_timeout_ms(), &devices, &ignored);
        if (!asked_devices)
            log_warn("engine.devices path=%s why=\"%s\"", path, ignored.text);
    }
    dialect = dialect_create(path, help_text, buf_text(&version),
                             asked_devices ? buf_text(&devices) : NULL);
    if (dialect->guessed)
        log_warn("engine.unknown path=%s why=\"its --help lists no flags we know; only the most "
                 "common ones will be used\"",
                 path);
out:
    buf_fini(&help);
    buf_fini(&version);
    buf_fini(&devices);
    return dialect;
}

bool dialect_devices_now(const char *path, const char *rpc, struct dialect_devices *out,
                         struct err *err) {
    struct buf text = {0};
    struct dialect read = {0};
    *out = (struct dialect_devices){0};
    bool ok = ask(path, "--list-devices", rpc, PROBE_TIMEOUT_MS, &text, err);
    if (ok) {
        read_devices(&read, buf_text(&text));
        *out = (struct dialect_devices){read.devices, read.device_count};
        ok = read.devices_known || err_set(err, ERR_PEER, "%s lists no devices", path);
    }
    buf_fini(&text);
    return ok;
}

void dialect_devices_copy(struct dialect_devices *out, const struct dialect_device *items,
                          size_t count) {
    *out = (struct dialect_devices){mem_alloc((count + 1) * sizeof *items), count};
    for (size_t i = 0; i < count; i++) {
        out->items[i] = items[i];
        out->items[i].name = mem_strdup(items[i].name);
        out->items[i].description = mem_strdup(items[i].description);
    }
}

void dialect_devices_fini(struct dialect_devices *devices) {
    for (size_t i = 0; i < devices->count; i++) {
        mem_free(devices->items[i].name);
        mem_free(devices->items[i].description);
    }
    mem_free(devices->items);
    *devices = (struct dialect_devices){0};
}

const struct dialect *dialect_probe(const char *path, struct err *err) {
    struct stat info;
    if (stat(path, &info) < 0) {
        err_errno(err, "cannot find the engine %s", path);
        if (err)
            err->code = ERR_NOTFOUND;
        return NULL;
    }
    if (!S_ISREG(info.st_mode) || access(path, X_OK) < 0) {
        err_set(err, ERR_INVALID, "the engine %s is not an executable file", path);
        return NULL;
    }
    struct cached *entry;
    SLIST_FOREACH (entry, &cache, link) {
        if (entry->inode == info.st_ino && entry->device == info.st_dev &&
            entry->size == info.st_size && entry->changed_ns == system_changed_ns(&info) &&
            strcmp(entry->dialect->path, path) == 0)
            return entry->dialect;
    }
    struct dialect *dialect = run_probe(path, err);
    if (!dialect)
        return NULL;
    entry = mem_alloc(sizeof(*entry));
    entry->dialect = dialect;
    entry->device = info.st_dev;
    entry->inode = info.st_ino;
    entry->size = info.st_size;
    entry->changed_ns = system_changed_ns(&info);
    SLIST_INSERT_HEAD(&cache, entry, link);
    return dialect;
}

void dialect_forget(void) {
    while (!SLIST_EMPTY(&cache)) {
        struct cached *entry = SLIST_FIRST(&cache);
        SLIST_REMOVE_HEAD(&cache, link);
        dialect_destroy(entry->dialect);
        mem_free(entry);
    }
}
