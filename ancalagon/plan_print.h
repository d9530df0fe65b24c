// Tells what was planned: for people, for programs, and as a section to paste.
#pragma once

struct plan_outcome;

void plan_print_text(const struct plan_outcome *out);
void plan_print_json(const struct plan_outcome *out);
