"""Which typefaces plates are set in, where Debian's packages put them, and text drawn with them.

Packages: fonts-liberation, fonts-dejavu, fonts-routed-gothic (the pantograph engraver's letters),
fonts-osifont (ISO 3098 drafting), fonts-opendin, fonts-national-park, fonts-allerta (stencil),
fonts-dseg (LCD digits). One that is not there is left out; liberation must be.
"""
import functools
import os
import unicodedata

from PIL import ImageDraw, ImageFont

ROOT = "/usr/share/fonts"
LIBERATION = f"{ROOT}/truetype/liberation/Liberation"
DEJAVU = f"{ROOT}/truetype/dejavu/DejaVu"
ROUTED = f"{ROOT}/truetype/routed-gothic/routed-gothic"
FALLBACK = f"{LIBERATION}Sans-Regular.ttf"

ROLES = {
    "print": [f"{LIBERATION}Sans-Regular.ttf", f"{LIBERATION}Sans-Bold.ttf",
              f"{LIBERATION}SansNarrow-Bold.ttf", f"{LIBERATION}SansNarrow-Regular.ttf",
              f"{DEJAVU}SansCondensed.ttf", f"{DEJAVU}SansCondensed-Bold.ttf",
              f"{DEJAVU}Sans-Bold.ttf"],
    "engraved": [f"{ROUTED}.ttf", f"{ROUTED}-narrow.ttf", f"{ROOT}/truetype/osifont/osifont.ttf",
                 f"{ROOT}/opentype/national-park/NationalPark-Regular.otf"],
    "din": [f"{ROOT}/truetype/opendin/OSP-DIN.ttf"],
    "stamped": [f"{LIBERATION}Mono-Bold.ttf", f"{DEJAVU}SansMono-Bold.ttf",
                f"{LIBERATION}Sans-Bold.ttf", f"{DEJAVU}SansMono.ttf"],
    "logo": [f"{LIBERATION}Sans-BoldItalic.ttf", f"{LIBERATION}Serif-Bold.ttf",
             f"{DEJAVU}Sans-Bold.ttf", f"{DEJAVU}Serif-Bold.ttf", f"{LIBERATION}Sans-Bold.ttf",
             f"{ROOT}/opentype/national-park/NationalPark-Heavy.otf"],
    "stencil": [f"{ROOT}/opentype/allerta/allerta_stencil.otf", f"{LIBERATION}Sans-Bold.ttf",
                f"{DEJAVU}Sans-Bold.ttf", f"{LIBERATION}SansNarrow-Bold.ttf"],
    "lcd": [f"{ROOT}/truetype/dseg/DSEG7Classic-Regular.ttf",
            f"{ROOT}/truetype/dseg/DSEG7Modern-Italic.ttf"],
}


@functools.lru_cache(maxsize=None)
def role(name):
    found = [path for path in ROLES[name] if os.path.exists(path)]
    return found or [path for path in ROLES["print"] if os.path.exists(path)]


@functools.lru_cache(maxsize=512)
def load(path, px):
    return ImageFont.truetype(path, px, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=4096)
def covers(path, char):
    """False: the font draws a box or nothing for it."""
    font = load(path, 24)
    shape = bytes(font.getmask(char))
    return char == " " or (any(shape) and shape != bytes(font.getmask("\uffff")))


def runs(path, text):
    """The text cut where the font has no letter and FALLBACK must help: [(path, part)].
    Accents go first, as makers leave them out too."""
    parts = []
    for char in text:
        bare = unicodedata.normalize("NFD", char)[0]
        if not covers(path, char) and covers(path, bare):
            char = bare
        use = path if covers(path, char) else FALLBACK
        if parts and parts[-1][0] == use:
            parts[-1][1] += char
        else:
            parts.append([use, char])
    return parts


@functools.lru_cache(maxsize=512)
def cap_height(path, px):
    return -load(path, px).getbbox("H", anchor="ls")[1]


def size_for(path, cap):
    """The font size whose capitals are `cap` pixels high."""
    return max(4, round(cap * 100 / max(1, cap_height(path, 100))))


def width(path, px, text):
    return sum(load(use, px).getlength(part) for use, part in runs(path, text))


def draw(image, x, y, text, path, px, fill=255):
    """Baseline left at x, y. Returns the x where it ends."""
    pen = ImageDraw.Draw(image)
    for use, part in runs(path, text):
        font = load(use, px)
        pen.text((x, y), part, font=font, fill=fill, anchor="ls")
        x += font.getlength(part)
    return x


def draw_stamped(image, x, y, text, path, px, rng, slip):
    """As if each letter was struck by hand: none stands quite straight. `slip`: 0..1."""
    pen = ImageDraw.Draw(image)
    for use, part in runs(path, text):
        font = load(use, px)
        for char in part:
            dy = rng.uniform(-1, 1) * slip * px * .09
            depth = int(255 - slip * rng.uniform(0, 90))
            pen.text((x, y + dy), char, font=font, fill=depth, anchor="ls")
            x += font.getlength(char) + rng.uniform(-.5, 1) * slip * px * .07
    return x
