// The API keys that a server takes: one a line; blank lines and those that begin with # are none.
// They are wiped from memory when they go.
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

struct http_head;
struct http_keys;

struct http_keys *http_keys_of(const char *lines);
// A file that nobody else may read (ERR_DENIED), with at least one key (ERR_INVALID; what its owner
// may do besides writing one follows as `advice`, ", or ...").
struct http_keys *http_keys_read(const char *path, const char *advice, struct err *err);
struct span http_keys_first(const struct http_keys *keys); // for who sends one; empty: none
void http_keys_destroy(struct http_keys *keys);            // NULL is fine
// In a time that tells nothing of the keys.
bool http_keys_fit(const struct http_keys *keys, struct span given);
// What stands behind "Authorization: Bearer"; empty when it is none.
struct span http_head_bearer(const struct http_head *head);
