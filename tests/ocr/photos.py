"""Synthetic field photos as files: JPEG with EXIF beside a JSON that tells the truth.

Boxes are pixels of the upright photo, that is after the EXIF orientation, x0 y0 x1 y1.

The JSON: fields (the eleven; absent is null), where (field, printed, box: every place a value is
printed at), boxes (class, box, corners, seen: the part of it inside of the frame), decoys (kind, box,
texts), width, height, turned (degrees that no tag tells), exif (orientation), grade, seed.
"""
import csv
import json
import os
import random

from PIL import Image

import plates
import scene

SIZES = {"12MP": 4032}
GRADES = {"clean": 1, "field": 2, "hard": 3}
WITHOUT = 12  # one photo in so many shows no transformer's plate
# What stored pixels must undergo so that EXIF's orientation undoes it.
STORED = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
          5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}


def draw_photo(seed, grade, long_side, with_plate=True):
    """(upright image, truth, JPEG quality)."""
    rng = random.Random(f"{seed}/{grade}/look")
    look = scene.Look(rng, grade)
    image, truth = scene.draw_scene(seed, grade, long_side, look, with_plate)
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


def write_photo(folder, seed, index, grade, long_side):
    """Writes photo `index` of a set as NAME.jpg and NAME.json; returns the truth. What is there
    already, from a run that was stopped, stays."""
    own = seed * 100000 + index
    name = f"{grade}-{seed}-{index:04d}"
    told = os.path.join(folder, f"{name}.json")
    if os.path.exists(told):
        with open(told, encoding="utf-8") as before:
            truth = json.load(before)
        if max(truth["width"], truth["height"]) == long_side:
            return truth
    with_plate = random.Random(f"{own}/plate").randrange(WITHOUT) > 0
    image, truth, quality = draw_photo(own, GRADES[grade], long_side, with_plate)
    truth.update(file=f"{name}.jpg", grade=grade)
    save_jpeg(os.path.join(folder, truth["file"]), image, quality, truth["exif"], own)
    with open(told + ".part", "w", encoding="utf-8") as out:
        json.dump(_rounded(truth), out, ensure_ascii=False, indent=1)
        out.write("\n")
    os.rename(told + ".part", told)
    return truth


def write_table(path, truths):
    """One line a photo: file, the eleven fields (absent: empty), class (of the plate to be read;
    empty: none is in the photo), plate_box (its x0 y0 x1 y1), decoys (the kinds of things in it that
    are no plate, and on_plate where a text on the plate looks like a field)."""
    with open(path, "w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(["file", *plates.FIELDS, "class", "plate_box", "decoys"])
        for truth in truths:
            named = sorted(truth["boxes"], key=lambda b: b["class"] != "placa_transformador")
            label, box = (named[0]["class"], named[0]["box"]) if named else ("", [])
            kinds = [d["kind"] for d in truth["decoys"] if d["texts"] or d["kind"] != "on_plate"]
            table.writerow([truth["file"], *(_cell(truth["fields"][name]) for name in plates.FIELDS),
                            label, " ".join(str(round(v)) for v in box), " ".join(kinds)])


def _cell(value):
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rounded(value):
    if isinstance(value, float):
        return round(value, 1) if abs(value) > 2 else round(value, 3)
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(v) for v in value]
    return value
