#include "engine/settings.h"

#include <string.h>

static const struct setting_rule rules[] = {
    {"model", {"--model", "-m"}},
    {"ctx-size", {"--ctx-size", "-c"}},
    {"gpu-layers", {"--gpu-layers", "--n-gpu-layers", "-ngl"}},
    {"n-cpu-moe", {"--n-cpu-moe", "-ncmoe"}},
    {"cpu-moe", {"--cpu-moe", "-cmoe"}},
    {"n-cpu-ffn", {"--n-cpu-ffn", "-ncffn"}},
    {"override-tensor", {"--override-tensor", "-ot"}},
    {"cache-type-k", {"--cache-type-k", "-ctk"}},
    {"cache-type-v", {"--cache-type-v", "-ctv"}},
    {"flash-attn", {"--flash-attn", "-fa"}},
    {"threads", {"--threads", "-t"}},
    {"threads-batch", {"--threads-batch", "-tb"}},
    {"batch-size", {"--batch-size", "-b"}},
    {"ubatch-size", {"--ubatch-size", "-ub"}},
    {"parallel", {"--parallel", "-np"}},
    {"predict", {"--predict", "--n-predict", "-n"}},
    {"load-mode", {"--load-mode", "-lm"}},
    {"mlock", {"--mlock"}},
    {"mmap", {"--mmap"}},
    {"direct-io", {"--direct-io", "-dio"}},
    {"fit", {"--fit", "-fit"}},
    {"fit-target", {"--fit-target", "--fit-margin", "-fitt"}},
    {"fit-ctx", {"--fit-ctx", "-fitc"}},
    {"mmproj", {"--mmproj", "-mm"}},
    {"model-draft", {"--spec-draft-model", "--model-draft", "-md"}},
    {"draft-max", {"--spec-draft-n-max", "--draft-max", "--draft", "--draft-n"}},
    {"draft-min", {"--spec-draft-n-min", "--draft-min", "--draft-n-min"}},
    {"draft-p-min", {"--spec-draft-p-min", "--draft-p-min"}},
    {"draft-p-split", {"--spec-draft-p-split", "--draft-p-split", "--p-split"}},
    {"spec-type", {"--spec-type"}},
    {"ctx-size-draft", {"--spec-draft-ctx-size", "--ctx-size-draft", "-cd"}},
    {"gpu-layers-draft",
     {"--spec-draft-ngl", "--gpu-layers-draft", "--n-gpu-layers-draft", "-ngld"}},
    {"cache-type-k-draft", {"--spec-draft-type-k", "--cache-type-k-draft", "-ctkd"}},
    {"cache-type-v-draft", {"--spec-draft-type-v", "--cache-type-v-draft", "-ctvd"}},
    {"device-draft", {"--spec-draft-device", "--device-draft", "-devd"}},
    {"threads-draft", {"--spec-draft-threads", "--threads-draft", "-td"}},
    {"threads-batch-draft", {"--spec-draft-threads-batch", "--threads-batch-draft", "-tbd"}},
    {"override-tensor-draft", {"--spec-draft-override-tensor", "--override-tensor-draft", "-otd"}},
    {"cpu-moe-draft", {"--spec-draft-cpu-moe", "--cpu-moe-draft", "-cmoed"}},
    {"n-cpu-moe-draft",
     {"--spec-draft-n-cpu-moe", "--spec-draft-ncmoe", "--n-cpu-moe-draft", "-ncmoed"}},
    {"ctx-checkpoints", {"--ctx-checkpoints", "--swa-checkpoints", "-ctxcp", "-ctx-ckpt"}},
    {"cache-ram", {"--cache-ram", "-cram"}},
    {"ui", {"--ui", "--webui"}},
    {"alias", {"--alias", "-a"}},
    {"embeddings", {"--embeddings", "--embedding"}},
    {"reranking", {"--reranking", "--rerank"}},
    {"verbosity", {"--verbosity", "--log-verbosity", "-lv"}},
    {"temp", {"--temp", "--temperature"}},
    {"jinja", {"--jinja"}},
    {"reasoning-format", {"--reasoning-format"}},
};

// A trailing "*" stands for any rest.
static const char *const comforts[] = {
    "alias",
    "cache-idle-slots",
    "cache-ram",
    "cache-reuse",
    "cache-prompt",
    "checkpoint-min-step",
    "cpu-mask*",
    "cpu-range*",
    "cpu-strict*",
    "cont-batching",
    "ctx-checkpoints",
    "ctx-size-draft",
    "log-*",
    "metrics",
    "numa",
    "offline",
    "perf",
    "poll*",
    "prio*",
    "props",
    "slots",
    "slot-prompt-similarity",
    "sse-ping-interval",
    "tags",
    "threads-http",
    "timeout",
    "ui",
    "verbose",
    "verbosity",
    "warmup",
};

const struct setting_rule *setting_rule_find(const char *name) {
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
        for (size_t j = 0; j < SETTING_FLAGS_MAX && rules[i].flags[j]; j++) {
            const char *flag = rules[i].flags[j];
            if (strcmp(flag + strspn(flag, "-"), name) == 0)
                return &rules[i];
        }
    }
    return NULL;
}

bool setting_is_comfort(const char *name) {
    for (size_t i = 0; i < sizeof(comforts) / sizeof(comforts[0]); i++) {
        size_t length = strlen(comforts[i]);
        if (comforts[i][length - 1] == '*' ? strncmp(name, comforts[i], length - 1) == 0
                                           : strcmp(name, comforts[i]) == 0)
            return true;
    }
    return false;
}
