// Where photos of feeders lie: a folder of this machine, where a share may be mounted, or a share
// by its URL. [share NAME] in the settings; requests name a share and a folder in it, never a path
// of ours.
#pragma once

#include "base/err.h"
#include "format/share_wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct share {
    char *name;          // of its section; "" of one that was given as a URL
    char *location;      // an absolute path, or smb://HOST/SHARE[/FOLDER] without escapes or port
    char *credentials;   // a file as mount.cifs reads it; NULL: as a guest
    char *workgroup;     // NULL: as the credentials say
    unsigned port;       // 0: the usual one
    int64_t timeout_ms;  // of one answer
    int64_t patience_ms; // how long a job waits for it to come back
};

void share_init(struct share *share, const char *name);
void share_fini(struct share *share);
bool share_is_smb(const struct share *share);
bool share_key_is_path(const char *key); // its value is relative to the file that says it
// One line of its section. ERR_INVALID.
bool share_set(struct share *share, const char *key, const char *value, struct err *err);
bool share_check(const struct share *share, struct err *err); // after the last line

// Enters as another share is entered, with its times; what `share` says itself holds.
void share_adopt(struct share *share, const struct share *other);

// What the share calls a photo that we know as `source` (its location, a slash, and that); NULL:
// it lies elsewhere.
const char *share_path_of(const struct share *share, const char *source);

// "SHARE_UNREACHABLE", "FILE_MISSING": stable.
const char *share_fault_code(enum share_fault fault);
enum err_code share_fault_kind(enum share_fault fault);
// It is the share that fails, not one photo: others on it would fail likewise.
bool share_fault_is_whole(enum share_fault fault);
