"""What the compiled loops say of camera tracks is what NumPy's formulas say."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard import objects
from edgeguard.checks.birth_death import BirthDeathSettings
from edgeguard.checks.class_stability import ClassStabilitySettings
from edgeguard.checks.confidence import ConfidenceSettings
from edgeguard.checks.expansion import ExpansionSettings
from edgeguard.checks.kinematic_class import KinematicClassSettings
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


@settings(max_examples=50)
@given(seeds)
def test_leaps_are_surprisals_of_a_heavy_tail_less_what_all_boxes_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene, spread, nu = crowds.scene(rng), rng.uniform(0.4, 1.5, (len(objects.CLASSES), 4)), 4.0
    t = scene.tracks
    told = t.matched & (t.hits >= 4) & scene.asserted & ~scene.truncated & (scene.hidden < 0.3)
    residual, sigma = t.residual.copy(), t.residual_sigma * spread[t.label]
    if told.sum() >= 4:
        residual[:, :2] -= np.median(residual[told, :2], axis=0)
    reach = 0.5 * objects.MAX_ACCELERATION[t.label] * 0.1**2
    sigma[:, 0] = np.hypot(sigma[:, 0], crowds.FOCAL * reach / np.maximum(scene.size_range, 1.0))
    z = np.where(told[:, None], np.abs(residual / sigma), np.nan)
    tail = 0.5 * (nu + 1) * np.log1p(z.max(axis=1) ** 2 / nu) - np.log(4.0)
    wanted = [np.maximum(tail, 0.0), z[:, :2].max(axis=1), z[:, 2:].max(axis=1)]
    np.testing.assert_allclose(loops.leaps(scene, spread, nu), wanted)


@settings(max_examples=50)
@given(seeds, st.booleans())
def test_what_is_large_in_the_open_neither_appears_nor_vanishes(seed: int, settled: bool) -> None:
    rng, s = np.random.default_rng(seed), BirthDeathSettings()
    scene, memory = crowds.scene(rng), rng.choice([-1.0, 0.0, 2.0], (2, crowds.CAPACITY))
    t, born, growth = scene.tracks, memory[0].copy(), memory[1].copy()
    in_open = (scene.edge_px > s.edge_px) & (scene.hidden < 0.2) & ~scene.truncated
    size = np.maximum(2.0 * np.log(np.maximum(t.height, 1.0) / s.far_height_px), 0.0)
    birth = np.where(t.is_new, np.where(in_open & settled, size, np.nan), born[t.slot])
    growing = np.where(t.matched, t.velocity[:, 2] - t.velocity[:, 3], growth[t.slot])
    rigid = objects.RIGID[t.label]
    firm = rigid & (t.held_s >= 1.0) & (np.minimum(t.score, t.confidence) >= 0.6) & (growing > -0.4)
    death = np.where(firm, np.minimum(1.0 + 1.5 * size, 6.0), np.minimum(1.0 + size, 3.0))
    gone = ~t.matched & (t.held_s >= s.held_s) & (t.missed_s <= np.where(rigid, 1.0, s.window_s))
    wanted = np.where(t.matched & (t.held_s >= s.held_s), 0.0, np.nan)
    wanted = np.where((t.age_s <= s.window_s) & scene.asserted, birth, wanted)
    wanted = np.where(gone & scene.asserted & in_open, death, wanted)
    np.testing.assert_allclose(loops.births_and_deaths(scene, settled, memory, s), wanted)


def one(**given: object) -> SimpleNamespace:
    """A track in plain view, detected on every frame."""
    box = np.array([[100.0, 100, 180, 160]])
    usual: dict[str, object] = {
        "id": np.array([5]), "slot": np.array([3]), "xyxy": box, "matched": np.array([True]),
        "score": np.array([0.9]), "confidence": np.array([0.9]), "label": np.array([0]),
        "age_s": np.array([2.0]), "is_new": np.array([False]),
    }  # fmt: skip
    return SimpleNamespace(**(usual | given))


def view(track: SimpleNamespace, **given: object) -> SimpleNamespace:
    """A scene of it, in which nothing else stands."""
    clear = {name: np.zeros(1) for name in ("hidden", "foot_hidden")}
    sure = {"asserted": np.array([True]), "truncated": np.array([False]), "duplicate": np.array([False])}
    made = crowds.scene(np.random.default_rng(0), tracks=track, edge_px=np.array([200.0]), **clear, **sure)
    return SimpleNamespace(**(vars(made) | given))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0.03, 0.1), st.floats(20, 60)), min_size=3, max_size=12))
def test_growth_is_the_slope_of_the_weighted_least_squares_line(steps: list[tuple[float, float]]) -> None:
    s, lines, memory = ExpansionSettings(), np.zeros((crowds.CAPACITY, 7)), np.zeros((2, crowds.CAPACITY))
    at, now, range_m = [], 0.0, 20.0
    for i, (dt, height) in enumerate(steps):
        now += dt
        range_m *= np.exp(-0.2 * dt)
        track = one(xyxy=np.array([[100.0, 100, 180, 100 + height]]), is_new=np.array([i == 0]))
        seen = SimpleNamespace(
            id=[1], center=np.array([[0.0, 0, range_m]]), size=np.zeros((1, 3)), matched=np.array([True])
        )
        scene = view(
            track, dt_s=dt, objects=seen, objects_are_classified=True,
            pairing=SimpleNamespace(object_of=np.zeros(1, np.int64)),
        )  # fmt: skip
        _, growth, closing, near, _ = loops.growth_against_closing(scene, lines, memory, s)
        at.append((now, np.log(height), np.log(range_m)))
    time, grown, gone = np.array(at).T
    weight = np.exp((time - now) / s.memory_s / 2)
    assert growth[0] == pytest.approx(np.polyfit(time, grown, 1, w=weight)[0], rel=1e-4, abs=1e-4)
    assert closing[0] == pytest.approx(-np.polyfit(time, gone, 1, w=weight)[0], rel=1e-4, abs=1e-4)
    assert near[0] == range_m


@settings(max_examples=30)
@given(seeds, st.integers(8, 30))
def test_a_class_is_as_surprising_as_it_was_rare(seed: int, frames: int) -> None:
    rng, s = np.random.default_rng(seed), ClassStabilitySettings()
    groups = len(objects.GROUPS)
    counts, called = np.zeros((crowds.CAPACITY, groups)), np.zeros((loops.CALLED, crowds.CAPACITY))
    score = rng.uniform(0.5, 1, frames)
    for i in range(frames):
        # A car for all the drive but its last frame, on which it is a person.
        label = objects.INDEX["person" if i == frames - 1 else "car"]
        track = one(score=score[i : i + 1], label=np.array([label]), is_new=np.array([i == 0]))
        found = loops.class_surprisal(view(track), counts, called, np.eye(groups), s)
    history = np.sum(score[:-1] * np.exp(-0.1 / s.memory_s) ** np.arange(frames - 2, -1, -1))
    share = s.prior / (history + groups * s.prior)
    np.testing.assert_allclose(found[:2, 0], [-np.log(share) if history >= s.min_detections else 0.0, share])


@pytest.mark.parametrize(("scale", "told"), [(1.0, True), (1.6, False)], ids=["its own box", "another's"])
def test_who_is_renamed_and_of_another_size_at_once_is_another_body(scale: float, told: bool) -> None:
    """A sign's track that hops to the car behind it, whose box is of the same shape."""
    s, groups = ClassStabilitySettings(), len(objects.GROUPS)
    counts, called = np.zeros((crowds.CAPACITY, groups)), np.zeros((loops.CALLED, crowds.CAPACITY))
    for i in range(22):
        # The new name comes first, and the other's box a little later: both boxed both.
        label = objects.INDEX["car" if i >= 18 else "stop sign"]
        size = np.array([24.0, 20.0]) * (scale if i >= 20 else 1.0)
        box = np.concatenate([[300.0, 100.0], [300.0, 100.0] + size])[None]
        track = one(xyxy=box, label=np.array([label]), is_new=np.array([i == 0]))
        found = loops.class_surprisal(view(track), counts, called, np.eye(groups), s)
    assert bool(found[0, 0] > 3.0) == told


def test_a_score_that_falls_in_plain_view_is_held_against_its_own_level() -> None:
    s, memory = ConfidenceSettings(), np.zeros((loops.CONFIDENCES, crowds.CAPACITY))
    for i in range(60):
        score = 0.8 if i < 40 else 0.3
        track = one(score=np.array([score]), is_new=np.array([i == 0]))
        surprise, fall, common, known_s = loops.lost_faith(view(track), memory, np.full(10, 0.35), s)
        if i == 39:
            assert surprise[0] == pytest.approx(0, abs=1e-6) and known_s[0] == pytest.approx(4.0)
    # Over two seconds, which the present score follows and its level hardly does: at most by what is usual.
    fallen = np.log(0.8 / 0.2) - np.log(0.3 / 0.7)
    assert common[0] == 0 and fallen - 0.35 < fall[0] < fallen
    assert surprise[0] == pytest.approx(fall[0] / 0.35)


def test_a_thing_shaped_and_moving_unlike_its_class_is_told() -> None:
    s, many = KinematicClassSettings(), len(objects.CLASSES)
    shapes, velocities = np.zeros((crowds.CAPACITY, 11)), np.zeros((crowds.CAPACITY, 7))
    known_s, who = np.zeros((2, crowds.CAPACITY)), np.full((2, crowds.CAPACITY), -1, np.int64)
    mean, sigma = np.tile([0.0, 0.7], (many, 1)), np.full((many, 2), 0.2)
    for i in range(15):
        z = 30.0 - 7.0 * i * 0.1
        seen = SimpleNamespace(
            id=np.array([9]), center=np.array([[0.0, 0, z]]), velocity=np.array([[3.0, 4.0 + i]]),
            matched=np.array([True]), age_s=np.array([2.0]),
        )  # fmt: skip
        scene = view(
            one(xyxy=np.array([[100.0, 100, 180, 160]]), is_new=np.array([i == 0])), objects=seen,
            size_range=np.array([z]), pairing=SimpleNamespace(object_of=np.zeros(1, np.int64)),
            camera_motion=(np.zeros(3), np.zeros(3)),
        )  # fmt: skip
        found = loops.unlike_class(scene, shapes, velocities, known_s, who, True, i == 0, mean, sigma, s)
    surprise, shape, off, speed, fast, acceleration, hasty = found[:, 0]
    assert shape == pytest.approx(80 / 60) and off == pytest.approx(np.log(80 / 60) / 0.2)
    weight = np.exp(-np.arange(13, -1, -1) * 0.1 / s.window_s)
    along = np.average(4.0 + np.arange(1, 15), weights=weight)
    assert speed == pytest.approx(np.hypot(3.0, along), rel=0.02) and fast == 0
    # 10 m/s² is what a car can do: what it does is no more.
    assert acceleration == pytest.approx(10.0) and hasty == pytest.approx(0, abs=1e-6)
    assert surprise == pytest.approx(0.5 * off**2)


def test_what_is_held_grows_and_fades_half_as_fast() -> None:
    held_s, slots = np.array([1.0, 0.02, 1.99, 0.5, 7.0]), np.array([1, 0, 2, 3], np.intp)
    is_new, now = np.array([False, False, False, True]), np.array([False, False, True, True])
    before = loops.hold(held_s, slots, is_new, now, 0.1)
    np.testing.assert_allclose(before, [0.02, 1.0, 1.99, 0.0])
    np.testing.assert_allclose(held_s, [0.95, 0.0, 2.0, 0.1, 7.0])
    loops.hold(held_s, slots, np.array([True, False, False, False]), None, 0.1)
    np.testing.assert_allclose(held_s, [0.95, 0.0, 2.0, 0.1, 7.0])
    assert loops.outline(np.array([np.nan, 2.0, np.nan, 1.0])) == (2.0, 2)
    assert loops.outline(np.array([np.nan])) == (-np.inf, 1)


@given(st.integers(0, 2**32 - 1))
def test_where_tracks_stand_and_whether_lidar_confirms_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 7))
    low = rng.uniform(0, 300, (n, 2))
    box, (a, b, c) = np.hstack([low, low + rng.uniform(1, 90, (n, 2))]), (0.01, -0.02, 1.6)
    k = np.array([[300.0, 0, 200], [0, 310.0, 100], [0, 0, 1]])
    w, h = (box[:, 2:] - box[:, :2]).T
    wanted = box + np.column_stack([0.2 * w, 0.1 * h, -0.2 * w, -0.05 * h])
    np.testing.assert_allclose(loops.cores(box), wanted, rtol=1e-12)

    drop = (box[:, 3] - k[1, 2]) / k[1, 1] - b - a * ((box[:, 0] + box[:, 2]) / 2 - k[0, 2]) / k[0, 0]
    foot = np.where(drop > 1e-3, c / np.maximum(drop, 1e-3), np.inf)
    np.testing.assert_allclose(loops.foot_ranges(box, k, np.array([a, b, c])), foot, rtol=1e-12)

    near, size = (rng.choice([np.nan, 5.0, 9.0, 20.0], n) for _ in range(2))
    use = np.isfinite(near) & ((np.abs(np.log(near) - np.log(size)) < 0.7) | ~np.isfinite(size))
    np.testing.assert_array_equal(loops.known_ranges(near, size), np.where(use, near, size))

    on, total, usual = rng.uniform(0, 30, (3, n))
    support: Any = SimpleNamespace(on=on, total=total, expected=4 * usual)
    overlap, held_s = rng.choice([0.0, 0.3, 0.5], n), rng.choice([0.0, 0.5], n)
    enough = on >= np.maximum(3.0, 0.12 * support.expected)
    np.testing.assert_array_equal(loops.confirmed(support, overlap), (overlap >= 0.4) | enough)
    np.testing.assert_array_equal(loops.confirmed(None, overlap), overlap >= 0.4)
    dark = total < 0.15 * support.expected
    np.testing.assert_array_equal(loops.doubtful_lidar(held_s, support), (held_s > 0.3) | dark)
    np.testing.assert_array_equal(loops.doubtful_lidar(held_s, None), held_s > 0.3)


def test_a_box_of_another_height_all_at_once_is_yet_to_hold_a_body() -> None:
    memory, gone = np.zeros((7, 1)), np.zeros(1, bool)
    held = []
    for height in (100.0, 104.0, 60.0, 61.0):
        one = np.ones(1)
        tracks = SimpleNamespace(
            slot=np.zeros(1, np.intp),
            xyxy=np.array([[100.0, 300.0 - height, 200.0, 300.0]]),
            held_s=one,
            score=one,
            confidence=one,
            label=np.zeros(1, np.int64),
            matched=np.ones(1, bool),
        )
        scene = SimpleNamespace(
            tracks=tracks,
            lidar_held_s=one,
            hidden=0.0 * one,
            edge_px=100.0 * one,
            asserted=np.ones(1, bool),
            truncated=np.zeros(1, bool),
            supported=np.ones(1, bool),
            dt_s=0.1,
        )
        loops.follow_returns(scene, SimpleNamespace(on=50.0 * one, foreground=9.0 * one), memory, gone)
        held.append(memory[0, 0])
    assert held == [50.0, 50.0, 0.0, 50.0]
