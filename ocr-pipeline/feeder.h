// POST /api/v41/ocr/alimentador/{id}: a job of all photos in a folder of a share, or of some files
// in it. Each folder below is a pole; photos that lie in none are of the pole their name begins
// with, up to "_".
//
//   {"share": "NAME", "pasta": "alimentador-7"}            pasta missing: the feeder's id
//   {"share": "NAME", "imagens": ["1042/a.jpg", ...]}
#pragma once

#include "api.h"

void feeder_ask(struct api *api, struct http_exchange *exchange, const char *id);
