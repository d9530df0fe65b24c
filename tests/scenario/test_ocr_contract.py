"""What clients with types (System.Text.Json, Newtonsoft) rely on: names that do not clash, values of one type."""
import json
import os

from harness import eventually
from ocr import BASE64, OcrWorld

JOBS = "/api/v41/ocr/trabalhos"
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool,
         "null": type(None)}


def no_twice(pairs):
    """An object as Newtonsoft sees it: names differ by more than capital letters."""
    names = [name.lower() for name, _ in pairs]
    assert len(set(names)) == len(names), names
    for name in names:
        assert name.isascii() and name.lstrip("@").replace("_", "a").isalnum() and not name[0].isdigit(), name  # "@type" is Google's
    return dict(pairs)


class Contract(OcrWorld):
    settings = "[read]\nside = 640\n"

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("share/empty"))
        self.write("config/ancalagon/ocr.ini", f"{self.settings}[share campo]\npath = {self.path('share')}\n")
        self.serve()
        self.document = self.ask("GET", "/openapi.json").json()

    def check(self, value, schema, where):
        """Of the type that the document says, and with every key that it requires."""
        if "$ref" in schema:
            return self.check(value, self.document["components"]["schemas"][schema["$ref"].split("/")[-1]], where)
        for choice in ("oneOf", "anyOf"):
            if choice in schema:
                self.assertTrue(any(self.fits(value, one) for one in schema[choice]), (where, value))
        if "type" in schema:
            self.assertTrue(self.fits(value, schema), (where, value, schema["type"]))
        if isinstance(value, dict):
            self.assertLessEqual(set(schema.get("required", [])), set(value), where)
            for key, inner in schema.get("properties", {}).items():
                if key in value:
                    self.check(value[key], inner, f"{where}.{key}")
        elif isinstance(value, list):
            for item in value:
                self.check(item, schema.get("items", {}), where + "[]")
        self.assertTrue("enum" not in schema or value in schema["enum"], (where, value))

    def fits(self, value, schema):
        if "$ref" in schema:
            return isinstance(value, dict)
        types = schema.get("type", [])
        for name in [types] if isinstance(types, str) else types:
            # true is no number, as Python would have it
            if isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool)):
                return True
        return not types

    def answers(self, method, path, body=None, template=None):
        """The answer, checked against what the document says of its path and status."""
        reply = self.ask(method, path, body)
        responses = self.document["paths"][template or path][method.lower()]["responses"]
        schema = responses.get(str(reply.status), responses["default"])["content"]["application/json"]["schema"]
        value = json.loads(reply.body, object_pairs_hook=no_twice)
        self.check(value, schema, f"{method} {path} {reply.status}")
        return value

    def test_answers_are_what_the_document_says(self):
        pole = "/api/v41/ocr/poste/{id}"
        images = {"imagens": [BASE64, "aGVsbG8="]}
        answer = self.answers("POST", "/api/v41/ocr/poste/7", images, pole)
        values = {key: field["value"] for key, field in answer["fields"].items()}
        self.assertEqual({key: type(value) for key, value in values.items() if value is not None}, {
            "potencia_kva": int, "fabricante": str, "numero_serie": str, "data_fabricacao": str, "elo_fusivel": str,
            "tensao_primaria_v": int, "tensao_secundaria_v": str, "fases": int, "patrimonio": str})
        self.answers("POST", "/api/v41/ocr/poste/7/texto", images, pole + "/texto")
        self.answers("POST", "/api/v41/ocr/poste/7", {"imagens": []}, pole)
        job = self.answers("POST", "/api/v41/ocr/lote", {"postes": [dict(images, id=7)]})["id"]
        one = JOBS + "/{id}"
        eventually(lambda: self.answers("GET", f"{JOBS}/{job}", template=one)["estado"] == "pronto", "the job ends", 60)
        self.answers("GET", JOBS)
        self.answers("GET", f"{JOBS}/{job}/resultados", template=one + "/resultados")
        self.answers("GET", f"{JOBS}/0123", template=one)
        self.answers("DELETE", f"{JOBS}/{job}", template=one)
        for body in ({"share": "campo", "pasta": "empty"}, {"share": "campo"}, {"share": "x"}):
            self.answers("POST", "/api/v41/ocr/alimentador/f7", body, "/api/v41/ocr/alimentador/{id}")
        self.answers("GET", "/health")
        self.answers("GET", "/v1beta/models")
        model = "/v1beta/models/{model}:generateContent"
        for data in (BASE64, "aGVsbG8=", "?"):
            self.answers("POST", model.replace("{model}", "m"), {"contents": [{"parts": [{"inlineData": {
                "mimeType": "image/jpeg", "data": data}}]}]}, model)

    def test_names_of_the_document(self):
        def walk(schema):
            if isinstance(schema, dict):
                if isinstance(schema.get("properties"), dict):
                    no_twice(list(schema["properties"].items()))
                for inner in schema.values():
                    walk(inner)
            elif isinstance(schema, list):
                for inner in schema:
                    walk(inner)
        walk(self.document["components"]["schemas"])

    def test_a_wrong_method_says_the_right_ones(self):
        for method, path, allowed in (("POST", "/health", "GET, HEAD"), ("GET", "/api/v41/ocr/lote", "POST"),
                                      ("POST", JOBS + "/0", "GET, HEAD, DELETE"), ("POST", "/v1beta/models", "GET, HEAD"),
                                      ("GET", "/v1beta/models/m:generateContent", "POST")):
            reply = self.ask(method, path, b"{}" if method == "POST" else None)
            self.assertEqual((reply.status, reply.header("allow")), (405, allowed), path)
