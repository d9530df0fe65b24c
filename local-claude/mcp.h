// Which MCP servers Claude Code will start, as far as its files and arguments tell before it runs:
// their tools take part of the window. What they take is measured at the first run (relay.h) and
// remembered for this very configuration (learned.h).
//
// Source: Claude Code 2.1.197, measured. Read are .claude.json in its folder (for everywhere, and
// for the project), .mcp.json here and in every folder above, --mcp-config. Plugins may bring
// servers too; those are not counted.
#pragma once

#include "options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mcp {
    size_t servers; // 0 = none
    uint64_t key;   // of the configuration; another one is measured anew
    bool given;     // by --mcp-config: then --bare has them too
};

void mcp_look(struct mcp *mcp, const struct options *options, const char *config_dir);
