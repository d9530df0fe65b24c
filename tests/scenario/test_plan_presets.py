"""The three presets of a 16 GB card: planned without their weights, as they are run, and one step beyond.

Needs no real engine and no GPU; the models are sparse files of the real shapes.
"""
import json
import os
import re
import subprocess
import tempfile
import unittest

import oracle  # noqa: F401  (puts tests/models on the path)
from harness import binary

import make_gguf

MODELS = {"coder": ("qwen3-coder-30b", "q4_k_m"), "qwen36": ("qwen3.6-27b", "tq3_4s"),
          "gemma4": ("gemma4-26b-a4b", "q4_k_m")}
PRESETS = """
[*]
flash-attn = on
gpu-layers = all

[coder]
model = {folder}/coder.gguf
ctx = 96K
kv = q4_0
n-cpu-moe = 16

[qwen36]
model = {folder}/qwen36.gguf
ctx = 40K
kv = q8_0

[gemma4]
model = {folder}/gemma4.gguf
ctx = 96K
kv = q4_0
n-cpu-moe = 8
"""


class Presets(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.config = os.path.join(self.folder.name, "presets.ini")
        with open(self.config, "w") as out:
            out.write(PRESETS.format(folder=self.folder.name))

    def write_model(self, preset):
        path = os.path.join(self.folder.name, preset + ".gguf")
        if not os.path.exists(path):
            make_gguf.make(MODELS[preset][0], path, MODELS[preset][1])

    def plan(self, preset, *more):
        self.write_model(preset)
        argv = [binary("ancalagon"), "plan", preset, "--config", self.config, "--device",
                "cuda:16G", "--ram", "32G", "--json", *more]
        env = {**os.environ, "ANCALAGON_ENGINE": binary("fake_llama")}
        done = subprocess.run(argv, capture_output=True, timeout=60, env=env)
        self.assertIn(done.returncode, (0, 1), done.stderr.decode())
        plan = json.loads(done.stdout)
        self.assertEqual(plan["fits"], done.returncode == 0)
        return plan

    def refused(self, plan, nearest):
        self.assertFalse(plan["fits"])
        short = re.match(r"cuda0 has 16384 MiB, (\d+) too little: weights", plan["reason"])
        self.assertTrue(short, plan["reason"])
        self.assertRegex(plan["nearest"], nearest)
        return int(short.group(1))

    def test_as_they_are_run(self):
        for name in MODELS:
            with self.subTest(name):
                plan = self.plan(name)
                self.assertTrue(plan["fits"], plan["reason"])
                self.assertLess(plan["devices"][0]["total_mib"], 16384 - 256)
                self.assertEqual(plan["nearest"], "")

    def test_gemma4_wholly_on_the_card_is_refused(self):
        short = self.refused(self.plan("gemma4", "--n-cpu-moe", "0"), r"^n-cpu-moe = [3-6]$")
        self.assertAlmostEqual(short, 2300, delta=100)  # the experts of three layers and a half
        fits = self.plan("gemma4", "--n-cpu-moe", "0")["nearest"].split()[-1]
        self.assertTrue(self.plan("gemma4", "--n-cpu-moe", fits)["fits"], "what it proposes fits")
        self.assertFalse(self.plan("gemma4", "--n-cpu-moe", str(int(fits) - 1))["fits"], "and no less does")

    def test_qwen36_with_48k_is_refused(self):
        plan = self.plan("qwen36", "--ctx", "48K")
        short = self.refused(plan, r"^ctx = 4\d{4}\b.*kv = q4_0")
        self.assertLess(short, 400)
        ctx = re.match(r"ctx = (\d+)", plan["nearest"]).group(1)
        self.assertTrue(self.plan("qwen36", "--ctx", ctx)["fits"])
        self.assertFalse(self.plan("qwen36", "--ctx", str(int(ctx) + 1024))["fits"])
        self.assertTrue(self.plan("qwen36", "--ctx", "48K", "--kv", "q4_0")["fits"])

    def test_the_fork_is_named(self):
        self.assertTrue(any("turbo-tan/llama.cpp-tq3" in n for n in self.plan("qwen36")["notes"]))

    def states(self, *more):
        """What the notes say of states to go back to: (how many, MiB each)."""
        for note in self.plan("qwen36", *more)["notes"]:
            found = re.match(r"(\d+) states of (\d+) MiB to go back to for each slot", note)
            if found:
                return tuple(map(int, found.groups()))
        return None

    def test_states_to_go_back_to_are_fewer_where_memory_is_short(self):
        """They come with use, for each of the engine's four slots; 32 of them would be 19 GB."""
        count, size = self.states("--ram", "32G")
        self.assertEqual(size, 150)
        self.assertTrue(8 < count < 16, count)
        self.assertLess(4 * count * size, 32768 / 4)
        self.assertEqual(self.states("--ram", "8G"), (8, 150))
        self.assertIsNone(self.states("--ram", "96G"))
        with open(self.config) as file:
            text = file.read().replace("[qwen36]", "[qwen36]\nctx-checkpoints = 32")
        with open(self.config, "w") as file:
            file.write(text)
        self.assertIsNone(self.states("--ram", "8G"), "who says a number gets it")

    def test_an_unequal_cache_is_refused(self):
        with open(self.config) as old:
            text = old.read()
        uneven = os.path.join(self.folder.name, "uneven.ini")
        with open(uneven, "w") as out:
            out.write(text.replace("kv = q8_0", "cache-type-k = q8_0\ncache-type-v = q4_0"))
        self.write_model("qwen36")
        done = subprocess.run([binary("ancalagon"), "plan", "qwen36", "--config", uneven, "--json",
                               "--device", "cuda:16G"], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(b"K and V cache types differ (q8_0 and q4_0)", done.stderr)


if __name__ == "__main__":
    unittest.main()
