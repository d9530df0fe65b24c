// A run whose agent, and everything that it starts, can reach nothing but our relay. The relay
// stays outside and serves a socket that stands inside; the first of these that the system offers:
//
//   network namespace   Linux, with a user namespace that owns it: its loopback holds the relay's
//                       socket and nothing else. Unix sockets are refused, for their paths lead out
//                       (docker, ssh-agent, D-Bus, tmux), and so is every other kind of socket.
//   system call filter  Linux, where user namespaces are refused: no socket but unix ones, over
//                       which Claude Code then meets the relay (ANTHROPIC_UNIX_SOCKET), and
//                       Landlock (Linux 6.7) against borrowing another process. Unix sockets of
//                       others, by their path, stay within reach: it is said.
//   sandbox profile     macOS: no network but the relay's port.
//
// Files are not the airgap's business: what may be written stays writable, also what somebody else
// runs later, and network file systems stay what they are.
#pragma once

#include "base/err.h"

#include <stdbool.h>

struct airgap;

// Makes what the agent will live in. ERR_DENIED: the system offers none of it, and err says what
// would help. Before there are threads.
struct airgap *airgap_create(struct err *err);
void airgap_destroy(struct airgap *airgap); // NULL is fine

// A socket that listens inside, for the relay, the caller's from then on; -1 on failure. *port is
// 0 when it is a unix socket.
int airgap_listen(struct airgap *airgap, unsigned *port, struct err *err);
// The path of the unix socket; NULL when the relay is met over TCP.
const char *airgap_socket(const struct airgap *airgap);
// What holds it, in a few words for the person.
const char *airgap_means(const struct airgap *airgap);

// Goes inside, for good: in the process that becomes the agent, just before exec. Descriptors above
// 2 are closed by that exec. Async-signal-safe on Linux; false leaves the reason in errno.
bool airgap_enter(const struct airgap *airgap);
