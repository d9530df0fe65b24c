// A talk with the process that looks at a share for us (ocr-share-smb, ocr-share-files). It may
// hang as its share does; then it is killed, and the share is one that does not answer. Blocking,
// but never for longer than the share's timeout without a sign of life. One thread at a time; the
// helper ends with the thread that opened it.
//
// Functions return SHARE_FINE, or which fault, with its text and kind in `err`.
#pragma once

#include "share.h"

struct share_session;

// The share is there and lets us in.
enum share_fault share_session_open(const struct share *share, struct share_session **out,
                                    struct err *err);
void share_session_close(struct share_session *session); // NULL is fine

// kind: 'd' a folder, 'f' a file, 'o' neither. False ends the list, with ERR_LIMIT or as err says.
typedef bool share_entry_fn(void *arg, char kind, const char *name, struct err *err);
// "" is the share itself. In no order.
enum share_fault share_session_list(struct share_session *session, const char *folder,
                                    share_entry_fn *on_entry, void *arg, struct err *err);
enum share_fault share_session_stat(struct share_session *session, const char *path, char *kind,
                                    uint64_t *size, struct err *err);
// The whole file; the caller's (mem_free).
enum share_fault share_session_read(struct share_session *session, const char *path, size_t most,
                                    char **bytes, size_t *length, struct err *err);
