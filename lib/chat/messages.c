#include "chat/messages.h"

#include "base/mem.h"
#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

const char *messages_keep(struct messages_request *request, const char *text) {
    if (!request->kept)
        request->kept = json_array();
    json_t *copy = json_text(text);
    json_array_append_new(request->kept, copy);
    return json_string_value(copy);
}

static bool fail(struct err *err, const char *member, const char *why) {
    return err_set(err, ERR_INVALID, "%s: %s", member, why);
}

// A member that may be absent or null; `type` is what it must be otherwise.
static bool check_type(const json_t *source, const char *key, bool (*is_type)(const json_t *),
                       const char *name, struct err *err) {
    const json_t *value = json_object_get(source, key);
    if (!value || json_is_null(value) || is_type(value))
        return true;
    return err_set(err, ERR_INVALID, "%s: Input should be a valid %s", key, name);
}

static bool is_text(const json_t *value) { return json_is_string(value); }
static bool is_truth(const json_t *value) { return json_is_boolean(value); }
static bool is_number(const json_t *value) { return json_is_number(value); }
static bool is_whole(const json_t *value) { return json_is_integer(value); }
static bool is_list(const json_t *value) { return json_is_array(value); }
static bool is_object(const json_t *value) { return json_is_object(value); }

static bool check_types(const json_t *source, struct err *err) {
    static const struct {
        const char *key;
        bool (*is_type)(const json_t *);
        const char *name;
    } members[] = {
        {"model", is_text, "string"},
        {"stream", is_truth, "boolean"},
        {"temperature", is_number, "number"},
        {"top_p", is_number, "number"},
        {"top_k", is_whole, "integer"},
        {"stop_sequences", is_list, "list"},
        {"thinking", is_object, "dictionary"},
        {"tool_choice", is_object, "dictionary"},
        {"output_config", is_object, "dictionary"},
        {"output_format", is_object, "dictionary"},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!check_type(source, members[i].key, members[i].is_type, members[i].name, err))
            return false;
    return true;
}

static bool is_blank(const char *text) { return text[strspn(text, " \t\r\n")] == '\0'; }

static bool check_stops(const json_t *stops, struct err *err) {
    size_t i;
    json_t *stop;
    json_array_foreach(stops, i, stop) {
        if (!json_is_string(stop))
            return err_set(err, ERR_INVALID, "stop_sequences.%zu: Input should be a valid string",
                           i);
        if (is_blank(json_string_value(stop)))
            return fail(err, "stop_sequences", "each stop sequence must contain non-whitespace");
    }
    return true;
}

static bool check_ranges(const json_t *source, struct err *err) {
    static const char *const shares[] = {"temperature", "top_p"};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double share = json_number_value(json_object_get(source, shares[i])); // 0 = there is none
        if (share < 0 || share > 1)
            return fail(err, shares[i], "range: 0..1");
    }
    if (json_get_int(source, "top_k", 0) < 0)
        return fail(err, "top_k", "Input should be greater than or equal to 0");
    return true;
}

// Members that pass as they are, in this order.
static void copy_plain(struct messages_request *request, const json_t *source) {
    static const char *const keys[] = {"temperature", "top_p", "top_k", "stop_sequences"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *value = json_object_get(source, keys[i]);
        if (value && !json_is_null(value) && !(json_is_array(value) && json_array_size(value) == 0))
            json_set(request->root, keys[i], json_incref(value));
    }
}

static bool read_max_tokens(struct messages_request *request, const json_t *source,
                            struct err *err) {
    const json_t *value = json_object_get(source, "max_tokens");
    if (!value)
        return fail(err, "max_tokens", "Field required");
    if (!json_is_integer(value))
        return fail(err, "max_tokens", "Input should be a valid integer");
    if (json_integer_value(value) < 1)
        return fail(err, "max_tokens", "Input should be greater than or equal to 1");
    request->max_tokens = json_integer_value(value);
    return true;
}

static bool read_budget(struct messages_request *request, const json_t *thinking, struct err *err) {
    const char *at = "thinking.enabled.budget_tokens";
    const json_t *budget = json_object_get(thinking, "budget_tokens");
    if (!budget)
        return fail(err, at, "Field required");
    if (!json_is_integer(budget))
        return fail(err, at, "Input should be a valid integer");
    if (json_integer_value(budget) < 1) // the API wants 1024; a local model thinks with less
        return fail(err, at, "Input should be greater than or equal to 1");
    request->thinking_tokens = json_integer_value(budget);
    return true;
}

// With tools a budget may go beyond one answer: the API takes it for all the thoughts of a turn, if
// a header says so, and what is too much for an answer is cut when it is written.
static bool budget_fits(const struct messages_request *request, bool count) {
    return count || request->thinking_tokens < request->max_tokens ||
           json_object_get(request->root, "tools");
}

static bool read_thinking(struct messages_request *request, const json_t *source, bool count,
                          struct err *err) {
    const json_t *thinking = json_object_get(source, "thinking");
    const char *type = json_get_text(thinking, "type", json_is_object(thinking) ? "" : "disabled");
    bool enabled = strcmp(type, "enabled") == 0;
    request->thinking = enabled || strcmp(type, "adaptive") == 0;
    if (!request->thinking && strcmp(type, "disabled") != 0)
        return fail(err, "thinking.type", "Input should be 'enabled', 'adaptive' or 'disabled'");
    if (enabled && !read_budget(request, thinking, err))
        return false;
    if (!budget_fits(request, count))
        return err_set(err, ERR_INVALID,
                       "`max_tokens` must be greater than `thinking.budget_tokens`");
    if (!request->thinking)
        return true;
    json_t *canonical = json_build("{s:s}", "type", type);
    if (request->thinking_tokens > 0)
        json_set(canonical, "budget_tokens", json_integer(request->thinking_tokens));
    json_set(request->root, "thinking", canonical);
    return true;
}

static bool is_offered(const struct messages_request *request, const char *name) {
    size_t i;
    json_t *tool;
    json_array_foreach(json_object_get(request->root, "tools"), i, tool) {
        if (strcmp(json_get_text(tool, "name", ""), name) == 0)
            return true;
    }
    return false;
}

static bool read_choice_type(struct messages_request *request, const json_t *choice,
                             struct err *err) {
    static const char *const types[] = {"auto", "any", "tool", "none"};
    const char *type = json_get_text(choice, "type", "");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(type, types[i]) == 0) {
            request->tool_choice = (enum tool_choice)i;
            return true;
        }
    }
    return fail(err, "tool_choice.type", "Input should be 'auto', 'any', 'tool' or 'none'");
}

// After the tools: a choice that nothing is left for, since server tools were taken out, is the
// model's own again.
static bool read_tool_choice(struct messages_request *request, const json_t *source,
                             struct err *err) {
    const json_t *choice = json_object_get(source, "tool_choice");
    if (!json_is_object(choice))
        return true;
    if (!read_choice_type(request, choice, err))
        return false;
    const char *name = json_get_text(choice, "name", "");
    bool named = request->tool_choice == TOOL_CHOICE_NAMED;
    if (named && !*name)
        return fail(err, "tool_choice.name", "Field required");
    if (named && !is_offered(request, name) && !request->server_tool)
        return err_set(err, ERR_INVALID, "tool_choice: Tool '%.128s' not found in provided tools",
                       name);
    bool demands = named || request->tool_choice == TOOL_CHOICE_ANY;
    if (demands && !json_object_get(request->root, "tools") && !request->server_tool)
        return fail(err, "tool_choice", "may only be specified while providing tools");
    if (!json_object_get(request->root, "tools") || (named && !is_offered(request, name))) {
        request->tool_choice = TOOL_CHOICE_AUTO;
        return true;
    }
    request->one_tool = json_get_bool(choice, "disable_parallel_tool_use", false);
    json_t *canonical = json_build("{s:s}", "type", json_get_text(choice, "type", ""));
    if (named)
        json_set(canonical, "name", json_text(name));
    if (request->one_tool)
        json_set(canonical, "disable_parallel_tool_use", json_true());
    json_set(request->root, "tool_choice", canonical);
    request->tool_name = named ? json_get_text(canonical, "name", "") : NULL;
    return true;
}

static bool read_output(struct messages_request *request, const json_t *source, struct err *err) {
    const json_t *config = json_object_get(source, "output_config");
    const json_t *format = json_object_get(config, "format");
    const char *effort = json_get_text(config, "effort", "");
    json_t *canonical = json_object();
    if (*effort)
        json_set(canonical, "effort", json_text(effort));
    if (!json_is_object(format))
        format = json_object_get(source, "output_format");
    json_t *schema = json_object_get(format, "schema");
    bool is_schema = strcmp(json_get_text(format, "type", ""), "json_schema") == 0;
    if (is_schema && json_is_object(schema)) {
        request->output_schema = schema;
        json_set(canonical, "format",
                 json_build("{s:s, s:O}", "type", "json_schema", "schema", schema));
    }
    if (json_object_size(canonical) > 0)
        json_set(request->root, "output_config", json_incref(canonical));
    json_decref(canonical);
    return !is_schema || json_is_object(schema) ||
           fail(err, "output_config.format.schema", "Input should be a valid dictionary");
}

static bool check_messages(const json_t *messages, struct err *err) {
    if (!messages)
        return fail(err, "messages", "Field required");
    if (!json_is_array(messages))
        return fail(err, "messages", "Input should be a valid list");
    if (json_array_size(messages) == 0)
        return fail(err, "messages", "at least one message is required");
    if (json_array_size(messages) > MESSAGES_COUNT_MAX)
        return err_set(err, ERR_INVALID, "messages: at most %d messages", MESSAGES_COUNT_MAX);
    return true;
}

// The members of the root in the order in which they are written.
static bool read_root(struct messages_request *request, const json_t *source, bool count,
                      struct err *err) {
    if (!json_is_object(source))
        return err_set(err, ERR_INVALID, "Input should be a valid dictionary");
    if (!check_types(source, err) || !check_ranges(source, err) ||
        !check_stops(json_object_get(source, "stop_sequences"), err) ||
        !check_messages(json_object_get(source, "messages"), err))
        return false;
    json_set(request->root, "model", json_text(json_get_text(source, "model", "")));
    request->model = json_get_text(request->root, "model", "");
    request->stream = !count && json_get_bool(source, "stream", false);
    request->max_tokens = 1;
    if (!count && !read_max_tokens(request, source, err))
        return false;
    if (!tools_read(request, json_object_get(source, "tools"), err) ||
        !system_read(request, json_object_get(source, "system"), err) ||
        !turns_read(request, json_object_get(source, "messages"), err) ||
        !read_tool_choice(request, source, err) || !read_thinking(request, source, count, err) ||
        !read_output(request, source, err))
        return false;
    project_place(request);
    copy_plain(request, source);
    return true;
}

static bool parse(struct messages_request *request, const char *bytes, size_t length, bool count,
                  struct err *err) {
    *request = (struct messages_request){0};
    if (length > MESSAGES_BODY_MAX)
        return err_set(err, ERR_INVALID, "the request is larger than %d MiB",
                       MESSAGES_BODY_MAX >> 20);
    json_t *source = json_parse_mended(bytes, length, MESSAGES_DEPTH_MAX, 0, err);
    if (!source) {
        err_context(err, "The request body is not valid JSON");
        if (err)
            err->code = ERR_INVALID;
        return false;
    }
    request->root = json_object();
    bool ok = read_root(request, source, count, err);
    json_decref(source);
    if (!ok)
        messages_fini(request);
    return ok;
}

bool messages_parse(struct messages_request *request, const char *bytes, size_t length,
                    struct err *err) {
    return parse(request, bytes, length, false, err);
}

bool messages_parse_count(struct messages_request *request, const char *bytes, size_t length,
                          struct err *err) {
    return parse(request, bytes, length, true, err);
}

void messages_fini(struct messages_request *request) {
    json_decref(request->root);
    json_decref(request->kept);
    json_decref(request->whole);
    *request = (struct messages_request){0};
}

int64_t messages_max_tokens(const struct messages_request *request,
                            const struct messages_target *target) {
    int64_t max = request->max_tokens;
    if (target->max_output_tokens > 0 && max > target->max_output_tokens)
        max = target->max_output_tokens;
    int64_t room = target->context_tokens - target->prompt_tokens;
    if (target->context_tokens > 0 && max > room)
        max = room;
    return max < 1 ? 1 : max;
}
