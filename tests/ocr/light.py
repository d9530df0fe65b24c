"""What light, lens and sensor do to a picture: shadows, glare, blur, noise, colour.

Maps are drawn small and enlarged; noise is a tile: a 12 megapixel photo must not take seconds."""
import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

import texture

TILE = 384  # pixels of noise that are drawn for a whole photo


def multiply(photo, light):
    """Darkens by a small grey map, 255 = as it is."""
    big = light.resize(photo.size, Image.BILINEAR)
    return ImageChops.multiply(photo, Image.merge("RGB", [big] * 3))


def screen(photo, glow, tint=(255, 255, 255)):
    big = glow.resize(photo.size, Image.BILINEAR)
    bands = [big if t == 255 else big.point([v * t // 255 for v in range(256)]) for t in tint]
    return ImageChops.screen(photo, Image.merge("RGB", bands))


def shadows(rng, noise, size, strength):
    """A small map: the shade of leaves, of a cable, of an edge; 255 = full light."""
    w, h = size
    mask = Image.new("L", size)
    kind = rng.choice(("leaves", "edge", "edge", "bars"))
    pen = ImageDraw.Draw(mask)
    if kind == "leaves":
        mask = texture.spots(noise, size, w * rng.uniform(.08, .25), rng.uniform(.25, .55), 60)
    elif kind == "edge":
        a, x, y = rng.uniform(0, math.tau), rng.uniform(.25, .75) * w, rng.uniform(.25, .75) * h
        dx, dy = math.cos(a), math.sin(a)
        far = 2 * max(size)
        pen.polygon([(x + dx * far, y + dy * far), (x - dx * far, y - dy * far),
                     (x - dx * far - dy * far, y - dy * far + dx * far),
                     (x + dx * far - dy * far, y + dy * far + dx * far)], fill=255)
    else:
        for _ in range(rng.randint(1, 4)):
            x, tilt, wide = rng.uniform(0, w), rng.uniform(-.5, .5) * w, rng.uniform(.01, .08) * w
            pen.line([x, 0, x + tilt, h], fill=255, width=max(1, int(wide)))
    mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(.002, .02) * w))
    return mask.point([255 - int(v * strength) for v in range(256)])


def glare(rng, size, box, strength, upright):
    """A small map of light thrown back, about `box` (parts of the frame)."""
    w, h = size
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    glow = np.zeros((h, w), np.float32)
    for _ in range(rng.choice((1, 1, 2))):
        cx = w * rng.uniform(box[0], box[2])
        cy = h * rng.uniform(box[1], box[3])
        reach = (box[2] - box[0]) * w * rng.uniform(.08, .3)
        long = rng.uniform(2, 5) if upright else rng.uniform(1, 2.2)
        a = rng.uniform(-.15, .15) if upright else rng.uniform(0, math.pi)
        dx = (x - cx) * math.cos(a) + (y - cy) * math.sin(a)
        dy = (y - cy) * math.cos(a) - (x - cx) * math.sin(a)
        glow += strength * 255 * np.exp(-((dx / reach) ** 2 + (dy / (reach * long)) ** 2))
    return texture.grey(glow)


def vignette(size, strength):
    w, h = size
    y, x = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
    return texture.grey(255 * (1 - strength * np.minimum(1, (x * x + y * y) / 2)))


def defocus(photo, radius):
    """Gaussian blur. Small ones as nine weights; wide ones at half size, where they look the same and
    cost a quarter."""
    if radius < .25:
        return photo
    if radius < .75:
        side = math.exp(-.5 / radius ** 2)
        return photo.filter(ImageFilter.Kernel((3, 3), [side * side, side, side * side, side, 1, side,
                                                        side * side, side, side * side]))
    if radius < 2.2:
        return photo.filter(ImageFilter.GaussianBlur(radius))
    half = photo.resize((photo.width // 2, photo.height // 2), Image.BOX)
    # Halving and doubling blur a little themselves: what they add is taken off.
    rest = math.sqrt(max(.2, radius ** 2 - 1.2)) / 2
    return half.filter(ImageFilter.GaussianBlur(rest)).resize(photo.size, Image.BICUBIC)


def motion(photo, length, angle):
    """A straight shake of the hand, `length` pixels."""
    steps = max(2, min(9, round(length)))
    total = None
    for i in range(steps):
        t = (i / (steps - 1) - .5) * length
        moved = photo.transform(photo.size, Image.AFFINE,
                                (1, 0, t * math.cos(angle), 0, 1, t * math.sin(angle)), Image.BILINEAR)
        total = moved if total is None else Image.blend(total, moved, 1 / (i + 1))
    return total


def expose(photo, gain, warmth, contrast, lift):
    """Brightness, colour of the light, contrast about the middle, veil."""
    bands = []
    for band, side in zip(photo.split(), (1, 0, -1)):
        by = gain * (1 + warmth * side)
        table = [128 + (v * by - 128) * contrast + lift for v in range(256)]
        bands.append(band.point([max(0, min(255, round(v))) for v in table]))
    return Image.merge("RGB", bands)


def grain(noise, photo, sigma, lump=1.0):
    """Sensor noise, a little of it in colour; `lump`: pixels a grain is wide."""
    if sigma <= 0:
        return photo
    common = noise.standard_normal((TILE, TILE)).astype(np.float32)
    bands = []
    for _ in range(3):
        own = noise.standard_normal((TILE, TILE)).astype(np.float32)
        image = texture.grey(128 + sigma * (.85 * common + .5 * own))
        if lump > 1.2:
            image = image.resize((round(TILE * lump),) * 2, Image.BILINEAR)
        bands.append(image)
    return ImageChops.add(photo, _tiled(noise, Image.merge("RGB", bands), photo.size), 1, -128)


def _tiled(noise, tile, size):
    """Pieces from anywhere in the tile: no pattern comes back at a distance that the eye finds."""
    sheet = Image.new("RGB", size)
    piece = tile.width // 2
    for y in range(0, size[1], piece):
        for x in range(0, size[0], piece):
            dx, dy = (int(n) for n in noise.integers(0, tile.width - piece, 2))
            sheet.paste(tile.crop((dx, dy, dx + piece, dy + piece)), (x, y))
    return sheet
