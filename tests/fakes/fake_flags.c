/* The flags of three llama-server dialects: what --help prints and what is refused. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define M DIALECT_MAINLINE
#define O DIALECT_OLD
#define K DIALECT_IK
#define ALL (M | O | K)
#define REMOVED 8 /* printed in mainline's help, refused when used */

static const char cache_types[] = "f32|f16|bf16|q8_0|q4_0|q4_1|iq4_nl|q5_0|q5_1";
static const char cache_types_ik[] = "f32|f16|bf16|q8_0|q4_0|q4_1|iq4_nl|q5_0|q5_1|q6_0|q8_KV";

/* One option: names as printed, value placeholder (NULL: a switch), help, who has it, and the
 * values it takes where the real one checks them ("#": whole numbers only). */
static const struct flag {
    const char *names, *hint, *help;
    unsigned dialects;
    const char *values;
} flags[] = {
    {"-h, --help, --usage", NULL, "print usage and exit", ALL, NULL},
    {"--version", NULL, "show version and build info", ALL, NULL},
    {"-t, --threads", "N", "number of CPU threads to use (default: -1)", ALL, "#"},
    {"-tb, --threads-batch", "N", "threads for prompt processing (default: same as --threads)", ALL,
     "#"},
    {"-c, --ctx-size", "N", "size of the prompt context (default: 0, 0 = loaded from model)", ALL,
     "#"},
    {"-n, --predict, --n-predict", "N", "number of tokens to predict (default: -1)", ALL, "#"},
    {"-b, --batch-size", "N", "logical maximum batch size (default: 2048)", ALL, "#"},
    {"-ub, --ubatch-size", "N", "physical maximum batch size (default: 512)", ALL, "#"},
    {"--keep", "N", "tokens to keep from the initial prompt (default: 0)", ALL, "#"},
    {"--swa-full", NULL, "use full-size SWA cache (default: false)", M, NULL},
    {"-fa, --flash-attn", "[on|off|auto]",
     "set Flash Attention use ('on', 'off', or 'auto', default: 'auto')", M,
     "on|off|auto|1|0|true|false"},
    {"-fa, --flash-attn", NULL, "enable Flash Attention (default: disabled)", O, NULL},
    {"-fa, --flash-attn", "V", "set flash attention on, off or auto (default: on)", K,
     "on|off|auto|1|0"},
    {"-no-fa, --no-flash-attn", NULL, "disable flash attention", K, NULL},
    {"--rope-scaling", "{none,linear,yarn}", "RoPE frequency scaling method", ALL, NULL},
    {"--rope-freq-base", "N", "RoPE base frequency", ALL, NULL},
    {"--yarn-orig-ctx", "N", "YaRN: original context size of model", ALL, NULL},
    {"-kvo, --kv-offload, -nkvo, --no-kv-offload", NULL,
     "whether to enable KV cache offloading (default: enabled)", M, NULL},
    {"-nkvo, --no-kv-offload", NULL, "disable KV offload", O | K, NULL},
    {"--repack, -nr, --no-repack", NULL, "whether to enable weight repacking", M, NULL},
    {"-ctk, --cache-type-k", "TYPE", "KV cache data type for K (default: f16)", M | O, cache_types},
    {"-ctv, --cache-type-v", "TYPE", "KV cache data type for V (default: f16)", M | O, cache_types},
    {"-ctk, --cache-type-k", "TYPE", "KV cache data type for K (default: f16)", K, cache_types_ik},
    {"-ctv, --cache-type-v", "TYPE", "KV cache data type for V (default: f16)", K, cache_types_ik},
    {"-khad, --k-cache-hadamard", NULL, "use a Hadamard transform for the K cache", K, NULL},
    {"-dt, --defrag-thold", "N", "KV cache defragmentation threshold (DEPRECATED)", ALL, NULL},
    {"--rpc", "SERVERS", "comma-separated list of RPC servers (host:port)", M | K, NULL},
    {"-lm, --load-mode", "MODE",
     "model loading mode (default: auto)\n- auto: mmap where it helps\n- none: read the file\n"
     "- mmap: map it\n- mlock: keep it in RAM\n- mmap+mlock: both\n- dio: direct I/O",
     M, "auto|none|mmap|mlock|mmap+mlock|dio"},
    {"--mlock", NULL, "force system to keep model in RAM", O | K, NULL},
    {"--no-mmap", NULL, "do not memory-map model", O | K, NULL},
    {"--mmap, --no-mmap", NULL, "the argument has been removed. use --load-mode", REMOVED, NULL},
    {"--numa", "TYPE", "attempt optimizations that help on some NUMA systems", ALL, NULL},
    {"-dev, --device", "<dev1,dev2,..>", "comma-separated list of devices to use for offloading",
     ALL, NULL},
    {"--list-devices", NULL, "print list of available devices and exit", M | O, NULL},
    {"-ot, --override-tensor", "<tensor name pattern>=<buffer type>,...",
     "override tensor buffer type", ALL, NULL},
    {"-cmoe, --cpu-moe", NULL, "keep all Mixture of Experts (MoE) weights in the CPU", M | K, NULL},
    {"-ncmoe, --n-cpu-moe", "N",
     "keep the Mixture of Experts (MoE) weights of the first N layers in the CPU", M | K, "#"},
    {"-ncffn, --n-cpu-ffn", "N", "keep the dense FFN weights of the first N layers in the CPU", M,
     "#"},
    {"-rtr, --run-time-repack", NULL, "repack tensors if interleaved variant is available", K,
     NULL},
    {"-ngl, --gpu-layers, --n-gpu-layers", "N",
     "max. number of layers to store in VRAM, either an exact number, 'auto', or 'all' (default: "
     "auto)",
     M, NULL},
    {"-ngl, --gpu-layers, --n-gpu-layers", "N", "number of layers to store in VRAM", O | K, "#"},
    {"-sm, --split-mode", "{none,layer,row,tensor}", "how to split the model across multiple GPUs",
     M, "none|layer|row|tensor"},
    {"-sm, --split-mode", "SPLIT_MODE", "how to split the model across multiple GPUs", O | K, NULL},
    {"-ts, --tensor-split", "N0,N1,N2,...", "fraction of the model to offload to each GPU", ALL,
     NULL},
    {"-mg, --main-gpu", "INDEX", "the GPU to use for the model (default: 0)", ALL, "#"},
    {"-fit, --fit", "[on|off]",
     "whether to adjust unset arguments to fit in device memory ('on' or 'off', default: 'on')", M,
     "on|off|1|0|true|false"},
    {"--fit", NULL, "fit the model into device memory (default: off)", K, NULL},
    {"-fitt, --fit-target", "MiB0,MiB1,MiB2,...", "target margin per device for --fit", M, NULL},
    {"-fitc, --fit-ctx", "N", "minimum ctx size that can be set by --fit option, default: 4096", M,
     "#"},
    {"--check-tensors", NULL, "check model tensor data for invalid values", ALL, NULL},
    {"--override-kv", "KEY=TYPE:VALUE,...", "override model metadata by key", ALL, NULL},
    {"--lora", "FNAME", "path to LoRA adapter", ALL, NULL},
    {"-m, --model", "FNAME", "model path to load", ALL, NULL},
    {"-hf, -hfr, --hf-repo", "<user>/<model>[:quant]", "Hugging Face model repository", M | O,
     NULL},
    {"--log-disable", NULL, "Log disable", ALL, NULL},
    {"--log-file", "FNAME", "Log to file", M | O, NULL},
    {"--log-jsonl, --no-log-jsonl", NULL, "Log as JSONL", M, NULL},
    {"--log-format", "FORMAT", "log output format: json or text", K, NULL},
    {"--log-colors", "[on|off|auto]", "Set colored logging", M, "on|off|auto|1|0|true|false"},
    {"--log-colors", NULL, "Enable colored logging", O, NULL},
    {"-v, --verbose, --log-verbose", NULL, "Set verbosity level to infinity", M | O, NULL},
    {"--offline", NULL, "Offline mode: forces use of cache, prevents network access", M | O, NULL},
    {"-lv, --verbosity, --log-verbosity", "N",
     "Set the verbosity threshold. Values:\n - 3: info\n - 4: trace (more info)\n - 5: debug", M,
     "#"},
    {"-lv, --verbosity, --log-verbosity", "N", "Set the verbosity threshold", O, "#"},
    {"--log-prefix, --no-log-prefix", NULL, "Enable prefix in log messages", M, NULL},
    {"--log-timestamps, --no-log-timestamps", NULL, "Enable timestamps in log messages", M, NULL},
    {"-s, --seed", "SEED", "RNG seed (default: -1)", ALL, NULL},
    {"--temp, --temperature", "N", "temperature (default: 0.80)", ALL, NULL},
    {"--top-k", "N", "top-k sampling (default: 40)", ALL, NULL},
    {"--top-p", "N", "top-p sampling (default: 0.95)", ALL, NULL},
    {"--min-p", "N", "min-p sampling (default: 0.05)", ALL, NULL},
    {"--repeat-penalty", "N", "penalize repeat sequence of tokens (default: 1.00)", ALL, NULL},
    {"--presence-penalty", "N", "repeat alpha presence penalty (default: 0.00)", ALL, NULL},
    {"-ctxcp, --ctx-checkpoints, --swa-checkpoints", "N",
     "max number of context checkpoints to create per slot (default: 32)", M, "#"},
    {"-ctx-ckpt, --ctx-checkpoints", "N", "context checkpoints per slot", K, "#"},
    {"-cms, --checkpoint-min-step", "N", "minimum spacing between context checkpoints", M, "#"},
    {"-cram, --cache-ram", "N", "set the maximum cache size in MiB (default: 8192)", M | K, "#"},
    {"-kvu, --kv-unified, -no-kvu, --no-kv-unified", NULL,
     "use single unified KV buffer shared across all sequences", M, NULL},
    {"--cache-idle-slots, --no-cache-idle-slots", NULL, "save idle slots to the prompt cache", M,
     NULL},
    {"--context-shift, --no-context-shift", NULL, "whether to use context shift", M, NULL},
    {"--no-context-shift", NULL, "disables context shift", O, NULL},
    {"--warmup, --no-warmup", NULL, "whether to perform warmup with an empty run", M, NULL},
    {"--no-warmup", NULL, "skip warming up the model with an empty run", O | K, NULL},
    {"--pooling", "{none,mean,cls,last,rank}", "pooling type for embeddings", ALL, NULL},
    {"-np, --parallel", "N", "number of server slots (default: -1, -1 = auto)", M, "#"},
    {"-np, --parallel", "N", "number of parallel sequences to decode (default: 1)", O | K, "#"},
    {"-cb, --cont-batching, -nocb, --no-cont-batching", NULL, "continuous batching", M, NULL},
    {"-cb, --cont-batching", NULL, "enable continuous batching", O | K, NULL},
    {"-mm, --mmproj", "FILE", "path to a multimodal projector file", M, NULL},
    {"--mmproj", "FILE", "path to a multimodal projector file", O | K, NULL},
    {"--mmproj-auto, --no-mmproj, --no-mmproj-auto", NULL, "use the projector if available", M,
     NULL},
    {"--mmproj-offload, --no-mmproj-offload", NULL, "GPU offloading for the projector", M, NULL},
    {"--no-mmproj-offload", NULL, "do not offload the projector", O | K, NULL},
    {"-a, --alias", "STRING", "set model name aliases, comma-separated (to be used by API)", M,
     NULL},
    {"-a, --alias", "STRING", "set alias for model name (to be used by REST API)", O | K, NULL},
    {"--host", "HOST",
     "IP addresses to listen on, comma-separated, or UNIX socket paths ending in .sock (default: "
     "127.0.0.1)",
     M, NULL},
    {"--host", "HOST",
     "ip address to listen, or bind to an UNIX socket if the address ends with .sock (default: "
     "127.0.0.1)",
     O, NULL},
    {"--host", "HOST", "ip address to listen (default: 127.0.0.1)", K, NULL},
    {"--port", "PORT", "port to listen (default: 8080)", ALL, "#"},
    {"--reuse-port", NULL, "allow multiple sockets to bind to the same port", M, NULL},
    {"--path", "PATH", "path to serve static files from (default: )", ALL, NULL},
    {"--cors-origins", "ORIGINS", "comma-separated list of allowed origins for CORS (default: *)",
     M, NULL},
    {"--api-prefix", "PREFIX", "prefix path the server serves from", M | O, NULL},
    {"--tools", "TOOL1,TOOL2,...", "experimental: whether to enable built-in tools for AI agents",
     M, NULL},
    {"-ag, --agent, -no-ag, --no-agent", NULL, "CORS proxy and all built-in tools", M, NULL},
    {"--ui, --webui, --no-ui, --no-webui", NULL, "whether to enable the Web UI", M, NULL},
    {"--no-webui", NULL, "Disable the Web UI (default: enabled)", O, NULL},
    {"--webui", "NAME", "webui to serve: none, auto or llamacpp (default: auto)", K, NULL},
    {"--embedding, --embeddings", NULL, "restrict to only support embedding use case", ALL, NULL},
    {"--rerank, --reranking", NULL, "enable reranking endpoint on server (default: disabled)",
     M | O, NULL},
    {"--api-key", "KEY", "API key to use for authentication, comma-separated (default: none)", ALL,
     NULL},
    {"--api-key-file", "FNAME", "path to file containing API keys (default: none)", ALL, NULL},
    {"--chat-template-kwargs", "STRING", "additional params for the json template parser", ALL,
     NULL},
    {"-to, --timeout", "N", "server read/write timeout in seconds (default: 3600)", ALL, "#"},
    {"--sse-ping-interval", "N", "server SSE ping interval in seconds (-1 = disabled, default: 30)",
     M, "#"},
    {"--threads-http", "N", "number of threads used to process HTTP requests", ALL, "#"},
    {"--cache-prompt, --no-cache-prompt", NULL, "whether to enable prompt caching", M, NULL},
    {"--cache-reuse", "N", "min chunk size to attempt reusing from the cache", M | O, "#"},
    {"--metrics", NULL, "enable prometheus compatible metrics endpoint (default: disabled)", ALL,
     NULL},
    {"--props", NULL, "enable changing global properties via POST /props (default: disabled)",
     M | O, NULL},
    {"--slots, --no-slots", NULL, "expose slots monitoring endpoint (default: enabled)", M, NULL},
    {"--no-slots", NULL, "disables slots monitoring endpoint", O | K, NULL},
    {"--slot-save-path", "PATH", "path to save slot kv cache (default: disabled)", ALL, NULL},
    {"--models-dir", "PATH", "directory containing models for the router server", M, NULL},
    {"--models-max", "N", "for router server, models to load simultaneously (default: 4)", M, "#"},
    {"--jinja, --no-jinja", NULL, "whether to use jinja template engine for chat", M, NULL},
    {"--jinja", NULL, "use jinja template for chat (default: disabled)", O | K, NULL},
    {"--reasoning-format", "FORMAT", "how thought tags are returned", ALL, NULL},
    {"-rea, --reasoning", "[on|off|auto]", "Use reasoning/thinking in the chat", M,
     "on|off|auto|1|0|true|false"},
    {"--reasoning-budget", "N", "token budget for thinking (default: -1)", ALL, "#"},
    {"--chat-template", "JINJA_TEMPLATE", "set custom jinja chat template", ALL, NULL},
    {"--chat-template-file", "JINJA_TEMPLATE_FILE", "set custom jinja chat template file", M | O,
     NULL},
    {"-sps, --slot-prompt-similarity", "SIMILARITY", "how much the prompt must match a slot", ALL,
     NULL},
    {"--sleep-idle-seconds", "SECONDS", "seconds of idleness after which the server will sleep", M,
     NULL},
    {"--spec-draft-type-k, -ctkd, --cache-type-k-draft", "TYPE", "K cache type of the draft", M,
     cache_types},
    {"--spec-draft-type-v, -ctvd, --cache-type-v-draft", "TYPE", "V cache type of the draft", M,
     cache_types},
    {"-ctkd, --cache-type-k-draft", "TYPE", "K cache type of the draft", O | K, NULL},
    {"-ctvd, --cache-type-v-draft", "TYPE", "V cache type of the draft", O | K, NULL},
    {"--spec-draft-n-max", "N", "number of tokens to draft (default: 3)", M, "#"},
    {"--spec-draft-n-min", "N", "minimum number of draft tokens to use (default: 0)", M, "#"},
    {"--spec-draft-p-min, --draft-p-min", "P", "minimum speculative decoding probability", M, NULL},
    {"--spec-draft-ngl, -ngld, --gpu-layers-draft, --n-gpu-layers-draft", "N",
     "max. number of draft model layers to store in VRAM", M, NULL},
    {"-ngld, --gpu-layers-draft, --n-gpu-layers-draft", "N", "draft layers in VRAM", O | K, "#"},
    {"--spec-draft-model, -md, --model-draft", "FNAME", "draft model for speculative decoding", M,
     NULL},
    {"-md, --model-draft", "FNAME", "draft model for speculative decoding", O | K, NULL},
    {"-cd, --ctx-size-draft", "N", "size of the prompt context for the draft model", O | K, "#"},
    {"--spec-type", "none,draft-simple,draft-mtp,ngram-simple,ngram-mod",
     "comma-separated list of types of speculative decoding to use (default: none)", M, NULL},
    {"--spec-type", "SPEC", "speculation, as type:key=value,...", K, NULL},
    {"--draft-max, --draft, --draft-n", "N", "number of tokens to draft (default: 16)", O, "#"},
    {"--draft-min, --draft-n-min", "N", "minimum number of draft tokens (default: 0)", O, "#"},
    {"--draft-p-min", "P", "minimum speculative decoding probability (default: 0.8)", O, NULL},
    {"--draft, --draft-n, --draft-max", "N",
     "the argument has been removed. use --spec-draft-n-max or --spec-ngram-mod-n-max", REMOVED,
     NULL},
    {"--draft-min, --draft-n-min", "N",
     "the argument has been removed. use --spec-draft-n-min or --spec-ngram-mod-n-min", REMOVED,
     NULL},
    {"--spec-default", NULL, "enable default speculative decoding config", M, NULL},
};

bool flags_turbo;

static const size_t n_flags = sizeof flags / sizeof *flags;

/* The names on the left: the first, usually short, is padded so that the long ones line up. */
static int left_side(const struct flag *flag, char *out, size_t size) {
    const char *comma = strchr(flag->names, ',');
    size_t first = comma ? (size_t)(comma - flag->names) + 1 : 0;
    int pad = comma && first < 7 ? (int)(7 - first - 1) : 0;
    return snprintf(out, size, "%.*s%*s%s%s%s", (int)first, flag->names, pad, "",
                    flag->names + first, flag->hint ? " " : "", flag->hint ? flag->hint : "");
}

static void print_mainline(const struct flag *flag) {
    char left[256];
    int width = left_side(flag, left, sizeof left);
    if (width > 37)
        printf("%s\n%40s", left, "");
    else
        printf("%-40s", left);
    for (const char *c = flag->help; *c; c++) {
        putchar(*c);
        if (*c == '\n')
            printf("%40s", "");
    }
    putchar('\n');
}

static void print_ik(const struct flag *flag) {
    char left[256];
    int width = left_side(flag, left, sizeof left);
    printf("  %-32s", left);
    if (width > 30)
        printf("\n%34s", "");
    printf("%s\n", flag->help);
}

void flags_help(enum fake_dialect dialect) {
    if (dialect == DIALECT_IK)
        printf("usage: llama-server [options]\n\ngeneral:\n\n");
    else
        printf("----- common params -----\n\n");
    for (size_t i = 0; i < n_flags; i++) {
        unsigned who = flags[i].dialects;
        if (dialect == DIALECT_MAINLINE && (who & REMOVED))
            who |= DIALECT_MAINLINE;
        if (!(who & (unsigned)dialect) || strcmp(flags[i].names, "--mmap, --no-mmap") == 0)
            continue;
        if (dialect == DIALECT_IK)
            print_ik(&flags[i]);
        else
            print_mainline(&flags[i]);
        if (flags_turbo && strstr(flags[i].names, "--cache-type-k"))
            printf("%40sallowed values: f16, q8_0, q4_0, turbo2, turbo3, turbo4\n", "");
    }
}

static bool list_has(const char *list, const char *separators, const char *word) {
    size_t len = strlen(word);
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, separators);
        if (n == len && memcmp(at, word, n) == 0)
            return true;
        at += n;
        at += strspn(at, separators);
    }
    return false;
}

static bool drafts(const struct fake_args *args, enum fake_dialect dialect) {
    if (dialect != DIALECT_MAINLINE)
        return args->draft_model != NULL;
    return args->spec_type && ((args->draft_model && strstr(args->spec_type, "draft-simple")) ||
                               strstr(args->spec_type, "draft-mtp"));
}

static const struct flag *find(const char *name, enum fake_dialect dialect, bool *removed) {
    *removed = false;
    for (size_t i = 0; i < n_flags; i++) {
        if (!list_has(flags[i].names, ", ", name))
            continue;
        if (flags[i].dialects & (unsigned)dialect)
            return &flags[i];
        if (dialect == DIALECT_MAINLINE && (flags[i].dialects & REMOVED) && flags[i].hint) {
            *removed = true;
            return &flags[i];
        }
    }
    return NULL;
}

static bool value_ok(const struct flag *flag, const char *value) {
    if (!flag->values)
        return true;
    if (flag->values[0] != '#')
        return list_has(flag->values, "|", value);
    char *end;
    strtol(value, &end, 10);
    return *value && !*end;
}

static const char *first_line(const char *path) {
    static char line[512];
    FILE *file = fopen(path, "re");
    if (!file || !fgets(line, sizeof line, file))
        snprintf(line, sizeof line, "unreadable key file");
    if (file)
        fclose(file);
    line[strcspn(line, "\r\n")] = 0;
    return line;
}

static void keep(struct fake_args *args, const struct flag *flag, const char *value) {
    const char *names = flag->names;
    if (list_has(names, ", ", "--model"))
        args->model = value;
    else if (list_has(names, ", ", "--host"))
        args->host = value;
    else if (list_has(names, ", ", "--port"))
        args->port = value;
    else if (list_has(names, ", ", "--api-key"))
        args->api_key = value;
    else if (list_has(names, ", ", "--api-key-file"))
        args->api_key = first_line(value);
    else if (list_has(names, ", ", "--alias"))
        args->alias = value;
    else if (list_has(names, ", ", "--parallel"))
        args->parallel = strtol(value, NULL, 10);
    else if (list_has(names, ", ", "--verbosity"))
        args->verbosity = strtol(value, NULL, 10);
    else if (list_has(names, ", ", "--model-draft"))
        args->draft_model = value;
    else if (list_has(names, ", ", "--spec-type"))
        args->spec_type = value;
    else if (list_has(names, ", ", "--spec-draft-n-max") || list_has(names, ", ", "--draft-max"))
        args->draft_n = strtol(value, NULL, 10);
    else if (list_has(names, ", ", "--metrics"))
        args->metrics = true;
    else if (list_has(names, ", ", "--embeddings"))
        args->embeddings = true;
    else if (list_has(names, ", ", "--help"))
        args->help = true;
    else if (list_has(names, ", ", "--version"))
        args->version = true;
    else if (list_has(names, ", ", "--list-devices"))
        args->list_devices = true;
}

bool flags_parse(int argc, char **argv, enum fake_dialect dialect, struct fake_args *args) {
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--fake-", 7) == 0) {
            i++;
            continue;
        }
        bool removed;
        const struct flag *flag = find(argv[i], dialect, &removed);
        if (!flag) {
            fprintf(stderr, "error: invalid argument: %s\n", argv[i]);
            return false;
        }
        if (removed) {
            fprintf(stderr, "error while handling argument \"%s\": %s\n\nusage:\n", argv[i],
                    flag->help);
            return false;
        }
        const char *value = flag->hint ? argv[i + 1] : "";
        if (!value) {
            fprintf(stderr,
                    "error while handling argument \"%s\": expected value for argument\n\nusage:\n",
                    argv[i]);
            return false;
        }
        if (flag->hint && !value_ok(flag, value)) {
            fprintf(stderr,
                    "error while handling argument \"%s\": error: unknown value for %s: '%s'\n\n"
                    "usage:\n",
                    argv[i], argv[i], value);
            return false;
        }
        keep(args, flag, value);
        i += flag->hint != NULL;
    }
    args->drafts = drafts(args, dialect);
    return true;
}
