#define _GNU_SOURCE
#include "user_settings.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "environment.h"
#include "format/json.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILE = 4 << 20, KEPT_S = 30 * 24 * 3600 };

#define FLAG "--settings"
#define PREFIX "settings-"

// Takes every --settings out of the arguments; the value of the last one, or NULL.
static const char *take_argument(struct options *options) {
    const char *value = NULL;
    char **args = options->claude_args;
    int kept = 0, i = 0;
    for (; args[i] && strcmp(args[i], "--") != 0; i++) {
        if (str_starts(args[i], FLAG "="))
            value = args[i] + strlen(FLAG "=");
        else if (strcmp(args[i], FLAG) == 0 && args[i + 1])
            value = args[++i];
        else
            args[kept++] = args[i];
    }
    while (args[i])
        args[kept++] = args[i++];
    args[kept] = NULL;
    options->claude_arg_count = kept;
    return value;
}

// As Claude Code tells them apart.
static bool is_json(const char *value) {
    struct span text = span_of(value);
    while (text.length > 0 && strchr(" \t\r\n", text.data[text.length - 1]))
        text.length--;
    while (text.length > 0 && strchr(" \t\r\n", text.data[0]))
        text = (struct span){text.data + 1, text.length - 1};
    return text.length > 1 && text.data[0] == '{' && text.data[text.length - 1] == '}';
}

static json_t *read_theirs(const char *value, bool inline_json, struct err *err) {
    size_t length = strlen(value);
    char *text = inline_json ? mem_strdup(value) : path_read_file(value, MAX_FILE, &length, err);
    if (!text) {
        err_context(err, FLAG);
        return NULL;
    }
    size_t mark = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; // of byte order
    json_t *json = json_parse_mended(text + mark, length - mark, 0, 0, err);
    if (json && !json_is_object(json)) {
        json_decref(json);
        json = NULL;
        err_set(err, ERR_INVALID, "no JSON object");
    }
    if (!json)
        err_context(err, FLAG " %s", inline_json ? "" : value);
    mem_free(text);
    return json;
}

// What nobody has used for a month.
static void sweep(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    struct stat st;
    while (dir && (entry = readdir(dir)))
        if (str_starts(entry->d_name, PREFIX) && fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 &&
            st.st_mtime < time(NULL) - KEPT_S)
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

// Named by its content: it stays right for every run that was told of it, and needs no end.
static char *put_aside(const char *text, struct err *err) {
    char *folder = path_cache("local-claude"), *path = NULL;
    if (path_make_private(folder, err)) {
        sweep(folder);
        path = mem_printf("%s/" PREFIX "%016llx.json", folder, (unsigned long long)str_hash(text));
    }
    if (path && !path_write_file(path, text, strlen(text), 0600, err)) {
        mem_free(path);
        path = NULL;
    }
    mem_free(folder);
    return path;
}

char *user_settings_merge(struct options *options, char *const *environment, struct err *err) {
    const char *value = take_argument(options);
    if (!value || !*value)
        return environment_settings(environment, NULL, NULL);
    bool inline_json = is_json(value);
    json_t *theirs = read_theirs(value, inline_json, err);
    if (!theirs)
        return NULL;
    struct buf dropped;
    buf_init(&dropped, 64 * 1024);
    char *text = environment_settings(environment, theirs, &dropped);
    if (dropped.length > 0)
        fprintf(stderr, "local-claude: of your " FLAG ", %s is left out: it would lead elsewhere\n",
                buf_text(&dropped));
    buf_fini(&dropped);
    if (!text)
        err_set(err, ERR_LIMIT, FLAG ": they are too large");
    char *out = text && !inline_json ? put_aside(text, err) : text;
    if (out != text)
        mem_free(text);
    return out;
}
