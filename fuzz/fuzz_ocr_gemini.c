// Google's requests, whatever is in them: a schema of any kind gets an answer that can be written.
#include "base/buf.h"
#include "body.h"
#include "format/json.h"
#include "gemini.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static bool on_image(void *arg, size_t index, const void *bytes, size_t length, bool complete,
                     struct err *err) {
    (void)arg, (void)index, (void)bytes, (void)length, (void)complete, (void)err;
    return true;
}

static const struct body_ops ops = {gemini_is_image, on_image};

static const char PLATE[] =
    "{\"potencia_kva\":112.5,\"fabricante\":\"WEG\",\"numero_serie\":\"12/3\",\"fases\":3,"
    "\"autoprotegido\":null,\"tensao_primaria_v\":13800,\"_needs_review\":false}";

static void answer(const struct gemini_request *request) {
    static json_t *plate;
    struct gemini_usage usage = {0};
    struct buf text, all;
    if (!plate)
        plate = json_loads(PLATE, 0, NULL);
    buf_init(&text, 1 << 22);
    buf_init(&all, 1 << 24);
    json_t *shaped = gemini_shape(request->schema, plate);
    assert(shaped && json_write(&text, shaped));
    json_t *whole = gemini_answer(buf_text(&text), "STOP", "m", "id", &usage);
    assert(whole && json_write(&all, whole));
    json_decref(whole);
    json_decref(shaped);
    buf_fini(&text);
    buf_fini(&all);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct body_limits limits = {
        .tree_bytes = 1 << 20, .images = GEMINI_IMAGES_MAX, .image_bytes = 4096};
    struct gemini_request request;
    struct gemini_fault fault;
    struct err err = {0};
    struct body *body = body_create(&limits, &ops, NULL);
    json_t *tree = body_feed(body, (const char *)data, length, &err) ? body_end(body, &err) : NULL;
    assert(tree || err.text[0]);
    if (tree && gemini_read(&request, tree, &fault)) {
        answer(&request);
    } else if (tree) {
        json_t *error = gemini_error(&fault);
        assert(fault.status == 400 && fault.text[0] && error);
        json_decref(error);
    }
    json_decref(tree);
    body_destroy(body);
    return 0;
}
