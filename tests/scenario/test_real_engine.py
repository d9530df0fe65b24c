"""The real engine under bad luck: switches under load, death, frost, reload, clients that leave."""
import contextlib
import http.client
import json
import os
import random
import select
import signal
import threading
import unittest

from harness import (ANTHROPIC, OPENAI, alive, ask, assert_error_body, binary, eventually,
                     in_threads, process_state, read_proc, request_bytes)
from real import LONG, Real, Sampled, inet_sockets, model

RESPONSES = "/v1/responses"


class Switching(Real):
    server = {"max-hold": "1s"}

    def test_under_eight_clients(self):
        """None is lost, none is answered by the other preset, never two engines."""
        dice = random.Random(3)
        plans = [[(dice.choice("ab"), dice.random() < 0.5, dice.choice((OPENAI, ANTHROPIC)))
                  for _ in range(5)] for _ in range(8)]

        def client(i):
            answers = []
            for name, stream, path in plans[i]:
                reply = self.world.http("POST", path, ask(name, stream, max_tokens=3, temperature=0),
                                        timeout=100)
                self.assertEqual(reply.status, 200, reply)
                if stream:
                    self.assertNotIn(b'"error"', reply.body)
                    self.assertTrue(b"[DONE]" in reply.body or b"message_stop" in reply.body)
                answers.append(f'"model":"{name}"'.encode() in reply.body)
            return answers

        with Sampled(self.world) as sampler:
            answers = in_threads(8, client, timeout=110)
        self.assertEqual(answers, [[True] * 5] * 8, "answered by the wrong preset")
        self.assertEqual(sampler.most, 1)

    def test_by_hand(self):
        """Fifteen switches by the operator, with the sampler looking."""
        with Sampled(self.world):
            for i in range(15):
                name = "ab"[i % 2]
                reply = self.world.control("POST", "/switch", {"preset": name}, timeout=60)
                self.assertEqual((reply.status, reply.json()["preset"]), (200, name))
                self.assertEqual(self.world.status()["preset"], name)

    def test_idle_off(self):
        self.world.presets["b"]["idle-off"] = "1s"
        self.world.write_config()
        self.world.control("POST", "/reload")
        self.chat_ok("b")
        eventually(lambda: not self.world.engine_pids(), "the idle engine is stopped", 15)
        eventually(lambda: self.world.status()["state"] == "off", "status says so")
        self.chat_ok("b")


class Dying(Real):
    def last_event(self, path, events):
        """Reads to the end, which must be an error in the caller's protocol; returns its text."""
        last = [event for event in events if event.data != "[DONE]"][-1]
        body = last.json()
        if path == OPENAI:
            error = body["error"]
            self.assertTrue(error["type"])
        elif path == ANTHROPIC:
            self.assertEqual((last.name, body["type"]), ("error", "error"))
            error = body["error"]
            self.assertTrue(error["type"])
        else:
            self.assertEqual((last.name, body["type"]), ("error", "error"))
            error = body
        return error["message"]

    def during_stream(self, path, number):
        more = {"input": "hi", "max_output_tokens": 1500} if path == RESPONSES else {}
        self.chat_ok()
        pid = self.world.engine_pid()
        stream, events = self.open_long(path, **more)
        os.kill(pid, number)
        message = self.last_event(path, list(events))
        self.assertTrue(stream.complete, "the stream was cut")
        self.assertIn("preset a", message)
        self.chat_ok(path=path if path != RESPONSES else OPENAI)
        self.assertNotEqual(self.world.engine_pid(), pid)
        eventually(lambda: not alive(pid), "the old engine is gone", 5)
        return message

    def test_killed_openai(self):
        self.during_stream(OPENAI, signal.SIGKILL)

    def test_killed_anthropic(self):
        self.during_stream(ANTHROPIC, signal.SIGKILL)

    def test_killed_responses(self):
        self.during_stream(RESPONSES, signal.SIGKILL)

    def test_crashed(self):
        self.assertIn("crashed", self.during_stream(OPENAI, signal.SIGSEGV))

    def killed_unseen(self, path, times):
        """The engine dies `times` before the client has had a byte; returns what the client gets. A
        request gets its second try only when it was sent within a second before the engine's end:
        a machine too busy for that is asked again."""
        for _ in range(4):
            self.chat_ok()
            raw = self.world.connect(60)
            raw.send(request_bytes(path, ask("a", max_tokens=120, temperature=0)))
            killed = 0
            while killed < times and eventually(lambda: self.is_busy() or answered(raw),
                                                "it is at the engine", 20) and not answered(raw):
                pid = self.world.engine_pid()
                os.kill(pid, signal.SIGKILL)
                eventually(lambda: not alive(pid), "the engine is gone")
                killed += 1
            reply = raw.read_reply()
            if killed == times and (reply.status == 200) == (times == 1):
                break
        self.assertEqual(killed, times)
        return reply

    def is_busy(self):
        with contextlib.suppress(OSError, AssertionError, ValueError, http.client.HTTPException):
            return self.world.busy() == 1

    def test_killed_before_the_first_byte(self):
        """Nothing was answered yet, so the next engine gets the same request, once."""
        for path in (OPENAI, ANTHROPIC):
            with self.subTest(path=path):
                reply = self.killed_unseen(path, 1)
                self.assertEqual(reply.status, 200, reply)
                self.assertEqual(reply.json()["model"], "a")

    def test_a_request_that_kills_engines(self):
        for path in (OPENAI, ANTHROPIC):
            with self.subTest(path=path):
                reply = self.killed_unseen(path, 2)
                self.assertEqual(reply.status, 502, reply)
                self.assertIn("preset a", assert_error_body(self, path, reply))
                self.chat_ok()


def answered(raw):
    return select.select([raw.sock], [], [], 0)[0]


class Frozen(Dying):
    """SIGSTOP: alive for the kernel, dead for its clients."""
    server = {"stall-timeout": "3s"}

    def test_openai(self):
        self.during_stream(OPENAI, signal.SIGSTOP)

    def test_anthropic(self):
        self.during_stream(ANTHROPIC, signal.SIGSTOP)

    def test_while_stopping(self):
        """A frozen engine does not hold up the switch to another preset for ever."""
        self.world.server_keys["stop-grace"] = "1s"
        self.world.write_config()
        self.assertEqual(self.world.control("POST", "/reload").status, 200)
        self.chat_ok("a")
        pid = self.world.engine_pid()
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: process_state(pid) == "T", "it is frozen")
        self.assertEqual(self.chat_ok("b")["model"], "b")
        self.assertFalse(alive(pid))


for _name in [name for name in dir(Dying) if name.startswith("test_")]:
    setattr(Frozen, _name, None)


class Reloading(Real):
    def set_ctx(self, name, ctx, how):
        self.world.presets[name]["ctx"] = str(ctx)
        self.world.write_config()
        if how == "hangup":
            self.world.process.send_signal(signal.SIGHUP)
        else:
            self.assertEqual(self.world.control("POST", "/reload").status, 200)

    def argv_ctx(self):
        argv = self.world.engine_argv()
        return argv[argv.index("--ctx-size") + 1]

    def test_under_load(self):
        world, stop, count = self.world, threading.Event(), [0, 0, 0]
        self.chat_ok()
        pid = world.engine_pid()

        def client(i):
            while not stop.is_set():
                reply = world.http("POST", OPENAI, ask("a", i == 0, max_tokens=5), timeout=60)
                self.assertEqual(reply.status, 200, reply)
                self.assertNotIn(b'"error"', reply.body)
                count[i] += 1

        def more():
            before = list(count)
            eventually(lambda: all(c > b + 1 for c, b in zip(count, before)), "load goes on", 60)

        def operator():
            try:
                with Sampled(world):
                    more()
                    self.set_ctx("b", 2560, "hangup")
                    eventually(lambda: "server.reload" in world.server_log(), "it reloads")
                    more()
                    self.assertEqual(world.engine_pid(), pid, "an unchanged preset was restarted")
                    self.set_ctx("a", 1536, "control")
                    eventually(lambda: pid not in world.engine_pids() and world.engine_pids(),
                               "a changed preset is restarted", 30)
                    more()
                    self.assertEqual(self.argv_ctx(), "1536")
            finally:
                stop.set()

        in_threads(4, lambda i: operator() if i == 3 else client(i), timeout=110)
        self.assertEqual(self.chat_ok("b")["model"], "b")
        self.assertEqual(self.argv_ctx(), "2560")

    def test_a_bad_file_changes_nothing(self):
        self.chat_ok()
        pid = self.world.engine_pid()
        with open(self.world.config, "a") as file:
            file.write("[b]\nno equals sign\n")
        reply = self.world.control("POST", "/reload")
        self.assertEqual(reply.status, 422)
        self.assertRegex(reply.json()["error"]["message"], r"presets\.ini:\d+")
        self.chat_ok()
        self.assertEqual(self.world.engine_pid(), pid)


class Leaving(Real):
    """A client that leaves frees its slot as soon as when it had called the engine directly, and
    at most a quarter of a second later. The engine looks once a second, and only between two
    batches: these are small, so that a look is never far."""
    defaults = {"batch-size": "32", "ubatch-size": "32", "parallel": "1"}

    def leave(self, connect, body, path, mid_stream):
        raw = connect()
        raw.send(request_bytes(path, body))
        if mid_stream:
            raw.read_until(b"data: ")
            raw.read_until(b"data: ")
        self.wait_busy()
        raw.close()
        return self.seconds_until_idle()

    def compare(self, path, mid_stream=False, **more):
        self.chat_ok()
        pid = self.world.engine_pid()
        body = ask("a", max_tokens=800, temperature=0, cache_prompt=False, **more)
        direct, ours = 0, 1000
        for attempt in range(6):  # a busy machine may spoil measurements, but not all of ours
            direct = max([direct] + [self.leave(self.world.direct_connect, body, path, mid_stream)
                                     for _ in range(2)])
            ours = min(ours, max(self.leave(lambda: self.world.connect(60), body, path, mid_stream)
                                 for _ in range(2)))
            if ours <= max(direct, 1.0) + 0.25:
                break
        self.assertLessEqual(ours, max(direct, 1.0) + 0.25, f"the engine called directly: {direct}")
        self.chat_ok()
        self.assertEqual(self.world.engine_pid(), pid, "the engine was restarted")
        self.assertEqual(self.world.status()["inflight"], 0)

    def test_in_the_prompt_stream(self):
        self.compare(OPENAI, stream=True, text=LONG)

    def test_in_the_prompt_body(self):
        self.compare(ANTHROPIC, text=LONG)

    def test_before_a_body(self):
        self.compare(OPENAI)

    def test_mid_stream_openai(self):
        self.compare(OPENAI, True, stream=True)

    def test_mid_stream_anthropic(self):
        self.compare(ANTHROPIC, True, stream=True)


class Orphans(Real):
    """kill -9 of the server itself, in all its moods: no engine outlives it, the next one starts."""

    def killed(self):
        world = self.world
        pids = world.engine_pids()
        self.assertEqual(len(pids), 1)
        world.process.kill()
        world.process.wait()
        eventually(lambda: not world.all_engine_pids() and not any(alive(pid) for pid in pids),
                   "the engine dies with its server")
        eventually(lambda: not world.census(), "and its guardian ends")
        world.start()
        self.assertEqual(self.chat_ok()["model"], "a")

    def test_idle(self):
        self.chat_ok()
        self.killed()

    def test_busy(self):
        self.open_long(OPENAI)
        self.killed()

    def test_loading(self):
        self.raw_ask("a")
        eventually(self.world.engine_pids, "it loads", 10)
        self.killed()

    def test_frozen(self):
        self.chat_ok()
        os.kill(self.world.engine_pid(), signal.SIGSTOP)
        self.killed()


class Sandbox(Real):
    def test_no_internet(self):
        """The filter is on in every thread, cannot be taken off, and no such socket is open."""
        self.chat_ok()
        pid = self.world.engine_pid()
        tasks = os.listdir(f"/proc/{pid}/task")
        self.assertGreater(len(tasks), 1)
        for task in tasks:
            fields = dict(line.split(":\t", 1) for line in
                          read_proc(pid, f"task/{task}/status").decode().splitlines()
                          if ":\t" in line)
            if not fields:
                continue  # a thread that has ended
            self.assertEqual((fields["Seccomp"], fields["NoNewPrivs"]), ("2", "1"), fields["Name"])
        self.assertEqual(inet_sockets(pid), [])
        self.assertTrue(self.world.engine_socket().endswith(".sock"))
        self.assertTrue(inet_sockets(self.world.pid), "the look itself sees nothing")

    def test_nothing_of_ours_is_inherited(self):
        self.chat_ok()
        environ = read_proc(self.world.engine_pid(), "environ")
        for bait in (b"LLAMA_", b"AWS_", b"bait"):
            self.assertNotIn(bait, environ)
        folder = os.path.dirname(self.world.engine_socket())
        self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)


class Failing(Real):
    """A preset that cannot start: its callers read why and what to do, the others go on."""
    presets = {"a": {"default": "true"}, "text": {}, "cut": {}, "flag": {"no-such-flag": "1"},
               "value": {"rope-scaling": "sideways"}, "gone": {}}

    def setUp(self):
        super().setUp()
        for name in ("text", "cut", "gone"):
            os.unlink(self.world.path("models", f"{name}.gguf"))
        with open(self.world.path("models", "text.gguf"), "w") as file:
            file.write("<html>404 Not Found</html>\n" * 100)
        with open(model(), "rb") as whole, open(self.world.path("models", "cut.gguf"), "wb") as cut:
            cut.write(whole.read(20 << 20))

    def fails(self, name, *words, undisturbed=False):
        """`undisturbed`: it can be told without stopping the preset that is loaded."""
        self.chat_ok("a")
        pid = self.world.engine_pid()
        for path, stream in ((OPENAI, False), (ANTHROPIC, True)):
            with self.subTest(path=path):
                raw = self.world.connect(60)
                raw.send(request_bytes(path, ask(name, stream)))
                reply = raw.read_reply()
                self.assertGreaterEqual(reply.status, 500)
                message = assert_error_body(self, path, reply)
                for word in (name, *words):
                    self.assertIn(word, message)
                # The one that was there before comes back by itself.
                self.wait_state("ready", "a", 30)
        reply = self.world.control("POST", "/switch", {"preset": name}, timeout=60)
        self.assertGreaterEqual(reply.status, 400)
        self.assertIn(words[0], reply.json()["error"]["message"])
        if undisturbed:
            self.assertEqual(self.world.engine_pid(), pid, "a was stopped for nothing")
        else:
            state = {preset["name"]: preset for preset in self.world.status()["presets"]}[name]
            self.assertEqual(state["state"], "failed")
            self.assertIn(words[0], state["error"])
        self.chat_ok("a")

    def test_no_gguf(self):
        self.fails("text", "model file", "GGUF")

    def test_truncated(self):
        self.fails("cut", "cut.gguf", "download", undisturbed=True)

    def test_missing(self):
        self.fails("gone", "gone.gguf", undisturbed=True)

    def test_unknown_flag(self):
        self.fails("flag", "no-such-flag", undisturbed=True)

    def test_unknown_value(self):
        self.fails("value", "rope-scaling", undisturbed=True)


class CommandLine(Real):
    def lmswitch(self, *args, rc=0):
        done = self.world.cli(*args, program="lmswitch", timeout=60)
        self.assertEqual(done.returncode, rc, done.stdout + done.stderr)
        return done.stdout

    def test_a_day(self):
        binary("lmswitch")
        self.assertEqual(json.loads(self.lmswitch("status", "--json"))["state"], "off")
        self.lmswitch("b")
        status = json.loads(self.lmswitch("status", "--json"))
        self.assertEqual((status["preset"], status["state"]), ("b", "ready"))
        self.assertEqual(status["engine_pid"], self.world.engine_pid())
        self.assertIn("model", self.lmswitch("logs"))
        with Sampled(self.world):
            self.lmswitch("alpha")
        self.assertEqual(self.chat_ok()["model"], "a")
        self.lmswitch("nope", rc=1)
        self.lmswitch("off")
        self.assertEqual(self.world.engine_pids(), [])
        self.assertEqual(json.loads(self.lmswitch("status", "--json"))["state"], "off")


if __name__ == "__main__":
    unittest.main()
