"""The Messages API in front of the fake engine: what it is asked, what the client hears."""
import json
import unittest

from harness import (ANTHROPIC, Scenario, ask, assert_error_body, eventually, stream_error)
from real import Node

COUNT, CHAT = "/v1/chat/completions/input_tokens", "/v1/chat/completions"
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
READ = {"name": "read_file", "description": "Reads a file.",
        "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}
PROMPT = "word " * 2500  # more than a quarter of the fake's window of 8192 tokens


class Messages(Scenario):
    def asked(self):
        """Paths that the engine was asked to work on, in order."""
        lines = [entry["line"].split() for entry in self.world.engine_http("/fake/log").json()]
        return [line[1] for line in lines if line[0] == "POST"]

    def last_body(self):
        body = self.world.engine_http("/fake/last").json()["body"]
        return json.loads(body.encode("latin-1"))

    # -- what the engine is asked

    def test_asked_as_a_chat(self):
        body = ask(tools=[READ], tool_choice={"type": "none"},
                   system=[{"type": "text", "text": "x-anthropic-billing-header: cc_version=1;"},
                           {"type": "text", "text": "You are brief.",
                            "cache_control": {"type": "ephemeral"}}])
        self.assertEqual(self.world.http("POST", ANTHROPIC, body).status, 200)
        self.assertEqual(self.asked(), [CHAT])
        asked = self.last_body()
        self.assertEqual(asked["messages"][0], {"role": "system", "content": "You are brief."})
        self.assertEqual(asked["tool_choice"], "none")
        self.assertEqual(asked["tools"][0]["function"]["name"], "read_file")
        self.assertNotIn("cache_control", json.dumps(asked))

    def test_openai_stays_as_it_is(self):
        self.chat_ok(text="word")
        self.assertEqual(self.last_body(), ask(text="word"))

    # -- counted before anything is opened

    def test_counted_when_it_matters(self):
        self.chat_ok(path=ANTHROPIC)
        self.chat_ok(path=ANTHROPIC, text=PROMPT)
        self.assertEqual(self.asked(), [CHAT, COUNT, CHAT])

    def test_too_long(self):
        for stream in (False, True):
            with self.subTest(stream=stream):
                reply = self.chat(path=ANTHROPIC, text=PROMPT, stream=stream,
                                  fake={"prompt": 9000})
                self.assertEqual(reply.status, 400)
                self.assertEqual(assert_error_body(self, ANTHROPIC, reply),
                                 "prompt is too long: 9000 tokens > 8192 maximum")
        self.assertEqual(self.asked(), [COUNT, COUNT], "the engine was made to work on it")

    def test_no_room_for_an_answer(self):
        reply = self.chat(path=ANTHROPIC, text=PROMPT, max_tokens=32000, fake={"prompt": 8000})
        self.assertEqual(assert_error_body(self, ANTHROPIC, reply),
                         "prompt is too long: 8000 tokens > 7680 maximum")

    def test_max_tokens_fit_the_window(self):
        self.chat_ok(path=ANTHROPIC, text=PROMPT, max_tokens=32000, fake={"prompt": 6000})
        self.assertEqual(self.last_body()["max_tokens"], 2192)

    def test_an_engine_that_cannot_count(self):
        self.world.fake("b", no_count=True)
        for _ in range(2):
            self.chat_ok("b", ANTHROPIC, text=PROMPT)
        self.assertEqual(self.asked(), [COUNT, CHAT, CHAT], "asked again and again")
        body = {"model": "b", "messages": [{"role": "user", "content": "hi"}]}
        reply = self.world.http("POST", ANTHROPIC + "/count_tokens", body).json()
        self.assertTrue(reply["estimate"])
        self.assertGreater(reply["input_tokens"], 0)

    def test_count_tokens(self):
        body = {"model": "a", "messages": [{"role": "user", "content": "hi"}],
                "fake": {"prompt": 1234}}
        reply = self.world.http("POST", ANTHROPIC + "/count_tokens", body)
        self.assertEqual(reply.json(), {"input_tokens": 1234})

    # -- what the client hears

    def test_tool_calls(self):
        message = self.chat_ok(path=ANTHROPIC, tools=[READ], fake={"calls": 2})
        self.assertEqual([block["type"] for block in message["content"]],
                         ["text", "tool_use", "tool_use"])
        self.assertEqual(message["stop_reason"], "tool_use")
        stream = self.open_stream(path=ANTHROPIC, tools=[READ], fake={"calls": 2})
        events = [event.json() for event in stream.events()]
        pieces = ["".join(event["delta"]["partial_json"] for event in events
                          if event["type"] == "content_block_delta" and event["index"] == index
                          and event["delta"]["type"] == "input_json_delta") for index in (1, 2)]
        self.assertEqual([json.loads(piece) for piece in pieces], [{"path": "f0"}, {"path": "f1"}])
        self.assertEqual(events[-2]["delta"]["stop_reason"], "tool_use")

    def test_usage(self):
        for stream in (False, True):
            more = {"fake": {"prompt": 100, "cached": 90, "tokens": 3}}
            if stream:
                events = list(self.open_stream(path=ANTHROPIC, **more).events())
                usage = events[-2].json()["usage"]
            else:
                usage = self.chat_ok(path=ANTHROPIC, **more)["usage"]
            self.assertEqual((usage["input_tokens"], usage["cache_read_input_tokens"],
                              usage["output_tokens"]), (10, 90, 3))

    def test_counters(self):
        self.chat_ok(path=ANTHROPIC, fake={"tokens": 7})
        list(self.open_stream(path=ANTHROPIC, fake={"tokens": 5}).events())
        metrics = self.world.http("GET", "/metrics").body.decode()
        self.assertIn('ancalagon_generated_tokens_total{preset="a"} 12', metrics)

    def test_a_busy_engine(self):
        reply = self.chat(path=ANTHROPIC, fake={"status": 503})
        self.assertEqual(reply.status, 503)
        self.assertEqual(reply.json()["error"]["type"], "overloaded_error")

    def test_a_mistake_is_told_before_anything_is_loaded(self):
        for body, place in ((ask(messages=[{"role": "user", "content": 7}]), "messages.0.content"),
                            ({key: value for key, value in ask().items() if key != "max_tokens"},
                             "max_tokens"),
                            (ask(tools=[{"name": "x"}]), "tools.0")):
            with self.subTest(place=place):
                reply = self.world.http("POST", ANTHROPIC, body)
                self.assertEqual(reply.status, 400)
                self.assertIn(place, assert_error_body(self, ANTHROPIC, reply))
        self.assertEqual(self.world.engine_pids(), [])

    def test_server_tools_need_no_engine(self):
        message = self.world.http("POST", ANTHROPIC, ask(tools=[SEARCH])).json()
        self.assertIn("web_search", message["content"][0]["text"])
        events = list(self.open_stream(path=ANTHROPIC, tools=[SEARCH]).events())
        self.assertEqual(events[-1].name, "message_stop")
        self.assertEqual(self.world.engine_pids(), [])

    def test_opened_while_it_loads(self):
        self.world.fake("b", load_ms=2500)
        stream = self.open_stream("b", ANTHROPIC)
        names = []
        for event in stream.events():
            if not names:
                self.assertEqual(self.world.status()["state"], "loading")
            names.append(event.name)
        self.assertTrue(stream.comments, "no ping while it loaded")
        self.assertEqual(names.count("message_start"), 1)
        self.assertEqual(names[-1], "message_stop")

    def test_refused_after_it_was_opened(self):
        """The engine is asked late, the stream is open: the error is its last event."""
        self.world.fake("b", load_ms=2500)
        text = stream_error(self, ANTHROPIC, self.open_stream("b", ANTHROPIC, text=PROMPT,
                                                              fake={"prompt": 9000}))
        self.assertEqual(text, "prompt is too long: 9000 tokens > 8192 maximum")

    # -- what Claude Code asks besides

    def test_head_of_the_root(self):
        self.assertEqual(self.world.http("HEAD", "/").status, 200)

    def test_models(self):
        headers = {"anthropic-version": "2023-06-01"}

        def page(query):
            return self.world.http("GET", f"/v1/models{query}", headers=headers).json()
        everything = page("?limit=1000")
        self.assertEqual([model["id"] for model in everything["data"]], ["a", "b", "c"])
        self.assertEqual(set(everything), {"data", "has_more", "first_id", "last_id"})
        self.assertEqual(set(everything["data"][0]), {"type", "id", "display_name", "created_at"})
        self.assertEqual((everything["has_more"], everything["first_id"], everything["last_id"]),
                         (False, "a", "c"))
        first = page("?limit=2")
        self.assertEqual((first["has_more"], first["last_id"]), (True, "b"))
        rest = page("?limit=2&after_id=b")
        self.assertEqual([model["id"] for model in rest["data"]], ["c"])
        self.assertFalse(rest["has_more"])
        self.assertEqual(page("?after_id=c")["first_id"], None)
        one = page("/b")
        self.assertEqual((one["type"], one["id"]), ("model", "b"))
        self.assertEqual(self.world.http("GET", "/v1/models").json()["object"], "list")


class Window(Scenario):
    presets = {"a": {"default": "true"}}

    def test_the_one_that_the_engine_runs_with(self):
        """Not that of the file: the engine says what a slot has."""
        self.world.fake("a", n_ctx=2048)
        reply = self.chat(path=ANTHROPIC, text=PROMPT, fake={"prompt": 3000})
        self.assertEqual(assert_error_body(self, ANTHROPIC, reply),
                         "prompt is too long: 3000 tokens > 2048 maximum")

    def test_left_while_it_is_counted(self):
        raw = self.raw_ask(path=ANTHROPIC, text=PROMPT, fake={"first_ms": 30000})
        self.wait_active(1)
        raw.close()
        eventually(lambda: self.world.stats()["closed_early"] == 1, "the count is given up", 1)
        self.assertEqual(self.world.stats()["requests"], 1, "asked for a client that has left")

    def test_a_count_that_fails(self):
        """The engine's own word on the request itself is what the client hears."""
        reply = self.chat(path=ANTHROPIC, text=PROMPT, fake={"status": 500})
        self.assertEqual(reply.status, 500)
        self.assertEqual(self.world.stats()["requests"], 2)


class Sdk(Scenario):
    """What @anthropic-ai/sdk makes of it."""

    def node(self, case, **more):
        body = ask(**more)
        words = f"hi [fake {json.dumps(body.pop('fake', {}))}]"
        body["messages"] = [{"role": "user", "content": words}]
        return Node(self.world, "anthropic.mjs", case, body=body)

    def test_tools(self):
        for case, paths in (("stream", ["f0", "f1"]), ("create", ["f", "f"])):
            with self.subTest(case=case), self.node(case, tools=[READ], fake={"calls": 2}) as node:
                result = node.result()
                message = result["message"] if case == "stream" else result
                calls = [block for block in message["content"] if block["type"] == "tool_use"]
                self.assertEqual([call["input"]["path"] for call in calls], paths)
                self.assertEqual(len({call["id"] for call in calls}), 2)
                self.assertEqual(message["stop_reason"], "tool_use")

    def test_opened_while_it_loads(self):
        """Its message is whole, with the usage that was known only at the end."""
        self.world.fake("b", load_ms=2500)
        with self.node("stream", model="b", fake={"prompt": 50, "cached": 40, "tokens": 3}) as node:
            message = node.result()["message"]
        usage = message["usage"]
        self.assertEqual((usage["input_tokens"], usage["cache_read_input_tokens"],
                          usage["output_tokens"]), (10, 40, 3))

    def test_error_in_an_open_stream(self):
        self.world.fake("b", load_ms=2500)
        with self.node("stream", model="b", fake={"status": 400}) as node:
            self.assertIn("told to fail", node.error()["message"])


if __name__ == "__main__":
    unittest.main()
