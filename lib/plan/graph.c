#include "plan/graph.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

struct tensor {
    struct graph_shape shape;
    uint64_t bytes;
    enum graph_op op;
    int size;
    int backend; // -1: not assigned yet
    bool input, keep, weight, external, visited, copied_view;
    int source[GRAPH_SOURCES_MAX];
    int view_of; // the tensor whose memory it looks at, GRAPH_NONE when its own
    // while allocating
    bool allocated;
    int buffer;
    int children, views;
    uint64_t offset;
};

struct list {
    int *items;
    size_t count, capacity;
};

// Free ranges of one buffer, by address; the last one has no end.
struct block {
    uint64_t offset, size;
};
enum { BLOCKS_MAX = 256, OFFLOAD_ROWS = 32 };
struct heap {
    struct block block[BLOCKS_MAX];
    int blocks;
    uint64_t top; // the highest byte ever used
    uint32_t alignment;
};

struct graph {
    int backends, copies;
    uint32_t alignment[GRAPH_BACKENDS_MAX];
    bool offloads[GRAPH_BACKENDS_MAX];
    struct tensor *tensors;
    size_t count, capacity;
    size_t first_copy; // from here on: a copy, and what holds its original, in turns
    struct list nodes, leafs;
    struct list plan;    // nodes as allocated: with copies between backends
    struct list plan_at; // the backend of each
    struct heap heap[GRAPH_BACKENDS_MAX];
};

static void list_add(struct list *list, int item) {
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 256;
        list->items = mem_resize(list->items, list->capacity * sizeof *list->items);
    }
    list->items[list->count++] = item;
}

struct graph *graph_create(int backends, const uint32_t *alignment, const bool *offloads,
                           int copies) {
    assert(backends >= 1 && backends <= GRAPH_BACKENDS_MAX);
    struct graph *graph = mem_alloc(sizeof *graph);
    graph->backends = backends;
    graph->copies = copies;
    memcpy(graph->alignment, alignment, (size_t)backends * sizeof *alignment);
    memcpy(graph->offloads, offloads, (size_t)backends * sizeof *offloads);
    return graph;
}

void graph_destroy(struct graph *graph) {
    mem_free(graph->tensors);
    mem_free(graph->nodes.items);
    mem_free(graph->leafs.items);
    mem_free(graph->plan.items);
    mem_free(graph->plan_at.items);
    mem_free(graph);
}

static int add_tensor(struct graph *graph, enum graph_op op, int size) {
    if (graph->count == graph->capacity) {
        graph->capacity = graph->capacity ? graph->capacity * 2 : 1024;
        graph->tensors = mem_resize(graph->tensors, graph->capacity * sizeof *graph->tensors);
    }
    struct tensor *t = &graph->tensors[graph->count];
    *t = (struct tensor){.op = op, .size = size, .backend = -1, .view_of = GRAPH_NONE};
    for (int i = 0; i < GRAPH_SOURCES_MAX; i++)
        t->source[i] = GRAPH_NONE;
    return (int)graph->count++;
}

static void set_shape(struct tensor *t, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3) {
    int64_t ne[4] = {ne0, ne1, ne2, ne3};
    int64_t step = t->size;
    for (int i = 0; i < 4; i++) {
        t->shape.ne[i] = ne[i];
        t->shape.nb[i] = step;
        step *= ne[i];
    }
    t->bytes = (uint64_t)step;
}

int graph_weight(struct graph *graph, int backend, uint64_t bytes) {
    int id = add_tensor(graph, GRAPH_LEAF, 1);
    struct tensor *t = &graph->tensors[id];
    set_shape(t, (int64_t)bytes, 1, 1, 1);
    t->weight = t->external = true;
    t->backend = backend;
    return id;
}

int graph_cache(struct graph *graph, int backend, uint64_t bytes) {
    int id = graph_weight(graph, backend, bytes);
    graph->tensors[id].weight = false;
    return id;
}

int graph_input(struct graph *graph, int size, int64_t ne0, int64_t ne1, int64_t ne2) {
    int id = add_tensor(graph, GRAPH_LEAF, size);
    set_shape(&graph->tensors[id], ne0, ne1, ne2, 1);
    graph->tensors[id].input = true;
    return id;
}

// The memory that a view looks at: views of views look at the first.
static int root_of(const struct graph *graph, int id) {
    int root = graph->tensors[id].view_of;
    return root == GRAPH_NONE ? id : root;
}

int graph_op(struct graph *graph, enum graph_op op, int size, int64_t ne0, int64_t ne1, int64_t ne2,
             int64_t ne3, int a, int b, int c, int d) {
    int id = add_tensor(graph, op, size);
    struct tensor *t = &graph->tensors[id];
    set_shape(t, ne0, ne1, ne2, ne3);
    int source[] = {a, b, c, d};
    int n = 0, last = GRAPH_NONE;
    for (int i = 0; i < 4; i++)
        if (source[i] != GRAPH_NONE)
            t->source[n++] = last = source[i];
    if (op == GRAPH_STORE)
        t->view_of = root_of(graph, last);
    return id;
}

// From the first byte to the last, gaps included: what a copy of a view takes (ggml_nbytes).
static uint64_t extent(const struct graph_shape *s, int size) {
    int64_t bytes = size;
    for (int i = 0; i < 4; i++) {
        if (s->ne[i] <= 0)
            return 0;
        bytes += (s->ne[i] - 1) * s->nb[i];
    }
    return (uint64_t)bytes;
}

int graph_view(struct graph *graph, int source, const struct graph_shape *shape) {
    int id = add_tensor(graph, GRAPH_VIEW, graph->tensors[source].size);
    struct tensor *t = &graph->tensors[id];
    t->shape = *shape;
    t->bytes = extent(shape, t->size);
    t->source[0] = source;
    t->view_of = root_of(graph, source);
    return id;
}

void graph_also(struct graph *graph, int tensor, int source) {
    int *at = graph->tensors[tensor].source;
    int n = 0;
    while (at[n] != GRAPH_NONE)
        n++;
    assert(n < GRAPH_SOURCES_MAX);
    at[n] = source;
}

void graph_grow(struct graph *graph, int tensor, uint64_t bytes) {
    graph->tensors[tensor].bytes += bytes;
}

struct graph_shape graph_shape(const struct graph *graph, int tensor) {
    return graph->tensors[tensor].shape;
}

int graph_size(const struct graph *graph, int tensor) { return graph->tensors[tensor].size; }

void graph_keep(struct graph *graph, int tensor) { graph->tensors[tensor].keep = true; }

// Sources first, left to right. Depth is the length of a chain not yet visited, a layer or so.
void graph_expand(struct graph *graph, int tensor) {
    struct tensor *t = &graph->tensors[tensor];
    if (t->visited)
        return;
    t->visited = true;
    for (int i = 0; i < GRAPH_SOURCES_MAX; i++)
        if (t->source[i] != GRAPH_NONE)
            graph_expand(graph, t->source[i]);
    list_add(t->op == GRAPH_LEAF ? &graph->leafs : &graph->nodes, tensor);
}

// ---- who computes what (passes 1 to 4 of ggml_backend_sched_split_graph) ----

static int first_choice(const struct graph *graph, const struct tensor *t) {
    if (t->external)
        return t->backend;
    if (t->view_of != GRAPH_NONE && graph->tensors[t->view_of].external)
        return graph->tensors[t->view_of].backend;
    int cpu = graph->backends - 1;
    if (t->input)
        return cpu;
    if (t->op == GRAPH_ROPE || t->op == GRAPH_ATTEND)
        return -1;
    for (int i = 0; i < GRAPH_SOURCES_MAX; i++) {
        if (t->source[i] == GRAPH_NONE || !graph->tensors[t->source[i]].weight)
            continue;
        int at = graph->tensors[t->source[i]].backend;
        // A device may fetch what it needs for a large batch.
        bool large = t->shape.ne[1] * t->shape.ne[2] * t->shape.ne[3] >= OFFLOAD_ROWS;
        bool fetched = at == cpu && large && (t->op == GRAPH_FRESH || t->op == GRAPH_REUSE);
        for (int b = 0; fetched && b < cpu; b++)
            if (graph->offloads[b])
                return b;
        return at;
    }
    return -1;
}

// Carries an assignment over the neighbours that have none, in one direction.
static void spread(struct graph *graph, bool down, bool devices_only) {
    int current = -1;
    for (size_t k = 0; k < graph->nodes.count; k++) {
        size_t i = down ? k : graph->nodes.count - 1 - k;
        struct tensor *t = &graph->tensors[graph->nodes.items[i]];
        if (t->op == GRAPH_VIEW)
            continue;
        if (t->backend != -1)
            current = devices_only && t->backend == graph->backends - 1 ? -1 : t->backend;
        else if (current != -1)
            t->backend = current;
    }
}

static void assign(struct graph *graph) {
    for (size_t i = 0; i < graph->leafs.count; i++) {
        struct tensor *t = &graph->tensors[graph->leafs.items[i]];
        if (t->backend == -1)
            t->backend = first_choice(graph, t);
    }
    for (size_t i = 0; i < graph->nodes.count; i++) {
        struct tensor *t = &graph->tensors[graph->nodes.items[i]];
        if (t->backend == -1)
            t->backend = first_choice(graph, t);
    }
    spread(graph, true, true);
    spread(graph, false, true);
    spread(graph, true, false);
    spread(graph, false, false);
    for (size_t i = 0; i < graph->nodes.count; i++) {
        struct tensor *t = &graph->tensors[graph->nodes.items[i]];
        if (t->view_of != GRAPH_NONE && t->backend == -1)
            t->backend = graph->tensors[t->view_of].backend;
        if (t->backend == -1)
            t->backend = (graph->backends - 1);
        for (int j = 0; j < GRAPH_SOURCES_MAX && t->source[j] != GRAPH_NONE; j++) {
            struct tensor *s = &graph->tensors[t->source[j]];
            if (s->backend == -1)
                s->backend =
                    s->view_of != GRAPH_NONE ? graph->tensors[s->view_of].backend : t->backend;
        }
    }
}

// ---- splits, and the copies between them (pass 5) ----

static int copy_of(struct graph *graph, int id, int backend, int *copies) {
    int *at = &copies[(size_t)id * (size_t)graph->backends + (size_t)backend];
    if (*at == 0) {
        int copy = add_tensor(graph, GRAPH_LEAF, graph->tensors[id].size);
        graph->tensors[copy].shape = graph->tensors[id].shape;
        graph->tensors[copy].bytes = graph->tensors[id].bytes;
        graph->tensors[copy].backend = backend;
        // Keeps the original alive until the copy is made.
        int hold = add_tensor(graph, GRAPH_LEAF, 1);
        graph->tensors[hold].source[0] = id;
        graph->tensors[hold].view_of = root_of(graph, id);
        graph->tensors[hold].backend = graph->tensors[id].backend;
        *at = copy;
    }
    return *at;
}

static bool readable(const struct graph *graph, int source, int backend) {
    return graph->tensors[source].backend == backend;
}

static void plan_node(struct graph *graph, int id, int at) {
    list_add(&graph->plan, id);
    list_add(&graph->plan_at, at);
}

static void end_split(struct graph *graph, struct list *inputs, struct list *body, int backend,
                      const int *copies) {
    for (size_t i = 0; i < inputs->count; i++) {
        int copy = copies[(size_t)inputs->items[i] * (size_t)graph->backends + (size_t)backend];
        plan_node(graph, copy + 1, graph->tensors[copy + 1].backend);
        plan_node(graph, copy, backend);
    }
    for (size_t i = 0; i < body->count; i++)
        plan_node(graph, body->items[i], graph->tensors[body->items[i]].backend);
    inputs->count = body->count = 0;
}

// A split ends where the backend changes, and where weights that were fetched can be dropped.
static bool fetches_again(const struct graph *graph, const struct tensor *t, int backend) {
    for (int j = 0; j < GRAPH_SOURCES_MAX && t->source[j] != GRAPH_NONE; j++)
        if (graph->tensors[t->source[j]].weight && !readable(graph, t->source[j], backend))
            return true;
    return false;
}

static void split(struct graph *graph) {
    size_t originals = graph->first_copy = graph->count;
    int *copies = mem_alloc(originals * (size_t)graph->backends * sizeof *copies);
    struct list inputs = {0}, body = {0};
    int current = -1;
    for (size_t i = 0; i < graph->nodes.count; i++) {
        int id = graph->nodes.items[i];
        struct tensor *t = &graph->tensors[id];
        if (t->op == GRAPH_VIEW) {
            list_add(&body, id);
            continue;
        }
        if (current == -1)
            current = t->backend;
        bool again = t->backend == current && inputs.count > 0 && fetches_again(graph, t, current);
        if (t->backend != current || again) {
            end_split(graph, &inputs, &body, current, copies);
            current = t->backend;
        }
        for (int j = 0; j < GRAPH_SOURCES_MAX; j++) {
            int source = graph->tensors[id].source[j];
            if (source == GRAPH_NONE || readable(graph, source, current))
                continue;
            bool had = copies[(size_t)source * (size_t)graph->backends + (size_t)current] != 0;
            int copy = copy_of(graph, source, current, copies);
            if (!had)
                list_add(&inputs, source);
            graph->tensors[id].source[j] = copy;
        }
        list_add(&body, id);
    }
    end_split(graph, &inputs, &body, current == -1 ? graph->backends - 1 : current, copies);
    mem_free(inputs.items);
    mem_free(body.items);
    mem_free(copies);
}

// ---- the allocator (ggml_dyn_tallocr) ----

static uint64_t aligned(const struct heap *heap, uint64_t bytes) {
    return (bytes + heap->alignment - 1) / heap->alignment * heap->alignment;
}

static void block_remove(struct heap *heap, int at) {
    for (int i = at; i < heap->blocks - 1; i++)
        heap->block[i] = heap->block[i + 1];
    heap->blocks--;
}

// The smallest hole that is large enough; else the endless end.
static uint64_t heap_take(struct heap *heap, uint64_t bytes) {
    bytes = aligned(heap, bytes);
    int best = -1;
    for (int i = 0; i < heap->blocks - 1; i++)
        if (heap->block[i].size >= bytes &&
            (best == -1 || heap->block[i].size <= heap->block[best].size))
            best = i;
    if (best == -1)
        best = heap->blocks - 1;
    struct block *block = &heap->block[best];
    uint64_t offset = block->offset;
    block->offset += bytes;
    block->size -= bytes;
    if (block->size == 0)
        block_remove(heap, best);
    if (offset + bytes > heap->top)
        heap->top = offset + bytes;
    return offset;
}

static void heap_give(struct heap *heap, uint64_t offset, uint64_t bytes) {
    bytes = aligned(heap, bytes);
    for (int i = 0; i < heap->blocks; i++) {
        struct block *block = &heap->block[i];
        if (block->offset + block->size == offset) {
            block->size += bytes;
            if (i + 1 < heap->blocks && block->offset + block->size == block[1].offset) {
                block->size += block[1].size;
                block_remove(heap, i + 1);
            }
            return;
        }
        if (offset + bytes == block->offset) {
            block->offset = offset;
            block->size += bytes;
            return;
        }
    }
    if (bytes == 0 || heap->blocks == BLOCKS_MAX)
        return;
    int at = 0;
    while (at < heap->blocks && heap->block[at].offset < offset)
        at++;
    for (int i = heap->blocks; i > at; i--)
        heap->block[i] = heap->block[i - 1];
    heap->block[at] = (struct block){offset, bytes};
    heap->blocks++;
}

// ---- birth and death of tensors (ggml_gallocr_alloc_graph_impl) ----

static bool same_layout(const struct tensor *a, const struct tensor *b) {
    return a->size == b->size && memcmp(&a->shape, &b->shape, sizeof a->shape) == 0;
}

static void take_over(struct graph *graph, struct tensor *t, struct tensor *from) {
    struct heap *heap = &graph->heap[from->buffer];
    t->buffer = from->buffer;
    t->offset = from->offset;
    from->allocated = false;
    uint64_t had = aligned(heap, from->bytes), need = aligned(heap, t->bytes);
    if (had > need)
        heap_give(heap, from->offset + need, had - need);
}

static bool reuse(struct graph *graph, struct tensor *t) {
    if (t->op != GRAPH_REUSE && t->op != GRAPH_ROPE)
        return false;
    for (int j = 0; j < GRAPH_SOURCES_MAX && t->source[j] != GRAPH_NONE; j++) {
        struct tensor *parent = &graph->tensors[t->source[j]];
        bool is_view = parent->view_of != GRAPH_NONE;
        struct tensor *root = is_view ? &graph->tensors[parent->view_of] : parent;
        // A view is "own" only once allocated, which views never are.
        if (parent->external || parent->keep || root->keep || !same_layout(t, parent) ||
            parent->children != 1 || parent->views != 0)
            continue;
        if (is_view) {
            continue;
        }
        if (!parent->allocated)
            continue;
        take_over(graph, t, parent);
        return true;
    }
    return false;
}

static void give_birth(struct graph *graph, int id, int backend) {
    struct tensor *t = &graph->tensors[id];
    if (t->external || t->allocated || t->view_of != GRAPH_NONE)
        return;
    t->allocated = true;
    if (reuse(graph, t))
        return;
    t->buffer = backend;
    t->offset = heap_take(&graph->heap[backend], t->bytes);
}

static void bury(struct graph *graph, struct tensor *t) {
    if (t->keep)
        return;
    heap_give(&graph->heap[t->buffer], t->offset, t->bytes);
    t->allocated = false;
}

static void let_go(struct graph *graph, int id) {
    struct tensor *t = &graph->tensors[id];
    t->children--;
    if (t->children != 0 || t->views != 0)
        return;
    if (t->view_of != GRAPH_NONE) {
        struct tensor *root = &graph->tensors[t->view_of];
        root->views--;
        if (root->views == 0 && root->children == 0 && root->allocated)
            bury(graph, root);
    } else if (t->allocated) {
        bury(graph, t);
    }
}

static void count_uses(struct graph *graph) {
    for (size_t i = 0; i < graph->plan.count; i++) {
        int at = graph->plan_at.items[i];
        struct tensor *t = &graph->tensors[graph->plan.items[i]];
        if (t->view_of != GRAPH_NONE && t->op != GRAPH_LEAF)
            graph->tensors[t->view_of].views++;
        for (int j = 0; j < GRAPH_SOURCES_MAX && t->source[j] != GRAPH_NONE; j++) {
            graph->tensors[t->source[j]].children++;
            if (graph->tensors[t->source[j]].input)
                give_birth(graph, t->source[j], at);
        }
    }
}

// In a pipeline every input and every copy exists several times, from the start to the end.
static void hold_copies(struct graph *graph) {
    if (graph->copies == 1)
        return;
    for (size_t i = 0; i < graph->leafs.count; i++) {
        struct tensor *t = &graph->tensors[graph->leafs.items[i]];
        for (int c = 1; t->input && c < graph->copies; c++)
            heap_take(&graph->heap[t->backend], t->bytes);
        t->keep |= t->input;
    }
    for (size_t i = graph->first_copy; i < graph->count; i += 2) {
        struct tensor *t = &graph->tensors[i];
        for (int c = 1; c < graph->copies; c++)
            heap_take(&graph->heap[t->backend], t->bytes);
        t->keep = true;
        give_birth(graph, (int)i, t->backend);
    }
}

void graph_measure(struct graph *graph, uint64_t *bytes) {
    assign(graph);
    split(graph);
    for (int i = 0; i < graph->backends; i++)
        graph->heap[i] = (struct heap){
            .block = {{0, UINT64_MAX / 2}}, .blocks = 1, .alignment = graph->alignment[i]};
    hold_copies(graph);
    for (size_t i = 0; i < graph->leafs.count; i++)
        give_birth(graph, graph->leafs.items[i], graph->tensors[graph->leafs.items[i]].backend);
    count_uses(graph);
    for (size_t i = 0; i < graph->plan.count; i++) {
        int id = graph->plan.items[i], at = graph->plan_at.items[i];
        for (int j = 0; j < GRAPH_SOURCES_MAX && graph->tensors[id].source[j] != GRAPH_NONE; j++)
            give_birth(graph, graph->tensors[id].source[j], at);
        give_birth(graph, id, at);
        for (int j = 0; j < GRAPH_SOURCES_MAX && graph->tensors[id].source[j] != GRAPH_NONE; j++)
            let_go(graph, graph->tensors[id].source[j]);
    }
    for (int i = 0; i < graph->backends; i++)
        bytes[i] = graph->heap[i].top;
}
