// What domains.c and domains_config.c share.
#pragma once

#include "domains.h"

struct texts {
    char **texts;
    size_t count, capacity;
};
void texts_add(struct texts *texts, const char *text, size_t length);
void texts_add_words(struct texts *texts, const char *words); // parted by blanks
bool texts_has(const struct texts *texts, const char *text);

struct fuse_row {
    char *utility;
    int volts_from, volts_to;
    double kva;
    struct texts fuses;
};

struct domains {
    int year, month; // today
    struct texts lists[DOMAIN_COUNT];
    struct texts makers, roots; // side by side; a root "": none
    struct maker_name *names;
    size_t name_count, name_capacity;
    struct fuse_row *fuses;
    size_t fuse_count, fuse_capacity;
    struct labels *labels;
};

// The maker's name as the field says it, which lives as long as the domains. `names` and `cnpj` may
// be NULL; `cnpj` is the root's eight digits.
const char *domains_add_maker(struct domains *domains, const char *maker, const char *names,
                              const char *cnpj);
void domains_add_fuses(struct domains *domains, const struct fuse_data *row);
