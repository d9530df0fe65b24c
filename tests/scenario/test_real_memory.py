"""The plan and the real llama-server: what it is told, what it says of its memory, what it reads.

An RPC worker on loopback (tools/get-engine --tool ggml-rpc-server) stands in for a GPU.
"""
import os
import shutil
import subprocess
import sys

import oracle
from harness import eventually, read_proc
from real import CACHE, Real, engine, need

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
import make_gguf  # noqa: E402


def argv_of(pid):
    return read_proc(pid, "cmdline").decode().rstrip("\0").split("\0")


def value(argv, *flags):
    for flag in flags:
        if flag in argv:
            return argv[argv.index(flag) + 1]
    return None


class Cpu(Real):
    presets = {"a": {"ctx": "max", "kv": "auto", "default": "true"}, "b": {"ctx": "1024"}}

    def preset(self, name):
        return next(p for p in self.world.status()["presets"] if p["name"] == name)

    def test_max_and_measured(self):
        """Explicit numbers, no fit pass; the engine's own figures agree; asked for them once."""
        world = self.world
        self.chat_ok("a")
        argv = argv_of(world.status()["engine_pid"])
        self.assertEqual(value(argv, "--ctx-size", "-c"), "16384")  # two slots as trained
        self.assertEqual(value(argv, "--cache-type-k", "-ctk"), "f16")
        self.assertEqual(value(argv, "--fit", "-fit"), "off")
        self.assertEqual(value(argv, "--verbosity", "-lv"), "4")
        memory = eventually(lambda: self.preset("a")["memory"], "it was measured")
        self.assertLess(abs(memory["difference_percent"]), 2, memory)
        self.chat_ok("b")
        eventually(lambda: self.preset("b")["memory"], "it was measured")
        self.chat_ok("a", text="a word that is in no log: xylophagous")
        argv = argv_of(world.status()["engine_pid"])
        self.assertIsNone(value(argv, "--verbosity", "-lv"))

    def test_no_prompt_in_what_it_says(self):
        """The level that tells of memory tells nothing of prompts."""
        world = self.world
        self.chat_ok("b", text="xylophagous zymurgy")
        argv = argv_of(world.status()["engine_pid"])
        self.assertEqual(value(argv, "--verbosity", "-lv"), "4")
        logs = world.cli("logs", "b", "--config", world.config).stdout
        self.assertIn("model buffer size", logs)
        self.assertNotIn("xylophagous", logs + world.server_log())

    def test_no_prompt_in_an_error_of_its(self):
        """llama-server prints the system prompt when it does not like a header in it."""
        system = "x-anthropic-billing-header: cch=too-long-for-it;\nYou are\nxylophagous zymurgy"
        self.chat_ok("b", path="/v1/messages", system=system)
        logs = self.world.cli("logs", "b", "--config", self.world.config).stdout
        self.assertNotIn("xylophagous", logs + self.world.server_log())


class Device(Real):
    """One preset on an RPC worker: a device whose memory the engine is asked for."""
    autostart = False
    presets = {"a": {"default": "true"}}

    def setUp(self):
        super().setUp()
        tool = need(os.path.join(CACHE, "engine", "bin", "ggml-rpc-server"), "ggml-rpc-server",
                    "tools/get-engine --tool ggml-rpc-server")
        self.rpc = self.enterContext(oracle.Workers(tool, 1)).addresses[0]
        world = self.world
        world.presets["a"].update({"rpc": self.rpc, "ctx": "4096"})
        world.write_config()
        eventually(lambda: "RPC0" in subprocess.run(
            [engine(), "--rpc", self.rpc, "--list-devices"], capture_output=True,
            text=True).stdout, "the worker answers", 20)

    def test_placed_and_measured(self):
        world = self.world.start()
        self.chat_ok("a")
        argv = argv_of(world.status()["engine_pid"])
        self.assertEqual(value(argv, "--gpu-layers", "--n-gpu-layers", "-ngl"), "31", argv)
        self.assertEqual(value(argv, "--fit", "-fit"), "off")
        preset = eventually(lambda: next((p for p in world.status()["presets"] if p["memory"]),
                                         None), "it was measured")
        self.assertLess(abs(preset["memory"]["difference_percent"]), 2, preset)
        self.assertIn("RPC0", preset["holds"])
        world.control("POST", "/off", {})

        def planned():
            return world.cli("plan", "a", "--config", world.config).stdout
        self.assertRegex(planned(), r"RPC0 +\d+")
        eventually(lambda: "last measured" in planned(), "the measure is written")


class Fork(Real):
    """A file that only a fork reads."""
    autostart = False
    check_fds = False
    presets = {"a": {"default": "true"}, "tq3": {"model": "tq3.gguf"}}

    def setUp(self):
        super().setUp()
        path = self.world.path("models", "tq3.gguf")
        os.unlink(path)
        make_gguf.make("qwen2.5-7b", path, "tq3_4s")

    def test_refused_with_its_name(self):
        world = self.world
        done = world.cli("check-config", "--config", world.config)
        self.assertEqual(done.returncode, 3, done)
        self.assertRegex(done.stdout, r"TQ3_4S tensors.*turbo-tan/llama.cpp-tq3")
        done = world.cli("plan", "tq3", "--config", world.config)
        self.assertEqual(done.returncode, 1, done)
        self.assertRegex(done.stdout, r"turbo-tan/llama.cpp-tq3")
        self.assertRegex(done.stdout, r"host +\d{4}")  # sized all the same
        world.start()
        self.chat_ok("a")
        pid = world.status()["engine_pid"]
        reply = world.control("POST", "/switch", {"preset": "tq3"})
        self.assertEqual(reply.status, 422, reply)
        self.assertIn("turbo-tan/llama.cpp-tq3", reply.body.decode())
        self.assertEqual(world.status()["engine_pid"], pid)

    def test_sent_to_a_build_that_has_it(self):
        """Told by what is in the binary: the same build, with the type's name in a library of it."""
        world = self.world
        folder = world.path("fork")
        os.mkdir(folder)
        shutil.copy(engine(), os.path.join(folder, "llama-server"))
        with open(os.path.join(folder, "llama-server"), "ab") as file:
            file.write(b"\0tq3_4s\0")
        world.presets["tq3"]["engine"] = os.path.join(folder, "llama-server")
        world.presets["tq3"]["ctx"] = "1024"
        world.write_config()
        done = world.cli("check-config", "--config", world.config)
        self.assertEqual(done.returncode, 0, done)
