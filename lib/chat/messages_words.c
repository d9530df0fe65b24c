#include "base/mem.h"
#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

// Compact JSON of a value; mem_free.
static char *json_words(const json_t *value) {
    struct buf buf;
    buf_init(&buf, MESSAGES_BODY_MAX);
    if (value)
        json_write(&buf, value);
    char *text = mem_strdup(buf_text(&buf));
    buf_fini(&buf);
    return text;
}

// Text and images within a block, whatever they hang from.
static void inner_words(struct reading *reading, const json_t *content, json_t *out) {
    if (json_is_string(content) || json_is_array(content))
        content_read(reading, content, out);
}

static void document_words(struct reading *reading, const json_t *block, json_t *out) {
    const json_t *source = json_object_get(block, "source");
    const char *type = json_get_text(source, "type", ""),
               *title = json_get_text(block, "title", "");
    const char *note = json_get_text(block, "context", "");
    bool named = *title || *note;
    if (strcmp(type, "text") == 0) {
        content_take(out, mem_printf("[document%s%s%s%s]\n%s", named ? ": " : "", title,
                                     *title && *note ? ", " : "", note,
                                     json_get_text(source, "data", "")));
    } else if (strcmp(type, "content") == 0) {
        content_take(out, mem_printf("[document%s%s%s%s]", named ? ": " : "", title,
                                     *title && *note ? ", " : "", note));
        inner_words(reading, json_object_get(source, "content"), out);
    } else {
        const char *url = json_get_text(source, "url", json_get_text(source, "file_id", ""));
        const char *kind = json_get_text(source, "media_type", *type ? type : "unknown kind");
        content_take(out, mem_printf("[A document was left out, since this model cannot read it: "
                                     "%s%s%s%s%s]",
                                     title, *title ? ", " : "", kind, *url ? ", " : "", url));
    }
}

static void image_words(struct reading *reading, const json_t *block, json_t *out) {
    const json_t *source = json_object_get(block, "source");
    content_take(out, mem_printf("[An image was left out: %s %s]",
                                 json_get_text(source, "type", "no source"),
                                 json_get_text(source, "file_id", "")));
}

static void search_result_words(struct reading *reading, const json_t *block, json_t *out) {
    content_take(out,
                 mem_printf("[search result: %s, %s]", json_get_text(block, "title", "no title"),
                            json_get_text(block, "source", "no source")));
    inner_words(reading, json_object_get(block, "content"), out);
}

static void call_words(struct reading *reading, const json_t *block, json_t *out) {
    char *input = json_words(json_object_get(block, "input"));
    content_take(out, mem_printf("[The tool %s was called%s with: %s]",
                                 json_get_text(block, "name", "without a name"),
                                 str_starts(json_get_text(block, "type", ""), "tool_use")
                                     ? ""
                                     : " on another server",
                                 input));
    mem_free(input);
}

static void tool_reference_words(struct reading *reading, const json_t *block, json_t *out) {
    content_take(out, mem_printf("[The tool %s can be called now.]",
                                 json_get_text(block, "tool_name", "without a name")));
}

static void upload_words(struct reading *reading, const json_t *block, json_t *out) {
    content_take(out, mem_printf("[A file was uploaded where this model cannot read it: %s]",
                                 json_get_text(block, "file_id", "no name")));
}

// Results of server tools: the readable parts of them, by the names that the API gives these.
static void found_words(struct reading *reading, const json_t *found, json_t *out) {
    static const char *const members[] = {"title",       "url",     "source",
                                          "error_code",  "stdout",  "stderr",
                                          "return_code", "file_id", "tool_name"};
    struct buf line;
    buf_init(&line, MESSAGES_BODY_MAX);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const json_t *value = json_object_get(found, members[i]);
        if (!json_is_string(value) && !json_is_integer(value))
            continue;
        char *number = json_is_integer(value) ? json_words(value) : NULL;
        buf_printf(&line, "%s%s: %s", line.length > 0 ? "\n" : "", members[i],
                   number ? number : json_string_value(value));
        mem_free(number);
    }
    content_add(out, buf_text(&line));
    buf_fini(&line);
}

static void server_result_words(struct reading *reading, const json_t *block, json_t *out) {
    const json_t *content = json_object_get(block, "content");
    content_take(out, mem_printf("[%s]", json_get_text(block, "type", "")));
    size_t i;
    json_t *found;
    if (json_is_string(content))
        content_add(out, json_string_value(content));
    json_array_foreach(content, i, found) {
        if (strcmp(json_get_text(found, "type", ""), "text") == 0)
            content_add(out, json_get_text(found, "text", ""));
        else
            found_words(reading, found, out);
    }
    if (json_is_object(content)) {
        found_words(reading, content, out);
        const json_t *inner = json_object_get(content, "content");
        if (json_is_object(inner))
            document_words(reading, inner, out);
        json_array_foreach(inner, i, found) { found_words(reading, found, out); }
    }
}

static void tool_result_words(struct reading *reading, const json_t *block, json_t *out) {
    content_take(out, mem_printf("[Result of a tool call that is not in this conversation (%s):]",
                                 json_get_text(block, "tool_use_id", "no id")));
    inner_words(reading, json_object_get(block, "content"), out);
}

static void compaction_words(struct reading *reading, const json_t *block, json_t *out) {
    inner_words(reading, json_object_get(block, "content"), out);
}

void words_of(struct reading *reading, const json_t *block, json_t *out) {
    static const struct {
        const char *type;
        void (*say)(struct reading *reading, const json_t *block, json_t *out);
    } kinds[] = {
        {"document", document_words},           {"image", image_words},
        {"search_result", search_result_words}, {"server_tool_use", call_words},
        {"mcp_tool_use", call_words},           {"tool_use", call_words},
        {"tool_result", tool_result_words},     {"tool_reference", tool_reference_words},
        {"container_upload", upload_words},     {"compaction", compaction_words},
    };
    const char *type = json_get_text(block, "type", "without a type");
    reading->request->dropped++;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(type, kinds[i].type) == 0) {
            kinds[i].say(reading, block, out);
            return;
        }
    }
    if (str_ends(type, "_tool_result"))
        server_result_words(reading, block, out);
    else
        content_take(out, mem_printf("[A block of type %s was left out.]", type));
}
