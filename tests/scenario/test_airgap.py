"""--airgap: what a tool of the agent reaches, as root and as an ordinary user, in namespaces and where
those are refused. Every attempt is made outside first, to know that it can succeed at all."""
import json
import os
import pty
import shutil
import socket
import subprocess
import sys
import unittest

from local_world import Backend, Local
from test_real_claude import claude_code, result_of

ATTEMPTS = '''
import ctypes, fcntl, json, os, socket, subprocess, sys
places = json.loads(os.environ["AIRGAP_PLACES"])
tried = {}
def attempt(name, act):
    try:
        act()
        tried[name] = "reached"
    except Exception as error:
        tried[name] = "refused"
def reach(family, address, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as sock:
        sock.settimeout(3)
        sock.connect(address)
        if kind == socket.SOCK_DGRAM:
            sock.send(b"hello")
            sock.recv(16)
def ask_name():
    query = bytes.fromhex("abcd01000001000000000000076578616d706c6503636f6d0000010001")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.sendto(query, ("127.0.0.1", places["udp"]))
        sock.recv(16)
def borrow():
    call = ctypes.CDLL(None).syscall
    if call(438, call(434, places["outside"], 0), 1, 0) < 0:
        raise OSError
def ring():
    if ctypes.CDLL(None).syscall(425, 4, ctypes.create_string_buffer(256)) < 0:
        raise OSError
def key():
    # In the process's own keyring, which goes with it; a syscall is a syscall.
    if ctypes.CDLL(None).syscall(248, b"user", b"airgap", b"x", 1, -2) < 0:
        raise OSError
attempt("loopback", lambda: reach(socket.AF_INET, ("127.0.0.1", places["tcp"])))
attempt("backend", lambda: reach(socket.AF_INET, ("127.0.0.1", places["backend"])))
attempt("ipv6", lambda: reach(socket.AF_INET6, ("::1", places["tcp6"])))
if places["lan"]:
    attempt("lan", lambda: reach(socket.AF_INET, (places["lan"], places["tcp"])))
attempt("udp", lambda: reach(socket.AF_INET, ("127.0.0.1", places["udp"]), socket.SOCK_DGRAM))
attempt("dns", ask_name)
attempt("unix", lambda: reach(socket.AF_UNIX, places["unix"]))
attempt("abstract", lambda: reach(socket.AF_UNIX, "\\0" + places["abstract"]))
attempt("descriptor", lambda: os.fstat(places["descriptor"]))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("ring", ring)
attempt("key", key)
attempt("namespace", lambda: os.open(f"/proc/{places['outside']}/ns/net", os.O_RDONLY))
attempt("descriptors", lambda: os.readlink(f"/proc/{places['outside']}/fd/1"))
attempt("memory", lambda: os.open(f"/proc/{places['outside']}/mem", os.O_RDONLY))
attempt("borrowed", borrow)
attempt("terminal", lambda: [fcntl.ioctl(fd, 0x5412, b"x") for fd in [os.open("/dev/tty", os.O_RDWR)]])
attempt("curl", lambda: subprocess.run(["curl", "-sm3", f"http://127.0.0.1:{places['tcp']}"],
                                       check=True, capture_output=True))
if "detached" not in sys.argv:
    again = subprocess.run(["setsid", "-w", sys.executable, __file__, "detached"],
                           stdout=subprocess.PIPE, check=True)
    tried["detached"] = json.loads(again.stdout)
tried["who"] = [os.getuid(), os.getgid()]
print(json.dumps(tried), flush=True)
'''

CLAUDE = '''#!/usr/bin/env python3
import json, os, socket, subprocess, sys, urllib.request
if sys.argv[1:] in (["--version"], ["--help"]):
    print("2.1.197 (Claude Code)\\n\\nCommands:\\n  mcp   Manage servers")
    sys.exit(0)
subprocess.run([sys.executable, os.environ["AIRGAP_ATTEMPTS"]], check=True)
url, path = os.environ["ANTHROPIC_BASE_URL"], os.environ.get("ANTHROPIC_UNIX_SOCKET")
body = json.dumps({"model": os.environ["ANTHROPIC_MODEL"], "max_tokens": 64,
                   "messages": [{"role": "user", "content": "hello"}]})
command = ["curl", "-s", *(["--unix-socket", path] if path else []), url + "/v1/messages", "-d", body,
           "-H", "Content-Type: application/json",
           "-H", "Authorization: Bearer " + os.environ["ANTHROPIC_AUTH_TOKEN"]]
print(subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout)
'''

FILTER = ["unshare", "-Ur", "sh", "-c",
          'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def lan_address():
    """Of this machine, other than loopback; none in a container without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return probe.getsockname()[0]


class Outside:
    """What a tool could reach on this machine, and a program that lives there."""

    def __init__(self, world):
        self.sockets = []
        tcp = self.listen(socket.AF_INET, ("0.0.0.0", 0))
        tcp6 = self.listen(socket.AF_INET6, ("::1", 0))
        self.listen(socket.AF_UNIX, world.path("project", "unix"))
        os.chmod(world.path("project", "unix"), 0o777)
        abstract = os.path.basename(world.root)
        self.listen(socket.AF_UNIX, "\0" + abstract)
        self.echo = subprocess.Popen(
            [sys.executable, "-c", "import socket\ns = socket.socket(type=socket.SOCK_DGRAM)\n"
             "s.bind(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
             "while True: s.sendto(b'x', s.recvfrom(64)[1])"], stdout=subprocess.PIPE, text=True)
        self.connection = socket.create_connection(tcp.getsockname())
        self.connection.set_inheritable(True)
        self.places = {"tcp": tcp.getsockname()[1], "tcp6": tcp6.getsockname()[1],
                       "udp": int(self.echo.stdout.readline()), "lan": lan_address(),
                       "unix": world.path("project", "unix"), "abstract": abstract,
                       "descriptor": self.connection.fileno(), "outside": self.echo.pid}

    def listen(self, family, address):
        sock = socket.socket(family)
        sock.bind(address)
        sock.listen(64)
        self.sockets.append(sock)
        return sock

    def close(self):
        self.echo.kill()
        self.echo.wait()
        self.echo.stdout.close()
        self.connection.close()
        for sock in self.sockets:
            sock.close()


class Airgap(Local):
    def setUp(self):
        super().setUp()
        self.outside = Outside(self.world)
        self.addCleanup(self.outside.close)
        self.attempts = self.write("attempts.py", ATTEMPTS)
        self.world.claude = self.write("claude.py", CLAUDE)
        shutil.copy(self.world.program, self.world.path("local-claude"))
        self.under([])

    def write(self, name, text):
        path = self.world.path(name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)
        return path

    def under(self, before, everybody=False):
        """Runs go through the command `before`; everybody: the world is another user's then."""
        program = self.world.path("local-claude")
        self.world.program = self.write("wrapper", '#!/bin/sh\nexec ' + " ".join(
            [*(f"'{word}'" for word in before), program, '"$@"']) + "\n")
        if everybody:
            for folder, _, files in os.walk(self.world.root):
                for name in [folder, *(os.path.join(folder, file) for file in files)]:
                    os.lchown(name, 65534, 65534)

    def environment(self, backend):
        places = {**self.outside.places, "backend": backend.port}
        return {"AIRGAP_PLACES": json.dumps(places), "AIRGAP_ATTEMPTS": self.attempts,
                "LOCAL_CLAUDE_BIN": self.world.claude}

    def can(self, command):
        run = subprocess.run([*command, "true"], capture_output=True)
        if run.returncode != 0:
            self.skipTest(f"{command[0]} does not work here")

    def try_outside(self, backend):
        run = subprocess.run([sys.executable, self.attempts], stdout=subprocess.PIPE, check=True,
                             env={**os.environ, **self.environment(backend)},
                             pass_fds=[self.outside.connection.fileno()])
        return json.loads(run.stdout)

    def airgapped(self, backend, *words, **more):
        return self.world.run("--backend", "remote", "--port", str(backend.port), "--airgap", *words,
                              env=self.environment(backend), timeout=60,
                              pass_fds=[self.outside.connection.fileno()], **more)

    def check(self, tried, reached=()):
        got = {name for name, what in tried.items() if what == "reached"}
        self.assertEqual(got, set(reached))
        if "detached" in tried:
            self.check(tried["detached"], reached)

    def session(self, kind, means, user, reached=()):
        backend = self.world.backend(kind)
        run = self.airgapped(backend, "-p", "hi")
        self.assertEqual(run.code, 0, run)
        self.assertIn(f"airgap: {means}", run.err)
        tried, answer = [json.loads(line) for line in run.out.strip().splitlines()]
        self.check(tried, reached)
        self.assertEqual(tried["who"], [user, user])
        self.assertEqual(answer["content"][0]["text"], backend.answer)

    def test_what_is_tried_can_be_reached_outside(self):
        tried = self.try_outside(self.world.backend("plain"))
        for name in ("loopback", "backend", "ipv6", "udp", "dns", "unix", "abstract", "descriptor",
                     "namespace", "descriptors", "memory", "borrowed"):
            self.assertEqual(tried[name], "reached", name)
        if os.getuid() == 0:
            self.assertEqual((tried["raw"], tried["packet"]), ("reached", "reached"))

    def test_nothing_but_the_relay(self):
        self.can(["unshare", "-Urn"])
        for kind in ("plain", "ancalagon"):
            with self.subTest(kind=kind):
                self.session(kind, "a network namespace of its own", os.getuid())

    def test_as_an_ordinary_user(self):
        self.can([*NOBODY, "unshare", "-Urn"])
        self.under(NOBODY, everybody=True)
        self.session("plain", "a network namespace of its own", 65534)

    def test_where_user_namespaces_are_refused(self):
        """Then unix sockets of others stay within reach by their paths; it says so."""
        self.can(FILTER)
        self.under(FILTER)
        self.session("plain", "a system call filter and Landlock", 0, ["unix"])
        self.assertEqual([name for _, _, names in os.walk(self.world.path("run"))
                          for name in names if name.endswith(".sock")], [], "its socket is gone")

    def test_keystrokes_for_the_shell_behind(self):
        """A terminal takes input from its own programs (TIOCSTI), where the kernel still lets them."""
        self.can(["unshare", "-Urn"])
        backend = self.world.backend("plain")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.world.path("project"))
            env = self.world.environment(**self.environment(backend))
            os.execve(self.world.program, [self.world.program, "--backend", "remote", "--port",
                                           str(backend.port), "--airgap"], env)
        said = b""
        while True:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break
            if not piece:
                break
            said += piece
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, said)
        tried = next(json.loads(line) for line in said.decode().splitlines()
                     if line.startswith('{"loopback"'))
        self.check(tried)

    def test_a_network_connection_as_input(self):
        backend = self.world.backend("plain")
        run = self.airgapped(backend, stdin=self.outside.connection)
        self.assertEqual(run.code, 1)
        self.assertIn("standard input is a network connection", run.err)

    def test_commands_without_a_model_are_inside_too(self):
        self.can(["unshare", "-Urn"])
        backend = self.world.backend("plain")
        self.write("claude.py", CLAUDE.replace("url, path =", "sys.exit(0)\nurl, path ="))
        run = self.world.run("--airgap", "mcp", "list", env=self.environment(backend),
                             pass_fds=[self.outside.connection.fileno()])
        self.assertEqual(run.code, 0, run)
        self.check(json.loads(run.out))

    def test_no_environment_for_another_time(self):
        run = self.world.run("--airgap", "--print-env")
        self.assertEqual(run.code, 2)
        self.assertIn("--print-env cannot be had with --airgap", run.err)


class Tooling(Backend):
    """A model that has a tool run the attempts, and then says that it is done."""

    def completions(self, handler, asked):
        if any(message["role"] == "tool" for message in asked["messages"]) or "tools" not in asked:
            return super().completions(handler, asked)
        call = {"id": "call_1", "type": "function", "function": {
            "name": "Bash", "arguments": json.dumps({
                "command": "python3 $AIRGAP_ATTEMPTS > tried.json; cat tried.json",
                "description": "try"})}}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        steps = [{**chunk, "choices": [{"index": 0, "finish_reason": None, "delta": {
                     "role": "assistant", "tool_calls": [{"index": 0, **call}]}}]},
                 {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}]
        return self.stream(handler, [("", json.dumps(step)) for step in steps] + [("", "[DONE]")])


class RealAirgap(Airgap):
    """The same with the real Claude Code, whose Bash tool tries."""

    def setUp(self):
        super().setUp()
        self.world.claude = claude_code()

    def session(self, kind, means, user, reached=()):
        backend = Tooling(kind, context=65536)
        self.world.backends.append(backend)
        run = self.airgapped(backend, "--ctx", "64K", "-p", "try", "--allowedTools", "Bash",
                             "--output-format", "json")
        result = result_of(run)
        self.assertEqual((run.code, result["subtype"], result["result"]),
                         (0, "success", backend.answer), run)
        self.assertIn(f"airgap: {means}", run.err)
        with open(self.world.path("project", "tried.json")) as file:
            tried = json.load(file)
        self.check(tried, reached)
        self.assertEqual(tried["who"], [user, user])

    def test_nothing_but_the_relay(self):
        self.can(["unshare", "-Urn"])
        self.session("plain", "a network namespace of its own", os.getuid())

    def test_as_an_ordinary_user(self):
        self.can([*NOBODY, "unshare", "-Urn"])
        shutil.copy(self.world.claude, self.world.path("claude"))
        self.world.claude = self.world.path("claude")
        self.under(NOBODY, everybody=True)
        self.session("plain", "a network namespace of its own", 65534)

    test_what_is_tried_can_be_reached_outside = None
    test_keystrokes_for_the_shell_behind = None
    test_a_network_connection_as_input = None
    test_commands_without_a_model_are_inside_too = None
    test_no_environment_for_another_time = None


if __name__ == "__main__":
    unittest.main()
