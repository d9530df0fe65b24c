#define _GNU_SOURCE
#include "engine/reads.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ANSWERS = 16, TYPE_MAX = 24, FILE_MAX = 1 << 30 };

static struct answer {
    char engine[512], type[TYPE_MAX];
    int64_t changed_ns;
    enum reads reads;
} answers[ANSWERS];
static size_t next_answer;

struct seen {
    const char *type;
    bool ggml, reads;
};

// A whole text of the file, or the end of one (the linker merges texts with equal ends).
static bool has_text(const char *bytes, size_t size, const char *text) {
    size_t length = strlen(text);
    for (const char *at = bytes, *end = bytes + size; at + length < end; at++) {
        at = memchr(at, '\0', (size_t)(end - at));
        if (!at)
            return false;
        if ((size_t)(at - bytes) >= length && strncasecmp(at - length, text, length) == 0)
            return true;
    }
    return false;
}

static void look_into(const char *path, struct seen *seen) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size < FILE_MAX) {
        size_t size = (size_t)st.st_size;
        void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            seen->ggml |= has_text(bytes, size, "q4_K") && has_text(bytes, size, "iq2_xxs");
            seen->reads |= has_text(bytes, size, seen->type);
            munmap(bytes, size);
        }
    }
    close(fd);
}

static void look_into_libraries(const char *folder, struct seen *seen) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, "libggml", 7) != 0 || !strstr(entry->d_name, ".so"))
            continue;
        char *path = path_join(folder, entry->d_name);
        look_into(path, seen);
        mem_free(path);
    }
    if (dir)
        closedir(dir);
}

static enum reads look(const char *engine, const char *type) {
    struct seen seen = {.type = type};
    look_into(engine, &seen);
    const char *slash = strrchr(engine, '/');
    char *folder = slash ? mem_strndup(engine, (size_t)(slash - engine)) : mem_strdup(".");
    char *lib = mem_printf("%s/../lib", folder);
    if (!seen.ggml) {
        look_into_libraries(folder, &seen);
        look_into_libraries(lib, &seen);
    }
    mem_free(lib);
    mem_free(folder);
    return seen.reads ? READS_YES : seen.ggml ? READS_NO : READS_UNKNOWN;
}

enum reads reads_type(const char *engine, const char *type) {
    struct stat st;
    if (stat(engine, &st) < 0 || strlen(engine) >= sizeof answers->engine ||
        strlen(type) >= TYPE_MAX)
        return READS_UNKNOWN;
    for (size_t i = 0; i < ANSWERS; i++) {
        const struct answer *a = &answers[i];
        if (strcmp(a->engine, engine) == 0 && strcmp(a->type, type) == 0 &&
            a->changed_ns == system_changed_ns(&st))
            return a->reads;
    }
    struct answer *a = &answers[next_answer++ % ANSWERS];
    *a = (struct answer){.changed_ns = system_changed_ns(&st), .reads = look(engine, type)};
    snprintf(a->engine, sizeof a->engine, "%s", engine);
    snprintf(a->type, sizeof a->type, "%s", type);
    return a->reads;
}
