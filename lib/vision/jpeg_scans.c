#include "vision/jpeg_scans.h"

#include <stdint.h>
#include <string.h>

// Markers (ITU-T T.81, table B.1).
enum { STUFFED = 0x00, TEM = 0x01, RST0 = 0xd0, RST7 = 0xd7, SOI = 0xd8, EOI = 0xd9, SOS = 0xda };

// A segment, whose length follows; others stand alone.
static bool has_length(uint8_t marker) {
    return marker != STUFFED && marker != TEM && marker != SOI &&
           !(marker >= RST0 && marker <= RST7);
}

// The code of the next marker, as libjpeg finds it (whatever lies before is skipped), and what is
// behind it. False at the end.
static bool next_marker(const uint8_t **at, const uint8_t *end, uint8_t *marker) {
    const uint8_t *p = *at < end ? memchr(*at, 0xff, (size_t)(end - *at)) : NULL;
    while (p && p < end && *p == 0xff)
        p++;
    if (!p || p == end)
        return false;
    *marker = *p;
    *at = p + 1;
    return true;
}

bool jpeg_scans_check(const void *bytes, size_t length, const char *name, struct err *err) {
    const uint8_t *at = bytes, *end = at + length;
    unsigned scans = 0;
    uint8_t marker;
    if (length < 3 || memcmp(at, "\xff\xd8\xff", 3) != 0)
        return true;
    while (next_marker(&at, end, &marker) && marker != EOI) {
        if (marker == SOS && ++scans > JPEG_SCANS_MAX)
            return err_set(err, ERR_LIMIT,
                           "%s is a JPEG of more than %d scans; photos have about ten", name,
                           JPEG_SCANS_MAX);
        if (!has_length(marker))
            continue;
        size_t left = (size_t)(end - at), size = left < 2 ? left : (size_t)at[0] << 8 | at[1];
        at += size < left ? size : left;
    }
    return true;
}
