from __future__ import annotations

import json
from array import array

import numpy as np

from edgeguard.report.figure import MAX_CURVES, MAX_POINTS, RATIO_CEILING, drive_figure
from edgeguard.verdict import Level

from .conftest import Drive, alarm


def test_levels_are_drawn_where_they_change(drive: Drive) -> None:
    record = drive.frames([[], [], [alarm()], [alarm()], []])
    level = drive_figure(record)["data"][0]
    assert list(zip(level["x"], level["y"])) == [(0.0, 0), (0.2, 1), (0.4, 0)]


def test_evidence_is_drawn_in_units_of_its_threshold_up_to_the_ceiling(drive: Drive) -> None:
    record = drive.frames([[alarm(evidence=6.0)], [alarm(evidence=4e9)]])
    curve = drive_figure(record)["data"][1]
    assert curve["y"] == [1.5, RATIO_CEILING]
    assert curve["customdata"] == [1.5, 1e9]


def test_a_long_drive_is_thinned_and_keeps_its_peaks(drive: Drive) -> None:
    n = 50_000
    drive.record.now_ns = array("q", range(0, n * 10**8, 10**8))
    drive.record.level = array("b", [Level.NOMINAL] * n)
    spent = np.ones(n, np.float32)
    spent[31_234] = 99.0
    drive.record.stage_ms["monitor"] = array("f", spent)
    time = drive_figure(drive.record)["data"][-1]
    assert len(time["x"]) <= MAX_POINTS
    assert max(time["y"]) == 99.0


def test_number_of_curves_is_bounded_and_the_strongest_stay(drive: Drive) -> None:
    drive.frame(*(alarm(track=i, evidence=4.0 + i) for i in range(100)))
    curves = [t for t in drive_figure(drive.record)["data"] if t["yaxis"] == "y2"]
    assert len(curves) == MAX_CURVES
    assert "track 99" in curves[0]["name"]


def test_an_empty_drive_gives_a_figure_that_serialises(drive: Drive) -> None:
    json.dumps(drive_figure(drive.record), allow_nan=False)
