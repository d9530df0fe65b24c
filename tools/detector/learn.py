"""Training that can be stopped at any time and goes on where its last checkpoint was."""
import copy
import math
import os
import signal
import time
from concurrent import futures

import torch

import labelled
from net import Net, loss

BATCH = 16


class Average:
    """Of the weights over the last steps: what is exported."""

    def __init__(self, net):
        self.net = copy.deepcopy(net).eval()

    def add(self, net, step):
        keep = min(.998, (1 + step) / (10 + step))
        mine, theirs = (list(n.state_dict().values()) for n in (self.net, net))
        counts = [i for i, value in enumerate(mine) if not value.dtype.is_floating_point]
        with torch.no_grad():
            for i in reversed(counts):
                mine.pop(i).copy_(theirs.pop(i))
            torch._foreach_mul_(mine, keep)
            torch._foreach_add_(mine, theirs, alpha=1 - keep)


def rate(step, steps, top):
    """Up in 60 steps, then down along a cosine to a fiftieth."""
    return top * min(1, (step + 1) / 60) * (.02 + .98 * (1 + math.cos(math.pi * step / steps)) / 2)


def learn(net, sets, steps, seed, top=2e-3, checkpoint=None, minutes=None):
    """The averaged network, and how many steps were made. sets: [(pairs, share of a batch)]."""
    net.to(memory_format=torch.channels_last)  # a third faster on a processor
    shuffled = [(labelled.Shuffled(pairs, f"{seed}/{i}"), share) for i, (pairs, share) in enumerate(sets)]
    average = Average(net)
    optimizer = torch.optim.AdamW(net.parameters(), top, weight_decay=.02, foreach=True)
    step = _resume(checkpoint, net, average, optimizer)
    stop, saved, begun = _Stop(), time.monotonic(), time.process_time()
    net.train()
    shown = [0.0, 0.0]
    ahead = futures.ThreadPoolExecutor(1)  # pictures of the next step, meanwhile
    coming = ahead.submit(_batch, shuffled, step)
    while step < steps and not stop.asked:
        batch = coming.result()
        coming = ahead.submit(_batch, shuffled, step + 1)
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps, top)
        total, sure, edges = loss(net, *batch)
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10)
        optimizer.step()
        average.add(net, step)
        shown = [.95 * a + .05 * b for a, b in zip(shown, (sure, edges))]
        step += 1
        if step % 20 == 0:
            spent = time.process_time() - begun
            print(f"step {step}/{steps} classes {shown[0]:.3f} edges {shown[1]:.3f} cpu {spent:.0f} s",
                  flush=True)
            if minutes and spent > minutes * 60:
                break
        if checkpoint and time.monotonic() - saved > 60:
            _save(checkpoint, net, average, optimizer, step)
            saved = time.monotonic()
    ahead.shutdown()
    if checkpoint:
        _save(checkpoint, net, average, optimizer, step)
    return average.net, step


def _batch(shuffled, step):
    pairs = []
    for pairs_, share in shuffled:
        found, rng = pairs_.at(step, round(BATCH * share))
        pairs += found
    return labelled.batch(pairs, rng)


class _Stop:
    """One Ctrl-C or SIGTERM: finish the step, keep what was learned."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number, frame):
        self.asked = True


def _save(path, net, average, optimizer, step):
    torch.save({"net": net.state_dict(), "average": average.net.state_dict(),
                "optimizer": optimizer.state_dict(), "step": step}, path + ".part")
    os.replace(path + ".part", path)


def _resume(path, net, average, optimizer):
    if not path or not os.path.exists(path):
        return 0
    kept = torch.load(path)
    net.load_state_dict(kept["net"])
    average.net.load_state_dict(kept["average"])
    optimizer.load_state_dict(kept["optimizer"])
    return kept["step"]


def fresh(classes, seed):
    torch.manual_seed(seed)
    return Net(classes)
