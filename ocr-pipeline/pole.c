#include "pole.h"

#include "format/json.h"

#include <stdio.h>
#include <string.h>

#define SURE 0.5f // a value below it contradicts nobody

bool pole_is_image(const char *parent, const char *key) {
    static const char *const keys[] = {"dados", "data", "base64", "imagem"};
    if (strcmp(key, "imagens") == 0 || strcmp(key, "images") == 0)
        return true;
    bool inside = strcmp(parent, "imagens") == 0 || strcmp(parent, "images") == 0;
    for (size_t i = 0; inside && i < sizeof keys / sizeof *keys; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

int64_t pole_photo_index(const json_t *element) {
    const char *key;
    json_t *value;
    if (json_is_integer(element))
        return json_integer_value(element);
    json_object_foreach((json_t *)(uintptr_t)element, key, value) {
        if (pole_is_image("imagens", key) && json_is_integer(value))
            return json_integer_value(value);
    }
    return -1;
}

const json_t *pole_images(const json_t *pole) {
    const json_t *images = json_object_get(pole, "imagens");
    return images ? images : json_object_get(pole, "images");
}

const char *pole_image_name(const json_t *element) {
    return json_get_text(element, "nome", json_get_text(element, "name", ""));
}

const char *pole_photo_name(const json_t *pole, size_t index) {
    const json_t *images = pole_images(pole);
    for (size_t i = 0; i < json_array_size(images); i++) {
        const json_t *element = json_array_get(images, i);
        if (pole_photo_index(element) == (int64_t)index)
            return pole_image_name(element);
    }
    return "";
}

static void take_field(struct plate *out, const struct reading *reading, enum field field) {
    const struct value *value = &reading->plate.values[field];
    out->values[field] = *value;
    for (size_t i = 0; i < reading->plate.reason_count; i++) {
        const struct reason *reason = &reading->plate.reasons[i];
        if (reason->field == field)
            plate_add_reason(out, field, reason->code, "%s", reason->text);
    }
}

static void merge_field(struct plate *out, const struct reading *const *readings, size_t count,
                        enum field field) {
    const struct reading *best = NULL;
    float confidence = -1;
    for (size_t i = 0; i < count; i++) {
        const struct value *value = readings[i] ? &readings[i]->plate.values[field] : NULL;
        if (value && value->text[0] && value->confidence > confidence) {
            best = readings[i];
            confidence = value->confidence;
        }
    }
    if (!best) { // why no photo says it
        for (size_t i = 0; i < count; i++)
            if (readings[i])
                take_field(out, readings[i], field);
        return;
    }
    take_field(out, best, field);
    for (size_t i = 0; i < count; i++) {
        const struct value *value = readings[i] ? &readings[i]->plate.values[field] : NULL;
        if (value && value->text[0] && value->confidence >= SURE &&
            strcmp(value->text, out->values[field].text) != 0)
            plate_add_reason(out, field, "photos_disagree", "one photo says \"%s\", another \"%s\"",
                             out->values[field].text, value->text);
    }
}

void pole_merge(struct plate *out, const struct reading *const *readings, size_t count) {
    *out = (struct plate){.reason_count = 0};
    for (int field = 0; field < FIELD_COUNT; field++)
        merge_field(out, readings, count, (enum field)field);
    for (size_t i = 0; i < count; i++) {
        if (!readings[i]) {
            plate_add_reason(out, FIELD_COUNT, "photo_unreadable", "photo %zu could not be read",
                             i + 1);
            continue;
        }
        const struct plate *plate = &readings[i]->plate;
        for (size_t k = 0; k < plate->reason_count; k++)
            if (plate->reasons[k].field == FIELD_COUNT)
                plate_add_reason(out, FIELD_COUNT, plate->reasons[k].code, "%s",
                                 plate->reasons[k].text);
    }
}

enum identification pole_identification(const struct reading *const *readings, size_t count) {
    size_t looked = 0;
    for (size_t i = 0; i < count; i++) {
        looked += readings[i] && readings[i]->looked;
        if (readings[i] && readings[i]->identification)
            return IDENTIFICATION_SEEN;
    }
    return looked > 1 && looked == count ? IDENTIFICATION_MISSING : IDENTIFICATION_UNKNOWN;
}

// A serial number that somebody should look at says nothing of which transformer it is.
static const char *sure_serial(const struct plate *plate) {
    const struct value *serial = &plate->values[FIELD_NUMERO_SERIE];
    bool doubted = plate_reason(plate, FIELD_NUMERO_SERIE) != NULL;
    return serial->confidence >= SURE && !doubted ? serial->text : "";
}

size_t pole_sightings(const struct reading *const *readings, size_t count, struct sighting *out) {
    size_t sightings = 0;
    for (size_t i = 0; i < count; i++) {
        const struct reading *reading = readings[i];
        if (!reading || strcmp(reading->seen.class_name, CLASS_TRANSFORMER) != 0)
            continue;
        struct sighting *sighting = &out[sightings++];
        snprintf(sighting->image, sizeof sighting->image, "%s", reading->image_id);
        snprintf(sighting->serial, sizeof sighting->serial, "%s", sure_serial(&reading->plate));
    }
    return sightings;
}
