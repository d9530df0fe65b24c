"""Photos on a real SMB server, and on folders that hang: read, waited for, and told apart when not."""
import csv
import json
import os
import signal

from harness import binary, eventually, scaled
from ocr import CACHE, OcrWorld, PLATE
from samba import Samba, free_port

JOBS = "/api/v41/ocr/trabalhos"
FEEDER = "/api/v41/ocr/alimentador/"
BAD = b"no picture"


class Shares(OcrWorld):
    def setUp(self):
        super().setUp()
        binary("ocr-share-smb")
        self.samba = Samba(self.folder)
        self.addCleanup(self.samba.stop)
        self.feeder = "alimentador-7"
        self.settings_of()

    def settings_of(self, times="timeout = 20s\npatience = 0s", limits="", **more):
        for name, password in (("cred", self.samba.PASSWORD), ("wrong", "no")):
            self.write(f"config/ancalagon/{name}", f"# ours\nusername={self.samba.user}\npassword={password}\ndomain=WORKGROUP\n")
            os.chmod(self.path("config/ancalagon", name), 0o600)
        shares = {"fotos": ("fotos", "cred"), "wrong": ("fotos", "wrong"), "nada": ("nada", "cred"),
                  "oco": ("oco", "cred"), "public": ("aberto", None), "closed": ("fotos", None)}
        text = f"[limits]\n{limits}\n"
        if os.path.exists(os.path.join(CACHE, "fast-rec.txt")):
            text += "[read]\nfast = on\n"
        for name, (share, login) in shares.items():
            text += f"[share {name}]\nurl = smb://127.0.0.1/{share}\nport = {self.samba.port}\n{times}\n"
            text += f"credentials = {login}\n" if login else ""
        text += f"[share refused]\nurl = smb://127.0.0.1:{free_port()}/fotos\n{times}\n"
        self.write("config/ancalagon/ocr.ini", text)

    def on_share(self, name, content=None):
        """A photo of a plate, or these bytes."""
        path = os.path.join(self.samba.share, self.feeder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(open(PLATE, "rb").read() if content is None else content)

    def url(self, name):
        return f"smb://127.0.0.1/fotos/{self.feeder}/{name}"

    def lines(self, name):
        if not os.path.exists(self.path(name)):
            return []
        with open(self.path(name)) as file:
            return [json.loads(line) for line in file if line.endswith("\n")]

    # --- tra

    def test_a_feeder_is_read(self):
        """Names of every kind, a large file, files that are no photos; again, it goes on."""
        self.on_share("1042/subestação 3ª #1 100%25.jpg")
        self.on_share("1043_grande.jpg", open(PLATE, "rb").read() + bytes(12 << 20))
        self.on_share("1044_má.jpg", BAD)
        self.on_share("notes.txt", BAD)
        self.on_share(".hidden.jpg", BAD)
        _, errors = self.ocr("tra", self.feeder, "--share", "fotos", "--out", "out.jsonl", status=1)
        self.assertIn("1044_má.jpg", errors)
        reports = {report["file"]: report for report in self.lines("out.jsonl")}
        self.assertEqual(set(reports), {self.url("1042/subestação 3ª #1 100%25.jpg"),
                                        self.url("1043_grande.jpg"), self.url("1044_má.jpg")})
        self.assertEqual([(report.get("fields") or {}).get("numero_serie", {}).get("value")
                          for _, report in sorted(reports.items())], ["626607/2006", "626607/2006", None])
        self.assertEqual(reports[self.url("1044_má.jpg")]["error"]["code"], "INVALID_IMAGE")
        _, errors = self.ocr("tra", self.feeder, "--share", "fotos", "--out", "out.jsonl")
        self.assertIn("3 of 3 photos", errors)

    def test_one_session_for_many_photos(self):
        """One that looks what there is, one for the photos; and another where that has become useless."""
        self.settings_of("timeout = 20s\npatience = 60s")
        for i in range(4):
            self.on_share(f"bad_{i}.jpg", BAD)
        self.ocr("tra", self.feeder, "--share", "fotos", "--out", "bad.jsonl", status=1)
        self.assertEqual((len(self.lines("bad.jsonl")), self.samba.entered()), (4, 2))
        for i in range(3):
            self.on_share(f"good_{i}.jpg")
        process = self.start("tra", self.feeder, "--share", "fotos", "--out", "all.jsonl")
        eventually(lambda: len(self.lines("all.jsonl")) > 4, "a good one is read", 60)
        self.samba.stop()
        self.samba.start()
        _, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(["fields" in line for line in self.lines("all.jsonl")], 4 * [False] + 3 * [True], errors)

    def test_a_share_by_its_url(self):
        """As a guest where none of the settings has it, else with their credentials."""
        self.on_share("with blank/1_a.jpg", BAD)
        port = self.samba.port
        for url in (f"smb://127.0.0.1:{port}/aberto", f"smb://127.0.0.1:{port}/fotos/",
                    f"smb://127.0.0.1/fotos/{self.feeder}/with%20blank"):
            feeder = "." if url.endswith("blank") else self.feeder
            out, _ = self.ocr("tra", feeder, "--share", url, "--csv", status=1)
            rows = list(csv.DictReader(out.splitlines()))
            self.assertEqual([row["error"] for row in rows], ["INVALID_IMAGE"], url)
            self.assertTrue(rows[0]["file"].endswith("with blank/1_a.jpg"), rows)
        for url, word in (("smb://me:secret@host/share", "credentials"), ("smb://host", "no share"),
                          ("smb://host/../x", "no share"), ("smb://host:x/share", "port")):
            self.assertIn(word, self.ocr("tra", "f", "--share", url, status=2)[1])

    def test_each_kind_of_nothing_by_itself(self):
        self.on_share("empty/notes.txt", BAD)
        self.on_share("1_a.jpg", BAD)
        cases = (("fotos", "gone", 9, 404, "FOLDER_MISSING"), ("fotos", "1_a.jpg", 9, 404, "FOLDER_MISSING"),
                 ("fotos", "empty", 6, 404, "FOLDER_EMPTY"), ("wrong", "empty", 8, 403, "SHARE_DENIED"),
                 ("closed", "empty", 8, 403, "SHARE_DENIED"), ("nada", "empty", 9, 404, "SHARE_MISSING"),
                 ("oco", "empty", 9, 404, "SHARE_MISSING"), ("refused", "empty", 5, 502, "SHARE_UNREACHABLE"))
        self.serve()
        for share, folder, exit_status, http_status, code in cases:
            with self.subTest(share=share, folder=folder):
                folder = f"{self.feeder}/{folder}"
                out, errors = self.ocr("tra", folder, "--share", share, status=exit_status)
                self.assertEqual((out, code in errors), ("", True), errors)
                reply = self.ask("POST", FEEDER + "f7", {"share": share, "pasta": folder})
                self.assertEqual((reply.status, reply.json()["error"]["code"]), (http_status, code))
        for names, status, code in ((["gone.jpg"], 404, "FILE_MISSING"), (["empty"], 404, "FILE_MISSING"),
                                    (["../x.jpg"], 400, "INVALID_REQUEST")):
            reply = self.ask("POST", FEEDER + "f7", {"share": "fotos", "imagens": [
                f"{self.feeder}/{name}" if name[0] != "." else name for name in names]})
            self.assertEqual((reply.status, reply.json()["error"]["code"]), (status, code), names)
        self.assertEqual(self.ask("GET", JOBS).json(), {"trabalhos": []})

    def test_credentials_are_nobody_elses(self):
        os.chmod(self.path("config/ancalagon/cred"), 0o640)
        _, errors = self.ocr("tra", "f7", "--share", "fotos", status=4)
        self.assertIn("chmod 600", errors)
        out, _ = self.ocr("doctor", status=1)
        self.assertRegex(out, r"FAIL share fotos +SHARE_SETUP")
        self.assertRegex(out, r"ok   share public +smb://127.0.0.1/aberto")

    def test_a_share_that_hangs(self):
        """Its helper is killed; nothing of it stays."""
        self.on_share("1_a.jpg", BAD)
        self.settings_of("timeout = 500ms\npatience = 0s")
        self.serve()
        self.samba.freeze()
        _, errors = self.ocr("tra", self.feeder, "--share", "fotos", status=5)
        self.assertIn("does not answer", errors)
        reply = self.ask("POST", FEEDER + self.feeder, {"share": "fotos"})
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (504, "SHARE_UNREACHABLE"))
        with open(f"/proc/{self.server.pid}/task/{self.server.pid}/children") as children:
            self.assertEqual(children.read().split(), [])

    def test_a_run_goes_on_after_its_share_died(self):
        """Photos that could not be fetched are no results; a kill in the middle loses none either."""
        for i in range(4):
            self.on_share(f"{i}.jpg", None if i == 1 else BAD)
        arguments = ("tra", self.feeder, "--share", "fotos", "--out", "out.jsonl")
        process = self.start(*arguments)
        eventually(lambda: len(self.lines("out.jsonl")) >= 1, "the first result", 60)
        self.samba.stop()
        _, errors = process.communicate()
        done = len(self.lines("out.jsonl"))
        if done < 4:  # it may have been quick
            self.assertEqual(process.returncode, 5, errors)
            self.assertIn("the same command goes on", errors)
        self.samba.start()
        process = self.start(*arguments)
        eventually(lambda: process.poll() is not None or len(self.lines("out.jsonl")) > done, "another", 60)
        process.kill()
        process.communicate()
        self.ocr(*arguments, status=0 if len(self.lines("out.jsonl")) == 4 else 1)
        self.assertEqual([report["file"] for report in self.lines("out.jsonl")],
                         [self.url(f"{i}.jpg") for i in range(4)])

    def test_a_run_waits_for_its_share(self):
        for i in range(3):
            self.on_share(f"{i}.jpg", None if i == 1 else BAD)
        self.settings_of("timeout = 2s\npatience = 60s")
        process = self.start("tra", self.feeder, "--share", "fotos", "--out", "out.jsonl")
        self.addCleanup(process.kill)
        eventually(lambda: len(self.lines("out.jsonl")) >= 1, "the first result", 60)
        self.samba.freeze()
        line = process.stderr.readline()
        while line and "trying again" not in line:
            line = process.stderr.readline()
        self.assertIn("does not answer; trying again for up to 1 min", line)
        self.samba.thaw()
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertEqual([report["file"] for report in self.lines("out.jsonl")],
                         [self.url(f"{i}.jpg") for i in range(3)])

    # --- Jobs

    def job(self, **body):
        reply = self.ask("POST", FEEDER + self.feeder, dict(body, share="fotos"))
        self.assertEqual(reply.status, 202, reply)
        return reply.json()["id"]

    def state(self, job):
        return self.ask("GET", f"{JOBS}/{job}").json()

    def wait(self, job, check, what):
        return eventually(lambda: (lambda s: check(s) and s)(self.state(job)), what, 60, 0.05)

    def results(self, job):
        return [(r["poste"], r["imagem"], r["estado"], (r["resultado"].get("error") or {}).get("code"))
                for r in self.ask("GET", f"{JOBS}/{job}/resultados").json()["resultados"]]

    def test_a_job(self):
        self.settings_of(limits="photo = 200K")
        self.on_share("1042/ção.jpg")
        self.on_share("1042/b.jpg", BAD)
        self.on_share("1043_1.jpg", bytes(300 << 10))
        self.on_share("1044_1.jpg", BAD)
        self.serve()
        job = self.job()
        os.unlink(os.path.join(self.samba.share, self.feeder, "1044_1.jpg"))
        state = self.wait(job, lambda s: s["estado"] == "pronto", "the job ends")
        self.assertEqual([state[key] for key in ("fotos", "prontas", "falhas", "erro")], [4, 1, 3, None])
        self.assertEqual(self.results(job)[:3], [("1042", 1, "falha", "INVALID_IMAGE"), ("1042", 2, "pronta", None),
                                                 ("1043", 1, "falha", "TOO_LARGE")])
        self.assertIn(self.results(job)[3][3], ("FILE_MISSING", "INVALID_IMAGE"))

    def test_a_job_waits_for_its_share_and_survives_a_kill(self):
        for i in range(5):
            self.on_share(f"{i}_1.jpg", None if i in (1, 3) else BAD)
        self.settings_of("timeout = 2s\npatience = 5m")
        self.serve()
        job = self.job()
        self.samba.freeze()
        state = self.wait(job, lambda s: s["erro"], "the job waits")
        self.assertEqual((state["estado"], state["erro"]["code"]), ("aberto", "SHARE_UNREACHABLE"))
        self.end_server(signal.SIGKILL)
        self.serve()
        self.samba.thaw()
        state = self.wait(job, lambda s: s["estado"] == "pronto", "the job ends")
        self.assertEqual((state["erro"], state["prontas"], state["falhas"]), (None, 2, 3))
        self.assertEqual([r[0] for r in self.results(job)], [str(i) for i in range(5)])

    def test_a_job_whose_share_stays_away_stops_and_can_go_on(self):
        for i in range(3):
            self.on_share(f"{i}_1.jpg", BAD)
        self.settings_of("timeout = 2s\npatience = 600ms")
        self.serve()
        job = self.job()
        self.samba.freeze()
        events = self.ask("GET", f"{JOBS}/{job}/eventos").body.decode()
        last = json.loads(events.split("data: ")[-1])
        self.samba.thaw()
        if last["estado"] != "pronto":  # it may have been quick
            self.assertEqual((last["estado"], last["erro"]["code"]), ("parado", "SHARE_UNREACHABLE"))
            self.assertEqual(last["esperando"] + last["lendo"] + last["falhas"], 3)
            self.assertEqual(self.ask("POST", f"{JOBS}/{job}/retomar").json()["estado"], "aberto")
            last = self.wait(job, lambda s: s["estado"] == "pronto", "the job ends")
        self.assertEqual((last["falhas"], last["erro"]), (3, None))
        self.assertEqual(self.ask("POST", f"{JOBS}/{job}/retomar").json()["estado"], "pronto")
        self.assertEqual(self.ask("POST", f"{JOBS}/0123/retomar").status, 404)


class Folders(OcrWorld):
    """A share that is mounted, and hangs: whoever looks at it waits in the kernel."""
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("hung/share/f7"))
        self.write("hung/share/f7/1_a.jpg", BAD)
        self.write("config/ancalagon/ocr.ini", f"[share campo]\npath = {self.path('hung/share')}\n"
                   "timeout = 500ms\npatience = 0s\n")
        options = self.environment.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.environment.update(LD_PRELOAD=binary("slow_disk.so"), SLOW_DISK=self.path("slow"), ASAN_OPTIONS=options)
        self.write("slow", "")

    def test_it_is_given_up(self):
        _, errors = self.ocr("tra", "f7", status=5)
        self.assertIn("does not answer", errors)
        self.serve()
        reply = self.ask("POST", FEEDER + "f7", {"share": "campo"})
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (504, "SHARE_UNREACHABLE"))
        os.unlink(self.path("slow"))
        self.assertEqual(self.ask("POST", FEEDER + "f7", {"share": "campo"}).status, 202)

    def test_photos_that_are_named(self):
        """Whoever looks at one never comes back: the run ends, and the same command goes on later."""
        self.write("config/ancalagon/ocr.ini", "[limits]\nfile-wait = 300ms\n[read]\nside = 320\n")
        for i in range(4):
            self.photo(f"hung/set/{i}.jpg")
        command = ("read", self.path("hung/set"), "--out", "out.jsonl")
        _, errors = self.ocr(*command, status=5)  # while it looks what there is
        self.assertIn("hung/set: no answer for 300 ms", errors)
        os.unlink(self.path("slow"))
        process = self.start(*command)
        eventually(lambda: self.lines("out.jsonl"), "a photo is read", 60)
        self.write("slow", "")
        _, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 5, errors)
        self.assertRegex(errors, r"hung/set/\d.jpg: no answer for 300 ms")
        os.unlink(self.path("slow"))
        self.ocr(*command)
        self.assertEqual(self.lines("out.jsonl"), 4)

    def lines(self, name):
        path = self.path(name)
        return open(path).read().count("\n") if os.path.exists(path) else 0
