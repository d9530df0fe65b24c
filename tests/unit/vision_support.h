// For tests of lib/vision that need what tools/get-ocr fetches: without it they are skipped and say
// so, because a fresh machine has the sources only; where everything is to be run (make test), the
// lack is a failure.
#pragma once

#include "base/mem.h"
#include "base/path.h"
#include "vision/image.h"
#include "vision/onnx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static inline void lack(const char *what) {
    const char *required = getenv("ANCALAGON_REQUIRE_REAL");
    if (required && *required)
        fail_msg("%s", what);
    print_message("NOTHING IS TESTED: %s\n", what);
    skip();
}

static inline struct onnx *open_onnx_or_skip(void) {
    struct err err = {0};
    struct onnx *onnx = onnx_open(NULL, &err);
    if (!onnx)
        lack(err.text);
    return onnx;
}

// A file of the fetched models; the caller frees.
static inline char *fetched_or_skip(const char *name) {
    char *path = path_cache(name);
    if (access(path, R_OK) != 0) {
        static char text[4096];
        snprintf(text, sizeof text, "no %s; tools/get-ocr fetches it", path);
        mem_free(path);
        lack(text);
    }
    return path;
}

static inline void set_pixel(struct image *image, int x, int y, uint32_t rgb) {
    uint8_t *p = image->pixels + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    p[0] = (uint8_t)(rgb >> 16);
    p[1] = (uint8_t)(rgb >> 8);
    p[2] = (uint8_t)rgb;
}

static inline uint32_t pixel_of(const struct image *image, int x, int y) {
    const uint8_t *p = image->pixels + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

// Noise that is the same everywhere: what golden sums were taken of.
static inline void fill_noise(struct image *image) {
    uint32_t state = 1;
    for (size_t i = 0; i < (size_t)image->width * (size_t)image->height * 3; i++) {
        state = state * 1664525 + 1013904223;
        image->pixels[i] = (uint8_t)(state >> 24);
    }
}
