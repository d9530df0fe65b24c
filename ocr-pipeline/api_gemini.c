// Google's generateContent over our pipeline.
#include "api.h"
#include "base/mem.h"
#include "format/json.h"
#include "gemini.h"
#include "pole_report.h"
#include "report.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { IMAGE_TOKENS = 258, BYTES_A_TOKEN = 4, ANSWER_MAX = 1 << 20 }; // as Google counts an image

static void fail(struct ask *ask, const struct gemini_fault *fault) {
    struct http_exchange *exchange = ask->exchange;
    ask_destroy(ask);
    api_reply(exchange, fault->status, gemini_error(fault));
}

// The list of models is one: whatever name a client writes into its path is answered, as its own.
static json_t *model_json(const char *name) {
    return json_build("{s:o, s:s, s:s, s:s, s:i, s:i, s:[s, s, s]}", "name", json_text(name),
                      "version", ANCALAGON_VERSION, "displayName", "ocr-pipeline", "description",
                      "Reads transformer nameplates", "inputTokenLimit", 1048576,
                      "outputTokenLimit", 8192, "supportedGenerationMethods", "generateContent",
                      "streamGenerateContent", "countTokens");
}

void api_models(struct http_exchange *exchange, enum route route, const char *name) {
    if (route == ROUTE_MODELS) {
        api_reply(exchange, 200,
                  json_build("{s:[o]}", "models", model_json("models/ocr-pipeline")));
        return;
    }
    char *full = mem_printf("models/%s", name);
    api_reply(exchange, 200, model_json(full));
    mem_free(full);
}

static struct gemini_usage usage_of(const struct gemini_request *request) {
    return (struct gemini_usage){
        .prompt_tokens = (long long)(request->text_bytes / BYTES_A_TOKEN),
        .image_tokens = (long long)request->image_count * IMAGE_TOKENS,
    };
}

static void answer_count(struct ask *ask, const struct gemini_request *request) {
    struct http_exchange *exchange = ask->exchange;
    struct gemini_usage usage = usage_of(request);
    ask_destroy(ask);
    api_reply(exchange, 200,
              json_build("{s:I, s:[{s:s, s:I}, {s:s, s:I}]}", "totalTokens",
                         (json_int_t)(usage.prompt_tokens + usage.image_tokens),
                         "promptTokensDetails", "modality", "TEXT", "tokenCount",
                         (json_int_t)usage.prompt_tokens, "modality", "IMAGE", "tokenCount",
                         (json_int_t)usage.image_tokens));
}

bool api_begin_gemini(struct ask *ask) {
    struct gemini_request request;
    struct gemini_fault fault;
    // countTokens may wrap the whole request.
    const json_t *wrapped = json_object_get(ask->tree, "generateContentRequest");
    if (!gemini_read(&request, wrapped ? wrapped : ask->tree, &fault)) {
        fail(ask, &fault);
        return false;
    }
    if (ask->route == ROUTE_COUNT) {
        answer_count(ask, &request);
        return false;
    }
    return true;
}

static void make_id(char id[25]) {
    unsigned char random[12] = {0};
    if (getentropy(random, sizeof random) != 0)
        memset(random, 0, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(id + 2 * i, 3, "%02x", random[i]);
}

static json_t *answer_of(struct ask *ask, const struct gemini_request *request,
                         const struct reading **readings) {
    struct plate plate;
    struct buf text;
    char id[25];
    pole_plate(ask->api->pipeline, readings, ask->photo_count, &plate);
    json_t *whole = plate_json(&plate), *stages = json_array();
    for (size_t i = 0; i < ask->photo_count; i++)
        if (readings[i])
            json_array_append_new(stages, stages_json(&readings[i]->stages));
    json_set(whole, "_stages", stages);
    json_t *shaped = gemini_shape(request->schema, whole);
    buf_init(&text, ANSWER_MAX);
    json_write(&text, shaped);
    struct gemini_usage usage = usage_of(request);
    usage.answer_tokens = (long long)(text.length / BYTES_A_TOKEN);
    make_id(id);
    json_t *answer = gemini_answer(buf_text(&text), "STOP", ask->name, id, &usage);
    json_decref(whole);
    json_decref(shaped);
    buf_fini(&text);
    return answer;
}

// The whole answer is one event: it is there at once, or not at all. Without alt=sse it is a list.
static void reply_stream(struct http_exchange *exchange, json_t *answer) {
    char alt[8] = "";
    struct buf body;
    bool events = http_head_query(http_exchange_head(exchange), "alt", alt, sizeof alt) &&
                  strcmp(alt, "sse") == 0;
    buf_init(&body, ANSWER_MAX * 2);
    buf_adds(&body, events ? "data: " : "[");
    json_write(&body, answer);
    buf_adds(&body, events ? "\r\n\r\n" : "]");
    http_reply(exchange, 200, events ? "text/event-stream" : "application/json", NULL,
               buf_bytes(&body), body.length);
    buf_fini(&body);
    json_decref(answer);
}

// The first photo's fault, where in the request it is; a model's fault is no photo's.
static void reply_unreadable(struct ask *ask, const struct gemini_request *request,
                             const struct err *err) {
    struct gemini_fault fault = {.status = api_status(err)};
    if (err->code == ERR_INVALID || err->code == ERR_LIMIT) {
        fault.status = 400;
        snprintf(fault.field, sizeof fault.field, "inlineData.data");
    }
    if (models_are_to_blame(err))
        snprintf(fault.text, sizeof fault.text, "%s: %.280s", report_code(err), err->text);
    else
        snprintf(fault.text, sizeof fault.text, "Unable to process input image: %.250s", err->text);
    api_reply(ask->exchange, fault.status, gemini_error_with(&fault, report_code(err)));
}

void api_answer_gemini(struct ask *ask) {
    struct gemini_request request;
    struct gemini_fault fault;
    struct err err = {0};
    gemini_read(&request, ask->tree, &fault); // as it was when the ask began
    const struct reading **readings = ask_readings(ask, &err);
    if (!readings) {
        reply_unreadable(ask, &request, &err);
        return;
    }
    json_t *answer = answer_of(ask, &request, readings);
    mem_free(readings);
    if (ask->route == ROUTE_STREAM)
        reply_stream(ask->exchange, answer);
    else
        api_reply(ask->exchange, 200, answer);
}
