// Sections of the configuration that add to the tables; docs/ocr-domains.md has their grammar.
#include "domains_private.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool wrong(const struct ini_entry *entry, struct err *err, const char *what) {
    return err_set(err, ERR_INVALID, "line %u: %s = %s: %s", entry->line, entry->key, entry->value,
                   what);
}

// Commas part values, but a decimal comma stands between two digits: "0,7H" is one value.
static void split_list(const char *value, char *out, size_t size) {
    size_t count = 0;
    for (size_t i = 0; value[i] && count + 1 < size; i++) {
        bool decimal = i > 0 && is_digit(value[i - 1]) && is_digit(value[i + 1]);
        out[count++] =
            (value[i] == ',' && !decimal) || value[i] == ';' || value[i] == '\t' ? ' ' : value[i];
    }
    out[count] = '\0';
}

static void dots(char *text) {
    for (; *text; text++)
        if (*text == ',')
            *text = '.';
}

static const struct {
    const char *key;
    enum domain domain;
    bool number; // with a decimal point
} LISTS[] = {
    {"kva", DOMAIN_KVA, true},    {"primary-v", DOMAIN_PRIMARY, true},
    {"tap-v", DOMAIN_TAP, true},  {"secondary-v", DOMAIN_SECONDARY, false},
    {"fuse", DOMAIN_FUSE, false},
};

static bool extend_lists(struct domains *domains, const struct ini_section *section,
                         struct err *err) {
    for (size_t i = 0; i < section->count; i++) {
        const struct ini_entry *entry = &section->entries[i];
        char list[1024];
        size_t k = 0;
        while (k < sizeof LISTS / sizeof *LISTS && strcmp(LISTS[k].key, entry->key) != 0)
            k++;
        if (k == sizeof LISTS / sizeof *LISTS)
            return wrong(entry, err, "no such list: kva, primary-v, tap-v, secondary-v, fuse");
        split_list(entry->value, list, sizeof list);
        if (LISTS[k].number)
            dots(list);
        texts_add_words(&domains->lists[LISTS[k].domain], list);
    }
    return true;
}

static const struct {
    const char *key;
    enum concept concept;
} CONCEPTS[] = {
    {"potencia_kva", CONCEPT_POWER},
    {"fabricante", CONCEPT_MAKER},
    {"numero_serie", CONCEPT_SERIAL},
    {"data_fabricacao", CONCEPT_DATE},
    {"elo_fusivel", CONCEPT_FUSE},
    {"tensao_primaria_v", CONCEPT_PRIMARY},
    {"tensao_secundaria_v", CONCEPT_SECONDARY},
    {"fases", CONCEPT_PHASES},
    {"autoprotegido", CONCEPT_SELF_PROTECTED},
    {"patrimonio", CONCEPT_TAG},
    {"registro", CONCEPT_REGISTRATION},
    {"none", CONCEPT_NUMBER}, // its values are no field
};

// numero_serie = Nº FÁBRICA | MATRÍCULA
static bool extend_labels(struct domains *domains, const struct ini_section *section,
                          struct err *err) {
    for (size_t i = 0; i < section->count; i++) {
        const struct ini_entry *entry = &section->entries[i];
        size_t k = 0;
        while (k < sizeof CONCEPTS / sizeof *CONCEPTS && strcmp(CONCEPTS[k].key, entry->key) != 0)
            k++;
        if (k == sizeof CONCEPTS / sizeof *CONCEPTS)
            return wrong(entry, err, "no such field (one of the eleven keys, or none)");
        for (const char *p = entry->value; *p;) {
            char text[64];
            size_t length = strcspn(p, "|");
            snprintf(text, sizeof text, "%.*s", (int)length, p);
            if (!labels_add(domains->labels, text, CONCEPTS[k].concept))
                return wrong(entry, err, "a label has at least two letters");
            p += length + (p[length] == '|');
        }
    }
    return true;
}

static bool cnpj_root(const char *text, char root[9]) {
    size_t count = 0, digits = 0;
    for (; *text; text++) {
        if (is_digit(*text) && count < 8)
            root[count++] = *text;
        digits += is_digit(*text);
        if (!is_digit(*text) && !strchr("./- ", *text))
            return false;
    }
    root[count] = '\0';
    return count == 8 && (digits == 8 || digits == 14);
}

// [maker NAME] alias = ... ; cnpj = ...
static bool extend_maker(struct domains *domains, const struct ini_section *section,
                         const char *name, struct err *err) {
    domains_add_maker(domains, name, name, NULL);
    for (size_t i = 0; i < section->count; i++) {
        const struct ini_entry *entry = &section->entries[i];
        char root[9];
        if (strcmp(entry->key, "alias") == 0)
            domains_add_maker(domains, name, entry->value, NULL);
        else if (strcmp(entry->key, "cnpj") != 0)
            return wrong(entry, err, "a maker has alias and cnpj");
        else if (!cnpj_root(entry->value, root))
            return wrong(entry, err, "a CNPJ has 14 digits, its root 8");
        else
            domains_add_maker(domains, name, NULL, root);
    }
    return true;
}

static bool kva_of_key(const char *key, double *kva) {
    char *end;
    if (strncmp(key, "kva_", 4) != 0 || !is_digit(key[4]))
        return false;
    long whole = strtol(key + 4, &end, 10), fraction = 0;
    double scale = 1;
    if (*end == '.')
        for (end++; is_digit(*end); end++) {
            fraction = fraction * 10 + (*end - '0');
            scale *= 10;
        }
    *kva = (double)whole + (double)fraction / scale;
    return *end == '\0' && *kva > 0;
}

// [fuses NAME] volts = 13800 ; kva_112.5 = 5H 6K
static bool extend_fuses(struct domains *domains, const struct ini_section *section,
                         const char *utility, struct err *err) {
    struct fuse_data row = {utility, 6000, 36000, 0, NULL};
    for (size_t i = 0; i < section->count; i++) {
        const struct ini_entry *entry = &section->entries[i];
        char list[256];
        int64_t volts;
        if (strcmp(entry->key, "volts") == 0) {
            if (!str_to_int(entry->value, 1000, 100000, &volts))
                return wrong(entry, err, "a primary voltage in volts: 13800");
            row.volts_from = (int)(volts * 8 / 10); // taps
            row.volts_to = (int)(volts * 11 / 10);
            continue;
        }
        if (!kva_of_key(entry->key, &row.kva))
            return wrong(entry, err, "a fuse table has volts and kva_POWER (kva_112.5)");
        split_list(entry->value, list, sizeof list);
        row.fuses = list;
        domains_add_fuses(domains, &row);
    }
    return true;
}

bool domains_extend(struct domains *domains, const struct ini *ini, struct err *err) {
    for (size_t i = 0; i < ini->count; i++) {
        const struct ini_section *section = &ini->sections[i];
        bool good = true;
        if (strcmp(section->name, "ocr.domains") == 0)
            good = extend_lists(domains, section, err);
        else if (strcmp(section->name, "ocr.labels") == 0)
            good = extend_labels(domains, section, err);
        else if (str_starts(section->name, "maker "))
            good = extend_maker(domains, section, section->name + 6, err);
        else if (str_starts(section->name, "fuses "))
            good = extend_fuses(domains, section, section->name + 6, err);
        if (!good)
            return false;
    }
    return true;
}
