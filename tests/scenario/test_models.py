"""ancalagon models: what lies in a folder, told from the files themselves."""
import json
import os
import shutil
import sys
import unittest

from harness import Scenario, binary
from test_draft import GpuWorld, gguf_writer, model

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
import architectures  # noqa: E402


def projector(path, width, kind):
    g = gguf_writer.Gguf("clip", "eyes")
    g.text("general.type", "mmproj")
    g.text("clip.projector_type", kind)
    g.flag("clip.has_vision_encoder", True)
    g.int("clip.vision.projection_dim", width)
    g.tensor("v.patch_embd", 32, 8)
    g.write(path, lambda *_: "f16")


def split(path_of, parts):
    """A model in parts, as llama-gguf-split makes them."""
    for number in range(parts):
        g = gguf_writer.Gguf("llama", "in parts") if number == 0 else gguf_writer.Gguf.__new__(gguf_writer.Gguf)
        if number == 0:
            g.ints(block_count=parts, embedding_length=256, context_length=1024,
                   attention__head_count=4)
        else:
            g.arch, g.values, g.tensors = "llama", [], []
        g.int("split.no", number)
        g.int("split.count", parts)
        g.int("split.tensors.count", parts)
        g.tensor(f"blk.{number}.ffn_up", 256, 256)
        g.write(path_of(number + 1), lambda *_: "q8_0")


class Listing(Scenario):
    autostart = False
    presets = {}

    def setUp(self):
        super().setUp()
        self.dir = self.world.path("models")

    def file(self, name):
        return os.path.join(self.dir, name)

    def cli(self, *args):
        return self.world.cli("models", "--config", self.world.config, *args)

    def list(self, *args):
        result = self.cli("--json", *args)
        self.assertEqual(result.returncode, 0, result.stderr)
        return {m["file"]: m for m in json.loads(result.stdout)["models"]}

    def table(self, *args):
        result = self.cli(*args)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")  # progress is for slow folders
        for line in result.stdout.splitlines():
            self.assertLessEqual(len(line), 120, line)
        return result.stdout

    def test_every_kind(self):
        model(self.file("plain.gguf"), 4, 512, kind="q8_0")
        os.mkdir(self.file("below"))
        moe = architectures.MODELS["tiny-moe"]()
        moe.write(self.file("below/moe.gguf"), architectures.mix("q4_0", 4))
        projector(self.file("for-512.gguf"), 512, "mlp")
        projector(self.file("for-nobody.gguf"), 999, "mlp")
        projector(self.file("for-gemma.gguf"), 512, "gemma3")
        lora = gguf_writer.Gguf("llama", "lora")
        lora.text("general.type", "adapter")
        lora.write(self.file("lora.gguf"), lambda *_: "f16")
        bert = gguf_writer.Gguf("bert", "bert")
        bert.ints(block_count=2, embedding_length=256, context_length=512, attention__head_count=4)
        bert.tensor("blk.0.attn_q", 256, 256)
        bert.write(self.file("embed.gguf"), lambda *_: "f16")
        split(lambda n: self.file(f"parts-{n:05}-of-00003.gguf"), 3)
        found = self.list()
        self.assertEqual(set(found), {"plain.gguf", "below/moe.gguf", "for-512.gguf", "for-nobody.gguf",
                                      "for-gemma.gguf", "lora.gguf", "embed.gguf",
                                      "parts-00001-of-00003.gguf"})
        plain = found["plain.gguf"]
        self.assertEqual((plain["kind"], plain["architecture"], plain["quantisation"], plain["layers"],
                          plain["ctx_train"]), ("text", "llama", "Q8_0", 4, 32768))
        self.assertEqual(plain["projectors"], ["for-512.gguf"])  # of gemma3 is another family
        self.assertEqual(plain["bytes"], os.stat(self.file("plain.gguf")).st_size)
        self.assertEqual(found["for-512.gguf"]["kind"], "projector")
        self.assertEqual(found["for-512.gguf"]["serves"], ["plain.gguf"])
        self.assertEqual(found["for-nobody.gguf"]["serves"], [])
        self.assertEqual((found["below/moe.gguf"]["experts"], found["below/moe.gguf"]["experts_used"]), (8, 2))
        self.assertEqual(found["lora.gguf"]["kind"], "adapter")
        self.assertEqual(found["embed.gguf"]["kind"], "embedding")
        parts = found["parts-00001-of-00003.gguf"]
        self.assertEqual(parts["parts"], 3)
        self.assertEqual(parts["bytes"], sum(os.stat(self.file(f"parts-{n:05}-of-00003.gguf")).st_size
                                             for n in (1, 2, 3)))
        table = self.table()
        self.assertIn("projector: for-512.gguf", table)
        self.assertIn("serves: plain.gguf", table)
        self.assertIn("no model here has its width", table)
        self.assertIn("in 3 parts", table)
        self.assertIn("8/2", table)
        self.assertIn("architecture llama", table)

    def test_broken_files_are_listed(self):
        model(self.file("good.gguf"), 2, 256)
        shutil.copy(self.file("good.gguf"), self.file("cut.gguf"))
        os.truncate(self.file("cut.gguf"), os.stat(self.file("cut.gguf")).st_size - 1000)
        with open(self.file("html.gguf"), "w") as file:
            file.write("<!DOCTYPE html>\x1b[2J not found")
        with open(self.file("lfs.gguf"), "w") as file:
            file.write("version https://git-lfs.github.com/spec/v1\n")
        os.symlink("/nonexistent", self.file("gone.gguf"))
        split(lambda n: self.file(f"half-{n:05}-of-00002.gguf"), 2)
        os.unlink(self.file("half-00002-of-00002.gguf"))
        found = self.list()
        self.assertEqual({f for f, m in found.items() if m["kind"] == "broken"},
                         {"cut.gguf", "html.gguf", "lfs.gguf", "half-00001-of-00002.gguf"})
        self.assertIn("incomplete", found["cut.gguf"]["error"])
        self.assertIn("not a GGUF", found["html.gguf"]["error"])
        self.assertIn("half-00002-of-00002.gguf", found["half-00001-of-00002.gguf"]["error"])
        table = self.table()
        self.assertIn("broken", table)
        self.assertNotIn("\x1b", table)

    def test_shapes_that_cannot_be(self):
        """Each is named with its key and value, and not planned."""
        wrong = {
            ("attention.head_count", 0): ".attention.head_count = 0, but blk.0.attn_q needs more",
            ("attention.head_count", 6): ".embedding_length = 512 is no multiple of attention.head_count = 6",
            ("attention.head_count", 2**32 - 1): ".attention.head_count = 4294967295 is beyond any real model",
            ("attention.head_count", -8): ".attention.head_count is no whole number of 0 or more",
            ("attention.head_count_kv", 0): ".attention.head_count_kv = 0, but blk.0.attn_q needs more",
            ("attention.head_count_kv", 3): ".attention.head_count = 8 (layer 0) is no multiple of head_count_kv = 3",
            ("attention.key_length", 0): ".attention.key_length = 0, but blk.0.attn_q needs more",
            ("attention.key_length", 10**9): ".attention.key_length = 1000000000 is beyond",
            ("embedding_length", 0): ".embedding_length = 0, which no model has",
            ("embedding_length", 2**31): ".embedding_length = 2147483648 is beyond",
            ("embedding_length", 1024): ".embedding_length = 1024, but token_embd is 512 wide",
            ("block_count", 0): ".block_count = 0, which no model has",
            ("block_count", 10**6): ".block_count = 1000000 is beyond",
            ("context_length", 0): ".context_length = 0, which no model has",
            ("feed_forward_length", 0): ".feed_forward_length = 0, but blk.0.ffn_down needs more",
            ("feed_forward_length", 2**30): ".feed_forward_length = 1073741824 is beyond",
            ("expert_used_count", 9): ".expert_used_count = 9 of expert_count = 0",
            ("nextn_predict_layers", 4): ".nextn_predict_layers leaves no layer",
        }
        for number, (key, value) in enumerate(wrong):
            model(self.file(f"{number}.gguf"), 4, 512, more={key: value})
        model(self.file("good.gguf"), 4, 512, more={"attention.key_length": 64})
        found = self.list()
        self.assertEqual(found.pop("good.gguf")["kind"], "text")
        for number, ((key, value), words) in enumerate(wrong.items()):
            with self.subTest(key, value=value):
                entry = found[f"{number}.gguf"]
                self.assertEqual(entry["kind"], "broken")
                self.assertIn(words, entry["error"])
                result = self.world.cli("plan", self.file(f"{number}.gguf"), "--device", "cuda:16G")
                self.assertEqual(result.returncode, 2, result.stdout)
                self.assertIn(words, result.stderr)

    def test_a_mixture_without_its_count(self):
        moe = architectures.MODELS["tiny-moe"]()
        moe.values = [v for v in moe.values if not v[0].endswith(".expert_used_count")]
        moe.write(self.file("moe.gguf"), architectures.mix("q4_0", 4))
        self.assertIn("no qwen3moe.expert_used_count in its metadata", self.list()["moe.gguf"]["error"])

    def test_hostile_names_do_not_steer_the_terminal(self):
        model(self.file("a\x1b[31m\x07b.gguf"), 2, 256)
        self.assertNotIn("\x1b", self.table())
        self.assertEqual(len(self.list()), 1)

    def test_names_that_are_no_text(self):
        model(self.file("good.gguf"), 8, 1024)
        os.rename(self.file("good.gguf"), os.fsencode(self.dir) + b"/g\xff\xc3.gguf")
        model(self.file("small.gguf"), 2, 256)
        found = self.list()
        self.assertEqual(found["g\ufffd\ufffd.gguf"]["drafts"], ["small.gguf"])
        model(self.file("\u00fc\u4e16\u0085x.gguf"), 2, 256)  # U+0085 steers some terminals
        self.assertIn("g??.gguf  ", self.table())
        self.assertIn("\u00fc\u4e16??x.gguf  ", self.table())

    def test_a_presets_file_with_mistakes(self):
        with open(self.world.config, "a") as file:
            file.write("[x]\nnonsense without a model\n")
        model(self.file("m.gguf"), 2, 256)
        self.assertEqual(set(self.list()), {"m.gguf"})

    def test_drafts(self):
        model(self.file("target.gguf"), 8, 1024)
        model(self.file("z-small.gguf"), 2, 256)
        model(self.file("a-medium.gguf"), 4, 512)
        model(self.file("other.gguf"), 2, 256, odd=10)
        model(self.file("a-bit-more.gguf"), 2, 512, words=620)
        model(self.file("head.gguf"), 3, 512, mtp=1)
        found = self.list()
        self.assertEqual(found["target.gguf"]["drafts"],
                         ["z-small.gguf", "a-bit-more.gguf", "head.gguf", "a-medium.gguf"])
        self.assertEqual(found["z-small.gguf"]["drafts"], [])
        self.assertIn("drafts: z-small.gguf, a-bit-more.gguf, head.gguf and 1 more", self.table())
        self.assertIn("its own multi-token head", self.table())

    def test_fit_follows_the_machine(self):
        model(self.file("m.gguf"), 24, 4096)  # 12 GB at f16
        model(self.file("a-name-that-is-longer-than-its-column.Q4_K_M.gguf"), 2, 256)
        large = self.list("--device", "cuda:24G")["m.gguf"]["fit"]
        small = self.list("--device", "cuda:8G", "--ram", "64G")["m.gguf"]["fit"]
        none = self.list("--device", "cuda:8G", "--ram", "1G")["m.gguf"]["fit"]
        self.assertEqual((large["fits"], large["ctx"], large["ngl"]), (True, 32768, 25))
        self.assertTrue(small["fits"])
        self.assertLess(small["ngl"], 25)
        self.assertFalse(none["fits"])
        self.assertTrue(none["reason"])
        self.assertIn("a-name-that-is-longer-than-its-column.Q4_K_M.gguf\n", self.table())
        self.assertIn("layers on CPU", self.table("--device", "cuda:8G", "--ram", "64G"))
        self.assertIn(none["reason"][:40], self.table("--device", "cuda:8G", "--ram", "1G"))

    def test_no_folder(self):
        result = self.cli("/nonexistent/models")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nonexistent/models: No such file", result.stderr)

    def test_empty_folder(self):
        self.assertIn("no GGUF files here", self.table())
        self.assertEqual(self.list(), {})

    def test_options(self):
        self.assertEqual(self.cli("--device", "toaster").returncode, 2)
        self.assertEqual(self.cli("a", "b").returncode, 2)
        self.assertIn("usage: ancalagon models", self.cli("--help").stdout)

    def test_many(self):
        for i in range(200):
            model(self.file(f"m{i}.gguf"), 2, 256 * (1 + i % 3), words=5000)
        self.assertEqual(len(self.list()), 200)


class Fork(Scenario):
    """A file of 3-bit tensors that only one fork reads, on machines with and without it."""

    world_type = GpuWorld
    autostart = False
    presets = {"a": {"default": "true"}}
    FORK = "turbo-tan/llama.cpp-tq3"

    def setUp(self):
        super().setUp()
        self.path = self.world.path("models", "a.gguf")
        model(self.path, 4, 512, kind="tq3_4s")

    def add_fork(self, preset="b"):
        fork = self.world.path("bin", "llama-server-gpu-turbo")
        shutil.copy(binary("fake_llama"), fork)
        self.world.presets[preset] = {**self.world.presets.get(preset, {}), "model": f"{preset}.gguf",
                                      "engine": fork}
        if preset != "a":
            model(self.world.path("models", f"{preset}.gguf"), 2, 256)
            self.world.fake(preset)
        self.world.write_config()
        return fork

    def listed(self):
        result = self.world.cli("models", "--json", "--config", self.world.config)
        return next(m for m in json.loads(result.stdout)["models"] if m["file"] == "a.gguf")

    def refused(self):
        self.world.start()
        reply = self.chat()
        self.assertEqual(reply.status, 503, reply)
        self.assertEqual(self.world.engines(), [])
        return reply.json()["error"]["message"]

    def test_sized_and_named_everywhere(self):
        model = self.listed()
        self.assertEqual((model["quantisation"], model["foreign_type"], model["needs"], model["engine"]),
                         ("TQ3_4S", "TQ3_4S", self.FORK, None))
        self.assertTrue(model["fit"]["fits"])
        table = self.world.cli("models", "--config", self.world.config).stdout
        self.assertIn(self.FORK, table)
        plan = self.world.cli("plan", self.path, "--device", "cuda:16G").stdout
        self.assertIn(self.FORK, plan)
        self.assertIn("TQ3_4S", plan)
        found = self.world.cli("check-config", "--config", self.world.config)
        self.assertEqual(found.returncode, 3, found.stdout)
        self.assertIn(self.FORK, found.stdout)
        message = self.refused()
        self.assertIn(self.FORK, message)
        self.assertIn("engine =", message)

    def test_the_presets_own_engine_is_the_fork(self):
        fork = self.add_fork("a")
        self.assertEqual(self.listed()["engine"], fork)
        found = self.world.cli("check-config", "--config", self.world.config)
        self.assertEqual(found.returncode, 0, found.stdout)
        self.world.start()
        self.chat_ok()
        self.assertEqual(self.world.argv()[0], fork)

    def test_another_presets_engine_is_the_fork(self):
        fork = self.add_fork()
        self.world.presets["a"]["engine"] = "default"
        self.world.write_config()
        env = {"ANCALAGON_ENGINE": self.world.engine}
        os.environ.update(env)
        self.addCleanup(os.environ.pop, "ANCALAGON_ENGINE")
        plain = self.world.environment
        self.world.environment = lambda **more: plain(**env, **more)
        found = self.world.cli("check-config", "--config", self.world.config)
        self.assertEqual(found.returncode, 0, found.stdout)
        self.world.start()
        self.chat_ok()
        self.assertEqual(self.world.argv()[0], fork)
        self.assertIn(f"read by {fork}", self.world.cli("models", "--config", self.world.config).stdout)

    def test_a_named_engine_is_not_replaced(self):
        self.add_fork()  # it is there, but preset a says which engine it wants
        self.assertIn(self.FORK, self.refused())

    def test_other_forks(self):
        model(self.path, 4, 512, kind="f16")
        with open(self.path, "r+b") as file:  # every f16 tensor (1) becomes an IQ4_K of ik's (139)
            data = file.read()
            at = data.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4 + 16
            file.seek(at)
            file.write((139).to_bytes(4, "little"))
        self.assertEqual(self.listed()["needs"], "ikawrakow/ik_llama.cpp")
        self.assertIn("ikawrakow/ik_llama.cpp", self.refused())


if __name__ == "__main__":
    unittest.main()
