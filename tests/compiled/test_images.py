"""The compiled passes over pictures find what OpenCV's and NumPy's functions find."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.compiled import loops

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_what_a_picture_shows_is_that_of_its_blocks_and_pixels(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (27, 35), np.uint8)
    pixels[:8, :16] = 100
    contrast, flat, extreme = loops.content(pixels, 8, 1.0, 5, 250)
    whole = pixels[:24, :32].reshape(3, 8, 4, 8).astype(float)
    assert contrast == pytest.approx(whole.mean(axis=(1, 3)).std())
    assert flat == np.mean(whole.var(axis=(1, 3)) < 1.0) == 2 / 12
    assert extreme == np.mean((pixels < 5) | (pixels > 250))


@given(seeds)
def test_grey_values_are_ranked_as_numpy_ranks_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    high, (rows, columns) = rng.choice([3, 256]), rng.integers(1, 12, 2)
    pixels = rng.integers(0, high, (rows, 3 * columns), np.uint8)[:, ::3]
    rank, first = int(rng.integers(columns)), int(rng.integers(rows))
    wanted = np.sort(pixels, axis=1)[first:, rank]
    np.testing.assert_array_equal(loops.row_ranks(pixels, first, rank), wanted)
    assert loops.middle_grey(pixels) == np.median(pixels)


def test_no_rank_is_looked_up_beyond_a_picture() -> None:
    assert np.isnan(loops.middle_grey(np.zeros((0, 4), np.uint8)))
    for first, rank in ((0, 4), (0, -1), (3, 0)):
        with pytest.raises(ValueError, match="in 2 x 4 pixels"):
            loops.row_ranks(np.zeros((2, 4), np.uint8), first, rank)


@given(seeds, st.integers(16, 45), st.integers(16, 45))
def test_a_halved_picture_is_opencvs(seed: int, rows: int, columns: int) -> None:
    bgr = np.random.default_rng(seed).integers(0, 256, (rows, columns + 3, 3), np.uint8)[:, :columns]
    h, w = rows // 2, columns // 2
    half = cv2.resize(bgr[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA)
    gray, colours = loops.halved(bgr, 4)
    np.testing.assert_array_equal(gray, half[..., 1])
    h, w = h // 8 * 4, w // 8 * 4
    quarter = cv2.resize(half[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA).astype(np.int16)
    np.testing.assert_array_equal(colours, [quarter[..., c] - quarter[..., 1] for c in (2, 0)])


@given(seeds)
def test_colour_cells_are_opencvs_laplacian(seed: int) -> None:
    colours = np.random.default_rng(seed).integers(-255, 256, (2, 18, 22), np.int16)
    total = sum(np.abs(cv2.Laplacian(c, cv2.CV_16S)) for c in colours[:, :16, :20])
    wanted = total.reshape(4, 4, 5, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(loops.colour_cells(colours, 4), wanted, rtol=1e-5)


@pytest.mark.parametrize("size", [4, 8])
def test_the_strongest_colours_do_not_overflow(size: int) -> None:
    colours = np.full((2, 16, 16), 255, np.int16)
    colours[:, ::2, ::2] = colours[:, 1::2, 1::2] = -255
    assert (loops.colour_cells(colours, size) == 2 * 8 * 255).all()


def test_pictures_too_small_for_a_cell_have_none() -> None:
    assert loops.halved(np.zeros((1, 9, 3), np.uint8), 4)[0].shape == (0, 4)
    assert loops.halved(np.zeros((9, 9, 3), np.uint8), 4)[1].shape == (2, 0, 0)
    assert loops.colour_cells(np.zeros((2, 3, 9), np.int16), 4).shape == (0, 2)
    assert loops.content(np.zeros((3, 9), np.uint8), 8, 1.0, 5, 250) == (0.0, 0.0, 1.0)


@given(seeds)
def test_growth_is_the_least_squares_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = rng.uniform(-1.4, 1.4, (40, 2))
    inside = np.abs(grid).max(axis=1) < 1
    box = np.array([[100.0, 50.0, 160.0, 90.0]])
    x = grid * (30.0, 20.0)
    good = rng.random((1, 40)) < 0.9
    flow = (3.0 + 0.05 * x + rng.normal(0, 0.01, x.shape))[None]
    explained, left, grown = loops.growth(
        box, flow, good.view(np.uint8), grid, inside.view(np.uint8), 1e9, 1
    )[0]
    xs, fs = x[good[0]], flow[0, good[0]]
    xs, fs = xs - xs.mean(axis=0), fs - fs.mean(axis=0)
    scale = (xs * fs).sum() / (xs * xs).sum()
    assert grown == pytest.approx(scale * np.sqrt(60 * 40) / 2)
    assert explained == pytest.approx(scale**2 * (xs * xs).sum() / len(xs))
    assert left == pytest.approx(((fs - scale * xs) ** 2).sum() / len(xs))


def test_without_a_ring_nothing_grows() -> None:
    grid, flow = np.zeros((9, 2)), np.ones((1, 9, 2))
    all_inside = np.ones(9, np.uint8)
    assert not loops.growth(np.ones((1, 4)), flow, all_inside[None], grid, all_inside, 9.0, 8).any()


def test_a_box_slips_less_what_its_body_carries() -> None:
    before, flow = np.array([[10.0, 20, 30, 50]]), np.zeros((1, 10, 2))
    now = before + [6.0, -1.0, 6.0, -1.0]
    all_good, none = np.ones((1, 10), np.uint8), np.zeros((1, 10), np.uint8)
    assert loops.slips(now, before, flow, all_good, 0.3).tolist() == [[6.0, -1.0]]  # over what stands still
    flow[0, :4] = 5.5, -1.0  # a body in front of what stands still
    assert loops.slips(now, before, flow, all_good, 0.3).tolist() == [[0.5, 0.0]]
    assert np.isnan(loops.slips(now, before, flow, none, 0.3)).all()


def test_each_lag_lays_places_over_the_picture_of_its_moment() -> None:
    pictures = [np.full((2, 3), float(k), np.float32) for k in range(3)]
    pictures[0][1, 2] = 6.0
    places = [np.array(p) for p in ([0, 1], [5], [5, 0])]
    assert loops.lag_means(pictures, places).tolist() == [3.0, 6.0, 0.0, 1.0, 2.0]
    assert np.isnan(loops.lag_means(pictures[:1], [np.zeros(0, np.int64)])).all()
    with pytest.raises(IndexError, match="place 6 of 6"):
        loops.lag_means(pictures[:1], [np.array([6])])
    at = np.array([[2, 1], [3, 0], [0, 2], [-1, 0], [1, 0]])
    assert loops.flat_places(at, 2, 3).tolist() == [5, 1]


@given(seeds, st.booleans())
def test_gradients_are_opencvs(seed: int, down: bool) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, rng.integers(2, 12, 2), np.uint8)
    strength, rows = loops.sobel(pixels, down)
    wanted = np.abs(cv2.Sobel(pixels, cv2.CV_32F, int(not down), int(down)))
    np.testing.assert_array_equal(strength, wanted)
    np.testing.assert_allclose(rows, wanted.mean(axis=1), rtol=1e-6)
    loops.bounded_share(strength, rows + 1.0, 2.0)
    np.testing.assert_allclose(strength, np.minimum(wanted / (rows[:, None] + 1.0), 2.0), rtol=1e-6)


@given(seeds)
def test_cells_are_empty_whose_surroundings_hold_hardly_a_return(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, usual = rng.poisson(0.3, (7, 9)), rng.uniform(0, 3, 7).astype(np.float32)
    together = {"ksize": (3, 3), "borderType": cv2.BORDER_REPLICATE, "normalize": False}
    found = cv2.boxFilter(count.astype(np.float64), -1, **together)
    expected = cv2.boxFilter(np.repeat(usual[:, None].astype(np.float64), 9, axis=1), -1, **together)
    wanted = (found <= 0.15 * expected) & (expected >= 4.0)
    wanted[:2] = False
    np.testing.assert_array_equal(loops.empty_cells(count, usual, 2, 0.15, 4.0), wanted)


@given(seeds)
def test_cells_changed_whose_range_did(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.uniform(2, 40, (5, 7)).astype(np.float32)
    now = (before * rng.choice([0.9, 1.0, 1.01, 1.2], before.shape)).astype(np.float32)
    now[rng.random(now.shape) < 0.2] = np.inf
    known = np.isfinite(now)
    moved = np.abs(np.log(now[known] / before[known])) > np.log(1.05)
    assert loops.changed_share(now, before, 1.05, 1) == pytest.approx(moved.mean())
    assert np.isnan(loops.changed_share(now, before, 1.05, int(known.sum()) + 1))


def test_a_sector_of_noise_is_told_by_its_worst_columns() -> None:
    near, count = np.full((10, 36), 10.0, np.float32), np.full((10, 36), 2)
    far = near.copy()
    far[:, 12:18] = 30.0
    assert loops.torn_share(near, far, count, 12, 30, 1.5) == pytest.approx(0.5)
    assert loops.torn_share(near, far, np.ones_like(count), 12, 30, 1.5) == 0.0


@given(seeds)
def test_an_edge_says_where_about_it_the_picture_is_strongest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.uniform(0, 6, (20, 30)).astype(np.float32)
    at, shifts = rng.integers(-2, 32, (25, 2)), np.column_stack([np.arange(-3, 4), np.zeros(7, np.int64)])
    moved = at[:, None] + shifts[None]
    inside = ((moved >= 0) & (moved < (30, 20))).all(axis=(1, 2))
    found = picture[moved[inside, :, 1], moved[inside, :, 0]].astype(float)
    wanted = (found / (found.mean(axis=1, keepdims=True) + 0.3)).sum(axis=0)
    sums, told = loops.alignment(picture, at, shifts, 0.3)
    np.testing.assert_allclose(sums, wanted, rtol=1e-6)
    assert told == np.count_nonzero(inside)


def test_flow_is_remembered_where_it_is_seen_and_forgotten_elsewhere() -> None:
    state = np.arange(24.0).reshape(4, 6)
    moved, grown = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0, 5.0]])
    loops.remember_flow(state, np.array([3, 1]), np.array([1]), moved, grown, 0.5, 0.1)
    assert state[1] == pytest.approx([4.0, 5.5, 7.0, 8.5, 10.0, 11.1])
    assert not state[3].any()
    assert state[[0, 2]].tolist() == [[0, 1, 2, 3, 4, 5], [12, 13, 14, 15, 16, 17]]


@given(seeds, st.booleans())
def test_the_strongest_cells_of_a_box_are_ranked_among_the_scenes(seed: int, told: bool) -> None:
    rng = np.random.default_rng(seed)
    colours = rng.integers(-50, 50, (2, 80, 96), np.int16)
    box = np.array([[40.0, 30, 180, 170], [200, 100, 300, 250], [100, 90, 190, 240]])
    colours[:, 16:30, 20:30] *= 3
    t = SimpleNamespace(xyxy=box, matched=np.array([told, told, told]))
    scene: Any = SimpleNamespace(tracks=t, asserted=np.array([True, True, False]), hidden=np.zeros(3))
    settings: Any = SimpleNamespace(min_height_px=80.0, share=0.1, min_colour=1.0, max_tracks=1)
    surprise, energy, ratio = loops.patch_surprisal(scene, colours, 4, 16.0, 5, 4.0, settings)
    assert np.isnan(surprise[[0, 2]]).all()  # only the tallest is looked at, and none that is not asserted
    assert np.isnan(surprise[1]) != told
    if told:
        cells = loops.colour_cells(colours, 4)
        usual = np.sort(loops.outside(cells, box[:2], 16.0))
        level = loops.patch_energy(cells, box, 16.0, 0.1, 5)[1]
        rarer = len(usual) - usual.searchsorted(np.float32(level))
        assert energy[1] == level
        assert ratio[1] == level / usual[len(usual) // 2]
        assert surprise[1] == pytest.approx(np.clip(np.log(0.1 * (len(usual) + 1) / (rarer + 1)), 0.0, 4.0))


@given(seeds)
def test_cells_outside_all_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.random((9, 14)).astype(np.float32)
    corner = rng.uniform(-40, 240, (3, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 90, (3, 2))], axis=1)
    free = np.ones(cells.shape, bool)
    for x0, y0, x1, y1 in boxes / 16.0:
        low = np.clip(np.floor([y0, x0]), 0, (8, 13)).astype(int)
        high = np.clip(np.ceil([y1, x1]), 1, (9, 14)).astype(int)
        free[low[0] : high[0], low[1] : high[1]] = False
    np.testing.assert_array_equal(loops.outside(cells, boxes, 16.0), cells[free])
    assert not len(loops.outside(cells[:0], boxes, 16.0))


@given(st.integers(0, 2**32 - 1))
def test_flow_is_looked_at_in_the_largest_boxes_that_were_there_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 8))
    low = rng.uniform(0, 90, (n, 2))
    box = np.hstack([low, low + rng.choice([10.0, 30.0, 50.0], (n, 2))])
    known, slot = rng.uniform(0, 90, (8, 4)), rng.permutation(8)[:n]
    known[rng.random(8) < 0.3] = np.nan
    t = SimpleNamespace(slot=slot, xyxy=box, matched=rng.random(n) < 0.8, is_new=rng.random(n) < 0.2)
    scene: Any = SimpleNamespace(
        tracks=t,
        hidden=rng.choice([0.1, 0.5], n),
        truncated=rng.random(n) < 0.2,
        asserted=rng.random(n) < 0.8,
    )
    seen = t.matched & ~scene.truncated & (scene.hidden < 0.3)
    before = np.where((seen & ~t.is_new)[:, None], known[slot], np.nan)
    size = np.minimum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    row = np.flatnonzero(np.isfinite(before[:, 0]) & scene.asserted & (size >= 24))
    row = np.sort(row[np.argsort(-size[row], kind="stable")[:3]])
    found, last = loops.flow_rows(scene, known, 24.0, 3)
    assert found.tolist() == row.tolist()
    np.testing.assert_array_equal(last, before[row])
    np.testing.assert_array_equal(known[slot], np.where(seen[:, None], box, np.nan))


@given(st.integers(0, 2**32 - 1))
def test_flow_is_measured_on_the_grid_of_each_box_within_the_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, grid = int(rng.integers(0, 4)), rng.uniform(-1.4, 1.4, (5, 2))
    low = rng.uniform(-20, 180, (n, 2))
    box = np.hstack([low, low + rng.uniform(5, 60, (n, 2))])
    center, half = (box[:, None, :2] + box[:, None, 2:]) / 2, (box[:, None, 2:] - box[:, None, :2]) / 2
    wanted = ((center + half * grid) / 2).astype(np.float32).reshape(-1, 2)
    inside = np.all((wanted >= 4) & (wanted < (96, 86)), axis=1)
    at, index = loops.flow_places(box, grid, 100, 90, 4.0)
    np.testing.assert_array_equal(at, wanted[inside])
    assert index.tolist() == np.flatnonzero(inside).tolist()
    then = at + rng.uniform(-3, 3, at.shape).astype(np.float32)
    ok, error = rng.integers(0, 2, len(at)).astype(np.uint8), rng.uniform(0, 50, len(at)).astype(np.float32)
    flow, good = loops.flow_found(at, then, ok, error, index, n, 5, 25.0)
    assert flow.shape == (n, 5, 2) and good.shape == (n, 5)
    np.testing.assert_array_equal(flow.reshape(-1, 2)[index], (2.0 * (at - then)).astype(np.float64))
    trusted = np.zeros(n * 5, bool)
    trusted[index] = (ok > 0) & (error < 25)
    np.testing.assert_array_equal(good.ravel().astype(bool), trusted)
