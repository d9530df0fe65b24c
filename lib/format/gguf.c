#include "format/gguf_private.h"

#include "base/mem.h"

#include <string.h>
#include <unistd.h>

static bool take_alignment(struct gguf_reader *r, struct gguf *gguf) {
    uint64_t alignment = 32;
    gguf_uint(gguf, "general.alignment", &alignment);
    if (alignment == 0 || alignment > 65536 || (alignment & (alignment - 1)) != 0)
        return reader_broken(r, "an alignment that is no power of two up to 65536");
    gguf->alignment = (uint32_t)alignment;
    return true;
}

// `values`: where this part's metadata goes; the first part's are the model's.
static bool read_part(struct gguf_reader *r, struct gguf *gguf, struct gguf *meta, uint32_t file) {
    char magic[4];
    uint64_t tensors, values;
    if (!reader_take(r, magic, 4))
        return false;
    if (memcmp(magic, "GGUF", 4) != 0)
        return err_set(r->err, ERR_INVALID, "%s: not a GGUF file", r->path);
    if (!reader_u32(r, &meta->version))
        return false;
    if (meta->version != 2 && meta->version != 3) {
        const char *why = meta->version == 1 ? "version 1, which no engine reads any more"
                          : (meta->version & 0xffff) == 0
                              ? "big-endian, for another kind of machine"
                              : "of a version we do not know";
        return err_set(r->err, ERR_INVALID, "%s: a GGUF %s", r->path, why);
    }
    if (!reader_u64(r, &tensors) || !reader_u64(r, &values) || !gguf_read_values(r, meta, values) ||
        !take_alignment(r, meta))
        return false;
    gguf->alignment = meta->alignment;
    size_t first = gguf->tensor_count;
    if (!gguf_read_tensors(r, gguf, tensors, file))
        return false;
    uint64_t data = (r->at + gguf->alignment - 1) / gguf->alignment * gguf->alignment;
    gguf->bytes += r->size;
    return gguf_check_layout(r, gguf, first, data < r->size ? r->size - data : 0);
}

static bool read_file(struct gguf *gguf, struct gguf *meta, const char *path, uint32_t file,
                      struct err *err) {
    struct gguf_reader r;
    bool ok = reader_open(&r, path, err) && read_part(&r, gguf, meta, file);
    reader_close(&r);
    return ok;
}

// NAME-00001-of-00003.gguf, with another number; NULL when the name is not of that form.
static char *part_path(const char *path, uint32_t number) {
    static const char FORM[] = "-#####-of-#####.gguf";
    size_t length = strlen(path), tail = sizeof FORM - 1;
    if (length <= tail)
        return NULL;
    const char *end = path + length - tail;
    for (size_t i = 0; i < tail; i++)
        if (FORM[i] == '#' ? end[i] < '0' || end[i] > '9' : end[i] != FORM[i])
            return NULL;
    return mem_printf("%.*s-%05u%s", (int)(length - tail), path, number, end + 6);
}

static bool read_splits(struct gguf *gguf, const char *path, uint64_t count, struct err *err) {
    uint64_t expected = 0;
    gguf_uint(gguf, "split.tensors.count", &expected);
    for (uint32_t i = 1; i < count; i++) {
        char *part = part_path(path, i + 1);
        if (!part)
            return err_set(err, ERR_INVALID,
                           "%s: one of %llu parts, but its name does not end in "
                           "-00001-of-%05llu.gguf, so the others cannot be found",
                           path, (unsigned long long)count, (unsigned long long)count);
        struct gguf meta = {0};
        uint64_t number = 0, total = 0;
        bool ok = read_file(gguf, &meta, part, i, err);
        if (ok && (!gguf_uint(&meta, "split.no", &number) || number != i ||
                   !gguf_uint(&meta, "split.count", &total) || total != count))
            ok = err_set(err, ERR_INVALID, "%s is no part of the same model as %s", part, path);
        gguf_free_values(&meta);
        mem_free(part);
        if (!ok)
            return false;
    }
    if (expected && expected != gguf->tensor_count)
        return err_set(err, ERR_INVALID, "%s: its parts hold %zu tensors in place of %llu", path,
                       gguf->tensor_count, (unsigned long long)expected);
    return true;
}

static bool read_all(struct gguf *gguf, struct err *err) {
    if (!read_file(gguf, gguf, gguf->path, 0, err))
        return false;
    uint64_t count = 1, number = 0;
    gguf_uint(gguf, "split.count", &count);
    gguf_uint(gguf, "split.no", &number);
    if (count == 0 || count > GGUF_SPLITS_MAX)
        return err_set(err, ERR_INVALID, "%s: split into %llu parts", gguf->path,
                       (unsigned long long)count);
    if (number != 0)
        return err_set(err, ERR_NOTFOUND, "%s: part %llu of %llu, and part 1 is not beside it",
                       gguf->path, (unsigned long long)number + 1, (unsigned long long)count);
    gguf->splits = (uint32_t)count;
    return (count == 1 || read_splits(gguf, gguf->path, count, err)) && gguf_index_names(gguf, err);
}

struct gguf *gguf_open(const char *path, struct err *err) {
    struct err own = {0};
    struct gguf *gguf = mem_alloc(sizeof *gguf);
    // The metadata is in the first part, whichever was named.
    char *first = part_path(path, 1);
    gguf->path = mem_strdup(first && access(first, F_OK) == 0 ? first : path);
    mem_free(first);
    if (read_all(gguf, &own))
        return gguf;
    if (err)
        *err = own;
    gguf_close(gguf);
    return NULL;
}

void gguf_close(struct gguf *gguf) {
    if (!gguf)
        return;
    gguf_free_values(gguf);
    for (size_t i = 0; i < gguf->tensor_count; i++)
        mem_free((void *)gguf->tensors[i].name);
    mem_free(gguf->tensors);
    mem_free(gguf->by_name);
    mem_free(gguf->path);
    mem_free(gguf);
}

// ---- answers ----

const char *gguf_path(const struct gguf *gguf) { return gguf->path; }
uint32_t gguf_version(const struct gguf *gguf) { return gguf->version; }
uint32_t gguf_alignment(const struct gguf *gguf) { return gguf->alignment; }
uint64_t gguf_file_bytes(const struct gguf *gguf) { return gguf->bytes; }
uint32_t gguf_splits(const struct gguf *gguf) { return gguf->splits; }
