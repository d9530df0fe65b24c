#!/usr/bin/env python3
"""A model that plays a script, behind an OpenAI-compatible server; keeps every request.

    model = MockModel([call("Bash", command="ls"), say("Done.")], rules=[(is_summary, say("All of it."))])

A request is answered by the first rule that it fits, else by the next turn of the script; when that
is at its end, by the last turn again. A turn may be a function of the request that gives a turn.
"""
import argparse
import json
import select
import socket
import struct
import sys
import threading
import time

from openai_stream import Handler, Server, tokens_of

WORDS = 24  # characters a piece of a stream


class Turn:
    """`fault`: "hang" (until the model is let go, or the client leaves), "reset" (the connection
    breaks), "half" (of the answer, then the connection ends), "garbage" (no JSON), "endless" (bytes
    without end, as long as the client takes them)."""

    def __init__(self, text="", thinking="", calls=(), status=200, error=None, delay=0.0, fault=None):
        self.text, self.thinking, self.calls = text, thinking, list(calls)
        self.status, self.error, self.delay, self.fault = status, error, delay, fault

    def deltas(self):
        yield {"role": "assistant", "content": None}
        for name, text in (("reasoning_content", self.thinking), ("content", self.text)):
            for at in range(0, len(text), WORDS):
                yield {name: text[at:at + WORDS]}
        for index, (name, arguments, called) in enumerate(self.calls):
            head = {"index": index, "id": called, "type": "function"}
            yield {"tool_calls": [{**head, "function": {"name": name, "arguments": ""}}]}
            for at in range(0, len(arguments), WORDS):
                piece = {"arguments": arguments[at:at + WORDS]}
                yield {"tool_calls": [{"index": index, "function": piece}]}

    def message(self):
        message = {"role": "assistant", "content": self.text or None}
        if self.thinking:
            message["reasoning_content"] = self.thinking
        if self.calls:
            message["tool_calls"] = [
                {"id": called, "type": "function", "function": {"name": name, "arguments": arguments}}
                for name, arguments, called in self.calls]
        return message


def say(text, **more):
    return Turn(text, **more)


def call(name, **arguments):
    """One tool call; several in one turn with calls()."""
    return calls((name, arguments))


def calls(*wanted, **more):
    """Parallel calls, each (name, arguments); arguments that are a text are sent as they stand."""
    made = []
    for name, arguments in wanted:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        made.append((name, text, f"call_{time.monotonic_ns():x}_{len(made)}"))
    return Turn(calls=made, **more)


def overflow(tokens, window):
    """As vLLM refuses what does not fit."""
    text = (f"This model's maximum context length is {window} tokens. However, you requested {tokens} "
            "tokens in the messages. Please reduce the length of the messages.")
    return Turn(status=400, error={"object": "error", "message": text, "type": "BadRequestError",
                                   "code": 400})


def is_title(asked):
    return "response_format" in asked


def text_of(message):
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


def all_text(asked):
    return "\n".join(text_of(message) for message in asked["messages"])


def is_summary(asked):
    """Claude Code's request to sum the conversation up."""
    return "CRITICAL: Respond with TEXT ONLY" in text_of(asked["messages"][-1])


class MockModel:
    """`kind` "llama" tells its window and counts tokens, as llama-server does; "plain" does not."""

    def __init__(self, script, rules=(), kind="plain", context=65536, name="qwen3-coder", port=0):
        self.script, self.kind, self.context, self.name = list(script), kind, context, name
        self.rules = [*rules, (is_title, say('{"title": "A title"}'))]
        self.requests = []  # (method, path, headers, body as bytes)
        self.turns, self.lock = 0, threading.Lock()
        self.inside = self.most_inside = self.left = 0  # completions at once; clients that left a hang
        self.released = threading.Event()  # ends what hangs
        self.server = Server(("127.0.0.1", port), type("Api", (Api,), {"model": self}))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def next_turn(self, asked):
        with self.lock:
            for fits, turn in self.rules:
                if fits(asked):
                    break
            else:
                turn = self.script[min(self.turns, len(self.script) - 1)]
                self.turns += 1
        return turn if isinstance(turn, Turn) else turn(asked)

    def asked(self):
        """The bodies of all chat completions so far, as they were sent."""
        return [body for _, path, _, body in list(self.requests)
                if path.split("?")[0] == "/v1/chat/completions"]

    def chats(self):
        return [json.loads(body) for body in self.asked()]


class Api(Handler):
    model = None

    def handle_all(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length) if length else b""
        self.model.requests.append((self.command, self.path, dict(self.headers), body))
        self.answer(self.path.split("?")[0], json.loads(body) if body else None)

    do_GET = do_POST = do_HEAD = handle_all

    def answer(self, path, body):
        model = self.model
        llama = model.kind == "llama"
        if path == "/v1/models":
            return self.say(200, {"object": "list", "data": [
                {"id": model.name, "object": "model", "owned_by": "llamacpp" if llama else "me"}]})
        if path == "/props" and llama:
            return self.say(200, {"default_generation_settings": {"n_ctx": model.context}})
        if path == "/v1/chat/completions/input_tokens" and llama:
            return self.say(200, {"input_tokens": count(body)})
        if path == "/v1/chat/completions":
            return self.complete_one(body)
        return self.say(404, {"error": {"message": f"no {path} here"}})

    def complete_one(self, asked):
        """One is inside until its answer begins: whoever has that may send the next at once."""
        model = self.model
        with model.lock:
            model.inside += 1
            model.most_inside = max(model.most_inside, model.inside)
        try:
            turn = model.next_turn(asked)
            if turn.fault:
                return self.fail(turn.fault)
            time.sleep(0.02)  # its work
        finally:
            with model.lock:
                model.inside -= 1
        return self.play(asked, turn)

    def fail(self, fault):
        self.close_connection = True
        if fault == "hang":
            while not self.model.released.is_set():
                if select.select([self.connection], [], [], 0.02)[0] and not self.connection.recv(1):
                    with self.model.lock:
                        self.model.left += 1
                    break
            return
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        body = b"<html>garbage" if fault == "garbage" else b'{"choices":[{"message":{"content":"PO'
        endless = fault == "endless"
        length = 1 << 40 if endless else len(body) + (100 if fault == "half" else 0)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                         b"Content-Length: %d\r\n\r\n" % length + body)
        while endless:
            self.wfile.write(b"x" * 65536)

    def play(self, asked, turn):
        time.sleep(turn.delay)
        if turn.error:
            return self.say(turn.status, turn.error)
        out = tokens_of(turn.text + turn.thinking + "".join(text for _, text, _ in turn.calls))
        usage = {"prompt_tokens": count(asked), "completion_tokens": out}
        usage["total_tokens"] = sum(usage.values())
        finish = "tool_calls" if turn.calls else "stop"
        base = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            return self.say(200, {**base, "object": "chat.completion", "usage": usage, "choices": [
                {"index": 0, "finish_reason": finish, "message": turn.message()}]})
        chunk = {**base, "object": "chat.completion.chunk"}
        events = [{**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
                  for delta in turn.deltas()]
        events.append({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        events.append({**chunk, "choices": [], "usage": usage})
        return self.stream([*map(json.dumps, events), "[DONE]"])

    def stream(self, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in events:
            line = f"data: {event}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def count(asked):
    return tokens_of({"messages": asked["messages"], "tools": asked.get("tools", [])})


def read_script(path):
    """A JSON list of turns: {"text", "thinking", "calls": [[name, arguments]], "delay", "status",
    "error"}, all optional."""
    with open(path) as file:
        return [calls(*turn.pop("calls", ()), **turn) for turn in json.load(file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", help=read_script.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kind", choices=("plain", "llama"), default="plain")
    options = parser.parse_args()
    print(MockModel(read_script(options.script), kind=options.kind, port=options.port).port, flush=True)
    sys.stdout.close()
    threading.Event().wait()


if __name__ == "__main__":
    main()
