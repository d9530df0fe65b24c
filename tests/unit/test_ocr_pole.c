#include "pole.h"

#include "base/mem.h"
#include "csv.h"
#include "format/json.h"
#include "report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void give(struct reading *reading, enum field field, const char *text, float confidence) {
    struct value *value = &reading->plate.values[field];
    snprintf(value->text, sizeof value->text, "%s", text);
    value->confidence = confidence;
    value->source = SOURCE_RULE;
}

static size_t reasons(const struct plate *plate, enum field field, const char *code) {
    size_t count = 0;
    for (size_t i = 0; i < plate->reason_count; i++)
        count += plate->reasons[i].field == field && strcmp(plate->reasons[i].code, code) == 0;
    return count;
}

static void the_surest_value_counts(void **state) {
    struct reading a = {0}, b = {0};
    struct plate plate;
    give(&a, FIELD_POTENCIA_KVA, "75", .6f);
    plate_add_reason(&a.plate, FIELD_POTENCIA_KVA, "low_confidence", "of the other");
    give(&b, FIELD_POTENCIA_KVA, "75", .9f);
    give(&b, FIELD_FABRICANTE, "WEG", .8f);
    pole_merge(&plate, (const struct reading *[]){&a, &b}, 2);
    assert_string_equal(plate.values[FIELD_POTENCIA_KVA].text, "75");
    assert_true(plate.values[FIELD_POTENCIA_KVA].confidence > .8f);
    assert_string_equal(plate.values[FIELD_FABRICANTE].text, "WEG");
    assert_false(plate_needs_review(&plate));
}

static void photos_that_disagree(void **state) {
    struct reading a = {0}, b = {0}, c = {0};
    struct plate plate;
    give(&a, FIELD_NUMERO_SERIE, "1234", .9f);
    give(&b, FIELD_NUMERO_SERIE, "1284", .7f);
    give(&c, FIELD_NUMERO_SERIE, "99", .2f); // too unsure to contradict
    pole_merge(&plate, (const struct reading *[]){&a, &b, &c}, 3);
    assert_string_equal(plate.values[FIELD_NUMERO_SERIE].text, "1234");
    assert_int_equal(reasons(&plate, FIELD_NUMERO_SERIE, "photos_disagree"), 1);
    pole_merge(&plate, (const struct reading *[]){&a, &c}, 2);
    assert_false(plate_needs_review(&plate));
}

static void what_no_photo_says_is_a_doubt(void **state) {
    struct reading a = {0}, b = {0};
    struct plate plate;
    plate_add_reason(&a.plate, FIELD_NUMERO_SERIE, "no_value", "x");
    pole_merge(&plate, (const struct reading *[]){&a, &b}, 2);
    assert_int_equal(reasons(&plate, FIELD_NUMERO_SERIE, "no_value"), 1);
    give(&b, FIELD_NUMERO_SERIE, "123", .9f);
    pole_merge(&plate, (const struct reading *[]){&a, &b}, 2);
    assert_false(plate_needs_review(&plate));
}

static void doubts_travel_with_their_value(void **state) {
    struct reading a = {0};
    struct plate plate;
    give(&a, FIELD_ELO_FUSIVEL, "5H", .9f);
    plate_add_reason(&a.plate, FIELD_ELO_FUSIVEL, "fuse_mismatch", "100 %% odd");
    plate_add_reason(&a.plate, FIELD_COUNT, "no_identification", "x");
    pole_merge(&plate, (const struct reading *[]){&a, NULL}, 2);
    assert_int_equal(reasons(&plate, FIELD_ELO_FUSIVEL, "fuse_mismatch"), 1);
    assert_int_equal(reasons(&plate, FIELD_COUNT, "no_identification"), 1);
    assert_int_equal(reasons(&plate, FIELD_COUNT, "photo_unreadable"), 1);
}

static void a_sign_is_looked_for_on_several_photos(void **state) {
    struct reading plate = {.looked = true}, sign = {.looked = true, .identification = true},
                   unseen = {.looked = false};
    const struct {
        const struct reading *readings[3];
        size_t count;
        enum identification identification;
    } cases[] = {
        {{&plate}, 1, IDENTIFICATION_UNKNOWN},
        {{&plate, &plate}, 2, IDENTIFICATION_MISSING},
        {{&plate, &sign}, 2, IDENTIFICATION_SEEN},
        {{&sign}, 1, IDENTIFICATION_SEEN},
        {{&plate, &plate, NULL}, 3, IDENTIFICATION_UNKNOWN},
        {{&plate, &unseen, &plate}, 3, IDENTIFICATION_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(pole_identification(cases[i].readings, cases[i].count),
                         cases[i].identification);
}

static void show(struct reading *reading, const char *image, const char *what, const char *serial) {
    snprintf(reading->image_id, sizeof reading->image_id, "%s", image);
    snprintf(reading->seen.class_name, sizeof reading->seen.class_name, "%s", what);
    give(reading, FIELD_NUMERO_SERIE, serial, .9f);
}

static void transformers_that_were_seen(void **state) {
    struct reading sure = {0}, doubtful = {0}, unsure = {0}, sign = {0};
    struct sighting seen[5];
    show(&sure, "a", CLASS_TRANSFORMER, "123");
    show(&doubtful, "b", CLASS_TRANSFORMER, "456");
    plate_add_reason(&doubtful.plate, FIELD_NUMERO_SERIE, "low_confidence", "x");
    show(&unsure, "c", CLASS_TRANSFORMER, "789");
    unsure.plate.values[FIELD_NUMERO_SERIE].confidence = .3f;
    show(&sign, "d", CLASS_IDENTIFICATION, "123");
    const struct reading *readings[] = {&sure, NULL, &doubtful, &sign, &unsure};
    assert_int_equal(pole_sightings(readings, 5, seen), 3);
    assert_string_equal(seen[0].image, "a");
    assert_string_equal(seen[0].serial, "123");
    assert_string_equal(seen[1].image, "b");
    assert_string_equal(seen[1].serial, "");
    assert_string_equal(seen[2].serial, "");
}

// What a job keeps of a photo is enough for its pole.
static void a_report_is_read_again(void **state) {
    struct reading reading = {.looked = true, .identification = true}, again;
    show(&reading, "a1", CLASS_TRANSFORMER, "AB-123");
    give(&reading, FIELD_POTENCIA_KVA, "112.5", .8f);
    give(&reading, FIELD_TENSAO_PRIMARIA, "13800", .8f);
    give(&reading, FIELD_AUTOPROTEGIDO, "true", .8f);
    reading.plate.values[FIELD_POTENCIA_KVA].box = (struct box){1, 2, 30, 40};
    plate_add_reason(&reading.plate, FIELD_POTENCIA_KVA, "low_confidence", "100 %% sure");
    plate_add_reason(&reading.plate, FIELD_COUNT, "more", "of the plate");
    json_t *report = report_json("a.jpg", &reading);
    report_reading(report, &again);
    json_t *same = report_json("a.jpg", &again);
    for (size_t i = 0; i < 3; i++) {
        static const char *const keys[] = {"fields", "review_reasons", "image_id"};
        assert_true(json_equal(json_object_get(report, keys[i]), json_object_get(same, keys[i])));
    }
    assert_string_equal(again.seen.class_name, CLASS_TRANSFORMER);
    assert_true(again.looked && again.identification);
    json_decref(report);
    json_decref(same);
    report =
        json_build("{s:s, s:{s:s}}", "file", "x", "error", "code", "INTERNAL"); // of another sort
    report_reading(report, &again);
    assert_string_equal(again.plate.values[FIELD_POTENCIA_KVA].text, "");
    assert_false(again.looked);
    json_decref(report);
}

static void names_of_photos(void **state) {
    static const char text[] = "{\"imagens\":[0,{\"nome\":\"a.jpg\",\"dados\":1},{\"dados\":2}]}";
    json_t *tree = json_parse(text, strlen(text), 0, 0, NULL);
    assert_string_equal(pole_photo_name(tree, 0), "");
    assert_string_equal(pole_photo_name(tree, 1), "a.jpg");
    assert_string_equal(pole_photo_name(tree, 2), "");
    assert_string_equal(pole_photo_name(tree, 3), "");
    json_decref(tree);
    assert_true(pole_is_image("", "imagens"));
    assert_true(pole_is_image("postes", "imagens"));
    assert_true(pole_is_image("imagens", "dados"));
    assert_false(pole_is_image("imagens", "nome"));
    assert_false(pole_is_image("postes", "dados"));
}

static void cells_of_a_table(void **state) {
    static const struct {
        const char *text, *cell;
    } cases[] = {
        {"a", "a,"},           {"a b", "a b,"},
        {"a,b", "\"a,b\","},   {"a\"b", "\"a\"\"b\","},
        {"a\nb", "\"a b\","},  {"=1+1", "\"'=1+1\","},
        {"@x", "\"'@x\","},    {"-5", "-5,"},
        {"+5.5", "+5.5,"},     {"-a", "\"'-a\","},
        {"'x,y", "\"'x,y\","},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out;
        buf_init(&out, 1000);
        csv_cell(&out, cases[i].text);
        csv_cell(&out, "");
        assert_string_equal(buf_text(&out), cases[i].cell);
        char *back = csv_first(buf_text(&out), out.length);
        if (!strchr(cases[i].text, '\n'))
            assert_string_equal(back, cases[i].text);
        mem_free(back);
        buf_fini(&out);
    }
    assert_null(csv_first("\"cut", 4));
    assert_null(csv_first("no comma", 8));
    assert_null(csv_first("", 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_surest_value_counts),
        cmocka_unit_test(photos_that_disagree),
        cmocka_unit_test(what_no_photo_says_is_a_doubt),
        cmocka_unit_test(doubts_travel_with_their_value),
        cmocka_unit_test(a_sign_is_looked_for_on_several_photos),
        cmocka_unit_test(transformers_that_were_seen),
        cmocka_unit_test(a_report_is_read_again),
        cmocka_unit_test(names_of_photos),
        cmocka_unit_test(cells_of_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
