// Which way up is a line: PP-OCR's classifier, upright or turned by 180 degrees.
#pragma once

#include "vision/text_reader_private.h"

// How likely the line is upside down, 0..1; 0 without a network.
bool text_orient(struct text_reader *reader, const struct image *line, float *upside_down,
                 double *network_ms, struct err *err);
