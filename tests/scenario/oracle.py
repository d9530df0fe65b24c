"""What the real engine would allocate, from its own dry pass, next to what we plan.

`llama-server -fit on -lv 5` measures model, context and compute buffers of every device before it
loads anything, in a third of a second. A ggml-rpc-server on loopback plays a GPU: the engine lists
it as RPC0, so that offload, splits and experts on the CPU are decided as on a real card.

A case is a dictionary: `model` (a name of tests/models/architectures.py, or a path), and of the
settings below those that differ from the engine's own defaults.
"""
import contextlib
import json
import os
import pathlib
import re
import select
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))

MIB = 1024 * 1024
DRY_SECONDS = 60

# our option, its value's shape, the engine's option
FLAGS = {
    "ctx": ("--ctx", "-c"), "parallel": ("--parallel", "-np"), "batch": ("--batch", "-b"),
    "ubatch": ("--ubatch", "-ub"), "ngl": ("--ngl", "-ngl"), "ncmoe": ("--n-cpu-moe", "-ncmoe"),
    "split": ("--split", "-ts"), "draft_n": ("--draft-n", "--spec-draft-n-max"),
    "draft_ngl": ("--draft-ngl", "-ngld"),
}


class DryPassError(AssertionError):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Workers:
    """`count` RPC workers, each a device; they end with the block."""

    def __init__(self, binary, count):
        self.binary, self.count = binary, count
        self.processes, self.addresses = [], []

    def __enter__(self):
        try:
            for _ in range(self.count):
                self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def start(self):
        for _ in range(5):  # another process may take the port first
            port = free_port()
            process = subprocess.Popen([self.binary, "-H", "127.0.0.1", "-p", str(port)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            if listens(process, port):
                self.processes.append(process)
                self.addresses.append(f"127.0.0.1:{port}")
                return
            end(process)
        raise AssertionError("the RPC worker does not start")

    def revive(self):
        """A worker does not outlive a request that its backend cannot serve."""
        if all(process.poll() is None for process in self.processes):
            return
        self.stop()
        self.processes, self.addresses = [], []
        for _ in range(self.count):
            self.start()

    def stop(self):
        for process in self.processes:
            end(process)

    def __exit__(self, *_):
        self.stop()


def listens(process, port):
    until = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.02)
    return False


def end(process):
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def engine_argv(case, path, addresses):
    argv = ["-m", str(path), "-fit", "on", "-lv", "5", "--port", "0"]
    # Some CPUs (AMX) pad the weights that they repack, by a few percent; the plan is of the file's.
    argv += ["--no-repack"]
    if addresses:
        argv += ["--rpc", ",".join(addresses)]
    for key, (_, flag) in FLAGS.items():
        if key in case:
            argv += [flag, str(case[key])]
    kv = case.get("kv", "f16")
    argv += ["-ctk", kv, "-ctv", kv, "-fa", "off" if case.get("fa") is False else "on"]
    if case.get("unified") is not None:
        argv.append("-kvu" if case["unified"] else "--no-kv-unified")
    if case.get("swa_full"):
        argv.append("--swa-full")
    if case.get("mmproj"):
        argv += ["--mmproj", str(case["mmproj"])]
    if case.get("draft_path"):
        argv += ["-md", str(case["draft_path"]), "--spec-type", "draft-simple"]
    if case.get("mtp"):
        argv += ["--spec-type", "draft-mtp"]
    if case.get("draft_kv"):
        argv += ["-ctkd", case["draft_kv"], "-ctvd", case["draft_kv"]]
    return argv


def plan_argv(case, path, devices):
    argv = [str(path), "--json"]
    argv += ["--device", "cpu"] if not devices else ["--device", "rpc"] * devices
    for key, (flag, _) in FLAGS.items():
        if key in case:
            argv += [flag, str(case[key])]
    if "ctx" not in case:
        argv += ["--ctx", "0"]
    argv += ["--kv", case.get("kv", "f16")]
    if case.get("fa") is False:
        argv.append("--no-flash-attn")
    if case.get("unified") is not None:
        argv.append("--kv-unified" if case["unified"] else "--no-kv-unified")
    if case.get("swa_full"):
        argv.append("--swa-full")
    if case.get("mmproj"):
        argv += ["--mmproj", str(case["mmproj"])]
    if case.get("draft_path"):
        argv += ["--draft", str(case["draft_path"])]
    if case.get("mtp"):
        argv += ["--spec", "mtp"]
    if case.get("draft_kv"):
        argv += ["--draft-kv", case["draft_kv"]]
    return argv


def dry_log(engine, argv, env=None):
    """The engine's words up to its projection; it is killed there."""
    process = subprocess.Popen([engine, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env={**os.environ, **(env or {})})
    text, until = b"", time.monotonic() + DRY_SECONDS
    try:
        while b"projected " not in text[-300000:]:
            ready, _, _ = select.select([process.stdout], [], [], max(0, until - time.monotonic()))
            piece = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
            if not piece:
                raise DryPassError(f"no projection from {' '.join(argv)}:\n"
                                   + text[-1500:].decode(errors="replace"))
            text += piece
    finally:
        end(process)
    text = text.decode(errors="replace")
    return text[:text.index("projected ")]  # then it loads the model in earnest


def parse_dry(text):
    """A list of measured models (the model itself, then a draft): what each takes by device."""
    models = []
    parts = re.split(r"getting device memory data for", text)[1:]
    for part in parts:
        if "memory_breakdown_print" not in part:
            continue
        # Unset context and several caches: the engine measures twice; the last one counts.
        start = part.rfind("llama_context: constructing llama_context")
        own = {"devices": {}, "host": {"model": 0, "compute": 0}, "kv": 0.0, "state": 0.0, "output": 0.0}
        context = part[start:]
        for size in re.findall(r"llama_kv_cache\S*: size = +([\d.]+) MiB", context):
            own["kv"] += float(size)
        for size in re.findall(r"llama_memory_recurrent: size = +([\d.]+) MiB", context):
            own["state"] += float(size)
        for size in re.findall(r"output buffer size = +([\d.]+) MiB", context):
            own["output"] += float(size)
        compute = dict(re.findall(r"sched_reserve: +(\S+) compute buffer size = +([\d.]+) MiB", context))
        rows = re.findall(r"breakdown_print: \| +- (\S+)(?: \(([^)|]*)\))? *\|([^|]*)\|", context)
        for name, address, numbers in rows:
            values = [int(n) for n in re.findall(r"-?\d+", numbers)]
            if name.startswith("RPC") or name.startswith("CUDA"):
                _, _, _, model, kv, work = values[:6]
                exact = [float(v) for k, v in compute.items() if k in (f"RPC0[{address}]", name)]
                own["devices"][name] = {"model": model, "context": kv,
                                        "compute": exact[0] if exact else float(work)}
            else:
                own["host"]["model"] += values[1]
                own["host"]["context"] = own["host"].get("context", 0) + values[2]
        own["host"]["compute"] = sum(float(v) for k, v in compute.items()
                                     if not k.startswith(("RPC", "CUDA")))
        models.append(own)
    return models


def dry(engine, case, path, addresses):
    models = parse_dry(dry_log(engine, engine_argv(case, path, addresses)))
    if not models or len(models[0]["devices"]) != len(addresses):
        raise DryPassError("the dry pass measured nothing, or not all devices")
    if case.get("mtp") and len(models) > 1:  # the head's own context uses the model's weights
        models[1]["host"]["model"] = 0
        for device in models[1]["devices"].values():
            device["model"] = 0
    return models


def projector_mib(engine, case, path, addresses):
    """Weights and work of the projector, all devices and the host together."""
    text = dry_log(engine, engine_argv(case, path, addresses))
    found = re.search(r"worst-case memory usage of mmproj is ([\d.]+) MiB", text)
    if not found:
        raise DryPassError("the dry pass does not tell the projector's memory:\n" + text[-1500:])
    return float(found[1])


def planned_mib(plan):
    return sum(part[key] for part in (*plan["devices"], plan["host"])
               for key in ("weights_mib", "kv_mib", "state_mib", "compute_mib"))


def planned(ancalagon, case, path, devices):
    done = subprocess.run([ancalagon, "plan", *plan_argv(case, path, devices)], capture_output=True,
                          timeout=60)
    if done.returncode not in (0, 1) or not done.stdout:
        raise AssertionError(f"plan {plan_argv(case, path, devices)}: {done.stderr.decode()}")
    return json.loads(done.stdout)


class Verdict:
    """`bad`: beyond what we promise. `off`: not exact."""

    def __init__(self):
        self.lines, self.bad, self.off = [], [], []

    def compare(self, what, ours, theirs, wrong):
        line = f"{what} {ours:.2f} / {theirs:.2f}"
        self.lines.append(line)
        if wrong:
            self.bad.append(line)
        if wrong or "compute" in what and abs(ours - theirs) > 0.02 + 1e-4 * theirs:
            self.off.append(line)


def judge(plan, models):
    """Ours next to the engine's; sums over the model and its draft. The engine rounds model and
    context down to whole MiB for each device and model."""
    v, count = Verdict(), len(models)
    names = list(models[0]["devices"])
    if len(names) != len(plan["devices"]):
        raise AssertionError(f"{len(names)} devices and {len(plan['devices'])} planned")
    for name, ours in zip(names, plan["devices"]):
        theirs = [m["devices"].get(name, {"model": 0, "context": 0, "compute": 0}) for m in models]
        weights, cache, work = (sum(t[k] for t in theirs) for k in ("model", "context", "compute"))
        whole = lambda x, y: not y - 0.1 <= x < y + count + 0.1  # noqa: E731
        v.compare(name + " weights", ours["weights_mib"], weights, whole(ours["weights_mib"], weights))
        mine = ours["kv_mib"] + ours["state_mib"]
        v.compare(name + " cache", mine, cache, whole(mine, cache))
        total = ours["weights_mib"] + mine + ours["compute_mib"]
        real = max(weights, ours["weights_mib"] if not whole(ours["weights_mib"], weights) else weights)
        real += cache + work + count  # rounded down twice, on average
        v.compare(name + " compute", ours["compute_mib"], work,
                  abs(total - real) > 0.01 * real + count or ours["compute_mib"] < work - 32)
    host = plan["host"]
    theirs = sum(m["host"]["compute"] for m in models)
    v.compare("host compute", host["compute_mib"], theirs,
              abs(host["compute_mib"] - theirs) > max(32, 0.05 * theirs))
    cache = sum(m["kv"] + m["state"] for m in models)
    mine = sum(d["kv_mib"] + d["state_mib"] for d in plan["devices"]) + host["kv_mib"] + host["state_mib"]
    v.compare("all caches", mine, cache, abs(mine - cache) > 0.1)
    weights = sum(m["host"]["model"] for m in models)
    v.compare("host weights", host["weights_mib"], weights,
              not weights - 0.1 <= host["weights_mib"] < weights + 3 * count)
    return v
