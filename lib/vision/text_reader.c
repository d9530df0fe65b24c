#include "vision/text_reader_private.h"

#include "base/mem.h"
#include "base/path.h"
#include "vision/crew.h"

#include <string.h>
#include <time.h>

const struct text_reader_options text_reader_defaults = {.threads = 2,
                                                         .side_min = 736,
                                                         .side_max = 2000,
                                                         .pixel_threshold = .3f,
                                                         .box_threshold = .5f,
                                                         .unclip = 1.6f,
                                                         .line_confidence = .5f};

double text_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void fill_defaults(struct text_reader_options *options) {
    const struct text_reader_options *d = &text_reader_defaults;
    options->threads = options->threads == 0         ? d->threads
                       : options->threads > CREW_MAX ? CREW_MAX
                                                     : options->threads;
    options->side_min = options->side_min > 0 ? options->side_min : d->side_min;
    options->side_max = options->side_max > 0 ? options->side_max : d->side_max;
    options->pixel_threshold =
        options->pixel_threshold > 0 ? options->pixel_threshold : d->pixel_threshold;
    options->box_threshold = options->box_threshold > 0 ? options->box_threshold : d->box_threshold;
    options->unclip = options->unclip > 0 ? options->unclip : d->unclip;
    options->line_confidence =
        options->line_confidence > 0 ? options->line_confidence : d->line_confidence;
    options->detect = options->orient = options->recognize = options->dictionary = NULL;
}

// A colour picture: N x 3 x height x width, whose sides may be open (-1).
static bool takes_pictures(const struct network *network, struct err *err) {
    struct tensor_shape shape = network_input_shape(network);
    if (shape.rank == 4 && (shape.dims[1] == 3 || shape.dims[1] == -1))
        return true;
    return err_set(err, ERR_INVALID, "%s does not take colour pictures (N x 3 x height x width)",
                   network_path(network));
}

static struct network *load(struct onnx *onnx, const char *path,
                            const struct network_options *options, struct err *err) {
    struct network *network = network_load(onnx, path, options, err);
    if (network && !takes_pictures(network, err)) {
        network_destroy(network);
        return NULL;
    }
    return network;
}

// -1 .. 1. PP-OCR's own recipe is ImageNet's means and deviations; this is the reference's, which
// reads the same, and equal to the reference is what counts.
static const struct network_pixels detect_pixels = {{1 / 127.5f, 1 / 127.5f, 1 / 127.5f},
                                                    {-1, -1, -1}};

static bool load_detector(struct text_reader *reader, struct onnx *onnx, const char *path,
                          struct err *err) {
    const struct network_options options = {reader->options.threads, &detect_pixels};
    reader->detect = load(onnx, path, &options, err);
    if (!reader->detect)
        return false;
    struct tensor_shape shape = network_input_shape(reader->detect);
    reader->many_sizes = shape.dims[2] < 1 || shape.dims[3] < 1;
    return true;
}

static bool load_orienter(struct text_reader *reader, struct onnx *onnx, const char *path,
                          struct err *err) {
    if (!path)
        return true;
    reader->orient = load(onnx, path, &(struct network_options){.threads = 1}, err);
    if (!reader->orient)
        return false;
    struct tensor_shape shape = network_input_shape(reader->orient);
    reader->orient_height = shape.dims[2] > 0 ? (int)shape.dims[2] : 48;
    reader->orient_width = shape.dims[3] > 0 ? (int)shape.dims[3] : 192;
    return true;
}

static bool read_dictionary(struct text_reader *reader, const char *path, struct err *err) {
    struct tensor_shape shape = network_output_shape(reader->recognize, 0);
    size_t classes = shape.rank == 3 && shape.dims[2] > 0 ? (size_t)shape.dims[2] : 0;
    if (path) {
        char *expanded = path_expand(path);
        size_t length;
        char *text = path_read_file(expanded, (size_t)4 << 20, &length, err);
        bool good =
            text && dictionary_parse(&reader->dictionary, text, length, classes, expanded, err);
        mem_free(text);
        mem_free(expanded);
        return good;
    }
    const char *text = network_metadata(reader->recognize, "character");
    if (!text)
        return err_set(err, ERR_INVALID,
                       "%s carries no dictionary (metadata `character`); give it as a file",
                       network_path(reader->recognize));
    return dictionary_parse(&reader->dictionary, text, strlen(text), classes,
                            network_path(reader->recognize), err);
}

static bool load_recogniser(struct text_reader *reader, struct onnx *onnx,
                            const struct text_reader_options *options, struct err *err) {
    const struct network_options line = {.threads = 1, .lines = true, .classes = true};
    reader->recognize = load(onnx, options->recognize, &line, err);
    if (!reader->recognize)
        return false;
    struct tensor_shape shape = network_input_shape(reader->recognize);
    reader->line_height = shape.dims[2] > 0 ? (int)shape.dims[2] : 48;
    if (shape.dims[3] > 0)
        return err_set(err, ERR_INVALID, "%s reads lines of one width only (%lld)",
                       network_path(reader->recognize), (long long)shape.dims[3]);
    return read_dictionary(reader, options->dictionary, err);
}

struct text_reader *text_reader_create(struct onnx *onnx, const struct text_reader_options *options,
                                       struct err *err) {
    struct text_reader *reader = mem_alloc(sizeof *reader);
    reader->options = *options;
    fill_defaults(&reader->options);
    if (!load_detector(reader, onnx, options->detect, err) ||
        !load_orienter(reader, onnx, options->orient, err) ||
        !load_recogniser(reader, onnx, options, err)) {
        text_reader_destroy(reader);
        return NULL;
    }
    return reader;
}

void text_reader_destroy(struct text_reader *reader) {
    if (!reader)
        return;
    network_destroy(reader->detect);
    network_destroy(reader->orient);
    network_destroy(reader->recognize);
    dictionary_fini(&reader->dictionary);
    mem_free(reader);
}
