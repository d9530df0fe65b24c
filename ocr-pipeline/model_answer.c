#define _GNU_SOURCE
#include "model_answer.h"

#include "base/mem.h"
#include "base/str.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

enum { SAID_MAX = 160 };

// --- Errors

// How CUDA, ROCm, Vulkan, Metal, ggml and those who run them say that a GPU is lost or stuck.
static bool is_of_gpu(const char *text) {
    static const char *const WORDS[] = {
        "cuda", "cublas",      "gpu",        "rocm",          "hip error",        "hiperror",
        "vk::", "device lost", "devicelost", "out of memory", "fell off the bus", "ggml_",
    };
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strcasestr(text, WORDS[i]))
            return true;
    return false;
}

// {"error": {"message"}}, {"error": "..."}, {"message"}; else the bytes themselves.
static void message_of(const char *body, size_t length, char *out, size_t size) {
    json_t *tree = json_parse_mended(body, length, 0, 0, NULL);
    json_t *error = json_object_get(tree, "error");
    const char *text = json_is_string(error) ? json_string_value(error)
                       : error               ? json_get_text(error, "message", "")
                                             : json_get_text(tree, "message", "");
    if (tree)
        snprintf(out, size, "%s", text);
    else
        snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), length ? body : "");
    for (char *c = out; *c; c++)
        *c = (unsigned char)*c < ' ' ? ' ' : *c;
    json_decref(tree);
}

void model_answer_error(unsigned status, const char *body, size_t length, struct err *err) {
    char said[1024];
    message_of(body, length, said, sizeof said);
    // What a gateway says when its server does not answer it.
    bool hang = status == 504 || (status >= 500 && is_of_gpu(said));
    if (status == 401 || status == 403)
        err_set(err, ERR_UNAVAILABLE, "it wants another key (status %u)", status);
    else
        err_set(err, hang ? ERR_HANG : ERR_UNAVAILABLE, "status %u%s%.*s", status,
                said[0] ? ": " : "", SAID_MAX, said);
}

// --- Answers

// Content is a text, or a list of parts with texts.
static char *content_of(const json_t *message) {
    const json_t *content = json_object_get(message, "content");
    if (json_is_string(content))
        return mem_strdup(json_get_text(message, "content", ""));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const char *text = json_get_text(json_array_get(content, i), "text", NULL);
        if (text)
            return mem_strdup(text);
    }
    return NULL;
}

// Everything up to the last "</think>"; of a thought without end, everything.
static const char *without_thought(const char *text) {
    const char *end;
    while ((end = strstr(text, "</think>")))
        text = end + strlen("</think>");
    text += strspn(text, " \t\r\n");
    return str_starts(text, "<think>") ? "" : text;
}

// "```json\n...\n```": the first fence's content, when the text begins with one.
static char *without_fence(const char *text) {
    if (!str_starts(text, "```"))
        return mem_strdup(text);
    text += strcspn(text, "\n");
    text += *text == '\n';
    const char *end = strstr(text, "```");
    return mem_strndup(text, end ? (size_t)(end - text) : strlen(text));
}

static bool is_blank(const char *text) { return text[strspn(text, " \t\r\n")] == '\0'; }

char *model_answer_text(const char *body, size_t length, struct err *err) {
    json_t *tree = json_parse_mended(body, length, 0, 0, NULL);
    const json_t *choice = json_array_get(json_object_get(tree, "choices"), 0);
    char *content = content_of(json_object_get(choice, "message")), *text = NULL;
    bool cut = strcmp(json_get_text(choice, "finish_reason", ""), "length") == 0;
    if (!choice && json_object_get(tree, "error"))
        model_answer_error(500, body, length, err);
    else if (!content)
        err_set(err, ERR_GARBLED, "its answer is no chat completion");
    else if (cut)
        err_set(err, ERR_GARBLED, "its answer was cut off; let it write more tokens");
    else
        text = without_fence(without_thought(content));
    if (text && is_blank(text)) {
        err_set(err, ERR_GARBLED, "it answered nothing");
        mem_free(text);
        text = NULL;
    }
    mem_free(content);
    json_decref(tree);
    return text;
}

json_t *model_answer_json(const char *text) {
    const char *begin = text + strcspn(text, "{[");
    const char *last = strrchr(begin, *begin == '{' ? '}' : ']');
    return *begin && last ? json_parse_mended(begin, (size_t)(last - begin) + 1, 0, 0, NULL) : NULL;
}

// --- Models

static bool is_model(const char *listed, const char *wanted) {
    size_t length = strlen(wanted);
    return strncmp(listed, wanted, length) == 0 &&
           (!listed[length] || strcmp(listed + length, ":latest") == 0);
}

bool model_answer_lists(const char *body, size_t length, const char *model) {
    json_t *tree = json_parse_mended(body, length, 0, 0, NULL);
    const json_t *data = json_object_get(tree, "data");
    bool found = false;
    for (size_t i = 0; i < json_array_size(data) && !found; i++)
        found = is_model(json_get_text(json_array_get(data, i), "id", ""), model);
    json_decref(tree);
    return found;
}
