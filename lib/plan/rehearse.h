// The graph of one pass over a full batch, built from sizes alone, as llama.cpp would build it for
// this model, and its compute buffers. Which operations a layer has is read off its tensors; what
// tensors do not tell is in a small table by architecture (src/models/*.cpp of build 11434).
#pragma once

#include "plan/parts.h"

// Bytes of each device's buffer and, last, the host's. `exact` is false for an architecture that is
// not in the table: its graph is then put together from its tensors alone. False when even that
// cannot be done.
// `head`: of the multi-token head's context, else of the model's.
bool rehearse(const struct model *model, bool head, const struct plan_settings *settings,
              const struct plan_machine *machine, const struct placement *place,
              const struct cells *cells, uint64_t *bytes, bool *exact);
