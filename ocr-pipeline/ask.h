// One request with photos, from its first byte to its answer: the body is read as it comes, photos
// are kept as bytes (bounded over all requests), read one after the other, and then answered by
// whoever speaks the caller's protocol. A client that leaves takes its waiting photos with it.
#pragma once

#include "body.h"
#include "desk.h"
#include "guest.h"
#include "http/server.h"
#include "pipeline.h"
#include "pole_report.h"
#include "route.h"

#include <jansson.h>

struct api;

struct photo_read {
    char *bytes; // until it is read
    size_t length;
    struct reading reading;
    struct err err; // why there is no reading
};

struct ask {
    struct guest guest;
    struct api *api;
    struct http_exchange *exchange; // NULL: the client has gone
    enum route route;
    char name[ROUTE_NAME_MAX];
    bool gemini;       // errors are told as Google does
    bool plain_photo;  // the body is one photo, no JSON
    struct body *body; // while it comes
    struct buf piece;  // of the photo that comes
    json_t *tree;      // what is no photo
    struct photo_read *photos;
    size_t photo_count;
    size_t held_bytes; // of all photos
    size_t next;       // the photo to read
    struct order *order;
    struct recall recall;         // once the client has gone
    struct record_answer records; // of the pole
};

struct ask *ask_create(struct api *api, struct http_exchange *exchange, enum route route,
                       const char *name);
void ask_destroy(struct ask *ask);
// All photos, then api_answer.
bool ask_read(struct ask *ask, struct err *err);
// Of the photos, NULL where one could not be read; the caller's (mem_free). NULL when none could
// be, and `err` is the first one's; also when one was not read because a model failed, which says
// nothing of the photo.
const struct reading **ask_readings(const struct ask *ask, struct err *err);
