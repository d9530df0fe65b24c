// read_plate [--all 1] < LINES: what the rules make of lines that were read, a line of JSON a photo
// in and out, so that they are tried on many photos without reading those again. In: {"file",
// "lines": [{"text", "confidence", "quad", "upright", "chars": [[text, confidence, second,
// confidence, x0, x1]]}], "box": [x0, y0, x1, y1] of the plate, may be missing}. Out: {"file",
// "fields", "_needs_review", "review_reasons", "classes"}. --all 1: no filter.
#include "audit.h"
#include "base/buf.h"
#include "base/mem.h"
#include "domains.h"
#include "filter.h"
#include "format/json.h"
#include "plate.h"
#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float number_at(const json_t *array, size_t i) {
    return (float)json_number_value(json_array_get(array, i));
}

static struct quad quad_of(const json_t *array) {
    struct quad quad;
    for (size_t i = 0; i < 4; i++)
        quad.corners[i] = (struct point){number_at(array, 2 * i), number_at(array, 2 * i + 1)};
    return quad;
}

static void read_line(struct text_line *line, const json_t *json) {
    const json_t *chars = json_object_get(json, "chars"),
                 *upright = json_object_get(json, "upright");
    line->text = mem_strdup(json_string_value(json_object_get(json, "text")));
    line->confidence = (float)json_number_value(json_object_get(json, "confidence"));
    line->quad = quad_of(json_object_get(json, "quad"));
    line->upright = upright ? quad_of(upright) : line->quad;
    line->char_count = json_array_size(chars);
    line->chars = mem_alloc((line->char_count + 1) * sizeof *line->chars);
    for (size_t i = 0; i < line->char_count; i++) {
        const json_t *one = json_array_get(chars, i);
        struct text_char *c = &line->chars[i];
        snprintf(c->text, sizeof c->text, "%s", json_string_value(json_array_get(one, 0)));
        snprintf(c->second, sizeof c->second, "%s", json_string_value(json_array_get(one, 2)));
        c->confidence = number_at(one, 1);
        c->second_confidence = number_at(one, 3);
        c->x0 = number_at(one, 4);
        c->x1 = number_at(one, 5);
    }
}

static void read_photo(const json_t *photo, bool all, const struct domains *domains) {
    const json_t *array = json_object_get(photo, "lines"), *box = json_object_get(photo, "box");
    size_t count = json_array_size(array);
    struct text_line *lines = mem_alloc((count + 1) * sizeof *lines);
    struct text_line *kept = mem_alloc((count + 1) * sizeof *kept);
    enum text_class *classes = mem_alloc((count + 1) * sizeof *classes);
    struct filter_context context = {CONTEXT_UNKNOWN, {0}};
    struct plate plate = {0};
    for (size_t i = 0; i < count; i++)
        read_line(&lines[i], json_array_get(array, i));
    if (box) {
        context.seen = CONTEXT_TRANSFORMER;
        context.plate = (struct box){number_at(box, 0), number_at(box, 1), number_at(box, 2),
                                     number_at(box, 3)};
    }
    filter_classify(lines, count, &context, domains, classes);
    size_t left = filter_keep(lines, classes, count, TEXT_NAMEPLATE, kept);
    rules_read(&plate, all ? lines : kept, all ? count : left, domains);
    audit_plate(&plate, IDENTIFICATION_UNKNOWN, NULL, domains);
    json_t *out = json_object(), *names = json_array();
    json_set(out, "file", json_text(json_string_value(json_object_get(photo, "file"))));
    plate_put_fields(&plate, out);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        json_set(json_object_get(json_object_get(out, "fields"), field_key((enum field)i)),
                 "characters", json_real((double)plate.values[i].characters));
    for (size_t i = 0; i < count; i++)
        json_array_append_new(names, json_text(text_class_name(classes[i])));
    json_set(out, "classes", names);
    struct buf text;
    buf_init(&text, (size_t)16 << 20);
    json_write(&text, out);
    puts(buf_text(&text));
    buf_fini(&text);
    json_decref(out);
    for (size_t i = 0; i < count; i++) {
        mem_free(lines[i].text);
        mem_free(lines[i].chars);
    }
    mem_free(lines);
    mem_free(kept);
    mem_free(classes);
}

int main(int argc, char **argv) {
    bool all = argc > 2 && !strcmp(argv[1], "--all") && strtol(argv[2], NULL, 10);
    struct domains *domains = domains_create();
    char *line = NULL;
    size_t room = 0;
    int status = 0;
    for (ssize_t length; (length = getline(&line, &room, stdin)) > 0;) {
        struct err err = {0};
        json_t *photo = json_parse(line, (size_t)length, 0, 0, &err);
        if (photo)
            read_photo(photo, all, domains);
        else
            fprintf(stderr, "read_plate: %s\n", err.text);
        status |= !photo;
        json_decref(photo);
    }
    free(line);
    domains_destroy(domains);
    return status;
}
