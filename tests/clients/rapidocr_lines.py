#!/usr/bin/env python3
"""rapidocr_lines.py [options] PHOTO... - our text reader beside RapidOCR, on the same photos.

Every line that RapidOCR reads is looked for at its place among ours; texts must be equal to the
character. Each side runs in a process of its own, models loaded once, photos one after the other:
seconds of CPU and of the clock a photo, and the largest resident memory of the process.

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


def reference_main(threads, photos):
    """Runs in the reference's own process: one line of JSON a photo."""
    sys.path.insert(0, str(REFERENCE))
    from rapidocr import RapidOCR  # pylint: disable=import-error,import-outside-toplevel

    engine = RapidOCR(params={"Global.log_level": "critical",
                              "EngineConfig.onnxruntime.intra_op_num_threads": threads})
    for photo in photos:
        result = engine(photo)
        lines = []
        if result.txts is not None:
            for box, text, score in zip(result.boxes, result.txts, result.scores):
                lines.append({"text": text, "confidence": float(score),
                              "quad": [float(v) for corner in box for v in corner]})
        print(json.dumps({"file": photo, "lines": lines}), flush=True)


class Side:
    """One side's lines a photo, and what they cost."""

    def __init__(self, command, photos):
        began = time.monotonic()
        with subprocess.Popen(command + photos, stdout=subprocess.PIPE, text=True,
                              encoding="utf-8") as child:
            stamps, self.pages = [began], {}
            for line in child.stdout:
                page = json.loads(line)
                self.pages[page["file"]] = page
                stamps.append(time.monotonic())
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{command[0]} ended with {child.returncode}")
        self.mib = usage.ru_maxrss / 1024
        self.cpu = (usage.ru_utime + usage.ru_stime) / max(1, len(photos))
        self.seconds = sorted(b - a for a, b in zip(stamps[1:], stamps[2:]))

    def print(self, name):
        median = self.seconds[len(self.seconds) // 2] if self.seconds else float("nan")
        print(f"{name:10} {median:7.2f} s a photo (median after the first), "
              f"{self.cpu:6.2f} s of CPU with loading, {self.mib:6.0f} MiB at most")


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
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--read-text", default=str(ROOT / "build/tests/unit/read_text"))
    parser.add_argument("--quiet", action="store_true", help="only the sums")
    parser.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.reference:
        reference_main(args.threads, args.photos)
        return 0
    if not REFERENCE.is_dir():
        sys.exit(f"no RapidOCR in {REFERENCE}; --help says how to get it")
    threads = ["--threads", str(args.threads)]
    theirs = Side([sys.executable, __file__, "--reference", *threads], args.photos)
    ours = Side([args.read_text, *threads], args.photos)
    show = (lambda text: None) if args.quiet else print
    sums = [0, 0, 0, 0]
    for photo in args.photos:
        page = ours.pages.get(photo, {"lines": []})
        counts = compare(photo, theirs.pages[photo]["lines"], page["lines"], show)
        sums = [a + b for a, b in zip(sums, counts)]
    theirs.print("RapidOCR")
    ours.print("ours")
    network = sum(p["network_ms"] for p in ours.pages.values())
    whole = sum(p["detect_ms"] + p["orient_ms"] + p["recognize_ms"] for p in ours.pages.values())
    print(f"reading takes {whole / max(network, 1e-9):.3f} x of the time inside the networks")
    lines, equal, but_blanks, more = sums
    print(f"{lines} lines, {equal} equal ({100 * equal / max(1, lines):.2f} %), "
          f"{100 * but_blanks / max(1, lines):.2f} % but for blanks, {more} only ours")
    return 0


if __name__ == "__main__":
    sys.exit(main())
