// What is known of one photo or pole: eleven fields, each with where it comes from, and whether a
// person must look. Everything a stage says about a plate is said in these structs.
#pragma once

#include "base/buf.h"
#include "vision/geometry.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// What a detector calls the two things that are looked for.
#define CLASS_TRANSFORMER "placa_transformador"
#define CLASS_IDENTIFICATION "placa_identificacao" // the pole's own sign

enum field {
    FIELD_POTENCIA_KVA,      // rated power, kVA: "112.5"
    FIELD_FABRICANTE,        // manufacturer, as the list spells it: "ROMAGNOLE"
    FIELD_NUMERO_SERIE,      // serial number, as printed: "123456"
    FIELD_DATA_FABRICACAO,   // "2019-08", or "2019" when the plate says no month
    FIELD_ELO_FUSIVEL,       // fuse link: "5H"
    FIELD_TENSAO_PRIMARIA,   // highest tap, V: "13800"
    FIELD_TENSAO_SECUNDARIA, // V: "220/127"
    FIELD_FASES,             // "1", "2", "3"
    FIELD_AUTOPROTEGIDO,     // "true", "false"
    FIELD_PATRIMONIO,        // asset tag
    FIELD_REGISTRO,          // registration (INMETRO)
    FIELD_COUNT
};

const char *field_key(enum field field);  // "potencia_kva": the JSON key
bool field_is_always(enum field field);   // one that every plate says
enum field field_by_key(const char *key); // FIELD_COUNT: none

// Where a value comes from.
enum source { SOURCE_NONE, SOURCE_RULE, SOURCE_VLM, SOURCE_LLM, SOURCE_RECORDS };
const char *source_name(enum source source);

struct value {
    char text[64];    // normalised; "" = not known
    char raw[96];     // as it was read
    float confidence; // 0..1: its characters, and how it was found
    float characters; // of its least sure character; 0: not known
    float doubt;      // how likely its most doubtful character is another one; 0: not known
    struct box box;   // pixels of the upright photo; empty (x1 == x0): not known
    enum source source;
};

enum { REASONS_MAX = 16 };
struct reason {
    enum field field; // FIELD_COUNT: the plate as a whole
    char code[32];    // "low_confidence": stable, for programs
    char text[160];   // for people
};

struct plate {
    struct value values[FIELD_COUNT];
    struct reason reasons[REASONS_MAX]; // none: needs no review
    size_t reason_count;
};

bool plate_needs_review(const struct plate *plate);
const struct reason *plate_reason(const struct plate *plate,
                                  enum field field); // NULL: there is none
// The same code and field once only; past REASONS_MAX the last becomes "more".
void plate_add_reason(struct plate *plate, enum field field, const char *code, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));
// What another look at the same plate adds: fields that are missing, and those in doubt that it is
// sure of. Two values that differ are a reason to look (readings_differ).
void plate_add_look(struct plate *plate, const struct plate *other);
// The eleven keys, always all of them, null when not known; numbers as numbers (kVA, V, phases),
// autoprotegido as a boolean; then "_needs_review", "_reasons", "_fields" (confidence, box,
// source).
json_t *plate_json(const struct plate *plate);
// The same for people who want evidence: sets "fields" (key -> {value, confidence, box, source,
// raw, reasons}, all eleven), "_needs_review" and "review_reasons" in an object.
void plate_put_fields(const struct plate *plate, json_t *object);
// The same again from such an object: what was told, no more.
void plate_take_fields(struct plate *plate, const json_t *object);

// Tenths of a pixel and thousandths of a likelihood: what lies below says nothing.
json_t *plate_rounded(double value, double parts);
json_t *plate_box_json(const struct box *box);
