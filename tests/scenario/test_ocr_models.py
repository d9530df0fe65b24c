"""ocr-pipeline with models: a VLM that reads, an LLM that reasons, played by tests/fakes/mock_model.py
with every fault that a server can have; the plumbing once with a real llama-server."""
import base64
import collections
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading

from harness import eventually, scaled
from ocr import BASE64, OcrWorld, PLATE, TRUTH
import real

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "fakes"))
from mock_model import MockModel, Turn, say  # noqa: E402

POLE = "/api/v41/ocr/poste/7"
GENERATE = "/v1beta/models/gemini-2.0-flash:generateContent"
BATCH = "/api/v41/ocr/lote"
JOBS = "/api/v41/ocr/trabalhos"
PHOTO = {"imagens": [BASE64]}
GEMINI = {"contents": [{"parts": [{"inlineData": {"mimeType": "image/jpeg", "data": BASE64}}]}]}

# What the photo says, as a VLM writes it.
SEEN = """ROMAGNOLE
TRANSFORMADOR DE DISTRIBUIÇÃO
POT. NOM. 150 kVA
DATA AGO/06
N° DE SÉRIE 626607/2006
ELO FUSÍVEL 5H
TOMBAMENTO 399706
N° DE FASES 3
MASSA TOTAL 874 kg
TENSÃO SECUNDÁRIA 380/220 V
TENSÃO SUPERIOR 13800-13200-12600 V
"""
KEY = "sk-test-4711"


def is_vlm(asked):
    return isinstance(asked["messages"][-1]["content"], list)


def is_llm(asked):
    return "response_format" in asked


def fields(**changed):
    return say(json.dumps({**TRUTH, **changed}))


def jpeg_size(data):
    """Width and height out of the frame header."""
    at = 2
    while not 0xC0 <= data[at + 1] <= 0xC3:
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return struct.unpack(">HH", data[at + 5:at + 9])[::-1]


class ModelWorld(OcrWorld):
    """`vlm` and `llm`: what the models answer, a Turn or a function; may be changed at any time."""

    def setUp(self):
        super().setUp()
        self.vlm, self.llm = say(SEEN), fields()
        self.model = MockModel([], rules=[(is_vlm, lambda asked: self.vlm), (is_llm, lambda asked: self.llm)],
                               name="plates-9b")
        self.addCleanup(self.model.close)
        self.addCleanup(self.model.released.set)

    def configure(self, read="ocr", reason="rules", fallback="no", url=None, gpu="", **more):
        key = self.write("model-key", KEY)
        os.chmod(key, 0o600)
        model = (f"url = {url or self.url()}\nmodel = plates-9b\napi-key-file = {key}\n"
                 f"timeout = {more.pop('timeout', '60s')}\nfallback = {fallback}\n")
        lines = "".join(f"{name} = {value}\n" for name, value in more.items())
        return self.write("config/ancalagon/ocr.ini",
                          f"[read]\nby = {read}\n{lines}[reason]\nby = {reason}\n"
                          f"[vlm]\n{model}[llm]\n{model}[gpu]\n{gpu}\n")

    def url(self):
        return f"http://127.0.0.1:{self.model.port}/v1"

    def report(self, status=0):
        out, _ = self.ocr("read", PLATE, "--json", status=status)
        return json.loads(out)

    def reasons(self, report):
        return {(r.get("field"), r["code"]) for r in report["review_reasons"]}

    def reading(self):
        return self.ask("GET", "/health").json()["reading"]

    def send(self, body=PHOTO, path=POLE):
        """A request whose answer nobody waits for; the socket."""
        data = json.dumps(body).encode()
        sock = socket.create_connection(("127.0.0.1", self.port))
        self.addCleanup(sock.close)
        sock.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" %
                     (path.encode(), len(data)) + data)
        return sock


class Stages(ModelWorld):
    def test_both_read_and_both_reason(self):
        self.configure("both", "both")
        report = self.report()
        self.check_truth(report["fields"])
        self.assertEqual(report["review_reasons"], [])
        self.assertEqual(report["stages"], {"read": "both", "reason": "both", "fallback": []})
        self.assertEqual({f["source"] for f in report["fields"].values() if f["value"]}, {"rule"})
        vlm, llm = self.model.chats()
        for asked in (vlm, llm):
            self.assertEqual((asked["model"], asked["temperature"], asked["stream"]), ("plates-9b", 0, False))
            self.assertNotIn("tools", asked)
        text, image = vlm["messages"][0]["content"]
        head, data = image["image_url"]["url"].split(",")
        self.assertEqual((text["type"], head), ("text", "data:image/jpeg;base64"))
        box, size = report["plate"]["box"], jpeg_size(base64.b64decode(data))
        sides = [min(most, high + .1 * (high - low)) - max(0, low - .1 * (high - low))
                 for low, high, most in zip(box[:2], box[2:], (report["width"], report["height"]))]
        for side, shown in zip(sides, size):
            self.assertAlmostEqual(shown, side * min(1, 1600 / max(sides)), delta=2)
        schema = llm["response_format"]["json_schema"]["schema"]
        self.assertEqual(schema["required"], list(TRUTH))
        given = json.loads(llm["messages"][-1]["content"])
        self.assertIn("626607", json.dumps(given["texts"]))
        self.assertTrue(all(len(text["box"]) == 4 for text in given["texts"]))
        for _, path, headers, _ in self.model.requests:
            self.assertEqual((path, headers["Authorization"]), ("/v1/chat/completions", "Bearer " + KEY))

    def test_a_vlm_alone_is_borne_out_by_nobody(self):
        self.configure("vlm")
        report = self.report()
        self.check_truth(report["fields"])
        self.assertEqual(report["stages"]["read"], "vlm")
        for key, field in report["fields"].items():
            if field["value"]:
                self.assertEqual((field["source"], "ungrounded" in field["reasons"]), ("vlm", True), key)

    def test_what_is_invented_goes_to_a_person(self):
        """An LLM and a VLM that make values up: none of them passes in silence."""
        self.configure("both", "both")
        self.vlm = say(SEEN.replace("5H", "10K") + "PATRIMONIO 5555555\nREGISTRO 001234/2015\n")
        self.llm = fields(potencia_kva=75, registro="009999/2016", autoprotegido=True, numero_serie="874")
        report = self.report()
        wrong = {key for key, field in report["fields"].items() if field["value"] != TRUTH[key]}
        self.assertEqual(wrong, {"registro", "autoprotegido"})
        for key in ("potencia_kva", "numero_serie", "elo_fusivel"):
            self.assertIn((key, "models_disagree"), self.reasons(report))
            self.assertIsNotNone(report["fields"][key]["box"])
        self.assertIn(("registro", "ungrounded"), self.reasons(report))
        self.assertIn(("autoprotegido", "ungrounded"), self.reasons(report))
        self.assertIsNone(report["fields"]["registro"]["box"])

    def test_a_leading_llm(self):
        self.configure("ocr", "llm")
        self.llm = say("<think>Hm.</think>```json\n" + json.dumps({**TRUTH, "patrimonio": None}) + "\n```")
        report = self.report()
        self.assertIsNone(report["fields"]["patrimonio"]["value"])
        self.assertEqual(self.reasons(report), {("patrimonio", "models_disagree")})
        self.assertEqual(report["fields"]["potencia_kva"]["source"], "llm")
        self.assertEqual(report["fields"]["numero_serie"]["value"], TRUTH["numero_serie"])
        self.assertIsNotNone(report["fields"]["numero_serie"]["box"])


class Faults(ModelWorld):
    FAULTS = {"reset": (Turn(fault="reset"), 500, "GpuHangError"),
              "half": (Turn(fault="half"), 500, "GpuHangError"),
              "garbage": (Turn(fault="garbage"), 502, "MODEL_FAILED"),
              "endless": (Turn(fault="endless"), 502, "MODEL_FAILED"),
              "cuda": (Turn(status=500, error={"error": {"message": "CUDA error: device-side assert"}}),
                       500, "GpuHangError"),
              "5xx": (Turn(status=503, error={"error": {"message": "Loading model"}}), 503, "MODEL_UNAVAILABLE"),
              "4xx": (Turn(status=404, error={"error": "no such model"}), 503, "MODEL_UNAVAILABLE"),
              "nothing": (say(""), 502, "MODEL_FAILED"),
              "prose": (say("I would rather not."), 502, "MODEL_FAILED")}

    def test_each_fault_is_told_as_what_it_is(self):
        self.configure("vlm", "llm", gpu="pause = 0s\n")
        self.serve()
        for name, (turn, status, code) in self.FAULTS.items():
            with self.subTest(name):
                self.llm = turn
                reply = self.ask("POST", POLE, PHOTO)
                self.assertEqual((reply.status, reply.json()["error"]["code"]), (status, code), reply)
                self.assertIn("[llm]", reply.json()["error"]["text"])
        self.llm = fields()
        self.check_truth(self.ask("POST", POLE, PHOTO).json()["fields"])
        log = self.log_text()
        for secret in (KEY, BASE64[:60], "ROMAGNOLE", "626607"):
            self.assertNotIn(secret, log)

    def test_each_fault_may_be_done_without(self):
        self.configure("vlm", "llm", "yes", gpu="pause = 0s\n")
        self.serve()
        for name, (turn, _, code) in self.FAULTS.items():
            with self.subTest(name):
                self.llm = turn
                answer = self.ask("POST", POLE, PHOTO).json()
                self.check_truth(answer["fields"])
                stages = answer["imagens"][0]["stages"]
                self.assertEqual((stages["read"], stages["reason"]), ("vlm", "rules"))
                self.assertEqual([(f["stage"], f["code"]) for f in stages["fallback"]], [("reason", code)])

    def test_a_dead_vlm_is_replaced_by_the_embedded_reader(self):
        self.model.close()
        self.configure("vlm", "rules", "yes")
        report = self.report()
        self.check_truth(report["fields"])
        self.assertIs(report["_needs_review"], False)
        self.assertEqual(report["stages"]["read"], "ocr")
        self.assertEqual([(f["stage"], f["code"]) for f in report["stages"]["fallback"]],
                         [("read", "MODEL_UNAVAILABLE")])

    def test_a_hung_gpu_is_told_to_everybody(self):
        """In the plain API, in Google's, by `read`; only the first waits for the dead GPU."""
        self.vlm = Turn(fault="hang")
        self.configure("vlm", timeout="2s", gpu="pause = 1h\n")
        self.serve()
        reply = self.ask("POST", POLE, {"imagens": [BASE64, BASE64]})
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (500, "GpuHangError"))
        reply = self.ask("POST", GENERATE, GEMINI)
        error = reply.json()["error"]
        self.assertEqual((reply.status, error["code"], error["status"]), (500, 500, "INTERNAL"))
        self.assertEqual(error["details"][0]["@type"], "type.googleapis.com/google.rpc.ErrorInfo")
        self.assertEqual(error["details"][0]["reason"], "GpuHangError")
        self.assertIn("GpuHangError", error["message"])
        self.assertEqual(len(self.model.asked()), 1)
        self.assertEqual(self.report(status=1)["error"]["code"], "GpuHangError")
        self.assertEqual(len(self.model.asked()), 2)

    def test_a_file_of_results_waits_for_the_model(self):
        self.vlm = Turn(fault="reset")
        self.configure("vlm")
        self.ocr("read", PLATE, "--out", "out.jsonl", status=1)
        self.vlm = say(SEEN)
        self.ocr("read", PLATE, "--out", "out.jsonl")
        with open(self.path("out.jsonl")) as lines:
            reports = [json.loads(line) for line in lines]
        self.assertEqual(len(reports), 1)
        self.check_truth(reports[0]["fields"])

    def test_photos_of_a_job_are_tried_again(self):
        self.vlm = Turn(fault="reset")
        self.configure("vlm", gpu="pause = 1s\n")
        self.serve()
        job = self.ask("POST", BATCH, {"postes": [{"id": str(i), "imagens": [BASE64]} for i in range(3)]}).json()["id"]
        state, results = f"{JOBS}/{job}", f"{JOBS}/{job}/resultados"
        trouble = eventually(lambda: (lambda s: s["erro"] and s)(self.ask("GET", state).json()), "it is told", 60)
        self.assertEqual((trouble["erro"]["code"], trouble["estado"], trouble["falhas"]), ("GpuHangError", "aberto", 0))
        self.vlm = say(SEEN)
        done = eventually(lambda: (lambda s: s["estado"] == "pronto" and s)(self.ask("GET", state).json()),
                          "the job ends", 60, 0.1)
        self.assertEqual((done["prontas"], done["falhas"]), (3, 0))
        for result in self.ask("GET", results).json()["resultados"]:
            self.check_truth(result["resultado"]["fields"])

    def crash(self, how):
        """The server, in the middle of a photo; the next one, and whether it knows of a crash."""
        asked = len(self.model.asked())
        self.server.send_signal(signal.SIGSEGV if how == "fault" else signal.SIGKILL)
        self.server.wait(timeout=scaled(60))
        with open(self.path("state/ancalagon/ocr/jobs.running"), "r+") as note:
            if how == "no memory":  # as if the kernel had killed one more process meanwhile
                state, boot, kills = note.readline().split()
                self.assertEqual(state, "r")
                note.seek(0)
                note.write(f"{state} {boot} {int(kills) + 1}")
        if how == "last":
            self.vlm = say(SEEN)
        self.serve()
        if self.vlm.fault:
            eventually(lambda: len(self.model.asked()) > asked, "the model works", 30)
        return "job.crashed" in self.log_text()

    def test_a_photo_that_crashes_the_program_is_given_up(self):
        """Where two photos were read in a crash each is tried alone, with no request beside it either; the
        one of the second crash is not tried again, and the other is read. Whoever kills the server blames
        no photo. (A model that hangs keeps them at work.)"""
        self.vlm = Turn(fault="hang")
        self.configure("vlm", timeout="1h", workers=2)
        self.serve()
        job = self.ask("POST", BATCH, {"postes": [{"id": "1", "imagens": [BASE64, BASE64]}]}).json()["id"]
        state = f"{JOBS}/{job}"

        def are(reading, waiting):
            eventually(lambda: (lambda s: (s["lendo"], s["esperando"]) == (reading, waiting))(
                self.ask("GET", state).json()), f"{reading} are under way", 30)
        eventually(lambda: len(self.model.asked()) == 1, "the model works", 30)
        are(2, 0)
        self.assertFalse(self.crash("killed"))
        are(2, 0)
        eventually(lambda: self.reading() == 2, "both are read", 30)
        self.assertTrue(self.crash("fault"))
        are(1, 1)
        self.send(GEMINI, GENERATE)
        eventually(lambda: self.ask("GET", "/health").json()["waiting"] == 1, "a request waits", 30)
        self.assertEqual(self.reading(), 1)
        self.assertFalse(self.crash("killed"))
        are(1, 1)
        with open(self.path("state/ancalagon/ocr/jobs.running")) as note:
            kernel_counts = not note.read().startswith("r - ")
        self.assertTrue(self.crash("no memory" if kernel_counts else "fault"))
        are(1, 1)
        self.assertFalse(self.crash("last"))
        done = eventually(lambda: (lambda s: s["estado"] == "pronto" and s)(self.ask("GET", state).json()),
                          "the job ends", 60, 0.1)
        self.assertEqual((done["prontas"], done["falhas"]), (1, 1))
        given_up, read = self.ask("GET", state + "/resultados").json()["resultados"]
        self.assertEqual(given_up["resultado"]["error"]["code"], "INTERNAL")
        self.assertIn("crashed 2 times", given_up["resultado"]["error"]["text"])
        self.check_truth(read["resultado"]["fields"])

    def test_a_photo_that_only_waits_in_a_crash_is_not_to_blame(self):
        self.vlm = Turn(fault="hang")
        self.configure("vlm", timeout="1h")
        self.serve()
        job = self.ask("POST", BATCH, {"postes": [{"id": "1", "imagens": [BASE64, BASE64]}]}).json()["id"]
        eventually(lambda: self.ask("GET", f"{JOBS}/{job}").json()["lendo"] == 2, "one is read, one waits", 30)
        eventually(lambda: len(self.model.asked()) == 1, "the model works", 30)
        self.server.send_signal(signal.SIGSEGV)
        self.server.wait(timeout=scaled(60))
        self.vlm = say(SEEN)
        self.serve()
        eventually(lambda: self.ask("GET", f"{JOBS}/{job}").json()["prontas"] == 2, "the job ends", 60)
        self.end_server()
        with contextlib.closing(sqlite3.connect(self.path("state/ancalagon/ocr/jobs.sqlite"))) as store:
            self.assertEqual(store.execute("SELECT number, crashes FROM photo ORDER BY number").fetchall(),
                             [(0, 1), (1, 0)])

    def test_a_photo_that_crashes_a_run_is_given_up(self):
        """The same of `read --out`: first both that were read, one at a time, then the rest."""
        self.vlm = Turn(fault="hang")
        self.configure("vlm", timeout="1h", workers=2)
        for name in "abc":
            self.photo(f"{name}.jpg")
        command = ("read", "a.jpg", "b.jpg", "c.jpg", "--out", "out.jsonl")
        for crash in range(2):
            asked = len(self.model.asked())
            process = self.start(*command)
            eventually(lambda: len(self.model.asked()) > asked, "the model works", 30)
            with open(self.path("out.jsonl.running")) as note:
                eventually(lambda: note.seek(0) or len(note.read().split()) - 3 == (4, 2)[crash], "they are read", 30)
            process.send_signal(signal.SIGSEGV)
            _, errors = process.communicate(timeout=scaled(60))
            self.assertEqual("the last run crashed" in errors, crash == 1)
        self.vlm = say(SEEN)
        _, errors = self.ocr(*command, status=1)
        self.assertIn("a.jpg: the program crashed 2 times", errors)
        with open(self.path("out.jsonl")) as lines:
            reports = {report["file"]: report for report in map(json.loads, lines)}
        self.assertEqual(reports.pop("a.jpg")["error"]["code"], "INTERNAL")
        self.assertEqual(sorted(reports), ["b.jpg", "c.jpg"])
        for report in reports.values():
            self.check_truth(report["fields"])
        self.assertFalse(os.path.exists(self.path("out.jsonl.running")))
        self.ocr(*command)

    def test_a_job_whose_model_stays_away_waits_for_a_person(self):
        self.vlm = Turn(fault="reset")
        self.configure("vlm", gpu="pause = 0s\nretry = 0s\n")
        self.serve()
        job = self.ask("POST", BATCH, {"postes": [{"id": "1", "imagens": [BASE64]}]}).json()["id"]
        state = f"{JOBS}/{job}"
        eventually(lambda: self.ask("GET", state).json()["estado"] == "parado", "the job stops", 60)
        self.vlm = say(SEEN)
        self.ask("POST", state + "/retomar")
        done = eventually(lambda: (lambda s: s["estado"] == "pronto" and s)(self.ask("GET", state).json()),
                          "the job ends", 60, 0.1)
        self.assertEqual((done["prontas"], done["falhas"]), (1, 0))


class Gate(ModelWorld):
    def test_one_at_a_time(self):
        self.configure("vlm", "llm", workers=8)
        self.serve()
        answers = collections.deque()
        threads = [threading.Thread(target=lambda: answers.append(self.ask("POST", POLE, PHOTO))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for answer in answers:
            self.check_truth(answer.json()["fields"])
        self.assertEqual((len(answers), len(self.model.asked()), self.model.most_inside), (8, 16, 1))

    def test_a_client_that_leaves_gives_up_its_place(self):
        self.vlm = Turn(fault="hang")
        self.configure("vlm", workers=2, timeout="1h", gpu="wait = 1h\n")
        self.serve()
        first = self.send()
        eventually(lambda: self.model.inside == 1, "the model works", 30)
        second = self.send()
        eventually(lambda: self.reading() == 2, "the second waits for it", 30)
        second.close()
        eventually(lambda: self.reading() == 1, "the second is gone", 30)
        self.assertEqual((len(self.model.asked()), self.model.left), (1, 0))
        first.close()
        eventually(lambda: self.reading() == 0 and self.model.left == 1, "the model is let go", 30)
        self.vlm = say(SEEN)
        self.check_truth(self.ask("POST", POLE, PHOTO).json()["fields"])

    def test_a_cancelled_job_lets_go(self):
        self.vlm = Turn(fault="hang")
        self.configure("vlm", timeout="1h")
        self.serve()
        job = self.ask("POST", BATCH, {"postes": [{"id": "1", "imagens": [BASE64, BASE64]}]}).json()["id"]
        eventually(lambda: self.model.inside == 1, "the model works", 30)
        self.ask("DELETE", f"{JOBS}/{job}")
        eventually(lambda: self.model.left == 1 and self.reading() == 0, "the model is let go", 30)
        state = eventually(lambda: (lambda s: s["lendo"] == 0 and s)(self.ask("GET", f"{JOBS}/{job}").json()),
                           "nothing of it is read", 30)
        self.assertEqual((state["estado"], state["prontas"], state["falhas"]), ("cancelado", 0, 0))
        spool = self.path("state/ancalagon/ocr/spool")
        eventually(lambda: not os.path.isdir(spool) or not os.listdir(spool), "its photos are gone", 30)

    def test_a_server_that_ends_lets_go(self):
        """It does not wait for a hung model, and the photo is read after the next start."""
        self.vlm = Turn(fault="hang")
        self.configure("vlm", timeout="1h")
        self.serve()
        job = self.ask("POST", BATCH, {"postes": [{"id": "1", "imagens": [BASE64]}]}).json()["id"]
        eventually(lambda: self.model.inside == 1, "the model works", 30)
        self.server.terminate()
        eventually(lambda: self.model.left == 1, "the model is let go", 30)
        self.assertEqual(self.server.wait(timeout=scaled(60)), 0)
        self.vlm = say(SEEN)
        self.serve()
        state = eventually(lambda: (lambda s: s["estado"] == "pronto" and s)(self.ask("GET", f"{JOBS}/{job}").json()),
                           "the job ends", 60, 0.1)
        self.assertEqual((state["prontas"], state["falhas"]), (1, 0))

    def test_nobody_waits_for_ever(self):
        self.vlm = Turn(fault="hang")
        self.configure("vlm", workers=2, timeout="1h", gpu="wait = 0s\n")
        self.serve()
        self.send()
        eventually(lambda: self.model.inside == 1, "the model works", 30)
        reply = self.ask("POST", POLE, PHOTO)
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (504, "DEADLINE_EXCEEDED"))


class Settings(ModelWorld):
    def test_what_is_wrong_is_named(self):
        for lines, word in (("[read]\nby = eyes\n", "none of: ocr vlm both"), ("[reason]\nby = magic\n", "rules llm both"),
                            ("[read]\nby = both\n", "[vlm] url"), ("[reason]\nby = llm\n", "[llm] url"),
                            ("[vlm]\nurl = https://x\n", "TLS"), ("[vlm]\nurl = http://h:0\n", "no host"),
                            ("[llm]\ntimeout = soon\n", "a time"), ("[llm]\ntokens = 0\n", "16 to"),
                            ("[vlm]\nfallback = maybe\n", "neither on nor off"), ("[gpu]\nwait = -1\n", "a time"),
                            ("[gpu]\nqueue = 1\n", 'no "queue"')):
            with self.subTest(lines):
                self.write("config/ancalagon/ocr.ini", lines)
                _, errors = self.ocr("doctor", status=3)
                self.assertIn(word, errors)

    def test_doctor_asks_the_models(self):
        self.configure("both", "llm")
        out, _ = self.ocr("doctor")
        self.assertEqual(len(re.findall(r"ok +[vl]lm .*plates-9b", out)), 2, out)
        self.model.name = "another"
        out, _ = self.ocr("doctor", status=1)
        self.assertEqual(len(re.findall(r'FAIL [vl]lm .*does not list the model "plates-9b"', out)), 2, out)
        self.model.name, self.vlm = "plates-9b", Turn(status=500, error={"error": "images are not supported"})
        out, _ = self.ocr("doctor", status=1)
        self.assertRegex(out, r"FAIL vlm .*images are not supported")
        self.configure("both", "llm", url="http://127.0.0.1:9")
        out, _ = self.ocr("doctor", status=1)
        self.assertEqual(len(re.findall(r"FAIL [vl]lm .*cannot connect", out)), 2, out)

    def test_eval_compares_with_and_without(self):
        shutil.copyfile(PLATE, self.write("set/plate.jpg", ""))
        self.write("set/truth.csv", "file,potencia_kva,patrimonio\nplate.jpg,150,399706\n")
        shutil.copyfile(self.configure("ocr", "llm"), self.path("model.ini"))
        self.write("plain.ini", "")
        compare = ("eval", "set", "--config", "plain.ini", "--config", "model.ini")
        self.llm = Turn(status=500, error={"error": "CUDA error"})
        _, errors = self.ocr(*compare, status=1)  # a dead server says nothing of a configuration
        self.assertIn("goes on", errors)
        self.llm = fields(patrimonio=None)
        self.ocr(*compare)
        with open(self.path("ocr-eval", "report.json")) as file:
            told = json.dumps(json.load(file))
        for name in ("plain", "model"):
            self.assertIn(f'"{name}"', told)


class RealEngine(ModelWorld):
    """A small model knows nothing of plates; that it is found, asked, and held to the schema is what
    this shows."""

    def test_the_plumbing(self):
        engine, model = real.engine(), real.model()
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        with open(self.path("engine.log"), "wb") as log:
            server = subprocess.Popen([engine, "-m", model, "--alias", "small", "--host", "127.0.0.1", "--port",
                                       str(self.port), "-c", "2048", "-t", "1", "-np", "1"],
                                      stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        eventually(self.is_healthy, "llama-server is ready", 60, 0.1)
        self.write("config/ancalagon/ocr.ini", "[reason]\nby = both\n[llm]\nmodel = small\ntimeout = 100s\n"
                   f"url = http://127.0.0.1:{self.port}\n")
        process = self.start("doctor")
        out, errors = process.communicate(timeout=scaled(110))
        self.assertEqual(process.returncode, 0, (out, errors))
        self.assertRegex(out, r"ok +llm +small at ")

    def is_healthy(self):
        try:
            return self.ask("GET", "/health").status == 200
        except OSError:
            return False
