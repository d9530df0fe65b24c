#include "share.h"
#include "share_login.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_urls(void **state) {
    (void)state;
    static const struct {
        const char *url, *location; // NULL: refused
        unsigned port;
    } cases[] = {
        {"smb://nas/fotos", "smb://nas/fotos", 0},
        {"smb://nas:1445/fotos/", "smb://nas/fotos", 1445},
        {"smb://10.0.0.1/fotos/campo/2026", "smb://10.0.0.1/fotos/campo/2026", 0},
        {"smb://nas/minhas%20fotos/100%25", "smb://nas/minhas fotos/100%", 0},
        {"smb://nas/100%", "smb://nas/100%", 0},
        {"smb://nas/a%0", "smb://nas/a%0", 0},
        {"smb://nas/a%00b", "smb://nas/a%00b", 0},
        {"smb://nas", NULL, 0},
        {"smb://nas/", NULL, 0},
        {"smb:///fotos", NULL, 0},
        {"smb://nas//fotos", NULL, 0},
        {"smb://nas/fotos/../..", NULL, 0},
        {"smb://nas/fotos/%2e%2e/x", NULL, 0},
        {"smb://nas:0/fotos", NULL, 0},
        {"smb://nas:65536/fotos", NULL, 0},
        {"smb://me@nas/fotos", NULL, 0},
        {"smb://me:secret@nas/fotos", NULL, 0},
        {"http://nas/fotos", NULL, 0},
        {"//nas/fotos", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct share share;
        struct err err = {0};
        share_init(&share, "x");
        bool good = share_set(&share, "url", cases[i].url, &err);
        if (good != (cases[i].location != NULL))
            fail_msg("%s: %s", cases[i].url, good ? "taken" : err.text);
        if (good) {
            assert_string_equal(share.location, cases[i].location);
            assert_int_equal(share.port, cases[i].port);
            assert_true(share_is_smb(&share) && share_check(&share, &err));
        } else {
            assert_null(strstr(err.text, "secret@")); // it goes into logs
        }
        share_fini(&share);
    }
}

static void test_settings(void **state) {
    (void)state;
    static const struct {
        const char *lines[3][2];
        const char *fault; // NULL: fine
    } cases[] = {
        {{{"path", "/mnt/fotos/"}}, NULL},
        {{{"path", "/"}, {"timeout", "500ms"}, {"patience", "0"}}, NULL},
        {{{"url", "smb://nas/x"}, {"credentials", "/c"}, {"workgroup", "W"}}, NULL},
        {{{"timeout", "10s"}}, "needs path"},
        {{{"path", "/a"}, {"url", "smb://nas/x"}}, "one of them"},
        {{{"url", "smb://nas/x"}, {"path", "/a"}}, "one of them"},
        {{{"path", "/a"}, {"path", "/b"}}, "one of them"},
        {{{"path", "/a"}, {"credentials", "/c"}}, "of a share with a url"},
        {{{"path", "/a"}, {"port", "445"}}, "of a share with a url"},
        {{{"path", "/a"}, {"timeout", "0"}}, "not a time"},
        {{{"path", "/a"}, {"timeout", "soon"}}, "not a time"},
        {{{"path", "/a"}, {"patience", "25h"}}, "not a time"},
        {{{"path", "/a"}, {"user", "me"}}, "has no \"user\""},
        {{{"path", ""}}, "needs a value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct share share;
        struct err err = {0};
        bool good = true;
        share_init(&share, "x");
        for (size_t k = 0; good && k < 3 && cases[i].lines[k][0]; k++)
            good = share_set(&share, cases[i].lines[k][0], cases[i].lines[k][1], &err);
        good = good && share_check(&share, &err);
        if (good != !cases[i].fault || (!good && !strstr(err.text, cases[i].fault)))
            fail_msg("case %zu: %s", i, err.text);
        share_fini(&share);
    }
}

static void test_whose_a_photo_is(void **state) {
    (void)state;
    static const struct {
        const char *location, *source, *path;
    } cases[] = {
        {"/mnt/fotos", "/mnt/fotos/a/b.jpg", "a/b.jpg"},
        {"/mnt/fotos", "/mnt/fotos2/b.jpg", NULL},
        {"/mnt/fotos", "/mnt/fotos", NULL},
        {"/", "/b.jpg", "b.jpg"},
        {"smb://nas/x", "smb://nas/x/100%25.jpg", "100%25.jpg"},
        {"smb://nas/x", "smb://nas2/x/b.jpg", NULL},
        {"smb://nas/x", "/x/b.jpg", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct share share = {.location = mem_strdup(cases[i].location)};
        const char *path = share_path_of(&share, cases[i].source);
        if (cases[i].path)
            assert_string_equal(path, cases[i].path);
        else
            assert_null(path);
        share_fini(&share);
    }
    static const char *const inside[] = {"", "a", "a/b", "a..b", "..a", "a/..b/c", "."};
    static const char *const outside[] = {"/", "/a", "..", "../a", "a/..", "a/../b"};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        assert_true(share_path_is_inside(inside[i]));
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        assert_false(share_path_is_inside(outside[i]));
}

static void test_faults_are_told_apart(void **state) {
    (void)state;
    static const enum share_fault faults[] = {
        SHARE_UNREACHABLE,  SHARE_DENIED,         SHARE_MISSING,
        SHARE_SETUP,        SHARE_FOLDER_MISSING, SHARE_FOLDER_EMPTY,
        SHARE_FILE_MISSING, SHARE_FILE_DENIED,    SHARE_TOO_LARGE};
    enum { FAULTS = sizeof faults / sizeof *faults };
    for (size_t i = 0; i < FAULTS; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(share_fault_code(faults[i]), share_fault_code(faults[k]));
    assert_false(share_fault_is_whole(SHARE_FINE));
    assert_false(share_fault_is_whole(SHARE_FILE_MISSING));
    assert_true(share_fault_is_whole(SHARE_DENIED));
    assert_true(share_fault_is_whole((enum share_fault)'?')); // what a helper may say
}

static void test_credentials(void **state) {
    (void)state;
    static const struct {
        const char *text, *user, *password, *workgroup; // user NULL: refused
        mode_t mode;
    } cases[] = {
        {"username=me\npassword=a=b #c \ndomain=W\n", "me", "a=b #c ", "W", 0600},
        {"# ours\n\nuser=me\r\npassword=\r\n", "me", "", "", 0400},
        {"username = me\n", " me", "", "", 0600},
        {"password=x\n", NULL, NULL, NULL, 0600},
        {"username=me\nsecret\n", NULL, NULL, NULL, 0600},
        {"username=me\nkey=1\n", NULL, NULL, NULL, 0600},
        {"username=me\n", NULL, NULL, NULL, 0640},
        {"username=me\n", NULL, NULL, NULL, 0604},
    };
    char path[64];
    snprintf(path, sizeof path, "/tmp/test-ocr-share-%d", (int)getpid());
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct share_login login;
        struct err err = {0};
        FILE *file = fopen(path, "w");
        fputs(cases[i].text, file);
        fclose(file);
        chmod(path, cases[i].mode);
        struct share share = {.credentials = path};
        bool good = share_login_read(&share, &login, &err);
        if (good != (cases[i].user != NULL))
            fail_msg("case %zu: %s", i, err.text);
        if (good) {
            assert_string_equal(login.user, cases[i].user);
            assert_string_equal(login.password, cases[i].password);
            assert_string_equal(login.workgroup, cases[i].workgroup);
            share_login_fini(&login);
        }
        unlink(path);
    }
    struct share_login login;
    assert_false(share_login_read(&(struct share){.credentials = path}, &login, NULL));
    assert_true(share_login_read(&(struct share){.workgroup = (char *)"W"}, &login, NULL));
    assert_string_equal(login.user, "");
    assert_string_equal(login.workgroup, "W");
    share_login_fini(&login);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_whose_a_photo_is),
        cmocka_unit_test(test_faults_are_told_apart),
        cmocka_unit_test(test_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
