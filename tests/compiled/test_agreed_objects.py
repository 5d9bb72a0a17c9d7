"""The compiled loops of `object_agreement` say what NumPy's formulas say; what a pair was like excuses it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard import objects
from edgeguard.checks.object_agreement import ObjectAgreementSettings
from edgeguard.compiled import loops
from edgeguard.types import Detections
from tests.compiled import crowds

SETTINGS = ObjectAgreementSettings()


def seen(rng: np.random.Generator) -> SimpleNamespace:
    """What `edgeguard.tracking.lidar.LidarObjects` holds, made up."""
    m = int(rng.integers(0, 9))
    xyxy = crowds.boxes(rng, m)
    xyxy[rng.random(m) < 0.1] = np.nan
    return SimpleNamespace(
        id=np.arange(m), slot=rng.permutation(crowds.CAPACITY)[:m].astype(np.intp), xyxy=xyxy,
        center=rng.uniform([-5, 0, 3], [5, 2, 40], (m, 3)), size=rng.uniform(0.3, 4, (m, 3)),
        velocity=rng.normal(0, 3, (m, 2)), matched=rng.random(m) < 0.8,
        probability=rng.choice([0.5, 0.7, 0.95], m), label=rng.integers(-1, len(objects.CLASSES), m),
        bottom=rng.choice([np.nan, 0.1, 0.9], m), is_new=rng.random(m) < 0.4,
    )  # fmt: skip


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_how_objects_lie_in_the_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    o, occluders, at = seen(rng), crowds.boxes(rng, 2), rng.choice([np.nan, 5.0, 20.0], 2)
    m, classified = len(o.id), bool(rng.random() < 0.5)
    held_s, boxed = rng.choice([0.0, 0.5], m), rng.choice([0.0, 0.6], m)
    b = np.clip(np.nan_to_num(o.xyxy), 0, [crowds.WIDTH, crowds.HEIGHT] * 2)
    scene = crowds.scene(
        rng, objects=o, object_boxes=b, occluders=occluders, occluder_range=at, camera_held_s=held_s,
        pairing=SimpleNamespace(boxed=boxed), objects_are_classified=classified,
    )  # fmt: skip
    hidden, visible, new = loops.objects_in_view(scene, SETTINGS)
    body, z = o.matched & (o.probability >= 0.6), o.center[:, 2]
    body &= (held_s > 0) | (boxed > 0) | (not classified)
    nearer = body[None, :] & (z[None, :] < z[:, None] - 1.0)
    by_object = np.where(nearer, loops.shares(b, b)[1], 0.0).max(axis=1, initial=0.0)
    by_track = [[loops.covered(b[i : i + 1], occluders[[k]])[0] * (not at[k] > z[i] - 0.5) for k in range(2)]
                for i in range(m)]  # fmt: skip
    np.testing.assert_allclose(hidden, np.maximum(by_object, np.reshape(by_track, (m, 2)).max(axis=1)))
    np.testing.assert_allclose(visible, loops.area(b) / np.maximum(loops.area(np.nan_to_num(o.xyxy)), 1e-9))
    inside = (b[:, 0] >= SETTINGS.edge_px) & (b[:, 2] <= crowds.WIDTH - SETTINGS.edge_px)
    told = (o.probability >= SETTINGS.min_probability) & (hidden < 0.15) & (z < 30) & ~(o.bottom > 0.6)
    np.testing.assert_array_equal(new, o.is_new & told & inside)


def held_then_missed(overlap: np.ndarray, hidden: np.ndarray, confidence: float = 0.9) -> np.ndarray:
    """Surprisal of a car 15 m ahead over frames on which its LiDAR object overlaps it so far."""
    habits, partners = np.zeros((loops.HABITS, crowds.CAPACITY)), np.full(crowds.CAPACITY, -1, np.int64)
    seats, held_s, out = np.zeros((loops.SEATS, crowds.CAPACITY)), 0.0, []
    box = np.array([[200.0, 100, 280, 160]])
    for i, own in enumerate(overlap):
        yes, no = np.array([True]), np.array([False])
        track = SimpleNamespace(
            slot=np.array([4]), label=np.array([0]), is_new=np.array([i == 0]), matched=yes, xyxy=box,
            score=np.array([confidence]), confidence=np.array([confidence]),
        )  # fmt: skip
        there = np.array([own > 0])
        other = SimpleNamespace(id=np.array([7]), matched=there, center=np.array([[0.0, 1, 15]]))
        scene = SimpleNamespace(
            tracks=track, objects=other, object_boxes=box, asserted=yes, truncated=no,
            hidden=hidden[i : i + 1], occluders=np.zeros((0, 4)), edge_px=np.array([150.0]),
            size_range=np.array([15.0]), range=np.array([15.0]), lidar_held_s=np.array([held_s]), dt_s=0.1,
        )  # fmt: skip
        pairing = SimpleNamespace(
            object_of=there - 1, track_of=there - 1, object_overlap=np.array([own]),
            own_object=np.array([own]), boxed=np.array([own]),
        )  # fmt: skip
        found, missed = loops.tracks_lidar_misses(scene, pairing, habits, partners, seats, None, SETTINGS)
        assert missed[0] == (own < 0.2)
        held_s = min(held_s + 0.1, 2.0) if own else max(held_s - 0.05, 0.0)
        out.append(found[0, 0])
    return np.array(out)


def test_what_was_held_steadily_and_is_lost_at_once_is_strange() -> None:
    in_view = np.zeros(23)
    steady = held_then_missed(np.array([0.8] * 20 + [0.0] * 3), in_view)
    assert np.all(steady[1:20] == 0) and steady[20:] == pytest.approx(8.5)
    lapsing = held_then_missed(np.array([0.8, 0.8, 0.8, 0.0] * 5 + [0.0] * 3), in_view)
    assert np.nanmax(lapsing[20:]) < 0.1
    doubted = held_then_missed(np.array([0.8] * 20 + [0.0] * 3), in_view, confidence=0.3)
    assert doubted[20:] == pytest.approx(4.25)
    behind = held_then_missed(np.array([0.8] * 20 + [0.0] * 3), np.r_[np.zeros(20), 0.97, 0.97, 0.97])
    assert np.isnan(behind[20:]).all()


def body_lost(
    seen: str, *, astray_px: float = 0.0, renamed: bool = False, taller: bool = False, name: str = "person",
    returns: Sequence[tuple[float, float]] | None = None,
) -> np.ndarray:  # fmt: skip
    """Surprisal of a person 8 m ahead whose cluster is always there: `x` boxed, `.` lost, one letter a frame.

    Args:
        astray_px: how far the lost track's own guess of its place goes astray in a frame.
        renamed: the cluster gets a new identity with every frame.
        taller: it grows by half while the camera misses it, as one that has merged with another's.
        name: the body's class.
        returns: how many come from its box, and from what range, while it is boxed and then while it is lost;
            it has no cluster then.
    """
    bodies, habits = np.full((loops.BODIES, 1), np.nan), np.zeros((loops.HABITS, 1))
    place, yes, out, gone = np.array([[300.0, 100, 340, 260]]), np.array([True]), [], 0
    for i, letter in enumerate(seen):
        gone = 0 if letter == "x" else gone + 1
        track = SimpleNamespace(
            slot=np.array([0]), is_new=np.array([i == 0]), matched=np.array([gone == 0]),
            xyxy=place + gone * np.array([astray_px, 0, astray_px, 0]), score=np.array([0.9]),
            missed_s=np.array([0.1 * gone]), label=np.array([objects.INDEX[name]]),
        )  # fmt: skip
        cluster = SimpleNamespace(
            id=np.array([i if renamed else 7]), center=np.array([[0.0, 0.5, 8.0]]),
            matched=yes & (returns is None), size=np.array([[0.5, 2.4 if taller and gone else 1.6, 0.5]]),
        )  # fmt: skip
        boxed = Detections(
            0, place[: int(gone == 0)].astype(np.float32), np.full(int(gone == 0), 0.9, np.float32),
            np.zeros(int(gone == 0), np.int32), (name,),
        )  # fmt: skip
        on, face = (0.0, np.nan) if returns is None else returns[gone > 0]
        scene = SimpleNamespace(
            tracks=track, objects=cluster, object_boxes=place, dt_s=0.1, truncated=~yes,
            support=SimpleNamespace(on=np.array([float(on)]), foreground=np.array([face])),
            frame=SimpleNamespace(detections=boxed), image_size=(640.0, 480.0),
            rig=SimpleNamespace(camera=SimpleNamespace(focal=700.0)),
            settings=SimpleNamespace(asserted_confidence=0.3),
        )  # fmt: skip
        pairing = SimpleNamespace(
            object_of=np.array([-1 if gone or returns else 0]),
            object_overlap=np.array([0.0 if gone else 0.8]),
        )
        out.append(loops.bodies_camera_lost(scene, pairing, bodies, habits)[0])
    return np.array(out)


def test_a_body_lost_by_fits_and_starts_does_not_excuse_itself() -> None:
    lost = body_lost("x" * 20 + "..x..x..xx..")
    assert lost[[20, 21, 23, 24, 26, 27, 30, 31]] == pytest.approx(8.5)
    always = body_lost("x..x" * 8 + "..")
    assert always[-2:] == pytest.approx(0.0)
    # A second on, what goes on is how things are; half a second's agreement ends a bout as well.
    assert body_lost("x" * 20 + "..x..x..x..x..")[-1] == pytest.approx(0.0)
    assert body_lost("x" * 20 + "....xxxxxx.")[-1] < 4.0


def test_a_lost_body_is_where_its_cluster_is_not_where_the_track_guesses() -> None:
    stray = "x" * 10 + "..."
    assert body_lost(stray, astray_px=30.0)[10:] == pytest.approx(8.5)
    assert np.isnan(body_lost(stray, astray_px=30.0, renamed=True)[11:]).all()
    assert np.isnan(body_lost(stray, astray_px=30.0, taller=True)[11:]).all()
    assert body_lost(stray, renamed=True)[10:] == pytest.approx(8.5)


def cluster_missed(width_m: float) -> float:
    """Surprisal of a cluster 9 m ahead that the camera boxed for two seconds and boxes no more."""
    habits, box, yes, no = np.zeros((loops.HABITS, 1)), np.array([[300.0, 100, 340, 260]]), [True], [False]
    cluster = SimpleNamespace(
        slot=np.array([0]), is_new=np.array(no), matched=np.array(yes), label=np.array([-1]),
        probability=np.ones(1), center=np.array([[0.0, 0.5, 9.0]]), size=np.array([[width_m, 1.4, 0.3]]),
        velocity=np.zeros((1, 2)),
    )  # fmt: skip
    found = np.zeros((2, 1))
    for boxed in [0.8] * 20 + [0.0]:
        scene = SimpleNamespace(
            tracks=SimpleNamespace(xyxy=box, score=np.ones(1)), objects=cluster, object_boxes=box, dt_s=0.1,
            camera_held_s=np.full(1, 2.0), objects_are_classified=False, image_size=(640.0, 480.0),
            rig=SimpleNamespace(camera=SimpleNamespace(focal=700.0)),
            frame=SimpleNamespace(detections=SimpleNamespace(score=np.array([0.9], np.float32))),
        )  # fmt: skip
        at = np.array([boxed])
        pairing = SimpleNamespace(own_box=at, any_box=at, boxed=at, box_of=np.array([0 if boxed else -1]))
        found, _ = loops.objects_camera_misses(
            scene, pairing, np.zeros(1), np.ones(1), np.array(no), habits, SETTINGS
        )
    return float(found[0, 0])


def test_a_sliver_that_a_neighbours_cluster_leaves_of_a_body_is_no_body() -> None:
    assert cluster_missed(0.5) == pytest.approx(8.5)
    assert np.isnan(cluster_missed(0.05))


def test_returns_from_its_place_show_a_vehicle_that_no_cluster_does() -> None:
    run = "x" * 10 + "......"
    car = body_lost(run, name="car", returns=[(24, 26.0), (30, 25.5)])
    assert car[10:15] == pytest.approx(8.5) and np.isnan(car[15])
    for gone in ((6, 26.0), (30, 35.0), (0, np.nan)):
        assert np.isnan(body_lost(run, name="car", returns=[(24, 26.0), gone])[10:]).all()
    assert np.isnan(body_lost(run, name="car", returns=[(5, 26.0), (5, 26.0)])[10:]).all()
    assert np.isnan(body_lost(run, name="person", returns=[(24, 26.0), (30, 25.5)])[10:]).all()
