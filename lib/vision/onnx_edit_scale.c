// A picture's numbers are scaled and shifted, x * s + t, before the first convolution (Mul, Add
// with one constant a channel, as onnx_edit_pixels puts them there). The convolution's weights can
// take the scale, so that what is left is x + t / s: a pass over the picture less. What the
// convolution finds around the picture is 0 before and after.
#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/onnx_rewrite.h"

#include <math.h>

struct scaling {
    struct onnx_rewrite *rewrite;
    int add, conv;
    struct span picture;
    struct onnx_weights scale, shift, weights;
};

// The constant of a node that has one number for each channel, and its other input.
static bool find_constant(const struct onnx_rewrite *rewrite, int node, const char *op,
                          int64_t channels, struct onnx_weights *constant, struct span *other) {
    const struct onnx_node *step = &rewrite->graph.nodes[node];
    if (!span_is(step->op, op) || step->input_count != 2)
        return false;
    for (size_t i = 0; i < 2; i++)
        if (onnx_rewrite_bias(rewrite, step->inputs[i], channels, constant)) {
            *other = step->inputs[1 - i];
            return true;
        }
    return false;
}

static bool all_sound(const struct onnx_weights *weights) {
    for (size_t i = 0; i < weights->count; i++)
        if (!isnormal(weights->values[i]))
            return false;
    return true;
}

static bool find_scaling(struct scaling *found, int conv) {
    const struct onnx_rewrite *rewrite = found->rewrite;
    const struct onnx_node *node = &rewrite->graph.nodes[conv];
    struct span scaled;
    found->conv = conv;
    found->add = onnx_graph_origin(&rewrite->graph, node->inputs[0], conv);
    if (node->input_count > 3 || found->add == ONNX_NONE ||
        onnx_rewrite_reader(rewrite, found->add) != conv ||
        !onnx_rewrite_conv(rewrite, conv, &found->weights))
        return false;
    int64_t channels = found->weights.dims[1];
    if (!find_constant(rewrite, found->add, "Add", channels, &found->shift, &scaled))
        return false;
    int mul = onnx_graph_origin(&rewrite->graph, scaled, found->add);
    return mul != ONNX_NONE && onnx_rewrite_reader(rewrite, mul) == found->add &&
           find_constant(rewrite, mul, "Mul", channels, &found->scale, &found->picture) &&
           all_sound(&found->scale);
}

static void put_scaling(struct scaling *found) {
    struct onnx_rewrite *rewrite = found->rewrite;
    const struct onnx_node *add = &rewrite->graph.nodes[found->add],
                           *conv = &rewrite->graph.nodes[found->conv];
    struct onnx_weights *shift = &found->shift, *weights = &found->weights;
    const float *scale = found->scale.values;
    float *weight = weights->values;
    for (size_t i = 0; i < shift->count; i++)
        shift->values[i] /= scale[i];
    for (int64_t o = 0; o < weights->dims[0]; o++)
        for (int64_t c = 0; c < weights->dims[1]; c++)
            for (int64_t i = 0; i < weights->dims[2] * weights->dims[3]; i++)
                *weight++ *= scale[c];
    struct onnx_name names[] = {
        onnx_rewrite_new_weights(rewrite, shift->dims, shift->rank, shift->values),
        onnx_rewrite_new_weights(rewrite, weights->dims, weights->rank, weights->values)};
    onnx_put_node(onnx_rewrite_place(rewrite, found->add), "Add",
                  (struct span[]){found->picture, span_of(names[0].text)}, 2, add->output, NULL);
    onnx_put_like(onnx_rewrite_place(rewrite, found->conv), conv,
                  (struct span[]){conv->inputs[0], span_of(names[1].text), conv->inputs[2]},
                  conv->input_count, conv->output);
}

bool onnx_edit_scales(struct buf *out, const uint8_t *bytes, size_t length) {
    struct onnx_rewrite rewrite;
    bool good = onnx_rewrite_begin(&rewrite, "scales", bytes, length);
    for (int i = 0; good && i < (int)rewrite.graph.count; i++) {
        struct scaling found = {.rewrite = &rewrite};
        if (span_is(rewrite.graph.nodes[i].op, "Conv") && find_scaling(&found, i))
            put_scaling(&found);
        mem_free(found.scale.values);
        mem_free(found.shift.values);
        mem_free(found.weights.values);
    }
    return onnx_rewrite_end(&rewrite, out) && good;
}
