// What is said of how well plates were read: counts, rates with how sure they are, and whether two
// configurations differ. Arithmetic alone: no files, no clock, and chance with a fixed seed, so
// that the same answers give the same report.
//
// Photos are taken as independent of each other, the fields of one photo are not: rates of one
// field and of whole photos have Wilson's interval, rates over all fields are resampled by photos.
#pragma once

#include "plate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What became of one field of one photo.
enum outcome {
    OUTCOME_UNJUDGED, // the truth does not say
    OUTCOME_RIGHT,
    OUTCOME_EMPTY,    // the plate says nothing, and nothing was answered
    OUTCOME_WRONG,    // another value
    OUTCOME_MISSED,   // nothing, though the plate says something
    OUTCOME_INVENTED, // a value, though the plate says nothing
    OUTCOME_NONE,     // the plate says nothing, but the photo could not be read: no merit
    OUTCOME_COUNT
};
const char *outcome_name(enum outcome outcome); // "right"
bool outcome_is_good(enum outcome outcome);     // RIGHT or EMPTY
bool outcome_is_miss(enum outcome outcome);     // WRONG, MISSED or INVENTED

// What one configuration made of one photo.
struct eval_photo {
    enum outcome outcomes[FIELD_COUNT];
    bool doubted[FIELD_COUNT]; // there is a reason to look at this field
    bool reviewed;             // a person must look; so he must at a photo that could not be read
    bool failed;               // it could not be read
    double seconds;            // failed: not counted
};

struct rate {
    size_t hits, of;
    double value, low, high; // 0..1, the interval at 95 %; NAN when `of` is 0
};
struct mean {
    size_t count;
    double value, low, high; // the interval at 95 %; NAN when there are none
};

// Wilson's score interval (E. B. Wilson 1927, doi 10.1080/01621459.1927.10502953).
struct rate rate_wilson(size_t hits, size_t of);
// Of hits and cases that come in groups: the percentile bootstrap over the groups, or Wilson's
// interval where that is wider (all right of few is no certainty). At most 2^32 groups.
struct rate rate_grouped(const unsigned *hits, const unsigned *of, size_t groups);
struct mean mean_bootstrap(const double *values, size_t count); // percentile, 2000 resamples
// The value that a share of all is at most (nearest rank); reorders them. NAN: there are none.
double quantile(double *values, size_t count, double share);

// How likely it is that two that are equally good differ at least so much, of the cases where just
// one of them is right: McNemar's test, exact, two-sided. 1 when there is no such case.
double mcnemar_exact(size_t only_a, size_t only_b);
// Holm's correction for several tests at once, in place.
void holm(double *p, size_t count);

struct field_score {
    size_t counts[OUTCOME_COUNT];
    struct rate accuracy;  // right or rightly empty, of all that the truth tells
    struct rate precision; // right, of what was answered
    struct rate coverage;  // answered, of what the plates say
    struct rate recall;    // right, of what the plates say
    struct rate review;    // photos that ask to look at this field
};
struct score {
    struct field_score fields[FIELD_COUNT], all; // all.review: photos that ask for anything
    struct rate whole;                           // photos with no field that is not right
    struct rate told;       // wrong or invented values that are in photos to be looked at
    struct rate for_naught; // photos to be looked at, of those with all fields right
    size_t photos, failed;
    struct mean seconds;
    double seconds_median, seconds_p95;
};
void score_photos(struct score *out, const struct eval_photo *photos, size_t count);

struct contrast {
    size_t only_a, only_b; // cases where just this one is right
    double p;
    double p_holm; // of a field: among those that are judged
};
struct comparison {
    struct contrast fields[FIELD_COUNT];
    struct contrast all;   // fields of one photo taken as independent, which they are not quite
    struct contrast whole; // photos with all fields right
};
// The same photos in the same order. What either cannot judge is left out.
void score_compare(struct comparison *out, const struct eval_photo *a, const struct eval_photo *b,
                   size_t count);
