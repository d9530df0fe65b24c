// The outcome of a tune, written into the presets file: only settings that the user did not write
// there, with the evidence beside them, in one rename. The rest of the file stays byte for byte.
#pragma once

#include "base/buf.h"
#include "tune_subject.h"

// What was seen, as one comment line each.
struct tune_evidence {
    char lines[4][240];
    size_t count;
};
void tune_evidence(struct tune_evidence *out, const struct tune_subject *subject,
                   const struct tune_best *best, unsigned prompt_tokens);

// The lines of the section that would be written, for people.
void tune_section(const struct tune_subject *subject, const struct tune_choice *choice,
                  const struct tune_evidence *evidence, struct buf *out);

// Replaces what an earlier tune wrote. False when the file changed since it was read, or cannot be
// written; nothing changed then.
bool tune_write(const struct tune_subject *subject, const struct tune_choice *choice,
                const struct tune_evidence *evidence, struct err *err);
