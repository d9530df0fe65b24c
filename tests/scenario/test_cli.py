"""The commands: exit codes, words for people, JSON for scripts."""
import json
import os
import signal
import subprocess
import unittest

from harness import Scenario, binary, eventually, scaled


def need(result, command):
    if "unknown command" in result.stderr or "no command" in result.stderr:
        raise unittest.SkipTest(f"{command} is not there yet")
    return result


class Offline(Scenario):
    autostart = False

    def cli(self, *args, **more):
        return self.world.cli(*args, **more)

    def test_no_server(self):
        for args in (("status",), ("status", "--json"), ("off",), ("logs",), ("reload",)):
            with self.subTest(args=args):
                result = need(self.cli(*args, "--config", self.world.config), args[0])
                self.assertEqual(result.returncode, 4, result)
                self.assertTrue(result.stderr)
                self.assertNotIn("Traceback", result.stderr)
        result = need(self.cli("a", "--config", self.world.config, program="lmswitch"), "lmswitch")
        self.assertEqual(result.returncode, 4, result)

    def test_usage(self):
        for args in (("nonsense",), ("status", "--nonsense"), ("serve", "--listen"),
                     ("serve", "extra", "words"), ("status", "extra", "words"),
                     ("aliases", "--shell", "csh")):
            with self.subTest(args=args):
                result = self.cli(*args)
                self.assertEqual(result.returncode, 2, result)
                self.assertTrue(result.stderr)

    def test_the_word_that_is_refused(self):
        for args, word in ((("switch", "-dash"), "-dash"), (("switch", "a", "-x"), "-x"),
                           (("logs", "-fx"), "-fx"), (("status", "--nope", "a"), "--nope"),
                           (("logs", "-f", "-dash"), "-dash"), (("status", "--json=1"), "--json=1")):
            with self.subTest(args=args):
                result = self.cli(*args)
                self.assertEqual(result.returncode, 2, result)
                self.assertIn(f"{word} ", result.stderr)
                self.assertNotIn(f" {args[0]} is no option", result.stderr)

    def test_help_and_version(self):
        for args in (("--help",), ("serve", "--help"), ("status", "--help")):
            with self.subTest(args=args):
                result = need(self.cli(*args), args[0])
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.assertLessEqual(len(result.stdout.splitlines()), 50, "longer than a screen")
        self.assertRegex(self.cli("--version").stdout, r"\d+\.\d+\.\d+")

    def test_config_errors(self):
        with open(self.world.config, "w") as file:
            file.write(f"[a]\nmodel = a.gguf\nctx-sise = 8192\nengine = {self.world.engine}\n")
        result = need(self.cli("check-config", "--config", self.world.config), "check-config")
        self.assertEqual(result.returncode, 3)
        self.assertIn("presets.ini:3", result.stdout + result.stderr)
        missing = self.cli("serve", "--config", self.world.path("nowhere.ini"))
        self.assertEqual(missing.returncode, 3, missing)

    def test_check_config_good(self):
        result = need(self.cli("check-config", "--config", self.world.config), "check-config")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_engines(self):
        result = need(self.cli("engines", "--json", "--config", self.world.config), "engines")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(self.world.engine, result.stdout)
        json.loads(result.stdout)


class OddBytes(Scenario):
    """Engines, names of files and people's words need not be UTF-8. One byte that is not is shown
    as U+FFFD, and nothing else of the answer suffers."""
    autostart = False

    def cli(self, *args, **more):
        return self.world.cli(*args, "--config", self.world.config, **more)

    def shown(self):
        result = self.cli("status", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        return {preset["name"]: preset for preset in json.loads(result.stdout)["presets"]}

    def add_to_config(self, line):
        with open(self.world.config, "ab") as file:
            file.write(line)

    def test_what_an_engine_prints(self):
        wrapper = self.world.path("bin", "wrapper")
        with open(wrapper, "w") as file:
            file.write(f'#!/bin/sh\ncase "$*" in *--help*|*--version*|*--list*) '
                       f'exec {self.world.engine} "$@";; esac\n'
                       'printf "error: invalid argument: caf\\351\\n" >&2\nexit 1\n')
        os.chmod(wrapper, 0o755)
        self.add_to_config(f"[odd]\nmodel = a.gguf\nengine = {wrapper}\n".encode())
        self.world.start()
        result = self.cli("odd", program="lmswitch")
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("caf\ufffd", result.stderr)
        self.assertIn("caf\ufffd", self.shown()["odd"]["error"])
        for command in ("status", "list"):
            result = self.cli(command)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("odd", result.stdout)

    def test_a_description_and_a_path(self):
        odd = os.path.join(self.world.path("models").encode(), b"caf\xe9.gguf")
        with open(odd, "wb") as file:
            file.write(b"GGUF")
        self.add_to_config(b"[odd]\nmodel = %s\ndescription = caf\xe9\n" % odd)
        for command in ("list", "check-config", "models"):
            with self.subTest(command=command, server=False):
                json.loads(self.cli(command, "--json").stdout)
        self.world.start()
        preset = self.shown()["odd"]
        self.assertEqual(preset["description"], "caf\ufffd")
        self.assertEqual(os.path.basename(preset["model"]), "caf\ufffd.gguf")
        self.assertEqual(self.chat("odd").status, 503)  # four bytes are no model
        self.assertIn("caf\ufffd.gguf", self.shown()["odd"]["error"])
        result = self.cli("odd", program="lmswitch")
        self.assertIn("caf\ufffd.gguf", result.stderr)


class Online(Scenario):
    def cli(self, *args, **more):
        return self.world.cli(*args, "--config", self.world.config, **more)

    def test_status(self):
        result = need(self.cli("status", "--json"), "status")
        self.assertEqual(result.returncode, 0, result.stderr)
        status = json.loads(result.stdout)
        self.assertEqual(set(status) & {"preset", "state", "engine_pid", "queued", "requests"},
                         {"preset", "state", "engine_pid", "queued", "requests"})
        self.assertEqual((status["preset"], status["state"], status["engine_pid"]),
                         (None, "off", None))
        pid = self.chat_ok("b")["fake"]["pid"]
        status = json.loads(self.cli("status", "--json").stdout)
        self.assertEqual((status["preset"], status["state"], status["engine_pid"]),
                         ("b", "ready", pid))
        self.assertEqual(status["requests"], 1)
        self.assertEqual({p["name"] for p in status["presets"]}, {"a", "b", "c"})
        self.assertIn("b", self.cli("status").stdout)

    def test_lmswitch(self):
        result = need(self.cli("b", program="lmswitch"), "lmswitch")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.world.status()["preset"], "b")
        result = self.cli("alpha", program="lmswitch")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.world.status()["preset"], "a")
        result = self.cli("off", program="lmswitch")
        self.assertEqual(result.returncode, 0, result.stderr)
        eventually(lambda: not self.world.engine_pids(), "off means gone")

    def test_lmswitch_json(self):
        result = need(self.cli("b", "--json", program="lmswitch"), "lmswitch")
        self.assertEqual(json.loads(result.stdout)["preset"], "b")

    def test_lmswitch_fails(self):
        self.chat_ok("a")
        self.world.fake("b", exit_at_start=1, cause="oom")
        result = need(self.cli("b", program="lmswitch"), "lmswitch")
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("memory", (result.stderr + result.stdout).lower())
        self.wait_state("ready", "a")
        result = self.cli("nobody", program="lmswitch")
        self.assertIn(result.returncode, (1, 2), result)
        self.assertIn("nobody", result.stderr)

    def test_reload(self):
        result = need(self.cli("reload"), "reload")
        self.assertEqual(result.returncode, 0, result.stderr)

    def logged(self, preset, words):
        """Waits until the engine's line is there: it comes by a pipe, and no answer waits for it."""
        eventually(lambda: words in self.cli("logs", preset).stdout, f"{words} in the log")

    def test_logs(self):
        self.chat_ok("a")
        self.logged("a", "all slots are idle")
        result = need(self.cli("logs"), "logs")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("all slots are idle", result.stdout)
        first = result.stdout.splitlines()[0]
        self.assertIn("llama-server --model ", first, "the command that was run stands first")
        self.assertIn("--host ", first)

    def test_logs_json(self):
        self.chat_ok("a")
        self.logged("a", "all slots are idle")  # the last one for now
        for program in ("ancalagon", "lmswitch"):
            result = self.cli("logs", "a", "--json", program=program)
            self.assertEqual(result.returncode, 0, result)
            lines = [json.loads(line)["line"] for line in result.stdout.splitlines()]
            self.assertIn("llama-server --model ", lines[0])
            self.assertEqual(lines, self.cli("logs", "a").stdout.splitlines())

    def test_a_server_that_is_stopped(self):
        """Nobody waits for ever; what was asked of a frozen server is told to be unanswered."""
        os.kill(self.world.pid, signal.SIGSTOP)
        try:
            result = self.cli("a", "--no-start", program="lmswitch", timeout=30)
            self.assertEqual(result.returncode, 5, result)
            self.assertIn("did not answer", result.stderr)
        finally:
            os.kill(self.world.pid, signal.SIGCONT)

    def test_a_switch_that_is_called_off(self):
        self.world.fake("a", load_ms=60000)
        switch = subprocess.Popen(
            [binary("lmswitch"), "a", "--config", self.world.config], text=True,
            env=self.world.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_state("loading")
        self.assertEqual(self.cli("off").returncode, 0)
        _, error = switch.communicate(timeout=scaled(10))
        self.assertEqual(switch.returncode, 1, error)
        self.assertIn("switched off", error)

    def test_logs_follow(self):
        self.chat_ok("a")
        process = subprocess.Popen(
            [binary("ancalagon"), "logs", "-f", "--config", self.world.config],
            env=self.world.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            os.set_blocking(process.stdout.fileno(), False)
            seen = []

            def sees(words):
                def check():
                    if process.poll() is not None:
                        error = process.stderr.read().decode()
                        if "unknown command" in error:
                            self.skipTest("logs is not there yet")
                        self.fail(f"logs -f ended: {error}")
                    seen.append(process.stdout.read() or b"")
                    return words in b"".join(seen).decode()
                return check
            eventually(sees("all slots are idle"), "the log so far")
            self.chat("a", fake={"then": "exit", "tokens": 0})
            eventually(sees("GGML_ASSERT"), "new lines as they come")
            process.send_signal(signal.SIGINT)
            self.assertIn(process.wait(scaled(5)), (0, 130, -2))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def test_events(self):
        from harness import Raw, Stream, unix_connect
        raw = Raw(unix_connect(self.world.control_path(), 10))
        raw.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream = Stream(raw)
        states = []
        events = stream.events()
        states.append(next(events).json()["state"])
        self.raw_ask("a", fake={"first_ms": 100})
        while states[-1] != "ready":
            states.append(next(events).json()["state"])
        self.assertEqual(states[0], "off")
        self.assertIn("loading", states)
        raw.close()


if __name__ == "__main__":
    unittest.main()
