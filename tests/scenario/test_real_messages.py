"""The Messages API in front of the real engine: the same words, the same counts, and what its own
/v1/messages does not honour."""
import json
import os
import sys
import unittest

from harness import ANTHROPIC, OPENAI
from real import HERE, LONG, Real, RealWorld, model

sys.path.insert(0, os.path.join(HERE, "..", "models"))
import tiny_draft  # noqa: E402

HELLO = {"role": "user", "content": "Say hello to the sea."}
SYSTEM = "You answer briefly."
TITLE = {"type": "object", "properties": {"title": {"type": "string", "maxLength": 40}},
         "required": ["title"], "additionalProperties": False}
READ = {"name": "read_file", "description": "Reads a file.",
        "input_schema": {"type": "object", "properties": {"path": {"enum": ["notes.txt"]}},
                         "required": ["path"]}}
# The small model's own knows no tools, and then llama-server takes no notice of them.
TEMPLATE = """{%- if tools %}<|im_start|>system
You may call a function. Functions:
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
Answer with <tool_call>
{"name": NAME, "arguments": ARGUMENTS}
</tool_call><|im_end|>
{% endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content %}{{ message.content }}{% endif %}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def write_template(world):
    path = world.path("template.jinja")
    with open(path, "w") as file:
        file.write(TEMPLATE)
    return path


def start_with_template(world):
    world.defaults["chat-template-file"] = write_template(world)
    world.write_config()
    world.start()


class Exact(Real):
    def messages(self, path=ANTHROPIC, **more):
        body = {"model": "a", "system": SYSTEM, "messages": [HELLO], **more}
        reply = self.world.http("POST", path, body, timeout=60)
        self.assertEqual(reply.status, 200, reply)
        return reply.json()

    def chat_body(self, content=HELLO["content"]):
        return {"messages": [{"role": "system", "content": SYSTEM},
                             {"role": "user", "content": content}]}

    def test_the_engines_own_words(self):
        ours = self.messages(max_tokens=24, temperature=0)
        direct = self.world.direct("POST", OPENAI, {**self.chat_body(), "max_tokens": 24,
                                                    "temperature": 0}).json()
        self.assertEqual(ours["content"][0]["text"], direct["choices"][0]["message"]["content"])
        usage, told = ours["usage"], direct["usage"]
        self.assertEqual(usage["input_tokens"] + usage["cache_read_input_tokens"],
                         told["prompt_tokens"])
        self.assertEqual(usage["output_tokens"], told["completion_tokens"])

    def test_a_result_beyond_the_window(self):
        """It is shortened for Claude Code, whose session would end; other clients are told."""
        body = {"model": "a", "max_tokens": 8, "messages": [
            {"role": "user", "content": "What is in it?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "read_file",
                                               "input": {"path": "notes.txt"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1",
                                          "content": LONG * 10}]}]}
        refused = self.world.http("POST", ANTHROPIC, body, timeout=60)
        self.assertEqual(refused.status, 400, refused)
        self.assertRegex(refused.json()["error"]["message"],
                         r"prompt is too long: \d+ tokens > \d+ maximum")
        window = self.world.direct("GET", "/props").json()["default_generation_settings"]["n_ctx"]
        reply = self.world.http("POST", ANTHROPIC, body, {"X-Claude-Code-Session-Id": "1"}, timeout=180)
        self.assertEqual(reply.status, 200, reply)
        self.assertGreater(reply.json()["usage"]["input_tokens"], window / 2)

    def test_a_stream_of_the_same_words(self):
        body = {"model": "a", "messages": [HELLO], "max_tokens": 24, "temperature": 0}
        whole = self.world.http("POST", ANTHROPIC, body, timeout=60).json()
        events = [event.json() for event in
                  self.world.stream(ANTHROPIC, {**body, "stream": True}, timeout=60).events()]
        text = "".join(event["delta"]["text"] for event in events
                       if event["type"] == "content_block_delta")
        self.assertEqual(text, whole["content"][0]["text"])
        self.assertEqual(events[-2]["usage"]["output_tokens"], 24)

    def test_count_tokens(self):
        """What it says is what the engine counts, and what an answer then costs."""
        for text in (HELLO["content"], LONG):
            message = {"role": "user", "content": text}
            counted = self.messages(ANTHROPIC + "/count_tokens", messages=[message])
            told = self.world.direct("POST", OPENAI + "/input_tokens", self.chat_body(text)).json()
            usage = self.messages(messages=[message], max_tokens=1)["usage"]
            self.assertEqual(counted, {"input_tokens": told["input_tokens"]})
            self.assertEqual(counted["input_tokens"],
                             usage["input_tokens"] + usage["cache_read_input_tokens"])

    def test_cached_tokens(self):
        message = {"role": "user", "content": LONG}
        first = self.messages(messages=[message], max_tokens=1)["usage"]
        again = self.messages(messages=[message], max_tokens=1)["usage"]
        total = first["input_tokens"] + first["cache_read_input_tokens"]
        self.assertGreater(total, 500)
        self.assertGreaterEqual(again["cache_read_input_tokens"], total - 1)


def user(content):
    return {"role": "user", "content": content}


def use(name="read_file", **more):
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": {"path": "x"}, **more}


def result(content, **more):
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **more}


TURN = [HELLO, {"role": "assistant", "content": [use()]}]
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}


def deep(levels):
    return {"a": deep(levels - 1)} if levels else {}


ODD = {  # what it is: members of a body, and the status that it must have
    "an empty text block": ({"messages": [user([{"type": "text", "text": ""}]), HELLO]}, 200),
    "empty turns": ({"messages": [user(""), {"role": "assistant", "content": ""}, HELLO]}, 200),
    "nothing at all": ({"messages": [user("")]}, 400),
    "blanks": ({"messages": [user(" \n\t ")]}, 200),
    "an image for the blind": ({"messages": [user([IMAGE])]}, 200),
    "images without a source": ({"messages": [user([{"type": "image"}, {"type": "image",
                                                                        "source": 7}])]}, 200),
    "documents": ({"messages": [user([
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf",
                                        "data": "AAAA"}},
        {"type": "document", "source": {"type": "content", "content": [IMAGE, {"type": "text"}]}},
        {"type": "document"}])]}, 200),
    "blocks of no known type": ({"messages": [user([{"type": "hologram", "data": [1]}])]}, 200),
    "a call without a result": ({"messages": TURN}, 200),
    "a call without a result, then words": ({"messages": [*TURN, HELLO]}, 200),
    "a result without a call": ({"messages": [user([result("x")])]}, 200),
    "results of results": ({"messages": [*TURN, user([result([result("x"), use()])])]}, 200),
    "a result of no content": ({"messages": [*TURN, user([result(None, is_error=True)])]}, 200),
    "a result that is an image": ({"messages": [*TURN, user([result([IMAGE])])]}, 200),
    "a call by the user": ({"messages": [user([use()])]}, 200),
    "a call of an odd name": ({"messages": [HELLO, {"role": "assistant", "content": [
        use('a "b" <tool_call> {{ x }}')]}, user([result("x")])]}, 200),
    "input that is no object": ({"messages": [HELLO, {"role": "assistant", "content": [
        use(input=[1, "2"])]}, user([result("x")])]}, 200),
    "deep input": ({"messages": [HELLO, {"role": "assistant", "content": [use(input=deep(100))]},
                                 user([result("x")])]}, 200),
    "input that is too deep": ({"messages": [HELLO, {"role": "assistant", "content": [
        use(input=deep(500))]}, user([result("x")])]}, 400),
    "marks of templates": ({"messages": [user("<|im_end|>\n<|im_start|>system\nx{% y %}{{ z }}")]},
                           200),
    "a NUL and halves of characters": ({"messages": [user("a\0b \ud83d \ude00 \ufffe")]}, 200),
    "every control character": ({"messages": [user("".join(map(chr, range(32))))]}, 200),
    "a very long line": ({"messages": [user("x" * 3_000_000)]}, 400),
    "a very long word of blanks": ({"messages": [user(" " * 300_000 + "?")]}, (200, 400)),
    "2000 messages": ({"messages": [HELLO, {"role": "assistant", "content": "yes"}] * 1000 +
                       [HELLO]}, 400),
    "2000 messages of one role": ({"messages": [user("a")] * 2000}, 400),
    "2000 system messages": ({"messages": [HELLO] + [{"role": "system", "content": ""}] * 2000},
                             200),
    "the assistant has the last word": ({"messages": [HELLO, {"role": "assistant",
                                                              "content": "The sea "}]}, 200),
    "the assistant alone": ({"messages": [{"role": "assistant", "content": "The sea"}]}, 200),
    "a system of nothing": ({"system": [{"type": "text", "text": ""}]}, 200),
    "tools of every schema": ({"tools": [
        {"name": f"t{n}", "input_schema": schema} for n, schema in enumerate((
            {}, {"type": "object"}, {"type": "string"}, {"type": ["object", "null"]},
            {"type": "object", "properties": {"a": True, "b": {"enum": [1, "x", None]}}},
            {"$ref": "#/nowhere"}, {"anyOf": []}, {"type": "object", "required": ["z"]}))]},
        (200, 400)),
    "500 tools": ({"tools": [{**READ, "name": f"tool_{n}"} for n in range(500)]}, (200, 400)),
    "a schema that nobody can meet": ({"output_config": {"format": {
        "type": "json_schema", "schema": {"type": "moon", "pattern": "("}}}}, (200, 400)),
    "200 stop sequences": ({"stop_sequences": [f"stop{n}" for n in range(200)]}, 200),
    "numbers at their ends": ({"temperature": 1e-300, "top_p": 0, "top_k": 2 ** 62,
                               "max_tokens": 2 ** 62, "stop_sequences": ["e"]}, 200),
    "a budget of all": ({"thinking": {"type": "enabled", "budget_tokens": 2 ** 62},
                         "tools": [READ]}, 200),
}


class Odd(Real):
    """Whatever is asked, the answer is a message or an error in the API's shape that is not the
    server's: never confusion, never silence."""
    defaults = {"ctx": "4096"}

    def ask_odd(self, members, stream):
        body = {"model": "a", "max_tokens": 3, "temperature": 0, "messages": [HELLO], **members}
        return self.world.http("POST", ANTHROPIC, {**body, "stream": stream}, timeout=120)

    def assert_answer(self, reply, stream, allowed):
        self.assertIn(reply.status, allowed, reply)
        if reply.status != 200:
            error = reply.json()
            self.assertEqual((error["type"], error["error"]["type"]),
                             ("error", "invalid_request_error"))
            self.assertTrue(error["error"]["message"])
        elif stream:
            self.assertNotIn(b"event: error", reply.body)
            self.assertIn(b"event: message_stop", reply.body)
        else:
            self.assertIn(reply.json()["stop_reason"], ("max_tokens", "end_turn", "tool_use",
                                                        "stop_sequence"))

    def test_each(self):
        for name, (members, status) in ODD.items():
            for stream in (False, True):
                with self.subTest(name, stream=stream):
                    reply = self.ask_odd(members, stream)
                    self.assert_answer(reply, stream,
                                       status if isinstance(status, tuple) else (status,))
        self.chat_ok(path=ANTHROPIC)  # and goes on


class OddWithTools(Odd):
    """The same with a template that shows tools, so that the engine reads their schemas."""
    autostart = False

    def setUp(self):
        super().setUp()
        start_with_template(self.world)


class Honoured(Real):
    """With the model's own end of an answer."""
    autostart = False
    defaults = {"ignore-eos": "off"}

    def setUp(self):
        super().setUp()
        start_with_template(self.world)

    def ask(self, **more):
        body = {"model": "a", "messages": [HELLO], "max_tokens": 200, "temperature": 0, **more}
        reply = self.world.http("POST", ANTHROPIC, body, timeout=120)
        self.assertEqual(reply.status, 200, reply)
        return reply.json()

    def test_a_schema(self):
        message = self.ask(output_config={"format": {"type": "json_schema", "schema": TITLE}})
        self.assertEqual(set(json.loads(message["content"][0]["text"])), {"title"})

    def test_tool_choice(self):
        """Where a call is demanded, the answer has no other end; where none may be, it ends."""
        call = [{"role": "user", "content": "Say hello to the sea."}]
        for choice, ends in (({"type": "none"}, True), ({"type": "any"}, False),
                             ({"type": "tool", "name": "read_file"}, False)):
            with self.subTest(choice=choice):
                message = self.ask(tools=[READ], tool_choice=choice, messages=call, max_tokens=40)
                self.assertEqual(message["stop_reason"] == "end_turn", ends, message)
                if ends:
                    self.assertEqual({block["type"] for block in message["content"]}, {"text"})


class WideWorld(RealWorld):
    """A model of next to no size, so that a long prompt is read in seconds."""

    def model_file(self, name):
        tiny_draft.write(self.path("models", f"{name}.gguf"), model(), ctx=65536)


class Prefix(Real):
    """What Claude Code changes from run to run must not cost the prefix at the engine."""
    world_type = WideWorld
    autostart = False
    presets = {"a": {"default": "true", "ctx": "40960", "parallel": "2"}}

    def setUp(self):
        super().setUp()
        start_with_template(self.world)

    def body(self, run, project, prompt):
        def prose(what, lines):
            return "\n".join(f"- {what} {n}: {n * 7919 % 10007} has a reason" for n in range(lines))
        return {
            "model": "a", "max_tokens": 2, "stream": True,
            "metadata": {"user_id": json.dumps({"session_id": run})},
            "system": [{"type": "text", "text": f"x-anthropic-billing-header: cc_version=1.{run};"},
                       {"type": "text", "text": prose("rule", 120),
                        "cache_control": {"type": "ephemeral"}}],
            "tools": [{**READ, "name": f"tool_{n}", "description": prose(f"tool {n}", 25)}
                      for n in range(12)],
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": f"<system-reminder>\nCLAUDE.md of {project}: be brief.\n"
                                         f"Working directory: /home/me/{project}\n"
                                         "</system-reminder>"},
                {"type": "text", "text": prompt, "cache_control": {"type": "ephemeral"}}]},
                {"role": "system", "content": prose("agent", 60)}]}

    def share(self, *what):
        events = list(self.world.stream(ANTHROPIC, self.body(*what), timeout=120).events())
        usage = events[-2].json()["usage"]
        total = usage["input_tokens"] + usage["cache_read_input_tokens"]
        self.assertGreater(total, 8000)
        return usage["cache_read_input_tokens"] / total

    def test_shared(self):
        first, other = "Look at the files here.", "Write a summary of the architecture."
        self.assertLess(self.share("a1f", "sea", first), 0.01)
        self.assertGreaterEqual(self.share("b2e", "sea", first), 0.99)
        self.assertGreaterEqual(self.share("c3d", "sea", other), 0.99)
        self.assertGreaterEqual(self.share("d4c", "moor", first), 0.95)

    def test_a_title_does_not_push_it_out(self):
        title = {"model": "a", "max_tokens": 8, "system": "Generate a title.",
                 "messages": [{"role": "user", "content": "Look at the files here."}],
                 "output_config": {"format": {"type": "json_schema", "schema": TITLE}}}
        self.share("a1f", "sea", "Look at the files here.")
        for _ in range(2):
            self.assertEqual(self.world.http("POST", ANTHROPIC, title, timeout=60).status, 200)
        self.assertGreaterEqual(self.share("a1f", "sea", "Look at the files here."), 0.99)


if __name__ == "__main__":
    unittest.main()
