// The text of our systemd user units, and where they live. Nothing is written here (install.h
// does).
//
//   ancalagon.socket           holds the port; the first request starts the server
//   ancalagon.service          the server, sandboxed
//   ancalagon@PRESET.service   up while PRESET is loaded; starting it is `lmswitch PRESET`
#pragma once

#include "base/buf.h"
#include "config.h"

#include <stdbool.h>

struct units_env {
    const char *program;       // absolute path of ancalagon
    const char *config;        // absolute path of the presets file
    const char *state, *cache; // our own folders, writable in the sandbox
};

char *units_folder(void); // $XDG_CONFIG_HOME/systemd/user; the caller's
// Do the installed units serve this (absolute) presets file?
bool units_installed_for(const char *config);

void units_service(struct buf *out, const struct units_env *env);
void units_socket(struct buf *out, const struct config *config);
void units_template(struct buf *out, const struct units_env *env);
// Drop-in of one preset: what it conflicts with.
void units_conflicts(struct buf *out, const struct config *config, const struct preset *preset);
// Drop-in for machines whose kernel or policy gives user services no user namespace.
void units_no_namespaces(struct buf *out);
// What such a machine must accept for the units to start as written; NULL-terminated.
extern const char *const units_namespace_properties[];

// One word of an Exec line, quoted as systemd.service(5) asks.
void units_quote(struct buf *out, const char *word);
// A preset's name as a unit's instance, and back: what a unit name cannot hold becomes \xNN.
void units_instance(struct buf *out, const char *name);
char *units_instance_name(const char *instance); // the caller's
