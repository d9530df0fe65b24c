"""Where things are and how a lens sees them: flat and round surfaces in millimetres, a pinhole
camera, and pictures laid on a surface as the camera finds them.

World: x to the right, y down, z away from the viewer, millimetres. A surface is told by (u, v):
u runs round it, v down, (0, 0) is the point of it nearest to the viewer.
"""
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

FLAT = 1e7  # the radius of what is not round


def _rotation(yaw, pitch, roll):
    cy, sy, cx, sx, cz, sz = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


class Camera:
    """Looks at `target` from `distance`; angles in radians; focal length in long sides."""

    def __init__(self, size, target, distance, yaw=0.0, pitch=0.0, roll=0.0, focal=.78):
        self.size = size
        self.turn = _rotation(yaw, pitch, roll)
        self.eye = np.array(target, float) - self.turn @ np.array([0, 0, distance])
        self.focal = focal * max(size)
        self.distance = distance

    def rays(self, px, py):
        w, h = self.size
        local = np.stack([(px - w / 2) / self.focal, (py - h / 2) / self.focal,
                          np.ones_like(px)], -1)
        return local @ self.turn.T

    def project(self, points):
        """World (..., 3) to pixels (..., 2)."""
        local = (points - self.eye) @ self.turn
        depth = np.maximum(local[..., 2:], 1.0)
        return local[..., :2] / depth * self.focal + np.array(self.size) / 2


@dataclass
class Surface:
    """Upright: a plane, or a cylinder with its axis along y. `x`, `z`: where (0, 0) lies."""
    radius: float = FLAT
    x: float = 0.0
    z: float = 0.0
    half_u: float = 1e6     # how far it reaches sideways; a cylinder ends by itself
    top: float = -1e6
    bottom: float = 1e6

    def world(self, u, v):
        u, v = np.asarray(u, float), np.asarray(v, float)
        if self.radius >= FLAT:
            return np.stack([u + self.x, v, np.full_like(u, self.z)], -1)
        a = u / self.radius
        return np.stack([self.radius * np.sin(a) + self.x, v,
                         self.radius * (1 - np.cos(a)) + self.z], -1)

    def locate(self, camera, px, py):
        """Pixels to (u, v, seen). Beside a cylinder: the point of its rim nearest to the ray."""
        d = camera.rays(px, py)
        o = camera.eye - np.array([self.x, 0, self.z])
        if self.radius >= FLAT:
            t = -o[2] / np.where(np.abs(d[..., 2]) < 1e-6, 1e-6, d[..., 2])
            u, v, seen = o[0] + t * d[..., 0], o[1] + t * d[..., 1], t > 0
        else:
            oz = o[2] - self.radius
            a = d[..., 0] ** 2 + d[..., 2] ** 2
            b = o[0] * d[..., 0] + oz * d[..., 2]
            c = o[0] ** 2 + oz ** 2 - self.radius ** 2
            root = b * b - a * c
            t = (-b - np.sqrt(np.maximum(root, 0))) / a
            x, z = o[0] + t * d[..., 0], oz + t * d[..., 2]
            u, v = np.arctan2(x, -z) * self.radius, o[1] + t * d[..., 1]
            seen = (root > 0) & (t > 0)
        inside = (np.abs(u) <= self.half_u) & (v >= self.top) & (v <= self.bottom)
        return u, v, seen & inside


@dataclass
class Place:
    """A picture `wide` x `tall` millimetres on a surface, its centre at (u, v)."""
    u: float
    v: float
    wide: float
    tall: float
    angle: float = 0.0

    def to_surface(self, x, y):
        """Parts of the picture (0..1) to (u, v)."""
        a, b = (np.asarray(x) - .5) * self.wide, (np.asarray(y) - .5) * self.tall
        c, s = math.cos(self.angle), math.sin(self.angle)
        return self.u + a * c - b * s, self.v + a * s + b * c

    def from_surface(self, u, v):
        a, b = u - self.u, v - self.v
        c, s = math.cos(self.angle), math.sin(self.angle)
        return (a * c + b * s) / self.wide + .5, (b * c - a * s) / self.tall + .5


def outline(camera, surface, place, box=(0, 0, 1, 1), steps=12):
    """The edge of a part of a picture, in pixels: (4 * steps, 2), clockwise from the upper left."""
    x0, y0, x1, y1 = box
    t = np.arange(steps) / steps
    x = np.concatenate([x0 + (x1 - x0) * t, np.full(steps, x1), x1 - (x1 - x0) * t,
                        np.full(steps, x0)])
    y = np.concatenate([np.full(steps, y0), y0 + (y1 - y0) * t, np.full(steps, y1),
                        y1 - (y1 - y0) * t])
    return camera.project(surface.world(*place.to_surface(x, y)))


def bounds(points):
    return [float(points[:, 0].min()), float(points[:, 1].min()),
            float(points[:, 0].max()), float(points[:, 1].max())]


def lay(photo, picture, camera, surface, place, step=24, resample=Image.BICUBIC):
    """Draws `picture` (RGBA) into `photo` where it lies on the surface."""
    x0, y0, x1, y1 = bounds(outline(camera, surface, place))
    x0, y0 = max(0, math.floor(x0)), max(0, math.floor(y0))
    x1, y1 = min(photo.width, math.ceil(x1)), min(photo.height, math.ceil(y1))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    gx, gy = _ticks(x1 - x0, step), _ticks(y1 - y0, step)
    px, py = np.meshgrid(gx + x0, gy + y0)
    u, v, _ = surface.locate(camera, px.astype(float), py.astype(float))
    sx, sy = place.from_surface(u, v)
    warped = picture.transform((x1 - x0, y1 - y0), Image.MESH,
                               _mesh(gx, gy, sx * picture.width, sy * picture.height), resample)
    photo.paste(warped, (x0, y0), warped.getchannel("A") if picture.mode == "RGBA" else None)


def _ticks(length, step):
    return np.unique(np.append(np.arange(0, length, step), length))


def _mesh(gx, gy, sx, sy):
    """Pillow's list of (target box, source corners: upper left, lower left, lower right, ...)."""
    cells = []
    for j in range(len(gy) - 1):
        for i in range(len(gx) - 1):
            corners = ((j, i), (j + 1, i), (j + 1, i + 1), (j, i + 1))
            source = []
            for at in corners:
                source += [float(sx[at]), float(sy[at])]
            cells.append(((int(gx[i]), int(gy[j]), int(gx[i + 1]), int(gy[j + 1])), source))
    return cells
