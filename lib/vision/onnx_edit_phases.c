// A convolution of 3 x 3 over pictures side by side, some of them enlarged before by giving each
// pixel twice (or 4 x, 8 x) in both directions, as PP-OCR's detector ends: under its window lie at
// most 2 x 2 different pixels of what was enlarged. Which taps share one depends on whether the row
// and the column are even or odd. So each of these four phases becomes a convolution of its own,
// 2 x 2 over the small pictures and with a stride of 2 over the one that is large by itself; what
// stands behind works on each phase, and the four are put together where the pixels are laid out
// anyway (DepthToSpace). Less than half the work over what was enlarged, and nothing is copied
// large.
#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/onnx_rewrite.h"

#include <string.h>

enum { PARTS_MAX = 8, STEPS_MAX = 8, SCALE_MAX = 64, LAYOUT_MAX = 8, PHASES = 4 };

struct part {
    struct span name;
    int64_t channels;
    int64_t scale; // so many times it is enlarged; 0: it is large by itself
    int resize;    // what enlarges it
};

struct phases {
    struct onnx_rewrite *rewrite;
    struct part parts[PARTS_MAX];
    size_t count, large; // of parts; which of them is large
    struct onnx_weights weights, bias;
    int steps[STEPS_MAX]; // that work on every pixel by itself
    size_t step_count;
    int64_t channels; // behind the steps
    int layout;       // the DepthToSpace at the end
    int64_t factor;   // of it
};

static const struct onnx_node *node_of(const struct phases *net, int node) {
    return &net->rewrite->graph.nodes[node];
}

// --- Looking

// No strides, groups, or holes, and so many pixels of nothing around.
static bool slides_plainly(const struct onnx_node *conv, int64_t pad) {
    int64_t pads[4] = {0}, strides[2] = {1, 1}, dilations[2] = {1, 1}, group = 1;
    struct span rule = onnx_node_text(conv, "auto_pad");
    onnx_node_ints(conv, "pads", pads, 4);
    onnx_node_ints(conv, "strides", strides, 2);
    onnx_node_ints(conv, "dilations", dilations, 2);
    onnx_node_ints(conv, "group", &group, 1);
    bool plain = !rule.length || span_is(rule, "NOTSET");
    for (size_t i = 0; i < 4; i++)
        plain &= pads[i] == pad;
    return plain && group == 1 && strides[0] == 1 && strides[1] == 1 && dilations[0] == 1 &&
           dilations[1] == 1;
}

// How often a Resize gives each pixel in both directions; 0 for any other kind.
static int64_t scale_of(const struct phases *net, const struct onnx_node *node) {
    struct onnx_weights scales;
    if (!span_is(node->op, "Resize") || node->input_count != 3 || node->output_count != 1 ||
        !span_is(onnx_node_text(node, "mode"), "nearest") ||
        !span_is(onnx_node_text(node, "coordinate_transformation_mode"), "asymmetric") ||
        !span_is(onnx_node_text(node, "nearest_mode"), "floor") ||
        onnx_node_ints(node, "axes", NULL, 0) != 0 ||
        !onnx_rewrite_weights(net->rewrite, node->inputs[2], &scales))
        return 0;
    const float *by = scales.values;
    bool good = scales.count == 4 && by[0] == 1 && by[1] == 1 && by[2] == by[3] && by[2] >= 2 &&
                by[2] <= SCALE_MAX;
    int64_t scale = good ? (int64_t)by[2] : 0;
    good = good && by[2] == (float)scale;
    mem_free(scales.values);
    return good ? scale : 0;
}

// What is enlarged an even number of times, and one picture that is large by itself.
static bool find_parts(struct phases *net, int concat, int64_t channels) {
    const struct onnx_node *node = node_of(net, concat);
    struct span rest = node->field.bytes;
    struct protobuf_field field;
    int64_t axis, sum = 0;
    size_t large = 0;
    if (!span_is(node->op, "Concat") || onnx_node_ints(node, "axis", &axis, 1) != 1 || axis != 1 ||
        node->input_count < 2 || node->input_count > PARTS_MAX)
        return false;
    while (protobuf_take(&rest, &field)) {
        if (field.number != NODE_INPUT)
            continue;
        int maker = onnx_graph_origin(&net->rewrite->graph, field.bytes, concat);
        struct part part = {.name = field.bytes, .resize = maker};
        if (maker != ONNX_NONE)
            part.scale = scale_of(net, node_of(net, maker));
        if (part.scale > 0) {
            part.name = node_of(net, maker)->inputs[0];
        } else {
            large++;
            net->large = net->count;
        }
        part.channels = onnx_rewrite_channels(net->rewrite, part.name, concat);
        if (part.channels == 0 || part.scale % 2 != 0)
            return false;
        sum += part.channels;
        net->parts[net->count++] = part;
    }
    return large == 1 && sum == channels;
}

// A step that works on every pixel by itself.
static bool take_step(struct phases *net, int node) {
    const struct onnx_node *step = node_of(net, node);
    struct onnx_weights weights;
    bool good = (span_is(step->op, "Relu") || span_is(step->op, "Sigmoid")) &&
                step->input_count == 1 && step->output_count == 1;
    if (!good && step->input_count <= 3 && slides_plainly(step, 0) &&
        onnx_rewrite_conv(net->rewrite, node, &weights)) {
        good = weights.dims[2] == 1 && weights.dims[3] == 1 && weights.dims[1] == net->channels;
        if (good)
            net->channels = weights.dims[0];
        mem_free(weights.values);
    }
    if (good)
        net->steps[net->step_count++] = node;
    return good;
}

static bool find_layout(struct phases *net, int node) {
    int64_t square;
    struct span mode = onnx_node_text(node_of(net, node), "mode");
    net->layout = node;
    return span_is(node_of(net, node)->op, "DepthToSpace") &&
           node_of(net, node)->output_count == 1 && (!mode.length || span_is(mode, "DCR")) &&
           onnx_node_ints(node_of(net, node), "blocksize", &net->factor, 1) == 1 &&
           net->factor >= 1 && net->factor <= LAYOUT_MAX &&
           (square = net->factor * net->factor) <= net->channels && net->channels % square == 0;
}

// The steps behind a node, and the laying out behind them.
static bool find_steps(struct phases *net, int last) {
    int next = onnx_rewrite_reader(net->rewrite, last);
    while (next != ONNX_NONE && net->step_count < STEPS_MAX && take_step(net, next))
        next = onnx_rewrite_reader(net->rewrite, next);
    return next != ONNX_NONE && find_layout(net, next);
}

static bool find_phases(struct phases *net, int conv) {
    const struct onnx_node *node = node_of(net, conv);
    int concat = onnx_graph_origin(&net->rewrite->graph, node->inputs[0], conv);
    if (concat == ONNX_NONE || node->input_count != 2 || !slides_plainly(node, 1) ||
        !onnx_rewrite_conv(net->rewrite, conv, &net->weights))
        return false;
    const int64_t *dims = net->weights.dims;
    net->channels = dims[0];
    if (dims[2] != 3 || dims[3] != 3 || onnx_rewrite_reader(net->rewrite, concat) != conv ||
        !find_parts(net, concat, dims[1]))
        return false;
    int bias = onnx_rewrite_bias_node(net->rewrite, conv, dims[0], &net->bias);
    return find_steps(net, bias == ONNX_NONE ? conv : bias);
}

// --- Writing

static struct onnx_name put(struct phases *net, const char *op, const struct span *inputs,
                            size_t count, struct buf *attributes) {
    struct onnx_name out = onnx_rewrite_new_name(net->rewrite);
    onnx_put_node(onnx_rewrite_place(net->rewrite, net->layout), op, inputs, count,
                  span_of(out.text), attributes);
    return out;
}

// What is enlarged, side by side and still half as large as it is to be.
static struct onnx_name put_small(struct phases *net) {
    struct span inputs[PARTS_MAX];
    struct onnx_name halves[PARTS_MAX];
    struct buf *place = onnx_rewrite_place(net->rewrite, net->layout), attributes;
    size_t count = 0;
    for (size_t i = 0; i < net->count; i++) {
        const struct part *part = &net->parts[i];
        if (i == net->large)
            continue;
        inputs[count] = part->name;
        if (part->scale > 2) {
            float half = (float)part->scale / 2;
            struct onnx_name scales = onnx_rewrite_new_weights(
                net->rewrite, (const int64_t[]){4}, 1, (const float[]){1, 1, half, half});
            halves[count] = onnx_rewrite_new_name(net->rewrite);
            const struct onnx_node *resize = node_of(net, part->resize);
            onnx_put_like(place, resize,
                          (struct span[]){part->name, resize->inputs[1], span_of(scales.text)}, 3,
                          span_of(halves[count].text));
            inputs[count] = span_of(halves[count].text);
        }
        count++;
    }
    buf_init(&attributes, 256);
    onnx_put_int(&attributes, "axis", 1);
    return put(net, "Concat", inputs, count, &attributes);
}

// The weights for the large part, or for all the others: their taps are summed up that stand on the
// same pixel. Of an even row the first tap stands on the pixel before, of an odd one the last on
// the one behind.
static struct onnx_name put_weights(struct phases *net, bool large, int64_t odd_y, int64_t odd_x) {
    const int64_t *dims = net->weights.dims, side = large ? 3 : 2;
    const float *from = net->weights.values;
    int64_t own = net->parts[net->large].channels, in = large ? own : dims[1] - own;
    float *values = mem_alloc((size_t)(dims[0] * in * side * side) * sizeof *values), *to = values;
    for (int64_t o = 0; o < dims[0]; o++)
        for (size_t i = 0; i < net->count; i++)
            for (int64_t c = 0; c < net->parts[i].channels; c++, from += 9) {
                if (large != (i == net->large))
                    continue;
                for (int64_t y = 0; y < 3; y++)
                    for (int64_t x = 0; x < 3; x++)
                        to[large ? y * 3 + x : (y + 1 - odd_y) / 2 * 2 + (x + 1 - odd_x) / 2] +=
                            from[y * 3 + x];
                to += side * side;
            }
    struct onnx_name name = onnx_rewrite_new_weights(
        net->rewrite, (const int64_t[]){dims[0], in, side, side}, 4, values);
    mem_free(values);
    return name;
}

// A convolution that gives only the pixels of the phase.
static struct onnx_name put_conv(struct phases *net, bool large, int64_t odd_y, int64_t odd_x,
                                 const struct span *inputs, size_t count) {
    struct buf attributes;
    int64_t side = large ? 3 : 2, stride = large ? 2 : 1;
    buf_init(&attributes, 512);
    onnx_put_ints(&attributes, "kernel_shape", (const int64_t[]){side, side}, 2);
    onnx_put_ints(&attributes, "strides", (const int64_t[]){stride, stride}, 2);
    onnx_put_ints(&attributes, "pads", (const int64_t[]){1 - odd_y, 1 - odd_x, odd_y, odd_x}, 4);
    return put(net, "Conv", inputs, count, &attributes);
}

static struct onnx_name put_steps(struct phases *net, struct onnx_name value) {
    for (size_t i = 0; i < net->step_count; i++) {
        const struct onnx_node *step = node_of(net, net->steps[i]);
        struct onnx_name next = onnx_rewrite_new_name(net->rewrite);
        onnx_put_like(onnx_rewrite_place(net->rewrite, net->layout), step,
                      (struct span[]){span_of(value.text), step->inputs[1], step->inputs[2]},
                      step->input_count, span_of(next.text));
        value = next;
    }
    return value;
}

// Phase after phase the channels come, and within each its squares of pixels, rows first; they are
// to come as one square of twice the side.
static struct onnx_name put_order(struct phases *net, struct onnx_name value) {
    int64_t side = net->factor, own = net->channels / (side * side), count = PHASES * net->channels;
    int64_t *order = mem_alloc((size_t)count * sizeof *order);
    for (int64_t i = 0; i < count; i++) {
        int64_t place = i / own, y = place / (2 * side), x = place % (2 * side);
        int64_t phase = y / side * 2 + x / side, in = y % side * side + x % side;
        order[i] = phase * net->channels + in * own + i % own;
    }
    struct onnx_name indices = onnx_rewrite_new_indices(net->rewrite, order, count);
    struct buf attributes;
    buf_init(&attributes, 256);
    onnx_put_int(&attributes, "axis", 1);
    mem_free(order);
    return put(net, "Gather", (struct span[]){span_of(value.text), span_of(indices.text)}, 2,
               &attributes);
}

static void put_layout(struct phases *net, const struct span phases[PHASES]) {
    struct buf attributes;
    buf_init(&attributes, 256);
    onnx_put_int(&attributes, "axis", 1);
    struct onnx_name value = put(net, "Concat", phases, PHASES, &attributes);
    value = put_order(net, value);
    buf_init(&attributes, 256);
    onnx_put_int(&attributes, "blocksize", 2 * net->factor);
    onnx_put_node(onnx_rewrite_place(net->rewrite, net->layout), "DepthToSpace",
                  &(struct span){value.text, strlen(value.text)}, 1,
                  node_of(net, net->layout)->output, &attributes);
}

static void put_phases(struct phases *net) {
    struct onnx_name small = put_small(net), values[PHASES], bias = {0};
    struct onnx_name large_weights = put_weights(net, true, 0, 0);
    struct span spans[PHASES];
    if (net->bias.values)
        bias = onnx_rewrite_new_weights(net->rewrite, net->weights.dims, 1, net->bias.values);
    for (int64_t i = 0; i < PHASES; i++) {
        int64_t odd_y = i / 2, odd_x = i % 2;
        struct onnx_name weights = put_weights(net, false, odd_y, odd_x);
        struct onnx_name large =
            put_conv(net, true, odd_y, odd_x,
                     (struct span[]){net->parts[net->large].name, span_of(large_weights.text),
                                     span_of(bias.text)},
                     net->bias.values ? 3 : 2);
        values[i] = put_conv(net, false, odd_y, odd_x,
                             (struct span[]){span_of(small.text), span_of(weights.text)}, 2);
        values[i] =
            put(net, "Add", (struct span[]){span_of(values[i].text), span_of(large.text)}, 2, NULL);
        values[i] = put_steps(net, values[i]);
        spans[i] = span_of(values[i].text);
    }
    put_layout(net, spans);
}

bool onnx_edit_phases(struct buf *out, const uint8_t *bytes, size_t length) {
    struct onnx_rewrite rewrite;
    bool good = onnx_rewrite_begin(&rewrite, "phases", bytes, length);
    for (int i = 0; good && i < (int)rewrite.graph.count; i++) {
        struct phases net = {.rewrite = &rewrite};
        if (span_is(rewrite.graph.nodes[i].op, "Conv") && find_phases(&net, i))
            put_phases(&net);
        mem_free(net.weights.values);
        mem_free(net.bias.values);
    }
    return onnx_rewrite_end(&rewrite, out) && good;
}
