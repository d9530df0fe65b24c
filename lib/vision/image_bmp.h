// Windows bitmaps, which libvips leaves to ImageMagick; that is more code than we trust a
// stranger's file with. Read: 8 (palette), 24 and 32 bits, uncompressed, top-down and bottom-up.
#pragma once

#include "vision/image.h"

struct bmp {
    int width, height, bits;
    bool top_down;
    size_t colours, palette, pixels, row; // entries; offsets in the file; bytes of a row
};

bool bmp_is(const uint8_t *bytes, size_t length);
// Everything is checked against the length here, so that bmp_decode cannot fail.
bool bmp_read_header(struct bmp *out, const uint8_t *bytes, size_t length, const char *name,
                     struct err *err);
void bmp_decode(struct image *out, const struct bmp *bmp, const uint8_t *bytes);
