#define _GNU_SOURCE
#include "tune_write.h"

#include "base/mem.h"
#include "base/path.h"
#include "format/ini.h"
#include "format/ini_edit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void tune_evidence(struct tune_evidence *out, const struct tune_subject *subject,
                   const struct tune_best *best, unsigned prompt_tokens) {
    char day[16];
    time_t now = time(NULL);
    struct tm parts;
    strftime(day, sizeof day, "%Y-%m-%d", localtime_r(&now, &parts));
    out->count = 0;
    snprintf(out->lines[out->count++], sizeof *out->lines, "%s, llama-server %.60s, %u trials", day,
             subject->decision.dialect->version, best->trials);
    if (best->doubt >= 0.05)
        snprintf(out->lines[out->count++], sizeof *out->lines,
                 "not certain: the chance is %.0f %% that the preset without these is as fast",
                 100 * best->doubt);
    char *line = out->lines[out->count++];
    if (best->present_failed)
        snprintf(line, sizeof *out->lines,
                 "without these it does not run; decode %.1f tok/s, prefill %.0f tok/s",
                 best->decode, best->prefill);
    else
        snprintf(line, sizeof *out->lines,
                 "decode %.1f -> %.1f tok/s, prefill %.0f -> %.0f tok/s, prompts of %u",
                 best->anchor_decode, best->decode, best->anchor_prefill, best->prefill,
                 prompt_tokens);
}

struct lines {
    struct ini_line line[TUNE_CHANGES_MAX + 6];
    size_t count;
    struct tune_change changes[TUNE_CHANGES_MAX];
};

static struct lines *make_lines(const struct tune_subject *subject,
                                const struct tune_choice *choice,
                                const struct tune_evidence *evidence) {
    struct lines *lines = mem_alloc(sizeof *lines);
    size_t changes = tune_changes(subject, choice, lines->changes);
    if (changes == 0)
        return lines;
    if (subject->preset->is_scanned) // it gets a section of its own
        lines->line[lines->count++] = (struct ini_line){"model", subject->preset->model, true};
    for (size_t i = 0; i < evidence->count; i++)
        lines->line[lines->count++] = (struct ini_line){NULL, evidence->lines[i], false};
    for (size_t i = 0; i < changes; i++)
        lines->line[lines->count++] =
            (struct ini_line){lines->changes[i].key, lines->changes[i].value, false};
    return lines;
}

void tune_section(const struct tune_subject *subject, const struct tune_choice *choice,
                  const struct tune_evidence *evidence, struct buf *out) {
    struct lines *lines = make_lines(subject, choice, evidence);
    if (lines->count)
        ini_edit_place("", 0, subject->preset->name, TUNE_MARK, lines->line, lines->count, out,
                       NULL);
    mem_free(lines);
}

static bool unchanged(const struct tune_subject *subject, struct err *err) {
    size_t length = 0;
    if (subject->length == 0 && access(subject->path, F_OK) != 0)
        return true; // there was none, and there is none
    char *now = path_read_file(subject->path, INI_MAX_BYTES, &length, err);
    bool same = now && length == subject->length && memcmp(now, subject->bytes, length) == 0;
    if (now && !same)
        err_set(err, ERR_BUSY, "%s was changed meanwhile, so it is left alone", subject->path);
    mem_free(now);
    return same;
}

// A new file takes the old one's place: its permissions and, where we may, its owner.
static bool put(const struct tune_subject *subject, const struct buf *text, struct err *err) {
    struct stat before = {.st_mode = 0600, .st_uid = geteuid(), .st_gid = getegid()};
    if (stat(subject->path, &before) != 0 && subject->length > 0)
        return err_errno(err, "cannot look at %s", subject->path);
    if (!path_write_file(subject->path, buf_bytes(text), text->length, before.st_mode & 07777, err))
        return false;
    if (before.st_uid != geteuid() || before.st_gid != getegid())
        (void)!chown(subject->path, before.st_uid, before.st_gid);
    return true;
}

bool tune_write(const struct tune_subject *subject, const struct tune_choice *choice,
                const struct tune_evidence *evidence, struct err *err) {
    struct lines *lines = make_lines(subject, choice, evidence);
    struct buf text;
    buf_init(&text, INI_MAX_BYTES);
    bool ok = unchanged(subject, err) &&
              ini_edit_place(subject->bytes, subject->length, subject->preset->name, TUNE_MARK,
                             lines->line, lines->count, &text, err) &&
              put(subject, &text, err);
    buf_fini(&text);
    mem_free(lines);
    return ok;
}
