#include "vision/image.h"

#include "base/mem.h"
#include "base/path.h"
#include "vision/image_bmp.h"
#include "vision/jpeg_scans.h"
#include "vision/warp.h"

#include <math.h>
#include <string.h>
#include <vips/vips.h>

const struct image_limits image_default_limits = {
    .file_bytes = (size_t)64 << 20, .pixels = 120000000, .side = 30000};

enum kind { KIND_NONE, KIND_JPEG, KIND_PNG, KIND_WEBP, KIND_HEIC, KIND_TIFF, KIND_GIF, KIND_BMP };

// libvips' loaders say on stderr what they think of a file; errors tell us.
static void be_quiet(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer data) {}

bool image_system_init(unsigned threads, struct err *err) {
    if (vips_init("ancalagon") != 0)
        return err_set(err, ERR_SYSTEM, "libvips does not start: %s", vips_error_buffer());
    g_log_set_handler("VIPS", G_LOG_LEVEL_MASK, be_quiet, NULL);
    vips_concurrency_set(threads ? (int)threads : 1);
    vips_cache_set_max(0); // nothing is asked twice
    vips_block_untrusted_set(TRUE);
    return true;
}

void image_system_fini(void) { vips_shutdown(); }

void image_init(struct image *image, int width, int height) {
    *image = (struct image){width, height, mem_alloc((size_t)width * (size_t)height * 3)};
}

void image_fini(struct image *image) {
    mem_free(image->pixels);
    *image = (struct image){0};
}

static bool begins(const uint8_t *bytes, size_t length, const char *magic, size_t count) {
    return length >= count && !memcmp(bytes, magic, count);
}

// The brands of ISO 23008-12 (HEIF) and AVIF; others in the same box are films.
static bool is_heif(const uint8_t *bytes, size_t length) {
    static const char *const brands[] = {"heic", "heix", "heim", "heis", "hevc", "hevx",
                                         "mif1", "msf1", "avif", "avis", "mif2"};
    if (length < 12 || memcmp(bytes + 4, "ftyp", 4) != 0)
        return false;
    for (size_t i = 0; i < sizeof brands / sizeof *brands; i++)
        if (!memcmp(bytes + 8, brands[i], 4))
            return true;
    return false;
}

static enum kind kind_of(const uint8_t *bytes, size_t length) {
    if (begins(bytes, length, "\xff\xd8\xff", 3))
        return KIND_JPEG;
    if (begins(bytes, length, "\x89PNG\r\n\x1a\n", 8))
        return KIND_PNG;
    if (begins(bytes, length, "RIFF", 4) && length >= 12 && !memcmp(bytes + 8, "WEBP", 4))
        return KIND_WEBP;
    if (begins(bytes, length, "GIF8", 4))
        return KIND_GIF;
    if (begins(bytes, length, "II*\0", 4) || begins(bytes, length, "MM\0*", 4) ||
        begins(bytes, length, "II+\0", 4) || begins(bytes, length, "MM\0+", 4))
        return KIND_TIFF;
    if (is_heif(bytes, length))
        return KIND_HEIC;
    return bmp_is(bytes, length) ? KIND_BMP : KIND_NONE;
}

// Takes what libvips has to say; of its lines the first tells most.
static bool vips_failed(struct err *err, const char *name) {
    char *text = vips_error_buffer_copy();
    text[strcspn(text, "\n")] = '\0';
    err_set(err, ERR_INVALID, "%s: the picture is cut short, damaged or of a kind not read (%s)",
            name, *text ? text : "no reason given");
    g_free(text);
    return false;
}

// Opens the file with the one loader of its kind. Pixels are decoded later, as they are asked for.
// `shrink` is for JPEG alone: 1, 2, 4 or 8, done by the decoder at no cost.
static VipsImage *open_kind(enum kind kind, const void *bytes, size_t length, int shrink) {
    VipsImage *image = NULL;
    void *data = (void *)bytes; // libvips reads only
    int bad = -1;
    switch (kind) {
    case KIND_JPEG:
        bad = vips_jpegload_buffer(data, length, &image, "access", VIPS_ACCESS_SEQUENTIAL,
                                   "fail_on", VIPS_FAIL_ON_TRUNCATED, "shrink", shrink, NULL);
        break;
    case KIND_PNG:
        bad = vips_pngload_buffer(data, length, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                  VIPS_FAIL_ON_TRUNCATED, NULL);
        break;
    case KIND_WEBP:
        bad = vips_webpload_buffer(data, length, &image, "access", VIPS_ACCESS_SEQUENTIAL,
                                   "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL);
        break;
    case KIND_HEIC:
        bad = vips_heifload_buffer(data, length, &image, "access", VIPS_ACCESS_SEQUENTIAL,
                                   "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL);
        break;
    case KIND_TIFF:
        bad = vips_tiffload_buffer(data, length, &image, "access", VIPS_ACCESS_SEQUENTIAL,
                                   "fail_on", VIPS_FAIL_ON_TRUNCATED, NULL);
        break;
    case KIND_GIF:
        bad = vips_gifload_buffer(data, length, &image, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on",
                                  VIPS_FAIL_ON_TRUNCATED, NULL);
        break;
    case KIND_BMP:
    case KIND_NONE: break;
    }
    return bad ? NULL : image;
}

static bool unknown_kind(struct err *err, const char *name, size_t length) {
    if (!length)
        return err_set(err, ERR_INVALID, "%s is empty", name);
    return err_set(err, ERR_INVALID,
                   "%s is not a picture that is read here (JPEG, PNG, WebP, HEIC, TIFF, GIF, BMP)",
                   name);
}

static bool within(const struct image_limits *limits, int width, int height, const char *name,
                   struct err *err) {
    int side = width > height ? width : height;
    if (side <= limits->side && (uint64_t)width * (uint64_t)height <= limits->pixels)
        return true;
    return err_set(err, ERR_LIMIT,
                   "%s has %d x %d pixels; at most %llu million and %d a side are decoded", name,
                   width, height, (unsigned long long)(limits->pixels / 1000000), limits->side);
}

// One step of a pipeline: takes `image`, gives the next one, NULL when either failed.
static VipsImage *next_step(VipsImage *image, VipsImage *made, int bad) {
    g_object_unref(image);
    return bad ? NULL : made;
}

// To 8-bit sRGB of three bands, whatever it was; alpha is laid on white.
static VipsImage *to_rgb(VipsImage *image) {
    VipsImage *out = NULL;
    VipsInterpretation space = vips_image_guess_interpretation(image);
    if (space != VIPS_INTERPRETATION_sRGB || image->BandFmt != VIPS_FORMAT_UCHAR) {
        int bad =
            vips_colourspace(image, &out, VIPS_INTERPRETATION_sRGB, "source_space", space, NULL);
        image = next_step(image, out, bad);
    }
    if (image && vips_image_hasalpha(image)) {
        VipsArrayDouble *white = vips_array_double_newv(3, 255.0, 255.0, 255.0);
        int bad = vips_flatten(image, &out, "background", white, NULL);
        vips_area_unref(VIPS_AREA(white));
        image = next_step(image, out, bad);
    }
    if (image && image->BandFmt != VIPS_FORMAT_UCHAR)
        image = next_step(image, out, vips_cast(image, &out, VIPS_FORMAT_UCHAR, NULL));
    if (image && image->Bands == 1) {
        VipsImage *three[] = {image, image, image};
        image = next_step(image, out, vips_bandjoin(three, &out, 3, NULL));
    } else if (image && image->Bands > 3)
        image = next_step(image, out, vips_extract_band(image, &out, 0, "n", 3, NULL));
    if (image && image->Bands != 3) {
        vips_error("picture", "%d bands", image->Bands);
        return next_step(image, NULL, 1);
    }
    return image;
}

// Pulls the pixels through the pipeline, strip by strip from the top, on this thread.
static bool read_pixels(struct image *out, VipsImage *image) {
    enum { STRIP = 64 };
    image_init(out, image->Xsize, image->Ysize);
    VipsRegion *region = vips_region_new(image);
    size_t row = (size_t)out->width * 3;
    bool good = true;
    for (int y = 0; good && y < out->height; y += STRIP) {
        VipsRect strip = {0, y, out->width, out->height - y < STRIP ? out->height - y : STRIP};
        good = vips_region_prepare(region, &strip) == 0;
        for (int i = 0; good && i < strip.height; i++)
            memcpy(out->pixels + (size_t)(y + i) * row, VIPS_REGION_ADDR(region, 0, y + i), row);
    }
    g_object_unref(region);
    if (!good)
        image_fini(out);
    return good;
}

static int longer(int a, int b) { return a > b ? a : b; }

// The decoder's own shrinking, as far as it leaves at least what is wanted.
static int jpeg_shrink(int side, int wanted) {
    int shrink = 1;
    while (wanted > 0 && shrink < 8 && side / (shrink * 2) >= wanted)
        shrink *= 2;
    return shrink;
}

// What other decoders cannot: whole-numbered, while the rows come in.
static VipsImage *shrink_on_the_way(VipsImage *image, int wanted) {
    int factor = wanted > 0 ? longer(image->Xsize, image->Ysize) / wanted : 1;
    VipsImage *out = NULL;
    if (factor < 2)
        return image;
    return next_step(image, out, vips_shrink(image, &out, factor, factor, NULL));
}

// width, height: of the picture as it is stored, before any shrinking.
static void scale_to(struct image *image, int width, int height, int wanted) {
    int side = longer(width, height);
    if (wanted <= 0 || side <= wanted)
        return;
    struct image scaled;
    double scale = (double)wanted / side;
    warp_shrink(&scaled, image, longer(1, (int)lrint(width * scale)),
                longer(1, (int)lrint(height * scale)));
    image_fini(image);
    *image = scaled;
}

// EXIF 2.32, tag 0x112: what to do to the stored picture to see it upright.
static void make_upright(struct image *image, int orientation) {
    static const struct {
        bool mirror;
        unsigned turns;
    } acts[9] = {[2] = {true, 0},  [3] = {false, 2}, [4] = {true, 2}, [5] = {true, 1},
                 [6] = {false, 3}, [7] = {true, 3},  [8] = {false, 1}};
    if (orientation < 2 || orientation > 8)
        return;
    if (acts[orientation].mirror)
        warp_mirror(image);
    if (acts[orientation].turns) {
        struct image turned;
        warp_turn(&turned, image, acts[orientation].turns);
        image_fini(image);
        *image = turned;
    }
}

static bool decode_bmp(struct image *out, const void *bytes, size_t length, const char *name,
                       int longest_side, const struct image_limits *limits, struct err *err) {
    struct bmp bmp;
    if (!bmp_read_header(&bmp, bytes, length, name, err) ||
        !within(limits, bmp.width, bmp.height, name, err))
        return false;
    bmp_decode(out, &bmp, bytes);
    scale_to(out, bmp.width, bmp.height, longest_side);
    return true;
}

static bool decode_vips(struct image *out, enum kind kind, const void *bytes, size_t length,
                        const char *name, int longest_side, const struct image_limits *limits,
                        struct err *err) {
    VipsImage *image = open_kind(kind, bytes, length, 1);
    if (!image)
        return vips_failed(err, name);
    int orientation = vips_image_get_orientation(image);
    int width = image->Xsize, height = image->Ysize;
    if (!within(limits, width, height, name, err)) {
        g_object_unref(image);
        return false;
    }
    int shrink = jpeg_shrink(longer(width, height), longest_side);
    if (kind == KIND_JPEG && shrink > 1) {
        g_object_unref(image);
        image = open_kind(kind, bytes, length, shrink);
    } else
        image = shrink_on_the_way(image, longest_side);
    if (image)
        image = to_rgb(image);
    if (!image)
        return vips_failed(err, name);
    bool good = read_pixels(out, image);
    g_object_unref(image);
    if (!good)
        return vips_failed(err, name);
    scale_to(out, width, height, longest_side);
    make_upright(out, orientation);
    return true;
}

bool image_decode(struct image *out, const void *bytes, size_t length, const char *name,
                  int longest_side, const struct image_limits *limits, struct err *err) {
    *out = (struct image){0};
    if (!limits)
        limits = &image_default_limits;
    if (length > limits->file_bytes)
        return err_set(err, ERR_LIMIT, "%s has %zu bytes; at most %zu are read", name, length,
                       limits->file_bytes);
    enum kind kind = kind_of(bytes, length);
    if (kind == KIND_NONE)
        return unknown_kind(err, name, length);
    if (kind == KIND_BMP)
        return decode_bmp(out, bytes, length, name, longest_side, limits, err);
    bool good = jpeg_scans_check(bytes, length, name, err) &&
                decode_vips(out, kind, bytes, length, name, longest_side, limits, err);
    vips_thread_shutdown(); // what libvips keeps for a thread
    return good;
}

bool image_load(struct image *out, const char *path, int longest_side,
                const struct image_limits *limits, struct err *err) {
    *out = (struct image){0};
    if (!limits)
        limits = &image_default_limits;
    size_t length;
    char *bytes = path_read_file(path, limits->file_bytes, &length, err);
    if (!bytes)
        return false;
    bool good = image_decode(out, bytes, length, path, longest_side, limits, err);
    mem_free(bytes);
    return good;
}

bool image_measure(const void *bytes, size_t length, const char *name, int *width, int *height,
                   struct err *err) {
    enum kind kind = kind_of(bytes, length);
    struct bmp bmp;
    if (kind == KIND_NONE)
        return unknown_kind(err, name, length);
    if (kind == KIND_BMP) {
        if (!bmp_read_header(&bmp, bytes, length, name, err))
            return false;
        *width = bmp.width;
        *height = bmp.height;
        return true;
    }
    VipsImage *image = open_kind(kind, bytes, length, 1);
    if (!image)
        return vips_failed(err, name);
    bool lies = vips_image_get_orientation(image) >= 5;
    *width = lies ? image->Ysize : image->Xsize;
    *height = lies ? image->Xsize : image->Ysize;
    g_object_unref(image);
    vips_thread_shutdown();
    return true;
}

bool image_encode_jpeg(const struct image *image, int quality, struct buf *out, struct err *err) {
    VipsImage *source =
        vips_image_new_from_memory(image->pixels, (size_t)image->width * (size_t)image->height * 3,
                                   image->width, image->height, 3, VIPS_FORMAT_UCHAR);
    void *bytes = NULL;
    size_t length = 0;
    bool good = source && vips_jpegsave_buffer(source, &bytes, &length, "Q", quality, NULL) == 0;
    if (!good) {
        char *text = vips_error_buffer_copy();
        err_set(err, ERR_SYSTEM, "cannot write a JPEG: %s", text);
        g_free(text);
    } else if (!buf_add(out, bytes, length)) {
        good = err_set(err, ERR_LIMIT, "the JPEG has %zu bytes; there is no room for it", length);
    }
    g_free(bytes);
    if (source)
        g_object_unref(source);
    vips_thread_shutdown();
    return good;
}
