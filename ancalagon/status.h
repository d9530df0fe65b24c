// The server's state as JSON, for `status --json`, the control socket and /events.
#pragma once

#include "server.h"

#include <jansson.h>

json_t *status_json(struct server *server);
json_t *status_presets(struct server *server);
