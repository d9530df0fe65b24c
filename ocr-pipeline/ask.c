#include "ask.h"

#include "api.h"
#include "base/mem.h"
#include "gemini.h"
#include "pole.h"

#include <stdio.h>
#include <string.h>

enum { TREE_BYTES = 4 << 20, PLAIN_TEXT_MAX = 64 };

// --- The body

static bool on_image(void *arg, size_t index, const void *bytes, size_t length, bool complete,
                     struct err *err) {
    struct ask *ask = arg;
    struct api *api = ask->api;
    if (api->held_bytes + length > 2 * api->config->body_bytes)
        return err_set(err, ERR_BUSY, "other requests hold all the room for photos; try again");
    if (!buf_add(&ask->piece, bytes, length))
        return err_set(err, ERR_LIMIT, "photo %zu has more than %llu bytes", index + 1,
                       (unsigned long long)api->config->photo_bytes);
    api->held_bytes += length;
    ask->held_bytes += length;
    if (!complete)
        return true;
    ask->photos = mem_resize(ask->photos, (ask->photo_count + 1) * sizeof *ask->photos);
    struct photo_read *photo = &ask->photos[ask->photo_count++];
    *photo = (struct photo_read){0};
    photo->bytes = buf_take(&ask->piece, &photo->length);
    return true;
}

static const struct body_ops gemini_ops = {gemini_is_image, on_image};
static const struct body_ops pole_ops = {pole_is_image, on_image};

// --- As a guest

static bool on_body(struct guest *guest, const char *bytes, size_t length, struct err *err) {
    struct ask *ask = (struct ask *)guest;
    return ask->plain_photo ? on_image(ask, 0, bytes, length, false, err)
                            : body_feed(ask->body, bytes, length, err);
}

static void on_complete(struct guest *guest) {
    struct ask *ask = (struct ask *)guest;
    struct err err = {0};
    bool good = true;
    if (ask->plain_photo)
        good = on_image(ask, 0, "", 0, true, &err);
    else
        good = (ask->tree = body_end(ask->body, &err)) != NULL;
    if (good)
        api_begin(ask);
    else
        api_fail_ask(ask, &err);
}

static void on_refuse(struct guest *guest, const struct err *err) {
    api_fail_ask((struct ask *)guest, err);
}

static void on_gone(struct guest *guest) {
    struct ask *ask = (struct ask *)guest;
    ask->exchange = NULL;
    if (ask->order) {
        pipeline_recall(ask->api->pipeline, &ask->recall);
        desk_cancel(ask->order); // photo_drop ends it
    } else {
        ask_destroy(ask);
    }
}

static const struct guest_ops guest_ops = {on_body, on_complete, on_refuse, on_gone};

static bool is_picture(const struct http_head *head) {
    struct span type = http_head_value(head, "content-type");
    return (type.length > 6 && strncasecmp(type.data, "image/", 6) == 0) ||
           (type.length >= 24 && strncasecmp(type.data, "application/octet-stream", 24) == 0);
}

struct ask *ask_create(struct api *api, struct http_exchange *exchange, enum route route,
                       const char *name) {
    const struct http_head *head = http_exchange_head(exchange);
    const struct config *config = api->config;
    struct ask *ask = mem_alloc(sizeof *ask);
    *ask = (struct ask){.guest.ops = &guest_ops, .api = api, .exchange = exchange, .route = route};
    snprintf(ask->name, sizeof ask->name, "%s", name);
    ask->gemini = route_is_gemini(head);
    ask->plain_photo = !ask->gemini && is_picture(head);
    buf_init(&ask->piece, (size_t)config->photo_bytes);
    struct body_limits limits = {.tree_bytes = TREE_BYTES,
                                 .images = ask->gemini ? GEMINI_IMAGES_MAX : config->photos_a_pole,
                                 .image_bytes = config->photo_bytes};
    if (!ask->plain_photo)
        ask->body = body_create(&limits, ask->gemini ? &gemini_ops : &pole_ops, ask);
    api->asks++;
    http_exchange_set_data(exchange, ask);
    http_exchange_stream_body(exchange, config->body_bytes);
    return ask;
}

static void drop_photo(struct ask *ask, struct photo_read *photo) {
    if (photo->bytes) {
        ask->api->held_bytes -= photo->length;
        ask->held_bytes -= photo->length;
    }
    mem_free(photo->bytes);
    photo->bytes = NULL;
}

void ask_destroy(struct ask *ask) {
    if (ask->exchange)
        http_exchange_set_data(ask->exchange, NULL);
    for (size_t i = 0; i < ask->photo_count; i++) {
        drop_photo(ask, &ask->photos[i]);
        reading_fini(&ask->photos[i].reading);
    }
    ask->api->held_bytes -= ask->held_bytes; // of a photo that never became complete
    ask->api->asks--;
    mem_free(ask->photos);
    body_destroy(ask->body);
    buf_fini(&ask->piece);
    json_decref(ask->tree);
    mem_free(ask);
}

// --- Reading

// With the last photo, in its thread.
static void ask_records(struct ask *ask) {
    const struct reading **readings = ask_readings(ask, NULL);
    if (readings)
        pole_ask_records(ask->api->records, ask->name, readings, ask->photo_count, &ask->records);
    mem_free(readings);
}

static void run_photo(void *arg) {
    struct ask *ask = arg;
    struct photo_read *photo = &ask->photos[ask->next];
    char name[48];
    snprintf(name, sizeof name, "photo %zu", ask->next + 1);
    pipeline_read_for(ask->api->pipeline, photo->bytes, photo->length, name,
                      ask->route == ROUTE_POLE_TEXT ? AREA_WHOLE : AREA_PLATE, &ask->recall,
                      &photo->reading, &photo->err);
    if (ask->route == ROUTE_POLE && ask->next + 1 == ask->photo_count)
        ask_records(ask);
}

static void photo_done(void *arg) {
    struct ask *ask = arg;
    struct err err = {0};
    ask->order = NULL;
    drop_photo(ask, &ask->photos[ask->next++]);
    if (ask->next == ask->photo_count)
        api_answer(ask);
    else if (!ask_read(ask, &err))
        api_fail_ask(ask, &err);
}

static void photo_drop(void *arg) {
    struct ask *ask = arg;
    ask->order = NULL;
    if (!ask->exchange)
        ask_destroy(ask);
    else
        api_turn_away(ask);
}

static const struct desk_ops photo_ops = {run_photo, photo_done, photo_drop};

// The first one may be refused; those after it go on.
bool ask_read(struct ask *ask, struct err *err) {
    if (ask->next == ask->photo_count) {
        api_answer(ask);
        return true;
    }
    ask->order =
        desk_submit(ask->api->desk, ask->next ? DESK_MORE : DESK_NOW, &photo_ops, ask, err);
    return ask->order != NULL;
}

const struct reading **ask_readings(const struct ask *ask, struct err *err) {
    const struct reading **readings = mem_alloc((ask->photo_count + 1) * sizeof *readings);
    const struct err *why = NULL;
    size_t count = 0;
    for (size_t i = 0; i < ask->photo_count; i++) {
        const struct err *own = &ask->photos[i].err;
        readings[i] = own->code ? NULL : &ask->photos[i].reading;
        count += readings[i] != NULL;
        if (models_are_to_blame(own) && !why)
            why = own;
    }
    if (count > 0 && !why)
        return readings;
    if (err)
        *err = why ? *why : ask->photos[0].err;
    mem_free(readings);
    return NULL;
}
