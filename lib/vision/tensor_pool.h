// Memory for tensors. A network asks for a few hundred blocks a run, up to 100 MB each, and gives
// them back at once. The C library's heap answers that with twice the memory (holes between blocks
// of odd sizes) and with a page fault for every 4 KB of every run. Here blocks come from one
// reserved stretch of addresses, the smallest hole that fits first, neighbours joined when they
// come back; pages stay for the next run and may be huge ones, but there are never more of them
// than were in use at once.
//
// Any thread; one lock.
#pragma once

#include <stddef.h>

struct tensor_pool;

// max_bytes: of addresses, which cost nothing until they are used, and the most that networks may
// use together. NULL when the system gives no such stretch.
struct tensor_pool *tensor_pool_create(size_t max_bytes);
void tensor_pool_destroy(struct tensor_pool *pool); // blocks in use are gone too; NULL is fine

void *tensor_pool_get(struct tensor_pool *pool, size_t bytes); // aligned to 64; NULL: no room
void tensor_pool_put(struct tensor_pool *pool, void *memory);  // NULL is fine

struct tensor_pool_use {
    size_t now_bytes, most_bytes; // in blocks
    size_t warm_bytes;            // the most that had pages at once
};
struct tensor_pool_use tensor_pool_use(struct tensor_pool *pool);
