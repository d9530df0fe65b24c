// The list of tensors, their sizes and places.
#define _GNU_SOURCE
#include "format/gguf_private.h"

#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// Names that collide on purpose would make each look-up a walk.
enum { PROBES_MAX = 1024 };

// Where a name is, or the empty place where it would be; PROBES_MAX tries at most, then false.
static bool find_place(const struct gguf *gguf, const char *name, size_t *at) {
    *at = (size_t)str_hash(name) & (gguf->by_name_size - 1);
    for (unsigned i = 0; i < PROBES_MAX; i++) {
        uint32_t entry = gguf->by_name[*at];
        if (entry == 0 || strcmp(gguf->tensors[entry - 1].name, name) == 0)
            return true;
        *at = (*at + 1) & (gguf->by_name_size - 1);
    }
    return false;
}

bool gguf_index_names(struct gguf *gguf, struct err *err) {
    gguf->by_name_size = 16;
    while (gguf->by_name_size < gguf->tensor_count * 2)
        gguf->by_name_size *= 2;
    gguf->by_name = mem_alloc(gguf->by_name_size * sizeof *gguf->by_name);
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        const char *name = gguf->tensors[i].name;
        size_t at;
        if (!find_place(gguf, name, &at))
            return err_set(err, ERR_INVALID, "%s: tensor names that were made to collide",
                           gguf->path);
        if (gguf->by_name[at])
            return err_set(err, ERR_INVALID, "%s: tensor %s is there twice", gguf->path, name);
        gguf->by_name[at] = (uint32_t)i + 1;
    }
    return true;
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *gguf, const char *name) {
    size_t at;
    if (gguf->by_name_size == 0 || !find_place(gguf, name, &at) || gguf->by_name[at] == 0)
        return NULL;
    return &gguf->tensors[gguf->by_name[at] - 1];
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

static bool take_tensor(struct gguf_reader *r, struct gguf_tensor *tensor, uint32_t file) {
    tensor->name = reader_name(r, GGUF_NAME_MAX, "a tensor name that is empty or too long");
    if (!tensor->name || !reader_u32(r, &tensor->dims))
        return false;
    if (tensor->dims > GGUF_DIMS_MAX)
        return reader_broken(r, "a tensor with more than 4 dimensions");
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++)
        tensor->ne[i] = 1;
    if (!reader_take(r, tensor->ne, tensor->dims * sizeof *tensor->ne) ||
        !reader_u32(r, &tensor->type) || !reader_u64(r, &tensor->offset))
        return false;
    uint64_t elements;
    if (!count_elements(tensor, &elements))
        return reader_broken(r, "a tensor of impossible size");
    tensor->file = file;
    return true;
}

bool gguf_read_tensors(struct gguf_reader *r, struct gguf *gguf, uint64_t count, uint32_t file) {
    // Name length, name, dimensions, type and offset take 25 bytes at least.
    if (count > (r->size - r->at) / 25)
        return reader_broken(r, "more tensors than the file could hold");
    if (count > GGUF_TENSORS_MAX - gguf->tensor_count)
        return reader_broken(r, "more tensors than any model has");
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

// ---- layout ----

static uint64_t bytes_as(const struct gguf_tensor *tensor, const struct gguf_type_info *type) {
    uint64_t rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    return gguf_row_bytes(type, tensor->ne[0]) * rows; // elements are below 2^60: no overflow
}

enum { FIRST_OF_IK = 133 }; // from here on only ik_llama.cpp stores types

// Numbers that several engines use differently: the type whose size is that of the gap to the next
// tensor. Without one that fits, the gap itself is the best that is known.
static void choose_type(struct gguf_tensor *tensor, uint64_t gap, uint32_t alignment) {
    const struct gguf_type_info *type = gguf_type_info(tensor->type);
    tensor->info = tensor->type >= FIRST_OF_IK ? type : NULL;
    tensor->bytes = gap;
    for (; type && type->id == tensor->type; type = gguf_type_next(type)) {
        uint64_t bytes = bytes_as(tensor, type);
        if (bytes == 0 || bytes > gap || gap - bytes >= alignment)
            continue;
        tensor->info = type;
        tensor->bytes = bytes;
        return;
    }
}

static bool overruns(struct gguf_reader *r, const struct gguf_tensor *tensor, uint64_t data) {
    uint64_t inside = tensor->offset < data ? data - tensor->offset : 0;
    return err_set(r->err, ERR_INVALID,
                   "%s: the file has %llu bytes, but tensor %s would end %llu bytes behind that: "
                   "the download is incomplete",
                   r->path, (unsigned long long)r->size, tensor->name,
                   (unsigned long long)(tensor->bytes - inside) +
                       (tensor->offset > data ? tensor->offset - data : 0));
}

// `end`: where the next tensor begins, or the data ends.
static bool place(struct gguf_reader *r, struct gguf_tensor *tensor, uint32_t alignment,
                  uint64_t end, uint64_t data) {
    if (tensor->offset % alignment != 0)
        return reader_broken(r, "a tensor that is not aligned");
    if (gguf_type_ambiguous(tensor->type)) {
        if (tensor->offset >= end || end > data)
            return tensor->offset >= data ? overruns(r, tensor, data)
                                          : reader_broken(r, "tensors that overlap");
        choose_type(tensor, end - tensor->offset, alignment);
        return true;
    }
    tensor->info = gguf_type_info(tensor->type);
    tensor->bytes = bytes_as(tensor, tensor->info);
    if (tensor->bytes == 0)
        return reader_broken(r, "a tensor whose rows are no whole number of blocks");
    if (tensor->offset > data || tensor->bytes > data - tensor->offset)
        return overruns(r, tensor, data);
    return tensor->bytes <= end - tensor->offset || reader_broken(r, "tensors that overlap");
}

static int by_offset(const void *a, const void *b) {
    uint64_t x = (*(struct gguf_tensor *const *)a)->offset;
    uint64_t y = (*(struct gguf_tensor *const *)b)->offset;
    return (x > y) - (x < y);
}

bool gguf_check_layout(struct gguf_reader *r, struct gguf *gguf, size_t first, uint64_t data) {
    size_t count = gguf->tensor_count - first;
    struct gguf_tensor **order = mem_alloc((count + 1) * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = &gguf->tensors[first + i];
    qsort(order, count, sizeof *order, by_offset);
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        uint64_t end = i + 1 == count ? data : order[i + 1]->offset;
        ok = place(r, order[i], gguf->alignment, end, data);
    }
    mem_free(order);
    return ok;
}

// ---- answers ----

size_t gguf_tensors(const struct gguf *gguf) { return gguf->tensor_count; }

const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index) {
    assert(index < gguf->tensor_count);
    return &gguf->tensors[index];
}
