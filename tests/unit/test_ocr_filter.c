#include "domains.h"
#include "filter.h"
#include "plate_draw.h"
#include "rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

#define PLATE                                                                                      \
    "ROMAGNOLE\n"                                                                                  \
    "POTÊNCIA: 75 kVA        Nº DE SÉRIE: 123456\n"                                             \
    "FASES: 3                DATA FABR.: 08/2019\n"                                                \
    "TENSÃO SECUNDÁRIA: 220/127 V\n"

// One letter a line of the drawing: n nameplate, m meter, p pole, t telecom, o other.
static const struct {
    const char *name, *picture, *classes;
} SCENES[] = {
    {"a plate alone", PLATE, "nnnnnn"},
    {"a plate above a meter",
     PLATE "\n\n\n\n\n00450\nkWh\nMEDIDOR ELETRÔNICO\nNº 12345678\n120 V 15(120)A 60 Hz\n",
     "nnnnnnmmmmm"},
    {"an inspector's tag with a date of its own",
     PLATE "\n\n\n\nINSPEÇÃO\nDATA 12/03/2024\nOS 1234567\nEQUIPE 07\n", "nnnnnnoooo"},
    {"a telecom company's tag",
     PLATE "\n\n\n\n\nFIBRANET\nCABO ÓPTICO\n0800 123 4567\nCTO 12-3456\n", "nnnnnntttt"},
    {"a pole's sign", PLATE "\n\n\n\n\n\n\nCEMIG\n\n123456\n", "nnnnnnpp"},
    {"a column far to the right",
     "POTÊNCIA: 75 kVA                  Nº DE SÉRIE: 123456\n"
     "FASES: 3                          DATA FABR.: 08/2019\n"
     "ELO: 3H                           TENSÃO AT: 13800 V\n",
     "nnnnnn"},
    {"a tag that begins as a number to call does",
     "POT. 10 kVA      SÉRIE           59337-3\n"
     "FASES 1          ELO             1H\n"
     "ANO 2014         PATR.           0800215\n"
     "AT 13,8 kV       BT              220 V\n",
     "nnnnnnnnnnnn"},
    {"a plate of which only the head was read right",
     "WEG   TRANSFORMADOR DE DISTRIBUIÇÃO\n\n\nP0FFNCA\n45\n\n\n      123456\n", "nnnnn"},
    {"values alone, their labels and most of the head were not read right",
     "LUMAO\n\n3531723\n132 kg\n40 L\n014121/2013\n0,5H\n", "nnnnnn"},
    {"losses and a low voltage, where a plate's head was not read", "83/381 W\n08/2012\n380/220\n",
     "nnn"},
    {"a polarity and a low voltage, the same", "440/220V\n48206474\nSUBTRATIV\n", "nnn"},
    {"a pole's sign alone", "POSTE Nº\n\n123456\n", "pp"},
    {"a warning, which is no plate's high voltage", "PERIGO\nALTA TENSÃO\n13.800 VOLTS\n", "ooo"},
    {"a meter alone", "00450\nkWh\nMEDIDOR ELETRÔNICO\nNº 12345678\n", "mmmm"},
    {"a warning close below the plate's text", PLATE "CUIDADO: NÃO OPERE O COMUTADOR SOB TENSÃO\n",
     "nnnnnno"},
    {"a warning close above the plate's head",
     "PERIGO\nRISCO DE CHOQUE\n"
     "BALESTRO  TRANSFORMADOR MONOFÁSICO\n"
     "240/120 V\n720489-2\n",
     "oonnnn"},
    {"two words of high voltage, and a maker's name with little below it",
     "ALTA TENSÃO\n\n\n\n\n\n\n\n\nBALESTRO\n75612\n", "onn"},
    {"the head some way above its body",
     "ITAM  TRANSFORMADOR DE DISTRIBUIÇÃO\n\n\n\n\n\n\n\n\n"
     "FUSÍVEL 2H\nTENSÃO BT: 254/127 V\nMODELO TMB-19\n",
     "nnnnn"},
    {"a column of taps beside a plate, nothing but the voltage known",
     "POTÊNCIA: 75 kVA\n"
     "FASES: 3            ons\n"
     "ELO: 3H             13800\n",
     "nnnnn"},
};

// The same beside the box of a detector that is sure.
static const struct {
    const char *name, *picture;
    struct box box;
    const char *classes;
} BOXED[] = {
    {"a telecom company's tag at the side of a plate that was hardly read",
     "FIBRANET       PIEFMES   3\n"
     "CABO ÓPTICO    EP        82200-E\n"
     "0800 123 4567  03/2010   8H\n",
     {140, 0, 400, 100},
     "tnntnntnn"},
    {"a maker's name above the box", "WEG\n\n" PLATE, {0, 45, 500, 200}, "nnnnnnn"},
};

static void check(const struct domains *domains, const char *name, const char *picture,
                  const struct filter_context *context, const char *expected) {
    static struct drawing drawing;
    enum text_class classes[DRAWN_MAX];
    char letters[DRAWN_MAX + 1] = "";
    draw(&drawing, picture);
    filter_classify(drawing.lines, drawing.count, context, domains, classes);
    for (size_t i = 0; i < drawing.count; i++)
        letters[i] = text_class_name(classes[i])[0];
    drawing_fini(&drawing);
    if (strcmp(letters, expected) != 0)
        print_error("%s\n", name);
    assert_string_equal(letters, expected);
}

static void scenes(void **state) {
    (void)state;
    struct domains *domains = domains_create();
    for (size_t i = 0; i < COUNT(SCENES); i++)
        check(domains, SCENES[i].name, SCENES[i].picture, NULL, SCENES[i].classes);
    for (size_t i = 0; i < COUNT(BOXED); i++) {
        const struct filter_context context = {CONTEXT_TRANSFORMER, BOXED[i].box};
        check(domains, BOXED[i].name, BOXED[i].picture, &context, BOXED[i].classes);
    }
    domains_destroy(domains);
}

// The detector's box decides where words do not: a second plate outside of it is not read.
static void the_box_of_the_detector(void **state) {
    (void)state;
    static struct drawing drawing;
    enum text_class classes[DRAWN_MAX];
    struct text_line kept[DRAWN_MAX];
    struct domains *domains = domains_create();
    const struct filter_context context = {CONTEXT_TRANSFORMER, {0, 0, 500, 130}};
    draw(&drawing, PLATE "\n\n\n\nPOTÊNCIA: 45 kVA\nNº DE SÉRIE: 777777\n");
    filter_classify(drawing.lines, drawing.count, &context, domains, classes);
    assert_int_equal(filter_keep(drawing.lines, classes, drawing.count, TEXT_NAMEPLATE, kept), 6);
    assert_int_equal(classes[6], TEXT_OTHER);
    // A sign of a pole: what is in its box is the pole's.
    const struct filter_context pole = {CONTEXT_POLE, {0, 0, 200, 60}};
    drawing_fini(&drawing);
    draw(&drawing, "AB 1234\n");
    filter_classify(drawing.lines, drawing.count, &pole, domains, classes);
    assert_int_equal(classes[0], TEXT_POLE);
    drawing_fini(&drawing);
    domains_destroy(domains);
}

static void no_lines(void **state) {
    (void)state;
    struct domains *domains = domains_create();
    filter_classify(NULL, 0, NULL, domains, NULL);
    domains_destroy(domains);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenes),
        cmocka_unit_test(the_box_of_the_detector),
        cmocka_unit_test(no_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
