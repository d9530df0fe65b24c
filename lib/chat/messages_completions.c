#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

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
    if (!json_object_get(request->root, "tools") || target->form == MESSAGES_FORM_PLAIN)
        return;
    json_set(body, "tools", tools_of(request, target));
    json_set(body, "tool_choice", choice_of(request, target));
    if (request->one_tool || target->form == MESSAGES_FORM_SERIAL)
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

// The two words that all templates with an effort know; without one they take the middle.
static const char *effort_of(const struct messages_request *request) {
    const json_t *config = json_object_get(request->root, "output_config");
    const char *effort = json_get_text(config, "effort", "medium");
    if (strcmp(effort, "low") == 0 || strcmp(effort, "medium") == 0)
        return *effort == 'l' ? "low" : NULL;
    return "high";
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
    const char *effort = effort_of(request);
    if (effort && target->form == MESSAGES_FORM_USUAL)
        json_set(body, "reasoning_effort", json_text(effort));
}

bool messages_write_completions(const struct messages_request *request,
                                const struct messages_target *target, struct buf *out) {
    int64_t max_tokens = messages_max_tokens(request, target);
    json_t *body = json_build("{s:s, s:o}", "model", target->model ? target->model : request->model,
                              "messages", completions_messages(request, target));
    write_tools(request, target, body);
    json_set(body, "max_tokens", json_integer(max_tokens));
    write_sampling(request, target, body);
    if (request->output_schema && !target->opening)
        json_set(body, "response_format",
                 json_build("{s:s, s:{s:s, s:b, s:O}}", "type", "json_schema", "json_schema",
                            "name", "answer", "strict", 1, "schema", request->output_schema));
    write_thinking(request, target, max_tokens, body);
    if (target->opening) { // llama-server's own: the prompt ends here, and that is all
        json_set(body, "add_generation_prompt", json_false());
        json_set(body, "n_predict", json_integer(0));
    }
    json_set(body, "stream", json_boolean(target->stream));
    if (target->stream)
        json_set(body, "stream_options", json_build("{s:b}", "include_usage", 1));
    bool ok = json_write(out, body);
    json_decref(body);
    return ok;
}
