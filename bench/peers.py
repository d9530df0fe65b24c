"""What is measured: each target with an engine of its own behind it, in a private world."""
import contextlib
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "..", os.environ.get("BUILD", "build"))
MARK = "ANCALAGON_BENCH_WORLD"  # in the environment of all that a run starts

MESSAGES = [{"role": "user", "content": "Say hello."}]


def body(stream, **fake):
    request = {"model": "bench", "stream": stream, "max_tokens": 64, "messages": MESSAGES}
    if fake:
        request["fake"] = fake
    return json.dumps(request)


CHAT_BODY = body(False)
IDLE_BODY = body(True, tokens=2, interval_ms=3600000, stamp=True)


def tick_body(every_ms):
    return body(True, tokens=100000000, interval_ms=every_ms, stamp=True)


class Trouble(Exception):
    pass


def eventually(check, what, seconds=20, every=0.005):
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Trouble(f"never happened within {seconds} s: "
                          f"{what() if callable(what) else what}")
        time.sleep(every)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Connection(http.client.HTTPConnection):
    """To 127.0.0.1:PORT or to the path of a unix socket."""

    def __init__(self, address, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.address = address

    def connect(self):
        if self.address.startswith("/"):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(self.address)
        else:
            host, port = self.address.rsplit(":", 1)
            self.sock = socket.create_connection((host, int(port)), self.timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def ask(address, path, request=None, timeout=30):
    """(status, body); (0, reason) when nobody answers."""
    connection = Connection(address, timeout)
    try:
        connection.request("POST" if request else "GET", path, request,
                           {"Content-Type": "application/json"} if request else {})
        response = connection.getresponse()
        return response.status, response.read()
    except OSError as error:
        return 0, str(error).encode()
    except http.client.HTTPException as error:
        return 0, repr(error).encode()
    finally:
        connection.close()


def find_program(name, *places):
    """The path of an installed program, or None. $LLAMA_SWAP and its like name one elsewhere."""
    named = os.environ.get(name.upper().replace("-", "_"))
    if named:
        return named
    return shutil.which(name) or next((p for p in places if os.access(p, os.X_OK)), None)


def die_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class Crowd:
    """A running `load idle`."""

    def __init__(self, process):
        self.process = process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def opened(self):
        answer = json.loads(self.process.stdout.readline() or "{}")
        if answer.get("errors", 1):
            raise Trouble(f"streams that did not begin: {answer}")
        time.sleep(0.3)
        return answer

    def leave(self):
        self.process.stdin.write("leave\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class World:
    """A folder for one run and every process in it; nothing of either is left afterwards."""

    def __init__(self, build):
        self.build = os.path.abspath(build)

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="ancalagon-bench-")
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.interrupt)
        for name in ("ancalagon", "bench/load", "tests/fakes/fake_llama"):
            self.binary(name)
        return self

    @staticmethod
    def interrupt(*_):
        raise KeyboardInterrupt

    def __exit__(self, *_):
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.ours():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            with contextlib.suppress(Trouble):
                eventually(lambda: not self.ours(), "end", 5, 0.05)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ours(self):
        """Processes that carry this world's mark, zombies apart."""
        mark, found = f"{MARK}={self.folder}".encode(), []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and int(name) != os.getpid() and \
                        mark in open(f"/proc/{name}/environ", "rb").read().split(b"\0"):
                    found.append(int(name))
        return found

    def binary(self, name):
        path = os.path.join(self.build, name)
        if not os.access(path, os.X_OK):
            raise SystemExit(f"bench: {path} is missing; build it with: make")
        return path

    def path(self, *parts):
        path = os.path.join(self.folder, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def write(self, name, text):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def environment(self, **more):
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "HOME") if key in os.environ}
        return {**kept, MARK: self.folder, **more}

    def spawn(self, name, argv, **environment):
        """Starts a long-running program; its output goes to NAME.log in the world."""
        with open(self.path(f"{name}.log"), "ab") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    env=self.environment(**environment), cwd=self.folder,
                                    start_new_session=True, preexec_fn=die_with_us)

    def load(self, mode, target, request, *numbers):
        argv = [self.binary("bench/load"), mode, target.address, request, *map(str, numbers)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env=self.environment())
        return Crowd(process)

    def measure(self, mode, target, request, *numbers):
        with self.load(mode, target, request, *numbers) as crowd:
            line = crowd.process.stdout.readline()
        if not line:
            raise Trouble(f"{target.name}: load {mode} failed")
        return json.loads(line)

    def log_tail(self, name):
        with contextlib.suppress(OSError), open(self.path(f"{name}.log"), errors="replace") as log:
            return "".join(log.readlines()[-5:])
        return ""


class Target:
    """`address` takes requests; `engine` is where its fake engine can be asked for its counts."""
    name = "direct"
    takes_knobs = True  # the request's body reaches the engine as it is

    def __init__(self, world):
        self.world = world
        self.processes = []
        self.address = f"127.0.0.1:{free_port()}"
        self.engine = self.address

    def fake(self, address):
        """A fake engine of this target's own; answers when this returns."""
        model = self.world.write("models/bench.gguf", "")
        host, port = address.rsplit(":", 1) if ":" in address else (address, "0")
        argv = [self.world.binary("tests/fakes/fake_llama"), "-m", model, "--host", host, "--port",
                port]
        self.processes.append(self.world.spawn(f"{self.name}-engine", argv))
        eventually(lambda: ask(address, "/health")[0] == 200, f"{self.name}: engine ready")

    def run(self):
        self.fake(self.engine)

    def start(self):
        self.run()
        eventually(lambda: self.alive() and ask(self.address, "/v1/chat/completions",
                                                CHAT_BODY)[0] == 200,
                   lambda: f"{self.name} answers; its log ends: {self.world.log_tail(self.name)}")

    def alive(self):
        for process in self.processes:
            if process.poll() is not None:
                raise Trouble(f"{self.name} ended: {self.world.log_tail(self.name)}")
        return True

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    @property
    def pid(self):
        return self.processes[-1].pid

    def rss_mb(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
        return None

    def engine_stats(self):
        return json.loads(ask(self.engine, "/fake/stats")[1])

    def engine_saw_leave(self, count):
        """The engine's clock when that many streams were given up; None when they never were."""
        with contextlib.suppress(Trouble):
            return eventually(lambda: (lambda s: s["closed_early"] >= count and s["last_close_ns"])
                              (self.engine_stats()), "streams closed", 10, 0.002)
        return None


class Ancalagon(Target):
    name = "ancalagon"
    model = "bench.gguf"

    def presets(self):
        self.world.write("models/bench.gguf", "")
        return ("[server]\nscan = off\n[bench]\n"
                f"engine = {self.world.binary('tests/fakes/fake_llama')}\n"
                f"model = {self.world.path('models/bench.gguf')}\n")

    def run(self):
        home = self.world.path(self.name, "")
        config = self.world.write(f"{self.name}/presets.ini", self.presets())
        self.runtime = self.world.path("r", "")
        os.chmod(self.runtime, 0o700)
        argv = [self.world.binary("ancalagon"), "serve", "--config", config, "--listen",
                self.address]
        self.processes.append(self.world.spawn(
            self.name, argv, XDG_RUNTIME_DIR=self.runtime, XDG_STATE_HOME=home + "state",
            XDG_CACHE_HOME=home + "cache", XDG_CONFIG_HOME=home + "config"))

    def start(self):
        super().start()
        self.engine = self.engine_socket()

    def engine_socket(self):
        for folder, _, names in os.walk(self.runtime):
            for name in names:
                if name.startswith("e") and name.endswith(".sock"):
                    return os.path.join(folder, name)
        raise Trouble("ancalagon: no engine socket found")


class HAProxy(Target):
    """Like for like: it too reaches its engine over a unix socket, and is
    told to care for clients that leave and not to hold events back. Else as it comes."""
    name = "haproxy"

    def run(self):
        self.engine = self.world.path("h", "engine.sock")
        self.fake(self.engine)
        config = self.world.write("haproxy.cfg", f"""global
    maxconn 4096
defaults
    mode http
    option abortonclose
    option http-no-delay
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend front
    bind {self.address}
    default_backend engine
backend engine
    server engine unix@{self.engine}
""")
        self.processes.append(self.world.spawn(
            self.name, [find_program("haproxy", "/usr/sbin/haproxy"), "-db", "-f", config]))


class LlamaSwap(Target):
    name = "llama-swap"

    def run(self):
        model = self.world.write("models/bench.gguf", "")
        port = free_port()
        self.engine = f"127.0.0.1:{port}"
        config = self.world.write("llama-swap.yaml", json.dumps({
            "startPort": port, "models": {"bench": {
                "cmd": f"{self.world.binary('tests/fakes/fake_llama')} -m {model} --port ${{PORT}}",
                "concurrencyLimit": 4096}}}))  # JSON is YAML; its default of 10 answers 429
        self.processes.append(self.world.spawn(
            self.name, [find_program("llama-swap"), "--config", config, "--listen", self.address]))


class LiteLLM(Target):
    """It rewrites bodies, so that only the plain requests can be measured."""
    name = "litellm"
    takes_knobs = False

    def run(self):
        self.engine = f"127.0.0.1:{free_port()}"
        self.fake(self.engine)
        config = self.world.write("litellm.yaml", json.dumps({"model_list": [{
            "model_name": "bench", "litellm_params": {
                "model": "openai/bench", "api_base": f"http://{self.engine}/v1",
                "api_key": "none"}}]}))
        host, port = self.address.rsplit(":", 1)
        self.processes.append(self.world.spawn(
            self.name, [find_program("litellm"), "--config", config, "--host", host, "--port",
                        port]))


NAMES = {"direct": Target, "ancalagon": Ancalagon, "haproxy": HAProxy, "llama-swap": LlamaSwap,
         "litellm": LiteLLM}


def available(only):
    """The targets asked for that this machine has."""
    wanted = only.split(",") if only else list(NAMES)
    for name in wanted:
        if name in ("haproxy", "llama-swap", "litellm") and \
                not find_program(name, f"/usr/sbin/{name}"):
            print(f"bench: {name} is not installed: left out")
        elif name in NAMES:
            yield NAMES[name]
