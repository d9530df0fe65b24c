// Ctrl-C and a polite kill of a command that works through photos: the first asks to end after the
// photo at hand, the second ends at once.
#pragma once

#include <stdbool.h>

void interrupt_watch(void); // SIGINT and SIGTERM, from here on
bool interrupt_came(void);
