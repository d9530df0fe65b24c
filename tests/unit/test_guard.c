#define _GNU_SOURCE
#include "guard.h"

#include "base/mem.h"
#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char *hosts[] = {"box.example", NULL}, *origins[] = {"https://app.example", NULL},
            *none[] = {NULL}, *any[] = {"*", NULL};

static enum guard_verdict ask(const struct guard *guard, const char *method, const char *name,
                              const char *value, const char *host) {
    struct http_field fields[] = {{span_of("Host"), span_of(host)},
                                  {span_of(name), span_of(value)}};
    struct http_head head = {
        .method = span_of(method), .fields = fields, .field_count = name ? 2 : 1};
    struct err why = {0};
    enum guard_verdict verdict = guard_check(guard, &head, &why);
    assert_int_equal(why.text[0] != '\0', verdict != GUARD_PASS);
    return verdict;
}

static const struct {
    const char *host;
    bool passes;
} host_cases[] = {
    {"localhost", true},
    {"localhost:1234", true},
    {"LOCALHOST", true},
    {"localhost.", true},
    {"a.localhost", true},
    {"127.0.0.1:1234", true},
    {"127.1.2.3", true},
    {"[::1]:1234", true},
    {"192.168.1.5:1234", true},
    {"[fe80::1]", true},
    {"box.example", true},
    {"BOX.example:80", true},
    {"", false},
    {":1234", false},
    {"evil.example", false},
    {"localhost.evil.example", false},
    {"evil-localhost", false},
    {"127.0.0.1.evil.example", false},
    {"[::1", false},
    {"[evil]", false},
    {"box.example.evil", false},
    {"user@localhost", false},
    {"local host", false},
    {"evil.example, localhost", false},
    {"127.0.0.1x", false},
    {"[::1]evil", false},
    {"localhost:1234:evil", false},
    {"localhost:evil", false},
    {"a_b.c-d.localhost:1", true},
    {"evil.example/.localhost", false},
    {"evil.example#.localhost", false},
    {"evil.example?.localhost", false},
    {"evil.example\\.localhost", false},
    {"evil.example@.localhost", false},
    {"evil.example%2f.localhost", false},
    {"evil.example\t.localhost", false},
    {"evil.example,x.localhost", false},
    {"evil.example;x.localhost", false},
    {"\xc3\xa9.localhost", false},
    {".localhost", false},
    {"evil..localhost", false},
    {"localhost..", false},
    {".", false},
    {"[localhost]", false},
    {"[::1.]", false},
    {"[]", false},
    {"[", false},
    {"::1", false},
    {"::", false},
};

static void test_hosts(void **state) {
    struct config config = {.allow_hosts = hosts, .allow_origins = none};
    struct err err;
    struct guard *guard = guard_create(&config, false, &err);
    assert_false(guard_wants_key(guard));
    for (size_t i = 0; i < sizeof host_cases / sizeof *host_cases; i++) {
        enum guard_verdict got = ask(guard, "GET", NULL, NULL, host_cases[i].host);
        if ((got == GUARD_PASS) != host_cases[i].passes)
            fail_msg("Host: %s gives %d", host_cases[i].host, (int)got);
    }
    char *long_host = mem_printf("%0300d", 1);
    assert_int_equal(ask(guard, "GET", NULL, NULL, long_host), GUARD_BAD_HOST);
    mem_free(long_host);
    guard_destroy(guard);
}

static const struct {
    const char *origin;
    bool passes;
} origin_cases[] = {
    {"http://localhost:3000", true},
    {"http://127.0.0.1", true},
    {"https://[::1]:8443", true},
    {"https://app.example", true},
    {"HTTPS://APP.EXAMPLE", true},
    {"https://evil.example", false},
    {"http://app.example", false},
    {"null", false},
    {"", false},
    {"https://app.example.evil", false},
    {"http://localhost.evil.example", false},
    {"file://localhost", false},
    {"http://localhost@evil.example", false},
    {"http://192.168.1.5", false},
    {"localhost", false},
    {"://localhost", false},
    {"http://app.localhost:3000", true},
    {"http://evil.example/.localhost", false},
    {"http://evil.example#.localhost", false},
    {"http://evil.example?.localhost", false},
    {"http://evil.example\\.localhost", false},
    {"http://evil.example:80.localhost", false},
    {"http://evil.example:80/.localhost", false},
    {"http://user@a.localhost", false},
    {"http:///localhost", false},
    {"http://localhost/", false},
    {"http://localhost http://evil.example", false},
    {"http://", false},
};

static void test_origins(void **state) {
    struct config config = {.allow_hosts = none, .allow_origins = origins};
    struct err err;
    struct guard *guard = guard_create(&config, false, &err);
    for (size_t i = 0; i < sizeof origin_cases / sizeof *origin_cases; i++) {
        enum guard_verdict got = ask(guard, "POST", "Origin", origin_cases[i].origin, "localhost");
        if ((got == GUARD_PASS) != origin_cases[i].passes)
            fail_msg("Origin: %s gives %d", origin_cases[i].origin, (int)got);
    }
    struct http_field two[] = {{span_of("Host"), span_of("localhost")},
                               {span_of("Origin"), span_of("http://localhost")},
                               {span_of("origin"), span_of("https://evil.example")}};
    struct http_head head = {.method = span_of("GET"), .fields = two, .field_count = 3};
    assert_int_equal(guard_check(guard, &head, &err), GUARD_BAD_ORIGIN);
    two[2].value = two[1].value;
    assert_int_equal(guard_check(guard, &head, &err), GUARD_BAD_ORIGIN);
    config.allow_origins = any;
    assert_int_equal(ask(guard, "POST", "Origin", "https://evil.example", "localhost"), GUARD_PASS);
    guard_destroy(guard);
}

static void test_keys(void **state) {
    static const struct {
        const char *name, *value;
        bool passes;
    } cases[] = {
        {"Authorization", "Bearer first", true},
        {"authorization", "bearer  second ", true},
        {"x-api-key", "first", true},
        {"X-Api-Key", "second", true},
        {"x-api-key", "blanks after", true},
        {"Authorization", "Bearer indented", true},
        {"x-api-key", "indented", true},
        {"x-api-key", "# indented comment", false},
        {"Authorization", "Bearer # comment", false},
        {"Authorization", "Bearer ", false},
        {"Authorization", "first", false},
        {"Authorization", "Basic first", false},
        {"Authorization", "Bearer firs", false},
        {"Authorization", "Bearer firstfirst", false},
        {"Authorization", "Bearer first\nsecond", false},
        {"x-api-key", "", false},
        {NULL, NULL, false},
    };
    char folder[] = "/tmp/test-guard-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *file = path_join(folder, "keys");
    struct config config = {.allow_hosts = none, .allow_origins = none, .api_key_file = file};
    struct err err;
    static const char text[] = "# comment\nfirst\r\n\nsecond\nblanks after \t\r\n"
                               "\t indented\n  # indented comment\n";
    assert_true(path_write_file(file, text, strlen(text), 0600, &err));
    struct guard *guard = guard_create(&config, true, &err);
    assert_true(guard_wants_key(guard));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum guard_verdict got = ask(guard, "GET", cases[i].name, cases[i].value, "localhost");
        if (got != (cases[i].passes ? GUARD_PASS : GUARD_NO_KEY))
            fail_msg("%s: %s gives %d", cases[i].name, cases[i].value, (int)got);
    }
    assert_int_equal(ask(guard, "OPTIONS", NULL, NULL, "localhost"), GUARD_PASS); // preflight
    guard_destroy(guard);

    chmod(file, 0644);
    assert_null(guard_create(&config, true, &err));
    assert_non_null(strstr(err.text, "chmod 600"));
    static const char *const empty[] = {"", " \n", "# only\n", "#\n \t# and again", "\r\n\r\n"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_true(path_write_file(file, empty[i], strlen(empty[i]), 0600, &err));
        assert_null(guard_create(&config, true, &err));
        assert_non_null(strstr(err.text, "no key"));
    }
    unlink(file);
    guard = guard_create(&config, true, &err); // made: private, long, and the one that is asked for
    struct stat st;
    assert_true(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600);
    char *key = path_read_file(file, 1000, NULL, &err);
    key[strcspn(key, "\n")] = '\0';
    assert_true(strlen(key) >= 40);
    assert_int_equal(ask(guard, "GET", "x-api-key", key, "localhost"), GUARD_PASS);
    assert_int_equal(ask(guard, "GET", "x-api-key", "sk-", "localhost"), GUARD_NO_KEY);
    guard_destroy(guard);
    mem_free(key);
    unlink(file);
    rmdir(folder);
    mem_free(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts), cmocka_unit_test(test_origins),
                                       cmocka_unit_test(test_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
