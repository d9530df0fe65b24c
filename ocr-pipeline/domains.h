// What the values of a nameplate can be: closed lists (ANEEL's BDGD tables and what utilities and
// plates add), makers, fuse tables, and the labels that announce them. Built in as data
// (domains_data.c, labels_data.c); a configuration adds to them (docs/ocr-domains.md).
#pragma once

#include "base/err.h"
#include "format/ini.h"
#include "labels.h"

#include <stdbool.h>
#include <stddef.h>

enum domain {
    DOMAIN_KVA,       // "112.5"
    DOMAIN_PRIMARY,   // V: "13800"; what the highest tap can be
    DOMAIN_TAP,       // V: what the other taps can be besides
    DOMAIN_SECONDARY, // "220/127", "220"
    DOMAIN_FUSE,      // "0,5H"
    DOMAIN_COUNT
};

struct domains;

struct domains *domains_create(void); // built-in tables, today's date
void domains_destroy(struct domains *domains);
// Adds what the sections [ocr.domains], [ocr.labels], [maker NAME] and [fuses NAME] say; others are
// left alone. ERR_INVALID names the line.
bool domains_extend(struct domains *domains, const struct ini *ini, struct err *err);
// Dates after it are no manufacturing dates.
void domains_set_today(struct domains *domains, int year, int month);
void domains_today(const struct domains *domains, int *year, int *month);

bool domain_has(const struct domains *domains, enum domain domain, const char *text);
// The one value that is one character away; NULL: none, or more than one.
const char *domain_near(const struct domains *domains, enum domain domain, const char *text);

// How a maker is written on plates. `alone`: a common word that counts only where it stands alone.
struct maker_name {
    const char *maker;    // as the field says it: "UNIÃO"
    const char *skeleton; // see normalise.h
    size_t length;
    bool alone;
};
const struct maker_name *domains_maker_names(const struct domains *domains, size_t *count);
// By the first eight digits of a CNPJ; NULL: not known.
const char *domains_maker_of_cnpj(const struct domains *domains, const char *root);

// What the fuse tables say of a power. `utility` NULL: all of them. They differ, so this is for
// warnings, never for values.
enum fuse_fit { FUSE_UNKNOWN, FUSE_FITS, FUSE_NEAR, FUSE_MISFIT };
// NEAR: right for the next smaller or larger power.
enum fuse_fit domains_fuse_fit(const struct domains *domains, const char *utility, double kva,
                               int volts, const char *fuse);

const struct labels *domains_labels(const struct domains *domains);

// The built-in tables (domains_data.c). Words of a text are parted by blanks, names by '|'; a name
// that begins with '=' counts only alone.
struct maker_data {
    const char *name, *names, *cnpj;
};
struct fuse_data {
    const char *utility;
    int volts_from, volts_to; // of the primary
    double kva;
    const char *fuses;
};
extern const char *const DOMAIN_DATA[DOMAIN_COUNT];
extern const struct maker_data MAKER_DATA[];
extern const size_t MAKER_DATA_COUNT;
extern const struct fuse_data FUSE_DATA[];
extern const size_t FUSE_DATA_COUNT;
