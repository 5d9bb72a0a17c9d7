"""An attack is aimed at what stays in the picture, where anything does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from edgeguard.redteam.scout import View
from edgeguard.redteam.targets import staying
from edgeguard.types import Detections, Image

LEAVING = np.array([420.0, 150, 520, 220])
AHEAD = np.array([300.0, 160, 360, 200])


def passing(count: int, boxes: Callable[[int], Sequence[np.ndarray]]) -> tuple[View, ...]:
    """Pictures of 640 by 360 on which an engine finds these vehicles."""

    def view(i: int) -> View:
        found = np.reshape(boxes(i), (-1, 4)).astype(np.float32)
        n = len(found)
        seen = Detections(i, found, np.full(n, 0.9, np.float32), np.zeros(n, np.int32), ("car",))

        class Engine:
            def detect(self, image: Image) -> Detections:
                return seen

        return View(None, Engine, Image(i, "camera", np.zeros((360, 640, 3), np.uint8)), None)

    return tuple(view(i) for i in range(count))


def chosen(pictures: tuple[View, ...], wanted: Sequence[np.ndarray] = (LEAVING, AHEAD)) -> np.ndarray | None:
    return staying(wanted, pictures, lambda view: view.vehicles.xyxy)


def leaving(i: int) -> np.ndarray:
    return np.clip(LEAVING + 12 * i * np.array([1.0, 0, 1, 0]), 0, [640, 360, 640, 360])


def test_what_leaves_over_the_side_is_left_for_what_stays() -> None:
    assert chosen(passing(20, lambda i: [leaving(i), AHEAD])) is AHEAD
    # For as long as it is looked at it stays: the best target then.
    assert chosen(passing(5, lambda i: [leaving(i), AHEAD])) is LEAVING


def test_where_nothing_stays_the_best_target_is_taken_and_where_nothing_is_none() -> None:
    assert chosen(passing(20, lambda i: [leaving(i)]), [LEAVING]) is LEAVING
    assert chosen(passing(20, lambda i: []), []) is None


@pytest.mark.parametrize(("missed", "kept"), [(3, True), (4, False)])
def test_an_engine_may_miss_it_for_a_moment(missed: int, kept: bool) -> None:
    other = AHEAD - np.array([200.0, 0, 200, 0])
    pictures = passing(20, lambda i: [other] if 5 <= i < 5 + missed else [AHEAD, other])
    assert chosen(pictures, [AHEAD, other]) is (AHEAD if kept else other)
