#!/usr/bin/python3
"""Are the drawn photos what their truth says? Run by tests/tools; needs python3-pil, python3-numpy."""
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import numpy as np
from PIL import Image, ImageOps

import photos
import plates

SMALL = 400


def drawn(seed, index, grade, folder):
    truth = photos.write_photo(folder, seed, index, grade, SMALL)
    with open(os.path.join(folder, truth["file"]), "rb") as file:
        return truth, file.read()


class Photos(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="photos-test-")
        self.addCleanup(self.folder.cleanup)

    def test_same_seed_same_photo(self):
        with tempfile.TemporaryDirectory() as other:
            first, second = drawn(3, 1, "field", self.folder.name), drawn(3, 1, "field", other)
        self.assertEqual(json.dumps(first[0]), json.dumps(second[0]))
        self.assertEqual(first[1], second[1])
        self.assertNotEqual(first[1], drawn(4, 1, "field", self.folder.name)[1])

    def test_stopped_set_goes_on(self):
        """What is there stays; a photo of another size does not pass for it."""
        before, _ = drawn(3, 1, "field", self.folder.name)
        path = os.path.join(self.folder.name, before["file"])
        os.truncate(path, 9)
        self.assertEqual(drawn(3, 1, "field", self.folder.name)[0]["fields"], before["fields"])
        self.assertEqual(os.path.getsize(path), 9)
        photos.write_photo(self.folder.name, 3, 1, "field", SMALL + 16)
        self.assertGreater(os.path.getsize(path), 9)

    def test_values_are_printed_inside_of_the_plate(self):
        seen = 0
        for index, grade in enumerate(photos.GRADES):
            truth, _ = drawn(5, index + 1, grade, self.folder.name)
            plate = [b for b in truth["boxes"] if b["class"] == "placa_transformador"]
            self.assertEqual(bool(plate), any(truth["fields"].values()))
            for place in truth["where"]:
                x0, y0, x1, y1 = place["box"]
                a0, b0, a1, b1 = plate[0]["box"]
                middle = ((x0 + x1) / 2, (y0 + y1) / 2)
                self.assertTrue(a0 < middle[0] < a1 and b0 < middle[1] < b1, place)
                self.assertIsNotNone(truth["fields"][place["field"]], place)
                seen += 1
        self.assertGreater(seen, 10)

    def test_without_a_plate(self):
        _, truth, _ = photos.draw_photo(11, 2, SMALL, with_plate=False)
        self.assertEqual(set(truth["fields"]), set(plates.FIELDS))
        self.assertFalse(any(truth["fields"].values()))
        self.assertFalse(truth["where"])
        self.assertTrue(truth["decoys"])

    def test_orientations_are_undone(self):
        ramp = np.zeros((96, 128, 3), np.uint8)
        ramp[:48, :64, 0] = ramp[48:, :, 1] = 250
        upright = Image.fromarray(ramp)
        path = os.path.join(self.folder.name, "turned.jpg")
        for orientation in range(1, 9):
            photos.save_jpeg(path, upright, 95, orientation)
            with Image.open(path) as stored:
                back = ImageOps.exif_transpose(stored)
                self.assertEqual(stored.size == upright.size, orientation < 5)
            difference = np.abs(np.asarray(back).astype(int) - ramp).mean()
            self.assertEqual(back.size, upright.size)
            self.assertLess(difference, 6, orientation)

    def test_table(self):
        truths = [drawn(3, i, "clean", self.folder.name)[0] for i in range(2)]
        path = os.path.join(self.folder.name, "truth.csv")
        photos.write_table(path, truths)
        with open(path, encoding="utf-8") as table:
            lines = table.read().splitlines()
        self.assertEqual(lines[0], ",".join(["file", *plates.FIELDS, "class", "plate_box", "decoys"]))
        self.assertEqual(len(lines), 3)


class Words(unittest.TestCase):
    def test_values_agree(self):
        """Phases, voltages and power of one plate belong together; absent is None, never empty."""
        import random
        for seed in range(300):
            truth = plates.make_plate(random.Random(seed)).truth
            self.assertEqual(set(truth), set(plates.FIELDS))
            self.assertIn(str(truth["potencia_kva"]), plates.POWERS[int(truth["fases"])], seed)
            self.assertNotIn("", truth.values())


if __name__ == "__main__":
    unittest.main()
