// The first byte chooses the cuts, the rest is what a client sends.
#include "http_fuzz.h"

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length);

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length) {
    return fuzz_both(HTTP_REQUESTS, bytes, length);
}
