from __future__ import annotations

import math

import numpy as np
import pytest

from edgeguard.engine.agreement import compare, drift
from edgeguard.types import Detections


def seen(
    *rows: tuple[float, float, float, float, float, int], names: tuple[str, ...] = ("car", "person")
) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(0, table[:, :4], table[:, 4], table[:, 5].astype(np.int32), names)


def test_what_is_kept_lost_and_new() -> None:
    reference = seen((0, 0, 10, 10, 0.9, 0), (20, 0, 30, 10, 0.8, 0), (40, 0, 50, 10, 0.7, 1))
    other = seen((0, 0, 10, 8, 0.8, 0), (20, 0, 30, 10, 0.8, 1), (40, 0, 50, 10, 0.8, 1))
    a = compare([(reference, other), (seen(), seen())])
    assert (a.frames, a.reference, a.kept, a.added) == (2, 3, 2, 1)
    assert a.kept_share == pytest.approx(2 / 3)
    assert a.mean_iou == pytest.approx((0.8 + 1) / 2)
    assert a.score_shift == pytest.approx(0.0, abs=1e-6)


def test_classes_are_compared_by_name() -> None:
    box = (0, 0, 10, 10, 0.9, 0)
    assert compare([(seen(box), seen(box, names=("person", "car")))]).kept == 0


def test_a_box_is_matched_once() -> None:
    two = seen((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.8, 0))
    assert compare([(two, seen((0, 0, 10, 10, 0.9, 0)))]).kept == 1


def test_nothing_to_compare_is_no_number() -> None:
    assert math.isnan(compare([]).kept_share)
    assert math.isnan(compare([(seen(), seen())]).mean_iou)


def test_drift_counts_overlap_and_score_and_what_is_lost() -> None:
    reference = seen((0, 0, 10, 10, 0.9, 0), (20, 0, 30, 10, 0.8, 0))
    other = seen((0, 0, 10, 8, 0.8, 0), (20, 0, 30, 10, 0.8, 1))
    assert drift([(reference, other)]) == pytest.approx(((0.2 + 0.1) + 1) / 2, abs=1e-6)
    assert drift([(reference, reference), (seen(), other)]) == pytest.approx(0, abs=1e-6)
    assert math.isnan(drift([(seen(), other)]))
