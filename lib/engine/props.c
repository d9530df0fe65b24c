#include "engine/props.h"

#include "format/json.h"

#include <string.h>

enum { SLOTS_MAX = 100000 };

struct props props_read(const json_t *answer) {
    struct props props = {0};
    const json_t *defaults = json_object_get(answer, "default_generation_settings");
    const char *template = json_get_text(answer, "chat_template", "");
    int64_t slots = json_get_int(answer, "total_slots", 0);
    int64_t window = json_get_int(defaults, "n_ctx", json_get_int(answer, "n_ctx", 0));
    props.slots = slots > 0 && slots < SLOTS_MAX ? slots : 0;
    props.window_tokens = window > 0 && window < INT32_MAX ? window : 0;
    props.blind = !json_get_bool(json_object_get(answer, "modalities"), "vision", true);
    props.toolless = *template && !strstr(template, "tool") &&
                     !json_object_get(answer, "chat_template_tool_use");
    return props;
}
