#include "survey.h"

#include "base/mem.h"
#include "memory_store.h"
#include "preset_plan.h"
#include "telemetry/gpu.h"

static char **copy_list(char *const *list) {
    size_t count = 0;
    while (list[count])
        count++;
    char **copy = mem_alloc((count + 1) * sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = mem_strdup(list[i]);
    return copy;
}

struct survey *survey_create(const struct config *config, const struct preset *preset,
                             const struct dialect *dialect, struct model_files *files,
                             void *owner) {
    struct survey *survey = mem_alloc(sizeof *survey);
    const char *paths[MODEL_FILES];
    decision_paths(preset, paths);
    for (size_t i = 0; i < MODEL_FILES; i++)
        survey->path[i] = mem_strdup(paths[i]);
    survey->owner = owner;
    survey->engine = mem_strdup(preset->engine_path);
    survey->rpc = mem_strdup(preset_get(preset, "rpc"));
    survey->draft = preset->plan ? mem_strdup(preset->draft) : NULL;
    survey->folders = copy_list(config->models_dirs);
    survey->ask_devices =
        preset->plan && dialect->devices_known && (survey->rpc || dialect->device_count > 0);
    dialect_devices_copy(&survey->devices, dialect->devices, dialect->device_count);
    survey->files = *files;
    *files = (struct model_files){0};
    return survey;
}

// The drivers themselves answer within milliseconds. They can stand in for the engine when they
// know every device of its, with about the memory that it sees.
static bool ask_drivers(struct dialect_devices *devices) {
    struct gpus *gpus = gpus_open(NULL);
    struct gpu_info info[GPU_MAX];
    struct gpu_claim claims[GPU_MAX];
    int claim_of[GPU_MAX];
    size_t count = gpus_count(gpus), matched = 0;
    bool ok = count > 0 && count <= GPU_MAX && devices->count <= GPU_MAX;
    for (size_t i = 0; ok && i < devices->count; i++)
        claims[i] = (struct gpu_claim){devices->items[i].name, devices->items[i].description,
                                       devices->items[i].total_mib};
    for (size_t i = 0; ok && i < count; i++)
        info[i] = *gpus_info(gpus, i);
    if (ok)
        gpu_match(info, count, claims, devices->count, claim_of);
    for (size_t i = 0; ok && i < count; i++) {
        struct gpu_reading reading;
        if (claim_of[i] < 0)
            continue;
        struct dialect_device *device = &devices->items[claim_of[i]];
        int64_t total_mib = (int64_t)(info[i].total_bytes >> 20);
        gpus_read(gpus, i, &reading);
        ok = reading.free_bytes != GPU_UNKNOWN && device->total_mib * 10 > total_mib * 9 &&
             device->total_mib * 9 < total_mib * 10;
        if (ok)
            device->free_mib = (int64_t)(reading.free_bytes >> 20);
        matched++;
    }
    gpus_close(gpus);
    return ok && matched == devices->count;
}

bool survey_is_done(const struct survey *survey) {
    const char *paths[MODEL_FILES] = {survey->path[0], survey->path[1], survey->path[2]};
    return !survey->ask_devices && !survey->draft && model_files_current(&survey->files, paths);
}

void survey_run(void *of) {
    struct survey *survey = of;
    const char *paths[MODEL_FILES] = {survey->path[0], survey->path[1], survey->path[2]};
    struct dialect_devices listed;
    struct err ignored;
    model_files_read(&survey->files, paths);
    draft_files_read(&survey->files.drafts, survey->draft, survey->folders,
                     survey->files.file[MODEL_FILE_MODEL].model);
    if (!survey->ask_devices)
        return;
    if (!survey->rpc && ask_drivers(&survey->devices)) {
        survey->devices_fresh = true;
    } else if (dialect_devices_now(survey->engine, survey->rpc, &listed, &ignored)) {
        dialect_devices_fini(&survey->devices);
        survey->devices = listed;
        survey->devices_fresh = true;
    }
}

void survey_destroy(void *of) {
    struct survey *survey = of;
    model_files_fini(&survey->files);
    dialect_devices_fini(&survey->devices);
    for (size_t i = 0; i < MODEL_FILES; i++)
        mem_free(survey->path[i]);
    mem_free(survey->engine);
    mem_free(survey->rpc);
    mem_free(survey->draft);
    config_free_files(survey->folders);
    mem_free(survey);
}

static void clear(struct plan_machine *machine) {
    machine->ram_bytes = plan_ram_total();
    for (size_t i = 0; i < machine->devices; i++)
        if (machine->device[i].capacity_bytes != PLAN_UNKNOWN)
            machine->device[i].capacity_bytes = machine->device[i].total_bytes;
}

bool survey_decide(const struct config *config, const struct preset *preset, bool empty,
                   void (*note)(void *arg, const char *text), void *arg, struct decision *out,
                   struct err *err) {
    struct model_files none = {0};
    const struct dialect *dialect = dialect_probe(preset->engine_path, err);
    *out = (struct decision){0};
    if (!dialect)
        return false;
    struct survey *survey = survey_create(config, preset, dialect, &none, NULL);
    if (empty && !survey->rpc)
        survey->ask_devices = false; // their size is known
    survey_run(survey);
    struct decision_asked asked = {.config = config, .preset = preset, .files = &survey->files};
    asked.dialect = decision_engine(config, preset, asked.files, err);
    preset_plan_machine(&survey->devices, &asked.machine);
    struct memory_store *store = memory_store_open();
    if (asked.dialect)
        memory_store_apply(store, asked.dialect->version, &asked.machine);
    memory_store_close(store);
    asked.swap_bytes = plan_swap_free();
    if (empty)
        clear(&asked.machine);
    bool ok = asked.dialect && decision_make(&asked, note, arg, out, err);
    survey_destroy(survey);
    return ok;
}
