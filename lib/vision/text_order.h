// Reading order: rows from the top, in a row from the left.
#pragma once

#include "vision/text_reader.h"

// By where the lines are in the upright page (text_line.upright). Lines are in one row when their
// middles are closer than half the lower one's height.
void text_order(struct text_line *lines, size_t count);
