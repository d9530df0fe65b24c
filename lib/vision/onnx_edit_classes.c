// A recogniser of lines ends with a product, a bias and a Softmax over thousands of classes, and
// three steps in four say the first one, "nothing", by far. Which ones do is asked of the product
// in whole numbers, a quarter of the time, with a bound on what that leaves out:
//   h w - h' w' = (h - h') w' + h (w - w'), at most |h - h'| |w'| + |h| |w - w'|
// where h' and w' are what a step and a class become as 8 and 7 bits (7, so that two products fit
// into 16 bits, which is how the runtime adds them on some machines). Where even so no class comes
// near to the first, the rest is not computed.
#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/onnx_rewrite.h"

#include <math.h>

enum { CLASSES_LEAST = 512, CHANNELS_MOST = 4096, LARGEST = 63 };

// What ends the network: logits of a step are h w + bias.
struct head {
    int product;      // the node
    struct span h, w; // names of its factors
    struct onnx_weights weights, biases;
    size_t channels, classes;
};

static void head_fini(struct head *head) {
    mem_free(head->weights.values);
    mem_free(head->biases.values);
}

// The node of a kind that makes the value for one reader alone.
static int maker_for(const struct onnx_rewrite *rewrite, struct span value, int reader,
                     const char *op) {
    int maker = onnx_graph_origin(&rewrite->graph, value, reader);
    return maker != ONNX_NONE && span_is(rewrite->graph.nodes[maker].op, op) &&
                   onnx_rewrite_reader(rewrite, maker) == reader
               ? maker
               : ONNX_NONE;
}

// product -> + bias -> Softmax over classes -> out
static bool find_head(const struct onnx_rewrite *rewrite, int softmax, struct head *head) {
    const struct onnx_graph *graph = &rewrite->graph;
    const struct onnx_node *last = &graph->nodes[softmax];
    int64_t axis = 0;
    *head = (struct head){0};
    if (!span_is(last->op, "Softmax") || !onnx_rewrite_is_output(rewrite, softmax) ||
        onnx_node_ints(last, "axis", &axis, 1) != 1 || (axis != 2 && axis != -1))
        return false;
    int sum = maker_for(rewrite, last->inputs[0], softmax, "Add");
    if (sum == ONNX_NONE)
        return false;
    struct span bias = graph->nodes[sum].inputs[1];
    head->product = maker_for(rewrite, graph->nodes[sum].inputs[0], sum, "MatMul");
    if (head->product == ONNX_NONE)
        return false;
    head->h = graph->nodes[head->product].inputs[0];
    head->w = graph->nodes[head->product].inputs[1];
    int maker = onnx_graph_origin(graph, head->h, head->product);
    if (maker != ONNX_NONE && span_is(graph->nodes[maker].op, "Compress")) // done already
        return false;
    if (!onnx_rewrite_weights(rewrite, head->w, &head->weights) ||
        !onnx_rewrite_weights(rewrite, bias, &head->biases) || head->weights.rank != 2 ||
        head->biases.rank != 1 || head->biases.dims[0] != head->weights.dims[1])
        return false;
    head->channels = (size_t)head->weights.dims[0];
    head->classes = (size_t)head->weights.dims[1];
    return head->classes >= CLASSES_LEAST && head->channels <= CHANNELS_MOST;
}

// All classes but the first in whole numbers, and what is needed for the bound.
struct whole {
    int8_t *values; // channels x (classes - 1)
    float scale;    // of a unit
    float length;   // of the longest class as it became
    float lost;     // of what the class that lost most lost
    float bias;     // the largest
};

static void measure(const struct head *head, struct whole *whole) {
    double longest = 0, most = 0;
    for (size_t class = 1; class < head->classes; class ++) {
        double length = 0, lost = 0;
        for (size_t i = 0; i < head->channels; i++) {
            double value = head->weights.values[i * head->classes + class];
            double unit = whole->values[i * (head->classes - 1) + class - 1] * (double)whole->scale;
            length += unit * unit;
            lost += (value - unit) * (value - unit);
        }
        longest = fmax(longest, length);
        most = fmax(most, lost);
    }
    whole->length = (float)sqrt(longest);
    whole->lost = (float)sqrt(most);
}

static bool make_whole(const struct head *head, struct whole *whole) {
    size_t classes = head->classes - 1;
    float largest = 0;
    for (size_t i = 0; i < head->weights.count; i++)
        largest = fmaxf(largest, fabsf(head->weights.values[i]));
    if (!(largest > 0) || !isfinite(largest))
        return false;
    *whole = (struct whole){.scale = largest / LARGEST, .bias = -INFINITY};
    whole->values = mem_alloc(head->channels * classes);
    for (size_t i = 0; i < head->channels; i++)
        for (size_t k = 0; k < classes; k++)
            whole->values[i * classes + k] =
                (int8_t)lrintf(head->weights.values[i * head->classes + k + 1] / whole->scale);
    for (size_t k = 1; k < head->classes; k++)
        whole->bias = fmaxf(whole->bias, head->biases.values[k]);
    measure(head, whole);
    return isfinite(whole->bias);
}

// A node with a new name for what it makes.
static struct span put(struct onnx_rewrite *rewrite, struct buf *place, struct onnx_name *name,
                       const char *op, const struct span *inputs, size_t count,
                       struct buf *attributes) {
    *name = onnx_rewrite_new_name(rewrite);
    onnx_put_node(place, op, inputs, count, span_of(name->text), attributes);
    return span_of(name->text);
}

// One number for each step: the largest of its classes, or the length of it.
static struct span put_reduced(struct onnx_rewrite *rewrite, struct buf *place,
                               struct onnx_name *name, const char *op, struct span value) {
    struct buf attributes;
    buf_init(&attributes, 256);
    onnx_put_ints(&attributes, "axes", (const int64_t[]){2}, 1);
    onnx_put_int(&attributes, "keepdims", 0);
    return put(rewrite, place, name, op, &value, 1, &attributes);
}

static struct span put_two(struct onnx_rewrite *rewrite, struct buf *place, struct onnx_name *name,
                           const char *op, struct span a, struct span b) {
    return put(rewrite, place, name, op, (struct span[]){a, b}, 2, NULL);
}

static struct span put_cast(struct onnx_rewrite *rewrite, struct buf *place, struct onnx_name *name,
                            struct span value) {
    struct buf attributes;
    buf_init(&attributes, 64);
    onnx_put_int(&attributes, "to", ONNX_FLOAT);
    return put(rewrite, place, name, "Cast", &value, 1, &attributes);
}

static struct onnx_name put_number(struct onnx_rewrite *rewrite, float value) {
    return onnx_rewrite_new_weights(rewrite, (const int64_t[]){1}, 1, &value);
}

// What no class but the first can be more than, for each step.
static struct span put_bound(struct onnx_rewrite *rewrite, struct buf *place,
                             const struct head *head, const struct whole *whole,
                             struct onnx_name *out) {
    const int64_t dims[] = {(int64_t)head->channels, (int64_t)head->classes - 1};
    // Products of floats are off by so much themselves, at most.
    float rounding = (float)head->channels * whole->length * 0x1p-22f;
    struct onnx_name w = onnx_rewrite_new_bytes(rewrite, dims, 2, whole->values),
                     unit = put_number(rewrite, whole->scale),
                     length = put_number(rewrite, whole->length),
                     lost = put_number(rewrite, whole->lost + rounding),
                     bias = put_number(rewrite, whole->bias), n[13];
    struct onnx_name q = onnx_rewrite_new_name(rewrite), scale = onnx_rewrite_new_name(rewrite),
                     zero = onnx_rewrite_new_name(rewrite);
    const struct span made[] = {span_of(q.text), span_of(scale.text), span_of(zero.text)};
    onnx_put_node_of_many(place, "DynamicQuantizeLinear", &head->h, 1, made, 3);
    struct span all = put(rewrite, place, &n[0], "MatMulInteger",
                          (struct span[]){made[0], span_of(w.text), made[2]}, 3, NULL);
    struct span most = put_reduced(rewrite, place, &n[1], "ReduceMax", all);
    struct span units = put_two(rewrite, place, &n[2], "Mul", made[1], span_of(unit.text));
    struct span sum =
        put_two(rewrite, place, &n[3], "Mul", put_cast(rewrite, place, &n[4], most), units);
    struct span became = put(rewrite, place, &n[5], "DequantizeLinear", made, 3, NULL);
    struct span rest = put_two(rewrite, place, &n[6], "Sub", head->h, became);
    rest = put_reduced(rewrite, place, &n[7], "ReduceL2", rest);
    rest = put_two(rewrite, place, &n[8], "Mul", rest, span_of(length.text));
    sum = put_two(rewrite, place, &n[9], "Add", sum, rest);
    rest = put_reduced(rewrite, place, &n[10], "ReduceL2", head->h);
    rest = put_two(rewrite, place, &n[11], "Mul", rest, span_of(lost.text));
    sum = put_two(rewrite, place, &n[12], "Add", sum, rest);
    return put_two(rewrite, place, out, "Add", sum, span_of(bias.text));
}

// The first class's logit, for each step.
static struct span put_first(struct onnx_rewrite *rewrite, struct buf *place,
                             const struct head *head, struct onnx_name *out) {
    float *column = mem_alloc(head->channels * sizeof *column);
    for (size_t i = 0; i < head->channels; i++)
        column[i] = head->weights.values[i * head->classes];
    struct onnx_name w = onnx_rewrite_new_weights(
                         rewrite, (const int64_t[]){(int64_t)head->channels, 1}, 2, column),
                     bias = put_number(rewrite, head->biases.values[0]), n[2];
    mem_free(column);
    struct span first = put_two(rewrite, place, &n[0], "MatMul", head->h, span_of(w.text));
    first = put_reduced(rewrite, place, &n[1], "ReduceMax", first); // of one
    return put_two(rewrite, place, out, "Add", first, span_of(bias.text));
}

static void put_head(struct onnx_rewrite *rewrite, const struct head *head,
                     const struct whole *whole) {
    const struct onnx_node *nodes = rewrite->graph.nodes;
    struct buf *place = onnx_rewrite_place(rewrite, head->product), attributes;
    struct onnx_name n[6], flat = onnx_rewrite_new_indices(rewrite, (const int64_t[]){-1}, 1);
    struct span bound = put_bound(rewrite, place, head, whole, &n[0]);
    struct span first = put_first(rewrite, place, head, &n[1]);
    struct span said = put_two(rewrite, place, &n[2], "Less", bound, first);
    said = put(rewrite, place, &n[3], "Not", &said, 1, NULL);
    said = put_two(rewrite, place, &n[4], "Reshape", said, span_of(flat.text));
    buf_init(&attributes, 64);
    onnx_put_int(&attributes, "axis", 1);
    struct span kept =
        put(rewrite, place, &n[5], "Compress", (struct span[]){head->h, said}, 2, &attributes);
    onnx_put_node(place, "MatMul", (struct span[]){kept, head->w}, 2, nodes[head->product].output,
                  NULL);
    buf_init(&attributes, 64);
    onnx_put_int(&attributes, "to", ONNX_FLOAT);
    onnx_put_node(place, "Cast", &said, 1, span_of(ONNX_CLASSES_KEPT), &attributes);
    onnx_rewrite_new_output(rewrite, ONNX_CLASSES_KEPT);
}

bool onnx_edit_classes(struct buf *out, const uint8_t *bytes, size_t length) {
    struct onnx_rewrite rewrite;
    struct head head = {0};
    struct whole whole = {0};
    bool good = onnx_rewrite_begin(&rewrite, "classes", bytes, length), found = false;
    for (int i = (int)rewrite.graph.count - 1; good && i >= 0 && !found; i--) {
        found = find_head(&rewrite, i, &head);
        if (!found)
            head_fini(&head);
    }
    if (found && make_whole(&head, &whole))
        put_head(&rewrite, &head, &whole);
    if (found)
        head_fini(&head);
    mem_free(whole.values);
    return onnx_rewrite_end(&rewrite, out) && good;
}
