"""Every way an engine can fail: the caller is told in its own protocol, the next request works."""
import http.client
import unittest

from harness import (ANTHROPIC, OPENAI, Scenario, alive, assert_error_body, eventually,
                     process_state, stream_error)

# What the engine does to one request. Tokens before the fault are sent only when streaming.
FAULTS = {
    "killed": {"tokens": 2, "then": "kill"},
    "killed_before_first_byte": {"tokens": 0, "then": "kill", "first_ms": 50},
    "exits": {"tokens": 2, "then": "exit"},
    "closes": {"tokens": 2, "then": "close"},
    "resets": {"tokens": 2, "then": "reset"},
    "closes_after_headers": {"close_after_headers": True},
    "no_last_chunk": {"tokens": 2, "then": "no_last_chunk"},
    "garbage": {"tokens": 0, "then": "garbage"},
    "error_in_the_middle": {"tokens": 2, "then": "error"},
    "status_500": {"status": 500},
    "hangs_before_first_byte": {"tokens": 0, "then": "wedge"},
    "hangs_in_the_middle": {"tokens": 2, "then": "wedge"},
    "frozen_before_first_byte": {"tokens": 0, "then": "stop"},
    "frozen_in_the_middle": {"tokens": 2, "then": "stop"},
    "one_request_hangs": {"tokens": 2, "then": "hang"},
    "prefill_stuck": {"first_ms": 600000, "prefill_stuck": True},
}


class EngineFaults(Scenario):
    server = {"stall-timeout": "1s"}

    def stream_fails(self, path, fault):
        stream = self.open_stream(path=path, fake=fault, timeout=30)
        stream_error(self, path, stream, str(fault))

    def body_fails(self, path, fault):
        try:
            reply = self.chat(path=path, fake=fault, timeout=30)
        except http.client.IncompleteRead as cut:
            # Half a body is on its way already: all that is left is to let the client see it.
            self.assertIn(fault.get("then"), ("no_last_chunk",))
            self.assertTrue(cut.partial)
            return
        assert_error_body(self, path, reply, str(fault))
        self.assertGreaterEqual(reply.status, 500)

    def next_works(self, path):
        body = self.chat_ok(path=path, fake={"tag": "after"}, timeout=30)
        self.assertEqual(body["fake"]["tag"], "after")


def fault_test(path, stream, fault):
    def test(self):
        self.chat_ok(path=path)  # the engine is up and known to be good
        (self.stream_fails if stream else self.body_fails)(path, fault)
        self.next_works(path)
    return test


for _name, _fault in FAULTS.items():
    for _protocol, _path in (("openai", OPENAI), ("anthropic", ANTHROPIC)):
        for _stream in (True, False):
            if _stream and _name == "no_last_chunk":
                continue  # all of the stream was there: see OddButFine
            setattr(EngineFaults,
                    f"test_{_name}_{_protocol}_{'stream' if _stream else 'body'}",
                    fault_test(_path, _stream, _fault))


class StartFaults(Scenario):
    autostart = False
    defaults = {"load-timeout": "2s"}

    def fails(self, words=(), **knobs):
        self.world.fake("a", **knobs)
        self.world.start()
        for path in (OPENAI, ANTHROPIC):
            text = assert_error_body(self, path, self.chat(path=path, timeout=30), str(knobs))
            for word in words:
                self.assertIn(word, text.lower())
        eventually(lambda: not self.world.engine_pids(), "nothing of the failed start is left")
        self.world.fake("a")
        eventually(lambda: self.chat(timeout=30).status == 200, "it works once repaired", 30, .2)

    def test_out_of_memory(self):
        self.fails(["memory"], exit_at_start=1, cause="oom")

    def test_unknown_tensor_type(self):
        self.fails(["tensor"], exit_at_start=1, cause="tensor")

    def test_bad_model_file(self):
        self.fails(exit_at_start=1, cause="load")

    def test_cannot_bind(self):
        self.fails(exit_at_start=1, cause="bind")

    def test_stale_socket(self):
        self.fails(stale_socket=True)

    def test_exit_zero_at_start(self):
        self.fails(exit_at_start=0)

    def test_exits_late_while_loading(self):
        self.fails(load_ms=60000, exit_after_ms=300)

    def test_never_healthy(self):
        self.fails(never_healthy=True)

    def test_health_hangs(self):
        self.fails(health_hang=True)

    def test_forks_and_exits(self):
        self.fails(fork_and_exit=True)

    def test_frozen_while_loading(self):
        self.fails(load_ms=60000, stop_after_ms=200)

    def test_stream_asked_before_the_start_fails(self):
        """The stream has been pinged open already; it must still end in an error event."""
        self.world.fake("a", exit_at_start=1, exit_ms=1200, cause="oom")
        self.world.start()
        for path in (OPENAI, ANTHROPIC):
            text = stream_error(self, path, self.open_stream(path=path, timeout=30))
            self.assertIn("memory", text.lower())

    def test_engine_that_does_not_exist(self):
        self.world.presets["b"]["engine"] = self.world.path("bin", "no-such-engine")
        self.world.write_config()
        try:
            self.world.start()
        except AssertionError:
            self.assertIn("no-such-engine", self.world.server_log())
            return
        for path in (OPENAI, ANTHROPIC):
            assert_error_body(self, path, self.chat("b", path))
        self.chat_ok("a")


class OddButFine(Scenario):
    """What looks like a fault and is none."""
    autostart = False
    server = {"stall-timeout": "2s"}  # what is slow here takes longer as a whole, and moves sooner

    def good(self, **knobs):
        self.world.fake("a", **knobs)
        self.world.start()
        return self.chat_ok(timeout=30)

    def test_whole_stream_without_its_last_chunk(self):
        self.good()
        for path, last in ((OPENAI, "[DONE]"), (ANTHROPIC, "message_stop"),
                           ("/v1/responses", "response.completed")):
            for fault in ({"then": "no_last_chunk"}, {"then": "no_last_chunk", "framing": "close"}):
                with self.subTest(path=path, fault=fault):
                    stream = self.open_stream(path=path, fake={"tokens": 2, **fault})
                    events = list(stream.events())
                    self.assertTrue(stream.complete)
                    self.assertIn(last, (events[-1].name, events[-1].data))
        self.assertEqual(self.world.status()["presets"][0]["restarts"], 0)

    def test_slow_load(self):
        self.good(load_ms=1500)

    def test_health_503_some_times(self):
        self.good(health_503=5)

    def test_binds_late(self):
        self.good(load_ms=500, late_bind=True)

    def test_floods_its_log(self):
        self.good(log_flood=50000)

    def test_stubborn_grandchild(self):
        self.good(fork_child=True)
        self.world.control("POST", "/off", {})
        eventually(lambda: not self.world.engine_pids(), "the whole group is gone")

    def test_deaf_to_sigterm(self):
        self.good(ignore_sigterm=True)
        self.assertEqual(self.chat_ok("b", timeout=30)["fake"]["model"], "b.gguf")

    def test_old_dialects(self):
        import shutil
        for dialect in ("old", "ik"):
            engine = self.world.path("bin", f"engine-{dialect}")
            shutil.copy(self.world.engine, engine)
            self.world.presets["b" if dialect == "old" else "c"]["engine"] = engine
            self.world.fake("b" if dialect == "old" else "c", dialect=dialect)
        self.world.write_config()
        self.world.start()
        for preset in ("a", "b", "c"):
            self.assertEqual(self.chat_ok(preset)["fake"]["model"], f"{preset}.gguf")

    def test_slow_prefill_that_moves(self):
        self.world.start()
        self.chat_ok()
        pid = self.world.engines()[-1]["pid"]
        for stream in (False, True):
            if stream:
                events = list(self.open_stream(fake={"first_ms": 4000}, timeout=30).events())
                self.assertEqual(events[-1].data, "[DONE]")
            else:
                self.chat_ok(fake={"first_ms": 4000}, timeout=30)
        self.assertTrue(alive(pid), "a working engine was killed")

    def test_slow_tokens(self):
        self.world.start()
        stream = self.open_stream(fake={"tokens": 8, "interval_ms": 500}, timeout=30)
        self.assertEqual(list(stream.events())[-1].data, "[DONE]")

    def test_idle_engine_is_left_alone(self):
        """No work is no progress, and no fault: a quiet engine lives past the stall time."""
        self.world.start()
        pid = self.chat_ok()["fake"]["pid"]
        with self.assertRaises(AssertionError):
            eventually(lambda: not alive(pid), "", 3)
        self.assertNotEqual(process_state(pid), "T")

    def test_split_everywhere(self):
        self.world.start()
        for path in (OPENAI, ANTHROPIC, "/v1/completions", "/v1/responses"):
            with self.subTest(path=path):
                events = list(self.open_stream(path=path, fake={"split": True}).events())
                text = "".join(event.data for event in events)
                self.assertIn("\u6f22\u5b57", text)
                self.assertIn("\U0001f999", text)

    def test_framings(self):
        self.world.start()
        for framing in ("auto", "chunked", "close"):
            for stream in (False, True):
                with self.subTest(framing=framing, stream=stream):
                    fake = {"framing": framing, "tag": framing}
                    if stream:
                        events = list(self.open_stream(fake=fake).events())
                        self.assertEqual(events[-1].data, "[DONE]")
                    else:
                        self.assertEqual(self.chat_ok(fake=fake)["fake"]["tag"], framing)

    def test_body_of_100_mb(self):
        self.world.start()
        size = 100 << 20
        for framing in ("auto", "chunked"):
            reply = self.chat(fake={"body_bytes": size, "framing": framing}, timeout=60)
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.body.count(b"x" * 1024), size // 1024)

    def test_flood_does_not_fill_memory(self):
        """A client that does not read holds the engine back, not the server's memory."""
        from harness import rss_kib
        self.world.start()
        self.chat_ok()
        before = rss_kib(self.world.pid)
        stream = self.open_stream(fake={"then": "flood"})

        def held():
            first = self.world.stats()["tokens"]
            with self.assertRaises(AssertionError):
                eventually(lambda: self.world.stats()["tokens"] > first, "", 0.3, 0.05)
            return True
        for _ in range(100):
            try:
                held()
                break
            except AssertionError:
                continue
        else:
            self.fail("the engine was never held back")
        self.assertLess(rss_kib(self.world.pid) - before, 16 * 1024)
        stream.raw.reset()


class Breaker(Scenario):
    def test_opens_and_says_so(self):
        """An engine that dies at each request is not restarted for ever, and status tells."""
        self.world.fake("b", exit_at_start=1, cause="load")
        self.chat_ok("a")
        starts = lambda: sum("b.gguf" in " ".join(log["argv"]) for log in self.world.engine_logs())
        for _ in range(12):
            assert_error_body(self, OPENAI, self.chat("b", timeout=30))
        preset = next(p for p in self.world.status()["presets"] if p["name"] == "b")
        self.assertTrue(preset["breaker"], preset)
        self.assertTrue(preset["error"], preset)
        self.assertLess(starts(), 12, "a start for each request: there is no breaker")
        self.assertEqual(self.chat_ok("a")["fake"]["model"], "a.gguf")


if __name__ == "__main__":
    unittest.main()
