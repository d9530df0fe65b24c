#include "engine/environment.h"

#include <string.h>

// A trailing "*" stands for any rest of the name.
static const char *const allowed[] = {
    "PATH",           "HOME",   "LANG",     "LC_*",           "TMPDIR", "LD_LIBRARY_PATH",
    "XDG_CACHE_HOME", "CUDA_*", "NVIDIA_*", "GGML_*",         "HIP_*",  "ROCR_*",
    "HSA_*",          "VK_*",   "OMP_*",    "GLIBC_TUNABLES",
};

// Where the kernel leaves huge pages to programs (madvise, Ubuntu's setting; Debian's is always),
// glibc asks for them: an engine zeroes its cache at start, and faults of 4 KiB are most of what
// that costs. Measured on 2 cores, SmolLM2 with 8192 tokens (180 MiB of cache): stop, start and
// first token 292 ms without, 211 ms with. Other C libraries pass it over.
static const char huge_pages[] = "GLIBC_TUNABLES=glibc.malloc.hugetlb=1";

bool environment_allows(const char *entry) {
    size_t length = strcspn(entry, "=");
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        size_t pattern = strlen(allowed[i]);
        if (allowed[i][pattern - 1] == '*') {
            if (length >= pattern && strncmp(entry, allowed[i], pattern - 1) == 0)
                return true;
        } else if (length == pattern && strncmp(entry, allowed[i], length) == 0) {
            return true;
        }
    }
    return false;
}

void environment_engine(char *const *from, struct args *out) {
    environment_scrub(from, out);
    for (size_t i = 0; i < out->count; i++) {
        if (strncmp(out->items[i], huge_pages, strcspn(huge_pages, "=") + 1) == 0)
            return; // the user's own
    }
    args_add(out, huge_pages);
}

void environment_scrub(char *const *from, struct args *out) {
    for (; from && *from; from++) {
        if (environment_allows(*from))
            args_add(out, *from);
    }
}
