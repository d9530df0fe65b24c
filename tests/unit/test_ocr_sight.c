// What the detector saw against what was read. Texts are put where a case wants them.
#include "sight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { LINES_MAX = 16 };

struct page {
    struct text_line lines[LINES_MAX];
    enum text_class classes[LINES_MAX];
    size_t count;
};

// One text a letter, ten pixels high, one below the other: n nameplate, p pole, o other.
static void page_of(struct page *page, const char *letters) {
    *page = (struct page){.count = strlen(letters)};
    assert_in_range(page->count, 0, LINES_MAX);
    for (size_t i = 0; i < page->count; i++) {
        float top = 20 * (float)i;
        page->lines[i].quad = (struct quad){{{10, top}, {90, top}, {90, top + 10}, {10, top + 10}}};
        page->classes[i] = letters[i] == 'n'   ? TEXT_NAMEPLATE
                           : letters[i] == 'p' ? TEXT_POLE
                                               : TEXT_OTHER;
    }
}

// `rows`: the texts that the box goes round, from the first.
static struct sight seen(enum pole_context what, size_t first, size_t rows) {
    return (struct sight){what, {0, 20 * (float)first, 100, 20 * (float)(first + rows) - 10}, .9f};
}

static void texts_decide(void **state) {
    static const struct {
        const char *texts;
        enum pole_context taken_for, is;
    } CASES[] = {
        {"nnnnnn", CONTEXT_TRANSFORMER, CONTEXT_TRANSFORMER},
        {"nnnnnn", CONTEXT_POLE, CONTEXT_TRANSFORMER},
        {"pp", CONTEXT_TRANSFORMER, CONTEXT_POLE},
        {"pp", CONTEXT_POLE, CONTEXT_POLE},
        {"p", CONTEXT_TRANSFORMER, CONTEXT_POLE},
        {"pppp", CONTEXT_TRANSFORMER, CONTEXT_TRANSFORMER}, // too many for a sign
        {"oo", CONTEXT_TRANSFORMER, CONTEXT_TRANSFORMER},   // a plate too far away to be read
        {"np", CONTEXT_TRANSFORMER, CONTEXT_TRANSFORMER},
        {"nnp", CONTEXT_POLE, CONTEXT_POLE}, // too few for a plate
        {"", CONTEXT_POLE, CONTEXT_POLE},    // nothing was read
        {"", CONTEXT_TRANSFORMER, CONTEXT_TRANSFORMER},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct page page;
        page_of(&page, CASES[i].texts);
        struct sights sights = {{seen(CASES[i].taken_for, 0, page.count + 1)}, 1};
        sights_settle(&sights, page.lines, page.classes, page.count);
        if (sights.list[0].what != CASES[i].is)
            fail_msg("case %zu: %s", i, sight_class(sights.list[0].what));
    }
}

static void the_unsure_needs_texts(void **state) {
    static const struct {
        const char *texts;
        float score;
        size_t kept;
    } CASES[] = {{"nnnnnn", .3f, 1}, {"pp", .3f, 1}, {"oo", .3f, 0}, {"", .3f, 0}, {"", .5f, 1}};
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct page page;
        page_of(&page, CASES[i].texts);
        struct sights sights = {{seen(CONTEXT_TRANSFORMER, 0, page.count + 1)}, 1};
        sights.list[0].score = CASES[i].score;
        sights_settle(&sights, page.lines, page.classes, page.count);
        if (sights.count != CASES[i].kept)
            fail_msg("case %zu: %zu", i, sights.count);
    }
    // Round what is sure already there is often a box that is not.
    struct page page;
    page_of(&page, "nnnnnn");
    struct sights sights = {{seen(CONTEXT_TRANSFORMER, 0, 6), seen(CONTEXT_POLE, 0, 5)}, 2};
    sights.list[1].score = .3f;
    sights_settle(&sights, page.lines, page.classes, page.count);
    assert_int_equal(sights.count, 1);
}

static void texts_outside_do_not_decide(void **state) {
    struct page page;
    page_of(&page, "ppnnnnnn");
    struct sights sights = {{seen(CONTEXT_POLE, 2, 6), seen(CONTEXT_TRANSFORMER, 0, 2)}, 2};
    sights_settle(&sights, page.lines, page.classes, page.count);
    assert_int_equal(sights.list[0].what, CONTEXT_TRANSFORMER);
    assert_int_equal(sights.list[1].what, CONTEXT_POLE);
    assert_ptr_equal(sights_best(&sights, CONTEXT_POLE), &sights.list[1]);
}

static void a_box_that_holds_the_plate(void **state) {
    static const struct {
        const char *texts;
        size_t first, rows;
        bool holds;
    } CASES[] = {
        {"nnnnnnoo", 0, 6, true},
        {"nnnnnnoo", 0, 5, true}, // the sixth is near enough to be doubted, not the box
        {"nnnnnnoo", 0, 4, false},
        {"oonnnnnn", 0, 2, false},
        {"nnoo", 0, 2, false}, // two texts say nothing of where a plate ends
        {"", 0, 4, false},
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct page page;
        page_of(&page, CASES[i].texts);
        struct sight sight = seen(CONTEXT_TRANSFORMER, CASES[i].first, CASES[i].rows);
        if (sight_holds_plate(&sight, page.lines, page.classes, page.count) != CASES[i].holds)
            fail_msg("case %zu", i);
    }
}

static void the_surest_of_a_kind(void **state) {
    struct sights sights = {.count = 0};
    assert_null(sights_best(&sights, CONTEXT_TRANSFORMER));
    sights = (struct sights){{seen(CONTEXT_POLE, 0, 1), seen(CONTEXT_TRANSFORMER, 1, 1),
                              seen(CONTEXT_TRANSFORMER, 2, 1)},
                             3};
    assert_ptr_equal(sights_best(&sights, CONTEXT_TRANSFORMER), &sights.list[1]);
    assert_string_equal(sight_class(CONTEXT_POLE), "placa_identificacao");
    assert_null(sight_class(CONTEXT_UNKNOWN));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_decide),
        cmocka_unit_test(the_unsure_needs_texts),
        cmocka_unit_test(texts_outside_do_not_decide),
        cmocka_unit_test(a_box_that_holds_the_plate),
        cmocka_unit_test(the_surest_of_a_kind),
    };
    return cmocka_run_group_tests_name("ocr_sight", tests, NULL, NULL);
}
