// What of a window is left for work, and with which tools.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "budget.h"

#include <string.h>

#include <cmocka.h>

static void test_choice(void **state) {
    static const struct {
        struct budget_ask ask;
        enum tool_set tools;
        int64_t prompt, output, compact_at;
        bool reduced;
    } cases[] = {
        {{.context_tokens = 65536, .version = "2.1.197"}, TOOLS_FULL, 18877, 8192, 44344, false},
        {{.context_tokens = 65536, .version = "2.1.197", .interactive = true},
         TOOLS_FULL,
         21816,
         8192,
         44344,
         false},
        {{.context_tokens = 49152, .version = "2.1.197", .interactive = true},
         TOOLS_FULL,
         21816,
         6144,
         30008,
         false},
        {{.context_tokens = 262144, .version = "2.1.197"}, TOOLS_FULL, 18877, 8192, 240952, false},
        {{.context_tokens = 32768, .version = "2.1.197"}, TOOLS_LEAN, 4243, 4096, 15672, true},
        {{.context_tokens = 65536, .version = "2.1.197", .lean = true},
         TOOLS_LEAN,
         4243,
         8192,
         44344,
         false},
        {{.context_tokens = 16384, .version = "2.1.197"}, TOOLS_LEAN, 4243, 2048, 0, true},
        {{.context_tokens = 8192, .version = "2.1.197"}, TOOLS_BARE, 1157, 1024, 0, true},
        {{.context_tokens = 4096, .version = "2.1.197"}, TOOLS_CHAT, 233, 512, 0, true},
        {{.context_tokens = 4096, .version = "2.1.197", .chat_only = true},
         TOOLS_CHAT,
         233,
         512,
         0,
         false},
        {{.context_tokens = 65536,
          .version = "2.1.197",
          .chat_only = true,
          .max_output_tokens = 1000},
         TOOLS_CHAT,
         233,
         1000,
         51536,
         false},
        {{.context_tokens = 65536, .version = "2.1.197", .toolless = true},
         TOOLS_CHAT,
         233,
         8192,
         44344,
         false},
        {{.context_tokens = 65536, .version = "2.1.197", .toolless = true, .lean = true},
         TOOLS_LEAN,
         4243,
         8192,
         44344,
         false},
        {{.context_tokens = 8192, .version = "2.1.197", .own_tools = true},
         TOOLS_OWN,
         0,
         1024,
         0,
         false},
        {{.context_tokens = 0, .version = "2.1.197"}, TOOLS_LEAN, 4243, 4096, 15672, true},
        // Another version: what was measured with it before, else the newest one's figures.
        {{.context_tokens = 65536, .version = "9.9.9"}, TOOLS_FULL, 18877, 8192, 44344, false},
        {{.context_tokens = 65536, .version = "9.9.9", .known_tokens = {30000}},
         TOOLS_FULL,
         30000,
         8192,
         44344,
         false},
        {{.context_tokens = 65536, .version = "9.9.9", .known_tokens = {40000, 9000}},
         TOOLS_LEAN,
         9000,
         8192,
         44344,
         true},
        {{.context_tokens = 65536, .version = "2.1.197", .known_tokens = {30000}},
         TOOLS_FULL,
         18877,
         8192,
         44344,
         false},
        // The tools of MCP servers stand beside all tools and the core ones, not beside --bare.
        {{.context_tokens = 65536, .version = "2.1.197", .mcp_servers = 2, .mcp_tokens = 12000},
         TOOLS_FULL,
         18877,
         8192,
         44344,
         false},
        {{.context_tokens = 65536, .version = "2.1.197", .mcp_servers = 2, .mcp_tokens = 20000},
         TOOLS_LEAN,
         4243,
         8192,
         44344,
         true},
        {{.context_tokens = 65536, .version = "2.1.197", .mcp_servers = 2, .mcp_tokens = 60000},
         TOOLS_BARE,
         1157,
         8192,
         44344,
         true},
        {{.context_tokens = 65536, .version = "2.1.197", .mcp_servers = 2},
         TOOLS_FULL,
         18877,
         8192,
         44344,
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct budget budget;
        struct err err;
        assert_true(budget_make(&budget, &cases[i].ask, &err));
        assert_int_equal(budget.tools, cases[i].tools);
        assert_int_equal(budget.prompt_tokens, cases[i].prompt);
        assert_int_equal(budget.output_tokens, cases[i].output);
        assert_int_equal(budget.compact_at, cases[i].compact_at);
        assert_int_equal(budget.reduced, cases[i].reduced);
        bool unknown = strcmp(cases[i].ask.version, "9.9.9") == 0 && !cases[i].ask.known_tokens[0];
        assert_int_equal(budget.estimated, unknown);
    }
}

// Whatever the window: what is chosen leaves its room, and a larger window never gets fewer tools.
static void test_every_window(void **state) {
    enum tool_set last = TOOLS_OWN;
    for (int64_t context = 1024; context <= 262144; context += 256) {
        struct budget_ask ask = {.context_tokens = context, .version = "2.1.197"};
        struct budget budget;
        if (!budget_make(&budget, &ask, NULL)) {
            assert_true(last == TOOLS_OWN);
            continue;
        }
        assert_true(budget.tools <= last);
        assert_true(budget.prompt_tokens + budget.output_tokens + 1024 <= context);
        assert_true(budget.compact_at == 0 || budget.compact_at >= budget.prompt_tokens + 1024);
        assert_true(budget.tools != TOOLS_FULL || budget.compact_at > 0);
        last = budget.tools;
    }
    assert_int_equal(last, TOOLS_FULL);
}

static void test_refusal(void **state) {
    struct budget_ask ask = {.context_tokens = 1024, .version = "2.1.197"};
    struct budget budget;
    struct err err = {0};
    assert_false(budget_make(&budget, &ask, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(
        strstr(err.text, "chat without tools needs 2K, the core tools 12K, all of them"));
}

#define TOOLLESS                                                                                   \
    "this model's chat template knows no tools: it can talk, but neither read nor change a file; " \
    "one that is made for tool calls can (Qwen3, gpt-oss)"

static void test_telling(void **state) {
    static const struct {
        struct budget_ask ask;
        const char *text;
    } cases[] = {
        {{.context_tokens = 65536, .version = "2.1.197"},
         "context 65536 = 18877 prompt + 8192 answer + 38467 left; compacts at 44344"},
        {{.context_tokens = 65536, .version = "9.9.9"},
         "context 65536 = about 18877 prompt + 8192 answer + 38467 left; compacts at 44344"},
        {{.context_tokens = 4096, .version = "2.1.197"},
         "context 4096 = 233 prompt + 512 answer + 3351 left; compacts when it is full\n"
         "chat only, without tools: they would leave no room to talk"},
        {{.context_tokens = 65536, .version = "2.1.197", .mcp_servers = 2, .mcp_tokens = 4100},
         "context 65536 = 18877 prompt + 4100 MCP tools + 8192 answer + 34367 left; compacts at "
         "44344"},
        {{.context_tokens = 65536, .version = "2.1.197", .mcp_servers = 1},
         "context 65536 = 18877 prompt + 8192 answer + 38467 left; compacts at 44344\n"
         "the tools of 1 MCP server come on top: a first run measures them"},
        {{.context_tokens = 65536, .version = "2.1.197", .mcp_servers = 3, .mcp_tokens = 20000},
         "context 65536 = 4243 prompt + 20000 MCP tools + 8192 answer + 33101 left; compacts at "
         "44344\n"
         "only the core tools (--lean): all of them would leave no room to work; without MCP "
         "servers (--strict-mcp-config) there would be room for more"},
        {{.context_tokens = 32768, .version = "2.1.197", .mcp_servers = 3, .mcp_tokens = 900},
         "context 32768 = 4243 prompt + 900 MCP tools + 4096 answer + 23529 left; compacts at 15672\n"
         "only the core tools (--lean): all of them would leave no room to work"},
        {{.context_tokens = 8192, .version = "2.1.197", .mcp_servers = 3},
         "context 8192 = 1157 prompt + 1024 answer + 6011 left; compacts when it is full\n"
         "only Bash, Read and Edit (--bare), without project memory: more would leave no room to "
         "work; MCP servers are left out, too"},
        {{.context_tokens = 8192,
          .version = "2.1.197",
          .lean = true,
          .mcp_servers = 1,
          .mcp_always = true},
         "context 8192 = 1157 prompt + 1024 answer + 6011 left; compacts when it is full\n"
         "only Bash, Read and Edit (--bare), without project memory: more would leave no room to "
         "work\nthe tools of 1 MCP server come on top: a first run measures them"},
        {{.context_tokens = 65536, .own_tools = true, .mcp_servers = 1, .mcp_tokens = 700},
         "context 65536 = 700 MCP tools + 8192 answer + 56644 for prompt and work; compacts at 44344"},
        {{.context_tokens = 4096, .own_tools = true},
         "context 4096 = 512 answer + 3584 for prompt and work; compacts when it is full"},
        {{.context_tokens = 0, .version = "2.1.197", .lean = true},
         "context 32768 (assumed, the server does not tell; --ctx says it) = 4243 prompt + 4096 "
         "answer + 24429 left; compacts at 15672"},
        {{.context_tokens = 65536, .version = "2.1.197", .lean = true, .project_tokens = 1000},
         "context 65536 = 4243 prompt + 8192 answer + 53101 left; compacts at 44344\n"
         "CLAUDE.md adds about 1000 tokens; 77 % of the prompt are the same in another project"},
        {{.context_tokens = 65536, .version = "2.1.197", .lean = true, .project_tokens = 255},
         "context 65536 = 4243 prompt + 8192 answer + 53101 left; compacts at 44344"},
        {{.context_tokens = 65536, .version = "2.1.197", .project_tokens = 700},
         "context 65536 = 18877 prompt + 8192 answer + 38467 left; compacts at 44344"},
        {{.context_tokens = 65536, .version = "2.1.197", .toolless = true},
         "context 65536 = 233 prompt + 8192 answer + 57111 left; compacts at 44344\n"
         "chat only: " TOOLLESS},
        {{.context_tokens = 65536, .version = "2.1.197", .toolless = true, .lean = true},
         "context 65536 = 4243 prompt + 8192 answer + 53101 left; compacts at 44344\n" TOOLLESS},
        {{.context_tokens = 8192, .version = "2.1.197", .toolless = true, .lean = true},
         "context 8192 = 1157 prompt + 1024 answer + 6011 left; compacts when it is full\n"
         "only Bash, Read and Edit (--bare), without project memory: more would leave no room to "
         "work\n" TOOLLESS},
        {{.context_tokens = 8192, .own_tools = true, .toolless = true},
         "context 8192 = 1024 answer + 7168 for prompt and work; compacts when it is full\n" TOOLLESS},
        {{.context_tokens = 4096, .version = "2.1.197", .chat_only = true, .toolless = true},
         "context 4096 = 233 prompt + 512 answer + 3351 left; compacts when it is full"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct budget budget;
        struct buf out;
        buf_init(&out, 1024);
        assert_true(budget_make(&budget, &cases[i].ask, NULL));
        budget_tell(&budget, &out);
        assert_string_equal(buf_text(&out), cases[i].text);
        buf_fini(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_every_window),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_telling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
