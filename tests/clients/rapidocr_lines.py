#!/usr/bin/env python3
"""rapidocr_lines.py [options] PHOTO... - our text reader beside RapidOCR, on the same photos.

Every line that RapidOCR reads is looked for at its place among ours; texts must be equal to the
character. Photos that lie on their side or stand on their head are counted apart besides. Each side
is one process with its models loaded; photos go to the two in turn, one after the other, so that a
machine that drifts drifts for both. From the path to the lines: photos a second, the median and the
95th percentile, seconds of CPU, and the most memory that was resident.

RapidOCR is no part of the house. It is installed beside it once:
  pip install --target ~/.cache/ancalagon/rapidocr-ref rapidocr==3.10.0 onnxruntime==1.32.0
and read_text is built by `ninja -C build tests/unit/read_text`; tools/get-ocr fetches the models.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "ancalagon"
REFERENCE = CACHE / "rapidocr-ref"


def reference_main(threads):
    """Runs in the reference's own process: paths come on stdin, one line of JSON goes back for each."""
    sys.path.insert(0, str(REFERENCE))
    from rapidocr import RapidOCR  # pylint: disable=import-error,import-outside-toplevel

    engine = RapidOCR(params={"Global.log_level": "critical",
                              "EngineConfig.onnxruntime.intra_op_num_threads": threads})
    print("{}", flush=True)
    for photo in map(str.strip, sys.stdin):
        result = engine(photo)
        lines = []
        if result.txts is not None:
            for box, text, score in zip(result.boxes, result.txts, result.scores):
                lines.append({"text": text, "confidence": float(score),
                              "quad": [float(v) for corner in box for v in corner]})
        print(json.dumps({"file": photo, "lines": lines}), flush=True)


class Side:
    """One reader as a process, what it read, and what that cost."""

    def __init__(self, name, command):
        self.name, self.pages, self.seconds = name, {}, []
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      encoding="utf-8")
        self._line()  # it has loaded
        self.loaded_cpu = self._cpu()

    def _line(self):
        line = self.child.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with {self.child.wait()}")
        return json.loads(line)

    def _cpu(self):
        with open(f"/proc/{self.child.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def read(self, photo):
        began = time.monotonic()
        self.child.stdin.write(photo + "\n")
        self.child.stdin.flush()
        page = self._line()
        page["seconds"] = time.monotonic() - began
        self.seconds.append(page["seconds"])
        self.pages[photo] = page

    def warm_up(self, photo):
        """The first photo is told apart by nobody's clock."""
        self.read(photo)
        self.seconds.clear()
        self.loaded_cpu = self._cpu()

    def finish(self):
        self.cpu = (self._cpu() - self.loaded_cpu) / max(1, len(self.seconds))
        with open(f"/proc/{self.child.pid}/status", encoding="utf-8") as f:
            self.mib = int(next(line for line in f if line.startswith("VmHWM")).split()[1]) / 1024
        self.child.stdin.close()
        if self.child.wait() != 0:
            sys.exit(f"{self.name} ended with {self.child.returncode}")

    def quantile(self, share):
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def rate(self):
        return len(self.seconds) / sum(self.seconds)

    def print(self):
        print(f"{self.name:10} {self.rate():6.3f} photos/s, median {self.quantile(.5):6.3f} s, "
              f"p95 {self.quantile(.95):6.3f} s, {self.cpu:6.2f} s of CPU a photo, {self.mib:4.0f} MiB")


def bounds(quad):
    return min(quad[::2]), min(quad[1::2]), max(quad[::2]), max(quad[1::2])


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def compare(photo, wanted, got, show):
    """How many lines there are, are equal, are equal but for blanks; and how many of ours are more."""
    left = list(got)
    equal = but_blanks = 0
    for line in wanted:
        place = bounds(line["quad"])
        best = max(left, key=lambda l: overlap(place, bounds(l["quad"])), default=None)
        if best is None or overlap(place, bounds(best["quad"])) < 0.5:
            show(f"{photo}: not found: {line['text']!r} ({line['confidence']:.3f})")
            continue
        left.remove(best)
        if best["text"] == line["text"]:
            equal += 1
        else:
            show(f"{photo}: {line['text']!r} ({line['confidence']:.3f}) is "
                 f"{best['text']!r} ({best['confidence']:.3f})")
        but_blanks += best["text"].replace(" ", "") == line["text"].replace(" ", "")
    for line in left:
        show(f"{photo}: only ours: {line['text']!r} ({line['confidence']:.3f})")
    return len(wanted), equal, but_blanks, len(left)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1, help="how often each photo is read")
    parser.add_argument("--read-text", default=str(ROOT / "build/tests/unit/read_text"))
    parser.add_argument("--quiet", action="store_true", help="only the sums")
    parser.add_argument("--wanted", type=float, metavar="PERCENT", help="fail when fewer lines are equal")
    parser.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        reference_main(args.threads)
        return 0
    if not REFERENCE.is_dir():
        sys.exit(f"no RapidOCR in {REFERENCE}; --help says how to get it")
    if not args.photos:
        sys.exit("name some photos")
    return measure(args)


def measure(args):
    threads = ["--threads", str(args.threads)]
    print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    theirs = Side("RapidOCR", [sys.executable, __file__, "--reference", *threads])
    ours = Side("ours", [args.read_text, *threads, "-"])
    sides = (theirs, ours)
    for side in sides:
        side.warm_up(args.photos[0])
    for number in range(args.rounds * len(args.photos)):
        for side in sides:
            side.read(args.photos[number % len(args.photos)])
        sides = sides[::-1]
    for side in (theirs, ours):
        side.finish()
    print(f"load after: {os.getloadavg()[0]:.2f}")
    show = (lambda text: None) if args.quiet else print
    sums = {turned: [0, 0, 0, 0, 0] for turned in (False, True)}
    for photo in dict.fromkeys(args.photos):
        page = ours.pages[photo]
        lines = [line for line in page["lines"] if not line["faint"]]
        counts = *compare(photo, theirs.pages[photo]["lines"], lines, show), 1
        sums[page["turned"] > 0] = [a + b for a, b in zip(sums[page["turned"] > 0], counts)]
    theirs.print()
    ours.print()
    network = sum(p["network_ms"] for p in ours.pages.values())
    whole = sum(p["seconds"] for p in ours.pages.values()) * 1000
    print(f"photos/s: {ours.rate() / theirs.rate():.2f} x; memory: {ours.mib / theirs.mib:.2f} x; "
          f"a photo, from its file to its lines, takes {whole / max(network, 1e-9):.3f} x of the time inside "
          "the networks")
    sums["all"] = [a + b for a, b in zip(sums[False], sums[True])]
    for which, what in ((False, "upright"), (True, "on their side or their head"), ("all", "in all")):
        lines, equal, but_blanks, more, photos = sums[which]
        percent = 100 * equal / max(1, lines)
        print(f"{photos} photos {what}: {lines} lines, {equal} equal ({percent:.2f} %), "
              f"{100 * but_blanks / max(1, lines):.2f} % but for blanks, {more} only ours")
    return 1 if args.wanted is not None and percent < args.wanted else 0


if __name__ == "__main__":
    sys.exit(main())
