// Changes to an ONNX file before ONNX Runtime loads it, which save memory and change no result. The
// numbers are those of onnx.proto. A file that is not understood is left as it is.
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "vision/onnx.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The order of the nodes in the file decides in which order the runtime computes them, and that how
// much must be kept at once. Where two branches are added and one of them was only enlarged before,
// the file of PP-OCR's detector makes the runtime enlarge first and keep the large tensor while the
// other branch is computed: a sixth of all it needs. Rewrites the bytes in place; false when there
// is nothing to gain.
bool onnx_edit_order(uint8_t *bytes, size_t length);

// Makes a network that takes floats take bytes, which are a quarter of them and are kept as long:
// nodes in front make the floats. Appends the new file. False for a network of more than one input,
// or of another kind.
bool onnx_edit_pixels(struct buf *out, const uint8_t *bytes, size_t length,
                      const struct network_pixels *pixels);
