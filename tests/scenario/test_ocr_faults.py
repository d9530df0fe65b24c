"""What goes wrong around ocr-pipeline: full disks, broken databases, clients that stop in the middle."""
import base64
import json
import os
import signal
import socket

from harness import Raw, binary, eventually, peak_kib, rss_kib, scaled
from ocr import BASE64, OcrWorld, PLATE

BATCH = "/api/v41/ocr/lote"
JOBS = "/api/v41/ocr/trabalhos"
POLE = "/api/v41/ocr/poste/"
GENERATE = "/v1beta/models/m:generateContent"
STATE = "state/ancalagon/ocr"
PHOTO = open(PLATE, "rb").read()


class Faults(OcrWorld):
    settings = "[read]\nside = 640\n"

    def fill_disk(self):
        open(self.path("full"), "w").close()

    def empty_disk(self):
        os.unlink(self.path("full"))

    def spool(self):
        folder = self.path(STATE, "spool")
        return os.listdir(folder) if os.path.isdir(folder) else []

    def job_state(self, job):
        return self.ask("GET", f"{JOBS}/{job}").json()

    def ends(self, job):
        return eventually(lambda: (lambda s: s["estado"] == "pronto" and s)(self.job_state(job)), "the job ends", 60, 0.1)


class FullDisk(Faults):
    def setUp(self):
        super().setUp()
        options = self.environment.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.environment.update(LD_PRELOAD=binary("full_disk.so"), FULL_DISK=self.path("full"), ASAN_OPTIONS=options)

    def test_no_room_for_the_photos_of_a_batch(self):
        self.serve()
        batch = {"postes": [{"id": "1", "imagens": [BASE64, "aGVsbG8="]}]}
        self.fill_disk()
        reply = self.ask("POST", BATCH, batch)
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (507, "DISK_FULL"), reply)
        self.assertIn("No space left", reply.json()["error"]["text"])
        self.assertEqual(self.ask("GET", JOBS).json(), {"trabalhos": []})
        self.assertEqual(self.spool(), [])
        self.empty_disk()
        self.assertEqual(self.ends(self.ask("POST", BATCH, batch).json()["id"])["falhas"], 1)

    def test_no_room_for_a_job_without_photos_of_its_own(self):
        """The store refuses; no half a job is left."""
        self.photo("share/f7/1_a.jpg")
        self.write("config/ancalagon/ocr.ini", f"{self.settings}[share campo]\npath = {self.path('share')}\n")
        self.serve()
        self.fill_disk()
        reply = self.ask("POST", "/api/v41/ocr/alimentador/f7", {"share": "campo"})
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (507, "DISK_FULL"), reply)
        self.assertEqual(self.ask("GET", JOBS).json(), {"trabalhos": []})
        self.empty_disk()
        reply = self.ask("POST", "/api/v41/ocr/alimentador/f7", {"share": "campo"})
        self.assertEqual(self.ends(reply.json()["id"])["prontas"], 1)

    def run_out_of_room(self):
        """While photos are read, of which at least one finds no room. The first is none, and quick."""
        self.serve()
        images = ["aGVsbG8=", BASE64, BASE64, BASE64, BASE64]
        job = self.ask("POST", BATCH, {"postes": [{"id": "1", "imagens": images}]}).json()["id"]
        eventually(lambda: self.job_state(job)["falhas"], "the first is done", 60)
        self.fill_disk()
        eventually(lambda: "job.finish error=" in self.log_text(), "a result finds no room", 60)
        return job

    def test_no_room_for_results(self):
        """What is read meanwhile is kept, and the job goes on by itself when there is room."""
        job = self.run_out_of_room()
        state = self.job_state(job)
        self.assertEqual([state[key] for key in ("estado", "fotos", "falhas")], ["aberto", 5, 1])
        self.assertLess(state["prontas"], 4)
        self.assertEqual(self.ask("GET", "/health").status, 200)
        self.assertEqual(self.ask("POST", POLE + "7", {"imagens": ["aGVsbG8="]}).status, 400)  # needs no room
        self.empty_disk()
        state = self.ends(job)
        self.assertEqual((state["prontas"], state["falhas"]), (4, 1))
        self.assertIn("job.goes_on", self.log_text())
        self.assertEqual(self.log_text().count("job.finish error="), 1)  # not one each second
        self.assertEqual(self.spool(), [])

    def test_killed_while_there_is_no_room(self):
        job = self.run_out_of_room()
        self.end_server(signal.SIGKILL)
        self.empty_disk()
        self.serve()
        state = self.ends(job)
        self.assertEqual((state["prontas"], state["falhas"]), (4, 1))
        self.assertEqual(self.spool(), [])

    def test_no_room_when_the_server_starts(self):
        self.fill_disk()
        process = self.start("serve", "--listen", "127.0.0.1:0")
        _, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 7, errors)
        self.assertIn("jobs.sqlite", errors)

    def test_read_goes_on_when_there_is_room(self):
        self.write("set/0.jpg", "no picture")
        self.photo("set/1.jpg")
        command = ("read", "set", "--json", "--out", "out.jsonl")
        process = self.start(*command)
        eventually(lambda: os.path.exists(self.path("out.jsonl")) and os.path.getsize(self.path("out.jsonl")),
                   "the first result", 60)
        self.fill_disk()
        _, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 7, errors)
        self.assertIn("No space left", errors)
        self.assertIn("the same command goes on", errors)
        with open(self.path("out.jsonl")) as lines:
            for line in lines:
                self.assertEqual((line[-1], json.loads(line)["file"]), ("\n", "set/0.jpg"))
        self.empty_disk()
        self.ocr(*command)
        with open(self.path("out.jsonl")) as lines:
            self.assertEqual(sorted(json.loads(line)["file"] for line in lines), ["set/0.jpg", "set/1.jpg"])

    def test_a_picture_that_cannot_be_drawn_is_not_done(self):
        self.photo("set/a.jpg")
        self.fill_disk()
        command = ("read", "set", "--json", "--out", "out.jsonl", "--annotate", "seen")
        self.assertIn("No space left", self.ocr(*command, status=7)[1])
        self.assertEqual(os.path.getsize(self.path("out.jsonl")), 0)
        self.empty_disk()
        self.ocr(*command)
        self.assertEqual(os.listdir(self.path("seen")), ["a.jpg.jpg"])
        with open(self.path("out.jsonl")) as lines:
            self.assertEqual([json.loads(line).get("error") for line in lines], [None])

    def test_eval_goes_on_when_there_is_room(self):
        self.photo("set/a.jpg")
        self.write("set/truth.csv", "file,fabricante\na.jpg,ROMAGNOLE\n")
        self.fill_disk()
        self.assertIn("No space left", self.ocr("eval", "set", status=7)[1])
        self.empty_disk()
        self.ocr("eval", "set")
        self.assertEqual(len(os.listdir(self.path("ocr-eval"))), 4)
        self.fill_disk()  # all is read; the reports find no room
        before = open(self.path("ocr-eval/report.json")).read()
        self.assertIn("report.md: No space left", self.ocr("eval", "set", status=7)[1])
        self.assertEqual(len(os.listdir(self.path("ocr-eval"))), 4)
        self.assertEqual(open(self.path("ocr-eval/report.json")).read(), before)


class Broken(Faults):
    def refused(self, *words):
        process = self.start("serve", "--listen", "127.0.0.1:0")
        _, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 1, errors)
        for word in words:
            self.assertIn(word, errors)

    def test_a_database_that_is_none(self):
        self.write(STATE + "/jobs.sqlite", b"this is no database\n" * 400)
        self.refused("jobs.sqlite", "file is not a database", "move it away")
        self.assertEqual(open(self.path(STATE, "jobs.sqlite"), "rb").read(), b"this is no database\n" * 400)

    def test_a_database_with_a_hole(self):
        self.serve()
        job = self.ask("POST", BATCH, {"postes": [{"id": "1", "imagens": ["aGVsbG8="] * 30}]}).json()["id"]
        self.ends(job)
        self.end_server()
        with open(self.path(STATE, "jobs.sqlite"), "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        self.refused("jobs.sqlite", "malformed", "move it away")

    def test_a_state_folder_that_cannot_be(self):
        self.write(STATE, "a file")
        self.refused(self.path(STATE))

    def test_a_database_that_another_program_holds(self):
        self.serve()
        self.end_server()
        import sqlite3
        with sqlite3.connect(self.path(STATE, "jobs.sqlite")) as other:
            other.execute("BEGIN EXCLUSIVE")
            self.refused("jobs.sqlite", "locked", "does another ocr-pipeline use it?")


class Clients(Faults):
    settings = Faults.settings + "[limits]\nbody = 24M\nphoto = 16M\n"

    def setUp(self):
        super().setUp()
        self.serve()

    def send(self, path, pieces, length, headers=""):
        """A request whose body comes in pieces."""
        raw = Raw(socket.create_connection(("127.0.0.1", self.port), scaled(60)))
        self.addCleanup(raw.close)
        raw.send(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n" %
                 (path.encode(), length, headers.encode()))
        for piece in pieces:
            raw.send(piece)
        return raw

    def test_half_a_body(self):
        body = json.dumps({"imagens": [BASE64] * 4}).encode()
        for path in (POLE + "7", POLE + "7/texto", BATCH, GENERATE):
            with self.subTest(path):
                self.send(path, [body[:len(body) // 2]], len(body)).close()
        eventually(lambda: self.ask("GET", "/health").json()["reading"] == 0 and not self.spool(), "nothing is left")
        self.assertEqual(self.ask("GET", JOBS).json(), {"trabalhos": []})

    def test_a_body_byte_by_byte(self):
        body = json.dumps({"imagens": ["aGVsbG8="]}).encode()
        reply = self.send(POLE + "7", (body[i:i + 1] for i in range(len(body))), len(body)).read_reply()
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (400, "INVALID_IMAGE"))

    def test_spellings_of_base64(self):
        url = base64.urlsafe_b64encode(PHOTO).decode()
        for name, text in (("lines", "\r\n".join(BASE64[i:i + 76] for i in range(0, len(BASE64), 76)) + "\r\n"),
                           ("data URL", "data:image/jpeg;base64," + BASE64),
                           ("its parameters", "data:image/jpeg;name=a.jpg;charset=utf-8;base64," + BASE64),
                           ("base64url", url), ("without padding", url.rstrip("="))):
            with self.subTest(name):
                answer = self.ask("POST", POLE + "7", {"imagens": [text]}).json()
                self.assertEqual(answer["fields"]["fabricante"]["value"], "ROMAGNOLE")

    def test_brackets_without_end(self):
        for body in (b'{"imagens":' + b"[" * 100000, b'{"a":' * 50000, b"[" * 64):
            for path in (POLE + "7", BATCH, GENERATE, "/api/v41/ocr/alimentador/f7"):
                with self.subTest(path):
                    reply = self.ask("POST", path, body)
                    self.assertIn(reply.status, (400, 413), reply)
                    self.assertIn("error", reply.json())

    def test_the_largest_body_and_one_byte_more(self):
        """Photos of zeros, as many as fit: no door keeps more than one copy of them, and the batch none (its first
        photo, 9 MiB, may be looked at before the answer has gone out)."""
        limit, image = 24 << 20, 12 << 20
        for path, head, between, end, most in (
                (BATCH, b'{"postes":[{"id":"1","imagens":["', b'","', b'"]}]}', 13 << 10),
                (POLE + "7", b'{"imagens":["', b'","', b'"]}', 30 << 10),
                (GENERATE, b'{"contents":[{"parts":[{"inlineData":{"data":"', b'"}},{"inlineData":{"data":"', b'"}}]}]}',
                 30 << 10)):
            with self.subTest(path):
                rest = limit - len(head) - image - len(between) - len(end)
                body = b"".join((head, b"A" * image, between, b"A" * (rest & ~3), end, b" " * (rest & 3)))
                self.assertEqual(len(body), limit)
                before = rss_kib(self.server.pid)

                def ask():
                    reply = self.send(path, [body], limit).read_reply()
                    if path == BATCH:
                        self.assertEqual(reply.status, 202, reply)
                    else:
                        self.assertEqual(reply.status, 400, reply)
                        self.assertIn("not a picture", json.dumps(reply.json()))
                grown = peak_kib(self.server.pid, ask) - before
                self.assertLess(grown, most)
                reply = self.send(path, [], limit + 1).read_reply()
                self.assertEqual(reply.status, 413, reply)
                self.assertIn("error", reply.json())
        eventually(lambda: not self.spool(), "its photos are gone")
