// What `ocr-pipeline eval` says of answers: the truth, the statistics, the tables.
#include "base/mem.h"
#include "eval_answers.h"
#include "eval_crops.h"
#include "eval_score.h"
#include "eval_table.h"
#include "eval_truth.h"
#include "format/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void assert_near(double value, double wanted, double most) {
    if (!(fabs(value - wanted) <= most))
        fail_msg("%.6f is not %.6f", value, wanted);
}

// --- Statistics

// Newcombe 1998 (Statistics in Medicine 17, table I, method 3), and by hand.
static void intervals_of_wilson(void **state) {
    (void)state;
    static const struct {
        size_t hits, of;
        double low, high;
    } CASES[] = {
        {81, 263, .2553, .3662}, {15, 148, .0624, .1605}, {0, 20, 0, .1611},
        {1, 29, .0061, .1718},   {20, 20, .8389, 1},      {5, 10, .2366, .7634},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct rate rate = rate_wilson(CASES[i].hits, CASES[i].of);
        assert_near(rate.value, (double)CASES[i].hits / (double)CASES[i].of, 1e-12);
        assert_near(rate.low, CASES[i].low, 5e-5);
        assert_near(rate.high, CASES[i].high, 5e-5);
    }
    struct rate none = rate_wilson(0, 0);
    assert_true(isnan(none.value) && isnan(none.low) && isnan(none.high));
}

static void tests_of_mcnemar(void **state) {
    (void)state;
    static const struct {
        size_t a, b;
        double p;
    } CASES[] = {
        {0, 0, 1},
        {3, 3, 1},
        {4, 5, 1},
        {0, 5, .0625},
        {5, 0, .0625},
        {1, 9, .021484375},
        {10, 0, .001953125},
        {12, 5, .143463134766},
        {600, 700, .006015793863},
        {1000, 1200, 2.1817026408e-05}, // 2^-2200 is no double
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        assert_near(mcnemar_exact(CASES[i].a, CASES[i].b), CASES[i].p, CASES[i].p * 1e-8);
}

static void many_tests_are_corrected(void **state) {
    (void)state;
    double p[] = {.01, .04, .03, .005}, one[] = {.2}, large[] = {.9, .8};
    holm(p, COUNT(p));
    const double wanted[] = {.03, .06, .06, .02};
    for (size_t i = 0; i < COUNT(p); i++)
        assert_near(p[i], wanted[i], 1e-12);
    holm(one, 1);
    assert_near(one[0], .2, 1e-12);
    holm(large, 2);
    assert_near(large[0], 1, 1e-12);
    assert_near(large[1], 1, 1e-12);
}

static void quantiles(void **state) {
    (void)state;
    double values[] = {50, 15, 40, 20, 35};
    assert_near(quantile(values, 5, .3), 20, 0);
    assert_near(quantile(values, 5, .5), 35, 0);
    assert_near(quantile(values, 5, .95), 50, 0);
    assert_near(quantile(values, 5, 0), 15, 0);
    assert_true(isnan(quantile(values, 0, .5)));
}

static void fields_of_a_photo_go_together(void **state) {
    (void)state;
    unsigned hits[10], of[10];
    for (size_t i = 0; i < 10; i++) {
        of[i] = 11;
        hits[i] = i % 2 ? 11 : 0; // right or wrong as a whole: ten cases, not 110
    }
    struct rate rate = rate_grouped(hits, of, 10), again = rate_grouped(hits, of, 10);
    assert_int_equal(rate.of, 110);
    assert_near(rate.value, .5, 0);
    assert_near(rate.low, .2, .05); // Wilson's of 55 of 110: .41
    assert_near(rate.high, .8, .05);
    assert_true(rate.low == again.low && rate.high == again.high);
    for (size_t i = 0; i < 10; i++)
        hits[i] = 11; // resampling alone would say that it is certain
    rate = rate_grouped(hits, of, 10);
    assert_near(rate.low, rate_wilson(110, 110).low, 1e-12);
    assert_true(isnan(rate_grouped(hits, of, 0).value));
}

static void means(void **state) {
    (void)state;
    const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, same[] = {2, 2, 2};
    struct mean mean = mean_bootstrap(values, COUNT(values));
    assert_near(mean.value, 5, 1e-12);
    assert_near(mean.low, 5 - 1.96 * .861, .25); // the normal approximation
    assert_near(mean.high, 5 + 1.96 * .861, .25);
    mean = mean_bootstrap(same, COUNT(same));
    assert_true(mean.low == 2 && mean.high == 2);
    assert_true(isnan(mean_bootstrap(same, 0).value));
}

// R right, E empty, W wrong, M missed, I invented, N none, - unjudged; eleven each.
static struct eval_photo photo(const char *outcomes, bool reviewed) {
    static const char LETTERS[] = "-REWMIN";
    struct eval_photo photo = {.reviewed = reviewed, .seconds = 2};
    for (size_t i = 0; i < FIELD_COUNT; i++)
        photo.outcomes[i] = (enum outcome)(strchr(LETTERS, outcomes[i]) - LETTERS);
    return photo;
}

static void assert_rate(struct rate rate, size_t hits, size_t of) {
    assert_int_equal(rate.hits, hits);
    assert_int_equal(rate.of, of);
}

static void scores(void **state) {
    (void)state;
    struct eval_photo photos[] = {
        photo("RRRRRRRRERE", true),  // all right, and yet to be looked at
        photo("WRRRRRRRERE", true),  // told
        photo("IRRRRRRRERE", false), // silent
        photo("MRRRRRRRE--", false), photo("MMMMMMMMNMN", true), // could not be read
    };
    struct score score;
    photos[4].failed = true;
    photos[4].seconds = 0;
    photos[1].doubted[0] = true;
    score_photos(&score, photos, COUNT(photos));
    const struct field_score *first = &score.fields[0];
    assert_rate(first->accuracy, 1, 5);
    assert_rate(first->precision, 1, 3);
    assert_rate(first->coverage, 2, 4); // the invented one is on no plate
    assert_rate(first->recall, 1, 4);
    assert_rate(first->review, 2, 5);
    assert_rate(score.fields[8].accuracy, 4, 5);
    assert_rate(score.fields[8].precision, 0, 0);
    assert_rate(score.fields[9].accuracy, 3, 4); // one is not judged
    assert_rate(score.all.accuracy, 11 + 10 + 10 + 8, 55 - 2);
    assert_rate(score.all.precision, 9 + 8 + 8 + 7, 9 + 9 + 9 + 7);
    assert_rate(score.all.review, 3, 5);
    assert_rate(score.whole, 1, 5);
    assert_rate(score.told, 1, 2);
    assert_rate(score.for_naught, 1, 1);
    assert_int_equal(score.failed, 1);
    assert_int_equal(score.seconds.count, 4);
    assert_near(score.seconds.value, 2, 1e-12);
}

static void comparisons(void **state) {
    (void)state;
    enum { PHOTOS = 8 };
    struct eval_photo a[PHOTOS], b[PHOTOS];
    for (size_t i = 0; i < PHOTOS; i++) {
        a[i] = photo("RRRRRRRRERE", false);
        b[i] = photo(i < 6 ? "WRRRRRRRERE" : "-RRRRRRRERE", false);
    }
    b[7] = photo("-IRRRRRRERE", false);
    a[7].outcomes[1] = OUTCOME_EMPTY;
    struct comparison comparison;
    score_compare(&comparison, a, b, PHOTOS);
    assert_int_equal(comparison.fields[0].only_a, 6);
    assert_int_equal(comparison.fields[0].only_b, 0);
    assert_near(comparison.fields[0].p, 2. / 64, 1e-12);
    assert_near(comparison.fields[0].p_holm, 11 * 2. / 64, 1e-12);
    assert_int_equal(comparison.fields[1].only_a, 1);
    assert_near(comparison.fields[2].p, 1, 0);
    assert_int_equal(comparison.all.only_a, 7);
    assert_int_equal(comparison.whole.only_a, 7);
    score_compare(&comparison, b, a, PHOTOS);
    assert_int_equal(comparison.fields[0].only_b, 6);
    for (size_t i = 0; i < PHOTOS; i++)
        for (int j = 2; j < FIELD_COUNT; j++)
            a[i].outcomes[j] = OUTCOME_UNJUDGED;
    score_compare(&comparison, b, a, PHOTOS);
    assert_near(comparison.fields[0].p_holm, 2 * 2. / 64, 1e-12); // two tests only
    assert_near(comparison.fields[0].p, 2. / 64, 1e-12);
}

// --- The truth

static void tables_of_truth(void **state) {
    (void)state;
    static const char TEXT[] =
        "Arquivo;POT_NOM;fabricante;data fabricacao;fases;autoprotegido;elo;tensao_primaria_v;x\n"
        "a.jpg;112,5 kVA;Romagnole;08/2019;TRIFASICO;nao;5 H;13,8;y\n"
        "sub/b.jpg;?;;2019;;sim;?;;\n";
    struct err err = {0};
    struct truth *truth = truth_parse(TEXT, strlen(TEXT), &err);
    assert_non_null(truth);
    assert_int_equal(truth->count, 2);
    assert_true(truth->judged[FIELD_POTENCIA_KVA]);
    assert_false(truth->judged[FIELD_REGISTRO]);
    const struct truth_photo *a = &truth->photos[0], *b = &truth->photos[1];
    assert_string_equal(a->file, "a.jpg");
    static const struct {
        enum field field;
        const char *value;
    } VALUES[] = {{FIELD_POTENCIA_KVA, "112.5"},      {FIELD_FABRICANTE, "Romagnole"},
                  {FIELD_DATA_FABRICACAO, "2019-08"}, {FIELD_FASES, "3"},
                  {FIELD_AUTOPROTEGIDO, ""},          {FIELD_ELO_FUSIVEL, "5H"},
                  {FIELD_TENSAO_PRIMARIA, "13800"}};
    for (size_t i = 0; i < COUNT(VALUES); i++) {
        assert_true(a->judged[VALUES[i].field]);
        assert_string_equal(a->values[VALUES[i].field], VALUES[i].value);
    }
    assert_string_equal(b->file, "sub/b.jpg");
    assert_false(b->judged[FIELD_POTENCIA_KVA] || b->judged[FIELD_ELO_FUSIVEL]);
    assert_true(b->judged[FIELD_FABRICANTE] && !b->values[FIELD_FABRICANTE][0]);
    assert_string_equal(b->values[FIELD_AUTOPROTEGIDO], "true");
    truth_destroy(truth);
}

static void wrong_tables_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
        enum err_code code;
    } CASES[] = {
        {"", "no photos", ERR_NOTFOUND},
        {"file,fases\n", "no photos", ERR_NOTFOUND},
        {"fases\n3\n", "no column \"file\"", ERR_INVALID},
        {"file,colour\na,red\n", "none", ERR_INVALID},
        {"file,fases,n_fases\na,3,3\n", "two columns", ERR_INVALID},
        {"file,fases\na.jpg\n", "line 2 has 1 cells", ERR_INVALID},
        {"file,fases\n,3\n", "line 2 names no photo", ERR_INVALID},
        {"file,fases\na,3\nb,3\na,1\n", "line 4: a is in line 2", ERR_INVALID},
        {"file,fases\n\"a,3\n", "quote", ERR_INVALID},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct err err = {0};
        assert_null(truth_parse(CASES[i].text, strlen(CASES[i].text), &err));
        assert_int_equal(err.code, CASES[i].code);
        if (strcmp(CASES[i].words, "none") != 0 && !strstr(err.text, CASES[i].words))
            fail_msg("%zu: %s", i, err.text);
    }
}

static void what_is_the_same(void **state) {
    (void)state;
    static const struct {
        enum field field;
        const char *truth, *found;
        bool same;
    } CASES[] = {
        {FIELD_POTENCIA_KVA, "112.5", "112.50", true},
        {FIELD_POTENCIA_KVA, "75", "7.5", false},
        {FIELD_FABRICANTE, "União", "UNIAO", true},
        {FIELD_FABRICANTE, "Hitachi Energy", "HITACHI ENERGY", true},
        {FIELD_FABRICANTE, "WEG", "WEG 1", false},
        {FIELD_NUMERO_SERIE, "626607/2006", "626607/2006", true},
        {FIELD_NUMERO_SERIE, "626607/2006", "626607-2006", false},
        {FIELD_NUMERO_SERIE, "00123", "123", false},
        {FIELD_NUMERO_SERIE, "12 345", "12345", true},
        {FIELD_TENSAO_SECUNDARIA, "220/127", "220/127", true},
        {FIELD_DATA_FABRICACAO, "2019-08", "2019", false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++)
        if (truth_is(CASES[i].field, CASES[i].truth, CASES[i].found) != CASES[i].same)
            fail_msg("%s and %s", CASES[i].truth, CASES[i].found);
}

// --- Answers

static json_t *report_of(const char *text) {
    struct err err = {0};
    json_t *report = json_parse(text, strlen(text), 0, 0, &err);
    if (!report)
        fail_msg("%s", err.text);
    return report;
}

static const char REPORT[] =
    "{\"file\":\"a.jpg\",\"fields\":{\"potencia_kva\":{\"value\":112.5,\"reasons\":[]},"
    "\"fabricante\":{\"value\":\"WEG\",\"reasons\":[\"low_confidence\"],\"box\":[5,6,50,16]},"
    "\"numero_serie\":{\"value\":null,\"box\":null,\"reasons\":[]},"
    "\"autoprotegido\":{\"value\":true,\"reasons\":[]}},\"_needs_review\":true,"
    "\"texts\":[{\"text\":\"13,8kV\",\"box\":[0,0,9,9]},"
    "{\"text\":\"N\\u00ba 77-123\",\"box\":[10,20,60,30]}],"
    "\"plate\":{\"box\":[1,2,300,400]},\"timings_ms\":{\"total\":1500}}";

static void answers_are_judged(void **state) {
    (void)state;
    json_t *report = report_of(REPORT),
           *broken = report_of("{\"file\":\"a.jpg\",\"error\":{\"code\":\"INVALID_IMAGE\"}}");
    struct truth_photo truth = {.values = {[FIELD_POTENCIA_KVA] = "112.5",
                                           [FIELD_FABRICANTE] = "TRAEL",
                                           [FIELD_NUMERO_SERIE] = "77123"}};
    struct eval_photo judged;
    for (int i = 0; i < FIELD_COUNT; i++)
        truth.judged[i] = i != FIELD_REGISTRO;
    answer_judge(&judged, &truth, report);
    assert_int_equal(judged.outcomes[FIELD_POTENCIA_KVA], OUTCOME_RIGHT);
    assert_int_equal(judged.outcomes[FIELD_FABRICANTE], OUTCOME_WRONG);
    assert_int_equal(judged.outcomes[FIELD_NUMERO_SERIE], OUTCOME_MISSED);
    assert_int_equal(judged.outcomes[FIELD_AUTOPROTEGIDO], OUTCOME_INVENTED);
    assert_int_equal(judged.outcomes[FIELD_FASES], OUTCOME_EMPTY);
    assert_int_equal(judged.outcomes[FIELD_REGISTRO], OUTCOME_UNJUDGED);
    assert_true(judged.reviewed && !judged.failed);
    assert_true(judged.doubted[FIELD_FABRICANTE] && !judged.doubted[FIELD_POTENCIA_KVA]);
    assert_near(judged.seconds, 1.5, 1e-12);
    answer_judge(&judged, &truth, broken);
    assert_int_equal(judged.outcomes[FIELD_POTENCIA_KVA], OUTCOME_MISSED);
    assert_int_equal(judged.outcomes[FIELD_FASES], OUTCOME_NONE);
    assert_true(judged.reviewed && judged.failed);
    json_decref(report);
    json_decref(broken);
}

static void places_of_crops(void **state) {
    (void)state;
    static const struct {
        enum field field;
        const char *truth;
        float x0;
    } CASES[] = {
        {FIELD_FABRICANTE, "TRAEL", 5},    // where the wrong value was read
        {FIELD_NUMERO_SERIE, "77123", 10}, // the text that says it
        {FIELD_NUMERO_SERIE, "9999", 1},   // the plate
        {FIELD_FASES, "3", 1},             // "13,8kV" says no phases
    };
    json_t *report = report_of(REPORT), *nothing = report_of("{}");
    for (size_t i = 0; i < COUNT(CASES); i++)
        assert_near((double)crop_place(report, CASES[i].field, CASES[i].truth).x0,
                    (double)CASES[i].x0, 0);
    struct box none = crop_place(nothing, FIELD_FASES, "3");
    assert_true(none.x1 == none.x0);
    json_decref(report);
    json_decref(nothing);
}

// --- Tables

static void tables_for_people(void **state) {
    (void)state;
    struct table table;
    struct buf out;
    buf_init(&out, 4096);
    table_init(&table, "A <b>", 2);
    table_cell(&table, " ");
    table_cell(&table, "x|y");
    table_cell(&table, "São");
    table_cell(&table, "%d %%", 5);
    table_markdown(&table, &out);
    assert_string_equal(buf_text(&out), "\n## A <b>\n\n"
                                        "|     | x\\|y |\n"
                                        "|:----|-----:|\n"
                                        "| São |  5 % |\n");
    buf_clear(&out);
    table_html(&table, &out);
    assert_non_null(strstr(buf_text(&out), "<h2>A &lt;b&gt;</h2>"));
    assert_non_null(strstr(buf_text(&out), "<tr><th>São</th><td>5 %</td></tr>"));
    table_fini(&table);
    buf_clear(&out);
    html_text(&out, "<a href=\"x\">'&");
    assert_string_equal(buf_text(&out), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_of_wilson),
        cmocka_unit_test(tests_of_mcnemar),
        cmocka_unit_test(many_tests_are_corrected),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(fields_of_a_photo_go_together),
        cmocka_unit_test(means),
        cmocka_unit_test(scores),
        cmocka_unit_test(comparisons),
        cmocka_unit_test(tables_of_truth),
        cmocka_unit_test(wrong_tables_are_named),
        cmocka_unit_test(what_is_the_same),
        cmocka_unit_test(answers_are_judged),
        cmocka_unit_test(places_of_crops),
        cmocka_unit_test(tables_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
