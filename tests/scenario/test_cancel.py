"""A client that leaves, in any manner and at any time, frees the engine."""
import os
import unittest

from harness import ANTHROPIC, OPENAI, Scenario, eventually

LEAVING = {"close": lambda raw: raw.close(), "reset": lambda raw: raw.reset(),
           "half_close": lambda raw: raw.half_close()}


class Leaving(Scenario):
    def gone_at_engine(self, count):
        def check():
            stats = self.world.stats()
            return stats["closed_early"] >= count and stats["active"] == 0
        eventually(check, "the engine was told that the client has left")

    def leave(self, path, stream, when, how):
        self.chat_ok(path=path)
        pid = self.world.engines()[-1]["pid"]
        fake = {"first_ms": 60000} if when == "before_first_byte" else {"tokens": 2, "then": "idle"}
        raw = self.raw_ask("a", path, stream=stream, fake=fake)
        self.wait_active(1)
        if when == "mid_stream":
            raw.read_until("w\u00f6rld".encode())
        LEAVING[how](raw)
        self.gone_at_engine(1)
        self.assertEqual(self.chat_ok(path=path)["fake"]["pid"], pid, "the engine was restarted")

    def test_100_leave_at_once(self):
        self.chat_ok()
        clients = [self.raw_ask("a", stream=i % 2 == 0, fake={"first_ms": 60000})
                   for i in range(100)]
        self.wait_active(100)
        for i, raw in enumerate(clients):
            list(LEAVING.values())[i % 3](raw)
        self.gone_at_engine(100)

    def test_leaves_with_a_body_half_sent(self):
        self.chat_ok()
        before = self.world.stats()["requests"]
        raw = self.world.connect()
        raw.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        raw.reset()
        self.chat_ok()
        self.assertEqual(self.world.stats()["requests"], before + 1)

    def test_shutdown_tells_the_callers(self):
        """Clients in the middle of an answer when the server ends get an end they can tell."""
        raw = self.raw_ask("a", stream=True, fake={"tokens": 2, "then": "idle"})
        raw.read_until("w\u00f6rld".encode())
        self.world.process.terminate()
        rest = raw.read_all()
        self.assertIn(b"error", rest)
        self.end()


for _path, _protocol in ((OPENAI, "openai"), (ANTHROPIC, "anthropic")):
    for _when in ("before_first_byte", "mid_stream"):
        for _how in LEAVING:
            for _stream in (True, False):
                if _when == "mid_stream" and not _stream:
                    continue

                def _test(self, path=_path, stream=_stream, when=_when, how=_how):
                    self.leave(path, stream, when, how)
                setattr(Leaving, f"test_{_how}_{_when}_{_protocol}_"
                        f"{'stream' if _stream else 'body'}", _test)

Leaving.defaults = {"parallel": "128"}


class LeavingTheQueue(Scenario):
    defaults = {"parallel": "1"}
    server = {"max-hold": "30s"}

    def test_while_queued_for_another_preset(self):
        self.chat_ok("a")
        busy = self.raw_ask("a", fake={"first_ms": 60000})
        self.wait_active(1)
        for stream in (True, False):
            for how, leave in LEAVING.items():
                with self.subTest(how=how, stream=stream):
                    raw = self.raw_ask("b", stream=stream)
                    eventually(lambda: self.world.status()["queued"] == 1, "it queues")
                    leave(raw)
                    eventually(lambda: self.world.status()["queued"] == 0, "it has left")
        busy.close()
        self.assertEqual(self.chat_ok("a")["fake"]["model"], "a.gguf")
        self.assertFalse([log for log in self.world.engine_logs()
                          if any("b.gguf" in arg for arg in log["argv"])],
                         "an engine was started for nobody")

    def test_while_queued_for_a_slot(self):
        self.chat_ok("a")
        busy = self.raw_ask("a", fake={"first_ms": 60000})
        self.wait_active(1)
        before = self.world.stats()["finished"]
        queued = [self.raw_ask("a") for _ in range(5)]
        eventually(lambda: self.world.status()["queued"] + self.world.stats()["waiting"] == 5,
                   "they queue")
        for raw in queued:
            raw.close()
        eventually(lambda: self.world.status()["queued"] + self.world.stats()["waiting"] == 0,
                   "they have left")
        busy.close()
        self.chat_ok("a")
        self.assertEqual(self.world.stats()["finished"], before + 1)

    def test_while_the_engine_loads(self):
        hold = self.world.hold()
        self.world.fake("a", load_hold=hold)
        raw = self.raw_ask("a", stream=True)
        self.wait_state("loading", "a")
        raw.reset()
        eventually(lambda: self.world.status()["queued"] == 0, "it has left")
        os.unlink(hold)
        self.assertEqual(self.chat_ok("a")["fake"]["model"], "a.gguf")


if __name__ == "__main__":
    unittest.main()
