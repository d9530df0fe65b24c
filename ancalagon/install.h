// Files written into somebody's account so that all of it can be taken back. A manifest holds the
// path and exact content of every file we wrote and every folder we made; a file that differs from
// it was edited and is not ours to touch any more.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct install;

enum install_act {
    INSTALL_KEEP, // already as it should be
    INSTALL_CREATE,
    INSTALL_UPDATE, // ours, unedited, and the text has changed
    INSTALL_BESIDE, // edited or foreign: the new text goes to FILE.new
    INSTALL_DELETE,
    INSTALL_LEAVE, // edited: stays, although we are done with it
};

// Reads the manifest; its absence is no error.
struct install *install_open(const char *manifest_path, struct err *err);
void install_close(struct install *install); // NULL is fine

// Plans. Files of the manifest that are not wanted any more are deleted; with no file wanted that
// is an uninstall.
void install_want(struct install *install, const char *path, const char *content, size_t length);
// Written only where nothing is, and never updated: an example for its user to change.
void install_want_once(struct install *install, const char *path, const char *content,
                       size_t length);
// A folder (absolute) that somebody else will make on our behalf: it and its missing parents are
// removed again when empty, unless they are there already.
void install_want_folder(struct install *install, const char *path);
void install_plan(struct install *install);
size_t install_changes(const struct install *install); // how many steps do something
void install_print(const struct install *install, FILE *out);

// Does it, and writes the manifest (or removes it, when nothing of ours is left).
bool install_apply(struct install *install, struct err *err);

bool install_is_empty(const struct install *install); // nothing was ever written
