"""tools/install-deps on a machine that has none of what it looks for."""
import glob
import os
import shutil
import subprocess
import tempfile
import unittest

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "install-deps")


class Missing(unittest.TestCase):
    def setUp(self):
        self.bin = tempfile.mkdtemp(prefix="install-deps-test-")
        self.addCleanup(shutil.rmtree, self.bin)
        for name in ("bash", "awk", "sed", "tr", "cat", "ls", "grep", "head"):
            os.symlink(shutil.which(name), os.path.join(self.bin, name))
        for name in ("apt-get", "apt-cache"):
            with open(os.path.join(self.bin, name), "w") as file:
                file.write("#!/bin/sh\n")
            os.chmod(os.path.join(self.bin, name), 0o755)

    def listed(self, *groups):
        run = subprocess.run([shutil.which("bash"), TOOL, "--list", *groups], capture_output=True,
                             text=True, env={"PATH": self.bin}, timeout=60)
        self.assertEqual(run.returncode, 0, run)
        return set(run.stdout.split())

    def test_programs(self):
        """Each is named, also where the function that looks for it has its name."""
        self.assertLessEqual({"gcc", "meson", "ninja-build", "cmake", "util-linux"},
                             self.listed("build"))
        test = self.listed("test")
        self.assertLessEqual({"make", "strace", "nodejs", "npm", "openssh-client"}, test)
        places = ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/run/systemd/system")
        if not any(map(os.path.exists, places)):
            self.assertIn("openssh-server", test)
        if not (glob.glob("/usr/lib/postgresql/*/bin/postgres") or os.path.exists("/run/systemd/system")):
            self.assertIn("postgresql", test)
        self.assertLessEqual({"clang", "clang-format", "clang-tidy"}, self.listed("check"))


if __name__ == "__main__":
    unittest.main()
