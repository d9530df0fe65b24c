// Which of our paths a request asks for. Those of Google's API under any version ("/v1beta/...",
// "/v1/...", or none), ours under /api/v41/ocr.
#pragma once

#include "http/head.h"

enum route {
    ROUTE_NONE,
    ROUTE_WRONG_METHOD, // the path is there
    ROUTE_HOME,
    ROUTE_HEALTH,
    ROUTE_OPENAPI,
    ROUTE_MODELS,
    ROUTE_MODEL,     // name: of the model
    ROUTE_GENERATE,  // name: of the model
    ROUTE_STREAM,    // name: of the model
    ROUTE_COUNT,     // name: of the model
    ROUTE_POLE,      // name: of the pole
    ROUTE_POLE_TEXT, // name: of the pole
    ROUTE_BATCH,     // a job of photos in the request
    ROUTE_FEEDER,    // a job of photos on a share; name: of the feeder
    ROUTE_JOBS,
    ROUTE_JOB, // from here on name: of the job
    ROUTE_JOB_CANCEL,
    ROUTE_JOB_RESUME,
    ROUTE_JOB_EVENTS,
    ROUTE_JOB_RESULTS,
    ROUTE_JOB_CSV,
    ROUTE_JOB_POLES_CSV,
};

enum { ROUTE_NAME_MAX = 65 };

// The name decoded; too long a one is ROUTE_NONE.
enum route route_of(const struct http_head *head, char name[ROUTE_NAME_MAX]);
// "Allow: POST\r\n": what a path that is there takes; NULL: there is none.
const char *route_allow(const struct http_head *head);
bool route_is_gemini(const struct http_head *head); // whose errors are Google's
bool route_takes_photos(enum route route);
