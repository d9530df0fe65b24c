#include "base/mem.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

bool reading_fail(const struct reading *reading, const char *member, const char *why) {
    return err_set(reading->err, ERR_INVALID, "messages.%zu.content.%zu%s: %s", reading->message,
                   reading->block, member, why);
}

void content_add(json_t *content, const char *text) {
    if (text && *text)
        json_array_append_new(content, json_build("{s:s, s:s}", "type", "text", "text", text));
}

void content_take(json_t *content, char *text) {
    content_add(content, text);
    mem_free(text);
}

char *content_join(const json_t *content, const char *separator) {
    struct buf buf;
    buf_init(&buf, 2 * (size_t)MESSAGES_BODY_MAX);
    size_t i;
    json_t *block;
    json_array_foreach(content, i, block) {
        if (strcmp(json_get_text(block, "type", ""), "text") != 0)
            continue;
        if (buf.length > 0)
            buf_adds(&buf, separator);
        buf_adds(&buf, json_get_text(block, "text", ""));
    }
    char *text = mem_strdup(buf_text(&buf));
    buf_fini(&buf);
    return text;
}

static bool need_text(struct reading *reading, const json_t *block, const char *key,
                      const char *member) {
    const json_t *value = json_object_get(block, key);
    if (json_is_string(value))
        return true;
    return reading_fail(reading, member,
                        value ? "Input should be a valid string" : "Field required");
}

static bool read_text(struct reading *reading, const json_t *block, json_t *content) {
    if (!need_text(reading, block, "text", ".text"))
        return false;
    const char *text = json_get_text(block, "text", "");
    if (!is_token_note(text))
        content_add(content, text);
    return true;
}

static bool read_thinking(struct reading *reading, const json_t *block, json_t *content) {
    if (!need_text(reading, block, "thinking", ".thinking"))
        return false;
    const char *text = json_get_text(block, "thinking", "");
    if (reading->assistant && *text)
        json_array_append_new(content,
                              json_build("{s:s, s:s, s:s}", "type", "thinking", "thinking", text,
                                         "signature", json_get_text(block, "signature", "")));
    return true;
}

// An image that a model can be given; NULL when it is not one.
static json_t *image_of(const json_t *block) {
    const json_t *source = json_object_get(block, "source");
    const char *type = json_get_text(source, "type", ""), *data = json_get_text(source, "data", "");
    const char *url = json_get_text(source, "url", "");
    if (strcmp(type, "base64") == 0 && *data)
        return json_build("{s:s, s:{s:s, s:s, s:s}}", "type", "image", "source", "type", "base64",
                          "media_type", json_get_text(source, "media_type", "image/png"), "data",
                          data);
    if (strcmp(type, "url") == 0 && *url)
        return json_build("{s:s, s:{s:s, s:s}}", "type", "image", "source", "type", "url", "url",
                          url);
    return NULL;
}

static void read_image(struct reading *reading, const json_t *block, json_t *content) {
    json_t *image = reading->assistant ? NULL : image_of(block);
    if (!image) {
        words_of(reading, block, content);
        return;
    }
    reading->request->images = true;
    json_array_append_new(content, image);
}

// What the model said in place of an object goes the way of what Claude Code could not parse: the
// client hands it back as it got it, and a refusal would meet it again at every turn.
static json_t *input_of(const json_t *input) {
    if (!input || json_is_null(input))
        return json_object();
    if (json_is_object(input))
        return json_incref((json_t *)input);
    struct buf raw;
    buf_init(&raw, MESSAGES_BODY_MAX);
    if (json_is_string(input)) // an object in a string is what was meant
        buf_adds(&raw, json_string_value(input));
    else
        json_write(&raw, input);
    json_t *wrapped = json_build("{s:{s:s}}", "__unparsedToolInput", "raw", buf_text(&raw));
    buf_fini(&raw);
    return wrapped;
}

static bool read_call(struct reading *reading, const json_t *block, json_t *content) {
    if (!reading->assistant) {
        words_of(reading, block, content);
        return true;
    }
    if (!need_text(reading, block, "id", ".tool_use.id") ||
        !need_text(reading, block, "name", ".tool_use.name"))
        return false;
    json_array_append_new(content, json_build("{s:s, s:s, s:s, s:o}", "type", "tool_use", "id",
                                              json_get_text(block, "id", ""), "name",
                                              json_get_text(block, "name", ""), "input",
                                              input_of(json_object_get(block, "input"))));
    return true;
}

void content_read(struct reading *reading, const json_t *content, json_t *out) {
    if (json_is_string(content))
        content_add(out, json_string_value(content));
    size_t i;
    json_t *block;
    json_array_foreach(content, i, block) {
        const char *type = json_get_text(block, "type", "");
        if (strcmp(type, "text") == 0)
            content_add(out, json_get_text(block, "text", ""));
        else if (strcmp(type, "image") == 0)
            read_image(reading, block, out);
        else
            words_of(reading, block, out);
    }
}

static bool read_result(struct reading *reading, const json_t *block, json_t *content,
                        json_t *results) {
    if (reading->assistant) {
        words_of(reading, block, content);
        return true;
    }
    if (!need_text(reading, block, "tool_use_id", ".tool_result.tool_use_id"))
        return false;
    const json_t *given = json_object_get(block, "content");
    if (given && !json_is_string(given) && !json_is_array(given) && !json_is_null(given))
        return reading_fail(reading, ".tool_result.content", "Input should be a valid list");
    json_t *inner = json_array();
    content_read(reading, given, inner);
    json_t *result = json_build("{s:s, s:s, s:o}", "type", "tool_result", "tool_use_id",
                                json_get_text(block, "tool_use_id", ""), "content", inner);
    if (json_get_bool(block, "is_error", false))
        json_set(result, "is_error", json_true());
    json_array_append_new(results, result);
    return true;
}

bool block_read(struct reading *reading, const json_t *block, json_t *content, json_t *results) {
    if (!json_is_object(block))
        return reading_fail(reading, "", "Input should be a valid dictionary");
    if (++reading->blocks > MESSAGES_BLOCKS_MAX)
        return reading_fail(reading, "", "too many content blocks in one request");
    const json_t *tag = json_object_get(block, "type");
    if (!json_is_string(tag))
        return reading_fail(reading, ".type",
                            tag ? "Input should be a valid string" : "Field required");
    const char *type = json_string_value(tag);
    if (strcmp(type, "text") == 0)
        return read_text(reading, block, content);
    if (strcmp(type, "thinking") == 0)
        return read_thinking(reading, block, content);
    if (strcmp(type, "tool_use") == 0)
        return read_call(reading, block, content);
    if (strcmp(type, "tool_result") == 0)
        return read_result(reading, block, content, results);
    if (strcmp(type, "image") == 0)
        read_image(reading, block, content);
    else if (strcmp(type, "redacted_thinking") != 0)
        words_of(reading, block, content);
    return true;
}
