"""ocr-pipeline serve: Google's API and the poles', over real sockets with the real networks."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import Raw, eventually, scaled
from ocr import BASE64, OcrWorld, PLATE, TRUTH

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
POLE = "/api/v41/ocr/poste/"
GENERATE = "/v1beta/models/gemini-2.0-flash:generateContent"


def contents(*images, **config):
    parts = [{"text": "read the plate"}] + [{"inlineData": {"mimeType": "image/jpeg", "data": image}}
                                            for image in images]
    return {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}


class Poles(OcrWorld):
    def setUp(self):
        super().setUp()
        self.serve()

    def test_photos_of_a_pole(self):
        reply = self.ask("POST", POLE + "AB%2F42", {"imagens": [{"nome": "um.jpg", "dados": BASE64},
                                                               "data:image/jpeg;base64," + BASE64]})
        self.assertEqual(reply.status, 200, reply)
        answer = reply.json()
        self.assertEqual(answer["poste"], "AB/42")
        self.check_truth(answer["fields"])
        self.assertEqual([r["code"] for r in answer["review_reasons"]], ["no_identification"])
        self.assertEqual([image["file"] for image in answer["imagens"]], ["um.jpg", "imagem 2"])
        self.check_truth(answer["imagens"][1]["fields"])

    def test_one_photo_as_the_body(self):
        reply = self.ask("POST", POLE + "7", open(PLATE, "rb").read(), {"Content-Type": "image/jpeg"})
        self.check_truth(reply.json()["fields"])

    def test_the_text_of_a_pole_has_nothing_of_the_plate(self):
        answer = self.ask("POST", POLE + "7/texto", {"imagens": [BASE64]}).json()
        self.assertEqual((answer["poste"], answer["imagens"][0]["file"]), ("7", "imagem 1"))
        self.assertNotIn("ROMAGNOLE", json.dumps(answer))
        for text in answer["imagens"][0]["texts"]:
            self.assertEqual(text["class"], "pole")

    def test_one_bad_photo_among_good_ones_is_a_reason_to_look(self):
        answer = self.ask("POST", POLE + "7", {"imagens": ["aGVsbG8=", BASE64]}).json()
        self.check_truth(answer["fields"])
        self.assertIs(answer["_needs_review"], True)
        self.assertEqual([r["code"] for r in answer["review_reasons"]], ["photo_unreadable"])
        self.assertEqual(answer["imagens"][0]["error"]["code"], "INVALID_IMAGE")

    def test_what_is_wrong_is_told(self):
        for body, code in (({"imagens": ["aGVsbG8="]}, "INVALID_IMAGE"),
                           ({"imagens": ["?"]}, "INVALID_REQUEST"),
                           ({"imagens": []}, "INVALID_REQUEST"),
                           ({}, "INVALID_REQUEST"),
                           (b'{"imagens":[', "INVALID_REQUEST"),
                           (b"", "INVALID_REQUEST")):
            with self.subTest(body):
                reply = self.ask("POST", POLE + "7", body)
                self.assertEqual(reply.status, 400, reply)
                self.assertEqual(reply.json()["error"]["code"], code)
        for method, path, status in (("GET", POLE + "7", 405), ("POST", "/nowhere", 404),
                                     ("POST", POLE, 404), ("GET", "/api/v42/ocr/poste/7", 404)):
            reply = self.ask(method, path, b"{}" if method == "POST" else None)
            self.assertEqual(reply.status, status, (method, path, reply))

    def test_only_this_machine_and_no_page_of_others(self):
        for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"},
                        {"Host": "127.0.0.1.evil.example:80"}, {"Origin": "null"}):
            reply = self.ask("POST", POLE + "7", {"imagens": [BASE64]}, headers)
            self.assertEqual(reply.status, 403, (headers, reply))
        reply = self.ask("GET", "/health", headers={"Host": f"localhost:{self.port}",
                                                    "Origin": "http://localhost:3000"})
        self.assertEqual(reply.status, 200)

    def test_a_client_that_leaves_takes_its_photos_along(self):
        body = json.dumps({"imagens": [BASE64] * 20}).encode()
        sock = socket.create_connection(("127.0.0.1", self.port))
        sock.sendall(b"POST %s7 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" %
                     (POLE.encode(), len(body)) + body)
        eventually(lambda: self.ask("GET", "/health").json()["reading"] == 1, "it is read", 30)
        sock.close()
        eventually(lambda: self.ask("GET", "/health").json()["reading"] == 0, "nothing is read", 30)
        self.check_truth(self.ask("POST", POLE + "7", {"imagens": [BASE64]}).json()["fields"])

    def test_the_document_of_the_api_holds(self):
        """Every path in it answers, and answers have the keys that it requires."""
        document = self.ask("GET", "/openapi.json").json()
        schemas = document["components"]["schemas"]

        def check(value, schema, where):
            if "$ref" in schema:
                schema = schemas[schema["$ref"].split("/")[-1]]
            if isinstance(value, dict):
                self.assertLessEqual(set(schema.get("required", [])), set(value), where)
                for key, inner in schema.get("properties", {}).items():
                    if key in value:
                        check(value[key], inner, f"{where}.{key}")
                if "properties" in schema and "additionalProperties" not in schema:
                    self.assertLessEqual(set(value), set(schema["properties"]), where)
            elif isinstance(value, list):
                for item in value:
                    check(item, schema.get("items", {}), where + "[]")
            if "enum" in schema:
                self.assertIn(value, schema["enum"], where)

        self.assertEqual(list(schemas["Fields"]["properties"]), list(TRUTH))
        for path, name in ((POLE + "7", "Pole"), (POLE + "7/texto", "PoleText")):
            check(self.ask("POST", path, {"imagens": ["aGVsbG8=", BASE64]}).json(), schemas[name], name)
        check(self.ask("GET", "/health").json(), schemas["Health"], "Health")
        for path, methods in document["paths"].items():
            real = path.replace("{id}", "7").replace("{model}", "m")
            for method in methods:
                reply = self.ask(method.upper(), real, b"{}" if method == "post" else None)
                self.assertNotIn(reply.status, (405, 500), (path, reply))


class Google(OcrWorld):
    def setUp(self):
        super().setUp()
        self.serve()

    def test_both_spellings_and_a_schema(self):
        schema = {"type": "OBJECT", "properties": {"manufacturer": {"type": "STRING"},
                                                  "potencia_kva": {"type": "STRING"},
                                                  "owner": {"type": "STRING"}}}
        for body in (contents(BASE64, responseSchema=schema),
                     {"contents": {"parts": [{"inline_data": {"mime_type": "image/jpeg", "data": BASE64}}]},
                      "generation_config": {"response_schema": schema}}):
            answer = self.ask("POST", GENERATE, body).json()
            self.assertEqual(json.loads(answer["candidates"][0]["content"]["parts"][0]["text"]),
                             {"manufacturer": "ROMAGNOLE", "potencia_kva": "150", "owner": None})
            self.assertEqual(answer["modelVersion"], "gemini-2.0-flash")
            self.assertEqual(answer["candidates"][0]["finishReason"], "STOP")

    def test_without_a_schema_all_is_told(self):
        answer = self.ask("POST", GENERATE, contents(BASE64)).json()
        plate = json.loads(answer["candidates"][0]["content"]["parts"][0]["text"])
        self.assertEqual({key: plate[key] for key in TRUTH}, TRUTH)
        self.assertIs(plate["_needs_review"], False)

    def test_errors_have_googles_shape(self):
        for body, field in ((contents(), "contents"), (contents("aGVsbG8="), "inlineData.data"), ({}, "contents")):
            error = self.ask("POST", GENERATE, body).json()["error"]
            self.assertEqual((error["code"], error["status"]), (400, "INVALID_ARGUMENT"))
            self.assertEqual(error["details"][0]["fieldViolations"][0]["field"], field)
        for path, status, word in (("/v1beta/models/m:frob", 404, "NOT_FOUND"),
                                   ("/v1/models/m:generateContent", 400, "INVALID_ARGUMENT")):
            reply = self.ask("POST", path, b"{")
            self.assertEqual((reply.status, reply.json()["error"]["status"]), (status, word))

    def test_models(self):
        self.assertEqual([m["name"] for m in self.ask("GET", "/v1beta/models").json()["models"]],
                         ["models/ocr-pipeline"])
        self.assertEqual(self.ask("GET", "/v1beta/models/x").json()["name"], "models/x")


class GoogleClients(OcrWorld):
    def setUp(self):
        super().setUp()
        if not shutil.which("node"):
            raise unittest.SkipTest("Node.js is not installed")
        got = subprocess.run([os.path.join(ROOT, "tools", "get-npm"), "google"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        if got.returncode:
            raise unittest.SkipTest(got.stderr.strip())
        self.npm = got.stdout.strip()
        self.serve()

    def client(self, case, **given):
        done = subprocess.run(["node", os.path.join(ROOT, "tests", "google", "gemini.mjs"), case,
                               json.dumps(given)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=scaled(90), input="",
                              env={"PATH": os.environ["PATH"], "HOME": self.folder, "ANCALAGON_NPM": self.npm,
                                   "ANCALAGON_URL": f"http://127.0.0.1:{self.port}"})
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def test_they_work_with_another_base_url(self):
        expected = {"fabricante": "ROMAGNOLE", "potencia_kva": 150, "numero_serie": "626607/2006",
                    "self_protected": None}
        self.assertEqual(self.client("genai", file=PLATE)["result"]["value"], expected)
        self.assertEqual(self.client("genai_stream", file=PLATE)["result"], expected)
        self.assertEqual(self.client("legacy", file=PLATE)["result"], expected)
        self.assertEqual(self.client("legacy_stream", file=PLATE)["result"], [True, expected])
        self.assertGreater(self.client("genai_count", file=PLATE)["result"], 258)
        self.assertEqual(self.client("genai_models")["result"], ["models/ocr-pipeline"])

    def test_several_photos_and_schemas_within_schemas(self):
        self.assertEqual(self.client("genai_shapes", file=PLATE)["result"], {"images": 2, "value": [
            {"manufacturer": "Romagnole", "voltages": {"primary_voltage_kv": 13.8}, "taps": []}]})

    def test_they_understand_our_errors(self):
        bad = self.write("bad.jpg", "no picture")
        for case, given, status, word in (("genai", {"file": bad}, 400, "not a picture"),
                                          ("legacy", {"file": bad}, 400, "not a picture"),
                                          ("genai_stream", {"file": bad}, 400, "not a picture"),
                                          ("genai_embed", {}, 404, "no such path"),
                                          ("genai_too_many", {"file": bad}, 413, "more than 30 photos")):
            with self.subTest(case):
                error = self.client(case, **given)
                self.assertEqual((error["event"], error["status"]), ("error", status), error)
                self.assertIn(word, error["message"])

    def test_they_are_told_to_come_again(self):
        self.end_server()
        self.write("config/ancalagon/ocr.ini", "[limits]\nqueue = 1\n")
        self.serve()
        body = json.dumps({"imagens": [BASE64] * 20}).encode()
        socks = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(2)]
        for sock in socks:  # one is read, one waits
            sock.sendall(b"POST %s7 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" %
                         (POLE.encode(), len(body)) + body)
        eventually(lambda: self.ask("GET", "/health").json()["waiting"] == 1, "the queue is full", 30)
        error = self.client("legacy", file=PLATE)
        self.assertEqual((error["event"], error["status"]), ("error", 429), error)
        for sock in socks:
            sock.close()


class Records(OcrWorld):
    def test_a_pole_is_compared_with_the_records(self):
        self.write("config/ancalagon/ocr.ini", "[records]\nfile = records.sqlite\n")
        self.write("table.csv", "poste;potencia;fabricante;n_serie\n42;150;WEG;626607/2006\n")
        self.assertIn("1 rows", self.ocr("records", "table.csv")[0])
        self.serve()
        answer = self.ask("POST", POLE + "42", {"imagens": [BASE64]}).json()
        self.check_truth(answer["fields"])  # the records change no value
        matches = {key: answer["registros"][key]["match"] for key in ("potencia_kva", "fabricante", "numero_serie",
                                                                      "fases")}
        self.assertEqual(matches, {"potencia_kva": "same", "fabricante": "different", "numero_serie": "same",
                                   "fases": "unknown"})
        self.assertIs(answer["_needs_review"], True)
        self.assertEqual([(r["code"], r["field"]) for r in answer["review_reasons"]],
                         [("records_differ", "fabricante")])
        answer = self.ask("POST", POLE + "43", {"imagens": [BASE64]}).json()
        self.assertEqual((answer["registros"], answer["_needs_review"]), (None, False))

    def test_tables_that_are_none(self):
        self.write("table.csv", "nothing;here\n1;2\n")
        self.assertIn("[records] file", self.ocr("records", "table.csv", status=3)[1])
        self.write("config/ancalagon/ocr.ini", "[records]\nfile = records.sqlite\n")
        self.assertIn("table.csv", self.ocr("records", "table.csv", status=1)[1])
        self.assertIn("gone.csv", self.ocr("records", "gone.csv", status=1)[1])


class Doors(OcrWorld):
    def test_keys(self):
        self.write("keys", "# ours\nsecret-1\nsecret-2\n")
        os.chmod(self.path("keys"), 0o600)
        self.write("config/ancalagon/ocr.ini", f"[server]\napi-key-file = {self.path('keys')}\n")
        self.serve()
        for headers, query, status in (({}, "", 403), ({"x-goog-api-key": "wrong"}, "", 400),
                                       ({"x-goog-api-key": "secret-1"}, "", 200), ({}, "?key=secret-2", 200),
                                       ({"Authorization": "Bearer secret-2"}, "", 200),
                                       ({"x-goog-api-key": "# ours"}, "", 400)):
            reply = self.ask("GET", "/v1beta/models" + query, headers=headers)
            self.assertEqual(reply.status, status, (headers, query, reply))
        self.assertEqual(self.ask("POST", POLE + "7", {"imagens": []}).status, 401)
        self.assertEqual(self.ask("GET", "/health").status, 200)

    def test_beyond_this_machine_only_with_keys(self):
        process = self.start("serve", "--listen", "0.0.0.0:0")
        _, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, 1)
        self.assertIn("api-key-file", errors)

    def test_limits(self):
        self.write("config/ancalagon/ocr.ini", "[limits]\nbody = 64K\nphotos-a-pole = 2\n")
        self.serve()
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            raw = Raw(sock).send(b"POST %s7 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" %
                                 POLE.encode())
            reply = raw.read_reply()
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (413, "TOO_LARGE"))
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            raw = Raw(sock).send(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" %
                                 GENERATE.encode())
            reply = raw.read_reply()
        self.assertEqual((reply.status, reply.json()["error"]["status"]), (413, "INVALID_ARGUMENT"))
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            reply = Raw(sock).send(b"NONSENSE\r\n\r\n").read_reply()
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (400, "INVALID_REQUEST"))
        reply = self.ask("POST", POLE + "7", {"imagens": ["aGVsbG8="] * 3})
        self.assertEqual((reply.status, reply.json()["error"]["code"]), (413, "TOO_LARGE"))

    def test_a_client_that_sends_all_before_it_reads(self):
        """As http.client does, and many a service: the refusal is there before the body is through."""
        self.serve()
        for path in (POLE + "7", GENERATE, "/nothing"):
            reply = self.ask("POST", path, bytes(240 << 20))
            self.assertEqual(reply.status, 413, reply)

    def test_it_ends_when_told(self):
        self.serve()
        self.assertEqual(self.end_server(), 0)
        self.assertIn("ocr.end", self.log_text())

    def test_who_comes_while_it_ends_hears_when_to_come_again(self):
        """The photo at hand is answered; one that waits, and new ones, are turned away."""
        self.serve()
        body = json.dumps({"imagens": [BASE64]}).encode()
        head = b"POST %s7 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (POLE.encode(), len(body))
        clients = []
        for key in ("reading", "waiting"):
            sock = socket.create_connection(("127.0.0.1", self.port))
            self.addCleanup(sock.close)
            clients.append(Raw(sock, timeout=60).send(head + body))
            eventually(lambda: self.ask("GET", "/health").json()[key] == 1, key, 30)
        self.server.send_signal(signal.SIGTERM)
        waits = clients[1].read_reply()
        for reply in (waits, self.ask("POST", POLE + "8", body)):
            self.assertEqual((reply.status, reply.json()["error"]["code"]), (503, "UNAVAILABLE"))
            self.assertGreater(int(reply.header("retry-after")), 0)
        reply = self.ask("POST", GENERATE, contents(BASE64))
        self.assertEqual((reply.status, reply.json()["error"]["status"]), (503, "UNAVAILABLE"))
        self.check_truth(clients[0].read_reply().json()["fields"])
        self.assertEqual(self.server.wait(timeout=scaled(30)), 0)
