// Reads what engines print of their memory: recorded output of build 11434, and lines as published
// for older builds.
#include "engine/memory_report.h"

#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void read_text(struct memory_report *report, char *text) {
    for (char *line = text, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        memory_report_line(report, line);
    }
}

static void read_file(struct memory_report *report, const char *name) {
    char *text = test_data(name);
    read_text(report, text);
    mem_free(text);
}

static void read_lines(struct memory_report *report, const char *lines) {
    char *text = mem_strdup(lines);
    read_text(report, text);
    mem_free(text);
}

#define MIB(value) ((int)((value)*100 + .5))

static void on_the_cpu(void **state) {
    struct memory_report report = {0};
    read_file(&report, "memory-11434-cpu.log");
    struct memory_sum host = memory_report_sum(&report, NULL);
    assert_true(host.seen);
    assert_int_equal(MIB(host.weights_mib), 9210);
    assert_int_equal(MIB(host.kv_mib), 4500);
    assert_int_equal(MIB(host.compute_mib), 1664 + 19); // with the output buffer
    assert_int_equal(report.rows, 0);                   // the table has no device
}

// Two models, two contexts; the dry pass before them made no buffers, but printed tables.
static void on_a_device_with_a_draft(void **state) {
    struct memory_report report = {0};
    read_file(&report, "memory-11434-rpc-draft.log");
    struct memory_sum device = memory_report_sum(&report, "RPC0");
    struct memory_sum host = memory_report_sum(&report, NULL);
    assert_int_equal(MIB(device.weights_mib), 2 * 9210);
    assert_int_equal(MIB(device.kv_mib), 2 * 4500);
    assert_int_equal(MIB(device.compute_mib), 2 * 1451);
    assert_int_equal(MIB(host.weights_mib), 2 * 2869);
    assert_int_equal(MIB(host.compute_mib), 2 * (552 + 38));
    assert_int_equal(report.rows, 1); // the last table only
    assert_string_equal(report.row[0].device, "RPC0");
    assert_string_equal(report.row[0].card, "127.0.0.1:50052");
    assert_int_equal((int)report.row[0].total_mib, 24105);
    assert_int_equal((int)report.row[0].self_mib, 151);
    assert_null(memory_report_row(&report, "CUDA0"));
}

static void of_a_build_of_2024(void **state) {
    struct memory_report report = {0};
    read_lines(&report,
               "llm_load_tensors: offloaded 41/41 layers to GPU\n"
               "llm_load_tensors:        CPU buffer size =  1640.62 MiB\n"
               "llm_load_tensors:      CUDA0 buffer size =  5434.38 MiB\n"
               "llm_load_tensors:      CUDA1 buffer size = 13989.53 MiB\n"
               "llama_kv_cache_init:      CUDA0 KV buffer size =  1536.00 MiB\n"
               "llama_kv_cache_init:      CUDA1 KV buffer size =  3584.00 MiB\n"
               "llama_new_context_with_model: KV self size  = 5120.00 MiB, K (f16): 2560.00 MiB\n"
               "llama_new_context_with_model:  CUDA_Host  output buffer size =     1.95 MiB\n"
               "llama_new_context_with_model:      CUDA0 compute buffer size =   672.01 MiB\n"
               "llama_new_context_with_model:      CUDA1 compute buffer size =   516.02 MiB\n"
               "llama_new_context_with_model:  CUDA_Host compute buffer size =    72.02 MiB\n");
    struct memory_sum first = memory_report_sum(&report, "CUDA0");
    struct memory_sum second = memory_report_sum(&report, "CUDA1");
    struct memory_sum host = memory_report_sum(&report, NULL);
    assert_int_equal(MIB(first.weights_mib + first.kv_mib + first.compute_mib), 764239);
    assert_int_equal(MIB(second.weights_mib), 1398953);
    assert_int_equal(MIB(host.weights_mib), 164062);
    assert_int_equal(MIB(host.compute_mib), 7397);
}

static void a_context_measured_twice_counts_once(void **state) {
    struct memory_report report = {0};
    read_lines(&report, "llama_context: constructing llama_context\n"
                        "llama_context:      CUDA0 compute buffer size =   300.00 MiB\n"
                        "llama_context:      CUDA0 compute buffer size =   280.00 MiB\n"
                        "alloc_compute_meta:      CUDA0 compute buffer size =    20.00 MiB\n"
                        "llama_context: constructing llama_context\n"
                        "llama_context:      CUDA0 compute buffer size =    10.00 MiB\n");
    assert_int_equal(MIB(memory_report_sum(&report, "CUDA0").compute_mib), 31000);
}

// Build 11434, an 1B model at Q4_K_M: mapped, and read into buffers.
static void rearranged_weights_count_once(void **state) {
    struct memory_report report = {0};
    read_lines(&report, "load_tensors:   CPU_Mapped model buffer size =   762.81 MiB\n"
                        "load_tensors:   CPU_REPACK model buffer size =   445.50 MiB\n");
    assert_int_equal(MIB(memory_report_sum(&report, NULL).weights_mib), 76281);
    report = (struct memory_report){0};
    read_lines(&report, "load_tensors:          CPU model buffer size =   317.31 MiB\n"
                        "load_tensors:   CPU_REPACK model buffer size =   445.50 MiB\n");
    assert_int_equal(MIB(memory_report_sum(&report, NULL).weights_mib), 76281);
}

static void the_table_at_the_end(void **state) {
    static const struct {
        const char *line;
        const char *device, *card;
        int unaccounted;
    } rows[] = {
        {"0.00.603.363 I common_memory_breakdown_print: |   - CUDA1 (RTX 4090)   | 24080 = 1988 + "
         "(21275 =  9109 +    9927 +    2237) +         816 |",
         "CUDA1", "RTX 4090", 816},
        {"llama_memory_breakdown_print: |   - CUDA0 (RTX 2000 Ada Generation Laptop GPU) |  7807 = "
         "7627 + ( 5658 =  2542 +    2622 +     493) +       -5478 |",
         "CUDA0", "RTX 2000 Ada Generation Laptop GPU", -5478},
        {"llama_memory_breakdown_print: |   - Vulkan0 (Radeon (TM) 780M) |  7807 = 7627 + (   58 = "
         "  42 +      12 +       4) +         122 |",
         "Vulkan0", "Radeon (TM) 780M", 122},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct memory_report report = {0};
        memory_report_line(&report, rows[i].line);
        const struct memory_row *row = memory_report_row(&report, rows[i].device);
        assert_non_null(row);
        assert_string_equal(row->card, rows[i].card);
        assert_int_equal((int)row->unaccounted_mib, rows[i].unaccounted);
        memory_report_forget_table(&report);
        assert_int_equal(report.rows, 0);
    }
}

static void other_lines_mean_nothing(void **state) {
    static const char *const lines[] = {
        "",
        ":",
        ": ",
        " buffer size =",
        ": buffer size = 3 MiB",
        "x: CUDA0 model buffer size = -3 MiB",
        "x: CUDA0 model buffer size = nan MiB",
        "x: CUDA0 model buffer size = 1e300 MiB",
        "x: CUDA0 model buffer size = 12 GB",
        "CUDA0 model buffer size = 12.00 MiB",
        "x: a-name-that-is-longer-than-any-device-of-any-build model buffer size = 1.00 MiB",
        "common_memory_breakdown_print: | ",
        "common_memory_breakdown_print: |   - CUDA0",
        "common_memory_breakdown_print: |   - CUDA0 (x | 1 = 2 + (",
        "common_memory_breakdown_print: |   - Host  |  804 =   682 +       0 +     122   |",
    };
    struct memory_report report = {0};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        memory_report_line(&report, lines[i]);
    assert_int_equal(report.rows, 0);
    assert_false(memory_report_sum(&report, "CUDA0").seen);
    assert_int_equal(MIB(memory_report_sum(&report, "CUDA0").weights_mib), 0);
    for (int i = 0; i < 100; i++) { // more than there is room for
        char line[100];
        snprintf(line, sizeof line, "x: CUDA%d model buffer size = 1.00 MiB", i);
        memory_report_line(&report, line);
        snprintf(line, sizeof line,
                 "memory_breakdown_print: | - C%d (x) | 1 = 1 + ( 1 = 1 + 1 + 1) + 1", i);
        memory_report_line(&report, line);
    }
    assert_int_equal(report.buffers, MEMORY_BUFFERS_MAX);
    assert_int_equal(report.rows, MEMORY_ROWS_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_cpu),
        cmocka_unit_test(on_a_device_with_a_draft),
        cmocka_unit_test(of_a_build_of_2024),
        cmocka_unit_test(a_context_measured_twice_counts_once),
        cmocka_unit_test(rearranged_weights_count_once),
        cmocka_unit_test(the_table_at_the_end),
        cmocka_unit_test(other_lines_mean_nothing),
    };
    return cmocka_run_group_tests_name("memory_report", tests, NULL, NULL);
}
