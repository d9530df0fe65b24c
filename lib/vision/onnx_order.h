// The order of the nodes in an ONNX file decides in which order ONNX Runtime runs them, and that how
// much must be kept at once. Where two branches are added and one of them is only enlarged before,
// the file of PP-OCR's detector makes the runtime enlarge first and keep the large tensor while the
// other branch is computed: a sixth of all it needs. Another order, the same result to the bit.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Rewrites the file's bytes in place, which keep their length. False, and nothing is changed, when
// there is nothing to gain or the bytes are not understood. They are a stranger's.
bool onnx_order(uint8_t *bytes, size_t length);
