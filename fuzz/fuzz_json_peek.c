// json_peek against jansson. What both accept they must read alike; what only one accepts must be
// for a reason that is ours to have.
#include "format/json_peek.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

#define DEPTH 100u

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

// jansson judges these, json_peek leaves them to the engine.
static bool is_jansson_only(const json_error_t *why) {
    enum json_error_code code = json_error_code(why);
    return code == json_error_invalid_utf8 || code == json_error_numeric_overflow ||
           code == json_error_null_character || strstr(why->text, "invalid Unicode");
}

// Members that a model must agree with; NULL model means none.
static void compare(const struct json_peek *peek, const json_t *root) {
    const json_t *model = json_object_get(root, "model"), *stream = json_object_get(root, "stream");
    if (json_is_string(model)) {
        assert(peek->has_model && peek->model_length == json_string_length(model));
        assert(memcmp(peek->model, json_string_value(model), peek->model_length) == 0);
    } else {
        assert(!peek->has_model);
    }
    if (json_is_boolean(stream))
        assert(peek->has_stream && peek->stream == json_is_true(stream));
    assert(peek->is_empty == (json_object_size(root) == 0));
}

// The value's place must hold that value and nothing else.
static void check_place(const struct json_peek *peek, const char *bytes) {
    json_t *value = json_loadb(bytes + peek->model_begin, peek->model_end - peek->model_begin,
                               JSON_DECODE_ANY, NULL);
    assert(!value || strcmp(json_string_value(value), peek->model) == 0);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    const char *bytes = (const char *)data;
    struct json_peek peek;
    struct err err = {0};
    json_error_t why;
    bool accepted = json_peek(bytes, length, DEPTH, &peek, &err);
    json_t *root = json_loadb(bytes, length, JSON_ALLOW_NUL, &why);
    if (accepted && root) {
        compare(&peek, root);
    } else if (accepted) {
        assert(is_jansson_only(&why));
    } else if (json_is_object(root)) {
        // Too deep, a long model name, two models, or a model that is not text. And jansson loses
        // a raw NUL after a number (it pushes it back into a C string).
        assert(err.code == ERR_LIMIT || strstr(err.text, "\"model\"") || memchr(bytes, 0, length));
    }
    if (accepted && peek.has_model)
        check_place(&peek, bytes);
    json_decref(root);
    return 0;
}
