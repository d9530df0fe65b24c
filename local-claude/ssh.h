// One ssh connection of this run: the user's own ssh, with their config, keys and agent, but shared
// with nobody. It carries a script's words and, once it is known where the far server listens, a
// socket that leads there.
#pragma once

#include "base/err.h"

struct ssh;
struct tether;

// Runs `command` there. On a terminal ssh may ask for what it needs (a passphrase, a host key);
// elsewhere it may not.
struct ssh *ssh_open(const char *host, const char *command, struct err *err);
void ssh_close(struct ssh *ssh); // ends both ends. NULL is fine
struct tether *ssh_tether(struct ssh *ssh);
bool ssh_may_ask(const struct ssh *ssh); // it has the terminal: print nothing there yet
// A unix socket that leads to a port there, from now on; the text stays ssh's.
const char *ssh_forward(struct ssh *ssh, unsigned port, struct err *err);
