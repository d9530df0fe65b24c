#include "models.h"

#include "base/log.h"
#include "base/mem.h"
#include "event/loop.h"
#include "format/json.h"
#include "model_read.h"
#include "model_reason.h"
#include "model_server.h"
#include "report.h"
#include "rules.h"

#include <string.h>

struct models {
    const struct config *config;
    const struct domains *domains;
    struct gpu_gate *gate;
    struct model_server *vlm, *llm; // NULL: not wanted
};

static double now_ms(void) { return (double)loop_now_us() / 1000; }

// --- Life

struct models *models_open(const struct config *config, const struct domains *domains,
                           struct err *err) {
    struct models *models = mem_alloc(sizeof *models);
    models->config = config;
    models->domains = domains;
    models->gate = gpu_gate_create();
    if ((config->read_by == READ_OCR ||
         (models->vlm = model_server_open(&config->vlm, models->gate, err))) &&
        (config->reason_by == REASON_RULES ||
         (models->llm = model_server_open(&config->llm, models->gate, err))))
        return models;
    models_close(models);
    return NULL;
}

void models_close(struct models *models) {
    if (!models)
        return;
    model_server_close(models->vlm);
    model_server_close(models->llm);
    gpu_gate_destroy(models->gate);
    mem_free(models);
}

void models_recall(struct models *models, struct recall *recall) {
    gpu_gate_recall(models->gate, recall);
}

bool models_see(const struct models *models) { return models->vlm != NULL; }

bool models_read_alone(const struct models *models) { return models->config->read_by == READ_VLM; }

// --- When a model fails

bool models_are_away(const struct err *err) {
    return err->code == ERR_HANG || err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT;
}

bool models_are_to_blame(const struct err *err) {
    return models_are_away(err) || err->code == ERR_GARBLED;
}

const struct err *stages_missing(const struct stages *stages) {
    return models_are_away(&stages->read_err)     ? &stages->read_err
           : models_are_away(&stages->reason_err) ? &stages->reason_err
                                                  : NULL;
}

// True: the photo goes on without it.
static bool do_without(bool allowed, const struct err *why, struct err *kept, struct err *err) {
    if (allowed && models_are_to_blame(why)) {
        *kept = *why;
        return true;
    }
    if (err)
        *err = *why;
    return false;
}

static json_t *fallback_json(const char *stage, const struct err *why) {
    return json_build("{s:s, s:s, s:s}", "stage", stage, "code", report_code(why), "text",
                      why->text);
}

json_t *stages_json(const struct stages *stages) {
    static const char *const READ[] = {"ocr", "vlm", "both"}, *const REASON[] = {"rules", "llm",
                                                                                 "both"};
    json_t *fallback = json_array();
    if (stages->read_err.code)
        json_array_append_new(fallback, fallback_json("read", &stages->read_err));
    if (stages->reason_err.code)
        json_array_append_new(fallback, fallback_json("reason", &stages->reason_err));
    return json_build("{s:s, s:s, s:o}", "read", READ[stages->read], "reason",
                      REASON[stages->reason], "fallback", fallback);
}

// --- Reading

bool models_read(struct models *models, const struct view *view, struct text_page *page,
                 struct stages *stages, struct err *err) {
    struct err why = {0};
    double start = now_ms();
    bool seen =
        model_read(models->vlm, view->photo, view->part, view->turned, view->recall, page, &why);
    stages->vlm_ms += now_ms() - start;
    if (seen)
        stages->read = models->config->read_by;
    return seen || do_without(models->config->vlm_fallback, &why, &stages->read_err, err);
}

// What the rules make of the other reader's text.
static void merge_seen(const struct models *models, const struct text_page *seen,
                       const struct text_line *lines, size_t count, struct plate *plate) {
    struct plate other = {.reason_count = 0};
    struct claims claims;
    rules_read(&other, seen->lines, seen->count, models->domains);
    claims_from_plate(&claims, SOURCE_VLM, &other);
    claims_merge(plate, &claims, false, lines, count, models->domains);
}

// --- Reasoning

static bool reason(struct models *models, const struct view *view, const struct text_line *lines,
                   size_t count, const struct text_page *seen, struct plate *plate,
                   struct stages *stages, struct err *err) {
    struct claims claims;
    struct err why = {0};
    double start = now_ms();
    if (count == 0 && seen->count == 0) // there is nothing to reason about
        return true;
    bool good =
        model_reason(models->llm, lines, count, seen, models->domains, view->recall, &claims, &why);
    stages->llm_ms += now_ms() - start;
    if (!good)
        return do_without(models->config->llm_fallback, &why, &stages->reason_err, err);
    stages->reason = models->config->reason_by;
    claims_merge(plate, &claims, stages->reason == REASON_LLM, lines, count, models->domains);
    return true;
}

// What one model read alone nobody bears out, whoever made fields of it.
static void doubt_all(struct plate *plate) {
    for (int i = 0; i < FIELD_COUNT; i++) {
        struct value *value = &plate->values[i];
        if (!value->text[0])
            continue;
        if (value->source == SOURCE_RULE)
            value->source = SOURCE_VLM;
        plate_add_reason(plate, (enum field)i, "ungrounded",
                         "\"%s\" was read by a model alone; no other reader bears it out",
                         value->raw);
    }
}

bool models_refine(struct models *models, const struct view *view, const struct text_line *lines,
                   size_t count, struct plate *plate, struct stages *stages, struct err *err) {
    struct text_page seen = {0};
    bool good = true;
    if (models->config->read_by == READ_BOTH)
        good = models_read(models, view, &seen, stages, err);
    if (seen.count)
        merge_seen(models, &seen, lines, count, plate);
    if (good && models->llm)
        good = reason(models, view, lines, count, &seen, plate, stages, err);
    if (good && stages->read == READ_VLM)
        doubt_all(plate);
    text_page_fini(&seen);
    return good;
}

// --- For `doctor`

static bool try_vlm(struct models *models, struct err *err) {
    struct image page;
    struct text_page read = {0};
    image_init(&page, 320, 240);
    memset(page.pixels, 255, (size_t)320 * 240 * 3);
    bool good = model_read(models->vlm, &page, (struct box){0, 0, 320, 240}, 0, NULL, &read, err);
    text_page_fini(&read);
    image_fini(&page);
    return good;
}

static bool try_llm(struct models *models, struct err *err) {
    char text[] = "POTENCIA 75 kVA";
    struct text_line line = {.text = text, .confidence = 1};
    struct claims claims;
    line.quad = line.upright = (struct quad){{{0, 0}, {150, 0}, {150, 16}, {0, 16}}};
    return model_reason(models->llm, &line, 1, NULL, models->domains, NULL, &claims, err);
}

void models_check(struct models *models,
                  void (*tell)(void *arg, const char *section, const struct err *err), void *arg) {
    struct err err = {0};
    if (models->vlm && model_server_check(models->vlm, &err))
        try_vlm(models, &err);
    if (models->vlm)
        tell(arg, "vlm", &err);
    err = (struct err){0};
    if (models->llm && model_server_check(models->llm, &err))
        try_llm(models, &err);
    if (models->llm)
        tell(arg, "llm", &err);
}
