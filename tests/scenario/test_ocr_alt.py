"""ocr-pipeline alt: a batch from a file, as schedulers have it."""
import base64
import csv
import json
import os
import subprocess

from harness import binary, eventually, scaled
from ocr import BASE64, OcrWorld

BAD = base64.b64encode(b"no picture").decode()


class Alt(OcrWorld):
    def batch(self, name, *poles):
        return self.write(name, json.dumps({"postes": [{"id": id, "imagens": images} for id, images in poles]}))

    def lines(self):
        if not os.path.exists(self.path("out.jsonl")):
            return []
        with open(self.path("out.jsonl")) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    def test_a_batch(self):
        self.batch("lote 1.json", ("AB/42", [{"nome": "um.jpg", "dados": "data:image/jpeg;base64," + BASE64}, BAD]),
                   (7, [BAD]))
        out, errors = self.ocr("alt", "lote 1.json", "--csv", status=1)
        rows = list(csv.DictReader(out.splitlines()))
        self.assertEqual([(row["file"], row["fabricante"], row["error"]) for row in rows],
                         [("lote 1.json#AB/42/1/um.jpg", "ROMAGNOLE", ""),
                          ("lote 1.json#AB/42/2", "", "INVALID_IMAGE"), ("lote 1.json#7/1", "", "INVALID_IMAGE")])
        self.assertIn("lote 1.json#7/1", errors)
        self.assertEqual(os.listdir(self.path("state/ancalagon/ocr")), [])
        process = self.start("alt", "-", "--json", stdin=subprocess.PIPE)
        out, _ = process.communicate(json.dumps({"postes": [{"id": "1", "imagens": [BAD]}]}))
        self.assertEqual((process.returncode, json.loads(out)["file"]), (1, "-#1/1"))

    def test_goes_on_after_a_kill(self):
        """Each photo once, and nothing of the photos stays on the disk."""
        name = self.batch("lote.json", ("A", [BAD, BASE64, BAD]), ("B", [BASE64, BAD]))
        arguments = ("alt", name, "--out", "out.jsonl")
        process = self.start(*arguments)
        eventually(lambda: self.lines(), "the first result", 60)
        process.kill()
        process.communicate()
        self.assertEqual(os.listdir(self.path("state/ancalagon/ocr")), [])
        done = len(self.lines())
        self.ocr(*arguments, status=0 if done == 5 else 1)
        self.assertEqual([line["file"] for line in self.lines()],
                         [f"lote.json#{photo}" for photo in ("A/1", "A/2", "A/3", "B/1", "B/2")])
        _, errors = self.ocr(*arguments)
        self.assertIn("5 of 5 photos", errors)

    def test_what_is_no_batch_is_told(self):
        pole = ("1", [BAD])
        for name, content, status, word in (
                ("gone.json", None, 9, "No such file"), ("a.json", "{", 10, "a.json"),
                ("a.json", "{}", 10, "a batch is"), ("a.json", '{"postes":[{"id":"1","imagens":[0]}]}', 10, "dados"),
                ("a.json", json.dumps({"postes": [{"id": "1", "imagens": ["?"]}]}), 10, "base64"),
                ("a.json", (pole, pole), 10, "twice"),
                ("a.json", [(str(i), [BAD]) for i in range(51)], 10, "at most 50"),
                ("a.json", (("1", [BAD] * 31),), 10, "at most 30")):
            with self.subTest(word):
                if isinstance(content, str):
                    self.write(name, content)
                elif content:
                    self.batch(name, *content)
                out, errors = self.ocr("alt", name, status=status)
                self.assertEqual((out, word in errors), ("", True), errors)
        for arguments in ([], ["a.json", "b.json"], ["a.json", "--share", "x"]):
            self.ocr("alt", *arguments, status=2)

    def test_limits_and_memory(self):
        """Photos leave the JSON as it comes: 40 MB of them need no 40 MB of memory, and no more than one does."""
        self.write("config/ancalagon/ocr.ini", "[limits]\nphoto = 30M\nbody = 85M\n")
        zeros = base64.b64encode(bytes(20 << 20)).decode()
        self.batch("lote.json", ("1", [zeros, zeros, BASE64]))
        code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:]);"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)")

        def peak(file):
            done = subprocess.run(["python3", "-c", code, binary("ocr-pipeline"), "alt", file, "--out", file + ".csv"],
                                  env=self.environment, cwd=self.folder, capture_output=True, text=True,
                                  timeout=scaled(100))
            return int(done.stdout.split()[-1])

        self.batch("small.json", ("1", [BASE64]))
        small, large = peak("small.json"), peak("lote.json")
        with open(binary("ocr-pipeline"), "rb") as program:
            if b"libasan" not in program.read():  # which keeps freed memory on purpose
                self.assertLess(large, small + 35)
        with open(self.path("lote.json.csv")) as table:
            self.assertEqual([(row["fabricante"], row["error"]) for row in csv.DictReader(table)],
                             [("", "INVALID_IMAGE")] * 2 + [("ROMAGNOLE", "")])
        self.write("config/ancalagon/ocr.ini", "[limits]\nphoto = 10M\n")
        self.assertIn("photo 1 has more than", self.ocr("alt", "lote.json", status=10)[1])
        self.write("config/ancalagon/ocr.ini", "[limits]\nbody = 40M\n")
        self.assertIn("[limits] body", self.ocr("alt", "lote.json", status=10)[1])
