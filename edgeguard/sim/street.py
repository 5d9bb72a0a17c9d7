"""What the world's streets are made of: carriageway, kerbs, houses, side roads, tunnels, lamps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeguard.sim import textures
from edgeguard.sim.models import surface
from edgeguard.sim.world import BACKGROUND, Box, Surface
from edgeguard.types import U8

TILE_M, BLOCK_M, WALK_M, FIELD_M = 10.0, 20.0, 4.0, 30.0
START_X = -20.0
SIDE_ROAD_M = 60.0
TUNNEL_HEIGHT_M = 5.5
LAMP_HEIGHT_M = 6.0
_OVERLAY_M = 0.006
"""Height of what is painted over the road, so that it hides the road."""


def build_street(
    rng: np.random.Generator,
    length_m: float,
    kerb_y: float,
    kerb_height: float,
    *,
    junctions: tuple[tuple[float, float], ...] = (),
    tunnel: tuple[float, float] | None = None,
    lamp_spacing_m: float = 0.0,
) -> tuple[list[Surface], list[Box]]:
    """Return a straight street from x = -20 m: two lanes, parking strips, kerbs, pavements, houses.

    Args:
        length_m: it ends at this x.
        kerb_y: the kerb's distance from the middle.
        kerb_height: of the pavements.
        junctions: (x from, x to) of side roads, which have a stop line before them.
        tunnel: x from and to of a tunnel.
        lamp_spacing_m: street lamps stand so far apart; 0 has none.
    """
    surfaces = _ground(rng, length_m, kerb_y, kerb_height, junctions)
    boxes: list[Box] = []
    taken = [(a - 3.0, b + 3.0) for a, b in junctions] + ([tunnel] if tunnel else [])
    for side in (1, -1):
        x = -18.0
        while x < length_m - 20:
            length, height = float(rng.uniform(9, 16)), float(rng.uniform(6, 11))
            end = next((b for a, b in taken if x < b and x + length > a), None)
            if end is not None:
                x = end
                continue
            box, faces = _house(rng, x, length, height, (kerb_y + WALK_M) * side, kerb_height)
            boxes.append(box)
            surfaces += faces
            x += length + float(rng.choice([0.0, 2.0, 9.0]))
    for junction in junctions:
        surfaces += _side_road(rng, junction, kerb_y)
    parts = [_tunnel(rng, *tunnel, kerb_y + 1.5)] if tunnel else []
    if lamp_spacing_m > 0:
        parts += [_lamp(x, kerb_y + 0.6) for x in np.arange(START_X, length_m, lamp_spacing_m).tolist()]
    for faces, solids in parts:
        surfaces += faces
        boxes += solids
    return surfaces, boxes


def _flat(texture: U8, x: float, left: float, length: float, width: float, z: float) -> Surface:
    """Return a level picture from `x` on; its rows run against x."""
    return surface(texture, (x + length, left, z), (0, -width, 0), (-length, 0, 0), BACKGROUND)


def _ground(
    rng: np.random.Generator,
    length_m: float,
    kerb_y: float,
    kerb_height: float,
    junctions: tuple[tuple[float, float], ...],
) -> list[Surface]:
    out: list[Surface] = []
    edges = (2.5, 2 * kerb_y - 2.5)
    roads = [
        textures.road(rng, length_m=TILE_M, width_m=2 * kerb_y, lanes_at=(kerb_y,), edges_at=edges)
        for _ in range(4)
    ]
    walks = [textures.pavement(rng, BLOCK_M, WALK_M) for _ in range(2)]
    meadow = textures.grass(rng, BLOCK_M, FIELD_M)
    stone = textures.speckle(textures.blank(8, 320, (176, 174, 168)), rng, 6.0)
    for x in np.arange(START_X, length_m, TILE_M).tolist():
        out.append(_flat(roads[int(rng.integers(4))], x, kerb_y, TILE_M, 2 * kerb_y, 0.0))
    for x in np.arange(START_X, length_m, BLOCK_M).tolist():
        for side in (1, -1):
            walk = walks[int(rng.integers(2))]
            walk_left = kerb_y + WALK_M if side > 0 else -kerb_y
            field_left = kerb_y + WALK_M + FIELD_M if side > 0 else -kerb_y - WALK_M
            for a, b in _between(x, x + BLOCK_M, junctions):
                out.append(_flat(_part(walk, x, a, b), a, walk_left, b - a, WALK_M, kerb_height))
                out.append(_flat(_part(meadow, x, a, b), a, field_left, b - a, FIELD_M, kerb_height))
                origin = (a, kerb_y, kerb_height) if side > 0 else (b, -kerb_y, kerb_height)
                out.append(surface(stone, origin, ((b - a) * side, 0, 0), (0, 0, -kerb_height), BACKGROUND))
    return out


def _between(
    x: float, end: float, junctions: tuple[tuple[float, float], ...]
) -> Iterator[tuple[float, float]]:
    """Give what is left of x to `end` without the junctions."""
    for a, b in sorted(junctions):
        if a < end and b > x:
            if a > x:
                yield x, a
            x = b
    if x < end:
        yield x, end


def _part(texture: U8, x: float, a: float, b: float) -> U8:
    """Return the rows from `a` to `b` of a block's texture that begins at `x`."""
    if b - a == BLOCK_M:
        return texture
    per_m = len(texture) / BLOCK_M
    first, last = round((x + BLOCK_M - b) * per_m), round((x + BLOCK_M - a) * per_m)
    return texture[first : max(last, first + 1)].copy()


def _side_road(rng: np.random.Generator, junction: tuple[float, float], kerb_y: float) -> list[Surface]:
    """Return a road that crosses, and the line to stop at before it."""
    (a, b), half = junction, (junction[1] - junction[0]) / 2
    asphalt = textures.road(rng, length_m=b - a, width_m=2 * kerb_y, lanes_at=(), edges_at=())
    lane = textures.road(rng, length_m=TILE_M, width_m=2 * half, lanes_at=(half,), edges_at=())
    out = [_flat(asphalt, a, kerb_y, b - a, 2 * kerb_y, _OVERLAY_M)]
    for y in np.arange(kerb_y, SIDE_ROAD_M, TILE_M).tolist():
        for left in (y + TILE_M, -y):
            out.append(surface(lane, (a, left, 0.0), (b - a, 0, 0), (0, -TILE_M, 0), BACKGROUND))
    line = textures.speckle(textures.blank(16, 128, (222, 222, 216)), rng, 5.0)
    out.append(_flat(line, a - 2.0, -0.15, 0.5, 3.2, _OVERLAY_M))
    return out


def _tunnel(
    rng: np.random.Generator, start: float, end: float, wall_y: float
) -> tuple[list[Surface], list[Box]]:
    """Return two walls, a ceiling with lamps, and the hill that they lie in."""
    surfaces, boxes, top = [], [], TUNNEL_HEIGHT_M
    panel = textures.panel(rng, BLOCK_M, top)
    roof = textures.speckle(textures.blank(160, 160, (120, 118, 114)), rng, 8.0, 3.0)
    lamp = textures.blank(8, 32, (255, 244, 214))
    for x in np.arange(start, end, BLOCK_M).tolist():
        length = min(BLOCK_M, end - x)
        surfaces.append(surface(panel, (x, wall_y, top), (length, 0, 0), (0, 0, -top), BACKGROUND))
        surfaces.append(surface(panel, (x + length, -wall_y, top), (-length, 0, 0), (0, 0, -top), BACKGROUND))
        surfaces.append(surface(roof, (x, wall_y, top), (0, -2 * wall_y, 0), (length, 0, 0), BACKGROUND))
    for x in np.arange(start + 4.0, end, 8.0).tolist():
        for y in (2.0, -1.6):
            at = (x, y, top - 0.02)
            surfaces.append(surface(lamp, at, (0, -0.4, 0), (1.6, 0, 0), BACKGROUND, glow=1.0))
    hill, high, wide = textures.grass(rng, 12.0, 40.0), 11.0, 40.0
    stone = textures.concrete(rng, 2 * wall_y, high - top)
    for left, width in ((wall_y + wide, wide), (-wall_y, wide)):
        surfaces.append(surface(hill, (start, left, high), (0, -width, 0), (0, 0, -high), BACKGROUND))
        boxes.append(Box((start, left - width, 0.0), (start + 0.5, left, high), 0.3))
    at = (start, wall_y, high)
    surfaces.append(surface(stone, at, (0, -2 * wall_y, 0), (0, 0, top - high), BACKGROUND))
    boxes.append(Box((start, -wall_y, top), (end, wall_y, high), 0.35))
    for low in (wall_y, -wall_y - 0.5):
        boxes.append(Box((start, low, 0.0), (end, low + 0.5, top), 0.5))
    return surfaces, boxes


def _lamp(x: float, y: float) -> tuple[list[Surface], list[Box]]:
    """Return a lamp post on the left pavement, its head over the parking strip."""
    pole, head = textures.blank(64, 8, (96, 98, 100)), textures.blank(8, 24, (255, 236, 190))
    high = LAMP_HEIGHT_M
    faces = [
        surface(pole, (x, y + 0.06, high), (0, -0.12, 0), (0, 0, -high), BACKGROUND, one_sided=False),
        surface(head, (x, y, high), (0, -1.4, 0), (0, 0, -0.18), BACKGROUND, one_sided=False, glow=1.0),
    ]
    return faces, [Box((x - 0.06, y - 0.06, 0.0), (x + 0.06, y + 0.06, high), 0.4)]


def _house(
    rng: np.random.Generator, x: float, length: float, height: float, y: float, ground: float
) -> tuple[Box, list[Surface]]:
    """Return a house with its front at `y`, its gable towards the viewer."""
    front, deep, side, top = textures.facade(rng, length, height), 8.0, np.sign(y), height + ground
    gable = textures.facade(rng, deep, height)
    edge = x if y > 0 else x + length
    left = y + deep if y > 0 else y
    faces = [
        surface(front, (edge, y, top), (length * side, 0, 0), (0, 0, -height), BACKGROUND),
        surface(gable, (x, left, top), (0, -deep, 0), (0, 0, -height), BACKGROUND),
    ]
    low, high = (min(y, y + deep * side), max(y, y + deep * side))
    return Box((x, float(low), 0.0), (x + length, float(high), top), 0.45), faces
