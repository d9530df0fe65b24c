"""The detector that comes with ocr-pipeline: it is found, it finds, and what follows from what it saw."""
import base64
import json
import os
import shutil
import subprocess
import unittest

from harness import binary, scaled
from ocr import OcrWorld, PLATE

HERE = os.path.dirname(os.path.abspath(__file__))
PHOTOS = os.path.join(HERE, "..", "ocr")
PYTHON = "/usr/bin/python3"  # whose packages are Debian's
MODEL = "plate-finder.onnx"
PLATES = ((31337, 0), (31337, 1), (31337, 2))  # seed and index of photos that show a plate
SIGN = (601, 27)                               # and of one of a pole's sign
DRAW = """
import sys
sys.path.insert(0, sys.argv[1])
import photos
photos.write_photo(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), "clean", 1600)
"""


def overlap(a, b):
    wide = min(a[2], b[2]) - max(a[0], b[0])
    tall = min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, wide) * max(0, tall)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


class DrawnWorld(OcrWorld):
    def draw(self, seed, index):
        """(path, truth) of a photo that no network has learned from."""
        os.makedirs(self.path("drawn"), exist_ok=True)
        run = subprocess.run([PYTHON, "-B", "-c", DRAW, PHOTOS, self.path("drawn"), str(seed), str(index)],
                             capture_output=True, text=True, check=False, timeout=scaled(120))
        if "No module named" in run.stderr:
            raise unittest.SkipTest("photos cannot be drawn; run tools/install-deps photos")
        self.assertEqual(run.returncode, 0, run.stderr)
        path = self.path("drawn", f"clean-{seed}-{index:04d}.jpg")
        with open(path[:-4] + ".json", encoding="utf-8") as truth:
            return path, json.load(truth)


class Detector(DrawnWorld):
    def test_plates_are_found_where_they_are(self):
        drawn = [self.draw(*photo) for photo in PLATES]
        reports = map(json.loads, self.ocr("read", *(path for path, _ in drawn), "--json")[0].splitlines())
        for (path, truth), report in zip(drawn, reports, strict=True):
            plate = report["plate"]
            (wanted,) = [b["box"] for b in truth["boxes"] if b["class"] == "placa_transformador"]
            self.assertEqual((plate["class"], plate["fallback"]), ("placa_transformador", None), path)
            self.assertGreater(overlap(plate["box"], wanted), .5, path)
            self.assertEqual(report["pole_id_context"], "placa_transformador")
            self.assertIn(plate["box"], [p["box"] for p in report["plates"]])

    def test_a_detector_of_ones_own_or_none(self):
        out, _ = self.ocr("doctor")
        self.assertIn(os.path.join(os.path.dirname(binary("ocr-pipeline")), MODEL), out)
        mine = shutil.copyfile(os.path.join(os.path.dirname(binary("ocr-pipeline")), MODEL),
                               self.path("mine.onnx"))
        self.write("config/ancalagon/ocr.ini", "[plate]\nmodel = ../../mine.onnx\n")
        self.assertIn("mine.onnx (v8, 2 classes, 320 x 320)", self.ocr("doctor")[0])
        self.assertIsNone(json.loads(self.ocr("read", PLATE, "--json")[0])["plate"]["fallback"])
        os.remove(mine)
        self.assertIn("there is no plate detector at", self.ocr("read", PLATE, status=4)[1])
        self.write("config/ancalagon/ocr.ini", "[plate]\nmodel = none\n")
        self.assertIn("none: a plate is where its texts are", self.ocr("doctor")[0])
        report = json.loads(self.ocr("read", PLATE, "--json")[0])
        self.assertEqual((report["plate"]["fallback"], report["plates"]), ("text_density", []))

    def installed(self):
        """As `make install` lays it down."""
        for folder in ("bin", "share/ancalagon"):
            os.makedirs(self.path("usr", folder))
        program = shutil.copy(binary("ocr-pipeline"), self.path("usr/bin/ocr-pipeline"))
        model = shutil.copy(os.path.join(os.path.dirname(binary("ocr-pipeline")), MODEL),
                            self.path("usr/share/ancalagon", MODEL))
        return program, model

    def test_it_is_found_where_it_was_installed_and_known_when_it_is_broken(self):
        program, model = self.installed()

        def doctor():
            return subprocess.run([program, "doctor"], env=self.environment, capture_output=True,
                                  text=True, check=False, timeout=scaled(60))
        run = doctor()
        self.assertEqual(run.returncode, 0, run.stdout)
        self.assertIn(f"share/ancalagon/{MODEL} (v8", run.stdout)
        with open(model, "r+b") as file:
            file.truncate(100000)
        run = doctor()
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stdout, rf"FAIL networks +the plate detector .*{MODEL}")
        os.remove(model)
        self.assertIn("none: a plate is where its texts are", doctor().stdout)


class Poles(DrawnWorld):
    """A pole whose photos tell a maker, but show no placa_identificacao, is to be looked at."""

    def reasons(self, *paths):
        images = [base64.b64encode(open(path, "rb").read()).decode() for path in paths]
        answer = self.ask("POST", "/api/v41/ocr/poste/7", {"imagens": images}).json()
        return [r["code"] for r in answer["review_reasons"]]

    def test_by_default(self):
        sign, truth = self.draw(*SIGN)
        self.assertEqual([b["class"] for b in truth["boxes"]], ["placa_identificacao"])
        self.serve()
        self.assertEqual(self.reasons(PLATE, PLATE), ["no_identification"])
        self.assertEqual(self.reasons(PLATE), [])  # one photo is not expected to show everything
        self.assertNotIn("no_identification", self.reasons(PLATE, sign))
        self.assertIs(json.loads(self.ocr("read", PLATE, "--json")[0])["_needs_review"], False)

    def test_as_the_settings_say(self):
        self.write("config/ancalagon/ocr.ini", "[audit]\nidentification = off\n")
        self.serve()
        self.assertEqual(self.reasons(PLATE, PLATE), [])
        self.write("config/ancalagon/ocr.ini", "[audit]\nidentification = photos\n")
        report = json.loads(self.ocr("read", PLATE, "--json")[0])
        self.assertEqual([r["code"] for r in report["review_reasons"]], ["no_identification"])
        self.write("config/ancalagon/ocr.ini", "[audit]\nidentification = maybe\n")
        self.assertIn("none of poles, photos, off", self.ocr("read", PLATE, status=3)[1])
