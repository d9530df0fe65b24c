"""A second hand at drawing: flat pictures of plates, signs and clutter, laid on anything.

tests/ocr draws what photos look like. A finder that has seen only that takes its habits (its metal,
its tanks, its shadows) for what a plate is. These pictures have little in common but what holds
everywhere: a plate is a sheet with many small texts, a pole's sign one with few large characters,
and boxes, screens, stickers and bare sheets are neither.
"""
import math
import random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

import backdrop
import fonts
import light
import plates
import texture
import things

TRANSFORMER, IDENTIFICATION = 0, 1
WORDS = ("PERIGO", "FIBRA", "CABO", "ATENÇÃO", "0800", "NÃO ABRA", "ENERGIA", "LACRE", "QR", "USO", "VENDE-SE")
ROOM = .08  # of the smaller one's area: how much two things may overlap


def draw(seed, long_side):
    """(picture, [(class, box)])"""
    rng = random.Random(f"{seed}/plain")
    noise = np.random.default_rng(rng.getrandbits(63))
    size = (long_side, round(long_side * rng.choice((.56, .75, .75, 1))))[::rng.choice((1, 1, -1))]
    photo = _ground(rng, noise, size)
    boxes, taken = [], []
    for label, draw_one, share in _choose(rng):
        picture = draw_one(rng, noise, max(24, round(share * size[0] * 1.2)))
        _lay(rng, photo, picture, share, label, boxes, taken)
    return _taken_by_a_phone(rng, noise, photo), boxes


def _choose(rng):
    """[(class or None, how to draw it, part of the width)]: the largest first, it finds its place."""
    shown = []
    for _ in range(rng.choices((0, 1, 2, 3), (22, 58, 14, 6))[0]):
        shown.append((TRANSFORMER, _plate, math.exp(rng.uniform(math.log(.07), 0))))
    for _ in range(rng.choices((0, 1, 2), (40, 45, 15))[0]):
        shown.append((IDENTIFICATION, _sign, math.exp(rng.uniform(math.log(.08), math.log(.9)))))
    for _ in range(rng.choices(range(6), (15, 25, 25, 20, 10, 5))[0]):
        shown.append((None, rng.choice((_label, _box, _screen, _thing)),
                      math.exp(rng.uniform(math.log(.06), math.log(.7)))))
    return sorted(shown, key=lambda one: -one[2])


# What lies behind

def _ground(rng, noise, size):
    kind = rng.choice(("even", "ramp", "clouds", "stripes", "behind", "tank", "tank", "pieces"))
    tone = _tone(rng)
    few = tuple(max(8, n // 2) for n in size)
    if kind == "even":
        image = Image.new("RGB", size, tone)
    elif kind == "ramp":
        ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize(size)
        image = Image.composite(Image.new("RGB", size, _tone(rng)), Image.new("RGB", size, tone), ramp)
    elif kind == "clouds":
        image = texture.tint(texture.clouds(noise, size, size[0] * rng.uniform(.02, .6),
                                            rng.randint(2, 6), gain=rng.uniform(.4, .9)), tone)
    elif kind == "behind":
        image = backdrop.behind(rng, noise, few).resize(size, Image.BICUBIC)
    elif kind == "tank":
        image = backdrop.tank(rng, noise, size, size[0] / rng.uniform(150, 900), rng.random(), rng.random(),
                              rng.choice((0, 200)))
    else:
        image = Image.new("RGB", size, tone)
        _clutter(rng, image, kind == "stripes")
    if rng.random() < .3:
        _clutter(rng, image, rng.random() < .3)
    if rng.random() < .3:
        _pole(rng, image)
    return image


def _tone(rng, low=10, high=245):
    grey = rng.randint(low, high)
    spread = rng.choice((0, 8, 30, 90))
    return tuple(max(0, min(255, grey + rng.randint(-spread, spread))) for _ in range(3))


def _clutter(rng, image, stripes):
    pen, (w, h) = ImageDraw.Draw(image), image.size
    if stripes:
        step, tone, upright = rng.uniform(.03, .2) * w, _tone(rng), rng.random() < .5
        for i in range(int(max(w, h) / step) + 1):
            edge = (i * step, i * step + step * rng.uniform(.05, .6))
            pen.rectangle([edge[0], 0, edge[1], h] if upright else [0, edge[0], w, edge[1]], fill=tone)
        return
    for _ in range(rng.randint(2, 14)):
        x, y = rng.uniform(-.2, 1) * w, rng.uniform(-.2, 1) * h
        box = [x, y, x + rng.uniform(.02, .5) * w, y + rng.uniform(.02, .5) * h]
        shape = rng.choice(("rectangle", "ellipse", "line"))
        if shape == "line":
            pen.line(box, fill=_tone(rng), width=rng.randint(1, 9))
        else:
            getattr(pen, shape)(box, fill=_tone(rng), outline=rng.choice((None, _tone(rng))))


def _pole(rng, image):
    w, h = image.size
    wide, x, tone = rng.uniform(.08, .8) * w, rng.uniform(-.2, .9) * w, _tone(rng, 60, 190)
    columns = np.cos((np.arange(max(2, int(wide))) / wide - rng.uniform(.35, .65)) * 2.8) * .75 + .3
    strip = np.clip(columns[None, :, None] * np.array(tone), 0, 255).astype(np.uint8)
    image.paste(Image.fromarray(strip, "RGB").resize((strip.shape[1], h)), (int(x), 0))


# What lies on it

def _sheet(rng, noise, px, shape, tone):
    size = (px, max(8, round(px * shape)))
    kind = rng.choice(("even", "flat", "brushed", "ramp"))
    if kind == "even":
        image = Image.new("RGB", size, tone)
    elif kind == "flat":
        image = texture.flat(noise, size, tone, rng.uniform(3, 16))
    elif kind == "brushed":
        image = texture.brushed(noise, size, tone, rng.uniform(2, 12), rng.random() < .2)
    else:
        ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize(size)
        other = tuple(max(0, min(255, c + rng.randint(-60, 60))) for c in tone)
        image = Image.composite(Image.new("RGB", size, other), Image.new("RGB", size, tone), ramp)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rounded_rectangle([0, 0, size[0] - 1, size[1] - 1],
                                           rng.choice((0, 0, .02, .05, .1)) * px, fill=255)
    image.putalpha(mask)
    return image


def _against(rng, tone):
    """Ink that is seen on it, if not always well."""
    dark = sum(tone) / 3 > 115
    far = rng.randint(60, 200)
    return tuple(max(0, min(255, c - far if dark else c + far)) for c in tone)


def _border(rng, image, ink):
    pen, (w, h) = ImageDraw.Draw(image), image.size
    if rng.random() < .55:
        at, wide = rng.uniform(.01, .04) * w, max(1, round(w * rng.uniform(.003, .015)))
        pen.rectangle([at, at, w - at, h - at], outline=ink, width=wide)
    if rng.random() < .5:
        r, at = rng.uniform(.008, .025) * w, rng.uniform(.02, .05) * w
        for x, y in ((at, at), (w - at, at), (at, h - at), (w - at, h - at)):
            pen.ellipse([x - r, y - r, x + r, y + r], fill=_tone(rng))


def _plate(rng, noise, px):
    """Many small texts in rows, columns or a form."""
    tone = rng.choice(((205, 206, 208), (176, 178, 180), (240, 240, 236), (22, 22, 24), (186, 170, 118),
                       (30, 50, 110), (24, 80, 50), (130, 24, 24), (226, 206, 96), _tone(rng)))
    px = max(px, 160)
    image = _sheet(rng, noise, px, math.exp(rng.uniform(math.log(.42), math.log(1.6))), tone)
    ink, (w, h) = _against(rng, tone), image.size
    path = rng.choice(fonts.role(rng.choice(("print", "engraved", "din", "stamped"))))
    lines = [(label, piece.text) for label, piece in plates.make_plate(rng).lines]
    columns, top = rng.choice((1, 2, 2, 3)), 0.
    _border(rng, image, ink)
    if rng.random() < .75:
        top = rng.uniform(.09, .24)
        _head(rng, image, lines, ink, tone, top)
    rows = max(5, math.ceil(len(lines) / columns) + rng.randint(-2, 2))
    step = h * (1 - top - .06) / rows
    _form(rng, image, ink, top, rows, columns)
    for i, (label, text) in enumerate(lines[:rows * columns]):
        x, y = (i // rows) / columns, h * top + (i % rows + .72) * step
        said = f"{label}{rng.choice((': ', ' '))}{text}" if label else text
        _text(image, (.03 + x * .95) * w, y, said, path, min(step * .55, w * .05), ink, w * .92 / columns)
    return image


def _head(rng, image, lines, ink, tone, top):
    """The maker's name, often in a band of another colour."""
    w, h = image.size
    if rng.random() < .5:
        band = rng.choice((ink, _tone(rng)))
        alpha = image.getchannel("A")
        ImageDraw.Draw(image).rectangle([0, 0, w, h * top * .92], fill=band)
        image.putalpha(alpha)
        ink = _against(rng, band[:3])
    logo = rng.choice(fonts.role("logo"))
    _text(image, w * rng.uniform(.04, .4), h * top * .72, lines[0][1], logo, h * top * .45, ink, w * .55)


def _form(rng, image, ink, top, rows, columns):
    """Rules between rows, and boxes that hold a value."""
    pen, (w, h) = ImageDraw.Draw(image), image.size
    step, thin = h * (1 - top - .06) / rows, max(1, w // 300)
    if rng.random() < .45:
        for i in range(rows + 1):
            pen.line([w * .02, h * top + i * step, w * .98, h * top + i * step], fill=ink, width=thin)
        for i in range(columns + 1):
            x = w * (.02 + .96 * i / columns)
            pen.line([x, h * top, x, h * .94], fill=ink, width=thin)
    if rng.random() < .25:
        x, y = rng.uniform(.5, .75) * w, rng.uniform(top, .7) * h
        pen.rectangle([x, y, x + .2 * w, y + .2 * h], outline=ink, width=thin)


def _text(image, x, y, text, path, cap, ink, room):
    px = fonts.size_for(path, max(3, cap))
    wide = fonts.width(path, px, text)
    if wide > room:
        px = max(4, int(px * room / wide))
    fonts.draw(image, x, y, text, path, px, ink)


def _sign(rng, noise, px):
    """A number, perhaps a name above it; one to three lines that fill the sheet."""
    tone = rng.choice(((236, 200, 40), (238, 238, 234), (205, 206, 208), (24, 60, 130), (18, 90, 50),
                       (30, 30, 32), (240, 240, 240), (220, 110, 30), _tone(rng)))
    ink = _against(rng, tone)
    px = max(px, 90)
    image = _sheet(rng, noise, px, math.exp(rng.uniform(math.log(.2), math.log(1.4))), tone)
    _border(rng, image, ink)
    w, h = image.size
    path = rng.choice(fonts.role(rng.choice(("print", "stencil", "din", "stamped"))))
    lines = [_number(rng) for _ in range(rng.choices((1, 2, 3), (60, 30, 10) if h < w * .7 else (15, 50, 35))[0])]
    if rng.random() < .45 and len(lines) < 3:
        lines.insert(0, rng.choice((*things.UTILITIES, "POSTE", "POSTE Nº", "PLACA", "ID")))
    step = h * .86 / len(lines)
    for i, text in enumerate(lines):
        cap = step * rng.uniform(.5, .72)
        fit = fonts.size_for(path, cap)
        wide = min(w * .9, fonts.width(path, fit, text))
        _text(image, (w - wide) / 2, h * .07 + (i + .84) * step, text, path, cap, ink, w * .9)
    return image


def _number(rng):
    n = plates.digits(rng, rng.randint(2, 8))
    return rng.choice((n, n, n, f"{rng.choice('ABCEPTRX')}{n}", f"{n[:-1]}-{n[-1]}", f"{n[:3]}.{n[3:]}",
                       f"{rng.choice(('AL', 'ET', 'TR', 'PT'))}-{n}"))


def _label(rng, noise, px):
    """A sticker or a warning: words."""
    tone = _tone(rng) if rng.random() < .4 else rng.choice(((240, 196, 20), (240, 150, 30), (30, 120, 200),
                                                             (245, 245, 240), (190, 24, 24), (120, 200, 120)))
    image = _sheet(rng, noise, max(px, 60), rng.uniform(.3, 1.4), tone)
    ink, (w, h), count = _against(rng, tone), image.size, rng.randint(1, 4)
    if rng.random() < .5:
        _border(rng, image, ink)
    pen = ImageDraw.Draw(image)
    if rng.random() < .5:
        x, y, s = rng.uniform(.1, .5) * w, rng.uniform(.05, .3) * h, rng.uniform(.2, .4) * min(w, h)
        shape = rng.choice(("triangle", "disc", "squares"))
        if shape == "triangle":
            pen.polygon([(x, y + s), (x + s / 2, y), (x + s, y + s)], fill=ink)
        elif shape == "disc":
            pen.ellipse([x, y, x + s, y + s], fill=ink)
        else:
            _squares(rng, pen, x, y, s, ink)
    for i in range(count):
        text = f"{rng.choice((*WORDS, *things.TELECOMS))} {rng.choice(('', plates.digits(rng, 4)))}".strip()
        _text(image, w * .08, h * (.4 + .55 * (i + .8) / count), text, fonts.role("print")[1],
              h * .34 / count, ink, w * .84)
    return image


def _squares(rng, pen, x, y, s, ink):
    n = rng.randint(9, 17)
    for i in range(n):
        for j in range(n):
            if rng.random() < .5:
                pen.rectangle([x + i * s / n, y + j * s / n, x + (i + 1) * s / n, y + (j + 1) * s / n], fill=ink)


def _box(rng, noise, px):
    """A lid, a window, a patch of paint: a sheet that says nothing."""
    tone = _tone(rng)
    image = _sheet(rng, noise, max(px, 40), rng.uniform(.2, 2.5), tone)
    _border(rng, image, _against(rng, tone))
    pen, (w, h) = ImageDraw.Draw(image), image.size
    for i in range(rng.choice((0, 0, 0, 4, 9))):  # slots
        y = h * (.15 + .08 * i)
        pen.line([w * .15, y, w * .85, y], fill=_against(rng, tone), width=max(1, w // 50))
    return image


def _screen(rng, noise, px):
    """A meter of any make: a case, a display, a few words."""
    tone = _tone(rng, 60, 240)
    image = _sheet(rng, noise, max(px, 60), rng.uniform(.8, 1.7), tone)
    pen, (w, h) = ImageDraw.Draw(image), image.size
    x, y = rng.uniform(.1, .25) * w, rng.uniform(.1, .4) * h
    pen.rounded_rectangle([x, y, w - x, y + h * .25], w * .03, fill=_tone(rng), outline=(20, 20, 20))
    _text(image, x * 1.3, y + h * .2, plates.digits(rng, rng.randint(4, 6)), rng.choice(fonts.role("lcd")),
          h * .14, _tone(rng, 0, 80), (w - 2 * x) * .9)
    for i in range(rng.randint(0, 3)):
        _text(image, x, y + h * (.33 + .07 * i), rng.choice(("kWh", "240 V 15 A", plates.digits(rng, 8))),
              fonts.role("print")[0], h * .035, _against(rng, tone), w * .7)
    return image


def _thing(rng, noise, px):
    """One of those that stand beside the plates of tests/ocr."""
    return things.KINDS[rng.choice(("meter", "telecom", "warning", "inspection", "painted"))][0](
        rng, noise, max(px, 64))[0]


# How it is laid there

def _lay(rng, photo, picture, share, label, boxes, taken):
    """Turned and seen askew, where it does not hide what is there; left out when there is no room."""
    w, h = photo.size
    wide, tall = share * w, share * w * picture.height / picture.width
    if tall > h:
        wide, tall = wide * h / tall, h
    quad = _askew(rng, wide, tall)
    low, high = np.min(quad, 0), np.max(quad, 0)
    for _ in range(10):
        slack = .2 * (high - low) if rng.random() < .15 else 0  # now and then the frame cuts it
        at = [rng.uniform(min(0, n - s) - a, max(0, n - s) + a)
              for n, s, a in zip((w, h), high - low, np.broadcast_to(slack, 2))] - low
        box = [*(low + at), *(high + at)]
        if all(_shared(box, other) < ROOM for other in taken):
            break
    else:
        return
    taken.append(box)
    _paste(rng, photo, picture, quad + at)
    seen = [max(0, box[0]), max(0, box[1]), min(w, box[2]), min(h, box[3])]
    if label is not None and seen[2] - seen[0] > 8 and seen[3] - seen[1] > 5:
        boxes.append((label, seen))


def _askew(rng, wide, tall):
    a = math.radians(rng.gauss(0, rng.choice((1, 5, 14))))
    bend = rng.choice((0, .03, .08, .14))
    quad = np.array([(-wide, -tall), (wide, -tall), (wide, tall), (-wide, tall)]) / 2
    quad = quad * (1 + np.array([[rng.uniform(-bend, bend) for _ in range(2)] for _ in range(4)]))
    return quad @ np.array([(math.cos(a), math.sin(a)), (-math.sin(a), math.cos(a))])


def _shared(a, b):
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    least = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(0, wide) * max(0, tall) / max(1, least)


def _paste(rng, photo, picture, quad):
    low, high = np.floor(np.min(quad, 0)).astype(int), np.ceil(np.max(quad, 0)).astype(int)
    size = tuple(int(n) for n in np.maximum(2, high - low))
    by = max(1., picture.width / max(1, np.hypot(*(quad[1] - quad[0]))))
    if by > 1.2:  # as a lens does: averaged, not picked
        picture = picture.resize((max(2, round(picture.width / by)), max(2, round(picture.height / by))), Image.BOX)
    corners = [(0, 0), (picture.width, 0), (picture.width, picture.height), (0, picture.height)]
    warped = picture.transform(size, Image.PERSPECTIVE, _homography(quad - low, corners), Image.BICUBIC)
    at, alpha = (int(low[0]), int(low[1])), warped.getchannel("A")
    if rng.random() < .5:
        soft = alpha.filter(ImageFilter.BoxBlur(rng.uniform(0, 4)))
        off = (at[0] + rng.randint(-5, 5), at[1] + rng.randint(0, 6))
        photo.paste((12, 12, 14), off, soft.point([int(v * .6) for v in range(256)]))
    photo.paste(warped, at, alpha)


def _homography(source, target):
    """The eight numbers with which Pillow looks up each pixel of `source` in `target`."""
    rows, wanted = [], []
    for (x, y), (u, v) in zip(source, target):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    return np.linalg.solve(np.array(rows, float), np.array(wanted, float)).tolist()


def _taken_by_a_phone(rng, noise, photo):
    small = [max(8, n // 4) for n in photo.size]
    if rng.random() < .4:
        photo = light.multiply(photo, light.shadows(rng, noise, small, rng.uniform(.15, .6)))
    if rng.random() < .3:
        photo = light.screen(photo, light.glare(rng, small, (.1, .1, .9, .9), rng.uniform(.2, .9), False))
    photo = light.defocus(photo, rng.choice((0, .3, .5, 1, 1.6)))
    if rng.random() < .15:
        photo = light.motion(photo, rng.uniform(1, 4), rng.uniform(0, math.pi))
    photo = light.expose(photo, rng.uniform(.75, 1.25), rng.gauss(0, .04), rng.uniform(.7, 1.15), rng.uniform(-8, 20))
    return light.grain(noise, photo, rng.choice((0, 2, 5, 10)), 1)
