#include "gpu_gate.h"

#include "base/mem.h"
#include "base/system.h"
#include "event/loop.h"

#include <pthread.h>
#include <sys/queue.h>

// Lives on the stack of the thread that waits.
struct waiter {
    TAILQ_ENTRY(waiter) link;
    pthread_cond_t changed;
    const struct recall *recall;
    bool turn; // the gate was handed over, and the waiter is in no line any more
};

struct gpu_gate {
    pthread_mutex_t lock; // protects what is below, and every waiter
    TAILQ_HEAD(, waiter) line;
    bool held;
    unsigned waiting;
};

struct gpu_gate *gpu_gate_create(void) {
    struct gpu_gate *gate = mem_alloc(sizeof *gate);
    pthread_mutex_init(&gate->lock, NULL);
    TAILQ_INIT(&gate->line);
    return gate;
}

void gpu_gate_destroy(struct gpu_gate *gate) {
    if (!gate)
        return;
    pthread_mutex_destroy(&gate->lock);
    mem_free(gate);
}

static bool is_recalled(const struct recall *recall) {
    return recall && atomic_load(&recall->asked);
}

// From hand to hand: between two turns the gate is never free for one who comes later.
static void pass_on(struct gpu_gate *gate) {
    struct waiter *next = TAILQ_FIRST(&gate->line);
    gate->held = next != NULL;
    if (!next)
        return;
    TAILQ_REMOVE(&gate->line, next, link);
    gate->waiting--;
    next->turn = true;
    pthread_cond_signal(&next->changed);
}

static void wait_in_line(struct gpu_gate *gate, struct waiter *waiter, int64_t wait_ms) {
    int64_t deadline = loop_now_ms() + wait_ms, left = wait_ms;
    TAILQ_INSERT_TAIL(&gate->line, waiter, link);
    gate->waiting++;
    while (!waiter->turn && !is_recalled(waiter->recall) && left > 0) {
        system_condition_wait(&waiter->changed, &gate->lock, left);
        left = deadline - loop_now_ms();
    }
    if (waiter->turn)
        return;
    TAILQ_REMOVE(&gate->line, waiter, link);
    gate->waiting--;
}

bool gpu_gate_enter(struct gpu_gate *gate, int64_t wait_ms, const struct recall *recall,
                    struct err *err) {
    struct waiter waiter = {.recall = recall};
    bool recalled;
    pthread_mutex_lock(&gate->lock);
    if (!gate->held) {
        gate->held = waiter.turn = true;
    } else {
        system_condition_init(&waiter.changed);
        wait_in_line(gate, &waiter, wait_ms);
        pthread_cond_destroy(&waiter.changed);
    }
    recalled = is_recalled(recall);
    if (waiter.turn && recalled)
        pass_on(gate);
    pthread_mutex_unlock(&gate->lock);
    if (recalled)
        return err_set(err, ERR_BUSY, "nobody waits for it any more");
    return waiter.turn || err_set(err, ERR_TIMEOUT, "others kept the GPU for %lld s",
                                  (long long)(wait_ms + 999) / 1000);
}

void gpu_gate_leave(struct gpu_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    pass_on(gate);
    pthread_mutex_unlock(&gate->lock);
}

// Under the lock, so that a waiter either sees it before it sleeps or is woken.
void gpu_gate_recall(struct gpu_gate *gate, struct recall *recall) {
    struct waiter *waiter;
    pthread_mutex_lock(&gate->lock);
    atomic_store(&recall->asked, true);
    TAILQ_FOREACH (waiter, &gate->line, link)
        if (waiter->recall == recall)
            pthread_cond_signal(&waiter->changed);
    pthread_mutex_unlock(&gate->lock);
}

unsigned gpu_gate_waiting(struct gpu_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    unsigned waiting = gate->waiting;
    pthread_mutex_unlock(&gate->lock);
    return waiting;
}
