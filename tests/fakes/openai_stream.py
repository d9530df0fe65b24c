"""What the fakes of OpenAI-compatible servers share: JSON and streams over http.server."""
import http.server
import json
import re
import sys
import threading


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # clients may leave
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    log = None  # a file: one JSON line a request
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def handle_all(self):
        length = int(self.headers.get("Content-Length", 0))
        text = self.rfile.read(length) if length else b""
        try:
            body = json.loads(text) if text else None
        except ValueError:
            body = None
        if self.log:
            with self.lock, open(self.log, "a") as file:
                file.write(json.dumps({"method": self.command, "path": self.path, "body": body,
                                       "authorization": self.headers.get("Authorization")}) + "\n")
        self.answer(self.path.split("?")[0], body)

    do_GET = do_POST = do_HEAD = handle_all

    def say(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def complete(self, asked, text):
        """An answer to chat completions, as a stream or whole."""
        usage = {"prompt_tokens": tokens_of(asked["messages"]), "completion_tokens": tokens_of(text)}
        usage["total_tokens"] = sum(usage.values())
        base = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        if not asked.get("stream"):
            return self.say(200, {**base, "object": "chat.completion", "usage": usage, "choices": [
                {"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": text}}]})
        chunk = {**base, "object": "chat.completion.chunk"}
        steps = [{"role": "assistant", "content": ""},
                 *({"content": word} for word in re.findall(r"\s*\S+", text))]
        events = [{**chunk, "choices": [{"index": 0, "delta": step, "finish_reason": None}]}
                  for step in steps]
        events.append({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if asked.get("stream_options", {}).get("include_usage"):
            events.append({**chunk, "choices": [], "usage": usage})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in [*map(json.dumps, events), "[DONE]"]:
            line = f"data: {event}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        return self.wfile.write(b"0\r\n\r\n")


def tokens_of(value):
    return len(value if isinstance(value, str) else json.dumps(value)) // 4 + 1


def serve(handler, options):
    """Prints its port, then serves until it is killed."""
    handler.log = options.log
    server = Server(("127.0.0.1", options.port), handler)
    print(server.server_address[1], flush=True)
    sys.stdout.close()
    server.serve_forever()
