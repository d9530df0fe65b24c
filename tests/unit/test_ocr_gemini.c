#include "gemini.h"

#include "base/mem.h"
#include "format/json.h"
#include "plate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *tree_of(const char *text) {
    struct err err = {0};
    json_t *tree = json_parse(text, strlen(text), 0, 0, &err);
    if (!tree)
        fail_msg("%s: %s", text, err.text);
    return tree;
}

static char *text_of(const json_t *tree) {
    struct buf out;
    buf_init(&out, 1 << 16);
    json_write(&out, tree);
    return buf_take(&out, NULL);
}

// Photos are numbers here: what body.h makes of their strings.
static const struct {
    const char *body;
    size_t images;
    bool json;
    const char *field, *text; // of the fault; NULL: none
} requests[] = {
    {"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"read\"},"
     "{\"inlineData\":{\"mimeType\":\"image/jpeg\",\"data\":0}}]}]}",
     1, false, NULL, NULL},
    {"{\"contents\":{\"parts\":{\"inline_data\":{\"mime_type\":\"image/png\",\"data\":0}}}}", 1,
     false, NULL, NULL},
    {"{\"contents\":[{\"parts\":[{\"inlineData\":{\"data\":0}},{\"inline_data\":{\"data\":1}}]}],"
     "\"generation_config\":{\"response_mime_type\":\"application/json\"},\"unknown\":{}}",
     2, true, NULL, NULL},
    {"{\"contents\":[{\"parts\":[{\"inlineData\":{\"data\":0}}]}],"
     "\"generationConfig\":{\"responseSchema\":{\"type\":\"OBJECT\"},\"candidateCount\":1}}",
     1, true, NULL, NULL},
    {"{}", 0, false, "contents", "contents is not specified"},
    {"{\"contents\":[]}", 0, false, "contents", "contents is not specified"},
    {"{\"contents\":[{\"parts\":[]}]}", 0, false, "contents[0]", "at least one part"},
    {"{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}", 0, false, "contents", "no image"},
    {"{\"contents\":[{\"parts\":[{\"text\":\"hi\"},{\"inlineData\":{\"data\":\"x\"}}]}]}", 0, false,
     "contents[0].parts[1]", "base64"},
    {"{\"contents\":[{\"parts\":[{\"fileData\":{\"fileUri\":\"gs://x\"}}]}]}", 0, false,
     "contents[0].parts[0]", "inlineData"},
    {"{\"contents\":[{\"parts\":[{\"text\":3}]}]}", 0, false, "contents[0].parts[0]", "string"},
    {"{\"contents\":[{\"parts\":[{\"inlineData\":{\"data\":0}}]}],"
     "\"generationConfig\":{\"candidateCount\":2}}",
     1, false, "generationConfig.candidateCount", "one answer"},
    {"{\"contents\":[{\"parts\":[{\"inlineData\":{\"data\":0}}]}],\"generationConfig\":[]}", 1,
     false, "generationConfig", "object"},
};

static void test_requests(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct gemini_request request;
        struct gemini_fault fault;
        json_t *tree = tree_of(requests[i].body);
        bool good = gemini_read(&request, tree, &fault);
        if (good != !requests[i].field)
            fail_msg("%s: %s %s", requests[i].body, fault.field, fault.text);
        if (good) {
            assert_int_equal(request.image_count, requests[i].images);
            assert_int_equal(request.json, requests[i].json);
        } else {
            assert_string_equal(fault.field, requests[i].field);
            assert_non_null(strstr(fault.text, requests[i].text));
            assert_int_equal(fault.status, 400);
        }
        json_decref(tree);
    }
}

static void test_labels_stand_before_images(void **state) {
    (void)state;
    struct gemini_request request;
    struct gemini_fault fault;
    json_t *tree = tree_of("{\"contents\":[{\"parts\":[{\"text\":\"IMAGE LABEL: PLACA\"},"
                           "{\"inlineData\":{\"mimeType\":\"image/jpeg\",\"data\":0}},"
                           "{\"inlineData\":{\"data\":1}}]}]}");
    assert_true(gemini_read(&request, tree, &fault));
    assert_string_equal(request.images[0].label, "IMAGE LABEL: PLACA");
    assert_string_equal(request.images[0].mime, "image/jpeg");
    assert_string_equal(request.images[1].label, "");
    assert_int_equal(request.images[1].index, 1);
    json_decref(tree);
    assert_true(gemini_is_image("inline_data", "data"));
    assert_true(gemini_is_image("inlineData", "data"));
    assert_false(gemini_is_image("fileData", "data"));
    assert_false(gemini_is_image("inlineData", "mimeType"));
}

static struct plate some_plate(void) {
    struct plate plate = {.reason_count = 0};
    const struct {
        enum field field;
        const char *text;
    } known[] = {{FIELD_POTENCIA_KVA, "112.5"},        {FIELD_FABRICANTE, "ROMAGNOLE"},
                 {FIELD_NUMERO_SERIE, "123456"},       {FIELD_FASES, "3"},
                 {FIELD_TENSAO_SECUNDARIA, "220/127"}, {FIELD_AUTOPROTEGIDO, "true"},
                 {FIELD_TENSAO_PRIMARIA, "13800"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        snprintf(plate.values[known[i].field].text, sizeof plate.values[0].text, "%s",
                 known[i].text);
    return plate;
}

static const struct {
    const char *schema, *expected;
} shapes[] = {
    {"{\"type\":\"OBJECT\",\"properties\":{\"potencia_kva\":{\"type\":\"NUMBER\"},"
     "\"fases\":{\"type\":\"INTEGER\"},\"numero_serie\":{\"type\":\"STRING\"}}}",
     "{\"potencia_kva\":112.5,\"fases\":3,\"numero_serie\":\"123456\"}"},
    {"{\"type\":\"object\",\"properties\":{\"potenciaKva\":{\"type\":\"string\"},"
     "\"Fases\":{\"type\":[\"string\",\"null\"]},\"autoprotegido\":{\"type\":\"boolean\"}}}",
     "{\"potenciaKva\":\"112.5\",\"Fases\":\"3\",\"autoprotegido\":true}"},
    {"{\"properties\":{\"manufacturer\":{\"type\":\"STRING\"},\"serialNumber\":{\"type\":\"STRING\"},"
     "\"asset_tag\":{\"type\":\"STRING\"},\"colour\":{\"type\":\"STRING\"}}}",
     "{\"manufacturer\":\"ROMAGNOLE\",\"serialNumber\":\"123456\",\"asset_tag\":null,"
     "\"colour\":null}"},
    {"{\"properties\":{\"potencia_kva\":{\"type\":\"INTEGER\"},"
     "\"tensao_secundaria\":{\"type\":\"NUMBER\"}}}",
     "{\"potencia_kva\":null,\"tensao_secundaria\":null}"}, // never another value than the plate's
    {"{\"properties\":{\"tensao_primaria_kv\":{\"type\":\"NUMBER\"},"
     "\"tensaoPrimariaV\":{\"type\":\"INTEGER\"},\"primary_voltage\":{\"type\":\"STRING\"}}}",
     "{\"tensao_primaria_kv\":13.8,\"tensaoPrimariaV\":13800,\"primary_voltage\":\"13800\"}"},
    {"{\"type\":\"ARRAY\",\"items\":{\"type\":\"OBJECT\",\"properties\":"
     "{\"fabricante\":{\"type\":\"STRING\"}}}}",
     "[{\"fabricante\":\"ROMAGNOLE\"}]"},
    // As pydantic writes a model with optional members and a model inside.
    {"{\"$defs\":{\"Placa\":{\"type\":\"object\",\"properties\":{\"fases\":{\"anyOf\":"
     "[{\"type\":\"null\"},{\"type\":\"integer\"}]},\"potencia_kva\":{\"anyOf\":[{\"type\":\"string\"},"
     "{\"type\":\"null\"}]}}}},\"properties\":{\"placa\":{\"$ref\":\"#/$defs/Placa\"}}}",
     "{\"placa\":{\"fases\":3,\"potencia_kva\":\"112.5\"}}"},
    {"{\"$defs\":{\"A\":{\"properties\":{\"fases\":{\"$ref\":\"#/$defs/A\"}}}},\"properties\":"
     "{\"elo\":{\"$ref\":\"#/$defs/nowhere\"},\"x\":{\"$ref\":\"#\"}}}",
     NULL}, // in circles
    {"{\"properties\":{\"fabricante\":{\"type\":\"STRING\",\"enum\":[\"WEG\",\"Romagnole\"]},"
     "\"fases\":{\"type\":\"STRING\",\"enum\":[\"1\",\"2\"]},\"kva\":{\"enum\":[75,112.5]}}}",
     "{\"fabricante\":\"Romagnole\",\"fases\":null,\"kva\":112.5}"},
    {"{\"properties\":{\"fabricante\":{\"type\":\"ARRAY\",\"items\":{\"type\":\"STRING\"}},"
     "\"elo\":{\"type\":\"ARRAY\",\"items\":{\"type\":\"STRING\"}},\"placas\":{\"type\":\"ARRAY\",\"items\":"
     "{\"properties\":{\"fases\":{\"type\":\"INTEGER\"}}}},\"serial\":{\"type\":\"OBJECT\"}}}",
     "{\"fabricante\":[\"ROMAGNOLE\"],\"elo\":[],\"placas\":[{\"fases\":3}],\"serial\":null}"},
    {"{\"properties\":{\"placa\":{\"type\":\"OBJECT\",\"properties\":"
     "{\"fases\":{\"type\":\"INTEGER\"}}}}}",
     "{\"placa\":{\"fases\":3}}"},
};

static void test_the_answer_takes_the_asked_shape(void **state) {
    (void)state;
    struct plate plate = some_plate();
    json_t *own = plate_json(&plate);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        json_t *schema = tree_of(shapes[i].schema), *shape = gemini_shape(schema, own);
        char *text = text_of(shape);
        if (shapes[i].expected)
            assert_string_equal(text, shapes[i].expected);
        mem_free(text);
        json_decref(shape);
        json_decref(schema);
    }
    json_t *same = gemini_shape(NULL, own);
    assert_ptr_equal(same, own);
    json_decref(same);
    json_decref(own);
}

static void test_a_plates_own_json(void **state) {
    (void)state;
    struct plate plate = some_plate();
    plate.values[FIELD_FASES].box = (struct box){1, 2, 3, 4};
    plate.values[FIELD_FASES].source = SOURCE_RULE;
    plate_add_reason(&plate, FIELD_FASES, "low_confidence", "only %d %%", 40);
    plate_add_reason(&plate, FIELD_FASES, "low_confidence", "again");
    json_t *json = plate_json(&plate);
    for (int i = 0; i < FIELD_COUNT; i++) {
        assert_non_null(json_object_get(json, field_key((enum field)i)));
        assert_int_equal(field_by_key(field_key((enum field)i)), i);
    }
    assert_int_equal(field_by_key("colour"), FIELD_COUNT);
    assert_true(json_is_null(json_object_get(json, "patrimonio")));
    assert_true(json_get_bool(json, "_needs_review", false));
    const json_t *reasons = json_object_get(json, "_reasons");
    assert_int_equal(json_array_size(reasons), 1);
    assert_string_equal(json_get_text(json_array_get(reasons, 0), "text", ""), "only 40 %");
    const json_t *phases = json_object_get(json_object_get(json, "_fields"), "fases");
    assert_string_equal(json_get_text(phases, "source", ""), "rule");
    assert_int_equal(json_array_size(json_object_get(phases, "box")), 4);
    json_decref(json);
    for (int i = 0; i < 2 * REASONS_MAX; i++) {
        char code[32];
        snprintf(code, sizeof code, "code_%d", i);
        plate_add_reason(&plate, FIELD_COUNT, code, "x");
    }
    assert_int_equal(plate.reason_count, REASONS_MAX);
    assert_string_equal(plate.reasons[REASONS_MAX - 1].code, "more");
}

static void test_envelopes(void **state) {
    (void)state;
    struct gemini_usage usage = {10, 258, 7};
    json_t *answer = gemini_answer("{\"a\":1}", "STOP", "local", "id-1", &usage);
    char *text = text_of(answer);
    assert_string_equal(
        text,
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"{\\\"a\\\":1}\"}],\"role\":\"model\"},"
        "\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":268,"
        "\"candidatesTokenCount\":7,\"totalTokenCount\":275,\"promptTokensDetails\":[{\"modality\":"
        "\"TEXT\",\"tokenCount\":10},{\"modality\":\"IMAGE\",\"tokenCount\":258}]},"
        "\"modelVersion\":\"local\",\"responseId\":\"id-1\"}");
    mem_free(text);
    json_decref(answer);
    struct gemini_fault fault = {.status = 500, .text = "the GPU hangs"};
    json_t *error = gemini_error_with(&fault, "GPU_HANG");
    const json_t *inside = json_object_get(error, "error");
    assert_int_equal(json_get_int(inside, "code", 0), 500);
    assert_string_equal(json_get_text(inside, "status", ""), "INTERNAL");
    assert_string_equal(
        json_get_text(json_array_get(json_object_get(inside, "details"), 0), "reason", ""),
        "GPU_HANG");
    json_decref(error);
    static const struct {
        unsigned http;
        const char *status;
    } words[] = {{400, "INVALID_ARGUMENT"}, {404, "NOT_FOUND"},         {429, "RESOURCE_EXHAUSTED"},
                 {503, "UNAVAILABLE"},      {504, "DEADLINE_EXCEEDED"}, {502, "INTERNAL"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_string_equal(gemini_status(words[i].http), words[i].status);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_labels_stand_before_images),
        cmocka_unit_test(test_the_answer_takes_the_asked_shape),
        cmocka_unit_test(test_a_plates_own_json),
        cmocka_unit_test(test_envelopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
