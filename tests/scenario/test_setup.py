"""Running by itself (setup, units, what systemd says and hears) and the commands of every day."""
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import Scenario, ask, binary, eventually, scaled

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
SYSTEMCTL = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/systemctl.log"
shift
case "$1" in
list-jobs) cat "$(dirname "$0")/jobs" 2>/dev/null ;;
enable) mkdir -p "$XDG_CONFIG_HOME/systemd/user/sockets.target.wants" ;;
esac
exit 0
"""

SSH = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done > "$(dirname "$0")/ssh.log"
test -e "$(dirname "$0")/ssh.down" && exit 255
while test "$1" != --; do shift; done
exec env SSH_HOST="$2" sh -c "$3"
"""


def snapshot(root):
    """Every path below root with what it is, so that two states can be compared."""
    seen = {}
    for folder, names, files in os.walk(root):
        for name in names:
            seen[os.path.relpath(os.path.join(folder, name), root)] = "folder"
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                seen[os.path.relpath(os.path.join(folder, name), root)] = file.read()
    return seen


class Commands(Scenario):
    autostart = False

    def setUp(self):
        super().setUp()
        self.tool("systemctl", SYSTEMCTL)
        self.tool("ssh", SSH)
        local = self.world.path("home", ".local", "bin")
        os.makedirs(local)
        os.symlink(binary("ancalagon"), os.path.join(local, "lmswitch"))

    def tool(self, name, text):
        with open(self.world.path("bin", name), "w") as file:
            file.write(text)
        os.chmod(self.world.path("bin", name), 0o755)

    def env(self, **more):
        return self.world.environment(ANCALAGON_SYSTEMCTL=self.world.path("bin", "systemctl"),
                                      ANCALAGON_SSH=self.world.path("bin", "ssh"), **more)

    def command(self, *words, program="ancalagon", **options):
        argv = [program, *words]
        return subprocess.Popen(argv, executable=binary("ancalagon"), cwd=self.world.root,
                                env=options.pop("env", None) or self.env(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def run_command(self, *words, program="ancalagon", rc=0, **options):
        process = self.command(*words, program=program, **options)
        out, err = process.communicate(timeout=scaled(30))
        if rc is not None:
            self.assertEqual(process.returncode, rc, f"{words}\n{out}\n{err}")
        return out, err

    def systemctl_log(self):
        path = self.world.path("bin", "systemctl.log")
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return file.read().splitlines()

    def unit(self, name):
        return self.world.path("config", "systemd", "user", name)

    def read(self, path):
        with open(path) as file:
            return file.read()


class Setup(Commands):
    def test_there_and_back_leaves_the_account_as_it_was(self):
        for folder in ("state", "cache"):
            os.rmdir(self.world.path(folder))
        places = [self.world.path(p) for p in ("config", "home")]
        before = [snapshot(p) for p in places]
        out, _ = self.run_command("setup", "--yes")
        for name in ("ancalagon.service", "ancalagon.socket", "ancalagon@.service",
                     "ancalagon@a.service.d/conflicts.conf"):
            self.assertIn(self.unit(name), out)
            self.assertTrue(os.path.exists(self.unit(name)))
        self.assertIn("--user enable --now ancalagon.socket", self.systemctl_log())
        self.assertNotEqual([snapshot(p) for p in places], before)
        self.run_command("setup", "--uninstall", "--yes")
        self.assertEqual([snapshot(p) for p in places], before)
        self.assertFalse(os.path.exists(self.world.path("state")))
        self.assertFalse(os.path.exists(self.world.path("cache")))
        self.assertIn("--user disable --now ancalagon.socket", self.systemctl_log())

    def test_an_account_without_presets_gets_an_example(self):
        os.unlink(self.world.config)
        self.run_command("setup", "--yes")
        self.run_command("check-config")
        text = self.read(self.world.config)
        self.assertIn("; [coder]", text)
        self.assertEqual([line for line in text.splitlines() if line and line[0] != ";"], [])
        self.run_command("setup", "--uninstall", "--yes")
        self.assertFalse(os.path.exists(self.world.config))

    def test_dry_run_and_no_terminal_write_nothing(self):
        before = snapshot(self.world.root)
        out, _ = self.run_command("setup", "--dry-run")
        self.assertIn("ancalagon.socket", out)
        _, err = self.run_command("setup", rc=2)
        self.assertIn("--yes", err)
        after = snapshot(self.world.root)
        for state in (before, after):
            state.pop("bin/systemctl.log", None)
        self.assertEqual(after, before)

    def test_a_folder_that_the_manifest_could_not_name(self):
        before = snapshot(self.world.root)
        env = {**self.env(), "XDG_CONFIG_HOME": os.fsdecode(
            os.path.join(self.world.path("config").encode(), b"caf\xe9"))}
        result = subprocess.run([binary("ancalagon"), "setup", "--yes", "--config",
                                 self.world.config], env=env, capture_output=True)
        self.assertEqual(result.returncode, 1, result)
        self.assertIn(b"not UTF-8", result.stderr)
        after = snapshot(self.world.root)
        after.pop("bin/systemctl.log", None)
        self.assertEqual(after, before)

    def test_a_second_run_changes_nothing(self):
        self.run_command("setup", "--yes")
        before = snapshot(self.world.path("config"))
        out, _ = self.run_command("setup", "--yes")
        self.assertIn("as they should be", out)
        self.assertEqual(snapshot(self.world.path("config")), before)

    def test_edited_files_are_kept(self):
        self.run_command("setup", "--yes")
        edited = self.unit("ancalagon.socket")
        with open(edited, "a") as file:
            file.write("# mine\n")
        mine = self.read(edited)
        self.world.server_keys["listen"] = "127.0.0.1:4321"
        self.world.write_config()
        out, _ = self.run_command("setup", "--yes")
        self.assertIn("keep yours", out)
        self.assertEqual(self.read(edited), mine)
        self.assertIn("ListenStream=127.0.0.1:4321", self.read(edited + ".new"))
        out, _ = self.run_command("setup", "--uninstall", "--yes")
        self.assertIn(edited, out)
        self.assertEqual(self.read(edited), mine)
        self.assertEqual(os.listdir(os.path.dirname(edited)), ["ancalagon.socket"])

    def test_foreign_files_are_not_ours(self):
        os.makedirs(os.path.dirname(self.unit("x")))
        with open(self.unit("ancalagon.service"), "w") as file:
            file.write("[Service]\nExecStart=/bin/true\n")
        before = snapshot(self.world.path("config"))
        self.run_command("setup", "--yes")
        self.run_command("setup", "--uninstall", "--yes")
        self.assertEqual(snapshot(self.world.path("config")), before)

    def test_units_follow_the_presets(self):
        self.run_command("setup", "--yes")
        del self.world.presets["c"]
        os.unlink(self.world.path("models", "c.gguf"))  # else it is found there
        self.world.presets["d"] = {"model": "a.gguf", "group": "cpu"}
        self.world.write_config()
        self.run_command("setup", "--yes")
        self.assertFalse(os.path.exists(self.unit("ancalagon@c.service.d")))
        self.assertIn("Conflicts=ancalagon@b.service",
                      self.read(self.unit("ancalagon@a.service.d/conflicts.conf")))
        self.assertNotIn("Conflicts",
                         self.read(self.unit("ancalagon@d.service.d/conflicts.conf")))

    def test_systemd_has_nothing_to_say_against_the_units(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze")
        self.run_command("setup", "--yes")
        names = ["ancalagon.service", "ancalagon.socket", "ancalagon@a.service",
                 "ancalagon@b.service"]
        done = subprocess.run(["systemd-analyze", "--user", "verify", *map(self.unit, names)],
                              env=self.env(), capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        for name in ("ancalagon.service", "ancalagon@.service"):
            done = subprocess.run(["systemd-analyze", "security", "--offline=yes",
                                   self.unit(name)], capture_output=True, text=True)
            found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
            self.assertIsNotNone(found, done.stdout + done.stderr)
            self.assertLessEqual(float(found.group(1)), 3.0)

    def test_the_server_is_started_for_a_switch(self):
        """With units in place the service is asked; --no-start leaves it alone."""
        self.run_command("setup", "--yes")
        self.run_command("switch", "a", "--no-start", rc=4)
        self.assertNotIn("--user start ancalagon.service", self.systemctl_log())
        self.run_command("switch", "a", rc=4)  # the stand-in starts nothing
        self.assertIn("--user start ancalagon.service", self.systemctl_log())


MESON = """#!/usr/bin/env python3
import json, os, sys
if sys.argv[1] == "introspect":
    print(json.dumps([{"name": "prefix", "value": "/now here"}]))
else:
    with open(os.environ["MESON_LOG"], "a") as log:
        print(json.dumps(sys.argv[1:]), file=log)
"""


class Install(unittest.TestCase):
    """`make install` hands its prefix over whole; meson and ninja are only played here."""

    def install(self, prefix):
        with tempfile.TemporaryDirectory() as root:
            log = os.path.join(root, "log")
            for name, text in (("meson", MESON), ("ninja", "#!/bin/sh\n")):
                with open(os.path.join(root, name), "w") as file:
                    file.write(text)
                os.chmod(file.name, 0o755)
            with open(os.path.join(root, "build.ninja"), "w"):
                pass
            result = subprocess.run(
                ["make", "-s", "install", f"BUILD={root}", f"PREFIX={prefix}"], cwd=REPOSITORY,
                env={"PATH": f"{root}:{os.environ['PATH']}", "MESON_LOG": log},
                capture_output=True, text=True)
            self.assertEqual(result.returncode, 0, result)
            with open(log) as file:
                return [[word for word in json.loads(line) if word != root] for line in file]

    def test_prefixes(self):
        for prefix, taken in (("/opt/x", "/opt/x"), ("/with space/pre fix", "/with space/pre fix"),
                              ("/it's/$(here)", "/it's/$(here)"),
                              ("re lative/../here", os.path.join(REPOSITORY, "here"))):
            with self.subTest(prefix=prefix):
                self.assertEqual(self.install(prefix.replace("$", "$$")),
                                 [["configure", "--prefix", taken], ["install", "-C"]])
        self.assertEqual(self.install("/now here"), [["install", "-C"]], "nothing to configure")


class MakeRun(Commands):
    """`make run` in a terminal that is closed. What it gets and builds is there already."""

    def setUp(self):
        super().setUp()
        self.root = self.world.path("clone")
        for folder in ("tools", "build/lib/vision", "bin", "tmp"):
            os.makedirs(os.path.join(self.root, folder))
        for name in ("Makefile", "tools/run", "tools/first-prompt"):
            shutil.copy(os.path.join(REPOSITORY, name), os.path.join(self.root, name))
        for name in ("install-deps", "get-engine", "get-model", "get-ocr"):
            os.symlink("/bin/true", os.path.join(self.root, "tools", name))
        os.symlink("/bin/true", os.path.join(self.root, "bin", "ninja"))
        os.symlink(binary("ancalagon"), os.path.join(self.root, "build", "ancalagon"))
        for name in ("build.ninja", "ocr-share-smb"):
            open(os.path.join(self.root, "build", name), "w").close()

    def read_until(self, terminal, mark):
        seen = b""
        while mark not in seen:
            seen += os.read(terminal, 65536)

    def run_in_terminal(self, *argv):
        """Until the model has answered; the terminal's other end."""
        env = self.env(TMPDIR=os.path.join(self.root, "tmp"), TERM="dumb",
                       PATH=f"{self.root}/bin:/usr/bin:/bin")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.root)
            os.execvpe(argv[0], argv, env)
        self.addCleanup(os.waitpid, pid, 0)
        self.read_until(terminal, b"Ctrl-C here stops")
        self.assertEqual(len(self.world.engines()), 1)
        return terminal

    def test_closed_terminal(self):
        for who, argv in (("a shell", ("bash", "--norc", "-ic", "make run; true")),
                          ("make", ("make", "run"))):
            with self.subTest(leads_the_session=who):
                terminal = self.run_in_terminal(*argv)
                os.kill(self.world.status()["pid"], signal.SIGHUP)
                self.read_until(terminal, b"server.reload")
                self.assertEqual(len(self.world.engines()), 1)
                os.close(terminal)
                self.world.assert_nothing_left()
                self.assertEqual(os.listdir(os.path.join(self.root, "tmp")), [])

    def test_nohup(self):
        os.close(self.run_in_terminal("sh", "-c", "trap '' HUP; exec make run"))
        self.world.http("POST", "/v1/chat/completions",
                        ask("a", fake={"tokens": 30, "interval_ms": 50}))
        self.chat_ok("a")
        os.kill(self.world.status()["pid"], signal.SIGTERM)
        self.world.assert_nothing_left()


class Systemd(Commands):
    """The protocols between systemd and us, on real sockets."""

    def setUp(self):
        super().setUp()
        self.notify_path = self.world.path("bin", "notify")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notify.close)
        self.notify.bind(self.notify_path)
        self.notify.settimeout(scaled(10))

    def hear(self, wanted):
        """The next message that is `wanted`; others may come before it."""
        while True:
            text = self.notify.recv(4096).decode()
            if re.fullmatch(wanted, text):
                return text

    def launch(self, *words, fds=(), **more):
        """As systemd does: LISTEN_PID is the pid of the process that is exec'd."""
        script = "import os,sys\n"
        for i, fd in enumerate(fds):
            script += f"os.dup2({fd}, {3 + i}, True)\n"
        if fds:
            script += f"os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='{len(fds)}')\n"
        script += f"os.execv({binary('ancalagon')!r}, ['ancalagon'] + sys.argv[1:])\n"
        log = open(self.world.path("server.log"), "ab")
        env = self.env(NOTIFY_SOCKET=self.notify_path, **more)
        process = subprocess.Popen(["python3", "-c", script, *words], env=env, pass_fds=fds,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=self.world.root)
        log.close()
        self.addCleanup(lambda: process.poll() is None and (process.kill(), process.wait()))
        return process

    def test_server_ready_watchdog_reload_stopping(self):
        server = self.launch("serve", "--config", self.world.config, WATCHDOG_USEC="200000")
        self.hear("READY=1")
        self.hear("WATCHDOG=1")
        self.hear("WATCHDOG=1")
        server.send_signal(signal.SIGHUP)
        self.hear(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        self.hear("READY=1")
        server.send_signal(signal.SIGTERM)
        self.hear("STOPPING=1")
        self.assertEqual(server.wait(scaled(10)), 0)

    def test_abstract_notify_socket(self):
        name = f"ancalagon-test-{os.getpid()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.bind("\0" + name)
            heard.settimeout(scaled(10))
            self.notify_path = "@" + name
            server = self.launch("serve", "--config", self.world.config)
            self.assertEqual(heard.recv(100), b"READY=1")
            server.terminate()
            self.assertEqual(server.wait(scaled(10)), 0)

    def test_socket_activation(self):
        """The first request waits in systemd's socket; the port outlives the server."""
        with socket.socket() as port:
            port.bind(("127.0.0.1", 0))
            port.listen(16)
            with socket.create_connection(port.getsockname()) as client:
                client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                server = self.launch("serve", "--config", self.world.config,
                                     fds=(os.dup(port.fileno()),))
                client.settimeout(scaled(10))
                self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 200 "))
            server.terminate()
            self.assertEqual(server.wait(scaled(10)), 0)
            with socket.create_connection(port.getsockname()):
                pass

    def hold(self, preset):
        process = self.launch("hold", "--config", self.world.config, "--", preset)
        return process

    def test_hold_is_ready_when_the_preset_is_and_unloads_it(self):
        self.world.start()
        hold = self.hold("alpha")
        self.hear("READY=1")
        status = self.world.status()
        self.assertEqual((status["preset"], status["state"]), ("a", "ready"))
        hold.terminate()
        self.hear("STOPPING=1")
        self.assertEqual(hold.wait(scaled(10)), 0)
        self.assertEqual(self.world.status()["state"], "off")

    def test_hold_ends_when_another_preset_is_loaded(self):
        self.world.start()
        hold = self.hold("a")
        self.hear("READY=1")
        self.run_command("b", program="lmswitch")
        self.assertEqual(hold.wait(scaled(10)), 0)
        self.assertEqual(self.world.status()["preset"], "b")

    def test_hold_stopped_after_a_switch_leaves_the_new_one_alone(self):
        self.world.start()
        first, second = self.hold("a"), None
        self.hear("READY=1")
        with open(self.world.path("bin", "jobs"), "w") as file:
            file.write("12 ancalagon@b.service start waiting\n")
        first.terminate()
        self.assertEqual(first.wait(scaled(10)), 0)
        self.assertEqual(self.world.status()["preset"], "a")  # left to the switch that comes
        second = self.hold("b")
        self.hear("READY=1")
        self.assertEqual(self.world.status()["preset"], "b")
        second.terminate()
        self.assertEqual(second.wait(scaled(10)), 0)

    def test_hold_fails_when_the_preset_cannot_start(self):
        self.world.start()
        self.world.fake("b", exit_at_start=1, cause="oom")
        hold = self.hold("b")
        self.assertEqual(hold.wait(scaled(20)), 1)

    def test_hold_fails_when_the_server_goes(self):
        self.world.start()
        hold = self.hold("a")
        self.hear("READY=1")
        self.world.process.terminate()
        self.assertEqual(hold.wait(scaled(20)), 1)
        self.end()


class Daily(Commands):
    def test_switch_status_off(self):
        self.world.start()
        out, _ = self.run_command("alpha", program="lmswitch")
        self.assertRegex(out, r"^switching to alpha\na (is ready|ready in [\d.]+ m?s)\n$")
        out, _ = self.run_command("status")
        self.assertRegex(out, r"^a ready  engine pid \d+\n")
        status = json.loads(self.run_command("status", "--json", program="lmswitch")[0])
        self.assertEqual(status["engine_pid"], self.world.engine_pids()[0])
        listed = json.loads(self.run_command("list", "--json")[0])
        self.assertEqual([p["name"] for p in listed], ["a", "b", "c"])
        self.assertIn("off", self.run_command("off", program="lmswitch")[0])
        self.assertEqual(self.world.status()["state"], "off")

    def test_failures_say_why(self):
        self.world.start()
        self.world.fake("b", exit_at_start=1, cause="oom")
        _, err = self.run_command("switch", "b", rc=1)
        self.assertIn("cannot load b", err)
        _, err = self.run_command("switch", "nothing", rc=1)
        self.assertIn("nothing", err)
        _, err = self.run_command("logs", "nothing", rc=1)

    def test_usage(self):
        for words in (["switch"], ["switch", "a", "b"], ["off", "--frob"], ["status", "x"],
                      ["switch", "a", "--host"], ["logs", "a", "b"], ["frob"]):
            self.run_command(*words, rc=2)
        for words in ([], ["off", "now"], ["a", "-f"]):
            self.run_command(*words, program="lmswitch", rc=2)
        for name in ("switch", "off", "sleep", "status", "logs", "list", "aliases", "check-config",
                     "engines", "reload", "stop", "setup", "hold"):
            out, _ = self.run_command(name, "--help")
            self.assertIn("usage: ancalagon", out)
            self.assertLessEqual(len(out.splitlines()), 24)
            self.assertLessEqual(max(map(len, out.splitlines())), 100)

    def test_without_a_server(self):
        for words in (["status"], ["switch", "a"], ["off"], ["logs"], ["reload"], ["stop"]):
            out, err = self.run_command(*words, rc=4)
            self.assertEqual(out, "")
            self.assertIn(self.world.config, err)
        self.assertIn("no server is running", self.run_command("list")[0])

    def test_a_server_that_answers_rubbish_is_5(self):
        self.world.start()
        path = self.world.control_path()
        self.world.terminate()
        self.ended = True
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            self.run_command("status", rc=4)  # bound, but nobody listens
            listener.listen(4)
            process = self.command("status")
            listener.accept()[0].close()  # the look whether somebody listens
            client, _ = listener.accept()
            client.recv(1000)
            client.sendall(b"SSH-2.0-nonsense\r\n\r\n")
            client.close()
            process.communicate(timeout=scaled(20))
            self.assertEqual(process.returncode, 5)

    def test_interrupt_leaves_the_switch_to_the_server(self):
        self.world.start()
        hold = self.world.hold()
        self.world.fake("b", load_hold=hold)
        process = self.command("switch", "b")
        self.wait_state("loading", "b")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=scaled(10))
        self.assertEqual(process.returncode, 130)
        self.assertIn("goes on", err)
        os.unlink(hold)
        self.wait_state("ready", "b")

    def test_logs_follow_until_the_reader_leaves(self):
        self.world.start()
        self.run_command("switch", "a")
        process = self.command("logs", "-f", "a")
        self.assertIn("model", process.stdout.readline())
        process.stdout.close()
        self.assertEqual(process.wait(scaled(10)), 0)
        process.stderr.close()
        follower = self.command("logs", "--follow", program="lmswitch")
        follower.stdout.readline()
        self.run_command("stop")
        follower.communicate(timeout=scaled(10))
        self.assertEqual(follower.returncode, 0)
        self.end()

    def test_check_config(self):
        self.assertIn("good", self.run_command("check-config")[0])
        self.world.presets["a"]["ctxx"] = "12"
        self.world.presets["a"]["cache-type-k"] = "q8_0"
        self.world.presets["a"]["cache-type-v"] = "q4_0"
        self.world.write_config()
        out, _ = self.run_command("check-config", rc=3)
        self.assertRegex(out, re.escape(self.world.config) + r":\d+: error: ")
        report = json.loads(self.run_command("check-config", "--json", rc=3)[0])
        self.assertGreaterEqual(report["errors"], 1)
        self.assertTrue(all(p["text"] and p["line"] for p in report["problems"]
                            if p["severity"] == "error"))

    def test_engines(self):
        engines = json.loads(self.run_command("engines", "--json")[0])
        self.assertEqual(len(engines), 1)
        self.assertEqual(engines[0]["presets"], ["a", "b", "c"])
        self.assertIs(engines[0]["unix_sockets"], True)
        self.world.presets["c"]["engine"] = "/bin/ancalagon-nothing"
        self.world.write_config()
        engines = json.loads(self.run_command("engines", "--json", rc=1)[0])
        self.assertTrue(engines[1]["error"])

    def test_aliases(self):
        shutil.copy(self.world.path("models", "a.gguf"), self.world.path("models", "q.gguf"))
        self.world.presets["qwen36"] = {"model": "q.gguf"}
        self.world.write_config()
        for shell in ("bash", "zsh"):
            out, _ = self.run_command("aliases", "--shell", shell)
            self.assertIn("alias llq36='lmswitch qwen36'\n", out)
            self.assertIn("alias lloff='lmswitch off'\n", out)
        self.assertIn("alias llq36 'lmswitch qwen36'\n",
                      self.run_command("aliases", "--shell", "fish")[0])
        # What a shell makes of them, with names that would like to be more than words.
        host = "box; touch 'pwned'"
        out, _ = self.run_command("aliases", "--host", host, "--config", self.world.config)
        done = subprocess.run(
            ["bash", "-c", "shopt -s expand_aliases; lmswitch() { printf '%s|' \"$@\"; }\n"
             f"{out}\nllq36"], capture_output=True, text=True, cwd=self.world.root)
        self.assertEqual(done.stdout, f"--host|{host}|qwen36|", done.stderr)
        self.assertFalse(os.path.exists(self.world.path("pwned")))


class Remote(Commands):
    def test_the_same_on_another_machine(self):
        self.world.start()
        out, _ = self.run_command("a", "--host", "me@box", program="lmswitch")
        self.assertRegex(out, r"\na (is ready|ready in )")
        words = self.read(self.world.path("bin", "ssh.log")).splitlines()
        self.assertIn("ControlMaster=auto", words)
        path = next(w for w in words if w.startswith("ControlPath=")).removeprefix("ControlPath=")
        self.assertLess(len(path), 90)
        self.assertEqual(os.stat(os.path.dirname(path)).st_mode & 0o077, 0)
        self.assertEqual(words[words.index("--") + 1], "me@box")
        status = json.loads(self.run_command("status", "--json", "--host", "me@box")[0])
        self.assertEqual(status["preset"], "a")
        out, _ = self.run_command("aliases", "--host", "me@box", "--shell", "sh")
        self.assertIn("alias lla='lmswitch --host '\\''me@box'\\'' a'\n", out)

    def test_exit_codes_come_through(self):
        self.run_command("status", "--host", "box", rc=4)
        self.world.start()
        self.run_command("switch", "it's; exit 9", "--host", "box", rc=1)
        open(self.world.path("bin", "ssh.down"), "w").close()
        _, err = self.run_command("status", "--host", "box", rc=5)
        self.assertIn("box", err)
        for host in ("-oProxyCommand=touch pwned", ""):
            self.run_command("status", f"--host={host}", rc=2)
            self.run_command("aliases", f"--for={host}", rc=2)
        self.assertFalse(os.path.exists(self.world.path("pwned")))


if __name__ == "__main__":
    unittest.main()
