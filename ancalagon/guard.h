// Who may ask. Three gates before any request is looked at:
// - Host must be this machine (an IP literal, localhost, our host name, or allow-host): a page on
//   the web that rebinds its name to 127.0.0.1 still sends its own name here.
// - Origin, when a browser sends one, must be a page on this machine or in allow-origin.
// - An API key, as soon as anybody but this machine can reach the port.
#pragma once

#include "base/err.h"
#include "config.h"
#include "http/head.h"

#include <stdbool.h>

struct guard;

enum { GUARD_KEY_SIZE = 52 };
bool guard_make_key(char key[GUARD_KEY_SIZE], struct err *err); // a new one: "sk-..."

// `exposed`: the port listens on more than loopback. Then the key file is read, or made (0600),
// unless the config has a key of its own.
struct guard *guard_create(const struct config *config, bool exposed, struct err *err);
void guard_destroy(struct guard *guard);

enum guard_verdict { GUARD_PASS, GUARD_NO_KEY, GUARD_BAD_HOST, GUARD_BAD_ORIGIN };
enum guard_verdict guard_check(const struct guard *guard, const struct http_head *head,
                               struct err *why);
// True when the request comes from a page that may read the answer (CORS).
bool guard_origin_allowed(const struct guard *guard, struct span origin);
bool guard_wants_key(const struct guard *guard);
