// Inside lib/format/gguf*: what the parts of the reader share.
#pragma once

#include "format/gguf.h"

// A file read front to back through a window. Every read names what it wanted, so that a short
// file is reported as such.
struct gguf_reader {
    int fd;
    const char *path; // borrowed
    uint64_t size;
    uint64_t at; // of the next byte
    char *window;
    uint64_t window_at;
    size_t window_length;
    uint64_t kept; // bytes of metadata that stay in memory
    struct err *err;
};

struct gguf_value {
    char *key;
    enum gguf_value_type type;
    enum gguf_value_type element; // of an array
    uint64_t count;               // of an array
    uint64_t at, end;             // in the file: an array's elements
    union {
        uint64_t u; // integers that are not negative, booleans
        double f;   // floats, and negative integers (exact to 2^53)
    };
    bool negative, real;
    char *text; // a string that was kept, or an array's elements as they are in the file
    size_t text_length;
};

struct gguf {
    char *path;
    uint32_t version, alignment, splits;
    uint64_t bytes;
    struct gguf_value *values;
    size_t value_count;
    struct gguf_tensor *tensors;
    size_t tensor_count;
    uint32_t *by_name; // hash table of indices + 1
    size_t by_name_size;
};

// gguf_reader.c. `err` must not be NULL.
bool reader_open(struct gguf_reader *r, const char *path, struct err *err);
void reader_close(struct gguf_reader *r);
bool reader_broken(struct gguf_reader *r, const char *what); // sets the error, false
bool reader_take(struct gguf_reader *r, void *out, uint64_t length);
bool reader_skip(struct gguf_reader *r, uint64_t length);
bool reader_u32(struct gguf_reader *r, uint32_t *out);
bool reader_u64(struct gguf_reader *r, uint64_t *out);
// A short string, terminated; the caller's. NULL: empty, longer than `max`, or with a NUL in it
// (such names would compare wrongly); the error then says `what`.
char *reader_name(struct gguf_reader *r, uint64_t max, const char *what);

// gguf_values.c
bool gguf_read_values(struct gguf_reader *r, struct gguf *gguf, uint64_t count);
void gguf_free_values(struct gguf *gguf);

// gguf_tensors.c
bool gguf_read_tensors(struct gguf_reader *r, struct gguf *gguf, uint64_t count, uint32_t file);
// Sizes and places of the tensors from `first` on make sense: aligned, apart from each other,
// inside the file. `data`: bytes from the start of the data section to the end of the file.
bool gguf_check_layout(struct gguf_reader *r, struct gguf *gguf, size_t first, uint64_t data);
bool gguf_index_names(struct gguf *gguf, struct err *err); // false: a name is there twice
