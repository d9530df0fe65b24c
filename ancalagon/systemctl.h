// The user's service manager, through systemctl. $ANCALAGON_SYSTEMCTL names another program.
#pragma once

#include "base/buf.h"

#include <stdbool.h>

// `systemctl --user WORDS...` (NULL-terminated). Output goes to `out` when not NULL. Its exit
// status, or -1 when there is no systemctl or it hangs.
int systemctl_user(const char *const *words, struct buf *out);
// Is there a user manager that answers? Containers and bare ssh accounts may have none.
bool systemctl_works(void);
// A program on PATH, absolute; NULL when absent. The caller's (mem_free).
char *systemctl_find_program(const char *name);
// `systemd-run --user --wait -p PROPERTY... true`: would these settings let a service start here?
bool systemctl_accepts(const char *const *properties);
