// The page of an evaluation: its tables, then every miss with the part of the photo it is about.
#include "eval_crops.h"
#include "eval_report.h"
#include "eval_table.h"

#include "base/mem.h"
#include "base/path.h"
#include "event/loop.h"
#include "format/base64.h"
#include "format/json.h"
#include "interrupt.h"
#include "photo_list.h"

#include <stdio.h>
#include <string.h>

enum { SIDE = 4096, JPEG_MAX = 8 << 20, SLACK = 1 << 20 };

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'\">\n"
    "<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1280px;padding:0 1em}\n"
    ".wide{overflow-x:auto}table{border-spacing:0}\n"
    "th,td{padding:.25em .7em;text-align:right;border-bottom:1px solid #8884;white-space:nowrap}\n"
    "th:first-child{text-align:left}\n"
    "article{border:1px solid #8886;border-radius:6px;padding:.6em 1em;margin:1em 0}\n"
    "article h3{margin:.1em 0;font-size:1em}article p{margin:.2em 0}\n"
    "img{max-width:100%;margin:.3em .5em .3em 0;vertical-align:top}\n"
    "b.silent{color:#c22}b.good{color:#283}code{font-size:1.05em}\n"
    "@media(prefers-color-scheme:dark){b.silent{color:#f77}b.good{color:#6c8}}\n"
    "@media(max-width:700px){body{margin:1em auto}h1{font-size:1.4em}table{font-size:13px}\n"
    "th,td{padding:.25em .4em}tr>:first-child{white-space:normal;min-width:7em;position:sticky;left:0;"
    "background:Canvas}tr:first-child th{white-space:normal;overflow-wrap:break-word}}\n"
    "</style>\n<title>";

struct page {
    const struct eval *eval;
    struct buf *out;
    // Of the photo at hand.
    struct image image; // empty: it cannot be decoded
    json_t *reports[EVAL_CONFIGS_MAX];
};

static void on_page_table(void *arg, const struct table *table) { table_html(table, arg); }

// --- One miss

static void add_value(struct buf *out, const char *value) {
    buf_adds(out, value[0] ? "<code>" : "<i>nothing</i>");
    html_text(out, value);
    buf_adds(out, value[0] ? "</code>" : "");
}

static void add_reasons(struct buf *out, const json_t *report, enum field field) {
    const json_t *reasons = json_object_get(report, "review_reasons");
    for (size_t i = 0; i < json_array_size(reasons); i++) {
        const json_t *reason = json_array_get(reasons, i);
        const char *of = json_get_text(reason, "field", NULL);
        if (of && strcmp(of, field_key(field)) != 0)
            continue;
        buf_adds(out, "; ");
        html_text(out, json_get_text(reason, "text", ""));
    }
}

static void add_error(struct buf *out, const json_t *report) {
    buf_adds(out, "; the photo could not be read: ");
    html_text(out, json_get_text(json_object_get(report, "error"), "text", ""));
}

// "small: 626601 (0.92), wrong, to be looked at; character 5 is not sure"
static void add_answer(const struct page *page, size_t config, size_t photo, enum field field) {
    const json_t *report = page->reports[config];
    const json_t *answer = json_object_get(json_object_get(report, "fields"), field_key(field));
    const struct eval_photo *judged = &page->eval->configs[config].answers->photos[photo];
    enum outcome outcome = judged->outcomes[field];
    char value[128];
    answer_value(report, field, value, sizeof value);
    buf_adds(page->out, "<p>");
    html_text(page->out, page->eval->configs[config].name);
    buf_adds(page->out, ": ");
    add_value(page->out, value);
    if (value[0])
        buf_printf(page->out, " (%.2f)", json_number_value(json_object_get(answer, "confidence")));
    bool silent = (outcome == OUTCOME_WRONG || outcome == OUTCOME_INVENTED) && !judged->reviewed;
    buf_printf(page->out, ", <b class=\"%s\">%s</b>",
               outcome_is_good(outcome) ? "good"
               : silent                 ? "silent"
                                        : "told",
               outcome_name(outcome));
    if (judged->failed) {
        add_error(page->out, report);
    } else if (outcome_is_miss(outcome)) {
        buf_adds(page->out, judged->reviewed ? ", in a photo to be looked at" : ", without review");
        add_reasons(page->out, report, field);
    }
    buf_adds(page->out, "</p>\n");
}

static bool add_crop(const struct page *page, struct box box, float scale, const char *name,
                     struct err *err) {
    struct buf jpeg;
    buf_init(&jpeg, JPEG_MAX);
    bool good = crop_encode(&page->image, box, scale, &jpeg, err);
    buf_adds(page->out, "<img alt=\"");
    html_text(page->out, name);
    buf_adds(page->out, "\" src=\"data:image/jpeg;base64,");
    if (good && !base64_encode(buf_bytes(&jpeg), jpeg.length, page->out))
        good = err_set(err, ERR_LIMIT, "the page would be larger than %zu bytes", page->out->max);
    buf_adds(page->out, "\">\n");
    buf_fini(&jpeg);
    return good;
}

static bool same_box(struct box a, struct box b) {
    return (a.x0 == b.x0 && a.y0 == b.y0 && a.x1 == b.x1 && a.y1 == b.y1) ||
           box_overlap(a, b) > .7f;
}

// One for each place that a configuration which missed it tells.
static bool add_crops(const struct page *page, size_t photo, enum field field, struct err *err) {
    struct box shown[EVAL_CONFIGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < page->eval->count && page->image.width; i++) {
        const struct eval_photo *judged = &page->eval->configs[i].answers->photos[photo];
        double width = json_number_value(json_object_get(page->reports[i], "width"));
        if (!outcome_is_miss(judged->outcomes[field]))
            continue;
        struct box box =
            crop_place(page->reports[i], field, page->eval->truth->photos[photo].values[field]);
        bool known = false;
        for (size_t j = 0; j < count; j++)
            known |= same_box(shown[j], box);
        if (known)
            continue;
        shown[count++] = box;
        float scale = width > 0 ? (float)page->image.width / (float)width : 1;
        if (!add_crop(page, box, scale, page->eval->configs[i].name, err))
            return false;
    }
    return true;
}

static bool add_miss(const struct page *page, size_t photo, enum field field, struct err *err) {
    const struct truth_photo *truth = &page->eval->truth->photos[photo];
    buf_adds(page->out, "<article><h3>");
    html_text(page->out, truth->file);
    buf_printf(page->out, " \xC2\xB7 %s</h3>\n<p>truth: ", field_key(field));
    add_value(page->out, truth->values[field]);
    buf_adds(page->out, "</p>\n");
    for (size_t i = 0; i < page->eval->count; i++)
        add_answer(page, i, photo, field);
    bool good = add_crops(page, photo, field, err);
    buf_adds(page->out, "</article>\n");
    return good;
}

// --- All photos

static void open_photo(struct page *page, size_t photo, size_t photo_bytes,
                       const struct image_limits *limits) {
    const char *file = page->eval->truth->photos[photo].file;
    char *path = path_join(page->eval->dataset, file);
    size_t length = 0;
    char *bytes = photo_load(path, photo_bytes, &length, NULL);
    page->image = (struct image){0};
    if (!bytes || !image_decode(&page->image, bytes, length, file, SIDE, limits, NULL))
        page->image = (struct image){0};
    for (size_t i = 0; i < page->eval->count; i++)
        page->reports[i] = answers_report(page->eval->configs[i].answers, photo);
    mem_free(bytes);
    mem_free(path);
}

static void close_photo(struct page *page) {
    image_fini(&page->image);
    for (size_t i = 0; i < page->eval->count; i++)
        json_decref(page->reports[i]);
}

// What no configuration could read: once, not field by field.
static bool is_unread(const struct eval *eval, size_t photo) {
    for (size_t i = 0; i < eval->count; i++)
        if (!eval->configs[i].answers->photos[photo].failed)
            return false;
    return true;
}

static void add_unread(struct page *page, size_t photo) {
    json_t *report = answers_report(page->eval->configs[0].answers, photo);
    buf_adds(page->out, "<article><h3>");
    html_text(page->out, page->eval->truth->photos[photo].file);
    buf_adds(page->out, "</h3>\n<p>all fields");
    add_error(page->out, report);
    buf_adds(page->out, "</p></article>\n");
    json_decref(report);
}

static bool add_photo(struct page *page, size_t photo, size_t photo_bytes,
                      const struct image_limits *limits, struct err *err) {
    bool open = false, good = true;
    if (is_unread(page->eval, photo)) {
        add_unread(page, photo);
        return true;
    }
    for (int i = 0; good && i < FIELD_COUNT; i++) {
        if (!eval_is_missed(page->eval, photo, (enum field)i))
            continue;
        if (!open)
            open_photo(page, photo, photo_bytes, limits);
        open = true;
        good = add_miss(page, photo, (enum field)i, err);
    }
    if (open)
        close_photo(page);
    return good;
}

bool eval_page(const struct eval *eval, size_t photo_bytes, const struct image_limits *limits,
               struct progress *progress, struct buf *out, struct err *err) {
    struct page page = {.eval = eval, .out = out};
    char *title = eval_title(eval);
    buf_adds(out, head);
    html_text(out, title);
    buf_adds(out, "</title></head><body>\n<h1>");
    html_text(out, title);
    buf_adds(out, "</h1>\n");
    eval_tables(eval, on_page_table, out);
    buf_adds(out, "<p>");
    html_text(out, EVAL_NOTES);
    buf_adds(out, "</p>\n<h2>What was missed</h2>\n");
    bool good = true;
    int64_t started = loop_now_ms();
    for (size_t i = 0; good && i < eval->truth->count && !interrupt_came(); i++) {
        int64_t elapsed = loop_now_ms() - started;
        progress_draw(progress, "cutting out what was missed", elapsed,
                      i ? elapsed * (int64_t)eval->truth->count / (int64_t)i : 0);
        good = add_photo(&page, i, photo_bytes, limits, err);
    }
    progress_clear(progress);
    buf_adds(out, "</body></html>\n");
    if (interrupt_came())
        good = err_set(err, ERR_NONE, "interrupted");
    if (good && out->length + SLACK > out->max) // what did not fit was left out
        good = err_set(err, ERR_LIMIT, "the page would be larger than %zu bytes", out->max);
    mem_free(title);
    return good;
}
