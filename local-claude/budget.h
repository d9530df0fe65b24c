// The window of a local model, shared out: what Claude Code's prompt and tools take of it, what one
// answer may, and what is left to work with. Decides which tools can be had.
//
// Source of the arithmetic: Claude Code 2.1.197, measured. It compacts a conversation by itself
// when it passes  window - min(answer, 20000) - 13000,  where window = min(context, max(100000,
// what CLAUDE_CODE_AUTO_COMPACT_WINDOW says)), and only when that variable is set. Below about 24K
// that would be at once; then it is left unset, and the conversation is compacted when it
// overflows.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum tool_set {
    TOOLS_FULL,
    TOOLS_LEAN, // the six core tools
    TOOLS_BARE, // Bash, Read, Edit; no project memory, no hooks (--bare)
    TOOLS_CHAT, // none
    TOOLS_OWN,  // as the user's own arguments say
};

struct budget_ask {
    int64_t context_tokens;              // 0 = unknown: BUDGET_ASSUMED_TOKENS is taken, and said
    int64_t max_output_tokens;           // the place's own limit; 0 = none
    const char *version;                 // of Claude Code; NULL = unknown
    bool interactive;                    // not -p
    bool lean;                           // the user wants no more than the core tools
    bool chat_only;                      // the place can do no more
    bool toolless;                       // the model's chat template knows no tools
    bool own_tools;                      // the user's arguments choose
    int64_t known_tokens[TOOLS_OWN + 1]; // measured in earlier runs; 0 = not
    size_t mcp_servers;                  // that are configured
    int64_t mcp_tokens;                  // what their tools take; 0 = not measured yet
    bool mcp_always;                     // with --bare too
    int64_t project_tokens;              // of CLAUDE.md, which comes on top; an estimate
};

struct budget {
    enum tool_set tools;
    int64_t context_tokens, prompt_tokens, output_tokens; // prompt 0 = unknown (TOOLS_OWN)
    int64_t compact_at;                                   // 0 = when it overflows
    int64_t mcp_tokens;                                   // beside the prompt
    size_t mcp_unseen;                                    // servers whose tools nobody has measured
    bool assumed;                                         // the context is an assumption
    bool estimated; // the prompt was measured with another version of Claude Code
    bool reduced;   // fewer tools than the user might expect, for want of room
    bool toolless;  // whatever the set, the model hears of none
    bool mcp_tight; // without MCP servers there would be room for more
    bool mcp_left;  // they are not started with these tools
    int64_t project_tokens;
};

enum { BUDGET_ASSUMED_TOKENS = 32768 };

// False: nothing useful fits; err says what would.
bool budget_make(struct budget *budget, const struct budget_ask *ask, struct err *err);
// "context 65536 = 18877 prompt + 8192 answer + 38467 left; compacts at 44344", and further lines
// when tools were left out, are of no use or are not counted, and when CLAUDE.md is so long
// that other projects share less than 95 % of the prompt. No newline at the end.
void budget_tell(const struct budget *budget, struct buf *out);
// Arguments for Claude Code that bring this set of tools about, NULL-terminated. Constants.
const char *const *budget_arguments(enum tool_set tools);
const char *budget_tools_name(enum tool_set tools); // "full", "lean", ...
// True when the table has this version of Claude Code.
bool budget_knows(const char *version);
