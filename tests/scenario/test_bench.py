"""ancalagon bench: figures right to the digit, engines that fail meanwhile, and nothing left behind."""
import contextlib
import glob
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

from harness import Trials, binary, eventually, scaled
from real import Real, model

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models"))
import make_gguf  # noqa: E402

alone = True  # it measures the time of runs

EXACT = {"prompt_us": 2000, "predict_us": 10000}  # 500 and 100 tok/s
SMALL = ("--prompt", "64", "--predict", "16", "--depth", "256")


class Bench(Trials):
    command = "bench"

    def bench(self, *args, **more):
        return self.run_command(*args, **more)

    def figures(self, *args, **more):
        return json.loads(self.bench(*args, "--json", **more).stdout)

    def end_bench(self, process):
        out, err = process.communicate(timeout=scaled(30))
        return process.returncode, out, err

    def wait_tokens(self, count):
        def reached():
            stats = self.world.stats_if_any()
            return stats and stats["tokens"] >= count
        eventually(reached, f"{count} tokens")


class Figures(Bench):
    def test_exact(self):
        self.world.fake("a", drafted=2, **EXACT)
        found = self.figures("a", *SMALL)
        side, = found["sides"]
        self.assertEqual([point["prompt_tokens"] for point in side["points"]], [64, 256])
        for point in side["points"]:
            self.assertEqual(point["prefill_tok_s"]["values"], [500.0] * 3)
            self.assertEqual(point["decode_tok_s"]["values"], [100.0] * 3)
            self.assertEqual(point["prefill_tok_s"]["mad"], 0)
            self.assertEqual(point["cached_tokens"], 0)
            self.assertEqual((point["draft_tokens"], point["draft_accepted"]), (96, 96))
        self.assertEqual(len(side["load_ms"]["values"]), 1)
        self.assertEqual(side["preset"], "a")
        self.assertEqual(side["engine"], self.world.engine)
        self.assertIn("11434", side["engine_version"])
        self.assertGreater(side["peak_rss_bytes"], 0)
        self.assertIsNone(found["ratio"])
        self.assertTrue(found["complete"])

    def test_spread(self):
        """Each run is a tenth slower than the one before; the warm-up, run 0, does not count."""
        self.world.fake("a", drift=100, **EXACT)
        side, = self.figures("a", *SMALL)["sides"]
        short, deep = side["points"]
        for got, slowness in ((short, (1.1, 1.3, 1.5)), (deep, (1.2, 1.4, 1.6))):
            for figure, full in (("prefill_tok_s", 500), ("decode_tok_s", 100)):
                wanted = [full / slow for slow in slowness]
                for value, want in zip(got[figure]["values"], wanted, strict=True):
                    self.assertAlmostEqual(value, want, places=2)
                self.assertAlmostEqual(got[figure]["median"], wanted[1], places=2)
                self.assertAlmostEqual(got[figure]["min"], wanted[2], places=2)
                self.assertAlmostEqual(got[figure]["max"], wanted[0], places=2)
        text = self.bench("a", *SMALL).stdout
        self.assertIn("prefill of 64         385 tok/s (333..455)", text)
        self.assertIn("decode after 256      71.4 tok/s (62.5..83.3)", text)
        self.assertIn("last time", text)

    def test_markdown(self):
        self.world.fake("a", **EXACT)
        self.world.fake("b", prompt_us=1000, predict_us=8000)
        lines = self.bench("a", "--vs", "b", "--depth", "0", "--prompt", "64", "--predict", "16",
                           "--repeat", "1", "--markdown").stdout.splitlines()
        self.assertEqual(len(lines), 5)
        self.assertEqual({line.count("|") for line in lines}, {lines[0].count("|")})
        self.assertTrue(lines[2].endswith("| 500 | 100 |"), lines[2])
        self.assertTrue(lines[3].endswith("| 1000 | 125 |"), lines[3])
        self.assertTrue(lines[4].endswith("| 2.00 x | 1.25 x |"), lines[4])

    def test_depth_by_itself(self):
        """Fast: the longest. Slow: none that would take minutes. In a small context: what fits."""
        for us, ctx, wanted in ((100, 100000, [512, 8192]), (100, 3000, [512, 2048]),
                                (50000, 100000, [512]), (100, 400, [200])):
            with self.subTest(us=us, ctx=ctx):
                self.world.fake("a", prompt_us=us, predict_us=100, n_ctx=ctx)
                side, = self.figures("a", "--repeat", "1")["sides"]
                self.assertEqual([point["prompt_tokens"] for point in side["points"]], wanted)

    def test_context_too_small(self):
        self.world.fake("a", n_ctx=1024)
        result = self.bench("a", "--depth", "4K", status=1)
        self.assertIn("context of 1024", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_context_too_small_by_the_plan(self):
        """Then no engine is started to find out, on neither side."""
        for name, ctx in (("a", "8K"), ("b", "4K")):
            make_gguf.make("qwen2.5-0.5b", self.world.path("models", f"{name}.gguf"))
            self.world.presets[name].update({"ctx": ctx, "parallel": "1"})
        self.world.write_config()
        for args in (("b", "--depth", "1K", "--depth", "4000"), ("b", "--prompt", "5K"),
                     ("a", "--vs", "b", "--depth", "5K")):
            with self.subTest(args):
                result = self.bench(*args, status=1)
                self.assertIn("b: a prompt of", result.stderr)
                self.assertIn("context of 4096 for each request", result.stderr)
                self.assertEqual(self.world.engine_logs(), [], "nothing was started for it")
        self.world.fake("b", n_ctx=4096, **EXACT)
        side, = self.figures("b", "--depth", "3968", "--repeat", "1")["sides"]
        self.assertEqual([point["prompt_tokens"] for point in side["points"]], [512, 3968])

    def test_cache_is_told(self):
        self.world.fake("a", cached=17, **EXACT)
        self.assertIn("beware: 17 tokens of a prompt came from a cache",
                      self.bench("a", *SMALL).stdout)

    def test_last(self):
        self.assertIn("not measured yet", self.bench("a", "--last", status=1).stderr)
        self.world.fake("a", **EXACT)
        self.bench("a", *SMALL)
        runs = len(self.world.engine_logs())
        self.assertIn("500 tok/s", self.bench("a", "--last").stdout)
        self.assertEqual(len(self.world.engine_logs()), runs, "it only looks")
        self.assertEqual(len(self.figures("a", "--last")["sides"]), 1)

    def test_presets_settings_and_sandbox(self):
        """The engine runs as the server would run it."""
        self.world.presets["a"].update({"ctx": "16K", "threads": "3"})
        self.world.write_config()
        self.world.fake("a", **EXACT)
        self.bench("a", *SMALL)
        argv = self.world.engine_logs()[-1]["argv"]
        self.assertEqual(argv[argv.index("--ctx-size") + 1], "16384")
        self.assertEqual(argv[argv.index("--threads") + 1], "3")
        self.assertEqual(argv[argv.index("--cache-ram") + 1], "0")
        self.assertTrue(argv[argv.index("--host") + 1].endswith(".sock"), argv)


class Progress(Bench):
    def test_on_a_terminal(self):
        """What goes on, and how long it will take, on one line that is gone at the end."""
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        self.world.fake("a", first_ms=150, interval_ms=15, **EXACT)
        process = subprocess.Popen(
            [binary("ancalagon"), "bench", "a", "--prompt", "64", "--predict", "16", "--depth",
             "0", "--config", self.world.config], env=self.world.environment(TERM="xterm"),
            cwd=self.world.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=slave)
        os.close(slave)
        seen = b""
        with contextlib.suppress(OSError):  # EIO: the other end is closed
            while piece := os.read(master, 65536):
                seen += piece
        out, _ = process.communicate(timeout=scaled(30))
        self.assertEqual(process.returncode, 0)
        text = seen.decode()
        for wanted in ("a: loading", "a: warming up", "a: reading 64 tokens, run 1 of 3",
                       "a: writing after 64, run 3 of 3", " of about ",
                       "1 length x 3 runs: about"):
            self.assertIn(wanted, text)
        self.assertTrue(text.endswith("\r\033[K"), repr(text[-80:]))
        self.assertNotIn(b"\033", out)

    def test_elsewhere(self):
        self.world.fake("a", **EXACT)
        self.assertNotIn("\033", self.bench("a", *SMALL).stderr)


class Versus(Bench):
    def test_presets(self):
        self.world.fake("a", **EXACT)
        self.world.fake("b", prompt_us=1000, predict_us=8000)
        found = self.figures("a", "--vs", "b", *SMALL, "--repeat", "2")
        self.assertEqual([side["preset"] for side in found["sides"]], ["a", "b"])
        for point in found["ratio"]["points"]:
            self.assertEqual(point["prefill"]["values"], [2.0] * 2)
            self.assertEqual(point["decode"]["values"], [1.25] * 2)
        models = [os.path.basename(log["argv"][log["argv"].index("--model") + 1])
                  for log in self.world.engine_logs()]
        self.assertEqual(models, ["a.gguf", "b.gguf", "a.gguf", "b.gguf"], "turn by turn")
        self.assertEqual(self.world.overlaps(), [])

    def test_engines(self):
        other = self.world.path("bin", "other-server")
        shutil.copy(self.world.engine, other)
        self.world.fake("a", **EXACT)
        found = self.figures("a", "--vs", other, *SMALL, "--repeat", "1")
        self.assertEqual([side["engine"] for side in found["sides"]], [self.world.engine, other])
        self.assertEqual(found["ratio"]["points"][0]["prefill"]["median"], 1.0)
        text = self.bench("a", "--vs", other, *SMALL, "--repeat", "1").stdout
        self.assertIn(f"({other})", text)
        self.assertIn("1.00 x", text)

    def test_unknown(self):
        self.assertIn("there is no preset \"zz\"", self.bench("zz", status=2).stderr)
        self.assertIn("there are: a b c", self.bench("a", "--vs", "zz", status=2).stderr)
        self.assertIn("no such program",
                      self.bench("a", "--vs", "/nowhere/llama-server", status=2).stderr)
        for args in ((), ("a", "b"), ("a", "--repeat", "0"), ("a", "--repeat", "33"),
                     ("a", "--depth", "3"), ("a", "--prompt", "x"), ("a", "--nonsense")):
            with self.subTest(args=args):
                self.assertTrue(self.bench(*args, status=2).stderr)

    def test_second_fails(self):
        """What the first gave is shown; the second's reason is told."""
        self.world.fake("a", **EXACT)
        self.world.fake("b", exit_at_start=1, cause="oom")
        result = self.bench("a", "--vs", "b", *SMALL, status=1)
        self.assertIn("b: ", result.stderr)
        self.assertIn("memory", result.stderr)
        self.assertIn("500 tok/s", result.stdout)


class Help(Bench):
    def test_help(self):
        text = self.bench("--help").stdout
        self.assertLessEqual(len(text.splitlines()), 30)
        self.assertFalse([line for line in text.splitlines() if line != line.rstrip()])
        self.assertIn("bench", self.world.cli("--help").stdout)


class Trouble(Bench):
    server = {"stall-timeout": "1s"}

    def failing(self, *args, **knobs):
        self.world.fake("a", **knobs)
        return self.bench("a", *SMALL, *args, status=1)

    def test_does_not_start(self):
        result = self.failing(exit_at_start=1, cause="oom")
        self.assertIn("did not start", result.stderr)
        self.assertEqual(result.stdout, "")

    def test_dies(self):
        for then in ("kill", "exit", "close", "reset", "no_done", "error", "garbage"):
            with self.subTest(then=then):
                # Tokens differ between the runs, and only the later ones fail.
                result = self.bench_dying(then)
                if then != "no_done":  # a native stream has no closing event to leave out
                    self.assertEqual(result.returncode, 1, result)
                    self.assertRegex(result.stderr, "a: the engine")

    def bench_dying(self, then):
        self.world.fake("a", then=then, **EXACT)
        return self.world.cli("bench", "a", *SMALL, "--config", self.world.config, timeout=60)

    def test_dies_between(self):
        self.world.fake("a", interval_ms=10)
        process = self.start_command("a", "--prompt", "64", "--predict", "16", "--depth", "0",
                                   "--repeat", "32")
        self.wait_tokens(2 * 4 + 16 + 16 + 4)
        os.kill(self.world.engines()[-1]["pid"], signal.SIGTERM)
        status, _, err = self.end_bench(process)
        self.assertEqual(status, 1, err)
        self.assertIn("a: the engine ended", err)

    def test_hangs(self):
        result = self.failing(then="hang")
        self.assertRegex(result.stderr, "no token and no prompt progress|frozen")

    def test_wedged_later(self):
        result = self.failing(wedge_after=40, **EXACT)
        self.assertRegex(result.stderr, "no token and no prompt progress|frozen")
        self.assertIn("incomplete", result.stderr)
        self.assertIn("500 tok/s", result.stdout)

    def test_stopped(self):
        result = self.failing(then="stop")
        self.assertRegex(result.stderr, "no token and no prompt progress|frozen")

    def test_refuses(self):
        result = self.failing(status=400)
        self.assertIn("the fake was told to fail", result.stderr)

    def test_never_healthy(self):
        self.world.defaults["load-timeout"] = "1s"
        self.world.write_config()
        result = self.failing(never_healthy=1)
        self.assertIn("load-timeout", result.stderr)

    def test_wrapper_script(self):
        """An engine behind a shell script goes too, with what it forked."""
        script = self.world.path("bin", "wrapped")
        with open(script, "w") as file:
            file.write(f"#!/bin/sh\n{self.world.engine} \"$@\"\n")
        os.chmod(script, 0o755)
        self.world.fake("a", fork_child=1, ignore_sigterm=1, **EXACT)
        self.figures("a", *SMALL, "--vs", script, "--repeat", "1")


class Interrupted(Bench):
    def test_in_a_run(self):
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(sign=sign):
                self.world.fake("a", interval_ms=20, **EXACT)
                process = self.start_command("a", "--prompt", "64", "--predict", "16", "--depth",
                                           "0", "--repeat", "32")
                self.wait_tokens(2 * 4 + 16 + 16 + 4)  # questions, warm-up, one run, part of another
                process.send_signal(sign)
                status, out, err = self.end_bench(process)
                self.assertEqual(status, 130, err)
                self.assertIn("incomplete", err)
                self.assertIn("500 tok/s", out)
                self.world.assert_nothing_left()
        self.assertEqual(glob.glob(self.world.path("state", "ancalagon", "bench.json")), [],
                         "half a measurement is not kept")

    def test_json(self):
        self.world.fake("a", interval_ms=20, **EXACT)
        process = self.start_command("a", "--json", "--prompt", "64", "--predict", "16", "--depth",
                                   "0", "--repeat", "32")
        self.wait_tokens(2 * 4 + 16 + 16 + 4)
        process.send_signal(signal.SIGINT)
        status, out, _ = self.end_bench(process)
        self.assertEqual(status, 130)
        self.assertFalse(json.loads(out)["complete"])

    def test_at_any_moment(self):
        """Wherever it is when the signal comes: it ends, and nothing stays."""
        self.world.fake("a", load_ms=30, interval_ms=2, term_ms=30, **EXACT)
        ends = set()
        for delay_ms in itertools.count(0, 15):
            if delay_ms >= 300 and 130 in ends:  # a slow machine has not begun by then
                break
            process = self.start_command("a", *SMALL)
            time.sleep(delay_ms / 1000)
            process.send_signal(signal.SIGINT)
            status = self.end_bench(process)[0]
            self.assertIn(status, (0, 130, -signal.SIGINT))
            ends.add(status)
            self.world.assert_nothing_left()

    def test_switched_off(self):
        """Under nohup a hangup is nothing."""
        self.world.fake("a", interval_ms=20, **EXACT)
        process = subprocess.Popen(
            ["nohup", binary("ancalagon"), "bench", "a", "--prompt", "64", "--predict", "16",
             "--depth", "0", "--config", self.world.config], env=self.world.environment(),
            cwd=self.world.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.wait_tokens(2 * 4 + 16 + 4)
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=scaled(30))
        self.assertEqual(process.returncode, 0)
        self.assertIn(b"500 tok/s (500..500)", out)

    def test_while_loading(self):
        self.world.fake("a", load_ms=20000)
        process = self.start_command("a")
        eventually(self.world.engines, "the engine is up")
        process.send_signal(signal.SIGINT)
        status, out, err = self.end_bench(process)
        self.assertEqual((status, out), (130, ""))
        self.assertIn("before anything was measured", err)

    @staticmethod
    def waits(process, number):
        """Was the signal sent, and not taken yet?"""
        with open(f"/proc/{process.pid}/status") as file:
            sets = [int(line.split()[1], 16) for line in file if line.startswith(("SigPnd", "ShdPnd"))]
        return any(waiting >> (number - 1) & 1 for waiting in sets)

    def test_twice(self):
        """An engine that does not want to go."""
        self.world.server_keys["stop-grace"] = "600s"
        self.world.write_config()
        self.world.fake("a", interval_ms=50, ignore_sigterm=1)
        process = self.start_command("a", *SMALL)
        self.wait_tokens(4)
        process.send_signal(signal.SIGINT)
        # Two that wait are one. (Nothing is active between two runs, either.)
        eventually(lambda: not self.waits(process, signal.SIGINT), "the first one is taken")
        eventually(lambda: self.world.stats()["active"] == 0, "the run is cancelled")
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.end_bench(process)[0], 130)

    def test_killed(self):
        self.world.fake("a", interval_ms=50, fork_child=1, ignore_sigterm=1)
        process = self.start_command("a", *SMALL)
        self.wait_tokens(4)
        process.kill()
        process.communicate()
        eventually(lambda: not self.world.census(), "the guardian ends the engine")
        self.assertFalse([name for _, folders, _ in os.walk(self.world.path("run")) for name in folders
                          if name.startswith("trial-")], "and takes the folder of the run with it")
        self.world.fake("a", **EXACT)
        self.bench("a", *SMALL)


class BesideAServer(Bench):
    def test_loaded(self):
        self.world.start()
        self.world.fake("a", **EXACT)
        self.bench("a", *SMALL)  # nothing loaded: fine
        self.chat_ok("b")
        refused = self.bench("a", *SMALL, status=1)
        self.assertIn("has b loaded", refused.stderr)
        self.assertIn("lmswitch off", refused.stderr)
        self.assertEqual(self.world.status()["state"], "ready", "untouched")
        self.bench("a", *SMALL, "--unload")
        self.assertEqual(self.world.status()["state"], "off")


class RealBench(Real):
    presets = {"small": {"ctx": "1024", "threads": "1"}}
    autostart = False

    def test_small_model(self):
        model()
        result = self.world.cli("bench", "small", "--prompt", "48", "--depth", "192", "--predict",
                                "8", "--repeat", "2", "--json", "--config", self.world.config,
                                timeout=150)
        self.assertEqual(result.returncode, 0, result)
        side, = json.loads(result.stdout)["sides"]
        self.assertEqual([point["prompt_tokens"] for point in side["points"]], [48, 192])
        for point in side["points"]:
            self.assertEqual(point["cached_tokens"], 0)
            for figure in ("prefill_tok_s", "decode_tok_s"):
                self.assertEqual(len(point[figure]["values"]), 2)
                self.assertGreater(point[figure]["min"], 0)
        self.assertGreater(side["load_ms"]["median"], 0)
        self.assertGreater(side["decode"]["cpu_cores"], 0)
        self.assertGreater(side["peak_rss_bytes"], 50 << 20)
        self.world.assert_nothing_left()
        self.assertEqual(self.world.all_engine_pids(), [])


if __name__ == "__main__":
    unittest.main()
