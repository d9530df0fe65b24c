"""ocr-pipeline eval: the real networks over photos whose truth is known."""
import json
import os
import re
import signal

from harness import eventually
from ocr import OcrWorld, PLATE, TRUTH

HEAD = ",".join(["file", *TRUTH, "class", "plate_box", "decoys"]) + "\n"


def row(name, **other):
    """What the photo shows, but for `other`, as tests/ocr/make-photos writes it."""
    cells = [str(value) if value is not None else "" for value in dict(TRUTH, **other).values()]
    return ",".join([name, *cells, "placa_transformador", "0 0 9 9", "on_plate"]) + "\n"


class Eval(OcrWorld):
    def dataset(self, *rows):
        for line in rows:
            self.photo("set/" + line.split(",")[0])
        self.write("set/truth.csv", HEAD + "".join(rows))

    def report(self, folder="ocr-eval"):
        with open(self.path(folder, "report.json")) as file:
            return json.load(file)

    def results(self, name):
        files = [file for file in os.listdir(self.path("ocr-eval")) if file.startswith(name + "-")]
        self.assertEqual(len(files), 1, files)
        return self.path("ocr-eval", files[0])

    def test_a_truth_with_an_error(self):
        self.dataset(row("a.jpg"), row("b.jpg", numero_serie="626601/2006"))
        out, errors = self.ocr("eval", "set")
        self.assertIn("report.html", errors)
        self.assertEqual(out, open(self.path("ocr-eval/report.md")).read())
        report = self.report()
        (config,) = report["configurations"]
        self.assertEqual((config["name"], config["config"], config["photos"], config["failed"]),
                         ("default", None, 2, 0))
        self.assertEqual(list(config["fields"]), list(TRUTH))
        serial, maker = config["fields"]["numero_serie"], config["fields"]["fabricante"]
        self.assertEqual((serial["right"], serial["wrong"], serial["accuracy"]["value"]), (1, 1, .5))
        self.assertEqual((maker["right"], maker["precision"]["value"], maker["coverage"]["of"]), (2, 1, 2))
        self.assertEqual(config["fields"]["registro"]["empty"], 2)
        self.assertIsNone(config["fields"]["registro"]["precision"]["value"])
        self.assertEqual((config["photos_right"]["hits"], config["all"]["accuracy"]["hits"]), (1, 21))
        self.assertEqual(config["wrong_values_reviewed"]["hits"], 0)
        self.assertGreater(config["seconds"]["mean"], 0)
        self.assertEqual(report["comparisons"], [])
        self.assertEqual(report["misses"], [{
            "file": "b.jpg", "field": "numero_serie", "truth": "626601/2006",
            "answers": [{"configuration": "default", "value": "626607/2006", "outcome": "wrong",
                         "needs_review": False}]}])
        page = open(self.path("ocr-eval/report.html")).read()
        self.assertEqual(re.findall(r"<h3>(.*?)</h3>", page), ["b.jpg · numero_serie"])
        self.assertEqual(page.count("data:image/jpeg;base64,/9j/"), 1)
        self.assertNotIn("<script", page)

    def test_configurations_are_compared_and_go_on(self):
        self.dataset(row("a.jpg"), row("sub/b.jpg"))
        self.write("good.ini", "[read]\nside = 1600\n")
        self.write("blind.ini", "[read]\nside = 320\n")
        arguments = ("eval", "set", "--config", "good.ini", "--config", "blind.ini")
        process = self.start(*arguments)
        eventually(lambda: os.path.isdir(self.path("ocr-eval")) and any(
            os.path.getsize(self.path("ocr-eval", name)) for name in os.listdir(self.path("ocr-eval"))),
            "the first result", 60)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.ocr(*arguments)
        for name in ("good", "blind"):
            with open(self.results(name)) as lines:
                self.assertEqual(sorted(json.loads(line)["file"] for line in lines),
                                 ["a.jpg", "sub/b.jpg"])
        report = self.report()
        good, blind = report["configurations"]
        self.assertEqual(good["photos_right"]["hits"], 2)
        self.assertEqual(blind["photos_right"]["hits"], 0)
        (pair,) = report["comparisons"]
        self.assertEqual((pair["a"], pair["b"]), ("good", "blind"))
        self.assertEqual((pair["photos"]["only_a"], pair["photos"]["only_b"]), (2, 0))
        self.assertEqual(pair["photos"]["p"], .5)
        before = os.stat(self.results("good")).st_mtime_ns
        out, errors = self.ocr(*arguments)
        self.assertIn("good: 2 of 2 photos are in", errors)
        self.assertIn("## good against blind", out)
        self.assertEqual(os.stat(self.results("good")).st_mtime_ns, before)
        self.assertEqual(self.report(), report)

    def test_other_settings_are_other_results(self):
        self.dataset(row("a.jpg"))
        self.write("one.ini", "[read]\nside = 1600\n")
        self.ocr("eval", "set", "--config", "one.ini")
        self.write("one.ini", "[read]\nside = 320\n")
        _, errors = self.ocr("eval", "set", "--config", "one.ini")
        self.assertNotIn("already", errors)
        self.assertEqual(self.report()["configurations"][0]["photos_right"]["hits"], 0)

    def test_a_photo_that_is_no_picture_counts(self):
        self.dataset(row("a.jpg"), row("b.jpg"))
        self.write("set/b.jpg", open(PLATE, "rb").read()[:4000])
        self.ocr("eval", "set")
        (config,) = self.report()["configurations"]
        self.assertEqual((config["failed"], config["photos_right"]["hits"]), (1, 1))
        self.assertEqual(config["fields"]["fases"]["missed"], 1)
        self.assertEqual((config["fields"]["registro"]["none"], config["all"]["review"]["hits"]), (1, 1))
        self.assertIn("could not be read", open(self.path("ocr-eval/report.html")).read())

    def test_what_cannot_be_evaluated(self):
        self.dataset(row("a.jpg"))
        for table, status, word in ((None, 6, "truth.csv"),
                                    (HEAD + row("gone.jpg"), 6, "truth.csv:2: gone.jpg: No such file"),
                                    (HEAD, 6, "there are no photos"),
                                    ("file,colour\na.jpg,red\n", 1, "the eleven fields"),
                                    (HEAD + "a.jpg,150\n", 1, "line 2 has 2 cells")):
            with self.subTest(word):
                if table is None:
                    os.remove(self.path("set/truth.csv"))
                else:
                    self.write("set/truth.csv", table)
                out, errors = self.ocr("eval", "set", status=status)
                self.assertEqual(out, "")
                self.assertIn(word, errors)
        self.assertFalse(os.path.exists(self.path("ocr-eval")))
        self.write("set/truth.csv", HEAD + row("a.jpg"))
        for arguments, status, word in (([], 2, "one folder"), (["set", "more"], 2, "one folder"),
                                        (["set", "--config", "gone.ini"], 3, "gone.ini"),
                                        (["set", "--frob"], 2, "no option"),
                                        (["set", *["--config", "config/ancalagon/ocr.ini"] * 2], 2, "twice")):
            with self.subTest(arguments):
                self.assertIn(word, self.ocr("eval", *arguments, status=status)[1])
