#!/usr/bin/env python3
"""Records what the installed Claude Code sends when nobody but it decides: record_claude.py FOLDER

Each request to /v1/messages becomes FOLDER/NNN.json. Claude Code runs with a home of its own and no
other setting than where its model is, talks to a server on loopback that plays a short script, and
needs no login. What is recorded holds its prompts: it is not ours to keep, let alone to commit.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "scenario"), os.path.join(HERE, "..", "fakes")]
from harness import scaled  # noqa: E402
from local_world import Backend  # noqa: E402

# As an older version would, a model named as one of Anthropic's makes it send the long prompt.
RUNS = {
    "plain": ["-p", "Tell me in one sentence what this folder is for, please"],
    "continued": ["-p", "And now say it once more", "-c"],
    "known model": ["-p", "Say hi", "--model", "claude-sonnet-4-5"],
    "few tools": ["-p", "Say hi", "--tools", "Bash,Edit,Read,Write,Glob,Grep"],
    "bare": ["-p", "Say hi", "--bare"],
    "no tools": ["-p", "Say hi", "--bare", "--tools", ""],
}


def record(claude):
    """Name of the run -> the bodies that it sent, as JSON."""
    recorded = {}
    with tempfile.TemporaryDirectory(prefix="record-claude-") as root:
        home, project = os.path.join(root, "home"), os.path.join(root, "project")
        os.mkdir(home)
        os.mkdir(project)
        with open(os.path.join(project, "CLAUDE.md"), "w") as file:
            file.write("Be brief.\n")
        for name, words in RUNS.items():
            backend = Backend()
            try:
                env = {"HOME": home, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8",
                       "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{backend.port}",
                       "ANTHROPIC_AUTH_TOKEN": "none", "ANTHROPIC_MODEL": "local-model",
                       "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
                run = subprocess.run([claude, *words], cwd=project, env=env, timeout=scaled(60),
                                     stdin=subprocess.DEVNULL, capture_output=True, text=True)
                if run.returncode != 0:
                    raise RuntimeError(f"{name}: Claude Code ended with {run.returncode}: "
                                       f"{run.stdout[-300:]} {run.stderr[-300:]}")
                recorded[name] = [json.loads(body) for _, path, _, body in backend.seen
                                  if path.split("?")[0] == "/v1/messages"]
            finally:
                backend.close()
    return recorded


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--claude", default="claude", help="the program; default: claude on PATH")
    options = parser.parse_args()
    os.makedirs(options.folder, mode=0o700, exist_ok=True)
    count = 0
    for name, bodies in record(options.claude).items():
        for body in bodies:
            count += 1
            with open(os.path.join(options.folder, f"{count:03}.json"), "w") as file:
                json.dump(body, file, indent=1)
            print(f"{count:03}.json  {name}: {len(json.dumps(body))} bytes, "
                  f"{len(body.get('tools', []))} tools")


if __name__ == "__main__":
    main()
