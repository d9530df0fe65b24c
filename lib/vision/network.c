#include "vision/onnx_private.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"

#include <assert.h>
#include <string.h>

// A string that the runtime allocated, as one of ours. NULL stays NULL.
static char *take_string(struct onnx *onnx, char *text) {
    if (!text)
        return NULL;
    char *own = mem_strdup(text);
    struct ort_status *status = onnx->api->allocator_free(onnx->allocator, text);
    if (status)
        onnx->api->release_status(status);
    return own;
}

bool onnx_read_shape(const struct ort_api *api, const struct ort_tensor_info *info,
                     struct tensor_shape *out, struct err *err, const char *what) {
    int element;
    if (!onnx_ok(api, api->tensor_element(info, &element), err, what) ||
        !onnx_ok(api, api->tensor_rank(info, &out->rank), err, what))
        return false;
    if (out->rank > TENSOR_RANK_MAX)
        return err_set(err, ERR_INVALID, "%s: a tensor has %zu dimensions; at most %d are read",
                       what, out->rank, TENSOR_RANK_MAX);
    out->type = element == ORT_ELEMENT_F32   ? TENSOR_F32
                : element == ORT_ELEMENT_F16 ? TENSOR_F16
                : element == ORT_ELEMENT_I64 ? TENSOR_I64
                                             : TENSOR_OTHER;
    return onnx_ok(api, api->tensor_dims(info, out->dims, out->rank), err, what);
}

// Takes the type. What is no tensor (a sequence, a map) gives TENSOR_OTHER of rank 0.
static bool take_type(const struct network *network, struct ort_type_info *type,
                      struct tensor_shape *out, struct err *err) {
    const struct ort_api *api = network->onnx->api;
    const struct ort_tensor_info *info = NULL;
    int kind;
    bool good = onnx_ok(api, api->type_kind(type, &kind), err, network->path);
    if (good && kind == ORT_KIND_TENSOR)
        good = onnx_ok(api, api->type_tensor_info(type, &info), err, network->path) &&
               onnx_read_shape(api, info, out, err, network->path);
    api->release_type_info(type);
    return good;
}

static bool read_input(struct network *network, struct err *err) {
    struct onnx *onnx = network->onnx;
    const struct ort_api *api = onnx->api;
    struct ort_type_info *type;
    size_t count;
    char *name;
    if (!onnx_ok(api, api->session_input_count(network->session, &count), err, network->path))
        return false;
    if (count != 1 && !network->folds_lines) // which has its own besides
        return err_set(err, ERR_INVALID, "%s takes %zu inputs; one picture is what we give it",
                       network->path, count);
    if (!onnx_ok(api, api->session_input_name(network->session, 0, onnx->allocator, &name), err,
                 network->path))
        return false;
    network->input_name = take_string(onnx, name);
    if (!onnx_ok(api, api->session_input_type(network->session, 0, &type), err, network->path) ||
        !take_type(network, type, &network->input, err))
        return false;
    if (network->takes_bytes) // an affair of ours: to others it is the network that the file says
        network->input.type = TENSOR_F32;
    if (network->input.type != TENSOR_F32 && network->input.type != TENSOR_F16)
        return err_set(err, ERR_INVALID, "%s wants its input as something else than floats",
                       network->path);
    return true;
}

static bool read_outputs(struct network *network, struct err *err) {
    struct onnx *onnx = network->onnx;
    const struct ort_api *api = onnx->api;
    size_t count;
    if (!onnx_ok(api, api->session_output_count(network->session, &count), err, network->path))
        return false;
    if (count > NETWORK_OUTPUTS_MAX)
        return err_set(err, ERR_INVALID, "%s has %zu outputs; at most %d are read", network->path,
                       count, NETWORK_OUTPUTS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct ort_type_info *type;
        char *name;
        if (!onnx_ok(api, api->session_output_name(network->session, i, onnx->allocator, &name),
                     err, network->path))
            return false;
        network->output_names[i] = take_string(onnx, name);
        network->outputs = i + 1;
        if (!onnx_ok(api, api->session_output_type(network->session, i, &type), err,
                     network->path) ||
            !take_type(network, type, &network->output[i], err))
            return false;
    }
    return true;
}

static bool set_options(const struct network *network, struct ort_session_options *options,
                        const struct network_options *wanted, struct err *err) {
    const struct ort_api *api = network->onnx->api;
    int threads = wanted && wanted->threads ? (int)wanted->threads : 1;
    const char *what = network->path;
    return onnx_ok(api, api->set_intra_op_threads(options, threads), err, what) &&
           onnx_ok(api, api->set_inter_op_threads(options, 1), err, what) &&
           onnx_ok(api, api->set_graph_optimization(options, ORT_OPTIMIZE_ALL), err, what) &&
           // Pictures differ in size from run to run: an arena and its patterns would only grow.
           onnx_ok(api, api->disable_cpu_mem_arena(options), err, what) &&
           onnx_ok(api, api->disable_mem_pattern(options), err, what) &&
           (!network->onnx->tensors.pool ||
            onnx_ok(api, api->add_session_config(options, "session.use_env_allocators", "1"), err,
                    what)) &&
           // Its threads wait for work in a busy loop; between runs the cores are ours.
           onnx_ok(api, api->add_session_config(options, "session.force_spinning_stop", "1"), err,
                   what);
}

static bool open_bytes(struct network *network, const struct ort_session_options *options,
                       const void *bytes, size_t length) {
    const struct ort_api *api = network->onnx->api;
    return onnx_ok(api,
                   api->create_session_from_array(network->onnx->env, bytes, length, options,
                                                  &network->session),
                   NULL, network->path);
}

enum { FILE_MOST = 256 << 20, EDITED_MOST = 2 * FILE_MOST };

// The new file takes the place of the old one.
static bool take_edited(struct buf *file, struct buf *edited, bool changed) {
    if (changed) {
        buf_fini(file);
        *file = *edited;
    } else {
        buf_fini(edited);
    }
    buf_init(edited, EDITED_MOST);
    return changed;
}

typedef bool edit_fn(struct buf *out, const uint8_t *bytes, size_t length);
typedef bool blocks_fn(struct buf *out, const uint8_t *bytes, size_t length, int block);

// Changes the file so that it needs less memory or time; false when it stays as it is. What depends
// on a kind of network comes last, and only one of it.
static bool edit_file(struct network *network, struct buf *file) {
    static edit_fn *const PLAIN[] = {onnx_edit_gates, onnx_edit_enlarge, onnx_edit_phases};
    static blocks_fn *const BLOCKED[] = {onnx_edit_channels, onnx_edit_sums};
    struct buf edited;
    buf_init(&edited, EDITED_MOST);
    bool changed = false;
    for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++)
        changed |=
            take_edited(file, &edited, PLAIN[i](&edited, (uint8_t *)file->data, file->length));
    for (size_t i = 0; i < sizeof BLOCKED / sizeof *BLOCKED; i++)
        changed |= take_edited(
            file, &edited, BLOCKED[i](&edited, (uint8_t *)file->data, file->length, onnx_block()));
    changed |= onnx_edit_order((uint8_t *)file->data, file->length);
    if (network->wants_bytes) {
        network->takes_bytes = take_edited(
            file, &edited,
            onnx_edit_pixels(&edited, (uint8_t *)file->data, file->length, &network->pixels));
        take_edited(file, &edited, onnx_edit_scales(&edited, (uint8_t *)file->data, file->length));
    } else if (network->wants_lines) {
        network->folds_lines = take_edited(
            file, &edited,
            onnx_edit_line(&edited, (uint8_t *)file->data, file->length, &network->line));
    }
    if (network->wants_classes)
        changed |= take_edited(file, &edited,
                               onnx_edit_classes(&edited, (uint8_t *)file->data, file->length));
    buf_fini(&edited);
    return changed || network->takes_bytes || network->folds_lines;
}

// Loads the changed file; false when it is to be loaded as it is.
static bool open_edited(struct network *network, const struct ort_session_options *options) {
    struct buf file;
    size_t length;
    char *bytes = path_read_file(network->path, FILE_MOST, &length, NULL);
    if (!bytes)
        return false;
    buf_init(&file, FILE_MOST);
    buf_add(&file, bytes, length);
    mem_free(bytes);
    bool good =
        edit_file(network, &file) && open_bytes(network, options, buf_bytes(&file), file.length);
    if (!good)
        network->takes_bytes = network->folds_lines = false;
    buf_fini(&file);
    return good;
}

static bool open_session(struct network *network, const struct network_options *wanted,
                         struct err *err) {
    const struct ort_api *api = network->onnx->api;
    struct ort_session_options *options = NULL;
    bool good =
        onnx_ok(api, api->create_session_options(&options), err, network->path) &&
        set_options(network, options, wanted, err) &&
        ((!(wanted && wanted->as_is) && open_edited(network, options)) ||
         onnx_ok(api,
                 api->create_session(network->onnx->env, network->path, options, &network->session),
                 err, network->path));
    if (options)
        api->release_session_options(options);
    return good;
}

struct network *network_load(struct onnx *onnx, const char *path,
                             const struct network_options *options, struct err *err) {
    struct network *network = mem_alloc(sizeof *network);
    network->onnx = onnx;
    network->path = path_expand(path);
    network->wants_lines = options && options->lines;
    network->wants_classes = options && options->classes;
    if (options && options->pixels) {
        network->wants_bytes = true;
        network->pixels = *options->pixels;
    }
    if (!open_session(network, options, err) ||
        !onnx_ok(onnx->api, onnx->api->session_metadata(network->session, &network->metadata), err,
                 network->path) ||
        !read_input(network, err) || !read_outputs(network, err)) {
        network_destroy(network);
        return NULL;
    }
    system_trim_memory(); // reading a file takes three times what is left of it
    return network;
}

void network_destroy(struct network *network) {
    if (!network)
        return;
    const struct ort_api *api = network->onnx->api;
    if (network->metadata)
        api->release_metadata(network->metadata);
    if (network->session)
        api->release_session(network->session);
    for (struct text *text = network->texts, *next; text; text = next) {
        next = text->next;
        mem_free(text->key);
        mem_free(text->value);
        mem_free(text);
    }
    for (size_t i = 0; i < network->outputs; i++)
        mem_free(network->output_names[i]);
    mem_free(network->input_name);
    mem_free(network->path);
    mem_free(network);
}

size_t network_outputs(const struct network *network) { return network->outputs; }

const char *network_output_name(const struct network *network, size_t index) {
    assert(index < network->outputs);
    return network->output_names[index];
}

struct tensor_shape network_input_shape(const struct network *network) {
    return network->input;
}

struct tensor_shape network_output_shape(const struct network *network, size_t index) {
    assert(index < network->outputs);
    return network->output[index];
}

const char *network_path(const struct network *network) { return network->path; }

const char *network_metadata(struct network *network, const char *key) {
    for (const struct text *text = network->texts; text; text = text->next)
        if (!strcmp(text->key, key))
            return text->value;
    struct onnx *onnx = network->onnx;
    char *value = NULL;
    if (!onnx_ok(onnx->api,
                 onnx->api->metadata_lookup(network->metadata, onnx->allocator, key, &value), NULL,
                 ""))
        return NULL;
    struct text *text = mem_alloc(sizeof *text);
    *text = (struct text){network->texts, mem_strdup(key), take_string(onnx, value)};
    network->texts = text;
    return text->value;
}
