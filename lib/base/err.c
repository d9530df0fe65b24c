#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *err, enum err_code code, const char *format, ...) {
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return false;
}

bool err_number_is_full(int number) {
    return number == ENOSPC || number == EDQUOT || number == EFBIG;
}

bool err_errno(struct err *err, const char *format, ...) {
    int saved = errno;
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    err->code = err_number_is_full(saved) ? ERR_FULL : ERR_SYSTEM;
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(saved));
    return false;
}

bool err_is_lasting(const struct err *err) {
    return err->code == ERR_INVALID || err->code == ERR_NOTFOUND || err->code == ERR_LIMIT ||
           err->code == ERR_DENIED;
}

void err_context(struct err *err, const char *format, ...) {
    if (!err)
        return;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", old);
}
