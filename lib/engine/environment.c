#include "engine/environment.h"

#include <string.h>

// A trailing "*" stands for any rest of the name.
static const char *const allowed[] = {
    "PATH",           "HOME",   "LANG",     "LC_*",   "TMPDIR", "LD_LIBRARY_PATH",
    "XDG_CACHE_HOME", "CUDA_*", "NVIDIA_*", "GGML_*", "HIP_*",  "ROCR_*",
    "HSA_*",          "VK_*",   "OMP_*",
};

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

void environment_scrub(char *const *from, struct args *out) {
    for (; from && *from; from++) {
        if (environment_allows(*from))
            args_add(out, *from);
    }
}
