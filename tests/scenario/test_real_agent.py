"""The whole loop of the real Claude Code over local-claude's relay, with a model that plays a script
(tests/fakes/mock_model.py): tools that really run, conversations that outgrow the window, and what
reaches the model."""
import json
import os
import re
import shutil
import sys
import unittest

from harness import binary, eventually
from local_world import Local, Terminal
from real import HERE, need
from test_real_claude import RealLocalWorld, result_of

sys.path.insert(0, os.path.join(HERE, "..", "fakes"))
from mock_model import (MockModel, all_text, call, calls, is_summary, is_title, overflow, say,  # noqa: E402
                        text_of)

SHORTER = "characters are left out here"
SECRETS = {"ANTHROPIC_API_KEY": "sk-ant-planted-1", "AWS_SECRET_ACCESS_KEY": "planted-2-aws",
           "GITHUB_TOKEN": "ghp_planted3", "CLAUDE_CODE_OAUTH_TOKEN": "planted-4-oauth"}


class Agent(Local):
    world_type = RealLocalWorld

    def model(self, *script, **more):
        mock = MockModel(script, **more)
        self.addCleanup(mock.close)
        return mock

    def run_on(self, model, prompt, *words, ctx="64K", **more):
        more["env"] = {"IS_SANDBOX": "1", **more.get("env", {})}  # else root may not skip permissions
        ctx = ("--ctx", ctx) if ctx else ()
        return self.world.run("--backend", "remote", "--port", str(model.port), *ctx,
                              "-p", prompt, "--output-format", "json",
                              "--dangerously-skip-permissions", *words, timeout=60, **more)

    def succeed(self, model, prompt, *words, **more):
        run = self.run_on(model, prompt, *words, **more)
        result = result_of(run)
        self.assertEqual((run.code, result["subtype"], result["is_error"]), (0, "success", False), run)
        return result

    def results(self, model):
        """What the tools of the last request told, in its order: (id, text)."""
        return [(message["tool_call_id"], text_of(message))
                for message in model.chats()[-1]["messages"] if message["role"] == "tool"]

    def written(self, name):
        with open(self.world.path("project", name)) as file:
            return file.read()


class Tools(Agent):
    def test_bash_read_write(self):
        made = self.world.path("project", "made.txt")
        model = self.model(calls(("Bash", {"command": "echo from-$((40 + 2))", "description": "c"}),
                                 text="Let me count.", thinking="What is it?"),
                           call("Write", file_path=made, content="a line\nof the model's\n"),
                           call("Read", file_path=made),
                           say("All done.", thinking="Was it read?", delay=1.5))
        result = self.succeed(model, "Make a file")
        self.assertEqual((result["result"], result["num_turns"]), ("All done.", 4))
        self.assertEqual(self.written("made.txt"), "a line\nof the model's\n")
        said = [message["content"] for message in model.chats()[-1]["messages"]
                if message["role"] == "assistant"]
        self.assertEqual(said[0], "Let me count.")
        told = [text for _, text in self.results(model)]
        self.assertEqual(told[0], "from-42")
        self.assertIn("made.txt", told[1])
        self.assertIn("of the model's", told[2])

    def test_parallel_calls_come_back_in_call_order(self):
        turn = calls(("Bash", {"command": "sleep 1; echo slow", "description": "a"}),
                     ("Bash", {"command": "echo quick", "description": "b"}),
                     ("Bash", {"command": "echo third", "description": "c"}))
        model = self.model(turn, say("Done."))
        self.succeed(model, "Do three things")
        self.assertEqual(self.results(model), [(called, text) for (_, _, called), text in
                                               zip(turn.calls, ("slow", "quick", "third"))])

    def test_mistakes_of_the_model_are_corrected_in_the_conversation(self):
        model = self.model(
            calls(("Bash", '{"command": "echo hi')), call("Frobnicate", x=1), call("Read", path="x"),
            call("Bash", command="echo seen; exit 3", description="fail"),
            call("Bash", command="echo right", description="as it should be"),
            say("Corrected."))
        self.assertEqual(self.succeed(model, "Say hi with a tool")["result"], "Corrected.")
        told = [text for _, text in self.results(model)]
        for text, words in zip(told, ("could not be parsed as JSON", "No such tool available: Frobnicate",
                                      "required parameter `file_path` is missing", "seen")):
            self.assertTrue(text.startswith("The tool failed:"), text)
            self.assertIn(words, text)
        self.assertEqual(told[4], "right")
        for asked in model.chats():  # what the model is shown of its own calls can be read again
            for message in asked["messages"]:
                for made in message.get("tool_calls", ()):
                    json.loads(made["function"]["arguments"])

    def test_a_sub_agent(self):
        def is_sub_agent(asked):
            return "LOOK-CLOSELY" in text_of(asked["messages"][1])
        answers = [call("Bash", command="echo under", description="look"), say("The agent saw it.")]

        def sub_agent(asked):
            return answers[sum(message["role"] == "tool" for message in asked["messages"])]
        model = self.model(call("Agent", description="look", prompt="LOOK-CLOSELY at this folder",
                                subagent_type="general-purpose"), say("Heard."),
                           rules=[(is_sub_agent, sub_agent)])
        self.assertEqual(self.succeed(model, "Send somebody")["result"], "Heard.")
        self.assertEqual(sum(map(is_sub_agent, model.chats())), 2)
        self.assertIn("The agent saw it.", self.results(model)[-1][1])

    def test_a_web_search_is_answered_honestly(self):
        model = self.model(call("WebSearch", query="the sea today"), say("I cannot search."))
        self.assertEqual(self.succeed(model, "Look it up")["result"], "I cannot search.")
        told = self.results(model)[0][1]
        self.assertIn("nobody here who could carry it out", told)
        self.assertNotIn("web_search_20250305", str(model.asked()))

    def test_continued_and_resumed(self):
        first = self.model(call("Bash", command="echo kept-$((1 + 1))", description="x"), say("One."))
        session = self.succeed(first, "Remember the word heron")["session_id"]
        for number, words in enumerate((("-c",), ("--resume", session)), 2):
            model = self.model(say(f"Answer {number}."))
            result = self.succeed(model, f"Question {number}", *words)
            self.assertEqual(result["result"], f"Answer {number}.")
            asked = model.chats()[-1]["messages"]
            self.assertIn("Remember the word heron", text_of(asked[1]))
            self.assertIn("kept-2", [text for _, text in self.results(model)])
            self.assertIn(f"Question {number}", text_of(asked[-1]))


class Overflow(Agent):
    """The window is 32K, the tools are the six core ones, and a token is four bytes."""

    def test_a_conversation_that_outgrows_the_window_goes_on(self):
        """The model tells what it counts; Claude Code sums up before the window is full."""
        long = [call("Bash", command="seq 1 2500", description="long") for _ in range(6)]
        model = self.model(*long, say("Still here."), kind="llama", context=32768,
                           rules=[(is_summary, say("SUMMARY: numbers were counted."))])
        result = self.succeed(model, "Count often", ctx=None)
        self.assertEqual(result["result"], "Still here.")
        asked = model.chats()
        at = [is_summary(body) for body in asked].index(True)
        self.assertIn("SUMMARY: numbers were counted.", all_text(asked[-1]))
        self.assertLess(at, len(asked) - 1)
        self.assertEqual(asked[-1]["tools"], asked[0]["tools"])

    def test_a_long_file_leaves_room_to_sum_up(self):
        """24K tokens of one file are what Claude Code would read, and could then not sum up."""
        path = self.world.path("project", "long.txt")
        with open(path, "w") as file:
            file.write("A line of a file that is rather long.\n" * 2500)
        model = self.model(call("Bash", command="echo a", description="a"),
                           call("Read", file_path=path), call("Read", file_path=path),
                           say("Still here."), kind="llama", context=32768,
                           rules=[(is_summary, say("SUMMARY: a file."))])
        self.assertEqual(self.succeed(model, "Read it", ctx=None)["result"], "Still here.")
        self.assertTrue(any(map(is_summary, model.chats())))

    def long_files(self, count=5):
        """Of 28,000 characters each."""
        paths = [self.world.path("project", f"long{i}.txt") for i in range(count)]
        for path in paths:
            with open(path, "w") as file:
                file.write("".join(f"Line {i} of a file that is rather long.\n" for i in range(700)))
        return paths

    def test_long_files_that_fit_are_all_read(self):
        """Claude Code's own estimate would have ended it: 4 bytes a token, and 7,000 tokens too early."""
        turn = calls(*(("Read", {"file_path": path}) for path in self.long_files()))
        model = self.model(turn, say("Still here."), kind="llama", context=32768)
        self.assertEqual(self.succeed(model, "Read them", ctx=None)["result"], "Still here.")
        told = self.results(model)
        self.assertEqual(len(told), 5)
        for _, text in told:
            self.assertIn("Line 400 of a file", text)
            self.assertNotIn(SHORTER, text)

    def test_results_that_do_not_fit_are_shortened(self):
        """Five at once, of 29,000 characters each: nothing that could be summed up stands before them."""
        turn = calls(*(("Bash", {"command": f"cat {path}", "description": "x"})
                       for path in self.long_files()))
        model = self.model(turn, call("Bash", command="echo next", description="x"),
                           say("Still here."), kind="llama", context=32768,
                           rules=[(is_summary, say("SUMMARY: five files."))])
        result = self.succeed(model, "Read them", ctx=None, env={"BASH_MAX_OUTPUT_LENGTH": "30000"})
        self.assertEqual(result["result"], "Still here.")
        told = [text_of(message) for message in model.chats()[1]["messages"]
                if message["role"] == "tool"]
        self.assertEqual(len(told), 5)
        for text in told:
            self.assertIn("Line 0 of", text)
            self.assertIn("Line 699 of", text)
            self.assertRegex(text, r"\[\.\.\. \d+ of \d+ characters are left out here")
            self.assertIn("window of 32768 tokens", text)
        self.assertTrue(any(is_summary(asked) for asked in model.chats()), "and then it sums up")

    def test_a_conversation_of_three_windows_is_continued(self):
        """Told that it is too long, Claude Code would sum up a part, keep the rest, and give up."""
        path = self.long_files(1)[0]
        first = self.model(*[call("Bash", command=f"cat {path}", description="x")] * 6,
                           say("Well read."), kind="llama", context=131072)
        session = self.succeed(first, "Read it often", ctx=None)["session_id"]
        for window in (32768, 16384, 12288):
            with self.subTest(window=window):
                model = self.model(say("Went on."), kind="llama", context=window,
                                   rules=[(is_summary, say("SUMMARY: a file."))])
                result = self.succeed(model, "And now?", "--resume", session, "--fork-session",
                                      ctx=None)
                self.assertEqual(result["result"], "Went on.")
                self.assertIn("And now?", text_of(model.chats()[-1]["messages"][-1]))

    def test_a_refusal_makes_it_compact(self):
        """A server that tells no window refuses in the middle, in words of its own."""
        refused = []

        def third(_asked):
            refused.append(1)
            return overflow(70000, 65536) if len(refused) == 1 else say("Went on.")
        model = self.model(call("Bash", command="echo a", description="a"),
                           call("Bash", command="echo b", description="b"), third,
                           rules=[(is_summary, say("SUMMARY: a and b."))])
        self.assertEqual(self.succeed(model, "Do it")["result"], "Went on.")
        asked = model.chats()
        at = [is_summary(body) for body in asked].index(True)
        self.assertEqual(at, 3)
        self.assertIn("SUMMARY: a and b.", all_text(asked[-1]))

    def test_a_prompt_beyond_the_window_is_reported(self):
        model = self.model(say("Never."), kind="llama", context=32768)
        with open(self.world.path("project", "CLAUDE.md"), "w") as file:
            file.write("A line of what is always told.\n" * 5200)  # 40K tokens
        run = self.run_on(model, "Say hi", ctx=None)
        result = result_of(run)
        self.assertEqual((run.code, result["is_error"]), (1, True), run)
        self.assertIn("Prompt is too long", result["result"])
        self.assertEqual(model.asked(), [], "nothing that cannot fit is begun")


class WhatIsSent(Agent):
    def test_no_secret_reaches_the_model(self):
        model = self.model(call("Bash", command="echo done", description="x"), say("Done."))
        self.succeed(model, "Do it", env=SECRETS)
        sent = str(model.requests)
        self.assertIn("echo done", sent)
        for name, value in SECRETS.items():
            self.assertNotIn(value, sent, name)

    def ask(self, project, prompt):
        """The body that one run in a project sends."""
        model = self.model(say("Yes."))
        folder = self.world.path(project)
        if not os.path.isdir(folder):
            os.mkdir(folder)
        shutil.copyfile(__file__, os.path.join(folder, f"{os.path.basename(project)}.py"))
        with open(os.path.join(folder, "CLAUDE.md"), "w") as file:
            file.write(f"This is the project {project}.\n")
        self.succeed(model, prompt, "--no-session-persistence", cwd=folder)
        self.assertEqual(len(model.asked()), 1)
        self.assertNotIn("x-anthropic-billing-header", str(model.requests))
        self.assertNotIn("cache_control", str(model.requests))
        return model.asked()[0]

    def test_runs_share_their_bytes(self):
        """Everything up to the prompt is equal in two runs of a project, nearly all in another."""
        first = self.ask("project", "What is here?")
        self.assertEqual(self.ask("project", "What is here?"), first)
        other = self.ask("project", "Sum up the architecture.")
        at = first.index(b"What is here?")
        self.assertEqual(other[:at], first[:at])
        moor = self.ask("moor", "What is here?")
        shared = len(os.path.commonprefix([rendered(first), rendered(moor)])) / len(rendered(moor))
        self.assertGreaterEqual(shared, 0.985)


def rendered(body):
    """As most templates put it: the tools in front of everything, then the messages by turns."""
    body = json.loads(body)
    return json.dumps(body["tools"]) + "".join(f"<{message['role']}>{text_of(message)}"
                                               for message in body["messages"])


class Network(Agent):
    """What strace sees of local-claude, Claude Code and all that they start."""

    ADDRESS = re.compile(r"sa_family=(\w+)(?:, sin6?_port=htons\((\d+)\))?"
                         r'(?:.*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+))?')

    def setUp(self):
        super().setUp()
        self.strace = need(shutil.which("strace"), "strace", "tools/install-deps test")
        self.world.program = self.world.path("traced")
        with open(self.world.program, "w") as file:
            file.write(f"#!/bin/sh\nexec {self.strace} -f -qq -o {self.world.path('trace')} -e signal=none "
                       "-e trace=connect,sendto,sendmsg,sendmmsg,io_uring_setup "
                       f'"${{TRACED:-{binary("local-claude")}}}" "$@"\n')
        os.chmod(self.world.program, 0o755)

    def places(self):
        """(family, address, port) of all that was connected or sent to, but for unix sockets."""
        with open(self.world.path("trace")) as file:
            found = {match.groups() for match in map(self.ADDRESS.search, file) if match}
        return {(family, address, int(port or 0)) for family, port, address in found
                if family not in ("AF_UNIX", "AF_NETLINK", "AF_UNSPEC")}

    def assert_only_loopback(self, port):
        places = self.places()
        self.assertIn(("AF_INET", "127.0.0.1", port), places, "it is seen how the model is reached")
        for place in places:
            self.assertEqual(place[:2], ("AF_INET", "127.0.0.1"), places)
            self.assertNotEqual(place[2], 53, places)
        with open(self.world.path("trace")) as file:
            trace = file.read()
        self.assertNotIn("systemd.Resolve", trace, "no resolver is asked over a unix socket")
        self.assertNotIn("io_uring_setup", trace, "nothing is sent in a way that is not seen here")

    def test_what_leaves_is_seen(self):
        script = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
                  "s.connect(('192.0.2.1', 53)); s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM);"
                  "s.connect_ex(('2001:db8::1', 443))")
        self.world.run("-c", script, env={"TRACED": sys.executable})
        self.assertEqual(self.places(), {("AF_INET", "192.0.2.1", 53),
                                         ("AF_INET6", "2001:db8::1", 443)})

    def test_asked_once(self):
        model = self.model(call("Bash", command="echo hi", description="x"), say("Done."))
        self.succeed(model, "Say hi with a tool, please, and then tell me what it said")
        self.assert_only_loopback(model.port)

    def test_on_a_terminal(self):
        """A first start; the title request comes with its schema."""
        model = self.model(say("A sentence of the sea."))
        terminal = Terminal([self.world.program, "--backend", "remote", "--port", str(model.port),
                             "--ctx", "64K"], self.world.path("project"), self.world.environment())
        self.addCleanup(terminal.close)
        terminal.see("Yes, I trust this folder", 60)
        terminal.type("\r")
        terminal.see("? for shortcuts", 60)
        terminal.type("Tell me something long about the sea and the land behind it")
        terminal.see("the land behind it")
        terminal.type("\r")
        terminal.see("A sentence of the sea.")
        terminal.type("/exit")
        terminal.see("/exit")
        terminal.type("\r")
        eventually(terminal.ended, "Claude Code is left", 30)
        self.assertEqual(terminal.status, 0)
        self.assert_only_loopback(model.port)
        titles = [asked["response_format"] for asked in model.chats() if is_title(asked)]
        self.assertEqual([title["type"] for title in titles], ["json_schema"])
        self.assertEqual(titles[0]["json_schema"]["schema"]["required"], ["title"])


if __name__ == "__main__":
    unittest.main()
