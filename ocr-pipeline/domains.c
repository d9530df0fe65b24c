#include "domains_private.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void texts_add(struct texts *texts, const char *text, size_t length) {
    if (texts->count == texts->capacity) {
        texts->capacity = texts->capacity ? texts->capacity * 2 : 32;
        texts->texts = mem_resize(texts->texts, texts->capacity * sizeof *texts->texts);
    }
    texts->texts[texts->count++] = mem_strndup(text, length);
}

void texts_add_words(struct texts *texts, const char *words) {
    for (const char *p = words; *p;) {
        size_t length = strcspn(p, " ");
        if (length)
            texts_add(texts, p, length);
        p += length + (p[length] == ' ');
    }
}

static void texts_fini(struct texts *texts) {
    for (size_t i = 0; i < texts->count; i++)
        mem_free(texts->texts[i]);
    mem_free(texts->texts);
}

bool texts_has(const struct texts *texts, const char *text) {
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->texts[i], text) == 0)
            return true;
    return false;
}

static void add_maker_name(struct domains *domains, const char *maker, const char *name,
                           size_t length) {
    char spelled[80];
    struct folded folded;
    bool alone = length > 0 && *name == '=';
    snprintf(spelled, sizeof spelled, "%.*s", (int)(length - alone), name + alone);
    fold_line(&folded, spelled);
    if (domains->name_count == domains->name_capacity) {
        domains->name_capacity = domains->name_capacity ? domains->name_capacity * 2 : 64;
        domains->names =
            mem_resize(domains->names, domains->name_capacity * sizeof *domains->names);
    }
    char bones[80];
    size_t count = skeleton_of(folded.text, folded.length, bones, NULL, sizeof bones);
    if (count >= 2)
        domains->names[domains->name_count++] =
            (struct maker_name){maker, mem_strndup(bones, count), count, alone};
}

const char *domains_add_maker(struct domains *domains, const char *maker, const char *names,
                              const char *cnpj) {
    const char *name = NULL;
    for (size_t i = 0; i < domains->makers.count && !name; i++)
        if (strcmp(domains->makers.texts[i], maker) == 0)
            name = domains->makers.texts[i];
    if (!name) {
        texts_add(&domains->makers, maker, strlen(maker));
        texts_add(&domains->roots, "", 0);
        name = domains->makers.texts[domains->makers.count - 1];
    }
    for (const char *p = names; p && *p;) {
        size_t length = strcspn(p, "|");
        add_maker_name(domains, name, p, length);
        p += length + (p[length] == '|');
    }
    if (cnpj) {
        texts_add(&domains->makers, maker, strlen(maker)); // a root of its own
        texts_add(&domains->roots, cnpj, strlen(cnpj));
    }
    return name;
}

void domains_add_fuses(struct domains *domains, const struct fuse_data *row) {
    if (domains->fuse_count == domains->fuse_capacity) {
        domains->fuse_capacity = domains->fuse_capacity ? domains->fuse_capacity * 2 : 64;
        domains->fuses =
            mem_resize(domains->fuses, domains->fuse_capacity * sizeof *domains->fuses);
    }
    struct fuse_row *own = &domains->fuses[domains->fuse_count++];
    *own = (struct fuse_row){.utility = mem_strdup(row->utility),
                             .volts_from = row->volts_from,
                             .volts_to = row->volts_to,
                             .kva = row->kva};
    texts_add_words(&own->fuses, row->fuses);
}

struct domains *domains_create(void) {
    struct domains *domains = mem_alloc(sizeof *domains);
    struct tm now;
    time_t seconds = time(NULL);
    localtime_r(&seconds, &now);
    domains_set_today(domains, now.tm_year + 1900, now.tm_mon + 1);
    domains->labels = labels_create();
    for (int i = 0; i < DOMAIN_COUNT; i++)
        texts_add_words(&domains->lists[i], DOMAIN_DATA[i]);
    for (size_t i = 0; i < MAKER_DATA_COUNT; i++)
        domains_add_maker(domains, MAKER_DATA[i].name, MAKER_DATA[i].names, MAKER_DATA[i].cnpj);
    for (size_t i = 0; i < FUSE_DATA_COUNT; i++)
        domains_add_fuses(domains, &FUSE_DATA[i]);
    return domains;
}

void domains_destroy(struct domains *domains) {
    if (!domains)
        return;
    for (int i = 0; i < DOMAIN_COUNT; i++)
        texts_fini(&domains->lists[i]);
    for (size_t i = 0; i < domains->name_count; i++)
        mem_free((char *)(uintptr_t)domains->names[i].skeleton);
    for (size_t i = 0; i < domains->fuse_count; i++) {
        mem_free(domains->fuses[i].utility);
        texts_fini(&domains->fuses[i].fuses);
    }
    mem_free(domains->names);
    mem_free(domains->fuses);
    texts_fini(&domains->makers);
    texts_fini(&domains->roots);
    labels_destroy(domains->labels);
    mem_free(domains);
}

void domains_set_today(struct domains *domains, int year, int month) {
    domains->year = year;
    domains->month = month;
}

void domains_today(const struct domains *domains, int *year, int *month) {
    *year = domains->year;
    *month = domains->month;
}

bool domain_has(const struct domains *domains, enum domain domain, const char *text) {
    return texts_has(&domains->lists[domain], text);
}

const char *domain_near(const struct domains *domains, enum domain domain, const char *text) {
    const struct texts *list = &domains->lists[domain];
    const char *near = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (edit_distance(text, strlen(text), list->texts[i], strlen(list->texts[i]), 1) > 1)
            continue;
        if (near)
            return NULL;
        near = list->texts[i];
    }
    return near;
}

const struct maker_name *domains_maker_names(const struct domains *domains, size_t *count) {
    *count = domains->name_count;
    return domains->names;
}

const char *domains_maker_of_cnpj(const struct domains *domains, const char *root) {
    for (size_t i = 0; i < domains->roots.count; i++)
        if (domains->roots.texts[i][0] && strcmp(domains->roots.texts[i], root) == 0)
            return domains->makers.texts[i];
    return NULL;
}

static bool row_is_for(const struct fuse_row *row, const char *utility, int volts) {
    return (!utility || strcmp(row->utility, utility) == 0) &&
           (volts == 0 || (volts >= row->volts_from && volts <= row->volts_to));
}

// The next power of the tables below or above one; 0: none.
static double next_power(const struct domains *domains, const char *utility, int volts, double kva,
                         bool up) {
    double best = 0;
    for (size_t i = 0; i < domains->fuse_count; i++) {
        const struct fuse_row *row = &domains->fuses[i];
        if (!row_is_for(row, utility, volts) || (up ? row->kva <= kva : row->kva >= kva))
            continue;
        if (best == 0 || (up ? row->kva < best : row->kva > best))
            best = row->kva;
    }
    return best;
}

static bool says(const struct domains *domains, const char *utility, int volts, double kva,
                 const char *fuse, bool *known) {
    for (size_t i = 0; i < domains->fuse_count; i++) {
        const struct fuse_row *row = &domains->fuses[i];
        if (!row_is_for(row, utility, volts) || row->kva != kva)
            continue;
        *known = true;
        if (texts_has(&row->fuses, fuse))
            return true;
    }
    return false;
}

enum fuse_fit domains_fuse_fit(const struct domains *domains, const char *utility, double kva,
                               int volts, const char *fuse) {
    bool known = false, beside = false;
    // Both spellings of a half.
    const char *spelled = strcmp(fuse, "0,50H") == 0 ? "0,5H" : fuse;
    if (says(domains, utility, volts, kva, spelled, &known))
        return FUSE_FITS;
    if (!known)
        return FUSE_UNKNOWN;
    for (int up = 0; up <= 1; up++) {
        double other = next_power(domains, utility, volts, kva, up);
        if (other > 0 && says(domains, utility, volts, other, spelled, &beside))
            return FUSE_NEAR;
    }
    return FUSE_MISFIT;
}

const struct labels *domains_labels(const struct domains *domains) { return domains->labels; }
