#include "report.h"

#include "base/mem.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

// --- JSON

static json_t *score_json(float confidence) { return plate_rounded((double)confidence, 1000); }

// What is told is what the reference reads. A line that it leaves on its head tells besides what it
// says turned as the photo is, which is what fields are taken from.
json_t *report_text_json(const struct reading *reading, size_t index) {
    const struct text_line *line = &reading->page.lines[index];
    struct box box = quad_box(&line->quad);
    bool over = line->own_text != NULL;
    json_t *text =
        json_build("{s:s, s:o, s:o, s:s}", "text", over ? line->own_text : line->text, "score",
                   score_json(over ? line->own_confidence : line->confidence), "box",
                   plate_box_json(&box), "class", text_class_name(reading->classes[index]));
    if (over)
        json_set(
            text, "turned",
            json_build("{s:s, s:o}", "text", line->text, "score", score_json(line->confidence)));
    return text;
}

static json_t *plate_seen_json(const struct reading *reading) {
    const struct plate_seen *seen = &reading->seen;
    bool known = seen->box.x1 > seen->box.x0;
    return json_build("{s:o, s:o, s:o, s:s, s:o}", "class",
                      seen->class_name[0] ? json_text(seen->class_name) : json_null(), "box",
                      known ? plate_box_json(&seen->box) : json_null(), "score",
                      seen->score > 0 ? plate_rounded((double)seen->score, 1000) : json_null(),
                      "fallback", plate_fallback_name(seen->fallback), "identification",
                      reading->looked ? json_boolean(reading->identification) : json_null());
}

static json_t *sights_json(const struct sights *sights) {
    json_t *out = json_array();
    for (size_t i = 0; i < sights->count; i++) {
        const struct sight *sight = &sights->list[i];
        json_array_append_new(out, json_build("{s:s, s:o, s:o}", "class", sight_class(sight->what),
                                              "box", plate_box_json(&sight->box), "score",
                                              plate_rounded((double)sight->score, 1000)));
    }
    return out;
}

static json_t *timings_json(const struct reading *reading) {
    const struct timings *timings = &reading->timings;
    const struct {
        const char *key;
        double ms;
    } TIMES[] = {
        {"decode", timings->decode_ms},   {"plate", timings->plate_ms},
        {"read", timings->read_ms},       {"rules", timings->rules_ms},
        {"network", timings->network_ms}, {"vlm", reading->stages.vlm_ms},
        {"llm", reading->stages.llm_ms},  {"total", timings->total_ms},
    };
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof TIMES / sizeof *TIMES; i++)
        json_set(out, TIMES[i].key, plate_rounded(TIMES[i].ms, 10));
    return out;
}

json_t *report_json(const char *file, const struct reading *reading) {
    json_t *report = json_object(), *texts = json_array();
    for (size_t i = 0; i < reading->page.count; i++)
        json_array_append_new(texts, report_text_json(reading, i));
    json_set(report, "file", json_text(file));
    json_set(report, "image_id", json_text(reading->image_id));
    plate_put_fields(&reading->plate, report);
    json_set(report, "width", json_integer(reading->width));
    json_set(report, "height", json_integer(reading->height));
    json_set(report, "texts", texts);
    json_set(report, "plate", plate_seen_json(reading));
    json_set(report, "plates", sights_json(&reading->sights));
    json_set(report, "pole_id_context",
             sight_class(reading->context) ? json_text(sight_class(reading->context))
                                           : json_null());
    json_set(report, "stages", stages_json(&reading->stages));
    json_set(report, "timings_ms", timings_json(reading));
    return report;
}

void report_reading(const json_t *report, struct reading *reading) {
    const json_t *seen = json_object_get(report, "plate");
    const json_t *identification = json_object_get(seen, "identification");
    *reading = (struct reading){.looked = json_is_boolean(identification),
                                .identification = json_is_true(identification)};
    snprintf(reading->image_id, sizeof reading->image_id, "%s",
             json_get_text(report, "image_id", ""));
    snprintf(reading->seen.class_name, sizeof reading->seen.class_name, "%s",
             json_get_text(seen, "class", ""));
    plate_take_fields(&reading->plate, report);
}

const char *report_code(const struct err *err) {
    switch (err->code) {
    case ERR_INVALID: return "INVALID_IMAGE";
    case ERR_NOTFOUND: return "FILE_MISSING";
    case ERR_LIMIT: return "TOO_LARGE";
    case ERR_DENIED: return "FILE_DENIED";
    case ERR_PEER: return "SHARE_UNREACHABLE";
    case ERR_TIMEOUT: return "DEADLINE_EXCEEDED";
    case ERR_BUSY: return "BUSY";
    case ERR_HANG: return "GpuHangError";
    case ERR_UNAVAILABLE: return "MODEL_UNAVAILABLE";
    case ERR_GARBLED: return "MODEL_FAILED";
    case ERR_FULL: return "DISK_FULL";
    default: return "INTERNAL";
    }
}

json_t *report_error_json(const char *file, const struct err *err) {
    return json_build("{s:s, s:{s:s, s:s}}", "file", file, "error", "code", report_code(err),
                      "text", err->text);
}
