// POST /api/v41/ocr/lote: the photos of many poles (batch_tree.h), spooled to the disk as they
// come, then a job.
#pragma once

#include "api.h"

// Answers 202 with the job, or why not.
void batch_create(struct api *api, struct http_exchange *exchange);
