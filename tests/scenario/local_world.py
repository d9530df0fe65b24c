"""A private world for local-claude: a home folder, a server that stands for a backend, a claude.

The server speaks both the Messages API and OpenAI's chat completions, as one of several kinds, and
keeps what it was asked. The claude is a script that writes down how it was started and does what
the test says; test_real_claude.py puts the real one in its place.
"""
import contextlib
import fcntl
import http.server
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import termios
import threading
import unittest

from harness import binary, eventually, processes, read_proc, scaled

FAKE_CLAUDE = '''#!/usr/bin/env python3
import json, os, signal, sys, time, urllib.request, urllib.error
HELP = """Usage: claude [options] [command] [prompt]

Options:
  --bare                                Minimal mode
  --exclude-dynamic-system-prompt-sections
                                        Move them
  --settings <file-or-json>             More settings
  --tools <tools...>                    Tools

Commands:
  mcp                                   Configure and manage MCP servers
  plugin|plugins                        Manage Claude Code plugins
"""
version = os.environ.get("FAKE_CLAUDE_VERSION", "2.1.197")
if sys.argv[1:] in (["--version"], ["-v"]):
    print(f"{version} (Claude Code)")
    sys.exit(0)
if sys.argv[1:] == ["--help"]:
    print(HELP)
    sys.exit(0)
record = os.environ["FAKE_CLAUDE_RECORD"]
ignored = [n for n in (1, 2, 3, 13, 15, 17) if signal.getsignal(n) == signal.SIG_IGN]
blocked = [int(s) for s in signal.pthread_sigmask(signal.SIG_BLOCK, [])]
fds = []
for fd in os.listdir("/proc/self/fd"):
    try:
        os.fstat(int(fd))
    except OSError:
        continue
    fds.append(int(fd))
with open(record + ".tmp", "w") as file:
    json.dump({"argv": sys.argv[1:], "env": dict(os.environ), "pid": os.getpid(),
               "ppid": os.getppid(), "pgid": os.getpgid(0), "ignored": ignored, "blocked": blocked,
               "fds": sorted(fds), "clock": time.clock_gettime(time.CLOCK_MONOTONIC)}, file)
os.rename(record + ".tmp", record)
for word in os.environ.get("FAKE_CLAUDE", "").split():
    act, _, value = word.partition(":")
    if act == "exit":
        sys.exit(int(value))
    elif act == "signal":
        signal.signal(int(value), signal.SIG_DFL) if int(value) != 9 else None
        os.kill(os.getpid(), int(value))
    elif act == "sleep":
        time.sleep(float(value))
    elif act == "catch":
        def caught(number, _frame):
            os.write(1, f"caught {int(number)}\\n".encode())  # print may be at work below us
            sys.exit(100 + number)
        signal.signal(int(value), caught)
    elif act == "say":
        print(value, flush=True)
    elif act == "ask":
        body = {"model": os.environ["ANTHROPIC_MODEL"], "max_tokens": 64, "stream": value == "stream",
                "messages": [{"role": "user", "content": "hello"}]}
        request = urllib.request.Request(
            os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages?beta=true", json.dumps(body).encode(),
            {"Authorization": "Bearer " + os.environ["ANTHROPIC_AUTH_TOKEN"],
             "Content-Type": "application/json", "anthropic-version": "2023-06-01"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as reply:
                print(reply.read().decode(), flush=True)
        except urllib.error.HTTPError as error:
            print(error.code, error.read().decode(), flush=True)
'''


class Backend:
    """A server of one kind: "ancalagon", "llama", "vllm" or "plain". Keeps (method, path, headers,
    body) of each request."""

    def __init__(self, kind="ancalagon", models=("qwen3-coder",), context=65536, key=None,
                 realm="ancalagon", host="127.0.0.1", prefix="", **more):
        self.kind, self.models, self.context, self.key, self.realm = kind, models, context, key, realm
        self.host, self.prefix, self.more = host, prefix, more
        self.seen = []
        self.answer = "A sentence from the model."
        self.noise = []  # lines of data between the events of a completion
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_all(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length) if length else b""
                backend.seen.append((self.command, self.path, dict(self.headers), body))
                backend.reply(self, body)

            do_GET = do_POST = do_HEAD = handle_all

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True
            request_queue_size = 64

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def paths(self):
        return [path for _, path, _, _ in self.seen]

    def describe(self, name):
        owner = {"ancalagon": "ancalagon", "llama": "llamacpp", "vllm": "vllm"}.get(self.kind, "me")
        model = {"id": name, "object": "model", "owned_by": owner}
        if self.kind == "ancalagon":
            model |= {"type": "model", "status": "off", "context_window": self.context,
                      "aliases": self.more.get("aliases", [])}
        if self.kind == "vllm":
            model["max_model_len"] = self.context
        return model

    def reply(self, handler, body):
        path = handler.path.split("?")[0]
        if not path.startswith(self.prefix + "/"):
            return self.send(handler, 404, {"error": {"message": f"no {path} here"}})
        path = path.removeprefix(self.prefix)
        given = handler.headers.get("Authorization", "")
        if self.key and given != f"Bearer {self.key}":
            return self.send(handler, 401, {"error": {"message": "no key"}},
                             {"WWW-Authenticate": f'Bearer realm="{self.realm}"'})
        if path == "/v1/models":
            return self.send(handler, 200, {"object": "list",
                                            "data": [self.describe(name) for name in self.models]})
        if path == "/props" and self.kind == "llama":
            return self.send(handler, 200, {"default_generation_settings": {"n_ctx": self.context}})
        if path == "/":
            return self.send(handler, 200, {})
        if path == "/v1/messages" and self.kind == "ancalagon":
            return self.messages(handler, json.loads(body))
        if path == "/v1/chat/completions" and self.kind != "ancalagon":
            return self.completions(handler, json.loads(body))
        return self.send(handler, 404, {"error": {"message": f"no {path} here"}})

    def send(self, handler, status, body, headers=None):
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(data)

    def stream(self, handler, events):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for name, data in events:
            text = (f"event: {name}\n" if name else "") + f"data: {data}\n\n"
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(text.encode()), text.encode()))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")

    def messages(self, handler, asked):
        usage = {"input_tokens": 1000, "output_tokens": 6}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"],
                   "content": [{"type": "text", "text": self.answer}], "stop_reason": "end_turn",
                   "stop_sequence": None, "usage": usage}
        if not asked.get("stream"):
            return self.send(handler, 200, message)
        start = {**message, "content": [], "stop_reason": None}
        steps = [{"type": "message_start", "message": start},
                 {"type": "content_block_start", "index": 0,
                  "content_block": {"type": "text", "text": ""}},
                 {"type": "content_block_delta", "index": 0,
                  "delta": {"type": "text_delta", "text": self.answer}},
                 {"type": "content_block_stop", "index": 0},
                 {"type": "message_delta", "usage": usage,
                  "delta": {"stop_reason": "end_turn", "stop_sequence": None}},
                 {"type": "message_stop"}]
        return self.stream(handler, [(step["type"], json.dumps(step)) for step in steps])

    def completions(self, handler, asked):
        usage = {"prompt_tokens": 1000, "completion_tokens": 6, "total_tokens": 1006}
        base = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            return self.send(handler, 200, {
                **base, "object": "chat.completion", "usage": usage,
                "choices": [{"index": 0, "finish_reason": "stop",
                             "message": {"role": "assistant", "content": self.answer}}]})
        chunk = {**base, "object": "chat.completion.chunk"}
        steps = [{**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": word},
                                        "finish_reason": None}]}
                 for word in re.findall(r" ?[^ ]+", self.answer)]
        steps += [{**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                  {**chunk, "choices": [], "usage": usage}]
        noise = [("", line) for line in self.noise]
        events = [event for step in steps for event in (*noise, ("", json.dumps(step)))]
        return self.stream(handler, events + [("", "[DONE]")])


def without_settings(argv):
    if "--settings" not in argv:
        return argv
    at = argv.index("--settings")
    return argv[:at] + argv[at + 2:]


class Result:
    def __init__(self, code, out, err, record):
        self.code, self.out, self.err, self.record = code, out, err, record

    @property
    def env(self):
        return self.record["env"]

    @property
    def argv(self):
        """Claude Code's arguments, but for our --settings."""
        return without_settings(self.record["argv"])

    def __repr__(self):
        return f"<{self.code} out={self.out[-300:]!r} err={self.err[-600:]!r}>"


class LocalWorld:
    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="local-claude-test-")
        for folder in ("home", "bin", "project", "run", "state", "cache", "config"):
            os.mkdir(self.path(folder), 0o700)
        self.claude = self.path("bin", "claude")
        with open(self.claude, "w") as file:
            file.write(FAKE_CLAUDE)
        os.chmod(self.claude, 0o755)
        self.program = binary("local-claude")
        self.backends, self.started = [], []

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def backend(self, *args, **more):
        self.backends.append(Backend(*args, **more))
        return self.backends[-1]

    def environment(self, **more):
        env = {"HOME": self.path("home"), "PATH": f"{self.path('bin')}:/usr/bin:/bin",
               "LANG": "C.UTF-8", "XDG_STATE_HOME": self.path("state"),
               "XDG_CACHE_HOME": self.path("cache"), "XDG_CONFIG_HOME": self.path("config"),
               "XDG_RUNTIME_DIR": self.path("run"), "LOCAL_CLAUDE_TEST_WORLD": self.root,
               "FAKE_CLAUDE_RECORD": self.path("record.json")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update(more)
        return {name: value for name, value in env.items() if value is not None}

    def record(self):
        try:
            with open(self.path("record.json")) as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def start(self, *args, env=None, cwd=None, **more):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("record.json"))
        more.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(
            [self.program, *args], cwd=cwd or self.path("project"),
            env=self.environment(**(env or {})), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, **more)
        self.started.append(process)
        return process

    def run(self, *args, env=None, timeout=30, **more):
        process = self.start(*args, env=env, **more)
        out, err = process.communicate(timeout=scaled(timeout))
        return Result(process.returncode, out, err, self.record())

    def remote(self, backend, *args, **more):
        return self.run("--backend", "remote", "--port", str(backend.port), *args, **more)

    def processes(self):
        mark = f"LOCAL_CLAUDE_TEST_WORLD={self.root}".encode()
        return [pid for pid in processes()
                if pid != os.getpid() and mark in read_proc(pid, "environ")]

    def close(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        for backend in self.backends:
            backend.close()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.path(), ignore_errors=True)


class Terminal:
    """A program on a terminal of its own, and what stands on the screen, roughly."""

    ESCAPES = re.compile(rb"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[()][A-Z0-9]")

    def __init__(self, argv, cwd, env):
        self.shown = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(argv[0], argv, {"TERM": "xterm-256color", **env})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.status = None

    def read(self):
        while select.select([self.fd], [], [], 0)[0]:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:  # its last writer has closed it
                return
            self.shown += piece

    def text(self):
        self.read()
        return " ".join(self.ESCAPES.sub(b" ", self.shown).decode(errors="replace").split())

    def see(self, text, seconds=30):
        """Waits until the text has been shown."""
        eventually(lambda: text in self.text(), f"{text!r} on the terminal", seconds)

    def type(self, text):
        os.write(self.fd, text.encode())

    def ended(self):
        self.read()
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is not None

    def close(self):
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


class Local(unittest.TestCase):
    """Ends by looking for processes that are left."""

    world_type = LocalWorld

    def setUp(self):
        self.world = self.world_type()
        self.addCleanup(self.world.close)

    def tearDown(self):
        for process in self.world.started:
            if process.poll() is None:
                return
        eventually(lambda: not self.world.processes(), "every process of the run has ended", 5)

    def good(self, result, code=0):
        self.assertEqual(result.code, code, result)
        self.assertIsNotNone(result.record, result)
        return result


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)
