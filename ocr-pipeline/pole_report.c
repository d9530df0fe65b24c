#include "pole_report.h"

#include "base/mem.h"
#include "format/json.h"
#include "pole.h"
#include "records_compare.h"

#include <stdio.h>
#include <string.h>

// --- The records

void pole_ask_records(struct records *records, const char *pole,
                      const struct reading *const *readings, size_t count,
                      struct record_answer *answer) {
    struct err err = {0};
    *answer = (struct record_answer){.known = false};
    if (!records)
        return;
    struct sighting *seen = mem_alloc((count + 1) * sizeof *seen);
    size_t sightings = pole_sightings(readings, count, seen);
    answer->known = records_find(records, pole, seen, sightings, &answer->record, &err);
    mem_free(seen);
    if (answer->known || err.code == ERR_NOTFOUND)
        return;
    snprintf(answer->code, sizeof answer->code, "%s", records_code(&err));
    snprintf(answer->text, sizeof answer->text, "%s", err.text);
}

json_t *record_answer_json(const struct record_answer *answer) {
    if (answer->code[0])
        return json_build("{s:s, s:s}", "code", answer->code, "text", answer->text);
    return answer->known ? json_build("{s:o}", "record", record_json(&answer->record)) : NULL;
}

void record_answer_add(struct record_answer *answer, const json_t *json) {
    const json_t *record = json_object_get(json, "record");
    struct record told;
    if (!record) {
        snprintf(answer->code, sizeof answer->code, "%s", json_get_text(json, "code", ""));
        snprintf(answer->text, sizeof answer->text, "%s", json_get_text(json, "text", ""));
        return;
    }
    record_of_json(&told, record);
    if (!answer->known || told.transformer_images > answer->record.transformer_images)
        answer->record = told;
    answer->known = true;
}

// Photos of one job are asked for one by one; together they may be more than each knew of.
static void count_units(struct record *record, const struct reading *const *readings,
                        size_t count) {
    struct sighting *seen = mem_alloc((count + 1) * sizeof *seen);
    record_count_units(record, seen, pole_sightings(readings, count, seen));
    mem_free(seen);
}

// --- The pole

static json_t *compare(const struct record_answer *answer, double tolerance,
                       const struct reading *const *readings, size_t count, struct plate *plate) {
    struct comparison comparison;
    if (!answer->known) {
        if (answer->code[0])
            plate_add_reason(plate, FIELD_COUNT, "records_failed", "%s", answer->text);
        return json_null();
    }
    struct record record = answer->record;
    count_units(&record, readings, count);
    records_compare(&record, tolerance, plate, &comparison);
    return comparison_json(&record, &comparison);
}

void pole_plate(const struct pipeline *pipeline, const struct reading *const *readings,
                size_t count, struct plate *plate) {
    pole_merge(plate, readings, count);
    pipeline_audit_pole(pipeline, plate, pole_identification(readings, count));
}

json_t *pole_report(const struct pipeline *pipeline, double tolerance, const char *pole,
                    const struct reading *const *readings, size_t count,
                    const struct record_answer *answer) {
    struct plate plate;
    json_t *report = json_build("{s:s}", "poste", pole);
    bool failed = !answer->known && answer->code[0];
    pole_plate(pipeline, readings, count, &plate);
    json_t *records = compare(answer, tolerance, readings, count, &plate);
    plate_put_fields(&plate, report);
    json_set(report, "registros", records);
    json_set(report, "registros_erro", failed ? record_answer_json(answer) : json_null());
    return report;
}
