#include "audit.h"

#include "normalise.h"
#include "number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct audit_options audit_defaults = {
    .characters_least = .5f, .listed_least = .4f, .confidence_least = .35f};

static const char *text_of(const struct plate *plate, enum field field) {
    return plate->values[field].text;
}

static bool has(const struct plate *plate, enum field field) {
    return text_of(plate, field)[0] != '\0';
}

// 0: not known.
static double number_of(const struct plate *plate, enum field field) {
    return number_of_text(text_of(plate, field));
}

static void check_domains(struct plate *plate, const struct domains *domains) {
    static const struct {
        enum field field;
        enum domain domain;
    } LISTS[] = {
        {FIELD_POTENCIA_KVA, DOMAIN_KVA},
        {FIELD_TENSAO_PRIMARIA, DOMAIN_PRIMARY},
        {FIELD_TENSAO_SECUNDARIA, DOMAIN_SECONDARY},
        {FIELD_ELO_FUSIVEL, DOMAIN_FUSE},
    };
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++)
        if (has(plate, LISTS[i].field) &&
            !domain_has(domains, LISTS[i].domain, text_of(plate, LISTS[i].field)))
            plate_add_reason(plate, LISTS[i].field, "out_of_domain", "\"%s\" is no usual value",
                             text_of(plate, LISTS[i].field));
    const char *phases = text_of(plate, FIELD_FASES);
    if (*phases && (phases[1] || *phases < '1' || *phases > '3'))
        plate_add_reason(plate, FIELD_FASES, "out_of_domain", "\"%s\" is no number of phases",
                         phases);
}

static void check_confidence(struct plate *plate, const struct audit_options *options) {
    for (int i = 0; i < FIELD_COUNT; i++) {
        const struct value *value = &plate->values[i];
        if (!value->text[0])
            continue;
        bool open = i == FIELD_NUMERO_SERIE || i == FIELD_PATRIMONIO || i == FIELD_REGISTRO;
        float least = open ? options->characters_least : options->listed_least;
        bool read = value->characters > 0 && value->characters < least;
        if (read || value->confidence < options->confidence_least)
            plate_add_reason(plate, (enum field)i, "low_confidence",
                             "\"%s\" was read with %.0f %% certainty", value->raw,
                             100.0 * (double)(read ? value->characters : value->confidence));
    }
}

// The fuse carries the rated current: tables choose between about half of it and twice as much.
// What is beyond a factor of four either way no table has.
static bool is_gross(const struct plate *plate, double kva, double volts) {
    double phases = number_of(plate, FIELD_FASES);
    double amperes = kva * 1000 / (volts * (phases == 1 || phases == 2 ? 1 : sqrt(3)));
    double rated = 0, scale = 1;
    const char *p = text_of(plate, FIELD_ELO_FUSIVEL);
    for (; is_digit(*p); p++)
        rated = rated * 10 + (*p - '0');
    if (*p == ',')
        for (p++; is_digit(*p); p++)
            rated += (*p - '0') * (scale /= 10);
    return rated > 0 && (rated < amperes / 4.5 || rated > amperes * 4);
}

static void check_fuse(struct plate *plate, const struct audit_options *options,
                       const struct domains *domains) {
    double kva = number_of(plate, FIELD_POTENCIA_KVA);
    double volts = number_of(plate, FIELD_TENSAO_PRIMARIA);
    const char *fuse = text_of(plate, FIELD_ELO_FUSIVEL);
    if (!*fuse || kva <= 0)
        return;
    enum fuse_fit fit = domains_fuse_fit(domains, options->fuse_utility, kva, (int)volts, fuse);
    bool strict = options->fuse_utility && fit == FUSE_MISFIT;
    bool gross = fit != FUSE_FITS && fit != FUSE_NEAR && volts > 0 && is_gross(plate, kva, volts);
    if (strict || gross)
        plate_add_reason(plate, FIELD_ELO_FUSIVEL, "fuse_mismatch",
                         "%s is no fuse for %s kVA at %s V", fuse,
                         text_of(plate, FIELD_POTENCIA_KVA),
                         volts > 0 ? text_of(plate, FIELD_TENSAO_PRIMARIA) : "?");
}

static bool is_one_of(double value, const double *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (fabs(list[i] - value) < .01)
            return true;
    return false;
}

// "220/127" is a three-phase pair (its ratio is the root of 3), "440/220" a single-phase one; 7967
// V is from a phase to earth; 112.5 kVA are three phases.
static void check_phases(struct plate *plate) {
    static const double EARTH[] = {6930, 7960, 7967, 19053, 19919}, SINGLE[] = {3, 5, 37.5};
    const char *low = text_of(plate, FIELD_TENSAO_SECUNDARIA), *stroke = strchr(low, '/');
    double phases = number_of(plate, FIELD_FASES), kva = number_of(plate, FIELD_POTENCIA_KVA);
    double high = number_of(plate, FIELD_TENSAO_PRIMARIA);
    const char *what = NULL;
    if (phases <= 0)
        return;
    if (stroke) {
        double ratio = (double)strtol(low, NULL, 10) / (double)strtol(stroke + 1, NULL, 10);
        if ((phases == 3 && ratio > 1.9) || (phases == 1 && ratio < 1.8))
            what = low;
    }
    if (phases == 3 && is_one_of(high, EARTH, sizeof EARTH / sizeof *EARTH))
        what = text_of(plate, FIELD_TENSAO_PRIMARIA);
    if ((phases == 1 && kva > 100) ||
        (phases == 3 && is_one_of(kva, SINGLE, sizeof SINGLE / sizeof *SINGLE)))
        what = text_of(plate, FIELD_POTENCIA_KVA);
    if (what)
        plate_add_reason(plate, FIELD_FASES, "phases_mismatch", "%s phases do not go with \"%s\"",
                         text_of(plate, FIELD_FASES), what);
}

// "380" of three phases: the voltage to earth behind it was not read.
static void check_secondary(struct plate *plate) {
    const char *low = text_of(plate, FIELD_TENSAO_SECUNDARIA);
    if (*low && !strchr(low, '/') &&
        (number_of(plate, FIELD_FASES) == 3 || strcmp(low, "380") == 0))
        plate_add_reason(plate, FIELD_TENSAO_SECUNDARIA, "ambiguous",
                         "\"%s\" may be the first of two voltages", low);
}

// The year after a stroke: "12345/2019". 0: none.
static long year_after(const char *text) {
    const char *stroke = strrchr(text, '/');
    if (!stroke || strlen(stroke) != 5)
        return 0;
    char *end;
    long year = strtol(stroke + 1, &end, 10);
    return *end == '\0' && year >= 1950 && year <= 2099 ? year : 0;
}

bool audit_misses(const struct plate *plate) {
    for (int i = 0; i < FIELD_COUNT; i++)
        if (field_is_always((enum field)i) && !has(plate, (enum field)i))
            return true;
    return false;
}

// Where one of these was not read, more is likely to be missing.
static void check_missing(struct plate *plate) {
    size_t known = 0;
    for (int i = 0; i < FIELD_COUNT; i++)
        known += has(plate, (enum field)i);
    for (int i = 0; i < FIELD_COUNT && known > 0; i++)
        if (field_is_always((enum field)i) && !has(plate, (enum field)i))
            plate_add_reason(plate, (enum field)i, "no_value",
                             "every plate says it, it was not read");
}

static void check_years(struct plate *plate) {
    long made = has(plate, FIELD_DATA_FABRICACAO)
                    ? strtol(text_of(plate, FIELD_DATA_FABRICACAO), NULL, 10)
                    : 0;
    long serial = year_after(text_of(plate, FIELD_NUMERO_SERIE));
    if (made && serial && labs(made - serial) > 1)
        plate_add_reason(plate, FIELD_DATA_FABRICACAO, "date_mismatch",
                         "the serial number says %ld, the date %ld", serial, made);
}

void audit_plate(struct plate *plate, enum identification identification,
                 const struct audit_options *options, const struct domains *domains) {
    const struct audit_options *o = options ? options : &audit_defaults;
    check_domains(plate, domains);
    check_confidence(plate, o);
    check_fuse(plate, o, domains);
    check_phases(plate);
    check_secondary(plate);
    check_years(plate);
    check_missing(plate);
    if (identification == IDENTIFICATION_MISSING && has(plate, FIELD_FABRICANTE))
        plate_add_reason(plate, FIELD_FABRICANTE, "no_identification",
                         "a maker was read, but no placa_identificacao was seen");
}
