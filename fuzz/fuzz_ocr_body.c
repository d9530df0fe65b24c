// A request's body with photos in it, cut into pieces anywhere, gives the same as in one piece;
// what it accepts jansson accepts, too, and reads alike but for the photos.
#include "base/buf.h"
#include "base/mem.h"
#include "body.h"
#include "format/json.h"
#include "pole.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

struct seen {
    struct buf photos;
    size_t complete;
};

static bool on_image(void *arg, size_t index, const void *bytes, size_t length, bool complete,
                     struct err *err) {
    struct seen *seen = arg;
    (void)err;
    assert(index == seen->complete && (length > 0 || complete));
    buf_add(&seen->photos, bytes, length);
    if (complete)
        buf_adds(&seen->photos, "|");
    seen->complete += complete;
    return true;
}

static const struct body_ops ops = {pole_is_image, on_image};

// The caller's; NULL: refused.
static json_t *read_in(const char *bytes, size_t length, size_t step, struct seen *seen,
                       struct err *err) {
    struct body_limits limits = {.tree_bytes = 100000, .images = 5, .image_bytes = 2000};
    struct body *body = body_create(&limits, &ops, seen);
    bool good = true;
    buf_init(&seen->photos, 1 << 20);
    for (size_t at = 0, n; good && at < length; at += n) {
        n = length - at < step ? length - at : step;
        good = body_feed(body, bytes + at, n, err);
    }
    json_t *tree = good ? body_end(body, err) : NULL;
    assert(!tree || body_images(body) == seen->complete);
    body_destroy(body);
    return tree;
}

// Photos are numbers on one side and strings on the other.
static bool alike(const json_t *ours, const json_t *theirs) {
    const char *key;
    json_t *value;
    if (json_is_integer(ours) && json_is_string(theirs))
        return true;
    if (json_typeof(ours) != json_typeof(theirs))
        return false;
    if (json_is_array(ours)) {
        bool same = json_array_size(ours) == json_array_size(theirs);
        for (size_t i = 0; same && i < json_array_size(ours); i++)
            same = alike(json_array_get(ours, i), json_array_get(theirs, i));
        return same;
    }
    if (!json_is_object(ours))
        return json_is_string(ours) || json_equal(ours, theirs);
    json_object_foreach((json_t *)(uintptr_t)ours, key, value) {
        if (!json_object_get(theirs, key) || !alike(value, json_object_get(theirs, key)))
            return false;
    }
    return json_object_size(ours) == json_object_size(theirs);
}

// What we mend or leave to whoever reads the value.
static bool is_jansson_only(const json_error_t *why) {
    enum json_error_code code = json_error_code(why);
    return code == json_error_invalid_utf8 || code == json_error_numeric_overflow ||
           code == json_error_null_character || code == json_error_null_byte_in_key ||
           strstr(why->text, "invalid Unicode") || strstr(why->text, "\\u0000");
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct seen whole = {.complete = 0}, parts = {.complete = 0};
    struct err err = {0}, err_parts = {0};
    json_error_t why;
    if (length < 1)
        return 0;
    const char *bytes = (const char *)data + 1;
    json_t *a = read_in(bytes, length - 1, length, &whole, &err);
    json_t *b = read_in(bytes, length - 1, data[0] % 16 + 1, &parts, &err_parts);
    assert(!a == !b && (!a || json_equal(a, b)));
    assert(!a ||
           (whole.photos.length == parts.photos.length &&
            !memcmp(buf_bytes(&whole.photos), buf_bytes(&parts.photos), whole.photos.length)));
    json_t *theirs =
        a ? json_loadb(bytes, length - 1, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why) : NULL;
    assert(!a || (theirs ? alike(a, theirs) : is_jansson_only(&why)));
    json_decref(theirs);
    json_decref(a);
    json_decref(b);
    buf_fini(&whole.photos);
    buf_fini(&parts.photos);
    return 0;
}
