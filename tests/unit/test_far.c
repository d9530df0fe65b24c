// What goes to the other machine, and what comes of what it says.
#define _GNU_SOURCE
#include "far_error.h"
#include "far_script.h"
#include "llama_log.h"
#include "private_server.h"

#include "base/mem.h"
#include "event/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_windows_paths(void **state) {
    static const struct {
        const char *path, *mapped;
    } cases[] = {{"C:\\models", "/mnt/c/models"},
                 {"D:\\a b\\c", "/mnt/d/a b/c"},
                 {"e:/models", "/mnt/e/models"},
                 {"F:", "/mnt/f"},
                 {"/home/me/models", NULL},
                 {"~/models", NULL},
                 {"C:models", NULL},
                 {"box:\\models", NULL},
                 {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *mapped = far_wsl_path(cases[i].path);
        if (cases[i].mapped)
            assert_string_equal(mapped, cases[i].mapped);
        else
            assert_null(mapped);
        mem_free(mapped);
    }
}

// The command as a login shell runs it, with no standard input to answer from.
static void run(const struct far_asked *asked, char *out, size_t size) {
    struct buf command, said;
    struct err err;
    int status;
    buf_init(&command, 65536);
    buf_init(&said, 65536);
    far_command(&command, asked);
    const char *argv[] = {"sh", "-c", buf_text(&command), NULL};
    const char *envp[] = {"PATH=/usr/bin:/bin", "HOME=/nonesuch", NULL};
    struct spawn_spec spec = {
        .path = "/bin/sh", .argv = (char *const *)argv, .envp = (char *const *)envp};
    assert_true(child_capture(&spec, 20000, 65536, &said, &status, &err));
    snprintf(out, size, "%s", buf_text(&said));
    buf_fini(&said);
    buf_fini(&command);
}

static void test_odd_words_arrive_whole(void **state) {
    static const char *const folders[] = {
        "/no/such 'folder'", "/a \"b\" $(touch /tmp/c) `d` \\\\ e", "/x;y&z|w #v", "/caf\xc3\xa9"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char said[512], expected[256];
        struct far_asked asked = {folders[i], NULL};
        run(&asked, said, sizeof said);
        snprintf(expected, sizeof expected, "@lc error no-folder %s\n", folders[i]);
        assert_string_equal(said, expected);
    }
}

static void test_no_server(void **state) {
    char said[512];
    struct far_asked asked = {"/tmp", "/no/such/llama-server"};
    run(&asked, said, sizeof said);
    assert_non_null(strstr(said, "@lc error no-server /nonesuch/.cache/ancalagon"));
}

static void test_windows_folder_elsewhere(void **state) {
    char said[512];
    struct far_asked asked = {"C:/models", NULL};
    run(&asked, said, sizeof said);
    assert_string_equal(said, "@lc error windows-path C:/models\n");
}

static void test_errors(void **state) {
    static const struct {
        const char *printed, *told;
    } cases[] = {
        {"ssh: Could not resolve hostname box: Name or service not known\r\n",
         "no machine of that"},
        {"me@box: Permission denied (publickey).\n", "none of our keys"},
        {"Host key verification failed.\n", "host key is not known"},
        {"ssh: connect to host box port 22: Connection refused\n", "no ssh server listens"},
        {"ssh: connect to host box port 22: Connection timed out\n", "does not answer"},
        {"'exec' is not recognized as an internal or external command,\noperable program\n",
         "one of Windows"},
        {"exec : The term 'exec' is not recognized as the name of a cmdlet\n", "one of Windows"},
        {"something else\n\n", "box: something else"},
        {"", "box: the connection ended"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        far_error_ended(&err, "box", cases[i].printed);
        if (!strstr(err.text, cases[i].told))
            fail_msg("%s: %s", cases[i].printed, err.text);
        assert_int_equal(strncmp(err.text, "box: ", 5), 0);
    }
}

static void test_told_errors(void **state) {
    struct err err = {0};
    far_error_told(&err, "box", "no-folder /data/m");
    assert_string_equal(err.text, "there is no folder /data/m on box; say where its models are: "
                                  "REMOTE_MODELS_DIR");
    far_error_told(&err, "box", "news of a kind that we do not know");
    assert_string_equal(err.text, "box: news of a kind that we do not know");
}

static void test_ports(void **state) {
    static const struct {
        const char *line;
        unsigned port;
    } cases[] = {
        {"0.01.500.123 I srv  llama_server: listening on http://127.0.0.1:40123", 40123},
        {"main: server is listening on http://127.0.0.1:8080 - starting the main loop", 8080},
        {"main: HTTP server is listening, hostname: 127.0.0.1, port: 9001, http threads: 7", 9001},
        {"main: HTTP server is listening, hostname: 127.0.0.1, port: 0, http threads: 7", 0},
        {"srv: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080", 0},
        {"proxying http://127.0.0.1:8080", 0},
        {"listening on http://127.0.0.1:99999", 0},
        {"listening", 0},
        {"", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(llama_log_port(cases[i].line), cases[i].port);
}

static void test_last_words(void **state) {
    static const struct {
        const char *printed, *words;
    } cases[] = {{"one\ntwo\n", "two"},
                 {"one\r\n\r\n", "one"},
                 {"ancalagon: it cannot\n", "it cannot"},
                 {"", ""},
                 {"a very long line that does not fit", "a very long line that d"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char words[24];
        last_words(cases[i].printed, words, sizeof words);
        assert_string_equal(words, cases[i].words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_paths), cmocka_unit_test(test_odd_words_arrive_whole),
        cmocka_unit_test(test_no_server),     cmocka_unit_test(test_windows_folder_elsewhere),
        cmocka_unit_test(test_errors),        cmocka_unit_test(test_told_errors),
        cmocka_unit_test(test_ports),         cmocka_unit_test(test_last_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
