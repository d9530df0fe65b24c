"""Killed again and again, at any moment: every photo is there in the end, once, as if nothing had been.

ANCALAGON_TEST_OCR_PHOTOS and ANCALAGON_TEST_OCR_KILLS set how many (500 and 20 take some 20 minutes);
ANCALAGON_TEST_OCR_SEED, when they come."""
import base64
import csv
import json
import os
import random
import signal
import socket
import subprocess
import time

from harness import Raw, eventually, processes, read_proc, scaled
from ocr import CACHE, OcrWorld, PLATE

PHOTOS = int(os.environ.get("ANCALAGON_TEST_OCR_PHOTOS", "16"))
KILLS = int(os.environ.get("ANCALAGON_TEST_OCR_KILLS", "4"))
SEED = int(os.environ.get("ANCALAGON_TEST_OCR_SEED", "1"))
MAKE_PHOTOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ocr", "make-photos")
JOBS = "/api/v41/ocr/trabalhos"


def kinds(folder):
    """Pictures to make many of: two that are drawn, or the one we have; and one that is none."""
    made = subprocess.run([MAKE_PHOTOS, "--seed", "5", "--count", "2", "--size", "800", "--out", folder],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    names = sorted(name for name in os.listdir(folder) if name.endswith(".jpg")) if made.returncode == 0 else []
    pictures = [open(os.path.join(folder, name), "rb").read() for name in names]
    return (pictures or [open(PLATE, "rb").read()]) + [b"no picture"]


def another(picture, number):
    """The same to look at, but no other file is equal: a comment says which one it is."""
    text = b"photo %d" % number
    if not picture.startswith(b"\xff\xd8"):
        return picture + text
    return picture[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + picture[2:]


def told(report):
    """What a photo says, without what differs between two looks at it."""
    return json.dumps(report.get("fields") or report["error"]["code"], sort_keys=True)


class Killed(OcrWorld):
    settings = "[read]\nside = 640\nthreads = 1\n"

    def setUp(self):
        super().setUp()
        self.luck = random.Random(SEED)
        self.fast = ["--fast"] if os.path.exists(os.path.join(CACHE, "fast-rec.onnx")) else []
        os.mkdir(self.path("kinds"))
        self.pictures = kinds(self.path("kinds"))
        for i, picture in enumerate(self.pictures):
            self.write(f"calm/{i}.jpg", picture)
        out, _ = self.ocr("read", "calm", "--json", *self.fast, status=1)
        reports = {report["file"]: told(report) for report in map(json.loads, out.splitlines())}
        self.expected = [reports[f"calm/{i}.jpg"] for i in range(len(self.pictures))]
        self.assertEqual(len(set(self.expected)), len(self.pictures))

    def kind(self, photo):
        return photo * 7 % len(self.pictures)

    def nobody_is_left(self):
        mine = self.folder.encode()
        return [pid for pid in processes() if pid != os.getpid() and
                (mine in read_proc(pid, "environ") or mine in read_proc(pid, "cmdline"))] == []


class Jobs(Killed):
    def events(self, job):
        """What the job tells, as it comes, until it has ended or its server has."""
        with socket.create_connection(("127.0.0.1", self.port), scaled(60)) as sock:  # pings come
            Raw(sock).send(b"GET %s/%s/eventos HTTP/1.0\r\nHost: localhost\r\n\r\n" % (JOBS.encode(), job.encode()))
            for line in sock.makefile("rb"):
                if line.startswith(b"data: ") and line.endswith(b"}\n"):
                    yield json.loads(line[6:])

    def reads(self, job, at_least):
        """Until so many photos are done; the state then."""
        for state in self.events(job):
            done = state["prontas"] + state["falhas"]
            self.assertGreaterEqual(done, self.done)
            self.done = done
            if done >= at_least or state["estado"] == "pronto":
                return state
        raise AssertionError("the events ended before the job did")

    def start_and_kill(self):
        """Now and then it does not get as far as to answer."""
        early = subprocess.Popen(self.server.args, env=self.environment, stderr=subprocess.DEVNULL, cwd=self.folder)
        time.sleep(self.luck.uniform(0, 0.5))
        early.kill()
        early.wait()

    def test_a_batch(self):
        poles = min(50, PHOTOS)
        batch = {"postes": [{"id": str(pole), "imagens": [
            base64.b64encode(another(self.pictures[self.kind(i)], i)).decode() for i in range(pole, PHOTOS, poles)]}
            for pole in range(poles)]}
        self.serve(*self.fast)
        reply = self.ask("POST", "/api/v41/ocr/lote", batch)
        self.assertEqual(reply.status, 202, reply)
        job, self.done = reply.json()["id"], 0
        for number in range(KILLS):
            self.reads(job, PHOTOS * number // (KILLS + 1))
            time.sleep(self.luck.uniform(0, 0.7))
            self.end_server(signal.SIGKILL)
            if number % 4 == 3:
                self.start_and_kill()
            self.serve(*self.fast)
        state = self.reads(job, PHOTOS + 1)
        failed = sum(self.kind(i) == len(self.pictures) - 1 for i in range(PHOTOS))
        self.assertEqual([state[key] for key in ("estado", "fotos", "prontas", "falhas", "esperando", "lendo")],
                         ["pronto", PHOTOS, PHOTOS - failed, failed, 0, 0])
        results = self.ask("GET", f"{JOBS}/{job}/resultados").json()["resultados"]
        found = {(r["imagem"] - 1) * poles + int(r["poste"]): told(r["resultado"]) for r in results}
        self.assertEqual(len(results), PHOTOS)
        self.assertEqual(found, {i: self.expected[self.kind(i)] for i in range(PHOTOS)})
        table = self.ask("GET", f"{JOBS}/{job}/resultados.csv").body.decode().splitlines()
        self.assertEqual(len(table), PHOTOS + 1)
        self.assertEqual(self.end_server(), 0)
        self.assertEqual(sorted(os.listdir(self.path("state/ancalagon/ocr"))), ["jobs.sqlite", "spool"])
        self.assertEqual(os.listdir(self.path("state/ancalagon/ocr/spool")), [])
        eventually(self.nobody_is_left, "no process is left")

    test_a_batch.seconds = 120 + 4 * PHOTOS + 10 * KILLS


class Read(Killed):
    def lines(self, out):
        path = self.path(out)
        return open(path, newline="").read().count("\n") if os.path.exists(path) else 0

    def killed_and_killed(self, out):
        for i in range(PHOTOS):
            self.write(f"set/{i // 100}/{i}.jpg", another(self.pictures[self.kind(i)], i))
        command = ("read", "set", "--out", out, *self.fast)
        for number in range(KILLS):
            process = self.start(*command)
            eventually(lambda: self.lines(out) > PHOTOS * number // (KILLS + 1), "a photo is done", 120)
            time.sleep(self.luck.uniform(0.1, 0.7))  # it is a program by then
            how = (signal.SIGKILL, signal.SIGINT)[number % 2]
            process.send_signal(how)
            _, errors = process.communicate(timeout=scaled(60))
            self.assertEqual(process.returncode, 130 if how == signal.SIGINT else -how, errors)
            if how == signal.SIGINT:
                self.assertIn("the same command goes on", errors)
        self.ocr(*command, status=1)  # some are no pictures
        names = [f"set/{i // 100}/{i}.jpg" for i in range(PHOTOS)]
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(["calm", "config", "kinds", "set", out]))
        eventually(self.nobody_is_left, "no process is left")
        return names

    def test_as_json(self):
        names = self.killed_and_killed("out.jsonl")
        with open(self.path("out.jsonl")) as lines:
            found = [(report["file"], told(report)) for report in map(json.loads, lines)]
        self.assertEqual(sorted(found), sorted((name, self.expected[self.kind(i)]) for i, name in enumerate(names)))

    def test_as_csv(self):
        names = self.killed_and_killed("out.csv")
        with open(self.path("out.csv"), newline="") as table:
            rows = list(csv.DictReader(table))
        self.assertEqual(sorted(row["file"] for row in rows), sorted(names))
        for row in rows:
            self.assertEqual(row["error"] == "INVALID_IMAGE",
                             self.kind(names.index(row["file"])) == len(self.pictures) - 1, row)

    test_as_json.seconds = test_as_csv.seconds = 120 + 4 * PHOTOS + 10 * KILLS
