#include "body.h"

#include "base/buf.h"
#include "base/mem.h"
#include "format/base64.h"
#include "format/json.h"
#include "format/json_stream.h"

#include <string.h>

enum { NODE_BYTES = 64 }; // what a value costs besides its text, roughly

struct level {
    json_t *node; // an object or array; owned by the one above, the lowest by the body
    char key[JSON_STREAM_KEY_MAX + 1];
    size_t key_length;
};

struct body {
    struct body_limits limits;
    const struct body_ops *ops;
    void *arg;
    struct json_stream stream;
    struct level levels[JSON_STREAM_DEPTH_MAX];
    unsigned depth;
    json_t *tree;
    struct buf text; // of the string being read
    size_t tree_bytes, images;
    bool in_image, began; // a photo's string; a string of either kind has begun
    struct base64 base64;
    struct buf piece; // decoded bytes on their way
    uint64_t image_bytes;
};

static bool on_event(void *arg, enum json_event event, const char *bytes, size_t length,
                     struct err *err);

struct body *body_create(const struct body_limits *limits, const struct body_ops *ops, void *arg) {
    struct body *body = mem_alloc(sizeof *body);
    body->limits = *limits;
    body->ops = ops;
    body->arg = arg;
    buf_init(&body->text, limits->tree_bytes);
    buf_init(&body->piece, 1 << 20);
    json_stream_init(&body->stream, on_event, body);
    return body;
}

void body_destroy(struct body *body) {
    if (!body)
        return;
    json_decref(body->tree);
    buf_fini(&body->text);
    buf_fini(&body->piece);
    mem_free(body);
}

size_t body_images(const struct body *body) { return body->images; }

static bool spend(struct body *body, size_t bytes, struct err *err) {
    if (bytes > body->limits.tree_bytes - body->tree_bytes)
        return err_set(err, ERR_LIMIT, "more than %zu bytes beside the photos",
                       body->limits.tree_bytes);
    body->tree_bytes += bytes;
    return true;
}

static struct level *top(struct body *body) {
    return body->depth ? &body->levels[body->depth - 1] : NULL;
}

// The key that a value here has, and that of the object around it; an array lends its own.
static const char *key_at(const struct body *body, unsigned above) {
    for (unsigned i = body->depth; i > 0; i--)
        if (json_is_object(body->levels[i - 1].node) && above-- == 0)
            return body->levels[i - 1].key;
    return "";
}

// Takes `value` over.
static bool put(struct body *body, json_t *value, struct err *err) {
    struct level *at = top(body);
    if (!at) {
        body->tree = value;
    } else if (json_is_array(at->node)) {
        json_array_append_new(at->node, value);
    } else {
        json_t *key = json_text_n(at->key, at->key_length);
        const char *name = json_string_value(key);
        bool twice = json_object_get(at->node, name) != NULL;
        if (twice)
            err_set(err, ERR_INVALID, "the key \"%.64s\" is there twice", name);
        json_set(at->node, name, value);
        json_decref(key);
        if (twice)
            return false;
    }
    return spend(body, NODE_BYTES, err);
}

static bool open_level(struct body *body, json_t *node, struct err *err) {
    if (!put(body, node, err))
        return false;
    body->levels[body->depth++] = (struct level){.node = node};
    return true;
}

static bool hand_on(struct body *body, bool complete, struct err *err) {
    body->image_bytes += body->piece.length;
    if (body->image_bytes > body->limits.image_bytes)
        return err_set(err, ERR_LIMIT, "photo %zu has more than %llu bytes", body->images + 1,
                       (unsigned long long)body->limits.image_bytes);
    bool good = body->ops->on_image(body->arg, body->images, buf_bytes(&body->piece),
                                    body->piece.length, complete, err);
    buf_clear(&body->piece);
    return good;
}

static bool begin_text(struct body *body, struct err *err) {
    body->began = true;
    body->in_image = body->depth > 0 && body->ops->is_image(key_at(body, 1), key_at(body, 0));
    buf_clear(&body->text);
    if (!body->in_image)
        return true;
    if (body->images == body->limits.images)
        return err_set(err, ERR_LIMIT, "more than %zu photos in one request", body->limits.images);
    base64_init(&body->base64);
    body->image_bytes = 0;
    return true;
}

static bool text_piece(struct body *body, const char *bytes, size_t length, struct err *err) {
    if (!body->began && !begin_text(body, err))
        return false;
    if (!body->in_image)
        return spend(body, length, err) && buf_add(&body->text, bytes, length);
    for (size_t n; length > 0; bytes += n, length -= n) {
        n = length < 1 << 16 ? length : 1 << 16;
        if (!base64_feed(&body->base64, bytes, n, &body->piece, err)) {
            err_context(err, "photo %zu", body->images + 1);
            return false;
        }
        if (body->piece.length > 0 && !hand_on(body, false, err))
            return false;
    }
    return true;
}

static bool text_end(struct body *body, struct err *err) {
    if (!body->began && !begin_text(body, err))
        return false;
    body->began = false;
    if (!body->in_image)
        return put(body, json_text_n(buf_text(&body->text), body->text.length), err);
    if (!base64_end(&body->base64, &body->piece, err)) {
        err_context(err, "photo %zu", body->images + 1);
        return false;
    }
    return hand_on(body, true, err) && put(body, json_integer((json_int_t)body->images++), err);
}

static bool on_event(void *arg, enum json_event event, const char *bytes, size_t length,
                     struct err *err) {
    struct body *body = arg;
    switch (event) {
    case JSON_EVENT_OBJECT: return open_level(body, json_object(), err);
    case JSON_EVENT_ARRAY: return open_level(body, json_array(), err);
    case JSON_EVENT_OBJECT_END:
    case JSON_EVENT_ARRAY_END: body->depth--; return true;
    case JSON_EVENT_KEY: {
        struct level *at = top(body);
        memcpy(at->key, bytes, length);
        at->key[length] = '\0';
        at->key_length = length;
        return spend(body, length, err);
    }
    case JSON_EVENT_TEXT: return text_piece(body, bytes, length, err);
    case JSON_EVENT_TEXT_END: return text_end(body, err);
    case JSON_EVENT_NUMBER: {
        json_t *number = json_parse_mended(bytes, length, 0, JSON_PARSE_ANY, err);
        return number && put(body, number, err);
    }
    case JSON_EVENT_TRUE: return put(body, json_true(), err);
    case JSON_EVENT_FALSE: return put(body, json_false(), err);
    case JSON_EVENT_NULL: return put(body, json_null(), err);
    }
    return true;
}

bool body_feed(struct body *body, const char *bytes, size_t length, struct err *err) {
    return json_stream_feed(&body->stream, bytes, length, err);
}

json_t *body_end(struct body *body, struct err *err) {
    if (!json_stream_end(&body->stream, err))
        return NULL;
    json_t *tree = body->tree;
    body->tree = NULL;
    return tree;
}
