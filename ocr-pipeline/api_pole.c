// POST /api/v41/ocr/poste/{id} and .../texto: the photos of one pole.
#include "api.h"
#include "base/mem.h"
#include "format/json.h"
#include "pole.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static void photo_name(const struct ask *ask, size_t index, char *out, size_t size) {
    const char *name = ask->tree ? pole_photo_name(ask->tree, index) : "";
    if (name[0])
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "imagem %zu", index + 1);
}

bool api_begin_pole(struct ask *ask) {
    struct err err = {0};
    if (ask->photo_count > 0)
        return true;
    err_set(&err, ERR_INVALID,
            "there is no photo in the request; send {\"imagens\": [\"BASE64\"]}, or one photo as "
            "the body (Content-Type: image/jpeg)");
    api_fail_ask(ask, &err);
    return false;
}

static json_t *photo_json(const struct ask *ask, size_t index) {
    const struct photo_read *photo = &ask->photos[index];
    char name[256];
    photo_name(ask, index, name, sizeof name);
    return photo->err.code ? report_error_json(name, &photo->err)
                           : report_json(name, &photo->reading);
}

static json_t *fields_json(const struct ask *ask, const struct reading **readings) {
    json_t *images = json_array();
    json_t *answer = pole_report(ask->api->pipeline, (double)ask->api->config->records_tolerance,
                                 ask->name, readings, ask->photo_count, &ask->records);
    for (size_t i = 0; i < ask->photo_count; i++)
        json_array_append_new(images, photo_json(ask, i));
    json_set(answer, "imagens", images);
    return answer;
}

// What stands on the pole itself: the plate's, the meter's and others' texts are left out.
static json_t *photo_text_json(const struct ask *ask, size_t index, struct buf *all) {
    const struct photo_read *photo = &ask->photos[index];
    char name[256];
    photo_name(ask, index, name, sizeof name);
    if (photo->err.code)
        return report_error_json(name, &photo->err);
    json_t *texts = json_array();
    for (size_t i = 0; i < photo->reading.page.count; i++) {
        if (photo->reading.classes[i] != TEXT_POLE)
            continue;
        json_array_append_new(texts, report_text_json(&photo->reading, i));
        buf_printf(all, "%s%s", all->length ? "\n" : "", photo->reading.page.lines[i].text);
    }
    return json_build("{s:s, s:o}", "file", name, "texts", texts);
}

static json_t *texts_json(const struct ask *ask) {
    struct buf all;
    buf_init(&all, 1 << 20);
    json_t *images = json_array();
    for (size_t i = 0; i < ask->photo_count; i++)
        json_array_append_new(images, photo_text_json(ask, i, &all));
    json_t *answer = json_build("{s:s, s:s, s:o}", "poste", ask->name, "texto", buf_text(&all),
                                "imagens", images);
    buf_fini(&all);
    return answer;
}

void api_answer_pole(struct ask *ask) {
    struct err err = {0};
    const struct reading **readings = ask_readings(ask, &err);
    if (!readings) { // not one could be read
        api_fail(ask->exchange, api_status(&err), report_code(&err), err.text);
        return;
    }
    api_reply(ask->exchange, 200,
              ask->route == ROUTE_POLE_TEXT ? texts_json(ask) : fields_json(ask, readings));
    mem_free(readings);
}
