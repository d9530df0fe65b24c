#include "base/mem.h"
#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

// Claude Code writes its version, with digits that follow from the first prompt, in front of its
// system text; what it is told of tokens left changes with every turn. Either would end the prefix
// that two requests share.
#define BILLING "x-anthropic-billing-header:"
#define NOTE_OPEN "<total_tokens>"
#define NOTE_CLOSE "</total_tokens>"

static struct span trim(struct span line) {
    while (line.length > 0 && strchr(" \t\r\n", line.data[line.length - 1]))
        line.length--;
    while (line.length > 0 && strchr(" \t\r\n", line.data[0])) {
        line.data++;
        line.length--;
    }
    return line;
}

static bool is_note(struct span text) {
    const size_t open = strlen(NOTE_OPEN), close = strlen(NOTE_CLOSE);
    text = trim(text);
    return text.length >= open + close && memcmp(text.data, NOTE_OPEN, open) == 0 &&
           memcmp(text.data + text.length - close, NOTE_CLOSE, close) == 0 &&
           !memchr(text.data, '\n', text.length);
}

bool is_token_note(const char *text) { return is_note(span_of(text)); }

static bool is_billing(struct span line) {
    return line.length >= strlen(BILLING) && memcmp(line.data, BILLING, strlen(BILLING)) == 0;
}

char *system_clean(const char *text) {
    struct buf kept;
    buf_init(&kept, MESSAGES_BODY_MAX);
    bool cut = false;
    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        size_t length = end ? (size_t)(end - line) + 1 : strlen(line);
        if (is_billing((struct span){line, length}) || is_note((struct span){line, length}))
            cut = true;
        else
            buf_add(&kept, line, length);
        line += length;
    }
    struct span rest = {buf_bytes(&kept), kept.length};
    if (cut)
        rest = trim(rest);
    char *clean = mem_strndup(rest.length > 0 ? rest.data : "", rest.length);
    buf_fini(&kept);
    return clean;
}

static bool read_block(json_t *content, const json_t *block, size_t index, struct err *err) {
    if (!json_is_object(block))
        return err_set(err, ERR_INVALID, "system.%zu: Input should be a valid dictionary", index);
    const json_t *text = json_object_get(block, "text");
    if (!json_is_string(text))
        return err_set(err, ERR_INVALID, "system.%zu.text: %s", index,
                       text ? "Input should be a valid string" : "Field required");
    content_take(content, system_clean(json_string_value(text)));
    return true;
}

bool system_read(struct messages_request *request, const json_t *system, struct err *err) {
    if (!system || json_is_null(system))
        return true;
    if (!json_is_string(system) && !json_is_array(system))
        return err_set(err, ERR_INVALID, "system: Input should be a valid string or list");
    json_t *content = json_array(), *block;
    size_t i;
    bool ok = true;
    if (json_is_string(system))
        content_take(content, system_clean(json_string_value(system)));
    json_array_foreach(system, i, block) { ok = ok && read_block(content, block, i, err); }
    char *text = content_join(content, "\n\n");
    if (ok && *text)
        json_set(request->root, "system", json_text(text));
    mem_free(text);
    json_decref(content);
    return ok;
}
