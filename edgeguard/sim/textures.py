"""What surfaces look like: procedural pictures, drawn once from a seed.

A texture is (H, W, 4) uint8 BGRA; row 0 is the top of the surface. Alpha cuts its outline.
"""

from __future__ import annotations

import cv2
import numpy as np

from edgeguard.types import F32, U8

RGB = tuple[int, int, int]
TAIL_LAMP: RGB = (255, 24, 20)
HEAD_LAMP: RGB = (255, 240, 190)
HIGH_VIS: RGB = (190, 255, 30)
SIGN_RED: RGB = (190, 20, 40)
GLASS: RGB = (28, 34, 40)
TYRE: RGB = (18, 18, 19)


def blank(height: int, width: int, colour: RGB, alpha: int = 255) -> U8:
    """Return one colour, (height, width, 4)."""
    texture = np.empty((height, width, 4), np.uint8)
    texture[:] = (*colour[::-1], alpha)
    return texture


def speckle(texture: U8, rng: np.random.Generator, sigma: float, blur: float = 0.0) -> U8:
    """Return the texture with brightness noise of `sigma` grey values, smoothed over `blur` texels."""
    noise = rng.normal(0.0, 1.0, texture.shape[:2]).astype(np.float32)
    if blur > 0:
        noise = _blurred(noise, blur)
        noise /= max(float(noise.std()), 1e-6)
    grey = noise * np.float32(sigma)
    return np.asarray(
        cv2.add(texture, cv2.merge([grey, grey, grey, np.zeros_like(grey)]), dtype=cv2.CV_8U), np.uint8
    )


def _blurred(noise: F32, sigma: float) -> F32:
    """Return the noise smoothed; a wide blur is made on a smaller picture, where nobody can tell."""
    step = max(int(sigma / 4), 1)
    h, w = noise.shape
    small = cv2.resize(noise, (max(w // step, 1), max(h // step, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)


def _box(texture: U8, x0: float, y0: float, x1: float, y1: float, colour: RGB) -> None:
    """Fill a rectangle given in shares of width and height."""
    h, w = texture.shape[:2]
    a, b = (round(x0 * w), round(y0 * h)), (round(x1 * w) - 1, round(y1 * h) - 1)
    cv2.rectangle(texture, a, b, (*colour[::-1], 255), -1)


def road(
    rng: np.random.Generator,
    *,
    length_m: float,
    width_m: float,
    lanes_at: tuple[float, ...],
    edges_at: tuple[float, ...],
    px_per_m: int = 40,
) -> U8:
    """Return one tile of road; columns run along y from left to right, rows from far to near.

    Args:
        lanes_at: y of dashed lines, metres from the left edge of the tile.
        edges_at: y of the solid lines.
    """
    texture = blank(int(length_m * px_per_m), int(width_m * px_per_m), (92, 92, 95))
    texture = speckle(texture, rng, 5.0, 30.0)
    texture = speckle(texture, rng, 9.0, 1.2)
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(0.1, 0.9, 2)
        _box(texture, x, y, x + rng.uniform(0.03, 0.12), y + rng.uniform(0.05, 0.3), (74, 74, 78))
    half = 0.07 / width_m
    for y in lanes_at:
        _box(texture, y / width_m - half, 0.1, y / width_m + half, 0.5, (225, 225, 220))
    for y in edges_at:
        _box(texture, y / width_m - half, 0.0, y / width_m + half, 1.0, (215, 215, 210))
    return speckle(texture, rng, 4.0)


def pavement(rng: np.random.Generator, length_m: float, width_m: float, px_per_m: int = 32) -> U8:
    """Return slabs of stone."""
    texture = blank(int(length_m * px_per_m), int(width_m * px_per_m), (150, 146, 138))
    texture = speckle(texture, rng, 8.0, 6.0)
    h, w = texture.shape[:2]
    for k in range(0, h, px_per_m):
        cv2.line(texture, (0, k), (w, k), (112, 116, 118, 255), 1)
    for k in range(0, w, px_per_m):
        cv2.line(texture, (k, 0), (k, h), (112, 116, 118, 255), 1)
    return speckle(texture, rng, 6.0)


def grass(rng: np.random.Generator, length_m: float, width_m: float, px_per_m: int = 16) -> U8:
    """Return a meadow."""
    texture = blank(int(length_m * px_per_m), int(width_m * px_per_m), (78, 104, 52))
    return speckle(speckle(texture, rng, 10.0, 8.0), rng, 14.0, 0.8)


def facade(rng: np.random.Generator, length_m: float, height_m: float, px_per_m: int = 24) -> U8:
    """Return a house front with rows of windows and a door."""
    wall = tuple(
        int(c) for c in rng.choice([(168, 140, 112), (150, 92, 78), (188, 182, 168), (122, 128, 134)])
    )
    texture = blank(int(height_m * px_per_m), int(length_m * px_per_m), (wall[0], wall[1], wall[2]))
    texture = speckle(speckle(texture, rng, 6.0, 20.0), rng, 6.0)
    columns, floors = max(int(length_m / 2.6), 1), max(int(height_m / 2.9), 1)
    for i in range(columns):
        for j in range(floors):
            x, y = (i + 0.28) / columns, (j + 0.25) / floors
            lit = int(rng.integers(-16, 24))
            _box(
                texture,
                x - 0.012,
                y - 0.012,
                x + 0.44 / columns + 0.012,
                y + 0.5 / floors + 0.012,
                (214, 210, 200),
            )
            _box(texture, x, y, x + 0.44 / columns, y + 0.5 / floors, (62 + lit, 74 + lit, 88 + lit))
    return texture


def panel(rng: np.random.Generator, length_m: float, height_m: float, px_per_m: int = 16) -> U8:
    """Return a tunnel's wall: pale panels over a dark base."""
    texture = blank(int(height_m * px_per_m), int(length_m * px_per_m), (158, 160, 154))
    texture = speckle(speckle(texture, rng, 7.0, 12.0), rng, 5.0)
    _box(texture, 0.0, 0.8, 1.0, 1.0, (92, 92, 90))
    for k in range(0, texture.shape[1], 4 * px_per_m):
        cv2.line(texture, (k, 0), (k, texture.shape[0]), (112, 112, 112, 255), 1)
    return texture


def concrete(rng: np.random.Generator, length_m: float, height_m: float, px_per_m: int = 12) -> U8:
    """Return plain concrete with streaks."""
    texture = blank(int(height_m * px_per_m), int(length_m * px_per_m), (138, 136, 130))
    return speckle(speckle(texture, rng, 9.0, 10.0), rng, 5.0)


def car_paint(rng: np.random.Generator) -> RGB:
    """Return a body colour. None is as saturated a red as a lamp."""
    paints = [
        (40, 66, 120),
        (190, 192, 196),
        (46, 48, 52),
        (128, 132, 138),
        (54, 92, 74),
        (214, 206, 186),
        (98, 104, 132),
    ]
    r, g, b = paints[int(rng.integers(len(paints)))]
    return r, g, b


def car_end(rng: np.random.Generator, paint: RGB, *, rear: bool) -> U8:
    """Return the lower body's rear or front, 1.8 m by 0.95 m, down to the tyres: lamps, bumper, plate."""
    texture = speckle(blank(140, 360, paint), rng, 3.0, 3.0)
    lamp = TAIL_LAMP if rear else HEAD_LAMP
    _box(texture, 0.0, 0.62, 1.0, 0.9, tuple(int(c * 0.72) for c in paint))  # type: ignore[arg-type]
    _box(texture, 0.0, 0.9, 1.0, 1.0, (24, 24, 25))
    for x in (0.04, 0.80):
        _box(texture, x - 0.01, 0.12, x + 0.17, 0.44, (36, 36, 38))
        _box(texture, x, 0.15, x + 0.15, 0.41, lamp)
    if rear:
        _box(texture, 0.36, 0.3, 0.64, 0.5, (232, 232, 226))
        cv2.putText(texture, f"EG {rng.integers(1000, 9999)}", (136, 66), 0, 0.7, (30, 30, 30, 255), 2)
    else:
        _box(texture, 0.26, 0.14, 0.74, 0.5, (30, 30, 32))
        for y in (0.22, 0.32, 0.42):
            _box(texture, 0.28, y, 0.72, y + 0.02, (120, 122, 124))
    tall = np.zeros((190, 360, 4), np.uint8)
    for x in (0.05, 0.83):
        _box(tall, x, 0.7, x + 0.12, 1.0, TYRE)
    tall[:140] = texture
    return tall


def car_side(rng: np.random.Generator, paint: RGB) -> U8:
    """Return the lower body's left side, 4.4 m by 0.95 m down to the road: doors, wheels."""
    texture = speckle(blank(190, 880, paint), rng, 3.0, 4.0)
    h, w = texture.shape[:2]
    for x in (0.34, 0.55, 0.72):
        cv2.line(texture, (int(x * w), 0), (int(x * w), int(0.72 * h)), (40, 40, 42, 255), 2)
    texture[int(0.74 * h) :] = 0
    for x in (0.19, 0.81):
        centre = (int(x * w), int(0.66 * h))
        cv2.circle(texture, centre, int(0.35 * h), (*TYRE[::-1], 255), -1)
        cv2.circle(texture, centre, int(0.20 * h), (150, 152, 152, 255), -1)
        cv2.circle(texture, centre, int(0.06 * h), (60, 60, 60, 255), -1)
    return texture


def car_glass(rng: np.random.Generator, paint: RGB, width: int, *, pillars: int) -> U8:
    """Return a window band with pillars in body colour."""
    texture = blank(110, width, paint)
    step = 1.0 / pillars
    for i in range(pillars):
        _box(
            texture,
            i * step + 0.06 / pillars + 0.03,
            0.12,
            (i + 1) * step - 0.06 / pillars - 0.03,
            0.94,
            GLASS,
        )
    cv2.line(texture, (int(0.2 * width), 90), (int(0.45 * width), 20), (96, 104, 112, 255), 3)
    return speckle(texture, rng, 2.0)


def person(rng: np.random.Generator, step: int, *, vest: bool = True) -> U8:
    """Return a pedestrian, 0.7 m by 1.75 m; `step` 0 to 3 is the gait, `vest` one of high visibility."""
    texture = np.zeros((350, 140, 4), np.uint8)
    skin, hair, dark, sleeve = (140, 170, 215, 255), (30, 34, 40, 255), (58, 44, 40, 255), (70, 60, 60, 255)
    coat = (*HIGH_VIS[::-1], 255)
    if not vest:
        tone, shade = rng.uniform(0.4, 1.0), rng.uniform(0.5, 2.5)
        skin = (int(140 * tone), int(170 * tone), int(215 * tone), 255)
        hair = (int(30 * shade), int(34 * shade), int(40 * shade), 255)
        dark = (*_CLOTHES[int(rng.integers(len(_CLOTHES)))][::-1], 255)
        coat = (*_CLOTHES[int(rng.integers(len(_CLOTHES)))][::-1], 255)
        sleeve = (int(coat[0] * 0.85), int(coat[1] * 0.85), int(coat[2] * 0.85), 255)
    swing = (0, 16, 0, -16)[step % 4]
    cv2.line(texture, (64, 200), (60 - swing, 335), dark, 22)
    cv2.line(texture, (76, 200), (80 + swing, 335), dark, 22)
    cv2.line(texture, (46, 90), (36 + swing, 190), sleeve, 15)
    cv2.line(texture, (94, 90), (104 - swing, 190), sleeve, 15)
    cv2.rectangle(texture, (44, 74), (96, 195), coat, -1)
    if vest:
        cv2.rectangle(texture, (44, 140), (96, 148), (190, 190, 190, 255), -1)
    cv2.circle(texture, (70, 38), 26, skin, -1)
    cv2.ellipse(texture, (70, 30), (27, 22), 0, 180, 360, hair, -1)
    return speckle(texture, rng, 3.0)


_CLOTHES: tuple[RGB, ...] = (
    (40, 42, 48), (58, 66, 92), (96, 98, 104), (150, 142, 128), (206, 204, 198), (120, 40, 44), (62, 88, 70),
    (178, 150, 90), (84, 64, 52), (70, 110, 150),
)  # fmt: skip


def poster(rng: np.random.Generator, width_m: float, height_m: float, px_per_m: int = 80) -> U8:
    """Return an advertisement for a car: its front or rear over two thirds of the width, and a word."""
    ground = ((196, 60, 44), (34, 96, 150), (226, 220, 200), (60, 66, 74))[int(rng.integers(4))]
    texture = blank(int(height_m * px_per_m), int(width_m * px_per_m), ground)
    height, width = texture.shape[:2]
    texture = speckle(texture, rng, 6.0, height / 4)
    paint = car_paint(rng)
    body = car_end(rng, paint, rear=bool(rng.integers(2)))
    glass = np.pad(car_glass(rng, paint, 300, pillars=1), ((0, 0), (30, 30), (0, 0)))
    car = np.concatenate([glass, body])
    size = (round(0.68 * width), round(0.68 * width * len(car) / car.shape[1]))
    car = np.asarray(cv2.resize(car, size, interpolation=cv2.INTER_AREA), np.uint8)
    top, left = round(0.9 * height) - size[1], round(0.16 * width)
    under = texture[top : top + size[1], left : left + size[0], :3]
    np.copyto(under, car[..., :3], where=car[..., 3:] > 127)
    word = ("NEW", "DRIVE", "NOVA", "GO!")[int(rng.integers(4))]
    at, white = (left, round(0.16 * height)), (245, 245, 245, 255)
    cv2.putText(texture, word, at, cv2.FONT_HERSHEY_DUPLEX, height / 220, white, max(height // 60, 1))
    return texture


def stop_sign() -> U8:
    """Return the octagon, 0.75 m square."""
    texture = np.zeros((240, 240, 4), np.uint8)
    angle = np.deg2rad(np.arange(8) * 45 + 22.5)
    for radius, colour in ((118, (235, 235, 235)), (108, SIGN_RED)):
        corners = np.stack([120 + radius * np.cos(angle), 120 + radius * np.sin(angle)], 1).astype(np.int32)
        cv2.fillPoly(texture, [corners], (*colour[::-1], 255))
    cv2.putText(texture, "STOP", (32, 145), cv2.FONT_HERSHEY_DUPLEX, 2.1, (240, 240, 240, 255), 9)
    return texture


def sky(rng: np.random.Generator, height: int, width: int) -> U8:
    """Return (height, width, 3) BGR: a gradient with clouds."""
    t = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    base = (1 - t) * np.array([200, 160, 120], np.float32) + t * np.array([232, 222, 210], np.float32)
    cloud = cv2.GaussianBlur(rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 40, sigmaY=14)
    cloud = np.clip(cloud / max(float(np.abs(cloud).max()), 1e-6), 0, 1)[..., None]
    out: U8 = np.clip(base + 26 * cloud, 0, 255).astype(np.uint8)
    return out
