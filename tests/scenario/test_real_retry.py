"""What a second try cannot mend is asked once: the real client libraries, with retries allowed.

openai and @anthropic-ai/sdk ask twice more after any 5xx, unless the answer says not to.
"""
import os
import re
import unittest

from harness import ANTHROPIC, OPENAI, Scenario, ask, told_in_words
from real import Node, npm
from test_draft import GpuWorld

RETRIES = 2
TOO_MUCH = {"ctx": "1048576", "gpu-layers": "all", "parallel": "1"}  # 96 GiB of cache


class RetryWorld(GpuWorld):
    def __init__(self, presets=None, server=None, defaults=None):
        super().__init__({"a": {"default": "true"}, "big": TOO_MUCH, "gone": {}, "broken": {},
                          "nobody": {"engine": "/nowhere/llama-server"}, "fails": {}, "oom": {},
                          "crashes": {}}, server, defaults)
        os.unlink(self.path("models", "gone.gguf"))
        with open(self.path("models", "broken.gguf"), "r+b") as file:
            file.truncate(1000)
        self.fake("fails", exit_at_start=1, cause="flag")
        self.fake("oom", exit_at_start=1, cause="oom")
        self.fake("crashes", exit_at_start=1)


class Retry:
    """What both libraries must do."""
    world_type = RetryWorld
    script = case = path = None

    def setUp(self):
        npm()
        super().setUp()

    def requests(self, preset):
        text = self.world.http("GET", "/metrics").body.decode()
        return int(re.search(rf'^ancalagon_requests_total{{preset="{preset}"}} (\d+)$', text, re.M)[1])

    def refused(self, preset, status=503, **more):
        """The error that the library threw, and how many requests that took."""
        before = self.requests(preset)
        body = told_in_words(self.path, {"model": preset, "max_tokens": 4,
                                         "messages": ask()["messages"], **more})
        with Node(self.world, self.script, self.case, retries=RETRIES, body=body) as node:
            error = node.error()
        self.assertEqual(error["status"], status, error)
        return error["message"], self.requests(preset) - before

    def asked_once(self, preset, words):
        message, count = self.refused(preset)
        self.assertIn(words, message)
        self.assertEqual(count, 1, f"{preset}: {message}")

    def test_it_cannot_fit(self):
        self.asked_once("big", "does not fit")

    def test_no_such_file(self):
        self.asked_once("gone", "cannot read the model")

    def test_a_file_that_is_cut_short(self):
        self.asked_once("broken", "broken.gguf")

    def test_no_such_engine(self):
        self.asked_once("nobody", "cannot find the engine")

    def test_the_engine_refuses_the_preset(self):
        self.asked_once("fails", "--not-a-flag")
        self.asked_once("oom", "memory")

    def test_what_the_engine_cannot_do(self):
        _, count = self.refused("a", 501, fake={"status": 501})
        self.assertEqual(count, 1)

    def test_a_crash_is_tried_again(self):
        message, count = self.refused("crashes")
        self.assertIn("told to fail", message)
        self.assertEqual(count, 1 + RETRIES, "or the tests above show nothing")

    def test_an_engine_that_recovers(self):
        self.world.fake("crashes", exit_at_start=1, fault_starts=1)
        body = {"model": "crashes", "max_tokens": 4, "messages": ask()["messages"]}
        with Node(self.world, self.script, self.case, retries=RETRIES, body=body) as node:
            self.assertTrue(node.result())

    def test_the_field(self):
        def field(preset):
            return self.world.http("POST", self.path, ask(preset)).header("x-should-retry")
        self.assertEqual(field("big"), "false")
        self.assertIsNone(field("crashes"))
        self.assertIsNone(field("a"))

    def test_nothing_loads_by_itself(self):
        self.world.server_keys["on-demand"] = "off"
        self.world.write_config()
        self.assertEqual(self.world.control("POST", "/reload").status, 200)
        reply = self.world.http("POST", self.path, ask("a"))
        self.assertEqual((reply.status, reply.header("x-should-retry")), (503, "false"))


class OpenAI(Retry, Scenario):
    script, case, path = "openai.mjs", "chat", OPENAI


class AnthropicSdk(Retry, Scenario):
    script, case, path = "anthropic.mjs", "create", ANTHROPIC


if __name__ == "__main__":
    unittest.main()
