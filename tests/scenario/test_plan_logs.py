"""Plans next to what llama.cpp printed on other people's GPUs.

The numbers and settings come from public logs, which name model, build and flags; the models are
rebuilt by shape (tests/models). Needs no engine and no GPU.
"""
import json
import os
import subprocess
import tempfile
import unittest

import oracle  # noqa: F401  (puts tests/models on the path)
from harness import BUILD

import make_gguf


class Log:
    """What a log said, MiB; only what is given is compared. `devices`: dictionaries of what each said."""

    def __init__(self, name, model, args, devices, host=None, mix="q4_k_m", cards=("cuda",)):
        self.name, self.model, self.args, self.devices = name, model, args, devices
        self.host, self.mix, self.cards = host or {}, mix, cards


LOGS = [
    Log("Qwen3 4B, four slots, October 2026", "qwen3-4b", "--ctx 8192",
        [{"weights": 2375.91, "kv": 1152, "compute": 85.01}], {"weights": 304.28, "compute": 28.02}),
    Log("Qwen3.6 27B at 200K, q8_0, b8946 on an RTX 3090", "qwen3.6-27b",
        "--ctx 200192 --kv q8_0 --parallel 1 --engine 8946",
        [{"kv": 6647, "state": 149.62, "compute": 654.78}], {"weights": 682.03, "compute": 411.29}),
    Log("Qwen3.6 27B at 128K, q8_0, four slots, May 2026 on an RTX 5090", "qwen3.6-27b",
        "--ctx 131072 --kv q8_0 --engine 9200", [{"kv": 4352, "state": 598.5, "compute": 495.0}],
        {"compute": 276.29}),
    Log("Qwen3.6 27B at 16K, f16, Jetson", "qwen3.6-27b", "--ctx 16384 --parallel 1 --engine 9900",
        [{"kv": 1024, "state": 149.62, "compute": 138.02}]),
    Log("Qwen3.5 27B at 256K on two GPUs, q8_0, ubatch 256", "qwen3.6-27b",
        "--ctx 262144 --parallel 1 --kv q8_0 --ubatch 256 --engine 9900",
        [{"compute": 1597.09}, {}], cards=("cuda", "cuda")),
    Log("Qwen3 30B A3B, 30 layers on the GPU, b5466", "qwen3-coder-30b",
        "--ctx 4096 --parallel 1 --ngl 30 --engine 5466", [{"weights": 10750.86}], {"weights": 6940.48}),
    Log("Qwen3.6 35B A3B at 150K, ubatch 4096, experts on the CPU, before #23764", "qwen3.6-35b-a3b",
        "--ctx 150000 --parallel 1 --kv q8_0 --ubatch 4096 --batch 4096 --n-cpu-moe 99 --engine 9340",
        [{"compute": 3976}], {"compute": 2408}),
    Log("the same, with #23764 and #23861", "qwen3.6-35b-a3b",
        "--ctx 150000 --parallel 1 --kv q8_0 --ubatch 4096 --batch 4096 --n-cpu-moe 99 --engine 9380",
        [{"compute": 1982}], {"compute": 1236}),
    Log("Qwen3.8 27B at 256K, nothing offloaded, q8_0: the card still works", "qwen3.6-27b",
        "--ctx 262144 --parallel 1 --kv q8_0 --ngl 0 --engine 10500", [{"compute": 1959.73}]),
    Log("Llama 3.2 3B at 2K", "llama3.2-3b", "--ctx 2048 --parallel 1 --engine 9000",
        [{"weights": 1918.36, "kv": 224, "compute": 284.90}], {"weights": 308.24, "compute": 16.26}),
    Log("Gemma 4 26B A4B, weights and the caches at 96K", "gemma4-26b-a4b", "--ctx 96K --kv q4_0 --parallel 1",
        [{"weights": 15997}], {"weights": 577}),
]


class PublishedLogs(unittest.TestCase):
    def plan(self, log):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.gguf")
            make_gguf.make(log.model, path, log.mix)
            argv = [os.path.join(BUILD, "ancalagon"), "plan", path, "--json", *log.args.split()]
            for card in log.cards:
                argv += ["--device", card]
            done = subprocess.run(argv, capture_output=True, timeout=60)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return json.loads(done.stdout)

    def near(self, what, ours, theirs):
        self.assertLessEqual(abs(ours - theirs), max(0.02 * theirs, 0.6), f"{what}: {ours} planned, {theirs} logged")

    def test_within_two_percent(self):
        for log in LOGS:
            with self.subTest(log.name):
                plan = self.plan(log)
                self.assertEqual(len(plan["devices"]), len(log.devices))
                for device, said in [*zip(plan["devices"], log.devices), (plan["host"], log.host)]:
                    for part, mib in said.items():
                        self.near(f"{log.name}, {device['name']} {part}", device[part + "_mib"], mib)


if __name__ == "__main__":
    unittest.main()
