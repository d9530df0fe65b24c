"""The real Claude Code with a real model that local-claude starts for it, here and on another machine
(a real sshd on loopback), with and without --airgap: to its own success result, to its own failure,
and killed in the middle. After each, no process and no file of the run is left."""
import json
import os
import subprocess
import tempfile
import unittest

from backends import BackendCase
from harness import binary, eventually, scaled
from local_world import Result, Terminal
from real import CACHE, model
from test_real_claude import KNOWS_NO_TOOLS, claude_code, result_of
from test_real_messages import tiny_draft, write_template
from test_remote_llama import SshWorld, sshd

LONG_MODEL = os.path.join(CACHE, "models", "gemma-3-270m-q4_k_m.gguf")
LINE = "A line of a file that is rather long.\n"
# The small model's window is 8K, and it knows no tools. Claude Code's own words for it have the path
# of the folder in them; with some the model repeats itself until the window is full.
CHAT = ("--bare", "--tools", "", "--system-prompt", "You are a helpful assistant. Answer briefly.")
JSON = ("--output-format", "json")


def be_greedy(world):
    """What the model says is the same, and short, in every run."""
    real, wrapper = world.engine, world.path("llama-server")
    with open(wrapper, "w") as file:
        file.write(f'#!/bin/sh\nexec "{real}" "$@" --temp 0\n')
    os.chmod(wrapper, 0o755)
    world.engine = wrapper


class Ends:
    """Mixed into a case whose `backend` names one."""

    def setUp(self):
        self.claude = claude_code()
        super().setUp()
        be_greedy(self.world)
        for folder in ("project", "tmp"):
            os.mkdir(self.world.path(folder))

    def environment(self):
        return self.world.environment(LOCAL_CLAUDE_BIN=self.claude, TMPDIR=self.world.path("tmp"))

    def start(self, *words, **more):
        process = subprocess.Popen(
            [binary("local-claude"), "--backend", self.backend, *words], env=self.environment(),
            cwd=self.world.path("project"), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **{"stdin": subprocess.DEVNULL, **more})
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()

    def run_to_end(self, *words, timeout=120, **more):
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=scaled(timeout))
        run = Result(process.returncode, out, err, None)
        self.assertEqual(self.world.engines(), [], "it waits for the engine's end")
        self.assert_clean()
        return run

    def typed(self, text):
        """The text as standard input."""
        file = tempfile.TemporaryFile()
        self.addCleanup(file.close)
        file.write(text.encode())
        file.seek(0)
        return file

    def assert_clean(self):
        self.assert_nothing_left()
        left = set(os.listdir(self.world.path("tmp")))
        self.assertEqual(left - {f"claude-{os.getuid()}"}, set(), "but for Claude Code's own folder")

    def succeed(self, *words):
        run = self.run_to_end(*words, "-p", "Say hi.", *JSON)
        result = result_of(run)
        self.assertEqual((run.code, result["type"], result["subtype"], result["is_error"]),
                         (0, "result", "success", False), run)
        self.assertTrue(result["result"].strip(), run)
        self.assertGreater(result["usage"]["input_tokens"], 100)
        self.assertEqual(list(result["modelUsage"]), ["smol"])
        self.assertIn("context 8192 = ", run.err)
        return run

    def test_success(self):
        self.succeed(*CHAT)

    def test_success_in_an_airgap(self):
        self.assertIn("airgap: ", self.succeed("--airgap", *CHAT).err)

    def test_success_without_a_word_of_tools(self):
        """It sees that this model cannot use them, says so, and chats. Its answer is begun and not waited
        for: to words in which a folder's name is another every time it may never end."""
        process = self.start("-p", "Say hi.", "--verbose", "--include-partial-messages", "--output-format", "stream-json")
        self.read_until(process.stderr, "context 8192 = 233 prompt", KNOWS_NO_TOOLS)
        self.read_until(process.stdout, '"text_delta"')
        self.stop(process)

    def test_tools_that_are_asked_for(self):
        """Three fit; that the model will not hear of them is said. What it answers to Claude Code's own
        words may never end, so it is not waited for."""
        process = self.start("--lean", "-p", "Say hi.", *JSON)
        self.read_until(process.stderr, "only Bash, Read and Edit (--bare)", "this model's chat template knows no tools")
        self.stop(process)

    def read_until(self, pipe, *wanted):
        seen = ""
        while not all(text in seen for text in wanted):
            line = pipe.readline()
            self.assertTrue(line, seen)
            seen += line

    def stop(self, process):
        process.terminate()
        process.communicate(timeout=scaled(30))
        self.assert_engine_gone(5)
        self.assert_clean()

    def test_a_failure_passes_through(self):
        run = self.run_to_end(*CHAT, "-p", "hi", "--no-such-flag")
        self.assertEqual(run.code, 1, run)
        self.assertIn("unknown option '--no-such-flag'", run.err)

    def test_a_prompt_beyond_the_window_is_told(self):
        """A file of 40,000 characters as the prompt."""
        run = self.run_to_end(*CHAT, "-p", *JSON, stdin=self.typed(LINE * 1100))
        result = result_of(run)
        self.assertEqual((run.code, result["is_error"]), (1, True), run)
        self.assertIn("Prompt is too long", result["result"])

    # -- kills

    def in_the_middle(self, *words):
        """Claude Code, while the model tells a story that has begun and would go on."""
        process = self.start(*CHAT, *words, "-p", "Tell me a long story about the sea.", "--verbose",
                             "--include-partial-messages", "--output-format", "stream-json",
                             stdin=subprocess.PIPE)
        for line in process.stdout:
            event = json.loads(line).get("event", {})
            if event.get("delta", {}).get("text"):
                break
        return process

    def killed_in_the_middle(self, *words):
        process = self.in_the_middle(*words)
        claudes = [pid for pid in self.world.all()
                   if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(self.claude)]
        self.assertTrue(claudes)
        self.assertEqual(len(self.world.engines()), 1)
        process.kill()
        self.assert_engine_gone(5)
        process.wait()
        self.assert_clean()

    def test_killed_in_the_middle(self):
        self.killed_in_the_middle()

    def test_killed_in_the_middle_of_an_airgap(self):
        self.killed_in_the_middle("--airgap")


class OverLlama(Ends, BackendCase):
    backend = "llama"

    def preset(self, file, **settings):
        """A preset of the user's, which decides how that model is run."""
        folder = self.world.path("config", "ancalagon")
        os.mkdir(folder)
        lines = {"model": file, "parallel": "1", "threads": "2", "temp": "0", **settings}
        with open(os.path.join(folder, "presets.ini"), "w") as out:
            out.write(f"[server]\nmodels = {self.world.path('models')}\n[mine]\n" +
                      "".join(f"{name} = {value}\n" for name, value in lines.items()))

    def tiny_preset(self, **settings):
        """A model of next to no size, so that long prompts are read in seconds; it says one word over
        and over, and stops where the second begins."""
        values = {key: payload for key, _, payload in tiny_draft.tokenizer_of(model())[0]}
        yes = tiny_draft.texts(values["tokenizer.ggml.tokens"]).index(b"Yes")
        tiny_draft.write(self.world.path("models", "tiny.gguf"), model(), ctx=65536)
        self.preset("tiny.gguf", **{"logit-bias": f"{yes}+20", "reverse-prompt": "sY", **settings})

    def ask_mine(self, *words, prompt="Say hi."):
        run = self.run_to_end("--model", "mine", *words, "-p", *JSON, timeout=200,
                              stdin=self.typed(prompt))
        result = result_of(run)
        self.assertEqual((run.code, result["subtype"], result["is_error"]), (0, "success", False), run)
        return run, result

    def test_all_tools(self):
        """Of a template that knows tools, with a window that has room for them."""
        self.tiny_preset(ctx="49152", **{"chat-template-file": write_template(self.world)})
        run, result = self.ask_mine()
        self.assertIn("context 49152 = 18877 prompt", run.err)
        self.assertNotIn("tools", run.err)
        self.assertEqual(result["result"], "Ye")
        self.assertGreater(result["usage"]["input_tokens"], 18000)

    def test_on_a_terminal(self):
        """A first start; a question, its answer, and out."""
        self.tiny_preset(ctx="8192")
        terminal = Terminal([binary("local-claude"), "--backend", "llama", "--model", "mine"],
                            self.world.path("project"), self.environment())
        self.addCleanup(terminal.close)
        terminal.see(KNOWS_NO_TOOLS, 60)
        terminal.see("Yes, I trust this folder", 60)
        terminal.type("\r")
        terminal.see("? for shortcuts", 60)
        terminal.type("Tell me something about the sea")
        terminal.see("about the sea")
        terminal.type("\r")
        terminal.see("\u25cf Ye", 60)
        terminal.type("/exit")
        terminal.see("/exit")
        terminal.type("\r")
        eventually(terminal.ended, "Claude Code is left", 30)
        self.assertEqual(terminal.status, 0)
        self.assertEqual(self.world.engines(), [])
        self.assert_clean()

    def test_a_conversation_that_outgrows_its_window(self):
        """The last question does not fit behind the others: Claude Code sums up, and asks again."""
        self.tiny_preset(ctx="8192")
        self.ask_mine(*CHAT, prompt=LINE * 380)  # of 11 tokens
        self.ask_mine(*CHAT, "-c")
        log = self.world.path("debug.log")
        result = self.ask_mine(*CHAT, "-c", "--debug-file", log, prompt=LINE * 400)[1]
        self.assertEqual(result["result"], "Ye")
        self.assertLess(result["usage"]["input_tokens"], 7168)
        with open(log) as file:
            self.assertTrue("source=compact" in file.read(), "it summed up")

    def test_a_second_question_that_does_not_fit(self):
        """Behind one answer alone Claude Code does not sum up: what was said before is shortened."""
        self.tiny_preset(ctx="8192")
        self.ask_mine(*CHAT, prompt=LINE * 450)
        result = self.ask_mine(*CHAT, "-c", prompt=LINE * 400)[1]
        self.assertEqual(result["result"], "Ye")
        self.assertGreater(result["usage"]["input_tokens"], 4000)

    def test_a_window_of_32k(self):
        """gemma-3-270m is no chat model: it repeats itself, until the preset stops it."""
        if not os.path.exists(LONG_MODEL):  # no other test needs its 238 MB
            self.skipTest("no gemma-3-270m; get it with tools/get-model --test-long")
        os.symlink(LONG_MODEL, self.world.path("models", "gemma.gguf"))
        self.preset("gemma.gguf", ctx="32768", **{"reverse-prompt": ">"})
        run, result = self.ask_mine("--lean")
        self.assertIn("context 32768 = 4243 prompt", run.err)
        self.assertEqual(list(result["modelUsage"]), ["mine"])


class Far(BackendCase):
    world_type = SshWorld
    backend = "remote-llama"

    def setUp(self):
        sshd()
        super().setUp()


class OverSshAndAncalagon(Ends, Far):
    pass


class OverSshAndLlamaServer(Ends, Far):
    def setUp(self):
        super().setUp()
        self.world.start(far_path="/usr/bin:/bin")


if __name__ == "__main__":
    unittest.main()
