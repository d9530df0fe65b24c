// Every backend by name, and which one to take when none is named.
#pragma once

#include "backend.h"

#include <stddef.h>

const struct backend *backend_find(const char *name); // NULL: there is none of that name
const struct backend *backend_at(size_t index);       // NULL: past the last
const char *backend_names(void);                      // "remote, llama, ..."
// The first that seems to be there: an ancalagon, LM Studio, llama-server with models. *why tells
// in a few words. NULL: none, and err says what was looked for.
const struct backend *backend_discover(const struct options *options, char *why, size_t size,
                                       struct err *err);
