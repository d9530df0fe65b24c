/* fake_llama: what it is and its knobs are explained in fake.h. Here: the start, the way out, and
 * the record of how it was started. */
#include "fake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void on_sigterm(int number) {
    (void)number;
    serve_stop = 1;
}

/* The dialect may be part of the program's name, as a --help probe comes with a scrubbed
 * environment and without a model. */
static void dialect_from_name(struct knobs *knobs, const char *name) {
    char exe[512] = "";
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
        exe[0] = 0;
    if (strstr(name, "-old") || strstr(exe, "-old"))
        knobs->dialect = DIALECT_OLD;
    if (strstr(name, "-ik") || strstr(exe, "-ik"))
        knobs->dialect = DIALECT_IK;
    flags_turbo = strstr(name, "-turbo") || strstr(exe, "-turbo");
}

/* A card, for engines named so: a --list-devices comes with a scrubbed environment, too. */
static bool has_gpu(const char *name) {
    char exe[512] = "";
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
        exe[0] = 0;
    return strstr(name, "-gpu") || strstr(exe, "-gpu");
}

static void knobs_from_args(struct knobs *knobs, int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++) {
        if (strncmp(argv[i], "--fake-", 7) != 0)
            continue;
        char key[64];
        snprintf(key, sizeof key, "%s", argv[i] + 7);
        for (char *c = key; *c; c++)
            if (*c == '-')
                *c = '_';
        if (!knobs_set(knobs, key, argv[i + 1]))
            fprintf(stderr, "fake_llama: unknown knob %s\n", argv[i]);
        i++;
    }
}

static const char *model_of(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "-m") == 0 || strcmp(argv[i], "--model") == 0)
            return argv[i + 1];
    return NULL;
}

/* Counts starts in MODEL.starts, one byte each; returns which one this is, from 1. */
static long count_start(const char *model) {
    char path[1024];
    snprintf(path, sizeof path, "%s.starts", model);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return 1;
    long count = write(fd, "x", 1) == 1 ? (long)lseek(fd, 0, SEEK_END) : 1;
    close(fd);
    return count;
}

/* Faults that heal: all but where it writes and which dialect it speaks. */
static void heal(struct knobs *knobs) {
    struct knobs healthy;
    knobs_init(&healthy);
    healthy.dialect = knobs->dialect;
    healthy.slots = knobs->slots;
    memcpy(healthy.log_dir, knobs->log_dir, sizeof healthy.log_dir);
    memcpy(healthy.exclusive, knobs->exclusive, sizeof healthy.exclusive);
    *knobs = healthy;
}

/* Two engines alive at once, seen from inside: the second cannot have the lock. The lock is the
 * process's (and its children's) until the last of them is gone. */
static void claim_exclusive(const char *path) {
    if (!path[0])
        return;
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
        return;
    char overlap[600];
    snprintf(overlap, sizeof overlap, "%s.overlap", path);
    int note = open(overlap, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dprintf(note, "%d\n", (int)getpid());
    close(note);
}

static void add_strings(struct text *out, const char *key, char **strings, bool names_only) {
    text_addf(out, "\"%s\":[", key);
    for (char **at = strings; *at; at++) {
        text_addf(out, "%s\"", at == strings ? "" : ",");
        text_add_json(out, *at, names_only ? strcspn(*at, "=") : strlen(*at));
        text_addf(out, "\"");
    }
    text_addf(out, "],");
}

static void add_fds(struct text *out) {
    text_addf(out, "\"fds\":{");
    DIR *dir = opendir("/proc/self/fd");
    bool first = true;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[300], target[512];
        if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == dirfd(dir))
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t len = readlink(path, target, sizeof target);
        text_addf(out, "%s\"%s\":\"", first ? "" : ",", entry->d_name);
        text_add_json(out, target, len > 0 ? (size_t)len : 0);
        text_addf(out, "\"");
        first = false;
    }
    if (dir)
        closedir(dir);
    text_addf(out, "},");
}

static long status_number(const char *name) {
    char line[256];
    long number = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            number = strtol(line + strlen(name), NULL, 10);
    if (file)
        fclose(file);
    return number;
}

/* How it was started, for tests to look at: LOG_DIR/PID.json, complete when it appears. */
static void log_start(const struct knobs *knobs, char **argv) {
    if (!knobs->log_dir[0])
        return;
    struct text out = {0};
    char cwd[1024], path[600], done[600];
    int death_signal = 0;
    struct timespec now;
    prctl(PR_GET_PDEATHSIG, &death_signal);
    clock_gettime(CLOCK_MONOTONIC, &now);
    text_addf(&out, "{\"pid\":%d,\"ppid\":%d,\"pgid\":%d,\"sid\":%d,\"pdeathsig\":%d,",
              (int)getpid(), (int)getppid(), (int)getpgrp(), (int)getsid(0), death_signal);
    text_addf(&out, "\"no_new_privs\":%ld,\"seccomp\":%ld,", status_number("NoNewPrivs:"),
              status_number("Seccomp:"));
    text_addf(&out, "\"start_ns\":%lld,", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    add_strings(&out, "argv", argv, false);
    add_strings(&out, "env", environ, true);
    add_fds(&out);
    text_addf(&out, "\"cwd\":\"");
    if (getcwd(cwd, sizeof cwd))
        text_add_json(&out, cwd, strlen(cwd));
    text_addf(&out, "\"}\n");
    snprintf(path, sizeof path, "%s/%d.tmp", knobs->log_dir, (int)getpid());
    snprintf(done, sizeof done, "%s/%d.json", knobs->log_dir, (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, out.at, out.len) == (ssize_t)out.len)
        rename(path, done);
    if (fd >= 0)
        close(fd);
    free(out.at);
}

static const char *cause_text(const char *cause) {
    static const struct {
        const char *cause, *text;
    } table[] = {
        {"oom", "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 16384.00 MiB on device 0: "
                "cudaMalloc failed: out of memory\nalloc_tensor_range: failed to allocate CUDA0 "
                "buffer of size 17179869184\nllama_model_load: error loading model: unable to "
                "allocate CUDA0 buffer\n"},
        {"tensor", "gguf_init_from_file_impl: tensor 'blk.0.attn_k.weight' has invalid ggml type "
                   "46 (NONE)\ngguf_init_from_file_impl: failed to read tensor info\n"
                   "llama_model_load: error loading model: llama_model_loader: failed to load "
                   "model from file\n"},
        {"load", "llama_model_load: error loading model: invalid magic characters\n"
                 "common_init_from_params: failed to load model\n"
                 "main: exiting due to model loading error\n"},
        {"bind", "srv    operator(): couldn't bind HTTP server socket, hostname: 127.0.0.1, port: "
                 "8080\n"},
        {"fit", "llama_params_fit: failed to fit params to free device memory: n_gpu_layers "
                "already set by user\n"},
        {"flag", "error: invalid argument: --not-a-flag\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].cause, cause) == 0)
            return table[i].text;
    return "fake_llama: told to fail\n";
}

/* A grandchild that holds our pipes and does not listen to SIGTERM. It ends by itself one day, so
 * that a failing test leaves nothing for ever. */
static pid_t leave_grandchild(void) {
    pid_t child = fork();
    if (child != 0)
        return child;
    signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < 120; i++)
        sleep(1);
    _exit(0);
}

static int start_faults(const struct knobs *knobs) {
    for (long i = 0; i < knobs->log_flood; i++)
        fprintf(stderr, "load_tensors: line %ld of a flood, long enough to fill a pipe soon\n", i);
    if (knobs->exit_at_start >= 0) {
        usleep((useconds_t)(knobs->exit_ms * 1000));
        fputs(cause_text(knobs->cause), stderr);
        return (int)knobs->exit_at_start;
    }
    if (knobs->fork_and_exit) {
        leave_grandchild();
        return 0;
    }
    if (knobs->fork_child)
        leave_grandchild();
    return -1;
}

static void print_file(const char *path, FILE *to) {
    char line[1024];
    FILE *file = *path ? fopen(path, "re") : NULL;
    while (file && fgets(line, sizeof line, file))
        fputs(line, to);
    if (file)
        fclose(file);
}

static void catch_signals(const struct knobs *knobs) {
    struct sigaction action = {.sa_handler = knobs->ignore_sigterm ? SIG_IGN : on_sigterm};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv) {
    struct knobs knobs;
    struct fake_args args = {.parallel = -1, .verbosity = -1, .draft_n = 3};
    const char *model = model_of(argc, argv);
    setvbuf(stderr, NULL, _IOLBF, 0);
    knobs_init(&knobs);
    dialect_from_name(&knobs, argv[0]);
    if (model) {
        char path[1024];
        snprintf(path, sizeof path, "%s.fake", model);
        knobs_from_file(&knobs, path);
    }
    knobs_from_env(&knobs);
    knobs_from_args(&knobs, argc, argv);
    if (!flags_parse(argc, argv, knobs.dialect, &args))
        return 1;
    speed_apply(&knobs, argc, argv);
    if (args.help) {
        flags_help(knobs.dialect);
        return 0;
    }
    if (args.list_devices) {
        char devices[1024];
        snprintf(devices, sizeof devices, "%s.devices", argv[0]);
        printf("Available devices:\n");
        if (access(devices, R_OK) != 0 && !has_gpu(argv[0]))
            printf("  (none)\n");
        print_file(devices, stdout);
        if (has_gpu(argv[0]))
            printf("  CUDA0: Fake RTX (16376 MiB, 15900 MiB free)\n");
        return 0;
    }
    if (args.version) {
        fprintf(stderr, "version: 11434 (fake)\nbuilt with a C compiler for the tests\n");
        return 0;
    }
    if (model && knobs.fault_starts >= 0 && count_start(model) > knobs.fault_starts)
        heal(&knobs);
    if (knobs.stale_socket && args.host)
        close(open(args.host, O_WRONLY | O_CREAT, 0600));
    claim_exclusive(knobs.exclusive);
    log_start(&knobs, argv);
    catch_signals(&knobs);
    fprintf(stderr, "main: loading model\nsrv    load_model: loading model '%s'\n",
            model ? model : "");
    if (args.verbosity == 4)
        print_file(knobs.report, stderr);
    int rc = start_faults(&knobs);
    if (rc < 0)
        rc = serve(&knobs, &args);
    if (args.verbosity == 4)
        print_file(knobs.report_end, stderr);
    _exit(rc);
}
