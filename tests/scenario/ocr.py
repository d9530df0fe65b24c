"""A private world for ocr-pipeline: its settings and its jobs in a folder of the test, the real networks
from the cache (tools/get-ocr)."""
import base64
import http.client
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import binary, eventually, exchange, scaled

HERE = os.path.dirname(os.path.abspath(__file__))
PLATE = os.path.join(HERE, "data", "plate.jpg")
# What the photo shows (drawn by tests/ocr/make-photos, seed 7).
TRUTH = {"potencia_kva": 150, "fabricante": "ROMAGNOLE", "numero_serie": "626607/2006",
         "data_fabricacao": "2006-08", "elo_fusivel": "5H", "tensao_primaria_v": 13800,
         "tensao_secundaria_v": "380/220", "fases": 3, "autoprotegido": None, "patrimonio": "399706",
         "registro": None}
BASE64 = base64.b64encode(open(PLATE, "rb").read()).decode()
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ancalagon", "ocr")


class OcrWorld(unittest.TestCase):
    settings = ""

    def setUp(self):
        binary("ocr-pipeline")
        if not os.path.exists(os.path.join(CACHE, "rec.onnx")):
            raise unittest.SkipTest("the networks are not there; run tools/get-ocr")
        self.folder = tempfile.mkdtemp(prefix="ancalagon-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = dict(os.environ, XDG_CONFIG_HOME=self.path("config"),
                                XDG_STATE_HOME=self.path("state"),
                                XDG_CACHE_HOME=os.path.dirname(os.path.dirname(CACHE)))
        self.write("config/ancalagon/ocr.ini", self.settings)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path

    def photo(self, name):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copyfile(PLATE, path)
        return path

    def start(self, *arguments, **more):
        return subprocess.Popen([binary("ocr-pipeline"), *arguments], env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                cwd=self.folder, **more)

    def ocr(self, *arguments, status=0):
        process = self.start(*arguments)
        out, errors = process.communicate(timeout=scaled(60))
        self.assertEqual(process.returncode, status, (arguments, out, errors))
        return out, errors

    # --- serve

    def serve(self, *arguments):
        """Starts the server on a port of its own, and stops it at the end."""
        self.log = open(self.path("serve.log"), "w+")
        self.addCleanup(self.log.close)
        self.server = subprocess.Popen(
            [binary("ocr-pipeline"), "serve", "--listen", "127.0.0.1:0", *arguments],
            env=self.environment, stderr=self.log, cwd=self.folder)
        self.addCleanup(self.end_server)
        self.port = eventually(self.find_port, "the server to be ready", 60)

    def find_port(self):
        if self.server.poll() is not None:
            raise AssertionError(f"the server ended: {self.log_text()}")
        found = re.search(r"ocr.ready listen=127.0.0.1:(\d+)", self.log_text())
        return found and int(found.group(1))

    def log_text(self):
        with open(self.path("serve.log")) as log:
            return log.read()

    def end_server(self, number=signal.SIGTERM):
        if self.server.poll() is None:
            self.server.send_signal(number)
        self.server.wait(timeout=scaled(60))
        return self.server.returncode

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=scaled(60))
        return exchange(connection, method, path, body, headers)

    def check_truth(self, fields):
        self.assertEqual({key: field["value"] for key, field in fields.items()}, TRUTH)
