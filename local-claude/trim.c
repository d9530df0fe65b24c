#include "trim.h"

#include "format/json.h"

#include <string.h>

static const char *role_of(const json_t *messages, size_t index) {
    return json_get_text(json_array_get(messages, index), "role", "");
}

size_t trim_turns(struct messages_request *request, int64_t room_tokens) {
    json_t *messages = json_object_get(request->root, "messages");
    size_t gone = 0;
    while (json_array_size(messages) > 2 && messages_estimate_tokens(request) > room_tokens) {
        json_array_remove(messages, 0);
        while (json_array_size(messages) > 1 && strcmp(role_of(messages, 0), "user") != 0)
            json_array_remove(messages, 0);
        gone++;
    }
    return gone;
}
