"""Memory: what a preset takes is reckoned before anything is stopped or started for it.

The fake lists whatever devices a test writes beside its binary; the models are sparse files of real
shapes (tests/models), so that the numbers are those of real ones.
"""
import contextlib
import json
import os
import sys
import threading

from harness import (ANTHROPIC, OPENAI, Scenario, World, assert_error_body, binary, eventually,
                     scaled)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
import make_gguf  # noqa: E402

CARD = "  CUDA0: NVIDIA GeForce RTX 4070 Ti SUPER ({} MiB, {} MiB free)\n"
BIG = "64K"  # of qwen2.5-7b at f16: 3.5 GiB of cache


class PlanWorld(World):
    """Presets name their model's shape; `model_file` makes it."""

    shapes = {}

    def model_file(self, name):
        shape = self.shapes.get(name)
        if shape is None:
            return super().model_file(name)
        make_gguf.make(shape[0], self.path("models", f"{name}.gguf"), *shape[1:])

    def device(self, total=16063, free=15652, text=None):
        path = self.engine + ".devices"
        with open(path + ".tmp", "w") as file:
            file.write(CARD.format(total, free) if text is None else text)
        os.rename(path + ".tmp", path)

    def argv(self, name):
        """What the newest engine of a preset was started with."""
        mark = f"models/{name}.gguf"
        logs = [log for log in self.engine_logs() if any(mark in word for word in log["argv"])]
        assert logs, f"no engine of {name} was ever started"
        return max(logs, key=lambda log: log["start_ns"])["argv"]

    def flag(self, name, *spellings):
        argv = self.argv(name)
        for spelling in spellings:
            if spelling in argv:
                return argv[argv.index(spelling) + 1]
        return None

    def plan(self, *args):
        done = self.cli("plan", *args, "--json", "--config", self.config)
        return json.loads(done.stdout)


class Planned(Scenario):
    autostart = False
    shapes = {"a": ("tiny-llama",)}
    presets = {"a": {}}

    def world_type(self, *args):
        shapes = self.shapes

        class Made(PlanWorld):
            pass
        Made.shapes = shapes
        return Made(*args)

    def setUp(self):
        super().setUp()
        self.world.device()

    def switch(self, name):
        return self.world.control("POST", "/switch", {"preset": name}, 30)

    def load(self, name):
        reply = self.switch(name)
        self.assertEqual(reply.status, 200, f"{reply}\n{self.world.server_log()[-1500:]}")
        return reply.json()["engine_pid"]


class Open(Planned):
    shapes = {"coder": ("qwen3-coder-30b",), "dense": ("qwen2.5-7b",), "cpu": ("qwen2.5-0.5b",)}
    presets = {"coder": {"ctx": "96K", "kv": "q4_0", "n-cpu-moe": "auto", "parallel": "1"},
               "dense": {"ctx": "max", "parallel": "1"},
               "cpu": {"ctx": "max", "kv": "auto", "parallel": "1"}}

    def test_open_settings_reach_the_engine_as_numbers(self):
        world = self.world
        plans = {name: world.plan(name) for name in ("coder", "dense")}
        world.start()
        for name, plan in plans.items():
            with self.subTest(name):
                self.load(name)
                self.assertTrue(plan["fits"], plan)
                argv = world.argv(name)
                self.assertEqual(world.flag(name, "--ctx-size", "-c"), str(plan["ctx"]))
                self.assertEqual(world.flag(name, "--gpu-layers", "--n-gpu-layers", "-ngl"),
                                 str(plan["settings"]["ngl"]))
                self.assertEqual(world.flag(name, "--fit", "-fit"), "off", argv)
                self.assertNotIn("auto", argv)
                self.assertNotIn("max", argv)
        plan = plans["coder"]
        self.assertEqual(world.flag("coder", "--n-cpu-moe", "-ncmoe"),
                         str(plan["settings"]["n_cpu_moe"]))
        self.assertEqual(plan["ctx"], 98304)
        self.assertGreater(plan["settings"]["n_cpu_moe"], 0, "18 GB do not fit whole")
        self.assertLess(plan["settings"]["n_cpu_moe"], 48)

    def test_without_an_engine(self):
        """A plan needs no engine, only the machine's description."""
        here = self.world.plan("coder", "--device", "cuda:16G")
        os.unlink(self.world.engine)
        there = self.world.plan("coder", "--device", "cuda:16G")
        self.assertEqual(here["settings"], there["settings"])
        self.assertIn("there is no engine", " ".join(there["notes"]))

    def test_what_is_told_stays(self):
        """gpu-layers by the user's word; auto is no word."""
        world = self.world.start()
        for layers, expected in (("40", "40"), ("auto", "49")):
            with self.subTest(layers):
                world.control("POST", "/off", {})
                world.presets["coder"]["gpu-layers"] = layers
                world.write_config()
                plan = world.plan("coder")
                self.assertEqual(plan["settings"]["ngl"], int(expected))
                self.assertTrue(plan["fits"], plan["reason"])
                world.control("POST", "/reload", {})
                self.load("coder")
                self.assertEqual(world.flag("coder", "--gpu-layers", "--n-gpu-layers", "-ngl"),
                                 expected)
                self.assertEqual(world.flag("coder", "--n-cpu-moe", "-ncmoe"),
                                 str(plan["settings"]["n_cpu_moe"]))

    def test_the_largest_context_is_the_largest(self):
        """One step more would not fit, by the plan's own word."""
        plan = self.world.plan("dense")
        self.assertTrue(plan["fits"])
        if plan["ctx"] < 131072:
            more = self.world.plan("dense", "--ctx", str(plan["ctx"] + 1024))
            self.assertFalse(more["fits"], more)
        small = self.world.plan("dense", "--device", "cuda:8G")
        self.assertTrue(small["fits"])
        self.assertLess(small["ctx"], plan["ctx"])

    def test_without_a_device_all_is_host_memory(self):
        self.world.device(text="")
        self.world.start()
        self.load("cpu")
        argv = self.world.argv("cpu")
        self.assertEqual(self.world.flag("cpu", "--ctx-size", "-c"), "32768", argv)
        self.assertEqual(self.world.flag("cpu", "--cache-type-k", "-ctk"), "f16", argv)
        self.assertEqual(self.world.flag("cpu", "--cache-type-v", "-ctv"), "f16", argv)
        self.assertEqual(self.world.flag("cpu", "--fit", "-fit"), "off", argv)
        self.assertIsNone(self.world.flag("cpu", "--gpu-layers", "--n-gpu-layers", "-ngl"))

    def test_plan_off_leaves_it_to_the_engine(self):
        self.world.presets["coder"].update({"plan": "off", "n-cpu-moe": "16"})
        del self.world.presets["dense"]["ctx"]
        self.world.presets["dense"]["plan"] = "off"
        self.world.write_config()
        self.world.start()
        self.load("dense")
        argv = self.world.argv("dense")
        for flag in ("--ctx-size", "--n-gpu-layers", "--gpu-layers", "--fit"):
            self.assertNotIn(flag, argv)

    def test_words_without_a_plan_are_a_mistake(self):
        self.world.presets["dense"]["plan"] = "off"
        self.world.write_config()
        done = self.world.cli("check-config", "--config", self.world.config)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn("ctx = max needs a plan", done.stdout)


class Host(Planned):
    """No GPU, and weights beyond this machine's memory."""
    shapes = {"a": ("qwen2.5-0.5b",), "huge": ("qwen3-coder-30b", "f32")}
    presets = {"a": {"ctx": "8K", "parallel": "1"},
               "huge": {"ctx": "8K", "parallel": "1"}}

    def setUp(self):
        super().setUp()
        self.world.device(text="Available devices:\n")
        with open("/proc/meminfo") as file:
            total = int(file.readline().split()[1]) >> 10
        if total > 110000:
            self.skipTest("this machine has room for it")

    def test_weights_that_must_be_in_memory(self):
        self.world.start()
        pid = self.load("a")
        for name, value in (("mmap", "off"), ("mlock", "on"), ("load-mode", "none")):
            with self.subTest(name):
                self.world.presets["huge"][name] = value
                self.world.write_config()
                self.world.control("POST", "/reload", {})
                reply = self.switch("huge")
                self.assertEqual(reply.status, 422, reply)
                self.assertRegex(reply.json()["error"]["message"], r"host memory has \d+ MiB, \d+ too")
                self.assertEqual(self.world.status()["engine_pid"], pid)
                del self.world.presets["huge"][name]

    def test_weights_that_are_mapped(self):
        """They can be read again and again: that is told, and left to the user."""
        self.world.start()
        self.load("huge")
        self.assertIn("read from the disk again and again", self.world.server_log())


class Refused(Planned):
    """The running model stays when the other one cannot fit."""
    shapes = {"a": ("qwen2.5-0.5b",), "big": ("qwen3.6-27b",), "b": ("qwen2.5-7b",)}
    presets = {"a": {"ctx": "8K", "parallel": "1"},
               "big": {"ctx": "48K", "gpu-layers": "99", "kv": "q8_0", "parallel": "1"},
               "b": {"ctx": BIG, "gpu-layers": "99", "parallel": "1"}}

    def assert_reason(self, text):
        self.assertRegex(text, r"CUDA0 has \d+ MiB, \d+ too little: weights \d+ \+ KV cache \d+")
        self.assertRegex(text, r"What would: .*(ctx = \d+|kv = q4_0|gpu-layers = \d+)")

    def test_the_running_one_is_untouched(self):
        world = self.world.start()
        pid = self.load("a")
        stream = self.open_stream("a", fake={"tokens": 60, "interval_ms": 20})
        events = stream.events()
        next(events)
        reply = self.switch("big")
        self.assertEqual(reply.status, 422, reply)
        self.assert_reason(reply.json()["error"]["message"])
        for path in (OPENAI, ANTHROPIC):
            with self.subTest(path):
                refused = self.chat("big", path)
                self.assertEqual(refused.status, 503)
                self.assert_reason(assert_error_body(self, path, refused))
        refused = self.open_stream("big")
        self.assertEqual(refused.status, 503)
        refused.close()
        done = world.cli("big", "--config", world.config, program="lmswitch")
        self.assertEqual(done.returncode, 1, done)
        self.assert_reason(done.stderr)
        self.assertEqual(list(events)[-1].data, "[DONE]", "its stream went on to its end")
        stream.close()
        status = world.status()
        self.assertEqual((status["preset"], status["state"], status["engine_pid"]),
                         ("a", "ready", pid))
        big = next(p for p in status["presets"] if p["name"] == "big")
        self.assert_reason(big["error"])

    def test_other_programs_count_and_go(self):
        """What is free is asked when it is wanted, not remembered."""
        world = self.world
        world.device(free=6000)
        world.start()
        self.assertEqual(self.switch("b").status, 422)
        world.device()
        pid = self.load("b")
        world.device(free=6000)  # somebody came: what runs is not asked again
        self.chat_ok("b")
        self.assertEqual(world.status()["engine_pid"], pid)

    def test_what_the_loaded_one_holds_is_free_for_the_next(self):
        world = self.world.start()
        self.load("b")
        held = world.plan("b", "--device", "cuda:15652M")["devices"][0]["total_mib"]
        world.device(free=15652 - int(held))
        world.presets["c"] = {"model": "b.gguf", "ctx": "48K", "gpu-layers": "99", "parallel": "1"}
        world.write_config()
        self.assertEqual(world.control("POST", "/reload", {}).status, 200)
        self.assertTrue(world.plan("c")["fits"], "the command counts it too")
        done = []
        thread = threading.Thread(target=lambda: done.append(self.switch("c")))
        thread.start()
        # The driver takes its time: the start waits for what was counted on.
        eventually(lambda: not world.engine_pids() and world.status()["preset"] == "c",
                   "the old engine is gone, the new one waits")
        self.assertEqual(done, [])
        world.device()
        thread.join(scaled(30))
        self.assertEqual(done[0].status, 200, done)

    def test_memory_that_never_comes_back(self):
        """Promised to the next one, and taken by somebody else meanwhile: the old one returns."""
        world = self.world.start()
        self.load("b")
        held = int(world.plan("b", "--device", "cuda:15652M")["devices"][0]["total_mib"])
        world.device(free=15652 - held)
        world.presets["c"] = {"model": "b.gguf", "ctx": "128K", "gpu-layers": "99", "parallel": "1"}
        world.write_config()
        self.assertEqual(world.control("POST", "/reload", {}).status, 200)
        done = []
        thread = threading.Thread(target=lambda: done.append(self.switch("c")))
        thread.start()
        eventually(lambda: not world.engine_pids() and world.status()["preset"] == "c",
                   "the old engine is gone, the new one waits")
        world.device(free=held + 600)  # enough for the old one
        thread.join(scaled(30))
        self.assertEqual(done[0].status, 502, done)
        self.assertIn("too little", done[0].body.decode())
        self.wait_state("ready", "b")

    def test_a_reload_that_does_not_fit_leaves_what_runs(self):
        world = self.world.start()
        pid = self.load("b")
        world.presets["b"]["ctx"] = "512K"
        world.write_config()
        self.assertEqual(world.control("POST", "/reload", {}).status, 200)
        eventually(lambda: world.status()["error"], "it is told")
        self.assertEqual(world.status()["engine_pid"], pid)
        self.chat_ok("b")
        world.presets["b"]["ctx"] = "32K"
        world.write_config()
        world.control("POST", "/reload", {})
        eventually(lambda: world.flag("b", "--ctx-size", "-c") == "32768", "the new one came")
        self.wait_state("ready", "b")

    def test_a_tight_fit_is_the_users_choice(self):
        """All layers by the user's word, and too little for our margin only: it runs, with a note."""
        world = self.world
        total = world.plan("b", "--device", "cuda:15652M")["devices"][0]["total_mib"]
        world.device(total=int(total) + 200, free=int(total) + 100)
        world.start()
        self.load("b")
        self.assertIn("a tight fit", world.server_log())

    def test_settings_that_move_tensors_are_not_judged(self):
        world = self.world
        world.presets["big"]["override-tensor"] = "ffn=CPU"
        world.write_config()
        world.start()
        self.load("big")


class SharedCard(Planned):
    shapes = {"a": ("qwen2.5-7b",)}
    presets = {"a": {"ctx": BIG, "gpu-layers": "99", "parallel": "1"},
               "other": {"group": "second", "model": "a.gguf", "ctx": BIG, "gpu-layers": "99",
                         "parallel": "1"}}

    def model_file(self, name):
        pass

    def test_two_groups_share_a_card(self):
        world = self.world.start()
        pid = self.load("a")
        held = world.plan("a", "--device", "cuda:15652M")["devices"][0]["total_mib"]
        world.device(free=15652 - int(held))
        reply = self.switch("other")
        self.assertEqual(reply.status, 422, reply)
        self.assertIn("too little", reply.body.decode())
        self.assertEqual(world.status()["engine_pid"], pid)
        world.control("POST", "/off", {"only": "a"})
        eventually(lambda: not world.engine_pids(), "it is off")
        world.device()
        self.load("other")


class Guards(Planned):
    shapes = {"a": ("qwen2.5-0.5b",), "tq3": ("qwen2.5-7b", "tq3_4s")}
    presets = {"a": {"ctx": "4K", "parallel": "1"}, "tq3": {"ctx": "4K", "parallel": "1"}}

    def everywhere(self, keys, pattern):
        """check-config, plan and the server say the same."""
        world = self.world
        world.presets["a"].update(keys)
        world.write_config()
        done = world.cli("check-config", "--config", world.config)
        self.assertEqual(done.returncode, 3, done)
        self.assertRegex(done.stdout, pattern)
        done = world.cli("plan", "a", "--config", world.config)
        self.assertIn(done.returncode, (1, 3), done)
        self.assertRegex(done.stdout + done.stderr, pattern)
        return done

    def test_unequal_cache_types(self):
        self.everywhere({"cache-type-k": "q8_0", "cache-type-v": "q4_0"}, "types differ")
        done = self.world.cli("serve", "--config", self.world.config)
        self.assertEqual(done.returncode, 3, done)

    def test_quantised_values_without_flash_attention(self):
        self.everywhere({"kv": "q8_0", "flash-attn": "off"}, "needs flash attention")
        self.world.start()
        reply = self.switch("a")
        self.assertEqual(reply.status, 422)
        self.assertIn("needs flash attention", reply.body.decode())
        self.assertEqual(self.world.engine_logs(), [], "nothing was started for it")

    def test_more_context_than_trained(self):
        world = self.world
        del world.presets["tq3"]  # no engine here reads it, which is an error of its own
        world.presets["a"]["ctx"] = "64K"
        world.write_config()
        done = world.cli("check-config", "--config", world.config)
        self.assertEqual(done.returncode, 0, done)
        self.assertRegex(done.stdout, r"warning: .*trained for 32768 tokens")
        self.assertIn("trained for 32768", world.cli("plan", "a", "--config", world.config).stdout)
        world.start()
        self.load("a")
        self.assertIn("trained for 32768", world.server_log())
        world.presets["a"]["rope-scaling"] = "yarn"
        world.write_config()
        done = world.cli("check-config", "--config", world.config)
        self.assertNotIn("trained for", done.stdout)

    def test_what_does_not_fit(self):
        self.world.device(total=2048, free=2000)
        self.everywhere({"ctx": "256K", "gpu-layers": "99"}, r"CUDA0 has .* too little")


class Learned(Planned):
    server = {"stop-grace": "30s"}  # a fake that is killed says nothing at its end

    shapes = {"a": ("qwen2.5-7b",)}
    presets = {"a": {"ctx": "8K", "parallel": "1"}}

    def reports(self, factor=1.0, unaccounted=411 + 700):
        """The engine tells the plan's own figures back, times a factor."""
        world = self.world
        plan = world.plan("a")
        device, host = plan["devices"][0], plan["host"]
        lines = ["llama_context: constructing llama_context"]
        for name, part in (("CUDA0", device), ("CPU", host)):
            for kind, key in (("model", "weights"), ("KV", "kv"), ("compute", "compute")):
                lines.append(f"x: {name} {kind} buffer size = {part[key + '_mib'] * factor:.2f} MiB")
        lines.append(f"x: CPU output buffer size = {host['overhead_mib'] * factor:.2f} MiB")
        with open(world.path("report"), "w") as file:
            file.write("\n".join(lines) + "\n")
        used = int(device["total_mib"] - device["overhead_mib"])
        with open(world.path("report_end"), "w") as file:
            file.write("common_memory_breakdown_print: | memory breakdown [MiB] | total free |\n"
                       "common_memory_breakdown_print: |   - CUDA0 (RTX 4070 Ti SUPER) | 16063 = "
                       f"{16063 - used - unaccounted} + ({used} = {used} + 0 + 0) + {unaccounted} |\n"
                       "common_memory_breakdown_print: |   - Host |  804 = 682 + 0 + 122 |\n")
        world.fake("a", report=world.path("report"), report_end=world.path("report_end"))

    def memory(self):
        preset = next(p for p in self.world.status()["presets"] if p["name"] == "a")
        return preset["memory"]

    def off(self):
        self.world.control("POST", "/off", {})
        eventually(lambda: not self.world.engine_pids(), "it is off")

    def test_a_plan_that_holds(self):
        world = self.world
        self.reports()
        world.start()
        self.load("a")
        self.assertEqual(world.flag("a", "--verbosity", "-lv"), "4")
        memory = eventually(self.memory, "it was measured")
        self.assertLess(abs(memory["difference_percent"]), 0.1)
        self.assertFalse(memory["differs"])
        self.assertNotIn("plan.differs", world.server_log())
        text = world.cli("status", "--config", world.config).stdout
        self.assertRegex(text, r"memory: planned \d+ MiB, measured \d+")
        self.off()
        self.load("a")
        self.assertIsNone(world.flag("a", "--verbosity", "-lv"), "known: no need to ask again")
        measured = eventually(lambda: world.plan("a").get("measured"), "it is written")
        self.assertAlmostEqual(measured["difference_percent"], 0, delta=0.1)
        self.assertIn("last measured", world.cli("plan", "a", "--config", world.config).stdout)

    def test_what_the_driver_takes_is_learned(self):
        world = self.world
        self.assertEqual(world.plan("a")["devices"][0]["overhead_mib"], 500, "the usual figure")
        self.reports(unaccounted=411 + 700)  # 411 MiB were in use before it came
        world.start()
        self.load("a")
        eventually(self.memory, "it was measured")
        self.off()
        eventually(lambda: world.plan("a")["devices"][0]["overhead_mib"] == 700, "it is learned")
        world.device(text="  CUDA0: NVIDIA GeForce RTX 5060 (16063 MiB, 15652 MiB free)\n")
        self.assertEqual(world.plan("a")["devices"][0]["overhead_mib"], 500, "another card's is not")

    def test_a_plan_that_does_not_hold_is_told(self):
        world = self.world
        self.reports(factor=1.05)
        world.start()
        self.load("a")
        memory = eventually(self.memory, "it was measured")
        self.assertTrue(memory["differs"])
        self.assertAlmostEqual(memory["difference_percent"], 5, delta=0.2)
        self.assertRegex(world.server_log(), r"plan.differs preset=a why=.*\+5.\d %")
        self.assertIn("differs", world.cli("status", "--config", world.config).stdout)
        eventually(lambda: world.plan("a").get("measured"), "it is written")
        done = world.cli("plan", "a", "--config", world.config)
        self.assertRegex(done.stdout, r"\+5.\d %")

    def test_a_user_who_sets_the_verbosity_is_left_alone(self):
        self.world.presets["a"]["verbosity"] = "2"
        self.world.write_config()
        self.world.start()
        self.load("a")
        self.assertEqual(self.world.flag("a", "--verbosity", "-lv"), "2")

    def test_a_broken_store_breaks_nothing(self):
        world = self.world
        self.reports()
        path = world.path("state", "ancalagon", "memory.json")
        os.makedirs(os.path.dirname(path), mode=0o700)
        good = {"version": 1, "cards": [{"card": 7}, None, [], {"card": "NVIDIA GeForce RTX 4070 "
                "Ti SUPER", "kind": "cuda", "total_mib": 16063, "engine": "11434 (fake)",
                "overhead_mib": -5}], "presets": {"a": {"parts": [1, {"name": 3}], "ctx": -1}}}
        for text in ("", "{", "[]", "null", '{"version": 2, "cards": [], "presets": {}}',
                     '{"version": 1, "cards": {}, "presets": []}', json.dumps(good),
                     "\0" * 100, '{"version": 1'):
            with self.subTest(text[:30]):
                with open(path, "w") as file:
                    file.write(text)
                self.assertTrue(world.plan("a")["fits"])
        world.start()
        self.load("a")
        eventually(self.memory, "it was measured")

        def whole():
            with open(path) as file, contextlib.suppress(ValueError, LookupError):
                return json.load(file)["presets"]["a"]["engine"]
        self.assertEqual(eventually(whole, "it is whole again"), "11434 (fake)")


class Files(Planned):
    shapes = {"a": ("qwen2.5-0.5b",), "b": ("qwen2.5-0.5b",)}
    presets = {"a": {"ctx": "4K", "parallel": "1"}, "b": {"ctx": "4K", "parallel": "1"}}

    def test_a_changed_file_is_read_again(self):
        world = self.world.start()
        self.load("a")
        path = world.path("models", "b.gguf")
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) // 2)
        reply = self.switch("b")
        self.assertEqual(reply.status, 422, reply)
        self.assertIn("incomplete", reply.body.decode())
        os.unlink(path)
        reply = self.switch("b")
        self.assertIn("cannot read the model", reply.body.decode())
        make_gguf.make("qwen2.5-0.5b", path)
        self.load("b")

    def test_a_file_that_is_no_gguf_is_the_engines_affair(self):
        world = self.world
        with open(world.path("models", "b.gguf"), "wb") as file:
            file.write(b"GGML old format")
        world.start()
        self.load("b")

    def test_many_who_ask_share_one_look(self):
        world = self.world.start()
        waiting = [self.raw_ask("a") for _ in range(40)]
        for raw in waiting:
            self.assertEqual(raw.read_reply().status, 200)
            raw.close()

    def test_who_leaves_while_it_is_decided(self):
        world = self.world.start()
        for _ in range(30):
            self.raw_ask("a").reset()

        def nobody():
            status = world.status()
            return (status["inflight"], status["queued"]) == (0, 0)
        eventually(nobody, "nobody is left")
        self.chat_ok("a")


class Hung(Planned):
    """A share that does not answer holds up whoever wants its model, and nobody else."""
    shapes = {"a": ("tiny-llama",), "b": ("tiny-llama",)}
    presets = {"a": {}, "b": {}}

    def setUp(self):
        super().setUp()
        world = self.world
        os.mkdir(world.path("models", "hung"))
        for suffix in ("", ".fake"):
            os.rename(world.path("models", f"b.gguf{suffix}"),
                      world.path("models", "hung", f"b.gguf{suffix}"))
        world.presets["b"]["model"] = world.path("models", "hung", "b.gguf")
        plain = world.environment
        library = binary("slow_disk.so")

        def environment(**more):
            env = plain(**more)
            env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
            return {**env, "LD_PRELOAD": library, "SLOW_DISK": world.path("slow")}
        world.environment = environment

    def hang(self):
        open(self.world.path("slow"), "w").close()

    def answer(self):
        os.unlink(self.world.path("slow"))

    def test_others_go_on(self):
        world = self.world
        world.write_config()
        world.start()
        pid = self.load("a")
        self.hang()
        self.raw_ask("b").reset()
        waiting = self.raw_ask("b")
        for _ in range(5):
            self.chat_ok("a")
        self.assertEqual(world.status()["engine_pid"], pid)
        self.assertEqual(world.overlaps(), [])
        self.answer()
        self.assertEqual(waiting.read_reply().status, 200)
        waiting.close()

    def test_patience_ends(self):
        world = self.world
        world.presets["b"]["load-timeout"] = "1s"
        world.write_config()
        world.start()
        pid = self.load("a")
        self.hang()
        reply = self.switch("b")
        self.assertEqual(reply.status, 422, reply)
        self.assertIn("network share", reply.body.decode())
        self.assertEqual(world.status()["engine_pid"], pid)
        self.answer()
        world.presets["b"]["load-timeout"] = "30s"  # the patience was for the share
        world.write_config()
        self.assertEqual(world.control("POST", "/reload", {}).status, 200)
        self.load("b")

    def test_the_server_ends_all_the_same(self):
        world = self.world
        world.write_config()
        world.start()
        self.load("a")
        self.hang()
        waiting = self.raw_ask("b")
        eventually(lambda: world.status()["requests"] == 1, "it has come")
        world.process.terminate()
        self.end()
        waiting.close()
