// x + x * s, where s is one number a channel, is x * (1 + s): a pass over x less.
#include "base/mem.h"
#include "vision/onnx_edit.h"
#include "vision/onnx_rewrite.h"

static bool is_gate(const struct onnx_node *node) {
    return span_is(node->op, "HardSigmoid") || span_is(node->op, "Sigmoid");
}

// One side of the sum is the product, the other one of the product's factors.
static bool find_gate(const struct onnx_rewrite *rewrite, int add, size_t side, struct span *x,
                      struct span *gate) {
    const struct onnx_graph *graph = &rewrite->graph;
    const struct onnx_node *sum = &graph->nodes[add];
    int at = onnx_graph_origin(graph, sum->inputs[side], add);
    if (at == ONNX_NONE || !span_is(graph->nodes[at].op, "Mul") ||
        onnx_rewrite_reader(rewrite, at) != add)
        return false;
    const struct onnx_node *product = &graph->nodes[at];
    *x = onnx_rewrite_origin(rewrite, sum->inputs[1 - side], add);
    for (size_t i = 0; i < 2; i++) {
        int maker = onnx_graph_origin(graph, product->inputs[1 - i], at);
        *gate = product->inputs[1 - i];
        if (onnx_same_name(onnx_rewrite_origin(rewrite, product->inputs[i], at), *x) &&
            maker != ONNX_NONE && is_gate(&graph->nodes[maker]))
            return true;
    }
    return false;
}

static void put_gated(struct onnx_rewrite *rewrite, int add, struct span x, struct span gate) {
    struct onnx_name one = onnx_rewrite_new_weights(rewrite, (const int64_t[]){1}, 1, &(float){1});
    struct onnx_name more = onnx_rewrite_new_name(rewrite);
    struct buf *place = onnx_rewrite_place(rewrite, add);
    onnx_put_node(place, "Add", (struct span[]){gate, span_of(one.text)}, 2, span_of(more.text),
                  NULL);
    onnx_put_node(place, "Mul", (struct span[]){x, span_of(more.text)}, 2,
                  rewrite->graph.nodes[add].output, NULL);
}

bool onnx_edit_gates(struct buf *out, const uint8_t *bytes, size_t length) {
    struct onnx_rewrite rewrite;
    struct span x, gate;
    bool good = onnx_rewrite_begin(&rewrite, "gates", bytes, length);
    for (int i = 0; good && i < (int)rewrite.graph.count; i++) {
        const struct onnx_node *node = &rewrite.graph.nodes[i];
        if (span_is(node->op, "Add") && node->input_count == 2 && node->output_count == 1 &&
            (find_gate(&rewrite, i, 0, &x, &gate) || find_gate(&rewrite, i, 1, &x, &gate)))
            put_gated(&rewrite, i, x, gate);
    }
    return onnx_rewrite_end(&rewrite, out) && good;
}
