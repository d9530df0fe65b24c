// What does a line say: PP-OCR's recogniser over a picture of one line.
#pragma once

#include "vision/text_reader_private.h"
#include "vision/warp.h"

// Planes of 3 x height x width for the networks of lines: the picture scaled to the height, its
// width with it but at most `width`; the rest stays 0, which is grey. The caller frees.
float *text_line_planes(const struct image *line, int height, int width);

// The width of a line scaled to the height.
int text_line_width(const struct image *line, int height);

// `width` is of the network's input: the line's own or more.
bool text_recognize(struct text_reader *reader, const struct image *picture, int width,
                    struct text_line *line, double *network_ms, struct err *err);
