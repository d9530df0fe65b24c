#include "learned.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_FILE = 256 * 1024, MAX_CONFIGURATIONS = 256 };

#define PROMPTS "local-claude/prompts.json"
#define MCP "local-claude/mcp.json"

static json_t *read_file(const char *name) {
    char *path = path_state(name);
    size_t length;
    char *text = path_read_file(path, MAX_FILE, &length, NULL);
    json_t *json = text ? json_parse(text, length, 0, 0, NULL) : NULL;
    mem_free(text);
    mem_free(path);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return json_build("{}");
}

static char *name_of(enum tool_set tools, bool interactive) {
    return mem_printf("%s%s", budget_tools_name(tools), interactive ? "" : " -p");
}

void learned_recall(const struct claude *claude, bool interactive, int64_t tokens[TOOLS_OWN + 1]) {
    memset(tokens, 0, (TOOLS_OWN + 1) * sizeof *tokens);
    if (!claude->version || budget_knows(claude->version))
        return;
    json_t *file = read_file(PROMPTS);
    const json_t *version = json_object_get(file, claude->version);
    for (enum tool_set tools = TOOLS_FULL; tools < TOOLS_OWN; tools++) {
        char *name = name_of(tools, interactive);
        tokens[tools] = json_get_int(version, name, 0);
        mem_free(name);
    }
    json_decref(file);
}

static void write_file(const char *name, const json_t *file) {
    char *path = path_state(name);
    char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    struct buf text;
    buf_init(&text, MAX_FILE);
    if (json_write(&text, file) && path_make_private(folder, NULL))
        path_write_file(path, buf_bytes(&text), text.length, 0600, NULL);
    buf_fini(&text);
    mem_free(folder);
    mem_free(path);
}

void learned_keep(const struct claude *claude, bool interactive, enum tool_set tools,
                  int64_t tokens) {
    if (!claude->version || budget_knows(claude->version) || tools == TOOLS_OWN || tokens <= 0)
        return;
    json_t *file = read_file(PROMPTS);
    if (!json_is_object(json_object_get(file, claude->version)))
        json_set(file, claude->version, json_build("{}"));
    json_t *version = json_object_get(file, claude->version);
    char *name = name_of(tools, interactive);
    int64_t before = json_get_int(version, name, 0);
    if (before == 0 || tokens < before) {
        json_set(version, name, json_build("I", (json_int_t)tokens));
        write_file(PROMPTS, file);
    }
    mem_free(name);
    json_decref(file);
}

static void name_key(uint64_t key, char name[20]) {
    snprintf(name, 20, "%016llx", (unsigned long long)key);
}

int64_t learned_mcp(uint64_t key) {
    char name[20];
    json_t *file = read_file(MCP);
    name_key(key, name);
    int64_t tokens = json_get_int(file, name, 0);
    json_decref(file);
    return tokens > 0 ? tokens : 0;
}

// The one that was measured longest ago goes when there are too many: members keep their order.
void learned_keep_mcp(uint64_t key, int64_t tokens) {
    char name[20];
    json_t *file = read_file(MCP);
    name_key(key, name);
    if (tokens > 0 && json_get_int(file, name, 0) != tokens) {
        json_object_del(file, name);
        if (json_object_size(file) >= MAX_CONFIGURATIONS)
            json_object_del(file, json_object_iter_key(json_object_iter(file)));
        json_set(file, name, json_build("I", (json_int_t)tokens));
        write_file(MCP, file);
    }
    json_decref(file);
}
