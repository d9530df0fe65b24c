"""The models of the tests: one function an architecture, a table of real ones.

Names and shapes as in llama.cpp's src/models/*.cpp (build 11434); sizes as the models' own
configuration files give them.
"""

from gguf_writer import Gguf, add_tokenizer
from hybrids import falcon_h1, granite_hybrid, lfm2, mamba2, nemotron_h, qwen35, qwen3next
from layers import attention, common, dense, embeddings, experts


def transformer(name, arch, layers, embd, heads, kv, ff, vocab, ctx, head=None, tied=False,
                bias=False, qk_norm=False, base=1e6, middle="ffn_norm"):
    """llama, qwen2, qwen3: norm, attention, norm, gated feed-forward."""
    g = Gguf(arch, name)
    common(g, layers, embd, heads, kv, ctx, ff, head, base)
    width = head or embd // heads
    if arch == "llama":
        g.ints(rope__dimension_count=width)
    embeddings(g, embd, vocab, tied)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, width, bias, qk_norm)
        g.tensor(b + middle, embd, role="norm")
        dense(g, b, embd, ff)
    add_tokenizer(g, vocab)
    return g


def mixture(name, arch, layers, embd, heads, kv, head, count, used, width, vocab, ctx, ff=6144, tied=False,
            bias=False, qk_norm=True, norm_width=None, shared=0, shared_gate=False, selection=False,
            dense_first=0, **more):
    """qwen3moe and its many kin: routed experts, perhaps one shared; `more` is further metadata."""
    g = Gguf(arch, name)
    common(g, layers, embd, heads, kv, ctx, ff, head, 1e7)
    g.ints(expert_count=count, expert_used_count=used, expert_feed_forward_length=width,
           rope__dimension_count=head, **more)
    if arch == "granitemoe":
        for key, value in (("embedding", 12.0), ("residual", 0.22), ("logit", 6.0), ("attention", 0.0156)):
            g.float(f".{key}_scale" if key != "attention" else ".attention.scale", value)
    if shared:
        g.ints(expert_shared_feed_forward_length=shared)
    embeddings(g, embd, vocab, tied)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head, bias, qk_norm and not norm_width)
        if norm_width:  # over all heads at once
            g.tensor(b + "attn_q_norm", heads * head, role="norm")
            g.tensor(b + "attn_k_norm", kv * head, role="norm")
        g.tensor(b + "ffn_norm", embd, role="norm")
        if i < dense_first:
            dense(g, b, embd, ff)
            continue
        experts(g, b, embd, count, width)
        if selection:
            g.tensor(b + "exp_probs_b.bias", count, role="small")
        if shared_gate:
            g.tensor(b + "ffn_gate_inp_shexp", embd, role="small")
        if shared:
            dense(g, b, embd, shared, "_shexp")
    add_tokenizer(g, vocab)
    return g


def parallel(name, arch, layers, embd, heads, kv, ff, vocab, ctx, window=0):
    """command-r, cohere2: attention and feed-forward from the same norm."""
    g = Gguf(arch, name)
    common(g, layers, embd, heads, kv, ctx, ff)
    g.float(".attention.layer_norm_epsilon", 1e-5)
    g.float(".logit_scale", 0.0625)
    g.ints(rope__dimension_count=embd // heads)
    if window:
        g.ints(attention__sliding_window=window)
    embeddings(g, embd, vocab, tied=True)
    for i in range(layers):
        attention(g, f"blk.{i}.", embd, heads, kv, embd // heads)
        dense(g, f"blk.{i}.", embd, ff)
    add_tokenizer(g, vocab)
    return g


def glm4(name, layers, embd, heads, kv, head, ff, vocab, ctx):
    """Norms before and after each half; gate and up in one matrix."""
    g = Gguf("glm4", name)
    common(g, layers, embd, heads, kv, ctx, ff, head)
    g.ints(rope__dimension_count=head // 2)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head, bias=True)
        for norm in ("post_attention_norm", "ffn_norm", "post_ffw_norm"):
            g.tensor(b + norm, embd, role="norm")
        g.tensor(b + "ffn_up", embd, 2 * ff)
        g.tensor(b + "ffn_down", ff, embd, role="down")
    add_tokenizer(g, vocab)
    return g


def muse_glimmer(name, layers, embd, heads, kv, head, ff, vocab, ctx, window):
    """Three sliding layers to one full; a gate on what attention gives; norms before and after each half."""
    g = Gguf("muse-glimmer", name)
    common(g, layers, embd, heads, kv, ctx, ff, head)
    g.ints(attention__sliding_window=window, rope__dimension_count=head)
    g.float(".logit_scale", 1.0)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head, qk_norm=True)
        g.tensor(b + "attn_gate", embd, heads * head)
        for norm in ("post_attention_norm", "ffn_norm", "post_ffw_norm"):
            g.tensor(b + norm, embd, role="norm")
        dense(g, b, embd, ff)
    add_tokenizer(g, vocab)
    return g


def llama4(name, layers, embd, heads, kv, head, ff, count, width, vocab, ctx):
    g = Gguf("llama4", name)
    common(g, layers, embd, heads, kv, ctx, ff, head, 5e5)
    g.ints(expert_count=count, expert_used_count=1, expert_feed_forward_length=width,
           interleave_moe_layer_step=1, rope__dimension_count=head)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head)
        g.tensor(b + "ffn_norm", embd, role="norm")
        experts(g, b, embd, count, width)
        dense(g, b, embd, width, "_shexp")
    add_tokenizer(g, vocab)
    return g


def phi3(name, layers, embd, heads, kv, ff, vocab, ctx):
    g = Gguf("phi3", name)
    common(g, layers, embd, heads, kv, ctx, ff)
    head = embd // heads
    g.ints(rope__dimension_count=head)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        g.tensor(b + "attn_norm", embd, role="norm")
        g.tensor(b + "attn_qkv", embd, (heads + 2 * kv) * head)
        g.tensor(b + "attn_output", embd, embd)
        g.tensor(b + "ffn_norm", embd, role="norm")
        g.tensor(b + "ffn_up", embd, 2 * ff)
        g.tensor(b + "ffn_down", ff, embd, role="down")
    add_tokenizer(g, vocab)
    return g


def gemma(name, arch, layers, embd, heads, kv, head, ff, vocab, ctx, window, qk_norm):
    """gemma2, gemma3: norms before and after each half, sliding layers."""
    g = Gguf(arch, name)
    common(g, layers, embd, heads, kv, ctx, ff, head, 1e4)
    g.ints(attention__sliding_window=window)
    if arch == "gemma2":
        g.float(".attn_logit_softcapping", 50.0)
        g.float(".final_logit_softcapping", 30.0)
    embeddings(g, embd, vocab, tied=True)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head, qk_norm=qk_norm)
        for norm in ("post_attention_norm", "ffn_norm", "post_ffw_norm"):
            g.tensor(b + norm, embd, role="norm")
        dense(g, b, embd, ff)
    add_tokenizer(g, vocab)
    return g


def gemma4(name, layers, embd, heads, kv_sliding, kv_full, head_sliding, head_full, ff, vocab, ctx,
           window, period, count=0, used=0, width=0, shared_kv=0, per_layer=0):
    sliding = [(i + 1) % period != 0 for i in range(layers)]
    g = Gguf("gemma4", name)
    kv = [kv_sliding if s else kv_full for s in sliding]
    common(g, layers, embd, heads, kv, ctx, ff, head_full)
    g.ints(attention__key_length_swa=head_sliding, attention__value_length_swa=head_sliding,
           attention__sliding_window=window, attention__shared_kv_layers=shared_kv,
           embedding_length_per_layer_input=per_layer, rope__dimension_count=head_full,
           rope__dimension_count_swa=head_sliding)
    if count:
        g.ints(expert_count=count, expert_used_count=used, expert_feed_forward_length=width)
    g.flag_list(".attention.sliding_window_pattern", sliding)
    g.float(".rope.freq_base_swa", 1e4)
    g.float(".final_logit_softcapping", 30.0)
    embeddings(g, embd, vocab, tied=True)
    g.tensor("rope_freqs", head_full // 2, role="norm")
    if per_layer:
        g.tensor("per_layer_token_embd", per_layer * layers, vocab, role="embedding")
        g.tensor("per_layer_model_proj", embd, per_layer * layers, role="half")
        g.tensor("per_layer_proj_norm", per_layer, role="norm")
    for i in range(layers):
        b, head = f"blk.{i}.", head_sliding if sliding[i] else head_full
        if per_layer:
            g.tensor(b + "inp_gate", embd, per_layer, role="small")
            g.tensor(b + "proj", per_layer, embd, role="small")
            g.tensor(b + "post_norm", embd, role="norm")
        for norm in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            g.tensor(b + norm, embd, role="norm")
        g.tensor(b + "attn_q", embd, heads * head)
        g.tensor(b + "attn_k", embd, kv[i] * head)
        if sliding[i] or per_layer:  # full layers of the large ones use their keys as values
            g.tensor(b + "attn_v", embd, kv[i] * head, role="value")
        g.tensor(b + "attn_output", heads * head, embd)
        g.tensor(b + "attn_q_norm", head, role="norm")
        g.tensor(b + "attn_k_norm", head, role="norm")
        g.tensor(b + "layer_output_scale", 1, role="norm")
        dense(g, b, embd, ff)
        if count:
            experts(g, b, embd, count, width, fused=True)
            g.tensor(b + "ffn_gate_inp.scale", embd, role="norm")
            g.tensor(b + "ffn_down_exps.scale", count, role="norm")
            for norm in ("pre_ffw_norm_2", "post_ffw_norm_1", "post_ffw_norm_2"):
                g.tensor(b + norm, embd, role="norm")
    add_tokenizer(g, vocab)
    return g


def gemma3n(name, layers, embd, heads, kv, head, ff, vocab, ctx, window, per_layer, altup=4, laurel=64):
    """Gemma 3n: four copies of the stream, predicted and corrected in turn; inputs to every layer."""
    g = Gguf("gemma3n", name)
    common(g, layers, embd, heads, kv, ctx, ff, head)
    g.ints(attention__sliding_window=window, embedding_length_per_layer_input=per_layer,
           altup__num_inputs=altup, altup__active_idx=0, attention__shared_kv_layers=layers - 20)
    g.flag_list(".attention.sliding_window_pattern", [(i + 1) % 5 != 0 for i in range(layers)])
    g.float(".final_logit_softcapping", 30.0)
    embeddings(g, embd, vocab, tied=True)
    g.tensor("altup_proj", embd, embd, altup - 1, role="half")
    g.tensor("altup_unembd_proj", embd, embd, altup - 1, role="half")
    g.tensor("per_layer_token_embd", per_layer * layers, vocab, role="embedding")
    g.tensor("per_layer_model_proj", embd, per_layer * layers, role="half")
    g.tensor("per_layer_proj_norm", per_layer, role="norm")
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head, qk_norm=True)
        for norm in ("post_attention_norm", "ffn_norm", "post_ffw_norm", "post_norm", "altup_router_norm",
                     "altup_correct_scale", "laurel_post_norm"):
            g.tensor(b + norm, embd, role="norm")
        dense(g, b, embd, ff)
        g.tensor(b + "inp_gate", embd, per_layer)
        g.tensor(b + "proj", per_layer, embd)
        g.tensor(b + "altup_correct_coef", altup, altup, role="small")
        g.tensor(b + "altup_predict_coef", altup, altup * altup, role="small")
        g.tensor(b + "altup_router", embd, altup, role="small")
        g.tensor(b + "laurel_l", embd, laurel)
        g.tensor(b + "laurel_r", laurel, embd)
    add_tokenizer(g, vocab)
    return g


def gpt_oss(name, layers, embd, heads, kv, head, count, used, width, vocab, ctx):
    g = Gguf("gpt-oss", name)
    common(g, layers, embd, heads, kv, ctx, width, head, 150000.0)
    g.ints(expert_count=count, expert_used_count=used, expert_feed_forward_length=width,
           attention__sliding_window=128, rope__dimension_count=head)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head, bias=True)
        g.tensor(b + "attn_output.bias", embd, role="small")
        g.tensor(b + "attn_sinks", heads, role="small")
        g.tensor(b + "post_attention_norm", embd, role="norm")
        experts(g, b, embd, count, width)
        g.tensor(b + "ffn_gate_inp.bias", count, role="small")
        g.tensor(b + "ffn_gate_exps.bias", width, count, role="small")
        g.tensor(b + "ffn_up_exps.bias", width, count, role="small")
        g.tensor(b + "ffn_down_exps.bias", embd, count, role="small")
    add_tokenizer(g, vocab)
    return g


def deepseek2(name, layers, embd, heads, rank_q, rank_kv, rope, nope, value, ff, count, used, width,
              shared, dense_first, vocab, ctx, sigmoid=False):
    """Multi-head latent attention: one compressed key for all heads."""
    g = Gguf("deepseek2", name)
    common(g, layers, embd, heads, 1, ctx, ff, base=1e4)
    g.ints(attention__key_length=rank_kv + rope, attention__value_length=rank_kv,
           attention__key_length_mla=nope + rope, attention__value_length_mla=value,
           attention__kv_lora_rank=rank_kv, rope__dimension_count=rope, expert_count=count,
           expert_used_count=used, expert_feed_forward_length=width, expert_shared_count=shared,
           leading_dense_block_count=dense_first, expert_gating_func=2 if sigmoid else 1)
    if rank_q:
        g.ints(attention__q_lora_rank=rank_q)
    else:
        g.ints(attention__q_lora_rank=0)
    g.float(".expert_weights_scale", 2.5 if sigmoid else 1.0)
    g.flag(".expert_weights_norm", sigmoid)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        g.tensor(b + "attn_norm", embd, role="norm")
        if rank_q:
            g.tensor(b + "attn_q_a_norm", rank_q, role="norm")
            g.tensor(b + "attn_q_a", embd, rank_q)
            g.tensor(b + "attn_q_b", rank_q, heads * (nope + rope))
        else:
            g.tensor(b + "attn_q", embd, heads * (nope + rope))
        g.tensor(b + "attn_kv_a_norm", rank_kv, role="norm")
        g.tensor(b + "attn_kv_a_mqa", embd, rank_kv + rope)
        g.tensor(b + "attn_k_b", nope, rank_kv, heads, role="q8")
        g.tensor(b + "attn_v_b", rank_kv, value, heads, role="q8")
        g.tensor(b + "attn_output", heads * value, embd)
        g.tensor(b + "ffn_norm", embd, role="norm")
        if i < dense_first:
            dense(g, b, embd, ff)
        else:
            experts(g, b, embd, count, width)
            if sigmoid:
                g.tensor(b + "exp_probs_b.bias", count, role="small")
            dense(g, b, embd, width * shared, "_shexp")
    add_tokenizer(g, vocab)
    return g


def glm4moe(name, layers, embd, heads, kv, head, ff, count, used, width, dense_first, vocab, ctx):
    g = Gguf("glm4moe", name)
    common(g, layers, embd, heads, kv, ctx, ff, head)
    g.ints(expert_count=count, expert_used_count=used, expert_feed_forward_length=width,
           expert_shared_count=1, leading_dense_block_count=dense_first, expert_gating_func=2,
           rope__dimension_count=head // 2)
    g.flag(".expert_weights_norm", True)
    g.float(".expert_weights_scale", 1.0)
    embeddings(g, embd, vocab, tied=False)
    for i in range(layers):
        b = f"blk.{i}."
        attention(g, b, embd, heads, kv, head, bias=True)
        g.tensor(b + "post_attention_norm", embd, role="norm")
        if i < dense_first:
            dense(g, b, embd, ff)
        else:
            experts(g, b, embd, count, width)
            g.tensor(b + "exp_probs_b.bias", count, role="small")
            dense(g, b, embd, width, "_shexp")
    add_tokenizer(g, vocab)
    return g


MODELS = {
    "qwen2.5-0.5b": lambda: transformer("Qwen2.5 0.5B", "qwen2", 24, 896, 14, 2, 4864, 151936, 32768,
                                        tied=True, bias=True),
    "qwen2.5-7b": lambda: transformer("Qwen2.5 7B", "qwen2", 28, 3584, 28, 4, 18944, 152064, 131072,
                                      bias=True),
    "llama3.1-8b": lambda: transformer("Llama 3.1 8B", "llama", 32, 4096, 32, 8, 14336, 128256,
                                       131072, head=128, base=5e5),
    "llama3.2-1b": lambda: transformer("Llama 3.2 1B", "llama", 16, 2048, 32, 8, 8192, 128256, 131072,
                                       head=64, tied=True, base=5e5),
    "mistral-small-24b": lambda: transformer("Mistral Small 24B", "llama", 40, 5120, 32, 8, 32768,
                                             131072, 131072, head=128, base=1e9),
    "qwen3-0.6b": lambda: transformer("Qwen3 0.6B", "qwen3", 28, 1024, 16, 8, 3072, 151936, 40960,
                                      head=128, tied=True, qk_norm=True),
    "qwen3-4b": lambda: transformer("Qwen3 4B", "qwen3", 36, 2560, 32, 8, 9728, 151936, 40960, head=128,
                                    tied=True, qk_norm=True),
    "llama3.2-3b": lambda: transformer("Llama 3.2 3B", "llama", 28, 3072, 24, 8, 8192, 128256, 131072,
                                       head=128, tied=True, base=5e5),
    "qwen3-8b": lambda: transformer("Qwen3 8B", "qwen3", 36, 4096, 32, 8, 12288, 151936, 40960,
                                    head=128, qk_norm=True),
    "qwen3-32b": lambda: transformer("Qwen3 32B", "qwen3", 64, 5120, 64, 8, 25600, 151936, 40960,
                                     head=128, qk_norm=True),
    "qwen3-coder-30b": lambda: mixture("Qwen3 Coder 30B A3B", "qwen3moe", 48, 2048, 32, 4, 128, 128, 8,
                                       768, 151936, 262144),
    "qwen3.6-27b": lambda: qwen35("Qwen3.6 27B", 64, 5120, 24, 4, 256, 17408, 248320, 4, 6144, 128, 48,
                                  16, 262144),
    "qwen3.6-27b-mtp": lambda: qwen35("Qwen3.6 27B MTP", 64, 5120, 24, 4, 256, 17408, 248320, 4, 6144,
                                      128, 48, 16, 262144, mtp=1),
    "qwen3.6-35b-a3b": lambda: qwen35("Qwen3.6 35B A3B", 40, 2048, 16, 2, 256, 0, 248320, 4, 4096, 128,
                                      32, 16, 262144, moe=(256, 8, 512, 512)),
    "gemma2-9b": lambda: gemma("Gemma 2 9B", "gemma2", 42, 3584, 16, 8, 256, 14336, 256000, 8192, 4096,
                               qk_norm=False),
    "gemma3-4b": lambda: gemma("Gemma 3 4B", "gemma3", 34, 2560, 8, 4, 256, 10240, 262208, 131072, 1024,
                               qk_norm=True),
    "gemma3-12b": lambda: gemma("Gemma 3 12B", "gemma3", 48, 3840, 16, 8, 256, 15360, 262208, 131072,
                                1024, qk_norm=True),
    "gemma4-26b-a4b": lambda: gemma4("Gemma 4 26B A4B", 30, 2816, 16, 8, 2, 256, 512, 2112, 262144,
                                     262144, 1024, 6, 128, 8, 704),
    "gemma4-31b": lambda: gemma4("Gemma 4 31B", 60, 5376, 32, 16, 4, 256, 512, 21504, 262144, 262144,
                                 1024, 6),
    "gemma4-e2b": lambda: gemma4("Gemma 4 E2B", 35, 1536, 8, 1, 1, 256, 512, 6144, 262144, 131072, 512, 5,
                                 shared_kv=20, per_layer=256),
    "gemma4-e4b": lambda: gemma4("Gemma 4 E4B", 42, 2560, 8, 2, 2, 256, 512, 10240, 262144, 131072, 512,
                                 6, shared_kv=18, per_layer=256),
    "gemma3n-e2b": lambda: gemma3n("Gemma 3n E2B", 30, 2048, 8, 2, 256, 8192, 262144, 32768, 512, 256),
    "gemma3n-e4b": lambda: gemma3n("Gemma 3n E4B", 35, 2048, 8, 2, 256, 16384, 262144, 32768, 512, 256),
    "gpt-oss-20b": lambda: gpt_oss("gpt-oss 20b", 24, 2880, 64, 8, 64, 32, 4, 2880, 201088, 131072),
    "gpt-oss-120b": lambda: gpt_oss("gpt-oss 120b", 36, 2880, 64, 8, 64, 128, 4, 2880, 201088, 131072),
    "deepseek-v2-lite": lambda: deepseek2("DeepSeek V2 Lite", 27, 2048, 16, 0, 512, 64, 128, 128, 10944,
                                          64, 6, 1408, 2, 1, 102400, 163840),
    "deepseek-v3-small": lambda: deepseek2("DeepSeek V3 shape, 12 layers", 12, 7168, 128, 1536, 512, 64,
                                           128, 128, 18432, 256, 8, 2048, 1, 3, 129280, 163840,
                                           sigmoid=True),
    "mixtral-8x7b": lambda: mixture("Mixtral 8x7B", "llama", 32, 4096, 32, 8, 128, 8, 2, 14336, 32000, 32768,
                                    14336, qk_norm=False),
    "qwen1.5-moe": lambda: mixture("Qwen1.5 MoE A2.7B", "qwen2moe", 24, 2048, 16, 16, 128, 60, 4, 1408, 151936,
                                   8192, 5632, bias=True, qk_norm=False, shared=5632, shared_gate=True),
    "olmoe-7b": lambda: mixture("OLMoE 1B 7B", "olmoe", 16, 2048, 16, 16, 128, 64, 8, 1024, 50304, 4096, 1024,
                                norm_width=2048),
    "ernie4.5-21b": lambda: mixture("ERNIE 4.5 21B A3B", "ernie4_5-moe", 28, 2560, 20, 4, 128, 64, 6, 1536,
                                    103424, 131072, 12288, qk_norm=False, shared=3072, selection=True,
                                    dense_first=1, leading_dense_block_count=1, expert_shared_count=2,
                                    interleave_moe_layer_step=1),
    "hunyuan-a13b": lambda: mixture("Hunyuan A13B", "hunyuan-moe", 32, 4096, 32, 8, 128, 64, 8, 3072, 128167,
                                    262144, 3072, tied=True, shared=3072),
    "minimax-m2-small": lambda: mixture("MiniMax M2 shape, 16 layers", "minimax-m2", 16, 3072, 48, 8, 128, 256,
                                        8, 1536, 200064, 196608, 1536, norm_width=1, selection=True,
                                        expert_gating_func=2),
    "granite3-moe": lambda: mixture("Granite 3 3B A800M", "granitemoe", 32, 1536, 24, 8, 64, 40, 8, 512, 49155,
                                    4096, 512, tied=True, qk_norm=False),
    "llama4-scout-small": lambda: llama4("Llama 4 Scout shape, 12 layers", 12, 5120, 40, 8, 128, 16384, 16, 8192,
                                         202048, 1048576),
    "seed-oss-36b": lambda: transformer("Seed OSS 36B", "seed_oss", 64, 5120, 80, 8, 27648, 155136, 524288,
                                        head=128, bias=True, middle="post_attention_norm"),
    "smollm3-3b": lambda: transformer("SmolLM3 3B", "smollm3", 36, 2048, 16, 4, 11008, 128256, 65536, head=128,
                                      tied=True),
    "command-r-35b": lambda: parallel("Command R 35B", "command-r", 40, 8192, 64, 64, 22528, 256000, 131072),
    "command-r7b": lambda: parallel("Command R7B", "cohere2", 32, 4096, 32, 8, 14336, 256000, 8192, window=4096),
    "glm4-9b": lambda: glm4("GLM 4 9B 0414", 40, 4096, 32, 2, 128, 13696, 151552, 32768),
    "qwen3-next-80b": lambda: qwen3next("Qwen3 Next 80B A3B", 48, 2048, 16, 2, 256, 512, 10, 512, 512, 151936,
                                        262144),
    "granite4-h-tiny": lambda: granite_hybrid("Granite 4 H Tiny", 40, 1536, 12, 4, 64, 6, 512, 1024, 100352,
                                              131072, 3072, 128, 48),
    "nemotron-nano-9b": lambda: nemotron_h("Nemotron Nano 9B v2", 56, 4480, 40, 8, 128, 15680, 131072, 131072,
                                           10240, 128, 128, 8),
    "falcon-h1-7b": lambda: falcon_h1("Falcon H1 7B", 44, 3072, 12, 2, 128, 12288, 130048, 262144, 3072, 256, 24,
                                      1),
    "mamba2-2.7b": lambda: mamba2("Mamba2 2.7B", 64, 2560, 50288, 1048576, 5120, 128, 80, 1),
    "lfm2-1.2b": lambda: lfm2("LFM2 1.2B", 16, 2048, 32, 8, 8192, 65536, 128000, (2, 5, 8, 10, 12, 14)),
    "lfm2-8b-a1b": lambda: lfm2("LFM2 8B A1B", 24, 2048, 32, 8, 7168, 65536, 128000, (2, 6, 10, 14, 18, 21),
                                moe=(32, 4, 1792, 2)),
    "glm4.5-air": lambda: glm4moe("GLM 4.5 Air", 46, 4096, 96, 8, 128, 10944, 128, 8, 1408, 1, 151552,
                                  131072),
    "muse-glimmer-30b": lambda: muse_glimmer("Muse Glimmer 30B shape", 52, 5120, 40, 8, 128, 20480, 201088, 131072,
                                             2048),
    "phi3-mini": lambda: phi3("Phi 3 mini", 32, 3072, 32, 32, 8192, 32064, 131072),
    "tiny-llama": lambda: transformer("tiny", "llama", 4, 256, 8, 2, 512, 512, 4096, head=32),
    "tiny-moe": lambda: mixture("tiny moe", "qwen3moe", 4, 256, 8, 2, 32, 8, 2, 256, 512, 4096, 512),
}


def more_bits(i, n):
    """llama.cpp's choice of the layers whose value and down matrices get a better type."""
    return i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2


def mix(name, layers):
    """A quantisation mix as a function of (tensor, shape, role)."""
    def layer(tensor):
        return int(tensor.split(".")[1]) if tensor.startswith("blk.") else 0

    def q4_k_m(tensor, ne, role):
        kind = "q4_k"
        if role in ("output", "tied"):
            kind = "q6_k"
        elif role in ("value", "down", "expert_down") and more_bits(layer(tensor), layers):
            kind = "q6_k"
        elif role == "q8":
            kind = "q8_0"
        if ne[0] % 256:
            kind = {"q4_k": "q5_0", "q6_k": "q8_0"}.get(kind, kind)
        return kind

    def kind_of(tensor, ne, role):
        if role in ("norm", "small") or len(ne) == 1:
            return "f32"
        if role == "half":
            return "f16"
        if name == "q4_k_m":
            kind = q4_k_m(tensor, ne, role)
        elif name == "mxfp4":
            kind = "mxfp4" if role.startswith("expert") else "q8_0"
        elif name == "tq3_4s":  # embeddings stay at four bits and more
            kind = "q6_k" if role in ("output", "tied") else "q4_k" if role == "embedding" else "tq3_4s"
        else:
            kind = name
        return "f16" if ne[0] % 32 else kind

    return kind_of
