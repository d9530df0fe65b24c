#define _GNU_SOURCE
#include "../fakes/fake_nvml.h"
#include "base/mem.h"
#include "base/path.h"
#include "telemetry/gpu.h"
#include "telemetry/process.h"
#include "telemetry/rapl.h"
#include "telemetry/sampler.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake_nvml *fake, fresh;
static char *root; // of a sysfs of our own

// --- The fake tree

static void put(const char *file, const char *text) {
    char *path = path_join(root, file);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    mem_free(path);
}

static int make_root(void **state) {
    char name[] = "/tmp/telemetry-XXXXXX";
    root = mem_strdup(mkdtemp(name));
    *fake = fresh;
    return 0;
}

static int remove_root(void **state) {
    char *command[] = {"rm", "-rf", root, NULL};
    pid_t pid = fork();
    if (pid == 0) {
        execvp(command[0], command);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    mem_free(root);
    return 0;
}

static void put_cards(void) {
    put("class/drm/card1/device/vendor", "0x1002\n");
    put("class/drm/card1/device/device", "0x744c\n");
    put("class/drm/card1/device/uevent", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\nMODALIAS=x\n");
    put("class/drm/card1/device/mem_info_vram_total", "25753026560\n");
    put("class/drm/card1/device/mem_info_vram_used", "1073741824\n");
    put("class/drm/card1/device/gpu_busy_percent", "97\n");
    put("class/drm/card1/device/hwmon/hwmon4/power1_average", "302000000\n");
    put("class/drm/card1/device/hwmon/hwmon4/temp1_input", "64500\n");
    put("class/drm/card1-DP-1/status", "connected\n");
    // An onboard chip of another maker, and a card whose driver says little.
    put("class/drm/card0/device/vendor", "0x8086\n");
    put("class/drm/card10/device/vendor", "0x1002\n");
    put("class/drm/card10/device/product_name", "AMD Instinct MI210\n");
    put("class/drm/card10/device/mem_info_vram_total", "68702699520\n");
    put("class/drm/card10/device/hwmon/hwmon5/power1_input", "41000000\n");
}

static void test_amdgpu(void **state) {
    put_cards();
    struct gpus *gpus = gpus_open(&(struct gpu_roots){.nvml = "", .sysfs = root});
    struct gpu_reading reading;
    assert_int_equal(gpus_count(gpus), 2);
    const struct gpu_info *info = gpus_info(gpus, 0);
    assert_int_equal(info->vendor, GPU_AMD);
    assert_string_equal(info->name, "AMD GPU 0x744c");
    assert_string_equal(info->bus, "0000:03:00.0");
    assert_true(info->total_bytes == 25753026560);
    gpus_read(gpus, 0, &reading);
    assert_true(reading.used_bytes == 1073741824);
    assert_true(reading.free_bytes == 25753026560 - 1073741824);
    assert_true(reading.utilisation == 97 && reading.power_w == 302 &&
                reading.temperature_c == 64.5);
    info = gpus_info(gpus, 1);
    assert_string_equal(info->name, "AMD Instinct MI210");
    assert_string_equal(info->bus, "");
    gpus_read(gpus, 1, &reading);
    assert_true(reading.used_bytes == GPU_UNKNOWN && reading.free_bytes == GPU_UNKNOWN);
    assert_true(isnan(reading.utilisation) && isnan(reading.temperature_c));
    assert_true(reading.power_w == 41);
    gpus_close(gpus);
}

// A card that goes (its files with it), and files with nonsense in them.
static void test_amdgpu_trouble(void **state) {
    put_cards();
    struct gpus *gpus = gpus_open(&(struct gpu_roots){.nvml = "", .sysfs = root});
    struct gpu_reading reading;
    put("class/drm/card1/device/mem_info_vram_used", "-5\n");
    put("class/drm/card1/device/gpu_busy_percent", "9999\n");
    put("class/drm/card1/device/hwmon/hwmon4/power1_average", "N/A\n");
    put("class/drm/card1/device/hwmon/hwmon4/temp1_input", "\n");
    gpus_read(gpus, 0, &reading);
    assert_true(reading.used_bytes == GPU_UNKNOWN);
    assert_true(isnan(reading.utilisation) && isnan(reading.power_w) &&
                isnan(reading.temperature_c));
    char *file = path_join(root, "class/drm/card1/device/mem_info_vram_used");
    assert_int_equal(unlink(file), 0);
    mem_free(file);
    gpus_read(gpus, 0, &reading);
    assert_true(reading.used_bytes == GPU_UNKNOWN);
    gpus_close(gpus);
}

// --- NVML

static struct gpu_roots nvml_only(void) {
    return (struct gpu_roots){.nvml = FAKE_NVML, .sysfs = ""};
}

static void test_nvml(void **state) {
    struct gpu_roots roots = nvml_only();
    struct gpus *gpus = gpus_open(&roots);
    struct gpu_reading reading;
    assert_int_equal(gpus_count(gpus), 2);
    const struct gpu_info *info = gpus_info(gpus, 1);
    assert_int_equal(info->vendor, GPU_NVIDIA);
    assert_string_equal(info->name, "NVIDIA GeForce RTX 4070 Ti SUPER");
    assert_string_equal(info->bus, "0000:2b:00.0");
    assert_true(info->total_bytes == 16376ull << 20);
    gpus_read(gpus, 1, &reading);
    assert_true(reading.used_bytes == 2000ull << 20);
    assert_true(reading.free_bytes == 14376ull << 20);
    assert_true(reading.utilisation == 96 && reading.power_w == 292.5 &&
                reading.temperature_c == 71);
    fake->silent = 1;
    gpus_read(gpus, 0, &reading);
    assert_true(reading.used_bytes == 1000ull << 20);
    assert_true(isnan(reading.utilisation) && isnan(reading.power_w) &&
                isnan(reading.temperature_c));
    gpus_close(gpus);
    assert_int_equal(fake->opened, 1);
    assert_int_equal(fake->closed, 1);
}

static void test_nvml_trouble(void **state) {
    struct gpu_roots roots = nvml_only();
    fake->lost = 0;
    struct gpus *gpus = gpus_open(&roots);
    assert_int_equal(gpus_count(gpus), 1);
    assert_string_equal(gpus_info(gpus, 0)->bus, "0000:2b:00.0");
    gpus_close(gpus);
    fake->init_result = 9; // NVML_ERROR_DRIVER_NOT_LOADED
    gpus = gpus_open(&roots);
    assert_int_equal(gpus_count(gpus), 0);
    gpus_close(gpus);
    // No library; one that is no NVML.
    static const char *const others[] = {"/nowhere/libnvidia-ml.so.1", "libm.so.6", ""};
    for (size_t i = 0; i < 3; i++) {
        gpus = gpus_open(&(struct gpu_roots){.nvml = others[i], .sysfs = ""});
        assert_int_equal(gpus_count(gpus), 0);
        gpus_close(gpus);
    }
}

// --- Whose is which

static void test_match(void **state) {
    static const struct gpu_info gpus[] = {
        {GPU_NVIDIA, "NVIDIA GeForce RTX 3060", "0000:01:00.0", 12288ull << 20},
        {GPU_NVIDIA, "NVIDIA GeForce RTX 4070 Ti SUPER", "0000:2b:00.0", 16376ull << 20},
        {GPU_AMD, "AMD GPU 0x744c", "0000:03:00.0", 24560ull << 20},
    };
    static const struct {
        struct gpu_claim claims[4];
        size_t count;
        int wanted[3];
    } rows[] = {
        // CUDA counts the fastest first.
        {{{"CUDA0", "NVIDIA GeForce RTX 4070 Ti SUPER", 16060},
          {"CUDA1", "NVIDIA GeForce RTX 3060", 11900}},
         2,
         {1, 0, -1}},
        {{{"ROCm0", "AMD Radeon RX 7900 XTX", 24560}}, 1, {-1, -1, 0}},
        // Vulkan sees all; RPC devices are elsewhere.
        {{{"RPC0", "127.0.0.1:50052", 12288},
          {"Vulkan0", "NVIDIA GeForce RTX 3060", 12288},
          {"Vulkan1", "AMD Radeon RX 7900 XTX (RADV NAVI31)", 24560},
          {"Vulkan2", "NVIDIA GeForce RTX 4070 Ti SUPER", 16376}},
         4,
         {1, 3, 2}},
        // Nothing to go by but the order.
        {{{"CUDA0", "", 0}, {"CUDA1", NULL, 0}, {"CUDA2", "", 0}}, 3, {0, 1, -1}},
        {{{"CPU", "AMD EPYC", 0}}, 1, {-1, -1, -1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int out[3];
        gpu_match(gpus, 3, rows[i].claims, rows[i].count, out);
        assert_memory_equal(out, rows[i].wanted, sizeof out);
    }
}

// --- From a thread

static void test_sampler(void **state) {
    struct gpu_roots roots = nvml_only();
    struct sampler *sampler = sampler_start(&roots, 5);
    struct gpu_sample sample;
    assert_true(sampler_wait(sampler, 60000));
    assert_true(sampler_latest(sampler, &sample));
    assert_int_equal(sample.count, 2);
    assert_true(sample.reading[0].used_bytes == 1000ull << 20);
    fake->used_mib[0] = 1500;
    for (int i = 0; i < 60000 && sample.reading[0].used_bytes != 1500ull << 20; i++) {
        usleep(1000);
        sampler_latest(sampler, &sample);
    }
    assert_true(sample.reading[0].used_bytes == 1500ull << 20);
    sampler_stop(sampler);
    assert_int_equal(fake->closed, 1);
    sampler_stop(NULL);
}

static void test_hung_driver(void **state) {
    struct gpu_roots roots = nvml_only();
    struct gpu_sample sample;
    fake->hang = 1;
    struct sampler *sampler = sampler_start(&roots, 5);
    assert_false(sampler_wait(sampler, 50));
    assert_false(sampler_latest(sampler, &sample));
    sampler_stop(sampler); // comes back, and leaves the thread where it is
    fake->hang = 0;
    for (int i = 0; i < 60000 && !fake->closed; i++) // it ends when the driver lets it
        usleep(1000);
    assert_int_equal(fake->closed, 1);
}

static void test_no_gpu(void **state) {
    struct sampler *sampler = sampler_start(&(struct gpu_roots){.nvml = "", .sysfs = root}, 5);
    struct gpu_sample sample;
    assert_true(sampler_wait(sampler, 60000));
    assert_true(sampler_latest(sampler, &sample));
    assert_int_equal(sample.count, 0);
    sampler_stop(sampler);
}

// --- The CPU's side

static void test_rapl(void **state) {
    struct rapl rapl;
    double joules;
    rapl_init(&rapl, root);
    assert_int_equal(rapl.count, 0);
    assert_false(rapl_joules(&rapl, &joules));
    put("class/powercap/intel-rapl:0/name", "package-0\n");
    put("class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n");
    put("class/powercap/intel-rapl:0/energy_uj", "262143000000\n");
    put("class/powercap/intel-rapl:0:0/name", "core\n");
    put("class/powercap/intel-rapl:0:0/energy_uj", "1\n");
    put("class/powercap/intel-rapl:1/name", "psys\n");
    put("class/powercap/intel-rapl:1/max_energy_range_uj", "1000\n");
    put("class/powercap/intel-rapl:1/energy_uj", "1\n");
    rapl_init(&rapl, root);
    assert_int_equal(rapl.count, 1);
    put("class/powercap/intel-rapl:0/energy_uj", "262143300000\n");
    assert_true(rapl_joules(&rapl, &joules));
    assert_true(fabs(joules - 0.3) < 1e-9);
    put("class/powercap/intel-rapl:0/energy_uj", "971150\n"); // over the top
    assert_true(rapl_joules(&rapl, &joules));
    assert_true(fabs(joules - 1.0) < 1e-9);
    rapl_fini(&rapl);
}

static void test_process_group(void **state) {
    struct process_group group;
    struct process_usage usage;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) { // with a child of its own, as a wrapper script has; it works, the other waits
        setpgid(0, 0);
        if (fork() == 0) {
            ssize_t ignored = write(ready[1], "x", 1);
            (void)ignored;
            for (;;)
                pause();
        }
        for (volatile unsigned i = 0;; i++)
            ;
    }
    setpgid(pid, pid);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_true(process_group_find(&group, pid));
    assert_int_equal(group.count, 2);
    usage.cpu_ms = 0;
    for (int i = 0; i < 60000 && usage.cpu_ms < 20; i++) {
        usleep(1000);
        assert_true(process_group_usage(&group, &usage));
    }
    assert_true(usage.cpu_ms >= 20);
    assert_true(usage.rss_bytes > 0);
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (int i = 0; i < 60000 && process_group_find(&group, pid); i++)
        usleep(1000);
    assert_false(process_group_usage(&group, &usage));
    close(ready[0]);
    close(ready[1]);
}

int main(void) {
    void *library = dlopen(FAKE_NVML, RTLD_NOW | RTLD_LOCAL);
    fake = library ? dlsym(library, "fake_nvml") : NULL;
    if (!fake) {
        fprintf(stderr, "no fake NVML: %s\n", dlerror());
        return 1;
    }
    fresh = *fake;
#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)
    const struct CMUnitTest tests[] = {
        WITH_ROOT(test_amdgpu),        WITH_ROOT(test_amdgpu_trouble), WITH_ROOT(test_nvml),
        WITH_ROOT(test_match),         WITH_ROOT(test_nvml_trouble),   WITH_ROOT(test_sampler),
        WITH_ROOT(test_no_gpu),        WITH_ROOT(test_hung_driver),    WITH_ROOT(test_rapl),
        WITH_ROOT(test_process_group),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dlclose(library);
    return failed;
}
