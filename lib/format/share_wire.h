// How ocr-pipeline speaks with the process that looks at a share for it (ocr-share/), over a pipe
// each way. Frames: a letter, the length of what follows as 4 bytes (high first, at most
// SHARE_FRAME_MAX), and that. One request at a time:
//
//   O  location NUL user NUL password NUL workgroup NUL port NUL timeout_ms NUL   -> K
//   L  folder NUL                    -> E (d, f or o; name) for each entry, then K
//   S  path NUL                      -> I (d, f or o; size, 8 bytes, high first)
//   R  path NUL most NUL             -> B (bytes) ..., then K; more than `most` are a fault
//
// or at any place F (letter of the fault; text). Paths are relative to the location, "" is itself.
// `location` is a folder of this machine, or smb://HOST/SHARE[/FOLDER] without any escapes.
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHARE_FRAME_MAX = 64 * 1024, SHARE_FRAME_HEAD = 5 };

// What may be wrong with a share; they are told apart all the way to whoever asked.
enum share_fault {
    SHARE_FINE = 0,
    SHARE_UNREACHABLE = 'u',    // no answer, or none in time
    SHARE_DENIED = 'd',         // it does not let us in
    SHARE_MISSING = 'm',        // the machine has no such share
    SHARE_FOLDER_MISSING = 'p', // the share has no such folder
    SHARE_FOLDER_EMPTY = 'e',   // no photo is in it; said by nobody but ocr-pipeline
    SHARE_FILE_MISSING = 'f',
    SHARE_FILE_DENIED = 'a', // of a file or folder in it
    SHARE_TOO_LARGE = 'l',
    SHARE_SETUP = 's', // our side of it is not set up
};

struct share_frame {
    char kind;
    const char *payload; // in the buf it was read from
    size_t length;
};

// False when it is too long, or `out` is full.
bool share_frame_write(struct buf *out, char kind, const void *payload, size_t length);
// The first frame of `in`, which stays there: drop it with share_frame_drop. *wrong: no frame will
// ever come of this.
bool share_frame_read(const struct buf *in, struct share_frame *frame, bool *wrong);
void share_frame_drop(struct buf *in, const struct share_frame *frame);
// The text before the next NUL, behind which *at goes; NULL when there is none.
const char *share_frame_text(const struct share_frame *frame, size_t *at);

// No way out of the share: not absolute, no "..".
bool share_path_is_inside(const char *path);

void share_put_size(unsigned char out[8], uint64_t size);
uint64_t share_get_size(const unsigned char bytes[8]);
