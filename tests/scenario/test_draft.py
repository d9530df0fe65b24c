"""draft = auto: which model speculates for which, and when it is given up. No file names count."""
import json
import os
import shutil
import struct
import sys
import unittest

from harness import Scenario, World, binary, eventually

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
import gguf_writer  # noqa: E402

WORDS = 600


def model(path, layers, embd, words=WORDS, odd=None, arch="llama", mtp=0, kind="f16", vocabulary="gpt2",
          ctx=32768, more=None):
    """A dense model of so many layers and width; its matrices are holes. `more`: metadata in place of ours."""
    g = gguf_writer.Gguf(arch, os.path.basename(path))
    g.ints(block_count=layers, context_length=ctx, embedding_length=embd, feed_forward_length=4 * embd,
           attention__head_count=embd // 64, attention__head_count_kv=embd // 256 or 1)
    if mtp:
        g.ints(nextn_predict_layers=mtp)
    g.float(".attention.layer_norm_rms_epsilon", 1e-5)
    tokens = [f"t{i}" if i != odd else "other" for i in range(words)]
    g.text("tokenizer.ggml.model", vocabulary)
    g.text("tokenizer.ggml.pre", "qwen2")
    g.texts("tokenizer.ggml.tokens", tokens)
    g.flag("tokenizer.ggml.add_bos_token", False)
    g.tensor("token_embd", embd, words)
    g.tensor("output_norm", embd, role="norm")
    g.tensor("output", embd, words)
    for i in range(layers):
        for name, rows in (("attn_q", embd), ("attn_k", embd // 4), ("attn_v", embd // 4),
                           ("attn_output", embd)):
            g.tensor(f"blk.{i}.{name}", embd, rows)
        g.tensor(f"blk.{i}.ffn_up", embd, 4 * embd)
        g.tensor(f"blk.{i}.ffn_gate", embd, 4 * embd)
        g.tensor(f"blk.{i}.ffn_down", 4 * embd, embd)
        g.tensor(f"blk.{i}.attn_norm", embd, role="norm")
        g.tensor(f"blk.{i}.ffn_norm", embd, role="norm")
    for key, value in (more or {}).items():
        g.values = [v for v in g.values if v[0] != f"{arch}.{key}"]
        g.int("." + key, value)
    g.write(path, lambda name, ne, role: "f32" if role == "norm" else kind)


class GpuWorld(World):
    """A machine with a (fake) card of 16 GB."""

    engine_name = "llama-server-gpu"

    def __init__(self, presets=None, server=None, defaults=None):
        super().__init__(presets or {"a": {"draft": "auto", "ctx": "8192", "default": "true",
                                           "parallel": "1"}}, server, defaults)
        self.engine = self.path("bin", self.engine_name)
        shutil.copy(binary("fake_llama"), self.engine)
        self.defaults["engine"] = self.engine
        self.write_config()

    def model_file(self, name):
        model(self.path("models", f"{name}.gguf"), 24, 4096)

    def small(self, name, **more):
        path = self.path("models", f"{name}.gguf")
        model(path, **{"layers": 8, "embd": 1024, **more})
        return path

    def argv(self):
        return self.engines()[-1]["argv"]

    def said(self, *flags):
        """The value of the first of these flags on the engine's command line, or None."""
        argv = self.argv()
        return next((argv[argv.index(f) + 1] for f in flags if f in argv), None)

    def draft(self, name="a"):
        return next(p for p in self.status()["presets"] if p["name"] == name)["draft"]


class Choice(Scenario):
    world_type = GpuWorld
    autostart = False

    def start(self):
        self.world.start()
        self.chat_ok()

    def drafted_by(self):
        return self.world.said("--spec-draft-model", "--model-draft", "-md")

    def test_the_smallest_that_goes_with_it(self):
        self.world.small("larger", layers=12)
        small = self.world.small("a-name-that-says-nothing")
        self.world.small("a-draft-of-a", layers=4, odd=300)  # smaller, but with other words
        self.world.small("tiny", layers=2, words=WORDS - 129)
        self.start()
        self.assertEqual(self.drafted_by(), small)
        self.assertEqual(self.world.said("--spec-type"), "draft-simple")
        tokens = int(self.world.said("--spec-draft-n-max"))
        self.assertTrue(1 <= tokens <= 16)
        draft = self.world.draft()
        self.assertTrue(draft["on"])
        self.assertEqual(draft["draft"], small)
        self.assertEqual(draft["tokens"], tokens)
        self.assertIn("predicted", draft["why"])
        self.assertIn("speculation: ", self.world.cli("status", "--config", self.world.config).stdout)

    def test_the_plan_says_so_too(self):
        self.world.small("x")

        def total():
            result = self.world.cli("plan", "a", "--device", "cuda:16G", "--json", "--config",
                                    self.world.config)
            plan = json.loads(result.stdout)
            return plan["devices"][0]["total_mib"], " ".join(plan["notes"])

        with_draft, notes = total()
        self.assertIn("x.gguf", notes)
        self.assertIn("draft: predicted", notes)
        self.world.presets["a"]["draft"] = "none"
        self.world.write_config()
        alone, notes = total()
        self.assertNotIn("draft", notes)
        self.assertGreater(with_draft, alone + 100)  # MiB

    def test_none(self):
        self.world.small("x")
        self.world.presets["a"]["draft"] = "none"
        self.world.write_config()
        self.start()
        self.assertIsNone(self.drafted_by())
        self.assertIsNone(self.world.draft())

    def test_nothing_goes_with_it(self):
        self.world.small("x", odd=5)
        self.world.small("y", vocabulary="llama")
        self.world.small("z", layers=22, embd=4096)  # too large to gain anything
        with open(self.world.path("models", "broken.gguf"), "wb") as file:
            file.write(b"GGUF" + struct.pack("<IQQ", 3, 9, 9))
        self.start()
        self.assertIsNone(self.drafted_by())
        draft = self.world.draft()
        self.assertFalse(draft["on"])
        self.assertIn("no smaller model", draft["why"])
        self.assertIn("speculation: off", self.world.cli("status", "--config", self.world.config).stdout)

    def test_no_room_beside_the_model(self):
        self.world.presets["a"]["ctx"] = "32768"
        self.world.write_config()
        # 11 GB of weights, 3 GB of cache: what is left is less than this draft's cache.
        self.world.small("x", layers=60, embd=1024)
        self.start()
        self.assertIsNone(self.drafted_by())
        self.assertIn("no room", self.world.draft()["why"])

    def test_own_head(self):
        model(self.world.path("models", "a.gguf"), 25, 4096, arch="glm4moe", mtp=1)
        self.start()
        self.assertIsNone(self.drafted_by())
        self.assertEqual(self.world.said("--spec-type"), "draft-mtp")
        self.assertEqual(self.world.draft()["draft"], "mtp")

    def test_named_file(self):
        path = self.world.small("x", layers=6, embd=4096)  # not worth it, but the user insists
        self.world.presets["a"]["draft"] = "x.gguf"
        self.world.presets["a"]["draft-max"] = "5"
        self.world.write_config()
        self.start()
        self.assertEqual(self.drafted_by(), path)
        self.assertEqual(self.world.said("--spec-draft-n-max"), "5")

    def test_named_file_that_does_not_go_with_it(self):
        self.world.small("x", odd=77)
        self.world.presets["a"]["draft"] = "x.gguf"
        self.world.write_config()
        self.world.start()
        reply = self.chat()
        self.assertEqual(reply.status, 503, reply)
        self.assertIn("token 77 is another one", reply.json()["error"]["message"])
        self.assertEqual(self.world.engines(), [])

    def test_conflicting_keys(self):
        self.world.presets["a"]["spec-type"] = "ngram-simple"
        self.world.write_config()
        found = self.world.cli("check-config", "--config", self.world.config)
        self.assertEqual(found.returncode, 3)
        self.assertIn("keep one", found.stdout)
        del self.world.presets["a"]["spec-type"]
        self.world.presets["a"]["draft"] = "16"
        self.world.write_config()
        found = self.world.cli("check-config", "--config", self.world.config)
        self.assertIn("draft-max = 16", found.stdout)


class OldWorld(GpuWorld):
    engine_name = "llama-server-gpu-old"


class OldChoice(Scenario):
    """A build whose drafts need no --spec-type, and that knows nothing of heads."""

    world_type = OldWorld
    autostart = False

    def test_draft(self):
        small = self.world.small("x")
        self.world.start()
        self.chat_ok()
        self.assertEqual(self.world.said("--model-draft", "-md"), small)
        self.assertIsNone(self.world.said("--spec-type"))
        self.assertIsNotNone(self.world.said("--draft-max"))

    def test_own_head(self):
        model(self.world.path("models", "a.gguf"), 25, 4096, arch="glm4moe", mtp=1)
        self.world.start()
        self.chat_ok()
        self.assertFalse(self.world.draft()["on"])


class CpuWorld(GpuWorld):
    engine_name = "llama-server-cpu"


class Measured(Scenario):
    """Without a card nothing is predicted to pay; what was measured counts."""

    world_type = CpuWorld
    autostart = False

    def learn(self, draft, **more):
        os.makedirs(self.world.path("state", "ancalagon"), 0o700, exist_ok=True)
        with open(self.world.path("state", "ancalagon", "drafts.json"), "w") as file:
            json.dump({"drafts": [{"preset": "a", "model": self.world.path("models", "a.gguf"),
                                   "draft": draft, "engine": "11434", **more}]}, file)

    def on(self):
        self.world.start()
        self.chat_ok()
        return self.world.draft()

    def test_not_measured(self):
        self.world.small("x")
        draft = self.on()
        self.assertFalse(draft["on"])
        self.assertIn("not worth it", draft["why"])

    def test_measured_gain(self):
        self.learn(self.world.small("x"), measured_gain=1.4, measured_tokens=2.5, measured_n=5)
        draft = self.on()
        self.assertEqual(self.world.said("--spec-draft-n-max"), "5")  # as it was measured
        self.assertTrue(draft["on"])
        self.assertIn("measured 1.40 x", draft["why"])

    def test_the_users_number_holds(self):
        self.learn(self.world.small("x"), measured_gain=1.4, measured_n=5)
        self.world.presets["a"]["draft-max"] = "24"
        self.world.write_config()
        self.on()
        self.assertEqual(self.world.said("--spec-draft-n-max"), "24")
        self.assertEqual(self.world.argv().count("--spec-draft-n-max"), 1)

    def test_measured_loss(self):
        self.learn(self.world.small("x"), measured_gain=1.05)
        self.assertFalse(self.on()["on"])

    def test_of_another_build(self):
        self.learn(self.world.small("x"), measured_gain=1.4, engine="9999")
        self.assertFalse(self.on()["on"])


class InUse(Scenario):
    world_type = GpuWorld
    autostart = False

    def setUp(self):
        super().setUp()
        self.small = self.world.small("x")

    def generate(self, tokens=400, **more):
        return self.chat_ok(fake={"tokens": tokens, **more})

    def counters(self):
        page = self.world.http("GET", "/metrics").body.decode()
        return {line.split("{")[0]: float(line.split()[-1]) for line in page.splitlines()
                if 'preset="a"' in line and "draft" in line}

    def test_it_pays(self):
        self.world.start()
        for _ in range(4):
            self.generate(draft_accept=80)
        draft = self.world.draft()
        self.assertTrue(draft["on"])
        self.assertTrue(0.75 < draft["acceptance"] < 0.85, draft)
        self.assertTrue(draft["gain"] > 1.3, draft)
        counters = self.counters()
        self.assertTrue(counters["ancalagon_draft_accepted_tokens_total"] > 500, counters)
        self.assertTrue(0.75 < counters["ancalagon_draft_acceptance"] < 0.85, counters)
        self.assertEqual(len(self.world.engines()), 1)

    def test_what_was_seen_is_kept(self):
        self.world.start()
        for _ in range(4):
            self.generate(draft_accept=60)
        tokens = self.world.draft()["tokens"]
        self.world.control("POST", "/off", {})
        self.wait_state("off")
        with open(self.world.path("state", "ancalagon", "drafts.json")) as file:
            kept = json.load(file)["drafts"][0]
        self.assertFalse(kept["off"])
        # 60 % of all guesses: each is right more often, since those behind a wrong one are lost.
        chance = kept["acceptance"]
        share = sum(chance ** i for i in range(1, tokens + 1)) / tokens
        self.assertTrue(0.55 < share < 0.65, (chance, tokens))
        self.assertTrue(chance > 0.62 or tokens == 1)

    def test_streamed_answers_count(self):
        self.world.start()
        stream = self.open_stream(fake={"tokens": 200, "draft_accept": 50})
        list(stream.events())
        eventually(lambda: self.world.draft()["acceptance"], "its figures are known")
        self.assertTrue(0.45 < self.world.draft()["acceptance"] < 0.55)

    def test_it_is_given_up(self):
        self.world.start()
        self.generate(draft_accept=5)
        self.assertTrue(self.world.draft()["on"])  # too few tokens to tell
        first = self.world.status()["engine_pid"]
        self.generate(draft_accept=5)
        self.wait_restarted(first)
        self.assertFalse(self.world.draft()["on"])
        self.assertNotIn(self.small, self.world.argv())
        draft = self.world.draft()
        self.assertIn("was given up", draft["why"])
        self.assertIn("5 %", draft["why"])
        self.assertIn("draft.off preset=a", self.world.server_log())
        status = self.world.cli("status", "--config", self.world.config).stdout
        self.assertIn("speculation: off, x.gguf was given up", status)
        self.generate()
        # Remembered: not tried again by another server.
        self.assertEqual(self.world.terminate(), 0)
        self.world.start()
        self.generate()
        self.assertFalse(self.world.draft()["on"])
        self.assertEqual(self.world.status()["presets"][0]["restarts"], 0)

    def test_never_under_a_request(self):
        self.world.presets["a"]["parallel"] = "4"
        self.world.write_config()
        self.world.start()
        self.chat_ok()
        hold = self.world.hold()
        running = self.open_stream(fake={"tokens": 40, "hold": hold})
        events = running.events()
        next(events)
        self.generate(tokens=600, draft_accept=5)
        self.generate(tokens=600, draft_accept=5)
        eventually(lambda: "draft.off preset=a" in self.world.server_log(), "it is to be given up")
        self.assertTrue(self.world.draft()["on"])
        os.unlink(hold)
        list(events)
        self.assertTrue(running.complete)
        self.assertNotIn(b"error", running.bytes)
        eventually(lambda: not self.world.draft()["on"], "given up once nothing runs")

    def test_a_named_draft_stays(self):
        self.world.presets["a"]["draft"] = "x.gguf"
        self.world.write_config()
        self.world.start()
        for _ in range(4):
            self.generate(draft_accept=0)
        self.assertIn("draft.pays_not preset=a", self.world.server_log())
        self.assertTrue(self.world.draft()["on"])
        self.assertEqual(len(self.world.engines()), 1)


if __name__ == "__main__":
    unittest.main()
