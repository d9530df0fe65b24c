"""Synthetic field photos as files: JPEG with EXIF beside a JSON that tells the truth.

write_photo(folder, seed, grade, size) draws one. Boxes are pixels of the upright photo, that is
after the EXIF orientation, x0 y0 x1 y1.

The JSON: fields (the eleven; absent is null), where (field, printed, box: every place a value is
printed at), boxes (class, box, corners, seen: the part of it inside of the frame), decoys (kind, box,
texts), width, height, turned (degrees that no tag tells), exif (orientation), grade, seed.
"""
import json
import os
import random

from PIL import Image

import scene

SIZES = {"12MP": 4032, "1600": 1600}
# What stored pixels must undergo so that EXIF's orientation undoes it.
STORED = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
          5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}


def draw_photo(seed, grade, long_side):
    """(upright image, truth, JPEG quality)."""
    rng = random.Random(f"{seed}/{grade}/look")
    look = scene.Look(rng, grade)
    image, truth = scene.draw_scene(seed, grade, long_side, look)
    truth["exif"] = look.exif
    return image, truth, look.quality


def save_jpeg(path, image, quality, orientation=1, seed=0):
    rng = random.Random(f"{seed}/exif")
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F], exif[0x0110] = rng.choice((("samsung", "SM-A536E"), ("motorola", "moto g(60)"),
                                             ("Xiaomi", "M2101K6G"), ("Apple", "iPhone 12")))
    exif[0x0132] = f"20{rng.randint(18, 26)}:{rng.randint(1, 12):02d}:{rng.randint(1, 28):02d} 10:{rng.randint(10, 59)}:00"
    turn = STORED[orientation]
    stored = image if turn is None else image.transpose(turn)
    stored.save(path, "JPEG", quality=quality, exif=exif,
                subsampling=rng.choice(("4:2:0", "4:2:0", "4:4:4")))


def write_photo(folder, seed, grade, size="1600"):
    """Writes NAME.jpg and NAME.json; returns the truth."""
    image, truth, quality = draw_photo(seed, grade, SIZES[size])
    name = f"g{grade}-{seed:06d}"
    truth["file"] = f"{name}.jpg"
    save_jpeg(os.path.join(folder, truth["file"]), image, quality, truth["exif"], seed)
    with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as out:
        json.dump(_rounded(truth), out, ensure_ascii=False, indent=1)
        out.write("\n")
    return truth


def _rounded(value):
    if isinstance(value, float):
        return round(value, 1) if abs(value) > 2 else round(value, 3)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return value
