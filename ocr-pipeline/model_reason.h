// A model that reads text (LLM) says which of a plate's texts is which field: texts and where they
// stand in, one JSON object of the eleven fields out.
#pragma once

#include "claims.h"
#include "domains.h"
#include "model_server.h"
#include "vision/text_reader.h"

// `lines`: what was read on the plate. `seen`: the same plate as another model read it; NULL: none.
// Errors as model_server_ask; ERR_GARBLED also for JSON without any of the fields.
bool model_reason(struct model_server *server, const struct text_line *lines, size_t count,
                  const struct text_page *seen, const struct domains *domains,
                  const struct recall *recall, struct claims *claims, struct err *err);
