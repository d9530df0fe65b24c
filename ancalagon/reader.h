// Which engine build can read which model files, by the types of their tensors.
#pragma once

#include "engine/dialect.h"
#include "engine/reads.h"
#include "format/gguf_type.h"

// By the build's family, else by the names in its binary; a plain llama.cpp reads no fork's types.
// `type_name` may be NULL.
enum reads reader_reads(const struct dialect *dialect, enum gguf_type_family family,
                        const char *type_name);
bool reader_can(const struct dialect *dialect, enum gguf_type_family family); // by family alone

// One sentence for files that not every engine reads: "TQ3_4S tensors: only ... reads them; ...".
// `type_name` may be NULL. False (text "") for what mainline llama.cpp reads.
bool reader_note(enum gguf_type_family family, const char *type_name, char *text, size_t size);
