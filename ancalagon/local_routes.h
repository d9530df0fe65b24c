// Paths of the public port that are answered without an engine: /v1/models, /health, /metrics, /.
#pragma once

#include "route.h"
#include "server.h"

void local_route_reply(struct server *server, struct http_exchange *exchange,
                       const struct route *route);
// Prometheus text of every service.
void local_metrics(struct server *server, struct buf *out);
