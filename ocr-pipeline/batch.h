// POST /api/v41/ocr/lote: the photos of many poles, spooled to the disk as they come, then a job.
//
//   {"postes": [{"id": "42", "imagens": ["BASE64", {"nome": "a.jpg", "dados": "BASE64"}]}]}
#pragma once

#include "api.h"

// Answers 202 with the job, or why not.
void batch_create(struct api *api, struct http_exchange *exchange);
