"""ancalagon tune: what it finds, what it writes and leaves alone, and how it ends."""
import contextlib
import glob
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys

from harness import Trials, binary, eventually, scaled

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "models"))
import make_gguf  # noqa: E402

alone = True  # it measures the time of runs

# 500 tok/s read, 100 written; a larger ubatch reads faster, an 8-bit cache writes faster.
SPEED = {"prompt_us": 2000, "predict_us": 10000, "with.ubatch-size.1024": "100,50",
         "with.ubatch-size.2048": "100,45", "with.cache-type-k.q8_0": "70,100",
         "with.flash-attn.off": "120,130", "with.no-repack": "150,200", "with.threads.1": "150,200"}
FAST = ("--depth", "2048")


class Tune(Trials):
    command = "tune"

    def tune(self, *args, **more):
        return self.run_command(*args, **more)

    def text(self):
        with open(self.world.config, newline="") as file:
            return file.read()

    def write(self, text):
        with open(self.world.config, "w", newline="") as file:
            file.write(text)

    def starts(self, flag):
        """The values that a flag had, of every engine start but probes."""
        found = []
        for path in glob.glob(self.world.path("log", "*.json")):
            with open(path) as file:
                argv = json.load(file)["argv"]
            if "-m" in argv or "--model" in argv:
                found.append(argv[argv.index(flag) + 1] if flag in argv else None)
        return found

    def big_model(self, name, model="qwen3-coder-30b"):
        make_gguf.make(model, self.world.path("models", f"{name}.gguf"), "q4_k_m")

    def gpu(self, mib):
        with open(self.world.engine + ".devices", "w") as file:
            file.write(f"  CUDA0: Test card ({mib} MiB, {mib} MiB free)\n")


class Finds(Tune):
    def test_the_fastest_and_writes_it(self):
        self.world.fake("a", **SPEED)
        before = self.text()
        out = self.tune("a", *FAST).stdout
        after = self.text()
        ours = [line for line in after.splitlines() if line.endswith("; tune")
                or line.startswith("; tune: ")]
        self.assertIn("kv = q8_0  ; tune", ours)
        self.assertRegex("\n".join(ours), r"ubatch-size = (1024|2048)  ; tune")
        self.assertRegex(ours[0], r"; tune: \d{4}-\d\d-\d\d, llama-server 11434.*, [1-8] trials")
        self.assertIn("decode 100.0 -> 142.9 tok/s", ours[1])
        self.assertIn("ancalagon reload", out)
        # Nothing else moved by a byte, and only our section got lines.
        self.assertEqual("".join(line for line in after.splitlines(True)
                                 if line.rstrip("\n") not in ours), before)
        section = after[after.index("[a]"):after.index("[b]")]
        self.assertEqual(section.count("tune"), len(ours))
        self.assertLessEqual(len(re.findall(r"^ ?\d ", out, re.M)), 8)
        self.assertEqual(self.world.cli("check-config", "--config", self.world.config).returncode, 0)

    def test_a_second_tune_replaces_the_first(self):
        self.world.fake("a", **SPEED)
        before = self.text()
        self.tune("a", *FAST)
        self.world.fake("a", prompt_us=2000, predict_us=10000, **{"with.flash-attn.off": "60,60"})
        self.tune("a", *FAST)
        after = self.text()
        self.assertNotIn("142.9", after)
        self.assertIn("flash-attn = off  ; tune", after)
        self.assertEqual(after.count("; tune: "), 2)
        self.assertEqual("".join(line for line in after.splitlines(True) if "; tune" not in line),
                         before)

    def test_nothing_faster_writes_nothing(self):
        self.world.fake("a", prompt_us=2000, predict_us=10000)
        before = self.text()
        self.assertIn("stays as it is", self.tune("a", *FAST).stdout)
        self.assertEqual(self.text(), before)

    def test_what_the_user_set_is_never_varied(self):
        self.world.presets["a"].update({"t": "1", "ub": "256", "ctk": "f16", "ctv": "f16",
                                        "ngl": "99"})
        self.world.write_config()
        self.world.fake("a", **SPEED)
        self.tune("a", *FAST)
        self.assertEqual(set(self.starts("--threads")), {"1"})
        self.assertEqual(set(self.starts("--ubatch-size")), {"256"})
        self.assertEqual(set(self.starts("--cache-type-k")), {"f16"})
        for key in ("threads", "ubatch", "kv ="):
            self.assertNotIn(key, self.text())

    def test_all_fixed(self):
        self.world.presets["a"].update({"threads": "1", "ubatch-size": "256", "kv": "f16",
                                        "flash-attn": "on", "repack": "on"})
        self.world.write_config()
        self.assertIn("fixes everything", self.tune("a", *FAST, status=1).stderr)

    def test_defaults_of_all_presets_count_as_fixed(self):
        self.world.defaults.update({"ubatch-size": "256"})
        self.world.write_config()
        self.world.fake("a", **SPEED)
        self.tune("a", *FAST)
        self.assertEqual(set(self.starts("--ubatch-size")), {"256"})

    def test_json(self):
        self.world.fake("a", **SPEED)
        found = json.loads(self.tune("a", *FAST, "--json", "--dry-run").stdout)
        self.assertEqual(found["settings"]["kv"], "q8_0")
        self.assertLessEqual(len(found["trials"]), 8)
        self.assertAlmostEqual(found["decode_tok_s"], 142.9, places=1)
        self.assertFalse(found["written"])


class Offload(Tune):
    """A mixture that does not fit: the planner says what may be tried."""

    def setUp(self):
        super().setUp()
        self.big_model("a")
        self.gpu(16000)
        self.world.presets["a"].update({"ctx": "16K", "kv": "q8_0", "parallel": "1"})
        self.world.write_config()

    def test_never_tries_what_does_not_fit(self):
        self.world.fake("a", prompt_us=300, predict_us=6000, **{"each.n-cpu-moe": "360,5"})
        found = json.loads(self.tune("a", *FAST, "--json").stdout)
        layers = [int(n) for n in self.starts("--n-cpu-moe")]
        plan = json.loads(self.world.cli("plan", "a", "--n-cpu-moe", "auto", "--json", "--config",
                                         self.world.config).stdout)
        self.assertGreaterEqual(min(layers), plan["settings"]["n_cpu_moe"])
        self.assertFalse(any(row["verdict"] == "no memory" for row in found["trials"]))
        for row in found["trials"]:  # what ran is what was chosen, not what was open
            told = re.search(r"n-cpu-moe (\d+)", row["settings"])
            self.assertTrue(told or "ubatch" not in row["settings"], row)

    def test_goes_on_when_memory_fails(self):
        least = self.least()
        self.world.fake("a", prompt_us=300, predict_us=6000,
                        **{"each.n-cpu-moe": "360,5", "oom_below.n-cpu-moe": least + 2})
        found = json.loads(self.tune("a", *FAST, "--json").stdout)
        verdicts = [row["verdict"] for row in found["trials"]]
        self.assertIn("no memory", verdicts)
        self.assertLessEqual(verdicts.count("no memory"), 3)
        self.assertTrue(found["written"])
        written = int(re.search(r"n-cpu-moe = (\d+)  ; tune", self.text()).group(1))
        self.assertLessEqual(abs(written - least - 2), 1)

    def least(self):
        plan = json.loads(self.world.cli("plan", "a", "--n-cpu-moe", "auto", "--json", "--config",
                                         self.world.config).stdout)
        return plan["settings"]["n_cpu_moe"]

    def test_auto_is_the_users_word(self):
        """In the preset's section it is theirs; under [*] it is a default that a preset may refine."""
        self.world.presets["a"]["n-cpu-moe"] = "auto"
        self.world.write_config()
        self.world.fake("a", prompt_us=300, predict_us=6000, **{"each.n-cpu-moe": "360,5"})
        self.tune("a", *FAST)
        self.assertGreaterEqual(min(int(n) for n in self.starts("--n-cpu-moe")), self.least())
        self.assertNotIn("moe", self.text().replace("n-cpu-moe = auto", ""))

    def test_auto_as_a_default(self):
        self.world.defaults["n-cpu-moe"] = "auto"
        self.world.write_config()
        least = self.least()
        self.world.fake("a", prompt_us=300, predict_us=6000,
                        **{"each.n-cpu-moe": "360,5", "oom_below.n-cpu-moe": least + 2})
        out = self.tune("a", *FAST).stdout
        self.assertIn("does not run", out)
        self.assertRegex(self.text(), r"n-cpu-moe = \d+  ; tune")
        self.assertEqual(self.world.cli("check-config", "--config", self.world.config).returncode, 0)


class Dense(Tune):
    def test_layers_of_a_dense_model(self):
        """Each layer on the CPU costs 2 ms: the most on the GPU that load, and the smaller cache."""
        self.big_model("a", "qwen3-32b")
        self.gpu(16000)
        self.world.presets["a"].update({"ctx": "8K", "parallel": "1"})
        self.world.write_config()
        self.world.fake("a", prompt_us=300, predict_us=200000,
                        **{"each.n-gpu-layers": "-2000,0", "each.gpu-layers": "-2000,0"})
        found = json.loads(self.tune("a", *FAST, "--json").stdout)
        most = max(int(n) for n in self.starts("--gpu-layers") if n)
        self.assertEqual(found["settings"]["n-gpu-layers"], str(most))
        self.assertEqual(found["settings"]["kv"], "q8_0")
        self.assertRegex(self.text(), rf"n-gpu-layers = {most}  ; tune")


class Drafts(Tune):
    def setUp(self):
        super().setUp()
        self.big_model("a", "qwen2.5-7b")
        self.big_model("small", "qwen2.5-0.5b")
        self.gpu(16000)
        self.world.presets["a"].update({"ctx": "8K", "kv": "f16", "parallel": "1"})
        self.world.write_config()

    def tune_with(self, percent):
        self.world.fake("a", prompt_us=300, predict_us=20000,
                        **{"with.spec-draft-model": f"{percent},100"})
        return json.loads(self.tune("a", *FAST, "--json").stdout)

    def test_one_that_pays(self):
        found = self.tune_with(50)
        self.assertTrue(found["settings"]["model-draft"].endswith("/small.gguf"))
        self.assertRegex(self.text(), r"model-draft = /.*/small.gguf  ; tune\n")
        with open(self.world.path("state", "ancalagon", "drafts.json")) as file:
            self.assertIn('"measured_gain":2.0', file.read().replace(" ", ""))

    def test_one_that_does_not(self):
        found = self.tune_with(95)
        self.assertNotIn("model-draft", found["settings"])
        self.assertTrue(any("small.gguf" in row["settings"] for row in found["trials"]))
        self.assertNotIn("model-draft", self.text())

    def test_none_wanted(self):
        self.world.fake("a", prompt_us=300, predict_us=20000)
        self.tune("a", *FAST, "--no-draft")
        self.assertEqual(set(self.starts("--spec-draft-model")), {None})


class Writing(Tune):
    def test_a_link_and_its_permissions_stay(self):
        self.world.fake("a", **SPEED)
        real = self.world.path("config", "real.ini")
        os.rename(self.world.config, real)
        os.chmod(real, 0o640)
        os.symlink("../real.ini", self.world.config)
        self.tune("a", *FAST)
        self.assertTrue(os.path.islink(self.world.config))
        self.assertEqual(os.stat(real).st_mode & 0o777, 0o640)
        self.assertIn("; tune", self.text())

    def test_line_ends_and_comments_stay(self):
        self.world.fake("a", **SPEED)
        text = self.text().replace("[b]", "; about b\n\n\n[b]").replace("\n", "\r\n").rstrip()
        self.write(text)
        self.tune("a", *FAST)
        lines = self.text().splitlines(True)
        self.assertTrue(all(line.endswith("\r\n") for line in lines[:-1]))
        self.assertEqual("".join(line for line in lines if "; tune" not in line), text)

    def test_the_usual_file_and_an_alias(self):
        self.world.fake("a", **SPEED)
        result = self.world.cli("tune", "alpha", *FAST, timeout=90)
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("; tune\n", self.text())

    def test_a_model_without_a_section_gets_one(self):
        self.world.model_file("d")
        self.world.fake("d", **SPEED)
        self.tune("d", *FAST)
        self.assertRegex(self.text(), r"\n\n\[d\]\nmodel = /.*/d.gguf\n; tune: ")
        self.world.fake("d", **SPEED)
        os.unlink(self.world.config)
        env = {"ANCALAGON_ENGINE": self.world.engine, "ANCALAGON_MODELS": self.world.path("models")}
        result = subprocess.run([binary("ancalagon"), "tune", "d", *FAST], text=True,
                                env=self.world.environment(**env), capture_output=True)
        self.assertEqual(result.returncode, 0, result)
        self.assertTrue(self.text().startswith("[d]\nmodel = /"), self.text())

    def test_dry_run(self):
        self.world.fake("a", **SPEED)
        before = self.text()
        out = self.tune("a", *FAST, "--dry-run").stdout
        self.assertIn("[a]\n; tune: ", out)
        self.assertIn("kv = q8_0  ; tune", out)
        self.assertEqual(self.text(), before)

    def test_a_file_that_changed_meanwhile_is_left_alone(self):
        hold = self.world.hold()
        self.world.fake("a", hold=hold, **SPEED)
        process = self.start_command("a", *FAST)
        self.wait_active(1)
        changed = self.text() + "\n; someone was here\n"
        self.write(changed)
        os.unlink(hold)
        out, err = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("changed meanwhile", err)
        self.assertIn("kv = q8_0", out)  # nothing learned is lost
        self.assertEqual(self.text(), changed)


class Ends(Tune):
    def hold_on(self):
        """From here on no run ends; returns inside one."""
        self.world.hold()
        self.wait_active(1)

    def test_ctrl_c_keeps_what_was_learned(self):
        self.world.fake("a", hold=self.world.path("hold"), **SPEED)
        process = self.start_command("a", *FAST)
        for line in process.stdout:
            if re.search(r"\+\d+ %", line):
                break
        self.hold_on()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=scaled(30))
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("; tune", self.text())

    def test_ctrl_c_after_one_trial_compares_nothing(self):
        self.world.fake("a", **{**SPEED, "interval_ms": 5})
        before = self.text()
        process = self.start_command("a", *FAST)
        for line in process.stdout:
            if re.match(r" *1 .* first ", line):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=scaled(30))
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("nothing measured to compare it with", out)
        self.assertIn("the preset stays as it is", out)
        self.assertNotIn("->", out)
        self.assertNotIn("as fast as anything", out)
        self.assertEqual(self.text(), before)

    def test_two_trials_say_what_is_not_certain(self):
        self.world.fake("a", **{**SPEED, "with.no-repack": "100,100"})
        out = self.tune("a", *FAST, "--trials", "2", "--dry-run").stdout
        self.assertRegex(out, r"not certain: from 2 trials, the chance is \d+ %")
        found = json.loads(self.tune("a", *FAST, "--trials", "2", "--dry-run", "--json").stdout)
        self.assertEqual(found["compared"], 1)
        self.assertGreaterEqual(found["doubt"], 0.05)

    def at_a_terminal(self, answer):
        """Ctrl-C after a row that was faster, then the answer to what it asks."""
        self.world.fake("a", hold=self.world.path("hold"), **SPEED)
        leader, terminal = pty.openpty()
        self.addCleanup(os.close, leader)
        process = subprocess.Popen(
            [binary("ancalagon"), "tune", "a", *FAST, "--config", self.world.config],
            env=self.world.environment(), cwd=self.world.root, stdin=terminal, stdout=terminal,
            stderr=terminal, start_new_session=True)
        self.addCleanup(process.kill)
        os.close(terminal)
        seen = b""
        while not re.search(rb"\+\d+ %", seen):
            seen += os.read(leader, 4096)
        self.hold_on()
        process.send_signal(signal.SIGINT)
        while b"[Y/n]" not in seen:
            seen += os.read(leader, 4096)
        os.write(leader, answer)
        with contextlib.suppress(OSError):  # the other end closes
            while more := os.read(leader, 4096):
                seen += more
        self.assertEqual(process.wait(timeout=scaled(30)), 130, seen)
        os.unlink(self.world.path("hold"))
        return seen.decode()

    def test_ctrl_c_at_a_terminal_asks(self):
        before = self.text()
        self.assertIn("; tune", self.at_a_terminal(b"n\n"))
        self.assertEqual(self.text(), before)
        self.assertIn("ancalagon reload", self.at_a_terminal(b"\n"))
        self.assertIn("; tune\n", self.text())

    def test_ctrl_c_before_anything(self):
        self.world.fake("a", load_ms=20000)
        before = self.text()
        process = self.start_command("a", *FAST)
        eventually(lambda: self.starts("--model") or self.starts("-m"), "an engine")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=scaled(30))
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.text(), before)

    def test_an_engine_that_never_works(self):
        self.world.fake("a", exit_at_start=1, cause="load")
        before = self.text()
        self.assertIn("no trial succeeded", self.tune("a", *FAST, status=1).stderr)
        self.assertEqual(self.text(), before)

    def test_a_loaded_engine_is_in_the_way(self):
        self.world.start()
        self.chat_ok("a")
        self.assertIn("has a loaded", self.tune("a", *FAST, status=1).stderr)
        self.chat_ok("a")

    def test_a_depth_that_the_context_does_not_hold(self):
        self.big_model("a", "qwen2.5-0.5b")
        self.world.presets["a"].update({"ctx": "4K", "parallel": "1"})
        self.world.write_config()
        before = self.text()
        for depth in ("5K", "4033"):
            with self.subTest(depth):
                told = self.tune("a", "--depth", depth, status=1).stderr
                self.assertIn("context of 4096 for each request", told)
                self.assertEqual(self.world.engine_logs(), [], "nothing was started for it")
        self.assertEqual(self.text(), before)
        self.world.fake("a", n_ctx=4096, prompt_us=100, predict_us=1000)
        self.assertNotIn("context", self.tune("a", "--depth", "4032", "--trials", "2", "--dry-run").stderr)
        # A depth that only goes with a purpose follows the context.
        self.tune("a", "--for", "agent", "--trials", "2", "--dry-run")

    def test_no_such_preset(self):
        for command in ("tune", "plan", "bench"):
            done = self.world.cli(command, "nope", "--config", self.world.config)
            self.assertEqual(done.returncode, 2, done)
            self.assertRegex(done.stderr, 'no preset "nope"|nor a preset')
            done = self.world.cli(command, "nope", "--config", self.world.path("nowhere.ini"))
            self.assertEqual(done.returncode, 3, done)
            self.assertIn("nowhere.ini", done.stderr)
        self.assertIn("--trials takes", self.tune("a", "--trials", "99", status=2).stderr)
        self.assertIn("--for takes", self.tune("a", "--for", "fun", status=2).stderr)
