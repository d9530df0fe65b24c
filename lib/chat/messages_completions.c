#include "base/mem.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

// One canonical message becomes, in OpenAI's terms: for a user, a "tool" message for each result,
// then a "user" message with the images of the results and what the user said; for the assistant,
// one message with content, reasoning_content and tool_calls.

static bool is_type(const json_t *block, const char *type) {
    return strcmp(json_get_text(block, "type", ""), type) == 0;
}

static bool has_image(const json_t *content) {
    size_t i;
    json_t *block;
    json_array_foreach(content, i, block) {
        if (is_type(block, "image"))
            return true;
    }
    return false;
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

static void add_part(const struct messages_target *target, const json_t *block, json_t *parts) {
    if (is_type(block, "text"))
        content_add(parts, json_get_text(block, "text", ""));
    else if (is_type(block, "image") && target->blind)
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

// A tool message is text alone; images of the result stand in the user message after it.
static json_t *tool_message(const struct messages_target *target, const json_t *result,
                            json_t *parts) {
    const json_t *content = json_object_get(result, "content");
    const char *id = json_get_text(result, "tool_use_id", "");
    char *text = content_join(content, "\n\n");
    bool image = has_image(content);
    char *said =
        mem_printf("%s%s%s%s", json_get_bool(result, "is_error", false) ? "The tool failed:\n" : "",
                   text, image && *text ? "\n\n" : "",
                   !image          ? ""
                   : target->blind ? "[An image was left out, since this model cannot see.]"
                                   : "[The image is in the next message.]");
    mem_free(text);
    json_t *message =
        json_build("{s:s, s:s, s:s}", "role", "tool", "tool_call_id", id, "content", said);
    mem_free(said);
    if (!image || target->blind)
        return message;
    content_take(parts, mem_printf("[Image from the result of %s:]", id));
    size_t i;
    json_t *block;
    json_array_foreach(content, i, block) {
        if (is_type(block, "image"))
            add_part(target, block, parts);
    }
    return message;
}

static void write_user(const struct messages_target *target, const json_t *content,
                       json_t *messages) {
    json_t *parts = json_array(), *block;
    size_t i;
    json_array_foreach(content, i, block) {
        if (is_type(block, "tool_result"))
            json_array_append_new(messages, tool_message(target, block, parts));
        else
            add_part(target, block, parts);
    }
    if (json_array_size(parts) > 0)
        json_array_append_new(
            messages, json_build("{s:s, s:o}", "role", "user", "content", content_of(parts)));
    json_decref(parts);
}

// What a model was sampled to say, where that is known; templates parse it, so it is always the
// text of an object.
static json_t *arguments_of(const json_t *input) {
    const json_t *unparsed = json_object_get(input, "__unparsedToolInput");
    const char *raw = json_get_text(unparsed, "raw", NULL);
    json_t *given = NULL;
    if (raw && json_object_size(input) == 1) {
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

static json_t *call_of(const json_t *block) {
    return json_build("{s:s, s:s, s:{s:s, s:o}}", "id", json_get_text(block, "id", ""), "type",
                      "function", "function", "name", json_get_text(block, "name", ""), "arguments",
                      arguments_of(json_object_get(block, "input")));
}

static void write_assistant(const struct messages_target *target, const json_t *content,
                            json_t *messages) {
    json_t *calls = json_array(), *block;
    struct buf reasoning;
    buf_init(&reasoning, MESSAGES_BODY_MAX);
    size_t i;
    json_array_foreach(content, i, block) {
        if (is_type(block, "tool_use"))
            json_array_append_new(calls, call_of(block));
        else if (is_type(block, "thinking") && target->llama)
            buf_printf(&reasoning, "%s%s", reasoning.length > 0 ? "\n\n" : "",
                       json_get_text(block, "thinking", ""));
    }
    char *text = content_join(content, "\n\n");
    json_t *message = json_build("{s:s, s:s}", "role", "assistant", "content", text);
    mem_free(text);
    if (reasoning.length > 0)
        json_set(message, "reasoning_content", json_text(buf_text(&reasoning)));
    if (json_array_size(calls) > 0)
        json_set(message, "tool_calls", json_incref(calls));
    json_decref(calls);
    buf_fini(&reasoning);
    json_array_append_new(messages, message);
}

static json_t *messages_of(const struct messages_request *request,
                           const struct messages_target *target) {
    json_t *messages = json_array(), *message;
    const char *system = json_get_text(request->root, "system", NULL);
    if (system)
        json_array_append_new(messages,
                              json_build("{s:s, s:s}", "role", "system", "content", system));
    size_t i;
    json_array_foreach(json_object_get(request->root, "messages"), i, message) {
        const json_t *content = json_object_get(message, "content");
        if (strcmp(json_get_text(message, "role", ""), "assistant") == 0)
            write_assistant(target, content, messages);
        else
            write_user(target, content, messages);
    }
    return messages;
}

// llama-server knows tool_choice as a word only: a named tool is "required" with no other offered.
static bool is_only_choice(const struct messages_request *request,
                           const struct messages_target *target, const json_t *tool) {
    return !target->llama || request->tool_choice != TOOL_CHOICE_NAMED ||
           strcmp(json_get_text(tool, "name", ""), request->tool_name) == 0;
}

static json_t *tools_of(const struct messages_request *request,
                        const struct messages_target *target) {
    json_t *tools = json_array(), *tool;
    size_t i;
    json_array_foreach(json_object_get(request->root, "tools"), i, tool) {
        if (!is_only_choice(request, target, tool))
            continue;
        json_t *function = json_build("{s:s}", "name", json_get_text(tool, "name", ""));
        if (json_object_get(tool, "description"))
            json_set(function, "description", json_incref(json_object_get(tool, "description")));
        json_set(function, "parameters", json_incref(json_object_get(tool, "input_schema")));
        json_array_append_new(tools,
                              json_build("{s:s, s:o}", "type", "function", "function", function));
    }
    return tools;
}

static json_t *choice_of(const struct messages_request *request,
                         const struct messages_target *target) {
    switch (request->tool_choice) {
    case TOOL_CHOICE_ANY: return json_text("required");
    case TOOL_CHOICE_NONE: return json_text("none");
    case TOOL_CHOICE_NAMED:
        return target->llama ? json_text("required")
                             : json_build("{s:s, s:{s:s}}", "type", "function", "function", "name",
                                          request->tool_name);
    default: return json_text("auto");
    }
}

static void write_tools(const struct messages_request *request,
                        const struct messages_target *target, json_t *body) {
    if (!json_object_get(request->root, "tools"))
        return;
    json_set(body, "tools", tools_of(request, target));
    json_set(body, "tool_choice", choice_of(request, target));
    if (request->one_tool)
        json_set(body, "parallel_tool_calls", json_false());
}

static void write_sampling(const struct messages_request *request,
                           const struct messages_target *target, json_t *body) {
    static const char *const keys[][2] = {
        {"temperature", "temperature"}, {"top_p", "top_p"}, {"stop_sequences", "stop"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *value = json_object_get(request->root, keys[i][0]);
        if (value)
            json_set(body, keys[i][1], json_incref(value));
    }
    json_t *top_k = json_object_get(request->root, "top_k");
    if (top_k && target->llama)
        json_set(body, "top_k", json_incref(top_k));
}

static void write_thinking(const struct messages_request *request,
                           const struct messages_target *target, int64_t max_tokens, json_t *body) {
    if (!target->llama)
        return;
    json_set(body, "chat_template_kwargs",
             json_build("{s:b}", "enable_thinking", request->thinking));
    if (!request->thinking)
        return;
    // An answer must find room behind the thinking.
    int64_t most = max_tokens - max_tokens / 4, budget = request->thinking_tokens;
    if (budget > 0)
        json_set(body, "thinking_budget_tokens", json_integer(budget < most ? budget : most));
    const char *effort =
        json_get_text(json_object_get(request->root, "output_config"), "effort", NULL);
    if (effort)
        json_set(body, "reasoning_effort", json_text(effort));
}

bool messages_write_completions(const struct messages_request *request,
                                const struct messages_target *target, struct buf *out) {
    int64_t max_tokens = messages_max_tokens(request, target);
    json_t *body = json_build("{s:s, s:o}", "model", target->model ? target->model : request->model,
                              "messages", messages_of(request, target));
    write_tools(request, target, body);
    json_set(body, "max_tokens", json_integer(max_tokens));
    write_sampling(request, target, body);
    if (request->output_schema)
        json_set(body, "response_format",
                 json_build("{s:s, s:{s:s, s:b, s:O}}", "type", "json_schema", "json_schema",
                            "name", "answer", "strict", 1, "schema", request->output_schema));
    write_thinking(request, target, max_tokens, body);
    json_set(body, "stream", json_boolean(target->stream));
    if (target->stream)
        json_set(body, "stream_options", json_build("{s:b}", "include_usage", 1));
    bool ok = json_write(out, body);
    json_decref(body);
    return ok;
}
