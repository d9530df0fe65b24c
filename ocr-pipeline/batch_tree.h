// What a batch says, once its photos have been taken out of it (body.h): which photo is of which
// pole. For `lote` requests and for `alt`, which are the same JSON.
//
//   {"postes": [{"id": "42", "imagens": ["BASE64", {"nome": "a.jpg", "dados": "BASE64"}]}]}
#pragma once

#include "body.h"
#include "config.h"

struct batch_photo {
    const char *pole; // 1 to 64 bytes
    unsigned number;  // of its photos, from 0
    size_t index;     // of all photos, as body_ops.on_image counts them
    const char *name; // "" when it was given none
};

struct body *batch_body(const struct config *config, const struct body_ops *ops, void *arg);
// In their order; `images`: body_images. False when it is no such tree, a limit is passed, or
// on_photo says so.
bool batch_tree_read(const json_t *tree, const struct config *config, size_t images,
                     bool (*on_photo)(void *arg, const struct batch_photo *photo), void *arg,
                     struct err *err);
