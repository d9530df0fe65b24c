// Where programs are.
#pragma once

#include <stdbool.h>

bool program_is(const char *path); // a file that we may run
// In the absolute folders of PATH; the caller's, NULL when it is in none.
char *program_on_path(const char *name);
// Beside our own program, else on PATH: the others of the house, in the version that goes with us.
char *program_of_house(const char *name);
