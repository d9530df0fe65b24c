// Which model to load, asked on the terminal: arrow keys or its number, Enter; Esc leaves it.
#pragma once

#include "base/err.h"
#include "model_files.h"

// `fd`: a terminal, read and written. `start` is where the bar stands at first. Returns the index;
// -1 when the user left (ERR_INVALID), or the terminal did.
int menu_choose(int fd, const char *title, const struct model_files *files, int start,
                struct err *err);

// The model to use: the one that is wanted, the only one there, the one that the user picks on the
// terminal, the one that was used last. -1: none, and err lists what there is. `memory` names what
// was used last among the files of the state folder.
int menu_decide(const struct model_files *files, const char *wanted, const char *memory,
                struct err *err);
// Remembers it, by its path, for the next time.
void menu_remember(const char *memory, const char *model);
