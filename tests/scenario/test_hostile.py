"""Hostile HTTP: refused with 4xx or a closed connection, nothing forwarded, alive afterwards.

Every case ends in bytes that would be a second, smuggled request if its framing were read as a
careless peer reads it. The engine counts what reaches it."""
import json
import unittest

from harness import Scenario, ask, eventually, rss_kib

PATH = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
BODY = json.dumps(ask(fake={"tag": "SMUGGLED"})).encode()
LEN = b"Content-Length: %d\r\n" % len(BODY)
INNER = PATH + HOST + LEN + b"\r\n" + BODY
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def head(*lines, start=PATH, host=HOST):
    return start + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


CASES = {
    # CL and TE together, and every spelling of TE that one parser takes and another does not
    "cl_te": head(LEN.strip(), b"Transfer-Encoding: chunked") + CHUNKS + INNER,
    "cl_te_smuggle": head(b"Content-Length: 4", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + INNER,
    "te_cl": head(b"Transfer-Encoding: chunked", b"Content-Length: 4") + CHUNKS + INNER,
    "te_cl_zero": head(b"Transfer-Encoding: chunked", b"Content-Length: 0") + CHUNKS,
    "cl_0_te": head(b"Content-Length: 0", b"Transfer-Encoding: chunked") + CHUNKS,
}
for _i, _value in enumerate((
        b"xchunked", b"chunked, identity", b"identity", b"identity, chunked", b"chunked, chunked",
        b"gzip, chunked", b"gzip", b"chunked;q=1", b"\"chunked\"", b"'chunked'", b"chunked\x0b",
        b"chunked\x00", b"\x0bchunked", b",", b"chunked,", b"cow, chunked",
        b"chunked x", b"c hunked", b"chunked\xa0")):
    CASES[f"te_value_{_i}"] = head(b"Transfer-Encoding: " + _value) + CHUNKS + INNER
    CASES[f"te_value_{_i}_with_cl"] = head(LEN.strip(), b"Transfer-Encoding: " + _value) + BODY + INNER
CASES.update({
    "te_twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + CHUNKS + INNER,
    "te_twice_chunked": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + CHUNKS,
    "te_space_before_colon": head(b"Transfer-Encoding : chunked") + CHUNKS + INNER,
    "te_tab_before_colon": head(b"Transfer-Encoding\t: chunked") + CHUNKS + INNER,
    "te_folded": head(b"Transfer-Encoding:", b" chunked") + CHUNKS + INNER,
    "te_underscore_cl": head(LEN.strip(), b"Transfer-Encoding: chunked", b"X_Y: 1") + CHUNKS,
    "te_http_1_0": b"POST /v1/chat/completions HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n" + CHUNKS,
    # Content-Length
    "cl_twice_different": head(LEN.strip(), b"Content-Length: 3") + BODY + INNER,
    "cl_twice_same": head(LEN.strip(), LEN.strip()) + BODY + INNER,
    "cl_list_different": head(b"Content-Length: %d, 3" % len(BODY)) + BODY + INNER,
    "cl_list_same": head(b"Content-Length: %d, %d" % (len(BODY), len(BODY))) + BODY + INNER,
})
for _i, _value in enumerate((b"+5", b"-5", b"0x5", b"5 5", b"5;", b"5.0", b"5e0", b"", b" ", b"abc",
                             b"1_0", b"\xd9\xa5", b"5\x00", b"5\x0b", b"99999999999999999999999",
                             b"18446744073709551616", b"18446744073709551620",
                             b"9223372036854775808", b"-1", b"--5", b"5,", b",5", b"NaN", b"%35",
                             b"'5'", b"\"5\"", b"5 \x0b")):
    CASES[f"cl_value_{_i}"] = head(b"Content-Length: " + _value) + b"{\"a\":" + INNER
CASES.update({
    "cl_space_before_colon": head(b"Content-Length : 5") + b"12345" + INNER,
    "cl_folded": head(b"Content-Length:", b" 5") + b"12345" + INNER,
    # line ends
    "bare_lf_everywhere": (b"POST /v1/chat/completions HTTP/1.1\nHost: localhost\nContent-Length: "
                           b"%d\n\n%s" % (len(BODY), BODY)),
    "bare_lf_in_a_header": PATH + b"Host: localhost\nX: y\r\n" + LEN + b"\r\n" + BODY,
    "bare_lf_hides_te": PATH + HOST + b"X: y\n" + CHUNKED + LEN + b"\r\n" + BODY,
    "bare_lf_ends_head": PATH + HOST + LEN + b"\n" + BODY,
    "bare_cr_in_a_header": PATH + HOST + b"X: a\rTransfer-Encoding: chunked\r\n" + LEN + b"\r\n" + BODY,
    "bare_cr_ends_line": PATH + b"Host: localhost\r" + LEN + b"\r\n" + BODY,
    "cr_cr_lf": PATH + b"Host: localhost\r\r\n" + LEN + b"\r\n" + BODY,
    "lf_cr": PATH + b"Host: localhost\n\r" + LEN + b"\r\n" + BODY,
    # header names and values
    "obs_fold": head(b"X-A: one", b" two", LEN.strip()) + BODY,
    "obs_fold_tab": head(b"X-A: one", b"\ttwo", LEN.strip()) + BODY,
    "first_header_folded": PATH + b" Host: localhost\r\n" + LEN + b"\r\n" + BODY,
    "space_before_colon": head(b"X-A : one", LEN.strip()) + BODY,
    "no_colon": head(b"XA", LEN.strip()) + BODY,
    "empty_name": head(b": value", LEN.strip()) + BODY,
    "nul_in_name": head(b"X\x00A: one", LEN.strip()) + BODY,
    "nul_in_value": head(b"X-A: o\x00ne", LEN.strip()) + BODY,
    "control_in_value": head(b"X-A: o\x01ne", LEN.strip()) + BODY,
    "del_in_value": head(b"X-A: o\x7fne", LEN.strip()) + BODY,
    "space_in_name": head(b"X A: one", LEN.strip()) + BODY,
    "utf8_name": head("X-\u00e9: one".encode(), LEN.strip()) + BODY,
    "brackets_in_name": head(b"X(A): one", LEN.strip()) + BODY,
    "quote_in_name": head(b'X"A: one', LEN.strip()) + BODY,
    # Host
    "no_host": PATH + LEN + b"\r\n" + BODY,
    "two_hosts": PATH + HOST + b"Host: evil.example\r\n" + LEN + b"\r\n" + BODY,
    "two_hosts_same": PATH + HOST + HOST + LEN + b"\r\n" + BODY,
    "empty_host": PATH + b"Host: \r\n" + LEN + b"\r\n" + BODY,
    "host_with_path": PATH + b"Host: localhost/x\r\n" + LEN + b"\r\n" + BODY,
    "host_with_user": PATH + b"Host: localhost@evil.example\r\n" + LEN + b"\r\n" + BODY,
    "host_list": PATH + b"Host: localhost, evil.example\r\n" + LEN + b"\r\n" + BODY,
    "host_space": PATH + b"Host: localhost evil.example\r\n" + LEN + b"\r\n" + BODY,
    "host_bad_port": PATH + b"Host: localhost:99999999\r\n" + LEN + b"\r\n" + BODY,
    "foreign_host": PATH + b"Host: evil.example\r\n" + LEN + b"\r\n" + BODY,
    "rebound_host": PATH + b"Host: localhost.evil.example:1234\r\n" + LEN + b"\r\n" + BODY,
    # the request line
    "absolute_form_foreign": b"POST http://evil.example/v1/chat/completions HTTP/1.1\r\n" + HOST + LEN
                             + b"\r\n" + BODY,
    "authority_form": b"POST localhost:80 HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "asterisk_form": b"POST * HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    "http_2_preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http_0_9": b"POST /v1/chat/completions\r\n\r\n",
    "no_version": b"POST /v1/chat/completions \r\n" + HOST + LEN + b"\r\n" + BODY,
    "two_spaces": b"POST  /v1/chat/completions HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "two_spaces_before_version": b"POST /v1/chat/completions  HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "tab_for_space": b"POST\t/v1/chat/completions\tHTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "trailing_space": b"POST /v1/chat/completions HTTP/1.1 \r\n" + HOST + LEN + b"\r\n" + BODY,
    "leading_space": b" POST /v1/chat/completions HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "path_with_space": b"POST /v1/chat/completions x HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "path_with_nul": b"POST /v1/chat/completions\x00 HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "path_high_bytes": b"POST /v1/chat/\xff\xfe HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "path_fragment": b"POST /v1/chat/completions#x HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "method_lower": b"post /v1/chat/completions HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "method_unknown": b"SMUGGLE /v1/chat/completions HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "method_long": b"P" * 10000 + b" /v1/chat/completions HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "method_nul": b"PO\x00ST /v1/chat/completions HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY,
    "tls_hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x41" * 300,
    "socks": b"\x05\x01\x00\x03\x0bevil.example\x00\x50",
    "smtp": b"EHLO localhost\r\nMAIL FROM:<a@b>\r\n",
    "zeros": b"\x00" * 4096,
    "high_bytes": b"\xff" * 4096,
    "line_feeds": b"\n" * 70000,
    "crlfs": b"\r\n" * 70000,
    "endless_path": b"POST /" + b"a" * 2000000,
    "endless_header_name": PATH + b"X" * 2000000,
    "endless_header_value": PATH + b"X: " + b"y" * 2000000,
    "endless_headers": PATH + b"X: y\r\n" * 300000,
    "many_short_headers": PATH + HOST + b"".join(b"X%d: y\r\n" % i for i in range(20000)) + b"\r\n",
    "endless_version": b"POST / HTTP/1." + b"1" * 100000,
    # chunks
    "chunk_not_hex": head(b"Transfer-Encoding: chunked") + b"xyz\r\n" + INNER,
    "chunk_negative": head(b"Transfer-Encoding: chunked") + b"-5\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_plus": head(b"Transfer-Encoding: chunked") + b"+5\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_0x": head(b"Transfer-Encoding: chunked") + b"0x5\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_space_first": head(b"Transfer-Encoding: chunked") + b" 5\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_space_inside": head(b"Transfer-Encoding: chunked") + b"5 5\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_empty_size": head(b"Transfer-Encoding: chunked") + b"\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_overflow": head(b"Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFFF\r\n" + INNER,
    "chunk_overflow_to_5": head(b"Transfer-Encoding: chunked") + b"10000000000000005\r\nabcde\r\n0\r\n\r\n"
                           + INNER,
    "chunk_huge": head(b"Transfer-Encoding: chunked") + b"7fffffffffffffff\r\n" + INNER,
    "chunk_longer_than_said": head(b"Transfer-Encoding: chunked") + b"3\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_shorter_than_said": head(b"Transfer-Encoding: chunked") + b"8\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_bare_lf": head(b"Transfer-Encoding: chunked") + b"5\nabcde\n0\n\n" + INNER,
    "chunk_lf_after_size": head(b"Transfer-Encoding: chunked") + b"5\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_no_crlf_after_data": head(b"Transfer-Encoding: chunked") + b"5\r\nabcde0\r\n\r\n" + INNER,
    "chunk_zeros": head(b"Transfer-Encoding: chunked") + b"0" * 100000 + b"5\r\nabcde\r\n0\r\n\r\n",
    "chunk_extension_long": head(b"Transfer-Encoding: chunked") + b"5;" + b"a" * 2000000 + b"\r\n",
    "chunk_extension_lf": head(b"Transfer-Encoding: chunked") + b"5;a\nb\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_extension_cr": head(b"Transfer-Encoding: chunked") + b"5;a\rb\r\nabcde\r\n0\r\n\r\n" + INNER,
    "chunk_extension_nul": head(b"Transfer-Encoding: chunked") + b"5;a\x00b\r\nabcde\r\n0\r\n\r\n",
    "chunk_trailer_endless": head(b"Transfer-Encoding: chunked") + b"0\r\n" + b"X: y\r\n" * 300000,
    "chunk_trailer_bad": head(b"Transfer-Encoding: chunked") + b"0\r\nX Y\r\n\r\n" + INNER,
    "chunk_flood_of_bytes": head(b"Transfer-Encoding: chunked") + b"1\r\n{\r\n" * 200000,
    # upgrades
    "upgrade_websocket_get": b"GET /v1/chat/completions HTTP/1.1\r\n" + HOST
                             + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + INNER,
})
# With a GET these would be harmless bodies; a body on a GET is where proxies disagree.
CASES["get_with_te"] = b"GET /slots HTTP/1.1\r\n" + HOST + CHUNKED + LEN + b"\r\n" + CHUNKS



def provoke(world, data):
    """Sends, tolerating that the server hangs up in the middle; returns all it answered.

    The client stays a while before its FIN: a request that is cancelled at once would hide that it
    had been taken for good."""
    raw = world.connect(20)
    try:
        try:
            raw.send(data)
            patience = raw.sock.gettimeout()
            raw.sock.settimeout(0.2)
            try:
                while raw.fill():
                    pass
            except TimeoutError:
                raw.sock.settimeout(patience)
                raw.half_close()
        except OSError:
            pass
        return raw.read_all()
    except TimeoutError:
        return None
    finally:
        raw.close()


class Hostile(Scenario):
    def setUp(self):
        super().setUp()
        self.chat_ok()

    def statuses(self, answer):
        return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]

    def test_table(self):
        self.assertGreaterEqual(len(CASES), 150)
        for name, data in CASES.items():
            with self.subTest(case=name):
                if self.world.process.poll() is not None:
                    self.fail("dead since an earlier case")
                before = self.world.stats()["requests"]
                answer = provoke(self.world, data)
                self.assertIsNotNone(answer, "neither answered nor closed")
                self.assertIsNone(self.world.process.poll(), "the server died")
                self.assertEqual(self.world.stats()["requests"], before, "it was forwarded")
                self.assertNotIn(b"SMUGGLED", answer)
                for status in self.statuses(answer):
                    self.assertIn(status, (*range(400, 500), 501, 505), answer[:200])
                self.assertEqual(self.world.http("GET", "/health").status, 200)
        lines = [entry["line"] for entry in self.world.engine_http("/fake/log").json()]
        self.assertFalse([line for line in lines if "slots" in line and "GET /slots" not in line])

    test_table.seconds = 300

    def test_left_open_without_half_close(self):
        """The same, with the client staying: refusals must not wait for its FIN."""
        for name in ("cl_te", "cl_twice_different", "bare_lf_everywhere", "obs_fold", "chunk_not_hex",
                     "nul_in_value", "tls_hello", "endless_header_value", "no_host"):
            with self.subTest(case=name):
                raw = self.world.connect(10)
                try:
                    raw.send(CASES[name])
                except OSError:
                    pass
                answer = raw.read_all()
                for status in self.statuses(answer):
                    self.assertIn(status, (*range(400, 500), 501, 505))
                raw.close()

    def test_memory_is_given_back(self):
        for name in ("endless_path", "endless_headers", "chunk_flood_of_bytes", "chunk_zeros"):
            provoke(self.world, CASES[name])
        before = rss_kib(self.world.pid)
        for _ in range(5):
            for name in ("endless_path", "endless_headers", "endless_header_value",
                         "chunk_trailer_endless", "chunk_flood_of_bytes", "crlfs"):
                provoke(self.world, CASES[name])
        eventually(lambda: rss_kib(self.world.pid) - before < 4096, "memory is back within 4 MB")

    def test_slow_loris(self):
        """200 connections drip; the others are served all the while."""
        before = rss_kib(self.world.pid)
        slow = [self.world.connect() for _ in range(200)]
        line = PATH + HOST + b"X-Slow: "
        for step in range(20):
            for raw in slow:
                raw.send(line[step:step + 1] or b"y")
            self.chat_ok()
        self.assertLess(rss_kib(self.world.pid) - before, 8 * 1024)
        for raw in slow:
            raw.reset()
        self.chat_ok()

    def test_slow_bodies(self):
        slow = [self.world.connect() for _ in range(50)]
        for raw in slow:
            raw.send(PATH + HOST + LEN + b"\r\n")
        for step in range(10):
            for raw in slow:
                raw.send(BODY[step:step + 1])
            self.chat_ok()
        requests = self.world.stats()["requests"]
        for raw in slow:
            raw.close()
        self.chat_ok()
        self.assertEqual(self.world.stats()["requests"], requests + 1)

    def test_huge_content_length_reserves_nothing(self):
        before = rss_kib(self.world.pid)
        many = []
        for _ in range(100):
            raw = self.world.connect()
            raw.send(PATH + HOST + b"Content-Length: 60000000\r\n\r\n{")
            many.append(raw)
        self.chat_ok()
        self.assertLess(rss_kib(self.world.pid) - before, 16 * 1024)
        for raw in many:
            raw.close()

    def test_well_framed_refusals_keep_framing(self):
        """After a refused request that is framed well, the next one on the connection is right."""
        raw = self.world.connect()
        raw.send(b"POST /nowhere HTTP/1.1\r\n" + HOST + LEN + b"\r\n" + BODY)
        self.assertEqual(raw.read_reply().status, 404)
        try:
            raw.send(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
            self.assertEqual(raw.read_reply().status, 200)
        except (AssertionError, OSError):
            self.assertTrue(raw.eof, "neither answered nor closed")


if __name__ == "__main__":
    unittest.main()
