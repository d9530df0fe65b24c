// Which tensor types a build knows, by the names in its files.
#include "base/mem.h"
#include "base/path.h"
#include "engine/reads.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/ancalagon-reads-XXXXXX";

static char *put(const char *name, const char *bytes, size_t length) {
    struct err err = {0};
    char *path = path_join(root, name);
    assert_true(path_write_file(path, bytes, length, 0700, &err));
    return path;
}

#define FILE_OF(name, text) put(name, text, sizeof(text) - 1)

static void by_the_names_in_the_file(void **state) {
    static const struct {
        const char *bytes;
        size_t length;
        const char *type;
        enum reads reads;
    } cases[] = {
#define CASE(text, type, reads) {text, sizeof(text) - 1, type, reads}
        CASE("\0q4_K\0iq2_xxs\0", "TQ3_4S", READS_NO),
        CASE("\0q4_K\0iq2_xxs\0tq3_4s\0", "TQ3_4S", READS_YES),
        CASE("\0q4_K\0iq2_xxs\0x_tq3_4s\0", "TQ3_4S", READS_YES), // merged by the linker
        CASE("\0q4_K\0iq2_xxs\0tq3_4s_more\0", "TQ3_4S", READS_NO),
        CASE("#!/bin/sh\nexec llama-server\n", "TQ3_4S", READS_UNKNOWN),
        CASE("", "TQ3_4S", READS_UNKNOWN),
        CASE("\0", "TQ3_4S", READS_UNKNOWN),
        CASE("tq3_4s", "TQ3_4S", READS_UNKNOWN), // no end: no text
        CASE("tq3_4s\0", "TQ3_4S", READS_YES),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[16] = "engine-a";
        name[7] = (char)('a' + i);
        char *path = put(name, cases[i].bytes, cases[i].length);
        assert_int_equal(reads_type(path, cases[i].type), cases[i].reads);
        assert_int_equal(reads_type(path, cases[i].type), cases[i].reads); // remembered
        unlink(path);
        mem_free(path);
    }
}

static void by_the_library_beside_it(void **state) {
    char *engine = FILE_OF("llama-server", "a small program");
    char *library = FILE_OF("libggml-base.so.0", "\0q4_K\0iq2_xxs\0iq4_k\0");
    assert_int_equal(reads_type(engine, "IQ4_K"), READS_YES);
    assert_int_equal(reads_type(engine, "TQ3_4S"), READS_NO);
    unlink(engine);
    unlink(library);
    mem_free(engine);
    mem_free(library);
}

static void a_new_build_is_looked_at_again(void **state) {
    char *path = FILE_OF("build", "\0q4_K\0iq2_xxs\0");
    assert_int_equal(reads_type(path, "TQ3_4S"), READS_NO);
    mem_free(path);
    path = FILE_OF("build", "\0q4_K\0iq2_xxs\0tq3_4s\0");
    struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 5}};
    utimensat(AT_FDCWD, path, times, 0);
    assert_int_equal(reads_type(path, "TQ3_4S"), READS_YES);
    unlink(path);
    assert_int_equal(reads_type(path, "TQ3_4S"), READS_UNKNOWN);
    mem_free(path);
}

static int begin(void **state) { return mkdtemp(root) ? 0 : -1; }
static int end(void **state) { return rmdir(root); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_the_names_in_the_file),
        cmocka_unit_test(by_the_library_beside_it),
        cmocka_unit_test(a_new_build_is_looked_at_again),
    };
    return cmocka_run_group_tests_name("reads", tests, begin, end);
}
