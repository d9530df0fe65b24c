// Bitmaps of strangers: what the header's check lets pass is decoded within the file.
#include "vision/image_bmp.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct image image;
    struct bmp bmp;
    struct err err = {0};
    if (!bmp_is(data, length))
        return 0;
    if (!bmp_read_header(&bmp, data, length, "fuzz", &err)) {
        assert(err.text[0]);
        return 0;
    }
    assert((size_t)bmp.width * (size_t)bmp.height <= length);
    bmp_decode(&image, &bmp, data);
    image_fini(&image);
    return 0;
}
