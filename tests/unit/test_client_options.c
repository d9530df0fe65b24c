// local-claude's settings: whose word counts, and what is handed on to Claude Code.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test-options-XXXXXX";

static const char *const variables[] = {
    "LCC_BACKEND", "LCC_HOST",     "LCC_PORT",        "LCC_MODEL",       "LCC_CTX",
    "LLAMA_DRAFT", "LLAMA_SERVER", "MODELS_DIR",      "REMOTE_SSH_HOST", "REMOTE_MODELS_DIR",
    "LLAMA_PORT",  "LCC_API_KEY",  "LOCAL_CLAUDE_BIN"};

static void write_ini(const char *text, unsigned mode) {
    char *path = mem_printf("%s/local-claude.ini", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
    mem_free(path);
}

static int set_up(void **state) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    setenv("XDG_CONFIG_HOME", folder, 1);
    setenv("HOME", "/home/me", 1);
    write_ini("", 0600);
    return 0;
}

static bool read_words(struct options *options, const char *words, struct err *err) {
    static char copy[512];
    char *argv[32] = {"local-claude"};
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = copy; *word;) {
        char *end = word + strcspn(word, " ");
        bool last = *end == '\0';
        *end = '\0';
        argv[argc++] = word;
        word = end + !last;
    }
    return options_read(options, argc, argv, err);
}

static void test_precedence(void **state) {
    struct options options;
    struct err err;
    write_ini("backend = remote\nhost = from.file\nport = 1\nctx = 32K\nlean = on\n", 0600);
    setenv("LCC_HOST", "from.environment", 1);
    setenv("LCC_PORT", "2", 1);
    assert_true(read_words(&options, "--port 3 -p hi", &err));
    assert_string_equal(options.backend, "remote");
    assert_string_equal(options.host, "from.environment");
    assert_int_equal(options.port, 3);
    assert_int_equal(options.context_tokens, 32768);
    assert_true(options.lean);
    options_fini(&options);
    setenv("LCC_HOST", "", 1); // as good as unset
    assert_true(read_words(&options, "--lean=off", &err));
    assert_string_equal(options.host, "from.file");
    assert_false(options.lean);
    options_fini(&options);
}

static void test_what_goes_on(void **state) {
    static const struct {
        const char *words, *handed_on;
    } cases[] = {
        {"-p hi", "-p hi"},
        {"--backend remote --port 1234 --resume 0123", "--resume 0123"},
        {"-p hi --model coder --output-format json", "-p hi --output-format json"},
        {"--model=coder --verbose", "--verbose"},
        {"--lean -c", "-c"},
        {"-- --help --model x", "--help --model x"},
        {"--lean -- -- a", "-- a"},
        {"--models x", "--models x"},
        {"--mode l", "--mode l"},
        {"-v", "-v"},
        {"mcp add x -- --port 3", "mcp add x --port 3"},
        {"--", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        struct err err = {0};
        char joined[256] = "";
        assert_true(read_words(&options, cases[i].words, &err));
        for (int k = 0; k < options.claude_arg_count; k++) {
            strncat(joined, k ? " " : "", sizeof joined - strlen(joined) - 1);
            strncat(joined, options.claude_args[k], sizeof joined - strlen(joined) - 1);
        }
        assert_string_equal(joined, cases[i].handed_on);
        assert_null(options.claude_args[options.claude_arg_count]);
        options_fini(&options);
    }
}

static void test_mistakes(void **state) {
    static const struct {
        const char *ini, *words, *text;
    } cases[] = {
        {"", "--port 0", "--port: \"0\" is no port"},
        {"", "--port", "--port needs a value"},
        {"", "--host=", "--host= needs a value"},
        {"", "--ctx many", "--ctx: \"many\" is no number of tokens"},
        {"", "--lean=perhaps", "--lean=perhaps: \"perhaps\" is neither on nor off"},
        {"\nporto = 1\n", "", "local-claude.ini:2: there is no setting \"porto\""},
        {"port = 99999\n", "", "local-claude.ini:1: port: \"99999\" is no port"},
        {"[remote]\nport = 1\n", "", "local-claude.ini:1: this file has no sections"},
        {"what is this\n", "", "local-claude.ini: line 1"},
        {"print-env = on\n", "", "local-claude.ini:1: there is no setting \"print-env\""},
        {"api-key = a b\n", "", "local-claude.ini:1: api-key: a key has neither blanks"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        struct err err = {0};
        write_ini(cases[i].ini, 0600);
        assert_false(read_words(&options, cases[i].words, &err));
        if (!strstr(err.text, cases[i].text))
            fail_msg("\"%s\" instead of \"%s\"", err.text, cases[i].text);
        assert_int_equal(err.code, ERR_INVALID);
        options_fini(&options);
    }
}

static void test_key_file_of_everybody(void **state) {
    struct options options;
    struct err err = {0};
    write_ini("api-key = sk-1\n", 0644);
    assert_false(read_words(&options, "", &err));
    assert_non_null(strstr(err.text, "others can read this key"));
    options_fini(&options);
    write_ini("api-key = sk-1\n", 0600);
    assert_true(read_words(&options, "", &err));
    assert_string_equal(options.key, "sk-1");
    options_fini(&options);
}

static void test_names_that_users_know(void **state) {
    struct options options;
    struct err err = {0};
    setenv("LLAMA_PORT", "8099", 1);
    setenv("MODELS_DIR", "~/gguf", 1);
    setenv("REMOTE_MODELS_DIR", "~/gguf", 1);
    setenv("REMOTE_SSH_HOST", "me@box", 1);
    setenv("LLAMA_DRAFT", "none", 1);
    assert_true(read_words(&options, "--backend remote", &err));
    assert_int_equal(options.port, 0); // not a llama-server of ours
    options_fini(&options);
    setenv("LCC_PORT", "7", 1);
    assert_true(read_words(&options, "--backend llama", &err));
    assert_int_equal(options.port, 8099);
    assert_string_equal(options.models_dir, "/home/me/gguf");
    assert_string_equal(options.remote_models_dir, "~/gguf"); // that home is elsewhere
    assert_string_equal(options.ssh_host, "me@box");
    assert_string_equal(options.draft, "none");
    options_fini(&options);
    assert_true(read_words(&options, "--backend llama --port 5", &err));
    assert_int_equal(options.port, 5);
    options_fini(&options);
}

static void test_passes(void **state) {
    struct options options;
    struct err err = {0};
    assert_true(read_words(&options, "--tools=Read --bare -p --not-print", &err));
    assert_true(options_passes(&options, "--tools"));
    assert_true(options_passes(&options, "--bare"));
    assert_true(options_passes(&options, "-p"));
    assert_false(options_passes(&options, "--print"));
    assert_false(options_passes(&options, "--tool"));
    options_fini(&options);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_precedence, set_up),
        cmocka_unit_test_setup(test_what_goes_on, set_up),
        cmocka_unit_test_setup(test_mistakes, set_up),
        cmocka_unit_test_setup(test_key_file_of_everybody, set_up),
        cmocka_unit_test_setup(test_names_that_users_know, set_up),
        cmocka_unit_test_setup(test_passes, set_up),
    };
    if (!mkdtemp(folder))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
