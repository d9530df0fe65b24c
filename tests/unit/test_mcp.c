// Which MCP servers a run will have, from files and arguments.
#define _GNU_SOURCE
#include "mcp.h"

#include "base/mem.h"
#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], *config, *project;

static int make_world(void **state) {
    snprintf(folder, sizeof folder, "/tmp/test-mcp-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    config = mem_printf("%s/config", folder);
    project = mem_printf("%s/a/b", folder);
    return !path_make_private(config, NULL) || !path_make_private(project, NULL) || chdir(project);
}

static void put(const char *name, const char *text) {
    char *path = path_join(folder, name);
    if (text)
        assert_true(path_write_file(path, text, strlen(text), 0600, NULL));
    else
        unlink(path);
    mem_free(path);
}

static int end_world(void **state) {
    put("config/.claude.json", NULL);
    put("a/b/.mcp.json", NULL);
    put("a/.mcp.json", NULL);
    put("mine.json", NULL);
    int failed = chdir("/") || rmdir(project) || rmdir(config);
    project[strlen(project) - 2] = '\0';
    failed |= rmdir(project) || rmdir(folder);
    mem_free(config);
    mem_free(project);
    return failed;
}

static struct mcp look(const char *words) {
    char *args[16] = {NULL}, *copy = mem_strdup(words), *rest = copy;
    struct options options = {.claude_args = args};
    for (char *word; (word = strsep(&rest, " "));)
        if (*word)
            args[options.claude_arg_count++] = word;
    struct mcp mcp;
    mcp_look(&mcp, &options, config);
    mem_free(copy);
    return mcp;
}

static void test_where_they_are(void **state) {
    assert_int_equal(look("").servers, 0);
    put("config/.claude.json",
        "{\"mcpServers\": {}, \"projects\": {\"/x\": {\"mcpServers\": {}}}}");
    assert_int_equal(look("").servers, 0);
    put("config/.claude.json", "{\"mcpServers\": {\"u\": {\"command\": \"x\"}}}");
    assert_int_equal(look("").servers, 1);
    char *text = mem_printf("{\"mcpServers\": {\"u\": {}}, \"projects\": {\"%s\": {\"mcpServers\": "
                            "{\"l\": {}}}, \"/other\": {\"mcpServers\": {\"o\": {}}}}}",
                            project);
    put("config/.claude.json", text);
    mem_free(text);
    assert_int_equal(look("").servers, 2);
    put("a/b/.mcp.json", "{\"mcpServers\": {\"p\": {}, \"q\": {}}}");
    put("a/.mcp.json", "{\"mcpServers\": {\"r\": {}}}");
    assert_int_equal(look("").servers, 5);
    assert_false(look("").given);
    assert_int_equal(look("--strict-mcp-config").servers, 0);
    put("a/.mcp.json", "{ broken");
    assert_int_equal(look("").servers, 4);
    put("a/b/.mcp.json", NULL);
    put("a/.mcp.json", NULL);
    put("config/.claude.json", NULL);
}

static void test_arguments(void **state) {
    put("mine.json", "{\"mcpServers\": {\"m\": {}, \"n\": {}}}");
    static const struct {
        const char *words;
        size_t servers;
    } cases[] = {
        {"--mcp-config ../../mine.json", 2},
        {"--mcp-config=../../mine.json", 2},
        {"--mcp-config ../../mine.json {\"mcpServers\":{\"i\":{}}} -p hi", 3},
        {"--mcp-config ../../no.json", 0},
        {"--mcp-config {}", 0},
        {"-p ../../mine.json", 0},
        {"--strict-mcp-config --mcp-config ../../mine.json", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct mcp mcp = look(cases[i].words);
        assert_int_equal(mcp.servers, cases[i].servers);
        assert_int_equal(mcp.given, cases[i].servers > 0);
    }
}

// Any other configuration is another key, and the same one the same.
static void test_key(void **state) {
    static const char *const files[] = {
        "{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}",
        "{\"mcpServers\": {\"a\": {\"command\": \"y\"}}}",
        "{\"mcpServers\": {\"a\": {\"command\": \"x\", \"args\": [\"z\"]}}}",
        "{\"mcpServers\": {\"b\": {\"command\": \"x\"}}}",
    };
    enum { FILES = sizeof files / sizeof *files };
    uint64_t keys[FILES + 1];
    for (size_t i = 0; i < FILES; i++) {
        put("a/b/.mcp.json", files[i]);
        keys[i] = look("").key;
        assert_true(look("-c").key == keys[i]);
    }
    char *switched = mem_printf("{\"mcpServers\": {\"u\": {}}, \"projects\": {\"%s\": "
                                "{\"disabledMcpjsonServers\": [\"b\"]}}}",
                                project);
    put("config/.claude.json", "{\"mcpServers\": {\"u\": {}}}");
    uint64_t both = look("").key;
    put("config/.claude.json", switched);
    keys[FILES] = look("").key;
    assert_true(both != keys[FILES]);
    for (size_t i = 0; i <= FILES; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(keys[i] != keys[k]);
    mem_free(switched);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_they_are),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_key),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
