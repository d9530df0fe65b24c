// Which engine build can read which model files, by the types of their tensors.
#pragma once

#include "config.h"
#include "engine/dialect.h"
#include "format/gguf_type.h"

// The preset's own engine; when it names none and cannot read the file, one of the other presets'.
// NULL: nobody here reads it, or no engine answers.
const struct dialect *reader_choose(const struct config *config, const struct preset *preset,
                                    enum gguf_type_family family);
// Sets the error that says so, and which fork does; false.
bool reader_refuse(const char *path, enum gguf_type_family family, const char *type_name,
                   struct err *err);

bool reader_can(const struct dialect *dialect, enum gguf_type_family family);

// One sentence for files that not every engine reads: "TQ3_4S tensors: only ... reads them; ...".
// `type_name` may be NULL. False (text "") for what mainline llama.cpp reads.
bool reader_note(enum gguf_type_family family, const char *type_name, char *text, size_t size);
