// One pass over a request body, without a tree: is it one JSON object that every parser reads the
// same way, and what do the members say that a gateway routes by? Only structure is judged;
// UTF-8 and the meaning of members are left to the engine. Nothing is allocated or kept.
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_PEEK_DEPTH_DEFAULT 128u
#define JSON_PEEK_DEPTH_MAX 1024u
#define JSON_PEEK_MODEL_MAX 256u

struct json_peek {
    bool has_model;                  // a string; null counts as absent
    char model[JSON_PEEK_MODEL_MAX]; // unescaped, terminated; "" when absent
    size_t model_length;
    size_t model_begin; // the last model's value in the body, quotes included; 0, 0 when absent
    size_t model_end;
    size_t members_begin; // just after the object's "{": where a member could be inserted
    bool is_empty;        // {} has no members
    bool has_stream;
    bool stream;         // the last `stream` that is true or false
    bool has_max_tokens; // max_tokens, n_predict or max_completion_tokens
    int64_t max_tokens;  // the smallest of those given that is not negative
};

// max_depth counts nested brackets, the object itself being 1; 0: JSON_PEEK_DEPTH_DEFAULT, at most
// JSON_PEEK_DEPTH_MAX. False with ERR_LIMIT when too deep or the model name is too long, else
// ERR_INVALID; the text names the byte offset, counted from 0.
bool json_peek(const char *bytes, size_t length, unsigned max_depth, struct json_peek *out,
               struct err *err);
