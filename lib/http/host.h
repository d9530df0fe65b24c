// Whom a request names, and whose page sends it. A page on the web that rebinds its name to this
// machine still sends its own name as Host, and its own as Origin; so a server that takes only
// requests for itself is out of its reach.
#pragma once

#include "base/str.h"

#include <stdbool.h>

struct http_head;

enum { HTTP_HOST_MAX = 255 };

// "name:port", "[::1]:port" -> the name, lower case, without brackets and the dot at its end; false
// when it is malformed: nothing but what names and addresses are made of, so that a path, a
// fragment or a user in front of an innocent ending is none.
bool http_host_name(struct span host, char name[HTTP_HOST_MAX + 1]);
// The same of "http://name:port" or "https://..."; false for every other scheme.
bool http_origin_name(struct span origin, char name[HTTP_HOST_MAX + 1]);
// A browser sends one Origin; a second one was put there by somebody else.
bool http_origin_once(const struct http_head *head);

void http_own_name(char name[HTTP_HOST_MAX + 1]); // this machine's
bool http_is_loopback(const char *name);          // 127.x.x.x, ::1, localhost, *.localhost
// Does such a name mean this machine, of that name: an address (nobody can rebind one), loopback,
// NAME or NAME.local?
bool http_is_own(const char *name, const char *own);
