// Photos of transformers' plates that came by, kept in mind for banks, and not for ever: the
// transformer of last year's photo may hang elsewhere.
#include "base/log.h"
#include "event/loop.h"
#include "records_private.h"

#include <stdio.h>

enum { SWEEP_MS = 3600000 };

// Rows of before count as seen now.
bool records_seen_ready(struct records *records, struct err *err) {
    struct err why = {0};
    char statement[96];
    if (records->seen_ready)
        return true;
    bool good =
        sql_run(records->sql, "SELECT seen_ms FROM ocr_seen LIMIT 1", NULL, 0, NULL, NULL, &why);
    if (!good && why.code == ERR_INVALID) {
        why = (struct err){0};
        snprintf(statement, sizeof statement,
                 "ALTER TABLE ocr_seen ADD COLUMN seen_ms BIGINT NOT NULL DEFAULT %lld",
                 (long long)loop_wall_ms());
        good = sql_run(records->sql, statement, NULL, 0, NULL, NULL, &why) ||
               err_set(err, why.code,
                       "ocr_seen has no column seen_ms; whoever owns the table gives it one with: "
                       "ocr-pipeline records TABLE.csv (%s)",
                       why.text);
    } else if (!good) {
        err_set(err, why.code, "%s", why.text);
    }
    records->seen_ready = good;
    return good;
}

static bool keep(struct records *records, const char *pole, const struct sighting *sighting,
                 const char *now, struct err *err) {
    const char *texts[] = {pole, sighting->image, sighting->serial, now};
    return sql_run(records->sql,
                   "INSERT INTO ocr_seen (pole, image, serial, seen_ms) VALUES ($1, $2, $3, $4)"
                   " ON CONFLICT (pole, image) DO UPDATE"
                   " SET serial = excluded.serial, seen_ms = excluded.seen_ms",
                   texts, 4, NULL, NULL, err);
}

bool records_keep_seen(struct records *records, const char *pole, const struct sighting *sightings,
                       size_t count) {
    struct err err = {0};
    char now[24];
    if (count == 0)
        return false;
    snprintf(now, sizeof now, "%lld", (long long)loop_wall_ms());
    bool good = records_seen_ready(records, &err);
    for (size_t i = 0; good && i < count; i++)
        good = keep(records, pole, &sightings[i], now, &err);
    if (!good && !records->cannot_keep)
        log_warn("records.images why=\"%s\"", err.text);
    records->cannot_keep |= !good;
    return good;
}

// Who may not write keeps nothing either, so nobody has to hear of a failure.
void records_forget_seen(struct records *records) {
    char before[24];
    const char *texts[] = {before};
    int64_t now = loop_now_ms();
    if (records->swept_ms && now - records->swept_ms < SWEEP_MS)
        return;
    records->swept_ms = now;
    snprintf(before, sizeof before, "%lld", (long long)(loop_wall_ms() - records->keep_ms));
    if (records_seen_ready(records, NULL))
        sql_run(records->sql, "DELETE FROM ocr_seen WHERE seen_ms < $1", texts, 1, NULL, NULL,
                NULL);
}
