/* Knobs: text to switches. And the little of JSON that a fake engine must read. */
#include "fake.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

void knobs_init(struct knobs *knobs) {
    *knobs = (struct knobs){
        .dialect = DIALECT_MAINLINE,
        .request = {.tokens = 4, .draft_accept = -1},
        .wedge_after = -1,
        .exit_at_start = -1,
        .exit_after_ms = -1,
        .stop_after_ms = -1,
        .slots = -1,
        .n_ctx = 8192,
        .fault_starts = -1,
    };
}

static bool truth(const char *value) {
    return strcmp(value, "0") != 0 && strcmp(value, "false") != 0 && strcmp(value, "off") != 0;
}

static const char *const then_names[] = {
    [THEN_FINISH] = "finish",   [THEN_HANG] = "hang",
    [THEN_IDLE] = "idle",       [THEN_CLOSE] = "close",
    [THEN_RESET] = "reset",     [THEN_KILL] = "kill",
    [THEN_STOP] = "stop",       [THEN_EXIT] = "exit",
    [THEN_GARBAGE] = "garbage", [THEN_NO_LAST_CHUNK] = "no_last_chunk",
    [THEN_NO_DONE] = "no_done", [THEN_FLOOD] = "flood",
    [THEN_ERROR] = "error",     [THEN_WEDGE] = "wedge",
};

bool request_knobs_set(struct request_knobs *knobs, const char *key, const char *value) {
    const struct {
        const char *key;
        long *number;
        bool *flag;
    } table[] = {
        {"tokens", &knobs->tokens, NULL},
        {"interval_ms", &knobs->interval_ms, NULL},
        {"first_ms", &knobs->first_ms, NULL},
        {"status", &knobs->status, NULL},
        {"body_bytes", &knobs->body_bytes, NULL},
        {"token_bytes", &knobs->token_bytes, NULL},
        {"prompt_us", &knobs->prompt_us, NULL},
        {"predict_us", &knobs->predict_us, NULL},
        {"drift", &knobs->drift, NULL},
        {"cached", &knobs->cached, NULL},
        {"prompt", &knobs->prompt, NULL},
        {"calls", &knobs->calls, NULL},
        {"drafted", &knobs->drafted, NULL},
        {"draft_accept", &knobs->draft_accept, NULL},
        {"split", NULL, &knobs->split},
        {"close_after_headers", NULL, &knobs->close_after_headers},
        {"early_headers", NULL, &knobs->early_headers},
        {"prefill_stuck", NULL, &knobs->prefill_stuck},
        {"stamp", NULL, &knobs->stamp},
        {"witness", NULL, &knobs->witness},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].key, key) != 0)
            continue;
        if (table[i].number)
            *table[i].number = strtol(value, NULL, 10);
        else
            *table[i].flag = truth(value);
        return true;
    }
    if (strcmp(key, "tag") == 0) {
        snprintf(knobs->tag, sizeof knobs->tag, "%s", value);
        return true;
    }
    if (strcmp(key, "hold") == 0) {
        snprintf(knobs->hold, sizeof knobs->hold, "%s", value);
        return true;
    }
    if (strcmp(key, "framing") == 0) {
        knobs->framing = strcmp(value, "chunked") == 0 ? FRAMING_CHUNKED
                         : strcmp(value, "close") == 0 ? FRAMING_CLOSE
                                                       : FRAMING_AUTO;
        return true;
    }
    if (strcmp(key, "then") != 0)
        return false;
    for (size_t i = 0; i < sizeof then_names / sizeof *then_names; i++)
        if (strcmp(then_names[i], value) == 0) {
            knobs->then = (enum fake_then)i;
            return true;
        }
    return false;
}

bool knobs_set(struct knobs *knobs, const char *key, const char *value) {
    const struct {
        const char *key;
        long *number;
        bool *flag;
    } table[] = {
        {"load_ms", &knobs->load_ms, NULL},
        {"health_503", &knobs->health_503, NULL},
        {"never_healthy", NULL, &knobs->never_healthy},
        {"health_hang", NULL, &knobs->health_hang},
        {"late_bind", NULL, &knobs->late_bind},
        {"wedge_after", &knobs->wedge_after, NULL},
        {"exit_at_start", &knobs->exit_at_start, NULL},
        {"exit_ms", &knobs->exit_ms, NULL},
        {"exit_after_ms", &knobs->exit_after_ms, NULL},
        {"stop_after_ms", &knobs->stop_after_ms, NULL},
        {"term_ms", &knobs->term_ms, NULL},
        {"ignore_sigterm", NULL, &knobs->ignore_sigterm},
        {"fork_and_exit", NULL, &knobs->fork_and_exit},
        {"fork_child", NULL, &knobs->fork_child},
        {"stale_socket", NULL, &knobs->stale_socket},
        {"slot_delay", &knobs->slot_delay, NULL},
        {"slots", &knobs->slots, NULL},
        {"n_ctx", &knobs->n_ctx, NULL},
        {"log_flood", &knobs->log_flood, NULL},
        {"fault_starts", &knobs->fault_starts, NULL},
        {"no_count", NULL, &knobs->no_count},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].key, key) != 0)
            continue;
        if (table[i].number)
            *table[i].number = strtol(value, NULL, 10);
        else
            *table[i].flag = truth(value);
        return true;
    }
    if (speed_rule_set(knobs, key, value))
        return true;
    if (strcmp(key, "health_200_but_hang") == 0) {
        knobs->wedge_after = truth(value) ? 0 : -1;
        return true;
    }
    if (strcmp(key, "dialect") == 0) {
        knobs->dialect = strcmp(value, "old") == 0  ? DIALECT_OLD
                         : strcmp(value, "ik") == 0 ? DIALECT_IK
                                                    : DIALECT_MAINLINE;
        return true;
    }
    const struct {
        const char *key;
        char *text;
        size_t size;
    } texts[] = {
        {"cause", knobs->cause, sizeof knobs->cause},
        {"load_hold", knobs->load_hold, sizeof knobs->load_hold},
        {"report", knobs->report, sizeof knobs->report},
        {"report_end", knobs->report_end, sizeof knobs->report_end},
        {"log_dir", knobs->log_dir, sizeof knobs->log_dir},
        {"exclusive", knobs->exclusive, sizeof knobs->exclusive},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].key, key) == 0) {
            snprintf(texts[i].text, texts[i].size, "%s", value);
            return true;
        }
    return request_knobs_set(&knobs->request, key, value);
}

static void set_loudly(struct knobs *knobs, const char *key, const char *value, const char *from) {
    if (!knobs_set(knobs, key, value))
        fprintf(stderr, "fake_llama: unknown knob %s=%s in %s\n", key, value, from);
}

void knobs_from_file(struct knobs *knobs, const char *path) {
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    char line[1024];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        char *equals = strchr(line, '=');
        if (!equals || line[0] == '#')
            continue;
        *equals = 0;
        set_loudly(knobs, line, equals + 1, path);
    }
    fclose(file);
}

void knobs_from_env(struct knobs *knobs) {
    for (char **var = environ; *var; var++) {
        if (strncmp(*var, "FAKE_", 5) != 0)
            continue;
        char key[64];
        size_t len = strcspn(*var + 5, "=");
        if (len >= sizeof key)
            continue;
        for (size_t i = 0; i < len; i++)
            key[i] = (char)tolower((unsigned char)(*var)[5 + i]);
        key[len] = 0;
        if ((*var)[5 + len] == '=')
            set_loudly(knobs, key, *var + 5 + len + 1, "the environment");
    }
}

/* JSON: object = "{" [ string ":" value *( "," string ":" value ) ] "}" (RFC 8259). Only as much
 * as it takes to step over values; whoever sends a fake broken JSON gets no promises. */
static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static const char *skip_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\')
            at++;
    return at < end ? at + 1 : end;
}

static const char *skip_value(const char *at, const char *end) {
    long depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0)
                return at;
            depth--;
            at++;
        } else if (depth == 0 && (*at == ',' || isspace((unsigned char)*at))) {
            return at;
        } else {
            at++;
            continue;
        }
        if (depth == 0)
            return at;
    }
    return end;
}

struct members members_of(struct slice object) {
    const char *end = object.at + object.len;
    const char *at = skip_space(object.at, end);
    if (at == end || *at != '{')
        return (struct members){end, end};
    return (struct members){at + 1, end};
}

bool members_next(struct members *walk, struct slice *key, struct slice *value) {
    const char *at = skip_space(walk->at, walk->end);
    if (at < walk->end && *at == ',')
        at = skip_space(at + 1, walk->end);
    if (at >= walk->end || *at != '"')
        return false;
    const char *after = skip_string(at, walk->end);
    *key = (struct slice){at + 1, after - at >= 2 ? (size_t)(after - at - 2) : 0};
    at = skip_space(after, walk->end);
    if (at >= walk->end || *at != ':')
        return false;
    at = skip_space(at + 1, walk->end);
    after = skip_value(at, walk->end);
    *value = (struct slice){at, (size_t)(after - at)};
    walk->at = after;
    return after > at;
}

bool slice_is(struct slice s, const char *text) {
    return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

void slice_text(struct slice value, char *out, size_t size) {
    if (value.len >= 2 && value.at[0] == '"') {
        value.at++;
        value.len -= 2;
    }
    size_t len = value.len < size - 1 ? value.len : size - 1;
    memcpy(out, value.at, len);
    out[len] = 0;
}
