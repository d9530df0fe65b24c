"""The real Claude Code under local-claude: a model that is silent for long, and the ways in which a
run can end."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import unittest
import urllib.request

from harness import eventually, scaled
from local_world import Local
from real import HERE
from test_real_claude import RealLocalWorld, at_the_prompt

sys.path.insert(0, os.path.join(HERE, "..", "fakes"))
from mock_model import MockModel, say  # noqa: E402


class Case(Local):
    world_type = RealLocalWorld

    def model(self, *script, **more):
        model = MockModel(script, **more)
        self.addCleanup(model.close)
        return model

    def start(self, model, *words, **more):
        return self.world.start("--backend", "remote", "--port", str(model.port), "--ctx", "64K",
                                "-p", *words, **more)

    def claude_pids(self):
        return [pid for pid in self.world.processes() if self.is_claude(pid)]

    def is_claude(self, pid):
        try:
            return os.readlink(f"/proc/{pid}/exe") == os.path.realpath(self.world.claude)
        except OSError:
            return False


class Silence(Case):
    """Nothing is heard of the model until the client has heard of us; no clock decides."""

    def setUp(self):
        super().setUp()
        self.speak = threading.Event()
        self.addCleanup(self.speak.set)

    def silent(self, _asked):
        self.speak.wait(scaled(100))
        return say("At last.")

    def test_claude_code_hears_that_it_was_begun(self):
        model = self.model(self.silent)
        process = self.start(model, "say hi", "--verbose", "--output-format", "stream-json",
                             "--include-partial-messages")
        for line in process.stdout:
            event = json.loads(line)
            if event.get("event", {}).get("type") == "message_start":
                break
        else:
            self.fail(process.stderr.read())
        self.assertFalse(self.speak.is_set())
        self.speak.set()
        out, err = process.communicate(timeout=scaled(60))
        self.assertEqual(json.loads(out.splitlines()[-1])["result"], "At last.", err)
        self.assertEqual(len(model.chats()), 1, "it was asked once")


    def test_pings(self):
        """What keeps the client patient comes again and again; at the relay itself."""
        model = self.model(self.silent)
        self.world.claude = self.world.path("bin", "claude")  # the fake, which only waits
        process = self.start(model, env={"FAKE_CLAUDE": "sleep:100"})
        self.addCleanup(process.kill)
        env = eventually(self.world.record, "claude is started", 20)["env"]
        request = urllib.request.Request(
            env["ANTHROPIC_BASE_URL"] + "/v1/messages", json.dumps({
                "model": "qwen3-coder", "max_tokens": 16, "stream": True,
                "messages": [{"role": "user", "content": "hello"}]}).encode(),
            {"Authorization": f"Bearer {env['ANTHROPIC_AUTH_TOKEN']}"})
        names = []
        with urllib.request.urlopen(request, timeout=scaled(60)) as reply:
            for line in reply:
                if line.startswith(b"event: "):
                    names.append(line[7:].strip().decode())
                if names.count("ping") == 2:
                    self.speak.set()
        self.assertEqual(names[0], "message_start")
        self.assertEqual(names[-1], "message_stop")
        self.assertLess(names.index("ping"), names.index("content_block_start"))
        self.assertGreaterEqual(names.count("ping"), 2)


class Ends(Case):
    def waiting(self, *words):
        """A run that waits for its next message, with Claude Code up and its relay listening."""
        model = self.model(say("Never asked."))
        process = self.start(model, "--verbose", "--input-format", "stream-json",
                             "--output-format", "stream-json", *words, stdin=subprocess.PIPE)
        self.addCleanup(process.stdin.close)
        eventually(self.claude_pids, "Claude Code runs", 20)
        return process

    def answering(self):
        """A run whose model is silent."""
        speak = threading.Event()
        self.addCleanup(speak.set)
        model = self.model(lambda _: speak.wait(scaled(60)) and say("Too late."))
        process = self.start(model, "say hi", "--output-format", "json")
        eventually(model.asked, "the model is asked", 30)
        return process

    def all_gone(self, process):
        port = self.relay_port
        process.wait(scaled(20))
        eventually(lambda: not self.world.processes(), "nothing of it runs", 2)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=scaled(5)).close()

    def note_port(self):
        pid = eventually(self.claude_pids, "Claude Code runs", 20)[0]
        with open(f"/proc/{pid}/environ", "rb") as file:
            url = re.search(rb"ANTHROPIC_BASE_URL=http://127\.0\.0\.1:(\d+)", file.read())
        self.relay_port = int(url[1])
        return pid

    def test_kills(self):
        """What was killed is told; what was not, ends too. In the middle of an answer."""
        for whom, number in (("claude", signal.SIGKILL), ("local-claude", signal.SIGKILL),
                             ("claude", signal.SIGTERM), ("local-claude", signal.SIGTERM)):
            with self.subTest(whom=whom, signal=number):
                process = self.answering()
                claude = self.note_port()
                os.kill(claude if whom == "claude" else process.pid, number)
                self.all_gone(process)
                expected = (-number, 128 + number) if number == signal.SIGTERM else (-number,)
                self.assertIn(process.returncode, expected)

    def test_waiting_for_words(self):
        process = self.waiting()
        self.note_port()
        process.send_signal(signal.SIGTERM)
        self.all_gone(process)

    def test_the_end_of_its_input(self):
        process = self.waiting()
        self.note_port()
        process.stdin.close()
        self.all_gone(process)
        self.assertEqual(process.returncode, 0)

    def on_a_terminal(self):
        terminal = at_the_prompt(self, self.world.backend("plain"))
        return terminal, self.note_port()

    def gone(self, terminal):
        eventually(terminal.ended, "it has ended", 10)
        eventually(lambda: not self.world.processes(), "nothing of it runs", 2)

    def test_interrupted_on_a_terminal(self):
        """Ctrl-C, which Claude Code reads as a key, and then wants twice."""
        terminal, _ = self.on_a_terminal()
        self.assertNotEqual(settings(terminal)[3] & termios.ICANON, termios.ICANON, "it is raw")
        terminal.type("\x03")
        terminal.see("Press Ctrl-C again to exit")
        terminal.type("\x03")
        self.gone(terminal)
        self.assertEqual(terminal.status, 0)
        self.assertTrue(is_usual(settings(terminal)))

    def test_signalled_on_a_terminal(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                terminal, _ = self.on_a_terminal()
                os.killpg(os.getpgid(terminal.pid), number)
                self.gone(terminal)
                self.assertTrue(is_usual(settings(terminal)))

    def test_claude_killed_on_a_terminal(self):
        """It could not put the terminal back; local-claude does, and says how it ended."""
        terminal, claude = self.on_a_terminal()
        os.kill(claude, signal.SIGKILL)
        self.gone(terminal)
        self.assertEqual(terminal.status, -signal.SIGKILL)
        self.assertTrue(is_usual(settings(terminal)), "the next command can be read")


def settings(terminal):
    return termios.tcgetattr(terminal.fd)


def is_usual(attributes):
    """Lines, their echo, and keys that send signals."""
    wanted = termios.ICANON | termios.ECHO | termios.ISIG
    return attributes[3] & wanted == wanted


if __name__ == "__main__":
    unittest.main()
