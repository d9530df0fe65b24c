"""A private world for local-claude's own backends: models folder, state, run folder, and whoever
carries the world's mark (in its environment or its command line) counted at the end."""
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from harness import (UnixConnection, alive, binary, eventually, exchange, parent_of, processes,
                     read_proc, scaled)
from real import MODEL, engine, model


class Backend:
    """One run of a backend (tests/fakes/hold_backend), with or without a terminal."""

    def __init__(self, world, *args, terminal=None, **environment):
        self.world = world
        self.errors = open(world.path("errors"), "w+")
        self.process = subprocess.Popen(
            [binary("hold_backend"), *args], env=world.environment(**environment), cwd=world.root,
            stdin=terminal if terminal is not None else subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=terminal if terminal is not None else self.errors, text=True,
            start_new_session=True, preexec_fn=take_terminal if terminal is not None else None)
        self.pid = self.process.pid
        self.shown = b""  # on its terminal
        world.opened.append(self)

    def said(self):
        self.errors.flush()
        with open(self.errors.name) as file:
            return file.read()

    def ready(self, screen=None):
        """The place, once the model is loaded. Who has a terminal reads it meanwhile: its progress
        bar would wait for that."""
        while screen and not select.select([self.process.stdout], [], [], 0)[0]:
            if select.select([screen, self.process.stdout], [], [])[0] == [screen]:
                self.shown += os.read(screen, 4096)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"no place (exit {self.process.wait()}): {self.said()}")
        return json.loads(line)

    def failure(self):
        """What it says when it cannot."""
        output, _ = self.process.communicate(timeout=scaled(60))
        text = self.said()
        if self.process.returncode == 0 or "error: " not in text:
            raise AssertionError(f"exit {self.process.returncode}: {output} {text}")
        return text.split("error: ", 1)[1].strip()

    def close(self):
        if self.process.stdin:
            self.process.stdin.close()
        return self.process.wait(scaled(30))

    def keeper(self):
        children = self.world.children(self.pid)
        if len(children) != 1:
            raise AssertionError(f"{children} instead of a keeper")
        return children[0]

    def program(self):
        return self.world.children(self.keeper())[0]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if self.process.stdin:
            self.process.stdin.close()
        self.errors.close()


class Session:
    """The whole of local-claude, with a claude that says where it was sent, and stays."""

    CLAUDE = """#!/bin/sh
case $1 in --version) echo '2.1.197 (Claude Code)'; exit ;; --help) exit ;; esac
printf '%s %s %s %s\\n' $$ "$ANTHROPIC_BASE_URL" "$ANTHROPIC_AUTH_TOKEN" "$ANTHROPIC_MODEL" >"$SAY.new"
mv "$SAY.new" "$SAY"
exec sleep 1000
"""

    def __init__(self, world, *args):
        self.world, self.say = world, world.path("said")
        claude = world.path("bin", "claude")
        with open(claude, "w") as file:
            file.write(self.CLAUDE)
        os.chmod(claude, 0o755)
        self.process = subprocess.Popen(
            [binary("local-claude"), *args, "-p", "hi"], cwd=world.root,
            env=world.environment(LOCAL_CLAUDE_BIN=claude, SAY=self.say), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        world.opened.append(self)

    def claude(self):
        """Its pid; from then on `place` is known."""
        eventually(lambda: os.path.exists(self.say) or self.process.poll() is not None,
                   "claude is started", 60)
        with open(self.say) as said:
            pid, url, token, name = said.read().split()
        address, port = url.removeprefix("http://").split(":")
        self.place = {"address": address, "port": int(port), "unix": None, "key": token,
                      "model": name}
        return int(pid)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def read_screen(fd, wanted, seconds=30):
    """What a terminal shows, until `wanted` is there."""
    screen, deadline = b"", time.monotonic() + scaled(seconds)
    while wanted not in screen:
        if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"no {wanted} on the screen: {screen[-2000:]}")
        screen += os.read(fd, 4096)
    return screen


def take_terminal():
    import fcntl
    import termios
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class BackendWorld:
    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="ancalagon-test-")
        self.opened = []
        for folder in ("home", "config", "state", "run", "cache", "models", "bin"):
            os.mkdir(self.path(folder), 0o700)
        os.symlink(binary("ancalagon"), self.path("bin", "ancalagon"))
        self.engine = engine()
        self.add_model("smol.gguf")

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def add_model(self, name):
        """A copy: of one file under several names only one is listed."""
        shutil.copy(model(), self.path("models", name))

    def environment(self, **more):
        env = {"HOME": self.path("home"), "PATH": self.path("bin") + ":/usr/bin:/bin", "LANG": "C.UTF-8",
               "TERM": "xterm", "XDG_CONFIG_HOME": self.path("config"),
               "XDG_STATE_HOME": self.path("state"), "XDG_RUNTIME_DIR": self.path("run"),
               "XDG_CACHE_HOME": self.path("cache"), "MODELS_DIR": self.path("models"),
               "LLAMA_SERVER": self.engine, "ANCALAGON_TEST_WORLD": self.root,
               "LLAMA_ARG_CTX_SIZE": "17", **more}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        return {name: value for name, value in env.items() if value is not None}

    def open(self, *args, **more):
        return Backend(self, *args, **more)

    # -- who is there

    def all(self):
        """Everybody of this world; sshd's own processes have forgotten the mark and are not."""
        mark = self.root.encode()
        return [pid for pid in processes() if pid != os.getpid() and alive(pid) and
                (mark in read_proc(pid, "cmdline") or mark in read_proc(pid, "environ"))]

    def engines(self):
        mark = self.path("models").encode()
        return [pid for pid in processes() if alive(pid) and
                os.path.basename(read_proc(pid, "cmdline").split(b"\0")[0]) == b"llama-server" and
                mark in read_proc(pid, "cmdline")]

    def engine_pid(self):
        pids = self.engines()
        if len(pids) != 1:
            raise AssertionError(f"{len(pids)} engines instead of one")
        return pids[0]

    def children(self, pid):
        return [child for child in processes() if parent_of(child) == pid and alive(child)]

    def tell(self, pids):
        return [(pid, read_proc(pid, "cmdline").replace(b"\0", b" ")[:200]) for pid in pids]

    def left(self):
        """Files of runs; the state and what was learned stay."""
        found = []
        for folder, _, names in os.walk(self.path("run")):
            found += [os.path.join(folder, name) for name in names]
        return found

    def destroy(self):
        for backend in self.opened:
            backend.end()
        for pid in self.all():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.path("models"))
        shutil.rmtree(self.root, ignore_errors=True)


class WholeProgram:
    """Mixed into a case whose `backend` names one: local-claude itself, and kills of its parts."""

    def session(self):
        session = Session(self.world, "--backend", self.backend, "--model", "smol", "--lean")
        return session, session.claude()

    def test_claude_meets_the_messages_api(self):
        session, claude = self.session()
        reply = self.ask(session.place, "/v1/messages")
        self.assertEqual((reply.status, reply.json()["type"]), (200, "message"), reply)
        self.assertEqual(self.ask(session.place, "/v1/messages", key=False).status, 401)
        os.kill(claude, signal.SIGTERM)
        session.process.wait(scaled(10))
        self.assertEqual(self.world.engines(), [], "it waits for the engine's end")
        self.assert_nothing_left()

    def engines_asked(self):
        """How often an engine was started for a model, not only asked for its flags."""
        try:
            with open(self.world.path("asked")) as file:
                return sum(".gguf" in line for line in file)
        except FileNotFoundError:
            return 0

    def test_a_dry_run_starts_no_model(self):
        spy = self.world.path("bin", "llama-server")
        with open(spy, "w") as file:
            file.write(f'#!/bin/sh\necho "$*" >>{self.world.path("asked")}\nexec {self.world.engine} "$@"\n')
        os.chmod(spy, 0o755)
        self.world.engine = spy
        claude = self.world.path("bin", "claude")
        with open(claude, "w") as file:
            file.write(Session.CLAUDE)
        os.chmod(claude, 0o755)
        run = subprocess.run([binary("local-claude"), "--backend", self.backend, "--model", "smol", "--dry-run",
                              "-p", "hi"], env=self.world.environment(LOCAL_CLAUDE_BIN=claude, SAY="/dev/null"),
                             cwd=self.world.root, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                             timeout=scaled(30))
        self.assertEqual(run.returncode, 0, run)
        self.assertRegex(run.stdout, r"(?s)model    smol at a server on .* starts none.*-p hi\n")
        self.assertEqual(self.engines_asked(), 0)
        self.assert_nothing_left()
        session, _ = self.session()
        self.assertEqual(self.engines_asked(), 1)
        session.process.kill()
        self.assert_engine_gone()

    def test_kill_claude(self):
        session, claude = self.session()
        os.kill(claude, signal.SIGKILL)
        self.assert_engine_gone()
        self.assertEqual(session.process.wait(scaled(10)), -signal.SIGKILL)
        self.assert_nothing_left()

    def test_kill_the_program(self):
        session, claude = self.session()
        session.process.kill()
        self.assert_engine_gone()
        eventually(lambda: not alive(claude), "claude ends with it", 5)
        session.process.wait()
        self.assert_nothing_left()


class BackendCase(unittest.TestCase):
    """Ends with nobody left, and no file but state."""
    world_type = BackendWorld

    def setUp(self):
        self.world = self.world_type()
        self.addCleanup(self.world.destroy)

    def ask(self, place, path="/v1/chat/completions", key=True):
        headers = {"Authorization": f"Bearer {place['key']}"} if key else {}
        body = {"model": place["model"], "messages": [{"role": "user", "content": "hi"}],
                "max_tokens": 4}
        if place["unix"]:
            connection = UnixConnection(place["unix"], scaled(60))
        else:
            import http.client
            connection = http.client.HTTPConnection(place["address"], place["port"],
                                                    timeout=scaled(60))
        return exchange(connection, "POST", path, body, headers)

    def assert_answers(self, place):
        reply = self.ask(place)
        self.assertEqual(reply.status, 200, reply)
        self.assertTrue(reply.json()["choices"])
        self.assertEqual(self.ask(place, key=False).status, 401)

    def assert_engine_gone(self, seconds=2):
        eventually(lambda: not self.world.engines(), "the engine is gone", seconds)

    def assert_nobody_left(self, seconds=3):
        eventually(lambda: not self.world.all(), "everybody is gone", seconds)

    def assert_nothing_left(self):
        self.assert_nobody_left()
        eventually(lambda: not self.world.left(), "the folder of the run is gone", 5)


__all__ = ["Backend", "BackendCase", "BackendWorld", "MODEL", "Session", "WholeProgram",
           "read_screen"]
