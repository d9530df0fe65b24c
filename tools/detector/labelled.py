"""Photos with YOLO labels as what the network eats, with the accidents of the field thrown in."""
import functools
import glob
import os
import random

import numpy as np
import torch
from PIL import Image, ImageChops, ImageFilter, ImageOps

from net import SIDE

GREY = (114, 114, 114)
MOST = 12  # plates a photo
KEPT = SIDE * 3 // 2  # pixels of a photo that training needs


def folder(path):
    """[(picture, labels)] of path/images and path/labels. ValueError: nothing there."""
    found = []
    for picture in sorted(glob.glob(os.path.join(path, "images", "*"))):
        label = os.path.join(path, "labels", os.path.splitext(os.path.basename(picture))[0] + ".txt")
        if picture.lower().endswith((".jpg", ".jpeg", ".png", ".webp")) and os.path.exists(label):
            found.append((picture, label))
    if not found:
        raise ValueError(f"{path}: no images/NAME.jpg with labels/NAME.txt")
    return found


def boxes_of(label, width, height):
    """Rows of class, x0, y0, x1, y1 in pixels."""
    rows = []
    with open(label, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            parts = line.split()
            if not parts:
                continue
            if len(parts) != 5:
                raise ValueError(f"{label}:{number}: wanted class, x, y, width, height")
            kind, x, y, w, h = (float(p) for p in parts)
            rows.append([kind, (x - w / 2) * width, (y - h / 2) * height,
                         (x + w / 2) * width, (y + h / 2) * height])
    return np.array(rows, np.float32).reshape(-1, 5)


@functools.lru_cache(maxsize=4000)
def _decoded(path):
    """Some 400 kB each stay in memory."""
    with Image.open(path) as picture:
        picture.draft("RGB", (KEPT, KEPT))
        image = ImageOps.exif_transpose(picture).convert("RGB")
    if max(image.size) > KEPT:
        image.thumbnail((KEPT, KEPT), Image.BOX)
    return image


def load(pair):
    image = _decoded(pair[0])
    return image, boxes_of(pair[1], *image.size)


def framed(pair):
    """As the finder will see it: whole, centred on grey."""
    image, rows = load(pair)
    by = SIDE / max(image.size)
    small = image.resize((round(image.width * by), round(image.height * by)), Image.BILINEAR)
    left, top = (SIDE - small.width) // 2, (SIDE - small.height) // 2
    frame = Image.new("RGB", (SIDE, SIDE), GREY)
    frame.paste(small, (left, top))
    rows[:, 1:] = rows[:, 1:] * by + np.array([left, top, left, top], np.float32)
    return frame, rows


def varied(pair, rng):
    """Turned, mirrored, cut, nearer or further, lit otherwise."""
    image, rows = load(pair)
    if rng.random() < .3:
        image, rows = _quarter(image, rows)
    if rng.random() < .5:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
        rows[:, [1, 3]] = image.width - rows[:, [3, 1]]
    by = SIDE / max(image.size) * rng.uniform(.7, 1.45)
    aspect = rng.uniform(.88, 1.14)
    bx, by = by * aspect ** .5, by / aspect ** .5
    left = _place(rng, SIDE - image.width * bx)
    top = _place(rng, SIDE - image.height * by)
    # A finder that shrinks a large photo by picking pixels gives rough edges: some of that, too.
    how = Image.NEAREST if rng.random() < .2 else Image.BILINEAR
    frame = image.transform((SIDE, SIDE), Image.AFFINE,
                            (1 / bx, 0, -left / bx, 0, 1 / by, -top / by), how, fillcolor=GREY)
    rows[:, 1:] = rows[:, 1:] * [bx, by, bx, by] + np.array([left, top, left, top])
    return frame, _clipped(rows)


def _place(rng, room):
    return rng.uniform(min(0, room), max(0, room))


def _quarter(image, rows):
    width = image.width
    turned = rows.copy()
    turned[:, 1], turned[:, 3] = rows[:, 2], rows[:, 4]
    turned[:, 2], turned[:, 4] = width - rows[:, 3], width - rows[:, 1]
    return image.transpose(Image.ROTATE_90), turned


def _clipped(rows, least=.35):
    area = (rows[:, 3] - rows[:, 1]) * (rows[:, 4] - rows[:, 2])
    rows[:, 1:] = rows[:, 1:].clip(0, SIDE)
    w, h = rows[:, 3] - rows[:, 1], rows[:, 4] - rows[:, 2]
    return rows[(w * h > area * least) & (w > 6) & (h > 6)]


def planes(frame):
    """SIDE x SIDE x RGB, 0..1, as 3 x SIDE x SIDE."""
    return torch.from_numpy(np.asarray(frame).transpose(2, 0, 1).copy()).float() / 255


def relit(frame, rng):
    """Other light, other colours, noise."""
    power = rng.uniform(.75, 1.35)
    if rng.random() < .15:
        frame = frame.convert("L").convert("RGB")
    light, table = rng.uniform(.7, 1.35), []
    for _ in range(3):
        gain = light * rng.uniform(.9, 1.1)
        table += [round(255 * min(1, gain * v / 255) ** power) for v in range(256)]
    bands = frame.point(table).split()
    if rng.random() < .2:
        bands = bands[::-1]
    frame = Image.merge("RGB", bands)
    if rng.random() < .15:
        frame = frame.filter(ImageFilter.GaussianBlur(rng.uniform(.4, 1.6)))
    if rng.random() < .4:
        noise = np.random.default_rng(rng.getrandbits(63)).standard_normal((SIDE, SIDE), np.float32)
        grain = Image.fromarray((128 + noise * rng.uniform(1, 14)).clip(0, 255).astype(np.uint8), "L")
        frame = ImageChops.add(frame, grain.convert("RGB"), 1, -128)
    return frame


def batch(pairs, rng, most=MOST):
    """(planes, truth, labels, present) of varied photos."""
    ground = torch.zeros(len(pairs), most, 4)
    labels = torch.zeros(len(pairs), most, dtype=torch.long)
    present = torch.zeros(len(pairs), most, dtype=torch.bool)
    stack = []
    for i, pair in enumerate(pairs):
        frame, rows = varied(pair, rng)
        stack.append(planes(relit(frame, rng)))
        rows = torch.from_numpy(rows[:most]).float()
        ground[i, :len(rows)] = rows[:, 1:]
        labels[i, :len(rows)] = rows[:, 0].long()
        present[i, :len(rows)] = True
    return torch.stack(stack).to(memory_format=torch.channels_last), ground, labels, present


class Shuffled:
    """Endless pairs; the same after a restart at the same step."""

    def __init__(self, pairs, seed):
        self.pairs, self.seed = pairs, seed

    def at(self, step, size):
        rng = random.Random(f"{self.seed}/{step}")
        return [rng.choice(self.pairs) for _ in range(size)], rng
