// The JSON body of a request with photos in it, read as it comes: photos (base64 in strings) go to
// the caller as bytes, piece by piece; the rest becomes a small tree in which each photo's string
// is its number, counted from 0. So 200 MB of photos cost no memory here.
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct body;

struct body_limits {
    size_t tree_bytes;    // text, keys and structure of what is no photo
    size_t images;        // photos
    uint64_t image_bytes; // one photo, decoded
};

struct body_ops {
    // Is the string under this key, in an object that is itself under `parent` ("" at the top and
    // inside arrays of the top), a photo? Array elements keep the key of their array.
    bool (*is_image)(const char *parent, const char *key);
    // Bytes of photo `index`; with `complete` the last, which may be none. False refuses the body.
    bool (*on_image)(void *arg, size_t index, const void *bytes, size_t length, bool complete,
                     struct err *err);
};

struct body *body_create(const struct body_limits *limits, const struct body_ops *ops, void *arg);
void body_destroy(struct body *body); // NULL is fine
// ERR_INVALID: not JSON, a key twice in one object, not base64; ERR_LIMIT. The text says where.
bool body_feed(struct body *body, const char *bytes, size_t length, struct err *err);
// The whole body has come: the tree, the caller's (json_decref). NULL when it was cut.
json_t *body_end(struct body *body, struct err *err);
size_t body_images(const struct body *body);
