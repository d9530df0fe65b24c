#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    if (interrupted) { // twice: at once
        signal(number, SIG_DFL);
        raise(number);
    }
    interrupted = 1;
}

void interrupt_watch(void) {
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupt_came(void) { return interrupted != 0; }
