#include "model_files.h"

#include "base/mem.h"
#include "format/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char listing[] =
    "{\"folder\": \"/models\", \"models\": ["
    "{\"file\": \"Qwen3-8B-Q4_K_M.gguf\", \"path\": \"/models/Qwen3-8B-Q4_K_M.gguf\","
    " \"kind\": \"text\", \"bytes\": 5027783488, \"architecture\": \"qwen3\","
    " \"presets\": [\"coder\"], \"quantisation\": \"Q4_K_M\","
    " \"fit\": {\"fits\": true, \"reason\": \"\", \"ctx\": 40960}},"
    "{\"file\": \"big/Llama-70B.gguf\", \"path\": \"/models/big/Llama-70B.gguf\","
    " \"kind\": \"text\", \"bytes\": 42520000000, \"architecture\": \"llama\", \"presets\": [],"
    " \"quantisation\": \"Q4_0\", \"fit\": {\"fits\": false, \"reason\": \"48 GiB of 16\"}},"
    "{\"file\": \"mmproj-f16.gguf\", \"path\": \"/models/mmproj-f16.gguf\", \"kind\": \"projector\"},"
    "{\"file\": \"embed.gguf\", \"path\": \"/models/embed.gguf\", \"kind\": \"embedding\","
    " \"fit\": {\"fits\": true}},"
    "{\"file\": \"head.gguf\", \"path\": \"/models/head.gguf\", \"kind\": \"text\","
    " \"architecture\": \"eagle3\", \"fit\": {\"fits\": true}},"
    "{\"file\": \"qwen-draft.gguf\", \"path\": \"/models/qwen-draft.gguf\", \"kind\": \"text\","
    " \"architecture\": \"qwen3\", \"fit\": {\"fits\": true}},"
    "{\"file\": \"cut.gguf\", \"path\": \"/models/cut.gguf\", \"kind\": \"broken\"},"
    "17, {}]}";

static struct model_files read_listing(void) {
    struct model_files files = {0};
    json_t *json = json_parse(listing, strlen(listing), 0, 0, NULL);
    assert_non_null(json);
    model_files_read(&files, json);
    json_decref(json);
    return files;
}

static void test_only_language_models(void **state) {
    struct model_files files = read_listing();
    char about[160];
    assert_int_equal(files.count, 2);
    assert_string_equal(files.folder, "/models");
    assert_string_equal(files.items[0].preset, "coder");
    model_files_describe(&files.items[0], about, sizeof about);
    assert_string_equal(about, "5.0 GB, Q4_K_M, 40K, preset coder");
    model_files_describe(&files.items[1], about, sizeof about);
    assert_string_equal(about, "42.5 GB, Q4_0, does not fit");
    model_files_fini(&files);
}

static void test_which_is_meant(void **state) {
    static const struct {
        const char *wanted;
        int index;
    } cases[] = {{"Qwen3-8B-Q4_K_M.gguf", 0},
                 {"/models/Qwen3-8B-Q4_K_M.gguf", 0},
                 {"coder", 0},
                 {"qwen3-8b", 0},
                 {"70b", 1},
                 {"big/Llama-70B.gguf", 1},
                 {"gguf", -1},
                 {"mistral", -1},
                 {"mmproj-f16.gguf", -1}};
    struct model_files files = read_listing();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        assert_int_equal(model_files_find(&files, cases[i].wanted, &err), cases[i].index);
        assert_int_equal(err.code == ERR_NOTFOUND, cases[i].index < 0);
    }
    model_files_fini(&files);
}

static void test_by_name_alone(void **state) {
    static const struct {
        const char *path;
        bool listed;
    } cases[] = {{"/m/a.gguf", true},
                 {"/m/a-00001-of-00003.gguf", true},
                 {"/m/a-00002-of-00003.gguf", false},
                 {"/m/mmproj-a.gguf", false},
                 {"/m/a-draft.gguf", false},
                 {"/m/best-of-luck.gguf", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_files files = {0};
        model_files_add(&files, cases[i].path, 1000);
        assert_int_equal(files.count, cases[i].listed);
        model_files_fini(&files);
    }
}

static void test_nothing_there(void **state) {
    struct model_files files = {.folder = mem_strdup("/empty")};
    struct err err = {0};
    assert_int_equal(model_files_find(&files, "x", &err), -1);
    assert_string_equal(err.text, "there are no models in /empty");
    model_files_fini(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_language_models),
        cmocka_unit_test(test_which_is_meant),
        cmocka_unit_test(test_by_name_alone),
        cmocka_unit_test(test_nothing_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
