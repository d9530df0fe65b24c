#define _DEFAULT_SOURCE
#include "vision/tensor_pool.h"

#include "base/mem.h"
#include "base/system.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

// The stretch is blocks without gaps, each led by one of these. Knuth, The Art of Computer
// Programming 1, 2.5 (boundary tags).
struct block {
    size_t bytes;    // with this header
    size_t previous; // bytes of the block before; 0: none
    struct block *next_hole, *previous_hole;
    bool used;
} __attribute__((aligned(64)));

enum { ALIGN = 64 };
_Static_assert(sizeof(struct block) == ALIGN, "what follows a header is aligned");

// Pages come and go by the size of a huge one.
#define CHUNK_BYTES ((size_t)2 << 20)
// As much stays warm between runs; for a photo of 1600 pixels that is nearly all.
#define KEEP_BYTES ((size_t)192 << 20)

struct tensor_pool {
    void *map;
    size_t map_bytes;
    char *base; // in the map, where a huge page can begin
    size_t max_bytes;
    pthread_mutex_t lock;
    // Protected by lock.
    struct block *holes; // in no order
    struct block *last;  // the highest block; the rest of the stretch was never used
    size_t end_bytes;    // where it ends
    struct tensor_pool_use use;
    size_t recent_bytes; // the most in blocks since there were few
    size_t warm_chunks;  // that have pages
    bool *warm;          // [chunk]
};

struct tensor_pool *tensor_pool_create(size_t max_bytes) {
    max_bytes &= ~((size_t)ALIGN - 1);
    size_t map_bytes = max_bytes + CHUNK_BYTES;
    void *map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    madvise(map, map_bytes, MADV_HUGEPAGE);
#endif
    struct tensor_pool *pool = mem_alloc(sizeof *pool);
    pool->map = map;
    pool->map_bytes = map_bytes;
    pool->base = (char *)map + (CHUNK_BYTES - (uintptr_t)map % CHUNK_BYTES) % CHUNK_BYTES;
    pool->max_bytes = max_bytes;
    pool->warm = mem_alloc(max_bytes / CHUNK_BYTES + 1);
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

void tensor_pool_destroy(struct tensor_pool *pool) {
    if (!pool)
        return;
    munmap(pool->map, pool->map_bytes);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool->warm);
    mem_free(pool);
}

static size_t offset_of(const struct tensor_pool *pool, const struct block *block) {
    return (size_t)((const char *)block - pool->base);
}

static void add_hole(struct tensor_pool *pool, struct block *block) {
    block->used = false;
    block->next_hole = pool->holes;
    block->previous_hole = NULL;
    if (pool->holes)
        pool->holes->previous_hole = block;
    pool->holes = block;
}

static void remove_hole(struct tensor_pool *pool, struct block *block) {
    if (block->previous_hole)
        block->previous_hole->next_hole = block->next_hole;
    else
        pool->holes = block->next_hole;
    if (block->next_hole)
        block->next_hole->previous_hole = block->previous_hole;
}

static struct block *after(const struct tensor_pool *pool, struct block *block) {
    return block == pool->last ? NULL : (struct block *)((char *)block + block->bytes);
}

static struct block *before(struct block *block) {
    return block->previous ? (struct block *)((char *)block - block->previous) : NULL;
}

// The smallest hole that fits, of equals the lowest.
static struct block *best_hole(const struct tensor_pool *pool, size_t bytes) {
    struct block *best = NULL;
    for (struct block *hole = pool->holes; hole; hole = hole->next_hole)
        if (hole->bytes >= bytes &&
            (!best || hole->bytes < best->bytes || (hole->bytes == best->bytes && hole < best)))
            best = hole;
    return best;
}

// A chunk with pages that nobody needs: it lies in a hole, behind its header.
struct spare {
    struct block *hole;
    size_t chunk;
};

// The next one from there on. False: there is none.
static bool next_spare(const struct tensor_pool *pool, struct spare *at) {
    for (; at->hole; at->hole = at->hole->next_hole, at->chunk = 0) {
        size_t begin = offset_of(pool, at->hole), end = (begin + at->hole->bytes) / CHUNK_BYTES;
        size_t first = (begin + sizeof *at->hole + CHUNK_BYTES - 1) / CHUNK_BYTES;
        for (at->chunk = at->chunk < first ? first : at->chunk; at->chunk < end; at->chunk++)
            if (pool->warm[at->chunk])
                return true;
    }
    return false;
}

// Holes between blocks of odd sizes would add up to a quarter of what is used. So there are pages
// for as much as was in use at once, and holes lose theirs when others are needed.
static size_t budget_of(const struct tensor_pool *pool) {
    size_t bytes = pool->recent_bytes > KEEP_BYTES ? pool->recent_bytes : KEEP_BYTES;
    return bytes / CHUNK_BYTES + 1;
}

// `chunks` may stay.
static void cool(struct tensor_pool *pool, size_t chunks) {
    struct spare spare = {pool->holes, 0};
    while (pool->warm_chunks > chunks && next_spare(pool, &spare)) {
        madvise(pool->base + spare.chunk * CHUNK_BYTES, CHUNK_BYTES, MADV_DONTNEED);
        pool->warm[spare.chunk] = false;
        pool->warm_chunks--;
    }
}

// These bytes are going to be written: they get pages of holes when there are as many as may be.
static void warm_up(struct tensor_pool *pool, const struct block *block, size_t bytes) {
    size_t last = (offset_of(pool, block) + bytes - 1) / CHUNK_BYTES, budget = budget_of(pool);
    struct spare spare = {pool->holes, 0};
    for (size_t i = offset_of(pool, block) / CHUNK_BYTES; i <= last; i++) {
        if (pool->warm[i])
            continue;
        pool->warm[i] = true;
        if (pool->warm_chunks >= budget && next_spare(pool, &spare) &&
            system_move_pages(pool->base + spare.chunk * CHUNK_BYTES, pool->base + i * CHUNK_BYTES,
                              CHUNK_BYTES))
            pool->warm[spare.chunk] = false;
        else
            pool->warm_chunks++;
    }
}

// What is more than needed becomes a hole of its own.
static void split(struct tensor_pool *pool, struct block *block, size_t bytes) {
    size_t rest = block->bytes - bytes;
    if (rest < 2 * ALIGN)
        return;
    struct block *next = after(pool, block);
    struct block *hole = (struct block *)((char *)block + bytes);
    block->bytes = bytes;
    warm_up(pool, hole, sizeof *hole);
    hole->bytes = rest;
    hole->previous = bytes;
    if (next)
        next->previous = rest;
    else
        pool->last = hole;
    add_hole(pool, hole);
}

// A new block at the end; a hole there grows into it.
static struct block *extend(struct tensor_pool *pool, size_t bytes) {
    struct block *block = pool->last && !pool->last->used ? pool->last : NULL;
    size_t have = block ? block->bytes : 0;
    if (bytes - have > pool->max_bytes - pool->end_bytes)
        return NULL;
    if (block)
        remove_hole(pool, block);
    else {
        block = (struct block *)(pool->base + pool->end_bytes);
        warm_up(pool, block, sizeof *block);
        block->previous = pool->last ? pool->last->bytes : 0;
        pool->last = block;
    }
    block->bytes = bytes;
    pool->end_bytes += bytes - have;
    return block;
}

static void count_in(struct tensor_pool *pool, const struct block *block) {
    pool->use.now_bytes += block->bytes;
    if (pool->use.now_bytes > pool->use.most_bytes)
        pool->use.most_bytes = pool->use.now_bytes;
    if (pool->use.now_bytes > pool->recent_bytes)
        pool->recent_bytes = pool->use.now_bytes;
    warm_up(pool, block, block->bytes);
    cool(pool, budget_of(pool));
    if (pool->warm_chunks * CHUNK_BYTES > pool->use.warm_bytes)
        pool->use.warm_bytes = pool->warm_chunks * CHUNK_BYTES;
}

// A run is over when little of what was in use still is.
static void count_out(struct tensor_pool *pool, size_t bytes) {
    pool->use.now_bytes -= bytes;
    if (pool->use.now_bytes < pool->recent_bytes / 8) {
        pool->recent_bytes = pool->use.now_bytes;
        cool(pool, KEEP_BYTES / CHUNK_BYTES + 1);
    }
}

void *tensor_pool_get(struct tensor_pool *pool, size_t bytes) {
    if (bytes > pool->max_bytes - ALIGN)
        return NULL;
    bytes = ((bytes ? bytes : 1) + sizeof(struct block) + ALIGN - 1) & ~((size_t)ALIGN - 1);
    pthread_mutex_lock(&pool->lock);
    struct block *block = best_hole(pool, bytes);
    if (block) {
        remove_hole(pool, block);
        split(pool, block, bytes);
    } else
        block = extend(pool, bytes);
    if (block) {
        block->used = true;
        count_in(pool, block);
    }
    pthread_mutex_unlock(&pool->lock);
    return block ? block + 1 : NULL;
}

// Joins the block with the one after it, which is a hole.
static void swallow(struct tensor_pool *pool, struct block *block, struct block *next) {
    struct block *behind = after(pool, next);
    remove_hole(pool, next);
    block->bytes += next->bytes;
    if (behind)
        behind->previous = block->bytes;
    else
        pool->last = block;
}

void tensor_pool_put(struct tensor_pool *pool, void *memory) {
    if (!memory)
        return;
    struct block *block = (struct block *)memory - 1;
    pthread_mutex_lock(&pool->lock);
    assert(block->used);
    size_t bytes = block->bytes;
    struct block *next = after(pool, block), *previous = before(block);
    if (next && !next->used)
        swallow(pool, block, next);
    add_hole(pool, block);
    if (previous && !previous->used)
        swallow(pool, previous, block);
    count_out(pool, bytes);
    pthread_mutex_unlock(&pool->lock);
}

struct tensor_pool_use tensor_pool_use(struct tensor_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    struct tensor_pool_use use = pool->use;
    pthread_mutex_unlock(&pool->lock);
    return use;
}
