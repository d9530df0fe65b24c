"""What stands on a nameplate, as words: no picture yet.

make_plate(rng) gives one Plate: what a Brazilian maker of distribution transformers would print, the
truth of the eleven fields, and what else is on the plate that looks like a field and is none.
Values keep to the closed domains of ANEEL's tables, so that kVA, voltage, phases and fuse agree.
"""
from dataclasses import dataclass, field
from typing import NamedTuple

FIELDS = ("potencia_kva", "fabricante", "numero_serie", "data_fabricacao", "elo_fusivel",
          "tensao_primaria_v", "tensao_secundaria_v", "fases", "autoprotegido", "patrimonio",
          "registro")

# Canonical name, what the logo says, the company's line.
MAKERS = (
    ("ROMAGNOLE", "ROMAGNOLE", "ROMAGNOLE PRODUTOS ELÉTRICOS S.A."),
    ("WEG", "WEG", "WEG EQUIPAMENTOS ELÉTRICOS S.A."),
    ("TRAEL", "TRAEL", "TRAEL TRANSFORMADORES ELÉTRICOS LTDA"),
    ("ITAM", "ITAM", "ITAM TRANSFORMADORES LTDA"),
    ("ITB", "ITB", "ITB EQUIPAMENTOS ELÉTRICOS LTDA"),
    ("COMTRAFO", "COMTRAFO", "COMTRAFO IND. DE TRANSFORMADORES S.A."),
    ("SIEMENS", "SIEMENS", "SIEMENS LTDA"),
    ("ABB", "ABB", "ABB LTDA"),
    ("HITACHI ENERGY", "HITACHI ENERGY", "HITACHI ENERGY BRASIL LTDA"),
    ("TOSHIBA", "TOSHIBA", "TOSHIBA TRANSMISSÃO E DISTRIBUIÇÃO"),
    ("UNIÃO", "UNIÃO", "UNIÃO TRANSFORMADORES LTDA"),
    ("TRAFO", "TRAFO", "TRAFO EQUIPAMENTOS ELÉTRICOS S.A."),
    ("CEMEC", "CEMEC", "CEMEC CONSTRUÇÕES ELETROMECÂNICAS S.A."),
    ("BALESTRO", "BALESTRO", "INDÚSTRIA ELETROMECÂNICA BALESTRO"),
    ("ADELCO", "ADELCO", "ADELCO SISTEMAS DE ENERGIA LTDA"),
    ("ITAIPU", "ITAIPU", "ITAIPU TRANSFORMADORES LTDA"),
    ("TUSCO", "TUSCO", "TUSCO TRANSFORMADORES S.A."),
    ("ZILMER", "ZILMER", "ZILMER INELTEC LTDA"),
    ("WALTEC", "WALTEC", "WALTEC EQUIPAMENTOS ELÉTRICOS"),
    ("MINUZZI", "MINUZZI", "MINUZZI TRANSFORMADORES"),
    ("SOLTRAN", "SOLTRAN", "SOLTRAN TRANSFORMADORES LTDA"),
    ("BRASTRAFO", "BRASTRAFO", "BRASTRAFO DO BRASIL LTDA"),
)
MAKER_WEIGHTS = (6, 5, 3, 3, 3, 3, 1, 1, 1, 1, 2, 2, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1)
MONTHS = "JAN FEV MAR ABR MAI JUN JUL AGO SET OUT NOV DEZ".split()
MONTH_NAMES = ("JANEIRO FEVEREIRO MARÇO ABRIL MAIO JUNHO JULHO AGOSTO SETEMBRO OUTUBRO NOVEMBRO "
               "DEZEMBRO").split()
POWERS = {1: ("5", "10", "15", "25", "37.5", "50"),
          2: ("10", "15", "25"),
          3: ("15", "30", "45", "75", "112.5", "150", "225", "300")}
# kVA -> fuse of a three-phase unit: on a 13.8 kV feeder, on a 34.5 kV one.
FUSES = {"15": ("0,5H", "0,5H"), "30": ("1H", "0,5H"), "45": ("2H", "1H"), "75": ("3H", "2H"),
         "112.5": ("5H", "3H"), "150": ("5H", "3H"), "225": ("8H", "5H"), "300": ("10H", "5H"),
         "5": ("0,5H", "0,4H"), "10": ("1H", "0,5H"), "25": ("2H", "1H"), "37.5": ("3H", "2H"),
         "50": ("5H", "2H")}
TAPS = {13800: ((13800, 13200, 12600), (13800, 13200, 12600, 12000, 11400), (13800, 13350, 12900)),
        11900: ((11900, 11400, 10800),), 13200: ((13200, 12600, 12000),),
        23100: ((23100, 22000, 20900), (23100, 22550, 22000)),
        34500: ((34500, 33000, 31500), (34500, 33500, 32500)),
        7967: ((7967, 7621, 7275),), 7960: ((7960, 7620, 7270),), 19919: ((19919, 19053, 18187),)}


class Piece(NamedTuple):
    """A text as printed. marks: (field, the part of the text that carries its value)."""
    text: str
    marks: tuple = ()


class Entry(NamedTuple):
    label: str
    value: Piece


class Tap(NamedTuple):
    position: str
    volts: Piece
    links: str


@dataclass
class Plate:
    maker: Piece
    title: list            # of Piece: the lines under or beside the logo
    entries: list          # of Entry
    taps: list             # of Tap; empty: the voltages are an entry
    notes: list            # of Piece: small print at the bottom
    phases: int
    truth: dict            # the eleven fields; absent is None
    decoys: list = field(default_factory=list)   # (kind, text): looks like a field, is none

    @property
    def lines(self):
        """(label, Piece) in reading order; the label may be empty."""
        rows = [("", self.maker)] + [("", p) for p in self.title]
        rows += [(e.label, e.value) for e in self.entries]
        rows += [(t.position, t.volts) for t in self.taps]
        return rows + [("", p) for p in self.notes]


def comma(number):
    return str(number).replace(".", ",")


def digits(rng, count):
    return str(rng.randint(1, 9)) + "".join(rng.choice("0123456789") for _ in range(count - 1))


def _serial(rng, year):
    kind = rng.random()
    if kind < .62:
        return digits(rng, rng.randint(4, 8))
    if kind < .74:
        return f"{digits(rng, rng.randint(4, 6))}/{year}"
    if kind < .86:
        return f"{rng.choice('ABCDEFGHJKLMNPRTUVX')}{digits(rng, rng.randint(4, 6))}"
    if kind < .94:
        return f"{digits(rng, rng.randint(4, 6))}-{rng.randint(0, 9)}"
    return f"{rng.choice(('RT', 'TD', 'TR', 'MT'))}-{digits(rng, 5)}"


def _date(rng):
    """The truth, the printed form, labels that suit it."""
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1994, 2026)
    if year == 2026:
        month = rng.randint(1, 6)
    name, two = MONTHS[month - 1], f"{year % 100:02d}"
    full = ("DATA DE FABRICAÇÃO", "DATA FABR.", "FABRICAÇÃO", "DATA", "MÊS/ANO", "DATA FAB.")
    kind = rng.choices(range(8), (30, 8, 14, 10, 8, 5, 3, 22))[0]
    if kind == 7:
        return f"{year}", f"{year}", ("ANO", "ANO FABR.", "ANO DE FABRICAÇÃO")
    text = (f"{month:02d}/{year}", f"{month:02d}/{two}", f"{day:02d}/{month:02d}/{year}",
            f"{name}/{year}", f"{name}/{two}", f"{day:02d}{name}{two}",
            f"{MONTH_NAMES[month - 1]}/{year}")[kind]
    if kind in (2, 5):
        full = tuple(label for label in full if label != "MÊS/ANO")
    return f"{year}-{month:02d}", text, full


def _volts(rng, value):
    """One voltage as plates print it: the text with its unit, the part that is the value."""
    kind = rng.random()
    if kind < .6:
        return f"{value} V", f"{value}"
    if kind < .75:
        dotted = f"{value // 1000}.{value % 1000:03d}"
        return f"{dotted} V", dotted
    kilo = comma(f"{value / 1000:.3f}".rstrip("0"))
    return f"{kilo} kV", kilo


def _primary(rng, value, taps):
    labels = ("TENSÃO PRIMÁRIA", "TENSÃO SUPERIOR", "TENSÃO AT", "ALTA TENSÃO", "AT", "PRIMÁRIO",
              "TENSÃO PRIMÁRIA (V)", "T.S.")
    label = rng.choice(labels)
    if taps and rng.random() < .6:
        sign = rng.choice(("/", " / ", "-"))
        text = sign.join(str(t) for t in taps)
        if "(V)" not in label:
            text += " V"
        return Entry(label, Piece(text, (("tensao_primaria_v", str(value)),)))
    text, key = _volts(rng, value)
    if "(V)" in label:
        text = key = str(value)
    return Entry(label, Piece(text, (("tensao_primaria_v", key),)))


def _secondary(rng, value):
    label = rng.choice(("TENSÃO SECUNDÁRIA", "TENSÃO INFERIOR", "TENSÃO BT", "BAIXA TENSÃO", "BT",
                        "SECUNDÁRIO", "TENSÃO SECUNDÁRIA (V)", "T.I."))
    text = value if "(V)" in label else f"{value} V"
    return Entry(label, Piece(text, (("tensao_secundaria_v", value),)))


def _electrical(rng):
    """Phases, kVA, primary and secondary that go together."""
    phases = rng.choices((1, 2, 3), (28, 4, 68))[0]
    power = rng.choice(POWERS[phases])
    if phases == 3:
        primary = rng.choices((13800, 23100, 34500, 11900, 13200), (70, 8, 12, 5, 5))[0]
        secondary = rng.choices(("220/127", "380/220", "440/254"), (60, 37, 3))[0]
    elif phases == 2:
        primary, secondary = rng.choice((13800, 34500)), rng.choice(("220/127", "240/120", "254/127"))
    else:
        primary = rng.choices((7967, 7960, 13800, 19919, 34500), (45, 10, 25, 15, 5))[0]
        secondary = rng.choices(("440/220", "254/127", "240/120", "230/115", "220"),
                                (38, 18, 24, 10, 10))[0]
    return phases, power, primary, secondary


def cnpj(rng):
    base = [int(c) for c in digits(rng, 8)] + [0, 0, 0, 1]
    for _ in range(2):
        weights = [(i % 8) + 2 for i in range(len(base))][::-1]
        rest = sum(a * b for a, b in zip(base, weights)) % 11
        base.append(0 if rest < 2 else 11 - rest)
    s = "".join(map(str, base))
    return f"{s[:2]}.{s[2:5]}.{s[5:8]}/{s[8:12]}-{s[12:]}"


def _others(rng, phases, power, primary):
    """Statements that are no field: (kind, label, text)."""
    kva = float(power)
    nbi = 95 if primary < 16000 else 125 if primary < 25000 else rng.choice((145, 150, 170))
    link = {3: rng.choice(("Dyn1", "Dyn11", "Dy1")), 2: "FF", 1: rng.choice(("Ii6", "Ii0"))}[phases]
    empty = int(35 + 3.2 * kva)
    rows = [
        ("frequency", rng.choice(("FREQUÊNCIA", "FREQ.", "FREQUÊNCIA (Hz)")), "60 Hz"),
        ("impedance", rng.choice(("IMPEDÂNCIA 75 °C", "IMPEDÂNCIA", "Z 75 °C")),
         comma(f"{rng.choice((2.5, 3.5, 3.45, 3.52, 4.5, 2.28))} %")),
        ("connection", rng.choice(("LIGAÇÃO", "DIAGRAMA FASORIAL", "GRUPO DE LIGAÇÃO")), link),
        ("norm", rng.choice(("NORMA", "NORMAS", "ESPECIFICAÇÃO")),
         rng.choice(("NBR 5440", "NBR 5440/2014", "ABNT NBR 5356", "NBR 5440:2011"))),
        ("oil", rng.choice(("VOLUME DE ÓLEO", "ÓLEO", "VOL. ÓLEO", "LÍQUIDO ISOLANTE")),
         f"{int(30 + kva * 1.1)} L"),
        ("mass", rng.choice(("MASSA TOTAL", "MASSA", "PESO TOTAL")),
         f"{int(60 + kva * rng.uniform(4.5, 7))} kg"),
        ("bil", rng.choice(("NBI", "NÍVEL DE ISOLAMENTO", "N.B.I.")), f"{nbi} kV"),
        ("rise", rng.choice(("ELEV. TEMP. ÓLEO/ENROL.", "ELEVAÇÃO DE TEMPERATURA", "ELEV. TEMP.")),
         rng.choice(("50/55 °C", "55 °C", "60/65 °C", "65 °C"))),
        ("losses", rng.choice(("PERDAS EM VAZIO", "PERDAS VAZIO/TOTAL", "PERDAS")),
         f"{empty}/{int(empty * 4.6)} W"),
        ("drawing", rng.choice(("DESENHO Nº", "DES. Nº", "DESENHO")),
         f"{digits(rng, 5)}-{rng.choice('ABCDE')}"),
        ("cooling", rng.choice(("RESFRIAMENTO", "REFRIGERAÇÃO")), "ONAN"),
        ("type", rng.choice(("TIPO", "MODELO")), f"T{rng.choice('DMTB')}{rng.choice('ABC')}-{primary // 1000}"),
        ("class", "CLASSE", f"{15 if primary < 16000 else 24.2 if primary < 25000 else 36.2} kV".replace(".", ",")),
        ("tank", "MATERIAL ENROL.", rng.choice(("AT ALUMÍNIO BT ALUMÍNIO", "COBRE/COBRE", "AL/AL"))),
        ("order", rng.choice(("OF", "ITEM", "PEDIDO")), digits(rng, rng.randint(5, 8))),
    ]
    if phases == 1:
        rows.append(("polarity", "POLARIDADE", rng.choice(("SUBTRATIVA", "ADITIVA"))))
    keep = rng.sample(rows, rng.randint(4, min(11, len(rows))))
    return [r for r in rows if r in keep]


def _phase_word(phases):
    return {1: "MONOFÁSICO", 2: "BIFÁSICO", 3: "TRIFÁSICO"}[phases]


def _power(rng, power):
    label = rng.choice(("POTÊNCIA", "POTÊNCIA NOMINAL", "POT.", "POTÊNCIA (kVA)", "kVA", "POT. NOM."))
    text = comma(power)
    shown = text if "kVA" in label else f"{text}{rng.choice((' kVA', ' kVA', 'kVA', ' KVA'))}"
    return Entry(label, Piece(shown, (("potencia_kva", text),)))


def _identity(rng, truth):
    """Serial, date, fuse, asset tag, registration; fills the truth of each."""
    truth["data_fabricacao"], date, labels = _date(rng)
    serial = truth["numero_serie"] = _serial(rng, truth["data_fabricacao"][:4])
    entries = [Entry(rng.choice(("Nº DE SÉRIE", "N° SÉRIE", "Nº SÉRIE", "SÉRIE", "NÚMERO DE SÉRIE",
                                 "SÉRIE Nº", "Nº FABR.")),
                     Piece(serial, (("numero_serie", serial),)))]
    if rng.random() < .94:
        entries.append(Entry(rng.choice(labels), Piece(date, (("data_fabricacao", date),))))
    else:
        truth["data_fabricacao"] = None
    if rng.random() < .55:
        tag = rng.choice((digits(rng, rng.randint(5, 8)), f"{digits(rng, 6)}-{rng.randint(0, 9)}",
                          f"0{digits(rng, 6)}-{digits(rng, 6)}-{rng.randint(0, 9)}"))
        truth["patrimonio"] = tag
        entries.append(Entry(rng.choice(("PATRIMÔNIO", "Nº PATRIMÔNIO", "PATRIM.", "Nº PATR.",
                                         "TOMBAMENTO", "CÓD. CLIENTE")),
                             Piece(tag, (("patrimonio", tag),))))
    if rng.random() < .4:
        # The label came in 2014, the approval is never younger than the unit.
        made = truth["data_fabricacao"]
        year = rng.randint(2013, max(2013, int(made[:4]))) if made else 2014
        reg = truth["registro"] = f"{rng.randint(1, 19999):06d}/{year}"
        entries.append(Entry(rng.choice(("REGISTRO INMETRO", "REG. INMETRO", "REGISTRO",
                                         "INMETRO REG.")), Piece(reg, (("registro", reg),))))
    return entries


def make_plate(rng):
    truth = dict.fromkeys(FIELDS)
    phases, power, primary, secondary = _electrical(rng)
    truth["potencia_kva"] = float(power) if "." in power else int(power)
    truth["tensao_primaria_v"], truth["tensao_secundaria_v"] = primary, secondary
    truth["fases"] = phases
    maker, logo, company = rng.choices(MAKERS, MAKER_WEIGHTS)[0]
    truth["fabricante"] = maker
    taps = rng.choice(TAPS[primary]) if rng.random() < .75 else ()

    word, title = _phase_word(phases), "TRANSFORMADOR DE DISTRIBUIÇÃO"
    marks, phase_entry = (), rng.random() < .72
    if not phase_entry or rng.random() < .35:
        title = f"TRANSFORMADOR {word}"
        marks = (("fases", word),)
    if rng.random() < .16:
        truth["autoprotegido"] = True
        title += " AUTOPROTEGIDO"
        marks += (("autoprotegido", "AUTOPROTEGIDO"),)
    entries = [_power(rng, power)] + _identity(rng, truth)
    if phase_entry:
        shown = rng.choice((f"{phases}", f"{phases}", f"{phases}", f"{phases}Ø", f"{phases}~"))
        entries.insert(rng.randint(1, 3), Entry(rng.choice(("FASES", "Nº FASES", "N° DE FASES")),
                                                Piece(shown, (("fases", str(phases)),))))
    if rng.random() < .5:
        fuse = truth["elo_fusivel"] = FUSES[power][primary in (34500, 23100)]
        entries.append(Entry(rng.choice(("ELO FUSÍVEL", "ELO", "FUSÍVEL", "ELO FUS.")),
                             Piece(fuse, (("elo_fusivel", fuse),))))
    table = []
    if taps and rng.random() < .5:
        links = rng.sample(("10-7", "7-4", "4-13", "13-16", "5-8", "8-11", "2-5"), 5)
        table = [Tap(str(i + 1), Piece(f"{t}", (("tensao_primaria_v", f"{t}"),) if i == 0 else ()),
                     links[i]) for i, t in enumerate(taps)]
    else:
        entries.append(_primary(rng, primary, taps))
    entries.append(_secondary(rng, secondary))
    others = _others(rng, phases, power, primary)
    rows = [Entry(label, Piece(text)) for _, label, text in others]
    # Power and serial first, then a mix, as each maker has its own order.
    mixed = entries[3:] + rows
    rng.shuffle(mixed)
    notes, decoys = [], [(kind, text) for kind, _, text in others]
    if rng.random() < .6:
        notes.append(Piece(company, (("fabricante", logo),) if logo in company else ()))
    if rng.random() < .55:
        number = cnpj(rng)
        notes.append(Piece(f"CNPJ {number}"))
        decoys.append(("cnpj", number))
    if rng.random() < .6:
        notes.append(Piece(rng.choice(("INDÚSTRIA BRASILEIRA", "IND. BRASILEIRA",
                                       "ÓLEO ISENTO DE PCB", "FABRICADO NO BRASIL"))))
    return Plate(Piece(logo, (("fabricante", logo),)), [Piece(title, marks)], entries[:3] + mixed,
                 table, notes, phases, truth, decoys)

