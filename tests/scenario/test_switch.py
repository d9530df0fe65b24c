"""Switching: one engine at a time, nothing lost, nobody answered by the wrong preset."""
import os
import random
import threading
import unittest

from harness import (ANTHROPIC, OPENAI, Sampler, Scenario, assert_error_body, eventually,
                     in_threads, witness_of)


class Switching(Scenario):
    def test_50_random_switches_under_load(self):
        """Four clients ask random presets, a fifth switches by hand; all answers are accounted."""
        seed = random.randrange(1 << 30)
        done = threading.Event()
        answers = []

        def client(i):
            luck = random.Random(seed + i)
            count = 0
            while not done.is_set() or count < 8:
                preset = luck.choice("abc")
                tag = f"{i}-{count}"
                path = luck.choice((OPENAI, ANTHROPIC))
                if luck.random() < 0.5:
                    body = self.chat_ok(preset, path, fake={"tag": tag}, timeout=60)
                    got = body["fake"]
                else:
                    fake = {"tag": tag, "witness": path == ANTHROPIC}
                    stream = self.open_stream(preset, path, fake=fake, timeout=60)
                    self.assertEqual(stream.status, 200)
                    events = list(stream.events())
                    stream.close()
                    got = witness_of(events)
                    self.assertTrue(stream.complete)
                answers.append((preset, got["model"], tag, got["tag"]))
                count += 1

        def switcher(_):
            luck = random.Random(seed)
            try:
                for _ in range(50):
                    preset = luck.choice("abc")
                    reply = self.world.control("POST", "/switch", {"preset": preset}, 60)
                    self.assertEqual(reply.status, 200, reply)
                    self.assertEqual(reply.json()["preset"], preset)
            finally:
                done.set()

        for preset in "abc":  # long enough in between for the sampler to look
            self.world.fake(preset, load_ms=30)
        with Sampler(self.world) as sampler:
            in_threads(5, lambda i: switcher(i) if i == 4 else client(i), 110)
        self.assertLessEqual(sampler.most, 1, f"seed {seed}: {sampler.witness}")
        self.assertGreater(len(sampler.seen), 10, "too few looks to mean anything")
        self.assertEqual(self.world.overlaps(), [])
        for asked, model, tag, got in answers:
            self.assertEqual((f"{asked}.gguf", tag), (model, got), f"seed {seed}")

    def test_failed_start_brings_the_previous_back(self):
        self.chat_ok("a")
        self.world.fake("b", exit_at_start=1, cause="oom")
        reply = self.world.control("POST", "/switch", {"preset": "b"})
        self.assertGreaterEqual(reply.status, 400)
        self.assertIn("memory", reply.json()["error"]["message"].lower())
        self.wait_state("ready", "a")
        for path in (OPENAI, ANTHROPIC):
            text = assert_error_body(self, path, self.chat("b", path))
            self.assertTrue(text)
            self.assertEqual(self.chat_ok("a", path)["fake"]["model"], "a.gguf")

    def test_joiners_share_one_switch(self):
        self.chat_ok("a")
        hold = self.world.hold()
        self.world.fake("b", load_hold=hold)

        def let_go():
            self.wait_queued(12)
            os.unlink(hold)
        bodies = in_threads(13, lambda i: self.chat_ok("b", fake={"tag": str(i)}) if i < 12
                            else let_go())[:12]
        self.assertEqual([body["fake"]["tag"] for body in bodies], [str(i) for i in range(12)])
        self.assertEqual(len({body["fake"]["pid"] for body in bodies}), 1)
        starts = [log for log in self.world.engine_logs() if any("b.gguf" in arg
                                                                 for arg in log["argv"])]
        self.assertEqual(len(starts), 1)

    def test_drains_before_it_stops(self):
        hold = self.world.hold()
        stream = self.open_stream("a", fake={"hold": hold})
        waiting = self.raw_ask("b")
        self.wait_queued(1)
        os.unlink(hold)
        self.assertEqual(waiting.read_reply().json()["fake"]["model"], "b.gguf")
        events = list(stream.events())
        self.assertEqual(events[-1].data, "[DONE]")

    def test_switch_to_the_loaded_one_is_nothing(self):
        pid = self.chat_ok("a")["fake"]["pid"]
        self.assertEqual(self.world.control("POST", "/switch", {"preset": "a"}).status, 200)
        self.assertEqual(self.chat_ok("a")["fake"]["pid"], pid)

    def test_switch_to_an_unknown_one(self):
        self.chat_ok("a")
        reply = self.world.control("POST", "/switch", {"preset": "nobody"})
        self.assertEqual(reply.status, 404, reply)
        self.assertIn("nobody", reply.json()["error"]["message"])
        self.wait_state("ready", "a")

    def test_bad_switch_requests(self):
        for body in (b"", b"{", b"[]", b"{}", b'{"preset":7}', b'{"preset":""}'):
            with self.subTest(body=body):
                reply = self.world.control("POST", "/switch", body)
                self.assertIn(reply.status, range(400, 500), reply)
                self.assertTrue(reply.json()["error"]["message"])

    def test_off_while_loading(self):
        self.world.fake("a", load_ms=60000)
        self.raw_ask("a")
        self.wait_state("loading", "a")
        self.assertLess(self.world.control("POST", "/off", {}).status, 400)
        eventually(lambda: not self.world.engine_pids(), "the loading engine is gone")

    def test_off_while_clients_go_on_asking(self):
        """It unloads, and says so, although the next request loads again."""
        stop, pid = threading.Event(), self.chat_ok("a")["fake"]["pid"]

        def client(_):
            while not stop.is_set():
                reply = self.chat("a", fake={"tokens": 3, "interval_ms": 20})
                if reply.status != 200:  # it was waiting when off was asked for
                    self.assertIn("switched off", reply.json()["error"]["message"])

        def operator():
            try:
                for _ in range(3):
                    reply = self.world.control("POST", "/off", {}, timeout=20)
                    self.assertEqual((reply.status, reply.json()["state"]), (200, "off"))
                    self.assertNotIn(pid, self.world.engine_pids())
            finally:
                stop.set()

        in_threads(4, lambda i: operator() if i == 3 else client(i))

    def test_off_overruled_in_the_drain(self):
        hold = self.world.hold()
        stream = self.open_stream("a", fake={"hold": hold})
        self.wait_active(1)
        answers = []
        off = threading.Thread(target=lambda: answers.append(self.world.control("POST", "/off", {})))
        off.start()
        eventually(lambda: "control.off" in self.world.server_log(), "off is asked for")
        self.assertEqual(self.world.control("POST", "/switch", {"preset": "a"}).status, 200)
        off.join()
        self.assertEqual(answers[0].status, 409)
        self.assertIn("in between", answers[0].json()["error"]["message"])
        os.unlink(hold)
        self.assertEqual(list(stream.events())[-1].data, "[DONE]")

    def test_another_switch_while_loading(self):
        hold = self.world.hold()
        self.world.fake("a", load_hold=hold)
        threading.Thread(target=self.world.control, daemon=True,
                         args=("POST", "/switch", {"preset": "a"})).start()
        self.wait_state("loading", "a")
        waiting = self.raw_ask("b")
        self.wait_queued(1)
        os.unlink(hold)
        self.assertEqual(waiting.read_reply().json()["fake"]["model"], "b.gguf")


class Groups(Scenario):
    presets = {"a": {"group": "one"}, "b": {"group": "two"}, "c": {"group": "one"}}

    def setUp(self):
        super().setUp()
        for name in "abc":
            self.world.fake(name, exclusive=self.world.path(
                "log", "alive-" + self.presets[name]["group"]))

    def test_groups_live_side_by_side(self):
        first = self.chat_ok("a")["fake"]["pid"]
        self.chat_ok("b")
        self.assertEqual(self.chat_ok("a")["fake"]["pid"], first, "b pushed a out")
        self.chat_ok("c")
        models = {log["argv"][log["argv"].index(flag) + 1].rsplit("/", 1)[-1]
                  for log in self.world.engines() for flag in ("-m", "--model")
                  if flag in log["argv"]}
        self.assertEqual(models, {"b.gguf", "c.gguf"})
        for group in ("one", "two"):
            self.assertFalse(os.path.exists(self.world.path("log", f"alive-{group}.overlap")))

    def test_moved_into_another_group_while_busy(self):
        """Its engine counts as one of the new group until it has ended."""
        self.chat_ok("b")
        hold = self.world.hold()
        stream = self.open_stream("a", fake={"hold": hold})
        self.wait_active(1)
        old = {log["pid"] for log in self.world.engines()}
        self.world.presets["a"]["group"] = "two"
        self.world.write_config()
        self.assertEqual(self.world.control("POST", "/reload").status, 200)

        def let_go():
            self.wait_queued(1)
            os.unlink(hold)
        with Sampler(self.world) as sampler:
            replies = in_threads(3, lambda i: self.chat_ok("ab"[i], timeout=30) if i < 2
                                 else let_go())[:2]
        self.assertEqual([r["fake"]["model"] for r in replies], ["a.gguf", "b.gguf"])
        self.assertLessEqual(sampler.most, 2, "a third engine beside the two that were there")
        self.assertEqual(list(stream.events())[-1].data, "[DONE]", "its stream was cut")
        self.assertEqual(len(self.world.engine_pids()), 1)
        self.assertFalse(old & {r["fake"]["pid"] for r in replies if r["fake"]["model"] == "a.gguf"})


if __name__ == "__main__":
    unittest.main()
