#include "far_script.h"

#include "base/mem.h"

#include <ctype.h>
#include <string.h>

extern const char far_script_text[]; // far_script.sh, by tools/embed

// In single quotes, such that sh, bash, zsh and fish read the same.
static void quote(struct buf *out, const char *word) {
    buf_adds(out, "'");
    for (const char *p = word; *p; p++) {
        if (*p == '\'')
            buf_adds(out, "'\\''");
        else if (*p == '\\') // fish takes \\ for one, even inside quotes
            buf_adds(out, "'\\\\'");
        else
            buf_add(out, p, 1);
    }
    buf_adds(out, "'");
}

char *far_wsl_path(const char *path) {
    if (!isalpha((unsigned char)path[0]) || path[1] != ':' ||
        (path[2] != '\\' && path[2] != '/' && path[2] != '\0'))
        return NULL;
    char *mapped = mem_printf("/mnt/%c%s", tolower((unsigned char)path[0]), path + 2);
    for (char *p = mapped; *p; p++)
        if (*p == '\\')
            *p = '/';
    return mapped;
}

void far_command(struct buf *out, const struct far_asked *asked) {
    const char *models = asked->models ? asked->models : "~/models";
    char *mapped = far_wsl_path(models);
    char silence[16];
    struct buf number;
    buf_init(&number, sizeof silence);
    buf_printf(&number, "%d", FAR_SILENCE_S);
    const char *const words[] = {far_script_text,
                                 "local-claude",
                                 models,
                                 mapped ? mapped : "",
                                 asked->llama_server ? asked->llama_server : "",
                                 buf_text(&number)};
    buf_adds(out, "exec sh -c");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        buf_adds(out, " ");
        quote(out, words[i]);
    }
    buf_fini(&number);
    mem_free(mapped);
}
