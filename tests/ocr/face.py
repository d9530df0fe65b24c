"""The face of a plate: where which text stands, as masks that a material then turns into metal.

A face is `width` pixels wide; all else follows. `marks` says where each field's value ended up.
"""
import math

from PIL import Image, ImageDraw

import fonts


class Face:
    """ink: what is printed or engraved; stamp: what was struck in later; band: inverted areas."""

    def __init__(self, rng, plate, width):
        self.rng = rng
        crowded = len(plate.entries) > 12
        ratio = rng.choice((.72, .78, .9, 1.05) if crowded else (.62, .66, .7, .72, .78, .9))
        self.width, self.height = width, round(width * ratio)
        size = (self.width, self.height)
        self.ink, self.stamp, self.band = (Image.new("L", size) for _ in range(3))
        self.pen = ImageDraw.Draw(self.ink)
        self.line = max(1, round(width / rng.choice((300, 420, 600))))
        self.marks = []                  # (field, (x0, y0, x1, y1), printed)
        self.texts = []                  # (text, box): everything there is to read
        kind = rng.choices(("print", "engraved", "din"), (66, 26, 8))[0]
        self.label_font = rng.choice(fonts.role(kind))
        self.value_font = self.label_font if rng.random() < .5 else rng.choice(fonts.role(kind))
        self.logo_font = rng.choice(fonts.role("logo"))
        self.struck = rng.random() < .3  # the values were stamped into a printed form
        if self.struck:
            self.value_font = rng.choice(fonts.role("stamped"))
        self.slip = rng.uniform(.1, .6) if rng.random() < .6 else 0
        self.value_weight = rng.uniform(1.0, 1.25)
        self._compose(plate)

    # Text

    def put(self, x, y, piece, path, cap, struck=False, room=None):
        """Baseline left at x, y, capitals `cap` high, in at most `room` pixels. Returns its end."""
        px = fonts.size_for(path, cap)
        if room:
            wide = fonts.width(path, px, piece.text)
            if wide > room:
                px = max(4, int(px * room / wide))
        if struck:
            end = fonts.draw_stamped(self.stamp, x, y, piece.text, path, px, self.rng, self.slip)
        else:
            end = fonts.draw(self.ink, x, y, piece.text, path, px)
        high = fonts.cap_height(path, px)
        self.texts.append((piece.text, (x, y - high, end, y)))
        for field, part in piece.marks:
            at = piece.text.index(part)
            x0 = x + fonts.width(path, px, piece.text[:at]) if not struck else x
            x1 = x0 + fonts.width(path, px, part) if not struck else end
            self.marks.append((field, (x0, y - high, x1, y), part))
        return end

    def label(self, x, y, text, cap, room=None):
        return self.put(x, y, _plain(text), self.label_font, cap, room=room)

    def value(self, x, y, piece, cap, room=None):
        return self.put(x, y, piece, self.value_font, cap, self.struck, room)

    # Layout

    def _compose(self, plate):
        rng, w, h = self.rng, self.width, self.height
        m = w * rng.uniform(.035, .06)
        if rng.random() < .7:
            self._frame(m * .35)
        top = self._header(plate, m)
        self.head = top - m * .3
        bottom = self._notes(plate, m)
        body = [m, top, w - m, bottom]
        wants_diagram = rng.random() < .65
        if plate.taps or wants_diagram:
            if len(plate.entries) > 8 or rng.random() < .5 or h > w:
                side = body[2] - (body[2] - body[0]) * rng.uniform(.33, .4)
                area = [side + m * .3, top, body[2], bottom]
                body[2] = side - m * .3
            else:
                low = bottom - (bottom - top) * rng.uniform(.3, .36)
                area = [m, low + m * .3, body[2], bottom]
                body[3] = low - m * .2
            self._aside(plate, area, wants_diagram)
        self._entries(plate.entries, body)

    def _frame(self, inset):
        box = [inset, inset, self.width - inset, self.height - inset]
        self.pen.rounded_rectangle(box, radius=inset, outline=255, width=self.line)

    def _header(self, plate, m):
        """Logo and title; returns where the body begins."""
        rng, w = self.rng, self.width
        tall = self.height * rng.uniform(.13, .19)
        cap = tall * rng.uniform(.4, .52)
        px = fonts.size_for(self.logo_font, cap)
        logo_w = fonts.width(self.logo_font, px, plate.maker.text)
        limit = w * .42
        cap = cap * min(1, limit / logo_w)
        base = m * .7 + tall * .62
        beside = rng.random() < .6
        if beside:
            end = self.put(m, base, plate.maker, self.logo_font, cap)
            x = end + m
            for i, piece in enumerate(plate.title):
                self.put(x, base - cap * .1 + i * cap, piece, self.label_font, cap * .5,
                         room=w - m - x)
            y = m * .7 + tall
        else:
            logo_w = fonts.width(self.logo_font, fonts.size_for(self.logo_font, cap),
                                 plate.maker.text)
            x = (w - logo_w) / 2 if rng.random() < .5 else m
            self.put(x, base, plate.maker, self.logo_font, cap)
            y = base + cap * .3
            for piece in plate.title:
                y += cap * .62
                self.put(m, y, piece, self.label_font, cap * .42, room=w - 2 * m)
            y += cap * .3
        if rng.random() < .25:
            ImageDraw.Draw(self.band).rectangle([0, 0, w, y], fill=255)
        elif rng.random() < .6:
            self.pen.line([m * .5, y, w - m * .5, y], fill=255, width=self.line)
        return y + m * .3

    def _notes(self, plate, m):
        y = self.height - m * .9
        cap = self.height * self.rng.uniform(.018, .024)
        text = list(plate.notes)
        while text:
            line, text = text[:2], text[2:]
            x = m
            for piece in line:
                x = self.put(x, y, piece, self.label_font, cap, room=self.width * .45) + m * .5
            y -= cap * 2
        return y - cap * .3

    def _entries(self, entries, body):
        x0, y0, x1, y1 = body
        rng = self.rng
        style = rng.choice(("grid", "grid", "rows", "rows", "above", "leader"))
        columns = 1 if style == "leader" else 2
        if (x1 - x0) > .8 * self.width and rng.random() < .4:
            columns += 1
        if len(entries) > 13:
            columns = max(columns, 2)
        stacked = style == "above" or (style == "grid" and rng.random() < .7)
        stacked = stacked and (y1 - y0) * columns / len(entries) > .055 * self.width
        if style == "above" and not stacked:
            style = "rows"
        rows = self._flow(entries, columns, (x1 - x0) / columns, (y1 - y0), stacked)
        high = (y1 - y0) / len(rows)
        if style == "grid":
            for i in range(len(rows) + 1):
                self.pen.line([x0, y0 + i * high, x1, y0 + i * high], fill=255, width=self.line)
            self.pen.line([x0, y0, x0, y1], fill=255, width=self.line)
            self.pen.line([x1, y0, x1, y1], fill=255, width=self.line)
        cap = self._cap(high, stacked)
        for i, row in enumerate(rows):
            x, y = x0, y0 + i * high
            for entry, span in row:
                wide = (x1 - x0) * span / columns
                if style == "grid" and x > x0:
                    self.pen.line([x, y, x, y + high], fill=255, width=self.line)
                self._cell(entry, x, y, wide, high, cap, style, stacked)
                x += wide

    def _cap(self, high, stacked):
        limit = self.width * .03
        return min(limit, high * (.3 if stacked else .44))

    def _flow(self, entries, columns, wide, tall, stacked):
        """Rows of (entry, span): an entry too long for its column takes the row."""
        count = math.ceil(len(entries) / columns)
        for _ in range(3):
            cap = self._cap(tall / count, stacked)
            rows, row, used = [], [], 0
            for entry in entries:
                span = self._span(entry, cap, wide, columns, stacked)
                if used + span > columns:
                    row[-1] = (row[-1][0], row[-1][1] + columns - used)
                    rows.append(row)
                    row, used = [], 0
                row.append((entry, span))
                used += span
            row[-1] = (row[-1][0], row[-1][1] + columns - used)
            rows.append(row)
            if len(rows) == count:
                break
            count = len(rows)
        return rows

    def _span(self, entry, cap, wide, columns, stacked):
        label = fonts.width(self.label_font, fonts.size_for(self.label_font, cap * .8), entry.label)
        value = fonts.width(self.value_font, fonts.size_for(self.value_font, cap), entry.value.text)
        need = max(label, value) if stacked else label + value + cap * 2
        return min(columns, max(1, math.ceil(need / wide)))

    def _cell(self, entry, x, y, wide, high, cap, style, stacked):
        pad = cap * .4
        room = wide - 2 * pad
        big = cap * self.value_weight
        if stacked:
            self.label(x + pad, y + high * .4, entry.label, cap * .62, room)
            shift = self.rng.choice((0, 0, .25)) * max(0, room - self._wide(entry.value, big))
            self.value(x + pad + shift, y + high * .88, entry.value, big, room - shift)
            return
        base = y + high * .5 + cap * .5
        text = entry.label + (":" if style == "rows" else "")
        label_room = max(room * .25, room - self._wide(entry.value, big) - cap)
        end = self.label(x + pad, base, text, cap * .8, label_room)
        end = max(end, x + pad)
        left = end + cap * .7
        if style == "leader":
            column = max(left, x + wide * .5)
            self._dots(end + cap * .4, column - cap * .5, base, cap)
            left = column
        elif style == "grid":
            spare = x + wide - pad - left - self._wide(entry.value, big)
            left += max(0, spare) * self.rng.choice((0, 0, .5, .95))
        self.value(left, base, entry.value, big, x + wide - pad - left)

    def _wide(self, piece, cap):
        return fonts.width(self.value_font, fonts.size_for(self.value_font, cap), piece.text)

    def _dots(self, x, end, y, cap):
        while x < end:
            self.pen.ellipse([x, y - self.line * 1.5, x + self.line * 1.5, y], fill=255)
            x += cap * .6

    # Taps and diagrams

    def _aside(self, plate, area, wants_diagram):
        x0, y0, x1, y1 = area
        if plate.taps and wants_diagram:
            if (x1 - x0) > (y1 - y0) * 1.3:
                mid = (x0 + x1) / 2
                self._taps(plate.taps, (x0, y0, mid - self.line * 4, y1))
                self._diagram(plate.phases, (mid + self.line * 4, y0, x1, y1))
            else:
                mid = y0 + (y1 - y0) * .55
                self._taps(plate.taps, (x0, y0, x1, mid - self.line * 4))
                self._diagram(plate.phases, (x0, mid, x1, y1))
        elif plate.taps:
            self._taps(plate.taps, area)
        else:
            self._diagram(plate.phases, area)

    def _taps(self, taps, area):
        """Position, volts, links: one row a tap under a heading."""
        x0, y0, x1, y1 = area
        high = min((y1 - y0) / (len(taps) + 2), self.width * .075)
        cap = min(high * .5, (x1 - x0) * .055)
        head = self.rng.choice(("TENSÃO PRIMÁRIA", "ALTA TENSÃO", "PRIMÁRIO", "TENSÃO SUPERIOR"))
        self.label(x0 + cap * .4, y0 + high * .72, head, cap * .9, x1 - x0 - cap)
        splits = (x0, x0 + (x1 - x0) * .22, x0 + (x1 - x0) * .64, x1)
        columns = ("POS.", "VOLTS", "LIGAÇÃO")
        for i, text in enumerate(columns):
            self.label(splits[i] + cap * .4, y0 + high * 1.72, text, cap * .8,
                       splits[i + 1] - splits[i] - cap * .6)
        for i, tap in enumerate(taps):
            y = y0 + high * (2.72 + i)
            self.label(splits[0] + cap * .6, y, tap.position, cap)
            self.value(splits[1] + cap * .5, y, tap.volts, cap,
                       splits[2] - splits[1] - cap * .8)
            self.label(splits[2] + cap * .5, y, tap.links, cap, splits[3] - splits[2] - cap * .8)
        end = y0 + high * (len(taps) + 2)
        for i in range(len(taps) + 3):
            self.pen.line([x0, y0 + i * high, x1, y0 + i * high], fill=255, width=self.line)
        for i, x in enumerate(splits):
            self.pen.line([x, y0 + (high if i in (1, 2) else 0), x, end], fill=255, width=self.line)

    def _diagram(self, phases, area):
        """Windings between their terminals: H above, X below."""
        x0, y0, x1, y1 = area
        w, h = x1 - x0, y1 - y0
        cap = min(w * .05, h * .07)
        above = {1: ("H1", "H2T"), 2: ("H1", "H2"), 3: ("H1", "H2", "H3")}[phases]
        below = {1: ("X1", "X2", "X3"), 2: ("X1", "X2", "X3"), 3: ("X0", "X1", "X2", "X3")}[phases]
        self._winding(above, x0, y0 + h * .12, w, h * .3, cap, -1)
        self._winding(below, x0, y0 + h * .88, w, -h * .3, cap, 1)

    def _winding(self, names, x0, y, w, reach, cap, side):
        step = w / len(names)
        for i, name in enumerate(names):
            x = x0 + step * (i + .5)
            self.label(x - cap * .7, y + (0 if side < 0 else cap), name, cap)
            self.pen.line([x, y + cap * .4 * -side, x, y + reach * .45], fill=255, width=self.line)
            if i + 1 < len(names):
                self._coil(x, x + step, y + reach * .6, cap * .5)

    def _coil(self, x0, x1, y, r):
        n = max(2, int((x1 - x0) * .6 / (2 * r)))
        start = (x0 + x1) / 2 - n * r
        self.pen.line([x0, y, start, y], fill=255, width=self.line)
        for i in range(n):
            left = start + 2 * r * i
            self.pen.arc([left, y - r, left + 2 * r, y + r], 180, 360, fill=255, width=self.line)
        self.pen.line([start + 2 * r * n, y, x1, y], fill=255, width=self.line)


def _plain(text):
    from plates import Piece
    return Piece(text)
