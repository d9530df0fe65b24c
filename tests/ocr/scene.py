"""One scene: what stands where, drawn as one photo, with the truth about it.

draw_scene(seed, grade, long_side) -> (image, truth). A seed gives the same scene at every size, but
that the camera may stand further away where there are pixels enough.
Grades: 1 clean; 2 dirt, shadow, perspective, rotation, round tanks, things beside the plate;
3 the same with heavy blur, glare and rust.
"""
import math
import random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

import backdrop
import camera as cam
import face as faces
import light
import material
import plates
import things

BASE = 1600    # the long side that backdrop and tank are drawn for
DETAIL = 2400  # and the plate at most: what a phone's 12 megapixels really hold
FAR_DETAIL = 3200
DRAWN_LEAST = 40  # pixels that a thing is drawn at, at least, before it is made as small as seen
FAR_SIDE = 3000  # from this long side on a plate may be far away


class Look:
    """What a grade means, in numbers; angles in degrees, blur and noise in pixels of BASE."""

    def __init__(self, rng, grade):
        u = rng.uniform
        hard = grade - 1
        self.share = u(.58, .86) if grade == 1 else u(.42, .72)
        # Legible from further away only where there are pixels enough: see _aim.
        self.far = u(.24, .4) if grade > 1 and rng.random() < .45 else 0
        self.yaw, self.pitch = (u(-1, 1) * (7, 26, 26)[hard] for _ in range(2))
        self.roll = rng.gauss(0, (1.2, 5, 5)[hard])
        self.round = rng.random() < (.15, .5, .5)[hard]
        self.radius = u(220, 420) if grade == 1 else u(130, 320)
        self.wear = material.Wear(
            dirt=u(0, .12) if grade == 1 else u(.15, .65), rust=u(0, .05) if grade == 1 else
            u(0, .3) if grade == 2 else u(.3, .8), scratches=u(0, .25) if grade == 1 else u(.1, .8),
            fade=0 if grade == 1 else u(0, .35), drips=0 if grade == 1 else u(0, .6))
        self.things = rng.choices(range(5), ((60, 30, 10, 0, 0), (5, 25, 40, 20, 10),
                                             (5, 25, 40, 20, 10))[hard])[0]
        self.shadow = 0 if grade == 1 and rng.random() < .8 else u(.2, .62)
        self.glare = (u(0, .12), u(0, .3), u(.35, .85))[hard]
        self.blur = (u(.3, .6), u(.4, .9), u(.9, 1.9))[hard]
        self.motion = u(1.5, 4.5) if grade == 3 and rng.random() < .45 else 0
        self.noise = (u(1, 3), u(2, 7), u(3, 10))[hard]
        self.gain = u(.95, 1.12) if grade == 1 else u(.8, 1.25)
        self.contrast = u(.95, 1.08) if grade == 1 else u(.75, 1.1)
        self.warmth = rng.gauss(0, .02 if grade == 1 else .05)
        self.quality = (rng.randint(88, 95), rng.randint(70, 92), rng.randint(55, 85))[hard]
        self.turn = 0 if grade == 1 or rng.random() < .82 else rng.choice((90, 180, 270))
        self.exif = rng.choices((1, 6, 3, 8), (70, 18, 6, 6))[0]


class Item:
    """A picture on a surface: a plate or another thing."""

    def __init__(self, kind, label, place, seed):
        self.kind, self.label, self.place, self.seed = kind, label, place, seed
        self.texts, self.face, self.plate = [], None, None


def draw_scene(seed, grade, long_side=BASE, look=None, with_plate=True):
    rng = random.Random(f"{seed}/{grade}")
    look = look or Look(rng, grade)
    portrait = rng.random() < .35
    size = (long_side, long_side * 3 // 4)[::-1 if portrait else 1]
    scene = _Scene(rng, seed, look, size, with_plate)
    image = scene.draw()
    truth = scene.truth()
    truth.update(seed=seed, grade=grade, width=size[0], height=size[1])
    if look.turn:
        image, truth = _turned(image, truth, look.turn)
    return image, truth


class _Scene:
    def __init__(self, rng, seed, look, size, with_plate):
        self.rng, self.look, self.final = rng, look, size
        detail = FAR_DETAIL if look.far else DETAIL
        self.size = size = tuple(n * min(max(size), detail) // max(size) for n in size)
        self.noise = np.random.default_rng(abs(hash_seed(seed)))
        self.scale = max(size) / BASE
        self.surface = cam.Surface(look.radius if look.round else cam.FLAT)
        self.items = []
        self._arrange(with_plate)
        self._aim()

    def _arrange(self, with_plate):
        """The plate in the middle, the others round it where they do not touch."""
        rng, look = self.rng, self.look
        wide = rng.choice((105, 120, 148, 148, 160, 180))
        self.plate_wide = wide
        if with_plate:
            item = Item("plate", "placa_transformador", None, rng.random())
            item.plate = plates.make_plate(rng)
            item.kind_of_plate = material.choose(rng)
            # The layout does not depend on pixels but for rounding: its shape is known from a draft.
            draft = faces.Face(random.Random(item.seed), item.plate, 400)
            tilt = math.radians(rng.gauss(0, 1.5))
            item.place = cam.Place(0, 0, wide, wide * draft.height / draft.width, tilt)
            self.items.append(item)
        count = look.things if with_plate else max(1, look.things)
        names = rng.choices(("identification", "meter", "telecom", "warning", "painted", "blank",
                             "inspection"), (32, 10, 14, 12, 20, 6, 12), k=count)
        for name in names:
            self._add(name)

    def _add(self, name):
        rng = self.rng
        _, low, high, label = things.KINDS[name]
        item = Item(name, label, None, rng.random())
        wide = rng.uniform(low, high)
        tall = wide * _shape(name, item.seed)
        for _ in range(12):
            side = rng.choice(("left", "right", "above", "below"))
            gap = rng.uniform(8, 45)
            main = self.items[0].place if self.items else cam.Place(0, 0, 40, 40)
            du, dv = (main.wide + wide) / 2 + gap, (main.tall + tall) / 2 + gap
            u, v = {"left": (-du, rng.uniform(-60, 60)), "right": (du, rng.uniform(-60, 60)),
                    "above": (rng.uniform(-60, 60), -dv), "below": (rng.uniform(-60, 60), dv)}[side]
            item.place = cam.Place(u, v, wide, tall, math.radians(rng.gauss(0, 3)))
            if self.look.round and abs(u) > self.look.radius * .9:
                continue
            if not any(_touch(item.place, other.place) for other in self.items):
                self.items.append(item)
                return

    def _aim(self):
        """The camera: the plate fills its share of the frame and is wholly in it."""
        rng, look, size = self.rng, self.look, self.size
        main = self.items[0].place if self.items else cam.Place(0, 0, self.plate_wide, self.plate_wide * .7)
        focal = rng.uniform(.7, 1.0)
        share = look.far if look.far and max(self.final) >= FAR_SIDE else look.share
        share = share if size[0] > size[1] else share * 1.15
        room = min(size[0] * share / main.wide, size[1] * .93 * min(1, share * 1.25) / main.tall)
        distance = focal * max(size) / room
        free = [max(0, (n - s * room) / 2 / room) for n, s in zip(size, (main.wide, main.tall))]
        target = [main.u + rng.uniform(-.6, .6) * free[0], main.v + rng.uniform(-.6, .6) * free[1], 0]
        angles = [math.radians(a) for a in (look.yaw, look.pitch, look.roll)]
        for _ in range(12):
            self.camera = cam.Camera(size, target, distance, *angles, focal=focal)
            edge = cam.bounds(cam.outline(self.camera, self.surface, main))
            inset = .012 * max(size)
            if edge[0] > inset and edge[1] > inset and edge[2] < size[0] - inset and edge[3] < size[1] - inset:
                break
            target = [target[0] * .6 + main.u * .4, target[1] * .6 + main.v * .4, 0]
            distance *= 1.06

    # Drawing

    def draw(self):
        look, small = self.look, [round(n / self.scale) for n in self.size]
        photo = self._ground(small)
        if self.scale != 1:
            photo = photo.resize(self.size, Image.BICUBIC)
        for item in self.items:
            self._lay(photo, item)
        maps = [round(n / 4) for n in small]
        shade = ImageChops.multiply(light.vignette(maps, self.rng.uniform(0, .25)), self._shading(maps))
        if look.shadow:
            shade = ImageChops.multiply(shade, light.shadows(self.rng, self.noise, maps, look.shadow))
        photo = light.multiply(photo, shade)
        if look.glare > .05:
            edge = self._bounds(self.items[0]) if self.items else [0, 0, *self.size]
            box = [edge[i] / self.size[i % 2] for i in range(4)]
            photo = light.screen(photo, light.glare(self.rng, maps, box, look.glare, look.round),
                                 (255, 252, 244))
        photo = light.defocus(photo, look.blur * self.scale)
        if look.motion:
            photo = light.motion(photo, look.motion * self.scale, self.rng.uniform(0, math.pi))
        photo = light.expose(photo, look.gain, look.warmth, look.contrast, self.rng.uniform(-4, 8))
        if photo.size != self.final:
            photo = photo.resize(self.final, Image.BICUBIC)
        return light.grain(self.noise, photo, look.noise, max(1, max(self.final) / BASE * .8))

    def _ground(self, size):
        """Backdrop and tank."""
        few = [max(8, round(n * 500 / max(size))) for n in size]
        photo = backdrop.behind(self.rng, self.noise, few).resize(size, Image.BICUBIC)
        eye = cam.Camera(size, [0, 0, 0], 1)
        eye.turn, eye.eye, eye.focal = self.camera.turn, self.camera.eye, self.camera.focal / self.scale
        self._extent()
        step = 4
        px, py = np.meshgrid(np.arange(0, size[0] + step, step), np.arange(0, size[1] + step, step))
        u, v, seen = self.surface.locate(eye, px.astype(float), py.astype(float))
        if not seen.any():
            return photo
        lows = [float(a[seen].min()) for a in (u, v)]
        highs = [float(a[seen].max()) for a in (u, v)]
        wide, tall = (max(20.0, b - a) for a, b in zip(lows, highs))
        scale = min(.8 * eye.focal / self.camera.distance, 1500 / wide, 1500 / tall)
        clear = self.plate_wide + self.rng.uniform(60, 160) if not self.look.round and self.rng.random() < .35 else 0
        canvas = backdrop.tank(self.rng, self.noise, (round(wide * scale), round(tall * scale)), scale,
                               self.look.wear.rust, self.look.wear.dirt, clear)
        place = cam.Place((lows[0] + highs[0]) / 2, (lows[1] + highs[1]) / 2, wide, tall)
        self._drop_shadows(canvas, place, scale)
        mask = Image.fromarray((seen * 255).astype(np.uint8), "L").resize(
            (px.shape[1] * step, px.shape[0] * step), Image.BICUBIC).crop((0, 0, *size))
        walls = Image.new("RGB", size)
        cam.lay(walls, canvas, eye, self.surface, place, 32, Image.BILINEAR)
        photo.paste(walls, (0, 0), mask)
        return photo

    def _extent(self):
        """Where the tank ends: mostly outside of the picture."""
        rng, s = self.rng, self.surface
        if not self.look.round:
            s.half_u = rng.uniform(130, 500)
        s.top, s.bottom = -rng.uniform(110, 600), rng.uniform(110, 700)
        for item in self.items:
            p = item.place
            s.half_u = max(s.half_u, abs(p.u) + p.wide * .6) if item.kind != "blank" else s.half_u
            s.top, s.bottom = min(s.top, p.v - p.tall * .6), max(s.bottom, p.v + p.tall * .6)

    def _drop_shadows(self, canvas, place, scale):
        shadow = Image.new("L", canvas.size)
        pen = ImageDraw.Draw(shadow)
        for item in self.items:
            if item.kind == "painted":
                continue
            corners = [item.place.to_surface(*c) for c in ((0, 0), (1, 0), (1, 1), (0, 1))]
            shift = (2.2, 3.2) if item.kind != "meter" else (14, 20)
            pen.polygon([(((u + shift[0] - place.u) / place.wide + .5) * canvas.width,
                          ((v + shift[1] - place.v) / place.tall + .5) * canvas.height)
                         for u, v in corners], fill=150)
        shadow = shadow.filter(ImageFilter.BoxBlur(1.6 * scale))
        canvas.paste((16, 16, 18), (0, 0, *canvas.size), shadow)

    def _lay(self, photo, item):
        """Draws the thing at the size it has in the photo, and puts it there."""
        edge = self._bounds(item)
        wide = max(edge[2] - edge[0], (edge[3] - edge[1]) * item.place.wide / item.place.tall)
        need = max(40, min(2 * max(self.size), round(wide * 1.08)))
        px = max(need, DRAWN_LEAST)
        rng = random.Random(item.seed)
        if item.kind == "plate":
            item.face = faces.Face(rng, item.plate, px)
            picture = material.plate_image(random.Random(item.seed + 1), self.noise, item.face,
                                           item.kind_of_plate, self.look.wear)
            item.texts = [text for text, _ in item.face.texts]
        else:
            picture, item.texts = things.KINDS[item.kind][0](rng, self.noise, px)
            if item.label or item.kind != "painted":
                _soil(picture, self.look.wear, self.noise)
        if px > need:
            picture = picture.resize((need, max(2, picture.height * need // px)), Image.BOX)
        cam.lay(photo, picture, self.camera, self.surface, item.place, round(32 * max(1, self.scale)))

    def _bounds(self, item):
        return cam.bounds(cam.outline(self.camera, self.surface, item.place))

    def _shading(self, size):
        """A round tank turns away from the light."""
        if not self.look.round:
            return Image.new("L", size, 255)
        k = self.size[0] / size[0]
        px, py = np.meshgrid(np.arange(size[0]) * k, np.arange(size[1]) * k)
        u, _, seen = self.surface.locate(self.camera, px, py)
        side = self.rng.uniform(-.7, .7)
        lit = np.clip(np.cos(u / self.surface.radius - side), 0, 1)
        return Image.fromarray(np.where(seen, 90 + 165 * lit ** .8, 255).astype(np.uint8), "L")

    # Truth

    def truth(self):
        plate = next((i for i in self.items if i.kind == "plate"), None)
        found = {"fields": dict(plate.plate.truth) if plate else dict.fromkeys(plates.FIELDS),
                 "where": [], "boxes": [], "decoys": []}
        for item in self.items:
            line = cam.outline(self.camera, self.surface, item.place)
            box = _clip(cam.bounds(line), self.size)
            if box is None:
                continue
            if item.label:
                corners = [[float(a), float(b)] for a, b in line[::12]]
                found["boxes"].append({"class": item.label, "box": box, "corners": corners,
                                       "seen": _share(cam.bounds(line), box)})
            if item.kind != "plate":
                found["decoys"].append({"kind": item.kind, "box": box, "texts": item.texts})
        if plate:
            w, h = plate.face.width, plate.face.height
            for name, (x0, y0, x1, y1), printed in plate.face.marks:
                part = (x0 / w, y0 / h, x1 / w, y1 / h)
                line = cam.outline(self.camera, self.surface, plate.place, part, 4)
                found["where"].append({"field": name, "printed": printed, "box": cam.bounds(line)})
            found["decoys"].append({"kind": "on_plate", "texts": [t for _, t in plate.plate.decoys]})
        if self.final != tuple(self.size):
            _enlarge(found, self.final[0] / self.size[0])
        return found


def hash_seed(seed):
    return random.Random(f"noise {seed}").getrandbits(63)


def _shape(name, seed):
    """Height over width of a thing, from the same dice that will draw it."""
    picture, _ = things.KINDS[name][0](random.Random(seed), np.random.default_rng(0), 64)
    return picture.height / picture.width


def _soil(picture, wear, noise):
    import texture
    alpha = picture.getchannel("A")
    if wear.dirt:
        texture.cover(picture, (92, 82, 66, 255), texture.spots(noise, picture.size, picture.width * .3, .5, 120),
                      wear.dirt * .5)
    if wear.rust > .1:
        texture.cover(picture, (112, 60, 30, 255), texture.spots(noise, picture.size, picture.width * .1,
                                                                .1 * wear.rust, 40), .9)
    picture.putalpha(alpha)


def _touch(a, b, gap=5):
    return (abs(a.u - b.u) < (a.wide + b.wide) / 2 + gap and abs(a.v - b.v) < (a.tall + b.tall) / 2 + gap)


def _clip(box, size):
    x0, y0 = max(0.0, box[0]), max(0.0, box[1])
    x1, y1 = min(float(size[0]), box[2]), min(float(size[1]), box[3])
    return [x0, y0, x1, y1] if x1 - x0 > 3 and y1 - y0 > 3 else None


def _share(whole, part):
    area = (whole[2] - whole[0]) * (whole[3] - whole[1])
    return round((part[2] - part[0]) * (part[3] - part[1]) / max(1e-6, area), 3)


def _enlarge(truth, by):
    for thing in truth["boxes"] + truth["where"] + truth["decoys"]:
        if "box" in thing:
            thing["box"] = [v * by for v in thing["box"]]
        if "corners" in thing:
            thing["corners"] = [[x * by, y * by] for x, y in thing["corners"]]


def _turned(image, truth, turn):
    """The photographer held the camera sideways or upside down, and no tag says so."""
    w, h = image.size
    spot = {90: lambda x, y: (y, w - x), 180: lambda x, y: (w - x, h - y), 270: lambda x, y: (h - y, x)}[turn]
    image = image.transpose({90: Image.ROTATE_90, 180: Image.ROTATE_180, 270: Image.ROTATE_270}[turn])
    for thing in truth["boxes"] + truth["where"] + truth["decoys"]:
        if "box" in thing:
            (xa, ya), (xb, yb) = spot(*thing["box"][:2]), spot(*thing["box"][2:])
            thing["box"] = [min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)]
        if "corners" in thing:
            thing["corners"] = [list(spot(x, y)) for x, y in thing["corners"]]
    truth.update(width=image.width, height=image.height, turned=turn)
    return image, truth
