// Truth tables of eval: what a table says of a photo is what it says.
#include "eval_truth.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct err err = {0};
    struct truth *truth = truth_parse((const char *)data, length, &err);
    assert(truth ? truth->count > 0 : err.text[0] != '\0');
    for (size_t i = 0; truth && i < truth->count; i++) {
        const struct truth_photo *photo = &truth->photos[i];
        assert(photo->file[0] && photo->line > 1);
        for (int k = 0; k < FIELD_COUNT; k++)
            assert(photo->judged[k] ? truth_is((enum field)k, photo->values[k], photo->values[k])
                                    : photo->values[k][0] == '\0');
    }
    truth_destroy(truth);
    return 0;
}
