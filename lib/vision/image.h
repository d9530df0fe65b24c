// Pictures in memory: height x width x 3, RGB, 8 bits, rows without padding, upright (EXIF applied
// once), sRGB, no alpha (laid on white). Decoding is libvips' work; what the networks need of a
// picture is ours (warp.h). No function here touches a loop; any thread may call them.
//
// Colour profiles of RGB pictures are not applied: plates are read the same with and without, and
// what the networks are compared with ignores them. CMYK needs its profile and gets it.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct image {
    int width, height; // pixels; 0 when empty
    uint8_t *pixels;   // height x width x 3
};

struct image_limits {
    size_t file_bytes; // of the encoded file
    uint64_t pixels;   // width x height as the header says it; checked before anything is decoded
    int side;          // the longer side
};
extern const struct image_limits image_default_limits; // 64 MiB, 120 Mpixel, 30,000

// Call once per process before the others; threads of one decode (0: 1). False only when libvips
// is broken.
bool image_system_init(unsigned threads, struct err *err);
void image_system_fini(void);

// JPEG, PNG, WebP, HEIC/AVIF, TIFF, GIF (first frame of each), BMP; told by their first bytes,
// never by name. `name` is for errors. longest_side 0: as it is; else never decoded much larger
// than that (shrink on load), then scaled to it exactly when the picture is larger; never enlarged.
// ERR_INVALID: not a picture, cut short, of a kind not read (the text says which); ERR_LIMIT:
// larger than the limits, which NULL leaves at their defaults, or a JPEG of very many scans
// (jpeg_scans.h).
bool image_decode(struct image *out, const void *bytes, size_t length, const char *name,
                  int longest_side, const struct image_limits *limits, struct err *err);
bool image_load(struct image *out, const char *path, int longest_side,
                const struct image_limits *limits, struct err *err);
// The size as it will be upright, from the header alone. No limits: it is for those who set them.
bool image_measure(const void *bytes, size_t length, const char *name, int *width, int *height,
                   struct err *err);

void image_init(struct image *image, int width, int height); // black
void image_fini(struct image *image);                        // empty is fine

// JPEG of this quality (1..100), appended.
bool image_encode_jpeg(const struct image *image, int quality, struct buf *out, struct err *err);
