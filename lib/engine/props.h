// What a llama-server that runs says of itself: its GET /props.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct props {
    int64_t slots;         // 0 = not told, as in all of them
    int64_t window_tokens; // of one slot
    bool blind;            // its model takes no images
    // The chat template has no word for tools: llama-server leaves them out of the prompt and says
    // nothing, so the model never hears of them. A model without a template gets ChatML, which has
    // none either.
    bool toolless;
};

struct props props_read(const json_t *answer); // of NULL: nothing is known
