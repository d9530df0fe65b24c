// models: what lies in the models folder, and what of it this machine can run.
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli.h"
#include "config.h"
#include "format/json.h"
#include "machine_args.h"
#include "model_list.h"
#include "preset_plan.h"
#include "reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: ancalagon models [DIR] [--device KIND[:SIZE] ...] [--ram SIZE] [--json]\n"
    "                        [--config FILE]\n\n"
    "What lies in DIR (else the models folders) and one folder below: what each file is, its\n"
    "largest context on this machine or another, which projectors and drafts go with it, and which\n"
    "engine it needs. Reads headers only; a broken file is listed with its reason.\n"
    "  ancalagon models                          what can I run here?\n"
    "  ancalagon models ~/Downloads --device cuda:24G\n" MACHINE_ARGS_HELP "\n"
    "Exit: 0 listed, 1 no such folder, 2 usage, 3 config error.\n";

#define MIB (1024.0 * 1024.0)
enum { SHOWN = 3, JSON_MAX = 64, WIDTH = 120 };

struct view {
    struct cli cli;
    const char *folder; // as named, or NULL
    struct machine_args machine;
    struct config *config; // NULL when it could not be read
    struct model_list *list;
    size_t index; // of the entry that is being told
};

// ---- progress ----

struct steps {
    struct timespec since;
    bool terminal, drawn;
    int64_t last_ms;
    const char *what;
};

static int64_t elapsed_ms(const struct steps *s) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)(now.tv_sec - s->since.tv_sec) * 1000 +
           (now.tv_nsec - s->since.tv_nsec) / 1000000;
}

// Silent for a second; then a line that moves, or, where nobody looks, one every ten seconds.
static void on_step(void *arg, size_t done, size_t all) {
    struct steps *s = arg;
    int64_t now = elapsed_ms(s);
    if (now < 1000 || now - s->last_ms < (s->terminal ? 100 : 10000))
        return;
    s->last_ms = now;
    s->drawn = true;
    fprintf(stderr, s->terminal ? "\r%s %zu of %zu files" : "%s %zu of %zu files\n", s->what, done,
            all);
}

static void end_steps(const struct steps *s) {
    if (s->drawn && s->terminal)
        fputs("\r\033[K", stderr);
}

// ---- which engine ----

// One of the presets' engines that reads the file, or NULL.
static const char *reading_engine(const struct view *v, const struct model_entry *e) {
    for (size_t i = 0; v->config && i < v->config->presets_count; i++) {
        struct err ignored = {0};
        const char *path = v->config->presets[i].engine_path;
        const struct dialect *dialect = dialect_probe(path, &ignored);
        if (dialect && reader_reads(dialect, e->family, e->foreign_type) == READS_YES)
            return path;
    }
    return NULL;
}

// The devices that the default engine sees.
static void find_machine(const struct view *v, struct plan_machine *out) {
    struct err ignored = {0};
    struct dialect_devices listed = {0};
    char *cached = path_cache("engine/bin/llama-server");
    const char *own = getenv("ANCALAGON_ENGINE"), *path = own && *own ? own : cached;
    for (size_t i = 0; i < v->config->presets_count; i++)
        if (strcmp(v->config->presets[i].engine, "default") == 0)
            path = v->config->presets[i].engine_path;
    if (!v->machine.devices_told)
        dialect_devices_now(path, NULL, &listed, &ignored);
    machine_args_resolve(&v->machine, &listed, out);
    dialect_devices_fini(&listed);
    mem_free(cached);
}

// ---- one entry in words ----

static const struct model_entry *entry_of(const struct view *v) {
    return &v->list->entries[v->index];
}

// "98304" -> "96K".
static void tokens_text(char *out, size_t size, uint32_t tokens) {
    if (tokens >= 1024 && tokens % 1024 == 0)
        snprintf(out, size, "%uK", tokens / 1024);
    else
        snprintf(out, size, "%u", tokens);
}

static void fit_text(const struct model_entry *e, bool devices, char *out, size_t size) {
    char ctx[16];
    uint32_t all = e->model->layers + 1;
    const struct plan_settings *s = &e->settings;
    tokens_text(ctx, sizeof ctx, e->plan.ctx_slot);
    if (!e->fits)
        snprintf(out, size, "no");
    else if (!devices || (s->ncmoe == 0 && s->ngl >= all))
        snprintf(out, size, "%s", ctx);
    else if (s->ncmoe)
        snprintf(out, size, "%s, %u layers' experts on CPU", ctx, s->ncmoe);
    else
        snprintf(out, size, "%s, %u of %u layers on CPU", ctx, all - s->ngl, e->model->layers);
}

static const char *kind_text(const struct model_entry *e) {
    switch (e->kind) {
    case MODEL_KIND_PROJECTOR: return "projector";
    case MODEL_KIND_ADAPTER: return "adapter";
    case MODEL_KIND_EMBEDDING: return "embedding";
    case MODEL_KIND_TEXT: break;
    }
    return "text";
}

// Bytes of the character at `p` that may be shown; 0 when it is none, or steers a terminal (C0,
// C1).
static size_t glyph(const unsigned char *p, size_t left) {
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || length > left || (p[0] == 0xc2 && p[1] < 0xa0))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

// Prints at most `width` characters and fills up with blanks.
static void print_cut(const char *text, size_t length, int width) {
    int at = 0, all = 0;
    for (size_t i = 0, n; i < length; i += n ? n : 1, all++)
        n = glyph((const unsigned char *)text + i, length - i);
    int room = all > width ? width - 3 : width;
    for (size_t i = 0, n; i < length && at < room; i += n ? n : 1, at++) {
        n = glyph((const unsigned char *)text + i, length - i);
        printf("%.*s", n ? (int)n : 1, n ? text + i : "?");
    }
    if (all > width)
        at += printf("...");
    printf("%*s", width - at, "");
}

// A line below an entry, wrapped at the table's width.
__attribute__((format(printf, 1, 2))) static void print_note(const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *at = text;
    bool first = true;
    while (*at) {
        size_t length = strlen(at), room = WIDTH - (first ? 4 : 6);
        if (length > room) {
            length = room;
            while (length > room / 2 && at[length] != ' ')
                length--;
            if (at[length] != ' ')
                length = room;
        }
        printf("%s", first ? "    " : "      ");
        print_cut(at, length, (int)length);
        putchar('\n');
        at += length + strspn(at + length, " ");
        first = false;
    }
}

static void print_files(const struct view *v, const char *label, const size_t *which,
                        size_t count) {
    struct buf names;
    buf_init(&names, 2000);
    for (size_t i = 0; i < count && i < SHOWN; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", v->list->entries[which[i]].file);
    if (count > SHOWN)
        buf_printf(&names, " and %zu more", count - SHOWN);
    if (count)
        print_note("%s: %s", label, buf_text(&names));
    buf_fini(&names);
}

static void print_reader(const struct view *v) {
    const struct model_entry *e = entry_of(v);
    char text[240];
    if (!reader_note(e->family, e->foreign_type, text, sizeof text))
        return;
    const char *engine = reading_engine(v, e);
    if (engine)
        print_note("%s tensors: read by %s", e->foreign_type ? e->foreign_type : "unknown", engine);
    else
        print_note("%s", text);
}

static void print_notes(const struct view *v) {
    const struct model_entry *e = entry_of(v);
    size_t which[SHOWN], count;
    if (e->broken.code != ERR_NONE) {
        const char *text = e->broken.text;
        size_t length = strlen(e->path);
        if (strncmp(text, e->path, length) == 0 && str_starts(text + length, ": "))
            text += length + 2; // the file is named above
        print_note("%s", text);
        return;
    }
    count = model_list_partners(v->list, v->index, which, SHOWN);
    print_files(v, e->kind == MODEL_KIND_PROJECTOR ? "serves" : "projector", which, count);
    if (e->kind == MODEL_KIND_PROJECTOR && count == 0)
        print_note("no model here has its width");
    if (!e->model)
        return;
    print_reader(v);
    if (e->planned && !e->fits)
        print_note("%s", e->plan.reason);
    if (e->model->layers_mtp)
        print_note("draft: its own multi-token head");
    print_files(v, "drafts", which, model_list_drafts(v->list, v->index, which, SHOWN));
}

// ---- the table ----

enum { FILE_COLUMNS = 38 };

static void print_head(bool devices) {
    printf("%-*s %-11s %9s  %-8s %7s  %-7s %s\n", FILE_COLUMNS, "file", "kind", "size", "quant",
           "trained", "experts", devices ? "context that fits" : "context that fits (CPU)");
}

static void print_row(const struct view *v, bool devices) {
    const struct model_entry *e = entry_of(v);
    char size[16], trained[16] = "-", experts[24] = "-", fit[64] = "-";
    const char *arch = kind_text(e), *quant = "-";
    struct span base = {0};
    snprintf(size, sizeof size, "%.*f %s", e->bytes < 1000000000 ? 0 : 1,
             (double)e->bytes / (e->bytes < 1000000000 ? 1e6 : 1e9),
             e->bytes < 1000000000 ? "MB" : "GB");
    if (e->model) {
        arch = e->model->arch;
        quant = model_quantisation(e->model);
        if (e->model->ctx_train)
            tokens_text(trained, sizeof trained, e->model->ctx_train);
        if (e->model->experts)
            snprintf(experts, sizeof experts, "%u/%u", e->model->experts, e->model->experts_used);
        fit_text(e, devices, fit, sizeof fit);
    } else if (e->kind == MODEL_KIND_ADAPTER && e->gguf) {
        base = gguf_text(e->gguf, "general.architecture");
    } else if (e->broken.code != ERR_NONE) {
        arch = "broken";
        snprintf(size, sizeof size, "-");
    }
    size_t length = strlen(e->file);
    if (length > FILE_COLUMNS) { // its end tells most: on a line of its own
        print_cut(e->file, length, length < WIDTH ? (int)length : WIDTH);
        putchar('\n');
        length = 0;
    }
    print_cut(e->file, length, FILE_COLUMNS);
    putchar(' ');
    print_cut(arch, strlen(arch), 11);
    printf(" %9s  ", size);
    print_cut(quant, strlen(quant), 8);
    printf(" %7s  ", trained);
    print_cut(experts, strlen(experts), 7);
    printf(" %s\n", fit);
    if (base.length)
        print_note("for models of the architecture %.*s",
                   (int)(base.length < 64 ? base.length : 64), base.data);
    if (e->gguf && gguf_splits(e->gguf) > 1)
        print_note("in %u parts", gguf_splits(e->gguf));
    print_notes(v);
}

static void print_machine(const struct plan_machine *machine) {
    for (size_t i = 0; i < machine->devices; i++) {
        const struct plan_device *d = &machine->device[i];
        printf("%s%s", i ? ", " : "", d->name);
        if (d->capacity_bytes != PLAN_UNKNOWN)
            printf(" with %.1f GiB%s", (double)d->capacity_bytes / MIB / 1024,
                   d->nominal ? "" : " free");
    }
    if (machine->devices == 0)
        printf("no GPU");
    if (machine->ram_bytes != PLAN_UNKNOWN)
        printf(", %.1f GiB of memory", (double)machine->ram_bytes / MIB / 1024);
    putchar('\n');
}

static void print_table(struct view *v, const struct plan_machine *machine) {
    if (v->list->count == 0) {
        printf("%s: no GGUF files here, nor one folder below\n", v->list->folders);
        return;
    }
    printf("%s: %zu file%s; ", v->list->folders, v->list->count, v->list->count == 1 ? "" : "s");
    print_machine(machine);
    putchar('\n');
    print_head(machine->devices > 0);
    for (v->index = 0; v->index < v->list->count; v->index++)
        print_row(v, machine->devices > 0);
}

// ---- JSON ----

static json_t *files_json(const struct view *v, const size_t *which, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count && i < JSON_MAX; i++)
        json_array_append_new(list, json_text_n(v->list->entries[which[i]].file,
                                                strlen(v->list->entries[which[i]].file)));
    return list;
}

static json_t *fit_json(const struct model_entry *e, const struct plan_machine *machine) {
    const struct plan *plan = &e->plan;
    uint32_t all = e->model->layers + 1;
    json_t *fit = json_build("{s:b, s:s}", "fits", (int)e->fits, "reason", plan->reason);
    if (!e->fits)
        return fit;
    json_object_set_new(fit, "ctx", json_integer(plan->ctx_slot));
    if (machine->devices) {
        json_object_set_new(fit, "ngl",
                            json_integer(e->settings.ngl > all ? all : e->settings.ngl));
        json_object_set_new(fit, "n_cpu_moe", json_integer(e->settings.ncmoe));
        json_object_set_new(fit, "device_mib",
                            json_real((double)plan_total(&plan->device[0]) / MIB));
    }
    json_object_set_new(fit, "host_mib", json_real((double)plan_total(&plan->host) / MIB));
    return fit;
}

static void add_model(const struct view *v, const struct plan_machine *machine, json_t *out) {
    const struct model_entry *e = entry_of(v);
    const struct model *m = e->model;
    const char *engine = reading_engine(v, e);
    size_t which[JSON_MAX];
    json_object_set_new(out, "name", json_text(m->name));
    json_object_set_new(out, "quantisation", json_text(model_quantisation(m)));
    json_object_set_new(out, "ctx_train", json_integer(m->ctx_train));
    json_object_set_new(out, "layers", json_integer(m->layers));
    json_object_set_new(out, "experts", json_integer(m->experts));
    json_object_set_new(out, "experts_used", json_integer(m->experts_used));
    json_object_set_new(out, "weights_mib", json_real((double)model_weights_bytes(m) / MIB));
    json_object_set_new(out, "needs", json_text(gguf_type_engine(e->family)));
    json_object_set_new(out, "foreign_type",
                        e->foreign_type ? json_text(e->foreign_type) : json_null());
    json_object_set_new(out, "engine", engine ? json_text(engine) : json_null());
    json_object_set_new(out, "mtp_layers", json_integer(m->layers_mtp));
    json_object_set_new(
        out, "drafts", files_json(v, which, model_list_drafts(v->list, v->index, which, JSON_MAX)));
    json_object_set_new(out, "fit", fit_json(e, machine));
}

// Of the user's presets, those that serve this file.
static json_t *presets_json(const struct view *v) {
    const char *path = entry_of(v)->path;
    json_t *names = json_array();
    struct stat file, other;
    for (size_t i = 0; v->config && i < v->config->presets_count; i++) {
        const struct preset *preset = &v->config->presets[i];
        if (!preset->is_scanned && stat(path, &file) == 0 && stat(preset->model, &other) == 0 &&
            file.st_dev == other.st_dev && file.st_ino == other.st_ino)
            json_array_append_new(names, json_text(preset->name));
    }
    return names;
}

static json_t *entry_json(const struct view *v, const struct plan_machine *machine) {
    const struct model_entry *e = entry_of(v);
    size_t which[JSON_MAX];
    struct span arch = e->gguf ? gguf_text(e->gguf, "general.architecture") : (struct span){0};
    json_t *out = json_object();
    json_object_set_new(out, "file", json_text(e->file));
    json_object_set_new(out, "path", json_text(e->path));
    json_object_set_new(out, "kind",
                        json_text(e->broken.code == ERR_NONE ? kind_text(e) : "broken"));
    json_object_set_new(out, "error",
                        e->broken.code == ERR_NONE ? json_null() : json_text(e->broken.text));
    json_object_set_new(out, "bytes", json_integer((json_int_t)e->bytes));
    json_object_set_new(out, "parts", json_integer(e->gguf ? gguf_splits(e->gguf) : 1));
    json_object_set_new(out, "architecture", json_text_n(arch.data, arch.length));
    json_object_set_new(out, "presets", presets_json(v));
    json_object_set_new(
        out, e->kind == MODEL_KIND_PROJECTOR ? "serves" : "projectors",
        files_json(v, which, model_list_partners(v->list, v->index, which, JSON_MAX)));
    if (e->model)
        add_model(v, machine, out);
    return out;
}

static void print_json(struct view *v, const struct plan_machine *machine) {
    json_t *models = json_array();
    for (v->index = 0; v->index < v->list->count; v->index++)
        json_array_append_new(models, entry_json(v, machine));
    json_t *all = json_build("{s:o, s:o}", "folder", json_text(v->list->folders), "models", models);
    json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(10));
    putchar('\n');
    json_decref(all);
}

// ---- the command ----

// Takes our options out of argv; what is left goes to cli_parse.
static int parse(struct view *v, int argc, char **argv) {
    char **rest = mem_alloc((size_t)(argc + 1) * sizeof *rest);
    int count = 0, taken = 1;
    machine_args_init(&v->machine);
    for (int i = 0; i < argc && taken >= 0; i += taken ? taken : 1) {
        taken = i == 0 ? 0 : machine_args_take(&v->machine, argv + i);
        if (taken == 0)
            rest[count++] = argv[i];
    }
    int status = taken < 0 ? EXIT_USAGE : cli_parse(&v->cli, count, rest, CLI_JSON, 0, 1, help);
    v->folder = status < 0 ? v->cli.args[0] : NULL;
    mem_free(rest);
    return status;
}

static int list_folders(struct view *v, const char *const *folders) {
    struct steps steps = {.terminal = isatty(STDERR_FILENO), .what = "reading"};
    struct plan_machine machine;
    struct err err = {0};
    clock_gettime(CLOCK_MONOTONIC, &steps.since);
    find_machine(v, &machine);
    v->list = model_list_read(folders, on_step, &steps, &err);
    if (!v->list)
        return cli_fail(EXIT_FAILED, "no models folder: %s; name one, or set models in [server]",
                        err.text);
    steps.what = "planning";
    model_list_plan(v->list, &machine, on_step, &steps);
    end_steps(&steps);
    if (v->cli.json)
        print_json(v, &machine);
    else
        print_table(v, &machine);
    return EXIT_DONE;
}

int cmd_models(int argc, char **argv) {
    struct view view = {0};
    struct err err = {0};
    int status = parse(&view, argc, argv);
    if (status >= 0)
        return status;
    view.config = config_inspect(view.cli.config, &err); // its mistakes are no matter here
    if (!view.config)
        return cli_fail(EXIT_CONFIG, "%s", err.text);
    char *named = view.folder ? path_expand(view.folder) : NULL;
    const char *const one[] = {named, NULL};
    status = list_folders(&view, named ? one : (const char *const *)view.config->models_dirs);
    mem_free(named);
    model_list_free(view.list);
    dialect_forget();
    config_destroy(view.config);
    return status;
}
