#include "http/head.h"

#include <string.h>

const struct http_field *http_head_find(const struct http_head *head, const char *name) {
    for (size_t i = 0; i < head->field_count; i++)
        if (span_is_nocase(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}

struct span http_head_value(const struct http_head *head, const char *name) {
    const struct http_field *field = http_head_find(head, name);
    return field ? field->value : (struct span){"", 0};
}

struct span http_head_path(const struct http_head *head) {
    const char *query = memchr(head->target.data, '?', head->target.length);
    size_t length = query ? (size_t)(query - head->target.data) : head->target.length;
    return (struct span){head->target.data, length};
}

static bool percent_decode(struct span in, bool plus_is_blank, char *out, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < in.length; i++) {
        char c = plus_is_blank && in.data[i] == '+' ? ' ' : in.data[i];
        if (c == '%') {
            int high = i + 2 < in.length ? str_hex_digit(in.data[i + 1]) : -1;
            int low = high >= 0 ? str_hex_digit(in.data[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (n + 1 >= size || c == '\0')
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

bool http_path_decode(struct span part, char *out, size_t size) {
    return percent_decode(part, false, out, size);
}

bool http_head_query(const struct http_head *head, const char *name, char *out, size_t size) {
    struct span path = http_head_path(head);
    const char *p = path.data + path.length, *end = head->target.data + head->target.length;
    while (p < end) {
        p++; // the '?' or '&'
        const char *stop = memchr(p, '&', (size_t)(end - p));
        if (!stop)
            stop = end;
        const char *equals = memchr(p, '=', (size_t)(stop - p));
        struct span key = {p, (size_t)((equals ? equals : stop) - p)};
        if (span_is(key, name)) {
            struct span value = {equals ? equals + 1 : stop,
                                 equals ? (size_t)(stop - equals - 1) : 0};
            return percent_decode(value, true, out, size);
        }
        p = stop;
    }
    return false;
}

bool http_field_add(struct buf *out, const struct http_field *field) {
    return buf_reserve(out, field->name.length + field->value.length + 4) &&
           buf_add(out, field->name.data, field->name.length) && buf_add(out, ": ", 2) &&
           buf_add(out, field->value.data, field->value.length) && buf_add(out, "\r\n", 2);
}

const char *http_status_text(unsigned status) {
    static const struct {
        unsigned status;
        const char *text;
    } table[] = {
        {100, "Continue"},
        {200, "OK"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {529, "Overloaded"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].status == status)
            return table[i].text;
    return "Unknown";
}
