"""Camera tracks: one identity a thing, whatever the stamps do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.tracking.camera import CAPACITY, CameraTracker, CameraTrackerSettings, Tracks
from edgeguard.types import Detections

NAMES = ("car", "person", "giraffe")
T0 = 1_700_000_000_000_000_000
MS = 1_000_000


def seen(stamp_ns: int, *rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Detections of (centre x, centre y, width, height, score, class)."""
    a = np.array(rows, np.float64).reshape(-1, 6)
    xyxy = np.concatenate([a[:, :2] - a[:, 2:4] / 2, a[:, :2] + a[:, 2:4] / 2], axis=1)
    return Detections(
        stamp_ns, xyxy.astype(np.float32), a[:, 4].astype(np.float32), a[:, 5].astype(np.int32), NAMES
    )


def scene(t: float) -> list[tuple[float, float, float, float, float, int]]:
    """Three things that move smoothly and do not cross, at `t` seconds."""
    return [
        (300 + 40 * t, 200, 80 * 1.03**t, 60 * 1.03**t, 0.9, 0),
        (700 - 30 * t, 210, 120, 90, 0.8, 0),
        (500, 220 + 2 * t, 30, 80, 0.7, 1),
    ]


def same(a: Tracks, b: Tracks) -> bool:
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name), equal_nan=f.name.startswith("residual"))
        for f in dataclasses.fields(Tracks)
    )


@given(st.lists(st.integers(5, 300), min_size=3, max_size=40), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_identities_hold_over_irregular_intervals(intervals_ms: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracker, now, ids = CameraTracker(CameraTrackerSettings()), 0, None
    for dt in intervals_ms:
        now += dt
        noise = rng.normal(0, 1.0, (3, 4))
        rows = [
            (x + n[0], y + n[1], w + n[2], h + n[3], s, c)
            for (x, y, w, h, s, c), n in zip(scene(now / 1e3), noise)
        ]
        tracks = tracker.update(T0 + now * MS, seen(T0 + now * MS, *rows))
        ids = tracks.id if ids is None else ids
        assert tracks.id.tolist() == ids.tolist() == [1, 2, 3]
        assert tracks.matched.all() and sorted(tracks.detection) == [0, 1, 2]


def test_a_gap_within_the_coast_keeps_the_identity_and_a_longer_one_ends_it() -> None:
    tracker = CameraTracker(CameraTrackerSettings(max_coast_s=1.0))
    for i in range(12):
        tracker.update(T0 + i * 100 * MS, seen(T0, *scene(i / 10)))
    for i in range(12, 20):
        coasting = tracker.update(T0 + i * 100 * MS, seen(T0))
        assert coasting.id.tolist() == [1, 2, 3] and not coasting.matched.any()
        assert np.isnan(coasting.residual).all() and np.allclose(coasting.missed_s, (i - 11) / 10)
    back = tracker.update(T0 + 2000 * MS, seen(T0, *scene(2.0)))
    assert back.id.tolist() == [1, 2, 3] and back.matched.all()
    assert len(tracker.update(T0 + 3500 * MS, None)) == 0
    assert tracker.update(T0 + 3600 * MS, seen(T0, *scene(3.6))).id.tolist() == [4, 5, 6]


@given(st.permutations(range(12)), st.integers(1, 12))
@settings(deadline=None)
def test_stamps_out_of_order_neither_break_nor_double_tracks(order: list[int], sorted_first: int) -> None:
    stamps = list(range(sorted_first)) + [i for i in order if i >= sorted_first]
    tracker = CameraTracker(CameraTrackerSettings())
    for i in stamps:
        tracks = tracker.update(T0 + i * 50 * MS, seen(T0, *scene(i / 20)))
        assert np.isfinite(tracks.xyxy).all() and np.isfinite(tracks.velocity).all()
        assert len(tracks) == 3 and (np.diff(tracks.id) > 0).all()
        assert (tracks.age_s >= 0).all() and (tracks.missed_s >= 0).all()


@given(st.lists(st.tuples(st.integers(-200, 600), st.integers(0, 2**32 - 1)), min_size=1, max_size=25))
@settings(deadline=None, max_examples=40)
def test_any_input_gives_sane_tracks_and_the_same_input_the_same_ones(steps: list[tuple[int, int]]) -> None:
    first, second = (CameraTracker(CameraTrackerSettings()) for _ in range(2))
    now, known = 0, 0
    for dt, seed in steps:
        now += dt
        rng = np.random.default_rng(seed)
        rows = np.column_stack(
            [
                rng.uniform(-50, 1300, 9),
                rng.uniform(-50, 400, 9),
                rng.uniform(-5, 300, 9),
                rng.uniform(-5, 200, 9),
                rng.uniform(0, 1, 9),
                rng.integers(0, 3, 9),
            ]
        )
        rows[rng.random(9) < 0.05, 0] = np.nan
        frame = seen(T0 + now * MS, *map(tuple, rows)) if seed % 5 else None
        a, b = (t.update(T0 + now * MS, frame) for t in (first, second))
        assert same(a, b)
        assert (np.diff(a.id) > 0).all() and len(np.unique(a.slot)) == len(a)
        assert np.isfinite(a.xyxy).all() and (a.xyxy[:, 2:] > a.xyxy[:, :2]).all()
        assert np.array_equal(a.is_new, a.id > known)
        used = a.detection[a.matched]
        assert len(np.unique(used)) == len(used)
        if frame is not None:
            assert np.array_equal(a.xyxy[a.matched], frame.xyxy[used].astype(np.float64))
        known = max(known, int(a.id.max(initial=0)))


def test_a_flood_of_boxes_is_bounded() -> None:
    rng = np.random.default_rng(3)
    tracker = CameraTracker(CameraTrackerSettings())
    for i in range(8):
        x, y = rng.uniform(0, 5000, 1000), rng.uniform(0, 5000, 1000)
        rows = np.column_stack([x, y, np.full((1000, 2), 20.0), rng.uniform(0.4, 1, 1000), np.zeros(1000)])
        tracks = tracker.update(T0 + i * 100 * MS, seen(T0, *map(tuple, rows)))
        assert len(tracks) <= CAPACITY and tracks.matched.sum() <= 128


def test_a_reset_begins_anew() -> None:
    tracker = CameraTracker(CameraTrackerSettings())
    before = [tracker.update(T0 + i * 100 * MS, seen(T0, *scene(i / 10))) for i in range(5)]
    tracker.reset()
    after = [tracker.update(T0 + i * 100 * MS, seen(T0, *scene(i / 10))) for i in range(5)]
    assert all(same(a, b) for a, b in zip(before, after))


@pytest.mark.parametrize(
    ("row", "tracked"),
    [
        ((100, 100, 50, 50, 0.9, 0), True),
        ((100, 100, 50, 50, 0.05, 0), False),
        ((100, 100, 50, 50, 0.9, 2), False),
    ],
    ids=["a car", "a score near nothing", "a class that nobody watches"],
)
def test_what_may_begin_a_track(row: tuple[float, ...], tracked: bool) -> None:
    tracks = CameraTracker(CameraTrackerSettings()).update(T0, seen(T0, row))  # type: ignore[arg-type]
    assert len(tracks) == tracked


def test_a_second_box_on_a_held_object_begins_no_track() -> None:
    tracker = CameraTracker(CameraTrackerSettings())
    tracker.update(T0, seen(T0, (100, 100, 50, 50, 0.9, 0)))
    tracks = tracker.update(T0 + 100 * MS, seen(T0, (100, 100, 50, 50, 0.9, 0), (101, 100, 49, 50, 0.6, 0)))
    assert tracks.id.tolist() == [1]


def test_a_weak_detection_continues_a_track_but_begins_none() -> None:
    tracker = CameraTracker(CameraTrackerSettings())
    for i in range(4):
        tracker.update(T0 + i * 100 * MS, seen(T0, (100, 100, 50, 50, 0.9, 0)))
    weak = (100, 100, 50, 50, 0.2, 0), (400, 100, 50, 50, 0.2, 0)
    tracks = tracker.update(T0 + 400 * MS, seen(T0, *weak))
    assert tracks.id.tolist() == [1] and tracks.detection.tolist() == [0]
