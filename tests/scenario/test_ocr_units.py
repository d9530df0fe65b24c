"""The systemd units of ocr-pipeline: systemd itself has nothing to say against them."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import binary

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "systemd")


class Units(unittest.TestCase):
    def setUp(self):
        if not shutil.which("systemd-analyze"):
            raise unittest.SkipTest("no systemd-analyze")
        self.folder = tempfile.mkdtemp(prefix="ancalagon-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.program = binary("ocr-pipeline")
        for path in glob.glob(os.path.join(FOLDER, "*.*")):
            if os.path.isfile(path):
                with open(path) as file:
                    self.put(os.path.basename(path), file.read())
        with open(os.path.join(FOLDER, "ocr-pipeline.service.d", "gpu.conf")) as file:
            self.gpu = file.read()

    def put(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text.replace("ExecStart=ocr-pipeline", f"ExecStart={self.program}"))
        return path

    def verify(self, *names):
        """An instance of a template is verified by a copy under its name."""
        paths = [os.path.join(self.folder, name) for name in names]
        for path in paths:
            if not os.path.exists(path):
                shutil.copyfile(re.sub(r"@.*\.", "@.", path), path)
        done = subprocess.run(["systemd-analyze", "--user", "verify", *paths], capture_output=True, text=True,
                              env=dict(os.environ, SYSTEMD_UNIT_PATH=self.folder + ":", XDG_RUNTIME_DIR=self.folder))
        return done.returncode, done.stdout + done.stderr

    def test_they_are_verified(self):
        self.assertEqual(self.verify("ocr-pipeline.service", "ocr-tra@a.service", "ocr-tra@a.timer",
                                     "ocr-alt@a.service", "ocr-alt@a.timer", "ocr-alt@a.path"), (0, ""))
        broken = self.put("broken.service", "[Service]\nExecStart=/gone\n")
        self.assertNotEqual(self.verify(broken)[0], 0)

    def test_the_card_is_ours(self):
        # This machine may have no nvidia-smi.
        self.put("ocr-pipeline.service.d/gpu.conf", self.gpu)
        self.assertEqual(self.verify("ocr-pipeline.service"), (0, ""))
        self.assertRegex(self.gpu, r"(?m)^Conflicts=.*ollama\.service")

    def test_they_are_sandboxed(self):
        for name in ("ocr-pipeline.service", "ocr-tra@.service", "ocr-alt@.service"):
            done = subprocess.run(["systemd-analyze", "security", "--offline=yes", os.path.join(self.folder, name)],
                                  capture_output=True, text=True)
            found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
            self.assertIsNotNone(found, done.stdout + done.stderr)
            self.assertLessEqual(float(found.group(1)), 3.0, name)

    def test_a_batch_that_is_done_makes_room_for_the_next(self):
        with open(os.path.join(self.folder, "ocr-alt@.service")) as file:
            command = re.search(r"(?m)^ExecStartPost=/bin/sh -c '(.*)'$", file.read()).group(1)
        for what, stands_for in (("%h", self.folder), ("%i", "lote"), ("%%", "%"), ("$$", "$")):
            command = command.replace(what, stands_for)
        for name in ("lote.json", "lote.csv", "other.csv"):
            self.put("ocr/" + name, name)
        subprocess.run(["/bin/sh", "-c", command], check=True)
        left = sorted(os.listdir(os.path.join(self.folder, "ocr")))
        self.assertRegex(" ".join(left), r"^lote-\d{8}-\d{6} other\.csv$")
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder, "ocr", left[0]))), ["lote.csv", "lote.json"])

    def test_statuses_are_those_of_the_commands(self):
        """What the units take for lasting is what --help says."""
        for command, name in (("serve", "ocr-pipeline.service"), ("tra", "ocr-tra@.service"), ("alt", "ocr-alt@.service")):
            done = subprocess.run([self.program, command, "--help"], capture_output=True, text=True)
            told = {int(n) for n in re.findall(r"(?<![\w.])(\d+) [a-z]", done.stdout[done.stdout.index("Exit codes"):])}
            with open(os.path.join(self.folder, name)) as file:
                lasting = {int(n) for n in re.search(r"RestartPreventExitStatus=(.*)", file.read()).group(1).split()}
            self.assertLessEqual(lasting, told, name)
