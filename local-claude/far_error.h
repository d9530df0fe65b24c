// What went wrong at the other end of an ssh connection, for the person who must act.
#pragma once

#include "base/err.h"

// "@lc error WORD TEXT" without "@lc error ".
void far_error_told(struct err *err, const char *host, const char *told);
// The connection ended by itself: from what ssh and the other side's shell printed.
void far_error_ended(struct err *err, const char *host, const char *printed);
