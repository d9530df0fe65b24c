#include "vision/onnx_private.h"

#include "base/mem.h"
#include "base/path.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The most that all networks together may use: far above what photos need, and an end to what a
// hostile file can ask for.
#define POOL_BYTES ((size_t)4 << 30)

bool onnx_ok(const struct ort_api *api, struct ort_status *status, struct err *err,
             const char *what) {
    if (!status)
        return true;
    enum err_code code = ERR_SYSTEM;
    switch (api->get_error_code(status)) {
    case ORT_CODE_NO_SUCHFILE: code = ERR_NOTFOUND; break;
    case ORT_CODE_INVALID_ARGUMENT:
    case ORT_CODE_INVALID_PROTOBUF:
    case ORT_CODE_INVALID_GRAPH: code = ERR_INVALID; break;
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
    return onnx_ok(api, api->create_env(ORT_LOG_FATAL, "ancalagon", &onnx->env), err, onnx->path) &&
           onnx_ok(api, api->disable_telemetry_events(onnx->env), err, onnx->path) &&
           onnx_ok(
               api,
               api->create_cpu_memory_info(ORT_DEVICE_ALLOCATOR, ORT_MEMORY_DEFAULT, &onnx->memory),
               err, onnx->path) &&
           onnx_ok(api, api->default_allocator(&onnx->allocator), err, onnx->path);
}

static void *pool_alloc(struct ort_allocator *self, size_t bytes) {
    return tensor_pool_get(((struct pool_allocator *)self)->pool, bytes);
}

static void pool_free(struct ort_allocator *self, void *block) {
    tensor_pool_put(((struct pool_allocator *)self)->pool, block);
}

static const struct ort_memory_info *pool_info(const struct ort_allocator *self) {
    return ((const struct pool_allocator *)self)->memory;
}

// Gives tensors a place of their own. There is one environment in a process: a second `struct onnx`
// finds the first one's pool registered and does without.
static void open_pool(struct onnx *onnx) {
    const struct ort_api *api = onnx->api;
    struct tensor_pool *pool = tensor_pool_create(POOL_BYTES);
    if (!pool)
        return;
    onnx->tensors = (struct pool_allocator){
        {ORT_API_ASKED, pool_alloc, pool_free, pool_info}, pool, onnx->memory};
    if (!onnx_ok(api, api->register_allocator(onnx->env, &onnx->tensors.face), NULL, "")) {
        tensor_pool_destroy(pool);
        onnx->tensors.pool = NULL;
    }
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
    open_pool(onnx);
    return onnx;
}

void onnx_close(struct onnx *onnx) {
    if (!onnx)
        return;
    if (onnx->tensors.pool)
        onnx_ok(onnx->api, onnx->api->unregister_allocator(onnx->env, onnx->memory), NULL, "");
    tensor_pool_destroy(onnx->tensors.pool);
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

struct onnx_use onnx_use(const struct onnx *onnx) {
    if (!onnx->tensors.pool)
        return (struct onnx_use){0};
    struct tensor_pool_use use = tensor_pool_use(onnx->tensors.pool);
    return (struct onnx_use){use.now_bytes, use.most_bytes, use.warm_bytes};
}
