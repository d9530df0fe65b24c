// Names of classes, layouts of outputs, and the finder as a whole over networks of one constant,
// which are written here.
#include "vision/object_finder.h"
#include "vision/object_layout.h"
#include "vision/object_names.h"
#include "vision_support.h"

#include "tiny_onnx.h"

#include <math.h>

static void test_names(void **state) {
    static const struct {
        const char *text;
        const char *names[4]; // none: refused
    } rows[] = {
        {"{0: 'placa_transformador', 1: 'placa_identificacao'}",
         {"placa_transformador", "placa_identificacao"}},
        {"{0: \"d'agua\", 1: 'say \\'x\\' \\\\ \\t'}", {"d'agua", "say 'x' \\ \t"}},
        {"{1: 'b', 0: 'a'}", {"a", "b"}},
        {"{0: 'a', 2: 'c',}", {"a", "", "c"}}, // numbers may be left out, a comma may come last
        {"{\"0\": \"a\", \"1\": \"b\"}", {"a", "b"}}, // JSON
        {" [ 'a' , \"b\" ] ", {"a", "b"}},
        {"('a',)", {"a"}},
        {"{0: 'transforma\\xe7\\u00e3o \\U0001F50C'}", {"transformação 🔌"}},
        {"{0: 'placa do p\xc3\xb3rtico'}", {"placa do pórtico"}},
        {"{0: ''}", {""}},
        {"{0: 'a', 0: 'b'}", {"b"}},
        {"{0: '\\ud800'}", {"\xef\xbf\xbd"}},
        {"{0: '\\q'}", {"q"}},
        {"", {0}},
        {"{}", {0}},
        {"[]", {0}},
        {"{0: 'a'", {0}},
        {"{0: 'a", {0}},
        {"{0: 'a\\", {0}},
        {"{0: 'a\\x", {0}},
        {"{0: 'a\\x4", {0}},
        {"{0 'a'}", {0}},
        {"{: 'a'}", {0}},
        {"{0: a}", {0}},
        {"{0: 'a'} trailing", {0}},
        {"{-1: 'a'}", {0}},
        {"{99999: 'a'}", {0}},
        {"{99999999999999999999: 'a'}", {0}},
        {"{'x': 'a'}", {0}},
        {"{\"0: 'a'}", {0}},
        {"names", {0}},
        {"{0: 'a' 1: 'b'}", {0}},
        {"['a',,'b']", {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct object_names names;
        struct err err = {0};
        bool good = object_names_parse(&names, rows[i].text, &err);
        size_t count = 0;
        while (count < 4 && rows[i].names[count])
            count++;
        if (good != (count > 0))
            fail_msg("%s: %s", rows[i].text, good ? "was taken" : err.text);
        if (!good) {
            assert_int_equal(names.count, 0);
            assert_true(strlen(err.text) > 0);
            continue;
        }
        if (names.count != count)
            fail_msg("%s: %zu names", rows[i].text, names.count);
        for (size_t k = 0; k < count; k++)
            assert_string_equal(names.names[k], rows[i].names[k]);
        object_names_fini(&names);
    }
}

static void test_many_names(void **state) {
    struct buf text;
    struct object_names names;
    buf_init(&text, 1 << 20);
    buf_adds(&text, "[");
    for (int i = 0; i <= OBJECT_NAMES_MAX; i++)
        buf_adds(&text, "'x',");
    buf_adds(&text, "]");
    assert_false(object_names_parse(&names, buf_text(&text), NULL));
    buf_clear(&text);
    buf_adds(&text, "['");
    for (int i = 0; i < 5000; i++)
        buf_adds(&text, "x");
    buf_adds(&text, "']");
    assert_false(object_names_parse(&names, buf_text(&text), NULL));
    buf_fini(&text);
}

static void test_split_names(void **state) {
    struct object_names names;
    struct err err = {0};
    assert_true(object_names_split(&names, " placa , medidor,c", &err));
    assert_int_equal(names.count, 3);
    assert_string_equal(names.names[0], "placa");
    assert_string_equal(names.names[1], "medidor");
    assert_string_equal(names.names[2], "c");
    object_names_fini(&names);
    assert_false(object_names_split(&names, "", &err));
    assert_false(object_names_split(&names, "a,,b", &err));
    assert_false(object_names_split(&names, "a,", &err));
    assert_int_equal(names.count, 0);
}

static void test_thin(void **state) {
    struct object_candidate c[] = {
        {{0, 0, 10, 10}, .5f, 0},  {{1, 0, 11, 10}, .9f, 0}, {{0, 0, 10, 10}, .6f, 1},
        {{30, 0, 40, 10}, .3f, 0}, {{2, 0, 12, 10}, .8f, 0},
    };
    assert_int_equal(object_candidates_thin(c, 5, .45f, 300), 3);
    assert_true(c[0].confidence == .9f && c[1].confidence == .6f && c[2].confidence == .3f);
    assert_int_equal(c[1].class, 1); // another class is another object
    struct object_candidate d[] = {{{0, 0, 1, 1}, .1f, 0}, {{5, 0, 6, 1}, .2f, 0}};
    assert_int_equal(object_candidates_thin(d, 2, .45f, 1), 1);
    assert_true(d[0].confidence == .2f);
    assert_int_equal(object_candidates_thin(d, 0, .45f, 1), 0);
}

// A network that gives the same table whatever it sees.
struct table {
    const char *name;
    int64_t dims[4];
    size_t rank;
    float *values;
};

static struct table table_of(const char *name, int64_t a, int64_t b) {
    return (struct table){name, {1, a, b}, 3, mem_alloc((size_t)(a * b) * sizeof(float))};
}

static char *write_network(struct table *tables, size_t count, int64_t side, const char *names,
                           const char *final) {
    struct tiny_onnx tiny = tiny_onnx_begin();
    tiny_input(&tiny, "images", TINY_FLOAT, TINY_DIMS(1, 3, side, side));
    for (size_t i = 0; i < count; i++) {
        struct table *t = &tables[i];
        char constant[32];
        size_t bytes = sizeof(float);
        for (size_t d = 0; d < t->rank; d++)
            bytes *= (size_t)t->dims[d];
        snprintf(constant, sizeof constant, "constant_%zu", i);
        tiny_constant(&tiny, constant, TINY_FLOAT, t->dims, t->rank, t->values, bytes);
        tiny_node(&tiny, "Identity", constant, t->name);
        tiny_output(&tiny, t->name, TINY_FLOAT, t->dims, t->rank);
        mem_free(t->values);
    }
    if (names)
        tiny_metadata(&tiny, "names", names);
    if (final)
        tiny_metadata(&tiny, "end2end", final);
    return tiny_onnx_write(&tiny);
}

#define TWO "{0: 'placa_transformador', 1: 'placa_identificacao'}"
#define THREE "{0: 'a', 1: 'b', 2: 'c'}"

// In a frame of 320 x 320 a picture of 640 x 480 is 320 x 240 with 40 grey rows above.
enum { SIDE = 320, CELLS = 20 * 20 + 10 * 10, CELLS3 = 3 * (40 * 40 + 20 * 20 + 10 * 10) };

static size_t find(struct onnx *onnx, const char *path, const char *names,
                   struct found_object *found, const char *layout) {
    struct err err = {0};
    struct image image;
    size_t count;
    struct object_finder *finder = object_finder_create(
        onnx, &(struct object_finder_options){.path = path, .names = names}, &err);
    if (!finder)
        fail_msg("%s", err.text);
    if (strncmp(object_finder_layout(finder), layout, strlen(layout)) != 0)
        fail_msg("%s, not %s", object_finder_layout(finder), layout);
    image_init(&image, 640, 480);
    if (!object_finder_find(finder, &image, found, &count, &err))
        fail_msg("%s", err.text);
    image_fini(&image);
    // Names are the finder's, which goes.
    static char kept[FOUND_MAX][32];
    for (size_t i = 0; i < count; i++) {
        snprintf(kept[i], sizeof kept[i], "%s", found[i].name);
        found[i].name = kept[i];
    }
    object_finder_destroy(finder);
    return count;
}

static void assert_box(struct box box, float x0, float y0, float x1, float y1) {
    if (fabsf(box.x0 - x0) > .5f || fabsf(box.y0 - y0) > .5f || fabsf(box.x1 - x1) > .5f ||
        fabsf(box.y1 - y1) > .5f)
        fail_msg("box %g %g %g %g", (double)box.x0, (double)box.y0, (double)box.x1, (double)box.y1);
}

// The same object in every layout: 100, 140 .. 200, 180 of the frame, 200, 200 .. 400, 280 of the
// picture; a weaker one over it, which goes; one of the other class; and one too weak.
static const float boxes[4][4] = {
    {150, 160, 100, 40}, {152, 160, 100, 40}, {50, 100, 20, 20}, {250, 250, 30, 30}};
static const float scores[4][2] = {{.9f, .1f}, {.7f, .2f}, {.1f, .6f}, {.1f, .2f}};

static void assert_found(const struct found_object *found, size_t count) {
    assert_int_equal(count, 2);
    assert_box(found[0].box, 200, 200, 400, 280);
    assert_string_equal(found[0].name, "placa_transformador");
    assert_string_equal(found[1].name, "placa_identificacao");
    assert_true(fabsf(found[0].confidence - .9f) < .01f);
    assert_box(found[1].box, 80, 100, 120, 140);
    assert_true(fabsf(found[1].confidence - .6f) < .01f);
}

static void run_and_forget(struct onnx *onnx, char *path, const char *layout) {
    struct found_object found[FOUND_MAX];
    assert_found(found, find(onnx, path, NULL, found, layout));
    unlink(path);
    mem_free(path);
}

static void test_columns_and_rows(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct table columns = table_of("output0", 6, CELLS), rows = table_of("output0", CELLS, 6);
    struct table masks = table_of("output0", 6 + 32, CELLS);
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 6; k++) {
            float value = k < 4 ? boxes[i][k] : scores[i][k - 4];
            columns.values[k * CELLS + i * 100] = value;
            masks.values[k * CELLS + i * 100] = value;
            rows.values[i * 100 * 6 + k] = value;
        }
    struct table segment[2] = {
        masks, {"output1", {1, 32, 80, 80}, 4, mem_alloc(32 * 80 * 80 * sizeof(float))}};
    run_and_forget(onnx, write_network(&columns, 1, SIDE, TWO, NULL), "v8, 2 classes, 320 x 320");
    run_and_forget(onnx, write_network(&rows, 1, SIDE, TWO, "False"), "v8, transposed");
    run_and_forget(onnx, write_network(segment, 2, SIDE, TWO, NULL), "v8");
    onnx_close(onnx);
}

static void test_objectness(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct table table = table_of("output", CELLS3, 7);
    for (size_t i = 0; i < 4; i++) {
        float *v = table.values + i * 1000 * 7;
        memcpy(v, boxes[i], sizeof boxes[i]);
        v[4] = .95f;
        v[5] = scores[i][0] / .95f;
        v[6] = scores[i][1] / .95f;
    }
    // A class that is sure where there is nothing is nothing.
    float *v = table.values + 7;
    memcpy(v, boxes[3], sizeof boxes[3]);
    v[4] = .1f;
    v[5] = 1;
    run_and_forget(onnx, write_network(&table, 1, SIDE, TWO, NULL), "v5");
    onnx_close(onnx);
}

static void test_final(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    for (int said = 0; said < 2; said++) {
        struct table table = table_of("output0", 300, 6);
        static const float rows[][6] = {
            {100, 140, 200, 180, .9f, 0}, {40, 90, 60, 110, .6f, 1}, {10, 10, 20, 20, .2f, 0},
            {10, 10, 20, 20, .9f, 7},                               // no such class
            {10, 10, 20, 20, .9f, -1},    {20, 20, 10, 10, .9f, 1}, // inside out
            {NAN, 10, 20, 20, .9f, 1},    {10, 10, 20, 20, NAN, 1},  {10, 10, 20, 20, .9f, NAN}};
        memcpy(table.values, rows, sizeof rows);
        run_and_forget(onnx, write_network(&table, 1, SIDE, TWO, said ? "True" : NULL),
                       "end to end");
    }
    onnx_close(onnx);
}

static void test_detr(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct table logits = table_of("logits", 300, 2), places = table_of("pred_boxes", 300, 4);
    for (size_t i = 0; i < 600; i++)
        logits.values[i] = -9;
    for (size_t i = 0; i < 4; i++) {
        if (i == 1)
            continue; // such a network gives an object once
        for (size_t k = 0; k < 2; k++)
            logits.values[i * 2 + k] = logf(scores[i][k] / (1 - scores[i][k]));
        // The same place in the picture, which is stretched here.
        places.values[i * 4] = boxes[i][0] / 320;
        places.values[i * 4 + 1] = (boxes[i][1] - 40) / 240;
        places.values[i * 4 + 2] = boxes[i][2] / 320;
        places.values[i * 4 + 3] = boxes[i][3] / 240;
    }
    struct table both[2] = {logits, places};
    run_and_forget(onnx, write_network(both, 2, SIDE, TWO, NULL), "DETR");
    onnx_close(onnx);
}

static void test_given_names(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct err err = {0};
    struct found_object found[FOUND_MAX];
    for (int i = 0; i < 2; i++) { // none in the file, or wrong ones: those given count
        struct table table = table_of("output0", 6, CELLS);
        table.values[0] = 100;
        table.values[CELLS] = 100;
        table.values[2 * CELLS] = table.values[3 * CELLS] = 20;
        table.values[5 * CELLS] = .8f;
        char *path = write_network(&table, 1, SIDE, i ? THREE : NULL, NULL);
        assert_int_equal(find(onnx, path, "medidor, poste", found, "v8"), 1);
        assert_string_equal(found[0].name, "poste");
        assert_null(
            object_finder_create(onnx, &(struct object_finder_options){.path = path}, &err));
        if (i == 0)
            assert_non_null(strstr(err.text, "does not name its classes"));
        unlink(path);
        mem_free(path);
    }
    onnx_close(onnx);
}

// What cannot be told for sure is refused, and the text shows the shapes.
static void test_refused_layouts(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    static const struct {
        int64_t a, b;
        const char *names, *final, *text;
    } rows[] = {
        {6, CELLS, THREE, NULL, "[1, 6, 500]"}, // three classes are seven numbers
        {7, 321, THREE, NULL, "[1, 7, 321]"},   // no grid has so many cells
        {2100, 7, TWO, NULL, "YOLOX"},          // objectness, but one box a cell
        {300, 7, THREE, NULL, "[1, 300, 7]"},
        {300, 7, THREE, "True", "[1, 300, 7]"},
        {1, 1, TWO, NULL, "[1, 1, 1]"},
        {CELLS, 6, "{0: 'a', 1: 'b'", NULL, "names of classes"}, // a torn dict
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct table table = table_of("output0", rows[i].a, rows[i].b);
        char *path = write_network(&table, 1, SIDE, rows[i].names, rows[i].final);
        struct err err = {0};
        struct object_finder *finder =
            object_finder_create(onnx, &(struct object_finder_options){.path = path}, &err);
        if (finder)
            fail_msg("row %zu was taken as %s", i, object_finder_layout(finder));
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, rows[i].text) || !strstr(err.text, path))
            fail_msg("row %zu: %s", i, err.text);
        unlink(path);
        mem_free(path);
    }
    onnx_close(onnx);
}

// With 6 numbers a box, 1 class and 6300 boxes a table is YOLOv5's; the same with 500 rows and two
// classes is v8's, never "end to end".
static void test_close_calls(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    static const struct {
        int64_t a, b;
        const char *names, *layout;
    } rows[] = {
        {CELLS3, 6, "['a']", "v5"},      {CELLS, 6, TWO, "v8, transposed"},
        {300, 6, "['a']", "end to end"}, {300, 6, THREE, "end to end"},
        {7, CELLS, THREE, "v8,"},        {5, 2100, "['a']", "v8,"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct table table = table_of("output0", rows[i].a, rows[i].b);
        char *path = write_network(&table, 1, SIDE, rows[i].names, NULL);
        struct found_object found[FOUND_MAX];
        assert_int_equal(find(onnx, path, NULL, found, rows[i].layout), 0);
        unlink(path);
        mem_free(path);
    }
    onnx_close(onnx);
}

// A file that leaves its sides open is run at the size that its metadata names, and may give
// another table every time.
static void test_open_sides(void **state) {
    struct onnx *onnx = open_onnx_or_skip();
    struct tiny_onnx tiny = tiny_onnx_begin();
    float *values = mem_alloc(6 * 750 * sizeof *values); // 480 x 320 in strides of 16 and 32
    tiny_input(&tiny, "images", TINY_FLOAT, TINY_DIMS(-1, 3, -1, -1));
    tiny_output(&tiny, "output0", TINY_FLOAT, TINY_DIMS(-1, -1, -1));
    tiny_constant(&tiny, "c", TINY_FLOAT, TINY_DIMS(1, 6, 750), values, 6 * 750 * sizeof *values);
    tiny_node(&tiny, "Identity", "c", "output0");
    tiny_metadata(&tiny, "names", TWO);
    tiny_metadata(&tiny, "imgsz", "[320, 480]");
    char *path = tiny_onnx_write(&tiny);
    struct found_object found[FOUND_MAX];
    assert_int_equal(find(onnx, path, NULL, found, "v8, 2 classes, 480 x 320"), 0);
    unlink(path);
    mem_free(path);
    mem_free(values);
    onnx_close(onnx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_split_names),
        cmocka_unit_test(test_thin),
        cmocka_unit_test(test_columns_and_rows),
        cmocka_unit_test(test_objectness),
        cmocka_unit_test(test_final),
        cmocka_unit_test(test_detr),
        cmocka_unit_test(test_given_names),
        cmocka_unit_test(test_refused_layouts),
        cmocka_unit_test(test_close_calls),
        cmocka_unit_test(test_open_sides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
