#include "base/mem.h"
#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

// The list of messages in OpenAI's terms: for a user, a "tool" message for each result, then a
// "user" message with the images of the results and what the user said; for the assistant, one
// message with content, reasoning_content and tool_calls.
//
// A reminder behind results joins the last of them: as a message of its own it would be the newest
// user message, and templates that keep thinking only behind that one (Qwen 3) would drop it from
// turns that the engine has in its cache.
struct chat {
    const struct messages_target *target;
    json_t *list;
    const char *unsaid_system; // MESSAGES_FORM_PLAIN: goes in front of the first user message
};

static bool is_type(const json_t *block, const char *type) {
    return strcmp(json_get_text(block, "type", ""), type) == 0;
}

static bool is_plain(const struct chat *chat) { return chat->target->form == MESSAGES_FORM_PLAIN; }
static bool is_serial(const struct chat *chat) {
    return chat->target->form == MESSAGES_FORM_SERIAL;
}

static const json_t *last_of(const json_t *list) {
    return json_array_get(list, json_array_size(list) - 1);
}

static bool is_role(const json_t *message, const char *role) {
    return strcmp(json_get_text(message, "role", ""), role) == 0;
}

static json_t *image_part(const json_t *block) {
    const json_t *source = json_object_get(block, "source");
    const char *url = json_get_text(source, "url", NULL);
    char *data = url ? mem_strdup(url)
                     : mem_printf("data:%s;base64,%s", json_get_text(source, "media_type", ""),
                                  json_get_text(source, "data", ""));
    json_t *part = json_build("{s:s, s:{s:s}}", "type", "image_url", "image_url", "url", data);
    mem_free(data);
    return part;
}

static void add_part(const struct chat *chat, const json_t *block, json_t *parts) {
    if (is_type(block, "text"))
        content_add(parts, json_get_text(block, "text", ""));
    else if (is_type(block, "image") && chat->target->blind)
        content_add(parts, "[An image was left out, since this model cannot see.]");
    else if (is_type(block, "image"))
        json_array_append_new(parts, image_part(block));
}

// A string where there is only text: every server and template takes that.
static json_t *content_of(json_t *parts) {
    size_t i;
    json_t *part;
    json_array_foreach(parts, i, part) {
        if (!is_type(part, "text"))
            return json_incref(parts);
    }
    char *text = content_join(parts, "\n\n");
    json_t *content = json_text(text);
    mem_free(text);
    return content;
}

// Some templates want ids of nine letters and digits. The same id always gives the same nine.
static json_t *id_of(const struct chat *chat, const char *id) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char text[10] = {0};
    uint64_t hash = str_hash(id);
    if (!is_serial(chat))
        return json_text(id);
    for (size_t i = 0; i < sizeof text - 1; i++, hash /= 36)
        text[i] = digits[hash % 36];
    return json_text(text);
}

// The text of a tool message, which is text alone; the images of the result go to `parts`.
static char *result_text(const struct chat *chat, const json_t *result, json_t *parts) {
    json_t *said = json_array(), *block;
    size_t i, images = 0;
    if (json_get_bool(result, "is_error", false))
        content_add(said, "The tool failed:");
    json_array_foreach(json_object_get(result, "content"), i, block) {
        if (is_type(block, "text") || chat->target->blind) {
            add_part(chat, block, said);
        } else if (is_type(block, "image")) {
            if (images++ == 0)
                content_take(parts, mem_printf("[Image from the result of %s:]",
                                               json_get_text(result, "tool_use_id", "")));
            add_part(chat, block, parts);
        }
    }
    if (images > 0)
        content_add(said, "[See the next message for the image.]");
    char *text = content_join(said, "\n\n");
    json_decref(said);
    return text;
}

static void add_result(const struct chat *chat, const json_t *result, json_t *parts) {
    char *text = result_text(chat, result, parts);
    const char *id = json_get_text(result, "tool_use_id", "");
    if (is_plain(chat))
        content_take(parts, mem_printf("[Result of %s:]\n%s", id, text));
    else
        json_array_append_new(chat->list,
                              json_build("{s:s, s:o, s:s}", "role", "tool", "tool_call_id",
                                         id_of(chat, id), "content", text));
    mem_free(text);
}

// True: the block is a reminder and stands at the end of the last result now.
static bool join_reminder(const struct chat *chat, const json_t *block, const json_t *parts) {
    json_t *last = json_array_get(chat->list, json_array_size(chat->list) - 1);
    const char *text = json_get_text(block, "text", "");
    if (json_array_size(parts) > 0 || !is_role(last, "tool") || !is_type(block, "text") ||
        !str_starts(text, "<system-reminder>"))
        return false;
    char *joined = mem_printf("%s\n\n%s", json_get_text(last, "content", ""), text);
    json_set(last, "content", json_text(joined));
    mem_free(joined);
    return true;
}

static void add_user(struct chat *chat, const json_t *content) {
    json_t *parts = json_array(), *block;
    size_t i;
    content_add(parts, chat->unsaid_system);
    chat->unsaid_system = NULL;
    json_array_foreach(content, i, block) {
        if (!is_type(block, "tool_result")) {
            if (!join_reminder(chat, block, parts))
                add_part(chat, block, parts);
        } else if (!is_serial(chat)) { // there it stands behind its call already
            add_result(chat, block, parts);
        }
    }
    if (json_array_size(parts) > 0 && is_serial(chat) && is_role(last_of(chat->list), "tool"))
        json_array_append_new(chat->list, json_build("{s:s, s:s}", "role", "assistant", "content",
                                                     "I have the results."));
    if (json_array_size(parts) > 0)
        json_array_append_new(
            chat->list, json_build("{s:s, s:o}", "role", "user", "content", content_of(parts)));
    json_decref(parts);
}

// Templates parse the arguments, so they are always the text of an object. What Claude Code could
// not parse it keeps as {"__unparsedToolInput": {"raw", "len"}}.
static json_t *arguments_of(const json_t *input) {
    const json_t *unparsed = json_object_get(input, "__unparsedToolInput");
    const char *raw = json_get_text(unparsed, "raw", NULL);
    json_t *given = NULL;
    if (raw) {
        given = json_parse(raw, strlen(raw), MESSAGES_DEPTH_MAX, 0, NULL);
        if (!json_is_object(given)) {
            json_decref(given);
            given = json_build("{s:s}", "malformed_arguments", raw);
        }
    }
    struct buf text;
    buf_init(&text, MESSAGES_BODY_MAX);
    json_write(&text, given ? given : input);
    json_t *arguments = json_text(buf_text(&text));
    buf_fini(&text);
    json_decref(given);
    return arguments;
}

static json_t *call_of(const struct chat *chat, const json_t *block) {
    return json_build("{s:o, s:s, s:{s:s, s:o}}", "id", id_of(chat, json_get_text(block, "id", "")),
                      "type", "function", "function", "name", json_get_text(block, "name", ""),
                      "arguments", arguments_of(json_object_get(block, "input")));
}

static void add_call_words(const json_t *block, json_t *parts) {
    json_t *arguments = arguments_of(json_object_get(block, "input"));
    content_take(parts, mem_printf("[Called %s as %s with: %s]", json_get_text(block, "name", ""),
                                   json_get_text(block, "id", ""), json_string_value(arguments)));
    json_decref(arguments);
}

static json_t *assistant_message(json_t *parts, const char *reasoning) {
    char *text = content_join(parts, "\n\n");
    json_t *message = json_build("{s:s, s:s}", "role", "assistant", "content", text);
    if (*reasoning)
        json_set(message, "reasoning_content", json_text(reasoning));
    mem_free(text);
    return message;
}

// One call a message, each with its result behind it.
static void add_serial_calls(const struct chat *chat, json_t *message, const json_t *calls,
                             const json_t *results) {
    json_t *unseen = json_array(), *call;
    size_t i;
    json_array_foreach(calls, i, call) {
        if (i > 0)
            message = json_build("{s:s, s:s}", "role", "assistant", "content", "");
        json_set(message, "tool_calls", json_build("[O]", call));
        json_array_append_new(chat->list, message);
        add_result(chat, json_array_get(results, i), unseen);
    }
    json_decref(unseen);
}

static void add_assistant(struct chat *chat, const json_t *content, const json_t *next) {
    json_t *calls = json_array(), *parts = json_array(), *thoughts = json_array(), *block;
    size_t i;
    json_array_foreach(content, i, block) {
        if (is_type(block, "tool_use") && is_plain(chat))
            add_call_words(block, parts);
        else if (is_type(block, "tool_use"))
            json_array_append_new(calls, call_of(chat, block));
        else if (is_type(block, "thinking") && chat->target->llama)
            content_add(thoughts, json_get_text(block, "thinking", ""));
        else
            add_part(chat, block, parts);
    }
    char *reasoning = content_join(thoughts, "\n\n");
    json_t *message = assistant_message(parts, is_plain(chat) ? "" : reasoning);
    mem_free(reasoning);
    if (json_array_size(calls) > 0 && is_serial(chat)) {
        add_serial_calls(chat, message, calls, next);
    } else {
        if (json_array_size(calls) > 0)
            json_set(message, "tool_calls", json_incref(calls));
        json_array_append_new(chat->list, message);
    }
    json_decref(calls);
    json_decref(parts);
    json_decref(thoughts);
}

// The blocks of the first message that others begin with too.
static json_t *opening_of(const json_t *content, const struct messages_opening *part) {
    json_t *opening = json_array(), *block;
    size_t i;
    json_array_foreach(content, i, block) {
        if (i < part->blocks)
            json_array_append(opening, block);
    }
    block = json_array_get(content, part->blocks);
    content_take(opening, mem_strndup(json_get_text(block, "text", ""), part->bytes));
    return opening;
}

json_t *completions_messages(const struct messages_request *request,
                             const struct messages_target *target) {
    struct chat chat = {.target = target, .list = json_array()};
    const json_t *messages = json_object_get(request->root, "messages");
    const char *system = json_get_text(request->root, "system", NULL);
    if (system && is_plain(&chat))
        chat.unsaid_system = system;
    else if (system)
        json_array_append_new(chat.list,
                              json_build("{s:s, s:s}", "role", "system", "content", system));
    size_t i;
    json_t *message;
    if (target->opening) {
        json_t *opening =
            opening_of(json_object_get(json_array_get(messages, 0), "content"), target->opening);
        add_user(&chat, opening);
        json_decref(opening);
        return chat.list;
    }
    json_array_foreach(messages, i, message) {
        const json_t *content = json_object_get(message, "content");
        if (is_role(message, "assistant"))
            add_assistant(&chat, content,
                          json_object_get(json_array_get(messages, i + 1), "content"));
        else
            add_user(&chat, content);
    }
    return chat.list;
}
