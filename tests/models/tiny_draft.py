"""A model of next to no size with the tokenizer of another one: what llama-server takes as its draft.

Its weights are holes, so that it guesses one and the same token: as bad a draft as there can be.
"""

import struct

import architectures
import gguf_writer
import hybrids

SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def _skip(data, at, kind):
    if kind == gguf_writer.STRING:
        return at + 8 + struct.unpack_from("<Q", data, at)[0]
    if kind == gguf_writer.ARRAY:
        element, count = struct.unpack_from("<IQ", data, at)
        at += 12
        if element != gguf_writer.STRING:
            return at + count * SIZES[element]
        for _ in range(count):
            at = _skip(data, at, element)
        return at
    return at + SIZES[kind]


def tokenizer_of(path, limit=64 << 20):
    """[(key, kind, payload)] of all tokenizer.* metadata, and the number of tokens."""
    with open(path, "rb") as file:
        data = file.read(limit)
    magic, _, _, count = struct.unpack_from("<4sIQQ", data)
    assert magic == b"GGUF", path
    at, found, tokens = 24, [], 0
    for _ in range(count):
        length = struct.unpack_from("<Q", data, at)[0]
        key = data[at + 8:at + 8 + length].decode()
        at += 8 + length
        kind = struct.unpack_from("<I", data, at)[0]
        end = _skip(data, at + 4, kind)
        if key.startswith("tokenizer."):
            found.append((key, kind, data[at + 4:end]))
        if key == "tokenizer.ggml.tokens":
            tokens = struct.unpack_from("<Q", data, at + 8)[0]
        at = end
    return found, tokens


def texts(payload):
    """The texts of a list of strings."""
    count, at, found = struct.unpack_from("<Q", payload, 4)[0], 12, []
    for _ in range(count):
        length = struct.unpack_from("<Q", payload, at)[0]
        found.append(payload[at + 8:at + 8 + length])
        at += 8 + length
    return found


def _pack(words):
    return struct.pack("<IQ", gguf_writer.STRING, len(words)) + b"".join(
        struct.pack("<Q", len(w)) + w for w in words)


def changed(values, words=None, **flags):
    """The metadata with `words` applied to the list of tokens, and other values for some keys."""
    found = []
    for key, kind, payload in values:
        name = key.removeprefix("tokenizer.ggml.")
        if name == "tokens" and words:
            payload = _pack(words(texts(payload)))
        if name not in flags:
            found.append((key, kind, payload))
    for name, value in flags.items():
        if value is None:  # only left out
            continue
        kind = gguf_writer.BOOL if isinstance(value, bool) else gguf_writer.U32
        found.append((f"tokenizer.ggml.{name}", kind,
                      struct.pack("<?" if kind == gguf_writer.BOOL else "<I", value)))
    return found


def write(path, like, embd=64, ctx=8192, words=None, **flags):
    values, tokens = tokenizer_of(like)
    values = changed(values, words, **flags)
    if words:
        tokens = len(words([b""] * tokens))
    g = gguf_writer.Gguf("llama", "tiny draft")
    g.ints(block_count=1, context_length=ctx, embedding_length=embd, feed_forward_length=embd,
           attention__head_count=2, attention__head_count_kv=2, rope__dimension_count=embd // 2,
           vocab_size=tokens)
    g.float(".attention.layer_norm_rms_epsilon", 1e-5)
    g.values += values
    g.tensor("token_embd", embd, tokens)
    g.tensor("output_norm", embd, role="norm")
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_gate", "ffn_down"):
        g.tensor(f"blk.0.{name}", embd, embd)
    for name in ("attn_norm", "ffn_norm"):
        g.tensor(f"blk.0.{name}", embd, role="norm")
    g.write(path, lambda name, ne, role: "f32" if role == "norm" else "f16")


def _write_with(values, path, g):
    g.values = [value for value in g.values if not value[0].startswith("tokenizer.")] + values
    g.write(path, lambda name, ne, role: "f32" if role in ("norm", "small") else "f16")


def write_hybrid(path, like, ctx=8192):
    """The same with a recurrent layer, whose state cannot be taken back to where it was."""
    values, tokens = tokenizer_of(like)
    _write_with(values, path, hybrids.lfm2("tiny hybrid", 2, 64, 2, 2, 64, tokens, ctx, {1}))


def write_sliding(path, like, ctx=8192, window=512):
    """The same with layers that keep a window of tokens only: five of six, as Gemma 3 has them."""
    values, tokens = tokenizer_of(like)
    _write_with(values, path, architectures.gemma("tiny sliding", "gemma3", 6, 64, 2, 1, 32, 64, tokens, ctx,
                                                  window, qk_norm=True))
