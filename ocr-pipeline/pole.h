// The photos of one pole: how a request gives them, and what they say together.
//
//   {"imagens": ["BASE64", {"nome": "a.jpg", "dados": "BASE64"}]}
#pragma once

#include "pipeline.h"
#include "plate.h"
#include "records.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

bool pole_is_image(const char *parent, const char *key); // body.h: the strings that are photos

// The photos of a pole in a request, "imagens" or "images"; and the name of one, "" when it has
// none.
const json_t *pole_images(const json_t *pole);
const char *pole_image_name(const json_t *element);
// The name of photo `index` in the tree of a request ("imagens" of this object), or "" when it has
// none; borrowed.
const char *pole_photo_name(const json_t *pole, size_t index);

// The number of the photo that an element of "imagens" holds; -1: none.
int64_t pole_photo_index(const json_t *element);

// One plate out of several photos: of each field the surest value; photos that say something else
// are a reason to look (photos_disagree). NULLs among the readings are photos that could not be
// read, another reason (photo_unreadable).
void pole_merge(struct plate *out, const struct reading *const *readings, size_t count);

// Did the detector see the pole's own sign on one of its photos? One photo alone is not expected to
// show everything, nor are photos that no detector looked at.
enum identification pole_identification(const struct reading *const *readings, size_t count);

// Those of the photos that show a transformer's plate; `out` has room for all of them.
size_t pole_sightings(const struct reading *const *readings, size_t count, struct sighting *out);
