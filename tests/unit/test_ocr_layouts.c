// Plates as many makers would draw them: none of these layouts is one of tests/ocr/make-photos.
#include "plate_example.h"

static const struct example LAYOUTS[] = {
    {"in English, label and value in columns",
     "SIEMENS\n"
     "DISTRIBUTION TRANSFORMER\n"
     "RATED POWER        75 kVA         SERIAL No.       BR-204511\n"
     "PHASES             3              FREQUENCY        60 Hz\n"
     "HV                 13800 V        LV               220/127 V\n"
     "YEAR OF MANUFACTURE  2015         COOLING          ONAN\n"
     "TOTAL MASS         410 kg         OIL              95 L\n"
     "IMPEDANCE          3.5 %          BIL              95 kV\n",
     "potencia_kva=75; fabricante=SIEMENS; numero_serie=BR-204511; data_fabricacao=2015; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"in English, with colons",
     "HITACHI ENERGY\n"
     "THREE PHASE TRANSFORMER\n"
     "Rated power: 112.5 kVA        Serial number: 7781234\n"
     "Primary voltage: 13800/13200/12600 V\n"
     "Secondary voltage: 380/220 V\n"
     "Mfg. date: 05/2021           Fuse link: 5H\n"
     "Asset No.: 00991234          Vector group: Dyn1\n"
     "Weight: 620 kg               Oil volume: 180 L\n",
     "potencia_kva=112.5; fabricante=HITACHI ENERGY; numero_serie=7781234; "
     "data_fabricacao=2021-05; elo_fusivel=5H; tensao_primaria_v=13800; "
     "tensao_secundaria_v=380/220; fases=3; patrimonio=00991234",
     ""},
    {"a serial number behind two letters of its label",
     "WEG\n"
     "TRANSFORMADOR MONOFÁSICO\n"
     "5E 43856-0             50WVA\n"
     "TENSÃO AT 7967 V       DATA FAB. 08/2020\n",
     "potencia_kva=50; fabricante=WEG; numero_serie=43856-0; data_fabricacao=2020-08; "
     "tensao_primaria_v=7967; fases=1",
     "numero_serie:unlabelled"},
    {"a serial number with a year behind one letter of its label",
     "ITAM\n"
     "TRANSFORMADOR MONOFÁSICO\n"
     "POTÊNCIA: 5 kVA\n"
     "E 4232/2001\n"
     "FABRICAÇÃO: OUT/01\n"
     "TNRBAMEMR: 82767924\n",
     "potencia_kva=5; fabricante=ITAM; numero_serie=4232/2001; data_fabricacao=2001-10; fases=1; "
     "patrimonio=82767924",
     "numero_serie:unlabelled; patrimonio:unlabelled"},
    {"small letters that stuck to a serial number",
     "TRAFO\n"
     "TRANSFORMADOR TRIFÁSICO\n"
     "POTÊNCIA  112. 5 NVA\n"
     "We2497\n"
     "TENSÃO AT 13800 V\n",
     "potencia_kva=112.5; fabricante=TRAFO; numero_serie=2497; tensao_primaria_v=13800; fases=3",
     "potencia_kva:split_number; numero_serie:unlabelled"},
    {"a tag's label of which letters are missing, a tap that was not read right",
     "ROMAGNOLE\n"
     "TRANSFORMADOR TRIFÁSICO\n"
     "POT. NOM. 15 kVA\n"
     "NºST8E 96175651          1   13880\n"
     "PATRMNO: 76699898        2   13200\n"
     "TENSÃO BT: 220/127 V     3   12600\n",
     "potencia_kva=15; fabricante=ROMAGNOLE; numero_serie=96175651; tensao_primaria_v=13200; "
     "tensao_secundaria_v=220/127; fases=3; patrimonio=76699898",
     "numero_serie:unlabelled; tensao_primaria_v:repaired"},
    {"letters of its label that stuck to a serial number with a year",
     "TRAFO\n"
     "TRANSFORMADOR TRIFÁSICO\n"
     "POTÊNCIA (kVA): 15\n"
     "SE5299/2005\n",
     "potencia_kva=15; fabricante=TRAFO; numero_serie=5299/2005; fases=3",
     "numero_serie:unlabelled"},
    {"labels on two lines in narrow cells",
     "BALESTRO\n"
     "POTÊNCIA      15 kVA          CLASSE DE\n"
     "                              TENSÃO        15 kV\n"
     "ORDEM DE                      Nº DE SÉRIE   36622/2025\n"
     "FABRICAÇÃO    4734511\n"
     "DATA DE                       CÓDIGO DO\n"
     "FABRICAÇÃO    01/2025         CLIENTE       413633\n"
     "CORRENTE DE                   FASES         3\n"
     "EXCITAÇÃO     1,8 %           TENSÃO AT     13800 V\n",
     "potencia_kva=15; fabricante=BALESTRO; numero_serie=36622/2025; data_fabricacao=2025-01; "
     "tensao_primaria_v=13800; fases=3; patrimonio=413633",
     ""},
    {"labels under their values",
     "COMTRAFO\n"
     "150                 20331                  11/2009\n"
     "kVA                 Nº DE SÉRIE            DATA FABR.\n"
     "13800               380/220                3\n"
     "TENSÃO AT (V)       TENSÃO BT (V)          FASES\n"
     "5H                  0034411                520\n"
     "ELO FUSÍVEL         PATRIMÔNIO             MASSA (kg)\n",
     "potencia_kva=150; fabricante=COMTRAFO; numero_serie=20331; data_fabricacao=2009-11; "
     "elo_fusivel=5H; tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3; "
     "patrimonio=0034411",
     ""},
    {"labels cut short",
     "ITB EQUIPAMENTOS ELÉTRICOS LTDA\n"
     "TRANSF. DISTRIB.   3Ø   60Hz\n"
     "POT.: 75kVA      N.SER.: 99812\n"
     "DATA FAB.: 08/14     IMP.: 3,5%\n"
     "V.PRIM.: 13,8kV      V.SEC.: 380/220V\n"
     "ELO: 3H              PESO: 390kg\n",
     "potencia_kva=75; fabricante=ITB; numero_serie=99812; data_fabricacao=2014-08; "
     "elo_fusivel=3H; tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"P.N., U1 and U2",
     "UNIÃO TRANSFORMADORES\n"
     "P.N.  112,5 kVA      NS  4471-2\n"
     "U1  13,8 kV          U2  220/127 V\n"
     "FAB.  JUN/2018       f  60 Hz\n"
     "Zcc  3,5 %           Mt  610 kg\n",
     "potencia_kva=112.5; fabricante=UNIÃO; numero_serie=4471-2; data_fabricacao=2018-06; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127",
     ""},
    {"taps from phase to phase and to earth",
     "BALESTRO\n"
     "POT. NOM. 25 kVA   MONOF.\n"
     "PRIM. 13800/7967 V\n"
     "SEC. 440/220 V\n"
     "SÉRIE Nº 44120\n"
     "ANO 1998\n",
     "potencia_kva=25; fabricante=BALESTRO; numero_serie=44120; data_fabricacao=1998; "
     "tensao_primaria_v=13800; tensao_secundaria_v=440/220; fases=1",
     ""},
    {"units in a column of their own",
     "ADELCO\n"
     "POTÊNCIA            75        kVA\n"
     "TENSÃO NOMINAL      13,8      kV\n"
     "TENSÃO SECUNDÁRIA   220/127   V\n"
     "FREQUÊNCIA          60        Hz\n"
     "SÉRIE               12877\n"
     "FABRICAÇÃO          09/2003\n"
     "FASES               3\n",
     "potencia_kva=75; fabricante=ADELCO; numero_serie=12877; data_fabricacao=2003-09; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"five taps in a table",
     "ITAIPU TRANSFORMADORES\n"
     "POTÊNCIA   225 kVA        SÉRIE   305517\n"
     "DATA       10/2020        FASES   3\n"
     "COMUTADOR     TENSÃO PRIMÁRIA     LIGAÇÃO\n"
     "   1             13800            4-7\n"
     "   2             13200            7-10\n"
     "   3             12600            10-13\n"
     "   4             12000            13-16\n"
     "   5             11400            16-19\n"
     "TENSÃO SECUNDÁRIA   380/220 V\n",
     "potencia_kva=225; fabricante=ITAIPU; numero_serie=305517; data_fabricacao=2020-10; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"taps beside the other side's voltage",
     "MINUZZI TRANSFORMADORES\n"
     "kVA  45     Nº  88712     ANO  2007\n"
     "ALTA TENSÃO           BAIXA TENSÃO\n"
     "TAP       V           LIG.        V\n"
     "1       13800         Y         220/127\n"
     "2       13200\n"
     "3       12600\n"
     "Nº FASES  3     Hz  60     Z  3,6 %\n",
     "potencia_kva=45; fabricante=MINUZZI; numero_serie=88712; data_fabricacao=2007; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     "numero_serie:unlabelled; tensao_secundaria_v:unlabelled"},
    {"voltages without labels",
     "TOSHIBA\n"
     "TRANSFORMADOR TRIFÁSICO\n"
     "75 kVA     13800 - 220/127 V     60 Hz\n"
     "Nº SÉRIE 66512     1988\n",
     "potencia_kva=75; fabricante=TOSHIBA; numero_serie=66512; data_fabricacao=1988; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     "data_fabricacao:unlabelled; tensao_primaria_v:unlabelled"},
    {"a ratio",
     "SOLTRAN\n"
     "POTÊNCIA 112,5 kVA     RELAÇÃO 13800/380-220 V\n"
     "Nº FABRICAÇÃO 5512     FABRICAÇÃO 12/2001\n"
     "FASES 3\n",
     "potencia_kva=112.5; fabricante=SOLTRAN; numero_serie=5512; data_fabricacao=2001-12; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"tags and dates cut short",
     "CEMEC CONSTRUÇÕES ELETROMECÂNICAS S.A.\n"
     "POT. NOM.: 15 kVA        Nº PATR.: 0455120\n"
     "Nº FAB.: 22310           DT. FAB.: 10/05/2013\n"
     "TS: 13.800 V             TI: 220/127 V\n"
     "FUSÍVEL: 0,5H            Nº FASES: 3\n",
     "potencia_kva=15; fabricante=CEMEC; numero_serie=22310; data_fabricacao=2013-05; "
     "elo_fusivel=0,5H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3; "
     "patrimonio=0455120",
     ""},
    {"a number sign without a word",
     "ROMAGNOLE\n"
     "Nº 882341        75 kVA\n"
     "13800 V          220/127 V\n"
     "3Ø    60 Hz      05/2009\n",
     "potencia_kva=75; fabricante=ROMAGNOLE; numero_serie=882341; "
     "data_fabricacao=2009-05; tensao_primaria_v=13800; tensao_secundaria_v=220/127; "
     "fases=3",
     "numero_serie:unlabelled; data_fabricacao:unlabelled; tensao_primaria_v:unlabelled"},
    {"upper and lower case",
     "WEG EQUIPAMENTOS ELÉTRICOS\n"
     "TRANSFORMADOR AUTOPROTEGIDO MONOFÁSICO\n"
     "Potência nominal    25 kVA\n"
     "Nº de série         1009876543\n"
     "Tensão superior     7.967 V\n"
     "Tensão inferior     440/220 V\n"
     "Data de fabricação  OUT/2023\n"
     "Nº de fases         1\n",
     "potencia_kva=25; fabricante=WEG; numero_serie=1009876543; data_fabricacao=2023-10; "
     "tensao_primaria_v=7967; tensao_secundaria_v=440/220; fases=1; autoprotegido=true",
     ""},
    {"a fuse with a blank",
     "COMTRAFO\n"
     "POTÊNCIA 75 kVA         ELO FUSÍVEL AT: 3 H\n"
     "SÉRIE 20990             PRIMÁRIO 13800 V   SECUNDÁRIO 220/127 V\n"
     "FABRICAÇÃO 06/2015      FASES 3\n",
     "potencia_kva=75; fabricante=COMTRAFO; numero_serie=20990; data_fabricacao=2015-06; "
     "elo_fusivel=3H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"values in parts",
     "UNIÃO\n"
     "POTÊNCIA     112,5     kVA\n"
     "SÉRIE        77120     /2011\n"
     "TENSÃO AT    13800  /  13200  /  12600   V\n"
     "TENSÃO BT    220  /  127   V\n"
     "DATA         07  /  2011\n"
     "FASES        3\n",
     "potencia_kva=112.5; fabricante=UNIÃO; numero_serie=77120/2011; "
     "data_fabricacao=2011-07; tensao_primaria_v=13800; tensao_secundaria_v=220/127; "
     "fases=3",
     ""},
    {"one word a label",
     "GENERAL ELECTRIC\n"
     "KVA 50        SERIAL NO. G445120\n"
     "HV 7620 V     LV 240/120 V\n"
     "PHASE 1       HZ 60\n"
     "DATE 03/1999  IMPEDANCE 2.1%\n"
     "WT 310 kg     OIL 90 L\n",
     "potencia_kva=50; fabricante=GE; numero_serie=G445120; data_fabricacao=1999-03; "
     "tensao_primaria_v=7620; tensao_secundaria_v=240/120; fases=1",
     "tensao_primaria_v:out_of_domain"},
    {"a maker that no list knows, beside its label",
     "FABRICANTE: ELETROSUL LTDA\n"
     "POTÊNCIA: 75 kVA             Nº SÉRIE: 100445\n"
     "AT: 13800 V     BT: 220/127 V\n"
     "ANO FAB.: 2006     FASES: 3\n",
     "potencia_kva=75; fabricante=ELETROSUL LTDA; numero_serie=100445; "
     "data_fabricacao=2006; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     "fabricante:unknown_maker"},
    {"units behind strokes",
     "ITB\n"
     "POTÊNCIA/kVA         TENSÃO/V             Nº SÉRIE\n"
     "75                   13800/220-127        99120\n"
     "FASES                DATA                 ELO\n"
     "3                    01/2002              3H\n",
     "potencia_kva=75; fabricante=ITB; numero_serie=99120; data_fabricacao=2002-01; "
     "elo_fusivel=3H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"the voltage to earth in brackets",
     "ROMAGNOLE\n"
     "POTÊNCIA 5 kVA      SÉRIE 441207\n"
     "TENSÃO PRIMÁRIA 13.800 V (7.967 V F-N)\n"
     "TENSÃO SECUNDÁRIA 254/127 V\n"
     "FAB. 08/2001     FASES 1\n",
     "potencia_kva=5; fabricante=ROMAGNOLE; numero_serie=441207; data_fabricacao=2001-08; "
     "tensao_primaria_v=13800; tensao_secundaria_v=254/127; fases=1",
     ""},
    {"taps in percent",
     "SIEMENS\n"
     "POTÊNCIA 1000 kVA      SÉRIE 330112\n"
     "TENSÃO PRIMÁRIA 13800 ± 2x2,5% V\n"
     "TENSÃO SECUNDÁRIA 440/254 V\n"
     "FABR. 1994     FASES 3     Dyn1\n",
     "potencia_kva=1000; fabricante=SIEMENS; numero_serie=330112; data_fabricacao=1994; "
     "tensao_primaria_v=13800; tensao_secundaria_v=440/254; fases=3",
     ""},
    {"a pole and a telecom tag beside the plate",
     "TRAEL                                              POSTE\n"
     "POTÊNCIA: 45 kVA      SÉRIE: 77001                 012345\n"
     "AT: 13800 V      BT: 220/127 V\n"
     "ANO: 2013        FASES: 3                          FIBRA ÓPTICA\n"
     "ELO: 2H                                            CTO 44-123\n",
     "potencia_kva=45; fabricante=TRAEL; numero_serie=77001; data_fabricacao=2013; "
     "elo_fusivel=2H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"a label of efficiency",
     "ITAM\n"
     "POTÊNCIA: 45 kVA      SÉRIE: 77001\n"
     "AT: 13800 V      BT: 220/127 V\n"
     "ANO: 2013        FASES: 3\n"
     "INMETRO          OCP 0012\n"
     "REGISTRO         004411/2014\n"
     "EFICIÊNCIA       NÍVEL D\n",
     "potencia_kva=45; fabricante=ITAM; numero_serie=77001; data_fabricacao=2013; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3; registro=004411/2014",
     ""},
    {"no blanks",
     "COMTRAFO\n"
     "POTENCIA:75KVA   SERIE:20331   FASES:3\n"
     "TENSAOPRIMARIA:13800V   TENSAOSECUNDARIA:220/127V\n"
     "DATAFABR.:08/2019   ELOFUSIVEL:3H   PATRIMONIO:0045678\n",
     "potencia_kva=75; fabricante=COMTRAFO; numero_serie=20331; data_fabricacao=2019-08; "
     "elo_fusivel=3H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3; "
     "patrimonio=0045678",
     ""},
    {"many labels a line",
     "COMTRAFO\n"
     "POTENCIA 75 KVA SERIE 20331 FASES 3\n"
     "AT 13800 V BT 220/127 V 60 HZ\n"
     "FABR. 08/2019 ELO 3H NBI 95 KV MASSA 350 KG OLEO 80 L\n",
     "potencia_kva=75; fabricante=COMTRAFO; numero_serie=20331; data_fabricacao=2019-08; "
     "elo_fusivel=3H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"month and year apart",
     "TUSCO\n"
     "POTÊNCIA  75 kVA     SÉRIE  445512\n"
     "MÊS  08   ANO  2015    FASES  3\n"
     "AT  13800 V     BT  220/127 V\n",
     "potencia_kva=75; fabricante=TUSCO; numero_serie=445512; data_fabricacao=2015-08; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"one label for both sides",
     "TUSCO\n"
     "POTÊNCIA  75 kVA     SÉRIE  4455/08\n"
     "ANO FABR.  2008      Nº DE FASES  3\n"
     "TENSÕES  13800/13200/12600 - 380/220 V\n",
     "potencia_kva=75; fabricante=TUSCO; numero_serie=4455/08; data_fabricacao=2008; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"a temperature rise in kelvin is no fuse",
     "SIEMENS\n"
     "Rated power kVA   300     Phases  3\n"
     "Serial no.   S-778120     Year   2012\n"
     "HV   13800/13200/12600 V\n"
     "LV   380/220 V\n"
     "BIL   95/30 kV     Temp. rise   65 K\n"
     "Total weight   1200 kg     Liquid   350 L\n",
     "potencia_kva=300; fabricante=SIEMENS; numero_serie=S-778120; data_fabricacao=2012; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"taps in kV",
     "BLUTRAFOS\n"
     "POTÊNCIA kVA  150     Nº SÉRIE  5120     DATA  05/2018\n"
     "TENSÃO PRIMÁRIA kV\n"
     "1   13,8\n"
     "2   13,2\n"
     "3   12,6\n"
     "TENSÃO SECUNDÁRIA V   220/127     FASES  3\n",
     "potencia_kva=150; fabricante=BLUTRAFOS; numero_serie=5120; data_fabricacao=2018-05; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"3F",
     "ITB\n"
     "POT 75 kVA   3F   60 Hz   N/S 5512\n"
     "AT 13,8 kV   BT 380/220 V   FAB 11/2005\n",
     "potencia_kva=75; fabricante=ITB; numero_serie=5512; data_fabricacao=2005-11; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"the utility's number and an asset's",
     "ROMAGNOLE\n"
     "POTÊNCIA 45 kVA    SÉRIE 991200    FASES 3\n"
     "TENSÃO AT 13800 V  TENSÃO BT 220/127 V    DATA 09/2013\n"
     "Nº COPEL 123456789      Nº ATIVO 55120\n",
     "potencia_kva=45; fabricante=ROMAGNOLE; numero_serie=991200; "
     "data_fabricacao=2013-09; tensao_primaria_v=13800; tensao_secundaria_v=220/127; "
     "fases=3; patrimonio=55120",
     ""},
    {"a date in words",
     "CEMEC\n"
     "POTÊNCIA 45 kVA    SÉRIE 991200    FASES 3\n"
     "PRIMÁRIO 13800 V  SECUNDÁRIO 220/127 V\n"
     "FABRICADO EM SETEMBRO DE 2013\n",
     "potencia_kva=45; fabricante=CEMEC; numero_serie=991200; data_fabricacao=2013-09; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"dates of tests and guarantees",
     "CEMEC\n"
     "POTÊNCIA 45 kVA    SÉRIE 991200    FASES 3\n"
     "PRIMÁRIO 13800 V  SECUNDÁRIO 220/127 V\n"
     "DATA FABR. 09/2013     DATA ENSAIO 10/2013     GARANTIA ATÉ 10/2015\n",
     "potencia_kva=45; fabricante=CEMEC; numero_serie=991200; data_fabricacao=2013-09; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"a table of sides",
     "TRAFO\n"
     "                 AT            BT\n"
     "TENSÃO (V)       13800         220/127\n"
     "NBI (kV)         95            30\n"
     "CORRENTE (A)     3,14          196,8\n"
     "POTÊNCIA (kVA)   75            FASES   3\n"
     "Nº SÉRIE         44512         DATA    03/2009\n",
     "potencia_kva=75; fabricante=TRAFO; numero_serie=44512; data_fabricacao=2009-03; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"words cut short with stops",
     "ITB\n"
     "POTÊNCIA 30 kVA   N.º DE SÉRIE 3340   ANO FABRICAÇÃO 2021\n"
     "T. PRIM. 13.800/13.200/12.600 V   T. SEC. 380/220 V\n"
     "FREQ. 60 Hz   Nº FASES 3   ÓLEO VEGETAL 75 L\n",
     "potencia_kva=30; fabricante=ITB; numero_serie=3340; data_fabricacao=2021; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"labels in sentences",
     "ITAM\n"
     "Potência do transformador: 75 kVA\n"
     "Número do transformador: 881234\n"
     "Tensão de alimentação: 13800 V\n"
     "Tensão de saída: 220/127 V\n"
     "Quantidade de fases: 3\n"
     "Ano: 2011\n",
     "potencia_kva=75; fabricante=ITAM; numero_serie=881234; data_fabricacao=2011; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"values that only their units tell",
     "ROMAGNOLE\n"
     "TRANSFORMADOR DE DISTRIBUIÇÃO TRIFÁSICO\n"
     "75 kVA          13,8 kV         380/220 V\n"
     "60 Hz           3,5 %           NBI 95 kV\n"
     "450 kg          95 L            65 °C\n"
     "ONAN            Dyn1            NBR 5440\n"
     "Nº DE SÉRIE 123456     DATA 08/2019\n",
     "potencia_kva=75; fabricante=ROMAGNOLE; numero_serie=123456; "
     "data_fabricacao=2019-08; tensao_primaria_v=13800; tensao_secundaria_v=380/220; "
     "fases=3",
     ""},
    {"four columns of labels over values",
     "TRAEL TRANSFORMADORES ELÉTRICOS LTDA\n"
     "POTÊNCIA      FASES      FREQ.      Nº SÉRIE\n"
     "112,5 kVA     3          60 Hz      44512\n"
     "AT            BT         NBI        IMPED.\n"
     "13800 V       220/127 V  95 kV      3,5 %\n"
     "DATA          ELO        MASSA      ÓLEO\n"
     "05/2016       5H         600 kg     180 L\n"
     "PATRIMÔNIO    REGISTRO   NORMA      TIPO\n"
     "0012345       001234/2015   NBR 5440   ONAN\n",
     "potencia_kva=112.5; fabricante=TRAEL; numero_serie=44512; data_fabricacao=2016-05; "
     "elo_fusivel=5H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3; "
     "patrimonio=0012345; registro=001234/2015",
     ""},
    {"terminals as labels",
     "WEG\n"
     "POTÊNCIA 225 kVA     SÉRIE Nº 10293\n"
     "DATA 14MAI16     FASES 3\n"
     "H1 H2 H3   13800 V     X0 X1 X2 X3   220/127 V\n",
     "potencia_kva=225; fabricante=WEG; numero_serie=10293; data_fabricacao=2016-05; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"T.P. and T.S.",
     "BALESTRO\n"
     "POT. 15 kVA     N/S 44120\n"
     "TP 13800 V      TS 220/127 V\n"
     "FAB. 2011       FASES 3     ELO 1H\n",
     "potencia_kva=15; fabricante=BALESTRO; numero_serie=44120; data_fabricacao=2011; "
     "elo_fusivel=1H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"T.S. and T.I.",
     "BALESTRO\n"
     "POT. 15 kVA     N/S 44120\n"
     "TS 13.800/13.200/12.600 V      TI 380/220 V\n"
     "FAB. 2011       FASES 3     ELO 1H\n",
     "potencia_kva=15; fabricante=BALESTRO; numero_serie=44120; data_fabricacao=2011; "
     "elo_fusivel=1H; tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"dashes",
     "ZILMER INELTEC\n"
     "POTÊNCIA - 45 kVA\n"
     "Nº DE SÉRIE - 123-A45\n"
     "AT - 13800 V\n"
     "BT - 220-127 V\n"
     "FASES - 3\n"
     "FABRICAÇÃO - 12/1999\n",
     "potencia_kva=45; fabricante=ZILMER; numero_serie=123-A45; data_fabricacao=1999-12; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"equals signs",
     "ITB\n"
     "POTENCIA=45KVA\n"
     "N SERIE=12345\n"
     "AT=13800V\n"
     "BT=220/127V\n"
     "FASES=3\n"
     "DATA=12/1999\n"
     "ELO=2H\n",
     "potencia_kva=45; fabricante=ITB; numero_serie=12345; data_fabricacao=1999-12; "
     "elo_fusivel=2H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"self-protection with an answer",
     "ROMAGNOLE\n"
     "POTÊNCIA 15 kVA   SÉRIE 77120   FASES 1\n"
     "TENSÃO PRIMÁRIA 7967 V   TENSÃO SECUNDÁRIA 240/120 V\n"
     "FABRICAÇÃO 09/2010   AUTOPROTEGIDO: SIM\n",
     "potencia_kva=15; fabricante=ROMAGNOLE; numero_serie=77120; data_fabricacao=2010-09; "
     "tensao_primaria_v=7967; tensao_secundaria_v=240/120; fases=1; autoprotegido=true",
     ""},
    {"bars between",
     "ADELCO\n"
     "POT: 75 kVA | SÉRIE: 99120 | FASES: 3\n"
     "AT: 13800 V | BT: 220/127 V | 60 Hz\n"
     "FABR: 10/2010 | MASSA: 400 kg | ÓLEO: 100 L\n",
     "potencia_kva=75; fabricante=ADELCO; numero_serie=99120; data_fabricacao=2010-10; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"values far right in their cells",
     "MINUZZI\n"
     "POTÊNCIA (kVA)          TENSÃO AT (kV)          TENSÃO BT (V)\n"
     "     75                      13,8                  220/127\n"
     "Nº SÉRIE                FABRICAÇÃO              ELO FUSÍVEL\n"
     "   B-22310                 06/2014                   3H\n"
     "FASES                   PATRIMÔNIO              IMPEDÂNCIA (%)\n"
     "     3                     7712031                  3,55\n",
     "potencia_kva=75; fabricante=MINUZZI; numero_serie=B-22310; data_fabricacao=2014-06; "
     "elo_fusivel=3H; tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3; "
     "patrimonio=7712031",
     ""},
    {"a tag with stops",
     "TRAEL\n"
     "POTÊNCIA 45 kVA   SÉRIE 44120   FASES 3\n"
     "TENSÃO AT 13,8 kV   TENSÃO BT 220/127 V\n"
     "PATRIMÔNIO 12.345.678   FAB. 2017\n",
     "potencia_kva=45; fabricante=TRAEL; numero_serie=44120; data_fabricacao=2017; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3; patrimonio=12.345.678",
     ""},
    {"a serial number with signs",
     "CEMEC\n"
     "POTÊNCIA 45 kVA   SÉRIE TR-44120/17   FASES 3\n"
     "TENSÃO AT 13,8 kV   TENSÃO BT 220/127 V\n"
     "COD. CLIENTE 10-223344   FAB. 2017\n",
     "potencia_kva=45; fabricante=CEMEC; numero_serie=TR-44120/17; data_fabricacao=2017; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3; patrimonio=10-223344",
     ""},
    {"numbers of everything else",
     "CEMEC\n"
     "POTÊNCIA 45 kVA   Nº SÉRIE 44120   FASES 3\n"
     "AT 13,8 kV   BT 220/127 V   FAB. 07/2009\n"
     "Nº DESENHO 778812   O.F. 99123   ITEM 10064372\n"
     "TEL. (44) 3218-9000   CREA 12345   LOTE 5512\n",
     "potencia_kva=45; fabricante=CEMEC; numero_serie=44120; data_fabricacao=2009-07; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     ""},
    {"a company that no list knows",
     "ELETROVALE TRANSFORMADORES LTDA\n"
     "POTÊNCIA 45 kVA   SÉRIE 44120   FASES 3\n"
     "TENSÃO AT 13800 V   TENSÃO BT 220/127 V\n"
     "FAB. 07/2009\n",
     "potencia_kva=45; fabricante=ELETROVALE; numero_serie=44120; "
     "data_fabricacao=2009-07; tensao_primaria_v=13800; tensao_secundaria_v=220/127; "
     "fases=3",
     "fabricante:unknown_maker"},
    {"values in the middle of wide cells",
     "UNIÃO\n"
     "FASES                              POTÊNCIA (kVA)\n"
     "                1                              37,5\n"
     "U2                                 U1\n"
     "                220                           7.967 V\n",
     "potencia_kva=37.5; fabricante=UNIÃO; tensao_primaria_v=7967; tensao_secundaria_v=220; "
     "fases=1",
     ""},
    {"labels that the next word looks a part of",
     "COMTRAFO S.A.\n"
     "Nº FAB. = R23557     MÊS/ANO = ABR/2017\n"
     "ELO-2H     kVA-45\n"
     "FASES 3    TENSÃO AT 13800 V\n",
     "potencia_kva=45; fabricante=COMTRAFO; numero_serie=R23557; data_fabricacao=2017-04; "
     "elo_fusivel=2H; tensao_primaria_v=13800; fases=3",
     ""},
    {"values behind labels that were not read",
     "TRAEL\n"
     "kp......10            NOE SERE 72780\n"
     "TENSÃO AT 7967 V      TENSÃO BT 440/220 V\n"
     "C CUENTE: 0758627-215401-9\n"
     "REG. INMETRO OI0770/2013\n"
     "FABRICADO NO BRASIL   FABRICAÇÃO 02/2014\n",
     "potencia_kva=10; fabricante=TRAEL; numero_serie=72780; data_fabricacao=2014-02; "
     "tensao_primaria_v=7967; tensao_secundaria_v=440/220; fases=1; "
     "patrimonio=0758627-215401-9; registro=010770/2013",
     "potencia_kva:unlabelled; fases:unlabelled; patrimonio:unlabelled; registro:repaired"},
    {"no label was read, a serial number with letters",
     "WEG\n"
     "15 kVA      TBA-13      TR-41420\n"
     "13800 V     41365-C     380/220 V\n"
     "3           539370      0118292013\n"
     "OF445497    60 Hz\n",
     "potencia_kva=15; fabricante=WEG; numero_serie=TR-41420; tensao_primaria_v=13800; "
     "tensao_secundaria_v=380/220; fases=3; patrimonio=539370; registro=011829/2013",
     "numero_serie:unlabelled; tensao_primaria_v:unlabelled; fases:unlabelled; "
     "patrimonio:unlabelled; registro:unlabelled"},
    {"numbers of which a part was not read",
     "ITB\n"
     "POTÊNCIA 37,5 kVA     Nº DE SÉRIE H1$822\n"
     "TENSÃO AT 13,8 kV     TENSÃO BT 254/127 V\n"
     "PATRIM. 0105257-273231-\n",
     "potencia_kva=37.5; fabricante=ITB; numero_serie=822; tensao_primaria_v=13800; "
     "tensao_secundaria_v=254/127; fases=1; patrimonio=0105257-273231",
     "numero_serie:repaired; fases:unlabelled; patrimonio:repaired"},
    {"the rest of a label before a number",
     "UNIÃO\n"
     "POT. NOM. 30 kVA      E 48480029\n"
     "TENSÃO AT 34,5 kV     TENSÃO BT 380/220 V\n",
     "potencia_kva=30; fabricante=UNIÃO; numero_serie=48480029; tensao_primaria_v=34500; "
     "tensao_secundaria_v=380/220; fases=3",
     "numero_serie:unlabelled; fases:unlabelled"},
    {"an inspector's date beside the year",
     "BRASTRAFO\n"
     "225 kVA     Nº SÉRIE 61042     DATA 23/06/2022\n"
     "ANO FABR                2000\n"
     "TENSÃO AT 13,8 kV       TENSÃO BT 220/127 V\n",
     "potencia_kva=225; fabricante=BRASTRAFO; numero_serie=61042; data_fabricacao=2000; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127",
     "data_fabricacao:ambiguous"},
    {"a unit that was misread before its number, dots before a fuse",
     "SIEMENS\n"
     "NVA 225     Nº SÉRIE 7932-1     BT 220/127 V\n"
     "ECC FJ......3H    REGISTRO INMETRO 000937|2013\n"
     "TENSÃO AT 23,1 kV\n",
     "potencia_kva=225; fabricante=SIEMENS; numero_serie=7932-1; elo_fusivel=3H; "
     "tensao_primaria_v=23100; tensao_secundaria_v=220/127; fases=3; registro=000937/2013",
     "potencia_kva:unlabelled; elo_fusivel:unlabelled; fases:unlabelled"},
    {"a table of taps without its first, only its terminals are there",
     "ITB\n"
     "POT. NOM. 150 kVA     Nº SÉRIE 5404     BT 440/254 V\n"
     "              5-8\n"
     "33000         4-13\n"
     "31500         13-16\n"
     "30000         10-7\n",
     "potencia_kva=150; fabricante=ITB; numero_serie=5404; tensao_primaria_v=33000; "
     "tensao_secundaria_v=440/254; fases=3",
     "tensao_primaria_v:repaired; fases:unlabelled"},
    {"a table of two taps",
     "ITB\n"
     "POT. NOM. 150 kVA     Nº SÉRIE 5404     BT 440/254 V\n"
     "33000         4-13\n"
     "31500         13-16\n",
     "potencia_kva=150; fabricante=ITB; numero_serie=5404; tensao_primaria_v=33000; "
     "tensao_secundaria_v=440/254; fases=3",
     "tensao_primaria_v:repaired; fases:unlabelled"},
    {"numbers behind words, a guessed label with its value in a box of its own",
     "ITAM\n"
     "25 AVA           TO SERE     42301\n"
     "AT 13,8 kV       BT 240/120 V\n"
     "0 CTE: 969091-8  EG.ET 009120/2013\n",
     "potencia_kva=25; fabricante=ITAM; numero_serie=42301; tensao_primaria_v=13800; "
     "tensao_secundaria_v=240/120; patrimonio=969091-8; registro=009120/2013",
     "patrimonio:unlabelled; registro:unlabelled"},
    {"a serial number that letters stuck to",
     "ROMAGNOLE\n"
     "112,5\n"
     "ABA379622/2005   AT 13,8 kV   BT 220/127 V\n",
     "potencia_kva=112.5; fabricante=ROMAGNOLE; numero_serie=379622/2005; "
     "tensao_primaria_v=13800; tensao_secundaria_v=220/127; fases=3",
     "numero_serie:unlabelled; fases:unlabelled"},
    {"labels that lost their number sign, and one that lost the ring of it",
     "TRAFO\n"
     "RT-60488       DE FABRICAÇÃO 2023\n"
     "45 kVA         AT 13,8 kV      BT 380/220 V     FASES 3\n",
     "potencia_kva=45; fabricante=TRAFO; numero_serie=RT-60488; data_fabricacao=2023; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     "numero_serie:unlabelled"},
    {"a ring that was read as a letter",
     "POTÊNCIA 25 kVA     SÉRIE Ne 9268/2019     FASES 1\n"
     "AT 13,8 kV          BT 254/127 V\n",
     "potencia_kva=25; numero_serie=9268/2019; tensao_primaria_v=13800; "
     "tensao_secundaria_v=254/127; fases=1",
     ""},
    {"guessed labels: the letters that a value has, a short label's rest",
     "POT. 15 kVA         NSERI U4144        FASES 3\n"
     "AT 13,8 kV          BT 220/127 V\n"
     "COD.CUENTE: 5666257\n"
     "DATA DE FANRICACAOY JUN/2013\n",
     "potencia_kva=15; numero_serie=U4144; data_fabricacao=2013-06; tensao_primaria_v=13800; "
     "tensao_secundaria_v=220/127; fases=3; patrimonio=5666257",
     ""},
    {"voltages below a label of something else",
     "ITAIPU\n"
     "POT. 15 kVA       SÉRIE 5315250      FASES 2\n"
     "RESFRIAMENTO\n"
     "254/127 V\n"
     "PEDIDO\n"
     "34500/33500/32500\n",
     "potencia_kva=15; fabricante=ITAIPU; numero_serie=5315250; tensao_primaria_v=34500; "
     "tensao_secundaria_v=254/127; fases=2",
     ""},
    {"a registration in full, beside a label that has another and within what was not read",
     "POT. 15 kVA       SÉRIE 5315250      FASES 1\n"
     "AT 13,8 kV        BT 254/127 V\n"
     "REG 0AK.760\n"
     "\n"
     "\n"
     "E9OETRO018319/2013\n",
     "potencia_kva=15; numero_serie=5315250; tensao_primaria_v=13800; "
     "tensao_secundaria_v=254/127; fases=1; registro=018319/2013",
     "registro:unlabelled"},
    {"a registration behind a letter", "INMETRO REGS 006146/2013\n", "registro=006146/2013", ""},
    {"what ends a line of words",
     "ADELCO\n"
     "P 112,5           SÉRIE 9385         FASES 3\n"
     "AT 13,8 kV        BT 380/220 V\n"
     "110. 5H           75001-C\n"
     "PA18:884820-4\n",
     "potencia_kva=112.5; fabricante=ADELCO; numero_serie=9385; elo_fusivel=5H; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3; patrimonio=884820-4",
     "elo_fusivel:unlabelled; patrimonio:unlabelled"},
    {"a power whose unit was torn, a number of a guess that another label says",
     "BALESTRO\n"
     "25/V/A            NFPARR2785817      FASES 1\n"
     "AT 13,8 kV        BT 220 V\n"
     "Nº PATR. 0768696-370344-2\n",
     "potencia_kva=25; fabricante=BALESTRO; numero_serie=2785817; tensao_primaria_v=13800; "
     "tensao_secundaria_v=220; fases=1; patrimonio=0768696-370344-2",
     "potencia_kva:unlabelled; numero_serie:unlabelled"},
    {"numbers among the words of a line, a phase sign that was read as a digit",
     "COMTRAFO\n"
     "POT. 50 kVA       T RT-87821         FASES 38\n"
     "AT 13,8 kV        BT 220/127 V\n"
     "0302025-262779-5 ADITIVA\n",
     "potencia_kva=50; fabricante=COMTRAFO; numero_serie=RT-87821; tensao_primaria_v=13800; "
     "tensao_secundaria_v=220/127; fases=3; patrimonio=0302025-262779-5",
     "numero_serie:unlabelled; patrimonio:unlabelled"},
    {"a unit that stuck to the next column is no serial number's letter",
     "TRAEL\n"
     "POT. 225 kVA      22074              FASES 3\n"
     "AT 13,8 kV        BT 220/127 V1430\n",
     "potencia_kva=225; fabricante=TRAEL; numero_serie=22074; tensao_primaria_v=13800; "
     "tensao_secundaria_v=220/127; fases=3",
     "numero_serie:unlabelled"},
    {"what other labels must leave: a date, a fuse",
     "COMTRAFO\n"
     "POT. 50 kVA       SÉRIE 6810         FASES 1\n"
     "AT 34500 V        BT 240/120 V\n"
     "kg                MATERIAL ENROL.\n"
     "07/2012           0,5H\n",
     "potencia_kva=50; fabricante=COMTRAFO; numero_serie=6810; data_fabricacao=2012-07; "
     "elo_fusivel=0,5H; tensao_primaria_v=34500; tensao_secundaria_v=240/120; fases=1",
     "data_fabricacao:unlabelled; elo_fusivel:unlabelled"},
    {"a month's label that was the beginning of a date's",
     "WEG\n"
     "MES/AN 03/16      PATRIM. OND:921833\n",
     "fabricante=WEG; data_fabricacao=2016-03; patrimonio=921833", "data_fabricacao:label_unsure"},
    {"digits that ran into a pair, a letter that ran into a date",
     "ROMAGNOLE\n"
     "POT. 150 kVA      SÉRIE 8487         FASES 3\n"
     "AT 13,8 kV        J1380/220.V\n"
     "O05/14\n",
     "potencia_kva=150; fabricante=ROMAGNOLE; numero_serie=8487; data_fabricacao=2014-05; "
     "tensao_primaria_v=13800; tensao_secundaria_v=380/220; fases=3",
     "data_fabricacao:unlabelled; tensao_secundaria_v:repaired"},
    {"a label's last letter that may be its number's", "NDE SÉRIA31720    POT. 5 kVA\n",
     "potencia_kva=5; numero_serie=31720", "numero_serie:label_unsure"},
    {"a tap that lost its first digit and a norm are no serial numbers",
     "HITACHI ENERGY\n"
     "POT. 225 kVA      BT 380/220 V       FASES 3\n"
     "3200              13-16\n"
     "12600             2-5\n"
     "ER 5440\n"
     "\n"
     "21045027\n",
     "potencia_kva=225; fabricante=HITACHI ENERGY; numero_serie=21045027; "
     "tensao_primaria_v=12600; tensao_secundaria_v=380/220; fases=3",
     "numero_serie:unlabelled; tensao_primaria_v:repaired"},
    {"a year that may lack its end, a vector group beside a serial number's label",
     "ZILMER\n"
     "POT. 75 kVA       DATA FABR. 23/02/20\n"
     "NÚMERO DE SÉRIE   Dyn11\n"
     "M57562            FASES 3\n",
     "potencia_kva=75; fabricante=ZILMER; numero_serie=M57562; data_fabricacao=2020-02; fases=3",
     "data_fabricacao:ambiguous"},
    {"two columns that were read as one line",
     "ZILMER\n"
     "POT. 30 kVA       SÉRIE Nº 48175     FASES 3\n"
     "ESPECIFICAÇÃO     TENSÃO SECUNDÁRIA\n"
     "NBR 5440/2014 380/220 V\n",
     "potencia_kva=30; fabricante=ZILMER; numero_serie=48175; tensao_secundaria_v=380/220; fases=3",
     ""},
    {"an impedance that ran into the year",
     "WEG\n"
     "POT. 75 kVA       SÉRIE Nº 62876\n"
     "ANO FABR: 1994 2 75 °C: 3,52 %\n",
     "potencia_kva=75; fabricante=WEG; numero_serie=62876; data_fabricacao=1994", ""},
    {"a registration behind its label's last letter, a label for two numbers",
     "ITAM\n"
     "POT. 30 kVA       FASES 3            NP FABR\n"
     "T009092/2013                         49723/2012\n",
     "potencia_kva=30; fabricante=ITAM; numero_serie=49723/2012; fases=3; registro=009092/2013",
     "numero_serie:unlabelled; registro:unlabelled; data_fabricacao:no_value"},
    {"a number sign that lost its ring",
     "SOLTRAN\n"
     "POT. 30 kVA       SÉRIE Nº 80358     PATN:0730780-696130-0\n",
     "potencia_kva=30; fabricante=SOLTRAN; numero_serie=80358; patrimonio=0730780-696130-0", ""},
    {"a tag below a quantity's label, a unit with a letter misread",
     "CEMEC\n"
     "POT. NOM.: 225 kV     SÉRIE Nº 80358     FASES 3\n"
     "NÍVEL DE ISOLAMENTO\n"
     "804227-5\n",
     "potencia_kva=225; fabricante=CEMEC; numero_serie=80358; fases=3; patrimonio=804227-5",
     "patrimonio:unlabelled"},
    {"a fuse that stuck to the voltage of the column beside it",
     "TRAEL\n"
     "POT. 75 kVA           SÉRIE Nº 55729     FASES 3\n"
     "220/127V8H\n",
     "potencia_kva=75; fabricante=TRAEL; numero_serie=55729; elo_fusivel=8H; "
     "tensao_secundaria_v=220/127; fases=3",
     "elo_fusivel:unlabelled; tensao_secundaria_v:unlabelled"},
    {"a number that stuck to the power, a maker with a letter too many",
     "TRAELT\n"
     "15 kVA..3377306\n"
     "FASES 3\n",
     "potencia_kva=15; fabricante=TRAEL; numero_serie=3377306; fases=3",
     "fabricante:suggested; numero_serie:unlabelled"},
    {"taps that were not read right",
     "ROMAGNOLE\n"
     "225 kVA               VOLTS     LIGAÇÃO\n"
     "2683                  1280      2-5\n"
     "FASES 3               13150     10-7\n",
     "potencia_kva=225; fabricante=ROMAGNOLE; numero_serie=2683; fases=3",
     "numero_serie:unlabelled"},
    {"a year beside a norm, and beside what is left of a label",
     "ADELCO\n"
     "POT. 15 kVA           SÉRIE Nº 32575     FASES 3\n"
     "ESPECIFICAÇÃO         2016\n",
     "potencia_kva=15; fabricante=ADELCO; numero_serie=32575; data_fabricacao=2016; fases=3",
     "data_fabricacao:unlabelled"},
    {"a year behind what is left of its label",
     "COMTRAFO\n"
     "POT. 15 kVA           SÉRIE Nº 283145    FASES 3\n"
     "7/BR.. 2002\n",
     "potencia_kva=15; fabricante=COMTRAFO; numero_serie=283145; data_fabricacao=2002; fases=3",
     "data_fabricacao:unlabelled"},
    {"what is left of a label before a date in digits",
     "BALESTRO\n"
     "POT. 300 kVA          SÉRIE Nº 2220080   FASES 3\n"
     "MAI: 04/2025\n",
     "potencia_kva=300; fabricante=BALESTRO; numero_serie=2220080; data_fabricacao=2025-04; "
     "fases=3",
     "data_fabricacao:unlabelled"},
    {"a serial number and a tag, each with its check digit",
     "ROMAGNOLE\n"
     "75 kVA                303653-8           FASES 3\n"
     "50/55C                0922034-449566-2\n",
     "potencia_kva=75; fabricante=ROMAGNOLE; numero_serie=303653-8; fases=3; "
     "patrimonio=0922034-449566-2",
     "numero_serie:unlabelled; patrimonio:unlabelled"},
    {"a utility's long number that its label's end and the next column stuck to",
     "TOSHIBA\n"
     "POT. 75 kVA           SÉRIE Nº 55729     FASES 36\n"
     "PATRIMONO-0566717-652875-025%\n",
     "potencia_kva=75; fabricante=TOSHIBA; numero_serie=55729; fases=3; "
     "patrimonio=0566717-652875-0",
     "patrimonio:repaired"},
    {"a utility's long number of which a dash was not read",
     "ITB\n"
     "15 kVA                SÉRIE Nº 9154      FASES 3\n"
     "\n"
     "0782673-2792885\n",
     "potencia_kva=15; fabricante=ITB; numero_serie=9154; fases=3; patrimonio=0782673-279288-5",
     "patrimonio:unlabelled"},
    {"a dash that was read as another sign, taps with dots between them",
     "TOSHIBA\n"
     "POT. 5 kVA            SÉRIE Nº 90442     FASES 1\n"
     "CÓD. CLIENTE          TENSÃO SUPERIOR\n"
     "458282~4              7967.7621-7275 V\n",
     "potencia_kva=5; fabricante=TOSHIBA; numero_serie=90442; tensao_primaria_v=7967; fases=1; "
     "patrimonio=458282-4",
     "patrimonio:repaired"},
    {"a tag below what was taken for another label, a registration behind a norm",
     "ITAM\n"
     "POT. 150 kVA          SÉRIE Nº 4386      FASES 3\n"
     "PaSTe                 ABNT NBR 5356 015797/2013\n"
     "204256-3\n",
     "potencia_kva=150; fabricante=ITAM; numero_serie=4386; fases=3; patrimonio=204256-3; "
     "registro=015797/2013",
     "patrimonio:unlabelled; registro:unlabelled"},
    {"strokes of dates that were lost or read as digits",
     "MINUZZI\n"
     "POT. 150 kVA          SÉRIE Nº 7275462   FASES 3\n"
     "FABRICAÇÃO.....006/13\n",
     "potencia_kva=150; fabricante=MINUZZI; numero_serie=7275462; data_fabricacao=2013-06; fases=3",
     "data_fabricacao:repaired"},
    {"a stroke between day and month that was lost",
     "WEG\n"
     "POT. 112,5 kVA        SÉRIE Nº F5337     FASES 3\n"
     "FABRICAÇÃO 1904/1999  ELON3H\n",
     "potencia_kva=112.5; fabricante=WEG; numero_serie=F5337; data_fabricacao=1999-04; "
     "elo_fusivel=3H; fases=3",
     "data_fabricacao:repaired; elo_fusivel:unlabelled"},
    {"blanks behind commas, half a unit without its label",
     "MINUZZI\n"
     "112, 5 kVA            SÉRIE Nº 33862298  FASES 3\n"
     "FUSÍVEL: 0, 5H\n",
     "potencia_kva=112.5; fabricante=MINUZZI; numero_serie=33862298; elo_fusivel=0,5H; fases=3",
     ""},
    {"half a unit without its label, a utility's long number behind a norm",
     "CEMEC\n"
     "75 KA                 SÉRIE Nº 10749     FASES 3\n"
     "NORMA                 438413\n"
     "NBR 5440:2011 0857468-436771-6\n",
     "potencia_kva=75; fabricante=CEMEC; numero_serie=10749; fases=3; "
     "patrimonio=0857468-436771-6",
     "potencia_kva:unlabelled; patrimonio:unlabelled"},
    {"a serial number whose first letter ends a label, too",
     "SOLTRAN\n"
     "50 kVA                SÉRIEN: RT-93477   FASES 1\n",
     "potencia_kva=50; fabricante=SOLTRAN; numero_serie=RT-93477; fases=1", ""},
    {"a class of insulation that ran into the year",
     "UNIÃO\n"
     "300 kVA               SÉRIE Nº 23260     FASES 3\n"
     "DATA FABR.            CLASSE\n"
     "23/06/201724,2 kV\n",
     "potencia_kva=300; fabricante=UNIÃO; numero_serie=23260; data_fabricacao=2017-06; fases=3",
     "data_fabricacao:repaired"},
    {"taps whose last digit was not read, a date of a sticker",
     "ROMAGNOLE\n"
     "225 kVA               851341             FASES 3\n"
     "1380                  1320               1260\n"
     "COMTRAFO              11/03/2020\n",
     "potencia_kva=225; fabricante=ROMAGNOLE; numero_serie=851341; data_fabricacao=2020-03; fases=3",
     "fabricante:ambiguous; numero_serie:unlabelled; data_fabricacao:unlabelled"},
    {"a serial number cut short, a blank in a number of kV",
     "ITAM\n"
     "10 kVA                SÉRIE TR-93        FASES 1\n"
     "ALTA TENSÃO: 7, 967 kV\n",
     "potencia_kva=10; fabricante=ITAM; numero_serie=TR-93; tensao_primaria_v=7967; fases=1",
     "numero_serie:repaired"},
    {"half a kVA unit on a plate without labels, a small letter of a label",
     "ITAIPU\n"
     "112,5 kV              m1369977\n"
     "sdrum N: 7887         D201-00397-B\n",
     "potencia_kva=112.5; fabricante=ITAIPU; numero_serie=7887", "numero_serie:unlabelled"},
    {"a label that stuck to the unit before it, a month that stuck to the label before it",
     "TRAEL\n"
     "POTÊNCIA NOMINAL: 112,5 KVASÉRIE: 24109\n"
     "DATA TABJUL/1997     N° DE FASESI 3\n"
     "T.S11900/11400/10800V\n",
     "potencia_kva=112.5; fabricante=TRAEL; numero_serie=24109; data_fabricacao=1997-07; "
     "tensao_primaria_v=11900; fases=3",
     ""},
    {"what is left of a label before its stop, a speck behind a fuse, a stroke of a registration",
     "UNIÃO\n"
     "TRANSFORMADOR TRIFÁSICO\n"
     "15 kVA               FAR. 5668544\n"
     "hores: 0,5H°         002417|2018\n",
     "potencia_kva=15; fabricante=UNIÃO; numero_serie=5668544; elo_fusivel=0,5H; fases=3; "
     "registro=002417/2018",
     "numero_serie:unlabelled; registro:unlabelled"},
    {"a speck in the power, a letter taken for a digit of the fuse, the comma of the kilovolts lost",
     "ROMAGNOLE\n"
     "TRANSFORMADOR BIFÁSICO\n"
     "POTÊNCIA 1.0 kVA     SÉRIE Nº 5524\n"
     "ELO FUSÍVEL: L8H     TENSÃO AT: 34 5 kV\n",
     "potencia_kva=10; fabricante=ROMAGNOLE; numero_serie=5524; elo_fusivel=8H; "
     "tensao_primaria_v=34500; fases=2",
     "potencia_kva:repaired; elo_fusivel:repaired"},
    {"a lone letter behind a serial number, any letter for the K of kVA, drawings are no tags",
     "ABB\n"
     "TRANSFORMADOR MONOFÁSICO\n"
     "M . 150 EVA          ..RT-88404 A\n"
     "T1......220V         27303-8\n"
     "                     881226\n",
     "potencia_kva=150; fabricante=ABB; numero_serie=RT-88404; tensao_secundaria_v=220; fases=1; "
     "patrimonio=881226",
     "numero_serie:unlabelled; tensao_secundaria_v:unlabelled; patrimonio:unlabelled"},
    {"a letter of its label before a serial number with two, a date behind a norm, a V read as Y",
     "MINUZZI\n"
     "TRANSFORMADOR TRIFÁSICO\n"
     "225.KVA              STD-32233\n"
     "220y                 NBR 5440/2014 09/01/2004\n",
     "potencia_kva=225; fabricante=MINUZZI; numero_serie=TD-32233; data_fabricacao=2004-01; "
     "tensao_secundaria_v=220; fases=3",
     "numero_serie:unlabelled; data_fabricacao:unlabelled; tensao_secundaria_v:unlabelled"},
    {"what is left of a date's label",
     "UNIÃO\n"
     "50 kVA               SÉRIE Nº K2725       FASES 1\n"
     "DATAF01/03\n",
     "potencia_kva=50; fabricante=UNIÃO; numero_serie=K2725; data_fabricacao=2003-01; fases=1", ""},
    {"a colon read as a letter, apart from its label",
     "ITAM\n"
     "POTÊNCIA (kVA): 30   SÉRIE I 7058         FASES: 3\n",
     "potencia_kva=30; fabricante=ITAM; numero_serie=7058; fases=3", ""},
    {"letters of its label before a serial number, an order's number below it",
     "ITAM\n"
     "300 kVA              FASES 3\n"
     "ERE3918190\n"
     "1245705\n",
     "potencia_kva=300; fabricante=ITAM; numero_serie=3918190; fases=3; patrimonio=1245705",
     "numero_serie:unlabelled; patrimonio:unlabelled"},
    {"specks before a unit, before a tag, and a label's rest before a fuse",
     "UNIÃO\n"
     "POTÊNCIA: 37, 5 °kVA     SÉRIE Nº 83280-0     FASES: 1\n"
     "PATRIM.  10566770-134973-4\n"
     "8ama.0.5H                220 V NBA....95 kV\n",
     "potencia_kva=37.5; fabricante=UNIÃO; numero_serie=83280-0; elo_fusivel=0,5H; "
     "tensao_secundaria_v=220; fases=1; patrimonio=0566770-134973-4",
     "elo_fusivel:unlabelled; tensao_secundaria_v:unlabelled; patrimonio:repaired"},
    {"a serial number's own letter behind letters of its label",
     "ITB\n"
     "POT NOM: 225 kVA     NF FASES. 3\n"
     "SRER3930\n",
     "potencia_kva=225; fabricante=ITB; numero_serie=R3930; fases=3", "numero_serie:unlabelled"},
    {"a number sign of which a letter and its stop were read",
     "ITB\n"
     "POTÊNCIA: 50 kVA     SERIE P.20975-5     FASES: 1\n",
     "potencia_kva=50; fabricante=ITB; numero_serie=20975-5; fases=1", ""},
    {"an N that may be the label's",
     "SIEMENS\n"
     "POTÊNCIA: 25 kVA     SÉRIE NV97768     FASES: 2\n",
     "potencia_kva=25; fabricante=SIEMENS; numero_serie=NV97768; fases=2",
     "numero_serie:doubtful_letter"},
    {"two letters of a serial number whose dash was not read",
     "SIEMENS\n"
     "POTÊNCIA: 25 kVA     SERE: TR 61462     FASES: 2\n",
     "potencia_kva=25; fabricante=SIEMENS; numero_serie=TR61462; fases=2",
     "numero_serie:split_number"},
    {"a comma that was not read, of 37,5",
     "ITAIPU\n"
     "TRANSFORMADOR MONOFÁSICO\n"
     "375                      SÉRIE Nº T785956\n",
     "potencia_kva=37.5; fabricante=ITAIPU; numero_serie=T785956; fases=1",
     "potencia_kva:repaired"},
    {"a date's label of which little is left, a date that is no serial number",
     "ITAM\n"
     "50 kVA               4608238              FASES 1\n"
     "DATA PABL. MAR/17    FA032017\n",
     "potencia_kva=50; fabricante=ITAM; numero_serie=4608238; data_fabricacao=2017-03; fases=1",
     "numero_serie:unlabelled"},
    {"a fuse's letter that is read twice",
     "TRAFO\n"
     "POTÊNCIA: 225 kVA    FUSIVEL.....8HH      FASES: 3\n",
     "potencia_kva=225; fabricante=TRAFO; elo_fusivel=8H; fases=3", ""},
    {"a fuse behind a norm's number",
     "ITB\n"
     "POTÊNCIA: 30 kVA     ABNT NBR 5356 0.5H   FASES: 3\n",
     "potencia_kva=30; fabricante=ITB; elo_fusivel=0,5H; fases=3", "elo_fusivel:unlabelled"},
    {"a date below a material, which is a label without a value",
     "ITAM\n"
     "POTÊNCIA: 30 kVA     SÉRIE: 135722        FASES: 3\n"
     "BT ALUMINIO\n"
     "AGO/2022\n",
     "potencia_kva=30; fabricante=ITAM; numero_serie=135722; data_fabricacao=2022-08; fases=3",
     "data_fabricacao:unlabelled"},
};

static void layouts_of_many_makers(void **state) {
    (void)state;
    check_examples(LAYOUTS, COUNT(LAYOUTS));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(layouts_of_many_makers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
