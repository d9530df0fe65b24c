"""Speculation on the real engine: it takes the draft that we choose, and loses one that does not pay."""
import contextlib
import http.client
import json
import os
import subprocess
import sys
import unittest

from harness import UnixConnection, eventually, exchange, unix_connect
from real import Real, RealWorld, engine, model

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
import architectures  # noqa: E402
import tiny_draft  # noqa: E402


class DraftWorld(RealWorld):
    """One thread: the figures of speed are no matter here."""

    def __init__(self, *_):
        super().__init__({"a": {"default": "true", "draft": "auto", "parallel": "1", "draft-max": "3"}})
        self.tiny = self.path("models", "tiny.gguf")
        tiny_draft.write(self.tiny, model())

    def learn(self, **more):
        os.makedirs(self.path("state", "ancalagon"), 0o700, exist_ok=True)
        with open(self.path("state", "ancalagon", "drafts.json"), "w") as file:
            json.dump({"drafts": [{"preset": "a", "model": self.path("models", "a.gguf"),
                                   "draft": self.tiny, "engine": "11434", **more}]}, file)

    def learned(self):
        with open(self.path("state", "ancalagon", "drafts.json")) as file:
            return json.load(file)["drafts"][0]

    def draft(self):
        return next(p for p in self.status()["presets"] if p["name"] == "a")["draft"]


class Drafts(Real):
    world_type = DraftWorld
    autostart = False

    def test_without_a_card_nothing_is_predicted_to_pay(self):
        self.world.start()
        self.chat_ok()
        self.assertFalse(self.world.draft()["on"])
        self.assertIn("not worth it", self.world.draft()["why"])
        self.assertNotIn(self.world.tiny, self.world.engine_argv())

    def test_right_guesses(self):
        """The engine's own synthetic acceptance stands in for a draft that is good."""
        self.world.learn(measured_gain=1.5, measured_tokens=2.5)
        self.world.presets["a"]["spec-synth-rates"] = "0.95,0.9,0.85"
        self.world.write_config()
        self.world.start()
        answer = self.chat_ok(max_tokens=96)
        self.assertGreater(answer["timings"]["draft_n"], 0)
        stream = self.open_stream(max_tokens=96, temperature=0, timeout=60)
        list(stream.events())
        eventually(lambda: self.world.draft()["acceptance"], "the answers' figures are known")
        draft = self.world.draft()
        self.assertTrue(draft["on"])
        self.assertEqual(draft["draft"], self.world.tiny)
        self.assertTrue(0.7 < draft["acceptance"] <= 1, draft)
        self.assertGreater(draft["gain"], 1.3)

    def test_wrong_guesses(self):
        """All weights zero: it never guesses right, whatever was measured before."""
        self.world.learn(measured_gain=1.5, measured_tokens=2.5)
        self.world.start()
        self.chat_ok(max_tokens=4)
        self.assertTrue(self.world.draft()["on"])
        with_draft = self.world.status()["engine_pid"]
        self.assertIn(self.world.tiny, self.world.engine_argv())
        for _ in range(6):
            self.chat_ok(max_tokens=100, timeout=120)
        self.wait_restarted(with_draft, 30)
        self.assertFalse(self.world.draft()["on"])
        self.assertNotIn(self.world.tiny, self.world.engine_argv())
        self.assertTrue(self.world.learned()["off"])
        self.assertLess(self.world.learned()["acceptance"], 0.2)
        self.assertNotIn("draft_n", self.chat_ok()["timings"])

    test_wrong_guesses.seconds = 240


class HeadWorld(DraftWorld):
    """A tiny model with random weights and a head that guesses for it."""

    def model_file(self, name):
        tiny = architectures.qwen35("tiny", 4, 256, 4, 2, 64, 512, 512, 4, 512, 64, 8, 4, 4096, mtp=1)
        tiny.write(self.path("models", f"{name}.gguf"), architectures.mix("f16", 5), 7)


class Heads(Real):
    world_type = HeadWorld
    autostart = False

    def test_own_head(self):
        self.world.tiny = "mtp"
        self.world.learn(measured_gain=1.5, measured_tokens=2.5)
        self.world.start()
        answer = self.chat_ok(max_tokens=32)
        self.assertGreater(answer["timings"]["draft_n"], 0)
        argv = self.world.engine_argv()
        self.assertEqual(argv[argv.index("--spec-type") + 1], "draft-mtp")
        self.assertEqual(self.world.draft()["draft"], "mtp")
        with_head = self.world.status()["engine_pid"]
        for _ in range(4):  # random weights: hardly a guess is right
            self.chat_ok(max_tokens=200)
        self.wait_restarted(with_head, 30)
        self.assertFalse(self.world.draft()["on"])
        self.assertNotIn("draft-mtp", self.world.engine_argv())
        self.assertIn("its own multi-token head was given up", self.world.draft()["why"])


class Compatible(Real):
    """Our word on which models go together is the engine's own."""

    world_type = DraftWorld
    autostart = False

    CASES = {
        "same": {},
        "another-token-4": {"words": lambda w: w[:4] + [b"<other>"] + w[5:]},
        "another-token-5": {"words": lambda w: w[:5] + [b"<other>"] + w[6:]},
        "another-last": {"words": lambda w: w[:-1] + [b"<other>"]},
        "128-fewer": {"words": lambda w: w[:-128]},
        "129-fewer": {"words": lambda w: w[:-129]},
        "128-more": {"words": lambda w: w + [b"<more%d>" % i for i in range(128)], "token_type": None},
        "an-empty-token": {"words": lambda w: w[:40] + [b""] + w[41:]},
        "begins": {"add_bos_token": True, "bos_token_id": 1},
        "begins-otherwise": {"add_bos_token": False, "bos_token_id": 2},
        "ends": {"add_eos_token": True},
    }

    def engine_takes(self, draft):
        """With synthetic rates it ends where it would else go on in silence, without speculation."""
        socket = self.world.path("run", "e.sock")
        log = open(self.world.path("engine.log"), "w+")
        process = subprocess.Popen(
            [engine(), "--model", model(), "--model-draft", draft, "--spec-type", "draft-simple",
             "--host", socket, "-c", "512", "-np", "1", "--no-warmup", "--fit", "off",
             "--spec-synth-rates", "0.5,0.4,0.3"],
            env=self.world.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            def decided():
                if process.poll() is not None:
                    return "ended"
                with contextlib.suppress(OSError):
                    return unix_connect(socket).close() or self.healthy(socket)
            return eventually(decided, "the engine is ready or ends", 60) == "ready"
        finally:
            process.kill()
            process.wait()
            log.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(socket)

    def healthy(self, socket):
        with contextlib.suppress(OSError, http.client.HTTPException):
            if exchange(UnixConnection(socket, 5), "GET", "/health").status == 200:
                return "ready"

    def test_pairs(self):
        variants = {name: self.world.path("models", f"{name}.gguf") for name in self.CASES}
        for name, change in self.CASES.items():
            tiny_draft.write(variants[name], model(), **change)
        listed = self.world.cli("models", "--json", "--config", self.world.config)
        target = next(m for m in json.loads(listed.stdout)["models"] if m["file"] == "a.gguf")
        ours = {name: f"{name}.gguf" in target["drafts"] for name in self.CASES}
        theirs = {name: self.engine_takes(path) for name, path in variants.items()}
        self.assertEqual(ours, theirs)
        self.assertEqual(len({*theirs.values()}), 2)  # else it shows nothing

    test_pairs.seconds = 240


if __name__ == "__main__":
    unittest.main()
