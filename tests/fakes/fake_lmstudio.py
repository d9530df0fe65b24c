#!/usr/bin/env python3
"""An LM Studio as far as its documentation and its users' reports tell (never compared with a real
one): REST API v1 and v0, its chat completions, the files in which it keeps load settings.

What its users stumbled over is here too: unknown paths are answered 200; loading what is loaded
makes a second instance; unknown fields of a load are refused; the type of the KV cache is taken from
a file, as a checkbox only, and a bare text there is ignored without a word; a quantised V cache
without flash attention makes the load fail. Its memory grows with the KV cache.
"""
import argparse
import json
import os

from openai_stream import Handler, serve, tokens_of

TYPES = {"f32": 32, "f16": 16, "q8_0": 8.5, "q5_1": 6, "q5_0": 5.5, "q4_1": 5, "q4_0": 4.5,
         "iq4_nl": 4.5}
LOAD_FIELDS = {"model", "context_length", "eval_batch_size", "flash_attention", "num_experts",
               "offload_kv_cache_to_gpu", "echo_load_config"}
DEFAULT_CONTEXT = 4096
BYTES_PER_TOKEN = 1024  # of an f16 cache, so that 64K tokens take 64 MiB


class Studio:
    def __init__(self, options):
        self.options = options
        self.home = os.environ.get("LMSTUDIO_HOME", os.path.expanduser("~/.lmstudio"))
        self.instances = {}
        for name in options.loaded:
            key, _, context = name.partition("=")
            self.load(key, int(context or DEFAULT_CONTEXT))

    def fields(self, key):
        """The load settings of the model's file."""
        index = os.path.join(self.home, ".internal/model-index-cache.json")
        if not os.path.exists(index):
            return {}
        with open(index) as file:
            index = json.load(file)
        path = next(model["indexedModelIdentifier"] for model in index["models"]
                    if model["defaultIdentifier"] == key)
        file = os.path.join(self.home, ".internal/user-concrete-model-default-config", path + ".json")
        if not os.path.exists(file):
            return {}
        with open(file) as handle:
            return {field["key"]: field["value"] for field in json.load(handle)["load"]["fields"]}

    def type_of(self, fields, which):
        value = fields.get(f"llm.load.llama.{which}CacheQuantizationType")
        checked = isinstance(value, dict) and value.get("checked") and not self.options.ignore_kv
        return value["value"] if checked else "f16"

    def load(self, key, context):
        fields = self.fields(key)
        k_type, v_type = self.type_of(fields, "k"), self.type_of(fields, "v")
        flash = fields.get("llm.load.llama.flashAttention") is True
        if TYPES[v_type] < 16 and not flash:
            raise ValueError("V Cache Quantization requires flash attention")
        if self.options.most_context and context > self.options.most_context:
            raise ValueError("Model loading was stopped due to insufficient system resources. "
                             "Adjust the model loading guardrails in settings")
        config = {"context_length": context, "eval_batch_size": 512, "flash_attention": flash,
                  "num_experts": 0, "offload_kv_cache_to_gpu": True}
        if not self.options.hide_kv:
            config |= {"k_cache_quantization_type": k_type, "v_cache_quantization_type": v_type}
        taken = int(context * BYTES_PER_TOKEN * (TYPES[k_type] + TYPES[v_type]) / 32)
        number, instance = 1, key
        while instance in self.instances:
            number += 1
            instance = f"{key}:{number}"
        self.instances[instance] = {"key": key, "config": config, "cache": b"x" * taken}
        return instance

    def of(self, key):
        return [{"id": name, "config": instance["config"]}
                for name, instance in self.instances.items() if instance["key"] == key]

    def list_v1(self):
        models = [{"type": "llm", "publisher": "some", "key": key, "display_name": key,
                   "architecture": "qwen3", "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
                   "size_bytes": 5_000_000_000, "params_string": "8B", "format": "gguf",
                   "loaded_instances": self.of(key), "max_context_length": 131072,
                   "capabilities": {"vision": False, "trained_for_tool_use": True}}
                  for key in self.options.models]
        models.append({"type": "embedding", "key": "text-embedding-nomic", "loaded_instances": [],
                       "max_context_length": 2048})
        return {"models": models}

    def list_v0(self):
        models = []
        for key in self.options.models:
            loaded = self.of(key)
            models.append({"id": key, "object": "model", "type": "llm", "arch": "qwen3",
                           "compatibility_type": "gguf", "quantization": "Q4_K_M",
                           "state": "loaded" if loaded else "not-loaded",
                           "max_context_length": 131072})
            if loaded:
                models[-1]["loaded_context_length"] = loaded[0]["config"]["context_length"]
        models.append({"id": "text-embedding-nomic", "type": "embeddings", "state": "not-loaded",
                       "max_context_length": 2048})
        return {"object": "list", "data": models}


class Api(Handler):
    studio = None

    def answer(self, path, body):
        options = self.studio.options
        if options.key and self.headers.get("Authorization") != f"Bearer {options.key}":
            return self.say(401, {"error": {"message": "Invalid API token"}})
        known = {"/api/v0/models": lambda: self.say(200, self.studio.list_v0()),
                 "/v1/models": lambda: self.say(200, {"object": "list", "data": [
                     {"id": key, "object": "model", "owned_by": "organization_owner"}
                     for key in options.models]}),
                 "/v1/chat/completions": lambda: self.chat(body)}
        if not options.v0:
            known |= {"/api/v1/models": lambda: self.say(200, self.studio.list_v1()),
                      "/api/v1/models/load": lambda: self.load(body),
                      "/api/v1/models/unload": lambda: self.unload(body)}
        if path in known:
            return known[path]()
        return self.say(200, {"error": f"Unexpected endpoint or method. ({self.command} {path})"})

    def load(self, body):
        strange = sorted(set(body) - LOAD_FIELDS)
        if strange:
            return self.say(400, {"error": {"type": "invalid_request", "message":
                                            f"Unrecognized key(s) in object: {strange}"}})
        if body["model"] not in self.studio.options.models:
            return self.say(404, {"error": {"message": f"Model {body['model']} not found"}})
        try:
            instance = self.studio.load(body["model"], body.get("context_length", DEFAULT_CONTEXT))
        except ValueError as error:
            return self.say(500, {"error": {"type": "model_load_failed", "message": str(error)}})
        return self.say(200, {"type": "llm", "instance_id": instance, "status": "loaded",
                              "load_time_seconds": 0.1,
                              "load_config": self.studio.instances[instance]["config"]})

    def unload(self, body):
        if body["instance_id"] not in self.studio.instances:
            return self.say(404, {"error": {"message": "no such instance"}})
        del self.studio.instances[body["instance_id"]]
        return self.say(200, {"instance_id": body["instance_id"]})

    def chat(self, body):
        name = body["model"]
        if name not in self.studio.instances:
            if name not in self.studio.options.models:
                return self.say(404, {"error": {"message": f"Model {name} not found"}})
            name = self.studio.load(name, DEFAULT_CONTEXT)
        window = self.studio.instances[name]["config"]["context_length"]
        if tokens_of(body["messages"]) > window:
            return self.say(400, {"error": "The number of tokens to keep from the initial prompt is "
                                           "greater than the context length. Try to load the model "
                                           "with a larger context length"})
        return self.complete(body, "A sentence from LM Studio.")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--models", nargs="*", default=["qwen/qwen3-8b", "gemma-3-4b"])
    parser.add_argument("--loaded", nargs="*", default=[], metavar="KEY=CONTEXT")
    parser.add_argument("--v0", action="store_true", help="before 0.4.0")
    parser.add_argument("--key")
    parser.add_argument("--most-context", type=int, default=0, help="its guardrails stop more")
    parser.add_argument("--ignore-kv", action="store_true", help="the type is ignored in silence")
    parser.add_argument("--hide-kv", action="store_true", help="the instance tells no type")
    options = parser.parse_args()
    Api.studio = Studio(options)
    serve(Api, options)


if __name__ == "__main__":
    main()
