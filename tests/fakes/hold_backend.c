// A backend of local-claude without Claude Code: opens it as the program does, says where the model
// is (JSON, one line), holds it until standard input ends, closes it. Takes local-claude's options.
#include "backends.h"
#include "format/json.h"
#include "options.h"

#include <stdio.h>
#include <unistd.h>

static void tell(const struct place *place) {
    json_t *json = json_build(
        "{s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:b, s:s}", "label", place->label, "address",
        place->address, "port", (json_int_t)place->port, "unix", place->unix_path, "key",
        place->key, "model", place->model, "ctx", (json_int_t)place->context_tokens, "direct",
        (int)place->direct, "api", place->api == CHAT_API_MESSAGES ? "messages" : "completions");
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(json);
}

int main(int argc, char **argv) {
    struct options options;
    struct place place;
    struct err err = {0};
    char why[256] = "", byte;
    if (!options_read(&options, argc, argv, &err)) {
        fprintf(stderr, "error: %s\n", err.text);
        return 2;
    }
    const struct backend *backend = options.backend
                                        ? backend_find(options.backend)
                                        : backend_discover(&options, why, sizeof why, &err);
    if (!backend || !backend->open(&options, &place, &err)) {
        fprintf(stderr, "error: %s\n", err.text);
        options_fini(&options);
        return 1;
    }
    tell(&place);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    if (backend->close)
        backend->close();
    place_fini(&place);
    options_fini(&options);
    return 0;
}
