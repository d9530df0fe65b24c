// Records of a utility: all rows of a table or none, and each pole that it names is found again.
#include "base/mem.h"
#include "records.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static const struct records_options memory = {.file = ":memory:"};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct err err = {0};
    struct record record;
    unsigned rows = 0;
    if (length < 1)
        return 0;
    struct records *records = records_open(&memory, RECORDS_FILL, &err);
    assert(records);
    bool good = (data[0] & 1 ? records_import_images : records_import)(
        records, (const char *)data + 1, length - 1, &rows, &err);
    assert(good ? !err.code : err.text[0] && !rows);
    records_find(records, "42", NULL, 0, &record, &err);
    records_close(records);
    return 0;
}
