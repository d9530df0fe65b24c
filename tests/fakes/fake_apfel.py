#!/usr/bin/env python3
"""An apfel as far as its repository tells (never compared with a real one): /health, /v1/models,
/v1/chat/completions with its refusals. What it is asked it can be made to refuse:
"FORBIDDEN" in the last question meets the guardrails."""
import argparse

from openai_stream import Handler, serve, tokens_of

MODEL = "apple-foundationmodel"
REFUSED = ("stop", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs",
           "logit_bias")
RESERVE = 512


def error(kind, message):
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


class Api(Handler):
    options = None
    asked = 0

    def answer(self, path, body):
        if self.options.token and self.headers.get("Authorization") != f"Bearer {self.options.token}":
            return self.say(401, error("authentication_error", "Invalid or missing token"))
        if path == "/health":
            return self.say(200, {"status": self.options.status, "model": MODEL,
                                  "context_window": self.options.told, "version": "1.9.1"})
        if path == "/v1/models":
            return self.say(200, {"object": "list", "data": [
                {"id": MODEL, "object": "model", "created": 1, "owned_by": "apple",
                 "context_window": self.options.window}]})
        if path == "/v1/chat/completions":
            return self.chat(body)
        return self.say(404, error("not_found", "Not found"))

    def chat(self, body):
        Api.asked += 1
        if Api.asked <= self.options.busy:
            return self.say(429, error("rate_limit_error", "Server at capacity"))
        for name in REFUSED:
            if name in body:
                return self.say(400, error("invalid_request_error",
                                           f"Parameter '{name}' is not supported"))
        if body.get("n", 1) != 1:
            return self.say(400, error("invalid_request_error", "n must be 1"))
        if any(part.get("type") == "image_url" for message in body["messages"]
               if isinstance(message["content"], list) for part in message["content"]):
            return self.say(400, error("invalid_request_error", "Images are not supported"))
        if tokens_of(body["messages"]) + RESERVE > self.options.window:
            return self.say(400, error("context_length_exceeded",
                                       "Input exceeds the model's context window"))
        if "FORBIDDEN" in str(body["messages"][-1]["content"]):
            return self.say(400, error("content_policy_violation",
                                       "The request was blocked by Apple's safety guardrails"))
        return self.complete(body, "A sentence from Apple.")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--window", type=int, default=4096)
    parser.add_argument("--told", type=int, help="what /health says of it")
    parser.add_argument("--status", default="ok")
    parser.add_argument("--token")
    parser.add_argument("--busy", type=int, default=0, help="so many requests meet status 429")
    Api.options = parser.parse_args()
    if Api.options.told is None:
        Api.options.told = Api.options.window
    serve(Api, Api.options)


if __name__ == "__main__":
    main()
