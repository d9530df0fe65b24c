"""Pieces that most architectures share: metadata, embeddings, attention, feed-forward, experts."""


def common(g, layers, embd, heads, kv, ctx, ff=None, key=None, base=1e6, vocab_size=None):
    g.ints(block_count=layers, context_length=ctx, embedding_length=embd, attention__head_count=heads)
    if isinstance(kv, list):
        g.int_list(".attention.head_count_kv", kv)
    else:
        g.ints(attention__head_count_kv=kv)
    if isinstance(ff, list):
        g.int_list(".feed_forward_length", ff)
    elif ff is not None:
        g.ints(feed_forward_length=ff)
    if key:
        g.ints(attention__key_length=key, attention__value_length=key)
    g.float(".rope.freq_base", base)
    g.float(".attention.layer_norm_rms_epsilon", 1e-6)


def embeddings(g, embd, vocab, tied):
    g.tensor("token_embd", embd, vocab, role="tied" if tied else "embedding")
    g.tensor("output_norm", embd, role="norm")
    if not tied:
        g.tensor("output", embd, vocab, role="output")


def attention(g, b, embd, heads, kv, head, bias=False, qk_norm=False):
    g.tensor(b + "attn_norm", embd, role="norm")
    for name, width, role in (("q", heads, "matrix"), ("k", kv, "matrix"), ("v", kv, "value")):
        g.tensor(b + "attn_" + name, embd, width * head, role=role)
        if bias:
            g.tensor(b + f"attn_{name}.bias", width * head, role="small")
    g.tensor(b + "attn_output", heads * head, embd)
    if qk_norm:
        g.tensor(b + "attn_q_norm", head, role="norm")
        g.tensor(b + "attn_k_norm", head, role="norm")


def dense(g, b, embd, ff, suffix=""):
    g.tensor(b + "ffn_gate" + suffix, embd, ff)
    g.tensor(b + "ffn_up" + suffix, embd, ff)
    g.tensor(b + "ffn_down" + suffix, ff, embd, role="down")


def experts(g, b, embd, count, width, fused=False):
    g.tensor(b + "ffn_gate_inp", embd, count, role="small")
    if fused:
        g.tensor(b + "ffn_gate_up_exps", embd, 2 * width, count, role="expert")
    else:
        g.tensor(b + "ffn_gate_exps", embd, width, count, role="expert")
        g.tensor(b + "ffn_up_exps", embd, width, count, role="expert")
    g.tensor(b + "ffn_down_exps", width, embd, count, role="expert_down")
