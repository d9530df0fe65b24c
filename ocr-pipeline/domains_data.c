#include "domains.h"

// ANEEL BDGD: TPOTAPRT, TTEN, TCAPELFU; taps and secondaries as Neoenergia's and Equatorial's
// standards have them.
const char *const DOMAIN_DATA[DOMAIN_COUNT] = {
    [DOMAIN_KVA] = "3 5 7.5 10 15 20 22.5 25 30 35 37.5 38.1 40 45 50 60 75 76.2 88 100 112.5 "
                   "114.3 120 138 150 167 175 180 200 207 225 250 276 288 300 332 333 400 414 432 "
                   "500 509 667 750 833 1000 1250 1500 1750 2000 2250 2500 3000 3300 3750 4000 "
                   "4500 5000",
    [DOMAIN_PRIMARY] = "6600 6930 7960 7967 8670 11000 11400 11900 12000 12600 12700 13200 13337 "
                       "13530 13800 13860 14400 19053 19919 20000 21000 22000 23000 23100 24200 "
                       "25000 33000 34500",
    [DOMAIN_TAP] =
        "6582 6928 7044 7270 7275 7500 7505 7620 7621 7736 10200 10500 10800 10850 11100 "
        "12300 12870 12900 12935 13350 13500 13650 18187 18475 20900 21450 21850 22275 "
        "22550 22700 31050 31500 32200 32500 32775 33500 33637 33750",
    [DOMAIN_SECONDARY] = "220/127 380/220 440/220 254/127 240/120 230/115 440/254 208/120 220/110 "
                         "127 220 254 380 440 115 120 230 240",
    [DOMAIN_FUSE] =
        "0,25H 0,4H 0,5H 0,50H 0,8H 1H 2H 3H 5H 8H 10H 1K 2K 3K 5K 6K 8K 10K 12K 15K 20K 25K 30K "
        "40K 50K 60K 65K 75K 80K 100K 140K 200K 1T 2T 3T 5T 6T 8T 10T 12T 15T 20T 25T 30T 40T 50T "
        "60T 65T 80T 100T 1EF 40EF 65EF 80EF 100EF 10F LAM DIR S/C",
};

// The tax number's root was checked against public invoices' data where there is one; what is
// missing a configuration can say.
const struct maker_data MAKER_DATA[] = {
    {"ROMAGNOLE", "ROMAGNOLE", NULL},
    {"WEG", "WEG", "07175725"},
    {"TRAEL", "TRAEL", NULL},
    {"ITAM", "ITAM", NULL},
    {"ITB", "ITB", NULL},
    {"COMTRAFO", "COMTRAFO", NULL},
    {"SIEMENS", "SIEMENS", NULL},
    {"ABB", "ABB|ASEA BROWN BOVERI", NULL},
    {"HITACHI ENERGY", "HITACHI ENERGY|HITACHI ABB|HITACHI", NULL},
    {"TOSHIBA", "TOSHIBA", NULL},
    {"UNIÃO", "=UNIAO|UNIAO TRANSFORMADORES|TRANSFORMADORES UNIAO", NULL},
    {"TRAFO", "=TRAFO|TRAFO EQUIPAMENTOS|TRAFO S A|TRAFO SA|TRAFO LTDA", NULL},
    {"CEMEC", "CEMEC", NULL},
    {"BALESTRO", "BALESTRO", NULL},
    {"ADELCO", "ADELCO", NULL},
    {"ITAIPU", "ITAIPU", NULL},
    {"TUSCO", "TUSCO", NULL},
    {"ZILMER", "ZILMER", NULL},
    {"WALTEC", "WALTEC", NULL},
    {"MINUZZI", "MINUZZI", NULL},
    {"SOLTRAN", "SOLTRAN", NULL},
    {"BRASTRAFO", "BRASTRAFO|BRASTRAFO DO BRASIL", NULL},
    {"GE", "=GE|GENERAL ELECTRIC", NULL},
    {"ALSTOM", "ALSTOM", NULL},
    {"SCHNEIDER", "SCHNEIDER", NULL},
    {"HYUNDAI", "HYUNDAI", NULL},
    {"JTS", "=JTS|JTS TRANSFORMADORES", NULL},
    {"BLUTRAFOS", "BLUTRAFOS|BLUTRAFO", NULL},
    {"MEGATRAFO", "MEGATRAFO", NULL},
    {"KITFRAME", "KITFRAME", NULL},
    {"HIDROTRAFO", "HIDROTRAFO", NULL},
    {"INDUSUL", "INDUSUL", NULL},
    {"TRANSFORMADORES PALMARES", "PALMARES", NULL},
};
const size_t MAKER_DATA_COUNT = sizeof MAKER_DATA / sizeof *MAKER_DATA;

#define THREE_PHASE_13 6000, 16000
#define THREE_PHASE_34 30000, 36000
#define ANY_VOLTAGE 6000, 36000

// Three-phase tables as utilities publish them, and what their single-phase units of a third of
// the power (the same current) would take.
const struct fuse_data FUSE_DATA[] = {
    {"energisa", THREE_PHASE_13, 15, "0,5H 1K"},  {"energisa", THREE_PHASE_13, 30, "1H 2K"},
    {"energisa", THREE_PHASE_13, 45, "2H 3K"},    {"energisa", THREE_PHASE_13, 75, "3H 5K"},
    {"energisa", THREE_PHASE_13, 112.5, "5H 6K"}, {"energisa", THREE_PHASE_13, 150, "5H 8K"},
    {"energisa", THREE_PHASE_13, 225, "8H 10K"},  {"energisa", THREE_PHASE_13, 300, "10H 15K"},
    {"enel", THREE_PHASE_13, 10, "1H"},           {"enel", THREE_PHASE_13, 15, "1H"},
    {"enel", THREE_PHASE_13, 30, "2H"},           {"enel", THREE_PHASE_13, 45, "3H"},
    {"enel", THREE_PHASE_13, 75, "5K"},           {"enel", THREE_PHASE_13, 112.5, "6K"},
    {"enel", THREE_PHASE_13, 150, "8K"},          {"enel", THREE_PHASE_13, 225, "10K"},
    {"enel", THREE_PHASE_13, 300, "15K"},         {"34.5 kV", THREE_PHASE_34, 30, "0,5H"},
    {"34.5 kV", THREE_PHASE_34, 45, "1H"},        {"34.5 kV", THREE_PHASE_34, 75, "2H"},
    {"34.5 kV", THREE_PHASE_34, 150, "3H"},       {"34.5 kV", THREE_PHASE_34, 225, "5H"},
    {"34.5 kV", THREE_PHASE_34, 300, "5H"},
};
const size_t FUSE_DATA_COUNT = sizeof FUSE_DATA / sizeof *FUSE_DATA;
