"""local-claude's llama backend with the real engine: opened, chosen, refused, and killed in every
way: no engine survives."""
import os
import pty
import signal

from backends import BackendCase, WholeProgram, read_screen
from harness import eventually, read_proc


class Llama(BackendCase):
    def open(self, *args, **more):
        return self.world.open("--backend", "llama", *args, **more)

    def test_open_and_close(self):
        backend = self.open()
        place = backend.ready()
        self.assertEqual((place["model"], place["address"], place["direct"]),
                         ("smol", "127.0.0.1", True))
        self.assertEqual(place["ctx"], 8192)
        self.assert_answers(place)
        argv = read_proc(self.world.engine_pid(), "cmdline")
        self.assertNotIn(place["key"].encode(), b"".join(
            read_proc(pid, "cmdline") for pid in self.world.all()) + argv)
        self.assertEqual(backend.close(), 0)
        self.assertEqual(self.world.engines(), [], "close waits for the engine's end")
        self.assert_nothing_left()
        self.assertTrue(os.path.exists(self.world.path("state", "ancalagon", "memory.json")),
                        "what was learned of the engine is shared with every ancalagon")

    def test_settings(self):
        place = self.open("--ctx", "2048", "--draft", "none").ready()
        self.assertEqual(place["ctx"], 2048)
        self.assertIn(b"\x002048\x00", read_proc(self.world.engine_pid(), "cmdline"))

    def test_preset_of_the_user(self):
        """A model that has a preset is run as the preset says."""
        folder = self.world.path("config", "ancalagon")
        os.mkdir(folder)
        with open(os.path.join(folder, "presets.ini"), "w") as file:
            file.write(f"[server]\nmodels = {self.world.path('models')}\n"
                       "[mine]\nmodel = smol.gguf\nctx = 1536\nubatch-size = 128  ; tune\n")
        for name in ("mine", "smol"):
            backend = self.open("--model", name)
            place = backend.ready()
            self.assertEqual((place["model"], place["ctx"]), ("mine", 1536))
            self.assertIn(b"--ubatch-size\x00128\x00",
                          read_proc(self.world.engine_pid(), "cmdline"))
            backend.close()

    # -- kills

    def killed(self, victim, number=signal.SIGKILL):
        backend = self.open()
        self.assertEqual(len([backend.ready()]), 1)
        pids = {"local-claude": [backend.pid], "keeper": [backend.keeper()],
                "ancalagon": [backend.program()],
                "local-claude and keeper": [backend.keeper(), backend.pid],
                "engine": [self.world.engine_pid()]}[victim]
        for pid in pids:
            os.kill(pid, number)
        return backend

    def test_kill_local_claude(self):
        self.killed("local-claude")
        self.assert_engine_gone()
        self.assert_nothing_left()

    def test_terminate_local_claude(self):
        self.killed("local-claude", signal.SIGTERM)
        self.assert_engine_gone()
        self.assert_nothing_left()

    def test_kill_keeper(self):
        backend = self.killed("keeper")
        self.assert_engine_gone()
        self.assertEqual(backend.close(), 0)
        self.assert_nothing_left()

    def test_kill_both(self):
        self.killed("local-claude and keeper")
        self.assert_engine_gone()
        self.assert_nothing_left()

    def test_kill_ancalagon(self):
        backend = self.killed("ancalagon")
        self.assert_engine_gone()
        self.assertEqual(backend.close(), 0)
        self.assert_nothing_left()

    def test_kill_while_ancalagon_is_stopped(self):
        backend = self.open()
        backend.ready()
        os.kill(backend.program(), signal.SIGSTOP)
        os.kill(backend.pid, signal.SIGKILL)
        self.assert_engine_gone(4)
        self.assert_nothing_left()

    def test_kill_while_loading(self):
        backend = self.open()
        eventually(self.world.engines, "the engine starts", 30)
        os.kill(backend.pid, signal.SIGKILL)
        self.assert_engine_gone()
        self.assert_nothing_left()

    def test_engine_comes_back(self):
        """Its ancalagon watches over it: an engine that dies is started again."""
        backend = self.open()
        place = backend.ready()
        os.kill(self.world.engine_pid(), signal.SIGKILL)
        self.assert_answers(place)

    # -- which model

    def test_no_such_model(self):
        self.world.add_model("Qwen3-8B-Q4_K_M.gguf")
        text = self.open("--model", "qwne3-8b-q4").failure()
        self.assertIn('there is no model "qwne3-8b-q4"', text)
        self.assertIn("Qwen3-8B-Q4_K_M.gguf", text)

    def test_part_of_a_name(self):
        self.world.add_model("Qwen3-8B-Q4_K_M.gguf")
        self.assertEqual(self.open("--model", "8b-q4").ready()["model"], "qwen3-8b-q4_k_m")

    def test_path(self):
        os.mkdir(self.world.path("elsewhere"))
        os.rename(self.world.path("models", "smol.gguf"), self.world.path("elsewhere", "x.gguf"))
        place = self.open("--model", self.world.path("elsewhere", "x.gguf")).ready()
        self.assertEqual(place["model"], "x")

    def test_several_and_nobody_to_ask(self):
        self.world.add_model("other.gguf")
        text = self.open().failure()
        self.assertRegex(text, r"(?s)--model NAME.*other.gguf.*smol.gguf")
        backend = self.open("--model", "other")
        backend.ready()
        backend.close()
        self.assertEqual(self.open().ready()["model"], "other", "the last one is taken again")

    def test_no_models(self):
        os.unlink(self.world.path("models", "smol.gguf"))
        self.assertIn("there are no models in", self.open().failure())

    def test_not_for_choice(self):
        """Projectors and later parts are no models."""
        self.world.add_model("mmproj-smol.gguf")
        self.world.add_model("smol-draft.gguf")
        self.assertEqual(self.open().ready()["model"], "smol")

    def test_no_fit(self):
        text = self.open("--ctx", "900M").failure()
        self.assertRegex(text, r"\d+ .*(MiB|GiB|tokens)")

    def test_no_engine(self):
        text = self.open(LLAMA_SERVER=self.world.path("nothing")).failure()
        self.assertIn(self.world.path("nothing"), text)

    def test_port(self):
        first = self.open()
        port = first.ready()["port"]
        text = self.open("--port", str(port)).failure()
        self.assertIn(str(port), text)

    # -- the menu

    def test_menu(self):
        """Two models, a terminal: one key down, Enter."""
        self.world.add_model("other.gguf")
        ours, theirs = pty.openpty()
        backend = self.open(terminal=theirs)
        os.close(theirs)
        screen = read_screen(ours, b"smol.gguf")
        self.assertIn(b"Which model?", screen)
        os.write(ours, b"\x1b[B\r")
        self.assertEqual(backend.ready(ours)["model"], "smol")
        os.kill(backend.pid, signal.SIGKILL)
        self.assert_engine_gone()
        os.close(ours)

    def test_menu_left(self):
        self.world.add_model("other.gguf")
        ours, theirs = pty.openpty()
        backend = self.open(terminal=theirs)
        os.close(theirs)
        read_screen(ours, b"smol.gguf")
        os.write(ours, b"\x1b")
        read_screen(ours, b"no model was chosen")
        self.assertEqual(backend.process.wait(), 1)
        os.close(ours)
        self.assert_nothing_left()


class WithClaude(WholeProgram, BackendCase):
    backend = "llama"
