#!/usr/bin/env python3
"""make_gguf.py MODEL OUT [--mix q4_k_m] [--random SEED] - a GGUF of a real architecture.

MODEL is a name of architectures.MODELS (--list shows them). Without --random the tensors are holes:
an 18 GB model takes a few MB on disk. MIX: q4_k_m, q8_0, f16, f32, mxfp4, tq3_4s, q4_0, ...
"""

import argparse
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import architectures  # noqa: E402


def make(model, out, kind="q4_k_m", seed=None):
    gguf = architectures.MODELS[model]()
    file_type = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "q4_k_m": 15, "mxfp4": 38, "tq3_4s": 45}
    if kind in file_type:
        gguf.int("general.file_type", file_type[kind])
    layers = next(struct.unpack("<I", v)[0] for k, _, v in gguf.values if k.endswith(".block_count"))
    return gguf.write(out, architectures.mix(kind, layers), seed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("out", nargs="?")
    parser.add_argument("--mix", default="q4_k_m")
    parser.add_argument("--random", type=int, metavar="SEED")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list or not args.out:
        print("\n".join(architectures.MODELS))
        return 0 if args.list else 2
    size = make(args.model, args.out, args.mix, args.random)
    print(f"{args.out}: weights {size / 2**20:.2f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
