"""The simulated world's compiled passes find what the same arithmetic finds array by array."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.compiled import loops

seeds = st.integers(0, 2**32 - 1)
SOLID = 200


@settings(max_examples=60)
@given(seeds, st.sampled_from([3, 4]), st.booleans())
def test_what_is_nearer_is_painted_by_its_alpha(seed: int, channels: int, glows: bool) -> None:
    rng = np.random.default_rng(seed)
    (h, w), (y0, x0), (rows, columns) = (20, 30), rng.integers(0, 8, 2).tolist(), rng.integers(1, 12, 2)
    bgr = rng.integers(0, 256, (h, w, 3), np.uint8)
    depth, owner = rng.uniform(0, 1, (h, w)).astype(np.float32), rng.integers(-1, 3, (h, w), np.int32)
    glow = rng.uniform(0, 1, (h, w)).astype(np.float32) if glows else None
    cover = np.zeros((h, w), np.uint8) if channels == 4 else None
    patch = rng.integers(0, 256, (rows, columns, channels), np.uint8)
    mask = rng.choice([0, 90, 255], (rows, columns)).astype(np.uint8)
    a, b, c = rng.normal(0, 0.02, 2).astype(np.float32).tolist() + [0.5]
    wanted = [x if x is None else x.copy() for x in (bgr, depth, owner, glow)]

    loops.paint(bgr, depth, owner, glow, patch, mask, x0, y0, a, b, c, 7, 0.25, cover, SOLID)

    roi = (slice(y0, y0 + rows), slice(x0, x0 + columns))
    along = np.arange(x0, x0 + columns, dtype=np.float32) * np.float32(a) + np.float32(c)
    plane = along + (np.float32(b) * np.arange(y0, y0 + rows, dtype=np.float32))[:, None]
    nearer = (plane > wanted[1][roi] * np.float32(0.9995)) & (mask > 0)
    alpha = np.full(mask.shape, 255)
    if channels == 4:
        alpha = np.round(mask.astype(int) * patch[..., 3] / 255).astype(int)
    mixed = (
        wanted[0][roi].astype(int) * (255 - alpha[..., None]) + patch[..., :3] * alpha[..., None] + 127
    ) // 255
    keep = nearer & (alpha > SOLID)
    wanted[0][roi] = np.where(nearer[..., None], mixed, wanted[0][roi])
    for image, value in zip(wanted[1:], (plane, np.int32(7), np.float32(0.25))):
        if image is not None:
            np.copyto(image[roi], value, where=keep)
    for found, asked in zip((bgr, depth, owner, glow), wanted):
        np.testing.assert_array_equal(found, asked)
    if cover is not None:
        np.testing.assert_array_equal(cover[roi], (mask > 127) & (patch[..., 3] > SOLID))
        assert cover.sum() == cover[roi].sum()


@given(seeds)
def test_rays_end_where_they_enter_a_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rays = rng.normal(0, 1, (3, 4, 9)).astype(np.float32)
    rays[:, 0, 0] = (1, 0, 0)  # along an axis: never meets the faces beside it
    turn = np.linalg.qr(rng.normal(0, 1, (3, 3)))[0] if seed % 2 else np.eye(3)
    to_box = np.eye(4, dtype=np.float32)
    to_box[:3, :3], to_box[:3, 3] = turn, rng.uniform(-4, 4, 3)
    low, high = np.array([-1.5, -1, 0], np.float32), np.array([1, 2, 1.5], np.float32)
    range_m = rng.choice([1.0, np.inf], (4, 9)).astype(np.float32)
    intensity, owner = np.zeros((4, 9), np.float32), np.full((4, 9), -1, np.int32)
    before = range_m.copy()

    loops.cast(rays, to_box, low, high, 0.5, 3, range_m, intensity, owner)

    met = owner == 3
    assert np.array_equal(range_m[~met], before[~met])
    way, origin = np.einsum("ij,jmn->imn", to_box[:3, :3], rays), to_box[:3, 3, None, None]
    # Little before it a ray is outside, little after it inside, and on the face it is at the said angle.
    for share, inside in ((0.999, False), (1.001, True)):
        point = (origin + way * np.where(met, range_m * np.float32(share), 0.0))[:, met]
        slack = 2e-3 * range_m[met]
        within = ((point > low[:, None] - slack * inside) & (point < high[:, None] + slack * inside)).all(0)
        assert (within == inside).all() or (range_m[met] < 0.01).any()
    cosine = (intensity[met] / 0.5 - 0.3) / 0.7
    assert (np.abs(np.abs(way[:, met]) - cosine).min(0) < 1e-4).all()
    # What met nothing passes the box by: no point of its way to what it met before lies well within.
    steps = np.linspace(0.01, 1.0, 60)[:, None, None, None] * np.minimum(before, 9.0)
    points = origin + way * steps
    margin = np.array([0.05, 0.05, 0.05])[:, None, None]
    well = ((points > low[:, None, None] + margin) & (points < high[:, None, None] - margin)).all(1).any(0)
    started = ((origin > low[:, None, None]) & (origin < high[:, None, None])).all()
    assert started or not (well & ~met).any()


def test_a_ray_that_runs_within_a_face_passes_by() -> None:
    rays = np.array([1.0, 0.0, 0.0], np.float32).reshape(3, 1, 1)
    to_box = np.eye(4, dtype=np.float32)
    to_box[:3, 3] = (-5, 1, 0.5)
    hit = np.full((1, 1), np.inf, np.float32), np.zeros((1, 1), np.float32), np.full((1, 1), -1, np.int32)
    loops.cast(rays, to_box, -np.ones(3, np.float32), np.ones(3, np.float32), 1.0, 0, *hit)
    assert hit[2][0, 0] == -1
