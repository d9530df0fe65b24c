"""What runs of Claude Code share at the engine, with models that can go back to any token of what they
have read, and with those that cannot: over ancalagon, local-claude's own backend and its relay."""
import os
import sys
import unittest

from backends import BackendCase
from local_world import Local
from prefix import ROOM, WRITERS, Shares, flags, write_model, write_template
from real import HERE, Real, RealWorld
from test_real_agent import Agent
from test_real_claude import RealLocalWorld, llama_server
from test_real_messages import start_with_template

sys.path.insert(0, os.path.join(HERE, "..", "fakes"))
from mock_model import call, say, text_of  # noqa: E402

# Shares of the prompt: of a second run of the project, of another prompt in it, of another project. A dense
# model goes on from any token: what it finds is what the prompts have in common.
DENSE = {"full": (0.99, 0.99, 0.98), "lean": (0.99, 0.99, 0.95)}
# From the states that its engine keeps: at the end of each prompt, and of what is read as a prompt of its own.
FORGETS = {"full": (0.99, 0.99, 0.98), "lean": (0.99, 0.97, 0.95)}
# As Gemma's: no system role, so that all of it stands in the first user's turn, and llama-server keeps no
# state in front of what differs.
SYSTEMLESS = """{%- set start = namespace(text='') %}
{%- for tool in tools or [] %}{% set start.text = start.text + (tool | tojson) + '\\n' %}{% endfor %}
{%- for message in messages %}
{%- if message.role == 'system' %}{% set start.text = start.text + message.content + '\\n\\n' %}
{%- else %}{{- '<|im_start|>' + message.role + '\\n' + start.text + (message.content or '') }}
{%- for call in message.tool_calls or [] %}
<tool_call>
{"name": {{ call.function.name | tojson }}, "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% set start.text = '' %}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
RULES = 60  # lines of CLAUDE.md: some 1000 tokens that are the project's own


def check(case, shares, goals):
    """`shares` as measured; the first run finds nothing."""
    told = ", ".join(f"{share:.2%}" for share in shares)
    case.assertLess(shares[0], 0.01, told)
    for share, goal in zip(shares[1:], goals):
        case.assertGreaterEqual(share, goal, told)


def for_each_model(case):
    """Tests of `case`, whose measure(kind, tools, rules=0) knows the way to such a model."""
    def test_of(kind, tools):
        goals = case.dense if kind == "dense" else case.forgets
        return lambda self: check(self, self.measure(kind, tools), goals[tools])
    for kind in WRITERS:
        for tools in ROOM:
            setattr(case, f"test_{kind}_{tools}", test_of(kind, tools))
    return case


class TinyWorld(RealWorld):
    def model_file(self, name):
        """Each test writes its own."""


@for_each_model
class AtAncalagon(Real):
    """Seen: dense full 99.99, 99.95 and 99.0 %, lean 99.98, 99.8 and 95.7 %; hybrid full 99.98, 99.66 and
    98.9 %, lean 99.9, 98.5 and 95.3 %; sliding as dense."""
    world_type = TinyWorld
    dense, forgets = DENSE, FORGETS
    autostart = False
    presets = {"a": {"default": "true", "ctx": "49152", "parallel": "1", "ignore-eos": "off", "threads": "2"}}

    def measure(self, kind, tools, rules=0):
        write_model(self.world.path("models", "a.gguf"), kind)
        self.world.presets["a"] = {**self.world.presets["a"], **flags()}
        start_with_template(self.world)
        return Shares(self.world, self.world.port, rules=rules).measure(tools)

    def test_a_long_claude_md(self):
        """Its own words are all that another project lacks: the rest, 94.4 %, is found. From the checkpoints
        that llama-server makes by itself it would be 86 %."""
        check(self, self.measure("hybrid", "full", RULES), (0.99, 0.99, 0.935))


class WithoutASystemRole(Real):
    """Before openings were read by themselves, another project found nothing: 0.0 %."""
    world_type = TinyWorld
    autostart = False
    presets = AtAncalagon.presets

    def test_lean(self):
        write_model(self.world.path("models", "a.gguf"), "hybrid")
        path = self.world.path("systemless.jinja")
        with open(path, "w") as file:
            file.write(SYSTEMLESS)
        self.world.presets["a"] = {**self.world.presets["a"], **flags()}
        self.world.defaults["chat-template-file"] = path
        self.world.write_config()
        self.world.start()
        check(self, Shares(self.world, self.world.port).measure("lean"), FORGETS["lean"])


@for_each_model
class AtOurOwn(BackendCase):
    """A model of this run, which local-claude's llama backend starts: an ancalagon as well."""
    dense, forgets = DENSE, FORGETS

    def measure(self, kind, tools):
        os.unlink(self.world.path("models", "smol.gguf"))
        write_model(self.world.path("models", "tiny.gguf"), kind)
        settings = {"model": "tiny.gguf", "ctx": "49152", "parallel": "1", "threads": "2",
                    "chat-template-file": write_template(self.world), **flags()}
        os.mkdir(self.world.path("config", "ancalagon"))
        with open(self.world.path("config", "ancalagon", "presets.ini"), "w") as file:
            file.write(f"[server]\nmodels = {self.world.path('models')}\n[tiny]\n")
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        backend = self.world.open("--backend", "llama", "--model", "tiny")
        place = backend.ready()
        shares = Shares(self.world, place["port"], place["key"]).measure(tools)
        backend.close()
        return shares


@for_each_model
class ThroughTheRelay(Local):
    """A bare llama-server, of which nobody knows what model it has: nothing is read beforehand. A hybrid one
    goes on from where the user's turn begins. Seen: full 97.5 %, lean 91.7 %; the others as over ancalagon."""
    world_type = RealLocalWorld
    dense, forgets = DENSE, {"full": (0.99, 0.97, 0.96), "lean": (0.99, 0.90, 0.90)}

    def measure(self, kind, tools):
        weights = self.world.path("tiny.gguf")
        write_model(weights, kind)
        words = [word for name, value in flags().items() for word in (f"--{name}", value)]
        port = llama_server(self, weights, "-c", "49152", "--jinja", "--chat-template-file",
                            write_template(self.world), *words)
        return Shares(self.world, port).measure(tools)


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
