"""What the compiled loops say of camera tracks is what NumPy's formulas say."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard import objects
from edgeguard.compiled import loops
from tests.compiled import crowds

seeds = st.integers(0, 2**32 - 1)


def covered(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    iou, inner = loops.shares(a, b)
    nearer = (b[None, :, 3] > a[:, None, 3] + 2.0) & (iou < 0.6)
    return np.where(nearer, inner, 0.0).max(axis=1, initial=0.0)


@settings(max_examples=50)
@given(seeds)
def test_how_tracks_lie_in_the_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    t, apart_s, dt = crowds.tracks(rng), rng.choice([0.0, 0.45, 2.0], crowds.CAPACITY), 0.1
    b, w, h = t.xyxy, crowds.WIDTH, crowds.HEIGHT
    before = np.where(t.is_new, 0.0, apart_s[t.slot])
    found = loops.views(t, (w, h), crowds.FOCAL, apart_s, dt, 0.45)
    truncated, edge_px, size_range, duplicate, asserted, hidden, foot_hidden, occluders, rows = found
    np.testing.assert_array_equal(truncated, (b[:, :2] < 4).any(1) | (b[:, 2] > w - 5) | (b[:, 3] > h - 5))
    np.testing.assert_array_equal(edge_px, np.minimum(b[:, 0], w - b[:, 2]))
    size = crowds.FOCAL * objects.HEIGHT[t.label] / np.maximum(t.height, 1.0)
    np.testing.assert_allclose(size_range, np.where(truncated, np.nan, size))
    iou, inner = loops.shares(b, b)
    twin = ((t.confidence > t.confidence[:, None]) & ((iou > 0.5) | (inner > 0.8))).any(axis=1)
    np.testing.assert_array_equal(duplicate, twin & (before < 0.5))
    after = np.clip(before + np.where(t.matched & ~twin, dt, -0.5 * dt), 0, 2)
    np.testing.assert_allclose(apart_s[t.slot], after)
    np.testing.assert_array_equal(asserted, (t.confidence >= 0.45) & (t.hits >= 2) & ~duplicate)
    stands = ~duplicate & (t.confidence >= 0.3) & (t.missed_s <= 0.25)
    np.testing.assert_array_equal(rows, np.flatnonzero(stands))
    np.testing.assert_array_equal(occluders, b[stands])
    np.testing.assert_allclose(hidden, covered(b, occluders))
    height = np.maximum(t.height, 1.0)
    strip = np.stack([b[:, 0], b[:, 3] - 0.05 * height, b[:, 2], b[:, 3] + 0.15 * height], axis=1)
    np.testing.assert_allclose(foot_hidden, covered(strip, occluders))
    np.testing.assert_allclose(loops.covered(b, occluders), hidden)


def test_without_an_image_or_a_camera_nothing_is_cut_and_no_range_is_known() -> None:
    t = crowds.tracks(np.random.default_rng(4))
    truncated, edge_px, size_range, *_ = loops.views(t, None, np.nan, np.zeros(crowds.CAPACITY), 0.1, 0.45)
    assert len(t.id) and not truncated.any() and np.isnan(edge_px).all() and np.isnan(size_range).all()
