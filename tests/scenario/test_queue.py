"""Waiting: fairly, with a bound, with signs of life."""
import os
import socket
import threading
import unittest

from harness import (ANTHROPIC, OPENAI, Raw, Scenario, ask, assert_error_body, eventually,
                     in_threads, request_bytes, scaled)


class Queue(Scenario):
    def test_steady_load_does_not_starve_another_preset(self):
        """Load on a never pauses; b is served all the same, and a again afterwards."""
        done = threading.Event()
        served = []

        def hammer(_):
            while not done.is_set():
                served.append(self.chat_ok("a", fake={"tokens": 4, "interval_ms": 20},
                                           timeout=60)["fake"]["model"])

        def other(_):
            try:
                eventually(lambda: len(served) >= 4, "the load is steady")
                body = self.chat_ok("b", timeout=60)
                self.assertEqual(body["fake"]["model"], "b.gguf")
                count = len(served)
                eventually(lambda: len(served) > count + 4, "a goes on after b", 20)
            finally:
                done.set()

        in_threads(5, lambda i: other(i) if i == 4 else hammer(i))
        self.assertEqual(set(served), {"a.gguf"})

    def test_steady_streams_do_not_starve_either(self):
        done = threading.Event()

        def hammer(_):
            while not done.is_set():
                stream = self.open_stream("a", fake={"tokens": 10, "interval_ms": 30}, timeout=60)
                self.assertEqual(list(stream.events())[-1].data, "[DONE]")
                stream.close()

        def other(_):
            try:
                self.wait_state("ready", "a")
                stream = self.open_stream("b", timeout=60)
                self.assertEqual(list(stream.events())[-1].data, "[DONE]")
            finally:
                done.set()

        in_threads(4, lambda i: other(i) if i == 3 else hammer(i))

    def test_early_pings_openai(self):
        self.pings(OPENAI)

    def test_early_pings_anthropic(self):
        self.pings(ANTHROPIC)

    def pings(self, path):
        hold = self.world.hold()
        self.world.fake("b", load_hold=hold)
        self.chat_ok("a")
        raw = self.world.connect().send(request_bytes(path, ask("b", stream=True)))
        status, _ = raw.read_head()
        self.assertEqual(status, 200)
        self.assertIn(self.world.status()["state"], ("loading", "stopping"),
                      "headers came only with the engine")
        raw.read_until(b"\n\n")
        self.assertIn(self.world.status()["state"], ("loading", "stopping"),
                      "no ping before the engine was ready")
        os.unlink(hold)
        rest = raw.read_until(b"[DONE]" if path == OPENAI else b"message_stop")
        self.assertIn("\U0001f999".encode(), rest)

    def test_pings_while_prefill_is_slow(self):
        self.chat_ok("a")
        stream = self.open_stream("a", fake={"first_ms": 1500})
        events = list(stream.events())
        self.assertEqual(events[-1].data, "[DONE]")
        self.assertTrue(stream.comments, "a silent connection")

    def test_an_http_error_stays_possible(self):
        """Unknown model, asked as a stream: a 404, not a 200 with an error inside."""
        stream = self.open_stream("nobody")
        self.assertEqual(stream.status, 404)


class Status(Scenario):
    defaults = {"parallel": "1"}
    server = {"max-hold": "30s"}

    def test_queue_is_visible(self):
        self.chat_ok("a")
        busy = self.raw_ask("a", fake={"first_ms": 30000})
        self.wait_active(1)
        waiting = self.raw_ask("b")
        def queued():
            status = self.world.status()
            return status["queued"] and status
        status = eventually(queued, "the waiting request is in status")
        self.assertEqual(status["queue"][0]["preset"], "b")
        self.assertEqual(status["queue"][0]["position"], 1)
        self.assertGreaterEqual(status["queue"][0]["waited_ms"], 0)
        busy.close()
        self.assertEqual(waiting.read_reply().status, 200)
        eventually(lambda: self.world.status()["queued"] == 0, "the queue is empty again")

    def test_no_429_with_one_slot(self):
        replies = in_threads(100, lambda i: self.chat("a", fake={"tag": str(i)}, timeout=60))
        self.assertEqual([r.status for r in replies], [200] * 100)
        self.assertEqual([r.json()["fake"]["tag"] for r in replies], [str(i) for i in range(100)])

    def test_a_greedy_client_does_not_shut_out_another(self):
        """127.0.0.2 queues 30 requests, then 127.0.0.3 one: it must not have to wait for all."""
        self.chat_ok("a")
        hold = self.world.hold()
        self.raw_ask("a", fake={"hold": hold})
        self.wait_active(1)
        order = []

        def client(address, tag):
            sock = socket.create_connection((self.world.host, self.world.port),
                                            scaled(30), source_address=(address, 0))
            raw = Raw(sock, 30)
            self.world.open.append(raw)
            raw.send(request_bytes(OPENAI, ask("a", fake={"first_ms": 60, "tag": tag})))
            self.assertEqual(raw.read_reply().status, 200)
            order.append(tag)

        def run(i):
            if i < 30:
                client("127.0.0.2", "greedy")
            elif i == 30:
                self.wait_queued(30)
                client("127.0.0.3", "modest")
            else:
                self.wait_queued(31)
                os.unlink(hold)

        in_threads(32, run)
        self.assertLess(order.index("modest"), 25, order)


class Bounded(Scenario):
    defaults = {"parallel": "1"}
    server = {"max-queue": "4"}

    def test_beyond_the_bound_is_an_error_in_the_own_protocol(self):
        self.chat_ok("a")
        self.raw_ask("a", fake={"first_ms": 60000})
        self.wait_active(1)

        def full():
            if self.world.status()["queued"] < 4:
                self.raw_ask("a")  # some go on to wait inside the engine
            return self.world.status()["queued"] == 4
        eventually(full, "the queue is full", every=0.2)
        for path in (OPENAI, ANTHROPIC):
            reply = self.chat("a", path)
            self.assertIn(reply.status, (429, 503, 529))
            assert_error_body(self, path, reply)


if __name__ == "__main__":
    unittest.main()
