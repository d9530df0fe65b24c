// Layout: BITMAPFILEHEADER (14 bytes) and BITMAPINFOHEADER (40 or more), Microsoft, "Bitmap
// Storage".
#include "vision/image_bmp.h"

#include <string.h>

enum { FILE_HEADER = 14, INFO_HEADER = 40, UNCOMPRESSED = 0, BIT_FIELDS = 3 };

static uint32_t u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

bool bmp_is(const uint8_t *bytes, size_t length) {
    return length >= FILE_HEADER + 4 && bytes[0] == 'B' && bytes[1] == 'M' &&
           u32(bytes + FILE_HEADER) >= 12 && u32(bytes + FILE_HEADER) <= 256;
}

// Blue, green and red in that order, which all programs write.
static bool usual_masks(const uint8_t *bytes, size_t length, size_t info) {
    const uint8_t *masks = bytes + FILE_HEADER + INFO_HEADER;
    size_t end = FILE_HEADER + (info > INFO_HEADER ? info : INFO_HEADER + 12);
    return length >= end && end >= FILE_HEADER + INFO_HEADER + 12 && u32(masks) == 0xff0000 &&
           u32(masks + 4) == 0xff00 && u32(masks + 8) == 0xff;
}

bool bmp_read_header(struct bmp *out, const uint8_t *bytes, size_t length, const char *name,
                     struct err *err) {
    if (length < FILE_HEADER + INFO_HEADER || u32(bytes + FILE_HEADER) < INFO_HEADER)
        return err_set(err, ERR_INVALID, "%s: a BMP of before Windows 3, or cut short", name);
    const uint8_t *info = bytes + FILE_HEADER;
    size_t info_bytes = u32(info);
    int32_t width = (int32_t)u32(info + 4), height = (int32_t)u32(info + 8);
    uint32_t compression = u32(info + 16), colours = u32(info + 32);
    int bits = info[14] | info[15] << 8;
    if (width <= 0 || height == 0 || height == INT32_MIN)
        return err_set(err, ERR_INVALID, "%s: a BMP of %d x %d", name, width, height);
    bool masks = compression == BIT_FIELDS && bits == 32 && usual_masks(bytes, length, info_bytes);
    if ((compression != UNCOMPRESSED && !masks) || (bits != 8 && bits != 24 && bits != 32))
        return err_set(err, ERR_INVALID,
                       "%s: a BMP of %d bits, compression %u; 8, 24 and 32 bits without are read",
                       name, bits, compression);
    *out = (struct bmp){.width = width,
                        .height = height < 0 ? -height : height,
                        .bits = bits,
                        .top_down = height < 0,
                        .palette = FILE_HEADER + info_bytes,
                        .pixels = u32(bytes + 10)};
    if (bits == 8) {
        out->colours = colours ? colours : 256;
        if (out->colours > 256 || out->palette + out->colours * 4 > length)
            return err_set(err, ERR_INVALID, "%s: a BMP without its whole palette", name);
    }
    out->row = ((size_t)width * (size_t)bits + 31) / 32 * 4;
    if (out->pixels > length || (length - out->pixels) / out->row < (size_t)out->height)
        return err_set(err, ERR_INVALID, "%s: the picture is cut short", name);
    return true;
}

void bmp_decode(struct image *out, const struct bmp *bmp, const uint8_t *bytes) {
    image_init(out, bmp->width, bmp->height);
    uint8_t palette[256][4] = {0};
    if (bmp->bits == 8)
        memcpy(palette, bytes + bmp->palette, bmp->colours * 4);
    size_t step = (size_t)bmp->bits / 8;
    uint8_t *to = out->pixels;
    for (int y = 0; y < bmp->height; y++) {
        int row = bmp->top_down ? y : bmp->height - 1 - y;
        const uint8_t *from = bytes + bmp->pixels + (size_t)row * bmp->row;
        for (int x = 0; x < bmp->width; x++, from += step, to += 3) {
            const uint8_t *bgr = bmp->bits == 8 ? palette[*from] : from;
            to[0] = bgr[2];
            to[1] = bgr[1];
            to[2] = bgr[0];
        }
    }
}
