#include "plate_example.h"

static const struct example LAYOUTS[] = {
    {"label and value in one line",
     "ROMAGNOLE\n"
     "TRANSFORMADOR DE DISTRIBUIÇÃO\n"
     "POTÊNCIA: 75 kVA        Nº DE SÉRIE: 123456\n"
     "FASES: 3                DATA FABR.: 08/2019\n"
     "TENSÃO PRIMÁRIA: 13800/13200/12600 V\n"
     "TENSÃO SECUNDÁRIA: 220/127 V\n"
     "ELO FUSÍVEL: 3H         FREQUÊNCIA: 60 Hz\n"
     "PATRIMÔNIO: 0045678     REG. INMETRO: 001234/2018\n",
     "potencia_kva=75; fabricante=ROMAGNOLE; numero_serie=123456; data_fabricacao=2019-08; "
     "elo_fusivel=3H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3; "
     "patrimonio=0045678; registro=001234/2018",
     ""},
    {"label and value apart",
     "WEG        TRANSFORMADOR TRIFASICO\n"
     "POTENCIA            112,5 kVA     SERIE No      1012345678\n"
     "ANO DE FABRICACAO   2016          FASES         3\n"
     "AT                  13,8 kV       BT            380/220 V\n"
     "ELO                 5H            MASSA TOTAL   520 kg\n",
     "potencia_kva=112.5; fabricante=WEG; numero_serie=1012345678; data_fabricacao=2016; "
     "elo_fusivel=5H; tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"label above value",
     "TRAEL TRANSFORMADORES\n"
     "POTÊNCIA (kVA)     Nº SÉRIE          DATA\n"
     "45                 87654-3           MAI/2012\n"
     "TENSÃO AT (V)      TENSÃO BT (V)     Nº FASES\n"
     "13800              220/127           3\n"
     "IMPEDÂNCIA %       ÓLEO              MASSA\n"
     "3,5                75 L              300 kg\n",
     "potencia_kva=45; fabricante=TRAEL; numero_serie=87654-3; data_fabricacao=2012-05; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"a row of labels and one of values, each read as one line",
     "ITAM\n"
     "POTENCIA (kVA)   TENSAO PRIMARIA (V)   TENSAO SECUNDARIA (V)\n"
     "75               34500                 380/220\n",
     "potencia_kva=75; fabricante=ITAM; tensao_primaria_v=34500; tensao_secundaria_v=380/220; "
     "fases=3",
     "fases:unlabelled"},
    {"taps in a table",
     "COMTRAFO\n"
     "kVA 30       Nº FABR. 4455      FASES 3\n"
     "TENSÃO PRIMÁRIA              TENSÃO INFERIOR\n"
     "POS.    VOLTS    LIGAÇÃO     220/127 V\n"
     "1       13800    10-7\n"
     "2       13200    7-4\n"
     "3       12600    4-13\n",
     "potencia_kva=30; fabricante=COMTRAFO; numero_serie=4455; tensao_primaria_v=13800; "
     "tensao_secundaria_v=220/127; fases=3",
     ""},
    {"one phase, self-protected",
     "BALESTRO\n"
     "TRANSFORMADOR MONOFÁSICO AUTOPROTEGIDO\n"
     "POT. 15 kVA          N/S 99231\n"
     "T.S. 7.967 V         T.I. 440/220 V\n"
     "FAB. 14MAI16         Z 75 °C 2,5 %\n",
     "potencia_kva=15; fabricante=BALESTRO; numero_serie=99231; data_fabricacao=2016-05; "
     "tensao_primaria_v=7967; tensao_secundaria_v=440/220; fases=1; autoprotegido=true",
     ""},
    {"labels that were not read right",
     "R0MAGNOLE\n"
     "POTENC1A: 75 KVA     N° DE SERlE: 123456\n"
     "TENSA0 PRlMARlA: 13800 V     TENSA0 SECUNDARlA: 220/127 V\n"
     "EL0 FUSIVEI: 3H     DATA FABRICACA0: 08/2019\n",
     "potencia_kva=75; fabricante=ROMAGNOLE; numero_serie=123456; data_fabricacao=2019-08; "
     "elo_fusivel=3H; tensao_primaria_v=13800; tensao_secundaria_v=220/127",
     ""},
    {"one column of labels, one of values, far apart",
     "TUSCO\n"
     "POTÊNCIA NOMINAL ..................... 150 kVA\n"
     "NÚMERO DE SÉRIE                        20145\n"
     "TENSÃO SUPERIOR                        13.800 V\n"
     "TENSÃO INFERIOR                        220 / 127 V\n"
     "NÚMERO DE FASES                        3\n"
     "VOLUME DE ÓLEO                         160 L\n",
     "potencia_kva=150; fabricante=TUSCO; numero_serie=20145; tensao_primaria_v=13800; "
     "tensao_secundaria_v=220/127; fases=3",
     ""},
    {"the unit stands apart from its number",
     "CEMEC\n"
     "POTÊNCIA      300    kVA\n"
     "ALTA TENSÃO   23,1   kV\n"
     "BAIXA TENSÃO  220/127   V\n",
     "potencia_kva=300; fabricante=CEMEC; tensao_primaria_v=23100; tensao_secundaria_v=220/127; "
     "fases=3",
     "fases:unlabelled"},
    {"the number sign runs into the label, or is none",
     "SÉRIENº: C4250     FABRICAÇÃO: NOV/05\nPOTÊNCIA EM kVA: 45\n",
     "potencia_kva=45; numero_serie=C4250; data_fabricacao=2005-11", ""},
    {"a serial number that begins as a label does", "SÉRIE: N4214\nNº PATRIMÔNIO: MT-58947\n",
     "numero_serie=N4214; patrimonio=MT-58947", ""},
    {"both voltages beside one label", "POTÊNCIA: 75 kVA     TENSÕES AT/BT: 13,8 kV / 220-127 V\n",
     "potencia_kva=75; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     "fases:unlabelled"},
    {"values far right in their cells",
     "POTÊNCIA             Nº SÉRIE             ELO FUSÍVEL\n"
     "          75 kVA               123456               3H\n"
     "MASSA                ÓLEO                 NBI\n"
     "          300 kg               75 L                 95 kV\n",
     "potencia_kva=75; numero_serie=123456; elo_fusivel=3H", ""},
    {"self-protection as a question", "POTÊNCIA: 10 kVA     AUTOPROTEGIDO: NÃO\n",
     "potencia_kva=10; autoprotegido=false", ""},
    {"a fuse read with a letter for its digit", "ELO FUSÍVEL: SH     POTÊNCIA: 112,5 kVA\n",
     "potencia_kva=112.5; elo_fusivel=5H", ""},
};

// Nothing of this is a field.
static const struct example DECOYS[] = {
    {"what else a plate says",
     "MASSA TOTAL: 450 kg        VOLUME DE ÓLEO: 75 L\n"
     "NBI: 95 kV                 IMPEDÂNCIA 75 °C: 3,50 %\n"
     "PERDAS VAZIO/TOTAL: 150/750 W      ELEV. TEMP. ÓLEO/ENROL.: 50/55 °C\n"
     "NORMA: NBR 5440/2014       FREQUÊNCIA: 60 Hz\n"
     "DESENHO Nº: 12345-A        TIPO: TDA-13\n"
     "CLASSE: 15 kV              PEDIDO: 1234567\n"
     "CNPJ 12.345.678/0001-90    CORRENTE AT 3,14 A\n",
     "", ""},
    {"labels of one row, decoys of the next",
     "MASSA (kg)    ÓLEO (L)    NBI (kV)    IMPEDÂNCIA (%)\n"
     "225           75          95          4,5\n",
     "", ""},
    {"a meter's face", "00450\nkWh\nMEDIDOR ELETRÔNICO\nNº 12345678\n120 V 15(120)A 60 Hz\n", "",
     ""},
    {"pole, telecom, warning",
     "POSTE Nº\n123456\n\n\nFIBRANET\n0800 123 4567\nCTO 12-3456\n\n\nPERIGO\nALTA TENSÃO\n", "",
     "tensao_primaria_v:no_value"},
};

// Values that a person must look at; a doubt is never silent.
static const struct example DOUBTS[] = {
    {"a bracket that may be a digit", "POTÊNCIA: (50 KVA\n", "potencia_kva=50",
     "potencia_kva:repaired"},
    {"sixty of what", "POTÊNCIA: 60\n", "potencia_kva=60", "potencia_kva:ambiguous"},
    {"a table whose first row was not read",
     "TENSÃO PRIMÁRIA\n"
     "POS.    VOLTS    LIGAÇÃO\n"
     "2       13200    7-4\n"
     "3       12600    4-13\n",
     "tensao_primaria_v=13200", "tensao_primaria_v:repaired"},
    {"a serial number's label over a registration", "Nº DE SÉRIE\n001877/2015\n",
     "numero_serie=001877/2015", "numero_serie:ambiguous"},
    {"a month in words that was not read right", "FABRICADO EM SETEMRO DE 2013\n",
     "data_fabricacao=2013", "data_fabricacao:repaired"},
    {"a stroke without what was before it", "TENSÃO BT: / 127 V\n", "",
     "tensao_secundaria_v:no_value"},
    {"a power one character off the list", "POTÊNCIA: 112,6 kVA\n", "potencia_kva=112.5",
     "potencia_kva:suggested"},
    {"a power that is none", "POTÊNCIA: 9431 kVA\n", "potencia_kva=9431",
     "potencia_kva:out_of_domain"},
    {"two different serial numbers", "Nº DE SÉRIE: 123456\nSÉRIE: 987654\n", "numero_serie=123456",
     "numero_serie:ambiguous"},
    {"a date to come", "DATA FABR.: 08/2035\n", "",
     "data_fabricacao:date_implausible; "
     "data_fabricacao:no_value"},
    {"a letter among a serial's digits", "Nº DE SÉRIE: 12O456\n", "numero_serie=12O456",
     "numero_serie:doubtful_letter"},
    {"a label without its value", "POTÊNCIA: 75 kVA\nNº DE SÉRIE:\n", "potencia_kva=75",
     "numero_serie:no_value"},
    {"a guess that may have the number's first letter", "POTÊNCIA: 75 kVA\nXERIE123456\n",
     "potencia_kva=75; numero_serie=123456", "numero_serie:label_unsure"},
    {"numbers without labels", "POTÊNCIA: 75 kVA\n\n\n\n54475\n\n\n\n003504/2013\n",
     "potencia_kva=75; numero_serie=54475; registro=003504/2013",
     "numero_serie:unlabelled; registro:unlabelled"},
    {"a date and links without labels", "POTÊNCIA: 75 kVA\n\n\n\n4-13\n\n\n\n04/13\n",
     "potencia_kva=75; data_fabricacao=2013-04", "data_fabricacao:unlabelled"},
    {"of numbers without labels the longest is the tag",
     "POTÊNCIA: 75 kVA     SÉRIE: 1234\n\n\n\n22242\n\n\n\n84444159\n",
     "potencia_kva=75; numero_serie=1234; patrimonio=84444159", "patrimonio:unlabelled"},
    {"a pair one character off the list", "TENSÃO INFERIOR: 880/220 V\n",
     "tensao_secundaria_v=380/220", "tensao_secundaria_v:suggested"},
    {"a date of which a part is missing", "DATA FABR.: 0/2002\n", "data_fabricacao=2002",
     "data_fabricacao:repaired"},
    {"a first tap that was torn", "TENSÃO PRIMÁRIA: 1919-19053-18187 V\n",
     "tensao_primaria_v=19053", "tensao_primaria_v:repaired"},
    {"a fuse that nobody labels", "POTÊNCIA: 75 kVA\n\n\n15K\n", "potencia_kva=75; elo_fusivel=15K",
     "elo_fusivel:unlabelled"},
};

static void layouts_of_plates(void **state) {
    (void)state;
    check_examples(LAYOUTS, COUNT(LAYOUTS));
}

static void decoys_are_no_fields(void **state) {
    (void)state;
    check_examples(DECOYS, COUNT(DECOYS));
}

static void doubts_are_told(void **state) {
    (void)state;
    check_examples(DOUBTS, COUNT(DOUBTS));
}

// What the recogniser's second choice for one character makes of a power.
static void second_choices(void **state) {
    (void)state;
    static const struct {
        const char *text, *second, *values, *reasons;
        float confidence;
        size_t at;
    } CASES[] = {
        {"309 KVA", "0", "potencia_kva=300", "", .2f, 2},
        {"309 KVA", "0", "potencia_kva=309", "potencia_kva:out_of_domain", .01f, 2},
        {"15 KVA", "7", "potencia_kva=15", "potencia_kva:doubtful_letter", .3f, 0},
        {"15 KVA", "8", "potencia_kva=15", "", .3f, 0},
    };
    struct domains *domains = domains_create();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct text_char chars[8] = {0};
        struct drawing drawing;
        struct plate plate = {0};
        char values[256], reasons[256];
        draw(&drawing, CASES[i].text);
        for (size_t k = 0; k < strlen(CASES[i].text); k++)
            chars[k] = (struct text_char){.text = {CASES[i].text[k]}, .confidence = .9f};
        snprintf(chars[CASES[i].at].second, sizeof chars->second, "%s", CASES[i].second);
        chars[CASES[i].at].second_confidence = CASES[i].confidence;
        drawing.lines[0].chars = chars;
        drawing.lines[0].char_count = strlen(CASES[i].text);
        rules_read(&plate, drawing.lines, drawing.count, domains);
        values_text(&plate, values, sizeof values);
        reasons_text(&plate, reasons, sizeof reasons);
        assert_string_equal(values, CASES[i].values);
        assert_string_equal(reasons, CASES[i].reasons);
        drawing_fini(&drawing);
    }
    domains_destroy(domains);
}

// Turned as a camera held askew: the rows still pair.
static void a_plate_askew(void **state) {
    (void)state;
    static struct drawing drawing;
    struct plate plate = {0};
    char values[1024];
    struct domains *domains = domains_create();
    draw(&drawing, LAYOUTS[2].picture);
    for (size_t i = 0; i < drawing.count; i++)
        for (size_t k = 0; k < 4; k++) {
            struct point *p = &drawing.lines[i].quad.corners[k];
            *p = (struct point){p->x * .97f - p->y * .24f, p->x * .24f + p->y * .97f};
            drawing.lines[i].upright = drawing.lines[i].quad;
        }
    rules_read(&plate, drawing.lines, drawing.count, domains);
    values_text(&plate, values, sizeof values);
    assert_string_equal(values, LAYOUTS[2].values);
    drawing_fini(&drawing);
    domains_destroy(domains);
}

static void nothing_to_read(void **state) {
    (void)state;
    struct plate plate = {0};
    struct domains *domains = domains_create();
    rules_read(&plate, NULL, 0, domains);
    for (int i = 0; i < FIELD_COUNT; i++)
        assert_string_equal(plate.values[i].text, "");
    assert_false(plate_needs_review(&plate));
    domains_destroy(domains);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layouts_of_plates), cmocka_unit_test(decoys_are_no_fields),
        cmocka_unit_test(doubts_are_told),   cmocka_unit_test(a_plate_askew),
        cmocka_unit_test(nothing_to_read),   cmocka_unit_test(second_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
