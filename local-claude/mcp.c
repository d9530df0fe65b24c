#include "mcp.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "format/json.h"

#include <string.h>

enum { MAX_FILE = 64 << 20, MAX_DEPTH = 512, MAX_WRITTEN = 4 << 20 };

// The same text at another place is another configuration; the order does not change from run to
// run.
static void mix(struct mcp *mcp, const char *text) {
    mcp->key = mcp->key * 1099511628211u + str_hash(text);
}

static void add_servers(struct mcp *mcp, const json_t *servers) {
    struct buf text;
    if (json_object_size(servers) == 0)
        return;
    mcp->servers += json_object_size(servers);
    buf_init(&text, MAX_WRITTEN);
    json_write(&text, servers);
    mix(mcp, buf_text(&text));
    buf_fini(&text);
}

// {"mcpServers": {NAME: {...}}}, as in .mcp.json.
static void add_text(struct mcp *mcp, const char *text, size_t length) {
    json_t *json = json_parse_mended(text, length, MAX_DEPTH, 0, NULL);
    add_servers(mcp, json_object_get(json, "mcpServers"));
    json_decref(json);
}

static void add_file(struct mcp *mcp, const char *path) {
    size_t length;
    char *text = path_read_file(path, MAX_FILE, &length, NULL);
    if (text)
        add_text(mcp, text, length);
    mem_free(text);
}

// --- What the arguments bring

// --mcp-config takes all words up to the next option.
static void add_arguments(struct mcp *mcp, const struct options *options) {
    bool open = false;
    for (int i = 0; i < options->claude_arg_count; i++) {
        const char *word = options->claude_args[i];
        if (word[0] == '-') {
            open = strcmp(word, "--mcp-config") == 0;
            if (!str_starts(word, "--mcp-config="))
                continue;
            word = strchr(word, '=') + 1;
        } else if (!open) {
            continue;
        }
        size_t before = mcp->servers;
        if (word[strspn(word, " \t\r\n")] == '{')
            add_text(mcp, word, strlen(word));
        else
            add_file(mcp, word);
        mcp->given |= mcp->servers > before;
    }
}

// --- What the folders bring

// .claude.json grows to megabytes, and most have no servers: every project has an empty object.
static bool names_servers(const char *text) {
    static const char name[] = "\"mcpServers\"";
    for (const char *at = strstr(text, name); at; at = strstr(at, name)) {
        at += sizeof name - 1;
        at += strspn(at, " \t\r\n:");
        if (*at == '{' && at[1 + strspn(at + 1, " \t\r\n")] != '}')
            return true;
    }
    return false;
}

static void add_project(struct mcp *mcp, const json_t *project) {
    static const char *const switches[] = {"enabledMcpjsonServers", "disabledMcpjsonServers",
                                           "disabledMcpServers"};
    add_servers(mcp, json_object_get(project, "mcpServers"));
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++) {
        const json_t *names = json_object_get(project, switches[i]);
        for (size_t k = 0; k < json_array_size(names); k++)
            mix(mcp, json_is_string(json_array_get(names, k))
                         ? json_string_value(json_array_get(names, k))
                         : "");
    }
}

// This folder and those above it, the innermost first.
static void for_each_folder(struct mcp *mcp, const json_t *projects) {
    char *folder = path_absolute(".", NULL);
    while (folder) {
        char *path = path_join(folder, ".mcp.json"), *slash = strrchr(folder, '/');
        add_project(mcp, json_object_get(projects, folder));
        add_file(mcp, path);
        mem_free(path);
        if (!slash || !slash[1])
            break;
        slash[slash == folder] = '\0';
    }
    mem_free(folder);
}

void mcp_look(struct mcp *mcp, const struct options *options, const char *config_dir) {
    *mcp = (struct mcp){0};
    add_arguments(mcp, options);
    if (options_passes(options, "--strict-mcp-config"))
        return;
    size_t length = 0;
    char *path = path_join(config_dir, ".claude.json");
    char *text = path_read_file(path, MAX_FILE, &length, NULL);
    json_t *json =
        text && names_servers(text) ? json_parse_mended(text, length, MAX_DEPTH, 0, NULL) : NULL;
    add_servers(mcp, json_object_get(json, "mcpServers"));
    for_each_folder(mcp, json_object_get(json, "projects"));
    json_decref(json);
    mem_free(text);
    mem_free(path);
}
