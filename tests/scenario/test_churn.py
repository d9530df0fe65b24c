"""Many connections, coming and going in every way: nothing leaked."""
import os
import random
import socket
import unittest

from harness import (OPENAI, Scenario, ask, eventually, in_threads, request_bytes, rss_kib)

alone = True  # it measures memory and open files under load
CHURN = int(os.environ.get("ANCALAGON_TEST_CHURN", "4000"))


class Churn(Scenario):
    defaults = {"parallel": "700"}

    def test_churned_connections(self):
        self.chat_ok()
        request = request_bytes(OPENAI, ask(stream=True, fake={"tokens": 3, "interval_ms": 1}))
        slow = request_bytes(OPENAI, ask(stream=True, fake={"first_ms": 60000}))
        whole = request_bytes(OPENAI, ask())

        def served(raw):
            raw.send(whole)
            self.assertEqual(raw.read_reply().status, 200)
            raw.close()

        def streamed(raw):
            raw.send(request)
            raw.read_until(b"[DONE]")
            raw.close()

        kinds = (
            served, streamed,
            lambda raw: raw.close(),
            lambda raw: raw.reset(),
            lambda raw: (raw.send(whole[:40]), raw.close()),
            lambda raw: (raw.send(whole[:40]), raw.reset()),
            lambda raw: (raw.send(whole[:-3]), raw.reset()),
            lambda raw: (raw.send(slow), raw.close()),
            lambda raw: (raw.send(slow), raw.reset()),
            lambda raw: (raw.send(request), raw.read_until(b"Hello"), raw.reset()),
            lambda raw: (raw.send(request), raw.half_close(), raw.read_all(), raw.close()),
            lambda raw: (raw.send(b"\x00garbage\r\n\r\n"), raw.read_all(), raw.close()),
        )
        from harness import Raw, scaled

        def worker(i):
            luck = random.Random(i)
            for _ in range(CHURN // 8):
                raw = Raw(socket.create_connection((self.world.host, self.world.port),
                                                   scaled(20)), 20)
                try:
                    luck.choice(kinds)(raw)
                finally:
                    raw.close()

        in_threads(8, worker, 20 + CHURN / 40)  # first round: pools and arenas find their size
        before = rss_kib(self.world.pid)
        in_threads(8, worker, 20 + CHURN / 40)
        eventually(lambda: self.world.stats()["active"] == 0, "no request is left at the engine")
        # Who came and left at once may not have been read yet.
        eventually(self.nobody, "nobody is left at the server")
        eventually(lambda: rss_kib(self.world.pid) - before < 4096, "no memory is left behind")
        self.chat_ok()

    test_churned_connections.seconds = 240 + CHURN / 20

    def nobody(self):
        status = self.world.status()
        return (status["inflight"], status["queued"]) == (0, 0)

    def test_500_idle_streams(self):
        self.world.fake("a", slots=0)
        self.chat_ok()
        before = rss_kib(self.world.pid)
        streams = []
        for _ in range(500):
            raw = self.world.connect()
            raw.send(request_bytes(OPENAI, ask(stream=True, fake={"tokens": 1, "then": "idle"})))
            streams.append(raw)
        self.wait_active(500)
        for raw in streams:
            raw.read_until(b"Hello")
        grown = rss_kib(self.world.pid) - before
        self.assertLess(grown, 8 * 1024, "more than 8 MB for 500 idle streams")
        self.assertEqual(self.world.status()["inflight"], 500)
        for raw in streams:
            raw.close()
        eventually(lambda: self.world.stats()["active"] == 0, "all are cancelled")
        self.chat_ok()

    def test_many_connections_that_say_nothing(self):
        """Idle connections cost little and do not shut others out."""
        idle = [self.world.connect() for _ in range(800)]
        self.chat_ok()
        for raw in idle:
            raw.close()

    def test_switching_does_not_leak(self):
        for _ in range(5):
            for preset in "abc":
                self.chat_ok(preset)


if __name__ == "__main__":
    unittest.main()
