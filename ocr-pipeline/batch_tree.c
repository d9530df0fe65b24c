#include "batch_tree.h"

#include "format/json.h"
#include "pole.h"

#include <stdio.h>
#include <string.h>

enum { TREE_BYTES = 16 << 20, ID_MAX = 65 };

struct body *batch_body(const struct config *config, const struct body_ops *ops, void *arg) {
    struct body_limits limits = {.tree_bytes = TREE_BYTES,
                                 .images = (size_t)config->poles * config->photos_a_pole,
                                 .image_bytes = config->photo_bytes};
    return body_create(&limits, ops, arg);
}

struct walk {
    const struct config *config;
    size_t images, next; // of all photos; none is named twice
    bool (*on_photo)(void *arg, const struct batch_photo *photo);
    void *arg;
};

static bool take_id(const json_t *pole, char out[ID_MAX], struct err *err) {
    const json_t *id = json_object_get(pole, "id");
    if (json_is_integer(id))
        snprintf(out, ID_MAX, "%lld", (long long)json_integer_value(id));
    else if (json_is_string(id) && json_string_length(id) > 0 && json_string_length(id) < ID_MAX)
        snprintf(out, ID_MAX, "%s", json_string_value(id));
    else
        return err_set(err, ERR_INVALID, "each of postes needs an id of 1 to 64 characters");
    return true;
}

static bool is_twice(const json_t *poles, size_t index, const char *id) {
    char other[ID_MAX];
    for (size_t i = 0; i < index; i++)
        if (take_id(json_array_get(poles, i), other, NULL) && strcmp(other, id) == 0)
            return true;
    return false;
}

static bool take_photo(struct walk *walk, const char *pole, unsigned number, const json_t *element,
                       struct err *err) {
    int64_t index = pole_photo_index(element);
    if (index < (int64_t)walk->next || index >= (int64_t)walk->images)
        return err_set(err, ERR_INVALID, "postes \"%.64s\": image %u has no \"dados\"", pole,
                       number + 1);
    struct batch_photo photo = {pole, number, (size_t)index, pole_image_name(element)};
    walk->next = (size_t)index + 1;
    return walk->on_photo(walk->arg, &photo);
}

static bool take_pole(struct walk *walk, const json_t *poles, size_t at, struct err *err) {
    const json_t *pole = json_array_get(poles, at), *images = pole_images(pole);
    char id[ID_MAX];
    if (!take_id(pole, id, err))
        return false;
    if (is_twice(poles, at, id))
        return err_set(err, ERR_INVALID, "postes \"%s\" is there twice", id);
    if (!json_is_array(images) || json_array_size(images) == 0)
        return err_set(err, ERR_INVALID, "postes \"%s\": imagens is a list of photos", id);
    if (json_array_size(images) > walk->config->photos_a_pole)
        return err_set(err, ERR_LIMIT, "postes \"%s\" has %zu photos; at most %u a pole are read",
                       id, json_array_size(images), walk->config->photos_a_pole);
    for (size_t i = 0; i < json_array_size(images); i++)
        if (!take_photo(walk, id, (unsigned)i, json_array_get(images, i), err))
            return false;
    return true;
}

bool batch_tree_read(const json_t *tree, const struct config *config, size_t images,
                     bool (*on_photo)(void *arg, const struct batch_photo *photo), void *arg,
                     struct err *err) {
    struct walk walk = {config, images, 0, on_photo, arg};
    const json_t *poles = json_object_get(tree, "postes");
    if (!json_is_array(poles) || json_array_size(poles) == 0)
        return err_set(err, ERR_INVALID,
                       "a batch is {\"postes\": [{\"id\": \"42\", \"imagens\": [\"BASE64\"]}]}");
    if (json_array_size(poles) > config->poles)
        return err_set(err, ERR_LIMIT, "%zu poles; at most %u a batch are read",
                       json_array_size(poles), config->poles);
    for (size_t i = 0; i < json_array_size(poles); i++)
        if (!take_pole(&walk, poles, i, err))
            return false;
    return true;
}
