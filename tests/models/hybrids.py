"""Architectures with recurrent layers: gated delta nets, Mamba, short convolutions."""

from gguf_writer import Gguf, add_tokenizer
from layers import attention, common, dense, embeddings, experts


def qwen35(name, layers, embd, heads, kv, head, ff, vocab, conv, inner, state, ranks, groups, ctx,
           mtp=0, interval=4, moe=None):
    """Three gated delta nets to one attention layer. `moe`: (experts, used, width, shared width)."""
    arch = "qwen35moe" if moe else "qwen35"
    g = Gguf(arch, name)
    common(g, layers + mtp, embd, heads, kv, ctx, ff, head, 1e7)
    g.ints(ssm__conv_kernel=conv, ssm__inner_size=inner, ssm__state_size=state,
           ssm__time_step_rank=ranks, ssm__group_count=groups, full_attention_interval=interval,
           rope__dimension_count=head // 4)
    if mtp:
        g.ints(nextn_predict_layers=mtp)
    if moe:
        g.ints(expert_count=moe[0], expert_used_count=moe[1], expert_feed_forward_length=moe[2],
               expert_shared_feed_forward_length=moe[3])
    third = head // 8 // 3
    g.int_list(".rope.dimension_sections", [head // 8 - 2 * third, third, third, 0])
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers + mtp):
        b = f"blk.{i}."
        if i >= layers or (i + 1) % interval == 0:
            gated_attention(g, b, embd, heads, kv, head)
        else:
            delta_net(g, b, embd, conv, inner, state, ranks, groups)
        g.tensor(b + "post_attention_norm", embd, role="norm")
        if moe:
            experts(g, b, embd, moe[0], moe[2])
            g.tensor(b + "ffn_gate_inp_shexp", embd, role="small")
            dense(g, b, embd, moe[3], "_shexp")
        else:
            dense(g, b, embd, ff)
        if i >= layers:
            g.tensor(b + "nextn.eh_proj", 2 * embd, embd)
            for norm in ("enorm", "hnorm", "shared_head_norm"):
                g.tensor(b + "nextn." + norm, embd, role="norm")
    add_tokenizer(g, vocab, pre="qwen35")
    return g


def gated_attention(g, b, embd, heads, kv, head):
    g.tensor(b + "attn_norm", embd, role="norm")
    g.tensor(b + "attn_q", embd, 2 * heads * head)
    g.tensor(b + "attn_k", embd, kv * head)
    g.tensor(b + "attn_v", embd, kv * head, role="value")
    g.tensor(b + "attn_output", heads * head, embd)
    g.tensor(b + "attn_q_norm", head, role="norm")
    g.tensor(b + "attn_k_norm", head, role="norm")


def delta_net(g, b, embd, conv, inner, state, ranks, groups, joined=False):
    channels = inner + 2 * groups * state
    g.tensor(b + "attn_norm", embd, role="norm")
    g.tensor(b + "attn_qkv", embd, channels)
    g.tensor(b + "attn_gate", embd, inner)
    g.tensor(b + "ssm_conv1d", conv, channels, role="small")
    g.tensor(b + "ssm_dt.bias", ranks, role="small")
    g.tensor(b + "ssm_a", ranks, role="small")
    if joined:
        g.tensor(b + "ssm_ba", embd, 2 * ranks)
    else:
        g.tensor(b + "ssm_beta", embd, ranks)
        g.tensor(b + "ssm_alpha", embd, ranks)
    g.tensor(b + "ssm_norm", inner // ranks, role="norm")
    g.tensor(b + "ssm_out", inner, embd)


def qwen3next(name, layers, embd, heads, kv, head, count, used, width, shared, vocab, ctx, conv=4, inner=4096,
              state=128, ranks=32, groups=16):
    """As qwen35moe, but beta and alpha from one matrix."""
    g = Gguf("qwen3next", name)
    common(g, layers, embd, heads, kv, ctx, 5120, head, 1e7)
    g.ints(ssm__conv_kernel=conv, ssm__inner_size=inner, ssm__state_size=state, ssm__time_step_rank=ranks,
           ssm__group_count=groups, rope__dimension_count=head // 4, expert_count=count,
           expert_used_count=used, expert_feed_forward_length=width,
           expert_shared_feed_forward_length=shared)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        if (i + 1) % 4 == 0:
            gated_attention(g, b, embd, heads, kv, head)
        else:
            delta_net(g, b, embd, conv, inner, state, ranks, groups, joined=True)
        g.tensor(b + "post_attention_norm", embd, role="norm")
        experts(g, b, embd, count, width)
        g.tensor(b + "ffn_gate_inp_shexp", embd, role="small")
        dense(g, b, embd, shared, "_shexp")
    add_tokenizer(g, vocab)
    return g


def mamba2_layer(g, b, embd, inner, state, heads, groups, conv=4):
    channels = inner + 2 * groups * state
    g.tensor(b + "attn_norm", embd, role="norm")
    g.tensor(b + "ssm_in", embd, 2 * inner + 2 * groups * state + heads)
    g.tensor(b + "ssm_conv1d", conv, channels, role="small")
    g.tensor(b + "ssm_conv1d.bias", channels, role="small")
    g.tensor(b + "ssm_dt.bias", heads, role="small")
    g.tensor(b + "ssm_a", 1, heads, role="small")
    g.tensor(b + "ssm_d", 1, heads, role="small")
    g.tensor(b + "ssm_norm", inner // groups, groups, role="norm")
    g.tensor(b + "ssm_out", inner, embd)


def ssm_ints(g, inner, state, heads, groups, conv=4):
    g.ints(ssm__conv_kernel=conv, ssm__inner_size=inner, ssm__state_size=state, ssm__time_step_rank=heads,
           ssm__group_count=groups)


def mamba2(name, layers, embd, vocab, ctx, inner, state, heads, groups):
    g = Gguf("mamba2", name)
    common(g, layers, embd, 0, 0, ctx, 0)
    ssm_ints(g, inner, state, heads, groups)
    embeddings(g, embd, vocab, tied=True)
    for i in range(layers):
        mamba2_layer(g, f"blk.{i}.", embd, inner, state, heads, groups)
    add_tokenizer(g, vocab)
    return g


def granite_hybrid(name, layers, embd, heads, kv, count, used, width, shared, vocab, ctx, inner, state, ranks):
    """Nine Mamba layers to one that attends; a mixture in each; scales everywhere."""
    attends = [i % 10 == 5 for i in range(layers)]
    g = Gguf("granitehybrid", name)
    common(g, layers, embd, heads, [kv if a else 0 for a in attends], ctx, width)
    ssm_ints(g, inner, state, ranks, 1)
    g.ints(expert_count=count, expert_used_count=used, expert_shared_feed_forward_length=shared,
           rope__dimension_count=embd // heads)
    for key, value in (("embedding", 12.0), ("residual", 0.22), ("logit", 6.0), ("attention", 0.0078125)):
        g.float(f".{key}_scale" if key != "attention" else ".attention.scale", value)
    g.flag(".rope.scaling.finetuned", False)
    embeddings(g, embd, vocab, tied=True)
    for i in range(layers):
        b = f"blk.{i}."
        if attends[i]:
            attention(g, b, embd, heads, kv, embd // heads)
        else:
            mamba2_layer(g, b, embd, inner, state, ranks, 1)
        g.tensor(b + "ffn_norm", embd, role="norm")
        experts(g, b, embd, count, width)
        dense(g, b, embd, shared, "_shexp")
    add_tokenizer(g, vocab)
    return g


def nemotron_h(name, layers, embd, heads, kv, head, ff, vocab, ctx, inner, state, ranks, groups):
    """One operation a layer: Mamba, feed-forward, or now and then attention."""
    kinds = ["attention" if i in (14, 21, 30, 39) else "ffn" if i % 2 else "mamba" for i in range(layers)]
    g = Gguf("nemotron_h", name)
    common(g, layers, embd, heads, [kv if k == "attention" else 0 for k in kinds], ctx,
           [ff if k == "ffn" else 0 for k in kinds], head)
    g.float(".attention.layer_norm_epsilon", 1e-5)
    ssm_ints(g, inner, state, ranks, groups)
    g.ints(rope__dimension_count=head)
    embeddings(g, embd, vocab, tied=False)
    for i, kind in enumerate(kinds):
        b = f"blk.{i}."
        if kind == "attention":
            attention(g, b, embd, heads, kv, head)
        elif kind == "mamba":
            mamba2_layer(g, b, embd, inner, state, ranks, groups)
        else:
            g.tensor(b + "attn_norm", embd, role="norm")
            g.tensor(b + "ffn_up", embd, ff)
            g.tensor(b + "ffn_down", ff, embd, role="down")
    add_tokenizer(g, vocab)
    return g


def falcon_h1(name, layers, embd, heads, kv, head, ff, vocab, ctx, inner, state, ranks, groups):
    """Attention and Mamba beside each other in every layer."""
    g = Gguf("falcon-h1", name)
    common(g, layers, embd, heads, kv, ctx, ff, head)
    ssm_ints(g, inner, state, ranks, groups)
    g.ints(rope__dimension_count=head)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head)
        mamba2_layer(g, b, embd, inner, state, ranks, groups)
        g.tensors.remove((b + "attn_norm.weight", [embd], "norm"))
        g.tensors.append((b + "ffn_norm", [embd], "norm"))  # so named in these files, without .weight
        dense(g, b, embd, ff)
    add_tokenizer(g, vocab)
    return g


def lfm2(name, layers, embd, heads, kv, ff, vocab, ctx, attends, moe=None):
    """Short convolutions, and attention in the layers named. `moe`: (experts, used, width, dense first)."""
    g = Gguf("lfm2moe" if moe else "lfm2", name)
    common(g, layers, embd, heads, [kv if i in attends else 0 for i in range(layers)], ctx, ff)
    g.ints(shortconv__l_cache=3, rope__dimension_count=embd // heads)
    if moe:
        g.ints(expert_count=moe[0], expert_used_count=moe[1], expert_feed_forward_length=moe[2],
               leading_dense_block_count=moe[3], expert_gating_func=2)
    g.tensor("token_embd", embd, vocab, role="tied")
    g.tensor("token_embd_norm", embd, role="norm")
    for i in range(layers):
        b = f"blk.{i}."
        if i in attends:
            attention(g, b, embd, heads, kv, embd // heads, qk_norm=True)
        else:
            g.tensor(b + "attn_norm", embd, role="norm")
            g.tensor(b + "shortconv.conv", 3, embd, role="small")
            g.tensor(b + "shortconv.in_proj", embd, 3 * embd)
            g.tensor(b + "shortconv.out_proj", embd, embd)
        g.tensor(b + "ffn_norm", embd, role="norm")
        if moe and i >= moe[3]:
            experts(g, b, embd, moe[0], moe[2])
            g.tensor(b + "exp_probs_b.bias", moe[0], role="small")
        else:
            dense(g, b, embd, ff)
    add_tokenizer(g, vocab)
    return g
