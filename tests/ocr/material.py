"""From a face to a plate: metal, paint, etching, embossing, rivets, and what years outside add.

plate_image(...) gives an RGBA picture whose alpha is the plate's outline.
"""
import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

import texture

STEEL, ALUMINIUM, BRASS = (176, 178, 180), (205, 206, 208), (186, 170, 118)
# name, weight: what the plate is made of and how the letters came on it.
MATERIALS = (("steel_etched", 24), ("aluminium_printed", 26), ("painted_negative", 16),
             ("label_printed", 12), ("steel_embossed", 12), ("brass_engraved", 4),
             ("coloured_band", 6))


class Wear:
    """How much of what: 0 is a plate from the factory, 1 one of twenty years."""

    def __init__(self, dirt=0.0, rust=0.0, scratches=0.0, fade=0.0, drips=0.0):
        self.dirt, self.rust, self.scratches = dirt, rust, scratches
        self.fade, self.drips = fade, drips


def choose(rng):
    return rng.choices([m[0] for m in MATERIALS], [m[1] for m in MATERIALS])[0]


def plate_image(rng, noise, face, kind, wear):
    size = (face.width, face.height)
    scale = face.width / 1000
    text = ImageChops.lighter(face.ink, face.stamp)
    image = {"steel_etched": _etched, "aluminium_printed": _printed, "label_printed": _label,
             "painted_negative": _negative, "steel_embossed": _embossed,
             "brass_engraved": _brass, "coloured_band": _banded}[kind](
                 rng, noise, face, text, scale, wear)
    outline = _outline(rng, size, scale)
    _fixings(rng, image, outline, scale)
    _age(rng, noise, image, wear, scale)
    image.putalpha(outline)
    return image


def _shade(rng, tone, low, high):
    """A little lighter or darker, a touch warmer or colder."""
    by, warm = rng.uniform(low, high), rng.uniform(-.03, .03)
    return [min(235, int(c * by * (1 + warm * side))) for c, side in zip(tone, (1, 0, -1))]


def _worn(noise, mask, fade, scale):
    """Ink that has come off in places; `fade` 0..1."""
    if fade <= 0:
        return mask
    gone = texture.spots(noise, mask.size, 60 * scale, .35 * fade, 90)
    gone = gone.point([255 - int(v * min(.75, fade)) for v in range(256)])
    return ImageChops.multiply(mask, gone)


def _bands(image, face, color):
    image.paste(color, (0, 0, *image.size), face.band)


def _ink(image, face, text, color, strength=1.0):
    """Text in `color`, and in the plate's own tone inside an inverted band."""
    texture.cover(image, color, ImageChops.subtract(text, face.band), strength)


def _etched(rng, noise, face, text, scale, wear):
    """Laser or acid: the letters are a darker, matt grey; little contrast."""
    tone = _shade(rng, STEEL, .85, 1.15)
    image = texture.brushed(noise, text.size, tone, rng.uniform(4, 11), rng.random() < .2)
    grey = rng.randint(38, 78)
    _bands(image, face, (grey,) * 3)
    mask = text.filter(ImageFilter.GaussianBlur(.5 * scale)) if rng.random() < .5 else text
    _ink(image, face, _worn(noise, mask, wear.fade, scale), (grey, grey, grey + 4),
         rng.uniform(.85, 1))
    _band_text(image, face, text, tone)
    return texture.relief(image, face.stamp, .35, scale) if face.struck else image


def _printed(rng, noise, face, text, scale, wear):
    tone = _shade(rng, ALUMINIUM, .9, 1.1)
    image = texture.brushed(noise, text.size, tone, rng.uniform(2, 7))
    color = rng.choice(((14, 14, 16), (14, 14, 16), (16, 28, 80), (110, 16, 18), (12, 60, 34)))
    _bands(image, face, color)
    # The form is printed, the values are struck into it or engraved in grey.
    if face.struck:
        _ink(image, face, _worn(noise, face.ink, wear.fade, scale), color)
        _ink(image, face, face.stamp, (52, 52, 54), rng.uniform(.7, .95))
        image = texture.relief(image, face.stamp, .5, scale)
    else:
        _ink(image, face, _worn(noise, text, wear.fade, scale), color)
    _band_text(image, face, text, tone)
    return image


def _label(rng, noise, face, text, scale, wear):
    """Polyester: white, silver or yellow, black thermal print."""
    tone = rng.choice(((224, 224, 220), (212, 214, 216), (226, 206, 96), (224, 222, 204)))
    image = texture.flat(noise, text.size, tone)
    _bands(image, face, (24, 24, 26))
    _ink(image, face, _worn(noise, text, wear.fade, scale), (22, 22, 24))
    _band_text(image, face, text, tone)
    return image


def _negative(rng, noise, face, text, scale, wear):
    """Painted or anodised ground, letters of bare metal."""
    ground = rng.choice(((18, 18, 20), (18, 18, 20), (24, 40, 92), (120, 22, 22), (18, 70, 44),
                         (52, 54, 58)))
    image = texture.flat(noise, text.size, ground, 10)
    bare = texture.brushed(noise, text.size, ALUMINIUM, 4)
    face.band.paste(0, (0, 0, *face.band.size))
    image.paste(bare, (0, 0), _worn(noise, text, wear.fade, scale))
    return image


def _embossed(rng, noise, face, text, scale, wear):
    """Letters that stand out of the sheet, mostly with paint in or on them, seldom bare."""
    tone = _shade(rng, STEEL, .75, 1.0)
    image = texture.brushed(noise, text.size, tone, rng.uniform(3, 8))
    face.band.paste(0, (0, 0, *face.band.size))
    thick = text.filter(ImageFilter.MaxFilter(3)) if scale > .6 else text
    if rng.random() < .8:
        dark = rng.randint(20, 70)
        _ink(image, face, _worn(noise, thick, wear.fade, scale), (dark, dark, dark),
             rng.uniform(.6, .9))
        return texture.relief(image, thick, rng.uniform(.4, .8), 1.3 * scale)
    texture.cover(image, [c * .82 for c in tone], thick, .55)
    return texture.relief(image, thick, rng.uniform(.9, 1.3), 1.6 * scale)


def _brass(rng, noise, face, text, scale, wear):
    image = texture.brushed(noise, text.size, BRASS, rng.uniform(3, 7))
    face.band.paste(0, (0, 0, *face.band.size))
    _ink(image, face, _worn(noise, text, wear.fade, scale), (46, 36, 20), .95)
    return texture.relief(image, text, .3, scale)


def _banded(rng, noise, face, text, scale, wear):
    """Aluminium with one coloured header."""
    ImageDraw.Draw(face.band).rectangle([0, 0, face.width, face.head], fill=255)
    return _printed(rng, noise, face, text, scale, wear)


def _band_text(image, face, text, color):
    texture.cover(image, color, ImageChops.multiply(text, face.band))


def _outline(rng, size, scale):
    mask = Image.new("L", size)
    radius = rng.choice((4, 14, 30)) * scale
    ImageDraw.Draw(mask).rounded_rectangle([0, 0, size[0] - 1, size[1] - 1], radius, fill=255)
    return mask


def _fixings(rng, image, outline, scale):
    """Rivets, screws or bare holes near the corners."""
    w, h = image.size
    kind = rng.choice(("rivet", "rivet", "screw", "hole", "none"))
    r, inset = rng.uniform(8, 13) * scale, rng.uniform(16, 22) * scale
    spots = [(inset, inset), (w - inset, inset), (inset, h - inset), (w - inset, h - inset)]
    if rng.random() < .3:
        spots = [(inset, h / 2), (w - inset, h / 2)]
    pen = ImageDraw.Draw(image)
    for x, y in spots if kind != "none" else ():
        box = [x - r, y - r, x + r, y + r]
        if kind == "hole":
            pen.ellipse(box, fill=(30, 30, 32))
            continue
        tone = rng.randint(110, 170)
        pen.ellipse([v + 2 * scale for v in box], fill=(50, 50, 52))
        pen.ellipse(box, fill=(tone,) * 3)
        pen.ellipse([x - r * .6, y - r * .7, x + r * .1, y], fill=(min(255, tone + 60),) * 3)
        if kind == "screw":
            a = rng.uniform(0, 3.1)
            dx, dy = r * .8 * np.cos(a), r * .8 * np.sin(a)
            pen.line([x - dx, y - dy, x + dx, y + dy], fill=(40, 40, 42), width=max(1, round(3 * scale)))


def _age(rng, noise, image, wear, scale):
    """Dirt, rust, scratches, runs of water. Masks are drawn at half size: none of it is sharp."""
    size = image.size
    if wear.dirt > 0:
        color = rng.choice(((96, 84, 66), (70, 66, 58), (120, 104, 80)))
        texture.cover(image, color, texture.spots(noise, size, 260 * scale, .6, 130),
                      wear.dirt * .55)
        texture.cover(image, [c * .7 for c in color],
                      texture.spots(noise, size, 26 * scale, .05 * wear.dirt, 60), .8)
    if wear.drips > 0:
        texture.cover(image, (70, 58, 44), texture.runs_down(noise, size, 46 * scale, .3 * wear.drips),
                      .5)
    if wear.rust > 0:
        edge = _near_edges(size, 130 * scale)
        blotch = texture.spots(noise, size, 90 * scale, .45 * wear.rust, 50)
        texture.cover(image, (112, 58, 24), ImageChops.multiply(blotch, edge), .9)
        texture.cover(image, (136, 76, 34), texture.spots(noise, size, 40 * scale, .05 * wear.rust, 40),
                      .85)
    if wear.scratches > 0:
        mask = texture.scratches(rng, size, int(60 * wear.scratches), 1.4 * scale)
        texture.cover(image, (225, 225, 225), mask, .55)
        mask = texture.scratches(rng, size, int(40 * wear.scratches), 1.2 * scale)
        texture.cover(image, (50, 48, 46), mask, .6)


def _near_edges(size, reach):
    """255 at the rim, 0 deeper than `reach`."""
    w, h = size
    x = np.minimum(np.arange(w), np.arange(w)[::-1])
    y = np.minimum(np.arange(h), np.arange(h)[::-1])
    return texture.grey(255 * (1 - np.minimum(x[None, :], y[:, None]) / max(1, reach)))
