// Shared by the files that make a struct config: config.c (the whole), config_server.c ([server]),
// config_preset.c (one section to a preset), config_paths.c (where models and engines are). Nobody
// else includes it.
#pragma once

#include "config.h"
#include "format/ini.h"

#define CONFIG_PRESETS_MAX 512u
#define CONFIG_ALIASES_MAX 32u

// Adds a problem, once: the [*] section is read again for every preset.
void config_problem(struct config *config, enum config_severity severity, unsigned line,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));

// The word of a NULL-terminated list that a mistyped key most likely means, or NULL.
const char *config_closest(const char *key, const char *const *words);

// A list as people write it: commas and blanks between. NULL-terminated, the caller's.
char **config_split_list(const char *text);
void config_free_list(char **list);

extern const char *const config_server_keys[]; // NULL-terminated
extern const char *const config_preset_keys[];

bool config_is_name(const char *text);
bool config_is_reserved(const char *name); // a word of lmswitch

// Takes over what *preset owns.
void config_add_preset(struct config *config, const struct preset *preset);

// Merges [*] and section into *preset. False, with problems added, when it cannot be used.
// section NULL checks [*] alone. A scanned preset gives its model and name beforehand.
bool config_make_preset(struct config *config, const struct ini_section *defaults,
                        const struct ini_section *section, struct preset *preset);

// Defaults, then what [server] says; server may be NULL.
void config_init_server(struct config *config);
void config_apply_server(struct config *config, const struct ini_section *server);

// A section of the file, NULL when there is none; config_defaults is [*].
const struct ini_section *config_section(const struct config *config, const char *name);
const struct ini_section *config_defaults(const struct config *config);

void config_set_models_dirs(struct config *config, const char *server_models);

// Absolute path of a model file: absolute, "~/", or in the first models folder that has it. When
// none has it the path is where it would be in the first.
char *config_resolve_model(const struct config *config, const char *value, bool *exists);

// Absolute path of an engine binary by path or bare name.
char *config_resolve_engine(const struct config *config, const char *engine, bool *exists);

// Absolute path of another file; relative ones are beside the config file.
char *config_resolve_beside(const struct config *config, const char *value);
