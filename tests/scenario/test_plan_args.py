"""ancalagon plan: what its command line names must make sense together, or it is said why not."""
import json

from harness import Scenario
from test_draft import GpuWorld, model
from test_models import projector, split


class Named(Scenario):
    """Files and options that name something else than their user means."""
    autostart = False
    world_type = GpuWorld

    def file(self, name, **more):
        path = self.world.path("models", f"{name}.gguf")
        model(path, **{"layers": 4, "embd": 1024, **more})
        return path

    def plan(self, *args, status=0):
        done = self.world.cli("plan", *args, "--config", self.world.config)
        self.assertEqual(done.returncode, status, done)
        return done

    def test_a_later_part_of_a_split_model(self):
        """The engine takes only the first part."""
        def parts(n):
            return self.world.path("models", f"big-{n:05}-of-00003.gguf")

        split(parts, 3)
        done = self.plan(parts(2), "--device", "cuda:16G")
        self.assertIn(f"\nmodel = {parts(1)}\n", done.stdout)
        done = self.plan(parts(3), "--device", "cuda:16G", "--json")
        self.assertEqual(json.loads(done.stdout)["model"]["path"], parts(1))

    def test_a_draft_of_another_vocabulary(self):
        """The engine does not start with it."""
        target, other = self.file("target"), self.file("other", words=3000)
        same, unknown = self.file("same"), self.file("unknown", vocabulary="none")
        for name in (target, "a"):
            with self.subTest(name):
                done = self.plan(name, "--draft", other, "--device", "cuda:16G", status=1)
                self.assertIn("vocabularies of 600 and 3000 tokens", done.stdout)
                self.assertIn("It does not work: the draft", done.stdout)
                done = self.plan(name, "--draft", other, "--device", "cuda:16G", "--json", status=1)
                plan = json.loads(done.stdout)
                self.assertFalse(plan["fits"] or plan["runs"], plan)
                self.assertIn("does not go with this model", plan["reason"])
                self.assertIn(plan["reason"], plan["notes"])
                self.assertNotIn("draft", self.plan(name, "--draft", same, "--device", "cuda:16G").stdout)
        self.assertIn("may not go", self.plan(target, "--draft", unknown, "--device", "cuda:16G").stdout)

    def test_sizes_that_nobody_means(self):
        target = self.file("target")
        for args, words in ((("--ram", "1K"), '--ram: "1K" would be 0.000976562 MiB; did you mean 1G?'),
                            (("--ram", "32"), '--ram: "32" would be 32 MiB; did you mean 32G?'),
                            (("--device", "cuda:16K"), '"16K" would be 0.015625 MiB; did you mean 16G?'),
                            (("--device", "cuda:16"), '"16" would be 16 MiB; did you mean 16G?'),
                            (("--device", "cpu:64"), '--device cpu: "64" would be 64 MiB; did you mean 64G?'),
                            (("--ram", "much"), '--ram: "much" is no size; write 16G or 16376M')):
            with self.subTest(args):
                for command in ("plan", "models"):
                    argv = (target,) if command == "plan" else (self.world.path("models"),)
                    done = self.world.cli(command, *argv, *args, "--config", self.world.config)
                    self.assertEqual((done.returncode, done.stdout), (2, ""), done)
                    self.assertIn(words, done.stderr)
        self.plan(target, "--device", "cuda:16376")
        self.plan(target, "--device", "cuda:100M", status=1)  # small, but said in full
        self.plan(target, "--device", "cuda:16G", "--ram", "1M", "--ctx", "256", status=1)

    def test_a_language_model_as_projector(self):
        target, other = self.file("target"), self.file("other")
        eyes = self.world.path("models", "eyes.gguf")
        projector(eyes, 1024, "mlp")
        for name in (target, "a"):
            with self.subTest(name):
                done = self.plan(name, "--mmproj", other, status=2)
                self.assertIn(f"{other} is a model of its own, no projector", done.stderr)
                self.assertEqual(done.stdout, "")
                self.plan(name, "--mmproj", eyes, "--device", "cuda:16G")

    def test_a_head_that_is_not_there(self):
        """The engine does not start without it."""
        plain, with_head = self.file("plain"), self.file("head", mtp=1)
        del self.world.presets["a"]["draft"]
        self.world.write_config()
        for name in (plain, "a"):
            with self.subTest(name):
                done = self.plan(name, "--spec", "mtp", "--device", "cuda:16G", status=1)
                self.assertIn("Note: this model has no multi-token head", done.stdout)
                self.assertNotIn("multi-token", self.plan(name, "--device", "cuda:16G").stdout)
        self.assertNotIn("multi-token", self.plan(with_head, "--spec", "mtp", "--device", "cuda:16G").stdout)

    def test_a_split_without_shares(self):
        target = self.file("target")
        two = ("--device", "cuda:16G", "--device", "cuda:16G")
        for name in (target, "a"):
            for shares in ("0,0", "0", "", "3,1,", "x", "1,-1", "nan,1", "1,inf"):
                with self.subTest(name=name, shares=shares):
                    done = self.plan(name, *two, "--split", shares, status=2)
                    self.assertIn("--split needs proportions", done.stderr)
            self.plan(name, *two, "--split", "0,1")

    def test_experts_of_a_dense_model(self):
        target = self.file("target")
        for name in (target, "a"):
            with self.subTest(name):
                done = self.plan(name, "--n-cpu-moe", "4", "--device", "cuda:16G")
                self.assertIn("Note: this model has no experts", done.stdout)
                self.assertNotIn("experts of 4 layers", done.stdout)
                for none in ("0", "auto"):
                    done = self.plan(name, "--n-cpu-moe", none, "--device", "cuda:16G")
                    self.assertNotIn("no experts", done.stdout)
