#include "base/mem.h"
#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

// All that stands between two answers of the assistant is one user turn: the results of the calls
// before it in the order of the calls, then what the user and role "system" said, as it came. So a
// turn depends on what stands in it and on the calls before it alone, a conversation that grows
// keeps the bytes of its earlier turns, and a turn that grows keeps its own. Only what role
// "system" says first in the first turn goes in front of it: that is what projects share.
struct turns {
    struct reading reading;
    json_t *done;    // canonical messages
    bool assistant;  // the open turn's author
    bool open;       // there is one
    json_t *content; // of the open turn
    json_t *results; // of the open user turn, as they came
    json_t *front;   // in front of the first user turn
    bool front_done; // nothing more goes there
    bool said;       // there is more than nothing in some turn
};

static bool fail(const struct turns *turns, const char *member, const char *why) {
    return err_set(turns->reading.err, ERR_INVALID, "messages.%zu.%s: %s", turns->reading.message,
                   member, why);
}

static void begin_turn(struct turns *turns, bool assistant) {
    turns->open = true;
    turns->assistant = assistant;
    turns->content = json_array();
    turns->results = json_array();
}

// The result for a call: the first one with its id that no call has yet. `waiting` maps an id to
// the results with it, in the order in which they came.
static json_t *result_for(json_t *waiting, const json_t *call) {
    json_t *found = json_object_get(waiting, json_get_text(call, "id", ""));
    if (json_array_size(found) > 0) {
        json_t *result = json_incref(json_array_get(found, 0));
        json_array_remove(found, 0);
        return result;
    }
    return json_build("{s:s, s:s, s:[{s:s, s:s}], s:b}", "type", "tool_result", "tool_use_id",
                      json_get_text(call, "id", ""), "content", "type", "text", "text",
                      "The result of this call is missing.", "is_error", 1);
}

static json_t *by_id(const json_t *results) {
    json_t *waiting = json_object();
    size_t i;
    json_t *result;
    json_array_foreach(results, i, result) {
        const char *id = json_get_text(result, "tool_use_id", "");
        if (!json_object_get(waiting, id))
            json_set(waiting, id, json_array());
        json_array_append(json_object_get(waiting, id), result);
    }
    return waiting;
}

// Results of the calls in the turn before, then those that answer no call, as words.
static void place_results(struct turns *turns, json_t *content) {
    json_t *waiting = by_id(turns->results), *block;
    const json_t *before = json_array_get(turns->done, json_array_size(turns->done) - 1);
    size_t i;
    json_array_foreach(json_object_get(before, "content"), i, block) {
        if (strcmp(json_get_text(block, "type", ""), "tool_use") == 0)
            json_array_append_new(content, result_for(waiting, block));
    }
    const char *id;
    json_t *orphans;
    json_object_foreach(waiting, id, orphans) {
        json_array_foreach(orphans, i, block) { words_of(&turns->reading, block, content); }
    }
    json_decref(waiting);
}

static bool has_calls(const json_t *message) {
    size_t i;
    json_t *block;
    json_array_foreach(json_object_get(message, "content"), i, block) {
        if (strcmp(json_get_text(block, "type", ""), "tool_use") == 0)
            return true;
    }
    return false;
}

static bool says_something(const json_t *content) {
    size_t i;
    json_t *block;
    json_array_foreach(content, i, block) {
        if (strcmp(json_get_text(block, "type", ""), "thinking") != 0)
            return true;
    }
    return false;
}

static void add_message(struct turns *turns, const char *role, json_t *content) {
    turns->said |= says_something(content);
    if (!says_something(content))
        content_add(content, MESSAGES_NOTHING);
    json_array_append_new(turns->done, json_build("{s:s, s:o}", "role", role, "content", content));
}

static void end_turn(struct turns *turns) {
    if (!turns->open)
        return;
    turns->open = false;
    json_t *content = turns->content;
    if (!turns->assistant) {
        content = json_array();
        place_results(turns, content);
        json_array_extend(content, turns->front);
        json_array_clear(turns->front);
        json_array_extend(content, turns->content);
        json_decref(turns->content);
    } else if (json_array_size(turns->done) == 0) {
        json_t *nothing = json_array(); // models expect the user to begin
        add_message(turns, "user", nothing);
    }
    add_message(turns, turns->assistant ? "assistant" : "user", content);
    json_decref(turns->results);
    turns->front_done = true;
}

static void add_reminder(struct turns *turns, const json_t *content) {
    json_t *said = json_array();
    content_read(&turns->reading, content, said);
    char *joined = content_join(said, "\n\n"), *text = system_clean(joined);
    json_decref(said);
    mem_free(joined);
    json_t *to = turns->front_done ? turns->content : turns->front;
    turns->reading.request->folded++;
    if (*text && !str_starts(text, "<system-reminder>")) {
        content_take(to, mem_printf("<system-reminder>\n%s\n</system-reminder>", text));
        mem_free(text);
    } else {
        content_take(to, text);
    }
}

static bool read_blocks(struct turns *turns, const json_t *content) {
    struct reading *reading = &turns->reading;
    size_t before = json_array_size(turns->results), i;
    json_t *block;
    reading->block = 0;
    if (json_is_string(content)) {
        const char *text = json_string_value(content);
        if (!is_token_note(text))
            content_add(turns->content, text);
        return true;
    }
    json_array_foreach(content, i, block) {
        reading->block = i;
        if (!block_read(reading, block, turns->content, turns->results))
            return false;
    }
    return json_array_size(turns->results) >= before;
}

static bool read_message(struct turns *turns, const json_t *message) {
    if (!json_is_object(message))
        return err_set(turns->reading.err, ERR_INVALID,
                       "messages.%zu: Input should be a valid dictionary", turns->reading.message);
    const char *role = json_get_text(message, "role", "");
    const json_t *content = json_object_get(message, "content");
    bool assistant = strcmp(role, "assistant") == 0, system = strcmp(role, "system") == 0;
    if (!json_object_get(message, "role"))
        return fail(turns, "role", "Field required");
    if (!assistant && !system && strcmp(role, "user") != 0)
        return fail(turns, "role", "Input should be 'user', 'assistant' or 'system'");
    if (!content)
        return fail(turns, "content", "Field required");
    if (!json_is_string(content) && !json_is_array(content))
        return fail(turns, "content", "Input should be a valid string or list");
    if (turns->open && turns->assistant != assistant)
        end_turn(turns);
    if (!turns->open)
        begin_turn(turns, assistant);
    turns->reading.assistant = assistant;
    turns->front_done |= !system && json_array_size(turns->front) > 0;
    if (system)
        add_reminder(turns, content);
    return system || read_blocks(turns, content);
}

bool turns_read(struct messages_request *request, const json_t *messages, struct err *err) {
    struct turns turns = {
        .reading = {.request = request, .err = err}, .done = json_array(), .front = json_array()};
    json_t *message;
    size_t i;
    bool ok = true;
    json_array_foreach(messages, i, message) {
        turns.reading.message = i;
        ok = ok && read_message(&turns, message);
    }
    end_turn(&turns);
    if (ok && !turns.said)
        ok = err_set(err, ERR_INVALID, "messages.0: user messages must have non-empty content");
    const json_t *last = json_array_get(turns.done, json_array_size(turns.done) - 1);
    if (ok && has_calls(last)) { // no model can go on from here, and no template renders it
        begin_turn(&turns, false);
        end_turn(&turns);
    }
    if (ok)
        json_set(request->root, "messages", json_incref(turns.done));
    json_decref(turns.done);
    json_decref(turns.front);
    return ok;
}
