"""How much of Claude Code's prompt the engine had read before, in Claude Code's own words (its usage):
of a second run of a project, of another prompt in it, of another project.

The models have no size to speak of, so that 20K tokens are read in seconds; they say one word over and
over, and stop where the second begins. Their tokenizer is a real one.
"""
import json
import os
import shutil
import subprocess
import sys

from harness import binary, scaled
from real import HERE, model
from test_real_claude import claude_code
from test_real_messages import write_template

sys.path.insert(0, os.path.join(HERE, "..", "models"))
import tiny_draft  # noqa: E402

WRITERS = {"dense": tiny_draft.write, "hybrid": tiny_draft.write_hybrid, "sliding": tiny_draft.write_sliding}
ROOM = {"full": (18000, 26000), "lean": (3500, 8000)}  # tokens of one request


def write_model(path, kind):
    WRITERS[kind](path, model(), ctx=65536)


def flags():
    """Of llama-server, for such a model."""
    values = {key: payload for key, _, payload in tiny_draft.tokenizer_of(model())[0]}
    yes = tiny_draft.texts(values["tokenizer.ggml.tokens"]).index(b"Yes")
    return {"logit-bias": f"{yes}+20", "reverse-prompt": "sY", "temp": "0"}


class Shares:
    """Runs Claude Code in projects of `world`, at whatever serves on `port`."""

    def __init__(self, world, port, key=None, rules=0):
        """`rules`: lines of CLAUDE.md, 17 tokens each, besides the project's name."""
        self.world, self.port, self.key, self.rules = world, port, key, rules
        self.total = 0  # tokens of the last prompt

    def project(self, name):
        folder = self.world.path(name)
        if not os.path.isdir(folder):
            os.makedirs(folder)
            with open(os.path.join(folder, "CLAUDE.md"), "w") as file:
                file.write(f"This is the project {name}.\n")
                for n in range(self.rules):
                    file.write(f"- rule {n} of {name}: {n * 7919 % 10007} has a reason\n")
            with open(os.path.join(folder, f"{name}.py"), "w") as file:
                file.write("print(1)\n")
            if shutil.which("git"):
                self.git(folder, "init", "-q")
                self.git(folder, "add", ".")
                self.git(folder, "commit", "-q", "-m", f"begin {name}")
        return folder

    def git(self, folder, *words):
        people = {f"GIT_{who}_{what}": "me@here" for who in ("AUTHOR", "COMMITTER")
                  for what in ("NAME", "EMAIL")}
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True,
                       env={"PATH": os.environ["PATH"], "HOME": self.world.path("home"), **people})

    def usage(self, project, prompt, *words):
        """(cached, all) tokens of the prompt."""
        more = {"LCC_API_KEY": self.key} if self.key else {}
        run = subprocess.run(
            [binary("local-claude"), "--backend", "remote", "--port", str(self.port), *words, "-p", prompt,
             "--output-format", "json", "--no-session-persistence"], cwd=self.project(project),
            env=self.world.environment(LOCAL_CLAUDE_BIN=claude_code(), **more), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=scaled(300))
        if run.returncode != 0:
            raise AssertionError(f"Claude Code ended with {run.returncode}: {run.stdout} {run.stderr}")
        result = json.loads(run.stdout)
        if (result["result"], result["num_turns"]) != ("Ye", 1):
            raise AssertionError(f"not what the model says: {result}")
        usage = result["usage"]
        cached = usage["cache_read_input_tokens"]
        return cached, usage["input_tokens"] + cached

    def measure(self, tools):
        """Shares: at first, again, of another prompt, of another project."""
        words = ["--lean"] if tools == "lean" else []
        shares = []
        for project, prompt in (("sea", "What is here?"), ("sea", "What is here?"),
                                ("sea", "Sum up the architecture."), ("moor", "What is here?")):
            cached, total = self.usage(project, prompt, *words)
            least, most = ROOM[tools]
            if not least < total < most:
                raise AssertionError(f"{total} tokens: not one request with {tools} tools")
            shares.append(cached / total)
        self.total = total
        return shares


__all__ = ["ROOM", "Shares", "WRITERS", "flags", "write_model", "write_template"]
