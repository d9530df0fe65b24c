#include "vision/text_sheet.h"

#include "vision/warp.h"

#include <math.h>
#include <string.h>

// The reference's bounds: sides of less than 30 pixels, and pictures wider than eight times their
// height, are not what the detector was trained on.
enum { CELL = 32, SIDE_MIN = 30, WIDE = 8 };

static int whole_cells(int side, double ratio) {
    int cells = (int)lrint((double)(int)(side * ratio) / CELL);
    return (cells < 1 ? 1 : cells) * CELL;
}

static void rescale(struct text_sheet *sheet, double ratio) {
    struct image scaled;
    warp_resize(&scaled, sheet->picture, whole_cells(sheet->picture->width, ratio),
                whole_cells(sheet->picture->height, ratio));
    image_fini(&sheet->own);
    sheet->own = scaled;
    sheet->picture = &sheet->own;
}

static void add_rows(struct text_sheet *sheet, int rows) {
    struct image padded;
    const struct image *in = sheet->picture;
    size_t row = (size_t)in->width * 3;
    image_init(&padded, in->width, in->height + 2 * rows);
    memcpy(padded.pixels + (size_t)rows * row, in->pixels, (size_t)in->height * row);
    image_fini(&sheet->own);
    sheet->own = padded;
    sheet->picture = &sheet->own;
    sheet->top = rows;
}

void text_sheet_init(struct text_sheet *sheet, const struct image *picture, int side_max) {
    *sheet = (struct text_sheet){.picture = picture};
    int longer = picture->width > picture->height ? picture->width : picture->height;
    if (longer > side_max)
        rescale(sheet, (double)side_max / longer);
    int width = sheet->picture->width, height = sheet->picture->height;
    int shorter = width < height ? width : height;
    if (shorter < SIDE_MIN)
        rescale(sheet, (double)SIDE_MIN / shorter);
    width = sheet->picture->width;
    height = sheet->picture->height;
    sheet->scale_x = (float)picture->width / (float)width;
    sheet->scale_y = (float)picture->height / (float)height;
    if (height <= SIDE_MIN || (double)width / height > WIDE) {
        int wanted = (width / WIDE > SIDE_MIN ? width / WIDE : SIDE_MIN) * 2;
        add_rows(sheet, (wanted > height ? wanted - height : height - wanted) / 2);
    }
}

void text_sheet_fini(struct text_sheet *sheet) { image_fini(&sheet->own); }

struct quad text_sheet_quad(const struct text_sheet *sheet, const struct quad *quad,
                            const struct image *picture) {
    struct quad out;
    for (size_t i = 0; i < 4; i++) {
        float x = quad->corners[i].x * sheet->scale_x;
        float y = (quad->corners[i].y - (float)sheet->top) * sheet->scale_y;
        out.corners[i] = (struct point){fmaxf(0, fminf((float)picture->width, x)),
                                        fmaxf(0, fminf((float)picture->height, y))};
    }
    return out;
}
