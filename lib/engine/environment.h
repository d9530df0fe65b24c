// What an engine may know of our environment: where things are and how the GPU is to be used.
// Never LLAMA_*: an inherited LLAMA_ARG_CTX_SIZE silently changes what a preset says.
#pragma once

#include "engine/args.h"

#include <stdbool.h>

bool environment_allows(const char *entry); // "NAME=value" or "NAME"

// Adds the allowed entries of `from` (usually `environ`) to `out`.
void environment_scrub(char *const *from, struct args *out);
// The same for an engine that will serve: with what makes it start faster. `out` is empty before.
void environment_engine(char *const *from, struct args *out);
