// What Claude Code's prompt was found to take, by version and set of tools: for versions that the
// table of budget.c does not have. Kept in the state folder, counted by the model that was used.
#pragma once

#include "budget.h"
#include "claude.h"

#include <stdbool.h>
#include <stdint.h>

// Fills tokens[] for this version; 0 where nothing is known.
void learned_recall(const struct claude *claude, bool interactive, int64_t tokens[TOOLS_OWN + 1]);
// What the tools of MCP servers were found to take, by mcp.h's key; 0 = not known.
int64_t learned_mcp(uint64_t key);
void learned_keep_mcp(uint64_t key, int64_t tokens);
// Of a first request, which holds the user's first words too: the least that was seen counts.
void learned_keep(const struct claude *claude, bool interactive, enum tool_set tools,
                  int64_t tokens);
