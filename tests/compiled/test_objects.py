"""The compiled loops over boxes and filters say what NumPy's formulas say, NaN and empty boxes included."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeguard.compiled import loops
from edgeguard.types import F64

number = st.one_of(st.floats(-1e4, 1e4), st.just(float("nan")))
boxes = st.integers(0, 5).flatmap(lambda n: arrays(np.float64, (n, 4), elements=number))


def plain_area(b: F64) -> F64:
    size = np.maximum(b[:, 2:] - b[:, :2], 0.0)
    product: F64 = size[:, 0] * size[:, 1]
    return product


def plain_intersection(a: F64, b: F64) -> F64:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    size = np.maximum(np.minimum(a[:, None, 2:], b[None, :, 2:]) - low, 0.0)
    product: F64 = size[..., 0] * size[..., 1]
    return product


@given(boxes, boxes)
def test_overlaps_are_those_of_the_formula(a: F64, b: F64) -> None:
    both = plain_intersection(a, b)
    union = np.maximum(plain_area(a)[:, None] + plain_area(b) - both, 1e-9)
    np.testing.assert_array_equal(loops.area(a), plain_area(a))
    np.testing.assert_array_equal(loops.intersection(a, b), both)
    np.testing.assert_array_equal(loops.iou(a, b), both / union)
    iou, inner = loops.shares(a, b)
    np.testing.assert_array_equal(iou, both / union)
    np.testing.assert_array_equal(inner, both / np.maximum(plain_area(a)[:, None], 1e-9))


@given(st.integers(0, 2**32 - 1))
def test_corners_of_turned_boxes_are_where_the_quaternion_puts_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    yaw, center, size = rng.uniform(-3, 3), rng.uniform(-20, 20, (1, 3)), rng.uniform(0.2, 5, (1, 3))
    turn = np.array([[0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)]])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]], rng.uniform(-1, 1, 3)
    rotation = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    unit = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    wanted = (center + (unit * size) @ rotation.T) @ matrix[:3, :3].T + matrix[:3, 3]
    middle, corners, extent = loops.corners(center, size, turn, matrix)
    np.testing.assert_allclose(corners[0], wanted, atol=1e-9)
    np.testing.assert_allclose(middle[0], wanted.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(extent[0], wanted.max(axis=0) - wanted.min(axis=0), atol=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_evidence_is_gathered_step_by_step_faded_and_bounded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence, onset_ns = rng.choice([0.0, 1.0, 19.0], 6), np.zeros(6, np.int64)
    rows = rng.permutation(6)[:4]
    surprisal = rng.choice([0.0, 3.0, 9.0, np.inf, np.nan], 4)
    before = evidence[rows]
    gain = np.minimum(-2.0 + 0.9 * surprisal, 5.0) * 0.5
    wanted = np.where(np.isnan(surprisal), before * 0.9, np.maximum(before + gain, 0.0))
    wanted = np.where(surprisal == np.inf, 20.0, np.minimum(wanted, 20.0))
    after, since, raised, alarms = loops.gather(
        evidence, onset_ns, rows, surprisal, 7, -2.0, 0.9, 5.0, 0.5, 0.9, 20.0, 15.0
    )
    np.testing.assert_allclose(after, wanted)
    np.testing.assert_array_equal(evidence[rows], after)
    np.testing.assert_array_equal(since, np.where((before <= 0) & (after > 0), 7, 0))
    np.testing.assert_array_equal(raised, after >= 15.0)
    assert alarms == raised.sum()
