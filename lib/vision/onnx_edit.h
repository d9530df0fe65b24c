// Changes to an ONNX file before ONNX Runtime loads it, which save memory or time and change
// results by roundings at most. A file that is not understood is left as it is.
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

// Five changes that save a seventh of the time of PP-OCR's detector (bench/README.md). Each appends
// the new file, false where there is nothing to gain. Results differ by roundings only.
// x + x * s with a gate s (one number a channel) becomes x * (1 + s).
bool onnx_edit_gates(struct buf *out, const uint8_t *bytes, size_t length);
// Transposed convolutions that make a square of pixels of each pixel become 1 x 1 convolutions, and
// the pixels are laid out at the end.
bool onnx_edit_enlarge(struct buf *out, const uint8_t *bytes, size_t length);
// A convolution over pictures that were enlarged before works on them as they were, for each of the
// four pixels of a square by itself; only where the pixels are laid out behind it (after
// onnx_edit_enlarge).
bool onnx_edit_phases(struct buf *out, const uint8_t *bytes, size_t length);
// Convolutions get as many channels as fill whole blocks; the further ones are 0. block: of the
// runtime's kernels, onnx_block.
bool onnx_edit_channels(struct buf *out, const uint8_t *bytes, size_t length, int block);
// Where x * s with a gate s is added to what convolutions make of it, the sum stays in blocks.
bool onnx_edit_sums(struct buf *out, const uint8_t *bytes, size_t length, int block);
// The floats of a block of channels on this machine (mlas, MlasNchwcGetBlockSize): 16 with AVX-512,
// 8 on other x86; 1: it has no blocks.
int onnx_block(void);

// Makes a network that takes floats take bytes, which are a quarter of them and are kept as long:
// nodes in front make the floats. Appends the new file. False for a network of more than one input,
// or of another kind.
bool onnx_edit_pixels(struct buf *out, const uint8_t *bytes, size_t length,
                      const struct network_pixels *pixels);
// Of x * scale + shift before a convolution the convolution's weights take the scale. Appends the
// new file; false where there is nothing to gain.
bool onnx_edit_scales(struct buf *out, const uint8_t *bytes, size_t length);

// Recognisers of lines get a picture that is wider than the line, and grey from the line's end on:
// to read as the reference does, which reads several lines at once. What the convolutions make of
// the grey is the same in all columns that are far enough from the line and from the picture's end.
// The changed network computes two such columns only once, and then counts them, in means over
// the width and among the tokens, as often as told. How far is far enough grows with every
// convolution: so the network has stages, between which some more of the two are put between the
// line and the end; the last one ends at the tokens. Inputs besides the picture:
//   ONNX_LINE_PLACES n   floats, columns of the stage before x of stage n: 1 where the one stands
//                        for the other (the runtime multiplies matrices faster than it gathers);
//                        behind the last stage tokens, 8 pixels, x tokens of the line
//   ONNX_LINE_COLUMNS n  floats, columns x 1: what each column of stage n weighs in means over it
// Appends the new file. False for a network whose width is not folded so (4 x by convolutions, 2 x
// by the mean behind them), and for what is not understood.
#define ONNX_LINE_PLACES "ancalagon.line.places"
#define ONNX_LINE_COLUMNS "ancalagon.line.columns"
enum { ONNX_LINE_COLUMN = 4, ONNX_LINE_TOKEN = 8, ONNX_LINE_STAGES = 12 };
struct onnx_reach {
    int left, right; // pixels that a column depends on
};
struct onnx_stage {
    struct onnx_reach reach; // at its end
    bool mean;               // it has means, so ONNX_LINE_COLUMNS is wanted
};
struct onnx_line {
    struct onnx_stage stages[ONNX_LINE_STAGES];
    size_t count;
};
struct onnx_line_name {
    char text[64];
};
struct onnx_line_name onnx_line_name(const char *input, size_t stage);
bool onnx_edit_line(struct buf *out, const uint8_t *bytes, size_t length, struct onnx_line *line);

// Recognisers say "nothing", their first class, at most steps. The changed network gives the
// classes of the others only, 1 x kept x classes, and one more output ONNX_CLASSES_KEPT: for each
// step 1 when its classes are among them, in turn, and 0 when the first class is surely the
// likeliest. What is given is what the network gave before. Appends the new file; false for a
// network that does not end so (a product with constants, a constant bias, Softmax), and for less
// than 512 classes.
#define ONNX_CLASSES_KEPT "ancalagon.classes.kept"
bool onnx_edit_classes(struct buf *out, const uint8_t *bytes, size_t length);
