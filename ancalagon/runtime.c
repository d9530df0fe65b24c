#include "runtime.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

char *runtime_dir_for(const char *absolute_config_path) {
    char *base = path_runtime();
    char *dir = mem_printf("%s/%016llx", base, (unsigned long long)str_hash(absolute_config_path));
    mem_free(base);
    return dir;
}
