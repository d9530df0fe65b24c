#include "job_poles.h"

#include "base/mem.h"
#include "format/json.h"
#include "pole_report.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

enum { PHOTOS_MAX = 1000 }; // of one pole; more say nothing new

struct gathering {
    const struct pole_reader *reader;
    char pole[65];
    unsigned photos, done; // of this pole; done: read or failed
    struct reading **readings;
    size_t count, capacity;
    struct record_answer records;
};

static void tell(struct gathering *gathering) {
    const struct pole_reader *reader = gathering->reader;
    if (gathering->done == 0)
        return;
    const struct reading *const *readings = (const struct reading *const *)gathering->readings;
    json_t *report = pole_report(reader->pipeline, reader->tolerance, gathering->pole, readings,
                                 gathering->count, &gathering->records);
    json_set(report, "fotos", json_integer((json_int_t)gathering->photos));
    json_set(report, "prontas", json_integer((json_int_t)gathering->done));
    reader->on_pole(reader->arg, report);
    json_decref(report);
}

static void begin(struct gathering *gathering, const char *pole) {
    for (size_t i = 0; i < gathering->count; i++)
        mem_free(gathering->readings[i]);
    gathering->count = 0;
    gathering->photos = gathering->done = 0;
    gathering->records = (struct record_answer){.known = false};
    snprintf(gathering->pole, sizeof gathering->pole, "%s", pole);
}

// A photo that could not be read is a NULL among the readings.
static void add_reading(struct gathering *gathering, const struct photo_result *result) {
    json_t *report = result->state == PHOTO_DONE && result->result
                         ? json_parse(result->result, strlen(result->result), 0, 0, NULL)
                         : NULL;
    struct reading *reading = report ? mem_alloc(sizeof *reading) : NULL;
    if (reading)
        report_reading(report, reading);
    json_decref(report);
    if (gathering->count == gathering->capacity) {
        gathering->capacity = gathering->capacity ? 2 * gathering->capacity : 16;
        gathering->readings =
            mem_resize(gathering->readings, gathering->capacity * sizeof *gathering->readings);
    }
    gathering->readings[gathering->count++] = reading;
}

static void add_record(struct gathering *gathering, const char *text) {
    json_t *record = json_parse(text, strlen(text), 0, 0, NULL);
    if (record)
        record_answer_add(&gathering->records, record);
    json_decref(record);
}

static bool on_photo(void *arg, const struct photo *photo, const struct photo_result *result) {
    struct gathering *gathering = arg;
    if (strcmp(photo->pole, gathering->pole) != 0 || gathering->photos == 0) {
        tell(gathering);
        begin(gathering, photo->pole);
    }
    gathering->photos++;
    if (result->state != PHOTO_DONE && result->state != PHOTO_FAILED)
        return true;
    gathering->done++;
    if (gathering->count < PHOTOS_MAX)
        add_reading(gathering, result);
    if (result->record)
        add_record(gathering, result->record);
    return true;
}

bool job_poles(const struct pole_reader *reader, const char *job, struct err *err) {
    struct gathering gathering = {.reader = reader};
    bool good = store_results(reader->store, job, on_photo, &gathering, err);
    if (good)
        tell(&gathering);
    begin(&gathering, "");
    mem_free(gathering.readings);
    return good;
}
