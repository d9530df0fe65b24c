"""The records: what the utility knows of a pole, in SQLite and in a real PostgreSQL, in our tables and in
theirs; and what becomes of a pole when the database is not there."""
import base64
import csv
import io
import os
import signal

from harness import eventually
from ocr import BASE64, HERE, OcrWorld
from postgres import PASSWORD, QUOTED, Postgres

POLE = "/api/v41/ocr/poste/"
JOBS = "/api/v41/ocr/trabalhos"
# Another transformer of 150 kVA (drawn by tests/ocr/make-photos --seed 21 --grade clean --size 800).
OTHER = base64.b64encode(open(os.path.join(HERE, "data", "other-plate.jpg"), "rb").read()).decode()
# The same picture in other bytes: what stands behind the end of a JPEG is not looked at.
SAME = base64.b64encode(base64.b64decode(BASE64) + b"\0").decode()
# Nothing to read: only the records take time.
BLANK = "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAKUlEQVR42u3MQREAAAwCIPuX1hD77SAA6VEEAoFAIBAIBAKBQCAQfA8Gpwvw4qrwDDIAAAAASUVORK5CYII="
TABLE = "poste;potencia;fabricante;n_serie\n42;150;WEG;626607/2006\nB;300;;\n"


class Records(OcrWorld):
    def records(self, *lines):
        self.write("config/ancalagon/ocr.ini", "[records]\n" + "\n".join(lines) + "\n")

    def pole(self, name, *images):
        reply = self.ask("POST", POLE + name, {"imagens": list(images or (BLANK,))})
        self.assertEqual(reply.status, 200, reply)
        return reply.json()

    def matches(self, answer):
        return {key: value["match"] for key, value in answer["registros"].items()
                if isinstance(value, dict) and value["match"] != "unknown"}

    def job(self, poles):
        reply = self.ask("POST", "/api/v41/ocr/lote",
                         {"postes": [{"id": name, "imagens": images} for name, images in poles.items()]})
        self.assertEqual(reply.status, 202, reply)
        job = reply.json()["id"]
        eventually(lambda: self.ask("GET", f"{JOBS}/{job}").json()["estado"] == "pronto", "the job ends", 100, 0.2)
        return job


class SqliteRecords(Records):
    def test_without_the_library_of_postgresql(self):
        """Only its URL needs it, and says how to get it."""
        self.environment["OCR_LIBPQ"] = self.path("none.so")
        self.records("url = postgresql://127.0.0.1/x")
        self.write("table.csv", TABLE)
        self.assertIn("apt install libpq5", self.ocr("records", "table.csv", status=1)[1])
        self.assertIn("apt install libpq5", self.ocr("serve", "--listen", "127.0.0.1:0", status=4)[1])
        self.records("file = records.sqlite")
        self.ocr("records", "table.csv")

    def test_the_poles_of_a_job(self):
        self.records("file = records.sqlite")
        self.write("table.csv", TABLE)
        self.ocr("records", "table.csv")
        self.serve()
        job = self.job({"42": [BASE64], "B": [BASE64, OTHER, "aGVsbG8="], "C": ["aGVsbG8="]})
        document = self.ask("GET", f"{JOBS}/{job}/resultados").json()
        self.assertEqual(len(document["resultados"]), 5)
        poles = {pole["poste"]: pole for pole in document["postes"]}
        self.assertEqual([(name, pole["fotos"], pole["prontas"]) for name, pole in poles.items()],
                         [("42", 1, 1), ("B", 3, 3), ("C", 1, 1)])
        self.check_truth(poles["42"]["fields"])
        self.assertEqual(self.matches(poles["42"]),
                         {"potencia_kva": "same", "fabricante": "different", "numero_serie": "same"})
        bank = poles["B"]["registros"]
        self.assertEqual((bank["banco_trafo"], bank["kva_total"], bank["potencia_kva"]["match"]), (True, 300, "same"))
        self.assertEqual((poles["B"]["fields"]["potencia_kva"]["value"], poles["C"]["registros"]), (150, None))
        codes = {name: {reason["code"] for reason in pole["review_reasons"]} for name, pole in poles.items()}
        self.assertEqual((codes["42"], codes["C"]), ({"records_differ"}, {"photo_unreadable"}))
        self.assertLess({"photo_unreadable", "photos_disagree"}, codes["B"] | {""})
        # As POST /poste/ID tells it of the same photos.
        alone = self.pole("42", BASE64)
        self.assertEqual({key: alone[key] for key in ("fields", "review_reasons", "registros")},
                         {key: poles["42"][key] for key in ("fields", "review_reasons", "registros")})
        table = self.ask("GET", f"{JOBS}/{job}/postes.csv")
        self.assertIn("text/csv", table.header("content-type"))
        rows = {row["poste"]: row for row in csv.DictReader(io.StringIO(table.body.decode()))}
        self.assertEqual([rows["B"][key] for key in ("fotos", "potencia_kva", "needs_review", "banco_trafo", "units",
                                                     "kva_total", "registros", "registros_erro")],
                         ["3", "150", "true", "true", "2", "300", "potencia_kva:same", ""])
        self.assertEqual((rows["C"]["potencia_kva"], rows["C"]["registros"]), ("", ""))


class PostgresRecords(Records):
    def setUp(self):
        super().setUp()
        self.postgres = Postgres.one()
        self.addCleanup(self.postgres.stop)
        self.postgres.start()
        self.postgres.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")

    def tearDown(self):
        """No word of the password, wherever it went."""
        for folder, _, names in os.walk(self.folder):
            for name in names:
                if name != "ocr.ini":
                    content = open(os.path.join(folder, name), "rb").read()
                    for word in (PASSWORD, QUOTED):
                        self.assertNotIn(word.encode(), content, name)
        super().tearDown()

    def doctor(self):
        process = self.start("doctor")
        out, errors = process.communicate(timeout=60)
        self.assertNotIn(PASSWORD, out + errors)
        self.assertNotIn(QUOTED, out + errors)
        return next(line for line in out.splitlines() if line[5:12] == "records")

    def test_tables_go_in_and_plates_are_compared(self):
        self.records("url = " + self.postgres.url())
        self.assertRegex(self.doctor(), "^FAIL.*ocr-pipeline records TABLE.csv")
        self.write("table.csv", TABLE)
        self.assertIn("table.csv: 2 rows", self.ocr("records", "table.csv")[0])
        self.write("broken.csv", "poste;potencia\n43;75\n;45\n")
        self.assertIn("line 3", self.ocr("records", "broken.csv", status=1)[1])
        self.assertRegex(self.doctor(), rf"^ok .*postgresql://ocr@127.0.0.1:{self.postgres.port}/postgres: 2 poles")
        # Many at once, one of them twice: the later row counts.
        self.write("many.csv", "poste;potencia\n" + "".join(f"M{i};{i + 1}\n" for i in range(150)) + "M149;15\n")
        self.assertIn("151 rows", self.ocr("records", "many.csv")[0])
        self.assertEqual(self.postgres.sql("SELECT count(*) FROM ocr_pole; SELECT text FROM ocr_value"
                                           " WHERE pole IN ('M148', 'M149') ORDER BY pole").split(),
                         ["152", "149", "15"])
        self.serve()
        answer = self.pole("42", BASE64)
        self.check_truth(answer["fields"])
        self.assertEqual(self.matches(answer),
                         {"potencia_kva": "same", "fabricante": "different", "numero_serie": "same"})
        self.assertEqual([(r["code"], r["field"]) for r in answer["review_reasons"]],
                         [("records_differ", "fabricante")])
        self.assertEqual(self.pole("43")["registros"], None)  # all of a table or nothing
        self.assertEqual(self.pole("'; DROP TABLE ocr_pole; --".replace(" ", "%20"))["registros"], None)

    def test_a_bank_is_seen(self):
        """Photos that came before count, the same ones do not, nor those of long ago."""
        self.records("url = " + self.postgres.url())
        self.write("table.csv", TABLE)
        self.ocr("records", "table.csv")
        self.postgres.sql("ALTER TABLE ocr_seen DROP COLUMN seen_ms")  # as tables of before were
        self.serve()
        for image in (BASE64, SAME):  # one transformer, however often it is seen
            answer = self.pole("B", image)
            self.assertEqual((answer["registros"]["banco_trafo"], answer["registros"]["potencia_kva"]["match"]),
                             (False, "different"), answer["registros"])
        answer = self.pole("B", OTHER)["registros"]
        self.assertEqual([answer[key] for key in ("banco_trafo", "units", "kva_total")], [True, 2, 300])
        self.assertEqual(answer["potencia_kva"], {"match": "same", "record": "300"})
        self.postgres.sql("UPDATE ocr_seen SET seen_ms = 1")
        self.end_server()
        self.serve()
        self.assertEqual(self.pole("B", OTHER)["registros"]["banco_trafo"], False)
        self.assertEqual(self.postgres.sql("SELECT count(*) FROM ocr_seen").strip(), "1")

    def test_tables_of_the_utility(self):
        self.postgres.sql("""
            CREATE TABLE ativos (poste integer, kva numeric(6, 2), marca text, instalado date, csp boolean);
            INSERT INTO ativos VALUES (42, 300.00, 'Romagnole S.A.', '2006-08-14', NULL), (7, 75, 'WEG', NULL, false),
                (8, 45, 'WEG', NULL, NULL), (8, 75, 'WEG', NULL, NULL);
            CREATE TABLE fotos (poste integer, arquivo text, classe text);
            INSERT INTO fotos VALUES (42, 'a', 'placa_transformador'), (42, 'b', 'placa_transformador'),
                (42, 'b', 'placa_transformador'), (42, 'c', 'placa_identificacao');""")
        self.records("url = " + self.postgres.url(),
                     "query = SELECT kva AS potencia, marca AS fabricante, instalado AS data_fabricacao,"
                     " csp AS autoprotegido FROM ativos WHERE poste::text = $1",
                     "images-query = SELECT count(DISTINCT arquivo) FROM fotos WHERE poste::text = $1 AND"
                     " classe = 'placa_transformador'")
        self.assertRegex(self.doctor(), "^ok .*understands the query")
        self.write("table.csv", TABLE)
        self.assertIn("query", self.ocr("records", "table.csv", status=1)[1])
        self.serve()
        answer = self.pole("42", BASE64)
        self.assertEqual(self.matches(answer),
                         {"potencia_kva": "same", "fabricante": "near", "data_fabricacao": "same"})
        self.assertEqual((answer["registros"]["units"], answer["_needs_review"]), (2, False))
        self.assertEqual(self.pole("9")["registros"], None)
        self.assertEqual(self.pole("42'%20OR%20'1'='1")["registros"], None)
        answer = self.pole("8")
        self.assertEqual((answer["registros"], answer["registros_erro"]["code"]), (None, "RECORDS_QUERY"))
        self.assertEqual(self.postgres.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'ocr%'").strip(), "0")

    def test_a_server_that_goes_and_comes_back(self):
        self.records("url = " + self.postgres.url(), "connect-timeout = 2s", "timeout = 2s")
        self.write("table.csv", TABLE)
        self.ocr("records", "table.csv")
        self.serve()
        self.assertTrue(self.pole("42")["registros"])
        self.postgres.stop()
        try:
            answer = self.pole("42")
            self.assertEqual((answer["registros"], answer["registros_erro"]["code"], answer["_needs_review"]),
                             (None, "RECORDS_UNREACHABLE", True))
            self.assertEqual([reason["code"] for reason in answer["review_reasons"]], ["records_failed"])
            job = self.job({"42": [BLANK]})
            pole = self.ask("GET", f"{JOBS}/{job}/resultados").json()["postes"][0]
            self.assertEqual((pole["registros"], pole["registros_erro"]["code"]), (None, "RECORDS_UNREACHABLE"))
            self.assertRegex(self.doctor(), "^FAIL.*Connection refused")
        finally:
            self.postgres.start()
        eventually(lambda: self.pole("42")["registros"], "it is asked again", 40, 0.5)
        # A server started anew between two poles is not even noticed.
        self.postgres.stop()
        self.postgres.start()
        self.assertTrue(self.pole("42")["registros"])

    def test_a_server_that_does_not_answer(self):
        self.records("url = " + self.postgres.url(), "query = SELECT pg_sleep(600), 1 AS kva WHERE $1 <> ''",
                     "timeout = 300ms")
        self.serve()
        answer = self.pole("42")
        self.assertEqual(answer["registros_erro"]["code"], "RECORDS_TIMEOUT")
        eventually(lambda: self.postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%'"
                                             " AND state = 'active' AND pid <> pg_backend_pid()").strip() == "0",
                   "the server has ended the query too")
        self.end_server()
        self.records("url = " + self.postgres.url(), "query = SELECT 1 AS kva WHERE $1 <> ''",
                     "connect-timeout = 300ms")
        self.postgres.server.send_signal(signal.SIGSTOP)
        try:
            self.serve()  # it starts without its database
            self.assertEqual(self.pole("42")["registros_erro"]["code"], "RECORDS_TIMEOUT")
        finally:
            self.postgres.server.send_signal(signal.SIGCONT)
        eventually(lambda: self.pole("42")["registros"], "it is asked again", 40, 0.5)

    def test_what_is_wrong_is_told(self):
        self.write("table.csv", TABLE)
        for url, status, word in ((self.postgres.url(password="wrong"), 1, "password authentication failed"),
                                  (self.postgres.url().replace(":" + QUOTED, ""), 1, "no password supplied"),
                                  (self.postgres.url(password="p@ss/w:rd"), 1, "%40"),
                                  (self.postgres.url(colour="blue"), 1, "none of PostgreSQL's"),
                                  ("mysql://127.0.0.1/x", 1, "none of PostgreSQL's"),
                                  (self.postgres.url() + "x", 1, "does not exist")):
            with self.subTest(word):
                self.records("url = " + url)
                errors = self.ocr("records", "table.csv", status=status)[1]
                self.assertIn(word, errors)
                self.assertNotIn("wrong", errors)
                self.assertNotIn(QUOTED, errors)
        self.records("url = " + self.postgres.url(password="wrong"))
        self.assertRegex(self.doctor(), "^FAIL.*password authentication failed")
        self.serve()
        self.assertEqual(self.pole("42")["registros_erro"]["code"], "RECORDS_DENIED")
        self.end_server()
        self.records("url = " + self.postgres.url(), "query = SELECT kva FROM nowhere WHERE poste = $1")
        self.assertRegex(self.doctor(), "^FAIL.*nowhere")
        self.records("url = " + self.postgres.url(), "file = records.sqlite")
        self.assertIn("one of them", self.ocr("records", "table.csv", status=1)[1])
