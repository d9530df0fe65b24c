"""ocr-pipeline read and doctor: the real networks over a photo of a plate."""
import csv
import io
import json
import os
import re
import signal
import subprocess

from harness import binary, eventually, scaled
from ocr import OcrWorld, PLATE, TRUTH

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Read(OcrWorld):
    def test_fields_of_a_plate(self):
        out, errors = self.ocr("read", PLATE, "--json")
        report = json.loads(out)
        self.assertEqual(errors, "")
        self.assertEqual(list(report["fields"]), list(TRUTH))
        self.check_truth(report["fields"])
        self.assertEqual(report["file"], PLATE)
        self.assertIs(report["_needs_review"], False)
        self.assertEqual(report["review_reasons"], [])
        for field in report["fields"].values():
            self.assertEqual(set(field), {"value", "confidence", "box", "source", "raw", "reasons"})
        serial = report["fields"]["numero_serie"]
        self.assertEqual(serial["source"], "rule")
        inside = [text for text in report["texts"] if "626607" in text["text"]]
        self.assertEqual(len(inside), 1)
        self.assertLessEqual(inside[0]["box"][0], serial["box"][0] + 2)
        self.assertEqual(inside[0]["class"], "nameplate")
        self.assertEqual(report["plate"]["class"], "placa_transformador")
        x0, y0, x1, y1 = report["plate"]["box"]
        self.assertTrue(0 <= x0 < serial["box"][0] and serial["box"][2] < x1 <= report["width"])
        self.assertTrue(0 <= y0 < y1 <= report["height"])
        self.assertGreater(report["timings_ms"]["read"], 0)

    def test_the_readmes_photo_says_what_the_readme_says(self):
        with open(os.path.join(ROOT, "README.md")) as file:
            shown = re.search(r"\$ ocr-pipeline read docs/plate.jpg\n(.*?)```", file.read(), re.S).group(1)
        out, _ = self.ocr("read", os.path.join(ROOT, "docs/plate.jpg"))
        values = re.compile(r"^  (\w+) +(\S+) +[01]\.\d\d$", re.M)
        self.assertEqual(values.findall(out), values.findall(shown))
        self.assertEqual(len(values.findall(shown)), 8)
        self.assertNotIn("look:", out)

    def test_whichever_way_up_a_photo_is_its_plate_says_the_same(self):
        """On its side the detector misses short values: a second look, at the photo turned, finds them."""
        with open(os.path.join(ROOT, "docs/plate.jpg"), "rb") as file:
            photo = file.read()
        tag = photo.index(b"\x01\x12\0\x03\0\0\0\x01\0") + 9  # EXIF's orientation
        paths = [self.write(f"{way}.jpg", photo[:tag] + bytes([way]) + photo[tag + 1:]) for way in (1, 3, 6, 8)]
        out, _ = self.ocr("read", *paths, "--json")
        reports = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([r["width"] > r["height"] for r in reports].count(True), 2)
        for report in reports:
            self.assertEqual({name: field["value"] for name, field in report["fields"].items()},
                             {name: field["value"] for name, field in reports[0]["fields"].items()})
            # On its head a letter of the tag may be read less surely; nothing else may be in doubt.
            doubts = {(reason.get("field"), reason["code"]) for reason in report["review_reasons"]}
            self.assertLessEqual(doubts, {("patrimonio", "low_confidence")} if report is reports[0] else set())
            self.assertIs(report["_needs_review"], bool(doubts))
            x0, y0, x1, y1 = report["plate"]["box"]
            for field in report["fields"].values():
                box = field["box"] or report["plate"]["box"]
                self.assertTrue(x0 <= box[0] < box[2] <= x1 and y0 <= box[1] < box[3] <= y1, (field, report["plate"]))
        # Short lines do not show which way up they are: told as RapidOCR reads them, read as the photo stands.
        turned = {text["text"]: text["turned"] for report in reports for text in report["texts"] if "turned" in text}
        self.assertTrue(any("INMETRO" in other["text"] and "INMETRO" not in text for text, other in turned.items()), turned)
        self.assertTrue(all(other["text"] != text and 0 < other["score"] <= 1 for text, other in turned.items()))

    def test_as_csv(self):
        out, _ = self.ocr("read", PLATE, "--csv")
        rows = list(csv.DictReader(io.StringIO(out)))
        self.assertEqual(len(rows), 1)
        self.assertEqual(rows[0]["fabricante"], "ROMAGNOLE")
        self.assertEqual(rows[0]["tensao_secundaria_v"], "380/220")
        self.assertEqual((rows[0]["needs_review"], rows[0]["error"]), ("false", ""))

    def test_what_is_no_photo_is_told_and_the_others_are_read(self):
        self.photo("set/a.jpg")
        self.write("set/b.jpg", "no picture")
        self.write("set/c.jpg", open(PLATE, "rb").read()[:4000])
        self.write("set/notes.txt", "not looked at")
        out, errors = self.ocr("read", "set", "--json", status=1)
        reports = {report["file"]: report for report in map(json.loads, out.splitlines())}
        self.assertEqual(set(reports), {"set/a.jpg", "set/b.jpg", "set/c.jpg"})
        self.check_truth(reports["set/a.jpg"]["fields"])
        for name in ("set/b.jpg", "set/c.jpg"):
            self.assertEqual(reports[name]["error"]["code"], "INVALID_IMAGE")
            self.assertIn(name, errors)

    def test_three_kinds_of_nothing(self):
        os.mkdir(self.path("empty"))
        for argument, word in (("gone.jpg", "No such file"), ("empty", "no pictures in empty"),
                               ("gone/*.jpg", "nothing matches")):
            with self.subTest(argument):
                out, errors = self.ocr("read", argument, status=6)
                self.assertEqual(out, "")
                self.assertIn(word, errors)

    def test_goes_on_where_it_was_stopped(self):
        for name in ("set/1.jpg", "set/2.jpg", "set/3.jpg"):
            self.photo(name)
        process = self.start("read", "set", "--json", "--out", "out.jsonl")
        eventually(lambda: os.path.exists(self.path("out.jsonl")) and
                   open(self.path("out.jsonl")).read().count("\n") >= 1, "the first result", 60)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with open(self.path("out.jsonl"), "a") as file:
            file.write('{"file":"set/3.jpg","fie')  # as a machine that lost its power leaves it
        self.ocr("read", "set", "--json", "--out", "out.jsonl")
        lines = open(self.path("out.jsonl")).read().splitlines()
        self.assertEqual(sorted(json.loads(line)["file"] for line in lines),
                         ["set/1.jpg", "set/2.jpg", "set/3.jpg"])
        _, errors = self.ocr("read", "set", "--json", "--out", "out.jsonl")
        self.assertIn("3 of 3 photos are in out.jsonl already", errors)

    def test_results_go_into_no_file_of_others(self):
        self.write("mine.txt", "precious\n")
        _, errors = self.ocr("read", PLATE, "--json", "--out", "mine.txt", status=1)
        self.assertIn("is no result of ours", errors)
        self.assertEqual(open(self.path("mine.txt")).read(), "precious\n")

    def test_a_full_disk_leaves_whole_lines(self):
        with open("/dev/full", "w") as full:
            process = subprocess.run([binary("ocr-pipeline"), "read", PLATE, "--json"], stdout=full,
                                     stderr=subprocess.PIPE, text=True, env=self.environment,
                                     timeout=scaled(60))
        self.assertEqual(process.returncode, 7)
        self.assertIn("No space left", process.stderr)

    def test_annotated_photos(self):
        self.ocr("read", PLATE, "--annotate", "seen.jpg", "--json")
        self.assertEqual(open(self.path("seen.jpg"), "rb").read(3), b"\xff\xd8\xff")
        self.photo("a/1.jpg")
        self.photo("b/1.jpg")
        self.ocr("read", "a", "b", "--annotate", "seen", "--json")
        self.assertEqual(sorted(os.listdir(self.path("seen"))), ["1.jpg.jpg", "b_1.jpg.jpg"])


class Feeder(OcrWorld):
    def test_a_feeder_on_a_share(self):
        self.photo("share/f7/1042/a.jpg")
        os.makedirs(self.path("share/empty"))
        self.write("config/ancalagon/ocr.ini", f"[share campo]\npath = {self.path('share')}\n"
                   f"[share morto]\npath = {self.path('gone')}\n")
        self.ocr("tra", "f7", "--share", "campo", "--csv", "--out", "f7.csv")
        with open(self.path("f7.csv")) as table:
            rows = list(csv.DictReader(table))
        self.assertEqual([(row["file"], row["fabricante"]) for row in rows],
                         [(self.path("share/f7/1042/a.jpg"), "ROMAGNOLE")])
        for arguments, status, word in ((["f8", "--share", "campo"], 9, "FOLDER_MISSING"),
                                        (["empty", "--share", "campo"], 6, "no pictures"),
                                        (["f7", "--share", "morto"], 5, "SHARE_UNREACHABLE"),
                                        (["f7"], 3, "which share"), ([], 2, "which feeder"),
                                        (["../f7", "--share", "campo"], 2, "no folder in a share")):
            with self.subTest(arguments):
                self.assertIn(word, self.ocr("tra", *arguments, status=status)[1])


class Settings(OcrWorld):
    def test_wrong_lines_are_named(self):
        for line, word in (("[read]\nthreds = 2", ':2: [read] has no "threds"'),
                           ("[reed]", ":1: there is no section [reed]"),
                           ("[read]\nthreads = many", ":2: threads \"many\" is not a whole number"),
                           ("[plate]\nconfidence = 2", ":2: confidence \"2\" is not a number from 0 to 1"),
                           ("[limits]\nphoto = 1", ":2: photo \"1\" is not a whole number"),
                           ("[server]\nlisten = here", ":2: \"here\" is no address"),
                           ("[share a]\nurl = nas/fotos", ":2: \"nas/fotos\" is no URL of a share"),
                           ("[share a]\ntimeout = 1s", ":1: [share NAME] needs path = FOLDER or url")):
            with self.subTest(line):
                self.write("config/ancalagon/ocr.ini", line)
                _, errors = self.ocr("read", PLATE, status=3)
                self.assertIn("ocr.ini" + word, errors)
        _, errors = self.ocr("read", PLATE, "--config", "gone.ini", status=3)
        self.assertIn("gone.ini", errors)

    def test_limits_hold(self):
        self.write("config/ancalagon/ocr.ini", "[limits]\nphoto = 10K")
        out, _ = self.ocr("read", PLATE, "--json", status=1)
        self.assertEqual(json.loads(out)["error"]["code"], "TOO_LARGE")

    def test_a_network_that_is_not_there(self):
        self.write("config/ancalagon/ocr.ini", "[read]\nrecognize = ~/nowhere.onnx")
        _, errors = self.ocr("read", PLATE, status=4)
        self.assertIn("nowhere.onnx", errors)
        self.assertIn("tools/get-ocr", errors)
        out, _ = self.ocr("doctor", status=1)
        self.assertIn("FAIL networks", out)

    def test_doctor_is_content(self):
        out, _ = self.ocr("doctor")
        self.assertEqual([line.split()[0] for line in out.splitlines()], ["ok"] * 6)

    def test_words_that_make_no_sense(self):
        for arguments, word in ((["frob"], "no command"), (["read"], "read what"),
                                (["read", "--frob", PLATE], "--frob is no option"),
                                (["read", "--out"], "--out needs a value"),
                                (["doctor", "x"], "takes no \"x\"")):
            with self.subTest(arguments):
                _, errors = self.ocr(*arguments, status=2)
                self.assertIn(word, errors)

    def test_help(self):
        for arguments in (["--help"], *([name, "--help"] for name in ("read", "tra", "alt", "serve", "eval", "doctor"))):
            out, _ = self.ocr(*arguments)
            self.assertLessEqual(max(map(len, out.splitlines())), 100)
            self.assertLessEqual(len(out.splitlines()), 40)
