"""Draws small training photos: tests/ocr's scenes, but with plates of every size in the frame, and
pictures of another hand (plain.py).

A folder of photos holds images/NAME.jpg and labels/NAME.txt (YOLO: class, centre x, centre y, width,
height; parts of the picture), the layout that labelling tools write too.
"""
import math
import multiprocessing
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "ocr"))
sys.dont_write_bytecode = True

import plain  # noqa: E402
import scene  # noqa: E402

NAMES = ("placa_transformador", "placa_identificacao")
LONG_SIDE = 400
PLAIN = .45      # of the pictures are of the other hand
SEEN_LEAST = .3  # of a plate, to be worth finding


def _look(rng, grade):
    """As in the photos, but for what is told in pixels, and for how far away the camera is."""
    look = scene.Look(rng, grade)
    smaller = LONG_SIDE / 1600
    look.blur *= smaller
    look.motion *= smaller
    look.noise *= .5
    look.far = 0
    look.share = math.exp(rng.uniform(math.log(.09), math.log(.97)))
    look.things = rng.choices(range(5), (15, 25, 30, 20, 10))[0]
    return look


def draw(seed):
    """(picture, [(class, box)])"""
    rng = random.Random(f"{seed}/detector")
    if rng.random() < PLAIN:
        return plain.draw(seed, LONG_SIDE)
    scene.BASE, scene.DRAWN_LEAST = LONG_SIDE, 420
    grade = rng.choice((1, 2, 2, 3))
    image, truth = scene.draw_scene(seed, grade, LONG_SIDE, _look(rng, grade), rng.random() < .8)
    boxes = [(NAMES.index(b["class"]), b["box"]) for b in truth["boxes"] if b["seen"] >= SEEN_LEAST]
    return image, boxes


def _write(job):
    folder, seed = job
    path = os.path.join(folder, "images", f"d{seed:08d}.jpg")
    if os.path.exists(path):
        return
    image, boxes = draw(seed)
    w, h = image.size
    with open(os.path.join(folder, "labels", f"d{seed:08d}.txt"), "w", encoding="utf-8") as out:
        for label, (x0, y0, x1, y1) in boxes:
            out.write(f"{label} {(x0 + x1) / 2 / w:.5f} {(y0 + y1) / 2 / h:.5f} "
                      f"{(x1 - x0) / w:.5f} {(y1 - y0) / h:.5f}\n")
    image.save(path + ".part", "JPEG", quality=92)
    os.rename(path + ".part", path)  # what is there is whole: an interrupted drawing goes on


def draw_set(folder, seed, count, jobs=1):
    for part in ("images", "labels"):
        os.makedirs(os.path.join(folder, part), exist_ok=True)
    todo = [(folder, seed * 100000 + i) for i in range(count)]
    with multiprocessing.Pool(jobs) as pool:
        for i, _ in enumerate(pool.imap(_write, todo)):
            if i % 100 == 99:
                print(f"drawn {i + 1}/{count}", flush=True)
