#include "engine/memory_report.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "12.26 MiB" -> 12.26; -1 when it is no such thing. The engine writes in the C locale, as we do.
static double read_mib(const char *text) {
    char *end;
    double value = strtod(text, &end);
    return end != text && strncmp(end, " MiB", 4) == 0 && value >= 0 && value < 1e9 ? value : -1;
}

static struct memory_buffer *buffer_named(struct memory_report *report, struct span name) {
    if (name.length == 0 || name.length >= sizeof report->buffer->name)
        return NULL;
    for (size_t i = 0; i < report->buffers; i++)
        if (span_is(name, report->buffer[i].name))
            return &report->buffer[i];
    if (report->buffers == MEMORY_BUFFERS_MAX)
        return NULL;
    struct memory_buffer *buffer = &report->buffer[report->buffers++];
    *buffer = (struct memory_buffer){0};
    memcpy(buffer->name, name.data, name.length);
    return buffer;
}

// The same context may be measured several times; the last one counts. Another context's adds.
static void begin_context(struct memory_report *report) {
    for (size_t i = 0; i < report->buffers; i++) {
        report->buffer[i].compute_mib += report->buffer[i].compute_now_mib;
        report->buffer[i].compute_now_mib = 0;
    }
}

// `what`: "CUDA0 model"; the kind is missing in old builds' word for weights.
static void read_buffer(struct memory_report *report, const char *what, size_t length,
                        bool is_projector, double mib) {
    struct span name = span_trim((struct span){what, length});
    size_t kind = 0;
    for (size_t i = 0; i < name.length; i++)
        if (name.data[i] == ' ')
            kind = i + 1;
    struct span word = {name.data + kind, name.length - kind};
    bool has_kind = kind > 0;
    if (has_kind)
        name = span_trim((struct span){name.data, kind - 1});
    struct memory_buffer *buffer = buffer_named(report, name);
    if (!buffer)
        return;
    if (!has_kind || span_is(word, "model"))
        buffer->weights_mib += mib;
    else if (span_is(word, "KV"))
        buffer->kv_mib += mib;
    else if (span_is(word, "RS"))
        buffer->state_mib += mib;
    else if (span_is(word, "output"))
        buffer->output_mib += mib;
    else if (span_is(word, "compute") && is_projector)
        buffer->compute_mib += mib;
    else if (span_is(word, "compute"))
        buffer->compute_now_mib = mib;
}

// "  - CUDA0 (RTX 3090)   | 24124 = 23860 + (15946 = 15364 +     411 +     170) +      -15681 |"
static void read_row(struct memory_report *report, const char *text) {
    const char *name = text + strspn(text, " -"), *bar = strchr(name, '|');
    size_t length = strcspn(name, " |");
    if (!bar || length >= sizeof report->row->device || report->rows == MEMORY_ROWS_MAX)
        return;
    struct memory_row row = {0};
    memcpy(row.device, name, length);
    const char *open = memchr(name, '(', (size_t)(bar - name)), *close = bar;
    while (close > name && *close != ')')
        close--;
    if (open && close > open)
        snprintf(row.card, sizeof row.card, "%.*s", (int)(close - open - 1), open + 1);
    double model, context, compute;
    if (sscanf(bar, "| %lf = %lf + ( %lf = %lf + %lf + %lf) + %lf", &row.total_mib, &row.free_mib,
               &row.self_mib, &model, &context, &compute, &row.unaccounted_mib) == 7)
        report->row[report->rows++] = row;
}

void memory_report_forget_table(struct memory_report *report) { report->rows = 0; }

void memory_report_line(struct memory_report *report, const char *line) {
    static const char SIZE[] = " buffer size =";
    const char *table = strstr(line, "memory_breakdown_print: | ");
    if (table) {
        table += strlen("memory_breakdown_print: | ");
        if (str_starts(table, "memory breakdown"))
            report->rows = 0; // its head: the rows before were of another one
        else
            read_row(report, table);
        return;
    }
    if (strstr(line, "constructing llama_context") || strstr(line, " output buffer size ="))
        begin_context(report);
    const char *size = strstr(line, SIZE), *colon = strstr(line, ": ");
    if (!size || !colon || colon + 2 > size)
        return;
    double mib = read_mib(size + strlen(SIZE) + strspn(size + strlen(SIZE), " "));
    bool is_projector = strstr(line, "alloc_compute_meta") != NULL;
    if (mib >= 0)
        read_buffer(report, colon + 2, (size_t)(size - colon - 2), is_projector, mib);
}

static bool is_of(const char *buffer, const char *device) {
    size_t length = device ? strlen(device) : 0;
    if (device)
        return strncmp(buffer, device, length) == 0 &&
               (buffer[length] == '\0' || buffer[length] == '[' || buffer[length] == '_');
    return str_starts(buffer, "CPU") || str_ends(buffer, "_Host") || str_starts(buffer, "BLAS");
}

static bool has_mapped(const struct memory_report *report) {
    for (size_t i = 0; i < report->buffers; i++)
        if (strcmp(report->buffer[i].name, "CPU_Mapped") == 0)
            return true;
    return false;
}

struct memory_sum memory_report_sum(const struct memory_report *report, const char *device) {
    struct memory_sum sum = {0};
    bool mapped = !device && has_mapped(report);
    for (size_t i = 0; i < report->buffers; i++) {
        const struct memory_buffer *buffer = &report->buffer[i];
        sum.seen |= buffer->compute_mib + buffer->compute_now_mib > 0;
        if (!is_of(buffer->name, device))
            continue;
        // What was rearranged for the CPU lies within the mapped range too, and is not read there.
        if (!mapped || strcmp(buffer->name, "CPU_REPACK") != 0)
            sum.weights_mib += buffer->weights_mib;
        sum.kv_mib += buffer->kv_mib;
        sum.state_mib += buffer->state_mib;
        sum.compute_mib += buffer->compute_mib + buffer->compute_now_mib + buffer->output_mib;
    }
    return sum;
}

const struct memory_row *memory_report_row(const struct memory_report *report, const char *device) {
    for (size_t i = 0; i < report->rows; i++)
        if (strcmp(report->row[i].device, device) == 0)
            return &report->row[i];
    return NULL;
}
