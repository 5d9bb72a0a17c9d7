"""Overlapping tiles for wide images, and one list of detections out of what each tile shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeguard.engine.spec import InputSpec, TileSpec
from edgeguard.types import F32, I32

_MAX_PER_SIDE = 8
"""However odd an image's shape, no more tiles than this a side: work per image is bounded."""

_EDGE_SHARE = 0.015
"""A box that ends within this share of the tile's side from an inner border may be cut by it."""

_INSIDE_SHARE = 0.6
"""A cut box that lies so far inside another of its class is a piece of that object."""

_SAME_BAND = 0.5
"""Two cut pieces whose extents along the border agree by this IoU are one object."""


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of the image, pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Boxes before they are detections, as parallel arrays.

    Attributes:
        xyxy: (N, 4) float32.
        score: (N,) float32.
        class_id: (N,) int32, the network's own numbers.
    """

    xyxy: F32
    score: F32
    class_id: I32

    def select(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Candidates:
        """Return the candidates at `index` (indices or a mask)."""
        return Candidates(self.xyxy[index], self.score[index], self.class_id[index])


def layout(width: int, height: int, tiles: TileSpec | None, network: InputSpec) -> list[Region]:
    """Return the regions of an image that the network is to see; the whole image first where it is one.

    Tiles are cut across the image's longer side, as few as keep each within `tiles.aspect` of the network's
    own shape.
    """
    whole = Region(0, 0, width, height)
    if tiles is None:
        return [whole]
    shape = width * network.height / (height * network.width)
    columns = _count(shape, tiles)
    rows = _count(1 / shape, tiles)
    if columns == rows == 1:
        return [whole]
    cut = [
        Region(x, y, w, h)
        for y, h in _spans(height, rows, tiles.overlap)
        for x, w in _spans(width, columns, tiles.overlap)
    ]
    return [whole, *cut] if tiles.whole else cut


def _count(shape: float, tiles: TileSpec) -> int:
    """n tiles of width w overlap by o: n * w - (n - 1) * o * w covers the side."""
    if shape <= tiles.aspect:
        return 1
    return min(_MAX_PER_SIDE, math.ceil((shape / tiles.aspect - tiles.overlap) / (1 - tiles.overlap)))


def _spans(length: int, count: int, overlap: float) -> list[tuple[int, int]]:
    size = min(length, math.ceil(length / (count - (count - 1) * overlap)))
    last = length - size
    return [(round(i * last / max(1, count - 1)), size) for i in range(count)]


def merge(found: Sequence[Candidates], regions: Sequence[Region], width: int, height: int) -> Candidates:
    """Return what all regions show, without the pieces that tile borders cut off whole objects.

    Two pieces of one object, cut from both sides of the same overlap, become one box. A piece inside a
    larger box of its class goes. Duplicates of whole boxes are left to non-maximum suppression.

    Args:
        found: per region, boxes in pixels of the image.
        width, height: of the image.
    """
    xyxy = np.concatenate([c.xyxy for c in found])
    both = Candidates(
        xyxy,
        np.concatenate([c.score for c in found]),
        np.concatenate([c.class_id for c in found]),
    )
    if len(regions) == 1 or len(xyxy) == 0:
        return both
    source = np.repeat(np.arange(len(found)), [len(c.score) for c in found])
    cut = _cut_sides(xyxy, source, regions, width, height)
    both, cut, source = _stitch(both, cut, source)
    return both.select(~_pieces(both, cut, source))


def _cut_sides(
    xyxy: F32, source: NDArray[np.intp], regions: Sequence[Region], width: int, height: int
) -> NDArray[np.bool_]:
    """(N, 4): whether the box's left, top, right, bottom ends at an inner border of its tile."""
    r = np.array([(q.x, q.y, q.x + q.width, q.y + q.height) for q in regions], np.float32)
    inner = r != np.array([0, 0, width, height], np.float32)
    size = np.tile(r[:, 2:] - r[:, :2], (1, 2))
    near = np.abs(xyxy - r[source]) <= np.maximum(2.0, _EDGE_SHARE * size[source])
    return np.asarray(near & inner[source])


def _stitch(
    c: Candidates, cut: NDArray[np.bool_], source: NDArray[np.intp]
) -> tuple[Candidates, NDArray[np.bool_], NDArray[np.intp]]:
    """Join boxes cut at their right (bottom) with those of the next tile cut at their left (top).

    Both cover the whole overlap of the two tiles, so they show one object. Best scores pair first.
    """
    xyxy, score, cut, source = c.xyxy.copy(), c.score.copy(), cut.copy(), source.copy()
    gone = np.zeros(len(score), bool)
    for low, high, along in ((0, 2, 1), (1, 3, 0)):
        firsts = np.flatnonzero(cut[:, high])
        for i in firsts[np.argsort(-score[firsts], kind="stable")]:
            a, b = xyxy[i], xyxy
            beyond = (b[:, low] > a[low]) & (b[:, low] < a[high]) & (b[:, high] > a[high])
            shared = np.minimum(a[along + 2], b[:, along + 2]) - np.maximum(a[along], b[:, along])
            joined = np.maximum(a[along + 2], b[:, along + 2]) - np.minimum(a[along], b[:, along])
            fits = cut[:, low] & ~gone & (source != source[i]) & (c.class_id == c.class_id[i])
            fits &= beyond & (shared >= _SAME_BAND * joined)
            if gone[i] or not fits.any():
                continue
            j = int(np.flatnonzero(fits)[np.argmax(score[fits])])
            xyxy[i] = [*np.minimum(a[:2], b[j, :2]), *np.maximum(a[2:], b[j, 2:])]
            score[i] = max(score[i], score[j])
            cut[i, high] = cut[j, high]
            source[i] = -1
            gone[j] = True
    return Candidates(xyxy[~gone], score[~gone], c.class_id[~gone]), cut[~gone], source[~gone]


def _pieces(c: Candidates, cut: NDArray[np.bool_], source: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(N,): boxes cut by a border that lie inside what another region shows of the same object.

    A piece's class is a guess (the cab of a lorry passes for a car), so a box of another class takes it too
    where their extents along the border agree.
    """
    x0, y0, x1, y1 = c.xyxy.T
    shared_x, share_x = _overlap(x0, x1)
    shared_y, share_y = _overlap(y0, y1)
    area = (x1 - x0) * (y1 - y0)
    inside = shared_x * shared_y >= _INSIDE_SHARE * area[:, None]
    aligned = (cut[:, :1] | cut[:, 2:3]) & (share_y >= _SAME_BAND)
    aligned |= (cut[:, 1:2] | cut[:, 3:4]) & (share_x >= _SAME_BAND)
    same = (c.class_id[:, None] == c.class_id[None, :]) | aligned
    is_cut: NDArray[np.bool_] = np.asarray(cut.any(axis=1))
    # Of two pieces the larger shows more; of equal ones the first stays.
    rank = np.empty(len(area), np.intp)
    rank[np.argsort(-area, kind="stable")] = np.arange(len(area))
    better = ~is_cut[None, :] | (rank[None, :] < rank[:, None])
    elsewhere = source[:, None] != source[None, :]
    return np.asarray(is_cut & (inside & same & better & elsewhere).any(axis=1))


def _overlap(low: F32, high: F32) -> tuple[F32, F32]:
    """Return (N, N) shared lengths of intervals, and their IoU."""
    shared = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    shared = np.maximum(shared, 0)
    length = high - low
    return shared, shared / np.maximum(length[:, None] + length[None] - shared, 1e-6)
