#define _GNU_SOURCE
#include "format/gguf.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A file read front to back through a window. Every read names what it wanted, so that a short
// file is reported as such.
enum { WINDOW = 64 * 1024 };

struct reader {
    int fd;
    const char *path; // borrowed
    uint64_t size;
    uint64_t at; // of the next byte
    char *window;
    uint64_t window_at;
    size_t window_length;
    struct err *err;
};

struct value {
    char *key;
    enum gguf_value_type type;
    enum gguf_value_type element; // of an array
    uint64_t count;               // of an array
    uint64_t at;                  // in the file: first element of an array
    union {
        uint64_t u; // integers that are not negative, booleans
        double f;   // floats, and negative integers (exact to 2^53)
    };
    bool negative, real;
    char *text; // a string that was kept, or an array's elements (8 bytes each)
    size_t text_length;
};

struct gguf {
    char *path;
    uint32_t version, alignment, splits;
    uint64_t bytes;
    struct value *values;
    size_t value_count;
    struct gguf_tensor *tensors;
    size_t tensor_count, tensor_capacity;
    uint32_t *by_name; // hash table of indices + 1
    size_t by_name_size;
};

static bool broken(struct reader *r, const char *what) {
    return err_set(r->err, ERR_INVALID, "%s: not a usable GGUF: %s (at byte %llu)", r->path, what,
                   (unsigned long long)r->at);
}

static bool refill(struct reader *r) {
    ssize_t n;
    do
        n = pread(r->fd, r->window, WINDOW, (off_t)r->at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(r->err, "cannot read %s", r->path);
    r->window_at = r->at;
    r->window_length = (size_t)n;
    return true;
}

static bool take(struct reader *r, void *out, uint64_t length) {
    if (length > r->size - r->at)
        return err_set(r->err, ERR_INVALID,
                       "%s: the file ends in the middle of its header (%llu bytes): the download "
                       "is incomplete",
                       r->path, (unsigned long long)r->size);
    char *to = out;
    while (length > 0) {
        uint64_t inside = r->at - r->window_at;
        if (r->at < r->window_at || inside >= r->window_length) {
            if (!refill(r))
                return false;
            if (r->window_length == 0)
                return broken(r, "it shrank while being read");
            inside = 0;
        }
        size_t n = r->window_length - (size_t)inside;
        if (n > length)
            n = (size_t)length;
        if (to) {
            memcpy(to, r->window + inside, n);
            to += n;
        }
        r->at += n;
        length -= n;
    }
    return true;
}

static bool skip(struct reader *r, uint64_t length) {
    if (length > r->size - r->at)
        return take(r, NULL, length); // says why
    r->at += length;
    return true;
}

static bool take_u32(struct reader *r, uint32_t *out) { return take(r, out, sizeof *out); }
static bool take_u64(struct reader *r, uint64_t *out) { return take(r, out, sizeof *out); }

// A short string, terminated. NUL inside is refused: such names would compare wrongly.
static char *take_name(struct reader *r, uint64_t max, const char *what) {
    uint64_t length;
    if (!take_u64(r, &length))
        return NULL;
    if (length == 0 || length > max) {
        broken(r, what);
        return NULL;
    }
    char *text = mem_alloc((size_t)length + 1);
    if (!take(r, text, length) || memchr(text, 0, (size_t)length)) {
        if (r->err && r->err->code == ERR_NONE)
            broken(r, what);
        mem_free(text);
        return NULL;
    }
    return text;
}

// ---- values ----

static size_t value_size(enum gguf_value_type type) {
    static const uint8_t SIZES[] = {[GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
                                    [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
                                    [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8};
    return type < sizeof SIZES ? SIZES[type] : 0;
}

static void set_signed(struct value *value, int64_t number) {
    value->negative = number < 0;
    if (value->negative)
        value->f = (double)number;
    else
        value->u = (uint64_t)number;
}

static void set_scalar(struct value *value, enum gguf_value_type type, const char *bytes) {
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    float f32;
    switch (type) {
    case GGUF_U8:
    case GGUF_BOOL: value->u = (uint8_t)bytes[0]; break;
    case GGUF_I8: set_signed(value, (int8_t)bytes[0]); break;
    case GGUF_U16:
        memcpy(&u16, bytes, 2);
        value->u = u16;
        break;
    case GGUF_I16:
        memcpy(&i16, bytes, 2);
        set_signed(value, i16);
        break;
    case GGUF_U32:
        memcpy(&u32, bytes, 4);
        value->u = u32;
        break;
    case GGUF_I32:
        memcpy(&i32, bytes, 4);
        set_signed(value, i32);
        break;
    case GGUF_U64: memcpy(&value->u, bytes, 8); break;
    case GGUF_I64:
        memcpy(&i64, bytes, 8);
        set_signed(value, i64);
        break;
    case GGUF_F32:
        memcpy(&f32, bytes, 4);
        value->f = (double)f32;
        value->real = true;
        break;
    case GGUF_F64:
        memcpy(&value->f, bytes, 8);
        value->real = true;
        break;
    case GGUF_STRING:
    case GGUF_ARRAY: break;
    }
}

static bool skip_strings(struct reader *r, uint64_t count) {
    // Each takes 8 bytes at least, so a count beyond the file is refused before the loop.
    if (count > (r->size - r->at) / 8)
        return broken(r, "an array of more strings than the file could hold");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t length;
        if (!take_u64(r, &length) || !skip(r, length))
            return false;
    }
    return true;
}

static bool keep_numbers(struct reader *r, struct value *value) {
    size_t size = value_size(value->element);
    value->text_length = (size_t)value->count * size;
    value->text = mem_alloc(value->text_length + 1);
    return take(r, value->text, value->text_length);
}

static bool take_array(struct reader *r, struct value *value) {
    uint32_t element;
    if (!take_u32(r, &element) || !take_u64(r, &value->count))
        return false;
    value->element = (enum gguf_value_type)element;
    value->at = r->at;
    if (element == GGUF_STRING)
        return skip_strings(r, value->count);
    if (element == GGUF_ARRAY)
        return broken(r, "arrays of arrays are not used by any model");
    size_t size = value_size(value->element);
    if (size == 0)
        return broken(r, "an array of an unknown type");
    if (value->count > (r->size - r->at) / size)
        return broken(r, "an array larger than the file");
    if (value->count <= GGUF_ARRAY_KEPT)
        return keep_numbers(r, value);
    return skip(r, value->count * size);
}

static bool take_text(struct reader *r, struct value *value) {
    uint64_t length;
    if (!take_u64(r, &length))
        return false;
    if (length > GGUF_TEXT_KEPT)
        return skip(r, length);
    if (length > r->size - r->at)
        return skip(r, length); // says why
    value->text = mem_alloc((size_t)length + 1);
    value->text_length = (size_t)length;
    return take(r, value->text, length);
}

static bool take_value(struct reader *r, struct value *value) {
    uint32_t type;
    value->key = take_name(r, 65535, "a metadata key that is empty or too long");
    if (!value->key || !take_u32(r, &type))
        return false;
    value->type = (enum gguf_value_type)type;
    if (type == GGUF_STRING)
        return take_text(r, value);
    if (type == GGUF_ARRAY)
        return take_array(r, value);
    char bytes[8];
    size_t size = value_size(value->type);
    if (size == 0)
        return broken(r, "a metadata value of an unknown type");
    if (!take(r, bytes, size))
        return false;
    set_scalar(value, value->type, bytes);
    return true;
}

static const struct value *value_find(const struct gguf *gguf, const char *key) {
    for (size_t i = 0; i < gguf->value_count; i++)
        if (strcmp(gguf->values[i].key, key) == 0)
            return &gguf->values[i];
    return NULL;
}

static bool take_values(struct reader *r, struct gguf *gguf, uint64_t count) {
    if (count > GGUF_KEYS_MAX)
        return broken(r, "more metadata than any model has");
    gguf->values = mem_alloc((size_t)(count + 1) * sizeof *gguf->values);
    for (uint64_t i = 0; i < count; i++) {
        struct value *value = &gguf->values[i];
        bool ok = take_value(r, value);
        if (value->key && value_find(gguf, value->key)) {
            mem_free(value->key);
            mem_free(value->text);
            *value = (struct value){0};
            return ok ? broken(r, "a metadata key that is there twice") : false;
        }
        if (value->key)
            gguf->value_count++;
        if (!ok)
            return false;
    }
    return true;
}

// ---- tensors ----

static uint64_t name_hash(const char *name) { return str_hash(name); }

static void index_add(struct gguf *gguf, size_t tensor) {
    size_t at = (size_t)name_hash(gguf->tensors[tensor].name) & (gguf->by_name_size - 1);
    while (gguf->by_name[at])
        at = (at + 1) & (gguf->by_name_size - 1);
    gguf->by_name[at] = (uint32_t)tensor + 1;
}

static void index_build(struct gguf *gguf) {
    mem_free(gguf->by_name);
    gguf->by_name_size = 16;
    while (gguf->by_name_size < gguf->tensor_count * 2)
        gguf->by_name_size *= 2;
    gguf->by_name = mem_alloc(gguf->by_name_size * sizeof *gguf->by_name);
    for (size_t i = 0; i < gguf->tensor_count; i++)
        index_add(gguf, i);
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *gguf, const char *name) {
    if (gguf->by_name_size == 0)
        return NULL;
    size_t at = (size_t)name_hash(name) & (gguf->by_name_size - 1);
    for (; gguf->by_name[at]; at = (at + 1) & (gguf->by_name_size - 1)) {
        const struct gguf_tensor *tensor = &gguf->tensors[gguf->by_name[at] - 1];
        if (strcmp(tensor->name, name) == 0)
            return tensor;
    }
    return NULL;
}

// Elements, kept below 2^60 so that later sums cannot overflow.
static bool count_elements(const struct gguf_tensor *tensor, uint64_t *out) {
    uint64_t n = 1;
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++) {
        if (tensor->ne[i] == 0 || tensor->ne[i] > (UINT64_C(1) << 60) / n)
            return false;
        n *= tensor->ne[i];
    }
    *out = n;
    return true;
}

static bool take_tensor(struct reader *r, struct gguf_tensor *tensor, uint32_t file) {
    tensor->name = take_name(r, GGUF_NAME_MAX, "a tensor name that is empty or too long");
    if (!tensor->name || !take_u32(r, &tensor->dims))
        return false;
    if (tensor->dims == 0 || tensor->dims > GGUF_DIMS_MAX)
        return broken(r, "a tensor with no or more than 4 dimensions");
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++)
        tensor->ne[i] = 1;
    if (!take(r, tensor->ne, tensor->dims * sizeof *tensor->ne) || !take_u32(r, &tensor->type) ||
        !take_u64(r, &tensor->offset))
        return false;
    uint64_t elements;
    if (!count_elements(tensor, &elements))
        return broken(r, "a tensor of impossible size");
    tensor->file = file;
    const struct gguf_type_info *type = gguf_type_info(tensor->type);
    uint64_t row = type ? gguf_row_bytes(type, tensor->ne[0]) : 0;
    tensor->bytes = row * (elements / tensor->ne[0]); // 0: from the offsets, later
    return true;
}

static bool take_tensors(struct reader *r, struct gguf *gguf, uint64_t count, uint32_t file) {
    // Name length, name, dimensions, type and offset take 33 bytes at least.
    if (count > GGUF_TENSORS_MAX || count > (r->size - r->at) / 33)
        return broken(r, "more tensors than the file could hold");
    size_t need = gguf->tensor_count + (size_t)count;
    gguf->tensors = mem_resize(gguf->tensors, (need + 1) * sizeof *gguf->tensors);
    for (uint64_t i = 0; i < count; i++) {
        struct gguf_tensor *tensor = &gguf->tensors[gguf->tensor_count];
        *tensor = (struct gguf_tensor){0};
        if (!take_tensor(r, tensor, file)) {
            mem_free((void *)tensor->name);
            return false;
        }
        gguf->tensor_count++;
    }
    return true;
}

static int by_offset(const void *a, const void *b, void *tensors) {
    const struct gguf_tensor *t = tensors;
    uint64_t x = t[*(const uint32_t *)a].offset, y = t[*(const uint32_t *)b].offset;
    return (x > y) - (x < y);
}

// Sizes and places make sense: aligned, apart from each other, inside the file. `data`: bytes from
// the start of the data section to the end of the file.
static bool check_layout(struct reader *r, struct gguf *gguf, size_t first, uint64_t data) {
    size_t count = gguf->tensor_count - first;
    uint32_t *order = mem_alloc((count + 1) * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)(first + i);
    qsort_r(order, count, sizeof *order, by_offset, gguf->tensors);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        struct gguf_tensor *tensor = &gguf->tensors[order[i]];
        bool last = i + 1 == count;
        uint64_t end = last ? data : gguf->tensors[order[i + 1]].offset;
        if (tensor->offset % gguf->alignment != 0) {
            ok = broken(r, "a tensor that is not aligned");
        } else if (tensor->offset > data || tensor->bytes > data - tensor->offset) {
            ok = err_set(r->err, ERR_INVALID,
                         "%s: the file has %llu bytes, but tensor %s would end %llu bytes behind "
                         "that: the download is incomplete",
                         r->path, (unsigned long long)r->size, tensor->name,
                         (unsigned long long)(tensor->offset + tensor->bytes - data));
        } else if (tensor->bytes == 0) {
            tensor->bytes = end > tensor->offset ? end - tensor->offset : 0;
            if (tensor->bytes == 0)
                ok = broken(r, "a tensor of an unknown type and no size");
        } else if (!last && tensor->bytes > end - tensor->offset) {
            // Numbers beyond mainline's are used by several forks for different types.
            if (gguf_type_family(tensor->type) == GGUF_TYPE_MAINLINE && tensor->type < 41)
                ok = broken(r, "tensors that overlap");
            else
                tensor->bytes = end - tensor->offset;
        }
    }
    mem_free(order);
    return ok;
}

// ---- files ----

static bool take_alignment(struct reader *r, struct gguf *gguf) {
    uint64_t alignment = 32;
    gguf_uint(gguf, "general.alignment", &alignment);
    if (alignment == 0 || alignment > 65536 || (alignment & (alignment - 1)) != 0)
        return broken(r, "an alignment that is no power of two");
    gguf->alignment = (uint32_t)alignment;
    return true;
}

// `values`: where this part's metadata goes; the first part's are the model's.
static bool read_part(struct reader *r, struct gguf *gguf, struct gguf *meta, uint32_t file) {
    char magic[4];
    uint64_t tensors, values;
    if (!take(r, magic, 4))
        return false;
    if (memcmp(magic, "GGUF", 4) != 0)
        return err_set(r->err, ERR_INVALID, "%s: not a GGUF file", r->path);
    if (!take_u32(r, &meta->version))
        return false;
    if (meta->version != 2 && meta->version != 3) {
        const char *why = meta->version == 1 ? "version 1, which no engine reads any more"
                          : (meta->version & 0xffff) == 0
                              ? "big-endian, for another kind of machine"
                              : "of a version we do not know";
        return err_set(r->err, ERR_INVALID, "%s: a GGUF %s", r->path, why);
    }
    if (!take_u64(r, &tensors) || !take_u64(r, &values) || !take_values(r, meta, values) ||
        !take_alignment(r, meta))
        return false;
    gguf->alignment = meta->alignment;
    size_t first = gguf->tensor_count;
    if (!take_tensors(r, gguf, tensors, file))
        return false;
    uint64_t data = (r->at + gguf->alignment - 1) / gguf->alignment * gguf->alignment;
    gguf->bytes += r->size;
    return check_layout(r, gguf, first, data < r->size ? r->size - data : 0);
}

static bool open_reader(struct reader *r, const char *path, struct err *err) {
    *r = (struct reader){.fd = -1, .path = path, .err = err};
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0)
        return err_errno(err, "cannot open %s", path);
    struct stat st;
    if (fstat(r->fd, &st) != 0)
        return err_errno(err, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is not a file", path);
    r->size = (uint64_t)st.st_size;
    r->window = mem_alloc(WINDOW);
    return true;
}

static void close_reader(struct reader *r) {
    if (r->fd >= 0)
        close(r->fd);
    mem_free(r->window);
}

static void free_values(struct gguf *gguf) {
    for (size_t i = 0; i < gguf->value_count; i++) {
        mem_free(gguf->values[i].key);
        mem_free(gguf->values[i].text);
    }
    mem_free(gguf->values);
}

static bool read_file(struct gguf *gguf, struct gguf *meta, const char *path, uint32_t file,
                      struct err *err) {
    struct reader r;
    bool ok = open_reader(&r, path, err) && read_part(&r, gguf, meta, file);
    close_reader(&r);
    return ok;
}

// NAME-00001-of-00003.gguf: replaces the number.
static char *part_path(const char *path, uint32_t number) {
    size_t length = strlen(path), tail = strlen("-00001-of-00003.gguf");
    if (length < tail || strncmp(path + length - tail + 6, "-of-", 4) != 0)
        return NULL;
    return mem_printf("%.*s-%05u%s", (int)(length - tail), path, number, path + length - 14);
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
            ok =
                err_set(err, ERR_INVALID, "%s does not belong to the same model as %s", part, path);
        free_values(&meta);
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
    gguf->splits = (uint32_t)count;
    if (count > 1 && !read_splits(gguf, gguf->path, count, err))
        return false;
    index_build(gguf);
    for (size_t i = 0; i < gguf->tensor_count; i++)
        if (gguf_tensor_find(gguf, gguf->tensors[i].name) != &gguf->tensors[i])
            return err_set(err, ERR_INVALID, "%s: tensor %s is there twice", gguf->path,
                           gguf->tensors[i].name);
    return true;
}

struct gguf *gguf_open(const char *path, struct err *err) {
    struct err own = {0};
    struct gguf *gguf = mem_alloc(sizeof *gguf);
    // The metadata is in the first part, whichever was named.
    char *first = part_path(path, 1);
    gguf->path = first && access(first, F_OK) == 0 ? first : mem_strdup(path);
    if (gguf->path != first)
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
    free_values(gguf);
    for (size_t i = 0; i < gguf->tensor_count; i++)
        mem_free((void *)gguf->tensors[i].name);
    mem_free(gguf->tensors);
    mem_free(gguf->by_name);
    mem_free(gguf->path);
    mem_free(gguf);
}

// ---- answers ----

uint32_t gguf_version(const struct gguf *gguf) { return gguf->version; }
uint32_t gguf_alignment(const struct gguf *gguf) { return gguf->alignment; }
uint64_t gguf_file_bytes(const struct gguf *gguf) { return gguf->bytes; }
uint32_t gguf_splits(const struct gguf *gguf) { return gguf->splits; }
size_t gguf_tensors(const struct gguf *gguf) { return gguf->tensor_count; }

const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index) {
    assert(index < gguf->tensor_count);
    return &gguf->tensors[index];
}

bool gguf_has(const struct gguf *gguf, const char *key) { return value_find(gguf, key) != NULL; }

static bool is_integer(enum gguf_value_type type) {
    return type != GGUF_STRING && type != GGUF_ARRAY && type != GGUF_F32 && type != GGUF_F64;
}

bool gguf_uint(const struct gguf *gguf, const char *key, uint64_t *out) {
    const struct value *value = value_find(gguf, key);
    if (!value || !is_integer(value->type) || value->negative)
        return false;
    *out = value->u;
    return true;
}

bool gguf_number(const struct gguf *gguf, const char *key, double *out) {
    const struct value *value = value_find(gguf, key);
    if (!value || value->type == GGUF_STRING || value->type == GGUF_ARRAY)
        return false;
    *out = value->real || value->negative ? value->f : (double)value->u;
    return true;
}

bool gguf_bool(const struct gguf *gguf, const char *key, bool *out) {
    uint64_t number;
    if (!gguf_uint(gguf, key, &number))
        return false;
    *out = number != 0;
    return true;
}

struct span gguf_text(const struct gguf *gguf, const char *key) {
    const struct value *value = value_find(gguf, key);
    if (!value || value->type != GGUF_STRING || !value->text)
        return (struct span){NULL, 0};
    return (struct span){value->text, value->text_length};
}

bool gguf_array(const struct gguf *gguf, const char *key, enum gguf_value_type *type,
                uint64_t *count) {
    const struct value *value = value_find(gguf, key);
    if (!value || value->type != GGUF_ARRAY)
        return false;
    *type = value->element;
    *count = value->count;
    return true;
}

bool gguf_array_uint(const struct gguf *gguf, const char *key, uint64_t index, uint64_t *out) {
    const struct value *value = value_find(gguf, key);
    if (!value || value->type != GGUF_ARRAY || !value->text || !is_integer(value->element) ||
        index >= value->count)
        return false;
    struct value one = {0};
    set_scalar(&one, value->element, value->text + index * value_size(value->element));
    if (one.negative)
        return false;
    *out = one.u;
    return true;
}

bool gguf_strings(const struct gguf *gguf, const char *key,
                  bool (*each)(void *arg, uint64_t index, struct span text), void *arg,
                  struct err *err) {
    const struct value *value = value_find(gguf, key);
    if (!value || value->type != GGUF_ARRAY || value->element != GGUF_STRING)
        return err_set(err, ERR_NOTFOUND, "%s: no list of strings named %s", gguf->path, key);
    struct reader r;
    struct err own = {0};
    bool ok = open_reader(&r, gguf->path, &own);
    char *text = mem_alloc(WINDOW);
    r.at = value->at <= r.size ? value->at : r.size; // it may have been replaced meanwhile
    for (uint64_t i = 0; ok && i < value->count; i++) {
        uint64_t length;
        ok = take_u64(&r, &length);
        size_t kept = length < WINDOW ? (size_t)length : WINDOW;
        if (ok)
            ok = take(&r, text, kept) && skip(&r, length - kept);
        if (ok && !each(arg, i, (struct span){text, kept}))
            break;
    }
    mem_free(text);
    close_reader(&r);
    if (!ok && err)
        *err = own;
    return ok;
}

size_t gguf_keys(const struct gguf *gguf) { return gguf->value_count; }

const char *gguf_key_at(const struct gguf *gguf, size_t index, enum gguf_value_type *type) {
    assert(index < gguf->value_count);
    *type = gguf->values[index].type;
    return gguf->values[index].key;
}
