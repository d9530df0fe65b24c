"""How long a switch takes with the real engine: from the request for the other preset to its first
token. The yardstick is what a person does without a server: SIGTERM, wait, start again, ask /health
every 5 ms, ask the question; once with the flags that ancalagon gives the engine, once with the
plain ones (model and context only)."""
import json
import os
import subprocess
import time

import peers

CTX = "8192"
QUESTION = [{"role": "user", "content": "Say hello."}]


def cache():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                        "ancalagon")


def find_engine():
    named = os.environ.get("ANCALAGON_ENGINE")
    return named or peers.find_program("llama-server", os.path.join(cache(), "engine/bin/llama-server"))


def find_model():
    folder = os.path.join(cache(), "models")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return next((os.path.join(folder, name) for name in names
                 if name.startswith("SmolLM2") and name.endswith(".gguf")), None)


def first_token(address, model):
    """Asks for one token; returns when its bytes came."""
    connection = peers.Connection(address, timeout=120)
    request = {"stream": True, "max_tokens": 2, "temperature": 0, "messages": QUESTION}
    if model:
        request["model"] = model
    connection.request("POST", "/v1/chat/completions", json.dumps(request),
                       {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise peers.Trouble(f"switch to {model}: {response.status} {response.read()[:300]}")
    for line in response:
        if line.startswith(b"data: {") and b'"content":"' in line:
            moment = time.monotonic()
            response.read()
            connection.close()
            return moment
        if b'"error"' in line:
            raise peers.Trouble(f"switch to {model}: {line[:300]}")
    raise peers.Trouble(f"switch to {model}: a stream without a token")


class ByHand:
    """The bare engine, stopped and started."""

    def __init__(self, world, name, flags, engine):
        self.world, self.name, self.engine, self.flags = world, name, engine, flags
        self.address = world.path("s", f"{len(name)}.sock")
        self.process = None

    def spawn(self):
        if os.path.exists(self.address):
            os.unlink(self.address)  # llama-server leaves it behind and cannot start over it
        self.process = self.world.spawn(self.name, [self.engine, *self.flags, "--host",
                                                    self.address])

    def start(self):
        self.spawn()
        self.wait_ready()
        first_token(self.address, None)

    def wait_ready(self):
        peers.eventually(lambda: peers.ask(self.address, "/health")[0] == 200,
                         f"{self.name}: healthy", 60, 0.005)

    def switch(self):
        begin = time.monotonic()
        self.stop()
        self.spawn()
        self.wait_ready()
        return first_token(self.address, None) - begin

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


class Swapper:
    """A server that is asked for the model that is not loaded."""

    def __init__(self, target):
        self.target, self.name, self.loaded = target, target.name, "a"

    def start(self):
        self.target.run()
        peers.eventually(lambda: self.target.alive() and
                         peers.ask(self.target.address, "/v1/models")[0] == 200,
                         f"{self.name} answers", 30)
        first_token(self.target.address, "a")

    def switch(self):
        self.loaded = "b" if self.loaded == "a" else "a"
        begin = time.monotonic()
        return first_token(self.target.address, self.loaded) - begin

    def stop(self):
        self.target.stop()


class Ancalagon(peers.Ancalagon):
    def presets(self):
        common = f"engine = {find_engine()}\nmodel = {find_model()}\nctx = {CTX}\n"
        return f"[server]\nscan = off\n[a]\n{common}[b]\n{common}"

    def flags(self):
        """Those of the engine that runs, but for where it listens and what it is called."""
        pid = next(pid for pid in os.listdir("/proc") if pid.isdigit() and
                   parent(pid) == self.pid and os.path.realpath(f"/proc/{pid}/exe") ==
                   os.path.realpath(find_engine()))
        argv = open(f"/proc/{pid}/cmdline", "rb").read().decode().split("\0")[1:-1]
        for own in ("--host", "--alias"):
            if own in argv:
                del argv[argv.index(own):argv.index(own) + 2]
        return argv


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return None


class LlamaSwap(peers.LlamaSwap):
    def __init__(self, world, flags):
        super().__init__(world)
        self.flags = flags

    def run(self):
        command = " ".join([find_engine(), *self.flags, "--host 127.0.0.1 --port ${PORT} --alias "])
        config = self.world.write("llama-swap-real.yaml", json.dumps({
            "startPort": peers.free_port(), "models": {name: {"cmd": command + name} for name in "ab"}}))
        self.processes.append(self.world.spawn(
            "llama-swap-real", [peers.find_program("llama-swap"), "--config", config, "--listen",
                                self.address]))


class Router(peers.Target):
    """llama-server's own, with the same flags, one model at a time."""
    name = "router"

    def __init__(self, world, flags):
        super().__init__(world)
        self.flags = flags

    def run(self):
        lines, known = [], set()
        for at, flag in enumerate(self.flags):
            if flag.startswith("-"):
                value = self.flags[at + 1] if at + 1 < len(self.flags) else "-"
                name = flag.lstrip("-")
                if name in known or name in ("offline", "metrics", "slots"):
                    continue
                known.add(name)
                if value.startswith("--"):
                    value = "1"
                lines.append(f"{name} = {value}")
        section = "\n".join(lines)
        config = self.world.write("router.ini", f"version = 1\n[a]\n{section}\n[b]\n{section}\n")
        host, port = self.address.rsplit(":", 1)
        self.processes.append(self.world.spawn(self.name, [
            find_engine(), "--models-preset", config, "--models-max", "1", "--host", host, "--port",
            port]))


def contenders(world, only):
    """Starts ancalagon first: its engine's flags are everybody's."""
    ours = Swapper(Ancalagon(world))
    ours.start()
    yield ours
    flags = ours.target.flags()
    yield ByHand(world, "by hand", flags, find_engine())
    yield ByHand(world, "by hand, plain", ["-m", find_model(), "-c", CTX], find_engine())
    wanted = only.split(",") if only else ["llama-swap", "router"]
    if "llama-swap" in wanted and peers.find_program("llama-swap"):
        yield Swapper(LlamaSwap(world, flags))
    if "router" in wanted:
        yield Swapper(Router(world, flags))


def measure(world, results, rounds, only, progress):
    if not find_engine() or not find_model():
        print("bench: no real engine or model (make run gets both): no switch times")
        return
    running = []
    try:
        for contender in contenders(world, only):
            progress(f"switch: {contender.name}: start")
            if contender.name != "ancalagon":
                contender.start()
            running.append(contender)
        for number in range(rounds):
            for contender in running:
                progress(f"switch, round {number + 1}/{rounds}: {contender.name}")
                try:
                    results.add(contender.name, "switch_ms", contender.switch() * 1000)
                except peers.Trouble as trouble:
                    if contender.name == "ancalagon":
                        raise
                    print(f"\nbench: {contender.name} lost a switch: {trouble}")
    finally:
        for contender in running:
            contender.stop()
