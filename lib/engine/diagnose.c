#define _GNU_SOURCE
#include "engine/diagnose.h"

#include "base/mem.h"
#include "base/str.h"

#include <ctype.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_MAX = 128 * 1024, LINES_MAX = 400 };

struct pattern {
    enum cause cause;
    const char *needle; // in a line, any case
    const char *also;   // in the same line, or NULL
    bool about_file;    // the text goes on after "the model file"
    const char *text;   // followed by the line itself
    const char *fix;
};

#define FIX_MEMORY                                                                                 \
    "lower ctx-size, use a smaller quantisation or kv = q8_0, put more on the CPU (n-cpu-moe, "    \
    "fewer gpu-layers), or stop what else uses the memory"
#define FIX_DAMAGED "the download is probably incomplete: compare its size and fetch it again"
#define FIX_FLAG "remove it from the preset, or choose an engine that has it (ancalagon engines)"

// The first pattern that any line matches decides, so the precise ones come before those that
// llama-server prints after every failure.
static const struct pattern patterns[] = {
    {CAUSE_MISSING_LIBRARY, "error while loading shared libraries", NULL, false,
     "the engine needs a library that is not here", "install it, or set LD_LIBRARY_PATH"},
    {CAUSE_MISSING_LIBRARY, "version `GLIBC", "not found", false,
     "the engine was built for a newer system", "build the engine on this machine"},
    {CAUSE_WRONG_CPU, "AMX is not ready", NULL, false, "the engine was built for another CPU",
     "build the engine on this machine"},
    {CAUSE_WRONG_CPU, "illegal instruction", NULL, false, "the engine was built for another CPU",
     "build the engine on this machine"},
    {CAUSE_CANNOT_EXECUTE, "exec format error", NULL, false,
     "the engine was built for another kind of machine", "build the engine on this machine"},

    {CAUSE_REMOVED_FLAG, "has been removed", NULL, false, "the engine has dropped a flag",
     FIX_FLAG},
    {CAUSE_UNKNOWN_FLAG, "invalid argument:", NULL, false, "the engine does not know a flag",
     FIX_FLAG},
    {CAUSE_UNKNOWN_FLAG, "unknown argument:", NULL, false, "the engine does not know a flag",
     FIX_FLAG},
    {CAUSE_BAD_VALUE, "unsupported cache type", "turbo", false,
     "the engine does not know this KV cache type",
     "turbo types need the fork turbo-tan/llama.cpp-tq3; else use q8_0 or q4_0"},
    {CAUSE_BAD_VALUE, "unsupported cache type", NULL, false,
     "the engine does not know this KV cache type", "use f16, q8_0 or q4_0, the same for K and V"},
    {CAUSE_BAD_VALUE, "unknown value for", NULL, false, "the engine refuses a value",
     "correct it in the preset"},
    {CAUSE_BAD_VALUE, "RPC not supported", NULL, false, "the engine was built without RPC",
     "build it with -DGGML_RPC=ON"},
    {CAUSE_BAD_VALUE, "error while handling argument", NULL, false, "the engine refuses a value",
     "correct it in the preset"},

    {CAUSE_BAD_VALUE, "cache type", "does not divide", false,
     "this model cannot have a KV cache of that type", "use kv = f16"},
    {CAUSE_BAD_VALUE, "V cache requires flash_attn", NULL, false,
     "a quantised V cache needs flash attention", "set flash-attn = on, or kv = f16"},

    {CAUSE_UNKNOWN_ARCHITECTURE, "unknown model architecture", NULL, true,
     "is of a kind that the engine does not know",
     "it is newer than the engine, or needs a fork: update the engine or set engine ="},
    {CAUSE_BAD_FILE, "invalid magic characters", NULL, true, "is not a GGUF file",
     "check the path; a web page saved in place of a download looks like this"},
    {CAUSE_BAD_FILE, "not within the file bounds", NULL, true, "is cut short", FIX_DAMAGED},
    {CAUSE_BAD_FILE, "exceeds remaining file size", NULL, true, "is cut short", FIX_DAMAGED},
    {CAUSE_BAD_FILE, "failed to read key-value pairs", NULL, true, "is cut short or damaged",
     FIX_DAMAGED},
    {CAUSE_BAD_FILE, "failed to read tensor info", NULL, true, "is cut short or damaged",
     FIX_DAMAGED},
    {CAUSE_BAD_FILE, "failed to read tensor data", NULL, true, "is cut short or damaged",
     FIX_DAMAGED},
    {CAUSE_BAD_FILE, "failed to read magic", NULL, true, "is empty", FIX_DAMAGED},
    {CAUSE_BAD_FILE, "corrupted or incomplete", NULL, true, "is cut short or damaged", FIX_DAMAGED},
    {CAUSE_BAD_FILE, "corrupted model", NULL, true, "is damaged", FIX_DAMAGED},
    {CAUSE_BAD_FILE, "invalid split", NULL, true,
     "is one part of several, and the others do not fit",
     "put all parts in one folder and give the first"},
    {CAUSE_BAD_FILE, "failed to load GGUF split", NULL, true, "is one part of several",
     "put all parts in one folder and give the first"},
    {CAUSE_BAD_FILE, "cannot be used as main model", NULL, true, "is a projector, not a model",
     "give it as mmproj, and the model as model"},
    {CAUSE_BAD_FILE, "GGUF file version", NULL, true, "has a format the engine cannot read",
     "update the engine, or fetch a newer file"},
    {CAUSE_MISSING_FILE, "failed to open", "no such file", true, "does not exist",
     "check the path in the preset"},
    {CAUSE_MISSING_FILE, "failed to open", "permission denied", true, "may not be read",
     "give the account that runs ancalagon the right to read it"},
    {CAUSE_MISSING_FILE, "no such file or directory", NULL, true, "does not exist",
     "check the path in the preset"},
    {CAUSE_MISSING_FILE, "does this file exist?", NULL, true, "cannot be read",
     "check the path in the preset"},

    {CAUSE_OUT_OF_MEMORY, "cuda", "out of memory", false, "the GPU's memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "hip", "out of memory", false, "the GPU's memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "ErrorOutOfDeviceMemory", NULL, false, "the GPU's memory is full",
     FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "ErrorOutOfHostMemory", NULL, false, "the memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "kIOGPUCommandBufferCallbackErrorOutOfMemory", NULL, false,
     "the GPU's memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "CUBLAS_STATUS_ALLOC_FAILED", NULL, false, "the GPU's memory is full",
     FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "insufficient memory", NULL, false, "the memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "out of memory", NULL, false, "the memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "cannot allocate memory", NULL, false, "the memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "bad_alloc", NULL, false, "the memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "unable to allocate", NULL, false, "the memory is full", FIX_MEMORY},
    {CAUSE_OUT_OF_MEMORY, "failed to allocate", NULL, false, "the memory is full", FIX_MEMORY},

    {CAUSE_CANNOT_BIND, "couldn't bind", NULL, false, "the engine cannot listen",
     "remove the stale socket file, or free the port"},
    {CAUSE_CANNOT_BIND, "address already in use", NULL, false, "the engine cannot listen",
     "another process holds its port"},
    {CAUSE_TEMPLATE, "chat template", "not supported", true,
     "has a chat template the engine refuses", "set jinja = on, or give a chat-template-file"},
    {CAUSE_TEMPLATE, "custom template is not supported", NULL, true,
     "has a chat template the engine refuses", "set jinja = on, or give a chat-template-file"},
    {CAUSE_TEMPLATE, "chat template parsing error", NULL, true,
     "has a chat template the engine cannot read", "give a chat-template-file"},
    {CAUSE_GPU, "CUDA driver version is insufficient", NULL, false, "the GPU's driver is too old",
     "update the driver, or build the engine for it"},
    {CAUSE_GPU, "no kernel image is available", NULL, false,
     "the engine was not built for this GPU", "build the engine on this machine"},
    {CAUSE_GPU, "no CUDA-capable device", NULL, false, "no GPU answers",
     "check nvidia-smi; a device that fell off the bus needs a restart"},
    {CAUSE_GPU, "ErrorDeviceLost", NULL, false, "the GPU stopped answering",
     "check the kernel log; a device that fell off the bus needs a restart"},
    {CAUSE_GPU, "CUDA error", NULL, false, "the GPU reported an error",
     "check the kernel log and nvidia-smi"},
    {CAUSE_CANNOT_FIT, "cannot meet free memory target", NULL, false,
     "it does not fit into the free memory", FIX_MEMORY},
    {CAUSE_CRASHED, "GGML_ASSERT", NULL, false, "the engine met a bug of its own",
     "update the engine, or report this line to its project"},
    {CAUSE_CANNOT_FIT, "failed to fit params", NULL, false, "the engine could not plan its memory",
     FIX_MEMORY},
    {CAUSE_BAD_FILE, "error loading model", NULL, true, "cannot be loaded", ""},
    {CAUSE_BAD_FILE, "failed to load model", NULL, true, "cannot be loaded", ""},
};

// Lines begin "0.00.012.580 E srv    load_model: " or "I llama_model_loader: "; people need neither
// the clock nor the level.
static const char *without_clock(const char *line) {
    const char *at = line + strspn(line, "0123456789.");
    if (at - line > 8 && at[0] == ' ' && isupper((unsigned char)at[1]) && at[2] == ' ')
        return at + 3;
    return line;
}

// Which of the files given to the engine a complaint is about: it says so only afterwards.
static const char *guilty_file(const char *const *lines, size_t count) {
    static const struct {
        const char *needle;
        const char *file;
    } marks[] = {
        {"failed to load draft model", "the draft model file"},
        {"failed to load multimodal model", "the mmproj file"},
        {"failed to load CLIP model", "the mmproj file"},
        {"failed to load lora adapter", "the LoRA file"},
        {"failed to load control vector", "the control vector file"},
    };
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sizeof(marks) / sizeof(marks[0]); j++) {
            if (strcasestr(lines[i], marks[j].needle))
                return marks[j].file;
        }
    }
    return "the model file";
}

static void describe(struct diagnosis *out, enum cause cause, const char *fix, const char *what,
                     const char *line) {
    out->cause = cause;
    if (line)
        snprintf(out->text, sizeof(out->text), "%s: %.400s", what, without_clock(line));
    else
        snprintf(out->text, sizeof(out->text), "%s", what);
    snprintf(out->fix, sizeof(out->fix), "%s", fix);
}

// "tensor 'x' has invalid ggml type 144. should be in [0, 43)". Forks number their types apart from
// llama.cpp: ik_llama.cpp from 97 up (IQ2_K is 137, repacked ones 202 to 399), tq3 has 44 and 46.
static bool diagnose_tensor_type(const char *line, const char *file, struct diagnosis *out) {
    const char *at = strcasestr(line, "invalid ggml type ");
    if (!at)
        return false;
    long type = strtol(at + strlen("invalid ggml type "), NULL, 10);
    char what[160];
    snprintf(what, sizeof(what), "%s uses a quantisation the engine does not know", file);
    const char *fix = "the file may be damaged, or made for a fork of llama.cpp: see where it "
                      "comes from";
    if (type == 44 || type == 46)
        fix = "it is a TurboQuant (TQ3) file: set engine = to a build of turbo-tan/llama.cpp-tq3";
    else if (type >= 97 && type < 400)
        fix = "it is an IQ*_K, *_KS, *_KT or repacked quantisation: set engine = to a build of "
              "ikawrakow/ik_llama.cpp";
    else if (type >= 31 && type <= 38)
        fix = "it is a CPU-specific type that llama.cpp has dropped: fetch a Q4_0 or IQ4_NL file";
    else if (type >= 40 && type < 97)
        fix = "it is newer than the engine: update it, or set engine = to the fork it was made for";
    describe(out, CAUSE_UNKNOWN_TENSOR_TYPE, fix, what, line);
    return true;
}

// Complaints after which llama.cpp carries on with something lesser.
static bool is_harmless(const char *line) {
    return strcasestr(line, "failed to mlock") || strcasestr(line, "pinned memory");
}

static bool diagnose_lines(const char *const *lines, size_t count, struct diagnosis *out) {
    const char *file = guilty_file(lines, count);
    for (size_t i = 0; i < count; i++) {
        if (diagnose_tensor_type(lines[i], file, out))
            return true;
    }
    for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
        const struct pattern *pattern = &patterns[p];
        for (size_t i = 0; i < count; i++) {
            if (is_harmless(lines[i]) || !strcasestr(lines[i], pattern->needle) ||
                (pattern->also && !strcasestr(lines[i], pattern->also)))
                continue;
            char what[200];
            snprintf(what, sizeof(what), "%s%s%s", pattern->about_file ? file : "",
                     pattern->about_file ? " " : "", pattern->text);
            describe(out, pattern->cause, pattern->fix, what, lines[i]);
            return true;
        }
    }
    return false;
}

static void diagnose_signal(int number, const char *last, struct diagnosis *out) {
    switch (number) {
    case SIGKILL:
        describe(out, CAUSE_OUT_OF_MEMORY,
                 "if it was the kernel (journalctl -k | grep -i oom): " FIX_MEMORY,
                 "the engine was killed from outside, most likely because the memory was full",
                 NULL);
        return;
    case SIGILL:
        describe(out, CAUSE_WRONG_CPU, "build the engine on this machine",
                 "the engine was built for another CPU (illegal instruction)", NULL);
        return;
    case SIGBUS:
        describe(out, CAUSE_BAD_FILE, FIX_DAMAGED,
                 "the model file changed or could not be read while in use (bus error)", NULL);
        return;
    default: break;
    }
    char what[96];
    const char *name = strsignal(number);
    bool crash = number == SIGSEGV || number == SIGABRT || number == SIGFPE || number == SIGTRAP;
    snprintf(what, sizeof(what), "the engine %s (%s)", crash ? "crashed" : "was ended by a signal",
             name ? name : "?");
    describe(out, crash ? CAUSE_CRASHED : CAUSE_KILLED,
             crash ? "see its log; if it happens again, update the engine or report it" : "", what,
             last);
}

// The last line with something in it.
static const char *last_words(const char *const *lines, size_t count) {
    while (count > 0) {
        const char *line = lines[--count];
        if (line[strspn(line, " \t")])
            return line;
    }
    return NULL;
}

static void diagnose_end(const char *const *lines, size_t count, const struct child_exit *status,
                         struct diagnosis *out) {
    const char *last = last_words(lines, count);
    // A signal we did not send says more than old lines, but a crash often explains itself.
    bool silent = status && (status->signal == SIGKILL || status->signal == SIGILL);
    if (!silent && diagnose_lines(lines, count, out))
        return;
    if (status && status->signal) {
        diagnose_signal(status->signal, last, out);
        return;
    }
    char what[96];
    if (status)
        snprintf(what, sizeof(what), "the engine ended with status %d", status->code);
    else
        snprintf(what, sizeof(what), "the engine did not become ready");
    describe(out, CAUSE_UNKNOWN, "see its log (ancalagon logs)", what, last);
}

void diagnose(const char *log, const struct child_exit *status, struct diagnosis *out) {
    memset(out, 0, sizeof(*out));
    if (status && status->asked) {
        describe(out, CAUSE_STOPPED, "", "the engine was stopped", NULL);
        return;
    }
    size_t length = strlen(log);
    const char *from = log + (length > LOG_MAX ? length - LOG_MAX : 0);
    char *text = mem_strdup(from);
    const char **lines = mem_alloc(LINES_MAX * sizeof(*lines));
    size_t count = 0;
    // From the end, so that the latest lines are the ones kept.
    size_t first = LINES_MAX;
    for (char *end = text + strlen(text); end >= text && count < LINES_MAX;) {
        *end = '\0';
        const char *newline = str_last(text, (size_t)(end - text), '\n');
        lines[--first] = newline ? newline + 1 : text;
        count++;
        if (!newline)
            break;
        end = text + (newline - text);
    }
    diagnose_end(lines + first, count, status, out);
    mem_free(lines);
    mem_free(text);
}

void diagnose_start(const struct err *err, struct diagnosis *out) {
    memset(out, 0, sizeof(*out));
    describe(out, CAUSE_CANNOT_EXECUTE,
             err->code == ERR_NOTFOUND ? "check engine = in the preset, or ANCALAGON_ENGINE"
                                       : "check that it is an executable file for this machine",
             err->text, NULL);
}

bool cause_is_lasting(enum cause cause) {
    switch (cause) {
    case CAUSE_UNKNOWN:
    case CAUSE_STOPPED:
    case CAUSE_CANNOT_BIND:
    case CAUSE_GPU:
    case CAUSE_CRASHED:
    case CAUSE_KILLED: return false;
    default: return true;
    }
}

const char *cause_name(enum cause cause) {
    static const char *const names[] = {
        [CAUSE_UNKNOWN] = "unknown",
        [CAUSE_STOPPED] = "stopped",
        [CAUSE_OUT_OF_MEMORY] = "out-of-memory",
        [CAUSE_UNKNOWN_FLAG] = "unknown-flag",
        [CAUSE_REMOVED_FLAG] = "removed-flag",
        [CAUSE_BAD_VALUE] = "bad-value",
        [CAUSE_MISSING_FILE] = "missing-file",
        [CAUSE_BAD_FILE] = "bad-file",
        [CAUSE_UNKNOWN_ARCHITECTURE] = "unknown-architecture",
        [CAUSE_UNKNOWN_TENSOR_TYPE] = "unknown-tensor-type",
        [CAUSE_CANNOT_BIND] = "cannot-bind",
        [CAUSE_MISSING_LIBRARY] = "missing-library",
        [CAUSE_CANNOT_FIT] = "cannot-fit",
        [CAUSE_CANNOT_EXECUTE] = "cannot-execute",
        [CAUSE_WRONG_CPU] = "wrong-cpu",
        [CAUSE_GPU] = "gpu",
        [CAUSE_TEMPLATE] = "template",
        [CAUSE_CRASHED] = "crashed",
        [CAUSE_KILLED] = "killed",
    };
    return names[cause];
}
