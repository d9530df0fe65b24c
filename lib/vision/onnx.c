#include "vision/onnx.h"

#include "base/mem.h"
#include "base/path.h"
#include "vision/half.h"
#include "vision/onnx_api.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct onnx {
    void *library;
    char *path;
    const char *version; // the library's
    const struct ort_api *api;
    struct ort_env *env;
    struct ort_memory_info *memory;
    struct ort_allocator *allocator; // the library's
};

struct network {
    struct onnx *onnx;
    char *path;
    struct ort_session *session;
    struct ort_metadata *metadata;
    char *input_name;
    struct tensor_shape input;
    size_t outputs;
    char *output_names[NETWORK_OUTPUTS_MAX];
    struct tensor_shape output[NETWORK_OUTPUTS_MAX];
    // Texts of the metadata that were asked for; few, so a list will do.
    struct text *texts;
};

struct text {
    struct text *next;
    char *key, *value;
};

// Takes the status; true when there is none.
static bool ok(const struct ort_api *api, struct ort_status *status, struct err *err,
               const char *what) {
    if (!status)
        return true;
    enum err_code code = ERR_SYSTEM;
    switch (api->get_error_code(status)) {
    case ORT_NO_SUCHFILE: code = ERR_NOTFOUND; break;
    case ORT_INVALID_ARGUMENT:
    case ORT_INVALID_PROTOBUF:
    case ORT_INVALID_GRAPH: code = ERR_INVALID; break;
    }
    err_set(err, code, "%s: %s", what, api->get_error_message(status));
    api->release_status(status);
    return false;
}

// What set-up unpacked (tools/get-ocr), wherever the cache is.
static char *fetched_library(void) {
    char *path = path_cache("ocr/libonnxruntime.so");
    if (access(path, R_OK) == 0)
        return path;
    mem_free(path);
    return NULL;
}

static char *choose_library(const char *path) {
    if (path)
        return path_expand(path);
    const char *wanted = getenv("OCR_ONNXRUNTIME");
    if (wanted && *wanted)
        return path_expand(wanted);
    char *fetched = fetched_library();
    return fetched ? fetched : mem_strdup("libonnxruntime.so.1");
}

static bool find_api(struct onnx *onnx, struct err *err) {
    const struct ort_api_base *(*get_base)(void);
    void *symbol = dlsym(onnx->library, "OrtGetApiBase");
    if (!symbol)
        return err_set(err, ERR_INVALID, "%s is not ONNX Runtime: it has no OrtGetApiBase",
                       onnx->path);
    memcpy(&get_base, &symbol, sizeof symbol); // POSIX's way to a function pointer
    const struct ort_api_base *base = get_base();
    onnx->version = base->version();
    onnx->api = base->get_api(ORT_API_ASKED);
    return onnx->api || err_set(err, ERR_INVALID, "%s is ONNX Runtime %s; 1.%d or later is needed",
                                onnx->path, onnx->version, ORT_API_ASKED);
}

static bool open_environment(struct onnx *onnx, struct err *err) {
    const struct ort_api *api = onnx->api;
    // Its log goes to stderr and repeats what the statuses say.
    return ok(api, api->create_env(ORT_LOG_FATAL, "ancalagon", &onnx->env), err, onnx->path) &&
           ok(api, api->disable_telemetry_events(onnx->env), err, onnx->path) &&
           ok(api,
              api->create_cpu_memory_info(ORT_DEVICE_ALLOCATOR, ORT_MEMORY_DEFAULT, &onnx->memory),
              err, onnx->path) &&
           ok(api, api->default_allocator(&onnx->allocator), err, onnx->path);
}

struct onnx *onnx_open(const char *path, struct err *err) {
    struct onnx *onnx = mem_alloc(sizeof *onnx);
    onnx->path = choose_library(path);
    onnx->library = dlopen(onnx->path, RTLD_NOW | RTLD_LOCAL);
    if (!onnx->library) {
        err_set(err, ERR_NOTFOUND,
                "no ONNX Runtime: %s. tools/get-ocr fetches it, or set OCR_ONNXRUNTIME", dlerror());
        onnx_close(onnx);
        return NULL;
    }
    if (!find_api(onnx, err) || !open_environment(onnx, err)) {
        onnx_close(onnx);
        return NULL;
    }
    return onnx;
}

void onnx_close(struct onnx *onnx) {
    if (!onnx)
        return;
    if (onnx->memory)
        onnx->api->release_memory_info(onnx->memory);
    if (onnx->env)
        onnx->api->release_env(onnx->env);
    if (onnx->library)
        dlclose(onnx->library);
    mem_free(onnx->path);
    mem_free(onnx);
}

const char *onnx_version(const struct onnx *onnx) { return onnx->version; }
const char *onnx_path(const struct onnx *onnx) { return onnx->path; }

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

static bool read_shape(const struct ort_api *api, const struct ort_tensor_info *info,
                       struct tensor_shape *out, struct err *err, const char *what) {
    int element;
    if (!ok(api, api->tensor_element(info, &element), err, what) ||
        !ok(api, api->tensor_rank(info, &out->rank), err, what))
        return false;
    if (out->rank > TENSOR_RANK_MAX)
        return err_set(err, ERR_INVALID, "%s: a tensor has %zu dimensions; at most %d are read",
                       what, out->rank, TENSOR_RANK_MAX);
    out->type = element == ORT_ELEMENT_F32   ? TENSOR_F32
                : element == ORT_ELEMENT_F16 ? TENSOR_F16
                : element == ORT_ELEMENT_I64 ? TENSOR_I64
                                             : TENSOR_OTHER;
    return ok(api, api->tensor_dims(info, out->dims, out->rank), err, what);
}

// Takes the type. What is no tensor (a sequence, a map) gives TENSOR_OTHER of rank 0.
static bool take_type(const struct network *network, struct ort_type_info *type,
                      struct tensor_shape *out, struct err *err) {
    const struct ort_api *api = network->onnx->api;
    const struct ort_tensor_info *info = NULL;
    int kind;
    bool good = ok(api, api->type_kind(type, &kind), err, network->path);
    if (good && kind == ORT_KIND_TENSOR)
        good = ok(api, api->type_tensor_info(type, &info), err, network->path) &&
               read_shape(api, info, out, err, network->path);
    api->release_type_info(type);
    return good;
}

static bool read_input(struct network *network, struct err *err) {
    struct onnx *onnx = network->onnx;
    const struct ort_api *api = onnx->api;
    struct ort_type_info *type;
    size_t count;
    char *name;
    if (!ok(api, api->session_input_count(network->session, &count), err, network->path))
        return false;
    if (count != 1)
        return err_set(err, ERR_INVALID, "%s takes %zu inputs; one picture is what we give it",
                       network->path, count);
    if (!ok(api, api->session_input_name(network->session, 0, onnx->allocator, &name), err,
            network->path))
        return false;
    network->input_name = take_string(onnx, name);
    if (!ok(api, api->session_input_type(network->session, 0, &type), err, network->path) ||
        !take_type(network, type, &network->input, err))
        return false;
    if (network->input.type != TENSOR_F32 && network->input.type != TENSOR_F16)
        return err_set(err, ERR_INVALID, "%s wants its input as something else than floats",
                       network->path);
    return true;
}

static bool read_outputs(struct network *network, struct err *err) {
    struct onnx *onnx = network->onnx;
    const struct ort_api *api = onnx->api;
    size_t count;
    if (!ok(api, api->session_output_count(network->session, &count), err, network->path))
        return false;
    if (count > NETWORK_OUTPUTS_MAX)
        return err_set(err, ERR_INVALID, "%s has %zu outputs; at most %d are read", network->path,
                       count, NETWORK_OUTPUTS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct ort_type_info *type;
        char *name;
        if (!ok(api, api->session_output_name(network->session, i, onnx->allocator, &name), err,
                network->path))
            return false;
        network->output_names[i] = take_string(onnx, name);
        network->outputs = i + 1;
        if (!ok(api, api->session_output_type(network->session, i, &type), err, network->path) ||
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
    return ok(api, api->set_intra_op_threads(options, threads), err, what) &&
           ok(api, api->set_inter_op_threads(options, 1), err, what) &&
           ok(api, api->set_graph_optimization(options, ORT_OPTIMIZE_ALL), err, what) &&
           // Pictures differ in size from run to run: an arena and its patterns would only grow.
           ok(api, api->disable_cpu_mem_arena(options), err, what) &&
           ok(api, api->disable_mem_pattern(options), err, what) &&
           // Its threads wait for work in a busy loop; between runs the cores are ours.
           ok(api, api->add_session_config(options, "session.force_spinning_stop", "1"), err, what);
}

static bool open_session(struct network *network, const struct network_options *wanted,
                         struct err *err) {
    const struct ort_api *api = network->onnx->api;
    struct ort_session_options *options = NULL;
    bool good =
        ok(api, api->create_session_options(&options), err, network->path) &&
        set_options(network, options, wanted, err) &&
        ok(api, api->create_session(network->onnx->env, network->path, options, &network->session),
           err, network->path);
    if (options)
        api->release_session_options(options);
    return good;
}

struct network *network_load(struct onnx *onnx, const char *path,
                             const struct network_options *options, struct err *err) {
    struct network *network = mem_alloc(sizeof *network);
    network->onnx = onnx;
    network->path = path_expand(path);
    if (!open_session(network, options, err) ||
        !ok(onnx->api, onnx->api->session_metadata(network->session, &network->metadata), err,
            network->path) ||
        !read_input(network, err) || !read_outputs(network, err)) {
        network_destroy(network);
        return NULL;
    }
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
    if (!ok(onnx->api, onnx->api->metadata_lookup(network->metadata, onnx->allocator, key, &value),
            NULL, ""))
        return NULL;
    struct text *text = mem_alloc(sizeof *text);
    *text = (struct text){network->texts, mem_strdup(key), take_string(onnx, value)};
    network->texts = text;
    return text->value;
}

// What the runtime gave, and what was converted from it.
struct run {
    const struct ort_api *api;
    struct ort_value *input;
    uint16_t *halves; // the input, when the network wants halves
    struct ort_value *values[NETWORK_OUTPUTS_MAX];
    float *floats[NETWORK_OUTPUTS_MAX];
};

static void run_destroy(struct run *run) {
    if (run->input)
        run->api->release_value(run->input);
    mem_free(run->halves);
    for (size_t i = 0; i < NETWORK_OUTPUTS_MAX; i++) {
        if (run->values[i])
            run->api->release_value(run->values[i]);
        mem_free(run->floats[i]);
    }
    mem_free(run);
}

// Elements of a shape whose dimensions are all known; false when they pass the address space.
static bool count_elements(const int64_t *dims, size_t rank, size_t *count) {
    *count = 1;
    for (size_t i = 0; i < rank; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(*count, (size_t)dims[i], count))
            return false;
    return *count <= SIZE_MAX / sizeof(float);
}

static bool make_input(const struct network *network, struct run *run, const float *input,
                       const int64_t *dims, size_t rank, struct err *err) {
    const struct ort_api *api = run->api;
    size_t count;
    if (rank > TENSOR_RANK_MAX || !count_elements(dims, rank, &count) || count == 0)
        return err_set(err, ERR_INVALID, "%s: an input of this shape cannot be", network->path);
    int element = ORT_ELEMENT_F32;
    size_t bytes = count * sizeof(float);
    void *data = (void *)input; // the runtime only reads it
    if (network->input.type == TENSOR_F16) {
        element = ORT_ELEMENT_F16;
        bytes = count * sizeof(uint16_t);
        data = run->halves = mem_alloc(bytes);
        half_from_floats(run->halves, input, count);
    }
    return ok(
        api,
        api->create_tensor(network->onnx->memory, data, bytes, dims, rank, element, &run->input),
        err, network->path);
}

static bool read_output(const struct network *network, struct run *run, size_t index,
                        struct tensors *out, struct err *err) {
    const struct ort_api *api = run->api;
    struct ort_tensor_info *info = NULL;
    struct tensor_shape *shape = &out->shapes[index];
    int tensor = 0;
    void *data = NULL;
    size_t count;
    if (!run->values[index] ||
        !ok(api, api->is_tensor(run->values[index], &tensor), err, network->path))
        return false;
    if (!tensor)
        return true;
    if (!ok(api, api->value_tensor_info(run->values[index], &info), err, network->path))
        return false;
    bool good = read_shape(api, info, shape, err, network->path);
    api->release_tensor_info(info);
    if (!good || !count_elements(shape->dims, shape->rank, &count))
        return false;
    if (shape->type != TENSOR_F32 && shape->type != TENSOR_F16)
        return true;
    if (!ok(api, api->tensor_data(run->values[index], &data), err, network->path))
        return false;
    out->values[index] = data;
    if (shape->type == TENSOR_F16) {
        out->values[index] = run->floats[index] = mem_alloc((count ? count : 1) * sizeof(float));
        half_to_floats(run->floats[index], data, count);
    }
    return true;
}

bool network_run(struct network *network, const float *input, const int64_t *dims, size_t rank,
                 struct tensors *out, struct err *err) {
    const struct ort_api *api = network->onnx->api;
    struct run *run = mem_alloc(sizeof *run);
    *out = (struct tensors){.count = network->outputs, .owner = run};
    run->api = api;
    const char *names[] = {network->input_name};
    bool good = make_input(network, run, input, dims, rank, err);
    if (good) {
        const struct ort_value *inputs[] = {run->input};
        good =
            ok(api,
               api->run(network->session, NULL, names, inputs, 1,
                        (const char *const *)network->output_names, network->outputs, run->values),
               err, network->path);
    }
    for (size_t i = 0; good && i < network->outputs; i++)
        good = read_output(network, run, i, out, err);
    if (!good)
        tensors_fini(out);
    return good;
}

void tensors_fini(struct tensors *tensors) {
    if (tensors->owner)
        run_destroy(tensors->owner);
    *tensors = (struct tensors){0};
}
