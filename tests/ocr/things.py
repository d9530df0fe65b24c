"""What else is seen near a transformer's plate. Each function draws one thing, `px` pixels wide,
and returns (picture RGBA, texts on it); KINDS says its size in millimetres and its class, if any."""
from PIL import Image, ImageDraw

import fonts
import texture
from plates import digits

UTILITIES = ("CPFL", "COPEL", "CEMIG", "ENEL", "ENERGISA", "EQUATORIAL", "NEOENERGIA", "LIGHT", "EDP",
             "CELESC", "RGE", "CELPE", "COELBA", "COSERN")
TELECOMS = ("FIBRANET", "TELECOM SUL", "VIA FIBRA", "REDE ÓPTICA", "NETLINE", "CONECTA TELECOM")


def centred(image, y, text, path, cap, fill, room=.9, x=.5):
    """Text with its middle at x (part of the width), baseline y, at most `room` of the width."""
    px = fonts.size_for(path, cap)
    wide = fonts.width(path, px, text)
    if wide > room * image.width:
        px = max(4, int(px * room * image.width / wide))
        wide = fonts.width(path, px, text)
    fonts.draw(image, image.width * x - wide / 2, y, text, path, px, fill)


def _panel(noise, px, ratio, color, radius=.03):
    size = (px, max(4, round(px * ratio)))
    image = texture.flat(noise, size, color)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rounded_rectangle([0, 0, size[0] - 1, size[1] - 1], px * radius, fill=255)
    image.putalpha(mask)
    return image


def identification(rng, noise, px):
    """The number of a pole or of a place in the grid: few, large characters."""
    style = rng.choice((((236, 200, 40), (12, 12, 12)), ((238, 238, 234), (12, 12, 12)),
                        ((205, 206, 208), (20, 20, 22)), ((24, 60, 130), (240, 240, 240)),
                        ((18, 90, 50), (240, 240, 240)), ((30, 30, 32), (235, 235, 235)),
                        ((238, 238, 234), (150, 20, 20))))
    ratio = rng.uniform(.26, .62)
    image = _panel(noise, px, ratio, style[0])
    pen, h = ImageDraw.Draw(image), image.height
    if rng.random() < .5:
        edge = max(1, px // 70)
        pen.rectangle([edge * 2, edge * 2, px - edge * 2, h - edge * 2], outline=style[1], width=edge)
    number = rng.choice((digits(rng, rng.randint(4, 8)), f"{digits(rng, 3)}.{digits(rng, 3)}",
                         f"{rng.choice('ABCEPT')}{digits(rng, 5)}", f"{digits(rng, 5)}-{rng.randint(0, 9)}"))
    path = rng.choice(fonts.role("print") + fonts.role("stencil"))
    texts, utility = [number], rng.random() < .55
    if utility:
        texts.insert(0, rng.choice(UTILITIES) if rng.random() < .7 else "POSTE Nº")
        centred(image, h * .32, texts[0], path, h * .17, style[1])
    if rng.random() < .25 and not utility:
        second = digits(rng, rng.randint(3, 6))
        texts.append(second)
        centred(image, h * .46, number, path, h * .32, style[1])
        centred(image, h * .9, second, path, h * .32, style[1])
    else:
        centred(image, h * (.82 if utility else .72), number, path, h * (.4 if utility else .44), style[1])
    for x in (.05, .95) if rng.random() < .6 else ():
        r = px * .014
        pen.ellipse([px * x - r, h / 2 - r, px * x + r, h / 2 + r], fill=(60, 60, 60))
    return image, texts


def meter(rng, noise, px):
    """An electronic meter: LCD, its own small plate, a lamp."""
    grey = rng.randint(170, 225)
    image = _panel(noise, px, 1.45, (grey, grey, grey - 4), .06)
    pen, h = ImageDraw.Draw(image), image.height
    pen.rounded_rectangle([px * .08, h * .08, px * .92, h * .62], px * .03, fill=(60, 64, 66),
                          outline=(30, 30, 30), width=max(1, px // 120))
    pen.rectangle([px * .16, h * .14, px * .84, h * .3], fill=rng.choice(((148, 162, 134), (170, 180, 160))))
    shown = f"{rng.randint(0, 99999):05d}" if rng.random() < .6 else f"{rng.randint(0, 999999):06d}"
    path = rng.choice(fonts.role("lcd"))
    centred(image, h * .275, shown, path, h * .1, (30, 36, 30), .6)
    face = fonts.role("print")[0]
    serial = digits(rng, 8)
    small = ["kWh", rng.choice(("MEDIDOR ELETRÔNICO", "MEDIDOR POLIFÁSICO")), f"Nº {serial}",
             rng.choice(("120 V 15(120)A 60 Hz", "3x120/208 V 2,5(10)A", "240 V 15(100)A 2 FIOS")),
             f"KH 1,0 CLASSE B {rng.randint(2008, 2024)}"]
    for i, text in enumerate(small):
        centred(image, h * (.36 + .055 * i), text, face, h * .02, (225, 225, 225), .7)
    pen.rectangle([px * .2, h * .68, px * .8, h * .8], fill=(245, 245, 245))
    x = px * .24
    while x < px * .76:
        wide = px * rng.choice((.004, .008, .012))
        pen.rectangle([x, h * .69, x + wide, h * .76], fill=(10, 10, 10))
        x += wide + px * rng.choice((.005, .01))
    centred(image, h * .79, serial, face, h * .018, (10, 10, 10), .5)
    return image, [shown] + small


def telecom(rng, noise, px):
    back, ink = rng.choice((((240, 150, 30), (10, 10, 10)), ((30, 120, 200), (245, 245, 245)),
                            ((245, 245, 240), (20, 60, 140)), ((240, 220, 60), (10, 10, 10))))
    image = _panel(noise, px, rng.uniform(.4, .7), back)
    h, bold = image.height, fonts.role("print")[1]
    texts = [rng.choice(TELECOMS), rng.choice(("CUIDADO FIBRA ÓPTICA", "CABO ÓPTICO", "FIBRA ÓPTICA")),
             f"0800 {rng.randint(100, 999)} {rng.randint(1000, 9999)}",
             f"CTO {rng.randint(10, 99)}-{digits(rng, 4)}"]
    for i, text in enumerate(texts):
        centred(image, h * (.28 + .2 * i), text, bold, h * (.15 if i == 0 else .1), ink)
    return image, texts


def warning(rng, noise, px):
    if rng.random() < .5:
        image = _panel(noise, px, 1.25, (240, 196, 20))
        pen, h = ImageDraw.Draw(image), image.height
        pen.polygon([(px * .5, h * .08), (px * .88, h * .6), (px * .12, h * .6)], fill=(15, 15, 15))
        pen.polygon([(px * .5, h * .15), (px * .8, h * .565), (px * .2, h * .565)], fill=(240, 196, 20))
        pen.polygon([(px * .53, h * .24), (px * .42, h * .42), (px * .5, h * .42), (px * .46, h * .55),
                     (px * .6, h * .37), (px * .51, h * .37)], fill=(15, 15, 15))
        texts = [rng.choice(("PERIGO", "CUIDADO")), rng.choice(("ALTA TENSÃO", "RISCO DE CHOQUE"))]
        for i, text in enumerate(texts):
            centred(image, h * (.76 + .17 * i), text, fonts.role("print")[1], h * .09, (15, 15, 15))
        return image, texts
    image = _panel(noise, px, .62, (242, 242, 240))
    pen, h = ImageDraw.Draw(image), image.height
    pen.rectangle([0, 0, px, h * .36], fill=(190, 24, 24))
    texts = ["PERIGO", rng.choice(("NÃO SUBA", "NÃO TOQUE", "NÃO OPERE")), "13.800 VOLTS"]
    centred(image, h * .29, texts[0], fonts.role("print")[1], h * .2, (250, 250, 250))
    centred(image, h * .62, texts[1], fonts.role("print")[1], h * .15, (15, 15, 15))
    centred(image, h * .88, texts[2], fonts.role("print")[1], h * .13, (15, 15, 15))
    return image, texts


def inspection(rng, noise, px):
    """A tag of who looked at it when: dates and names that are not the plate's."""
    back, ink = rng.choice((((250, 250, 246), (14, 14, 16)), ((250, 218, 60), (14, 14, 16)),
                            ((120, 200, 120), (10, 20, 10)), ((240, 240, 240), (20, 50, 140))))
    image = _panel(noise, px, rng.uniform(.55, 1.3), back, .06)
    pen, h, bold = ImageDraw.Draw(image), image.height, fonts.role("print")[1]
    year = rng.randint(2012, 2026)
    texts = [rng.choice(("INSPEÇÃO", "MANUTENÇÃO", "ENSAIADO", "CONTROLE DE QUALIDADE", "ISENTO DE PCB")),
             f"DATA {rng.randint(1, 28):02d}/{rng.randint(1, 12):02d}/{year}",
             f"{rng.choice(('OS', 'NOTA', 'LACRE', 'LAUDO'))} {digits(rng, rng.randint(5, 8))}",
             rng.choice(("EQUIPE 07", "TÉC. J. SILVA", "VISTO", f"PRÓXIMA {year + 2}", "APROVADO"))]
    pen.rectangle([0, 0, px, h * .26], fill=ink)
    centred(image, h * .18, texts[0], bold, h * .1, back)
    for i, text in enumerate(texts[1:]):
        centred(image, h * (.45 + .19 * i), text, bold, h * .075, ink)
    if rng.random() < .4:
        r = px * .035
        pen.ellipse([px * .5 - r, h * .02, px * .5 + r, h * .02 + 2 * r], fill=(70, 70, 70))
    return image, texts


def painted(rng, noise, px, text=None):
    """Letters painted on the tank with a stencil or a brush; nothing behind them."""
    text = text or rng.choice((f"T{digits(rng, 4)}", f"ET-{digits(rng, 4)}", f"TR {digits(rng, 3)}",
                               digits(rng, 6), f"{digits(rng, 2)}-{digits(rng, 4)}"))
    path = rng.choice(fonts.role("stencil"))
    size = (px, round(px * .34))
    mask = Image.new("L", size)
    centred(mask, size[1] * .8, text, path, size[1] * .58, 255, .96)
    color = rng.choice(((12, 12, 14), (235, 205, 30), (240, 240, 240), (150, 20, 20), (20, 40, 110)))
    worn = texture.spots(noise, size, px * .06, .12, 90).point([255 - v // 2 for v in range(256)])
    image = Image.new("RGBA", size, color + (0,))
    image.putalpha(Image.composite(worn, Image.new("L", size), mask))
    return image, [text]


def blank(rng, noise, px):
    """A cover, a box, a patch of other paint: a rectangle with nothing on it."""
    color = [rng.randint(40, 235) + rng.randint(-14, 14) for _ in range(3)]
    color = [(c + sum(color)) // 4 for c in color]
    image = _panel(noise, px, rng.uniform(.3, 1.5), color, rng.uniform(0, .1))
    pen, h = ImageDraw.Draw(image), image.height
    if rng.random() < .5:
        edge = max(1, px // 60)
        pen.rectangle([edge, edge, px - edge, h - edge], outline=tuple(c // 2 for c in color), width=edge)
    for _ in range(rng.choice((0, 0, 3, 6))):
        y = rng.uniform(.1, .9) * h
        pen.line([px * .1, y, px * .9, y], fill=tuple(c * 2 // 3 for c in color), width=max(1, px // 80))
    return image, []


# name -> (draw, least and greatest width in mm, class)
KINDS = {
    "identification": (identification, 90, 190, "placa_identificacao"),
    "meter": (meter, 140, 180, None),
    "telecom": (telecom, 70, 130, None),
    "warning": (warning, 90, 170, None),
    "inspection": (inspection, 45, 90, None),
    "painted": (painted, 90, 240, None),
    "blank": (blank, 50, 220, None),
}
