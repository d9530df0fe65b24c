"""A PostgreSQL server of a test's own: on loopback and a socket in a temporary folder, with a password,
gone with the test."""
import glob
import multiprocessing.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import eventually, scaled

PASSWORD = "p@ss/w:rd-42"
QUOTED = "p%40ss%2Fw%3Ard-42"  # in a URL


def programs():
    """The folder of initdb, postgres and psql; skips where there is none."""
    on_path = [os.path.dirname(shutil.which("initdb") or "")]
    for folder in sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True) + on_path:
        if all(os.path.exists(os.path.join(folder, name)) for name in ("initdb", "postgres", "psql")):
            return folder
    raise unittest.SkipTest("PostgreSQL's server is not installed; run tools/install-deps test")


def account():
    """The server refuses to run as root: then as the package's own user, or nobody."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise unittest.SkipTest("there is no user but root to run PostgreSQL as")


class Postgres:
    made = None

    @classmethod
    def one(cls):
        """The same data for all tests, made once; whoever starts it stops it."""
        if not cls.made:
            cls.made = cls()
            # atexit knows nothing of the processes that run.py --jobs makes.
            multiprocessing.util.Finalize(None, shutil.rmtree, (cls.made.folder, True), exitpriority=0)
        return cls.made

    def __init__(self):
        self.programs = programs()
        self.account = account()
        self.folder = tempfile.mkdtemp(prefix="ancalagon-pg-")
        self.server = None
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        with open(os.path.join(self.folder, "password"), "w") as file:
            file.write(PASSWORD)
        if self.account:
            os.chmod(self.folder, 0o700)
            for path in (self.folder, os.path.join(self.folder, "password")):
                os.chown(path, self.account.pw_uid, self.account.pw_gid)
        self.call("initdb", "-D", self.data(), "-U", "ocr", "--auth=scram-sha-256", "--no-sync", "-E", "UTF8",
                  "--locale=C", "--pwfile=" + os.path.join(self.folder, "password"))

    def data(self):
        return os.path.join(self.folder, "data")

    def who(self):
        if not self.account:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def call(self, program, *arguments, text=None):
        done = subprocess.run([os.path.join(self.programs, program), *arguments], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder,
                              env={"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD, "LC_ALL": "C"},
                              timeout=scaled(60), **self.who())
        if done.returncode:
            raise AssertionError(f"{program}: {done.stdout}")
        return done.stdout

    def start(self):
        self.log = open(os.path.join(self.folder, "log"), "a")
        self.server = subprocess.Popen(
            [os.path.join(self.programs, "postgres"), "-D", self.data(), "-p", str(self.port), "-h", "127.0.0.1",
             "-k", self.folder, "-F"], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, **self.who())
        eventually(self.answers, "PostgreSQL answers", 30)
        return self

    def answers(self):
        if self.server.poll() is not None:
            raise AssertionError(open(os.path.join(self.folder, "log")).read())
        try:
            return self.sql("SELECT 1").strip() == "1"
        except AssertionError:
            return False

    def stop(self):
        """Fast: clients are cut off."""
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGCONT)
            self.server.send_signal(signal.SIGINT)
            self.server.wait(timeout=scaled(30))
            self.log.close()

    def sql(self, text):
        return self.call("psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                         str(self.port), "-U", "ocr", "postgres", text=text)

    def url(self, password=QUOTED, **more):
        extra = "&".join(f"{key}={value}" for key, value in more.items())
        return f"postgresql://ocr:{password}@127.0.0.1:{self.port}/postgres" + ("?" + extra if extra else "")
