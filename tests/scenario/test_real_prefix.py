"""What runs of Claude Code share at the engine, with models that can go back to any token of what they
have read, and with those that cannot: over ancalagon, local-claude's own backend and its relay."""
import os
import sys
import unittest

from backends import BackendCase
from local_world import Local
from prefix import Shares, flags, write_model, write_template
from real import HERE, Real, RealWorld
from test_real_agent import Agent
from test_real_claude import RealLocalWorld, llama_server
from test_real_messages import start_with_template

sys.path.insert(0, os.path.join(HERE, "..", "fakes"))
from mock_model import call, say, text_of  # noqa: E402

# Of the prompt: a second run of the project, another prompt in it, another project.
GOALS = {"full": (0.99, 0.99, 0.98), "lean": (0.99, 0.97, 0.95)}
RULES = 60  # lines of CLAUDE.md: some 1000 tokens that are the project's own


def check(case, shares, goals):
    """`shares` as measured; the first run finds nothing."""
    told = ", ".join(f"{share:.2%}" for share in shares)
    case.assertLess(shares[0], 0.01, told)
    for share, goal in zip(shares[1:], goals):
        case.assertGreaterEqual(share, goal, told)


class TinyWorld(RealWorld):
    kind = "dense"

    def model_file(self, name):
        write_model(self.path("models", f"{name}.gguf"), self.kind)


class HybridWorld(TinyWorld):
    kind = "hybrid"


class SlidingWorld(TinyWorld):
    kind = "sliding"


class AtAncalagon(Real):
    """Seen: full 99.99, 99.95 and 99.0 %, lean 99.98, 99.8 and 95.8 %."""
    world_type = TinyWorld
    autostart = False
    presets = {"a": {"default": "true", "ctx": "49152", "parallel": "1", "ignore-eos": "off", "threads": "2"}}

    def setUp(self):
        super().setUp()
        self.world.presets["a"] = {**self.world.presets["a"], **flags()}
        start_with_template(self.world)

    def measure(self, tools, rules=0):
        return Shares(self.world, self.world.port, rules=rules).measure(tools)

    def test_all_tools(self):
        check(self, self.measure("full"), GOALS["full"])

    def test_lean(self):
        check(self, self.measure("lean"), GOALS["lean"])

    def test_a_long_claude_md(self):
        """Its own words are all that another project lacks: the rest, 94.4 %, is found."""
        check(self, self.measure("full", RULES), (0.99, 0.99, 0.935))


class HybridAtAncalagon(AtAncalagon):
    """Its state cannot be taken back to where it was. Seen: full 99.98, 99.67 and 98.9 %, lean 99.9, 98.5
    and 95.2 %; from the checkpoints that llama-server makes by itself, 86 % in the last test."""
    world_type = HybridWorld


class SlidingAtAncalagon(AtAncalagon):
    """Most layers keep the last 512 tokens only. Seen: as with all tokens; 0.1 % less of another project."""
    world_type = SlidingWorld


class AtOurOwn(BackendCase):
    """A model of this run, which local-claude's llama backend starts: an ancalagon as well."""

    def setUp(self):
        super().setUp()
        os.unlink(self.world.path("models", "smol.gguf"))
        os.mkdir(self.world.path("config", "ancalagon"))

    def open(self, kind):
        write_model(self.world.path("models", "tiny.gguf"), kind)
        settings = {"model": "tiny.gguf", "ctx": "49152", "parallel": "1", "threads": "2",
                    "chat-template-file": write_template(self.world), **flags()}
        with open(self.world.path("config", "ancalagon", "presets.ini"), "w") as file:
            file.write(f"[server]\nmodels = {self.world.path('models')}\n[tiny]\n")
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        return self.world.open("--backend", "llama", "--model", "tiny")

    def test_lean(self):
        for kind in ("hybrid", "sliding"):
            with self.subTest(kind=kind):
                backend = self.open(kind)
                place = backend.ready()
                check(self, Shares(self.world, place["port"], place["key"]).measure("lean"), GOALS["lean"])
                backend.close()


class ThroughTheRelay(Local):
    """A bare llama-server, of which nobody knows what model it has: nothing is read beforehand. A hybrid
    one goes on from where the user's turn begins."""
    world_type = RealLocalWorld

    def measure(self, kind):
        weights = self.world.path("tiny.gguf")
        write_model(weights, kind)
        words = [word for name, value in flags().items() for word in (f"--{name}", value)]
        port = llama_server(self, weights, "-c", "49152", "--jinja", "--chat-template-file",
                            write_template(self.world), *words)
        return Shares(self.world, port).measure("full")

    def test_dense(self):
        check(self, self.measure("dense"), GOALS["full"])

    def test_hybrid(self):
        check(self, self.measure("hybrid"), (0.99, 0.97, 0.88))


class Agents(Agent):
    """What reaches the model of sub-agents."""

    def asked_of(self, kind, project):
        def is_sub_agent(asked):
            return "LOOK-CLOSELY" in text_of(asked["messages"][1])
        folder = self.world.path(project)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "CLAUDE.md"), "w") as file:
            file.write(f"This is the project {project}.\n")
        model = self.model(call("Agent", description="look", prompt="LOOK-CLOSELY at this folder",
                                subagent_type=kind), say("Heard."), rules=[(is_sub_agent, say("Fine."))])
        self.succeed(model, "Send somebody", cwd=folder)
        asked = [body for body in model.chats() if is_sub_agent(body)]
        self.assertEqual(len(asked), 1)
        return asked[0]

    def test_projects_share_what_comes_before_the_first_message(self):
        for kind in ("general-purpose", "Explore"):
            with self.subTest(kind=kind):
                sea, moor = self.asked_of(kind, "sea"), self.asked_of(kind, "moor")
                self.assertEqual(sea["tools"], moor["tools"])
                self.assertEqual(sea["messages"][0], moor["messages"][0])
                folder = self.world.path("sea")
                self.assertNotIn(folder, text_of(sea["messages"][0]))
                self.assertIn(f"Working directory: {folder}\n", text_of(sea["messages"][1]))


if __name__ == "__main__":
    unittest.main()
