#include "audit.h"
#include "plate_draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

// What a plate says ("key=value; ..."), and the reasons that the audit finds.
static const struct {
    const char *name, *values, *reasons;
} PLATES[] = {
    {"all is well",
     "potencia_kva=75; fabricante=WEG; elo_fusivel=3H; tensao_primaria_v=13800; "
     "tensao_secundaria_v=220/127; fases=3",
     ""},
    {"one phase",
     "potencia_kva=15; tensao_primaria_v=7967; tensao_secundaria_v=440/220; fases=1; elo_fusivel=2H",
     ""},
    {"a power that is none", "potencia_kva=71", "potencia_kva:out_of_domain"},
    {"a fuse that is none", "elo_fusivel=7Q", "elo_fusivel:out_of_domain"},
    {"four phases", "fases=4", "fases:out_of_domain"},
    {"a fuse for another transformer", "potencia_kva=300; elo_fusivel=1H; tensao_primaria_v=13800",
     "elo_fusivel:fuse_mismatch"},
    {"another utility's fuse is none of ours",
     "potencia_kva=75; elo_fusivel=5K; "
     "tensao_primaria_v=13800",
     ""},
    {"three phases at a single-phase secondary", "fases=3; tensao_secundaria_v=440/220",
     "fases:phases_mismatch"},
    {"one phase at a three-phase secondary", "fases=1; tensao_secundaria_v=220/127",
     "fases:phases_mismatch"},
    {"two phases may have either", "fases=2; tensao_secundaria_v=220/127", ""},
    {"three phases from phase to earth", "fases=3; tensao_primaria_v=7967",
     "fases:phases_mismatch"},
    {"three phases of one voltage", "fases=3; tensao_secundaria_v=220",
     "tensao_secundaria_v:ambiguous"},
    {"one phase of one voltage", "fases=1; tensao_secundaria_v=220", ""},
    {"380 V without the voltage to earth", "tensao_secundaria_v=380",
     "tensao_secundaria_v:ambiguous"},
    {"one phase of 300 kVA", "fases=1; potencia_kva=300", "fases:phases_mismatch"},
    {"a serial number of another year", "numero_serie=12345/2009; data_fabricacao=2019-08",
     "data_fabricacao:date_mismatch"},
    {"a serial number of the same year", "numero_serie=12345/2019; data_fabricacao=2019-08", ""},
};

static void fill(struct plate *plate, const char *values) {
    char copy[512];
    *plate = (struct plate){0};
    static const struct value ALWAYS[] = {
        {.text = "75", .raw = "75", .confidence = .95f},
        {.text = "4321", .raw = "4321", .confidence = .95f},
        {.text = "13800", .raw = "13800", .confidence = .95f},
        {.text = "220/127", .raw = "220/127", .confidence = .95f}};
    plate->values[FIELD_POTENCIA_KVA] = ALWAYS[0]; // what every plate says
    plate->values[FIELD_NUMERO_SERIE] = ALWAYS[1];
    plate->values[FIELD_TENSAO_PRIMARIA] = ALWAYS[2];
    plate->values[FIELD_TENSAO_SECUNDARIA] = ALWAYS[3];
    snprintf(copy, sizeof copy, "%s", values);
    for (char *p = copy; *p;) {
        char *end = strstr(p, "; "), *next = end ? end + 2 : p + strlen(p);
        if (end)
            *end = '\0';
        char *equals = strchr(p, '=');
        *equals = '\0';
        struct value *value = &plate->values[field_by_key(p)];
        *value = (struct value){.confidence = .95f, .characters = .97f, .source = SOURCE_RULE};
        snprintf(value->text, sizeof value->text, "%s", equals + 1);
        snprintf(value->raw, sizeof value->raw, "%s", equals + 1);
        p = next;
    }
}

static void check(const struct plate *plate, const char *name, const char *expected) {
    char reasons[512];
    reasons_text(plate, reasons, sizeof reasons);
    if (strcmp(reasons, expected) != 0)
        print_error("%s\n", name);
    assert_string_equal(reasons, expected);
}

static void plates(void **state) {
    (void)state;
    struct domains *domains = domains_create();
    for (size_t i = 0; i < COUNT(PLATES); i++) {
        struct plate plate;
        fill(&plate, PLATES[i].values);
        audit_plate(&plate, IDENTIFICATION_UNKNOWN, NULL, domains);
        check(&plate, PLATES[i].name, PLATES[i].reasons);
    }
    domains_destroy(domains);
}

static void a_plate_says_some_things_always(void **state) {
    (void)state;
    struct domains *domains = domains_create();
    struct plate plate, none = {0};
    fill(&plate, "numero_serie=123456");
    plate.values[FIELD_POTENCIA_KVA].text[0] = '\0';
    audit_plate(&plate, IDENTIFICATION_UNKNOWN, NULL, domains);
    check(&plate, "no power", "potencia_kva:no_value");
    audit_plate(&none, IDENTIFICATION_UNKNOWN, NULL, domains);
    check(&none, "no plate", "");
    domains_destroy(domains);
}

// What a second reading of the same plate adds.
static void another_look(void **state) {
    (void)state;
    struct plate plate, other;
    fill(&plate, "potencia_kva=; fases=3; elo_fusivel=5H; tensao_primaria_v=33000");
    fill(&other, "potencia_kva=150; fases=1; elo_fusivel=5H; tensao_primaria_v=34500");
    plate_add_reason(&plate, FIELD_POTENCIA_KVA, "no_value", "x");
    plate_add_reason(&plate, FIELD_TENSAO_PRIMARIA, "repaired", "x");
    plate_add_reason(&plate, FIELD_ELO_FUSIVEL, "unlabelled", "x");
    plate_add_look(&plate, &other);
    assert_string_equal(plate.values[FIELD_POTENCIA_KVA].text, "150");
    assert_string_equal(plate.values[FIELD_FASES].text, "3"); // it was sure of that
    assert_string_equal(plate.values[FIELD_TENSAO_PRIMARIA].text, "34500");
    check(&plate, "looked at twice", "tensao_primaria_v:readings_differ");
    // What the second is no surer of stays as it is.
    fill(&plate, "patrimonio=1234");
    fill(&other, "patrimonio=1284; registro=000937/2013");
    plate_add_reason(&plate, FIELD_PATRIMONIO, "unlabelled", "x");
    plate_add_reason(&other, FIELD_PATRIMONIO, "unlabelled", "x");
    plate_add_reason(&other, FIELD_REGISTRO, "repaired", "x");
    plate_add_look(&plate, &other);
    assert_string_equal(plate.values[FIELD_PATRIMONIO].text, "1234");
    check(&plate, "both in doubt", "patrimonio:unlabelled; registro:repaired");
}

static void the_sign_of_the_pole(void **state) {
    (void)state;
    struct domains *domains = domains_create();
    struct plate plate;
    static const struct {
        const char *values;
        enum identification identification;
        const char *reasons;
    } CASES[] = {
        {"fabricante=WEG", IDENTIFICATION_MISSING, "fabricante:no_identification"},
        {"fabricante=WEG", IDENTIFICATION_SEEN, ""},
        {"fabricante=WEG", IDENTIFICATION_UNKNOWN, ""},
        {"fases=3", IDENTIFICATION_MISSING, ""},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        fill(&plate, CASES[i].values);
        audit_plate(&plate, CASES[i].identification, NULL, domains);
        check(&plate, CASES[i].values, CASES[i].reasons);
    }
    domains_destroy(domains);
}

static void doubtful_characters(void **state) {
    (void)state;
    struct domains *domains = domains_create();
    struct plate plate;
    fill(&plate, "numero_serie=123456");
    plate.values[FIELD_NUMERO_SERIE].characters = .3f; // the line's mean may be .98
    audit_plate(&plate, IDENTIFICATION_UNKNOWN, NULL, domains);
    check(&plate, "a doubtful character", "numero_serie:low_confidence");
    domains_destroy(domains);
}

static void a_configured_utility_is_strict(void **state) {
    (void)state;
    struct domains *domains = domains_create();
    struct audit_options options = audit_defaults;
    struct plate plate;
    options.fuse_utility = "enel";
    fill(&plate, "potencia_kva=150; elo_fusivel=3H; tensao_primaria_v=13800");
    audit_plate(&plate, IDENTIFICATION_UNKNOWN, &options, domains);
    check(&plate, "not in Enel's table", "elo_fusivel:fuse_mismatch");
    domains_destroy(domains);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plates),
        cmocka_unit_test(a_plate_says_some_things_always),
        cmocka_unit_test(another_look),
        cmocka_unit_test(the_sign_of_the_pole),
        cmocka_unit_test(doubtful_characters),
        cmocka_unit_test(a_configured_utility_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
