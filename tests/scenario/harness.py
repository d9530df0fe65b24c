"""A private world for one test: the real `ancalagon serve`, fake engines, and exact clients.

Everything a test starts lives under one folder, whose path is in the command line or environment of
every process of that world; that is how left-overs are found. Nothing here sleeps for luck: waits
are polls with a deadline, and deadlines grow with ANCALAGON_TEST_SCALE (sanitizers, slow machines).
"""
import contextlib
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = os.environ.get("ANCALAGON_BUILD") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "build")
SCALE = float(os.environ.get("ANCALAGON_TEST_SCALE", "1"))


def scaled(seconds):
    return seconds * SCALE


def binary(name):
    places = {"fake_llama": ("tests/fakes/fake_llama", "fake_llama"),
              "hold_backend": ("tests/fakes/hold_backend",),
              "answer_pipe": ("tests/unit/answer_pipe",),
              "slow_disk.so": ("tests/fakes/slow_disk.so",),
              "full_disk.so": ("tests/fakes/full_disk.so",)}.get(name, (name,))
    for place in places:
        path = os.path.abspath(os.path.join(BUILD, place))
        if os.path.exists(path):
            return path
    raise unittest.SkipTest(f"{name} is not built in {BUILD}")


def eventually(check, what, seconds=10, every=0.01):
    """Polls until check() is true and returns its value; says what it last was if it never is.

    After a machine that stood still for as long as the deadline, everybody else stood still too: so
    it takes some looks as well before the answer is no."""
    start, looks = time.monotonic(), 0
    while True:
        late = time.monotonic() - start
        value = check()
        if value:
            return value
        looks += 1
        if late > scaled(seconds) and (looks > min(50, seconds / every / 2) or
                                       late > 2 * scaled(seconds)):
            raise AssertionError(f"never happened within {scaled(seconds):g} s: {what} "
                                 f"(last: {value!r})")
        time.sleep(every)


# ---------------------------------------------------------------------------------- clients

class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f"no JSON in a {self.status}: {self.body[:300]!r}") from None

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket of any path length."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = unix_connect(self.path, self.timeout)


def unix_connect(path, timeout=10):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    except OSError:
        sock.close()
        raise
    finally:
        os.close(folder)
    return sock


def exchange(connection, method, path, body=None, headers=None):
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    headers = dict(headers or {})
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return Reply(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


class Raw:
    """A TCP or unix connection under exact control, and a strict reader of HTTP replies."""

    def __init__(self, sock, timeout=10):
        self.sock = sock
        self.sock.settimeout(scaled(timeout))
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.eof = False
        self.closed = False

    def send(self, data):
        self.sock.sendall(data)
        return self

    def fill(self):
        """Reads once; False at the end (FIN or RST)."""
        try:
            piece = self.sock.recv(65536)
        except ConnectionError:
            piece = b""
        if not piece:
            self.eof = True
            return False
        self.buffer += piece
        return True

    def read_until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise AssertionError(f"connection ended before {mark!r}; got {self.buffer[:300]!r}")
        at = self.buffer.index(mark) + len(mark)
        taken, self.buffer = self.buffer[:at], self.buffer[at:]
        return taken

    def read_exactly(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise AssertionError(f"connection ended {count - len(self.buffer)} bytes early")
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read_all(self):
        while self.fill():
            pass
        taken, self.buffer = self.buffer, b""
        return taken

    def read_head(self):
        """(status, [(name, value)]) of the next final reply; 1xx are skipped."""
        while True:
            lines = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            parts = lines[0].split(" ", 2)
            if not parts[0].startswith("HTTP/1."):
                raise AssertionError(f"no HTTP reply: {lines[0]!r}")
            headers = [tuple(line.split(": ", 1)) for line in lines[1:] if line]
            if not parts[1].startswith("1"):
                return int(parts[1]), headers

    def read_reply(self, head_only=False):
        status, headers = self.read_head()
        fields = {name.lower(): value for name, value in headers}
        if head_only or status in (204, 304):
            body = b""
        elif fields.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join(self.chunks())
        elif "content-length" in fields:
            body = self.read_exactly(int(fields["content-length"]))
        else:
            body = self.read_all()
        return Reply(status, headers, body)

    def chunks(self):
        while True:
            line = self.read_until(b"\r\n")
            size = int(line.strip().split(b";")[0], 16)
            data = self.read_exactly(size)
            end = self.read_exactly(2)
            if end != b"\r\n":
                raise AssertionError(f"chunk ends in {end!r}")
            if size == 0:
                return
            yield data

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.closed = True
        self.sock.close()


class Event:
    def __init__(self, name, data):
        self.name, self.data = name, data

    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"<{self.name or 'message'}: {self.data[:160]!r}>"


class Stream:
    """A streamed answer: status and headers at once, then events; remembers its comments (pings)."""

    def __init__(self, raw):
        self.raw = raw
        self.status, self.headers = raw.read_head()
        fields = {name.lower(): value for name, value in self.headers}
        self.chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        self.length = int(fields["content-length"]) if "content-length" in fields else None
        self.type = fields.get("content-type", "")
        self.comments = []
        self.complete = False  # the framing came to its proper end
        self.bytes = b""

    def pieces(self):
        if self.chunked:
            yield from self.raw.chunks()
        elif self.length is not None:
            yield self.raw.read_exactly(self.length)
        else:
            while self.raw.buffer or self.raw.fill():
                piece, self.raw.buffer = self.raw.buffer, b""
                yield piece
        self.complete = True

    def body(self):
        return b"".join(self.pieces())

    def events(self):
        """Event after event; an event that was cut off is an error, not silence."""
        pending = b""
        for piece in self.pieces():
            self.bytes += piece
            pending += piece
            while b"\n\n" in pending:
                block, pending = pending.split(b"\n\n", 1)
                name, data = "", []
                for line in block.decode("utf-8").split("\n"):
                    if line.startswith(":"):
                        self.comments.append(line[1:].strip())
                    elif line.startswith("event:"):
                        name = line[6:].strip()
                    elif line.startswith("data:"):
                        data.append(line[5:].removeprefix(" "))
                if name == "ping":
                    self.comments.append("ping")
                elif data:
                    yield Event(name, "\n".join(data))
        if pending.strip():
            raise AssertionError(f"stream ended inside an event: {pending[:200]!r}")

    def close(self):
        self.raw.close()


# -------------------------------------------------------------------------------- processes

def read_proc(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def process_state(pid):
    text = read_proc(pid, "stat")
    return text[text.rindex(b")") + 2:][:1].decode() if text else ""


def alive(pid):
    return process_state(pid) not in ("", "Z", "X")


def parent_of(pid):
    text = read_proc(pid, "stat")
    return int(text[text.rindex(b")") + 2:].split()[1]) if text else 0


def fd_table(pid):
    table = {}
    with contextlib.suppress(FileNotFoundError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                table[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return table


def rss_kib(pid):
    """0 under a sanitizer, which keeps freed memory on purpose: there is nothing to compare then."""
    if b"libasan" in read_proc(pid, "maps"):
        return 0
    found = re.search(rb"VmRSS:\s+(\d+)", read_proc(pid, "status"))
    return int(found.group(1)) if found else 0


def peak_kib(pid, work):
    """The most memory it had while work() ran; 0 under a sanitizer, as above."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")
    work()
    if not rss_kib(pid):
        return 0
    return int(re.search(rb"VmHWM:\s+(\d+)", read_proc(pid, "status")).group(1))


def reserve_port():
    """A socket that keeps a port of loopback: who binds with SO_REUSEADDR may listen on it, and
    nobody is given it by chance while this socket is open."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    return keeper


# ------------------------------------------------------------------------------------ world

class World:
    """One config, one server at a time, its engines. `presets` maps a name to its keys."""
    faked = True  # the engine

    def __init__(self, presets=None, server=None, defaults=None, listen=None):
        self.root = tempfile.mkdtemp(prefix="ancalagon-test-")
        for folder in ("home", "config", "state", "run", "cache", "models", "log", "bin"):
            os.mkdir(os.path.join(self.root, folder), 0o700)
        self.port_keeper = reserve_port()
        self.port = self.port_keeper.getsockname()[1]
        self.host = "127.0.0.1"
        self.listen = listen or f"127.0.0.1:{self.port}"
        self.config = os.path.join(self.root, "config", "ancalagon", "presets.ini")
        os.makedirs(os.path.dirname(self.config))
        self.engine = os.path.join(self.root, "bin", "llama-server")
        shutil.copy(binary("fake_llama"), self.engine)
        self.process = None
        self.open = []  # clients to be closed
        self.server_keys = {
            "listen": self.listen, "models": self.path("models"),
            # Short where tests wait for it; what a healthy engine must not miss on a busy machine
            # is long, and short only where a test is about missing it.
            "stall-timeout": "20s", "max-hold": "1s", "stop-grace": "1s", "drain-timeout": "5s",
            "ping-after": "200ms", "ping-every": "300ms", **(server or {})}
        self.defaults = {"engine": self.engine, "load-timeout": "30s", "parallel": "8",
                         **(defaults or {})}
        if presets is None:
            presets = {"a": {"aliases": "alpha", "default": "true"}, "b": {}, "c": {}}
        self.presets = {name: {"model": f"{name}.gguf", **keys} for name, keys in presets.items()}
        for name in self.presets:
            self.model_file(name)
            self.fake(name)
        self.write_config()

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def model_file(self, name):
        """An empty but well-formed GGUF: the fake reads none of it, the server may."""
        with open(self.path("models", f"{name}.gguf"), "wb") as file:
            file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))

    def fake(self, name, **knobs):
        """Sets how the engine of a preset behaves from its next start on."""
        lines = {"log_dir": self.path("log"), "exclusive": self.path("log", "alive"), **knobs}
        path = self.path("models", f"{name}.gguf.fake")
        with open(path + ".tmp", "w") as file:
            for key, value in lines.items():
                file.write(f"{key}={int(value) if isinstance(value, bool) else value}\n")
        os.rename(path + ".tmp", path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path("models", f"{name}.gguf.starts"))

    def hold(self, name="hold"):
        """A file for the fake's knobs `hold` and `load_hold`: what waits for it goes on once the
        test has removed it. So a test decides how long "meanwhile" is, and no clock does."""
        path = self.path(name)
        with open(path, "w"):
            return path

    def write_config(self):
        with open(self.config + ".tmp", "w") as file:
            sections = {"server": self.server_keys, "*": self.defaults, **self.presets}
            for section, keys in sections.items():
                file.write(f"[{section}]\n")
                for key, value in keys.items():
                    file.write(f"{key} = {value}\n")
                file.write("\n")
        os.rename(self.config + ".tmp", self.config)

    def environment(self, **more):
        env = {
            "HOME": self.path("home"), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": self.path("config"), "XDG_STATE_HOME": self.path("state"),
            "XDG_RUNTIME_DIR": self.path("run"), "XDG_CACHE_HOME": self.path("cache"),
            "ANCALAGON_TEST_WORLD": self.root,
            # Bait: nothing of this may reach an engine.
            "LLAMA_ARG_CTX_SIZE": "17", "LLAMA_API_KEY": "bait", "AWS_SECRET_ACCESS_KEY": "bait",
        }
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update(more)
        return env

    # -- the server

    def start(self, args=(), wait=True):
        log = open(self.path("server.log"), "ab")
        self.process = subprocess.Popen(
            [binary("ancalagon"), "serve", "--config", self.config, *args], cwd=self.root,
            env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        if wait:
            eventually(self.accepts, "the server answers", 10)
            # The least of some looks: the connections just made may not be closed yet.
            self.baseline = min(self.fds() for _ in range(20) if not time.sleep(0.002))
        return self

    def accepts(self):
        if self.process.poll() is not None:
            raise AssertionError(f"server ended at start, rc {self.process.returncode}:\n"
                                 f"{self.server_log()[-3000:]}")
        try:
            with socket.create_connection((self.host, self.port), 1):
                pass
            return self.status()["pid"] == self.pid
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def server_log(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.path("server.log"), "r", errors="replace") as file:
                return file.read()
        return ""

    def fds(self):
        return len(fd_table(self.pid))

    def control_path(self):
        found = glob.glob(self.path("run", "ancalagon", "*", "control.sock"))
        return found[0] if found else self.path("run", "none")

    def terminate(self):
        """SIGTERM, and the server must end well, quickly, alone."""
        self.process.send_signal(signal.SIGTERM)
        try:
            rc = self.process.wait(scaled(20))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not end on SIGTERM") from None
        return rc

    def assert_nothing_left(self):
        eventually(lambda: not self.census(), "no process of this world is left")
        left = []
        for folder, _, names in os.walk(self.path("run")):
            for name in names:
                path = os.path.join(folder, name)
                if stat.S_ISSOCK(os.lstat(path).st_mode) or name.endswith((".tmp", ".part")):
                    left.append(path)
        for where in ("state", "cache", "config"):
            left += glob.glob(self.path(where, "**", "*.tmp"), recursive=True)
        if left:
            raise AssertionError(f"left behind: {left}")

    def assert_sane_log(self):
        for sign in ("AddressSanitizer", "runtime error:", "LeakSanitizer", "Assertion"):
            if sign in self.server_log():
                raise AssertionError(f"{sign} in the server's log:\n{self.server_log()[-6000:]}")

    def destroy(self):
        """The last resort: whatever the test found, leave nothing on the machine."""
        for client in self.open:
            with contextlib.suppress(OSError):
                client.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.census():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.port_keeper.close()
        shutil.rmtree(self.root, ignore_errors=True)

    # -- talking to it

    def connect(self, timeout=10):
        raw = Raw(socket.create_connection((self.host, self.port), scaled(timeout)), timeout)
        self.open.append(raw)
        return raw

    def http(self, method, path, body=None, headers=None, timeout=15):
        body = told_in_words(path, body)
        connection = http.client.HTTPConnection(self.host, self.port, timeout=scaled(timeout))
        return exchange(connection, method, path, body, headers)

    def control(self, method, path, body=None, timeout=20):
        return exchange(UnixConnection(self.control_path(), scaled(timeout)), method, path, body)

    def status(self):
        """All that one condition speaks of must come from one call: two calls are two moments."""
        return self.control("GET", "/status").json()

    def settle(self):
        """Returns when the server has read what was sent to it before: it reads in turn."""
        for _ in range(2):
            self.status()

    def cli(self, *args, program="ancalagon", timeout=20, **more):
        return subprocess.run([binary(program), *args], env=self.environment(), cwd=self.root,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=scaled(timeout), **more)

    def stream(self, path, body, headers="", timeout=15):
        raw = self.connect(timeout)
        raw.send(request_bytes(path, body, headers))
        return Stream(raw)

    # -- its engines

    def engine_logs(self):
        logs = []
        for path in glob.glob(self.path("log", "*.json")):
            with contextlib.suppress(ValueError, FileNotFoundError):
                with open(path) as file:
                    logs.append(json.load(file))
        return sorted(logs, key=lambda log: log["start_ns"])

    def engines(self):
        return [log for log in self.engine_logs() if alive(log["pid"])]

    def overlaps(self):
        try:
            with open(self.path("log", "alive.overlap")) as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def engine_http(self, path, log=None, timeout=5):
        """Straight to the (only) engine, past the server."""
        if log is None:
            alive_now = self.engines()
            if not alive_now:
                raise ConnectionRefusedError("no engine is alive")
            log = alive_now[-1]
        argv = log["argv"]
        host = argv[argv.index("--host") + 1]
        if host.endswith(".sock"):
            if not host.startswith("/"):
                host = os.path.join(log["cwd"], host)
            if host.startswith("/proc/self/"):
                host = host.replace("/proc/self/", f"/proc/{log['pid']}/", 1)
            connection = UnixConnection(host, scaled(timeout))
        else:
            port = int(argv[argv.index("--port") + 1])
            connection = http.client.HTTPConnection(host, port, timeout=scaled(timeout))
        return exchange(connection, "GET", path)

    def stats(self, log=None):
        return self.engine_http("/fake/stats", log).json()

    def stats_if_any(self):
        """The same while engines come and go: nothing when none answers."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.stats()
        return None

    def census(self):
        """Every live process of this world, but the server itself while it runs."""
        mark = os.fsencode(self.root)
        own = {os.getpid()}
        if self.process and self.process.poll() is None:
            own.add(self.process.pid)
        return [pid for pid in processes() if pid not in own and alive(pid) and
                (mark in read_proc(pid, "cmdline") or mark in read_proc(pid, "environ"))]

    def engine_pids(self):
        """Engines by command line, whatever the fake says: no --help probes, no clients."""
        mark = os.fsencode(self.path("models"))
        return [pid for pid in processes()
                if mark in read_proc(pid, "cmdline") and alive(pid)]


def told_in_words(path, body):
    """The Messages API is translated on its way: what the fake engine must know goes as text."""
    if not (path.startswith("/v1/messages") and isinstance(body, dict) and "fake" in body):
        return body
    first, *rest = body["messages"]
    text = f"{first['content']} [fake {json.dumps(body['fake'])}]"
    plain = {key: value for key, value in body.items() if key != "fake"}
    return {**plain, "messages": [{**first, "content": text}, *rest]}


def heard_in_words(body):
    """The fake engine's word on who it is, out of the text of an answer ("witness")."""
    text = body["content"][0]["text"]
    if text.startswith("[fake {"):
        witness, _, rest = text.removeprefix("[fake ").partition("]")
        body["fake"], body["content"][0]["text"] = json.loads(witness), rest
    return body


def witness_of(events):
    """The same out of a stream."""
    for event in events:
        if '"fake"' in event.data:
            return event.json()["fake"]
        if "[fake {" in event.data:
            text = event.json()["delta"]["text"]
            return json.loads(text.removeprefix("[fake ").partition("]")[0])
    raise AssertionError(f"nobody said who answered: {events}")


def request_bytes(path, body, headers="", method="POST", host="127.0.0.1"):
    body = told_in_words(path, body)
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()
    return (f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{headers}\r\n").encode() + body


# -------------------------------------------------------------------- the three protocols

OPENAI, ANTHROPIC = "/v1/chat/completions", "/v1/messages"


def ask(model="a", stream=False, text="hi", fake=None, **more):
    body = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}],
            **more}
    if stream:
        body["stream"] = True
    if fake:
        body["fake"] = fake
    return body


def assert_error_body(test, path, reply, what=""):
    """An HTTP error in the caller's own protocol, with words in it."""
    test.assertGreaterEqual(reply.status, 400, what)
    body = reply.json()
    test.assertIn("error", body, what)
    test.assertTrue(body["error"].get("message"), what)
    test.assertTrue(body["error"].get("type"), what)
    if path.startswith("/v1/messages"):
        test.assertEqual(body.get("type"), "error", f"{what}: not Anthropic's shape: {body}")
    else:
        test.assertNotEqual(body.get("type"), "error", f"{what}: not OpenAI's shape: {body}")
        test.assertIn("code", body["error"], what)
    return body["error"]["message"]


def stream_error(test, path, stream, what=""):
    """Reads a stream to its end and returns the error it must have told in its own protocol."""
    if stream.status >= 400:
        return assert_error_body(test, path, Reply(stream.status, stream.headers, stream.body()))
    events = list(stream.events())
    test.assertTrue(stream.complete, f"{what}: the stream was cut")
    test.assertTrue(events, f"{what}: an empty stream")
    last = [event for event in events if event.data != "[DONE]"][-1]
    if path.startswith("/v1/messages"):
        test.assertEqual(last.name, "error", f"{what}: {events}")
        body = last.json()
        test.assertEqual(body["type"], "error")
    else:
        body = last.json()
    test.assertIn("error", body, f"{what}: {events}")
    test.assertTrue(body["error"]["message"])
    test.assertTrue(body["error"]["type"])
    return body["error"]["message"]


class Sampler(threading.Thread):
    """Looks every 10 ms how many engines are alive; keeps the worst it saw, and all it ever saw."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.most, self.seen, self.witness = world, 0, set(), []
        self.stop_event = threading.Event()

    def look(self):
        pids = self.world.engine_pids()
        self.seen.update(pids)
        if len(pids) > self.most:
            self.most = len(pids)
            self.witness = [(pid, read_proc(pid, "cmdline")[-200:]) for pid in pids]

    def run(self):
        while not self.stop_event.wait(0.01):
            self.look()

    def __enter__(self):
        self.look()
        self.start()
        return self

    def __exit__(self, *_):
        self.stop_event.set()
        self.join()
        self.look()


def in_threads(count, work, timeout=60):
    """Runs work(i) in threads; returns results in order; the first exception is raised."""
    results, failures = [None] * count, []

    def one(i):
        try:
            results[i] = work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + scaled(timeout)
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    if failures:
        raise failures[0]
    if any(thread.is_alive() for thread in threads):
        raise AssertionError("a client never came back")
    return results


class Scenario(unittest.TestCase):
    """Starts a world, and ends it by counting: fds, streams, processes, sockets."""
    world_type = World
    presets = None
    server = {}
    defaults = {}
    autostart = True
    check_fds = True

    def setUp(self):
        self.ended = False  # set by tests that end the server themselves
        self.world = self.world_type(self.presets, self.server, self.defaults)
        self.addCleanup(self.world.destroy)
        if self.autostart:
            self.world.start()

    def tearDown(self):
        world = self.world
        if not world.process or self.ended:
            return
        self.assertIsNone(world.process.poll(), "the server died:\n" + world.server_log()[-4000:])
        for client in world.open:
            client.close()
        self.assert_streams_ended()
        if self.check_fds:
            self.assert_fds_back()
        self.assertEqual(world.terminate(), 0, world.server_log()[-2000:])
        world.assert_nothing_left()
        world.assert_sane_log()
        self.assertEqual(world.overlaps(), [], "two engines were alive at once")

    def end(self, expected=0):
        """Waits for a server that the test has told to end, and looks at what it left."""
        try:
            rc = self.world.process.wait(scaled(20))
        except Exception:
            self.fail("the server did not end")
        self.ended = True
        self.assertEqual(rc, expected, self.world.server_log()[-2000:])
        self.world.assert_nothing_left()
        self.world.assert_sane_log()

    def assert_streams_ended(self):
        def quiet():
            for log in self.world.engines():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    if process_state(log["pid"]) not in ("T", "t"):
                        stats = self.world.stats(log)
                        if stats["active"]:
                            return False
            return True
        eventually(quiet, "no engine works for nobody")

    def assert_fds_back(self):
        world = self.world
        world.control("POST", "/off", {})
        eventually(lambda: not world.engine_pids(), "the engine is gone after /off", 10)
        try:
            eventually(lambda: world.fds() <= world.baseline, "")
        except AssertionError:
            self.fail(f"fds: {world.baseline} at start, now {fd_table(world.pid)}")

    # -- what tests do all the time

    def chat(self, model="a", path=OPENAI, timeout=15, **more):
        return self.world.http("POST", path, ask(model, **more), timeout=timeout)

    def chat_ok(self, model="a", path=OPENAI, **more):
        if path == ANTHROPIC and self.world.faked:
            more["fake"] = {**more.get("fake", {}), "witness": True}
        reply = self.chat(model, path, **more)
        self.assertEqual(reply.status, 200, f"{reply} \n{self.world.server_log()[-1500:]}")
        return heard_in_words(reply.json()) if path == ANTHROPIC else reply.json()

    def open_stream(self, model="a", path=OPENAI, timeout=15, **more):
        return self.world.stream(path, ask(model, stream=True, **more), timeout=timeout)

    def raw_ask(self, model="a", path=OPENAI, **more):
        """Sends a request and returns the connection without reading a byte."""
        return self.world.connect().send(request_bytes(path, ask(model, **more)))

    def wait_state(self, state, preset=None, timeout=10):
        def reached():
            status = self.world.status()
            return status["state"] == state and (preset is None or status["preset"] == preset)
        eventually(reached, f"state {state} of {preset}", timeout)

    def wait_restarted(self, pid, timeout=10):
        """Until another engine than `pid` is ready: "ready" alone may still be the first one's."""
        def restarted():
            status = self.world.status()
            return status["state"] == "ready" and status["engine_pid"] != pid
        eventually(restarted, f"another engine than {pid}", timeout)

    def wait_queued(self, count):
        eventually(lambda: self.world.status()["queued"] >= count, f"{count} wait at the server")

    def wait_active(self, count):
        def busy():
            stats = self.world.stats_if_any()
            return stats and stats["active"] == count
        eventually(busy, f"{count} requests at the engine")


class Trials(Scenario):
    """A command that starts engines beside the server: what it leaves is nothing."""
    autostart = False
    command = None

    def tearDown(self):
        if self.world.process:
            super().tearDown()
        self.world.assert_nothing_left()
        self.assertEqual(glob.glob(self.world.path("run", "ancalagon", "trial-*")), [])

    def run_command(self, *args, status=0, timeout=90):
        result = self.world.cli(self.command, *args, "--config", self.world.config, timeout=timeout)
        self.assertEqual(result.returncode, status, result)
        return result

    def start_command(self, *args):
        process = subprocess.Popen(
            [binary("ancalagon"), self.command, *args, "--config", self.world.config],
            env=self.world.environment(), cwd=self.world.root, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        return process
