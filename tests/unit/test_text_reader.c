// The text reader as a whole, with the fetched models: a page that is drawn here by libvips, as it
// is, turned, small, as one line, by several threads. What it says is compared with RapidOCR in
// tests/clients/rapidocr_lines.py; this is about the rest.
#include "vision/text_reader.h"
#include "vision/warp.h"
#include "vision_support.h"

#include "tiny_onnx.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <vips/vips.h>

static struct onnx *onnx;
static struct text_reader *reader;

static int stop(void **state) {
    text_reader_destroy(reader);
    onnx_close(onnx);
    image_system_fini();
    return 0;
}

static int start(void **state) {
    struct err err = {0};
    return image_system_init(1, &err) ? 0 : -1;
}

static struct text_reader *open_reader_or_skip(bool follow_page) {
    char *detect = fetched_or_skip("ocr/det.onnx"), *orient = fetched_or_skip("ocr/cls.onnx");
    char *recognize = fetched_or_skip("ocr/rec.onnx");
    struct err err = {0};
    if (!onnx)
        onnx = open_onnx_or_skip();
    struct text_reader_options options = text_reader_defaults;
    options.detect = detect;
    options.orient = orient;
    options.recognize = recognize;
    options.faint = true;
    options.follow_page = follow_page;
    struct text_reader *opened = text_reader_create(onnx, &options, &err);
    if (!opened)
        fail_msg("%s", err.text);
    mem_free(detect);
    mem_free(orient);
    mem_free(recognize);
    return opened;
}

// One reader serves all tests, which is how it is used.
static struct text_reader *reader_or_skip(void) {
    if (!reader)
        reader = open_reader_or_skip(false);
    return reader;
}

struct word {
    const char *text;
    int x, y;
};
static const struct word plate[] = {
    {"TRANSFORMADOR", 60, 40}, {"POTÊNCIA", 60, 160}, {"112,5 kVA", 420, 160},
    {"Nº 348817", 60, 280},    {"08/2019", 420, 280}, {"13800 V", 60, 400},
};
enum { WORDS = sizeof plate / sizeof *plate };

// Black on white, 800 x 500.
static void draw_words_or_skip(struct image *out, const struct word *words, size_t count) {
    image_init(out, 800, 500);
    memset(out->pixels, 235, 800 * 500 * 3);
    for (size_t i = 0; i < count; i++) {
        VipsImage *text = NULL;
        if (vips_text(&text, words[i].text, "font", "DejaVu Sans 44", NULL) != 0)
            lack("libvips draws no text here");
        size_t length;
        uint8_t *mask = vips_image_write_to_memory(text, &length);
        for (int y = 0; y < text->Ysize && words[i].y + y < 500; y++)
            for (int x = 0; x < text->Xsize && words[i].x + x < 800; x++) {
                uint32_t grey = 235 - mask[y * text->Xsize + x] * 215u / 255;
                set_pixel(out, words[i].x + x, words[i].y + y, grey * 0x10101);
            }
        g_free(mask);
        g_object_unref(text);
    }
}

static void plate_or_skip(struct image *out) { draw_words_or_skip(out, plate, WORDS); }

static const struct text_line *line_with(const struct text_page *page, const char *text) {
    for (size_t i = 0; i < page->count; i++)
        if (strstr(page->lines[i].text, text))
            return &page->lines[i];
    for (size_t i = 0; i < page->count; i++)
        print_message("line %zu: %s\n", i, page->lines[i].text);
    fail_msg("no line has %s", text);
    return NULL;
}

// Which way up a line was read does not matter.
static const struct text_line *line_at(const struct text_page *page, const struct quad *quad) {
    struct box wanted = quad_box(quad);
    for (size_t i = 0; i < page->count; i++) {
        struct box box = quad_box(&page->lines[i].quad);
        if (box.x0 == wanted.x0 && box.y0 == wanted.y0 && box.x1 == wanted.x1 &&
            box.y1 == wanted.y1)
            return &page->lines[i];
    }
    fail_msg("no line is at %.0f, %.0f", (double)wanted.x0, (double)wanted.y0);
    return NULL;
}

static void assert_plate(const struct text_page *page) {
    static const char *const found[] = {"TRANSFORMADOR", "POT",     "112",
                                        "348817",        "08/2019", "13800"};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++)
        line_with(page, found[i]);
}

static void test_page(void **state) {
    struct text_reader *r = reader_or_skip();
    struct image image;
    struct text_page page;
    struct err err = {0};
    plate_or_skip(&image);
    if (!text_reader_read(r, &image, &page, &err))
        fail_msg("%s", err.text);
    assert_plate(&page);
    assert_int_equal(page.turned, 0);
    assert_string_equal(page.lines[0].text, "TRANSFORMADOR");
    assert_true(page.network_ms > 0 &&
                page.network_ms <= page.detect_ms + page.orient_ms + page.recognize_ms);
    for (size_t i = 0; i < page.count; i++) {
        const struct text_line *line = &page.lines[i];
        size_t length = 0;
        assert_true(line->confidence > .5f && line->confidence <= 1.001f);
        assert_false(line->turned);
        assert_true(line->char_count > 0);
        for (size_t k = 0; k < line->char_count; k++) {
            const struct text_char *c = &line->chars[k];
            length += strlen(c->text);
            assert_true(c->confidence > 0 && c->second_confidence <= c->confidence + 1e-3f);
            assert_true(c->x0 >= 0 && c->x0 < c->x1 && c->x1 <= 1);
            assert_true(k == 0 || c->x0 >= line->chars[k - 1].x0);
            assert_true((c->second[0] == '\0') == (c->second_confidence == 0));
        }
        assert_int_equal(length, strlen(line->text));
        struct box box = quad_box(&line->quad), upright = quad_box(&line->upright);
        assert_true(box.x0 >= 0 && box.y0 >= 0 && box.x1 <= 800 && box.y1 <= 500);
        assert_memory_equal(&box, &upright, sizeof box);
    }
    struct box box = quad_box(&line_with(&page, "348817")->quad);
    assert_true(box.x0 > 20 && box.x0 < 80 && box.y0 > 240 && box.y0 < 300);
    text_page_fini(&page);
    image_fini(&image);
}

// A plate that lies on its side or stands on its head is read all the same, and the places are
// those in the picture as it is.
static void test_turned(void **state) {
    struct text_reader *r = reader_or_skip();
    struct image image, turned;
    plate_or_skip(&image);
    for (unsigned quarters = 1; quarters < 4; quarters++) {
        struct text_page page;
        struct err err = {0};
        warp_turn(&turned, &image, quarters);
        assert_true(text_reader_read(r, &turned, &page, &err));
        assert_plate(&page);
        assert_int_equal((page.turned + quarters) % 4, 0);
        assert_string_equal(page.lines[0].text, "TRANSFORMADOR");
        const struct text_line *line = line_with(&page, "348817");
        struct box upright = quad_box(&line->upright);
        assert_true(upright.x0 > 20 && upright.x0 < 80 && upright.y0 > 240 && upright.y0 < 300);
        struct quad back = quad_turn(&line->quad, 4 - quarters, turned.width, turned.height);
        for (size_t i = 0; i < 4; i++) {
            assert_true(fabsf(back.corners[i].x - line->upright.corners[i].x) < 1);
            assert_true(fabsf(back.corners[i].y - line->upright.corners[i].y) < 1);
        }
        text_page_fini(&page);
        image_fini(&turned);
    }
    image_fini(&image);
}

// On a page on its head a short line does not show which way up it is. Who follows the page reads
// it as it is meant, and is told what the reference reads.
static void test_follows_page(void **state) {
    static const struct word words[] = {
        {"TRANSFORMADOR", 60, 40}, {"POTÊNCIA", 60, 160}, {"BAIXA TENSÃO", 300, 160},
        {"H1", 60, 280},           {"0080", 420, 280},    {"60 Hz", 60, 400},
        {"H3", 420, 400},
    };
    struct text_reader *r = reader_or_skip(), *follower = open_reader_or_skip(true);
    struct image image, turned;
    struct text_page alone, page;
    struct err err = {0};
    size_t own = 0;
    draw_words_or_skip(&image, words, sizeof words / sizeof *words);
    warp_turn(&turned, &image, 2);
    assert_true(text_reader_read(r, &turned, &alone, &err));
    assert_true(text_reader_read(follower, &turned, &page, &err));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        line_with(&page, words[i].text);
    assert_int_equal(page.count, alone.count);
    for (size_t i = 0; i < page.count; i++) {
        const struct text_line *line = &page.lines[i];
        const struct text_line *reference = line_at(&alone, &line->quad);
        own += line->own_text != NULL;
        assert_null(reference->own_text);
        assert_string_equal(line->own_text ? line->own_text : line->text, reference->text);
        if (line->own_text) {
            assert_string_not_equal(line->own_text, line->text);
            assert_true(line->own_confidence == reference->confidence);
        }
    }
    assert_true(own > 0 && own < page.count);
    text_page_fini(&page);
    text_page_fini(&alone);
    text_reader_destroy(follower);
    image_fini(&turned);
    image_fini(&image);
}

// The caller turns a page that lies on its side before text is looked for: it says what it says
// upright, and the places are still those in the picture as it is.
static void test_turned_first(void **state) {
    struct text_reader *r = reader_or_skip();
    struct image image, lying;
    struct text_page upright, page;
    struct err err = {0};
    plate_or_skip(&image);
    warp_turn(&lying, &image, 3);
    assert_true(text_reader_read(r, &image, &upright, &err));
    assert_true(text_reader_read_turned(r, &lying, 1, &page, &err));
    assert_int_equal(page.turned, 1);
    assert_int_equal(page.count, upright.count);
    for (size_t i = 0; i < page.count; i++) {
        const struct text_line *line = &page.lines[i], *wanted = &upright.lines[i];
        assert_string_equal(line->text, wanted->text);
        assert_memory_equal(&line->upright, &wanted->upright, sizeof line->upright);
        struct quad turned = quad_turn(&line->quad, 1, lying.width, lying.height);
        assert_memory_equal(&turned, &wanted->quad, sizeof turned);
    }
    text_page_fini(&page);
    assert_true(text_reader_read_turned(r, &image, 4, &page, &err));
    assert_int_equal(page.turned, 0);
    assert_memory_equal(&page.lines[0].quad, &upright.lines[0].quad, sizeof(struct quad));
    text_page_fini(&page);
    text_page_fini(&upright);
    image_fini(&lying);
    image_fini(&image);
}

static void *read_in_thread(void *arg) {
    struct text_page page;
    if (text_reader_read(reader, arg, &page, NULL)) {
        bool good = page.count >= WORDS - 1 && !strcmp(page.lines[0].text, "TRANSFORMADOR");
        text_page_fini(&page);
        return good ? arg : NULL;
    }
    return NULL;
}

static void test_threads(void **state) {
    reader_or_skip();
    struct image image;
    pthread_t threads[3];
    plate_or_skip(&image);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_in_thread, &image), 0);
    for (size_t i = 0; i < 3; i++) {
        void *good;
        pthread_join(threads[i], &good);
        assert_ptr_equal(good, &image);
    }
    image_fini(&image);
}

// Pictures that are no plates: no text, one colour, one pixel, absurd shapes.
static void test_odd_pictures(void **state) {
    struct text_reader *r = reader_or_skip();
    static const int sizes[][2] = {{1, 1}, {3, 2000}, {2000, 3}, {31, 33}, {640, 64}, {64, 640}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int noise = 0; noise < 2; noise++) {
            struct image image;
            struct text_page page;
            struct err err = {0};
            image_init(&image, sizes[i][0], sizes[i][1]);
            if (noise)
                fill_noise(&image);
            if (!text_reader_read(r, &image, &page, &err))
                fail_msg("%d x %d: %s", image.width, image.height, err.text);
            if (!noise)
                assert_int_equal(page.count, 0);
            text_page_fini(&page);
            image_fini(&image);
        }
    struct image none = {0};
    struct text_page page;
    struct err err = {0};
    assert_false(text_reader_read(r, &none, &page, &err));
    assert_int_equal(err.code, ERR_INVALID);
}

// A line by itself, cut close.
static void test_single_line(void **state) {
    struct text_reader *r = reader_or_skip();
    struct image image, line;
    struct text_page page;
    plate_or_skip(&image);
    warp_crop(&line, &image, (struct box){40, 20, 560, 110});
    assert_true(text_reader_read(r, &line, &page, NULL));
    assert_int_equal(page.count, 1);
    assert_string_equal(page.lines[0].text, "TRANSFORMADOR");
    text_page_fini(&page);
    image_fini(&line);
    image_fini(&image);
}

// Files that are networks, but not these.
static void test_wrong_models(void **state) {
    reader_or_skip();
    char *detect = fetched_or_skip("ocr/det.onnx"), *orient = fetched_or_skip("ocr/cls.onnx");
    char *recognize = fetched_or_skip("ocr/rec.onnx");
    char dictionary[] = "/tmp/vision-dictionary-XXXXXX";
    int fd = mkstemp(dictionary);
    assert_int_equal(write(fd, "a\nb\n", 4), 4);
    close(fd);
    const struct {
        const char *detect, *orient, *recognize, *dictionary, *text;
    } rows[] = {
        {"/nowhere.onnx", orient, recognize, NULL, "/nowhere.onnx"},
        {detect, orient, detect, NULL, "no dictionary"},
        {detect, orient, recognize, dictionary, "do not belong together"},
        {detect, orient, recognize, "/nowhere.txt", "/nowhere.txt"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct text_reader_options options = text_reader_defaults;
        struct err err = {0};
        options.detect = rows[i].detect;
        options.orient = rows[i].orient;
        options.recognize = rows[i].recognize;
        options.dictionary = rows[i].dictionary;
        assert_null(text_reader_create(onnx, &options, &err));
        if (!strstr(err.text, rows[i].text))
            fail_msg("row %zu: %s", i, err.text);
    }
    // A detector that detects nothing of the kind is found out when it is used.
    struct text_reader_options options = text_reader_defaults;
    struct image image;
    struct text_page page;
    struct err err = {0};
    options.detect = orient;
    options.recognize = recognize;
    struct text_reader *odd = text_reader_create(onnx, &options, &err);
    assert_non_null(odd);
    image_init(&image, 100, 100);
    assert_false(text_reader_read(odd, &image, &page, &err));
    assert_true(strlen(err.text) > 0);
    image_fini(&image);
    text_reader_destroy(odd);
    unlink(dictionary);
    mem_free(detect);
    mem_free(orient);
    mem_free(recognize);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),         cmocka_unit_test(test_turned),
        cmocka_unit_test(test_follows_page), cmocka_unit_test(test_turned_first),
        cmocka_unit_test(test_threads),      cmocka_unit_test(test_odd_pictures),
        cmocka_unit_test(test_single_line),  cmocka_unit_test(test_wrong_models),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
