"""What the installed Claude Code sends by itself, recorded on the spot, goes through the relay: what
must hold for every one of its requests."""
import json
import os
import sys
import unittest
import urllib.request

from harness import eventually, scaled
from local_world import Local
from real import CLIENTS, HERE
from test_real_claude import claude_code

sys.path[:0] = [os.path.join(HERE, "..", "fakes"), CLIENTS]
from mock_model import MockModel, say, text_of  # noqa: E402
from record_claude import record  # noqa: E402


class Recorded(Local):
    def setUp(self):
        super().setUp()
        self.claude = claude_code()
        self.model = MockModel([say("Yes.")])
        self.addCleanup(self.model.close)
        process = self.world.start("--backend", "remote", "--port", str(self.model.port), "--ctx",
                                   "128K", env={"FAKE_CLAUDE": "sleep:100"})
        self.addCleanup(process.kill)
        self.env = eventually(self.world.record, "claude is started", 20)["env"]

    def relayed(self, body):
        """The bytes that reach the model, and the answer."""
        before = len(self.model.asked())
        request = urllib.request.Request(
            self.env["ANTHROPIC_BASE_URL"] + "/v1/messages?beta=true",
            json.dumps({**body, "stream": False}).encode(),
            {"Content-Type": "application/json", "anthropic-version": "2023-06-01",
             "Authorization": f"Bearer {self.env['ANTHROPIC_AUTH_TOKEN']}"})
        with urllib.request.urlopen(request, timeout=scaled(20)) as reply:
            answer = json.load(reply)
        asked = self.model.asked()
        self.assertEqual(len(asked), before + 1)
        return asked[-1], answer

    def test_what_holds_for_all(self):
        recorded = record(self.claude)
        self.assertIn("x-anthropic-billing-header", json.dumps(recorded["plain"]),
                      "it is there to be dropped")
        self.assertIn("cache_control", json.dumps(recorded["plain"]))
        self.assertTrue(any(message["role"] == "system" for body in recorded["plain"]
                            for message in body["messages"]), "it is there to be folded")
        for name, bodies in recorded.items():
            self.assertTrue(bodies, name)
            for body in bodies:
                with self.subTest(run=name, tools=len(body.get("tools", []))):
                    self.check(body)

    def check(self, body):
        sent, answer = self.relayed(body)
        self.assertEqual(answer["type"], "message")
        again, _ = self.relayed(shuffled(body))
        self.assertEqual(again, sent, "session, cache marks and billing leave no trace")
        for word in (b"x-anthropic-billing-header", b"cache_control", b"session_id", b"device_id"):
            self.assertNotIn(word, sent)
        chat = json.loads(sent)
        roles = [message["role"] for message in chat["messages"]]
        self.assertNotIn("system", roles[1:], "templates want it first")
        self.assertIn("user", roles)
        self.assertEqual([tool["function"]["name"] for tool in chat.get("tools", [])],
                         [tool["name"] for tool in body.get("tools", [])])
        self.assertEqual([tool["function"]["parameters"] for tool in chat.get("tools", [])],
                         [tool["input_schema"] for tool in body.get("tools", [])])
        self.nothing_is_lost(body, chat)
        wanted = body.get("output_config", {}).get("format")
        if wanted:
            self.assertEqual(chat["response_format"]["json_schema"]["schema"], wanted["schema"])
        else:
            self.assertNotIn("response_format", chat)

    def nothing_is_lost(self, body, chat):
        """Every text is there; what Claude Code says in the middle as system stands in front."""
        all_text = "\n".join(text_of(message) for message in chat["messages"])
        for message in [*body["messages"], *({"content": [block]} for block in texts(body["system"])
                                             if "x-anthropic-billing" not in block["text"])]:
            for block in texts(message["content"]):
                # What differs between projects is told elsewhere, but no word of it is lost.
                self.assertLessEqual(words(block["text"]), words(all_text))
        folded = [block["text"] for message in body["messages"] if message["role"] == "system"
                  for block in texts(message["content"])]
        first = next(message for message in chat["messages"] if message["role"] == "user")
        prompt = next(texts(message["content"])[-1]["text"] for message in body["messages"]
                      if message["role"] == "user")
        for text in folded[:1]:
            self.assertLess(text_of(first).index(text.strip()), text_of(first).index(prompt))


def words(text):
    return {word.strip("`'\"().,:;") for word in text.split()}


def texts(content):
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if block["type"] == "text"]


def shuffled(body):
    """The same request of another run: other ids, other cache marks, another billing line."""
    body = json.loads(json.dumps(body))
    body["metadata"] = {"user_id": json.dumps({"session_id": "another", "device_id": "one"})}
    for message in body["messages"]:
        for block in message["content"] if isinstance(message["content"], list) else ():
            block.pop("cache_control", None)
    for block in body["system"] if isinstance(body["system"], list) else ():
        block.pop("cache_control", None)
        if "x-anthropic-billing-header" in block["text"]:
            block["text"] = "x-anthropic-billing-header: cc_version=2.1.197.fff; cch=00000;"
    return body


if __name__ == "__main__":
    unittest.main()
