// A server that runs beside a command which measures: an engine of its own would falsify the
// figures and may not leave room. The two commands bench and tune share this.
#pragma once

#include <stdbool.h>

// Nothing else may hold the GPU while we measure. EXIT_DONE: nothing does, or it was unloaded (only
// when that is allowed). Else the exit status, after having said why. Config NULL: the default
// file.
int beside_make_room(const char *config, bool may_unload);
// After measuring: says so when a request made the server load something meanwhile.
void beside_warn(const char *config);
