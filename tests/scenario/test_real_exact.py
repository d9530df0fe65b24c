"""What comes through the server is what the engine says, to the byte.

The same request goes to the same engine process twice: past the server, and through it. Only what
differs between any two runs is left out: ids, times, and the measured speeds.
"""
import re
import unittest

from harness import request_bytes
from real import Real

VARYING = [
    (rb'"timings":\{[^}]*\}', b'"timings":{}'),
    (rb'"(created|created_at|completed_at)":\d+', rb'"\1":0'),
    (rb'\b(chatcmpl-|cmpl-|resp_|msg_|rs_|fc_)[A-Za-z0-9]+', rb'\1ID'),
]
HELLO = [{"role": "system", "content": "You answer briefly. \u00e4\u4e16\U0001f30a"},
         {"role": "user", "content": "Tell me about the \"sea\"\n\tand \\ its \u0000 waves."}]
GREEDY = {"temperature": 0, "seed": 7, "max_tokens": 24, "cache_prompt": False}


def plain(body):
    for pattern, instead in VARYING:
        body = re.sub(pattern, instead, body)
    return body


class Exact(Real):
    presets = {"a": {"default": "true", "parallel": "1"}}

    def ask(self, raw, path, body, method="POST"):
        raw.send(request_bytes(path, body, method=method))
        return raw.read_reply()

    def same(self, path, body, status=200, words=None, method="POST"):
        direct = self.ask(self.world.direct_connect(), path, body, method)
        ours = self.ask(self.world.connect(60), path, body, method)
        self.assertEqual(direct.status, status, direct)
        self.assertEqual(ours.status, direct.status)
        self.assertEqual(ours.header("content-type"), direct.header("content-type"))
        self.assertEqual(plain(ours.body), plain(direct.body))
        if words:
            self.assertIn(words, ours.body)
        return ours

    def setUp(self):
        super().setUp()
        self.chat_ok()

    def test_the_mask_hides_no_text(self):
        """Else nothing here could fail: another question has another answer."""
        one = self.ask(self.world.direct_connect(), "/v1/chat/completions",
                       {"model": "a", "messages": HELLO, **GREEDY})
        other = self.ask(self.world.direct_connect(), "/v1/chat/completions",
                         {"model": "a", "messages": HELLO[:1], **GREEDY})
        self.assertNotEqual(plain(one.body), plain(other.body))
        self.assertIn(b"choices", plain(one.body))

    def test_chat(self):
        body = {"model": "a", "messages": HELLO, **GREEDY}
        self.same("/v1/chat/completions", body, words=b'"chat.completion"')
        self.same("/v1/chat/completions", {**body, "stream": True}, words=b"data: [DONE]\n\n")
        self.same("/v1/chat/completions", {**body, "stream": True, "logprobs": True,
                                           "top_logprobs": 3, "n_probs": 3,
                                           "stream_options": {"include_usage": True}},
                  words=b"logprob")

    def test_text_that_breaks_characters(self):
        """Tokens that are parts of a character, which the engine holds back until it is whole."""
        body = {"model": "a", "prompt": "Emoji: \U0001f30a \U0001f30b \U0001f30c \U0001f30d ",
                **GREEDY}
        self.same("/v1/completions", body)
        self.same("/v1/completions", {**body, "stream": True})

    def test_tokens_are_counted_once(self):
        """Also when the caller asks for the figures with every token."""
        def counted():
            page = self.world.http("GET", "/metrics").body.decode()
            return float(re.search(r'generated_tokens_total\{preset="a"\} (\d+)', page).group(1))
        before = counted()
        stream = self.open_stream(max_tokens=40, temperature=0, timings_per_token=True, timeout=60)
        events = [e.json() for e in stream.events() if e.data != "[DONE]"]
        told = [e["timings"]["predicted_n"] for e in events if "timings" in e]
        self.assertGreater(len(told), 20)
        self.assertEqual(counted() - before, told[-1])

    def test_responses(self):
        body = {"model": "a", "input": "Tell me about the sea.", "temperature": 0,
                "max_output_tokens": 16, "cache_prompt": False}
        self.same("/v1/responses", body)
        self.same("/v1/responses", {**body, "stream": True}, words=b"response.completed")


    def test_small_paths(self):
        text = {"model": "a", "content": "The sea \u00e4 \U0001f30a"}
        tokens = self.same("/tokenize", text).json()["tokens"]
        self.same("/detokenize", {"model": "a", "tokens": tokens})
        self.same("/apply-template", {"model": "a", "messages": HELLO}, words=b"prompt")
        self.same("/props", b"", method="GET", words=b"total_slots")

    def test_the_engines_own_errors(self):
        flood = [{"role": "user", "content": "word " * 4000}]
        for stream in (False, True):
            self.same("/v1/chat/completions",
                      {"model": "a", "messages": flood, "stream": stream}, 400,
                      b"exceed_context_size_error")
        self.same("/v1/chat/completions", {"model": "a", "messages": "none"}, 400)
        self.same("/v1/embeddings", {"model": "a", "input": "x"}, 501)

    def test_the_request_is_not_rewritten(self):
        """Odd but valid JSON: spaces, escapes, numbers no double can hold, a key said twice."""
        odd = (b'\n{ "model"\t: "\\u0061" , "model":"a", "messages": [ {"role":"user", "content":'
               b'"caf\\u00e9 \\ud83c\\udf0a \xc3\xa4"} ],"seed": 7, "temperature":0e0,"max_tokens":'
               b' 12, "cache_prompt" : false, "unknown": 123456789012345678901234567890}\r\n ')
        self.same("/v1/chat/completions", odd)


if __name__ == "__main__":
    unittest.main()
