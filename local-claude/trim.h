// A conversation made to fit a window that cannot be compacted.
#pragma once

#include "chat/messages.h"

#include <stddef.h>
#include <stdint.h>

// Leaves out the oldest turns, a user's with its answer, until the estimate is within
// `room_tokens`. The system text and the last question stay, however long. Returns how many pairs
// went.
size_t trim_turns(struct messages_request *request, int64_t room_tokens);
