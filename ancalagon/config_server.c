#include "config_private.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "http/address.h"

#include <string.h>

#define LISTEN_HOST "127.0.0.1"
#define LISTEN_PORT 1234
#define MINUTE_MS (60LL * 1000)
#define DAY_MS (24 * 60 * MINUTE_MS)

bool config_parse_listen(const char *text, char **host, uint16_t *port, struct err *err) {
    unsigned number;
    if (!address_listen(text, LISTEN_PORT, host, &number, err))
        return false;
    *port = (uint16_t)number;
    return true;
}

enum key_kind { KEY_MS, KEY_BYTES, KEY_COUNT, KEY_BOOL, KEY_OTHER };

static const struct server_key {
    const char *key;
    enum key_kind kind;
    size_t offset;
    const char *initial;
    int64_t min, max;
} server_keys[] = {
    {"max-hold", KEY_MS, offsetof(struct config, max_hold_ms), "60s", 0, DAY_MS},
    {"stall-timeout", KEY_MS, offsetof(struct config, stall_timeout_ms), "30s", 100, DAY_MS},
    {"drain-timeout", KEY_MS, offsetof(struct config, drain_timeout_ms), "0", 0, DAY_MS},
    {"stop-grace", KEY_MS, offsetof(struct config, stop_grace_ms), "10s", 0, 10 * MINUTE_MS},
    {"ping-after", KEY_MS, offsetof(struct config, ping_after_ms), "2s", 0, DAY_MS},
    {"ping-every", KEY_MS, offsetof(struct config, ping_every_ms), "10s", 100, DAY_MS},
    {"max-body", KEY_BYTES, offsetof(struct config, max_body_bytes), "64M", 1024, 4LL << 30},
    {"max-held", KEY_BYTES, offsetof(struct config, max_held_bytes), "1G", 1024, 1LL << 40},
    {"max-queue", KEY_COUNT, offsetof(struct config, max_queue), "1024", 1, 1000000},
    {"max-connections", KEY_COUNT, offsetof(struct config, max_connections), "4096", 1, 1000000},
    {"on-demand", KEY_BOOL, offsetof(struct config, on_demand), "on", 0, 0},
    {"scan", KEY_BOOL, offsetof(struct config, scan), "on", 0, 0},
    {"listen", KEY_OTHER, 0, NULL, 0, 0},
    {"models", KEY_OTHER, 0, NULL, 0, 0},
    {"api-key-file", KEY_OTHER, 0, NULL, 0, 0},
    {"allow-host", KEY_OTHER, 0, NULL, 0, 0},
    {"allow-origin", KEY_OTHER, 0, NULL, 0, 0},
    {"default", KEY_OTHER, 0, NULL, 0, 0},
};

const char *const config_server_keys[] = {
    "max-hold",   "stall-timeout", "drain-timeout", "stop-grace", "ping-after",
    "ping-every", "max-body",      "max-held",      "max-queue",  "max-connections",
    "on-demand",  "scan",          "listen",        "models",     "api-key-file",
    "allow-host", "allow-origin",  "default",       NULL};

static bool set_number(struct config *config, const struct server_key *key, const char *value) {
    char *field = (char *)config + key->offset;
    int64_t number;
    uint64_t bytes;
    switch (key->kind) {
    case KEY_MS:
        if (!str_to_duration_ms(value, &number) || number < key->min || number > key->max)
            return false;
        memcpy(field, &number, sizeof number);
        return true;
    case KEY_BYTES:
        if (!str_to_size(value, &bytes) || bytes < (uint64_t)key->min || bytes > (uint64_t)key->max)
            return false;
        memcpy(field, &bytes, sizeof bytes);
        return true;
    case KEY_COUNT:
        if (!str_to_int(value, key->min, key->max, &number))
            return false;
        memcpy(field, &(unsigned){(unsigned)number}, sizeof(unsigned));
        return true;
    case KEY_BOOL: return str_to_bool(value, (bool *)field);
    case KEY_OTHER: break;
    }
    return false;
}

static void say_range(struct config *config, const struct server_key *key,
                      const struct ini_entry *entry) {
    if (key->kind == KEY_BOOL)
        config_problem(config, CONFIG_ERROR, entry->line, "%s \"%.40s\" is neither on nor off",
                       key->key, entry->value);
    else if (key->kind == KEY_MS)
        config_problem(config, CONFIG_ERROR, entry->line,
                       "%s \"%.40s\" is no time between %lld ms and %lld h; write 500ms, 90s, 10m "
                       "or 2h",
                       key->key, entry->value, (long long)key->min,
                       (long long)(key->max / (60 * MINUTE_MS)));
    else
        config_problem(config, CONFIG_ERROR, entry->line,
                       "%s \"%.40s\" is no number between %lld and %lld%s", key->key, entry->value,
                       (long long)key->min, (long long)key->max,
                       key->kind == KEY_BYTES ? " bytes; write 64M or 1G" : "");
}

static void apply_listen(struct config *config, const struct ini_entry *entry) {
    struct err err;
    char *host = NULL;
    if (!config_parse_listen(entry->value, &host, &config->listen_port, &err)) {
        config_problem(config, CONFIG_ERROR, entry->line, "listen: %s", err.text);
        return;
    }
    mem_free(config->listen_host);
    config->listen_host = host;
}

static void apply_other(struct config *config, const struct ini_entry *entry) {
    const char *key = entry->key;
    if (strcmp(key, "listen") == 0) {
        apply_listen(config, entry);
    } else if (strcmp(key, "models") == 0) {
        if (entry->value[0] != '\0')
            config_set_models_dirs(config, entry->value);
    } else if (strcmp(key, "api-key-file") == 0) {
        if (entry->value[0] == '\0') {
            config_problem(config, CONFIG_ERROR, entry->line,
                           "api-key-file is empty; write a path or leave it out");
            return;
        }
        mem_free(config->api_key_file);
        config->api_key_file = config_resolve_beside(config, entry->value);
    } else if (strcmp(key, "allow-host") == 0) {
        config_free_list(config->allow_hosts);
        config->allow_hosts = config_split_list(entry->value);
    } else if (strcmp(key, "allow-origin") == 0) {
        config_free_list(config->allow_origins);
        config->allow_origins = config_split_list(entry->value);
    }
}

static void apply_server_entry(struct config *config, const struct ini_entry *entry) {
    for (size_t i = 0; i < sizeof server_keys / sizeof *server_keys; i++) {
        const struct server_key *key = &server_keys[i];
        if (strcmp(key->key, entry->key) != 0)
            continue;
        if (key->kind == KEY_OTHER)
            apply_other(config, entry);
        else if (!set_number(config, key, entry->value))
            say_range(config, key, entry);
        return;
    }
    const char *meant = config_closest(entry->key, config_server_keys);
    if (meant)
        config_problem(config, CONFIG_ERROR, entry->line,
                       "unknown key %.80s in [server]; did you mean %s?", entry->key, meant);
    else
        config_problem(config, CONFIG_ERROR, entry->line,
                       "unknown key %.80s in [server]; what is for engines goes under [*] or a "
                       "[preset]",
                       entry->key);
}

void config_init_server(struct config *config) {
    config->listen_host = mem_strdup(LISTEN_HOST);
    config->listen_port = LISTEN_PORT;
    config->api_key_file = path_state("api-key");
    config->allow_hosts = config_split_list("");
    config->allow_origins = config_split_list("");
    config_set_models_dirs(config, NULL);
    for (size_t i = 0; i < sizeof server_keys / sizeof *server_keys; i++)
        if (server_keys[i].initial)
            set_number(config, &server_keys[i], server_keys[i].initial);
}

void config_apply_server(struct config *config, const struct ini_section *server) {
    for (size_t i = 0; server && i < server->count; i++)
        apply_server_entry(config, &server->entries[i]);
    if (config->max_held_bytes < config->max_body_bytes)
        config_problem(config, CONFIG_ERROR, server ? server->line : 0,
                       "max-held is smaller than max-body, so the largest body could never be "
                       "taken; raise max-held");
}
