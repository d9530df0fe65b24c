"""local-claude over LM Studio and apfel, which are fakes here: tests/fakes/fake_lmstudio.py and
fake_apfel.py, built from what is known of the real ones."""
import json
import os
import re
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

from harness import eventually, scaled
from local_world import Local
from test_real_claude import RealLocalWorld, result_of

FAKES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fakes")
INDEX = {"qwen/qwen3-8b": "lmstudio-community/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf",
         "gemma-3-4b": "lmstudio-community/gemma-3-4b-GGUF/gemma-3-4b-Q4_K_M.gguf"}
CHAT_WORDS = ["--bare", "--tools", "", "--exclude-dynamic-system-prompt-sections"]


class Fake:
    def __init__(self, world, program, *words):
        self.log = world.path(f"{program}.log")
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(FAKES, program), "--log", self.log, *words],
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, "LMSTUDIO_HOME": world.path("lmstudio")})
        self.port = int(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def seen(self, path=None):
        if not os.path.exists(self.log):
            return []
        with open(self.log) as file:
            requests = [json.loads(line) for line in file]
        return [request for request in requests if path in (None, request["path"])]

    def bodies(self, path):
        return [request["body"] for request in self.seen(path)]


class Fakes(Local):
    backend = None

    def fake(self, *words):
        fake = Fake(self.world, f"fake_{self.backend}.py", *words)
        self.addCleanup(fake.close)
        return fake

    def run_over(self, fake, *words, env=None, **more):
        return self.world.run("--backend", self.backend, "--port", str(fake.port), *words,
                              env={"LMSTUDIO_HOME": self.world.path("lmstudio"), **(env or {})},
                              **more)

    def talk(self, fake, *words):
        """A run whose claude sleeps: the test talks to its relay."""
        process = self.world.start("--backend", self.backend, "--port", str(fake.port), *words,
                                   env={"FAKE_CLAUDE": "sleep:60"})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.relay = eventually(self.world.record, "claude is started")["env"]

    def ask(self, messages, **more):
        body = {"model": self.relay["ANTHROPIC_MODEL"], "max_tokens": 32000, "messages": messages,
                **more}
        request = urllib.request.Request(
            self.relay["ANTHROPIC_BASE_URL"] + "/v1/messages", json.dumps(body).encode(),
            {"Authorization": "Bearer " + self.relay["ANTHROPIC_AUTH_TOKEN"],
             "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=scaled(30)) as reply:
                return reply.status, dict(reply.headers), reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()


class LmStudio(Fakes):
    backend = "lmstudio"

    def setUp(self):
        super().setUp()
        self.write(".internal/model-index-cache.json", {"models": [
            {"user": "lmstudio-community", "defaultIdentifier": key, "indexedModelIdentifier": file}
            for key, file in INDEX.items()]})

    def path(self, name):
        return self.world.path("lmstudio", name)

    def write(self, name, value):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as file:
            json.dump(value, file)

    def config(self, key="qwen/qwen3-8b"):
        return f".internal/user-concrete-model-default-config/{INDEX[key]}.json"

    def loads(self, fake):
        return fake.bodies("/api/v1/models/load")

    def instances(self, fake):
        with urllib.request.urlopen(f"http://127.0.0.1:{fake.port}/api/v1/models") as reply:
            return {instance["id"]: instance["config"] for model in json.load(reply)["models"]
                    for instance in model["loaded_instances"]}

    def test_loaded_with_a_context_that_claude_code_can_work_in(self):
        fake = self.fake()
        result = self.good(self.run_over(fake, "--model", "qwen3", env={"FAKE_CLAUDE": "ask:stream"}))
        self.assertEqual(self.loads(fake), [{"model": "qwen/qwen3-8b", "context_length": 65536,
                                             "echo_load_config": True}])
        self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "65536")
        self.assertIn("LM Studio at 127.0.0.1", result.err)
        self.assertIn("KV cache K f16, V f16", result.err)
        self.assertIn("message_stop", result.out)
        self.assertEqual([body["model"] for body in fake.bodies("/v1/chat/completions")],
                         ["qwen/qwen3-8b"])
        again = self.good(self.run_over(fake))
        self.assertIn("qwen/qwen3-8b", again.err, "the loaded one, without being named")
        self.assertEqual(len(self.loads(fake)), 1, "no second instance")

    def test_a_loaded_model_is_taken_as_it_is(self):
        fake = self.fake("--loaded", "gemma-3-4b=32768")
        result = self.good(self.run_over(fake, "-p", "hi"))
        self.assertEqual(result.env["ANTHROPIC_MODEL"], "gemma-3-4b")
        self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "32768")
        self.assertEqual(self.loads(fake), [])

    def test_a_larger_context_is_loaded_in_its_place(self):
        fake = self.fake("--loaded", "gemma-3-4b=8192")
        result = self.good(self.run_over(fake, "--ctx", "48K"))
        self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "49152")
        self.assertIn("loaded anew", result.err)
        self.assertEqual({name: config["context_length"]
                          for name, config in self.instances(fake).items()}, {"gemma-3-4b": 49152})

    def test_what_does_not_fit_is_tried_smaller(self):
        fake = self.fake("--most-context", "40000")
        result = self.good(self.run_over(fake, "--model", "gemma"))
        self.assertEqual([load["context_length"] for load in self.loads(fake)], [65536, 32768])
        self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "32768")
        asked = self.run_over(self.fake("--most-context", "40000"), "--model", "gemma", "--ctx", "64K")
        self.assertEqual(asked.code, 1)
        self.assertIn("insufficient system resources", asked.err)

    def test_names(self):
        fake = self.fake()
        result = self.run_over(fake, "--model", "qwem3-8b")
        self.assertEqual(result.code, 1)
        self.assertIn("qwen/qwen3-8b", result.err)
        unnamed = self.run_over(fake)
        self.assertNotEqual(unnamed.code, 0)
        self.assertIn("--model", unnamed.err)
        self.assertIn("gemma-3-4b", unnamed.err)
        self.assertNotIn("text-embedding", unnamed.err)
        self.assertEqual(self.loads(fake), [])

    def test_before_0_4(self):
        fake = self.fake("--v0")
        result = self.good(self.run_over(fake, "--model", "gemma", env={"FAKE_CLAUDE": "ask:whole"}))
        self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "4096")
        self.assertIn("A sentence from LM Studio.", result.out)
        refused = self.run_over(fake, "--kv", "q8_0")
        self.assertEqual(refused.code, 1)
        self.assertIn("needs LM Studio 0.4.0", refused.err)

    def test_who_answers(self):
        fake = self.fake("--loaded", "gemma-3-4b=32768")
        found = self.good(self.world.run(env={"LCC_PORT": str(fake.port)}))
        self.assertIn(f"chosen because LM Studio answers on 127.0.0.1:{fake.port}", found.err)
        for kind in ("ancalagon", "llama", "plain"):
            with self.subTest(kind=kind):
                other = self.world.backend(kind)
                result = self.world.run("--backend", "lmstudio", "--port", str(other.port))
                self.assertEqual(result.code, 1)
                self.assertIn("is no LM Studio", result.err)
        locked = self.fake("--key", "sk-lm", "--loaded", "gemma-3-4b=32768")
        self.assertIn("set LCC_API_KEY", self.run_over(locked).err)
        self.good(self.run_over(locked, env={"LCC_API_KEY": "sk-lm"}))

    def test_a_dry_run_loads_nothing(self):
        fake = self.fake()
        result = self.run_over(fake, "--model", "gemma", "--dry-run", "--kv", "q8_0")
        self.assertEqual(result.code, 0, result)
        self.assertEqual(self.loads(fake), [])
        self.assertFalse(os.path.exists(self.path(self.config("gemma-3-4b"))))

    def test_counting_is_an_estimate_and_overflow_is_told(self):
        fake = self.fake("--loaded", "gemma-3-4b=8192")
        self.talk(fake)
        request = urllib.request.Request(
            self.relay["ANTHROPIC_BASE_URL"] + "/v1/messages/count_tokens",
            json.dumps({"model": "x", "messages": [{"role": "user", "content": "hello " * 50}]}).encode(),
            {"Authorization": "Bearer " + self.relay["ANTHROPIC_AUTH_TOKEN"]})
        with urllib.request.urlopen(request) as reply:
            counted = json.load(reply)
        self.assertTrue(counted["estimate"])
        self.assertGreater(counted["input_tokens"], 50)
        status, _, said = self.ask([{"role": "user", "content": "hello " * 6000}])
        self.assertEqual(status, 400)
        self.assertIn("prompt is too long", said)

    # --- The KV cache's type

    def kept(self):
        return {"preset": "mine", "operation": {"fields": [{"key": "llm.prediction.x", "value": 1}]},
                "load": {"fields": [{"key": "llm.load.numParallelSessions", "value": 4},
                                    {"key": "llm.load.llama.kCacheQuantizationType",
                                     "value": {"checked": False, "value": "f16"}}]}}

    def test_kv(self):
        self.write(self.config(), self.kept())
        fake = self.fake("--loaded", "qwen/qwen3-8b=65536")
        result = self.good(self.run_over(fake, "--kv", "q8_0"))
        self.assertRegex(result.err, r"KV cache q8_0: memory \d+ MiB before, \d+ MiB now")
        self.assertIn("KV cache K q8_0, V q8_0", result.err)
        self.assertNotIn("warning", result.err)
        with open(self.path(self.config())) as file:
            written = json.load(file)
        self.assertEqual(written["preset"], "mine")
        self.assertEqual(written["operation"], self.kept()["operation"])
        fields = {field["key"]: field["value"] for field in written["load"]["fields"]}
        self.assertEqual(fields, {
            "llm.load.numParallelSessions": 4, "llm.load.llama.flashAttention": True,
            "llm.load.llama.kCacheQuantizationType": {"checked": True, "value": "q8_0"},
            "llm.load.llama.vCacheQuantizationType": {"checked": True, "value": "q8_0"}})
        with open(self.path(self.config() + ".before-local-claude")) as file:
            self.assertEqual(json.load(file), self.kept())
        self.assertEqual(list(self.instances(fake)), ["qwen/qwen3-8b"])
        loads = len(self.loads(fake))
        self.good(self.run_over(fake, "--kv", "q8_0"))
        self.assertEqual(len(self.loads(fake)), loads, "it is so already")

    def test_kv_verified_by_memory_alone(self):
        fake = self.fake("--hide-kv", "--loaded", "qwen/qwen3-8b=65536")
        result = self.good(self.run_over(fake, "--kv", "q4_0"))
        before, now = [int(word) for word in
                       re.search(r"memory (\d+) MiB before, (\d+) MiB now",
                                               result.err).groups()]
        self.assertLess(now, before - 30)

    def test_kv_that_is_ignored_is_found_out(self):
        for words in ((), ("--hide-kv",)):
            with self.subTest(words=words):
                self.write(self.config(), self.kept())
                fake = self.fake("--ignore-kv", *words, "--loaded", "qwen/qwen3-8b=65536")
                result = self.run_over(fake, "--kv", "q8_0")
                self.assertEqual(result.code, 1, result)
                self.assertIn("its settings are as before", result.err)
                self.assertIn("did not fall" if words else "all the same", result.err)
                with open(self.path(self.config())) as file:
                    self.assertEqual(json.load(file), self.kept())
                self.assertEqual({name: config["context_length"] for name, config
                                  in self.instances(fake).items()}, {"qwen/qwen3-8b": 65536})

    def test_kv_in_a_model_that_had_no_settings(self):
        fake = self.fake("--ignore-kv")
        result = self.run_over(fake, "--model", "gemma", "--kv", "q4_0")
        self.assertEqual(result.code, 1)
        self.assertFalse(os.path.exists(self.path(self.config("gemma-3-4b"))))
        self.assertEqual(self.instances(fake), {})

    def test_kv_that_cannot_be(self):
        fake = self.fake()
        for words, code, said in ((("--kv", "q3"), 2, "there are: f32, f16, q8_0"),
                                  (("--kv", "q8_0", "--host", "192.0.2.1"), 2, "run it there")):
            result = self.run_over(fake, "--model", "gemma", *words)
            self.assertEqual(result.code, code, result)
            self.assertIn(said, result.err)
        os.unlink(self.path(".internal/model-index-cache.json"))
        fake.close()

    # The memory of all processes called LM Studio counts, also of those of other tests.
    for one in (test_kv, test_kv_verified_by_memory_alone, test_kv_that_is_ignored_is_found_out,
                test_kv_in_a_model_that_had_no_settings, test_kv_that_cannot_be):
        one.alone = True
    del one


class Apfel(Fakes):
    backend = "apfel"

    def test_chat_only(self):
        fake = self.fake()
        result = self.good(self.run_over(fake, "-p", "hi", env={"FAKE_CLAUDE": "ask:stream"}))
        self.assertEqual(result.argv, [*CHAT_WORDS, "-p", "hi"])
        self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "4096")
        self.assertEqual(result.env["CLAUDE_CODE_MAX_OUTPUT_TOKENS"], "512")
        self.assertEqual(result.env["DISABLE_AUTO_COMPACT"], "1")
        self.assertNotIn("CLAUDE_CODE_AUTO_COMPACT_WINDOW", result.env)
        self.assertIn("chat only: Claude Code's tools take 19K tokens", result.err)
        self.assertIn("message_stop", result.out)

    def test_the_window(self):
        for told, window in (("0", 4096), ("8192", 8192)):
            result = self.good(self.run_over(self.fake("--told", told)))
            self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], str(window))

    def test_what_it_refuses_is_not_sent(self):
        fake = self.fake()
        self.talk(fake)
        pixel = {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                             "data": "aGVsbG8="}}
        status, _, said = self.ask([{"role": "user", "content": [pixel, {"type": "text",
                                                                         "text": "what is it?"}]}],
                                   stop_sequences=["END"], top_k=5, temperature=0.5)
        self.assertEqual(status, 200, said)
        [body] = fake.bodies("/v1/chat/completions")
        self.assertEqual(body["max_tokens"], 512)
        self.assertNotIn("stop", body)
        self.assertNotIn("top_k", body)
        self.assertNotIn("image_url", json.dumps(body))

    def conversation(self, pairs):
        turns = []
        for number in range(pairs):
            turns += [{"role": "user", "content": f"question {number}: " + "many words " * 60},
                      {"role": "assistant", "content": f"answer {number}: " + "more words " * 60}]
        return [*turns, {"role": "user", "content": "the last question"}]

    def test_the_oldest_turns_go_and_the_user_hears_of_it_once(self):
        fake = self.fake()
        self.talk(fake)
        status, _, first = self.ask(self.conversation(2), system="Be brief.")
        self.assertEqual(json.loads(first)["content"], [{"type": "text",
                                                         "text": "A sentence from Apple."}])
        for expected in (True, False):
            status, _, said = self.ask(self.conversation(14), system="Be brief.")
            self.assertEqual(status, 200, said)
            self.assertEqual("the oldest turns are left out" in said, expected)
            self.assertIn("A sentence from Apple.", said)
        messages = fake.bodies("/v1/chat/completions")[-1]["messages"]
        self.assertEqual(messages[0], {"role": "system", "content": "Be brief."})
        self.assertEqual([message["role"] for message in messages[1:3]], ["user", "assistant"])
        number = int(messages[1]["content"].split()[1].strip(":"))
        self.assertGreater(number, 0)
        self.assertTrue(messages[2]["content"].startswith(f"answer {number}:"), "whole pairs")
        self.assertEqual(messages[-1]["content"], "the last question")
        self.assertGreater(len(messages), 5, "no more than needed")

    def test_a_stream_that_begins_with_the_notice_is_well_formed(self):
        fake = self.fake()
        self.talk(fake)
        _, _, said = self.ask(self.conversation(14), stream=True)
        events = [json.loads(line[6:]) for line in said.splitlines() if line.startswith("data: ")]
        self.assertEqual([event["type"] for event in events if "delta" not in event["type"]
                          and event["type"] != "ping"],
                         ["message_start", "content_block_start", "content_block_stop",
                          "message_stop"])
        text = "".join(event["delta"].get("text", "") for event in events
                       if event["type"] == "content_block_delta")
        self.assertRegex(text, r"^\(The window of 4096 tokens is full.*\)\n\nA sentence from Apple\.$")

    def test_its_errors_in_anthropics_words(self):
        fake = self.fake("--busy", "1")
        self.talk(fake)
        status, headers, said = self.ask([{"role": "user", "content": "hi"}])
        self.assertEqual((status, json.loads(said)["error"]["type"]), (429, "rate_limit_error"))
        self.assertEqual(headers["Retry-After"], "2")
        status, _, said = self.ask([{"role": "user", "content": "FORBIDDEN"}])
        self.assertEqual((status, json.loads(said)["error"]["type"]), (400, "invalid_request_error"))
        self.assertIn("Output blocked by content filtering policy", said)
        status, _, said = self.ask([{"role": "user", "content": "long words " * 2000}])
        self.assertEqual(status, 400)
        self.assertIn("prompt is too long: ", said)

    def test_who_answers(self):
        other = self.world.backend("plain")
        result = self.world.run("--backend", "apfel", "--port", str(other.port))
        self.assertEqual(result.code, 1)
        self.assertIn("is no apfel", result.err)
        self.assertIn("Apple Intelligence is not available",
                      self.run_over(self.fake("--status", "model_unavailable")).err)
        locked = self.fake("--token", "t0ken")
        self.assertIn("wants its token", self.run_over(locked).err)
        self.good(self.run_over(locked, env={"LCC_API_KEY": "t0ken"}))


class RealOverFakes(Fakes):
    """The real Claude Code over both."""

    world_type = RealLocalWorld

    def succeed(self, fake, answer, *words):
        run = self.run_over(fake, *words, "-p", "Say hi.", "--output-format", "json", timeout=60)
        result = result_of(run)
        self.assertEqual((run.code, result["subtype"], result["is_error"], result["result"]),
                         (0, "success", False, answer), run)

    def test_lmstudio(self):
        self.backend = "lmstudio"
        self.succeed(self.fake("--loaded"), "A sentence from LM Studio.", "--model", "gemma")

    def test_apfel(self):
        self.backend = "apfel"
        fake = self.fake("--busy", "1")
        self.succeed(fake, "A sentence from Apple.")
        self.assertEqual(len(fake.seen("/v1/chat/completions")), 2, "it asked again")


if __name__ == "__main__":
    unittest.main()
