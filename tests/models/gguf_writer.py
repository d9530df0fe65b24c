"""Writes GGUF files whose tensors are holes: real architectures, real sizes, a few MB on disk.

An 18 GB model is planned, and dry-run by the real engine, without its weights. The format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import random
import struct

# ggml's number, elements a block, bytes a block
TYPES = {
    "f32": (0, 1, 4), "f16": (1, 1, 2), "q4_0": (2, 32, 18), "q5_0": (6, 32, 22), "q8_0": (8, 32, 34),
    "q3_k": (11, 256, 110), "q4_k": (12, 256, 144), "q5_k": (13, 256, 176), "q6_k": (14, 256, 210),
    "iq4_xs": (23, 256, 136), "bf16": (30, 1, 2), "mxfp4": (39, 32, 17), "tq3_4s": (46, 32, 16),
}
ALIGNMENT = 32
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9


def tensor_bytes(kind, ne):
    _, block, size = TYPES[kind]
    assert ne[0] % block == 0, (kind, ne)
    total = ne[0] // block * size
    for n in ne[1:]:
        total *= n
    return total


class Gguf:
    """Collects metadata and tensors, then writes them."""

    def __init__(self, arch, name):
        self.arch = arch
        self.values = []
        self.tensors = []  # (name, ne, role)
        self.text("general.architecture", arch)
        self.text("general.name", name)

    # Metadata. A key that starts with a dot gets the architecture's name in front.
    def _add(self, key, kind, payload):
        self.values.append((self.arch + key if key.startswith(".") else key, kind, payload))

    def text(self, key, value):
        self._add(key, STRING, _string(value))

    def ints(self, **pairs):
        for key, value in pairs.items():
            self.int("." + key.replace("__", "."), value)

    def int(self, key, value):
        self._add(key, I32 if value < 0 else U32, struct.pack("<i" if value < 0 else "<I", value))

    def float(self, key, value):
        self._add(key, F32, struct.pack("<f", value))

    def flag(self, key, value):
        self._add(key, BOOL, struct.pack("<?", value))

    def int_list(self, key, values):
        self._add(key, ARRAY, struct.pack("<IQ", I32, len(values)) + struct.pack(f"<{len(values)}i", *values))

    def floats(self, key, values):
        self._add(key, ARRAY, struct.pack("<IQ", F32, len(values)) + struct.pack(f"<{len(values)}f", *values))

    def flag_list(self, key, values):
        self._add(key, ARRAY, struct.pack("<IQ", BOOL, len(values)) + bytes(map(bool, values)))

    def texts(self, key, values):
        self._add(key, ARRAY, struct.pack("<IQ", STRING, len(values)) + b"".join(map(_string, values)))

    # Tensors. The role decides the type: "norm" and "small" stay f32, "matrix" takes the mix's.
    def tensor(self, name, *ne, role="matrix"):
        full = name if name.endswith((".bias", ".scale", ".ssm_a", ".ssm_d")) else name + ".weight"
        self.tensors.append((full, list(ne), role))

    def write(self, path, kind_of, seed=None):
        """`kind_of(name, ne, role)` names each tensor's type. With a seed the data is random, so
        that the model really runs; else it is a hole."""
        offset, infos = 0, []
        for name, ne, role in self.tensors:
            kind = kind_of(name, ne, role)
            size = tensor_bytes(kind, ne)
            infos.append((name, ne, kind, offset, size, role))
            offset = _pad(offset + size)
        with open(path, "wb") as out:
            out.write(struct.pack("<4sIQQ", b"GGUF", 3, len(infos), len(self.values)))
            for key, kind, payload in self.values:
                out.write(_string(key) + struct.pack("<I", kind) + payload)
            for name, ne, kind, at, _, _ in infos:
                out.write(_string(name) + struct.pack("<I", len(ne)) + struct.pack(f"<{len(ne)}Q", *ne))
                out.write(struct.pack("<IQ", TYPES[kind][0], at))
            out.write(bytes(_pad(out.tell()) - out.tell()))
            data = out.tell()
            if seed is not None:
                rng = random.Random(seed)
                for name, ne, kind, at, size, role in infos:
                    out.seek(data + at)
                    out.write(_noise(rng, kind, size, role))
            out.truncate(data + offset)
        return sum(size for *_, size, _ in infos)


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _pad(n):
    return (n + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def _noise(rng, kind, size, role):
    """Small random weights (f32, f16 and q8_0 only)."""
    if kind == "f32":
        n = size // 4
        if role == "norm":
            return struct.pack(f"<{n}f", *([1.0] * n))
        return struct.pack(f"<{n}f", *(rng.gauss(0, 0.05) for _ in range(n)))
    if kind == "f16":
        n = size // 2
        return struct.pack(f"<{n}e", *(rng.gauss(0, 0.05) for _ in range(n)))
    assert kind == "q8_0", kind
    return b"".join(struct.pack("<e", 0.0008) + rng.randbytes(32) for _ in range(size // 34))


def byte_tokens():
    """GPT-2's printable stand-ins for the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    table = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}
    return [table[b] for b in range(256)]


def add_tokenizer(gguf, size, pre="qwen2", eos="<|im_end|>"):
    """A byte-level BPE that can spell anything, padded to the real vocabulary's size."""
    pairs = ["t h", "i n", "e r", "a n", "r e", "o n", "th e", "e s"]
    tokens = byte_tokens() + [p.replace(" ", "") for p in pairs]
    kinds = [1] * len(tokens)
    specials = ["<|endoftext|>", "<|im_start|>", eos]
    at = {s: len(tokens) + i for i, s in enumerate(specials)}
    tokens += specials
    kinds += [3] * len(specials)
    kinds += [5] * (size - len(tokens))
    tokens += [f"<|pad_{i}|>" for i in range(len(tokens), size)]
    gguf.text("tokenizer.ggml.model", "gpt2")
    gguf.text("tokenizer.ggml.pre", pre)
    gguf.texts("tokenizer.ggml.tokens", tokens)
    gguf.int_list("tokenizer.ggml.token_type", kinds)
    gguf.texts("tokenizer.ggml.merges", pairs)
    gguf.int("tokenizer.ggml.eos_token_id", at[eos])
    gguf.int("tokenizer.ggml.bos_token_id", at["<|endoftext|>"])
    gguf.int("tokenizer.ggml.padding_token_id", at["<|endoftext|>"])
    gguf.flag("tokenizer.ggml.add_bos_token", False)
    gguf.text("tokenizer.chat_template",
              "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
              "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
