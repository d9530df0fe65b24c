#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

// Tools that the client runs itself, but names by type: the API knows their schemas by heart, a
// local model must be shown them. Source: docs.anthropic.com, "Bash tool", "Text editor tool",
// "Memory tool", "Computer use tool".
static const struct {
    const char *prefix, *description, *properties, *required;
} known_tools[] = {
    {"bash_", "Runs a command in a persistent bash session on the user's machine.",
     "{\"command\":{\"type\":\"string\",\"description\":\"The command to run\"},"
     "\"restart\":{\"type\":\"boolean\",\"description\":\"Restart the session instead\"}}",
     "[]"},
    {"text_editor_", "Views, creates and edits text files on the user's machine.",
     "{\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\"]},"
     "\"path\":{\"type\":\"string\",\"description\":\"Absolute path of a file or folder\"},"
     "\"file_text\":{\"type\":\"string\",\"description\":\"create: the whole content\"},"
     "\"old_str\":{\"type\":\"string\",\"description\":\"str_replace: text that occurs once\"},"
     "\"new_str\":{\"type\":\"string\",\"description\":\"str_replace, insert: the new text\"},"
     "\"insert_line\":{\"type\":\"integer\",\"description\":\"insert: after this line\"},"
     "\"view_range\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},"
     "\"description\":\"view: first and last line\"}}",
     "[\"command\",\"path\"]"},
    {"memory_", "Keeps notes between conversations as files below /memories.",
     "{\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\",\"str_replace\",\"insert\","
     "\"delete\",\"rename\"]},"
     "\"path\":{\"type\":\"string\"},\"file_text\":{\"type\":\"string\"},"
     "\"old_str\":{\"type\":\"string\"},\"new_str\":{\"type\":\"string\"},"
     "\"insert_line\":{\"type\":\"integer\"},\"insert_text\":{\"type\":\"string\"},"
     "\"old_path\":{\"type\":\"string\"},\"new_path\":{\"type\":\"string\"},"
     "\"view_range\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}",
     "[\"command\"]"},
    {"computer_", "Acts on the user's screen, and takes pictures of it.",
     "{\"action\":{\"type\":\"string\",\"enum\":[\"screenshot\",\"left_click\",\"right_click\","
     "\"middle_click\",\"double_click\",\"triple_click\",\"left_click_drag\",\"mouse_move\","
     "\"left_mouse_down\",\"left_mouse_up\",\"scroll\",\"type\",\"key\",\"hold_key\",\"wait\"]},"
     "\"coordinate\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},"
     "\"description\":\"x and y in pixels\"},"
     "\"start_coordinate\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},"
     "\"text\":{\"type\":\"string\"},\"duration\":{\"type\":\"number\"},"
     "\"scroll_direction\":{\"type\":\"string\",\"enum\":[\"up\",\"down\",\"left\",\"right\"]},"
     "\"scroll_amount\":{\"type\":\"integer\"}}",
     "[\"action\"]"},
};

static json_t *literal(const char *text) { return json_parse(text, strlen(text), 0, 0, NULL); }

// The definition that a type stands for; NULL: the tool runs on Anthropic's servers.
static json_t *known_tool(const char *type, const char *name) {
    for (size_t i = 0; i < sizeof known_tools / sizeof *known_tools; i++)
        if (str_starts(type, known_tools[i].prefix))
            return json_build("{s:s, s:s, s:{s:s, s:o, s:o}}", "name", name, "description",
                              known_tools[i].description, "input_schema", "type", "object",
                              "properties", literal(known_tools[i].properties), "required",
                              literal(known_tools[i].required));
    return NULL;
}

static bool tool_fail(struct err *err, size_t index, const char *member, const char *why) {
    return err_set(err, ERR_INVALID, "tools.%zu%s: %s", index, member, why);
}

// The API's own rule but for the length, which there ends at 128. Claude Code 2.1.197 writes _ for
// any other character in the name of an MCP server or its tool, and cuts nothing: measured. Only
// for what is offered: a call of the conversation may have any name that a model made up.
enum { MAX_NAME = 256 };
#define NAME_RULE "String should match pattern '^[a-zA-Z0-9_-]{1,256}$'"

static bool is_name(const char *name) {
    size_t length =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return length > 0 && length <= MAX_NAME && name[length] == '\0';
}

static bool custom_tool(json_t *tools, const json_t *tool, size_t index, struct err *err) {
    const json_t *name = json_object_get(tool, "name");
    const json_t *text = json_object_get(tool, "description");
    json_t *schema = json_object_get(tool, "input_schema");
    if (!name)
        return tool_fail(err, index, ".custom.name", "Field required");
    if (!json_is_string(name))
        return tool_fail(err, index, ".custom.name", "Input should be a valid string");
    if (!is_name(json_string_value(name)))
        return tool_fail(err, index, ".custom.name", NAME_RULE);
    if (text && !json_is_string(text) && !json_is_null(text))
        return tool_fail(err, index, ".custom.description", "Input should be a valid string");
    if (!schema)
        return tool_fail(err, index, ".custom.input_schema", "Field required");
    if (!json_is_object(schema))
        return tool_fail(err, index, ".custom.input_schema", "Input should be a valid dictionary");
    json_t *canonical = json_build("{s:s}", "name", json_string_value(name));
    if (json_is_string(text))
        json_set(canonical, "description", json_text(json_string_value(text)));
    json_set(canonical, "input_schema", json_incref(schema));
    json_array_append_new(tools, canonical);
    return true;
}

static bool read_tool(struct messages_request *request, json_t *tools, const json_t *tool,
                      size_t index, struct err *err) {
    if (!json_is_object(tool))
        return tool_fail(err, index, "", "Input should be a valid dictionary");
    const json_t *type_member = json_object_get(tool, "type");
    if (type_member && !json_is_string(type_member) && !json_is_null(type_member))
        return tool_fail(err, index, ".type", "Input should be a valid string");
    const char *type = json_get_text(tool, "type", "custom");
    if (strcmp(type, "custom") == 0)
        return custom_tool(tools, tool, index, err);
    const char *name = json_get_text(tool, "name", type);
    json_t *known = known_tool(type, name);
    if (known && !is_name(name)) {
        json_decref(known);
        return tool_fail(err, index, ".name", NAME_RULE);
    }
    if (known)
        json_array_append_new(tools, known);
    else if (!request->server_tool)
        request->server_tool = messages_keep(request, name);
    return true;
}

// A name that stands for two tools cannot be called.
static bool names_differ(const json_t *tools, struct err *err) {
    json_t *seen = json_object();
    bool differ = true;
    size_t i;
    json_t *tool;
    json_array_foreach(tools, i, tool) {
        const char *name = json_get_text(tool, "name", "");
        differ = differ && !json_object_get(seen, name);
        json_set(seen, name, json_true());
    }
    json_decref(seen);
    return differ || err_set(err, ERR_INVALID, "tools: Tool names must be unique.");
}

bool tools_read(struct messages_request *request, const json_t *tools, struct err *err) {
    if (!tools || json_is_null(tools))
        return true;
    if (!json_is_array(tools))
        return err_set(err, ERR_INVALID, "tools: Input should be a valid list");
    if (json_array_size(tools) > MESSAGES_TOOLS_MAX)
        return err_set(err, ERR_INVALID, "tools: at most %d tools", MESSAGES_TOOLS_MAX);
    json_t *canonical = json_array();
    size_t i;
    json_t *tool;
    json_array_foreach(tools, i, tool) {
        if (!read_tool(request, canonical, tool, i, err)) {
            json_decref(canonical);
            return false;
        }
    }
    bool fine = names_differ(canonical, err);
    request->only_server_tools = json_array_size(tools) > 0 && json_array_size(canonical) == 0;
    if (fine && json_array_size(canonical) > 0)
        json_set(request->root, "tools", json_incref(canonical));
    json_decref(canonical);
    return fine;
}
