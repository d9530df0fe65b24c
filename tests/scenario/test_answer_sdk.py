"""What lib/chat/answer makes of a backend's bytes, read by the npm package @anthropic-ai/sdk."""
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest

from harness import binary
from real import Node

CALL = "call_abcdefgh"


def sse(*events, done=True):
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + \
        ("data: [DONE]\n\n" if done else "")


def delta(**members):
    return {"choices": [{"index": 0, "delta": members, "finish_reason": None}]}


def call(index, arguments, name=None, call_id=None):
    function = {"arguments": arguments, **({"name": name} if name else {})}
    return delta(tool_calls=[{"index": index, "function": function,
                              **({"id": call_id, "type": "function"} if call_id else {})}])


def finish(reason):
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 7,
                                  "prompt_tokens_details": {"cached_tokens": 60}}}


def native(*events):
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def text(value):
    return {"type": "text", "text": value}


def thinking(value):
    return {"type": "thinking", "thinking": value, "signature": ""}


def tool(name, arguments, call_id=CALL):
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


# name: (source, the backend's bytes, content, stop reason) or (source, bytes, words of the error)
ANSWERS = {
    "text": ("completions", sse(delta(role="assistant", content=None), delta(content="Hel"),
                                delta(content="lo \U0001f600\n\"'\\"), finish("stop"), USAGE),
             [text("Hello \U0001f600\n\"'\\")], "end_turn"),
    "thinking": ("completions", sse(delta(reasoning_content="hm"), delta(content="a"),
                                    finish("length"), USAGE),
                 [thinking("hm"), text("a")], "max_tokens"),
    "calls": ("completions", sse(delta(content="I read."), call(0, "", "Read", CALL),
                                 call(0, '{"file_path":'), call(1, '{"a":{"b"', "Bash", CALL),
                                 call(0, '"/x"}'), call(1, ":[1,2]}}"), call(2, "", "List"),
                                 finish("tool_calls"), USAGE),
              [text("I read."), tool("Read", {"file_path": "/x"}),
               tool("Bash", {"a": {"b": [1, 2]}}, "toolu_7f_1"), tool("List", {}, "toolu_7f_2")],
              "tool_use"),
    "empty": ("completions", sse(delta(content=""), finish("stop"), USAGE), [text("")], "end_turn"),
    "unreadable": ("completions",
                   sse(delta(content="I try."), USAGE,
                       {"error": {"code": 500, "type": "server_error",
                                  "message": "Failed to parse input at pos 3: <tool_call>"}},
                       done=False),
                   [text("I try.\n\n(My last output could not be read by the server: Failed to "
                         "parse input at pos 3: <tool_call>)")], "max_tokens"),
    "native": ("messages", native(
        {"type": "message_start", "message": {"id": "chatcmpl-1", "content": [], "usage": {
            "input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 0}}},
        {"type": "content_block_start", "index": 0,
         "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0,
         "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_start", "index": 1,
         "content_block": {"type": "tool_use", "id": CALL, "name": "Read"}},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
        {"type": "content_block_stop", "index": 0}, {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
         "usage": {"output_tokens": 7}}, {"type": "message_stop"}),
               [thinking("hm"), tool("Read", {"a": 1})], "tool_use"),
    "broken": ("completions", sse(delta(content="a"), {"error": {"message": "it broke"}}),
               "it broke"),
    "cut": ("completions", sse(call(0, "{", "Read", CALL), done=False), "before it was complete"),
}


class Served(http.server.BaseHTTPRequestHandler):
    """Answers with what answer_pipe makes of the bytes that the model's name stands for."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        source, given = ANSWERS[body["model"]][:2]
        form = "stream" if body.get("stream") else "whole"
        done = subprocess.run([binary("answer_pipe"), source, form], input=given.encode(),
                              stdout=subprocess.PIPE, timeout=60)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if form == "stream"
                         else "application/json")
        self.send_header("Content-Length", str(len(done.stdout)))
        self.end_headers()
        self.wfile.write(done.stdout)

    def log_message(self, *_):
        pass


class Place:
    """What Node asks of a world."""
    host = "127.0.0.1"

    def __init__(self, folder, port):
        self.folder, self.port = folder, port

    def path(self, name):
        return os.path.join(self.folder, name)


class AnswerSdk(unittest.TestCase):
    maxDiff = None

    def ask(self, names, stream):
        folder = tempfile.TemporaryDirectory(prefix="answer-")
        self.addCleanup(folder.cleanup)
        server = http.server.ThreadingHTTPServer((Place.host, 0), Served)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        bodies = [{"model": name, "max_tokens": 9, "stream": stream,
                   "messages": [{"role": "user", "content": "a"}]} for name in names]
        with Node(Place(folder.name, server.server_port), "anthropic.mjs", "all",
                  bodies=bodies) as node:
            return dict(zip(names, node.result()))

    def assert_message(self, message, content, stop):
        self.assertEqual(message["content"], content)
        self.assertEqual(message["stop_reason"], stop)
        self.assertEqual((message["id"], message["model"], message["role"]),
                         ("msg_7f", "local", "assistant"))
        self.assertEqual({key: message["usage"][key] for key in
                          ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
                           "output_tokens")},
                         {"input_tokens": 40, "cache_read_input_tokens": 60,
                          "cache_creation_input_tokens": 0, "output_tokens": 7})

    def test_streams(self):
        for name, result in self.ask(list(ANSWERS), True).items():
            with self.subTest(name):
                expected = ANSWERS[name][2:]
                if len(expected) == 1:
                    self.assertIn(expected[0], result["error"]["message"])
                    self.assertEqual(result["error"]["type"], "api_error")
                else:
                    self.assert_message(result["message"], *expected)

    def test_whole(self):
        names = [name for name, answer in ANSWERS.items() if len(answer) == 4]
        for name, result in self.ask(names, False).items():
            with self.subTest(name):
                self.assert_message(result["message"], *ANSWERS[name][2:])


if __name__ == "__main__":
    unittest.main()
