#include "vision/object_names.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#include <string.h>

// dict := '{' [ entry { ',' entry } [ ',' ] ] '}'    entry := number ':' string | string ':' string
// list := '[' [ string { ',' string } [ ',' ] ] ']'  or with ( )
// string := ' or " around characters and \-escapes (Python 3 language reference, 2.4.1)
struct parser {
    const char *at;
    const char *start;
    struct object_names *out;
    struct err *err;
};

static bool fail(const struct parser *p, const char *what) {
    return err_set(p->err, ERR_INVALID, "names of classes, byte %zu: %s",
                   (size_t)(p->at - p->start), what);
}

static void skip_blanks(struct parser *p) { p->at += strspn(p->at, " \t\r\n"); }

static bool take(struct parser *p, char c) {
    skip_blanks(p);
    if (*p->at != c)
        return false;
    p->at++;
    return true;
}

static bool add_utf8(struct buf *out, uint32_t code) {
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        code = 0xfffd;
    char bytes[4];
    size_t count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = count; i-- > 1; code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(lead[count] | code);
    return buf_add(out, bytes, count);
}

static bool add_code(struct parser *p, struct buf *out, int digits) {
    uint32_t code = 0;
    for (int i = 0; i < digits; i++, p->at++) {
        int digit = str_hex_digit(*p->at);
        if (digit < 0)
            return fail(p, "an escape without its digits");
        code = code << 4 | (uint32_t)digit;
    }
    return add_utf8(out, code) || fail(p, "a name is too long");
}

// After the backslash.
static bool take_escape(struct parser *p, struct buf *out) {
    char c = *p->at;
    if (c == '\0')
        return fail(p, "a string without its end");
    p->at++;
    switch (c) {
    case 'x': return add_code(p, out, 2);
    case 'u': return add_code(p, out, 4);
    case 'U': return add_code(p, out, 8);
    case 'n': c = '\n'; break;
    case 't': c = '\t'; break;
    case 'r': c = '\r'; break;
    }
    return buf_add(out, &c, 1) || fail(p, "a name is too long");
}

static char *take_string(struct parser *p) {
    struct buf text;
    skip_blanks(p);
    char quote = *p->at;
    if (quote != '\'' && quote != '"') {
        fail(p, "a string is expected");
        return NULL;
    }
    buf_init(&text, 4096);
    for (p->at++; *p->at != quote;) {
        bool good;
        if (*p->at == '\0')
            good = fail(p, "a string without its end");
        else if (*p->at == '\\') {
            p->at++;
            good = take_escape(p, &text);
        } else {
            good = buf_add(&text, p->at, 1) || fail(p, "a name is too long");
            p->at++;
        }
        if (!good) {
            buf_fini(&text);
            return NULL;
        }
    }
    p->at++;
    buf_text(&text);
    return text.length ? buf_take(&text, NULL) : (buf_fini(&text), mem_strdup(""));
}

// Puts a name at its class; the gaps below are filled.
static bool put(struct parser *p, size_t class, char *name) {
    struct object_names *out = p->out;
    if (class >= OBJECT_NAMES_MAX) {
        mem_free(name);
        return fail(p, "a class number is too large");
    }
    if (class >= out->count) {
        out->names = mem_resize(out->names, (class + 1) * sizeof *out->names);
        for (; out->count <= class; out->count++)
            out->names[out->count] = mem_strdup("");
    }
    mem_free(out->names[class]);
    out->names[class] = name;
    return true;
}

static bool take_number(struct parser *p, size_t *out) {
    skip_blanks(p);
    size_t digits = strspn(p->at, "0123456789");
    if (digits == 0 || digits > 6)
        return fail(p, "the number of a class is expected");
    *out = 0;
    for (; digits; digits--)
        *out = *out * 10 + (size_t)(*p->at++ - '0');
    return true;
}

// 7 or "7".
static bool take_key(struct parser *p, size_t *class) {
    skip_blanks(p);
    char quote = *p->at == '"' || *p->at == '\'' ? *p->at++ : '\0';
    return take_number(p, class) &&
           (!quote || take(p, quote) || fail(p, "the number of a class is expected"));
}

static bool take_entries(struct parser *p, char end, bool keys) {
    for (size_t number = 0; !take(p, end); number++) {
        size_t class = number;
        if (keys && (!take_key(p, &class) || (!take(p, ':') && !fail(p, "a : is expected"))))
            return false;
        char *name = take_string(p);
        if (!name || !put(p, class, name))
            return false;
        if (!take(p, ',')) {
            if (take(p, end))
                break;
            return fail(p, "a , or the end is expected");
        }
    }
    skip_blanks(p);
    return *p->at == '\0' || fail(p, "more after the end");
}

bool object_names_parse(struct object_names *out, const char *text, struct err *err) {
    struct parser p = {text, text, out, err};
    *out = (struct object_names){0};
    bool good;
    if (take(&p, '{'))
        good = take_entries(&p, '}', true);
    else if (take(&p, '['))
        good = take_entries(&p, ']', false);
    else if (take(&p, '('))
        good = take_entries(&p, ')', false);
    else
        good = fail(&p, "a dict or a list is expected");
    if (good && !out->count)
        good = fail(&p, "there are none");
    if (!good)
        object_names_fini(out);
    return good;
}

bool object_names_split(struct object_names *out, const char *text, struct err *err) {
    struct parser p = {text, text, out, err};
    *out = (struct object_names){0};
    for (bool more = true; more;) {
        size_t length = strcspn(p.at, ",");
        struct span name = span_trim((struct span){p.at, length});
        if (!name.length) {
            fail(&p, "an empty name");
            object_names_fini(out);
            return false;
        }
        if (!put(&p, out->count, mem_strndup(name.data, name.length))) {
            object_names_fini(out);
            return false;
        }
        more = p.at[length] == ',';
        p.at += length + more;
    }
    return true;
}

void object_names_fini(struct object_names *names) {
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->names[i]);
    mem_free(names->names);
    *names = (struct object_names){0};
}
