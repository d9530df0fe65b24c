#include "vision/onnx_rewrite.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { VALUE_INFO = 13 };
enum { NODES_MOST = 2000, WEIGHTS_MOST = 1 << 24, CHANNELS_MAX = 4096, HOPS_MAX = 4 };
enum { ROOM_LEAST = 4 << 20, ROOM_TIMES = 4 }; // for new weights: so many times the file

bool onnx_rewrite_begin(struct onnx_rewrite *rewrite, const char *edit, const uint8_t *bytes,
                        size_t length) {
    *rewrite = (struct onnx_rewrite){.model = {(const char *)bytes, length}, .edit = edit};
    rewrite->bytes = onnx_graph_of(rewrite->model);
    buf_init(&rewrite->weights, ROOM_LEAST + ROOM_TIMES * length);
    buf_init(&rewrite->outputs, 4096);
    if (!rewrite->bytes.length || !onnx_graph_read(&rewrite->graph, rewrite->bytes) ||
        rewrite->graph.count > NODES_MOST)
        return false;
    size_t count = rewrite->graph.count;
    rewrite->places = mem_alloc((count + 1) * sizeof *rewrite->places);
    rewrite->replaced = mem_alloc((count + 1) * sizeof *rewrite->replaced);
    return true;
}

struct span onnx_rewrite_origin(const struct onnx_rewrite *rewrite, struct span name, int before) {
    const struct onnx_graph *graph = &rewrite->graph;
    for (int at = onnx_graph_maker(graph, name, before);
         at != ONNX_NONE && span_is(graph->nodes[at].op, "Identity");
         at = onnx_graph_maker(graph, name, at))
        name = graph->nodes[at].inputs[0];
    return name;
}

static bool goes_out(struct span graph, struct span name) {
    struct protobuf_field field;
    while (protobuf_take(&graph, &field))
        if (field.number == GRAPH_OUTPUT &&
            onnx_same_name(protobuf_find(field.bytes, VALUE_NAME), name))
            return true;
    return false;
}

// Counts those that read the name, and keeps the first; what leaves the graph has two readers, so
// that nobody is the only one.
static int count_readers(const struct onnx_rewrite *rewrite, struct span name, int from,
                         int *reader) {
    const struct onnx_graph *graph = &rewrite->graph;
    int count = goes_out(rewrite->bytes, name) ? 2 : 0;
    for (int i = from + 1; i < (int)graph->count && count < 2; i++) {
        const struct onnx_node *node = &graph->nodes[i];
        if (!onnx_node_reads(node, name))
            continue;
        if (span_is(node->op, "Identity"))
            count += count_readers(rewrite, node->output, i, reader);
        else if (count++ == 0)
            *reader = i;
    }
    return count;
}

int onnx_rewrite_reader(const struct onnx_rewrite *rewrite, int node) {
    const struct onnx_node *maker = &rewrite->graph.nodes[node];
    int reader = ONNX_NONE;
    return maker->output_count == 1 && count_readers(rewrite, maker->output, node, &reader) == 1
               ? reader
               : ONNX_NONE;
}

bool onnx_rewrite_is_output(const struct onnx_rewrite *rewrite, int node) {
    const struct onnx_graph *graph = &rewrite->graph;
    struct span name = graph->nodes[node].output;
    if (goes_out(rewrite->bytes, name))
        return true;
    for (int i = node + 1; i < (int)graph->count; i++)
        if (span_is(graph->nodes[i].op, "Identity") && onnx_node_reads(&graph->nodes[i], name) &&
            onnx_rewrite_is_output(rewrite, i))
            return true;
    return false;
}

static bool read_weights(struct span tensor, struct onnx_weights *out) {
    struct protobuf_field field;
    struct span raw = {0};
    uint64_t type = 0;
    *out = (struct onnx_weights){.count = 1};
    while (protobuf_take(&tensor, &field))
        if (field.number == DATA_DIMS && !field.bytes.data) {
            if (out->rank == ONNX_RANK_MAX || field.value < 1 || field.value > WEIGHTS_MOST)
                return false;
            out->dims[out->rank++] = (int64_t)field.value;
            out->count *= (size_t)field.value;
            if (out->count > WEIGHTS_MOST)
                return false;
        } else if (field.number == DATA_TYPE) {
            type = field.value;
        } else if (field.number == DATA_RAW) {
            raw = field.bytes;
        }
    if (type != ONNX_FLOAT || out->rank < 1 || !raw.data ||
        raw.length != out->count * sizeof *out->values)
        return false;
    out->values = mem_alloc(raw.length);
    memcpy(out->values, raw.data, raw.length);
    return true;
}

// What is an input as well can be given from outside and is no constant.
bool onnx_rewrite_weights(const struct onnx_rewrite *rewrite, struct span name,
                          struct onnx_weights *out) {
    struct span rest = rewrite->bytes, tensor = {0};
    struct protobuf_field field;
    while (protobuf_take(&rest, &field))
        if (field.number == GRAPH_INITIALIZER &&
            onnx_same_name(protobuf_find(field.bytes, DATA_NAME), name))
            tensor = field.bytes;
        else if (field.number == GRAPH_INPUT &&
                 onnx_same_name(protobuf_find(field.bytes, VALUE_NAME), name))
            return false;
    return read_weights(tensor, out);
}

bool onnx_rewrite_bias(const struct onnx_rewrite *rewrite, struct span name, int64_t channels,
                       struct onnx_weights *out) {
    if (!onnx_rewrite_weights(rewrite, name, out))
        return false;
    const int64_t *dims = out->dims + (out->rank == 4 ? 1 : 0);
    if (out->rank >= 3 && (out->rank == 3 || out->dims[0] == 1) && dims[0] == channels &&
        dims[1] == 1 && dims[2] == 1)
        return true;
    mem_free(out->values);
    *out = (struct onnx_weights){0};
    return false;
}

int onnx_rewrite_bias_node(const struct onnx_rewrite *rewrite, int node, int64_t channels,
                           struct onnx_weights *bias) {
    int next = onnx_rewrite_reader(rewrite, node);
    if (next == ONNX_NONE || !span_is(rewrite->graph.nodes[next].op, "Add"))
        return ONNX_NONE;
    for (size_t i = 0; i < 2; i++)
        if (onnx_rewrite_bias(rewrite, rewrite->graph.nodes[next].inputs[i], channels, bias))
            return next;
    return ONNX_NONE;
}

bool onnx_rewrite_conv(const struct onnx_rewrite *rewrite, int node, struct onnx_weights *out) {
    const struct onnx_node *conv = &rewrite->graph.nodes[node];
    if (!span_is(conv->op, "Conv") || conv->output_count != 1 || conv->input_count < 2 ||
        !onnx_rewrite_weights(rewrite, conv->inputs[1], out))
        return false;
    if (out->rank == 4 && out->dims[0] <= CHANNELS_MAX)
        return true;
    mem_free(out->values);
    *out = (struct onnx_weights){0};
    return false;
}

// A product or a sum has the channels of its factors, one of which may have only one that stands
// for all.
static int64_t find_channels(const struct onnx_rewrite *rewrite, struct span name, int before,
                             int hops) {
    int at = onnx_graph_origin(&rewrite->graph, name, before);
    struct onnx_weights weights;
    int64_t channels = 0;
    if (at == ONNX_NONE || hops == 0)
        return 0;
    const struct onnx_node *node = &rewrite->graph.nodes[at];
    if (onnx_rewrite_conv(rewrite, at, &weights)) {
        channels = weights.dims[0];
        mem_free(weights.values);
    } else if (span_is(node->op, "Mul") || span_is(node->op, "Add")) {
        for (size_t i = 0; i < 2 && channels == 0; i++)
            channels = find_channels(rewrite, node->inputs[i], at, hops - 1);
    } else if (span_is(node->op, "Relu")) {
        channels = find_channels(rewrite, node->inputs[0], at, hops - 1);
    }
    return channels > 1 ? channels : 0;
}

int64_t onnx_rewrite_channels(const struct onnx_rewrite *rewrite, struct span name, int before) {
    return find_channels(rewrite, name, before, HOPS_MAX);
}

struct buf *onnx_rewrite_place(struct onnx_rewrite *rewrite, int node) {
    struct buf *place = &rewrite->places[node];
    if (!rewrite->replaced[node])
        buf_init(place, 1 << 20);
    rewrite->replaced[node] = rewrite->changed = true;
    return place;
}

struct onnx_name onnx_rewrite_new_name(struct onnx_rewrite *rewrite) {
    struct onnx_name name;
    snprintf(name.text, sizeof name.text, "ancalagon.%s.%u", rewrite->edit, rewrite->names++);
    return name;
}

static struct onnx_name put_constant(struct onnx_rewrite *rewrite, const int64_t *dims, size_t rank,
                                     int type, const void *values, size_t size) {
    struct onnx_name name = onnx_rewrite_new_name(rewrite);
    size_t bytes = size, before = rewrite->weights.length;
    struct buf data;
    for (size_t i = 0; i < rank; i++)
        bytes *= (size_t)dims[i];
    buf_init(&data, bytes + 256);
    for (size_t i = 0; i < rank; i++)
        protobuf_put_int(&data, DATA_DIMS, (uint64_t)dims[i]);
    protobuf_put_int(&data, DATA_TYPE, (uint64_t)type);
    protobuf_put_text(&data, DATA_NAME, name.text);
    protobuf_put_bytes(&data, DATA_RAW, values, bytes);
    protobuf_put_message(&rewrite->weights, GRAPH_INITIALIZER, &data);
    rewrite->full |= rewrite->weights.length < before + bytes;
    return name;
}

struct onnx_name onnx_rewrite_new_weights(struct onnx_rewrite *rewrite, const int64_t *dims,
                                          size_t rank, const float *values) {
    return put_constant(rewrite, dims, rank, ONNX_FLOAT, values, sizeof *values);
}

struct onnx_name onnx_rewrite_new_indices(struct onnx_rewrite *rewrite, const int64_t *values,
                                          int64_t count) {
    return put_constant(rewrite, &count, 1, ONNX_INT64, values, sizeof *values);
}

struct onnx_name onnx_rewrite_new_bytes(struct onnx_rewrite *rewrite, const int64_t *dims,
                                        size_t rank, const int8_t *values) {
    return put_constant(rewrite, dims, rank, ONNX_INT8, values, sizeof *values);
}

void onnx_rewrite_new_output(struct onnx_rewrite *rewrite, const char *name) {
    struct buf shape;
    buf_init(&shape, 64);
    onnx_put_dim(&shape, -1);
    onnx_put_output(&rewrite->outputs, name, ONNX_FLOAT,
                    (struct span){buf_bytes(&shape), shape.length});
    buf_fini(&shape);
}

// --- The new graph

static bool node_makes(const struct onnx_node *node, struct span name) {
    struct span rest = node->field.bytes;
    struct protobuf_field field;
    while (protobuf_take(&rest, &field))
        if (field.number == NODE_OUTPUT && onnx_same_name(field.bytes, name))
            return true;
    return false;
}

static bool is_wanted(const struct onnx_graph *graph, const bool *live, struct span bytes, int at) {
    const struct onnx_node *node = &graph->nodes[at];
    if (node->output_count != 1 || goes_out(bytes, node->output))
        return true;
    for (int i = at + 1; i < (int)graph->count; i++)
        if (live[i] && onnx_node_reads(&graph->nodes[i], node->output))
            return true;
    return false;
}

// Given from outside, or a constant.
static bool is_given(struct span graph, struct span name) {
    struct protobuf_field field;
    while (protobuf_take(&graph, &field))
        if ((field.number == GRAPH_INITIALIZER &&
             onnx_same_name(protobuf_find(field.bytes, DATA_NAME), name)) ||
            (field.number == GRAPH_INPUT &&
             onnx_same_name(protobuf_find(field.bytes, VALUE_NAME), name)))
            return true;
    return false;
}

static bool has_inputs(const struct onnx_graph *graph, const bool *live, struct span bytes,
                       int at) {
    struct span rest = graph->nodes[at].field.bytes;
    struct protobuf_field field;
    while (protobuf_take(&rest, &field)) {
        bool found = field.number != NODE_INPUT || field.bytes.length == 0;
        for (int i = at - 1; i >= 0 && !found; i--)
            found = live[i] && node_makes(&graph->nodes[i], field.bytes);
        if (!found && !is_given(bytes, field.bytes))
            return false;
    }
    return true;
}

static bool is_read(const struct onnx_graph *graph, const bool *live, struct span name) {
    for (size_t i = 0; i < graph->count; i++)
        if (live[i] && onnx_node_reads(&graph->nodes[i], name))
            return true;
    return false;
}

// Everything, with the new nodes in the places of the old, but what the file says of the shapes of
// values in between: they may be others now, and the runtime finds them by itself.
static void put_all(const struct onnx_rewrite *rewrite, struct buf *out) {
    struct span rest = rewrite->bytes;
    struct protobuf_field field;
    size_t next = 0;
    buf_add(out, buf_bytes(&rewrite->weights), rewrite->weights.length);
    while (protobuf_take(&rest, &field)) {
        size_t node = field.number == GRAPH_NODE ? next++ : rewrite->graph.count;
        if (field.number == GRAPH_NODE && rewrite->replaced[node])
            buf_add(out, buf_bytes(&rewrite->places[node]), rewrite->places[node].length);
        else if (field.number != VALUE_INFO)
            buf_add(out, field.whole.data, field.whole.length);
    }
    buf_add(out, buf_bytes(&rewrite->outputs), rewrite->outputs.length);
}

static void put_live(struct buf *out, const struct onnx_graph *graph, const bool *live,
                     struct span bytes) {
    struct span rest = bytes;
    struct protobuf_field field;
    size_t next = 0;
    while (protobuf_take(&rest, &field)) {
        bool wanted = true;
        if (field.number == GRAPH_NODE)
            wanted = live[next++];
        else if (field.number == GRAPH_INITIALIZER)
            wanted = is_read(graph, live, protobuf_find(field.bytes, DATA_NAME)) ||
                     goes_out(bytes, protobuf_find(field.bytes, DATA_NAME));
        if (wanted)
            buf_add(out, field.whole.data, field.whole.length);
    }
}

static bool put_wanted(struct buf *out, struct span bytes) {
    struct onnx_graph graph = {0};
    bool good = onnx_graph_read(&graph, bytes);
    bool *live = mem_alloc((graph.count + 1) * sizeof *live);
    for (int i = (int)graph.count - 1; i >= 0 && good; i--)
        live[i] = is_wanted(&graph, live, bytes, i);
    for (int i = 0; i < (int)graph.count && good; i++)
        good = !live[i] || has_inputs(&graph, live, bytes, i);
    if (good)
        put_live(out, &graph, live, bytes);
    mem_free(live);
    onnx_graph_fini(&graph);
    return good;
}

static bool put_model(const struct onnx_rewrite *rewrite, struct buf *out) {
    struct buf all, wanted;
    size_t room = rewrite->bytes.length + rewrite->weights.length + rewrite->outputs.length + 64;
    for (size_t i = 0; i < rewrite->graph.count; i++)
        room += rewrite->places[i].length;
    buf_init(&all, room);
    buf_init(&wanted, room);
    put_all(rewrite, &all);
    bool good = put_wanted(&wanted, (struct span){buf_bytes(&all), all.length});
    buf_fini(&all);
    if (good)
        onnx_put_model(out, rewrite->model, &wanted);
    else
        buf_fini(&wanted);
    return good;
}

bool onnx_rewrite_end(struct onnx_rewrite *rewrite, struct buf *out) {
    bool good = rewrite->changed && !rewrite->full && put_model(rewrite, out);
    for (size_t i = 0; rewrite->places && i < rewrite->graph.count; i++)
        if (rewrite->replaced[i])
            buf_fini(&rewrite->places[i]);
    mem_free(rewrite->places);
    mem_free(rewrite->replaced);
    buf_fini(&rewrite->weights);
    buf_fini(&rewrite->outputs);
    onnx_graph_fini(&rewrite->graph);
    return good;
}
