"""Evidence goes on with who stands in the place of one that can no longer be observed."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeguard.checks.base import Scores
from edgeguard.evidence.accumulate import Evidence, EvidenceSettings, Standing
from edgeguard.verdict import Cause, SubjectKind

TRACK, OBJECT = SubjectKind.TRACK, SubjectKind.LIDAR_OBJECT
HERE, A_STEP_ON, ELSEWHERE = (
    (100.0, 100.0, 150.0, 140.0),
    (110.0, 100.0, 160.0, 140.0),
    (300.0, 100.0, 350.0, 140.0),
)
DARK = math.nan

Row = tuple[tuple[float, float, float, float], float, bool]
"""Box, score, whether something of this frame belongs to it."""


class Watch:
    """Evidence of one check, frame by frame, about things that are where a scene says."""

    def __init__(self) -> None:
        self.evidence = Evidence(EvidenceSettings(), checks=10)
        self.frame = 0

    def __call__(self, tracks: dict[int, Row], things: dict[int, Row] | None = None) -> Standing:
        """Take a frame of camera tracks and LiDAR objects in; return how the last kind given stands."""
        self.frame += 1
        seen = things or {}
        scene: Any = SimpleNamespace(
            tracks=_there(tracks), objects=_there(seen), object_boxes=_there(seen).xyxy
        )
        standing = self._told(TRACK, tracks, scene)
        return standing if things is None else self._told(OBJECT, things, scene)

    def _told(self, kind: SubjectKind, rows: dict[int, Row], scene: Any) -> Standing:
        values = np.array([row[1] for row in rows.values()])
        scores = Scores(kind, np.array(list(rows), np.int64), values, (Cause.UNKNOWN,) * len(rows))
        return self.evidence.update("check", scores, self.frame * 100_000_000, 0.1, scene)


def _there(rows: dict[int, Row]) -> Any:
    return SimpleNamespace(
        id=np.array(list(rows), np.int64),
        xyxy=np.array([row[0] for row in rows.values()]).reshape(-1, 4),
        matched=np.array([row[2] for row in rows.values()], bool),
    )


def accused(watch: Watch, frames: int = 3) -> None:
    for _ in range(frames):
        watch({1: (HERE, 8.0, True)})


def test_a_box_that_changes_its_track_is_told_as_soon_as_one_that_does_not() -> None:
    watch = Watch()
    accused(watch)
    standing = watch({1: (HERE, DARK, False), 2: (A_STEP_ON, 8.0, True)})
    assert standing.raised.tolist() == [False, True]
    assert standing.onset_ns[1] == standing.onset_ns[0] == 100_000_000


def test_what_the_camera_lost_goes_on_as_its_lidar_object() -> None:
    watch = Watch()
    accused(watch)
    assert watch({1: (HERE, DARK, False)}, {7: (A_STEP_ON, 8.0, True)}).alarms == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param((HERE, DARK, True), (A_STEP_ON, 8.0, True), id="it has its own box"),
        pytest.param((HERE, 8.0, False), (A_STEP_ON, 8.0, True), id="it can be observed"),
        pytest.param((HERE, DARK, False), (ELSEWHERE, 8.0, True), id="another place"),
        pytest.param((HERE, DARK, False), (A_STEP_ON, 8.0, False), id="the other one is gone too"),
    ],
)
def test_nothing_passes_on_where_nobody_took_its_place(first: Row, second: Row) -> None:
    watch = Watch()
    accused(watch)
    assert watch({1: first, 2: second}).evidence[1] < 5.0


def test_an_heir_that_is_in_order_is_cleared_and_never_accused() -> None:
    watch = Watch()
    accused(watch, frames=8)
    for _ in range(12):
        standing = watch({1: (HERE, DARK, False), 2: (A_STEP_ON, 0.0, True)})
        assert not standing.raised[1]
    assert standing.evidence[1] == 0.0


def test_it_passes_on_once() -> None:
    watch = Watch()
    accused(watch)
    watch({1: (HERE, DARK, False), 2: (A_STEP_ON, 0.0, True)})
    standing = watch({1: (HERE, DARK, False), 2: (A_STEP_ON, 0.0, True), 3: (HERE, 8.0, True)})
    assert standing.evidence[2] < 5.0 and standing.evidence[1] < standing.evidence[0]


def test_half_a_second_later_it_is_another_thing() -> None:
    watch = Watch()
    accused(watch)
    for _ in range(6):
        watch({1: (HERE, DARK, False)})
    assert watch({1: (HERE, DARK, False), 2: (A_STEP_ON, 8.0, True)}).evidence[1] < 5.0
