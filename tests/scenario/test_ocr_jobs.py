"""Jobs of ocr-pipeline: batches and feeders, each photo once, whatever happens to the process."""
import csv
import io
import json
import os
import shutil
import signal
import socket

from harness import eventually
from ocr import BASE64, OcrWorld

BATCH = "/api/v41/ocr/lote"
JOBS = "/api/v41/ocr/trabalhos"


class Jobs(OcrWorld):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("share"))
        self.settings_of()
        self.serve()

    def settings_of(self, limits=""):
        self.write("config/ancalagon/ocr.ini", f"[share campo]\npath = {self.path('share')}\n"
                   f"[share morto]\npath = {self.path('gone')}\n[limits]\n{limits}\n")

    def job(self, body, path=BATCH):
        reply = self.ask("POST", path, body)
        self.assertEqual(reply.status, 202, reply)
        return reply.json()["id"]

    def state(self, job):
        return self.ask("GET", f"{JOBS}/{job}").json()

    def wait(self, job, seconds=100):
        return eventually(lambda: (lambda s: s["estado"] == "pronto" and s)(self.state(job)),
                          "the job ends", seconds, 0.2)

    def results(self, job):
        return self.ask("GET", f"{JOBS}/{job}/resultados").json()["resultados"]

    def spool(self):
        folder = self.path("state/ancalagon/ocr/spool")
        return os.listdir(folder) if os.path.isdir(folder) else []

    def test_a_batch(self):
        job = self.job({"postes": [{"id": "A", "imagens": [BASE64, "aGVsbG8="]},
                                   {"id": 2, "imagens": [{"nome": "x.jpg", "dados": BASE64}]}]})
        events = self.ask("GET", f"{JOBS}/{job}/eventos")
        self.assertEqual(events.header("content-type"), "text/event-stream")
        told = [line[6:] for line in events.body.decode().splitlines() if line.startswith("data: ")]
        self.assertEqual(json.loads(told[-1])["estado"], "pronto")
        self.assertIn(b"event: fim\n", events.body)
        state = self.state(job)
        self.assertEqual([state[key] for key in ("fotos", "prontas", "falhas", "esperando", "lendo")],
                         [3, 2, 1, 0, 0])
        results = self.results(job)
        self.assertEqual([(r["poste"], r["imagem"], r["estado"]) for r in results],
                         [("2", 1, "pronta"), ("A", 1, "pronta"), ("A", 2, "falha")])
        self.check_truth(results[1]["resultado"]["fields"])
        self.assertEqual(results[2]["resultado"]["error"]["code"], "INVALID_IMAGE")
        table = self.ask("GET", f"{JOBS}/{job}/resultados.csv").body.decode()
        rows = list(csv.DictReader(io.StringIO(table)))
        self.assertEqual([(r["poste"], r["fabricante"], r["error"]) for r in rows],
                         [("2", "ROMAGNOLE", ""), ("A", "ROMAGNOLE", ""), ("A", "", "INVALID_IMAGE")])
        self.assertEqual(self.spool(), [])

    def test_killed_again_and_again(self):
        """Every photo is there in the end, once, and nothing lies about."""
        job = self.job({"postes": [{"id": str(i), "imagens": [BASE64 if i % 3 == 0 else "aGVsbG8="]}
                                   for i in range(12)]})
        done = 0
        for _ in range(4):
            before = done
            done = eventually(lambda: (lambda s: s["prontas"] + s["falhas"])(self.state(job)), "a photo", 60)
            self.assertGreaterEqual(done, before)
            self.end_server(signal.SIGKILL)
            self.serve()
        state = self.wait(job)
        self.assertEqual((state["fotos"], state["prontas"], state["falhas"]), (12, 4, 8))
        results = self.results(job)
        self.assertEqual(sorted(r["poste"] for r in results), sorted(str(i) for i in range(12)))
        self.assertEqual(self.spool(), [])

    def test_a_request_that_is_cut_leaves_nothing(self):
        body = json.dumps({"postes": [{"id": "1", "imagens": [BASE64] * 3}]}).encode()
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" %
                         (BATCH.encode(), len(body)) + body[:-200])
            eventually(self.spool, "photos are spooled")
        eventually(lambda: not self.spool(), "they are gone")
        self.assertEqual(self.ask("GET", JOBS).json(), {"trabalhos": []})
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" %
                         (BATCH.encode(), len(body)) + body[:-200])
            eventually(self.spool, "photos are spooled")
            self.end_server(signal.SIGKILL)
        self.serve()
        self.assertEqual(self.spool(), [])

    def test_cancel(self):
        job = self.job({"postes": [{"id": "1", "imagens": [BASE64] * 20}]})
        self.assertEqual(self.ask("DELETE", f"{JOBS}/{job}").json()["estado"], "cancelado")
        eventually(lambda: self.state(job)["lendo"] == 0, "what ran has ended", 60)
        self.assertEqual(self.state(job)["esperando"], 0)
        eventually(lambda: not self.spool(), "its photos are gone")
        self.assertEqual(self.ask("DELETE", f"{JOBS}/0123").status, 404)

    def test_what_is_wrong_with_a_batch_is_told(self):
        pole = {"id": "1", "imagens": ["aGVsbG8="]}
        for body, status, word in (({}, 400, "a batch is"), ({"postes": [{"imagens": ["aGVsbG8="]}]}, 400, "id"),
                                   ({"postes": [{"id": "1", "imagens": []}]}, 400, "imagens"),
                                   ({"postes": [{"id": "1", "imagens": [{"nome": "x"}]}]}, 400, "dados"),
                                   ({"postes": [dict(pole, id=str(i)) for i in range(51)]}, 413, "at most 50"),
                                   ({"postes": [{"id": "1", "imagens": ["aGVsbG8="] * 31}]}, 413, "at most 30"),
                                   ({"postes": [{"id": "1", "imagens": ["?"]}]}, 400, "base64")):
            with self.subTest(word):
                reply = self.ask("POST", BATCH, body)
                self.assertEqual(reply.status, status, reply)
                self.assertIn(word, reply.json()["error"]["text"])
        self.assertEqual(self.ask("GET", JOBS).json(), {"trabalhos": []})
        self.assertEqual(self.spool(), [])

    def test_a_feeder(self):
        for name in ("f7/1042/a.jpg", "f7/1042/b.jpg", "f7/1043_1.jpg"):
            self.photo("share/" + name)
        job = self.job({"share": "campo"}, "/api/v41/ocr/alimentador/f7")
        self.wait(job)
        results = self.results(job)
        self.assertEqual([(r["poste"], r["imagem"], r["resultado"]["file"]) for r in results],
                         [("1042", 1, "a.jpg"), ("1042", 2, "b.jpg"), ("1043", 1, "1043_1.jpg")])
        self.assertTrue(os.path.exists(self.path("share/f7/1042/a.jpg")))  # the user's own

    def test_photos_of_a_pole_that_do_not_follow_each_other(self):
        for name in ("1.jpg", "10_a.jpg", "1_b.jpg", "1/c.jpg"):
            self.write("share/" + name, "no picture")
        names = ["1_b.jpg", "10_a.jpg", "1/c.jpg", "1.jpg"]
        for body, order in (({"pasta": "."}, ["c.jpg", "1.jpg", "1_b.jpg"]),
                            ({"imagens": names}, ["1_b.jpg", "c.jpg", "1.jpg"])):
            job = self.job(dict(body, share="campo"), "/api/v41/ocr/alimentador/f7")
            self.wait(job)
            self.assertEqual([(r["poste"], r["imagem"], r["resultado"]["file"]) for r in self.results(job)],
                             [("1", i + 1, name) for i, name in enumerate(order)] + [("10", 1, "10_a.jpg")])

    def test_kinds_of_nothing_on_a_share(self):
        os.makedirs(self.path("share/empty"))
        self.write("secret.jpg", "x")
        for body, status, code in (({"share": "campo", "pasta": "nope"}, 404, "FOLDER_MISSING"),
                                   ({"share": "campo", "pasta": "empty"}, 404, "FOLDER_EMPTY"),
                                   ({"share": "campo", "imagens": ["a.jpg"]}, 404, "FILE_MISSING"),
                                   ({"share": "morto"}, 502, "SHARE_UNREACHABLE"),
                                   ({"share": "campo", "pasta": ".."}, 400, "INVALID_REQUEST"),
                                   ({"share": "campo", "imagens": ["../secret.jpg"]}, 400, "INVALID_REQUEST"),
                                   ({"share": "campo", "imagens": ["/etc/passwd"]}, 400, "INVALID_REQUEST"),
                                   ({"share": "other"}, 400, "INVALID_REQUEST"), ({}, 400, "INVALID_REQUEST")):
            with self.subTest(body):
                reply = self.ask("POST", "/api/v41/ocr/alimentador/f7", body)
                self.assertEqual((reply.status, reply.json()["error"]["code"]), (status, code), reply)

    def test_a_photo_that_goes_away_is_told(self):
        self.photo("share/f7/1_a.jpg")
        self.photo("share/f7/2_a.jpg")
        self.end_server()
        self.settings_of()
        self.serve()
        self.ask("POST", BATCH, {"postes": [{"id": "1", "imagens": [BASE64] * 3}]})  # ahead of it
        job = self.job({"share": "campo"}, "/api/v41/ocr/alimentador/f7")
        shutil.rmtree(self.path("share/f7"))
        self.wait(job)
        codes = {(r["resultado"].get("error") or {}).get("code") for r in self.results(job)}
        self.assertIn("FILE_MISSING", codes)

    def test_one_process_a_state_folder(self):
        process = self.start("serve", "--listen", "127.0.0.1:0")
        _, errors = process.communicate(timeout=90)
        self.assertEqual(process.returncode, 1)
        self.assertIn("jobs.sqlite", errors)
