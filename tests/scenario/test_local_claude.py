"""local-claude with a claude that only writes down how it was started (see test_real_claude.py for
the real one)."""
import hashlib
import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import time

from harness import alive, eventually, process_state, read_proc, scaled
from local_world import Local, mode_of, without_settings

SECRETS = {"ANTHROPIC_API_KEY": "sk-ant-secret", "CLAUDE_CODE_OAUTH_TOKEN": "secret-oauth",
           "ANTHROPIC_CUSTOM_HEADERS": "X-Secret: secret", "CLAUDE_CODE_USE_BEDROCK": "1",
           "CLAUDE_CODE_USE_VERTEX": "1", "ANTHROPIC_BEDROCK_BASE_URL": "http://secret",
           "ANTHROPIC_BASE_URL": "https://api.anthropic.com", "ANTHROPIC_MODEL": "claude-secret"}


class Starting(Local):
    def test_an_ancalagon_is_used_directly(self):
        backend = self.world.backend(models=("coder", "small"), context=65536)
        process = self.world.start("--backend", "remote", "--port", str(backend.port), "-p", "hi")
        process.communicate(timeout=scaled(30))
        record = self.world.record()
        self.assertEqual(process.returncode, 0)
        self.assertEqual(record["pid"], process.pid, "it became claude: no process stays between")
        self.assertEqual(without_settings(record["argv"]), ["--exclude-dynamic-system-prompt-sections", "-p", "hi"])
        self.assertEqual(record["env"]["ANTHROPIC_BASE_URL"], f"http://127.0.0.1:{backend.port}")
        self.assertEqual(record["env"]["ANTHROPIC_MODEL"], "coder")
        self.assertEqual(record["fds"], [0, 1, 2])
        self.assertEqual((record["ignored"], record["blocked"]), ([13], []))  # Python ignores 13
        self.assertEqual(backend.paths(), ["/v1/models"], "nothing that could load a model")

    def test_the_users_secrets_stay_behind(self):
        backend = self.world.backend()
        result = self.good(self.world.remote(backend, env={
            **SECRETS, "HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "corp.example"}))
        for name, value in result.env.items():
            self.assertNotIn("secret", value, name)
        self.assertNotIn("CLAUDE_CODE_USE_BEDROCK", result.env)
        self.assertEqual(result.env["HTTPS_PROXY"], "http://proxy.example:3128")
        self.assertEqual(result.env["NO_PROXY"], "127.0.0.1,localhost,::1,corp.example")
        self.assertNotIn("secret", json.dumps([str(seen) for seen in backend.seen]))

    def test_settings_hold_against_a_projects(self):
        backend = self.world.backend(context=65536)
        result = self.good(self.world.remote(backend, env={"NO_PROXY": 'odd"\\'}))
        given = result.record["argv"]
        env = json.loads(given[given.index("--settings") + 1])["env"]
        self.assertEqual(env["DISABLE_TELEMETRY"], "1")
        self.assertEqual(env["CLAUDE_CODE_ENABLE_TELEMETRY"], "0")
        self.assertEqual(env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "65536")
        for name, value in env.items():
            self.assertEqual(result.env[name], value)
        self.assertEqual([name for name in env if name.startswith("ANTHROPIC")], [])

    def settings_of(self, result):
        """Those that Claude Code was given, and whether as a file."""
        given = result.record["argv"]
        self.assertEqual(sum(word.startswith("--settings") for word in given), 1, given)
        value = given[given.index("--settings") + 1]
        if value.startswith("{"):
            return json.loads(value), None
        with open(value) as file:
            return json.load(file), value

    def test_settings_of_the_users_are_joined_by_ours(self):
        backend = self.world.backend(context=65536)
        theirs = {"model": "opus", "permissions": {"deny": ["WebFetch"]},
                  "env": {"MINE": "1", "DISABLE_TELEMETRY": "0", "ANTHROPIC_BASE_URL": "http://else.where",
                          "KEY": "planted-secret"}}
        with open(self.world.path("project", "mine.json"), "w") as file:
            json.dump(theirs, file)
        for words in (["--settings", "mine.json"], ["--settings=mine.json"], ["-p", "hi", "--settings", "mine.json"],
                      ["--settings", "no.json", "--settings", "mine.json"], ["--settings", json.dumps(theirs)]):
            with self.subTest(words=words):
                result = self.good(self.world.remote(backend, *words))
                settings, path = self.settings_of(result)
                self.assertEqual((settings["model"], settings["permissions"]), ("opus", theirs["permissions"]))
                self.assertEqual((settings["env"]["MINE"], settings["env"]["DISABLE_TELEMETRY"]), ("1", "1"))
                self.assertNotIn("ANTHROPIC_BASE_URL", settings["env"])
                self.assertIn("ANTHROPIC_BASE_URL is left out", result.err)
                self.assertEqual(result.argv[-2:] == ["-p", "hi"], "-p" in words)
                if not words[-1].startswith("{"):
                    self.assertEqual(mode_of(path), 0o600)
                    self.assertNotIn("planted-secret", str(result.record["argv"]))
        self.assertEqual(len([name for name in os.listdir(self.world.path("cache", "ancalagon", "local-claude"))
                              if name.startswith("settings-")]), 1)

    def test_settings_that_cannot_be_read(self):
        backend = self.world.backend(context=65536)
        with open(self.world.path("project", "odd.json"), "w") as file:
            file.write("{ // a comment\n}")
        for value, code, words in (("no.json", 1, "--settings: cannot open no.json"),
                                   ("odd.json", 2, "--settings odd.json: "), ('{"a":}', 2, "--settings"),
                                   ("/dev/null", 2, "--settings /dev/null")):
            with self.subTest(value=value):
                result = self.world.remote(backend, "--settings", value)
                self.assertEqual((result.code, result.record), (code, None), result)
                self.assertIn(words, result.err)
        self.assertEqual(self.settings_of(self.good(self.world.remote(backend, "--settings", "")))[1], None)
        self.assertEqual(self.good(self.world.remote(backend, "-p", "--", "--", "--settings")).argv[-2:],
                         ["--", "--settings"])

    def test_help_names_every_option(self):
        """And fits a screen; nothing is looked for."""
        result = self.world.run("--help")
        self.assertEqual((result.code, result.record, result.err), (0, None, ""), result)
        self.assertLessEqual(result.out.count("\n"), 36)
        for option in ("backend", "host", "port", "model", "ctx", "draft", "lean", "kv", "airgap", "print-env",
                       "dry-run", "version"):
            self.assertIn(f"\n  --{option} ", result.out)
        for backend in ("remote", "lmstudio", "llama", "remote-llama", "apfel"):
            self.assertIn(f"\n      {backend} ", result.out)

    def test_print_env_is_what_claude_gets(self):
        backend = self.world.backend()
        env = {**SECRETS, "LIKE_THIS": "it's $(not) `run`\nand more"}
        started = self.good(self.world.remote(backend, env=env)).env
        printed = self.world.remote(backend, "--print-env", env=env)
        self.assertEqual(printed.code, 0, printed)
        script = 'eval "$1"; exec env -0'
        shell = subprocess.run(["sh", "-c", script, "sh", printed.out], stdout=subprocess.PIPE,
                               env=self.world.environment(**env), check=True)
        evaluated = dict(item.split("=", 1) for item in shell.stdout.decode().split("\0") if item)
        for volatile in ("PWD", "_", "OLDPWD", "SHLVL", "LC_CTYPE"):
            evaluated.pop(volatile, None)
            started.pop(volatile, None)
        self.assertEqual(evaluated, started)

    def test_print_env_tells_the_arguments(self):
        for context, words in ((65536, "--exclude-dynamic-system-prompt-sections"),
                               (32768, "--tools Bash,Edit,Read,Write,Glob,Grep --exclude"),
                               (4096, "--bare --tools '' --exclude")):
            printed = self.world.remote(self.world.backend(context=context), "--print-env", "-p", "a b")
            self.assertIn("pass these to claude too: " + words, printed.err)
            self.assertIn("-p 'a b'\n", printed.err)
            self.assertNotIn("--settings", printed.err)

    def test_print_env_gives_no_address_that_ends_with_it(self):
        for kind in ("llama", "vllm", "plain"):
            backend = self.world.backend(kind)
            printed = self.world.remote(backend, "--print-env")
            self.assertEqual((printed.code, printed.out), (2, ""), printed)
            self.assertRegex(printed.err, rf"over .*:{backend.port} Claude Code needs a relay")
        for name in ("llama", "remote-llama", "lmstudio", "apfel"):
            printed = self.world.run("--backend", name, "--print-env")
            self.assertEqual((printed.code, printed.out), (2, ""), printed)
            self.assertIn(f"over {name} Claude Code needs", printed.err)
        # One whose name would mislead Claude Code needs the relay, too.
        printed = self.world.remote(self.world.backend(models=("claude-like",)), "--print-env")
        self.assertEqual((printed.code, printed.out), (2, ""), printed)
        # A version of Claude Code that is to be measured is not measured now.
        backend = self.world.backend()
        with open(self.world.claude, "a") as file:
            file.write("# another one\n")
        printed = self.world.remote(backend, "--print-env", env={"FAKE_CLAUDE_VERSION": "9.9.9"})
        self.assertIn("= about 21816 prompt", printed.err)
        self.assertIn(f"export ANTHROPIC_BASE_URL='http://127.0.0.1:{backend.port}'\n", printed.out, printed)

    def test_dry_run_runs_nothing(self):
        backend = self.world.backend()
        result = self.world.remote(backend, "--dry-run", "-p", "two words")
        self.assertEqual(result.code, 0, result)
        self.assertIsNone(result.record)
        self.assertIn("-p 'two words'", result.out)
        self.assertIn("directly", result.out)

    def test_as_the_command_of_a_parent(self):
        """What a wrapper like `specstory run claude -c "local-claude ..."` does: it splits the
        command, adds its own words behind, and hands its terminal on."""
        backend = self.world.backend()
        command = f"{self.world.program} --backend remote --port {backend.port}".split()
        parent = ("import subprocess, sys; "
                  "sys.exit(subprocess.run(sys.argv[1:] + ['--resume', '0123']).returncode)")
        run = subprocess.run(["python3", "-c", parent, *command], cwd=self.world.path("project"),
                             env=self.world.environment(FAKE_CLAUDE="exit:7"), capture_output=True,
                             timeout=scaled(30))
        self.assertEqual(run.returncode, 7)
        self.assertEqual(self.world.record()["argv"][-2:], ["--resume", "0123"])

    def test_settings_from_environment_and_file(self):
        backend = self.world.backend(models=("a", "b"))
        with open(self.world.path("config", "local-claude.ini"), "w") as file:
            file.write(f"backend = remote\nport = {backend.port}\nmodel = b\n")
        self.assertEqual(self.good(self.world.run()).env["ANTHROPIC_MODEL"], "b")
        result = self.good(self.world.run(env={"LCC_MODEL": "a"}))
        self.assertEqual(result.env["ANTHROPIC_MODEL"], "a")
        with open(self.world.path("config", "local-claude.ini"), "a") as file:
            file.write("colour = red\n")
        result = self.world.run()
        self.assertEqual(result.code, 2)
        self.assertRegex(result.err, r"local-claude\.ini:4: there is no setting \"colour\"")

    def test_claude_missing(self):
        backend = self.world.backend()
        os.unlink(self.world.claude)
        result = self.world.remote(backend)
        self.assertEqual(result.code, 127)
        self.assertIn("npm install -g @anthropic-ai/claude-code", result.err)

    def test_a_link_to_ourselves_is_no_claude(self):
        backend = self.world.backend()
        os.mkdir(self.world.path("first"))
        os.symlink(self.world.program, self.world.path("first", "claude"))
        path = f"{self.world.path('first')}:{self.world.path('bin')}:/usr/bin:/bin"
        self.good(self.world.remote(backend, env={"PATH": path}))

    def test_commands_that_need_no_model(self):
        for words in (["mcp", "list"], ["plugins", "list"]):
            with self.subTest(words=words):
                result = self.good(self.world.run(*words, env={"ANTHROPIC_API_KEY": "x"}))
                self.assertEqual(result.argv, words)
                self.assertEqual(result.env["CLAUDE_CONFIG_DIR"],
                                 self.world.path("home", ".claude-local"))
                self.assertNotIn("ANTHROPIC_API_KEY", result.env)
        self.assertIn("2.1.197 (Claude Code)", self.world.run("-v").out)
        self.assertRegex(self.world.run("--version").out, r"^local-claude \d.*\n2\.1\.197 \(Claude Code\)")

    def test_what_claude_can_do_is_asked_once_per_file(self):
        backend = self.world.backend()
        counted = self.world.path("bin", "counted")
        with open(counted, "w") as file:
            file.write(f'#!/bin/sh\necho "$1" >> {self.world.path("calls")}\n'
                       f'exec {self.world.claude} "$@"\n')
        os.chmod(counted, 0o755)
        env = {"LOCAL_CLAUDE_BIN": counted}
        self.good(self.world.remote(backend, "-p", "hi", env=env))
        self.good(self.world.remote(backend, "-p", "hi", env=env))

        def asked():
            with open(self.world.path("calls")) as file:
                return [line.strip() for line in file].count("--help")
        self.assertEqual(asked(), 1)
        with open(counted, "a") as file:
            file.write("# another version\n")
        self.good(self.world.remote(backend, "-p", "hi", env=env))
        self.assertEqual(asked(), 2)


    def test_a_tested_version_is_known_by_its_package(self):
        backend = self.world.backend()
        with open(self.world.path("bin", "package.json"), "w") as file:
            json.dump({"name": "@anthropic-ai/claude-code", "version": "2.1.197"}, file)
        result = self.good(self.world.remote(backend, env={"FAKE_CLAUDE_VERSION": "8.8.8"}))
        self.assertIn("= 21816 prompt", result.err)
        self.assertEqual(result.argv, ["--exclude-dynamic-system-prompt-sections"])
        self.assertIn("2.1.197 (Claude Code)", self.world.run("--version").out)

    def test_the_prompt_of_an_unknown_version_is_measured_once(self):
        for kind in ("ancalagon", "plain"):
            with self.subTest(kind=kind):
                backend = self.world.backend(kind, context=65536)
                version = {"FAKE_CLAUDE_VERSION": f"9.0.{backend.port}", "FAKE_CLAUDE": "ask:stream"}
                with open(self.world.claude, "a") as file:
                    file.write("# another one\n")
                first = self.good(self.world.remote(backend, "--ctx", "64K", env=version))
                self.assertIn("= about 21816 prompt", first.err)
                self.assertIn("message_stop", first.out)
                again = self.good(self.world.remote(backend, "--ctx", "64K", env=version))
                self.assertIn("= 1000 prompt", again.err)
                direct = again.env["ANTHROPIC_BASE_URL"].endswith(f":{backend.port}")
                self.assertEqual(direct, kind == "ancalagon")


class Folder(Local):
    def checksum(self):
        total = hashlib.sha256()
        for folder, names, files in sorted(os.walk(self.world.path("home"))):
            if ".claude-local" in folder:
                continue
            for name in sorted(files):
                path = os.path.join(folder, name)
                total.update(f"{path} {os.stat(path).st_mtime_ns}".encode())
                with open(path, "rb") as file:
                    total.update(file.read())
            names.sort()
        return total.hexdigest()

    def test_the_users_own_claude_is_not_touched(self):
        backend = self.world.backend()
        os.mkdir(self.world.path("home", ".claude"))
        for name, text in ((".claude.json", '{"oauthAccount":{"x":1}}'),
                           (".claude/settings.json", '{"model":"opus"}'),
                           (".claude/.credentials.json", '{"secret":1}')):
            with open(self.world.path("home", name), "w") as file:
                file.write(text)
        before = self.checksum()
        for _ in range(2):
            self.good(self.world.remote(backend, "-p", "hi"))
        self.assertEqual(self.checksum(), before)

    def test_seeded_once_and_kept(self):
        backend = self.world.backend()
        self.good(self.world.remote(backend))
        folder = self.world.path("home", ".claude-local")
        file = os.path.join(folder, ".claude.json")
        self.assertEqual(mode_of(folder), 0o700)
        with open(file) as handle:
            self.assertEqual(json.load(handle), {"hasCompletedOnboarding": True})
        mine = '{"numStartups": 3, "cost": 0.1, "projects": {"/x": {}}}'
        with open(file, "w") as handle:
            handle.write(mine)
        self.good(self.world.remote(backend))
        with open(file) as handle:
            text = handle.read()
        self.assertTrue(text.endswith(mine[1:]), "every byte of the user's stays")
        self.assertEqual(list(json.loads(text)),
                         ["hasCompletedOnboarding", "numStartups", "cost", "projects"])

    def test_a_broken_file_is_reported_and_left(self):
        backend = self.world.backend()
        os.mkdir(self.world.path("home", ".claude-local"), 0o700)
        file = self.world.path("home", ".claude-local", ".claude.json")
        with open(file, "w") as handle:
            handle.write('{"half": ')
        result = self.world.remote(backend)
        self.assertEqual(result.code, 1)
        self.assertIn("is damaged", result.err)
        with open(file) as handle:
            self.assertEqual(handle.read(), '{"half": ')

    def test_many_first_runs_at_once(self):
        backend = self.world.backend()
        started = []
        for index in range(8):
            env = {"FAKE_CLAUDE_RECORD": self.world.path(f"record{index}.json")}
            started.append(self.world.start("--backend", "remote", "--port", str(backend.port),
                                            env=env))
        for process in started:
            _, err = process.communicate(timeout=scaled(60))
            self.assertEqual(process.returncode, 0, err)
        with open(self.world.path("home", ".claude-local", ".claude.json")) as handle:
            self.assertEqual(json.load(handle), {"hasCompletedOnboarding": True})


class Servers(Local):
    def test_found_without_being_named(self):
        backend = self.world.backend(models=("coder",))
        result = self.good(self.world.run(env={"LCC_PORT": str(backend.port)}))
        self.assertIn(f"chosen because ancalagon answers on 127.0.0.1:{backend.port}", result.err)

    def test_none_found(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            result = self.world.run(env={"LCC_PORT": str(port)})
            named = self.world.run("--backend", "remote", "--port", str(port))
        self.assertEqual(result.code, 1)
        self.assertIn(f"no ancalagon on 127.0.0.1:{port}", result.err)
        self.assertEqual(named.code, 1)
        self.assertIn(f"nothing listens on 127.0.0.1:{port}", named.err)

    def test_a_name_that_is_no_backend(self):
        for _ in range(2):  # also where Claude Code is missing, which is not what was mistyped
            result = self.world.run("--backend", "cloud")
            self.assertEqual(result.code, 2)
            self.assertIn('there is no backend "cloud"; there are: remote', result.err)
            if os.path.exists(self.world.claude):
                os.unlink(self.world.claude)

    def test_a_stranger_on_the_port(self):
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.listen()
            stranger.settimeout(scaled(20))
            port = stranger.getsockname()[1]
            process = self.world.start("--backend", "remote", "--port", str(port))
            caller, _ = stranger.accept()
            with caller:
                caller.recv(4096)
                caller.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            _, err = process.communicate(timeout=scaled(30))
        self.assertEqual(process.returncode, 1)
        self.assertIn("cannot be reached", err)

    def test_models_by_name(self):
        backend = self.world.backend(models=("qwen3-coder-30b", "gemma4", "smollm2", "qwen3-8b"))
        for wanted, got in (("gemma4", "gemma4"), ("coder", "qwen3-coder-30b"), ("SMOL", "smollm2")):
            result = self.good(self.world.remote(backend, "--model", wanted))
            self.assertEqual(result.env["ANTHROPIC_MODEL"], got)
        result = self.world.remote(backend, "--model", "qwen3-codr-30b")
        self.assertEqual(result.code, 1)
        self.assertIn("did you mean: qwen3-coder-30b", result.err)

    def test_a_name_of_anthropics_is_taken_for_the_local_model(self):
        backend = self.world.backend(models=("coder",))
        result = self.good(self.world.remote(backend, "--model", "sonnet"))
        self.assertEqual(result.env["ANTHROPIC_MODEL"], "coder")
        self.assertIn("sonnet is one of Anthropic's models; coder answers in its place", result.err)

    def test_the_key_of_this_machines_ancalagon_is_for_it_alone(self):
        os.mkdir(self.world.path("state", "ancalagon"), 0o700)
        with open(self.world.path("state", "ancalagon", "api-key"), "w") as file:
            file.write("# keys\nsk-mine\n")
        ours = self.world.backend(key="sk-mine")
        result = self.good(self.world.remote(ours))
        self.assertEqual(result.env["ANTHROPIC_AUTH_TOKEN"], "sk-mine")
        stranger = self.world.backend("vllm", key="other", realm="somebody")
        result = self.world.remote(stranger)
        self.assertEqual(result.code, 1)
        self.assertIn("wants an API key; set LCC_API_KEY", result.err)
        self.assertNotIn("sk-mine", str(stranger.seen))
        result = self.world.remote(stranger, env={"LCC_API_KEY": "wrong"})
        self.assertIn("refuses the API key", result.err)

    def test_windows(self):
        """Which tools, by the window that the server tells."""
        core = ["--tools", "Bash,Edit,Read,Write,Glob,Grep"]
        for context, more, words in ((65536, [], []), (32768, [], core), (8192, [], ["--bare"]),
                                     (65536, ["--lean"], core),
                                     (4096, [], ["--bare", "--tools", ""]),
                                     (8192, ["--tools", "Read"], [])):
            with self.subTest(context=context, more=more):
                backend = self.world.backend(context=context)
                result = self.good(self.world.remote(backend, "-p", *more, "hi"))
                theirs = [word for word in more if word != "--lean"]
                self.assertEqual(result.argv, [*words, "--exclude-dynamic-system-prompt-sections",
                                               "-p", *theirs, "hi"])
                self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], str(context))
                self.assertRegex(result.err, rf"context {context} = ")
        result = self.world.remote(self.world.backend(context=1024))
        self.assertEqual(result.code, 1)
        self.assertIn("too small for Claude Code", result.err)

    def test_an_unknown_window_is_said(self):
        backend = self.world.backend(context=0)
        result = self.good(self.world.remote(backend))
        self.assertIn("context 32768 (assumed", result.err)
        result = self.good(self.world.remote(backend, "--ctx", "64K"))
        self.assertIn("context 65536 = ", result.err)
        known = self.world.backend(context=65536)
        result = self.good(self.world.remote(known, "--ctx", "128K"))
        self.assertIn("more than the server has", result.err)
        self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], "65536")


class Addresses(Local):
    """As people write them, to a server that is met there and nowhere else."""

    def test_each(self):
        for kind in ("ancalagon", "vllm"):
            for host, prefix, forms in (
                    ("::1", "", ("::1", "[::1]", "[::1]:{port}", "http://[::1]:{port}/v1/")),
                    ("127.0.0.1", "/llm", ("127.0.0.1:{port}/llm", "http://127.0.0.1:{port}/llm/v1",
                                           "http://127.0.0.1:{port}/llm/v1/chat/completions",
                                           "http://localhost:{port}/llm/"))):
                backend = self.world.backend(kind, host=host, prefix=prefix)
                for form in forms:
                    with self.subTest(kind=kind, form=form):
                        backend.seen.clear()
                        port = () if "{port}" in form else ("--port", str(backend.port))
                        result = self.good(self.world.run(
                            "--backend", "remote", "--host", form.format(port=backend.port), *port,
                            env={"FAKE_CLAUDE": "ask:whole"}))
                        self.assertIn(backend.answer, result.out)
                        self.assertTrue(all(path.startswith(prefix + "/v1/")
                                            for path in backend.paths()), backend.paths())

    def test_a_name_whose_first_address_is_not_served(self):
        """localhost is both; only the second one is listened on."""
        backend = self.world.backend("vllm", host="::1")
        result = self.good(self.world.run("--backend", "remote", "--host", "localhost", "--port",
                                          str(backend.port), env={"FAKE_CLAUDE": "ask:whole"}))
        self.assertIn(backend.answer, result.out)

    def test_nobody_there(self):
        with socket.socket(socket.AF_INET6) as taken:
            taken.bind(("::1", 0))  # and does not listen
            port = taken.getsockname()[1]
            result = self.world.run("--backend", "remote", "--host", "::1", "--port", str(port))
        self.assertEqual(result.code, 1, result)
        self.assertIn(f"nothing listens on [::1]:{port}", result.err)


class Relayed(Local):
    """Servers that speak only OpenAI's API: the relay of the run stands between."""

    def ask(self, kind, how):
        backend = self.world.backend(kind, models=("local/qwen3",))
        result = self.good(self.world.remote(backend, env={"FAKE_CLAUDE": f"ask:{how}"}))
        return backend, result

    def test_translated(self):
        for kind in ("llama", "vllm", "plain"):
            for how in ("stream", "whole"):
                with self.subTest(kind=kind, how=how):
                    backend, result = self.ask(kind, how)
                    said = re.sub(r'"text_delta","text":"([^"]*)"|.', r"\1", result.out,
                                  flags=re.S) if how == "stream" else \
                        json.loads(result.out)["content"][0]["text"]
                    self.assertEqual(said, backend.answer, result)
                    self.assertIn("/v1/chat/completions", backend.paths())
                    self.assertNotIn(f":{backend.port}", result.env["ANTHROPIC_BASE_URL"])

    def test_what_is_no_chunk_is_passed_over(self):
        backend = self.world.backend("plain", models=("local/qwen3",))
        backend.noise = ["5", "keep-alive", '{"choices":', "[]"]
        for args, lines in ((("-p", "hi"), 1), ((), 0)):  # without -p the terminal is Claude Code's
            result = self.good(self.world.remote(backend, *args, env={"FAKE_CLAUDE": "ask:stream"}))
            said = re.sub(r'"text_delta","text":"([^"]*)"|.', r"\1", result.out, flags=re.S)
            self.assertEqual(said, backend.answer, result)
            self.assertEqual(result.err.count("chat.event.skipped"), lines, "one line an answer")
            self.assertNotIn("keep-alive", result.err, "a log has no words of a model")

    def test_the_window_of_each_kind(self):
        for kind, context in (("llama", 49152), ("vllm", 40960)):
            backend = self.world.backend(kind, context=context)
            result = self.good(self.world.remote(backend))
            self.assertEqual(result.env["CLAUDE_CODE_MAX_CONTEXT_TOKENS"], str(context))

    def test_a_model_that_claude_code_would_misread(self):
        backend = self.world.backend(models=("claude-distill-8b",))
        result = self.good(self.world.remote(backend, env={"FAKE_CLAUDE": "ask:whole"}))
        self.assertEqual(result.env["ANTHROPIC_MODEL"], "local-model")
        asked = [json.loads(body) for method, path, _, body in backend.seen if method == "POST"]
        self.assertEqual([body["model"] for body in asked], ["claude-distill-8b"])

    def test_a_token_for_each_run(self):
        tokens = set()
        for _ in range(3):
            backend, result = self.ask("plain", "whole")
            token = result.env["ANTHROPIC_AUTH_TOKEN"]
            self.assertRegex(token, r"^[0-9a-f]{48}$")
            self.assertNotIn(token, str(backend.seen), "the backend does not see it")
            tokens.add(token)
        self.assertEqual(len(tokens), 3)

    def test_the_servers_key_is_not_claudes(self):
        backend = self.world.backend("vllm", key="sk-server")
        result = self.good(self.world.remote(backend, env={
            "LCC_API_KEY": "sk-server", "FAKE_CLAUDE": "ask:whole"}))
        self.assertIn(backend.answer, result.out)
        self.assertNotEqual(result.env["ANTHROPIC_AUTH_TOKEN"], "sk-server")


class Guarded(Local):
    """What others on the machine, or pages in a browser, get from the relay: nothing."""

    def setUp(self):
        super().setUp()
        self.backend = self.world.backend("plain")
        self.process = self.world.start("--backend", "remote", "--port", str(self.backend.port),
                                        env={"FAKE_CLAUDE": "sleep:60"})
        record = eventually(self.world.record, "claude is started")
        self.token = record["env"]["ANTHROPIC_AUTH_TOKEN"]
        self.port = int(record["env"]["ANTHROPIC_BASE_URL"].rsplit(":", 1)[1])
        self.asked = len(self.backend.seen)
        self.addCleanup(self.process.kill)

    def raw(self, text):
        with socket.create_connection(("127.0.0.1", self.port), timeout=scaled(10)) as sock:
            sock.sendall(text.encode())
            return sock.makefile("rb").readline().decode().split(" ")[1]

    def ask(self, method, path, headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=scaled(10))
        try:
            connection.request(method, path, body, headers or {})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def test_paths_and_tokens(self):
        good = {"Authorization": f"Bearer {self.token}"}
        body = json.dumps({"model": "x", "max_tokens": 1,
                           "messages": [{"role": "user", "content": "a"}]})
        self.assertEqual(self.ask("HEAD", "/")[0], 200)
        self.assertEqual(self.ask("GET", "/v1/models", good)[0], 200)
        status, reply = self.ask("GET", "/v1/models?limit=1000", good)
        self.assertEqual([model["id"] for model in json.loads(reply)["data"]], ["qwen3-coder"])
        for method, path, headers, status in (
                ("GET", "/v1/models", {}, 401),
                ("POST", "/v1/messages", {}, 401),
                ("POST", "/v1/messages", {"Authorization": "Bearer " + "0" * 48}, 401),
                ("POST", "/v1/messages", {"Authorization": "Bearer "}, 401),
                ("POST", "/v1/messages", {"x-api-key": self.token}, 401),
                ("POST", "/v1/messages", {**good, "Host": "evil.example"}, 403),
                ("POST", "/v1/messages", {**good, "Host": "127.0.0.1:1"}, 403),
                ("POST", "/v1/messages", {**good, "Origin": "http://localhost"}, 403),
                ("POST", "/v1/chat/completions", good, 404),
                ("GET", "/v1/messages", good, 404),
                ("GET", "/props", good, 404),
                ("POST", "/v1/messages/../models", good, 404),
                ("DELETE", "/v1/messages", good, 404)):
            with self.subTest(method=method, path=path, headers=headers):
                got, reply = self.ask(method, path, headers, body if method == "POST" else None)
                self.assertEqual(got, status, reply)
                self.assertEqual(json.loads(reply)["type"], "error")
        self.assertEqual(len(self.backend.seen), self.asked, "the backend heard of none of it")

    def test_it_is_no_proxy(self):
        token = f"Authorization: Bearer {self.token}\r\n"
        for line, host in ((f"CONNECT 127.0.0.1:{self.backend.port} HTTP/1.1", "127.0.0.1"),
                           (f"GET http://127.0.0.1:{self.backend.port}/v1/models HTTP/1.1",
                            f"127.0.0.1:{self.backend.port}"),
                           (f"GET http://127.0.0.1:{self.port}/v1/models HTTP/1.1",
                            f"127.0.0.1:{self.port}"),
                           (f"POST http://127.0.0.1:{self.backend.port}/v1/messages HTTP/1.1",
                            f"127.0.0.1:{self.port}")):
            with self.subTest(line=line):
                status = self.raw(f"{line}\r\nHost: {host}\r\n{token}Content-Length: 0\r\n\r\n")
                self.assertIn(status, ("400", "403", "404"))
        self.assertEqual(len(self.backend.seen), self.asked)

    def test_loopback_only(self):
        inodes = {fd[8:-1] for fd in (os.readlink(f"/proc/{self.process.pid}/fd/{n}")
                                      for n in os.listdir(f"/proc/{self.process.pid}/fd"))
                  if fd.startswith("socket:[")}
        listening = [line.split() for table in ("tcp", "tcp6")
                     for line in read_proc(self.process.pid, f"net/{table}").decode().splitlines()]
        ours = [fields[1] for fields in listening
                if len(fields) > 9 and fields[3] == "0A" and fields[9] in inodes]
        self.assertEqual(ours, [f"0100007F:{self.port:04X}"])


class Ending(Local):
    def test_exit_codes_pass_through(self):
        direct, relayed = self.world.backend(), self.world.backend("plain")
        for backend in (direct, relayed):
            for code in (0, 1, 3, 42, 130, 255):
                with self.subTest(kind=backend.kind, code=code):
                    result = self.world.remote(backend, env={"FAKE_CLAUDE": f"exit:{code}"})
                    self.assertEqual(result.code, code, result)

    def test_signals_pass_through(self):
        backend = self.world.backend("plain")
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGHUP):
            with self.subTest(number=number):
                result = self.world.remote(backend, env={"FAKE_CLAUDE": f"signal:{int(number)}"})
                self.assertEqual(result.code, -number, result)

    def start_relayed(self, acts, **more):
        backend = self.world.backend("plain")
        process = self.world.start("--backend", "remote", "--port", str(backend.port),
                                   env={"FAKE_CLAUDE": acts}, **more)
        return process, eventually(self.world.record, "claude is started")

    def test_a_request_to_end_is_handed_on(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number=number):
                process, _ = self.start_relayed(f"catch:{int(number)} say:ready sleep:60")
                self.assertEqual(process.stdout.readline(), "ready\n")
                process.send_signal(number)
                out, _ = process.communicate(timeout=scaled(10))
                self.assertEqual((process.returncode, out), (100 + number, f"caught {int(number)}\n"))

    def test_interrupts_are_claudes_business(self):
        """The terminal sends Ctrl-C to both; only claude decides what it means."""
        process, record = self.start_relayed("catch:2 say:ready sleep:60")
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGQUIT)
        self.assertEqual(record["ignored"], [13])  # claude itself starts with its signals as usual
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        os.kill(record["pid"], signal.SIGINT)
        process.communicate(timeout=scaled(10))
        self.assertEqual(process.returncode, 102)

    def test_killed_it_takes_claude_with_it(self):
        process, record = self.start_relayed("sleep:60")
        self.assertEqual(record["ppid"], process.pid)
        process.kill()
        process.communicate(timeout=scaled(10))
        eventually(lambda: not alive(record["pid"]), "claude has ended too", 2)

    def test_claude_cannot_be_started(self):
        direct, relayed = self.world.backend(), self.world.backend("plain")
        with open(self.world.claude, "w") as file:
            file.write("#!/no/such/interpreter\n")
        for backend in (direct, relayed):
            result = self.world.remote(backend)
            self.assertEqual(result.code, 1, result)
            self.assertIn("cannot start", result.err)

    def test_stopped_by_the_terminal(self):
        """Ctrl-Z stops claude; local-claude stops with it, or the shell would wait for ever."""
        backend = self.world.backend("plain")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.world.path("project"))
            os.execve(self.world.program,
                      ["local-claude", "--backend", "remote", "--port", str(backend.port)],
                      self.world.environment(FAKE_CLAUDE="sleep:60"))
        try:
            record = eventually(self.world.record, "claude is started")
            self.assertEqual(record["pgid"], pid, "one job of the shell")
            os.kill(record["pid"], signal.SIGSTOP)
            eventually(lambda: process_state(pid) == "T", "local-claude is stopped too")
            os.killpg(pid, signal.SIGCONT)
            eventually(lambda: process_state(pid) in "SR" and process_state(record["pid"]) in "SR",
                       "both go on")
            os.kill(record["pid"], signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            self.assertEqual(os.WTERMSIG(status), signal.SIGKILL)
        finally:
            os.close(terminal)
