#include "annotate.h"

#include "base/path.h"
#include "vision/image.h"

#include <math.h>
#include <string.h>

enum { SIDE = 2000, QUALITY = 88, JPEG_MAX = 64 << 20 };

struct colour {
    uint8_t r, g, b;
};

static const struct colour GREEN = {0, 190, 60}, GREY = {130, 130, 130}, BLUE = {30, 90, 255},
                           RED = {230, 30, 30};

struct canvas {
    struct image image;
    float scale_x, scale_y; // from the photo's pixels
    int width;              // of a line
};

static void dot(struct canvas *canvas, int x, int y, struct colour colour) {
    for (int dy = 0; dy < canvas->width; dy++)
        for (int dx = 0; dx < canvas->width; dx++) {
            int px = x + dx - canvas->width / 2, py = y + dy - canvas->width / 2;
            if (px < 0 || py < 0 || px >= canvas->image.width || py >= canvas->image.height)
                continue;
            uint8_t *pixel =
                canvas->image.pixels + ((size_t)py * (size_t)canvas->image.width + (size_t)px) * 3;
            pixel[0] = colour.r;
            pixel[1] = colour.g;
            pixel[2] = colour.b;
        }
}

static void draw_line(struct canvas *canvas, struct point from, struct point to,
                      struct colour colour) {
    float x0 = from.x * canvas->scale_x, y0 = from.y * canvas->scale_y;
    float x1 = to.x * canvas->scale_x, y1 = to.y * canvas->scale_y;
    int steps = (int)ceilf(fmaxf(fabsf(x1 - x0), fabsf(y1 - y0)));
    for (int i = 0; i <= steps && steps < 100000; i++) {
        float t = steps ? (float)i / (float)steps : 0;
        dot(canvas, (int)(x0 + t * (x1 - x0)), (int)(y0 + t * (y1 - y0)), colour);
    }
}

static void draw_quad(struct canvas *canvas, const struct quad *quad, struct colour colour) {
    for (size_t i = 0; i < 4; i++)
        draw_line(canvas, quad->corners[i], quad->corners[(i + 1) % 4], colour);
}

static void draw_box(struct canvas *canvas, struct box box, struct colour colour) {
    struct quad quad = {{{box.x0, box.y0}, {box.x1, box.y0}, {box.x1, box.y1}, {box.x0, box.y1}}};
    if (box.x1 > box.x0)
        draw_quad(canvas, &quad, colour);
}

static void draw_reading(struct canvas *canvas, const struct reading *reading) {
    for (size_t i = 0; i < reading->page.count; i++)
        draw_quad(canvas, &reading->page.lines[i].quad,
                  reading->classes[i] == TEXT_NAMEPLATE ? GREEN : GREY);
    draw_box(canvas, reading->seen.box, BLUE);
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (reading->plate.values[i].text[0])
            draw_box(canvas, reading->plate.values[i].box, RED);
}

bool annotate_write(const char *path, const void *bytes, size_t length, const char *name,
                    const struct reading *reading, const struct config *config, struct err *err) {
    struct canvas canvas = {0};
    struct image_limits limits = config_image_limits(config);
    struct buf jpeg;
    if (!image_decode(&canvas.image, bytes, length, name, SIDE, &limits, err))
        return false;
    canvas.scale_x = (float)canvas.image.width / (float)reading->width;
    canvas.scale_y = (float)canvas.image.height / (float)reading->height;
    canvas.width = 2 + (canvas.image.width + canvas.image.height) / 2000;
    draw_reading(&canvas, reading);
    buf_init(&jpeg, JPEG_MAX);
    bool good = image_encode_jpeg(&canvas.image, QUALITY, &jpeg, err) &&
                path_write_file(path, buf_bytes(&jpeg), jpeg.length, 0644, err);
    buf_fini(&jpeg);
    image_fini(&canvas.image);
    return good;
}
