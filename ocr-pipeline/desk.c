#include "desk.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdbool.h>
#include <sys/queue.h>

struct order {
    TAILQ_ENTRY(order) link;
    struct desk *desk;
    const struct desk_ops *ops;
    void *arg;
    enum desk_line line;
    struct work *work; // NULL: waits
    bool cancelled;
};
TAILQ_HEAD(order_list, order);

struct desk {
    struct loop *loop;
    unsigned most_at_once, most_waiting, running, waiting;
    struct order_list lines[2]; // requests, jobs
    bool jobs_next;             // whose turn it is when both wait
    bool alone;                 // what runs wants nothing beside it
    struct timer again;         // a thread could not be had
    bool winding_down;
    void (*on_idle)(void *arg);
    void *idle_arg;
};

enum { AGAIN_MS = 200 };

static void start_waiting(struct desk *desk);

static void on_again(void *arg) { start_waiting(arg); }

struct desk *desk_create(struct loop *loop, unsigned most_at_once, unsigned most_waiting) {
    struct desk *desk = mem_alloc(sizeof *desk);
    desk->loop = loop;
    desk->most_at_once = most_at_once;
    desk->most_waiting = most_waiting;
    TAILQ_INIT(&desk->lines[0]);
    TAILQ_INIT(&desk->lines[1]);
    timer_init(&desk->again, loop, on_again, desk);
    return desk;
}

void desk_drop_waiting(struct desk *desk) {
    for (int line = 0; line < 2; line++)
        while (!TAILQ_EMPTY(&desk->lines[line]))
            desk_cancel(TAILQ_FIRST(&desk->lines[line]));
}

void desk_destroy(struct desk *desk) {
    if (!desk)
        return;
    timer_stop(&desk->again);
    desk_drop_waiting(desk);
    mem_free(desk);
}

void desk_wind_down(struct desk *desk, void (*on_idle)(void *arg), void *arg) {
    desk->winding_down = true;
    desk->on_idle = on_idle;
    desk->idle_arg = arg;
    timer_stop(&desk->again);
    if (desk->running == 0)
        on_idle(arg);
}

// --- In the thread

static void run_order(void *arg) {
    struct order *order = arg;
    order->ops->run(order->arg);
}

// --- On the loop

static void order_done(void *arg) {
    struct order *order = arg;
    struct desk *desk = order->desk;
    desk->running--;
    desk->alone = false;
    start_waiting(desk);
    (order->cancelled ? order->ops->drop : order->ops->done)(order->arg);
    mem_free(order);
    if (desk->winding_down && desk->running == 0)
        desk->on_idle(desk->idle_arg);
}

static const struct work_ops order_ops = {run_order, order_done, NULL};

static struct order *next_order(const struct desk *desk) {
    struct order *order = TAILQ_FIRST(&desk->lines[desk->jobs_next]);
    return order ? order : TAILQ_FIRST(&desk->lines[!desk->jobs_next]);
}

static bool is_of_job(enum desk_line line) { return line == DESK_BATCH || line == DESK_ALONE; }

static void leave_line(struct order *order) {
    TAILQ_REMOVE(&order->desk->lines[is_of_job(order->line)], order, link);
    order->desk->waiting -= order->line == DESK_NOW;
}

static void start_waiting(struct desk *desk) {
    struct order *order;
    struct err err = {0};
    while (!desk->winding_down && !desk->alone && desk->running < desk->most_at_once &&
           (order = next_order(desk)) && (order->line != DESK_ALONE || desk->running == 0)) {
        order->work = work_start(desk->loop, &order_ops, order, &err);
        if (!order->work) {
            log_warn("desk.full why=\"%s\"", err.text);
            timer_start(&desk->again, AGAIN_MS);
            return;
        }
        leave_line(order);
        desk->jobs_next = !is_of_job(order->line);
        desk->alone = order->line == DESK_ALONE;
        desk->running++;
    }
}

struct order *desk_submit(struct desk *desk, enum desk_line line, const struct desk_ops *ops,
                          void *arg, struct err *err) {
    if (desk->winding_down) {
        err_set(err, ERR_BUSY, "the server ends");
        return NULL;
    }
    if (line == DESK_NOW && desk->waiting >= desk->most_waiting) {
        err_set(err, ERR_BUSY, "%u photos wait already; try again later", desk->waiting);
        return NULL;
    }
    struct order *order = mem_alloc(sizeof *order);
    *order = (struct order){.desk = desk, .ops = ops, .arg = arg, .line = line};
    TAILQ_INSERT_TAIL(&desk->lines[is_of_job(line)], order, link);
    desk->waiting += line == DESK_NOW;
    start_waiting(desk);
    return order;
}

void desk_cancel(struct order *order) {
    if (order->work) {
        order->cancelled = true;
        return;
    }
    leave_line(order);
    order->ops->drop(order->arg);
    mem_free(order);
}

unsigned desk_waiting(const struct desk *desk) { return desk->waiting; }

unsigned desk_running(const struct desk *desk) { return desk->running; }
