// What models say of a plate: taken apart, and held against what was read.
#include "audit.h"
#include "claims.h"
#include "format/json.h"
#include "model_answer.h"
#include "model_read.h"
#include "plate_draw.h"
#include "rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static json_t *tree_of(const char *text) {
    struct err err = {0};
    json_t *tree = json_parse(text, strlen(text), 0, JSON_PARSE_ANY, &err);
    if (!tree)
        fail_msg("%s: %s", text, err.text);
    return tree;
}

// --- Values

static void values_go_through_the_rules(void **state) {
    static const struct {
        const char *said, *values;
    } CASES[] = {
        {"{\"potencia_kva\": 75}", "potencia_kva=75"},
        {"{\"potencia_kva\": \"112,5 kVA\"}", "potencia_kva=112.5"},
        {"{\"fabricante\": \"Romagnole Ltda\"}", "fabricante=ROMAGNOLE"},
        {"{\"numero_serie\": \"626607/2006\"}", "numero_serie=626607/2006"},
        {"{\"numero_serie\": 123456}", "numero_serie=123456"},
        {"{\"data_fabricacao\": \"2006-08\"}", "data_fabricacao=2006-08"},
        {"{\"data_fabricacao\": \"MAI/2016\"}", "data_fabricacao=2016-05"},
        {"{\"data_fabricacao\": \"2006\"}", "data_fabricacao=2006"},
        {"{\"data_fabricacao\": \"2099-01\"}", ""},
        {"{\"elo_fusivel\": \"5 H\"}", "elo_fusivel=5H"},
        {"{\"tensao_primaria_v\": 13800}", "tensao_primaria_v=13800"},
        {"{\"tensao_primaria_v\": \"13,8 kV\"}", "tensao_primaria_v=13800"},
        {"{\"tensao_primaria_v\": \"13800/13200/12600 V\"}", "tensao_primaria_v=13800"},
        {"{\"tensao_secundaria_v\": \"220/127 V\"}", "tensao_secundaria_v=220/127"},
        {"{\"fases\": 3}", "fases=3"},
        {"{\"fases\": \"trifásico\"}", "fases=3"},
        {"{\"autoprotegido\": true}", "autoprotegido=true"},
        {"{\"autoprotegido\": \"transformador autoprotegido\"}", "autoprotegido=true"},
        {"{\"autoprotegido\": \"NÃO AUTOPROTEGIDO\"}", ""},
        {"{\"autoprotegido\": \"no\"}", ""},
        {"{\"autoprotegido\": false}", ""},
        {"{\"patrimonio\": \"399706\"}", "patrimonio=399706"},
        {"{\"registro\": \"001234/2016\"}", "registro=001234/2016"},
        {"{\"potencia_kva\": null, \"fabricante\": \"N/A\", \"registro\": \"não consta\"}", ""},
        {"{\"potencia_kva\": \"very much\", \"fases\": [3], \"elo_fusivel\": {}}", ""},
    };
    struct domains *domains = domains_create();
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct claims claims;
        struct plate plate = {0};
        char values[512];
        json_t *tree = tree_of(CASES[i].said);
        assert_true(claims_from_json(&claims, SOURCE_LLM, tree, domains) > 0);
        for (int field = 0; field < FIELD_COUNT; field++)
            plate.values[field] = claims.claims[field].value;
        values_text(&plate, values, sizeof values);
        if (strcmp(values, CASES[i].values) != 0)
            print_error("%s\n", CASES[i].said);
        assert_string_equal(values, CASES[i].values);
        json_decref(tree);
    }
    domains_destroy(domains);
}

// --- Merging

static const char PLATE[] = "ROMAGNOLE\n"
                            "Nº DE SÉRIE: 626607     POTÊNCIA: 75 kVA\n"
                            "TENSÃO PRIMÁRIA: 13800 V     TENSÃO SECUNDÁRIA: 220/127 V\n"
                            "MASSA TOTAL: 410 kg     NBI: 95 kV\n"
                            "COD 48813     3H\n";

// What a model says beside the rules, the values that come of it ("*": as the rules have them), and
// the reasons.
static const struct merged {
    const char *name, *said;
    enum source source;
    bool leads;
    enum field field;
    const char *value, *reasons;
    enum source from;
} MERGED[] = {
    {"both say the same", "{\"potencia_kva\": 75}", SOURCE_LLM, false, FIELD_POTENCIA_KVA, "75", "",
     SOURCE_RULE},
    {"the same, and the model leads",
     "{\"potencia_kva\": \"75 kVA\", \"fabricante\": \"Romagnole\", \"numero_serie\": \"626607\","
     " \"tensao_primaria_v\": 13800, \"tensao_secundaria_v\": \"220/127\", \"elo_fusivel\": \"3H\"}",
     SOURCE_LLM, true, FIELD_POTENCIA_KVA, "75", "", SOURCE_LLM},
    {"an invented value beside a good one", "{\"potencia_kva\": 112.5}", SOURCE_LLM, false,
     FIELD_POTENCIA_KVA, "75", "potencia_kva:models_disagree", SOURCE_RULE},
    {"an invented value beside a good one, by the other reader", "{\"potencia_kva\": 112.5}",
     SOURCE_VLM, false, FIELD_POTENCIA_KVA, "75", "potencia_kva:models_disagree", SOURCE_RULE},
    {"an invented value where there is none", "{\"registro\": \"001234/2016\"}", SOURCE_LLM, false,
     FIELD_REGISTRO, "001234/2016", "registro:ungrounded", SOURCE_LLM},
    {"an invented value that stands in a longer one", "{\"patrimonio\": \"2660\"}", SOURCE_LLM,
     false, FIELD_PATRIMONIO, "2660", "patrimonio:ungrounded", SOURCE_LLM},
    {"an invented date", "{\"data_fabricacao\": \"2010-05\"}", SOURCE_VLM, false,
     FIELD_DATA_FABRICACAO, "2010-05", "data_fabricacao:ungrounded", SOURCE_VLM},
    {"a yes that nobody read", "{\"autoprotegido\": true}", SOURCE_VLM, false, FIELD_AUTOPROTEGIDO,
     "true", "autoprotegido:ungrounded", SOURCE_VLM},
    {"a lone digit bears no phases out", "{\"fases\": 3}", SOURCE_LLM, false, FIELD_FASES, "3",
     "fases:ungrounded", SOURCE_LLM},
    {"a number that no label names", "{\"patrimonio\": \"48813\"}", SOURCE_LLM, false,
     FIELD_PATRIMONIO, "48813", "patrimonio:model_only", SOURCE_LLM},
    {"one character apart", "{\"patrimonio\": \"48873\"}", SOURCE_LLM, false, FIELD_PATRIMONIO,
     "48873", "patrimonio:model_only", SOURCE_LLM},
    {"two characters apart", "{\"patrimonio\": \"48973\"}", SOURCE_LLM, false, FIELD_PATRIMONIO,
     "48973", "patrimonio:ungrounded", SOURCE_LLM},
};

static void check_merged(const struct merged *one, const struct drawing *drawing,
                         const struct domains *domains) {
    struct plate plate = {0};
    struct claims claims;
    char reasons[512] = "";
    json_t *tree = tree_of(one->said);
    rules_read(&plate, drawing->lines, drawing->count, domains);
    if (one->field == FIELD_PATRIMONIO) // the rules guess; here they are silent
        plate.values[FIELD_PATRIMONIO].text[0] = '\0';
    plate.reason_count = 0;
    claims_from_json(&claims, one->source, tree, domains);
    claims_merge(&plate, &claims, one->leads, drawing->lines, drawing->count, domains);
    reasons_text(&plate, reasons, sizeof reasons);
    if (strcmp(reasons, one->reasons) != 0 ||
        strcmp(plate.values[one->field].text, one->value) != 0)
        print_error("%s\n", one->name);
    assert_string_equal(plate.values[one->field].text, one->value);
    assert_string_equal(reasons, one->reasons);
    assert_int_equal(plate.values[one->field].source, one->from);
    json_decref(tree);
}

static void a_model_is_held_against_the_text(void **state) {
    static struct drawing drawing;
    struct domains *domains = domains_create();
    (void)state;
    draw(&drawing, PLATE);
    for (size_t i = 0; i < COUNT(MERGED); i++)
        check_merged(&MERGED[i], &drawing, domains);
    drawing_fini(&drawing);
    domains_destroy(domains);
}

// No line alone says it.
static void what_two_texts_say_together_is_grounded(void **state) {
    static struct drawing drawing;
    struct domains *domains = domains_create();
    struct plate plate = {0};
    struct claims claims;
    json_t *tree = tree_of("{\"tensao_secundaria_v\": \"220/127\"}");
    (void)state;
    draw(&drawing, "POTÊNCIA: 75 kVA     TENSÃO SECUNDÁRIA: 220     / 127 V\n");
    rules_read(&plate, drawing.lines, drawing.count, domains);
    assert_string_equal(plate.values[FIELD_TENSAO_SECUNDARIA].text, "220/127");
    claims_from_json(&claims, SOURCE_LLM, tree, domains);
    claims_merge(&plate, &claims, true, drawing.lines, drawing.count, domains);
    audit_plate(&plate, IDENTIFICATION_UNKNOWN, NULL, domains);
    assert_int_equal(plate.values[FIELD_TENSAO_SECUNDARIA].source, SOURCE_LLM);
    assert_null(plate_reason(&plate, FIELD_TENSAO_SECUNDARIA));
    json_decref(tree);
    drawing_fini(&drawing);
    domains_destroy(domains);
}

static void the_better_supported_value_stays(void **state) {
    static struct drawing drawing;
    struct domains *domains = domains_create();
    struct claims claims;
    json_t *tree = tree_of("{\"numero_serie\": \"626607\"}");
    (void)state;
    draw(&drawing, PLATE);
    claims_from_json(&claims, SOURCE_LLM, tree, domains);
    for (int doubted = 0; doubted < 2; doubted++) {
        struct plate plate = {0};
        snprintf(plate.values[FIELD_NUMERO_SERIE].text, 64, "48813");
        plate.values[FIELD_NUMERO_SERIE].source = SOURCE_RULE;
        if (doubted)
            plate_add_reason(&plate, FIELD_NUMERO_SERIE, "unlabelled", "no label");
        claims_merge(&plate, &claims, false, drawing.lines, drawing.count, domains);
        const struct value *value = &plate.values[FIELD_NUMERO_SERIE];
        assert_string_equal(value->text, doubted ? "626607" : "48813");
        assert_int_equal(value->source, doubted ? SOURCE_LLM : SOURCE_RULE);
        assert_string_equal(plate.reasons[plate.reason_count - 1].code, "models_disagree");
        if (doubted) { // where it stands
            assert_true(value->box.x1 > value->box.x0 && value->confidence > .3f);
            assert_string_equal(value->raw, "626607");
        }
    }
    json_decref(tree);
    drawing_fini(&drawing);
    domains_destroy(domains);
}

// Two readers of one photo that agree are surer than one; one that only read the text is not.
static void agreement_counts_when_it_is_independent(void **state) {
    static struct drawing drawing;
    struct domains *domains = domains_create();
    json_t *tree = tree_of("{\"potencia_kva\": 75}");
    float sure[2];
    (void)state;
    draw(&drawing, PLATE);
    for (int vlm = 0; vlm < 2; vlm++) {
        struct plate plate = {0};
        struct claims claims;
        rules_read(&plate, drawing.lines, drawing.count, domains);
        float before = plate.values[FIELD_POTENCIA_KVA].characters;
        claims_from_json(&claims, vlm ? SOURCE_VLM : SOURCE_LLM, tree, domains);
        claims_merge(&plate, &claims, false, drawing.lines, drawing.count, domains);
        sure[vlm] = plate.values[FIELD_POTENCIA_KVA].characters - before;
    }
    assert_true(sure[0] == 0 && sure[1] > 0);
    json_decref(tree);
    drawing_fini(&drawing);
    domains_destroy(domains);
}

static void what_a_leading_model_leaves_out_is_left_out(void **state) {
    static struct drawing drawing;
    struct domains *domains = domains_create();
    struct claims claims = {.source = SOURCE_LLM};
    struct plate plate = {0};
    (void)state;
    draw(&drawing, PLATE);
    rules_read(&plate, drawing.lines, drawing.count, domains);
    claims_merge(&plate, &claims, true, drawing.lines, drawing.count, domains);
    assert_string_equal(plate.values[FIELD_POTENCIA_KVA].text, "");
    assert_true(plate_needs_review(&plate));
    drawing_fini(&drawing);
    domains_destroy(domains);
}

// --- Answers

#define COMPLETION(content) "{\"choices\":[{\"message\":{\"content\":" content "}}]}"

static void answers_are_taken_apart(void **state) {
    static const struct {
        const char *body, *text;
        enum err_code code;
    } CASES[] = {
        {COMPLETION("\"POTENCIA 75\""), "POTENCIA 75", ERR_NONE},
        {COMPLETION("[{\"type\":\"text\",\"text\":\"a\"}]"), "a", ERR_NONE},
        {COMPLETION("\"<think>75? no, 45</think>\\n\\n30\""), "30", ERR_NONE},
        {COMPLETION("\"```json\\n{\\\"a\\\": 1}\\n```\""), "{\"a\": 1}\n", ERR_NONE},
        {COMPLETION("\"<think>on and on\""), NULL, ERR_GARBLED},
        {COMPLETION("\"  \\n\""), NULL, ERR_GARBLED},
        {COMPLETION("null"), NULL, ERR_GARBLED},
        {"{\"choices\":[{\"finish_reason\":\"length\",\"message\":{\"content\":\"PO\"}}]}", NULL,
         ERR_GARBLED},
        {"{\"choices\":[]}", NULL, ERR_GARBLED},
        {"{\"choices\":7}", NULL, ERR_GARBLED},
        {"{\"choices\":[{\"mess", NULL, ERR_GARBLED},
        {"<html>", NULL, ERR_GARBLED},
        {"", NULL, ERR_GARBLED},
        {"{\"error\":{\"message\":\"CUDA error: out of memory\"}}", NULL, ERR_HANG},
        {"{\"error\":\"no such model\"}", NULL, ERR_UNAVAILABLE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct err err = {0};
        char *text = model_answer_text(CASES[i].body, strlen(CASES[i].body), &err);
        if (err.code != CASES[i].code)
            print_error("%s: %s\n", CASES[i].body, err.text);
        assert_int_equal(err.code, CASES[i].code);
        if (CASES[i].text)
            assert_string_equal(text, CASES[i].text);
        else
            assert_null(text);
        mem_free(text);
    }
}

static void errors_are_told_apart(void **state) {
    static const struct {
        unsigned status;
        const char *body;
        enum err_code code;
    } CASES[] = {
        {500, "{\"error\":{\"message\":\"CUDA error: an illegal memory access\"}}", ERR_HANG},
        {500, "ggml_vulkan: Device memory allocation failed: ErrorOutOfDeviceMemory", ERR_HANG},
        {500, "HIP error: the GPU is lost", ERR_HANG},
        {504, "gateway timeout", ERR_HANG},
        {500, "{\"error\":{\"message\":\"what an exchange\"}}", ERR_UNAVAILABLE},
        {503, "{\"error\":{\"message\":\"Loading model\"}}", ERR_UNAVAILABLE},
        {400, "{\"error\":\"GPU\"}", ERR_UNAVAILABLE},
        {401, "", ERR_UNAVAILABLE},
        {302, "", ERR_UNAVAILABLE},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct err err = {0};
        model_answer_error(CASES[i].status, CASES[i].body, strlen(CASES[i].body), &err);
        if (err.code != CASES[i].code)
            print_error("%s\n", CASES[i].body);
        assert_int_equal(err.code, CASES[i].code);
    }
}

static void models_are_found_in_a_list(void **state) {
    static const char LIST[] = "{\"data\":[{\"id\":\"qwen2.5:14b\"},{\"id\":\"llava:latest\"}]}";
    (void)state;
    assert_true(model_answer_lists(LIST, strlen(LIST), "qwen2.5:14b"));
    assert_true(model_answer_lists(LIST, strlen(LIST), "llava"));
    assert_false(model_answer_lists(LIST, strlen(LIST), "qwen2.5"));
    assert_false(model_answer_lists("[]", 2, "llava"));
    assert_false(model_answer_lists("", 0, "llava"));
}

// --- Transcripts

static void transcripts_become_lines(void **state) {
    static const struct {
        const char *said, *lines;
    } CASES[] = {
        {"POTENCIA 75 kVA\n\nFASES: 3\r\n", "POTENCIA 75 kVA;FASES: 3;"},
        {"# Plate\n- **POTENCIA**: 75\n| FASES | 3 |\n", "Plate;POTENCIA  : 75;FASES   3;"},
        {"[\"a\", {\"text\": \"b\", \"box\": [1]}, [\"c\"]]", "a;b;c;"},
        {"{\"lines\": [\"a\", \"b\\nc\"]}", "a;b;c;"},
        {"{\"potencia_kva\": 75, \"fases\": null}", "POTENCIA (kVA): 75;"},
        {"{not json\nb", "{not json;b;"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct text_page page;
        char lines[256] = "";
        size_t length = 0;
        model_read_lines(CASES[i].said, (struct box){0, 0, 9, 9}, &page);
        for (size_t k = 0; k < page.count; k++)
            length +=
                (size_t)snprintf(lines + length, sizeof lines - length, "%s;", page.lines[k].text);
        assert_string_equal(lines, CASES[i].lines);
        text_page_fini(&page);
    }
}

static void transcripts_are_bounded(void **state) {
    struct text_page page;
    char *said = mem_alloc(1 << 20);
    (void)state;
    for (size_t i = 0; i + 2 < 1 << 20; i += 2)
        memcpy(said + i, "a\n", 3);
    model_read_lines(said, (struct box){0, 0, 9, 9}, &page);
    assert_int_equal(page.count, 200);
    text_page_fini(&page);
    memset(said, 'a', (1 << 20) - 1);
    model_read_lines(said, (struct box){0, 0, 9, 9}, &page);
    assert_int_equal(page.count, 0); // no plate has such a line
    text_page_fini(&page);
    mem_free(said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_through_the_rules),
        cmocka_unit_test(a_model_is_held_against_the_text),
        cmocka_unit_test(what_two_texts_say_together_is_grounded),
        cmocka_unit_test(the_better_supported_value_stays),
        cmocka_unit_test(agreement_counts_when_it_is_independent),
        cmocka_unit_test(what_a_leading_model_leaves_out_is_left_out),
        cmocka_unit_test(answers_are_taken_apart),
        cmocka_unit_test(errors_are_told_apart),
        cmocka_unit_test(models_are_found_in_a_list),
        cmocka_unit_test(transcripts_become_lines),
        cmocka_unit_test(transcripts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
