// read_text [OPTION VALUE]... PHOTO... : what the text reader reads, a line of JSON a photo, for
// comparisons with the reference (tests/clients/rapidocr_lines.py). Options: --threads --side
// --repeat --confidence (percent) --faint 1 --follow 1 (a line that does not show which way
// up it is goes as the page goes) --chars 1 (all that read_plate takes: what each character could
// have been, where it stands) --fast 1 (the tiny networks) --memory 1. PHOTO `-`: the paths come on
// stdin, after a first line `{}` has said that all is loaded. Models and library as tools/get-ocr
// lays them down.
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"
#include "vision/text_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    unsigned threads;
    int side, repeat, confidence;
    bool memory, faint, follow, chars, fast;
};

static json_t *chars_json(const struct text_line *line) {
    json_t *out = json_array();
    for (size_t i = 0; i < line->char_count; i++) {
        const struct text_char *c = &line->chars[i];
        json_t *one = json_array();
        json_array_append_new(one, json_text(c->text));
        json_array_append_new(one, json_real((double)c->confidence));
        json_array_append_new(one, json_text(c->second));
        json_array_append_new(one, json_real((double)c->second_confidence));
        json_array_append_new(one, json_real((double)c->x0));
        json_array_append_new(one, json_real((double)c->x1));
        json_array_append_new(out, one);
    }
    return out;
}

static json_t *quad_json(const struct quad *quad) {
    json_t *out = json_array();
    for (size_t i = 0; i < 4; i++) {
        json_array_append_new(out, json_real((double)quad->corners[i].x));
        json_array_append_new(out, json_real((double)quad->corners[i].y));
    }
    return out;
}

static json_t *line_json(const struct text_line *line, bool chars) {
    json_t *out = json_object();
    json_object_set_new(out, "text", json_text(line->text));
    json_object_set_new(out, "confidence", json_real((double)line->confidence));
    if (chars) {
        json_object_set_new(out, "chars", chars_json(line));
        json_object_set_new(out, "upright", quad_json(&line->upright));
    }
    json_object_set_new(out, "faint", json_boolean(line->faint));
    if (line->own_text)
        json_object_set_new(out, "own_text", json_text(line->own_text));
    json_object_set_new(out, "quad", quad_json(&line->quad));
    return out;
}

static void print_page(const char *path, const struct text_page *page, bool chars) {
    json_t *lines = json_array();
    for (size_t i = 0; i < page->count; i++)
        json_array_append_new(lines, line_json(&page->lines[i], chars));
    json_t *out = json_object();
    json_object_set_new(out, "file", json_text(path));
    json_object_set_new(out, "turned", json_integer(page->turned));
    json_object_set_new(out, "lines", lines);
    json_object_set_new(out, "detect_ms", json_real(page->detect_ms));
    json_object_set_new(out, "orient_ms", json_real(page->orient_ms));
    json_object_set_new(out, "recognize_ms", json_real(page->recognize_ms));
    json_object_set_new(out, "network_ms", json_real(page->network_ms));
    struct buf text;
    buf_init(&text, (size_t)64 << 20);
    json_write(&text, out);
    puts(buf_text(&text));
    buf_fini(&text);
    json_decref(out);
}

static bool read_photo(struct text_reader *reader, const char *path, const struct job *job,
                       struct err *err) {
    struct image image;
    struct text_page page;
    for (int i = 0; i < job->repeat; i++) {
        if (!image_load(&image, path, job->side, NULL, err))
            return false;
        bool good = text_reader_read(reader, &image, &page, err);
        image_fini(&image);
        if (!good)
            return false;
        print_page(path, &page, job->chars);
        text_page_fini(&page);
    }
    return true;
}

static bool read_from_stdin(struct text_reader *reader, const struct job *job, struct err *err) {
    char path[4096];
    puts("{}");
    fflush(stdout);
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = '\0';
        if (!read_photo(reader, path, job, err))
            return false;
        fflush(stdout);
    }
    return true;
}

static struct text_reader *open_reader(struct onnx *onnx, const struct job *job, struct err *err) {
    char *detect = path_cache(job->fast ? "ocr/fast-det.onnx" : "ocr/det.onnx");
    char *recognize = path_cache(job->fast ? "ocr/fast-rec.onnx" : "ocr/rec.onnx");
    char *orient = path_cache("ocr/cls.onnx");
    char *dictionary = job->fast ? path_cache("ocr/fast-rec.txt") : NULL;
    struct text_reader_options options = text_reader_defaults;
    options.detect = detect;
    options.orient = orient;
    options.recognize = recognize;
    options.dictionary = dictionary;
    options.threads = job->threads;
    options.faint = job->faint;
    options.follow_page = job->follow;
    options.line_confidence = (float)job->confidence / 100;
    struct text_reader *reader = text_reader_create(onnx, &options, err);
    mem_free(detect);
    mem_free(orient);
    mem_free(recognize);
    mem_free(dictionary);
    return reader;
}

int main(int argc, char **argv) {
    struct job job = {.threads = 2, .repeat = 1};
    struct err err = {0};
    int first = 1;
    for (; first + 1 < argc && !strncmp(argv[first], "--", 2); first += 2) {
        int value = (int)strtol(argv[first + 1], NULL, 10);
        if (!strcmp(argv[first], "--threads"))
            job.threads = (unsigned)value;
        else if (!strcmp(argv[first], "--side"))
            job.side = value;
        else if (!strcmp(argv[first], "--repeat"))
            job.repeat = value;
        else if (!strcmp(argv[first], "--confidence"))
            job.confidence = value;
        else if (!strcmp(argv[first], "--chars"))
            job.chars = value;
        else if (!strcmp(argv[first], "--faint"))
            job.faint = value;
        else if (!strcmp(argv[first], "--follow"))
            job.follow = value;
        else if (!strcmp(argv[first], "--memory"))
            job.memory = value;
        else if (!strcmp(argv[first], "--fast"))
            job.fast = value;
    }
    struct onnx *onnx = NULL;
    struct text_reader *reader = NULL;
    int status = 1;
    if (!image_system_init(1, &err) || !(onnx = onnx_open(NULL, &err)) ||
        !(reader = open_reader(onnx, &job, &err))) {
        fprintf(stderr, "read_text: %s\n", err.text);
    } else {
        status = 0;
        for (int i = first; i < argc; i++)
            if (!(strcmp(argv[i], "-") ? read_photo(reader, argv[i], &job, &err)
                                       : read_from_stdin(reader, &job, &err))) {
                fprintf(stderr, "read_text: %s\n", err.text);
                status = 1;
            }
    }
    if (onnx && job.memory) {
        struct onnx_use use = onnx_use(onnx);
        fprintf(stderr, "tensors: %zu MiB at most, %zu MiB resident, %zu MiB now\n",
                use.most_bytes >> 20, use.warm_bytes >> 20, use.now_bytes >> 20);
    }
    text_reader_destroy(reader);
    onnx_close(onnx);
    image_system_fini();
    return status;
}
