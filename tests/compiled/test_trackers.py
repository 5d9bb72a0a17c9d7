"""What the trackers' compiled loops keep, let go and show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.compiled import loops
from edgeguard.tracking import boxes
from tests.compiled import crowds


def test_a_box_that_is_not_wholly_ahead_has_no_outline() -> None:
    bank, followed = np.zeros((loops.FILTER, 4, 2)), np.full((loops.FOLLOWED, 4), -1, np.int64)
    body, corner, slots = np.zeros((4, loops.BODY)), np.zeros((4, 8, 3)), np.array([2, 0], np.intp)
    cube = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-2.0, 2.0)])
    center = np.array([[0.0, 0, 10], [0, 0, 2.2]])
    measured = SimpleNamespace(
        center=center, size=np.full((2, 3), 2.0), corners=center[:, None] + cube, probability=np.ones(2),
        bottom=np.zeros(2), label=np.zeros(2, np.int64), points=np.zeros(2, np.int64),
    )  # fmt: skip
    loops.lidar_see(bank, followed, body, corner, slots, measured, np.array([0, 1]), 7, True)
    k = np.array([[500.0, 0, 320], [0, 500, 180], [0, 0, 1]])
    *_, place, _, xyxy, _, matched, _ = loops.lidar_objects(bank, followed, body, corner, slots, k, 7, 0)
    np.testing.assert_allclose(place, center)
    np.testing.assert_allclose(xyxy[0], [320 - 62.5, 180 - 62.5, 320 + 62.5, 180 + 62.5])
    assert np.isnan(xyxy[1]).all() and matched.all()


def test_a_thing_earns_its_lifetime_by_hits_and_lives_to_the_next_frame() -> None:
    followed = np.zeros((loops.FOLLOWED, 4), np.int64)
    followed[0], followed[3] = [1, 2, 3, 4], [1, 5, 50, 1]
    followed[2] = [600_000_000, 0, 0, 900_000_000]
    slots, now = np.arange(4), 1_000_000_000
    # Missed for 0.4, 1, 1 and 0.1 s; one hit is worth 0.25 s, five 0.85 s, fifty the most.
    assert loops.survivors(followed, slots, now, 0.1, 1.5).tolist() == [2, 3]
    assert followed[0].tolist() == [-1, -1, 3, 4]
    assert loops.survivors(followed, np.array([2, 3]), now, 0.1, 0.9).tolist() == [3]
    followed[0] = 1
    assert loops.survivors(followed, slots, now, 1.0, 1.5).tolist() == [0, 1, 2, 3]


def test_what_is_no_box_of_a_watched_class_is_not_followed() -> None:
    rng = np.random.default_rng(1)
    box = crowds.boxes(rng, 6)
    box[1, 2], box[2, 0], box[3, 3] = box[1, 0], np.nan, np.inf
    score, label = np.array([0.9, 0.9, 0.9, 0.9, 0.05, 0.9]), np.array([0, 0, 0, 0, 0, -1])
    assert loops.usable(box, score, label, 0.1).tolist() == [0]
    seen = SimpleNamespace(xyxy=box.astype(np.float32), score=score.astype(np.float32))
    found = loops.believable(seen, 0.1)
    np.testing.assert_allclose(found[[0, 1, 5]], box[[0, 1, 5]], rtol=1e-6)
    assert not found[2:5].any()


@given(st.integers(0, 2**32 - 1))
def test_a_track_begins_where_none_holds_the_thing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    d, n = int(rng.integers(0, 7)), int(rng.integers(0, 6))
    low = rng.uniform(0, 60, (d + 8, 2))
    box = np.hstack([low, low + rng.uniform(20, 60, (d + 8, 2))])
    score, found = rng.random(d), rng.permutation(d)[: min(d, n) // 2]
    followed, looks = np.zeros((loops.FOLLOWED, 8), np.int64), np.zeros((8, 6))
    looks[:, 2:], followed[2] = box[d:], rng.choice([6, 7], 8)
    alive = rng.permutation(8)[:n]
    held = looks[alive[followed[2, alive] == 7], 2:]
    wanted = [
        j for j in range(d)
        if j not in found and score[j] >= 0.4 and (boxes.iou(box[j : j + 1], held) < 0.6).all()
    ]  # fmt: skip
    assert loops.unheld(box[:d], score, found, 0.4, followed, looks, alive, 7).tolist() == wanted


def test_pairs_that_are_apart_are_none() -> None:
    cost = np.array([[0.2, 9.0], [9.0, 9.0]])
    at = np.array([0, 1])
    rows, columns = loops.affordable(cost, at, at, np.array([4, 6]), np.array([5, 3]), 9.0)
    assert (rows.tolist(), columns.tolist()) == ([4], [5])
