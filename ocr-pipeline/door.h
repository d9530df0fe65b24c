// Who may ask. Host must be this machine's (an address, localhost, our name, or allow-host), so
// that a page on the web that rebinds its name cannot ask; Origin, when a browser sends one, a page
// of this machine; a key when there are keys. Google's clients send theirs as x-goog-api-key or
// ?key=, others as a bearer.
#pragma once

#include "config.h"
#include "http/head.h"

struct door;

// `exposed`: others than this machine can reach the port; then there must be an api-key-file.
struct door *door_create(const struct config *config, bool exposed, struct err *err);
void door_destroy(struct door *door); // NULL is fine

enum door_verdict { DOOR_OPEN, DOOR_NO_KEY, DOOR_BAD_KEY, DOOR_BAD_HOST, DOOR_BAD_ORIGIN };
enum door_verdict door_check(const struct door *door, const struct http_head *head);
const char *door_says(enum door_verdict verdict);
