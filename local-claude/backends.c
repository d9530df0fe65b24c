#include "backends.h"

#include "base/buf.h"
#include "base/mem.h"
#include "model_files.h"
#include "options.h"

#include <string.h>

// In the order in which they are looked for.
static const struct backend *const backends[] = {&backend_remote, &backend_lmstudio, &backend_llama,
                                                 &backend_remote_llama, &backend_apfel};

enum { BACKENDS = sizeof backends / sizeof *backends };

const struct backend *backend_find(const char *name) {
    for (size_t i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i]->name, name) == 0)
            return backends[i];
    return NULL;
}

const struct backend *backend_at(size_t index) { return index < BACKENDS ? backends[index] : NULL; }

const char *backend_names(void) {
    static char names[128];
    names[0] = '\0';
    for (size_t i = 0; i < BACKENDS; i++) {
        strncat(names, i ? ", " : "", sizeof names - strlen(names) - 1);
        strncat(names, backends[i]->name, sizeof names - strlen(names) - 1);
    }
    return names;
}

const struct backend *backend_discover(const struct options *options, char *why, size_t size,
                                       struct err *err) {
    struct buf reasons;
    buf_init(&reasons, 480);
    for (size_t i = 0; i < BACKENDS; i++) {
        why[0] = '\0';
        if (!backends[i]->probe)
            continue;
        if (backends[i]->probe(options, why, size)) {
            buf_fini(&reasons);
            return backends[i];
        }
        buf_printf(&reasons, "%s%s", reasons.length ? "; " : "", why);
    }
    err_set(err, ERR_NOTFOUND,
            "no local model was found: %s. Start a server (ancalagon serve), or say where it is: "
            "--backend remote --host HOST --port PORT",
            buf_text(&reasons));
    buf_fini(&reasons);
    return NULL;
}

bool place_foretell(struct place *place, const struct model_file *file, int64_t wanted,
                    const char *machine, struct err *err) {
    if (!file->fits)
        return err_set(err, ERR_LIMIT, "%s does not fit on %s: %s", file->file, machine,
                       file->reason);
    int64_t ctx = model_file_ctx(file, wanted);
    *place = (struct place){
        .label = mem_printf("a server on %s, for this run (a dry run starts none)", machine),
        .address = mem_strdup("127.0.0.1"),
        .prefix = mem_strdup(""),
        .model = model_file_name(file),
        .context_tokens = ctx ? ctx : file->ctx_tokens,
        .api = CHAT_API_MESSAGES,
        .llama = true,
    };
    return true;
}

void place_fini(struct place *place) {
    if (place->key)
        mem_wipe(place->key, strlen(place->key));
    mem_free(place->label);
    mem_free(place->address);
    mem_free(place->unix_path);
    mem_free(place->prefix);
    mem_free(place->key);
    mem_free(place->model);
    *place = (struct place){0};
}
