"""Procedural surfaces: clouds of noise and what is made of them. Images in, images out; every
function takes a numpy Generator, so that a seed gives the same picture."""
import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter


def grey(array):
    return Image.fromarray(np.clip(array, 0, 255).astype(np.uint8), "L")


def clouds(noise, size, cell, octaves=4, aspect=1.0, gain=.55):
    """Smooth noise, 0..255 about 128. `cell`: pixels of the coarsest lump; aspect > 1: upright.
    Summed as small as its finest lumps allow, and enlarged once."""
    octaves = max(1, min(octaves, int(math.log2(max(1.0, cell))) + 1))
    shrink = max(1.0, cell / 2 ** (octaves - 1) / 2)
    w, h = max(4, round(size[0] / shrink)), max(4, round(size[1] / shrink))
    total = np.zeros((h, w), np.float32)
    weight = 0.0
    for i in range(octaves):
        step = cell / shrink / 2 ** i
        gw, gh = max(2, round(w / step) + 1), max(2, round(h / (step * aspect)) + 1)
        lump = Image.fromarray(noise.standard_normal((gh, gw)).astype(np.float32), "F")
        total += np.asarray(lump.resize((w, h), Image.BICUBIC)) * gain ** i
        weight += gain ** (2 * i)
    image = grey(128 + total * (52 / weight ** .5))
    return image.resize(size, Image.BILINEAR) if image.size != tuple(size) else image


def spots(noise, size, cell, share, soft=30, aspect=1.0):
    """A mask of blotches that cover about `share` of the area."""
    small = (max(8, size[0] // 2), max(8, size[1] // 2))
    field = clouds(noise, small, max(2, cell / 2), 5, aspect, .62)
    level = float(np.quantile(np.asarray(field)[::4, ::4], 1 - min(.98, share)))
    mask = field.point([max(0, min(255, int((v - level) * 255 / soft))) for v in range(256)])
    return mask.resize(size, Image.BILINEAR)


def brushed(noise, size, tone, depth, turned=False):
    """Metal with fine strokes along its length; tone (r, g, b)."""
    w, h = size if not turned else size[::-1]
    strokes = noise.standard_normal((h, max(2, w // 90))).astype(np.float32)
    grain = np.asarray(Image.fromarray(strokes, "F").resize((w, h), Image.BILINEAR))
    sheen = np.asarray(clouds(noise, (w, h), w * .8, 2), np.float32) - 128
    image = grey(128 + grain * depth + sheen * .35)
    if turned:
        image = image.transpose(Image.ROTATE_90)
    return tint(image, tone)


def flat(noise, size, tone, depth=6):
    """Paint or plastic: nearly even, a little orange peel."""
    image = clouds(noise, size, max(size) * .5, 2).point([128 + (v - 128) * depth // 40 for v in range(256)])
    return tint(image, tone)


def tint(image, tone):
    """Grey 128 becomes `tone`."""
    return Image.merge("RGB", [image.point([min(255, max(0, v * c // 128)) for v in range(256)])
                               for c in tone])


def cover(image, color, mask, strength=1.0):
    """Lays a colour over the image where the mask says."""
    if strength < 1:
        mask = mask.point([int(v * strength) for v in range(256)])
    image.paste(tuple(int(c) for c in color), (0, 0, *image.size), mask)


def relief(image, mask, depth, radius):
    """Lights the edges of `mask` from the upper left, as if it stood out of the plate."""
    soft = mask.filter(ImageFilter.GaussianBlur(radius)) if radius > .3 else mask
    d = max(1, round(radius))
    moved = ImageChops.offset(soft, d, d)
    bright = ImageChops.subtract(soft, moved).point([min(255, int(v * depth)) for v in range(256)])
    dark = ImageChops.subtract(moved, soft).point([min(255, int(v * depth)) for v in range(256)])
    image = ImageChops.add(image, Image.merge("RGB", [bright] * 3))
    return ImageChops.subtract(image, Image.merge("RGB", [dark] * 3))


def scratches(rng, size, count, width):
    """A mask of fine lines, most of them in one direction."""
    mask = Image.new("L", size)
    pen = ImageDraw.Draw(mask)
    w, h = size
    lean = rng.uniform(-.6, .6)
    for _ in range(count):
        x, y, n = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(.05, .4) * w
        tilt = lean + rng.gauss(0, .4)
        pen.line([x, y, x + n, y + n * tilt], fill=rng.randint(60, 200), width=max(1, round(width)))
    return mask


def runs_down(noise, size, cell, share):
    """A mask of streaks that water drew."""
    return spots(noise, size, cell, share, 60, aspect=7)
