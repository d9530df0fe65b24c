// Can a model's metadata be true? A value that no model has is named with its key, before anything
// is computed from it: a plan of nonsense looks like any other.
#pragma once

#include "base/err.h"
#include "plan/model.h"

// ERR_INVALID and ERR_LIMIT: the file is broken or was made to harm. ERR_NOTFOUND: a value is not
// there that the tensors need; an engine may know better.
bool model_check(const struct model *model, struct err *err);
