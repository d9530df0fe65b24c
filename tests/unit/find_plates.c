// find_plates MODEL PHOTO... : what the pipeline's detector sees, a line of JSON a photo: {"file",
// "width", "height", "ms", "plates": [{"class", "box", "score"}]}, for tests/ocr/score-detector.
// Photos are decoded as ocr-pipeline does it; boxes are in pixels of the photo.
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "event/loop.h"
#include "format/json.h"
#include "plate.h"
#include "sight.h"

#include <stdio.h>

enum { SIDE = 1600, FILE_MAX = 64 << 20 };

static void print_sights(const char *path, int width, int height, double ms,
                         const struct sights *sights) {
    json_t *plates = json_array();
    for (size_t i = 0; i < sights->count; i++)
        json_array_append_new(plates, json_build("{s:s, s:o, s:f}", "class",
                                                 sight_class(sights->list[i].what), "box",
                                                 plate_box_json(&sights->list[i].box), "score",
                                                 (double)sights->list[i].score));
    json_t *out = json_build("{s:s, s:i, s:i, s:f, s:o}", "file", path, "width", width, "height",
                             height, "ms", ms, "plates", plates);
    struct buf text;
    buf_init(&text, 1 << 20);
    json_write(&text, out);
    puts(buf_text(&text));
    buf_fini(&text);
    json_decref(out);
}

static bool find(struct object_finder *finder, const char *path, struct err *err) {
    struct image image = {0};
    struct sights sights;
    size_t length;
    int width, height;
    char *bytes = path_read_file(path, FILE_MAX, &length, err);
    bool good = bytes && image_measure(bytes, length, path, &width, &height, err) &&
                image_decode(&image, bytes, length, path, SIDE, NULL, err);
    if (good) {
        int64_t start = loop_now_us();
        good = sights_find(&sights, finder, &image, (float)width / (float)image.width,
                           (float)height / (float)image.height, err);
        if (good)
            print_sights(path, width, height, (double)(loop_now_us() - start) / 1000, &sights);
    }
    image_fini(&image);
    mem_free(bytes);
    return good;
}

int main(int argc, char **argv) {
    struct err err = {0};
    struct onnx *onnx = NULL;
    struct object_finder *finder = NULL;
    struct object_finder_options options = {.path = argc > 1 ? argv[1] : "", .threads = 2};
    bool good = image_system_init(1, &err) && (onnx = onnx_open(NULL, &err)) &&
                (finder = object_finder_create(onnx, &options, &err));
    for (int i = 2; i < argc && good; i++)
        good = find(finder, argv[i], &err);
    if (!good)
        fprintf(stderr, "find_plates: %s\n", err.text);
    object_finder_destroy(finder);
    onnx_close(onnx);
    image_system_fini();
    return good ? 0 : 1;
}
