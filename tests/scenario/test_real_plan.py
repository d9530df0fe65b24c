"""`ancalagon plan` next to the real engine's own dry pass, over a stand-in for a GPU.

The models are real architectures as sparse files (tests/models). By hand, for more:
    ANCALAGON_PLAN_CASES=500 ANCALAGON_PLAN_SEED=7 tests/scenario/run.py -k plan
runs that many drawn at random besides the table, and prints each that is not exact.
"""
import concurrent.futures
import os
import queue
import random
import shutil
import tempfile
import unittest

import oracle
from harness import BUILD
from real import CACHE, engine, need

import architectures
import make_gguf
import projectors

# Every model once, as most people would run it; then what changes memory, by model.
PLAIN = [{"model": m, "ctx": 8192, "parallel": 1} for m in architectures.MODELS]
SETTINGS = [
    {"ctx": 32768, "kv": "q8_0"},  # four slots that share: the engine's own default
    {"ctx": 65536, "kv": "q4_0", "parallel": 3, "unified": True},
    {"ctx": 16384, "kv": "f16", "parallel": 4, "unified": False},
    {"ctx": 5000, "kv": "f16", "parallel": 2, "ubatch": 1024},
    {"ctx": 16384, "kv": "q8_0", "parallel": 1, "ubatch": 128, "ngl": 12},
    {"ctx": 8192, "kv": "f16", "parallel": 1, "fa": False},
    {"ctx": 16384, "kv": "f16", "parallel": 1, "devices": 2, "split": "3,1"},
    {"ctx": 8192, "kv": "q4_0", "parallel": 1, "devices": 0},
    {"kv": "q8_0", "parallel": 1},  # the context that the model was trained for
]
DEEP = ["qwen2.5-7b", "llama3.2-1b", "qwen3-coder-30b", "qwen3.6-27b", "gemma3-4b", "gemma4-26b-a4b",
        "gpt-oss-20b", "deepseek-v2-lite", "muse-glimmer-30b"]
TABLE = PLAIN + [{"model": m, **s} for m in DEEP for s in SETTINGS]
TABLE += [{"model": m, "ctx": 32768, "kv": "q4_0", "parallel": 1, "ncmoe": n}
          for m in ("qwen3-coder-30b", "gemma4-26b-a4b", "gpt-oss-20b", "qwen3.6-35b-a3b", "glm4.5-air")
          for n in (1, 16, 99)]
TABLE += [{"model": m, "ctx": 32768, "kv": "q8_0", "parallel": 1, "swa_full": True}
          for m in ("gemma3-4b", "gemma4-26b-a4b", "gpt-oss-20b")]
TABLE += [{"model": "qwen3.6-27b-mtp", "ctx": 32768, "kv": "q8_0", "mtp": True, **more}
          for more in ({"parallel": 1}, {"parallel": 2, "draft_n": 1}, {"parallel": 1, "ngl": 20})]
TABLE += [{"model": "qwen2.5-7b", "draft": "qwen2.5-0.5b", "ctx": 16384, "kv": kv, "parallel": n}
          for kv in ("f16", "q8_0") for n in (1, 2)]
# Drafts of other shapes: their own cache types and layers on the card, each a row of changes.
DRAFTS = [("qwen2.5-7b", "qwen2.5-0.5b"), ("gemma3-12b", "gemma3-4b"), ("qwen3-coder-30b", "qwen3-0.6b")]
DRAFT_TABLE = [{"model": m, "draft": d, "ctx": 16384, "parallel": 1, **more} for m, d in DRAFTS
               for more in ({"kv": "q8_0", "draft_kv": "q8_0"},
                            {"kv": "q4_0", "draft_kv": "f16", "draft_n": 8},
                            {"draft_ngl": 0}, {"draft_ngl": 9, "kv": "q8_0", "draft_kv": "q4_0"},
                            {"ctx": 65536, "parallel": 4, "unified": True, "draft_kv": "q8_0"},
                            {"parallel": 3, "draft_n": 16, "ubatch": 256},
                            {"ngl": 12}, {"devices": 2, "split": "3,1"})]
TABLE += [{"model": m, "ctx": 16384, "kv": "f16", "parallel": 2, "unified": True, **where}
          for m in ("gemma4-e4b", "gemma3n-e2b", "granite4-h-tiny", "lfm2-8b-a1b", "qwen3-next-80b")
          for where in ({"ngl": 10}, {"devices": 2, "split": "1,1"})]
# Flash attention copies an f32 cache to f16, layer by layer.
TABLE += [{"model": m, "kv": "f32", **more}
          for m in ("llama3.2-1b", "gpt-oss-20b", "gemma3-4b", "qwen3.6-27b", "deepseek-v2-lite")
          for more in ({"ctx": 32768, "parallel": 1}, {"ctx": 8192, "parallel": 1, "ngl": 8},
                       {"ctx": 98304, "parallel": 3, "unified": False, "ubatch": 64},
                       {"ctx": 65536, "parallel": 3, "ubatch": 1024, "devices": 2, "split": "1,1"})]
TABLE += [{"model": m, "ctx": 32768, "parallel": 1, "kv": kv}
          for m in ("llama3.2-1b", "gemma3-4b") for kv in ("bf16", "q4_1", "iq4_nl", "q5_0", "q5_1")]


def drawn(rng):
    """One at random, of all models and settings."""
    model = rng.choice(list(architectures.MODELS))
    case = {"model": model, "ctx": rng.choice([2048, 5000, 8192, 32768, 98304, 131072]),
            "kv": rng.choice(["f16", "f16", "q8_0", "q4_0", "f32"])}
    if rng.random() < 0.75:
        case["parallel"] = rng.choice([1, 1, 2, 3, 4, 8])
        if case["parallel"] > 1 and rng.random() < 0.5:
            case["unified"] = True
    if rng.random() < 0.4:
        case["ubatch"] = rng.choice([64, 128, 300, 1024, 2048])
    case.update(rng.choice([{}, {}, {"ngl": rng.choice([0, 1, 2, 10, 20])}, {"devices": 0},
                            {"devices": 2, "split": rng.choice(["1,1", "3,1", "1,2"])}]))
    case.update(rng.choice([{}, {"ncmoe": rng.choice([1, 4, 16, 99])}, {"swa_full": True}]))
    if case["kv"] == "f16" and rng.random() < 0.15:
        case["fa"] = False
    if model.endswith("mtp") and rng.random() < 0.6:
        case["mtp"] = True
    return case


class Files:
    """Each model is written once, and taken away with the folder."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, model, mix="q4_k_m"):
        path = os.path.join(self.folder, f"{model}.{mix}.gguf")
        if not os.path.exists(path):
            make_gguf.make(model, path, mix)
        return path


def measure(case, files, workers):
    """The verdict on one case."""
    case = dict(case)
    path = files.path(case["model"], case.get("mix", "q4_k_m"))
    if "draft" in case:
        case["draft_path"] = files.path(case["draft"])
    devices = case.get("devices", 1)
    for last in (False, True):
        workers.revive()
        try:
            models = oracle.dry(engine(), case, path, workers.addresses[:devices])
            break
        except oracle.DryPassError:
            if last:
                raise
    ancalagon = os.path.join(BUILD, "ancalagon")
    return oracle.judge(oracle.planned(ancalagon, case, path, devices), models)


class PlanOracle(unittest.TestCase):
    def setUp(self):
        self.rpc = need(os.environ.get("ANCALAGON_RPC_SERVER") or shutil.which("ggml-rpc-server") or
                        os.path.join(CACHE, "engine", "bin", "ggml-rpc-server"),
                        "ggml-rpc-server", "tools/get-engine --tool ggml-rpc-server")
        engine()

    def run_all(self, cases):
        """Two at once, each with workers of its own. Returns how many were exact."""
        exact, wrong = 0, []
        free = queue.Queue()
        with tempfile.TemporaryDirectory() as folder, oracle.Workers(self.rpc, 2) as one, \
                oracle.Workers(self.rpc, 2) as two, concurrent.futures.ThreadPoolExecutor(2) as pool:
            files = Files(folder)
            for model in {(c.get(k), c.get("mix", "q4_k_m")) for c in cases for k in ("model", "draft")}:
                if model[0]:
                    files.path(*model)
            free.put(one)
            free.put(two)

            def turn(case):
                workers = free.get()
                try:
                    return measure(case, files, workers)
                finally:
                    free.put(workers)

            for case, verdict in zip(cases, pool.map(turn, cases)):
                exact += not verdict.off
                if verdict.off:
                    print(f"  {'WRONG' if verdict.bad else 'not exact'}: {case}: ours / the engine's: "
                          + ", ".join(verdict.off), flush=True)
                if verdict.bad:
                    wrong.append((case, verdict.bad))
        self.assertEqual(wrong, [])
        return exact

    def test_the_table(self):
        self.assertGreaterEqual(len(TABLE), 120)
        exact = self.run_all(TABLE)
        print(f"  {exact} of {len(TABLE)} to the hundredth of a MiB", flush=True)
        self.assertGreater(exact, 0.9 * len(TABLE))

    test_the_table.seconds = 400  # an engine's start for each of them

    def test_drafts(self):
        self.run_all(DRAFT_TABLE)

    def test_projectors(self):
        case, ancalagon = {"ctx": 4096, "parallel": 1}, os.path.join(BUILD, "ancalagon")
        with tempfile.TemporaryDirectory() as folder, oracle.Workers(self.rpc, 1) as workers:
            path = Files(folder).path("tiny-llama")
            without = oracle.planned_mib(oracle.planned(ancalagon, case, path, 1))
            for name in projectors.SHAPES:
                eyes = os.path.join(folder, name)
                projectors.make(name, eyes)
                workers.revive()
                theirs = oracle.projector_mib(engine(), {**case, "mmproj": eyes}, path, workers.addresses)
                ours = oracle.planned_mib(oracle.planned(ancalagon, {**case, "mmproj": eyes}, path, 1)) - without
                print(f"  {name}: {ours:.1f} / {theirs:.1f} MiB", flush=True)
                with self.subTest(name):
                    self.assertGreater(ours, theirs - 8)
                    self.assertLess(ours, theirs + 64)

    def test_drawn_at_random(self):
        count = int(os.environ.get("ANCALAGON_PLAN_CASES", "16"))
        rng = random.Random(int(os.environ.get("ANCALAGON_PLAN_SEED", "1")))
        self.run_all([drawn(rng) for _ in range(count)])

    def test_a_wrong_plan_is_noticed(self):
        """Else nothing here could fail: the engine is told another cache type than we are."""
        case = {"model": "tiny-llama", "ctx": 65536, "parallel": 1}
        with tempfile.TemporaryDirectory() as folder, oracle.Workers(self.rpc, 1) as workers:
            path = Files(folder).path("tiny-llama")
            models = oracle.dry(engine(), {**case, "kv": "q8_0"}, path, workers.addresses)
            plan = oracle.planned(os.path.join(BUILD, "ancalagon"), case, path, 1)
        self.assertTrue(oracle.judge(plan, models).bad)


if __name__ == "__main__":
    unittest.main()
