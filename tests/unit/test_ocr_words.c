// The small readers of ocr-pipeline/: folded text, numbers, dates, fuses, labels.
#include "base/mem.h"
#include "date.h"
#include "domains.h"
#include "fuse.h"
#include "labels.h"
#include "normalise.h"
#include "number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void lines_are_folded(void **state) {
    (void)state;
    static const struct {
        const char *text, *folded;
    } CASES[] = {
        {"Potência (kVA): 112,5", "POTENCIA (KVA): 112,5"},
        {"Nº DE SÉRIE", "No DE SERIE"},
        {"N° 12", "No 12"},
        {"3Ø 60Hz", "3~ 60HZ"},
        {"40℃", "40oC"},
        {"（1/2）", "(1/2)"},
        {"ＡＢＣ１２", "ABC12"},
        {"TENSÃO – AT", "TENSAO - AT"},
        {"ТЕНСАО", "TEHCAO"}, // Cyrillic, by looks
        {"e\xCC\x81", "E"},   // an accent of its own
        {"\xFFX", "#X"},      // not UTF-8
        {"", ""},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct folded folded;
        fold_line(&folded, CASES[i].text);
        assert_string_equal(folded.text, CASES[i].folded);
        assert_int_equal(folded.length, strlen(CASES[i].folded));
    }
}

static void raw_text_is_kept(void **state) {
    (void)state;
    struct folded folded;
    struct text_line line = {.text = (char *)(uintptr_t) "Nº SÉRIE: 12-A", .confidence = .9f};
    char raw[32];
    fold_line(&folded, line.text);
    struct part part = {&folded, 3, 8};
    part_raw(part, &line, raw, sizeof raw);
    assert_string_equal(raw, "SÉRIE");
    part_raw(part, &line, raw, 3); // never half a character
    assert_string_equal(raw, "S");
    assert_true(part_confidence(part, &line) == .9f);
}

static void numbers_on_plates(void **state) {
    (void)state;
    static const struct {
        const char *text, *whole, *fraction;
        enum unit unit;
        unsigned swaps;
    } CASES[] = {
        {"75 kVA", "75", "", UNIT_KVA, 0},
        {"112,5kVA", "112", "5", UNIT_KVA, 0},
        {"13.800 V", "13", "800", UNIT_V, 0},
        {"13,8 kV", "13", "8", UNIT_KV, 0},
        {"1O0 L", "100", "", UNIT_LITRE, 1},
        {"7S kVA", "75", "", UNIT_KVA, 1},
        {"450 kg", "450", "", UNIT_KG, 0},
        {"3,5 %", "3", "5", UNIT_PERCENT, 0},
        {"60Hz", "60", "", UNIT_HZ, 0},
        {"EF5H", "5", "", UNIT_NONE, 0},
        {"13800/13200", "13800", "", UNIT_NONE, 0},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct folded folded;
        struct number number;
        size_t at = 0;
        fold_line(&folded, CASES[i].text);
        struct part part = part_all(&folded);
        if (!number_next(&part, &at, &number))
            fail_msg("%s", CASES[i].text);
        assert_string_equal(number.whole, CASES[i].whole);
        assert_string_equal(number.fraction, CASES[i].fraction);
        assert_int_equal(number.unit, CASES[i].unit);
        assert_int_equal(number.swaps, CASES[i].swaps);
    }
}

static void words_are_no_numbers(void **state) {
    (void)state;
    static const char *const CASES[] = {"OLEO", "SIZE", "", "BOLSO", "DIG"};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct folded folded;
        struct number number;
        size_t at = 0;
        fold_line(&folded, CASES[i]);
        struct part part = part_all(&folded);
        assert_false(number_next(&part, &at, &number));
    }
}

static void number_texts(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } CASES[] = {{112.5, "112.5"}, {75, "75"}, {13800, "13800"}, {0.5, "0.5"}, {7.25, "7.25"}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        char text[24];
        number_text(CASES[i].value, text, sizeof text);
        assert_string_equal(text, CASES[i].text);
    }
}

static void dates_on_plates(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int year, month;
        bool repaired;
    } CASES[] = {
        {"08/2019", 2019, 8, false},    {"08/19", 2019, 8, false},
        {"14/05/2016", 2016, 5, false}, {"14/05/16", 2016, 5, false},
        {"14MAI16", 2016, 5, false},    {"04MAI08", 2008, 5, false},
        {"MAI0/2016", 2016, 5, false},  {"14MA116", 2016, 5, false}, // I read as 1
        {"MAI/2016", 2016, 5, false},   {"MAIO DE 2016", 2016, 5, false},
        {"MARÇO/1998", 1998, 3, false}, {"JAN/97", 1997, 1, false},
        {"DEZ 2011", 2011, 12, false},  {"2019", 2019, 0, false},
        {"2019/08", 2019, 8, false},    {"08-2019", 2019, 8, false},
        {"08.2019", 2019, 8, false},    {"FABR. 08/2019", 2019, 8, false}, // no April
        {"082019", 2019, 8, true},      {"0872019", 2019, 8, true},
        {"08 / 2019", 2019, 8, false},  {"OUT/2O12", 2012, 10, false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct folded folded;
        struct date date;
        fold_line(&folded, CASES[i].text);
        if (!date_find(part_all(&folded), 2026, &date))
            fail_msg("%s", CASES[i].text);
        if (date.year != CASES[i].year || date.month != CASES[i].month)
            print_error("%s: %d-%d\n", CASES[i].text, date.year, date.month);
        assert_int_equal(date.year, CASES[i].year);
        assert_int_equal(date.month, CASES[i].month);
        assert_int_equal(date.repaired, CASES[i].repaired);
    }
}

static void no_dates(void **state) {
    (void)state;
    static const char *const CASES[] = {"123456", "13/800",    "13800", "220/127", "MARCA",
                                        "50/55",  "13.45.678", "ABR",   "99/2999", ""};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct folded folded;
        struct date date;
        fold_line(&folded, CASES[i]);
        if (date_find(part_all(&folded), 2026, &date))
            fail_msg("%s: %d-%d", CASES[i], date.year, date.month);
    }
}

static void dates_to_come_are_none(void **state) {
    (void)state;
    const struct date past = {.year = 2026, .month = 11}, next = {.year = 2026, .month = 12};
    const struct date old = {.year = 1949, .month = 1};
    assert_true(date_is_past(&past, 2026, 11));
    assert_false(date_is_past(&next, 2026, 11));
    assert_false(date_is_past(&old, 2026, 11));
}

static void fuses_on_plates(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool typed;
        const char *fuse;
    } CASES[] = {
        {"5H", false, "5H"},     {"0,5 H", false, "0,5H"}, {"0.5H", false, "0,5H"},
        {"05H", false, "0,5H"},  {"EF5H", false, "5H"},    {"10-K", false, "10K"},
        {"40EF", false, "40EF"}, {"LAM", false, "LAM"},    {"SH", true, "5H"},
        {"IH", true, "1H"},      {"5 h", true, "5H"},      {"15K", false, "15K"},
        {"SH", false, NULL},     {"H", true, NULL},        {"220", true, NULL},
        {"75 kVA", false, NULL}, {"LAMPADA", true, NULL},  {"8HH", true, "8H"},
        {"8HH", false, NULL},    {"8HHH", true, NULL},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct folded folded;
        struct fuse fuse;
        fold_line(&folded, CASES[i].text);
        bool found = fuse_find(part_all(&folded), CASES[i].typed, &fuse);
        if (found != (CASES[i].fuse != NULL))
            fail_msg("%s: %s", CASES[i].text, found ? fuse.text : "none");
        if (found)
            assert_string_equal(fuse.text, CASES[i].fuse);
    }
}

static void labels_in_lines(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum concept concepts[3];
        enum unit unit; // of the first
    } CASES[] = {
        {"POTÊNCIA (kVA)", {CONCEPT_POWER}, UNIT_KVA},
        {"TENSÃO DE CURTO-CIRCUITO", {CONCEPT_IMPEDANCE}, UNIT_NONE},
        {"TENSÃO AT (V)", {CONCEPT_PRIMARY}, UNIT_V},
        {"TENSÃO AT TENSÃO BT", {CONCEPT_PRIMARY, CONCEPT_SECONDARY}, UNIT_NONE},
        {"Nº DE SÉRIE 123456", {CONCEPT_SERIAL}, UNIT_NONE},
        {"NUMER0 DE SERlE", {CONCEPT_SERIAL}, UNIT_NONE},
        {"DATADEFABRICACAO", {CONCEPT_DATE}, UNIT_NONE},
        {"Nº FABR.", {CONCEPT_SERIAL}, UNIT_NONE},
        {"DESERIE- 4455", {CONCEPT_SERIAL}, UNIT_NONE},
        {"DE FABRICAÇÃO 2023", {CONCEPT_DATE}, UNIT_NONE}, // its first word was not read
        {"TRAFO", {CONCEPT_NONE}, UNIT_NONE},              // a maker
        {"TRAFO Nº", {CONCEPT_SERIAL}, UNIT_NONE},
        {"DATA ENERGIZAÇÃO", {CONCEPT_OTHER_DATE}, UNIT_NONE},
        {"DATA FANRICACAO", {CONCEPT_DATE}, UNIT_NONE},
        {"60 Hz", {CONCEPT_NONE}, UNIT_NONE},
        {"75 kVA", {CONCEPT_NONE}, UNIT_NONE},
        {"POTENCIA 75 SERIE 12 FASES 3",
         {CONCEPT_POWER, CONCEPT_SERIAL, CONCEPT_PHASES},
         UNIT_NONE},
        {"MASSA DO ÓLEO", {CONCEPT_MASS}, UNIT_NONE},
        {"ENSAIADO EM", {CONCEPT_OTHER_DATE}, UNIT_NONE},
    };
    struct labels *labels = labels_create();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct folded folded;
        struct label_hit hits[LABEL_HITS_MAX];
        fold_line(&folded, CASES[i].text);
        size_t count = labels_find(labels, &folded, hits), wanted = 0;
        while (wanted < 3 && CASES[i].concepts[wanted] != CONCEPT_NONE)
            wanted++;
        if (count != wanted)
            fail_msg("%s: %zu labels", CASES[i].text, count);
        for (size_t k = 0; k < count; k++)
            assert_int_equal(hits[k].concept, CASES[i].concepts[k]);
        if (count)
            assert_int_equal(hits[0].unit, CASES[i].unit);
    }
    labels_destroy(labels);
}

static void domains_are_closed(void **state) {
    (void)state;
    struct domains *domains = domains_create();
    assert_true(domain_has(domains, DOMAIN_KVA, "112.5"));
    assert_false(domain_has(domains, DOMAIN_KVA, "76"));
    assert_string_equal(domain_near(domains, DOMAIN_PRIMARY, "13808"), "13800");
    assert_null(domain_near(domains, DOMAIN_FUSE, "7")); // too many are one character away
    assert_int_equal(domains_fuse_fit(domains, NULL, 75, 13800, "3H"), FUSE_FITS);
    assert_int_equal(domains_fuse_fit(domains, "energisa", 75, 13800, "10H"), FUSE_MISFIT);
    assert_int_equal(domains_fuse_fit(domains, NULL, 37.5, 7967, "3H"), FUSE_UNKNOWN);
    assert_string_equal(domains_maker_of_cnpj(domains, "07175725"), "WEG");
    domains_destroy(domains);
}

static void configuration_adds(void **state) {
    (void)state;
    static const char INI[] = "[ocr.domains]\nkva = 77,5 80\nfuse = 0,7H\n"
                              "[ocr.labels]\nnumero_serie = MATRÍCULA | Nº DO EQUIPAMENTO\n"
                              "[maker ACME]\nalias = ACME TRAFOS\ncnpj = 12.345.678/0001-90\n"
                              "[fuses sul]\nvolts = 13800\nkva_75 = 4H\n";
    struct err err = {0};
    struct ini *ini = ini_parse(INI, sizeof INI - 1, NULL, NULL, &err);
    struct domains *domains = domains_create();
    assert_non_null(ini);
    if (!domains_extend(domains, ini, &err))
        fail_msg("%s", err.text);
    assert_true(domain_has(domains, DOMAIN_KVA, "77.5"));
    assert_true(domain_has(domains, DOMAIN_FUSE, "0,7H"));
    assert_string_equal(domains_maker_of_cnpj(domains, "12345678"), "ACME");
    assert_int_equal(domains_fuse_fit(domains, "sul", 75, 13800, "4H"), FUSE_FITS);
    ini_destroy(ini);
    domains_destroy(domains);
}

static void configuration_is_checked(void **state) {
    (void)state;
    static const char *const WRONG[] = {"[ocr.domains]\nwatts = 5\n",
                                        "[ocr.labels]\ncolour = RED\n", "[maker X]\ncnpj = 12\n",
                                        "[fuses x]\nkva_abc = 5H\n"};
    for (size_t i = 0; i < COUNT(WRONG); i++) {
        struct err err = {0};
        struct ini *ini = ini_parse(WRONG[i], strlen(WRONG[i]), NULL, NULL, &err);
        struct domains *domains = domains_create();
        assert_non_null(ini);
        assert_false(domains_extend(domains, ini, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_non_null(strstr(err.text, "line 2"));
        ini_destroy(ini);
        domains_destroy(domains);
    }
}

// By the definition: the last letter of either is left out, or the one stands for the other.
static unsigned far(const char *a, size_t a_length, const char *b, size_t b_length) {
    if (a_length == 0 || b_length == 0)
        return (unsigned)(a_length + b_length);
    unsigned drop = far(a, a_length - 1, b, b_length) + 1;
    unsigned add = far(a, a_length, b, b_length - 1) + 1;
    unsigned swap = far(a, a_length - 1, b, b_length - 1) + (a[a_length - 1] != b[b_length - 1]);
    unsigned least = drop < add ? drop : add;
    return swap < least ? swap : least;
}

static size_t random_word(uint32_t *seed, char out[8]) {
    size_t length = (*seed = *seed * 1664525 + 1013904223) >> 29;
    for (size_t i = 0; i < length; i++)
        out[i] = (char)('A' + ((*seed = *seed * 1664525 + 1013904223) >> 30));
    return length;
}

static void edits_are_counted(void **state) {
    (void)state;
    uint32_t seed = 1;
    size_t taken = 0;
    assert_int_equal(edit_distance("SERIE", 5, "SERTE", 5, 1), 1);
    assert_int_equal(edit_distance("", 0, "", 0, 0), 0);
    assert_int_equal(edit_prefix("SERIE", 5, "SERE123", 7, 2, &taken), 1);
    assert_int_equal(taken, 4);
    for (int round = 0; round < 3000; round++) {
        char a[8], b[8];
        size_t a_length = random_word(&seed, a), b_length = random_word(&seed, b);
        for (unsigned most = 0; most <= 3; most++) {
            unsigned wanted = far(a, a_length, b, b_length), best = most + 1;
            assert_int_equal(edit_distance(a, a_length, b, b_length, most),
                             wanted > most ? most + 1 : wanted);
            for (size_t j = 1; j <= b_length; j++)
                best = far(a, a_length, b, j) < best ? far(a, a_length, b, j) : best;
            assert_int_equal(edit_prefix(a, a_length, b, b_length, most, &taken), best);
            if (best <= most) {
                assert_in_range(taken, 1, b_length);
                assert_int_equal(far(a, a_length, b, taken), best);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_folded),   cmocka_unit_test(raw_text_is_kept),
        cmocka_unit_test(numbers_on_plates),  cmocka_unit_test(words_are_no_numbers),
        cmocka_unit_test(number_texts),       cmocka_unit_test(dates_on_plates),
        cmocka_unit_test(no_dates),           cmocka_unit_test(dates_to_come_are_none),
        cmocka_unit_test(edits_are_counted),  cmocka_unit_test(fuses_on_plates),
        cmocka_unit_test(labels_in_lines),    cmocka_unit_test(domains_are_closed),
        cmocka_unit_test(configuration_adds), cmocka_unit_test(configuration_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
