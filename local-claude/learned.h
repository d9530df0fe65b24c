// What Claude Code's prompt was found to take, by version and set of tools: for versions that the
// table of budget.c does not have. Kept in the state folder, counted by the model that was used.
#pragma once

#include "budget.h"
#include "claude.h"

#include <stdbool.h>
#include <stdint.h>

// Fills tokens[] for this version; 0 where nothing is known.
void learned_recall(const struct claude *claude, bool interactive, int64_t tokens[TOOLS_OWN + 1]);
// Of a first request, which holds the user's first words too: the least that was seen counts.
void learned_keep(const struct claude *claude, bool interactive, enum tool_set tools,
                  int64_t tokens);
