"""Files that pretend to be photos, and odd ones that are (tests/ocr/hostile.py), through every door."""
import base64
import json
import os
import subprocess
import unittest

from harness import eventually, peak_kib, rss_kib
from ocr import CACHE, OcrWorld

MAKE_PHOTOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ocr", "make-photos")
POLE = "/api/v41/ocr/poste/"
GENERATE = "/v1beta/models/m:generateContent"
JOBS = "/api/v41/ocr/trabalhos"


class Hostile(OcrWorld):
    settings = "[read]\nside = 1000\n"

    def setUp(self):
        super().setUp()
        made = subprocess.run([MAKE_PHOTOS, "--hostile", "--out", self.path("set")], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
        if made.returncode:
            raise unittest.SkipTest(made.stderr.strip()[-200:])
        with open(self.path("set/expected.json")) as file:
            expected = json.load(file)
        self.truth, self.files = expected["truth"], expected["files"]
        self.fast = ["--fast"] if os.path.exists(os.path.join(CACHE, "fast-rec.onnx")) else []

    def names(self, what):
        return sorted(name for name, expected in self.files.items() if expected == what)

    def base64(self, name):
        with open(self.path("set", name), "rb") as file:
            return base64.b64encode(file.read()).decode()

    def check(self, fields, name):
        """It was read as the plain photo is: upright, in colours that show its letters."""
        for key in ("numero_serie", "potencia_kva", "fabricante"):
            self.assertEqual(fields[key]["value"], self.truth[key], name)

    def files_are_read_or_refused(self):
        out, errors = self.ocr("read", *(f"set/{name}" for name in self.files), "--json", *self.fast, status=1)
        reports = {os.path.basename(report["file"]): report for report in map(json.loads, out.splitlines())}
        self.assertEqual(set(reports), set(self.files))
        for name, expected in self.files.items():
            with self.subTest(name):
                report = reports[name]
                if "error" in report:
                    self.assertNotEqual(expected, "read", report)
                    self.assertIn(report["error"]["code"], ("INVALID_IMAGE", "TOO_LARGE"))
                    self.assertIn(name, errors)
                else:
                    self.assertNotEqual(expected, "refuse")
                if expected == "read":
                    self.check(report["fields"], name)

    def doors_hold(self):
        self.serve(*self.fast)
        before = rss_kib(self.server.pid)

        def refuse():
            for name in self.names("refuse"):
                data = self.base64(name)
                reply = self.ask("POST", POLE + "7", {"imagens": [data]})
                self.assertIn((reply.status, reply.json()["error"]["code"]),
                              ((400, "INVALID_IMAGE"), (413, "TOO_LARGE")), name)
                reply = self.ask("POST", GENERATE, {"contents": [{"parts": [{"inlineData": {"data": data}}]}]})
                self.assertEqual((reply.status, reply.json()["error"]["status"]), (400, "INVALID_ARGUMENT"), name)
            images = [{"nome": name, "dados": self.base64(name)} for name in self.names("refuse")]
            job = self.ask("POST", "/api/v41/ocr/lote", {"postes": [{"id": "1", "imagens": images}]}).json()["id"]
            eventually(lambda: self.ask("GET", f"{JOBS}/{job}").json()["falhas"] == len(images), "all are refused", 60)
        self.assertLess(peak_kib(self.server.pid, refuse) - before, 64 << 10)
        for name in ("exif-6.jpg", "cmyk.jpg", "deep.tif", "photo.heic"):
            if name in self.files:
                reply = self.ask("POST", POLE + "7", {"imagens": [self.base64(name)]})
                self.check(reply.json()["fields"], name)

    def test_every_door(self):
        self.files_are_read_or_refused()
        self.doors_hold()

    test_every_door.seconds = 300  # they are drawn first
