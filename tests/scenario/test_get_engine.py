"""tools/get-engine: what it decides before it builds. The build itself is what all real tests run on."""

import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Amx(unittest.TestCase):
    """A compiler that miscompiles AMX's tiles (gcc 12) must not be trusted with them."""

    def plan(self, tiles, probe):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (
                    ("cc", 'case "$*" in *-dM*) echo "#define __AMX_TILE__ 1" ;; esac' if tiles else ":"),
                    ("c++", 'case "$*" in *-o*) while [ "$1" != -o ]; do shift; done; '
                            f'printf "#!/bin/sh\\nexit {probe}\\n" >"$2"; chmod +x "$2" ;; '
                            '*) echo "c++ (test) 1.0" ;; esac')):
                with open(os.path.join(folder, name), "w") as file:
                    file.write(f"#!/bin/sh\n{text}\n")
                os.chmod(os.path.join(folder, name), 0o755)
            env = {key: value for key, value in os.environ.items() if key != "ANCALAGON_ENGINE"}
            env |= {"CC": os.path.join(folder, "cc"), "CXX": os.path.join(folder, "c++"),
                    "XDG_CACHE_HOME": folder, "PATH": "/usr/bin:/bin"}
            done = subprocess.run([os.path.join(ROOT, "tools", "get-engine"), "--plan"], env=env,
                                  capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("compiles llama-server", done.stderr)
        return done.stderr

    def test_no_such_cpu(self):
        self.assertNotIn("AMX", self.plan(tiles=False, probe=1))

    def test_a_compiler_that_is_right(self):
        self.assertNotIn("AMX", self.plan(tiles=True, probe=0))

    def test_a_compiler_that_is_wrong(self):
        said = self.plan(tiles=True, probe=1)
        self.assertIn("without AMX, which c++ (test) 1.0 miscompiles", said)


if __name__ == "__main__":
    unittest.main()
