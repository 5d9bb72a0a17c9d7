"""What has an identity: cars, people, signs, as surfaces to see and boxes to hit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeguard.sim import textures
from edgeguard.sim.trajectory import Trajectory
from edgeguard.sim.world import BACKGROUND, Actor, Box, Surface
from edgeguard.types import F64, U8

CAR_SIZE = (4.4, 1.8, 1.48)
PERSON_SIZE = (0.5, 0.7, 1.75)
SIGN_SIZE = (0.06, 0.76, 2.45)
BELT = 0.95
"""Height of a car's belt line, metres: lower body below, windows above."""
LAMP_SPREAD = 1.368
"""Distance between the middles of a car's two lamps, metres."""
LAMP_HEIGHT = 0.754
"""Height of the lamps' middle above the road, metres."""

Vector = tuple[float, float, float]


def surface(
    texture: U8,
    origin: Vector,
    u: Vector,
    v: Vector,
    owner: int,
    *,
    top: tuple[float, float] = (0.0, 1.0),
    one_sided: bool = True,
    glow: float = 0.0,
) -> Surface:
    """Return a picture from its top left corner; `top` are the ends of its upper edge, in shares of `u`."""
    outline = np.array([[top[0], 0], [top[1], 0], [1, 1], [0, 1]], np.float64)
    return Surface(texture, np.array(origin), np.array(u), np.array(v), outline, owner, one_sided, glow)


def car(actor_id: int, trajectory: Trajectory, rng: np.random.Generator, *, lit: bool = False) -> Actor:
    """Return a hatchback: 4.4 m by 1.8 m by 1.48 m; `lit` has its lamps on."""
    length, width, height = CAR_SIZE
    paint = textures.car_paint(rng)
    r, g, b = (int(c * 0.9) for c in paint)
    back, front, half = -length / 2, length / 2, width / 2
    side = textures.car_side(rng, paint)
    band = textures.car_glass(rng, paint, 420, pillars=3)
    screen = textures.car_glass(rng, paint, 300, pillars=1)
    lid = textures.speckle(textures.blank(160, 80, paint), rng, 3.0, 3.0)
    roof = textures.speckle(textures.blank(80, 60, (r, g, b)), rng, 3.0, 3.0)
    shade = textures.blank(32, 64, (12, 12, 14), 150)
    rise, a = height - BELT, actor_id
    faces: tuple[Surface, ...] = (
        surface(shade, (front + 0.1, half + 0.15, 0.01), (0, -width - 0.3, 0), (-length - 0.2, 0, 0), a),
        surface(
            textures.car_end(rng, paint, rear=True), (back, half, BELT), (0, -width, 0), (0, 0, -BELT), a
        ),
        surface(
            textures.car_end(rng, paint, rear=False), (front, -half, BELT), (0, width, 0), (0, 0, -BELT), a
        ),
        surface(side, (front, half, BELT), (-length, 0, 0), (0, 0, -BELT), a),
        surface(side[:, ::-1].copy(), (back, -half, BELT), (length, 0, 0), (0, 0, -BELT), a),
        surface(lid, (front, half, BELT), (0, -width, 0), (-length, 0, 0), a),
        surface(roof, (0.4, 0.72, height), (0, -1.44, 0), (-2.0, 0, 0), a),
        surface(screen, (-1.6, 0.88, height), (0, -1.76, 0), (-0.5, 0, -rise), a, top=(0.091, 0.909)),
        surface(screen, (0.4, -0.88, height), (0, 1.76, 0), (0.8, 0, -rise), a, top=(0.091, 0.909)),
        surface(band, (1.2, 0.72, height), (-3.3, 0, 0), (0, 0.16, -rise), a, top=(0.242, 0.848)),
        surface(
            band[:, ::-1].copy(), (-2.1, -0.72, height), (3.3, 0, 0), (0, -0.16, -rise), a, top=(0.152, 0.758)
        ),
    )
    if lit:
        faces += _lamps(a)
    boxes = (
        Box((back, -half, 0.25), (front, half, BELT), 0.5),
        Box((-1.9, -0.8, BELT), (0.8, 0.8, height), 0.15),
    )
    return Actor(actor_id, "car", CAR_SIZE, trajectory, (faces,), boxes)


def _lamps(owner: int) -> tuple[Surface, ...]:
    """Return a car's lamps, glowing, a little before where its ends show them."""
    wide, high = 0.27, 0.182
    tail, head = textures.blank(8, 8, textures.TAIL_LAMP), textures.blank(8, 8, textures.HEAD_LAMP)
    top, out = LAMP_HEIGHT + high / 2, []
    for y in (-LAMP_SPREAD / 2, LAMP_SPREAD / 2):
        for texture, x, side, glow in (
            (tail, -CAR_SIZE[0] / 2 - 0.005, -1, 0.8),
            (head, CAR_SIZE[0] / 2 + 0.005, 1, 1.0),
        ):
            at = (x, y - side * wide / 2, top)
            out.append(surface(texture, at, (0, side * wide, 0), (0, 0, -high), owner, glow=glow))
    return tuple(out)


def person(
    actor_id: int, trajectory: Trajectory, rng: np.random.Generator, *, ground: float, vest: bool = True
) -> Actor:
    """Return a pedestrian, a flat figure that turns to the viewer; rays hit a column."""
    depth, width, height = PERSON_SIZE
    seed = int(rng.integers(2**31))
    phases = [
        (
            surface(
                textures.person(np.random.default_rng(seed), step, vest=vest),
                (0, width / 2, height),
                (0, -width, 0),
                (0, 0, -height),
                actor_id,
                one_sided=False,
            ),
        )
        for step in range(4)
    ]
    box = Box((-depth / 2, -0.26, 0.0), (depth / 2, 0.26, height), 0.35)
    return Actor(actor_id, "person", PERSON_SIZE, trajectory, phases, (box,), ground, 0.35, True)


def stop_sign(actor_id: int, x: float, y: float, ground: float) -> Actor:
    """Return a sign on a pole that faces traffic coming along x."""
    _, width, height = SIGN_SIZE
    half, foot = width / 2, height - width
    pole = textures.blank(64, 8, (150, 152, 154))
    faces = (
        surface(
            pole, (0.02, 0.035, foot + 0.1), (0, -0.07, 0), (0, 0, -foot - 0.1), BACKGROUND, one_sided=False
        ),
        surface(textures.stop_sign(), (0, half, height), (0, -width, 0), (0, 0, -width), actor_id),
    )
    boxes = (
        Box((-0.03, -half, foot), (0.03, half, height), 0.95),
        Box((-0.03, -0.03, 0), (0.03, 0.03, foot), 0.4),
    )
    return Actor(actor_id, "stop sign", SIGN_SIZE, Trajectory.standing(x, y), (faces,), boxes, ground)


def placed(surfaces: Sequence[Surface], pose: F64) -> list[Surface]:
    """Return an actor's surfaces in the world, given its (4, 4) pose."""
    r, p = pose[:3, :3], pose[:3, 3]
    return [
        Surface(s.texture, r @ s.origin + p, r @ s.u, r @ s.v, s.outline, s.owner, s.one_sided, s.glow)
        for s in surfaces
    ]
