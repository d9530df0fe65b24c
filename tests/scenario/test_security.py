"""Who may ask, what an engine may do, and what never gets written down."""
import contextlib
import json
import os
import re
import socket
import stat
import unittest

from harness import (ANTHROPIC, OPENAI, Scenario, World, ask, assert_error_body, eventually,
                     fd_table, request_bytes, scaled)

BAIT = ("LLAMA_ARG_CTX_SIZE", "LLAMA_API_KEY", "AWS_SECRET_ACCESS_KEY", "ANCALAGON_TEST_WORLD")


class Names(Scenario):
    def status_of(self, headers, path=OPENAI, method="POST"):
        raw = self.world.connect()
        body = json.dumps(ask()).encode() if method == "POST" else b""
        raw.send(f"{method} {path} HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
                 .encode() + body)
        reply = raw.read_reply()
        raw.close()
        return reply

    def test_hosts(self):
        port = self.world.port
        for host in ("localhost", "127.0.0.1", f"localhost:{port}", f"127.0.0.1:{port}",
                     f"[::1]:{port}", "LOCALHOST"):
            with self.subTest(host=host):
                self.assertEqual(self.status_of(f"Host: {host}\r\n").status, 200)
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example",
                     "127.0.0.1.evil.example", "xlocalhost", "0x7f.1.evil", "localhost:80:80",
                     "evil.example/.localhost", "evil.example#.localhost"):
            for path in (OPENAI, ANTHROPIC):
                with self.subTest(host=host, path=path):
                    reply = self.status_of(f"Host: {host}\r\n", path)
                    self.assertIn(reply.status, (400, 403, 421))
                    assert_error_body(self, path, reply)

    def test_foreign_hosts_see_nothing(self):
        for path in ("/health", "/metrics", "/v1/models", "/"):
            reply = self.status_of("Host: evil.example\r\n", path, "GET")
            self.assertIn(reply.status, (400, 403, 421), path)
            self.assertNotIn(b"gguf", reply.body)

    def test_origins(self):
        good = (f"http://localhost:{self.world.port}", "http://127.0.0.1:8080", "http://localhost")
        for origin in good:
            with self.subTest(origin=origin):
                reply = self.status_of(f"Host: localhost\r\nOrigin: {origin}\r\n")
                self.assertEqual(reply.status, 200)
        bad = ("https://evil.example", "http://localhost.evil.example", "null",
               "http://evil.example:1234", "http://localhost@evil.example", "http://",
               "https://evil.example, http://localhost", "file://",
               "http://evil.example/.localhost", "http://evil.example#.localhost",
               "http://evil.example\\.localhost")
        for origin in bad:
            with self.subTest(origin=origin):
                reply = self.status_of(f"Host: localhost\r\nOrigin: {origin}\r\n")
                self.assertEqual(reply.status, 403)
                self.assertNotIn(reply.header("Access-Control-Allow-Origin"), ("*", origin))
        reply = self.status_of("Host: localhost\r\nOrigin: http://localhost\r\n"
                               "Origin: https://evil.example\r\n")
        self.assertEqual(reply.status, 403)

    def test_preflight(self):
        raw = self.world.connect()
        raw.send(b"OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nOrigin: "
                 b"https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n")
        reply = raw.read_reply()
        self.assertNotIn(reply.header("Access-Control-Allow-Origin"), ("*", "https://evil.example"))
        self.assertIsNone(reply.header("Access-Control-Allow-Headers"))
        raw.close()

    def test_preflight_of_an_sdk_in_a_page(self):
        usual = {"authorization", "content-type", "x-api-key", "anthropic-version"}
        sdk = ("anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,"
               "x-stainless-arch, x-stainless-os")
        for asked, allowed in ((sdk, set(re.split(", ?", sdk))), (None, usual), ("", usual),
                               ("x" * 5000, usual), ('x: "y"', usual), ("x;y", usual)):
            with self.subTest(asked=asked and asked[:40]):
                headers = {"Origin": "http://localhost:3000",
                           "Access-Control-Request-Method": "POST"}
                if asked is not None:
                    headers["Access-Control-Request-Headers"] = asked
                reply = self.world.http("OPTIONS", ANTHROPIC, headers=headers)
                self.assertEqual((reply.status, reply.header("Access-Control-Allow-Origin")),
                                 (204, "http://localhost:3000"))
                given = set(re.split(", ?", reply.header("Access-Control-Allow-Headers")))
                self.assertLessEqual(allowed, given)
                self.assertIn("Access-Control-Request-Headers", reply.header("Vary"))


class AllowedNames(Names):
    server = {"allow-host": "box.example", "allow-origin": "https://app.example"}

    def test_configured_names(self):
        self.assertEqual(self.status_of("Host: box.example\r\n").status, 200)
        reply = self.status_of("Host: localhost\r\nOrigin: https://app.example\r\n")
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.status_of("Host: other.example\r\n").status, 403)


class Exposed(Scenario):
    """Listening beyond loopback: a key, made at the first start, private."""
    autostart = False

    def setUp(self):
        self.ended = False
        self.world = World()
        self.addCleanup(self.world.destroy)
        self.world.server_keys["listen"] = f"0.0.0.0:{self.world.port}"
        self.world.server_keys["api-key-file"] = self.world.path("config", "key")
        self.world.write_config()
        self.world.start()

    def test_key(self):
        path = self.world.path("config", "key")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path) as file:
            key = file.read().strip()
        self.assertGreaterEqual(len(key), 32)
        self.assertNotIn(key, self.world.server_log())
        post = lambda headers, where=OPENAI: self.world.http("POST", where, ask(), headers)
        for where in (OPENAI, ANTHROPIC):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": key},
                            {"Authorization": f"Bearer {key}x"}, {"Authorization": "Bearer "},
                            {"Authorization": f"Bearer {key[:-1]}"}, {"x-api-key": "wrong"}):
                with self.subTest(where=where, headers=headers):
                    reply = post(headers, where)
                    self.assertEqual(reply.status, 401)
                    assert_error_body(self, where, reply)
        self.assertEqual(post({"Authorization": f"Bearer {key}"}).status, 200)
        self.assertEqual(post({"authorization": f"bearer {key}"}).status, 200)
        self.assertEqual(post({"x-api-key": key}, ANTHROPIC).status, 200)
        for where in ("/metrics", "/v1/models", "/props"):
            self.assertEqual(self.world.http("GET", where).status, 401, where)
        reply = self.world.http("GET", "/v1/models", headers={"anthropic-version": "2023-06-01"})
        self.assertEqual(reply.status, 401)
        assert_error_body(self, ANTHROPIC, reply)
        head = self.world.engine_http("/fake/last").json()["head"]
        self.assertNotIn(key, head, "the engine need not know the key")

    def test_key_file_that_others_can_read(self):
        self.assertEqual(self.world.terminate(), 0)
        os.chmod(self.world.path("config", "key"), 0o644)
        self.world.start(wait=False)
        rc = self.world.process.wait(scaled(20))
        self.assertNotEqual(rc, 0)
        self.assertIn("chmod 600", self.world.server_log())
        self.ended = True


class TheEngine(Scenario):
    def log(self):
        self.chat_ok()
        return self.world.engines()[-1]

    def test_environment_is_scrubbed(self):
        names = set(self.log()["env"])
        self.assertFalse(names & set(BAIT), names)
        self.assertEqual({n for n in names if n.startswith(("LLAMA_", "ANCALAGON_"))},
                         {"ANCALAGON_RUN"}, "nothing but the mark of its run")

    def test_no_descriptors_are_inherited(self):
        fds = self.log()["fds"]
        extra = {fd: where for fd, where in fds.items()
                 if int(fd) > 2 and not where.endswith("alive")}
        self.assertEqual(extra, {})

    def test_own_group_and_death_signal(self):
        log = self.log()
        self.assertEqual(log["pgid"], log["pid"])
        self.assertEqual(log["pdeathsig"], 9)
        self.assertEqual(log["ppid"], self.world.pid)
        self.assertEqual(log["no_new_privs"], 1)
        self.assertEqual(log["seccomp"], 2)

    def test_unix_socket_and_its_folder(self):
        log = self.log()
        argv = log["argv"]
        self.assertTrue(argv[argv.index("--host") + 1].endswith(".sock"), argv)
        for folder, _, names in os.walk(self.world.path("run", "ancalagon")):
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)

    def test_no_internet_socket_by_any_door(self):
        self.chat_ok()
        doors = self.world.engine_http("/fake/socket").json()
        self.assertTrue(doors.pop("unix")["opened"])
        for name, door in doors.items():
            with self.subTest(door=name):
                self.assertFalse(door["opened"], door)
        self.chat_ok()

    def test_nobody_listens_on_tcp_but_us(self):
        self.chat_ok()
        listening = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(table) as file:
                for line in file.readlines()[1:]:
                    fields = line.split()
                    if fields[3] == "0A":
                        listening.add(fields[9])
        for pid in self.world.engine_pids():
            links = fd_table(pid).values()
            self.assertFalse([l for l in links if l[8:-1] in listening and l.startswith("socket:")])


class TcpEngine(Scenario):
    """A build without unix sockets: loopback, with a key of its own for each start."""

    def setUp(self):
        super().setUp()
        import shutil
        engine = self.world.path("bin", "engine-ik")
        shutil.copy(self.world.engine, engine)
        self.world.presets["b"]["engine"] = engine
        self.world.fake("b", dialect="ik")
        self.world.write_config()
        self.assertLess(self.world.control("POST", "/reload", {}).status, 400)

    def test_loopback_and_key(self):
        self.chat_ok("b")
        log = self.world.engines()[-1]
        argv = log["argv"]
        self.assertEqual(argv[argv.index("--host") + 1], "127.0.0.1")
        port = int(argv[argv.index("--port") + 1])
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(request_bytes(OPENAI, ask()))
            self.assertIn(b" 401 ", sock.recv(4096))
        keys = set()
        for _ in range(2):
            self.chat_ok("b")
            argv = self.world.engines()[-1]["argv"]
            keys.add(argv[argv.index("--api-key") + 1] if "--api-key" in argv
                     else argv[argv.index("--api-key-file") + 1])
            self.chat_ok("a")
        self.assertEqual(len(keys), 2)


class NothingIsKept(Scenario):
    SECRET = "xyzzy-the-users-private-prompt"

    def test_prompts_are_not_logged(self):
        for path in (OPENAI, ANTHROPIC):
            self.chat_ok(path=path, text=self.SECRET)
            list(self.open_stream(path=path, text=self.SECRET).events())
            self.chat(path=path, text=self.SECRET, fake={"then": "kill", "tokens": 0})
            eventually(lambda: self.chat(path=path).status == 200, "it is back", 20, .1)
        self.world.http("POST", OPENAI, b'{"model":"' + self.SECRET.encode())
        self.assertNotIn(self.SECRET, self.world.server_log())
        for folder, _, names in os.walk(self.world.root):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
                        self.assertNotIn(self.SECRET.encode(), file.read(), path)
        status = self.world.control("GET", "/status").body
        self.assertNotIn(self.SECRET.encode(), status)

    def test_control_socket_is_private(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.world.control_path()).st_mode) & 0o077, 0)

    def test_control_wants_no_browser(self):
        """The public port does not speak control."""
        for method, path in (("GET", "/status"), ("POST", "/switch"), ("POST", "/off")):
            self.assertEqual(self.world.http(method, path, b"{}").status, 404)


if __name__ == "__main__":
    unittest.main()
