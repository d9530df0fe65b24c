#include "budget.h"

#include <string.h>

// What a first request takes, in tokens of Qwen3's vocabulary and template, measured with the
// environment of environment.c; the newest version first. Another model's tokenizer differs by a
// tenth or two.
static const struct prompt_cost {
    const char *version;
    int64_t full_print, full_interactive, lean, bare, chat;
} costs[] = {
    {"2.1.197", 18877, 21816, 4243, 1157, 233},
};

enum {
    COMPACT_MARGIN = 13000,
    COMPACT_OUTPUT_MAX = 20000,
    OUTPUT_MIN = 512,
    OUTPUT_MAX = 8192,
    OWN_TOKENS = 200, // of a prompt: folders, git's status and a short question, measured
    SHARED_WELL = 95, // percent of the prompt
    TOLD_FROM = 256,  // tokens of CLAUDE.md; of fewer nobody need hear
};

// What must be left for work, beside prompt and answer, for a set of tools to be worth having: a
// few files for all tools, one for the core tools, some questions for chat.
static const struct tool_room {
    const char *name;
    int64_t room_tokens;
    bool needs_compaction; // a conversation with all tools cannot wait until it overflows
    const char *arguments[5];
} rooms[] = {
    [TOOLS_FULL] = {"full", 6000, true, {NULL}},
    [TOOLS_LEAN] = {"lean", 6000, false, {"--tools", "Bash,Edit,Read,Write,Glob,Grep", NULL}},
    [TOOLS_BARE] = {"bare", 3000, false, {"--bare", NULL}},
    [TOOLS_CHAT] = {"chat", 1024, false, {"--bare", "--tools", "", NULL}},
    [TOOLS_OWN] = {"own", 0, false, {NULL}},
};

static const struct prompt_cost *find_cost(const char *version) {
    for (size_t i = 0; version && i < sizeof costs / sizeof *costs; i++)
        if (strcmp(costs[i].version, version) == 0)
            return &costs[i];
    return NULL;
}

bool budget_knows(const char *version) { return find_cost(version) != NULL; }

static int64_t table_tokens(const struct prompt_cost *cost, enum tool_set tools, bool interactive) {
    switch (tools) {
    case TOOLS_FULL: return interactive ? cost->full_interactive : cost->full_print;
    case TOOLS_LEAN: return cost->lean;
    case TOOLS_BARE: return cost->bare;
    case TOOLS_CHAT: return cost->chat;
    case TOOLS_OWN: break;
    }
    return 0;
}

// An eighth of the window, in steps of 256.
static int64_t output_for(int64_t context, int64_t limit) {
    int64_t tokens = context / 8 / 256 * 256;
    if (tokens < OUTPUT_MIN)
        tokens = OUTPUT_MIN;
    if (tokens > OUTPUT_MAX)
        tokens = OUTPUT_MAX;
    return limit > 0 && limit < tokens ? limit : tokens;
}

static int64_t compaction_point(int64_t context, int64_t output) {
    int64_t held = output < COMPACT_OUTPUT_MAX ? output : COMPACT_OUTPUT_MAX;
    return context - held - COMPACT_MARGIN;
}

// --bare leaves the servers of files out, --tools is about Claude Code's own tools only.
static bool has_mcp(enum tool_set tools) { return tools != TOOLS_BARE && tools != TOOLS_CHAT; }

static int64_t taken(const struct budget *budget) {
    return budget->prompt_tokens + budget->mcp_tokens;
}

static void weigh(struct budget *budget, const struct budget_ask *ask, enum tool_set tools) {
    const struct prompt_cost *cost = find_cost(ask->version);
    int64_t known = ask->known_tokens[tools];
    budget->tools = tools;
    budget->prompt_tokens =
        !cost && known > 0 ? known : table_tokens(cost ? cost : &costs[0], tools, ask->interactive);
    if (tools == TOOLS_OWN)
        budget->prompt_tokens = known;
    budget->estimated = !cost && known == 0 && tools != TOOLS_OWN;
    bool mcp = ask->mcp_servers > 0 && (has_mcp(tools) || ask->mcp_always);
    budget->mcp_tokens = mcp ? ask->mcp_tokens : 0;
    budget->mcp_unseen = mcp && ask->mcp_tokens == 0 ? ask->mcp_servers : 0;
    int64_t point = compaction_point(budget->context_tokens, budget->output_tokens);
    bool in_time = point - taken(budget) >= rooms[tools].room_tokens && point > 0;
    budget->compact_at = in_time ? point : 0;
}

static bool fits(const struct budget *budget) {
    const struct tool_room *room = &rooms[budget->tools];
    int64_t left = budget->context_tokens - budget->output_tokens - taken(budget);
    return room->needs_compaction ? budget->compact_at > 0 : left >= room->room_tokens;
}

// The smallest window, in steps of 1K, in which this set of tools would fit.
static int64_t least_window(const struct budget_ask *ask, enum tool_set tools) {
    struct budget trial = {0};
    for (int64_t context = 1024; context < (1 << 20); context += 1024) {
        trial.context_tokens = context;
        trial.output_tokens = output_for(context, ask->max_output_tokens);
        weigh(&trial, ask, tools);
        if (fits(&trial))
            return context;
    }
    return 0;
}

static void look_at_mcp(struct budget *budget, const struct budget_ask *ask) {
    struct budget_ask without = *ask;
    struct budget other;
    without.mcp_servers = 0;
    budget->mcp_left =
        budget->reduced && ask->mcp_servers > 0 && !has_mcp(budget->tools) && !ask->mcp_always;
    budget->mcp_tight = budget->reduced && ask->mcp_servers > 0 &&
                        budget_make(&other, &without, NULL) && other.tools < budget->tools;
}

bool budget_make(struct budget *budget, const struct budget_ask *ask, struct err *err) {
    bool known = ask->context_tokens > 0;
    *budget =
        (struct budget){.context_tokens = known ? ask->context_tokens : BUDGET_ASSUMED_TOKENS};
    budget->assumed = !known;
    budget->project_tokens = ask->project_tokens;
    budget->toolless = ask->toolless && !ask->chat_only;
    budget->output_tokens = output_for(budget->context_tokens, ask->max_output_tokens);
    enum tool_set wanted = ask->chat_only   ? TOOLS_CHAT
                           : ask->own_tools ? TOOLS_OWN
                           : ask->lean      ? TOOLS_LEAN
                           : ask->toolless  ? TOOLS_CHAT
                                            : TOOLS_FULL;
    enum tool_set last = ask->own_tools && !ask->chat_only ? TOOLS_OWN : TOOLS_CHAT;
    for (enum tool_set tools = wanted; tools <= last; tools++) {
        weigh(budget, ask, tools);
        budget->reduced = tools != wanted;
        if (fits(budget)) {
            look_at_mcp(budget, ask);
            return true;
        }
    }
    return err_set(err, ERR_LIMIT,
                   "a context of %lld tokens is too small for Claude Code: even chat without tools "
                   "needs %lldK, the core tools %lldK, all of them %lldK. Give the model more "
                   "context where it is served (ancalagon: ctx = 64K; llama-server: -c 65536)",
                   (long long)budget->context_tokens,
                   (long long)least_window(ask, TOOLS_CHAT) / 1024,
                   (long long)least_window(ask, TOOLS_LEAN) / 1024,
                   (long long)least_window(ask, TOOLS_FULL) / 1024);
}

static void tell_tools(const struct budget *budget, struct buf *out) {
    static const char *const what[] = {
        [TOOLS_LEAN] = "only the core tools (--lean): all of them would leave no room to work",
        [TOOLS_BARE] =
            "only Bash, Read and Edit (--bare), without project memory: more would leave "
            "no room to work",
        [TOOLS_CHAT] = "chat only, without tools: they would leave no room to talk",
    };
    bool only_talks = budget->toolless && budget->tools == TOOLS_CHAT;
    if (budget->reduced && !only_talks)
        buf_printf(out, "\n%s", what[budget->tools]);
    if (budget->toolless)
        buf_printf(out,
                   "\n%sthis model's chat template knows no tools: it can talk, but neither read "
                   "nor change a file; one that is made for tool calls can (Qwen3, gpt-oss)",
                   only_talks ? "chat only: " : "");
    if (budget->mcp_left)
        buf_adds(out, "; MCP servers are left out, too");
    if (budget->mcp_tight)
        buf_adds(out, "; without MCP servers (--strict-mcp-config) there would be room for more");
    if (budget->mcp_unseen > 0)
        buf_printf(out, "\nthe tools of %zu MCP server%s come on top: a first run measures them",
                   budget->mcp_unseen, budget->mcp_unseen == 1 ? "" : "s");
}

// An engine reads what two projects share only once: all that stands before the first word that is
// a project's own (lib/chat/messages_project.c).
static void tell_shared(const struct budget *budget, struct buf *out) {
    int64_t all = taken(budget) + budget->project_tokens;
    if (budget->project_tokens < TOLD_FROM || budget->tools > TOOLS_LEAN)
        return;
    int64_t shared = (taken(budget) - OWN_TOKENS) * 100 / all;
    if (shared < SHARED_WELL)
        buf_printf(out,
                   "\nCLAUDE.md adds about %lld tokens; %lld %% of the prompt are the same in "
                   "another project",
                   (long long)budget->project_tokens, (long long)shared);
}

void budget_tell(const struct budget *budget, struct buf *out) {
    const char *about = budget->estimated ? "about " : "";
    int64_t left = budget->context_tokens - taken(budget) - budget->output_tokens;
    buf_printf(out, "context %lld%s = ", (long long)budget->context_tokens,
               budget->assumed ? " (assumed, the server does not tell; --ctx says it)" : "");
    if (budget->prompt_tokens > 0)
        buf_printf(out, "%s%lld prompt + ", about, (long long)budget->prompt_tokens);
    if (budget->mcp_tokens > 0)
        buf_printf(out, "%lld MCP tools + ", (long long)budget->mcp_tokens);
    buf_printf(out, "%lld answer + %lld %s", (long long)budget->output_tokens, (long long)left,
               budget->prompt_tokens > 0 ? "left" : "for prompt and work");
    if (budget->compact_at > 0)
        buf_printf(out, "; compacts at %lld", (long long)budget->compact_at);
    else
        buf_adds(out, "; compacts when it is full");
    tell_tools(budget, out);
    tell_shared(budget, out);
}

const char *const *budget_arguments(enum tool_set tools) { return rooms[tools].arguments; }

const char *budget_tools_name(enum tool_set tools) { return rooms[tools].name; }
