"""local-claude's remote-llama backend through a real sshd on loopback: with ancalagon on the other
side and with llama-server alone; every process between is killed or frozen in turn."""
import os
import pty
import shutil
import signal
import subprocess
import unittest

from backends import BackendCase, BackendWorld, WholeProgram, read_screen
from harness import alive, eventually, reserve_port, read_proc
from real import need

SILENCE = 15  # FAR_SILENCE_S of local-claude/far_script.h


def sshd():
    """tools/install-deps leaves it out where its package would start a service for everybody."""
    if not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin") and \
            os.path.isdir("/run/systemd/system"):
        raise unittest.SkipTest("no sshd; get it with apt-get install openssh-server")
    return need(shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin"), "sshd",
                "tools/install-deps test")


class SshWorld(BackendWorld):
    """Another machine, which is this one: an sshd of the test's own, with its own keys."""

    def __init__(self):
        super().__init__()
        self.reserved = reserve_port()
        self.port = self.reserved.getsockname()[1]
        for name in ("host", "user", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(name)],
                           check=True)
        shutil.copy(self.path("user.pub"), self.path("authorized"))
        self.sshd = None
        self.write_client()
        self.start()

    def start(self, far_path=None, **far):
        """`far` is the environment over there."""
        self.stop()
        env = {"PATH": far_path or self.path("bin") + ":/usr/bin:/bin",
               "XDG_CONFIG_HOME": self.path("config"), "XDG_STATE_HOME": self.path("state"),
               "XDG_RUNTIME_DIR": self.path("run"), "XDG_CACHE_HOME": self.path("cache"),
               "ANCALAGON_TEST_WORLD": self.root, **far}
        with open(self.path("sshd.conf"), "w") as file:
            file.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.path('host')}\n"
                       f"AuthorizedKeysFile {self.path('authorized')}\nStrictModes no\nUsePAM no\n"
                       f"PidFile {self.path('sshd.pid')}\nPasswordAuthentication no\n"
                       "PrintMotd no\nKbdInteractiveAuthentication no\nSetEnv " +
                       " ".join(f'"{name}={value}"' for name, value in env.items()) + "\n")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # where it locks its unprivileged half in
        log = open(self.path("sshd.log"), "wb")
        self.sshd = subprocess.Popen([sshd(), "-D", "-e", "-f", self.path("sshd.conf")],
                                     stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        eventually(lambda: b"listening" in open(self.path("sshd.log"), "rb").read(), "sshd listens")

    def stop(self):
        if self.sshd:
            self.sshd.kill()
            self.sshd.wait()

    def write_client(self, port=None, key="user"):
        """An ssh that knows no other machine and no key but ours."""
        with open(self.path("ssh.conf"), "w") as file:
            file.write(f"Host far\n  HostName 127.0.0.1\n  Port {port or self.port}\n"
                       f"  IdentityFile {self.path(key)}\n  IdentitiesOnly yes\n"
                       f"  IdentityAgent none\n  UserKnownHostsFile {self.path('known')}\n"
                       "  GlobalKnownHostsFile none\n")
        with open(self.path("host.pub")) as file:
            host = " ".join(file.read().split()[:2])
        with open(self.path("known"), "w") as file:
            file.write(f"[127.0.0.1]:{self.port} {host}\n")
        with open(self.path("bin", "ssh"), "w") as file:
            file.write(f'#!/bin/sh\nexec /usr/bin/ssh -F "{self.path("ssh.conf")}" "$@"\n')
        os.chmod(self.path("bin", "ssh"), 0o755)

    def environment(self, **more):
        return super().environment(**{"REMOTE_SSH_HOST": "far", "MODELS_DIR": None,
                                      "REMOTE_MODELS_DIR": self.path("models"), **more})

    # -- who is there

    def below(self, pid):
        found = [pid]
        for child in self.children(pid):
            found += self.below(child)
        return found

    def session(self):
        """The sshd process that carries our connection, the innermost one."""
        pids = [pid for pid in self.below(self.sshd.pid)
                if read_proc(pid, "cmdline").startswith(b"sshd:")]
        return pids[-1]

    def script(self):
        """What sshd runs for us: the far script, or the ancalagon that it became."""
        return self.children(self.session())[0]

    def beats_reader(self):
        """Of the bare form: the script's own copy, which reads the beats."""
        main = self.script()
        name = read_proc(main, "cmdline")
        return [pid for pid in self.children(main) if read_proc(pid, "cmdline") == name][0]

    def all(self):
        sessions = [pid for pid in self.below(self.sshd.pid)[1:]
                    if read_proc(pid, "cmdline").startswith(b"sshd:")]
        return [pid for pid in super().all() if pid != self.sshd.pid] + sessions

    def destroy(self):
        self.stop()
        self.reserved.close()
        super().destroy()


class Remote(BackendCase):
    world_type = SshWorld

    def setUp(self):
        sshd()
        super().setUp()

    def open(self, *args, **more):
        return self.world.open("--backend", "remote-llama", *args, **more)


class EitherKind:
    """What holds with an ancalagon over there and without."""

    def test_open_and_close(self):
        backend = self.open()
        place = backend.ready()
        self.assertEqual(place["model"], "smol")
        self.assertEqual((place["address"], place["direct"]), (None, False))
        self.assertEqual(place["ctx"], 8192)
        self.assert_answers(place)
        for pid in self.world.all():
            self.assertNotIn(place["key"].encode(), read_proc(pid, "cmdline"))
        self.assertEqual(backend.close(), 0)
        self.assert_engine_gone()
        self.assert_nothing_left()

    def kill(self, who, number=signal.SIGKILL):
        backend = self.open()
        backend.ready()
        world = self.world
        os.kill({"local-claude": lambda: backend.pid, "keeper": backend.keeper,
                 "ssh": backend.program, "session": world.session, "script": world.script,
                 "reader": world.beats_reader, "engine": world.engine_pid}[who](), number)
        return backend

    def test_kill_local_claude(self):
        self.kill("local-claude")
        self.assert_engine_gone()
        self.assert_nothing_left()

    def test_kill_keeper(self):
        backend = self.kill("keeper")
        self.assert_engine_gone()
        backend.close()
        self.assert_nobody_left()

    def test_kill_ssh(self):
        backend = self.kill("ssh")
        self.assert_engine_gone()
        backend.close()
        self.assert_nothing_left()

    def test_kill_session(self):
        backend = self.kill("session")
        self.assert_engine_gone()
        backend.close()
        self.assert_nothing_left()

    def test_kill_script(self):
        backend = self.kill("script")
        self.assert_engine_gone()
        backend.close()
        self.assert_nobody_left()

    def test_kill_while_loading(self):
        backend = self.open()
        eventually(self.world.engines, "the engine starts", 30)
        os.kill(backend.pid, signal.SIGKILL)
        self.assert_engine_gone()
        self.assert_nothing_left()

    def test_frozen_connection(self):
        """As when a lid is closed: nothing ends, nothing comes any more."""
        backend = self.kill("ssh", signal.SIGSTOP)
        ssh = backend.program()
        self.assert_engine_gone(SILENCE + 3)
        os.kill(ssh, signal.SIGCONT)
        backend.close()
        self.assert_nothing_left()

    def test_stopped_by_the_user(self):
        """Ctrl-Z: we are stopped, and still there. The keeper's beats go on."""
        backend = self.open()
        place = backend.ready()
        engine = self.world.engine_pid()
        before = self.beats(backend)
        os.kill(backend.pid, signal.SIGSTOP)
        eventually(lambda: self.beats(backend) > before, "beats go on", 10)
        os.kill(backend.pid, signal.SIGCONT)
        self.assertTrue(alive(engine))
        self.assert_answers(place)
        backend.close()
        self.assert_nothing_left()

    def beats(self, backend):
        """Bytes that ssh has read."""
        text = read_proc(backend.program(), "io").decode()
        return int(text.split("rchar: ")[1].split()[0])

    def test_port_taken(self):
        first = self.open()
        first.ready()
        text = self.open("--port", str(self.world.port)).failure()
        self.assertRegex(text, "(?i)port|bind|address")

    def test_no_model_of_that_name(self):
        text = self.open("--model", "nonesuch").failure()
        self.assertIn('there is no model "nonesuch"', text)
        self.assertIn("smol.gguf", text)
        self.assert_nothing_left()

    def test_no_models(self):
        os.unlink(self.world.path("models", "smol.gguf"))
        text = self.open().failure()
        self.assertIn("there are no models in", text)
        self.assertIn("far", text)
        self.assert_nothing_left()

    def test_broken_model(self):
        with open(self.world.path("models", "broken.gguf"), "wb") as file:
            file.write(b"GGUF but no more")
        text = self.open("--model", "broken").failure()
        self.assertIn("broken" if self.bare else "there is no model", text)
        self.assert_nothing_left()

    def test_odd_name(self):
        os.rename(self.world.path("models", "smol.gguf"),
                  self.world.path("models", "a b; 'c' \"$(d)\" #e.gguf"))
        self.assert_answers(self.open("--model", "a b").ready())


class WithAncalagon(Remote, EitherKind):
    bare = False

    def test_kind(self):
        place = self.open().ready()
        self.assertEqual((place["label"], place["api"]),
                         ("ancalagon on far, for this run", "messages"))

    def test_settings(self):
        self.assertEqual(self.open("--ctx", "2K").ready()["ctx"], 2048)

    def test_menu(self):
        self.world.add_model("other.gguf")
        ours, theirs = pty.openpty()
        backend = self.open(terminal=theirs)
        os.close(theirs)
        read_screen(ours, b"smol.gguf")
        os.write(ours, b"2\r")
        self.assertEqual(backend.ready(ours)["model"], "smol")
        os.kill(backend.pid, signal.SIGKILL)
        self.assert_engine_gone()
        os.close(ours)


    def test_passphrase(self):
        """ssh asks on the terminal, and has it for as long as it asks."""
        self.world.write_client(key="locked")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f",
                        self.world.path("locked")], check=True)
        with open(self.world.path("locked.pub")) as key, \
                open(self.world.path("authorized"), "a") as known:
            known.write(key.read())
        self.world.add_model("other.gguf")
        ours, theirs = pty.openpty()
        backend = self.open(terminal=theirs)
        os.close(theirs)
        read_screen(ours, b"Enter passphrase")
        os.write(ours, b"open sesame\n")
        read_screen(ours, b"Which model?")  # it is ours again
        os.write(ours, b"1\r")
        self.assertEqual(backend.ready(ours)["model"], "other")
        os.kill(backend.pid, signal.SIGKILL)
        self.assert_engine_gone()
        os.close(ours)

    def test_interrupted_while_ssh_asks(self):
        self.test_nobody_is_asked()
        ours, theirs = pty.openpty()
        backend = self.open(terminal=theirs)
        os.close(theirs)
        read_screen(ours, b"(yes/no")

        def interrupted():  # ssh itself misses one that comes before it reads
            os.write(ours, b"\x03")
            return backend.process.poll() is not None
        eventually(interrupted, "it ends", 10, every=0.3)
        self.assertEqual(backend.process.returncode, 1)
        os.close(ours)
        self.assert_nothing_left()

    def test_nobody_is_asked(self):
        """Without a terminal an unknown host key is an error, not a question."""
        os.unlink(self.world.path("known"))
        self.assertIn("its host key is not known", self.open().failure())


class WithLlamaServer(Remote, EitherKind):
    bare = True

    def setUp(self):
        super().setUp()
        self.world.start(far_path="/usr/bin:/bin")

    def test_kind(self):
        place = self.open().ready()
        self.assertEqual((place["label"], place["api"]),
                         ("llama-server on far, for this run", "completions"))

    def test_settings(self):
        self.assertEqual(self.open("--ctx", "2K").ready()["ctx"], 2048)
        self.assertNotIn(b"sk-", read_proc(self.world.engine_pid(), "cmdline"))

    def test_kill_reader(self):
        backend = self.kill("reader")
        self.assert_engine_gone()
        backend.close()
        self.assert_nothing_left()

    def test_kill_script_without_setpriv(self):
        """As on a Mac: then the reader of the beats misses it, at the next beat."""
        folder = self.world.path("few")
        os.mkdir(folder)
        for name in ("sh", "find", "sort", "wc", "sleep", "tail", "grep"):
            os.symlink(shutil.which(name), os.path.join(folder, name))
        self.world.start(far_path=folder)
        backend = self.kill("script")
        self.assert_engine_gone(3)
        backend.close()
        self.assert_nobody_left()

    def test_engine_ends(self):
        """Nobody starts it again here; the connection ends with it."""
        backend = self.kill("engine")
        eventually(lambda: not self.world.children(backend.pid), "ssh ends, and its keeper", 5)
        backend.close()
        self.assert_nothing_left()

    def test_no_server(self):
        text = self.open(LLAMA_SERVER=self.world.path("nothing")).failure()
        self.assertIn("far has neither ancalagon nor llama-server", text)
        self.assert_nothing_left()


class WithClaudeAndAncalagon(WholeProgram, Remote):
    backend = "remote-llama"


class WithClaudeAndLlamaServer(WithClaudeAndAncalagon):
    def setUp(self):
        super().setUp()
        self.world.start(far_path="/usr/bin:/bin")


class Errors(Remote):
    def test_unknown_host(self):
        text = self.open(REMOTE_SSH_HOST="nonesuch.invalid").failure()
        self.assertIn("nonesuch.invalid: there is no machine of that name", text)

    def test_no_host(self):
        self.assertIn("REMOTE_SSH_HOST", self.open(REMOTE_SSH_HOST=None).failure())

    def test_refused_key(self):
        self.world.write_client(key="stranger")
        self.assertIn("it takes none of our keys", self.open().failure())
        self.assert_nothing_left()

    def test_nobody_listens(self):
        with reserve_port() as silent:
            self.world.write_client(port=silent.getsockname()[1])
            self.assertIn("no ssh server listens there", self.open().failure())

    def test_no_folder(self):
        text = self.open(REMOTE_MODELS_DIR="/nonesuch/models").failure()
        self.assertIn("there is no folder /nonesuch/models on far", text)

    def test_windows_path(self):
        text = self.open(REMOTE_MODELS_DIR="C:\\models").failure()
        self.assertIn("far is not WSL", text)
        self.assertIn("C:\\models", text)

    def test_no_forwarding(self):
        with open(self.world.path("sshd.conf"), "a") as file:
            file.write("AllowTcpForwarding no\n")
        os.kill(self.world.sshd.pid, signal.SIGHUP)
        log = self.world.path("sshd.log")
        eventually(lambda: open(log, "rb").read().count(b"listening on") >= 2, "sshd has read it")
        self.assertIn("AllowTcpForwarding", self.open().failure())
        self.assert_nothing_left()


