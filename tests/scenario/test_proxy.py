"""What passes and what does not: paths, presets by name, framing, bytes left alone."""
import hashlib
import json
import os
import unittest

from harness import (ANTHROPIC, OPENAI, Scenario, ask, assert_error_body, eventually,
                     request_bytes, rss_kib)

GENERATING = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings",
              "/v1/rerank", "/v1/messages", "/v1/messages/count_tokens", "/tokenize",
              "/detokenize", "/apply-template", "/infill")
DENIED = (
    ("GET", "/slots"), ("POST", "/slots/0?action=save"), ("POST", "/slots/0?action=erase"),
    ("POST", "/props"), ("GET", "/tools"), ("POST", "/tools"), ("GET", "/cors-proxy"),
    ("POST", "/cors-proxy"), ("DELETE", "/models"), ("POST", "/models/load"),
    ("POST", "/lora-adapters"), ("GET", "/fake/stats"), ("GET", "/fake/log"), ("GET", "/etc/passwd"),
    ("GET", "/../fake/stats"), ("GET", "/v1/models/../../fake/stats"), ("GET", "//fake/stats"),
    ("GET", "/%2e%2e/fake/stats"), ("POST", "/v1/chat/completions/../../props"),
    ("POST", "/v1/chat/completions/control"), ("GET", "/index.html"), ("GET", "/status"),
    ("POST", "/switch"), ("POST", "/off"), ("GET", "/logs"), ("POST", "/reload"),
    ("PUT", "/v1/chat/completions"), ("DELETE", "/v1/chat/completions"),
    ("GET", "/v1/chat/completions"), ("TRACE", "/v1/models"), ("CONNECT", "127.0.0.1:1"),
)


class Proxy(Scenario):
    def seen(self):
        return [entry["line"] for entry in self.world.engine_http("/fake/log").json()]

    def requests(self):
        return self.world.stats()["requests"]

    # -- paths

    def test_allowed_paths(self):
        for path in GENERATING:
            with self.subTest(path=path):
                body = self.chat_ok(path=path, fake={"tag": path})
                if path.endswith("/count_tokens"):  # nothing but the number comes through
                    self.assertGreater(body["input_tokens"], 0)
                    continue
                self.assertEqual(body["fake"], {"pid": body["fake"]["pid"], "model": "a.gguf",
                                                "tag": path})

    def test_allowed_gets(self):
        self.chat_ok()
        self.assertEqual(self.world.http("GET", "/health").status, 200)
        self.assertIn("#", self.world.http("GET", "/metrics").body.decode())
        self.assertEqual(self.world.http("GET", "/props").status, 200)
        names = {m["id"] for m in self.world.http("GET", "/v1/models").json()["data"]}
        self.assertLessEqual({"a", "b", "c"}, names)

    def test_gets_need_no_engine(self):
        for path in ("/health", "/metrics", "/v1/models"):
            self.assertEqual(self.world.http("GET", path).status, 200, path)
        self.assertEqual(self.world.engine_pids(), [])

    def test_denied_paths(self):
        self.chat_ok()
        before = self.world.stats()["seen"]
        for method, path in DENIED:
            with self.subTest(method=method, path=path):
                raw = self.world.connect()
                raw.send(request_bytes(path, b"{}", method=method))
                status, _ = raw.read_head()
                self.assertIn(status, range(400, 502))
                raw.close()
        lines = " ".join(self.seen()[before:])
        for _, path in DENIED:
            self.assertNotIn(f" {path} ", lines.replace("GET /fake/stats ", "")
                             .replace("GET /fake/log ", ""))

    # -- the preset

    def test_by_alias_and_by_nothing(self):
        self.assertEqual(self.chat_ok("b")["fake"]["model"], "b.gguf")
        body = ask()
        for model in (None, ""):
            body["model"] = model
            if model is None:
                del body["model"]
            reply = self.world.http("POST", OPENAI, body)
            self.assertEqual(reply.json()["fake"]["model"], "b.gguf", "the loaded one answers")
        self.assertEqual(self.chat_ok("alpha")["fake"]["model"], "a.gguf")
        self.assertEqual(self.chat_ok("alpha", ANTHROPIC)["fake"]["model"], "a.gguf")

    def test_one_model_by_its_name(self):
        self.world.presets["org/m:7b"] = {"model": "b.gguf", "aliases": "seven"}
        self.world.write_config()
        self.assertEqual(self.world.control("POST", "/reload", {}).status, 200)
        for path, name in (("b", "b"), ("%62", "b"), ("alpha", "a"), ("org/m:7b", "org/m:7b"),
                           ("org%2Fm%3A7b", "org/m:7b"), ("org%2fm:7b?x=1", "org/m:7b"),
                           ("seven", "org/m:7b")):
            with self.subTest(path=path):
                reply = self.world.http("GET", f"/v1/models/{path}")
                self.assertEqual((reply.status, reply.json()["id"]), (200, name))
        for path in ("nobody", "b%", "b%2", "b%zz", "b%00", "b+", "b%2562", "%2e%2e/b", "x" * 3000):
            with self.subTest(path=path[:20]):
                reply = self.world.http("GET", f"/v1/models/{path}")
                self.assertEqual(reply.status, 404)
                assert_error_body(self, "/v1/models", reply)

    def test_an_anthropic_client_on_shared_paths(self):
        for path in ("/v1/models/nobody", "/v1/complete", "/v1/files/x"):
            for headers, shape in (({"anthropic-version": "2023-06-01"}, ANTHROPIC), ({}, OPENAI)):
                with self.subTest(path=path, headers=headers):
                    reply = self.world.http("GET", path, headers=headers)
                    self.assertEqual(reply.status, 404)
                    assert_error_body(self, shape, reply)

    def test_default_when_nothing_is_loaded(self):
        body = ask()
        del body["model"]
        self.assertEqual(self.world.http("POST", OPENAI, body).json()["fake"]["model"], "a.gguf")

    def test_unknown_preset(self):
        for path in (OPENAI, ANTHROPIC, "/v1/responses", "/v1/embeddings"):
            for model in ("nobody", "A", "a ", "../a"):
                with self.subTest(path=path, model=model):
                    reply = self.chat(model, path)
                    self.assertEqual(reply.status, 404)
                    text = assert_error_body(self, path, reply)
                    for name in "abc":
                        self.assertRegex(text, rf"\b{name}\b")
            for model in ("a\u0000", "x" * 5000):  # not names at all
                with self.subTest(path=path, model=model[:10]):
                    reply = self.chat(model, path)
                    self.assertIn(reply.status, (400, 404))
                    assert_error_body(self, path, reply)
        self.assertEqual(self.world.engine_pids(), [])

    def test_model_of_a_wrong_kind(self):
        for model in ("7", "[]", "{}", "true", '["a"]'):
            with self.subTest(model=model):
                body = b'{"model":%s,"messages":[]}' % model.encode()
                for path in (OPENAI, ANTHROPIC):
                    reply = self.world.http("POST", path, body)
                    self.assertIn(reply.status, (400, 404))
                    assert_error_body(self, path, reply)

    def test_second_model_key(self):
        self.chat_ok()
        before = self.requests()
        for path in (OPENAI, ANTHROPIC):
            for body in (b'{"model":"a","messages":[],"model":"b"}',
                         b'{"model":"a","messages":[],"mod\\u0065l":"b"}',
                         b'{"mod\\u0065l":"b","model":"a"}'):
                with self.subTest(path=path, body=body):
                    reply = self.world.http("POST", path, body)
                    self.assertEqual(reply.status, 400)
                    assert_error_body(self, path, reply)
        self.assertEqual(self.requests(), before)

    def test_broken_json(self):
        self.chat_ok()
        before = self.requests()
        for body in (b"", b"{", b"[]", b"null", b'"model"', b'{"model":"a"', b'{"model":"a"}}',
                     b'{"model" "a"}', b"{'model':'a'}", b'\xff\xfe{"model":"a"}',
                     b'{"model":"a",}', b'{"model":"a\n"}'):
            for path in (OPENAI, ANTHROPIC):
                with self.subTest(path=path, body=body):
                    reply = self.world.http("POST", path, body)
                    self.assertEqual(reply.status, 400)
                    assert_error_body(self, path, reply)
        self.assertEqual(self.requests(), before)

    def test_deep_json(self):
        self.chat_ok()
        before = self.requests()
        for depth in (5000, 300000):
            for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
                body = (b'{"model":"a","x":' + opening * depth + b"1" + closing * depth + b"}")
                reply = self.world.http("POST", OPENAI, body)
                self.assertEqual(reply.status, 400)
                assert_error_body(self, OPENAI, reply)
        self.assertEqual(self.requests(), before)
        self.chat_ok()

    # -- bytes

    def test_bytes_are_untouched(self):
        body = ('{ "model" : "a",\n\t"messages":[{"role":"user","content":"\\u00e9 \u00e9 \\/ '
                '\U0001f999"}],\r\n "temperature":0.70000, "n":1e0, "big":12345678901234567890 }')
        reply = self.world.http("POST", OPENAI, body.encode())
        self.assertEqual(reply.status, 200)
        got = self.world.engine_http("/fake/last").json()["body"].encode("latin-1")
        self.assertEqual(got, body.encode())

    def test_answers_are_untouched(self):
        """The same request through the server and straight to the engine, byte for byte."""
        body = self.chat_ok(fake={"tag": "t"})
        self.assertEqual(body["choices"][0]["message"]["content"],
                         "Hello w\u00f6rld \u6f22\u5b57 \U0001f999")
        self.assertIn("timings", body)
        self.assertIn("usage", body)

    def test_headers_at_the_engine(self):
        raw = self.world.connect()
        raw.send(request_bytes(OPENAI, ask(), "Authorization: Bearer secret\r\n"
                               "Cookie: secret=1\r\nConnection: keep-alive, X-Hop\r\n"
                               "X-Hop: 1\r\nProxy-Authorization: secret\r\n"))
        self.assertEqual(raw.read_reply().status, 200)
        head = self.world.engine_http("/fake/last").json()["head"].lower()
        self.assertEqual(head.count("content-length:"), 1)
        self.assertNotIn("x-hop", head)
        self.assertNotIn("secret", head)

    # -- framing towards the client

    def test_keep_alive(self):
        raw = self.world.connect()
        for i in range(20):
            raw.send(request_bytes(OPENAI, ask(stream=i % 2 == 1, fake={"tag": f"n{i}"})))
            reply = raw.read_reply()
            self.assertEqual(reply.status, 200)
            self.assertIn(f'"tag":"n{i}"'.encode(), reply.body)

    def test_connection_close(self):
        raw = self.world.connect()
        raw.send(request_bytes(OPENAI, ask(), "Connection: close\r\n"))
        self.assertEqual(raw.read_reply().status, 200)
        self.assertEqual(raw.read_all(), b"")

    def test_chunked_request(self):
        raw = self.world.connect()
        body = json.dumps(ask(fake={"tag": "chunked"})).encode()
        raw.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(body), 7):
            raw.send(b"%x;ext=1\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]))
        raw.send(b"0\r\nX-Trailer: 1\r\n\r\n")
        self.assertEqual(raw.read_reply().json()["fake"]["tag"], "chunked")
        raw.send(request_bytes(OPENAI, ask(fake={"tag": "next"})))
        self.assertEqual(raw.read_reply().json()["fake"]["tag"], "next")

    def test_byte_by_byte(self):
        raw = self.world.connect()
        for byte in request_bytes(OPENAI, ask()):
            raw.send(bytes([byte]))
        self.assertEqual(raw.read_reply().status, 200)

    def test_expect_continue(self):
        raw = self.world.connect()
        body = json.dumps(ask()).encode()
        raw.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                 b"Content-Length: %d\r\n\r\n" % len(body))
        self.assertTrue(raw.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100"))
        raw.send(body)
        self.assertEqual(raw.read_reply().status, 200)

    def test_expect_something_else(self):
        raw = self.world.connect()
        raw.send(request_bytes(OPENAI, ask(), "Expect: 200-ok\r\n"))
        self.assertEqual(raw.read_head()[0], 417)

    def test_http_1_0(self):
        for stream in (False, True):
            raw = self.world.connect()
            body = json.dumps(ask(stream=stream)).encode()
            raw.send(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s"
                     % (len(body), body))
            status, headers = raw.read_head()
            self.assertEqual(status, 200)
            self.assertNotIn("transfer-encoding", {name.lower() for name, _ in headers})
            rest = raw.read_all()
            self.assertIn(b"[DONE]" if stream else b"timings", rest)

    def test_pipelining(self):
        raw = self.world.connect()
        raw.send(b"".join(request_bytes(OPENAI, ask(fake={"tag": f"p{i}", "first_ms": 30}))
                          for i in range(5)))
        for i in range(5):
            self.assertEqual(raw.read_reply().json()["fake"]["tag"], f"p{i}")

    def test_head(self):
        for path in ("/health", "/v1/models", "/metrics"):
            raw = self.world.connect()
            raw.send(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                     f"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self.assertEqual(raw.read_reply(head_only=True).status, 200)
            self.assertEqual(raw.read_reply().status, 200, "a HEAD reply had a body")

    def test_stray_bytes_while_waiting(self):
        """evhttp died of this: bytes behind a request whose answer is still awaited."""
        hold = self.world.hold()
        raw = self.raw_ask("a", fake={"hold": hold})
        self.wait_active(1)
        raw.send(b"\r\n\r\nGARBAGE")
        self.world.settle()
        os.unlink(hold)
        self.assertEqual(raw.read_reply().status, 200)
        raw.close()
        self.chat_ok()

    def test_event_stream_headers(self):
        stream = self.open_stream()
        self.assertTrue(stream.type.startswith("text/event-stream"))
        fields = {name.lower(): value for name, value in stream.headers}
        self.assertNotIn("content-length", fields)
        self.assertEqual(list(stream.events())[-1].data, "[DONE]")
        self.assertTrue(stream.complete)

    def test_stream_where_there_is_none_to_be_had(self):
        for path, more in (("/v1/embeddings", {"input": "x"}),
                           ("/v1/rerank", {"query": "x", "documents": ["a"]})):
            with self.subTest(path=path):
                self.world.fake("a", load_ms=600)  # longer than ping-after
                cold = self.chat("a", path, stream=True, **more)
                warm = self.chat("a", path, stream=True, **more)
                for reply in (cold, warm):
                    self.assertEqual(reply.status, 200)
                    self.assertEqual(reply.header("Content-Type"), warm.header("Content-Type"))
                    self.assertEqual(set(reply.json()), set(warm.json()))
                self.assertIn("usage", cold.json())
                self.world.control("POST", "/off", {})

    def test_engine_error_in_the_callers_protocol(self):
        for path in (OPENAI, ANTHROPIC):
            for status in (400, 500, 503):
                reply = self.chat(path=path, fake={"status": status})
                self.assertEqual(reply.status, status)
                assert_error_body(self, path, reply)


class Limits(Scenario):
    server = {"max-body": "1M"}

    def test_body_too_big(self):
        self.chat_ok()
        before = self.world.stats()["requests"]
        for path in (OPENAI, ANTHROPIC):
            body = json.dumps(ask(text="x" * (2 << 20))).encode()
            raw = self.world.connect()
            raw.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n".encode())
            reply = raw.read_reply()  # told before the body is sent
            self.assertEqual(reply.status, 413)
            assert_error_body(self, path, reply)
            raw.close()
        self.assertEqual(self.world.stats()["requests"], before)

    def test_chunked_body_too_big(self):
        raw = self.world.connect()
        raw.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(64):
                raw.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        except OSError:
            pass
        try:
            self.assertEqual(raw.read_head()[0], 413)
        except AssertionError:
            self.assertTrue(raw.eof)
        self.chat_ok()

    def test_just_below_the_bound(self):
        body = json.dumps(ask(text="x" * ((1 << 20) - 4096))).encode()
        self.assertEqual(self.world.http("POST", OPENAI, body).status, 200)


class Big(Scenario):
    def test_20_mb_body_is_held_once_and_given_back(self):
        self.chat_ok()
        before = rss_kib(self.world.pid)
        body = json.dumps(ask(text="y" * (20 << 20))).encode()
        for _ in range(3):
            self.assertEqual(self.world.http("POST", OPENAI, body).status, 200)
        log = self.world.engine_http("/fake/log").json()
        sizes = [entry["body_len"] for entry in log if "chat" in entry["line"]]
        self.assertEqual(sizes[-3:], [len(body)] * 3)
        eventually(lambda: rss_kib(self.world.pid) - before < 8 * 1024,
                   "the memory of big bodies is given back")

    def test_many_answers_keep_their_bytes(self):
        """Answers of odd sizes, hashed: no byte lost at any buffer's edge."""
        for size in (1, 1023, 4095, 4096, 65535, 65536, 65537, 262143, 1 << 20):
            for framing in ("auto", "chunked", "close"):
                reply = self.chat(fake={"body_bytes": size, "framing": framing, "tokens": 0})
                text = reply.json()["choices"][0]["message"]["content"]
                self.assertEqual(hashlib.sha1(text.encode()).digest(),
                                 hashlib.sha1(b"x" * size).digest(), (size, framing))


if __name__ == "__main__":
    unittest.main()
