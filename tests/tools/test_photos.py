"""tests/ocr/check.py and tools/detector/check.py, by the python that Debian's packages are for."""

import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PYTHON = "/usr/bin/python3"


def has(*modules):
    code = "import " + ", ".join(modules)
    return pathlib.Path(PYTHON).exists() and subprocess.run(
        [PYTHON, "-c", code], capture_output=True, check=False).returncode == 0


class Photos(unittest.TestCase):
    def passes(self, script):
        run = subprocess.run([PYTHON, "-B", ROOT / script], capture_output=True, text=True,
                             check=False, timeout=600)
        self.assertEqual(run.returncode, 0, run.stderr[-3000:])

    @unittest.skipUnless(has("PIL", "numpy"), "tools/install-deps photos")
    def test_photos(self):
        self.passes("tests/ocr/check.py")

    @unittest.skipUnless(has("PIL", "numpy", "torch"), "tools/install-deps train")
    def test_detector(self):
        self.passes("tools/detector/check.py")


if __name__ == "__main__":
    unittest.main()
