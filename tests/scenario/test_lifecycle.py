"""Starts, ends, reloads, idle time, frozen engines."""
import glob
import os
import signal
import socket
import threading
import unittest

from harness import (ANTHROPIC, OPENAI, Raw, Scenario, alive, ask, eventually, fd_table, in_threads,
                     parent_of, process_state, processes, read_proc, request_bytes, scaled, unix_connect)


class Ends(Scenario):
    def test_kill_9_leaves_no_engine(self):
        self.chat_ok()
        self.raw_ask(fake={"first_ms": 60000})
        self.wait_active(1)
        self.world.process.kill()
        self.world.process.wait()
        eventually(lambda: not self.world.census(), "the engine dies with its server")
        # And the next start finds its way over what the dead one left.
        self.world.start()
        self.chat_ok()

    def test_a_clean_end_after_kill_9_leaves_no_folder(self):
        for model in "abab":
            self.chat_ok(model)
        folder = os.path.dirname(self.world.control_path())
        self.world.process.kill()
        self.world.process.wait()
        with open(os.path.join(folder, "e9.key"), "w"):  # as for a build without unix sockets
            pass
        self.world.start()
        self.chat_ok()
        self.world.process.terminate()
        self.end()
        self.assertFalse(os.path.exists(folder), "its folder is gone")

    def test_kill_9_while_loading(self):
        self.world.fake("a", load_ms=60000)
        self.raw_ask()
        self.wait_state("loading")
        self.world.process.kill()
        self.world.process.wait()
        eventually(lambda: not self.world.census(), "the loading engine dies too")
        self.ended = True

    def test_sigterm_when_idle(self):
        self.world.process.terminate()
        self.end()

    def test_sigterm_with_an_engine(self):
        self.chat_ok()
        self.world.process.terminate()
        self.end()

    def test_sigterm_under_load(self):
        stop = threading.Event()

        def load(i):
            while not stop.is_set():
                try:
                    self.chat("abc"[i % 3], fake={"tokens": 5, "interval_ms": 20}, timeout=30)
                except OSError:
                    return
                except Exception as error:
                    self.assertIn(type(error).__name__, (
                        "IncompleteRead", "RemoteDisconnected", "BadStatusLine"))
                    return

        def end(_):
            eventually(lambda: self.world.status()["requests"] > 10, "there is load")
            self.world.process.terminate()
            self.world.process.wait(scaled(20))
            stop.set()

        in_threads(9, lambda i: end(i) if i == 8 else load(i))
        self.end()

    def test_sigterm_while_loading_and_deaf(self):
        self.world.fake("a", load_ms=60000, ignore_sigterm=True)
        self.raw_ask()
        self.wait_state("loading")
        self.world.process.terminate()
        self.end()

    def deaf(self):
        """The server's end waits for an engine that does not go; returns what ends that."""
        self.world.server_keys["stop-grace"] = "600s"
        self.world.write_config()
        self.assertEqual(self.world.control("POST", "/reload", {}).status, 200)
        self.world.fake("a", ignore_sigterm=True)
        return lambda: os.kill(self.world.engines()[-1]["pid"], signal.SIGKILL)

    def test_sigterm_and_a_client_that_goes_on(self):
        """Connections that are kept alive may not keep the server alive."""
        deaf = self.deaf()
        idle, busy, asking = (self.world.connect(20) for _ in range(3))
        for raw in (idle, busy, asking):
            raw.send(request_bytes(OPENAI, ask("a")))
            self.assertEqual(raw.read_reply().status, 200)
        head = request_bytes(OPENAI, ask("a"))
        busy.send(head[:20])  # a request under way when the end comes
        self.world.settle()
        engines = len(self.world.engine_logs())
        self.world.process.terminate()
        eventually(lambda: "server.stop" in self.world.server_log(), "it is stopping")
        busy.send(head[20:])
        reply = busy.read_reply()
        self.assertEqual(reply.status, 503, reply)
        self.assertIn("shutting down", reply.json()["error"]["message"])
        self.assertEqual(reply.header("connection"), "close")
        self.assertEqual(idle.read_all(), b"", "an idle connection is closed at once")
        deaf()
        self.end()
        self.assertEqual(len(self.world.engine_logs()), engines, "an engine was started in the end")

    def test_sigterm_and_a_switch_that_comes_late(self):
        control = Raw(unix_connect(self.world.control_path(), 10))
        deaf = self.deaf()
        self.chat_ok("a")
        head = request_bytes("/switch", {"preset": "b"})
        control.send(head[:10])
        self.world.settle()
        self.world.process.terminate()
        eventually(lambda: "server.stop" in self.world.server_log(), "it is stopping")
        control.send(head[10:])
        eventually(lambda: "control.switch" in self.world.server_log(), "the switch is asked for")
        deaf()
        self.assertEqual(control.read_reply().status, 503)
        self.end()

    def test_sigint(self):
        self.chat_ok()
        self.world.process.send_signal(signal.SIGINT)
        self.end()

    def test_sigterm_with_a_frozen_engine(self):
        self.chat_ok()
        os.kill(self.world.engines()[-1]["pid"], signal.SIGSTOP)
        self.world.process.terminate()
        self.end()


class Helpers(Scenario):
    """An engine behind a script that starts something out of its group and session."""
    autostart = False

    def setUp(self):
        super().setUp()
        wrapper = self.world.path("bin", "wrapped")
        with open(wrapper, "w") as file:
            file.write("#!/bin/sh\n"
                       "case $* in *--model*) setsid sh -c 'setsid sleep 6001 & sleep 6002; :' & esac\n"
                       "exec \"${0%wrapped}llama-server\" \"$@\"\n")
        os.chmod(wrapper, 0o755)
        self.world.presets["a"]["engine"] = wrapper
        self.world.write_config()
        self.world.start()

    def helpers(self):
        return sum(read_proc(pid, "cmdline").startswith(b"sleep\x00600")
                   for pid in self.world.census())

    def begin(self):
        self.chat_ok()
        eventually(lambda: self.helpers() == 2, "the helpers run beside their engine")

    def test_off_ends_them(self):
        self.begin()
        self.world.control("POST", "/off", {})
        eventually(lambda: self.helpers() == 0, "nothing of the run is left")
        eventually(lambda: not [pid for pid in processes() if parent_of(pid) == self.world.pid and
                                process_state(pid) == "Z"], "and they have been collected")

    def test_the_engine_may_die_first(self):
        self.begin()
        os.kill(self.world.status()["engine_pid"], signal.SIGKILL)
        eventually(lambda: len(self.world.engine_logs()) > 1, "it is started again")
        eventually(lambda: self.helpers() == 2, "only the new run's helpers are there")

    def test_another_engine_leaves_them_alone(self):
        self.world.presets["b"]["group"] = "other"
        self.world.fake("b", exclusive=self.world.path("log", "alive-too"))
        self.world.write_config()
        self.world.control("POST", "/reload", {})
        self.begin()
        self.chat_ok("b")
        self.world.control("POST", "/off", {"only": "b"})
        self.assertEqual(self.helpers(), 2)

    def test_kill_9_of_the_server_ends_them(self):
        self.begin()
        self.world.process.kill()
        self.world.process.wait()
        self.ended = True
        eventually(lambda: not self.world.census(), "nothing outlives the server")

    def test_sigterm_ends_them(self):
        self.begin()
        self.world.process.terminate()
        self.end()


class Starts(Scenario):
    autostart = False

    def test_second_server_on_the_same_config(self):
        self.world.start()
        second = self.world.cli("serve", "--config", self.world.config)
        self.assertEqual(second.returncode, 1, second.stderr)
        self.assertIn("running", second.stderr)
        self.chat_ok()

    def test_second_server_on_the_same_file_by_another_name(self):
        link = self.world.path("link.ini")
        os.symlink(self.world.config, link)
        names = [link, self.world.config]
        for first, second in (names, names[::-1]):
            with self.subTest(first=first):
                self.world.start(["--config", first])
                result = self.world.cli("serve", "--config", second, "--listen", "127.0.0.1:0")
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("already running", result.stderr)
                self.assertEqual(self.world.cli("status", "--config", first).returncode, 0)
                self.assertEqual(self.world.cli("status", "--config", self.world.config).returncode,
                                 0, "the file's own name always finds it")
                self.chat_ok()
                self.assertEqual(self.world.terminate(), 0)
                self.assertEqual(os.listdir(self.world.path("run", "ancalagon")), [])
        self.ended = True

    def test_presets_in_a_pipe(self):
        pipe = self.world.path("pipe.ini")
        os.mkfifo(pipe)
        result = self.world.cli("check-config", "--config", pipe)
        self.assertEqual(result.returncode, 3, result)
        self.assertIn("pipe", result.stderr)

    def test_port_is_taken(self):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", self.world.port))
            taken.listen()
            result = self.world.cli("serve", "--config", self.world.config)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn(str(self.world.port), result.stderr)
        self.world.assert_nothing_left()

    def test_listen_option(self):
        self.world.server_keys["listen"] = "127.0.0.1:1"
        self.world.write_config()
        self.world.start(["--listen", f"127.0.0.1:{self.world.port}"])
        self.chat_ok()

    def test_ipv6(self):
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        self.world.host = "::1"
        self.world.start(["--listen", f"[::1]:{self.world.port}"])
        raw = self.world.connect()
        raw.send(f"GET /health HTTP/1.1\r\nHost: [::1]:{self.world.port}\r\n\r\n".encode())
        self.assertEqual(raw.read_reply().status, 200)

    def test_long_paths(self):
        """A runtime folder longer than a socket address."""
        deep = self.world.path("run", *["d" * 60] * 3)
        os.makedirs(deep, 0o700)
        import glob
        environment = self.world.environment
        self.world.environment = lambda **more: environment(XDG_RUNTIME_DIR=deep, **more)
        self.world.control_path = lambda: (
            glob.glob(os.path.join(deep, "ancalagon", "*", "control.sock")) or ["/none/none"])[0]
        self.world.start()
        self.assertEqual(self.world.status()["state"], "off")
        self.chat_ok()
        self.assertEqual(self.world.cli("status", "--config", self.world.config).returncode, 0)

    def test_bad_config(self):
        for text in ("[server\n",
                     "[a]\nmodel = a.gguf\ncache-type-k = q8_0\ncache-type-v = q4_0\n",
                     "[server]\nlisten = nonsense:port\n[a]\nmodel = a.gguf\n",
                     "[a]\nmodel = a.gguf\naliases = b\n[b]\nmodel = b.gguf\n"):
            with self.subTest(text=text):
                with open(self.world.config, "w") as file:
                    file.write(f"{text}")
                for command in ("serve", "check-config"):
                    listen = ["--listen", self.world.listen] if command == "serve" else []
                    result = self.world.cli(command, "--config", self.world.config, *listen)
                    if command == "check-config" and "unknown command" in result.stderr:
                        continue
                    self.assertEqual(result.returncode, 3, (command, result.stderr))
                    self.assertRegex(result.stdout + result.stderr, r"presets\.ini:\d+")


class Reload(Scenario):
    def reload(self):
        before = self.world.server_log().count("reload")
        self.world.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.world.server_log().count("reload") > before, "the reload is logged")

    def test_unchanged_engines_are_kept_under_load(self):
        pid = self.chat_ok("a")["fake"]["pid"]
        done = threading.Event()

        def load(i):
            while not done.is_set():
                self.assertEqual(self.chat_ok("a", fake={"tokens": 3, "interval_ms": 10})
                                 ["fake"]["pid"], pid)

        def reloads(_):
            try:
                for i in range(10):
                    self.world.presets["b"]["ctx-size"] = str(1024 + i)
                    self.world.presets["a"]["description"] = f"number {i}"
                    self.world.presets["a"]["aliases"] = f"alpha, alpha{i}"
                    self.world.write_config()
                    self.reload()
            finally:
                done.set()

        in_threads(5, lambda i: reloads(i) if i == 4 else load(i))
        self.assertEqual(self.chat_ok("alpha9")["fake"]["pid"], pid)

    def test_changed_preset_takes_the_new_flags(self):
        pid = self.chat_ok("a")["fake"]["pid"]
        self.world.presets["a"]["ctx-size"] = "4321"
        self.world.write_config()
        self.reload()
        body = eventually(lambda: (lambda b: b if b["fake"]["pid"] != pid else None)(
            self.chat_ok("a")), "the engine is started anew", 10, 0.1)
        self.assertIn("4321", next(log for log in self.world.engine_logs()
                                   if log["pid"] == body["fake"]["pid"])["argv"])

    def test_broken_config_keeps_the_old_one(self):
        pid = self.chat_ok("a")["fake"]["pid"]
        with open(self.world.config, "a") as file:
            file.write("\n[a\n")
        reply = self.world.control("POST", "/reload", {})
        self.assertGreaterEqual(reply.status, 400)
        self.assertIn("presets.ini", reply.json()["error"]["message"])
        self.assertEqual(self.chat_ok("a")["fake"]["pid"], pid)

    def test_what_needs_a_restart_is_said(self):
        def reload(**keys):
            self.world.server_keys = {**before, **keys}
            self.world.write_config()
            result = self.world.cli("reload", "--config", self.world.config)
            self.assertEqual(result.returncode, 0, result)
            return result.stdout
        before = self.world.server_keys
        self.assertNotIn("restart", reload())
        self.assertRegex(reload(listen="127.0.0.1:1"), "listen; .*restart")
        self.assertIn('needs_restart="listen"', self.world.server_log())
        self.assertRegex(reload(**{"max-connections": "7", "max-held": "77M"}),
                         "max-connections, max-held; .*restart")
        self.assertNotIn("restart", reload())
        self.world.terminate()
        self.world.start(["--listen", self.world.listen])
        self.assertNotIn("restart", reload(listen="127.0.0.1:1"), "the file does not decide it")

    def test_preset_removed(self):
        self.chat_ok("b")
        del self.world.presets["b"]
        os.unlink(self.world.path("models", "b.gguf"))
        self.world.write_config()
        self.assertLess(self.world.control("POST", "/reload", {}).status, 400)
        self.assertEqual(self.chat("b").status, 404)
        self.assertEqual(self.chat_ok("a")["fake"]["model"], "a.gguf")


class Idle(Scenario):
    defaults = {"idle-off": "1s"}

    def test_idle_engine_is_stopped_and_comes_back(self):
        self.chat_ok()
        eventually(lambda: not self.world.engine_pids(), "it is stopped when idle", 10)
        self.wait_state("off")
        self.chat_ok()

    def test_a_working_engine_is_not_idle(self):
        stream = self.open_stream(fake={"tokens": 15, "interval_ms": 200})
        events = list(stream.events())
        self.assertEqual(events[-1].data, "[DONE]")


class Watchdog(Scenario):
    server = {"stall-timeout": "1s"}

    def test_frozen_from_outside(self):
        for path in (OPENAI, ANTHROPIC):
            with self.subTest(path=path):
                pid = self.chat_ok(path=path)["fake"]["pid"]
                os.kill(pid, signal.SIGSTOP)
                reply = self.chat(path=path, timeout=30)
                if reply.status != 200:  # told, or served by the engine's successor: both are right
                    self.assertGreaterEqual(reply.status, 500)
                self.assertNotEqual(self.chat_ok(path=path, timeout=30)["fake"]["pid"], pid)
                eventually(lambda: not alive(pid), "the frozen one is gone")

    def test_killed_from_outside_when_idle(self):
        pid = self.chat_ok()["fake"]["pid"]
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.world.status()["engine_pid"] != pid, "its end is seen")
        self.assertNotEqual(self.chat_ok()["fake"]["pid"], pid)

    def test_killed_under_many(self):
        """Eight streams, the engine is killed: eight proper errors, then it works again."""
        streams = [self.open_stream(path=OPENAI if i % 2 else ANTHROPIC,
                                    fake={"tokens": 2, "then": "idle"}) for i in range(8)]
        self.wait_active(8)
        os.kill(self.world.engines()[-1]["pid"], signal.SIGKILL)
        for i, stream in enumerate(streams):
            events = list(stream.events())
            self.assertTrue(stream.complete)
            self.assertIn("error", events[-1].json() if i % 2 else events[-1].name)
        self.chat_ok()

    def test_socket_removed(self):
        """Cleaners of /tmp take sockets away: the engine behind it is of no use, a new one is."""
        pid = self.chat_ok()["fake"]["pid"]
        for path in glob.glob(self.world.path("run", "ancalagon", "*", "e*.sock")):
            os.unlink(path)
        # Until the kept connections to it are closed: only its listener is left.
        eventually(lambda: sum(name.startswith("socket:") for name in fd_table(pid).values()) == 1,
                   "nothing is connected to it")
        self.chat()  # may be told, may be served
        self.assertNotEqual(self.chat_ok(timeout=30)["fake"]["pid"], pid)
        eventually(lambda: not alive(pid), "the unreachable one is gone")

    def test_no_zombies(self):
        for _ in range(5):
            pid = self.chat_ok()["fake"]["pid"]
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: self.world.status()["engine_pid"] != pid, "its end is seen")
        self.chat_ok()

        def zombies():
            found = []
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    try:
                        with open(f"/proc/{entry}/stat") as file:
                            fields = file.read().rsplit(")", 1)[1].split()
                    except OSError:
                        continue
                    if fields[0] == "Z" and int(fields[1]) == self.world.pid:
                        found.append(entry)
            return found
        eventually(lambda: not zombies(), "every child is reaped")


if __name__ == "__main__":
    unittest.main()
