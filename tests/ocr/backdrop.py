"""What stands behind, and what the plate is fixed to: sky, leaves, walls, poles; tanks.

Backdrops are drawn small and enlarged: they are out of focus anyway."""
import math

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

import texture

TANK_PAINTS = ((150, 154, 156), (136, 142, 142), (166, 168, 164), (108, 116, 116), (120, 134, 122),
               (176, 170, 152), (92, 96, 100), (190, 192, 192), (70, 84, 98))


def behind(rng, noise, size):
    """The far background, `size` small."""
    kind = rng.choice(("sky", "sky", "leaves", "leaves", "wall", "street", "shed"))
    image = {"sky": _sky, "leaves": _leaves, "wall": _wall, "street": _street,
             "shed": _shed}[kind](rng, noise, size)
    pen = ImageDraw.Draw(image)
    w, h = size
    if kind != "shed" and rng.random() < .5:
        _pole(rng, noise, image, rng.uniform(0, w), rng.uniform(.05, .2) * w)
    for _ in range(rng.choice((0, 0, 2, 3, 4)) if kind in ("sky", "street") else 0):
        y0, y1 = rng.uniform(0, h * .6), rng.uniform(0, h * .6)
        pen.line([0, y0, w, y1], fill=(40, 40, 42), width=rng.choice((1, 1, 2)))
    return image


def _sky(rng, noise, size):
    w, h = size
    top = rng.choice(((96, 146, 206), (128, 168, 214), (176, 186, 196), (150, 160, 172)))
    ramp = Image.linear_gradient("L").resize(size)
    image = Image.composite(Image.new("RGB", size, (214, 222, 228)), Image.new("RGB", size, top), ramp)
    texture.cover(image, (240, 241, 243), texture.spots(noise, size, w * .35, rng.uniform(.1, .6), 120), .9)
    if rng.random() < .6:
        low = _leaves(rng, noise, size)
        edge = texture.clouds(noise, size, w * .15, 4)
        rise = texture.grey(np.linspace(-260, 380, h)[:, None] + np.zeros(size[::-1]))
        mask = ImageChops.add(rise, edge, 1, -110).point([255 * (v > 128) for v in range(256)])
        image.paste(low, (0, 0), mask)
    return image


def _leaves(rng, noise, size):
    base = rng.choice(((52, 78, 34), (70, 92, 44), (44, 66, 40), (92, 104, 58)))
    image = texture.tint(texture.clouds(noise, size, size[0] * .08, 6, gain=.85), base)
    texture.cover(image, [min(255, c * 2) for c in base], texture.spots(noise, size, 14, .16, 40), .8)
    texture.cover(image, [c // 3 for c in base], texture.spots(noise, size, 20, .2, 50), .85)
    texture.cover(image, (206, 218, 226), texture.spots(noise, size, 16, .05, 30), .9)
    return image


def _wall(rng, noise, size):
    w, h = size
    color = rng.choice(((190, 178, 160), (168, 160, 150), (150, 92, 66), (206, 200, 188)))
    image = texture.tint(texture.clouds(noise, size, w * .3, 6), color)
    pen = ImageDraw.Draw(image)
    if rng.random() < .5:  # bricks or blocks
        high = rng.uniform(.06, .14) * h
        for j in range(int(h / high) + 1):
            pen.line([0, j * high, w, j * high], fill=tuple(c * 3 // 4 for c in color), width=2)
            for i in range(int(w / (high * 2.2)) + 2):
                x = (i + (j % 2) * .5) * high * 2.2
                pen.line([x, j * high, x, (j + 1) * high], fill=tuple(c * 3 // 4 for c in color), width=2)
    return image


def _street(rng, noise, size):
    w, h = size
    image = _sky(rng, noise, size)
    ground = h * rng.uniform(.55, .8)
    pen = ImageDraw.Draw(image)
    x = 0
    while x < w:
        wide, tall = rng.uniform(.1, .3) * w, rng.uniform(.08, .35) * h
        tone = [rng.randint(90, 210) for _ in range(3)]
        pen.rectangle([x, ground - tall, x + wide, ground], fill=tuple(tone))
        for _ in range(rng.randint(0, 3)):
            a, b = x + rng.uniform(0, .8) * wide, ground - rng.uniform(.2, .9) * tall
            pen.rectangle([a, b, a + wide * .15, b + tall * .2], fill=(60, 66, 72))
        x += wide * rng.uniform(.9, 1.4)
    pen.rectangle([0, ground, w, h], fill=rng.choice(((110, 108, 104), (120, 104, 84), (90, 100, 70))))
    return image


def _shed(rng, noise, size):
    w, h = size
    image = texture.tint(texture.clouds(noise, size, w * .4, 4), rng.choice(((80, 82, 86), (110, 106, 98))))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(4, 12)):
        x, y = rng.uniform(-.1, 1) * w, rng.uniform(-.1, 1) * h
        tone = [rng.randint(30, 200) for _ in range(3)]
        pen.rectangle([x, y, x + rng.uniform(.05, .4) * w, y + rng.uniform(.05, .5) * h], fill=tuple(tone))
    return image.filter(ImageFilter.GaussianBlur(3))


def _pole(rng, noise, image, x, wide):
    h = image.height
    strip = texture.tint(texture.clouds(noise, (max(4, int(wide)), h), wide, 5),
                         rng.choice(((170, 166, 158), (150, 148, 144), (110, 84, 60))))
    round_off = [math.cos((i / strip.width - .5) * 2.6) for i in range(strip.width)]
    shade = texture.grey(np.array(round_off)[None, :] * 150 + 90 + np.zeros((h, 1)))
    image.paste(ImageChops.multiply(strip, Image.merge("RGB", [shade] * 3)), (int(x), 0))


def tank(rng, noise, size, scale, rust, dirt, clear):
    """The painted wall of a transformer, `scale` pixels a millimetre: stains, welds, bolts, and fins
    outside of the `clear` millimetres about its middle (0: no fins)."""
    w, h = size
    paint = rng.choice(TANK_PAINTS)
    image = texture.tint(texture.clouds(noise, size, w * .5, 3).point(
        [128 + (v - 128) // 5 for v in range(256)]), paint)
    pen = ImageDraw.Draw(image)
    dark, light = tuple(c * 2 // 3 for c in paint), tuple(min(255, c * 6 // 5) for c in paint)
    if clear:
        _fins(pen, w, h, scale, paint, clear * scale)
    for _ in range(rng.choice((0, 1, 1, 2))):  # welds and edges
        y = rng.uniform(0, h)
        pen.line([0, y, w, y], fill=dark, width=max(1, round(2.2 * scale)))
        pen.line([0, y - 2 * scale, w, y - 2 * scale], fill=light, width=max(1, round(1.4 * scale)))
    for _ in range(rng.choice((0, 0, 3, 6))):
        _bolt(pen, rng.uniform(0, w), rng.uniform(0, h), rng.uniform(5, 11) * scale, paint)
    if rng.random() < .25:  # a lug or a bracket
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        box = [x, y, x + rng.uniform(20, 70) * scale, y + rng.uniform(40, 160) * scale]
        pen.rectangle([v + 5 * scale for v in box], fill=tuple(c // 2 for c in paint))
        pen.rectangle(box, fill=light, outline=dark, width=max(1, round(scale)))
    if dirt:
        texture.cover(image, (66, 60, 50), texture.runs_down(noise, size, 60 * scale, .3 * dirt), .4)
        texture.cover(image, (110, 98, 80), texture.spots(noise, size, 240 * scale, .5, 120), .4 * dirt)
    if rust:
        texture.cover(image, (112, 60, 30), texture.spots(noise, size, 70 * scale, .12 * rust, 40), .9)
        texture.cover(image, (120, 70, 36), texture.runs_down(noise, size, 30 * scale, .06 * rust), .7)
    return image


def _fins(pen, w, h, scale, paint, clear):
    step = 28 * scale
    for x0, x1 in ((0, (w - clear) / 2), ((w + clear) / 2, w)):
        x = x0
        while x < x1:
            pen.rectangle([x, 0, x + step * .55, h], fill=tuple(c * 2 // 5 for c in paint))
            pen.rectangle([x + step * .55, 0, x + step * .7, h], fill=tuple(min(255, c * 5 // 4) for c in paint))
            x += step


def _bolt(pen, x, y, r, paint):
    pen.ellipse([x - r + r * .3, y - r + r * .3, x + r + r * .3, y + r + r * .3], fill=tuple(c // 3 for c in paint))
    points = [(x + r * math.cos(a * math.pi / 3), y + r * math.sin(a * math.pi / 3)) for a in range(6)]
    pen.polygon(points, fill=tuple(c * 4 // 5 for c in paint))
    pen.ellipse([x - r * .5, y - r * .5, x + r * .3, y + r * .3], fill=tuple(min(255, c * 5 // 4) for c in paint))
