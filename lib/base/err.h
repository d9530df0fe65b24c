// What went wrong, for the person who must act. Written once, at the origin; callers may prepend
// context with err_context; logged once, at the top. A `struct err *` is always the last parameter
// and may be NULL when the caller does not care. Functions that fail return false or NULL.
#pragma once

#include <stdbool.h>

enum err_code {
    ERR_NONE = 0,
    ERR_INVALID,  // the input is wrong; trying again will not help
    ERR_NOTFOUND, // the thing named does not exist
    ERR_LIMIT,    // a stated bound was exceeded
    ERR_SYSTEM,   // the operating system said no
    ERR_PEER,     // the other side broke the protocol or left
    ERR_TIMEOUT,  // a deadline passed
    ERR_BUSY,     // not now; trying again later may help
    ERR_DENIED,   // not allowed
    ERR_FULL,     // no room is left on a disk
    // Of a server that does work for this one.
    ERR_UNAVAILABLE, // it is not there, or refuses
    ERR_HANG,        // it took the work and does not answer: what it computes on hangs or is lost
    ERR_GARBLED,     // it answered, and the answer makes no sense
};

struct err {
    enum err_code code;
    char text[504];
};

// Fills err (when not NULL) and returns false, so that `return err_set(...)` reads well.
bool err_set(struct err *err, enum err_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The same with ": <strerror(errno)>" appended; ERR_SYSTEM, or ERR_FULL where it says so.
bool err_errno(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool err_number_is_full(int number); // of errno: no room on the disk, or none for us

// Trying again in a few seconds cannot help: somebody must change something first.
bool err_is_lasting(const struct err *err);

// Prepends "<context>: " to a text already set.
void err_context(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
