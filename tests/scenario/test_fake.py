"""The witness itself: fake_llama, spoken to directly. What it cannot do, no scenario can prove."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import (ANTHROPIC, OPENAI, Raw, Stream, UnixConnection, alive, ask, binary, eventually,
                     exchange, request_bytes, reserve_port, scaled, unix_connect)


class FakeEngine(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="fake-")
        self.addCleanup(self.folder.cleanup)
        self.socket = os.path.join(self.folder.name, "e.sock")
        self.process = None

    def tearDown(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
            self.process.stderr.close()

    def start(self, *args, ready=True, **knobs):
        model = os.path.join(self.folder.name, "m.gguf")
        with open(model + ".fake", "w") as file:
            for key, value in knobs.items():
                file.write(f"{key}={value}\n")
        self.process = subprocess.Popen(
            [binary("fake_llama"), "-m", model, "--host", self.socket, *args],
            stderr=subprocess.PIPE, env={})
        if ready:
            eventually(lambda: self.get("/health", quiet=True), "the fake is healthy")

    def get(self, path, quiet=False, method="GET", body=None):
        try:
            reply = exchange(UnixConnection(self.socket, scaled(5)), method, path, body)
        except OSError:
            if quiet:
                return None
            raise
        return reply if not quiet or reply.status == 200 else None

    def answer(self, path):
        """Of whatever status, once there is one."""
        with contextlib.suppress(OSError):
            return self.get(path)

    def ask(self, path=OPENAI, **more):
        return self.get(path, method="POST", body=ask(**more))

    def stream(self, path=OPENAI, **more):
        raw = Raw(unix_connect(self.socket))
        self.addCleanup(raw.close)
        return Stream(raw.send(request_bytes(path, ask(stream=True, **more))))

    def stats(self):
        return self.get("/fake/stats").json()

    def test_answers_in_every_protocol(self):
        self.start()
        for path in (OPENAI, ANTHROPIC, "/v1/completions", "/v1/responses", "/v1/embeddings",
                     "/tokenize"):
            with self.subTest(path=path):
                body = self.ask(path, fake={"tag": path}).json()
                self.assertEqual(body["fake"]["tag"], path)
                self.assertEqual(body["fake"]["pid"], self.process.pid)

    def test_streams_in_every_protocol(self):
        self.start()
        last = {OPENAI: "[DONE]", "/v1/completions": "[DONE]", ANTHROPIC: "message_stop",
                "/v1/responses": "response.completed"}
        for path, end in last.items():
            for split in (False, True):
                with self.subTest(path=path, split=split):
                    stream = self.stream(path, fake={"tokens": 4, "split": split})
                    events = list(stream.events())
                    self.assertTrue(stream.complete)
                    self.assertIn(end, events[-1].data)
                    self.assertIn("\U0001f999", "".join(event.data for event in events))

    def test_loading_then_healthy(self):
        hold = os.path.join(self.folder.name, "hold")
        open(hold, "w").close()
        self.start(ready=False, load_hold=hold, health_503=2)
        reply = eventually(lambda: self.answer("/health"), "it listens")
        self.assertEqual(reply.status, 503)
        self.assertEqual(reply.json()["error"]["message"], "Loading model")
        self.assertEqual(self.ask().status, 503)
        os.unlink(hold)
        eventually(lambda: self.get("/health", quiet=True), "healthy in the end")

    def test_slots_serialise_in_order(self):
        self.start("-np", "1")
        raw = Raw(unix_connect(self.socket))
        raw.send(request_bytes(OPENAI, ask(fake={"then": "hang"})))
        eventually(lambda: self.stats()["running"] == 1, "the first runs")
        second = Raw(unix_connect(self.socket))
        second.send(request_bytes(OPENAI, ask()))
        eventually(lambda: self.stats()["waiting"] == 1, "the second waits")
        self.assertTrue(self.get("/slots").json()[0]["is_processing"])
        raw.close()
        self.assertEqual(second.read_reply().status, 200)
        second.close()
        stats = self.stats()
        self.assertEqual((stats["closed_early"], stats["active"]), (1, 0))

    def test_faults_on_the_wire(self):
        self.start()
        for then, complete in (("close", False), ("reset", False), ("no_last_chunk", False),
                               ("no_done", True), ("error", True)):
            with self.subTest(then=then):
                stream = self.stream(fake={"tokens": 2, "then": then})
                with contextlib.suppress(AssertionError, OSError):
                    for _ in stream.events():
                        pass
                self.assertEqual(stream.complete, complete)

    def test_kill_stop_exit(self):
        for then, gone in (("kill", True), ("exit", True), ("stop", False)):
            with self.subTest(then=then):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.socket)
                self.start()
                raw = Raw(unix_connect(self.socket))
                raw.send(request_bytes(OPENAI, ask(fake={"then": then})))
                if gone:
                    self.process.wait(scaled(5))
                else:
                    eventually(lambda: b"State:\tT" in open(
                        f"/proc/{self.process.pid}/status", "rb").read(), "it is stopped")
                raw.close()
                self.tearDown()

    def test_wedge_keeps_health(self):
        self.start(wedge_after=3)
        raw = Raw(unix_connect(self.socket))
        raw.send(request_bytes(OPENAI, ask(stream=True, fake={"tokens": 9})))
        raw.read_until(b"\xe6\xbc\xa2")
        self.assertEqual(self.get("/health").status, 200)
        raw.sock.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            raw.read_until(b"[DONE]")
        raw.close()

    def test_start_failures(self):
        for cause, words in (("oom", b"out of memory"), ("tensor", b"invalid ggml type"),
                             ("load", b"failed to load model"), ("bind", b"couldn't bind")):
            with self.subTest(cause=cause):
                self.start(ready=False, exit_at_start=1, cause=cause)
                _, text = self.process.communicate(timeout=scaled(5))
                self.assertEqual(self.process.returncode, 1)
                self.assertIn(words, text)

    def test_stale_socket_stops_the_start(self):
        open(self.socket, "w").close()
        self.start(ready=False)
        self.assertEqual(self.process.wait(scaled(5)), 1)

    def test_heals_after_some_starts(self):
        for expected in (3, 3, None):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.socket)
            self.start(ready=False, exit_at_start=3, fault_starts=2)
            if expected is None:
                eventually(lambda: self.get("/health", quiet=True), "healthy at the third start")
            else:
                self.assertEqual(self.process.wait(scaled(5)), expected)
                self.process.stderr.close()

    def test_sigterm_and_deafness(self):
        self.start()
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(scaled(5)), 0)
        self.process.stderr.close()
        os.unlink(self.socket)
        self.start(ignore_sigterm=1)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ask().status, 200)
        self.assertTrue(alive(self.process.pid))

    def test_dialects(self):
        run = lambda *args: subprocess.run([binary("fake_llama"), *args], capture_output=True,
                                           text=True)
        for dialect, has, lacks in (("mainline", "--load-mode", "--mlock"),
                                    ("old", "--mlock", "--load-mode"),
                                    ("ik", "--run-time-repack", "--fit-target")):
            with self.subTest(dialect=dialect):
                text = run("--fake-dialect", dialect, "--help").stdout
                self.assertIn(has, text)
                self.assertNotIn(lacks, text)
                bad = run("--fake-dialect", dialect, lacks)
                self.assertEqual((bad.returncode, bad.stderr),
                                 (1, f"error: invalid argument: {lacks}\n"))
        self.assertEqual(run("-fa", "on", "--version").returncode, 0)
        self.assertEqual(run("-fa", "sometimes", "--version").returncode, 1)
        self.assertEqual(run("--draft-max", "3", "--version").returncode, 1)

    def test_sees_sockets_when_there_is_no_sandbox(self):
        self.start()
        self.assertTrue(self.get("/fake/socket").json()["inet_stream"]["opened"])

    def test_logs_its_start(self):
        self.start(log_dir=self.folder.name)
        with open(os.path.join(self.folder.name, f"{self.process.pid}.json")) as file:
            log = json.load(file)
        self.assertIn(self.socket, log["argv"])
        self.assertEqual(log["env"], [])

    def test_notes_a_second_engine(self):
        lock = os.path.join(self.folder.name, "alive")
        self.start(exclusive=lock)
        self.assertFalse(os.path.exists(lock + ".overlap"))
        other = os.path.join(self.folder.name, "o.sock")
        second = subprocess.Popen([binary("fake_llama"), "-m", self.folder.name + "/m.gguf",
                                   "--host", other], stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: os.path.exists(lock + ".overlap"), "the overlap is noted")
        finally:
            second.kill()
            second.wait()

    def test_big_body_and_tcp(self):
        keeper = reserve_port()
        self.addCleanup(keeper.close)
        port = keeper.getsockname()[1]
        self.process = subprocess.Popen(
            [binary("fake_llama"), "-m", "x.gguf", "--host", "127.0.0.1", "--port", str(port),
             "--api-key", "k"], stderr=subprocess.PIPE, env={})

        def connect():
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port))
        raw = Raw(eventually(connect, "it listens on TCP"))
        self.addCleanup(raw.close)
        self.assertEqual(raw.send(request_bytes(OPENAI, ask())).read_reply().status, 401)
        reply = raw.send(request_bytes(OPENAI, ask(fake={"body_bytes": 3000000}),
                                       "Authorization: Bearer k\r\n")).read_reply()
        self.assertEqual(reply.status, 200)
        self.assertGreater(len(reply.json()["choices"][0]["message"]["content"]), 3000000 - 64)


if __name__ == "__main__":
    unittest.main()
