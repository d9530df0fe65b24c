"""npm's @anthropic-ai/sdk against local-claude's relay: before a bare llama-server, before models that
play a script, and before what stands for LM Studio, apfel and an ancalagon (test_real_sdk.py has it
against the real one)."""
import json
import os
import sys
import unittest

from harness import eventually
from local_world import Local
from real import HERE, Node, model
from test_lmstudio import Fake
from test_real_claude import llama_server

sys.path.insert(0, os.path.join(HERE, "..", "fakes"))
from mock_model import MockModel, Turn, calls, overflow, say  # noqa: E402

HELLO = [{"role": "user", "content": "Say hello."}]
TOOL = {"name": "look", "description": "Looks at a place.", "input_schema": {
    "type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}}


class Relay(Local):
    def open(self, port, *words, backend="remote"):
        """Starts a run whose claude only waits; its relay is ours."""
        process = self.world.start("--backend", backend, "--port", str(port), *words,
                                   env={"FAKE_CLAUDE": "sleep:1000"})
        env = eventually(self.world.record, "claude is started", 20)["env"]
        self.addCleanup(process.kill)
        self.world.host, self.world.token = "127.0.0.1", env["ANTHROPIC_AUTH_TOKEN"]
        self.world.port = int(env["ANTHROPIC_BASE_URL"].rsplit(":", 1)[1])
        self.name = env["ANTHROPIC_MODEL"]

    def node(self, case, **arguments):
        node = Node(self.world, "anthropic.mjs", case, **arguments)
        self.addCleanup(node.__exit__)
        return node

    def body(self, messages=HELLO, max_tokens=6, **more):
        return {"model": self.name, "messages": messages, "max_tokens": max_tokens, "temperature": 0,
                **more}

    def both(self, **more):
        """The message, whole and as a stream."""
        yield "create", self.node("create", body=self.body(**more)).result()
        yield "stream", self.node("stream", body=self.body(**more)).result()["message"]

    def refused(self, kind, status, **more):
        for case in ("create", "stream"):
            error = self.node(case, body=self.body(**more)).error()
            self.assertIn(kind, error["classes"], error)
            self.assertEqual((error["status"], error["body"]["type"]), (status, "error"), error)
        return error["body"]["error"]


class OverLlamaServer(Relay):
    def setUp(self):
        super().setUp()
        self.open(llama_server(self, model(), "-c", "4096", "--temp", "0"))

    def test_all(self):
        for _, message in self.both():
            self.assertEqual((message["stop_reason"], message["usage"]["output_tokens"]),
                             ("max_tokens", 6))
            self.assertTrue(message["content"][0]["text"])
        result = self.node("stream", body=self.body(max_tokens=16)).result()
        events = [event for event in result["events"] if event != "ping"]
        self.assertEqual((events[0], events[-1]), ("message_start", "message_stop"))
        self.assertGreater(events.count("content_block_delta"), 3, "it came in one piece")
        self.assertEqual([model["id"] for model in self.node("models").result()], [self.name])
        count = self.node("count", body={"model": self.name, "messages": HELLO}).result()
        self.assertEqual(count["input_tokens"], sum(
            message["usage"].get(name) or 0
            for name in ("input_tokens", "cache_read_input_tokens")))
        flood = [{"role": "user", "content": "word " * 6000}]
        error = self.refused("BadRequestError", 400, messages=flood)
        self.assertRegex(error["message"], r"^prompt is too long: 60\d\d tokens > 4096 maximum$")
        used = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "the sea"}}
        told = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "It is wide."}
        for _, message in self.both(tools=[TOOL], messages=[
                *HELLO, {"role": "assistant", "content": [used]},
                {"role": "user", "content": [told]}]):
            self.assertEqual(message["usage"]["output_tokens"], 6)


class OverScript(Relay):
    def model(self, *script, **more):
        model = MockModel(script, **more)
        self.addCleanup(model.close)
        self.open(model.port, "--ctx", "64K")
        return model

    def test_words_and_thoughts(self):
        self.model(say("Hello there, and what else?", thinking="They want a greeting."))
        for _, message in self.both(max_tokens=64):
            self.assertEqual([block["type"] for block in message["content"]], ["text"],
                             "who did not ask for thinking gets none")
        wanted = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
        for case, message in self.both(**wanted):
            with self.subTest(case=case):
                self.assertEqual([block["type"] for block in message["content"]],
                                 ["thinking", "text"])
                self.assertEqual(message["content"][0]["thinking"], "They want a greeting.")
                self.assertEqual(message["content"][1]["text"], "Hello there, and what else?")
                self.assertEqual((message["stop_reason"], message["model"]), ("end_turn", self.name))
                self.assertGreater(message["usage"]["input_tokens"], 5)

    def test_parallel_tools_and_their_results(self):
        turn = calls(("look", {"at": "the sea"}), ("look", {"at": "the \u2603 \"moor\""}))
        model = self.model(turn, turn, say("Both seen."))
        for case, message in self.both(tools=[TOOL], max_tokens=64):
            with self.subTest(case=case):
                self.assertEqual(message["stop_reason"], "tool_use")
                self.assertEqual([block["input"] for block in message["content"]],
                                 [{"at": "the sea"}, {"at": "the \u2603 \"moor\""}])
        ids = [block["id"] for block in message["content"]]
        results = [{"type": "tool_result", "tool_use_id": called, "content": text}
                   for called, text in zip(reversed(ids), ("moor", "sea"))]
        answer = self.node("create", body=self.body(tools=[TOOL], messages=[
            *HELLO, {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": results}])).result()
        self.assertEqual(answer["content"][0]["text"], "Both seen.")
        told = [(message["tool_call_id"], message["content"])
                for message in model.chats()[-1]["messages"] if message["role"] == "tool"]
        self.assertEqual(told, list(zip(ids, ("sea", "moor"))), "in the order of the calls")

    def test_a_schema(self):
        model = self.model(say("unused"))
        schema = {"type": "object", "properties": {"title": {"type": "string"}},
                  "required": ["title"], "additionalProperties": False}
        more = {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
        message = self.node("create", body=self.body(max_tokens=64, **more)).result()
        self.assertEqual(json.loads(message["content"][0]["text"]), {"title": "A title"})
        self.assertEqual(model.chats()[-1]["response_format"]["json_schema"]["schema"], schema)

    def test_counting_without_a_counter(self):
        self.model(say("unused"))
        few = self.node("count", body={"model": self.name, "messages": HELLO}).result()
        many = self.node("count", body={"model": self.name, "messages": [
            {"role": "user", "content": "word " * 4000}]}).result()
        self.assertGreater(few["input_tokens"], 0)
        self.assertGreaterEqual(many["input_tokens"], 4000)

    def test_errors(self):
        busy = {"error": {"message": "too many at once", "type": "rate_limit_error"}}
        broken = {"error": {"message": "it fell over", "type": "server_error"}}
        for kind, status, name, turn in (
                ("BadRequestError", 400, "invalid_request_error", overflow(70000, 65536)),
                ("RateLimitError", 429, "rate_limit_error", Turn(status=429, error=busy)),
                ("InternalServerError", 500, "api_error", Turn(status=500, error=broken))):
            with self.subTest(kind=kind):
                self.model(turn)
                self.assertEqual(self.refused(kind, status)["type"], name)


class OverOthers(Relay):
    def fake(self, backend, *words, flags=()):
        fake = Fake(self.world, f"fake_{backend}.py", *words)
        self.addCleanup(fake.close)
        self.open(fake.port, *flags, backend=backend)

    def says(self, answer, **more):
        for case, message in self.both(max_tokens=64, **more):
            with self.subTest(case=case):
                self.assertEqual([(block["type"], block["text"]) for block in message["content"]],
                                 [("text", answer)])
                self.assertEqual((message["stop_reason"], message["model"]), ("end_turn", self.name))
                self.assertGreater(message["usage"]["input_tokens"], 0)
        self.assertEqual([model["id"] for model in self.node("models").result()], [self.name])

    def refuses(self, window):
        count = self.node("count", body={"model": self.name, "messages": [
            {"role": "user", "content": "word " * window}]}).result()
        self.assertGreaterEqual(count["input_tokens"], window)
        error = self.refused("BadRequestError", 400, messages=[{"role": "user", "content": "word " * window}])
        self.assertRegex(error["message"], rf"^prompt is too long: \d+ tokens > {window} maximum$")

    def test_lmstudio(self):
        self.fake("lmstudio", "--loaded", "gemma-3-4b=8192", flags=("--model", "gemma"))
        self.says("A sentence from LM Studio.", stop_sequences=["END"], tools=[TOOL])
        self.refuses(8192)

    def test_apfel(self):
        self.fake("apfel")
        self.says("A sentence from Apple.", stop_sequences=["END"])
        self.refuses(4096)

    def test_an_ancalagon_behind_the_relay(self):
        """Which is asked in the Messages API: its model's name would make Claude Code send its long prompt."""
        backend = self.world.backend(models=("claude-like",))
        self.open(backend.port)
        self.assertEqual(self.name, "local-model")
        self.says(backend.answer, tools=[TOOL])
        self.assertEqual({json.loads(body)["model"] for _, path, _, body in backend.seen
                          if path.startswith("/v1/messages")}, {"claude-like"})


if __name__ == "__main__":
    unittest.main()
