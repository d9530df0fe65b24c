// ini_parse never trips a sanitizer, and what it accepts is what a writer could have meant: the
// parsed file written out again parses to the same thing.
#include "base/buf.h"
#include "format/ini.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length);

static void ignore_problem(void *arg, unsigned line, const char *text) {
    assert(line > 0 && text[0] != '\0');
}

static void write_ini(const struct ini *ini, struct buf *out) {
    for (size_t i = 0; i < ini->count; i++) {
        const struct ini_section *section = &ini->sections[i];
        if (section->name[0] != '\0')
            buf_printf(out, "[%s]\n", section->name);
        for (size_t k = 0; k < section->count; k++)
            buf_printf(out, "%s = %s\n", section->entries[k].key, section->entries[k].value);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length) {
    struct err err;
    ini_destroy(ini_parse((const char *)bytes, length, ignore_problem, NULL, &err));
    struct ini *ini = ini_parse((const char *)bytes, length, NULL, NULL, &err);
    if (!ini)
        return 0;
    struct buf first, second;
    buf_init(&first, 2 * INI_MAX_BYTES);
    buf_init(&second, 2 * INI_MAX_BYTES);
    write_ini(ini, &first);
    struct ini *again = ini_parse(buf_bytes(&first), first.length, NULL, NULL, &err);
    assert(again || err.code == ERR_LIMIT || strstr(err.text, "longer than"));
    if (again) {
        write_ini(again, &second);
        assert(first.length == second.length && !strcmp(buf_text(&first), buf_text(&second)));
    }
    ini_destroy(again);
    ini_destroy(ini);
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
