#include "eval_crops.h"

#include "format/json.h"
#include "normalise.h"
#include "vision/warp.h"

#include <math.h>
#include <string.h>

enum { WIDTH_MAX = 640, HEIGHT_MAX = 480, QUALITY = 80, TRUTH_LEAST = 3 };

static bool box_of(const json_t *json, struct box *box) {
    float *const sides[4] = {&box->x0, &box->y0, &box->x1, &box->y1};
    if (json_array_size(json) != 4)
        return false;
    for (size_t i = 0; i < 4; i++)
        *sides[i] = (float)json_number_value(json_array_get(json, i));
    return box->x1 > box->x0 && box->y1 > box->y0;
}

// Letters and digits in capitals.
static size_t plain(const char *text, char out[FOLDED_MAX + 1]) {
    struct folded folded;
    size_t count = 0;
    fold_line(&folded, text);
    for (size_t i = 0; i < folded.length; i++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", folded.text[i]))
            out[count++] = folded.text[i];
    out[count] = '\0';
    return count;
}

static bool says(const json_t *text, const char *wanted) {
    char said[FOLDED_MAX + 1];
    plain(json_get_text(text, "text", ""), said);
    return strstr(said, wanted) != NULL;
}

// What is as short as "3" stands in many texts.
static bool find_text(const json_t *report, const char *truth, struct box *box) {
    const json_t *texts = json_object_get(report, "texts");
    char wanted[FOLDED_MAX + 1];
    if (plain(truth, wanted) < TRUTH_LEAST)
        return false;
    for (size_t i = 0; i < json_array_size(texts); i++) {
        const json_t *text = json_array_get(texts, i);
        if ((says(text, wanted) || says(json_object_get(text, "turned"), wanted)) &&
            box_of(json_object_get(text, "box"), box))
            return true;
    }
    return false;
}

struct box crop_place(const json_t *report, enum field field, const char *truth) {
    const json_t *answer = json_object_get(json_object_get(report, "fields"), field_key(field));
    struct box box;
    if (box_of(json_object_get(answer, "box"), &box) || find_text(report, truth, &box) ||
        box_of(json_object_get(json_object_get(report, "plate"), "box"), &box))
        return box;
    return (struct box){0};
}

static struct box widen(struct box box, float scale, const struct image *image) {
    if (box.x1 <= box.x0)
        return (struct box){0, 0, (float)image->width, (float)image->height};
    float tall = box_height(box), x = fmaxf(.3f * box_width(box), 2 * tall);
    // What is large is the plate itself.
    bool large = tall * scale > .2f * (float)image->height;
    x = large ? .05f * box_width(box) : x;
    tall = large ? .05f * tall : tall;
    return (struct box){fmaxf(0, (box.x0 - x) * scale), fmaxf(0, (box.y0 - tall) * scale),
                        fminf((float)image->width, (box.x1 + x) * scale),
                        fminf((float)image->height, (box.y1 + tall) * scale)};
}

bool crop_encode(const struct image *image, struct box box, float scale, struct buf *jpeg,
                 struct err *err) {
    struct image crop, small;
    warp_crop(&crop, image, widen(box, scale, image));
    float shrink =
        fminf((float)WIDTH_MAX / (float)crop.width, (float)HEIGHT_MAX / (float)crop.height);
    bool fits = shrink >= 1;
    if (!fits)
        warp_shrink(&small, &crop, (int)fmaxf(1, (float)crop.width * shrink),
                    (int)fmaxf(1, (float)crop.height * shrink));
    bool good = image_encode_jpeg(fits ? &crop : &small, QUALITY, jpeg, err);
    if (!fits)
        image_fini(&small);
    image_fini(&crop);
    return good;
}
