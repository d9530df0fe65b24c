#define _GNU_SOURCE
#include "engine/diagnose.h"

#include "support.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_lasting(void **state) {
    assert_true(cause_is_lasting(CAUSE_UNKNOWN_FLAG));
    assert_true(cause_is_lasting(CAUSE_BAD_FILE));
    assert_true(cause_is_lasting(CAUSE_OUT_OF_MEMORY));
    assert_true(cause_is_lasting(CAUSE_CANNOT_EXECUTE));
    assert_false(cause_is_lasting(CAUSE_UNKNOWN));
    assert_false(cause_is_lasting(CAUSE_CANNOT_BIND)); // the port may be free again
    assert_false(cause_is_lasting(CAUSE_GPU));
    assert_false(cause_is_lasting(CAUSE_CRASHED));
}

static void check(const char *name, const char *log, const struct child_exit *status,
                  enum cause cause, const char *text, const char *fix) {
    struct diagnosis found;
    diagnose(log, status, &found);
    if (found.cause != cause)
        fail_msg("%s: %s, not %s (%s)", name, cause_name(found.cause), cause_name(cause),
                 found.text);
    if (!strstr(found.text, text))
        fail_msg("%s: \"%s\" lacks \"%s\"", name, found.text, text);
    if (!strstr(found.fix, fix))
        fail_msg("%s: fix \"%s\" lacks \"%s\"", name, found.fix, fix);
}

// What build 11434 printed when it was given each of these faults: data/engine-logs.txt, a
// section a fault.
static void test_real_logs(void **state) {
    static const struct {
        const char *section;
        enum cause cause;
        const char *text;
        const char *fix;
    } cases[] = {
        {"unkflag", CAUSE_UNKNOWN_FLAG, "--foo-bar", "remove it"},
        {"removed", CAUSE_REMOVED_FLAG, "--spec-draft-n-max", ""},
        {"badvalue", CAUSE_BAD_VALUE, "turbo3", "turbo-tan/llama.cpp-tq3"},
        {"badfa", CAUSE_BAD_VALUE, "'maybe'", "preset"},
        {"noarg", CAUSE_BAD_VALUE, "expected value", "preset"},
        {"badnum", CAUSE_BAD_VALUE, "\"-c\"", "preset"},
        {"missing", CAUSE_MISSING_FILE, "/nowhere/model.gguf", "path"},
        {"trunc", CAUSE_BAD_FILE, "the model file is cut short", "download"},
        {"tiny", CAUSE_BAD_FILE, "the model file is cut short", "download"},
        {"random", CAUSE_BAD_FILE, "the model file is not a GGUF file", "path"},
        {"empty", CAUSE_BAD_FILE, "the model file is empty", "download"},
        {"stale", CAUSE_CANNOT_BIND, "stale.sock", "stale socket"},
        {"arch", CAUSE_UNKNOWN_ARCHITECTURE, "'zzzzzz'", "update the engine"},
        {"type46", CAUSE_UNKNOWN_TENSOR_TYPE, "type 46", "turbo-tan/llama.cpp-tq3"},
        {"type144", CAUSE_UNKNOWN_TENSOR_TYPE, "type 144", "ikawrakow/ik_llama.cpp"},
        {"type500", CAUSE_UNKNOWN_TENSOR_TYPE, "type 500", "damaged"},
        {"oomhost", CAUSE_OUT_OF_MEMORY, "attempted to allocate", "ctx-size"},
        {"oomhost2", CAUSE_OUT_OF_MEMORY, "Cannot allocate memory", "ctx-size"},
        {"mmproj", CAUSE_BAD_FILE, "the mmproj file is not a GGUF file", ""},
        {"draft", CAUSE_BAD_FILE, "the draft model file is not a GGUF file", ""},
        {"lora", CAUSE_BAD_FILE, "the LoRA file is not a GGUF file", ""},
    };
    char *all = test_data("engine-logs.txt");
    const struct child_exit failed = {.code = 1};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *title = mem_printf("=== %s\n", cases[i].section);
        const char *start = strstr(all, title);
        if (!start)
            fail_msg("no section %s", cases[i].section);
        start += strlen(title);
        const char *end = strstr(start, "=== ");
        char *log = mem_strndup(start, end ? (size_t)(end - start) : strlen(start));
        check(cases[i].section, log, &failed, cases[i].cause, cases[i].text, cases[i].fix);
        mem_free(log);
        mem_free(title);
    }
    mem_free(all);
}

// From issue threads and the engines' sources: what cannot be provoked on a machine without a GPU.
static void test_lines(void **state) {
    static const struct {
        const char *log;
        struct child_exit status;
        enum cause cause;
        const char *text;
        const char *fix;
    } cases[] = {
        {"ggml_backend_cuda_buffer_type_alloc_buffer: allocating 15000.00 MiB on device 0: "
         "cudaMalloc failed: out of memory\nllama_model_load: error loading model: unable to "
         "allocate CUDA0 buffer\nsrv: failed to load model",
         {.code = 1},
         CAUSE_OUT_OF_MEMORY,
         "the GPU's memory is full: ggml_backend",
         "n-cpu-moe"},
        {"llama_model_load: error loading model: unable to allocate CUDA0 buffer",
         {.code = 1},
         CAUSE_OUT_OF_MEMORY,
         "",
         "ctx-size"},
        {"CUDA error: out of memory\n  current device: 0\nptrace: no\n",
         {.code = -1, .signal = SIGABRT},
         CAUSE_OUT_OF_MEMORY,
         "GPU",
         "ctx-size"},
        {"ggml_vulkan: Device memory allocation of size 1 failed.\nggml_vulkan: "
         "vk::Device::allocateMemory: ErrorOutOfDeviceMemory",
         {.code = 1},
         CAUSE_OUT_OF_MEMORY,
         "GPU",
         ""},
        {"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc",
         {.code = -1, .signal = SIGABRT},
         CAUSE_OUT_OF_MEMORY,
         "memory is full",
         ""},
        {"error: unknown argument: --load-mode",
         {.code = 1},
         CAUSE_UNKNOWN_FLAG,
         "--load-mode",
         "choose an engine"},
        {"llama-server: error while loading shared libraries: libcudart.so.12: cannot open shared "
         "object file: No such file or directory",
         {.code = 127},
         CAUSE_MISSING_LIBRARY,
         "libcudart.so.12",
         "LD_LIBRARY_PATH"},
        {"llama-server: /lib/libc.so.6: version `GLIBC_2.38' not found",
         {.code = 1},
         CAUSE_MISSING_LIBRARY,
         "newer system",
         "build"},
        {"AMX is not ready to be used!",
         {.code = -1, .signal = SIGABRT},
         CAUSE_WRONG_CPU,
         "another CPU",
         "build"},
        {"CUDA error: no kernel image is available for execution on the device",
         {.code = 1},
         CAUSE_GPU,
         "not built for this GPU",
         ""},
        {"llama_init_from_model: K cache type q8_0 with block size 32 does not divide "
         "n_embd_head_k=80\ncommon_init_from_params: failed to create context\nerror loading model",
         {.code = 1},
         CAUSE_BAD_VALUE,
         "KV cache",
         "f16"},
        {"ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient for CUDA "
         "runtime version\nerror loading model: x",
         {.code = 1},
         CAUSE_GPU,
         "too old",
         "driver"},
        {"gguf_init_from_file: tensor 'a' has invalid ggml type 31 (NONE)",
         {.code = 1},
         CAUSE_UNKNOWN_TENSOR_TYPE,
         "",
         "dropped"},
        {"gguf: tensor 'a' has invalid ggml type 43. should be in [0, 43)",
         {.code = 1},
         CAUSE_UNKNOWN_TENSOR_TYPE,
         "",
         "newer than the engine"},
        {"error: the supplied chat template is not supported: x",
         {.code = 1},
         CAUSE_TEMPLATE,
         "chat template",
         "jinja"},
        {"common_fit_params: failed to fit params to free device memory: x",
         {.code = 1},
         CAUSE_CANNOT_FIT,
         "",
         "ctx-size"},
        {"/x/ggml.c:1234: GGML_ASSERT(a == b) failed",
         {.code = -1, .signal = SIGABRT},
         CAUSE_CRASHED,
         "GGML_ASSERT",
         "report"},
        // How it ended, when the log says nothing.
        {"all is well",
         {.code = -1, .signal = SIGKILL},
         CAUSE_OUT_OF_MEMORY,
         "killed from outside",
         "oom"},
        {"all is well", {.code = -1, .signal = SIGILL}, CAUSE_WRONG_CPU, "another CPU", "build"},
        {"last words\n\n  \n", {.code = -1, .signal = SIGSEGV}, CAUSE_CRASHED, "last words", ""},
        {"", {.code = -1, .signal = SIGHUP}, CAUSE_KILLED, "Hangup", ""},
        {"", {.code = -1, .signal = SIGBUS}, CAUSE_BAD_FILE, "bus error", ""},
        {"last words", {.code = 9}, CAUSE_UNKNOWN, "status 9: last words", "log"},
        {"", {.code = 0}, CAUSE_UNKNOWN, "status 0", "log"},
        // We ended it; whatever it said before is not the reason.
        {"out of memory",
         {.code = -1, .signal = SIGKILL, .asked = true},
         CAUSE_STOPPED,
         "stopped",
         ""},
        // Complaints it survives
        {"warning: failed to mlock 1-byte buffer: Cannot allocate memory\n"
         "ggml_cuda_host_malloc: failed to allocate 1.00 MiB of pinned memory: out of memory",
         {.code = 3},
         CAUSE_UNKNOWN,
         "status 3",
         ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(cases[i].log, cases[i].log, &cases[i].status, cases[i].cause, cases[i].text,
              cases[i].fix);
    }
    check("never ready", "loading", NULL, CAUSE_UNKNOWN, "did not become ready: loading", "log");
}

static void test_clock_is_left_out(void **state) {
    struct diagnosis found;
    const struct child_exit failed = {.code = 1};
    diagnose("0.00.008.895 E srv         start: couldn't bind HTTP server socket", &failed, &found);
    assert_string_equal(found.text, "the engine cannot listen: srv         start: couldn't bind "
                                    "HTTP server socket");
}

static void test_long_and_odd_logs(void **state) {
    // Only the end of a long log counts, and its end is found wherever it is cut.
    const struct child_exit failed = {.code = 1};
    size_t size = 300 * 1024;
    char *log = mem_alloc(size + 64);
    memset(log, 'x', size);
    memcpy(log, "invalid argument: --early\n", 26);
    for (size_t i = 100; i < size; i += 100)
        log[i] = '\n';
    memcpy(log + size, "\nout of memory", 15);
    check("long", log, &failed, CAUSE_OUT_OF_MEMORY, "out of memory", "");
    memset(log, '\n', size);
    check("many lines", log, &failed, CAUSE_OUT_OF_MEMORY, "out of memory", "");
    memset(log, 'y', size + 1);
    check("one line", log, &failed, CAUSE_OUT_OF_MEMORY, "memory is full", "");
    mem_free(log);
}

static void test_start(void **state) {
    struct err err = {.code = ERR_NOTFOUND};
    snprintf(err.text, sizeof(err.text), "cannot start /x/llama-server: No such file");
    struct diagnosis found;
    diagnose_start(&err, &found);
    assert_int_equal(found.cause, CAUSE_CANNOT_EXECUTE);
    assert_string_equal(found.text, err.text);
    assert_non_null(strstr(found.fix, "engine ="));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_logs),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_clock_is_left_out),
        cmocka_unit_test(test_long_and_odd_logs),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_lasting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
