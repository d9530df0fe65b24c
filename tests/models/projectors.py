"""Projectors (mmproj) of real shapes for tests: the vision encoders that most models bring. Their matrices are holes."""
import gguf_writer

# projector type, image, patch, width, feed-forward, heads, layers, width of the language model
SHAPES = {
    "gemma3-4b": ("gemma3", 896, 14, 1152, 4304, 16, 27, 2560),
    "gemma3-12b": ("gemma3", 896, 14, 1152, 4304, 16, 27, 3840),
    "gemma3-half": ("gemma3", 448, 14, 1152, 4304, 16, 27, 2560),
    "smolvlm-256m": ("idefics3", 512, 16, 768, 3072, 12, 12, 576),
    "smolvlm-2b": ("idefics3", 384, 14, 1152, 4304, 16, 27, 2048),
    "qwen2.5-vl-3b": ("qwen2.5vl_merger", 560, 14, 1280, 3420, 16, 32, 2048),
    "qwen2.5-vl-7b": ("qwen2.5vl_merger", 560, 14, 1280, 3420, 16, 32, 3584),
    "qwen2-vl-2b": ("qwen2vl_merger", 560, 14, 1280, 5120, 16, 32, 1536),
    "pixtral-12b": ("pixtral", 1024, 16, 1024, 4096, 16, 24, 5120),
    "mistral-small": ("pixtral", 1540, 14, 1024, 4096, 16, 24, 5120),
    "llava-1.5": ("mlp", 336, 14, 1024, 4096, 16, 23, 4096),
    "llava-large": ("mlp", 672, 14, 1152, 4304, 16, 26, 4096),
}


def make(name, path):
    kind, image, patch, width, ff, heads, layers, text = SHAPES[name]
    g = gguf_writer.Gguf("clip", name)
    g.text("general.type", "mmproj")
    g.flag("clip.has_vision_encoder", True)
    g.text("clip.projector_type", kind)
    vision = "clip.vision."
    for key, value in (("image_size", image), ("patch_size", patch), ("embedding_length", width),
                       ("feed_forward_length", ff), ("block_count", layers), ("projection_dim", text),
                       ("attention.head_count", heads)):
        g.int(vision + key, value)
    g.float(vision + "attention.layer_norm_epsilon", 1e-6)
    for key in ("image_mean", "image_std"):
        g.floats(vision + key, [0.5, 0.5, 0.5])
    gated = kind in ("qwen2.5vl_merger", "pixtral")
    g.flag("clip.use_silu" if gated else "clip.use_gelu", True)
    plain = kind in ("gemma3", "idefics3", "mlp")  # learned positions, biases
    qwen = kind.startswith("qwen")
    g.tensor("v.patch_embd", patch, patch, 3, width)
    if qwen:
        g.tensors.append(("v.patch_embd.weight.1", [patch, patch, 3, width], "matrix"))
    if plain:
        g.tensor("v.position_embd", width, (image // patch) ** 2 + (kind == "mlp"), role="norm")
        g.tensor("v.patch_embd.bias", width, role="norm")
    if kind == "mlp":
        g.tensor("v.class_embd", width, role="norm")
        g.tensors[-1] = ("v.class_embd", [width], "norm")
    for i in range(layers):
        at = f"v.blk.{i}."
        for part, columns, rows in (("attn_q", width, width), ("attn_k", width, width), ("attn_v", width, width),
                                    ("attn_out", width, width), ("ffn_up", width, ff), ("ffn_down", ff, width),
                                    *([("ffn_gate", width, ff)] if gated else [])):
            g.tensor(at + part, columns, rows)
            if plain or qwen:
                g.tensor(at + part + ".bias", rows, role="norm")
        for norm in ("ln1", "ln2"):
            g.tensor(at + norm, width, role="norm")
            if plain:
                g.tensor(at + norm + ".bias", width, role="norm")
    if kind == "gemma3":
        g.tensor("v.post_ln", width, role="norm")
        g.tensor("v.post_ln.bias", width, role="norm")
        g.tensor("mm.input_projection", text, width)
        g.tensor("mm.soft_emb_norm", width, role="norm")
    elif kind == "idefics3":
        g.int("clip.vision.projector.scale_factor", 4 if image == 512 else 3)
        g.tensor("v.post_ln", width, role="norm")
        g.tensor("v.post_ln.bias", width, role="norm")
        g.tensor("mm.model.fc", width * (4 if image == 512 else 3) ** 2, text)
    elif qwen:
        if gated:
            g.int("clip.vision.n_wa_pattern", 8)
        g.tensor("v.post_ln", width, role="norm")
        for n, rows in (("0", 4 * width), ("2", text)):
            g.tensor(f"mm.{n}", 4 * width, rows)
            g.tensor(f"mm.{n}.bias", rows, role="norm")
    elif kind == "pixtral":
        g.tensor("v.pre_ln", width, role="norm")
        g.tensors.append(("v.token_embd.img_break", [text], "norm"))
        g.tensor("mm.1", width, text)
        g.tensor("mm.2", text, text)
    else:
        for n, columns in (("0", width), ("2", text)):
            g.tensor(f"mm.{n}", columns, text)
            g.tensor(f"mm.{n}.bias", text, role="norm")
    g.write(path, lambda name, ne, role: "f32" if role == "norm" else "f16")
