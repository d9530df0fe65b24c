#include "learned.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "format/json.h"

#include <string.h>

enum { MAX_FILE = 256 * 1024 };

static char *file_path(void) { return path_state("local-claude/prompts.json"); }

static json_t *read_file(void) {
    char *path = file_path();
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
    json_t *file = read_file();
    const json_t *version = json_object_get(file, claude->version);
    for (enum tool_set tools = TOOLS_FULL; tools < TOOLS_OWN; tools++) {
        char *name = name_of(tools, interactive);
        tokens[tools] = json_get_int(version, name, 0);
        mem_free(name);
    }
    json_decref(file);
}

static void write_file(const json_t *file) {
    char *path = file_path();
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
    json_t *file = read_file();
    if (!json_is_object(json_object_get(file, claude->version)))
        json_set(file, claude->version, json_build("{}"));
    json_t *version = json_object_get(file, claude->version);
    char *name = name_of(tools, interactive);
    int64_t before = json_get_int(version, name, 0);
    if (before == 0 || tokens < before) {
        json_set(version, name, json_build("I", (json_int_t)tokens));
        write_file(file);
    }
    mem_free(name);
    json_decref(file);
}
