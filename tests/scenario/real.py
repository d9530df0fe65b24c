"""The same private world, with a real llama-server, a real model and real client libraries.

What a test compares with is measured on the same engine process, by talking to its own socket past
the server. One thread an engine: with more, llama-server crawls when other work shares the cores.
"""
import contextlib
import http.client
import json
import os
import shutil
import subprocess
import time
import unittest

from harness import (Raw, Sampler, Scenario, UnixConnection, World, alive, eventually, exchange,
                     fd_table, read_proc, scaled, unix_connect)

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.join(HERE, "..", "clients")
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ancalagon")
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
LONG = "Tell me everything about the history of the sea. " * 60  # about 600 tokens


def need(path, what, tool):
    """A test that lacks its engine skips; where it must run (make test), it fails instead."""
    if os.environ.get("ANCALAGON_TEST_REAL") == "0":
        raise unittest.SkipTest("real engine left out (ANCALAGON_TEST_REAL=0)")
    if path and os.path.exists(path):
        return path
    if os.environ.get("ANCALAGON_REQUIRE_REAL"):
        raise AssertionError(f"no {what}; get it with {tool}")
    raise unittest.SkipTest(f"no {what}; get it with {tool}")


def engine():
    return need(os.environ.get("ANCALAGON_ENGINE") or shutil.which("llama-server") or
                os.path.join(CACHE, "engine", "bin", "llama-server"),
                "llama-server", "tools/get-engine")


def model():
    return need(os.path.join(CACHE, "models", MODEL), f"model {MODEL}", "tools/get-model")


def npm():
    need(shutil.which("node"), "Node.js", "tools/install-deps test")
    for package in ("openai", "@anthropic-ai/sdk"):
        need(os.path.join(CACHE, "npm", "node_modules", package), f"npm package {package}",
             "tools/get-npm")
    return os.path.join(CACHE, "npm")


class RealWorld(World):
    faked = False

    def __init__(self, presets=None, server=None, defaults=None):
        self.seen = set()  # pids of engines
        if presets is None:
            presets = {"a": {"aliases": "alpha", "default": "true"}, "b": {"ctx": "3072"}}
        super().__init__(
            presets, {"stall-timeout": "30s", "stop-grace": "10s", "drain-timeout": "30s",
                      "ping-after": "2s", "ping-every": "5s", **(server or {})},
            {"engine": engine(), "load-timeout": "60s", "parallel": "2", "ctx": "2048",
             "threads": "1", "ignore-eos": "on", **(defaults or {})})

    def model_file(self, name):
        os.symlink(model(), self.path("models", f"{name}.gguf"))

    def fake(self, name, **knobs):
        pass

    def engine_pids(self):
        """Children of the server only: cheap enough to look every 10 ms."""
        if not self.process or self.process.poll() is not None:
            return self.all_engine_pids()
        mark = os.fsencode(self.path("models"))
        children = [int(pid) for pid in read_proc(self.pid, f"task/{self.pid}/children").split()]
        # One that is ending has no command line any more, but may still hold what it held.
        self.seen |= {pid for pid in children if mark in read_proc(pid, "cmdline")}
        return [pid for pid in children if pid in self.seen and alive(pid)]

    def all_engine_pids(self):
        return World.engine_pids(self)

    def engine_pid(self):
        pids = self.engine_pids()
        if len(pids) != 1:
            raise AssertionError(f"{len(pids)} engines instead of one\n{self.server_log()[-2000:]}")
        return pids[0]

    def engine_argv(self):
        return read_proc(self.engine_pid(), "cmdline").decode().split("\0")[:-1]

    def engine_socket(self):
        argv = self.engine_argv()
        return os.path.join(os.readlink(f"/proc/{self.engine_pid()}/cwd"),
                            argv[argv.index("--host") + 1])

    def direct(self, method, path, body=None, timeout=60):
        """The same request, past the server, to the same engine process."""
        connection = UnixConnection(self.engine_socket(), scaled(timeout))
        return exchange(connection, method, path, body)

    def direct_connect(self, timeout=60):
        raw = Raw(unix_connect(self.engine_socket(), scaled(timeout)), timeout)
        self.open.append(raw)
        return raw

    def busy(self):
        """How many slots of the engine work now."""
        reply = self.direct("GET", "/slots")
        if reply.status != 200:
            raise AssertionError(f"the engine is not ready: {reply}")
        return sum(slot["is_processing"] for slot in reply.json())


class Real(Scenario):
    """A scenario on the real engine; ends as all do: fds, processes and sockets are counted."""

    world_type = RealWorld

    def assert_streams_ended(self):
        def quiet():
            with contextlib.suppress(OSError, AssertionError, http.client.HTTPException):
                return self.world.status()["state"] != "ready" or not self.world.busy()
        eventually(quiet, "the engine works for nobody", 20)

    def chat_ok(self, model="a", path="/v1/chat/completions", **more):
        more = {"max_tokens": 4, "temperature": 0, "timeout": 60, **more}
        return super().chat_ok(model, path, **more)

    def open_long(self, path, model="a", **more):
        """A stream that would last minutes; returns its events after the first ones with text."""
        stream = self.open_stream(model, path, timeout=60, max_tokens=1500, temperature=0, **more)
        self.assertEqual(stream.status, 200)
        events = stream.events()
        for _ in range(4):
            next(events)
        return stream, events

    def wait_busy(self, count=1):
        eventually(lambda: self.world.busy() == count, f"{count} slots work", 20)

    def seconds_until_idle(self):
        """From now until no thread of the engine has work. Not by asking it: llama-server looks for
        callers that have left when nothing was answered to anybody for a second, so asking often
        keeps it from looking."""
        pid, since, at_rest, first = self.world.engine_pid(), time.monotonic(), 0, 0
        while at_rest < 8:
            now = time.monotonic()
            if now > since + scaled(30):
                raise AssertionError("the engine still works for a client that has left")
            states = {thread_state(pid, task) for task in os.listdir(f"/proc/{pid}/task")}
            at_rest = 0 if states & {"R", "D"} else at_rest + 1
            first = now if at_rest == 1 else first
            time.sleep(0.01)
        self.assertEqual(self.world.busy(), 0, "it rests, but its slot is taken")
        return first - since


def thread_state(pid, task):
    text = read_proc(pid, f"task/{task}/stat")
    return text[text.rindex(b")") + 2:][:1].decode() if text else ""


class Sampled(Sampler):
    """The Sampler of the fakes, which ends with a verdict: it saw engines change places."""

    def __exit__(self, failure, *_):
        super().__exit__()
        if failure:
            return
        if len(self.seen) < 2:
            raise AssertionError(f"no switch to be seen: engines {self.seen}")
        if self.most > 1:
            raise AssertionError(f"{self.most} engines at once: {self.witness}")


def inet_sockets(pid):
    """The sockets of a process that are of the internet kind."""
    known = set()
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "udplite", "icmp"):
        lines = read_proc(pid, f"net/{table}").decode().splitlines()[1:]
        known |= {line.split()[9] for line in lines if len(line.split()) > 9}
    return [name for name in fd_table(pid).values()
            if name.startswith("socket:[") and name[8:-1] in known]


class Node:
    """One case of tests/clients/SCRIPT in a Node.js of its own; it tells events, a JSON a line."""

    def __init__(self, world, script, case, **arguments):
        env = {"PATH": os.environ["PATH"], "HOME": world.path("home"), "NODE_NO_WARNINGS": "1",
               "ANCALAGON_NPM": npm(), "ANCALAGON_URL": f"http://{world.host}:{world.port}",
               "ANCALAGON_TOKEN": getattr(world, "token", "")}
        self.errors = open(world.path("node.log"), "w+")
        self.process = subprocess.Popen(
            [shutil.which("node"), os.path.join(CLIENTS, script), case, json.dumps(arguments)],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def wait(self, name):
        """The next event of that name; any other event before it is passed over."""
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == name:
                return event
            if event["event"] in ("done", "error"):
                raise AssertionError(f"{event} came before {name}")
        self.errors.seek(0)
        raise AssertionError(f"node ended before {name}: {self.errors.read()[-2000:]}")

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self):
        return self.wait("done")["result"]

    def error(self):
        """What the client library threw."""
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "error":
                return event
            if event["event"] == "done":
                raise AssertionError(f"no error, but {event}")
        self.errors.seek(0)
        raise AssertionError(f"node ended without an error: {self.errors.read()[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(scaled(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()
