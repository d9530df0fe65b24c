// Headers of GGUF files (versions 2 and 3): metadata and the list of tensors, never their data.
// Files come from strangers: every count, length and offset is checked against the file and against
// the limits below before it is used. The file is read once, front to back, through a small window,
// so that an 18 GB model with 250,000 tokens costs a few hundred KB and some milliseconds.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "format/gguf_type.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GGUF_DIMS_MAX = 4,
    GGUF_SPLITS_MAX = 1024,
    GGUF_TENSORS_MAX = 1 << 17, // of all splits together
    GGUF_KEYS_MAX = 1 << 12,
    GGUF_KEY_MAX = 1 << 12,      // length of a key; longer ones are an error
    GGUF_NAME_MAX = 256,         // ... of a tensor's name
    GGUF_TEXT_KEPT = 1 << 20,    // longer values are skipped, gguf_text gives an empty span
    GGUF_ARRAY_KEPT = 1 << 14,   // larger arrays are counted but stay in the file: gguf_list_open
    GGUF_KEPT_MAX = 16 << 20,    // all values together; what comes after is skipped, too
    GGUF_HEADER_MAX = 512 << 20, // a longer one was made to keep its reader busy
};

// A tensor's size comes from its type's table; for a type we do not know, from the distance to the
// next tensor (at most one alignment too much). Numbers that forks use differently are told apart
// by that distance as well.
struct gguf_tensor {
    const char *name;           // terminated
    uint64_t ne[GGUF_DIMS_MAX]; // elements, innermost first; unused dimensions are 1
    uint32_t dims;
    uint32_t type;                     // as in the file
    const struct gguf_type_info *info; // NULL: unknown
    uint32_t file;                     // which split holds it, 0-based
    uint64_t offset;                   // bytes from the start of that file's data section
    uint64_t bytes;
};

// Value types of metadata, as numbered in the file.
enum gguf_value_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
};

struct gguf;

// `path`: a whole model, or any part NAME-00001-of-00003.gguf of a split one (all parts are then
// opened and must belong together). The texts of errors name the file.
struct gguf *gguf_open(const char *path, struct err *err);
void gguf_close(struct gguf *gguf); // NULL is fine

// The file that was opened: of a split model the first part, which is the one that engines take.
const char *gguf_path(const struct gguf *gguf);
uint32_t gguf_version(const struct gguf *gguf);
uint32_t gguf_alignment(const struct gguf *gguf);  // bytes, 32 unless the file says otherwise
uint64_t gguf_file_bytes(const struct gguf *gguf); // all splits together
uint32_t gguf_splits(const struct gguf *gguf);     // 1 for a whole file

size_t gguf_tensors(const struct gguf *gguf);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *gguf, size_t index);
const struct gguf_tensor *gguf_tensor_find(const struct gguf *gguf, const char *name); // or NULL

// Metadata by key. Integers of every width and sign that hold the value are accepted where one is
// asked for; false (out untouched) when the key is absent or of another kind.
bool gguf_has(const struct gguf *gguf, const char *key);
bool gguf_uint(const struct gguf *gguf, const char *key, uint64_t *out);
bool gguf_number(const struct gguf *gguf, const char *key, double *out);
bool gguf_bool(const struct gguf *gguf, const char *key, bool *out); // integers too: 0 is false
struct span gguf_text(const struct gguf *gguf, const char *key);     // empty when absent

// Arrays: `count` of any; elements of numeric and boolean ones up to GGUF_ARRAY_KEPT.
bool gguf_array(const struct gguf *gguf, const char *key, enum gguf_value_type *type,
                uint64_t *count);
bool gguf_array_uint(const struct gguf *gguf, const char *key, uint64_t index, uint64_t *out);

// Reads a list of strings again from the file, in order (vocabularies), without holding it. NULL:
// the key holds no strings, or the file is gone.
struct gguf_list;
struct gguf_list *gguf_list_open(const struct gguf *gguf, const char *key, struct err *err);
// `text` is valid until the next call; what is longer than 64 KB is cut. False at the end, or on an
// error (err then has a code).
bool gguf_list_next(struct gguf_list *list, struct span *text, struct err *err);
void gguf_list_close(struct gguf_list *list); // NULL is fine

// The two files have the same list under a key, byte for byte. Much quicker than reading it.
bool gguf_lists_equal(const struct gguf *a, const struct gguf *b, const char *key);

// Every key in file order, for listings.
size_t gguf_keys(const struct gguf *gguf);
const char *gguf_key_at(const struct gguf *gguf, size_t index, enum gguf_value_type *type);
