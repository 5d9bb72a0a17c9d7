"""The compiled judgement of LiDAR objects that stood up says what NumPy's formulas say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.compiled import loops
from edgeguard.tracking import boxes
from edgeguard.types import F64

SETTINGS: Any = SimpleNamespace(max_range_m=35.0, min_height_px=25.0, edge_px=15.0)
SLOTS = 8


def world(seed: int, size: tuple[float, float] | None = (640.0, 360.0)) -> Any:
    """A scene of LiDAR objects that lie anywhere, some boxed, some hidden."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(0, SLOTS))
    corner, extent = rng.uniform(0, 600, (m, 2)), rng.uniform(1, 90, (m, 2))
    seen = SimpleNamespace(
        id=np.arange(m), slot=rng.permutation(SLOTS)[:m], matched=rng.random(m) < 0.8,
        is_new=rng.random(m) < 0.5, size=rng.uniform(0.2, 1.5, (m, 3)), center=rng.uniform(1, 45, (m, 3)),
        bottom=rng.choice([np.nan, 0.2, 0.9], m),
    )  # fmt: skip
    boxes = np.concatenate([corner, corner + extent], axis=1)
    boxes[rng.random(m) < 0.1] = np.nan
    cover = rng.uniform(0, 400, (2, 2))
    detections = None if rng.random() < 0.1 else object()
    return rng, SimpleNamespace(
        objects=seen, object_boxes=boxes, image_size=size, frame=SimpleNamespace(detections=detections),
        occluders=np.concatenate([cover, cover + 200], axis=1),
    )  # fmt: skip


def clamp(x: F64, low: float, high: float) -> F64:
    return np.minimum(np.maximum(x, low), high)


@given(st.integers(0, 2**32 - 1))
def test_what_is_near_large_and_inside_is_told(seed: int) -> None:
    _, scene = world(seed)
    seen, box = scene.objects, scene.object_boxes
    wide, high = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    wanted = seen.matched & (seen.center[:, 2] <= 35) & (box[:, 0] >= 15) & (box[:, 2] <= 625)
    wanted &= np.maximum(high, np.sqrt(np.maximum(wide * high, 0.0))) >= 25
    np.testing.assert_array_equal(loops.ghosts_told(scene, SETTINGS), wanted)
    _, blind = world(seed, None)
    assert not loops.ghosts_told(blind, SETTINGS).any()


@given(st.integers(0, 2**32 - 1))
def test_what_is_new_or_grew_by_a_body_is_born(seed: int) -> None:
    rng, scene = world(seed)
    seen, told = scene.objects, rng.random(len(scene.objects.id)) < 0.7
    width = rng.choice([0.1, 0.9, np.inf], SLOTS)
    grown = ~seen.is_new & (seen.size[:, 0] - width[seen.slot] >= 0.5)
    large = seen.is_new & (seen.size[:, :2] >= 0.5).all(axis=1)
    wanted = np.flatnonzero((large | grown) & told & ~(seen.bottom > 0.6))
    assert loops.ghost_births(seen, told, width, 0.5).tolist() == wanted.tolist()
    np.testing.assert_array_equal(width[seen.slot], seen.size[:, 0])


@given(st.integers(0, 2**32 - 1))
def test_how_strange_it_is_that_something_stood_up(seed: int) -> None:
    rng, scene = world(seed)
    seen, slot, m = scene.objects, scene.objects.slot, len(scene.objects.id)
    ident, grew = rng.integers(0, SLOTS, SLOTS), rng.random(SLOTS) < 0.3
    rush_mps, change_grey = rng.uniform(0, 20, SLOTS), rng.uniform(-5, 40, SLOTS)
    claim = rng.choice([loops.NOTHING, loops.AT_ONCE, loops.ALL_ALONG], SLOTS).astype(np.int8)
    told, passed = rng.random(m) < 0.8, rng.choice([np.nan, 0.3, 0.7, 1.0], m)
    pairing: Any = SimpleNamespace(track_of=rng.integers(-1, 3, m), own_box=rng.choice([0.0, 0.5], m))

    known = ident[slot] == seen.id
    rush, change = np.where(known, rush_mps[slot], np.nan), np.where(known, change_grey[slot], np.nan)
    said = np.where(known, claim[slot], loops.NOTHING)
    together = said == loops.AT_ONCE
    rush[grew[slot] & ~together] = np.nan
    born = clamp(rush / 2.0, 0.0, 8.0) * np.where(together, 1.0, clamp(1.5 - change / 20.0, 0.5, 1.0))
    born[(pairing.own_box >= loops.MIN_OVERLAP) & ~together] = np.nan
    born[((pairing.track_of >= 0) & ~together | (said == loops.ALL_ALONG)) & known] = 0.0
    hidden = boxes.covered(scene.object_boxes, scene.occluders) > 0.5
    born[(scene.frame.detections is None) | (hidden & ~together)] = np.nan
    surprise = np.where(told, np.fmax(born, clamp(20.0 * (passed - loops.WINDOWS), 0.0, 8.0)), np.nan)

    table, both = loops.ghost_surprisal(
        scene, pairing, told, passed, 2.0, ident, rush_mps, change_grey, claim, grew
    )
    np.testing.assert_allclose(table, [surprise, rush, change], rtol=1e-12)
    np.testing.assert_array_equal(both, together & (born > 0))


def test_rays_that_pass_are_no_matter_of_birth() -> None:
    _, scene = world(3)
    m = len(scene.objects.id)
    pairing: Any = SimpleNamespace(track_of=np.full(m, -1), own_box=np.zeros(m))
    nobody, none = np.full(SLOTS, -1), np.zeros(SLOTS)
    table, _ = loops.ghost_surprisal(
        scene, pairing, np.ones(m, bool), np.full(m, 0.7), 1.0,
        nobody, none, none, none.astype(np.int8), none.astype(bool),
    )  # fmt: skip
    assert m and table[0] == pytest.approx(np.full(m, 20.0 * (0.7 - loops.WINDOWS)))
