"""Detections and LiDAR objects pair one to one; a neighbour excuses nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.pairing import MIN_OVERLAP, Pairing, pair
from edgeguard.tracking import boxes

CAR, NEXT, FAR = (100, 100, 200, 180), (230, 100, 330, 180), (600, 100, 660, 150)


def paired(tracks: list[Any], objects: list[Any], **given_: Any) -> Pairing:
    """Every track detected on this frame, all at 20 m, unless told otherwise."""
    t, o = np.array(tracks, float).reshape(-1, 4), np.array(objects, float).reshape(-1, 4)
    n, m = len(t), len(o)
    told = {
        "detections": t, "track_of_detection": np.arange(n), "tracks": t, "track_range": np.full(n, 20.0),
        "range_gate": np.full(n, 0.8), "fit_gate": np.full(n, 0.8),
        "loyal_object": np.full(n, -1), "objects": o,
        "object_range": np.full(m, 20.0), "measured": np.ones(m, bool), "whole": True,
        "box_range": np.full(n, np.nan), "rivals": np.zeros((n, m), np.uint8),
    }  # fmt: skip
    return pair(**(told | given_))


def test_each_finds_its_own() -> None:
    found = paired([CAR, NEXT, FAR], [FAR, CAR])
    assert found.object_of.tolist() == [1, -1, 0] and found.track_of.tolist() == [2, 0]
    assert found.any_object.tolist() == [1, 0, 1] and found.boxed.tolist() == [1, 1]


def test_one_behind_the_other_in_the_image_is_another_thing() -> None:
    assert paired([CAR], [CAR], object_range=np.array([60.0])).object_of.tolist() == [-1]
    assert paired([CAR], [CAR], track_range=np.array([np.nan])).object_of.tolist() == [0]


def test_the_partner_of_before_is_kept_where_another_lies_as_well() -> None:
    left, right = (80, 100, 180, 180), (118, 100, 218, 180)
    assert paired([CAR], [left, right]).object_of.tolist() == [1]
    assert paired([CAR], [left, right], loyal_object=np.array([0])).object_of.tolist() == [0]


def test_a_neighbours_object_that_brushes_a_track_is_no_object_of_its_own() -> None:
    beside = (165, 100, 265, 180)
    found = paired([CAR, beside], [beside])
    assert found.object_of.tolist() == [-1, 0]
    assert found.any_object[0] >= MIN_OVERLAP and found.own_object[0] == 0.0
    assert found.own_object[1] == 1.0


def test_what_was_not_measured_now_pairs_with_nothing() -> None:
    found = paired([CAR], [CAR], measured=np.array([False]))
    assert found.object_of.tolist() == [-1] and found.boxed.tolist() == [0]


def test_an_untracked_detection_boxes_an_object() -> None:
    found = paired([], [CAR], detections=np.array([CAR], float), track_of_detection=np.array([-1]))
    assert found.boxed.tolist() == [1] and found.track_of.tolist() == [-1]


def test_a_cluster_may_be_a_part_of_the_thing() -> None:
    part = (120, 120, 180, 178)
    assert boxes.iou(np.array([CAR], float), np.array([part], float))[0, 0] < 0.5
    assert paired([CAR], [part], whole=False).any_object[0] > 0.55


def test_a_far_things_box_inside_a_clusters_outline_excuses_nothing() -> None:
    """The car ahead is painted out, and the network boxes one that stood behind it."""
    behind = (120, 105, 180, 150)
    gate = np.array([0.4])
    far = {"whole": False, "object_range": np.array([12.0]), "range_gate": gate, "fit_gate": gate}
    found = paired([behind], [CAR], track_range=np.array([26.0]), **far)
    assert found.any_box[0] >= MIN_OVERLAP
    assert found.own_box[0] == 0.0 and found.track_of.tolist() == [-1]
    # The same identity, shrunk: where it stood, its size no longer fits.
    found = paired([behind], [CAR], track_range=np.array([12.0]), box_range=np.array([26.0]), **far)
    assert found.own_box[0] == 0.0 and found.track_of.tolist() == [-1]


BOXES = st.lists(
    st.tuples(st.floats(0, 900), st.floats(0, 300), st.floats(1, 300), st.floats(1, 200)), max_size=12
)


@given(BOXES, BOXES, st.booleans(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_pairs_are_one_to_one_and_overlap(a: list[Any], b: list[Any], whole: bool, seed: int) -> None:
    tracks, objects = ([(x, y, x + w, y + h) for x, y, w, h in rows] for rows in (a, b))
    rng = np.random.default_rng(seed)
    measured = rng.random(len(objects)) < 0.8
    found = paired(tracks, objects, whole=whole, measured=measured)
    for i, j in enumerate(found.object_of):
        assert j < 0 or (found.track_of[j] == i and measured[j] and found.any_object[i] >= MIN_OVERLAP)
    for j, i in enumerate(found.track_of):
        assert i < 0 or found.object_of[i] == j
    assert (found.own_object <= found.any_object).all() and (found.own_box <= found.any_box).all()
