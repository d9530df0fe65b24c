// Networks in ONNX files, run by ONNX Runtime's plain C library, which is opened at run time
// (dlopen) so that a program starts, and says what is missing, on a machine without it.
//
// A `struct onnx` is the library with its one environment; a `struct network` is a loaded file. Any
// thread may run a network, several at once (the runtime says so); create and destroy on one.
// The table of functions is declared in onnx_api.h by position, which the runtime keeps for ever.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct onnx;
struct network;

enum { TENSOR_RANK_MAX = 6, NETWORK_OUTPUTS_MAX = 8 };

// path NULL: $OCR_ONNXRUNTIME, else what set-up fetched, else the system's libonnxruntime.so.1.
struct onnx *onnx_open(const char *path, struct err *err);
void onnx_close(struct onnx *onnx);                // NULL is fine; networks are destroyed before
const char *onnx_version(const struct onnx *onnx); // "1.32.0"
const char *onnx_path(const struct onnx *onnx);    // of the library that was opened

// value = byte x scale + shift, for each of three channels.
struct network_pixels {
    float scale[3], shift[3];
};

struct network_options {
    unsigned threads; // of one run; 0: 1
    const struct network_pixels
        *pixels;  // for network_run_pixels; NULL: network_run is what is used
    bool lines;   // for network_run_line
    bool classes; // only those of steps that say something (onnx_edit_classes), if it can be so
    bool as_is;   // without the changes of onnx_edit.h: for comparisons
};

// The file is read whole by the runtime. Errors name the file.
struct network *network_load(struct onnx *onnx, const char *path,
                             const struct network_options *options, struct err *err);
void network_destroy(struct network *network); // NULL is fine

enum tensor_type { TENSOR_OTHER, TENSOR_F32, TENSOR_F16, TENSOR_I64 };

// A dimension that the file leaves open is -1.
struct tensor_shape {
    enum tensor_type type;
    size_t rank;
    int64_t dims[TENSOR_RANK_MAX];
};
size_t network_outputs(const struct network *network);
const char *network_output_name(const struct network *network, size_t index);
struct tensor_shape network_input_shape(const struct network *network); // of the only image input
struct tensor_shape network_output_shape(const struct network *network, size_t index);
// A text of the file's metadata, NULL when it has none of this name. Belongs to the network; on the
// thread that created it.
const char *network_metadata(struct network *network, const char *key);
const char *network_path(const struct network *network);

// What a run gave; the values belong to it until tensors_fini.
struct tensors {
    size_t count;
    struct tensor_shape shapes[NETWORK_OUTPUTS_MAX];
    const float *values[NETWORK_OUTPUTS_MAX]; // NULL for an output that is not of floats
    void *owner;
};
// input: floats of the given shape (converted when the network wants halves), borrowed meanwhile.
// A run that fails leaves `out` empty; the text is the runtime's, the network stays usable.
bool network_run(struct network *network, const float *input, const int64_t *dims, size_t rank,
                 struct tensors *out, struct err *err);
// The same for a network that was loaded with `pixels`: three planes of bytes, 1 x 3 x height x
// width.
bool network_run_pixels(struct network *network, const uint8_t *planes, int height, int width,
                        struct tensors *out, struct err *err);
// The picture of a line of text that ends before it: from `own` on the planes are zeros. Of much
// zeros a part need not be computed (onnx_edit.h), with the same result.
struct network_line {
    int own, width;
    int computed; // the width of the planes that are wanted; at most `width`
};
struct network_line network_line_of(const struct network *network, int own, int width);
// For a network that was loaded with `lines`: planes are 1 x 3 x height x line->computed. Gives
// what network_run gives for the whole picture.
bool network_run_line(struct network *network, const float *planes, int height,
                      const struct network_line *line, struct tensors *out, struct err *err);
void tensors_fini(struct tensors *tensors);

// What the networks' tensors (weights included) use: now, at most so far, and how much memory
// that took at most. Zeros when the runtime allocates by itself.
struct onnx_use {
    size_t now_bytes, most_bytes, warm_bytes;
};
struct onnx_use onnx_use(const struct onnx *onnx);
