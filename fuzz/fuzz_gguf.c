// gguf_open never trips a sanitizer, and what it accepts keeps its promises: every tensor lies
// inside the file, names are found again, lists can be read to their end.
#define _GNU_SOURCE
#include "format/gguf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length);

static void ask_everything(const struct gguf *gguf, const char *key) {
    enum gguf_value_type type;
    struct err err = {0};
    uint64_t number = 0, count = 0, seen = 0;
    double real = 0;
    bool flag = false;
    assert(gguf_has(gguf, key));
    bool is_uint = gguf_uint(gguf, key, &number);
    assert(gguf_bool(gguf, key, &flag) == is_uint);
    bool is_number = gguf_number(gguf, key, &real);
    assert(is_number || !is_uint);
    if (!gguf_array(gguf, key, &type, &count))
        return;
    assert(!is_number && gguf_text(gguf, key).length == 0);
    gguf_array_uint(gguf, key, 0, &number);
    assert(!gguf_array_uint(gguf, key, count, &number));
    struct gguf_list *list = gguf_list_open(gguf, key, &err);
    assert(!list == (type != GGUF_STRING));
    err = (struct err){0};
    for (struct span text; list && gguf_list_next(list, &text, &err);)
        seen++;
    assert(!list || (seen == count && err.code == ERR_NONE));
    gguf_list_close(list);
}

static void check(const struct gguf *gguf, size_t length) {
    uint64_t sum = 0;
    enum gguf_value_type type;
    for (size_t i = 0; i < gguf_keys(gguf); i++)
        ask_everything(gguf, gguf_key_at(gguf, i, &type));
    for (size_t i = 0; i < gguf_tensors(gguf); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(gguf, i);
        assert(gguf_tensor_find(gguf, tensor->name) == tensor);
        assert(tensor->bytes > 0 && tensor->bytes <= length && tensor->offset < length);
        sum += tensor->bytes;
    }
    assert(sum <= length && gguf_file_bytes(gguf) == length);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length) {
    static int fd = -1;
    char path[64];
    if (fd < 0)
        fd = memfd_create("gguf", MFD_CLOEXEC);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, length, 0) != (ssize_t)length)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct err err = {0};
    struct gguf *gguf = gguf_open(path, &err);
    assert(gguf || (err.code != ERR_NONE && err.text[0]));
    if (gguf)
        check(gguf, length);
    gguf_close(gguf);
    return 0;
}
