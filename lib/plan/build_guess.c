// A multi-token prediction head: one layer more, fed with the last hidden state and the next token,
// in a context of its own (graph_mtp of src/models/qwen35.cpp, glm4-moe.cpp and their kin).
#include "plan/build.h"

static int joined_input(struct build *b) {
    struct graph *g = b->graph;
    int64_t e = b->model->embd, t = b->tokens;
    int tokens = graph_input(g, 4, t, 1, 1), hidden = graph_input(g, 4, e, t, 1);
    struct weight table = build_weight(b, "nextn.embed_tokens.weight");
    if (table.id == GRAPH_NONE)
        table = build_global(b, "token_embd.weight", b->cpu);
    if (table.id == GRAPH_NONE)
        table.id = graph_weight(g, b->cpu, 1);
    int embedded =
        graph_op(g, GRAPH_LOOKUP, 4, e, t, 1, 1, table.id, tokens, GRAPH_NONE, GRAPH_NONE);
    b->position = graph_input(g, 4, t * (b->arch->mrope ? 4 : 1), 1, 1);
    b->rows = graph_input(g, 4, b->cells->outputs, 1, 1);
    b->full = b->sliding = build_attention_inputs(b, false);
    hidden = build_norm(b, hidden, "nextn.hnorm.weight");
    embedded = build_norm(b, embedded, "nextn.enorm.weight");
    int both =
        graph_op(g, GRAPH_FRESH, 4, 2 * e, t, 1, 1, embedded, hidden, GRAPH_NONE, GRAPH_NONE);
    return build_multiply(b, build_weight(b, "nextn.eh_proj.weight"), both);
}

void build_guess(struct build *b) {
    const struct model_layer *l = &b->model->layer[b->first];
    b->layer = b->first;
    b->backend = b->place->layer[b->first] == PLACE_HOST ? b->cpu : b->place->layer[b->first];
    int stream = joined_input(b);
    int x = build_norm(b, stream, "attn_norm.weight");
    x = b->arch->gated_queries ? build_gated_attention(b, x, l) : build_plain_attention(b, x, l);
    bool early = b->arch->rows == ROWS_LAST_LAYER && b->arch->gated_queries;
    if (early) {
        x = build_rows(b, x);
        stream = build_rows(b, stream);
    }
    int residual = build_add(b, x, stream);
    x = build_norm(b, residual, "post_attention_norm.weight");
    x = build_add(b, build_feed_forward(b, x, residual), residual);
    x = build_norm(b, x, "nextn.shared_head_norm.weight");
    graph_keep(b->graph, x);
    if (!early)
        x = build_rows(b, x);
    build_logits(b, x, "nextn.shared_head_head.weight");
}
