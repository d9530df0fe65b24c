// What an ONNX file says of itself in its metadata: classes as Python prints them, characters by
// lines.
#include "base/buf.h"
#include "base/mem.h"
#include "vision/dictionary.h"
#include "vision/object_names.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

// As Python prints a dict, every character that could mean something escaped.
static void write_names(const struct object_names *names, struct buf *out) {
    buf_adds(out, "{");
    for (size_t i = 0; i < names->count; i++) {
        buf_printf(out, "%s%zu: '", i ? ", " : "", i);
        for (const char *c = names->names[i]; *c; c++) {
            if (*c == '\'' || *c == '\\')
                buf_adds(out, "\\");
            buf_add(out, c, 1);
        }
        buf_adds(out, "'");
    }
    buf_adds(out, "}");
}

static void check_names(const char *text) {
    struct object_names names, again;
    struct err err = {0};
    struct buf out;
    if (!object_names_parse(&names, text, &err)) {
        assert(err.text[0] && !names.count);
        return;
    }
    buf_init(&out, 1 << 22);
    write_names(&names, &out);
    assert(object_names_parse(&again, buf_text(&out), &err) && again.count == names.count);
    for (size_t i = 0; i < names.count; i++)
        assert(!strcmp(names.names[i], again.names[i]));
    object_names_fini(&names);
    object_names_fini(&again);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct object_names names;
    struct dictionary dictionary;
    char *text = mem_strndup((const char *)data, length);
    check_names(text);
    if (object_names_split(&names, text, NULL))
        object_names_fini(&names);
    if (dictionary_parse(&dictionary, (const char *)data, length, 0, "fuzz", NULL)) {
        for (size_t i = 1; i < dictionary.count; i++)
            assert(strlen(dictionary.chars[i]) > 0);
        dictionary_fini(&dictionary);
    }
    mem_free(text);
    return 0;
}
