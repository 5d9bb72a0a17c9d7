from __future__ import annotations

import numpy as np
import pytest

from edgeguard.sim.samples import Sample, average_precision, sample_scene
from edgeguard.types import Detections

CAR = frozenset({"car"})
NEAR, FAR, HIDDEN = [0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 60.0, 10.0], [80.0, 0.0, 90.0, 10.0]


def truth() -> Sample:
    boxes = np.array([FAR, HIDDEN, NEAR])
    return Sample(
        np.zeros(0, np.uint8), ("car",) * 3, boxes, np.array([1.0, 0.2, 1.0]), np.array([70.0, 20.0, 10.0])
    )


def found(*rows: tuple[list[float], float]) -> Detections:
    boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
    scores = np.array([score for _, score in rows], np.float32)
    return Detections(0, boxes, scores, np.zeros(len(rows), np.int32), ("car",))


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([(NEAR, 0.9)], 1.0),
        ([], 0.0),
        ([(NEAR, 0.9), (FAR, 0.95), (HIDDEN, 0.99)], 1.0),  # too far and too hidden count neither way
        ([([200.0, 0.0, 210.0, 10.0], 0.95), (NEAR, 0.9)], 0.5),  # a box on nothing, and surer
        (
            [(NEAR, 0.9), ([1.0, 0.0, 11.0, 10.0], 0.95)],
            1.0,
        ),  # the second box on a car comes too late to matter
        ([([4.0, 4.0, 14.0, 14.0], 0.9)], 0.0),  # too far off
    ],
)
def test_average_precision_counts_what_must_be_found(
    rows: list[tuple[list[float], float]], wanted: float
) -> None:
    got = average_precision([found(*rows)], [truth()], CAR, within_m=40, visible=0.5)
    assert got == pytest.approx(wanted)


def test_samples_are_the_same_every_time_and_know_where_things_are() -> None:
    one, two = (list(sample_scene("crossing_person", 901, 2)) for _ in range(2))
    for a, b in zip(one, two):
        assert np.array_equal(a.jpeg, b.jpeg) and np.array_equal(a.xyxy, b.xyxy)
        assert len(a.labels) == len(a.xyxy) == len(a.visible) == len(a.range_m) > 0
        assert (np.diff(a.range_m) <= 0).all()
        h, w = a.bgr.shape[:2]
        assert (a.xyxy >= 0).all() and (a.xyxy[:, 2] <= w).all() and (a.xyxy[:, 3] <= h).all()
        assert ((a.visible >= 0) & (a.visible <= 1)).all()
