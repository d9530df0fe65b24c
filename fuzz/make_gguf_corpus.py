#!/usr/bin/env python3
"""Writes corpus/gguf: a few small files that together have everything a GGUF can have."""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent
SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def value(key, kind, payload):
    return text(key) + struct.pack("<I", kind) + payload


def string(key, s):
    return value(key, 8, text(s))


def number(key, kind, n):
    return value(key, kind, struct.pack("<" + SIZES[kind], n))


def array(key, kind, items):
    body = b"".join(map(text, items)) if kind == 8 else struct.pack(f"<{len(items)}{SIZES[kind]}", *items)
    return value(key, 9, struct.pack("<IQ", kind, len(items)) + body)


def tensor(name, dims, kind, offset):
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def gguf(values=(), tensors=(), data=0, version=3, alignment=32):
    head = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(values)) + b"".join(values) + b"".join(tensors)
    return head + bytes(-len(head) % alignment + data)


def files():
    yield "empty", gguf()
    yield "v2", gguf([string("general.architecture", "llama")], version=2)
    yield "v1", gguf(version=1)
    yield "big-endian", struct.pack(">4sIQQ", b"GGUF", 3, 0, 0)
    yield "scalars", gguf([number(f"k{kind}", kind, 1) for kind in SIZES])
    yield "arrays", gguf([array(f"a{kind}", kind, [0, 1]) for kind in SIZES] + [array("s", 8, ["a", "bc", ""])])
    yield "nested", gguf([value("n", 9, struct.pack("<IQIQ", 9, 1, 0, 0))])
    yield "tensors", gguf([], [tensor("t", [4], 0, 0), tensor("u", [32, 2], 2, 32), tensor("v", [], 0, 96)], 128)
    yield "forks", gguf([], [tensor("a", [64, 2], 46, 0), tensor("b", [64, 2], 41, 64),
                             tensor("c", [256], 139, 128), tensor("d", [9], 60, 288)], 320)
    yield "alignment", gguf([number("general.alignment", 4, 64)], [tensor("t", [2], 0, 0), tensor("u", [2], 0, 64)],
                            128, alignment=64)
    yield "split", gguf([number("split.no", 2, 0), number("split.count", 2, 2)])
    yield "model", gguf(
        [string("general.architecture", "llama"), number("llama.block_count", 4, 1),
         array("tokenizer.ggml.tokens", 8, [str(i) for i in range(20)]),
         array("tokenizer.ggml.scores", 6, [0.5] * 20)],
        [tensor("token_embd.weight", [32, 20], 8, 0), tensor("blk.0.attn_q.weight", [256, 2], 12, 704)], 1024)


def main():
    out = HERE / "corpus" / "gguf"
    out.mkdir(exist_ok=True)
    for name, data in files():
        (out / name).write_bytes(data)


if __name__ == "__main__":
    main()
