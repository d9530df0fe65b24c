// Metadata: reading it, and answers about it.
#include "format/gguf_private.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

enum { PIECE = 64 * 1024 }; // of a string that gguf_list_next hands over

static size_t value_size(enum gguf_value_type type) {
    static const uint8_t SIZES[] = {[GGUF_U8] = 1,  [GGUF_I8] = 1,  [GGUF_U16] = 2, [GGUF_I16] = 2,
                                    [GGUF_U32] = 4, [GGUF_I32] = 4, [GGUF_F32] = 4, [GGUF_BOOL] = 1,
                                    [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8};
    return type < sizeof SIZES ? SIZES[type] : 0;
}

static void set_signed(struct gguf_value *value, int64_t number) {
    value->negative = number < 0;
    if (value->negative)
        value->f = (double)number;
    else
        value->u = (uint64_t)number;
}

static void set_scalar(struct gguf_value *value, enum gguf_value_type type, const char *bytes) {
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

static bool skip_strings(struct gguf_reader *r, uint64_t count) {
    // Each takes 8 bytes at least, so a count beyond the file is refused before the loop.
    if (count > (r->size - r->at) / 8)
        return reader_broken(r, "an array of more strings than the file could hold");
    for (uint64_t i = 0; i < count; i++) {
        uint64_t length, inside = r->at - r->window_at;
        if (r->at >= r->window_at && inside + 8 <= r->window_length) { // as most are: no call
            memcpy(&length, r->window + inside, 8);
            r->at += 8;
            if (length <= r->size - r->at) {
                r->at += length;
                continue;
            }
        } else if (!reader_u64(r, &length)) {
            return false;
        }
        if (!reader_skip(r, length))
            return false;
    }
    return true;
}

// Is there room to keep so much more in memory?
static bool keeps(struct gguf_reader *r, uint64_t bytes) {
    if (bytes > GGUF_KEPT_MAX - r->kept)
        return false;
    r->kept += bytes;
    return true;
}

static bool keep_numbers(struct gguf_reader *r, struct gguf_value *value) {
    size_t size = value_size(value->element);
    value->text_length = (size_t)value->count * size;
    value->text = mem_alloc(value->text_length + 1);
    return reader_take(r, value->text, value->text_length);
}

static bool take_array(struct gguf_reader *r, struct gguf_value *value) {
    uint32_t element;
    if (!reader_u32(r, &element) || !reader_u64(r, &value->count))
        return false;
    value->element = (enum gguf_value_type)element;
    value->at = r->at;
    if (element == GGUF_STRING)
        return skip_strings(r, value->count);
    if (element == GGUF_ARRAY)
        return reader_broken(r, "arrays of arrays are not used by any model");
    size_t size = value_size(value->element);
    if (size == 0)
        return reader_broken(r, "an array of an unknown type");
    if (value->count > (r->size - r->at) / size)
        return reader_broken(r, "an array larger than the file");
    if (value->count <= GGUF_ARRAY_KEPT && keeps(r, value->count * size))
        return keep_numbers(r, value);
    return reader_skip(r, value->count * size);
}

static bool take_text(struct gguf_reader *r, struct gguf_value *value) {
    uint64_t length;
    if (!reader_u64(r, &length))
        return false;
    if (length > GGUF_TEXT_KEPT || length > r->size - r->at || !keeps(r, length))
        return reader_skip(r, length); // says why, beyond the file
    value->text = mem_alloc((size_t)length + 1);
    value->text_length = (size_t)length;
    return reader_take(r, value->text, length);
}

static bool take_value(struct gguf_reader *r, struct gguf_value *value) {
    uint32_t type;
    value->key = reader_name(r, GGUF_KEY_MAX, "a metadata key that is empty or too long");
    if (!value->key || !reader_u32(r, &type))
        return false;
    value->type = (enum gguf_value_type)type;
    if (type == GGUF_STRING)
        return take_text(r, value);
    if (type == GGUF_ARRAY) {
        bool ok = take_array(r, value);
        value->end = r->at;
        return ok;
    }
    char bytes[8];
    size_t size = value_size(value->type);
    if (size == 0)
        return reader_broken(r, "a metadata value of an unknown type");
    if (!reader_take(r, bytes, size))
        return false;
    set_scalar(value, value->type, bytes);
    return true;
}

static const struct gguf_value *value_find(const struct gguf *gguf, const char *key) {
    for (size_t i = 0; i < gguf->value_count; i++)
        if (strcmp(gguf->values[i].key, key) == 0)
            return &gguf->values[i];
    return NULL;
}

bool gguf_read_values(struct gguf_reader *r, struct gguf *gguf, uint64_t count) {
    if (count > GGUF_KEYS_MAX)
        return reader_broken(r, "more metadata than any model has");
    gguf->values = mem_alloc((size_t)(count + 1) * sizeof *gguf->values);
    for (uint64_t i = 0; i < count; i++) {
        struct gguf_value *value = &gguf->values[i];
        bool ok = take_value(r, value);
        if (value->key && value_find(gguf, value->key)) {
            mem_free(value->key);
            mem_free(value->text);
            *value = (struct gguf_value){0};
            return ok ? reader_broken(r, "a metadata key that is there twice") : false;
        }
        if (value->key)
            gguf->value_count++;
        if (!ok)
            return false;
    }
    return true;
}
void gguf_free_values(struct gguf *gguf) {
    for (size_t i = 0; i < gguf->value_count; i++) {
        mem_free(gguf->values[i].key);
        mem_free(gguf->values[i].text);
    }
    mem_free(gguf->values);
}

// ---- answers ----

bool gguf_has(const struct gguf *gguf, const char *key) { return value_find(gguf, key) != NULL; }

static bool is_integer(enum gguf_value_type type) {
    return type != GGUF_STRING && type != GGUF_ARRAY && type != GGUF_F32 && type != GGUF_F64;
}

bool gguf_uint(const struct gguf *gguf, const char *key, uint64_t *out) {
    const struct gguf_value *value = value_find(gguf, key);
    if (!value || !is_integer(value->type) || value->negative)
        return false;
    *out = value->u;
    return true;
}

bool gguf_number(const struct gguf *gguf, const char *key, double *out) {
    const struct gguf_value *value = value_find(gguf, key);
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
    const struct gguf_value *value = value_find(gguf, key);
    if (!value || value->type != GGUF_STRING || !value->text)
        return (struct span){NULL, 0};
    return (struct span){value->text, value->text_length};
}

bool gguf_array(const struct gguf *gguf, const char *key, enum gguf_value_type *type,
                uint64_t *count) {
    const struct gguf_value *value = value_find(gguf, key);
    if (!value || value->type != GGUF_ARRAY)
        return false;
    *type = value->element;
    *count = value->count;
    return true;
}

bool gguf_array_uint(const struct gguf *gguf, const char *key, uint64_t index, uint64_t *out) {
    const struct gguf_value *value = value_find(gguf, key);
    if (!value || value->type != GGUF_ARRAY || !value->text || !is_integer(value->element) ||
        index >= value->count)
        return false;
    struct gguf_value one = {0};
    set_scalar(&one, value->element, value->text + index * value_size(value->element));
    if (one.negative)
        return false;
    *out = one.u;
    return true;
}

struct gguf_list {
    struct gguf_reader reader;
    struct err err;
    uint64_t left;
    char piece[PIECE];
};

struct gguf_list *gguf_list_open(const struct gguf *gguf, const char *key, struct err *err) {
    const struct gguf_value *value = value_find(gguf, key);
    if (!value || value->type != GGUF_ARRAY || value->element != GGUF_STRING) {
        err_set(err, ERR_NOTFOUND, "%s: no list of strings named %s", gguf->path, key);
        return NULL;
    }
    struct gguf_list *list = mem_alloc(sizeof *list);
    struct gguf_reader *r = &list->reader;
    if (!reader_open(r, gguf->path, &list->err)) {
        if (err)
            *err = list->err;
        gguf_list_close(list);
        return NULL;
    }
    r->at = value->at <= r->size ? value->at : r->size; // it may have been replaced meanwhile
    list->left = value->count;
    return list;
}

bool gguf_list_next(struct gguf_list *list, struct span *text, struct err *err) {
    struct gguf_reader *r = &list->reader;
    uint64_t length;
    if (list->left == 0)
        return false;
    bool ok = reader_u64(r, &length);
    size_t kept = length < PIECE ? (size_t)length : PIECE;
    ok = ok && reader_take(r, list->piece, kept) && reader_skip(r, length - kept);
    if (!ok) {
        list->left = 0;
        if (err)
            *err = list->err;
        return false;
    }
    list->left--;
    *text = (struct span){list->piece, kept};
    return true;
}

void gguf_list_close(struct gguf_list *list) {
    if (!list)
        return;
    reader_close(&list->reader);
    mem_free(list);
}

bool gguf_lists_equal(const struct gguf *a, const struct gguf *b, const char *key) {
    const struct gguf_value *x = value_find(a, key), *y = value_find(b, key);
    if (!x || !y || x->type != GGUF_ARRAY || y->type != GGUF_ARRAY || x->count != y->count ||
        x->element != y->element || x->end - x->at != y->end - y->at)
        return false;
    struct gguf_reader r, s;
    struct err err = {0};
    char *pieces = mem_alloc(2 * PIECE);
    bool opened = reader_open(&r, a->path, &err);
    bool equal = reader_open(&s, b->path, &err) && opened && r.size >= x->end && s.size >= y->end;
    r.at = x->at;
    s.at = y->at;
    for (uint64_t left = x->end - x->at; equal && left > 0;) {
        uint64_t piece = left < PIECE ? left : PIECE;
        equal = reader_take(&r, pieces, piece) && reader_take(&s, pieces + PIECE, piece) &&
                memcmp(pieces, pieces + PIECE, (size_t)piece) == 0;
        left -= piece;
    }
    reader_close(&r);
    reader_close(&s);
    mem_free(pieces);
    return equal;
}

size_t gguf_keys(const struct gguf *gguf) { return gguf->value_count; }

const char *gguf_key_at(const struct gguf *gguf, size_t index, enum gguf_value_type *type) {
    assert(index < gguf->value_count);
    *type = gguf->values[index].type;
    return gguf->values[index].key;
}
