// Pictures of every kind that is read, made with libvips here, and the hostile ones: cut short,
// larger than they say, of another kind than they say, turned eight ways.
#include "vision_support.h"

#include "base/buf.h"
#include "vision/jpeg_scans.h"

#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

enum { WIDTH = 48, HEIGHT = 32 };

static const uint32_t corners[4] = {0xe01010, 0x10c010, 0x1010e0, 0xe0e010}; // TL TR BR BL

static int start(void **state) {
    struct err err;
    return image_system_init(2, &err) ? 0 : -1;
}

static int stop(void **state) {
    image_system_fini();
    return 0;
}

// Four coloured quarters.
static void quarters(struct image *out) {
    image_init(out, WIDTH, HEIGHT);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            set_pixel(out, x, y,
                      corners[y < HEIGHT / 2 ? (x < WIDTH / 2 ? 0 : 1) : (x < WIDTH / 2 ? 3 : 2)]);
}

struct file {
    void *bytes;
    size_t length;
};

static VipsImage *source(void) {
    struct image image;
    quarters(&image);
    VipsImage *view = vips_image_new_from_memory_copy(image.pixels, (size_t)WIDTH * HEIGHT * 3,
                                                      WIDTH, HEIGHT, 3, VIPS_FORMAT_UCHAR);
    VipsImage *out = NULL;
    assert_int_equal(vips_copy(view, &out, "interpretation", VIPS_INTERPRETATION_sRGB, NULL), 0);
    g_object_unref(view);
    image_fini(&image);
    return out;
}

// suffix with options, as libvips takes them: ".jpg[Q=95]".
static struct file encode(VipsImage *image, const char *suffix) {
    struct file file = {0};
    if (vips_image_write_to_buffer(image, suffix, &file.bytes, &file.length, NULL) != 0)
        print_message("cannot write %s: %s\n", suffix, vips_error_buffer());
    vips_error_clear();
    return file;
}

static struct file encoded(const char *suffix) {
    VipsImage *image = source();
    struct file file = encode(image, suffix);
    g_object_unref(image);
    return file;
}

static int apart(uint32_t a, uint32_t b) {
    int most = 0;
    for (int shift = 0; shift < 24; shift += 8)
        most = MAX(most, abs((int)(a >> shift & 0xff) - (int)(b >> shift & 0xff)));
    return most;
}

// The middle of every quarter has its colour; `first` is the corner that is now at the top left.
static void assert_quarters(const struct image *image, const uint32_t wanted[4], int most,
                            const char *what) {
    int w = image->width, h = image->height;
    const int at[4][2] = {
        {w / 4, h / 4}, {w * 3 / 4, h / 4}, {w * 3 / 4, h * 3 / 4}, {w / 4, h * 3 / 4}};
    for (int i = 0; i < 4; i++)
        if (apart(pixel_of(image, at[i][0], at[i][1]), wanted[i]) > most)
            fail_msg("%s: corner %d is %06x, not %06x", what, i,
                     pixel_of(image, at[i][0], at[i][1]), wanted[i]);
}

static bool decode(struct image *out, struct file file, struct err *err) {
    return image_decode(out, file.bytes, file.length, "a picture", 0, NULL, err);
}

static const char *const kinds[] = {
    ".jpg[Q=98,subsample_mode=off]", ".png",        ".webp[lossless]", ".tif", ".gif",
    ".tif[compression=lzw,tile]",    ".heic[Q=90]", ".avif[Q=90]"};

static void test_kinds(void **state) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct file file = encoded(kinds[i]);
        struct image image;
        struct err err = {0};
        int width, height;
        if (!file.bytes)
            continue; // this build of libvips cannot write it; encode() said so
        if (!decode(&image, file, &err))
            fail_msg("%s: %s", kinds[i], err.text);
        assert_int_equal(image.width, WIDTH);
        assert_int_equal(image.height, HEIGHT);
        assert_quarters(&image, corners, 24, kinds[i]);
        assert_true(image_measure(file.bytes, file.length, "it", &width, &height, &err));
        assert_int_equal(width, WIDTH);
        assert_int_equal(height, HEIGHT);
        image_fini(&image);
        g_free(file.bytes);
    }
}

// What a camera notes on how it was held is applied, once.
static void test_orientation(void **state) {
    static const int first[9][4] = {{0},          {0, 1, 2, 3}, {1, 0, 3, 2},
                                    {2, 3, 0, 1}, {3, 2, 1, 0}, {0, 3, 2, 1},
                                    {3, 0, 1, 2}, {2, 1, 0, 3}, {1, 2, 3, 0}};
    static const char *const with[] = {".jpg[Q=98,subsample_mode=off]", ".tif", ".webp[lossless]"};
    for (size_t k = 0; k < sizeof with / sizeof *with; k++)
        for (int orientation = 1; orientation <= 8; orientation++) {
            VipsImage *image = source();
            vips_image_set_int(image, VIPS_META_ORIENTATION, orientation);
            struct file file = encode(image, with[k]);
            g_object_unref(image);
            uint32_t wanted[4];
            for (int i = 0; i < 4; i++)
                wanted[i] = corners[first[orientation][i]];
            struct image out;
            struct err err = {0};
            int width, height;
            char what[64];
            snprintf(what, sizeof what, "%s, orientation %d", with[k], orientation);
            if (!decode(&out, file, &err))
                fail_msg("%s: %s", what, err.text);
            assert_int_equal(out.width, orientation < 5 ? WIDTH : HEIGHT);
            assert_int_equal(out.height, orientation < 5 ? HEIGHT : WIDTH);
            assert_quarters(&out, wanted, 24, what);
            assert_true(image_measure(file.bytes, file.length, "it", &width, &height, &err));
            assert_int_equal(width, out.width);
            assert_int_equal(height, out.height);
            image_fini(&out);
            g_free(file.bytes);
        }
}

static void assert_decodes_to(VipsImage *image, const char *suffix, const uint32_t wanted[4],
                              int most) {
    struct file file = encode(image, suffix);
    struct image out;
    struct err err = {0};
    assert_non_null(file.bytes);
    if (!decode(&out, file, &err))
        fail_msg("%s: %s", suffix, err.text);
    assert_quarters(&out, wanted, most, suffix);
    image_fini(&out);
    g_free(file.bytes);
}

static void test_depths(void **state) {
    VipsImage *image = source(), *deep = NULL, *grey = NULL, *print = NULL, *real = NULL;
    assert_int_equal(vips_colourspace(image, &deep, VIPS_INTERPRETATION_RGB16, NULL), 0);
    assert_decodes_to(deep, ".png", corners, 1);
    assert_decodes_to(deep, ".tif", corners, 1);
    assert_int_equal(vips_colourspace(image, &real, VIPS_INTERPRETATION_scRGB, NULL), 0);
    assert_decodes_to(real, ".tif", corners, 2);
    assert_int_equal(vips_colourspace(image, &grey, VIPS_INTERPRETATION_B_W, NULL), 0);
    struct file file = encode(grey, ".png");
    struct image out;
    assert_true(decode(&out, file, NULL));
    uint32_t dark = pixel_of(&out, WIDTH * 3 / 4, HEIGHT * 3 / 4),
             light = pixel_of(&out, 2, HEIGHT - 3);
    assert_int_equal(dark >> 16, dark & 0xff);
    assert_true((dark & 0xff) + 50 < (light & 0xff)); // blue is darker than yellow
    image_fini(&out);
    g_free(file.bytes);
    // Printers' inks come back as about the same colours.
    if (vips_colourspace(image, &print, VIPS_INTERPRETATION_CMYK, NULL) == 0) {
        assert_decodes_to(print, ".jpg[Q=95]", corners, 110);
        assert_decodes_to(print, ".tif", corners, 110);
        g_object_unref(print);
    } else
        print_message("this libvips knows no CMYK\n");
    g_object_unref(real);
    g_object_unref(grey);
    g_object_unref(deep);
    g_object_unref(image);
}

// What is transparent is paper.
static void test_alpha(void **state) {
    VipsImage *image = source(), *clear = NULL, *opaque = NULL;
    assert_int_equal(vips_bandjoin_const1(image, &clear, 0, NULL), 0);
    assert_int_equal(vips_bandjoin_const1(image, &opaque, 255, NULL), 0);
    assert_decodes_to(clear, ".png", (const uint32_t[]){0xffffff, 0xffffff, 0xffffff, 0xffffff}, 0);
    assert_decodes_to(opaque, ".png", corners, 0);
    assert_decodes_to(opaque, ".webp[lossless]", corners, 1);
    g_object_unref(clear);
    g_object_unref(opaque);
    g_object_unref(image);
}

static void put_u32_le(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

// A bitmap of 24 or 32 bits, or of 8 with a palette; rows from the bottom unless height < 0.
static struct file bitmap(int bits, int height) {
    struct image image;
    quarters(&image);
    size_t palette = bits == 8 ? 256 * 4 : 0, step = (size_t)bits / 8,
           row = (WIDTH * step + 3) / 4 * 4;
    struct file file = {g_malloc0(54 + palette + row * HEIGHT), 54 + palette + row * HEIGHT};
    uint8_t *bytes = file.bytes;
    memcpy(bytes, "BM", 2);
    put_u32_le(bytes + 10, (uint32_t)(54 + palette));
    put_u32_le(bytes + 14, 40);
    put_u32_le(bytes + 18, WIDTH);
    put_u32_le(bytes + 22, (uint32_t)height);
    bytes[26] = 1;
    bytes[28] = (uint8_t)bits;
    for (uint32_t i = 0; i < 4 && bits == 8; i++)
        put_u32_le(bytes + 54 + i * 4, corners[i]);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            uint32_t rgb = pixel_of(&image, x, y);
            uint8_t *at = bytes + 54 + palette + (size_t)(height < 0 ? y : HEIGHT - 1 - y) * row +
                          (size_t)x * step;
            if (bits == 8)
                for (uint32_t i = 0; i < 4; i++)
                    at[0] = corners[i] == rgb ? (uint8_t)i : at[0];
            else {
                at[0] = (uint8_t)rgb;
                at[1] = (uint8_t)(rgb >> 8);
                at[2] = (uint8_t)(rgb >> 16);
            }
        }
    image_fini(&image);
    return file;
}

static void test_bitmaps(void **state) {
    for (int bits = 8; bits <= 32; bits += bits == 8 ? 16 : 8)
        for (int turn = 0; turn < 2; turn++) {
            struct file file = bitmap(bits, turn ? -HEIGHT : HEIGHT);
            struct image image;
            struct err err = {0};
            int width, height;
            if (!decode(&image, file, &err))
                fail_msg("%d bits: %s", bits, err.text);
            assert_quarters(&image, corners, 0, "a bitmap");
            assert_true(image_measure(file.bytes, file.length, "it", &width, &height, &err));
            assert_int_equal(height, HEIGHT);
            image_fini(&image);
            // Every byte short is too short, and no header may be believed.
            for (size_t length = 0; length < file.length; length += length < 60 ? 1 : 97)
                assert_false(image_decode(&image, file.bytes, length, "it", 0, NULL, NULL));
            for (size_t at = 2; at < 54; at++)
                for (int value = 0; value < 256; value += 51) {
                    uint8_t was = ((uint8_t *)file.bytes)[at];
                    ((uint8_t *)file.bytes)[at] = (uint8_t)value;
                    if (decode(&image, file, NULL))
                        image_fini(&image);
                    ((uint8_t *)file.bytes)[at] = was;
                }
            g_free(file.bytes);
        }
}

// Cut anywhere: an error that says so, never a picture with a grey half.
static void test_cut(void **state) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct file file = encoded(kinds[i]);
        if (!file.bytes)
            continue;
        for (int tenths = 0; tenths < 10; tenths++) {
            struct image image;
            struct err err = {0};
            size_t length = file.length * (size_t)tenths / 10;
            if (image_decode(&image, file.bytes, length, "half a picture", 0, NULL, &err))
                fail_msg("%s: %zu of %zu bytes gave a picture", kinds[i], length, file.length);
            assert_int_equal(err.code, ERR_INVALID);
            assert_non_null(strstr(err.text, "half a picture"));
            assert_null(image.pixels);
        }
        g_free(file.bytes);
    }
}

// Bytes that were changed on the way: a picture or an error, no crash. The seed is fixed.
static void test_damaged(void **state) {
    uint32_t random = 3;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct file file = encoded(kinds[i]);
        if (!file.bytes)
            continue;
        uint8_t *copy = g_malloc(file.length);
        for (int round = 0; round < 60; round++) {
            memcpy(copy, file.bytes, file.length);
            for (int k = 0; k < 4; k++) {
                random = random * 1664525 + 1013904223;
                copy[(random >> 4) % file.length] ^= (uint8_t)(1 + (random >> 24) % 255);
            }
            struct image image;
            struct err err = {0};
            if (image_decode(&image, copy, file.length, "it", 0, NULL, &err)) {
                assert_true(image.width > 0 && image.height > 0);
                image_fini(&image);
            } else
                assert_true(err.code == ERR_INVALID || err.code == ERR_LIMIT);
        }
        g_free(copy);
        g_free(file.bytes);
    }
}

static uint32_t crc32_of(const uint8_t *bytes, size_t length) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void put_be(uint8_t *at, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

// A small file that says it is enormous is refused by its header.
static void test_bombs(void **state) {
    struct file png = encoded(".png"), jpeg = encoded(".jpg"), gif = encoded(".gif");
    struct file bmp = bitmap(24, HEIGHT);
    uint8_t *p = png.bytes, *j = jpeg.bytes, *g = gif.bytes;
    put_be(p + 16, 60000, 4);
    put_be(p + 20, 60000, 4);
    put_be(p + 29, crc32_of(p + 12, 17), 4);
    for (size_t at = 2; at + 9 < jpeg.length; at += 2 + ((size_t)j[at + 2] << 8 | j[at + 3]))
        if (j[at + 1] == 0xc0 || j[at + 1] == 0xc2) { // start of frame: height, width
            put_be(j + at + 5, 65000, 2);
            put_be(j + at + 7, 65000, 2);
            break;
        }
    memcpy(g + 6, "\xff\xff\xff\xff", 4);
    for (size_t at = 13 + (g[10] & 0x80 ? (size_t)6 << (g[10] & 7) : 0); at + 9 < gif.length;) {
        if (g[at] == 0x2c) { // an image: left, top, width, height
            memcpy(g + at + 5, "\xff\xff\xff\xff", 4);
            break;
        }
        for (at += 2; g[at]; at += 1u + g[at]) // an extension, in blocks
            ;
        at++;
    }
    const struct file files[] = {png, jpeg, gif};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct image image;
        struct err err = {0};
        if (image_decode(&image, files[i].bytes, files[i].length, "bomb", 0, NULL, &err))
            fail_msg("bomb %zu was read: %d x %d", i, image.width, image.height);
        // The loader may have a bound of its own, below ours.
        assert_true(err.code == ERR_LIMIT || err.code == ERR_INVALID);
        if (i == 0)
            assert_int_equal(err.code, ERR_LIMIT);
        assert_null(image.pixels);
    }
    struct err err = {0};
    struct image image;
    const struct image_limits few = {
        .file_bytes = 1 << 20, .pixels = WIDTH * HEIGHT - 1, .side = 100};
    const struct image_limits narrow = {
        .file_bytes = 1 << 20, .pixels = 1 << 20, .side = WIDTH - 1};
    const struct image_limits small = {.file_bytes = 100, .pixels = 1 << 20, .side = 100};
    const struct image_limits *limits[] = {&few, &narrow, &small};
    for (size_t i = 0; i < 3; i++) {
        assert_false(image_decode(&image, bmp.bytes, bmp.length, "it", 0, limits[i], &err));
        assert_int_equal(err.code, ERR_LIMIT);
        struct file good = encoded(".png");
        assert_false(image_decode(&image, good.bytes, good.length, "it", 0, limits[i], &err));
        assert_int_equal(err.code, ERR_LIMIT);
        g_free(good.bytes);
    }
    g_free(png.bytes);
    g_free(jpeg.bytes);
    g_free(gif.bytes);
    g_free(bmp.bytes);
}

// A picture that the decoder would go over again and again; nobody needs to ask for the check.
static void test_scans(void **state) {
    struct file jpeg = encoded(".jpg");
    struct image image;
    struct err err = {0};
    struct buf file;
    buf_init(&file, 1 << 20);
    buf_add(&file, jpeg.bytes, 2);
    for (int i = 0; i <= JPEG_SCANS_MAX; i++)
        buf_add(&file, "\xff\xda\0\x03\0", 5);
    buf_add(&file, (char *)jpeg.bytes + 2, jpeg.length - 2);
    assert_false(image_decode(&image, buf_bytes(&file), file.length, "it", 0, NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    buf_fini(&file);
    g_free(jpeg.bytes);
}

static void test_no_pictures(void **state) {
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {"", 0},
        {"\xff\xd8\xff", 3},
        {"hello, I am a text", 18},
        {"%PDF-1.7\n1 0 obj", 16},
        {"<svg xmlns='http://www.w3.org/2000/svg'/>", 41},
        {"\x89PNG\r\n\x1a\n", 8},
        {"\0\0\0\x18"
         "ftypisom\0\0\0\0isommp42",
         24}, // a film
        {"RIFF\x10\0\0\0WAVEfmt ", 16},
        {"GIF89a", 6},
        {"II*\0\x08\0\0\0", 8},
        {"BM", 2},
        {"P6 1 1 255\n123", 14},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct image image;
        struct err err = {0};
        int width, height;
        assert_false(image_decode(&image, rows[i].bytes, rows[i].length, "it", 0, NULL, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_false(image_measure(rows[i].bytes, rows[i].length, "it", &width, &height, &err));
    }
}

// Shrinking on load and the exact size after it.
static void test_longest_side(void **state) {
    VipsImage *small = source(), *large = NULL;
    assert_int_equal(vips_resize(small, &large, 20, "kernel", VIPS_KERNEL_NEAREST, NULL), 0);
    const char *const with[] = {".jpg[Q=98]", ".png", ".webp[lossless]", ".tif"};
    const struct {
        int wanted, width, height;
    } rows[] = {{0, 960, 640},   {960, 960, 640}, {2000, 960, 640}, {480, 480, 320},
                {500, 500, 333}, {100, 100, 67},  {3, 3, 2},        {1, 1, 1}};
    for (size_t k = 0; k < sizeof with / sizeof *with; k++) {
        struct file file = encode(large, with[k]);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            struct image image;
            struct err err = {0};
            if (!image_decode(&image, file.bytes, file.length, "it", rows[i].wanted, NULL, &err))
                fail_msg("%s to %d: %s", with[k], rows[i].wanted, err.text);
            assert_int_equal(image.width, rows[i].width);
            assert_int_equal(image.height, rows[i].height);
            if (rows[i].wanted != 3 && rows[i].wanted != 1)
                assert_quarters(&image, corners, 24, with[k]);
            image_fini(&image);
        }
        g_free(file.bytes);
    }
    g_object_unref(large);
    g_object_unref(small);
}

static void test_files(void **state) {
    struct image image, back;
    struct err err = {0};
    struct buf jpeg;
    char path[] = "/tmp/vision-image-XXXXXX";
    quarters(&image);
    buf_init(&jpeg, 1 << 20);
    assert_true(image_encode_jpeg(&image, 95, &jpeg, &err));
    int fd = mkstemp(path);
    assert_int_equal(write(fd, buf_bytes(&jpeg), jpeg.length), (ssize_t)jpeg.length);
    close(fd);
    assert_true(image_load(&back, path, 0, NULL, &err));
    assert_quarters(&back, corners, 24, "written and read");
    image_fini(&back);
    const struct image_limits small = {.file_bytes = 100, .pixels = 1 << 20, .side = 100};
    assert_false(image_load(&back, path, 0, &small, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    unlink(path);
    assert_false(image_load(&back, path, 0, NULL, &err));
    assert_non_null(strstr(err.text, path));
    struct buf full;
    buf_init(&full, 10);
    assert_false(image_encode_jpeg(&image, 95, &full, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(full.length, 0);
    buf_fini(&jpeg);
    image_fini(&image);
    image_fini(&image); // empty is fine
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),       cmocka_unit_test(test_orientation),
        cmocka_unit_test(test_depths),      cmocka_unit_test(test_alpha),
        cmocka_unit_test(test_bitmaps),     cmocka_unit_test(test_cut),
        cmocka_unit_test(test_damaged),     cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_no_pictures), cmocka_unit_test(test_longest_side),
        cmocka_unit_test(test_scans),       cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
