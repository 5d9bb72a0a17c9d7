"""Frames from streams: nothing lost, nothing twice, the nearest partner, silence named, memory bounded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.assembler import AssemblerSettings, FrameAssembler, _Stream
from edgeguard.config import validate
from edgeguard.errors import ParameterError
from edgeguard.rig import CameraModel
from edgeguard.types import Channel, Detections, EgoMotion, Frame, Image, PointCloud

MS = 1_000_000
SETTINGS = AssemblerSettings()
GAP, WAIT = int(SETTINGS.max_gap_ms * MS), int(SETTINGS.wait_ms * MS)
TIMEOUT, PERIOD = int(SETTINGS.camera_timeout_ms * MS), int(SETTINGS.tick_period_ms * MS)
timeless = settings(deadline=None)  # a busy machine is no failure
PIXEL = np.zeros((1, 1, 3), np.uint8)


def image(stamp: int) -> Image:
    return Image(stamp, "camera", PIXEL)


def sweep(stamp: int, frame_id: str = "lidar") -> PointCloud:
    return PointCloud(stamp, frame_id, np.zeros((1, 3), np.float32))


def ego(stamp: int) -> EgoMotion:
    return EgoMotion(stamp, np.zeros(3), np.zeros(3))


def camera_model(focal: float = 100.0) -> CameraModel:
    return CameraModel("camera", 1, 1, np.diag([focal, focal, 1.0]))


MAKE = {
    Channel.CAMERA: image,
    Channel.DETECTIONS: Detections.empty,
    Channel.LIDAR: sweep,
    Channel.EGO: ego,
}


def feed(
    messages: list[tuple[Channel, int, int]], expected: frozenset[Channel] = frozenset()
) -> tuple[list[Frame], list[object]]:
    """Run (channel, stamp, clock) through an assembler; return its frames and the values that went in."""
    assembler = FrameAssembler(SETTINGS, expected=expected)
    frames: list[Frame] = []
    values: list[object] = []
    now = 0
    for channel, stamp, now in messages:
        value = MAKE[channel](stamp)
        values.append(value)
        assembler.add(channel, value, now)
        frames += assembler.poll(now)
    return frames + assembler.flush(now), values


# Steps of clock and stamp that are regular, repeated, jumping and running back.
STEPS = st.sampled_from([0, 1, 7 * MS, 33 * MS, 100 * MS, 150 * MS, 900 * MS])


@st.composite
def drives(draw: st.DrawFn) -> list[tuple[Channel, int, int]]:
    messages, clock = [], 10**12
    for _ in range(draw(st.integers(0, 40))):
        clock += draw(STEPS)
        if draw(st.integers(0, 30)) == 0:
            clock -= 10**10
        skew = draw(st.sampled_from([0, 0, 0, -20 * MS, 20 * MS, -200 * MS, 10**9]))
        channel = draw(st.sampled_from(list(MAKE)))
        messages.append((channel, clock // (50 * MS) * (50 * MS) + skew, clock))
    return messages


@timeless
@given(drives(), st.sets(st.sampled_from(list(MAKE))).map(lambda s: frozenset(s | {Channel.CAMERA})))
def test_no_image_is_lost_or_given_twice_and_order_is_kept(messages, expected) -> None:
    frames, values = feed(messages, expected)
    images = [v for v in values if isinstance(v, Image)]
    assert [id(f.image) for f in frames if not f.silent] == [id(v) for v in images]
    assert all(f.image is None and f.detections is None for f in frames if f.silent)


@timeless
@given(drives())
def test_a_frame_holds_its_own_detections_and_partners_within_the_gap(messages) -> None:
    for frame in feed(messages, frozenset({Channel.CAMERA}))[0]:
        assert frame.detections is None or frame.detections.stamp_ns == frame.stamp_ns
        for partner in (frame.points, frame.ego):
            assert partner is None or abs(partner.stamp_ns - frame.stamp_ns) <= GAP


@timeless
@given(drives())
def test_same_messages_same_frames(messages) -> None:
    def told(frames: list[Frame]) -> list[tuple[object, ...]]:
        return [
            (f.stamp_ns, f.now_ns, f.silent, f.points and f.points.stamp_ns, dict(f.last_seen_ns))
            for f in frames
        ]

    assert told(feed(messages)[0]) == told(feed(messages)[0])


@timeless
@given(
    st.lists(st.integers(-150, 150), min_size=1, max_size=8, unique=True),
    st.permutations(list(range(9))),
)
def test_the_nearest_sweep_within_the_gap_is_taken_in_whatever_order(offsets_ms, order) -> None:
    stamp = 10**12
    messages = [(Channel.LIDAR, stamp + o * MS, stamp) for o in offsets_ms] + [(Channel.CAMERA, stamp, stamp)]
    # All come at one instant; ego motion never does, so that the frame waits to the end for the nearest.
    messages = [messages[i] for i in order if i < len(messages)]
    assembler = FrameAssembler(SETTINGS, expected=frozenset({Channel.CAMERA, Channel.LIDAR, Channel.EGO}))
    for channel, s, now in messages:
        assembler.add(channel, MAKE[channel](s), now)
    (frame,) = [f for f in assembler.poll(stamp + WAIT) if not f.silent]
    within = [abs(o) for o in offsets_ms if abs(o) * MS <= GAP]
    if within:
        assert frame.points is not None
        assert abs(frame.points.stamp_ns - stamp) == min(within) * MS
    else:
        assert frame.points is None


@given(st.lists(st.integers(0, 12), max_size=20), st.integers(1, 6), st.integers(-2, 14), st.integers(0, 5))
def test_the_nearest_is_the_earlier_of_two_as_near_and_the_later_come_of_equals(
    stamps: list[int], size: int, stamp: int, gap: int
) -> None:
    stream = _Stream()
    stream.resize(size)
    arrived = [ego(s) for s in stamps]
    for message in arrived:
        stream.add(message)
    kept = list(enumerate(arrived))[-size:]
    within = [(abs(m.stamp_ns - stamp), m.stamp_ns, -i) for i, m in kept if abs(m.stamp_ns - stamp) <= gap]
    expected = arrived[-min(within)[2]] if within else None
    assert stream.nearest(stamp, gap) is expected
    if kept and max(m.stamp_ns for _, m in kept) >= stamp:
        assert stream.settled(stamp)


def test_a_complete_frame_is_given_at_once() -> None:
    frames = []
    assembler = FrameAssembler(expected=frozenset({Channel.CAMERA, Channel.LIDAR, Channel.DETECTIONS}))
    assembler.add(None, camera_model(), 0)
    assembler.add(None, [("camera", "lidar", np.eye(4))], 0)
    for i in range(10):
        t = i * 100 * MS
        for channel, delay in ((Channel.CAMERA, 0), (Channel.LIDAR, 5), (Channel.DETECTIONS, 30)):
            assembler.add(channel, MAKE[channel](t), t + delay * MS)
        new = assembler.poll(t + 30 * MS)
        frames += new
        assert [(f.stamp_ns, f.now_ns) for f in new] == [(t, t + 30 * MS)]
        assert new[0].points is not None and new[0].points.stamp_ns == t
        assert new[0].detections is not None
    assert len({id(f.rig) for f in frames}) == 1


def test_a_sweep_just_before_the_image_is_not_waited_past() -> None:
    """At 10 Hz a sweep 20 ms before the image is the nearest: waiting for the next would cost 80 ms."""
    assembler = FrameAssembler(expected=frozenset({Channel.CAMERA, Channel.LIDAR}))
    assembler.add(None, camera_model(), 0)
    assembler.add(None, [("camera", "lidar", np.eye(4))], 0)
    for i in range(5):
        assembler.add(Channel.LIDAR, sweep(i * 100 * MS), i * 100 * MS)
    t = 420 * MS
    assembler.add(Channel.CAMERA, image(t), t)
    assert [f.points.stamp_ns for f in assembler.poll(t) if f.points] == [400 * MS]


def test_missing_partner_delays_by_the_wait_and_no_longer() -> None:
    assembler = FrameAssembler(expected=frozenset({Channel.CAMERA, Channel.DETECTIONS}))
    assembler.add(Channel.CAMERA, image(0), 0)
    assert assembler.poll(WAIT - 1) == []
    (frame,) = assembler.poll(WAIT + 50 * MS)
    assert frame.detections is None
    assert frame.now_ns == WAIT  # judged when it fell due, however late the clock was looked at


def test_without_images_detections_are_the_frames() -> None:
    messages = [(Channel.DETECTIONS, i * 100 * MS, i * 100 * MS) for i in range(5)]
    frames, values = feed(messages, frozenset({Channel.DETECTIONS}))
    assert [f.detections for f in frames] == values
    assert all(f.image is None and not f.silent for f in frames)
    assert [f.stamp_ns for f in frames] == [m[1] for m in messages]


def test_an_older_stamp_is_still_delivered() -> None:
    stamps = [300 * MS, 400 * MS, 100 * MS, 100 * MS, 500 * MS]
    frames, _ = feed([(Channel.CAMERA, s, i * 100 * MS) for i, s in enumerate(stamps)])
    assert [f.stamp_ns for f in frames] == stamps


@pytest.mark.parametrize("step_ms", [1, 10, 250, 5000])
def test_silence_gives_ticks_at_the_period_however_often_the_clock_is_looked_at(step_ms: int) -> None:
    assembler = FrameAssembler(expected=frozenset({Channel.CAMERA}))
    assembler.add(Channel.CAMERA, image(0), 0)
    frames = [f for now in range(0, 5001, step_ms) for f in assembler.poll(now * MS)]
    ticks = [f for f in frames if f.silent]
    assert [f.stamp_ns for f in ticks] == list(range(TIMEOUT, 5000 * MS + 1, PERIOD))
    assert all(f.now_ns == f.stamp_ns and f.last_seen_ns[Channel.CAMERA] == 0 for f in ticks)


def test_a_camera_that_never_comes_is_silent_too() -> None:
    assembler = FrameAssembler(expected=frozenset({Channel.CAMERA}))
    assert assembler.poll(10**12) == []
    ticks = assembler.poll(10**12 + TIMEOUT)
    assert [f.silent for f in ticks] == [True]
    assert Channel.CAMERA not in ticks[0].last_seen_ns


def test_ticks_between_two_images_come_before_the_second() -> None:
    frames, _ = feed(
        [(Channel.CAMERA, 0, 0), (Channel.CAMERA, 450 * MS, 450 * MS)], frozenset({Channel.CAMERA})
    )
    assert [(f.silent, f.stamp_ns // MS) for f in frames] == [
        (False, 0),
        (True, 240),
        (True, 340),
        (True, 440),
        (False, 450),
    ]
    assert frames[0].last_seen_ns[Channel.CAMERA] == 0


def test_a_leap_of_the_clock_gives_bounded_work() -> None:
    assembler = FrameAssembler(expected=frozenset({Channel.CAMERA}))
    assembler.add(Channel.CAMERA, image(0), 0)
    assert len(assembler.poll(10**18)) <= AssemblerSettings().max_ticks + 1
    assert len(assembler.poll(10**18 + PERIOD)) == 1


@timeless
@given(st.lists(st.sampled_from(list(MAKE)), max_size=300), st.sampled_from([0, 1, -1, MS]))
def test_memory_is_bounded(channels, step) -> None:
    bounds = AssemblerSettings(max_pending=3, max_sweeps=2, max_messages=5)
    assembler = FrameAssembler(bounds, expected=frozenset(Channel))
    for i, channel in enumerate(channels):
        assembler.add(channel, MAKE[channel](10**9 + i * step), 10**9 + i)
        assembler.poll(10**9 + i)
        assert len(assembler._pending) <= 3
        assert len(assembler._detections) <= 5
        assert len(assembler._streams[Channel.LIDAR]._messages) <= 2
        assert len(assembler._streams[Channel.EGO]._messages) <= 5


def test_other_settings_keep_what_was_received() -> None:
    assembler = FrameAssembler(expected=frozenset({Channel.CAMERA, Channel.LIDAR}))
    assembler.add(Channel.LIDAR, MAKE[Channel.LIDAR](10**9), 10**9)
    assembler.apply(AssemblerSettings(max_gap_ms=10, max_sweeps=2))
    assembler.add(Channel.CAMERA, image(10**9 + 5 * MS), 10**9)
    (near,) = assembler.flush(10**9 + MS)
    assert near.points is not None and assembler.settings.max_sweeps == 2
    assembler.add(Channel.CAMERA, image(10**9 + 15 * MS), 10**9 + 2 * MS)
    (far,) = assembler.flush(10**9 + 3 * MS)
    assert far.points is None


@timeless
@given(drives())
def test_frames_come_in_the_order_of_the_clock_unless_it_runs_back(messages) -> None:
    clocks = [m[2] for m in messages]
    if clocks == sorted(clocks):
        given_at = [f.now_ns for f in feed(messages, frozenset({Channel.CAMERA}))[0]]
        assert given_at == sorted(given_at)


def test_a_wait_longer_than_the_timeout_is_refused() -> None:
    with pytest.raises(ParameterError, match="wait_ms must be below camera_timeout_ms"):
        validate(AssemblerSettings, {"wait_ms": 500.0}, "params.yaml")


def test_rig_changes_only_with_the_calibration() -> None:
    assembler = FrameAssembler()
    rigs = []
    for i, (focal, x) in enumerate([(100, 0), (100, 0), (120, 0), (120, 0), (120, 1)]):
        pose = np.eye(4)
        pose[0, 3] = x
        assembler.add(None, camera_model(focal), i)
        assembler.add(None, [("camera", "lidar", pose)], i)
        assembler.add(Channel.CAMERA, image(i), i)
        rigs.append(assembler.poll(i)[0].rig)
    assert rigs[0] is rigs[1] and rigs[2] is rigs[3]
    assert rigs[1] is not rigs[2] and rigs[3] is not rigs[4]
    assert rigs[4].camera.focal == 120 and rigs[4].to_camera["lidar"][0, 3] == 1


def test_a_calibration_of_images_of_another_size_says_nothing_of_places() -> None:
    assembler = FrameAssembler()
    assembler.add(None, camera_model(100), 0)
    large = Image(1, "camera", np.zeros((2, 2, 3), np.uint8))
    rigs = []
    for i, picture in enumerate([image(0), large, image(2)]):
        assembler.add(Channel.CAMERA, picture, i)
        rigs.append(assembler.poll(i)[0].rig)
    assert rigs[0] is not None and rigs[1] is None and rigs[2] is rigs[0]


def test_first_image_waits_for_the_calibration() -> None:
    """Otherwise the first verdicts would depend on which of two messages of one instant came first."""
    assembler = FrameAssembler()
    assembler.add(Channel.CAMERA, image(0), 0)
    assert assembler.poll(MS) == []
    assembler.add(None, camera_model(), 2 * MS)
    assert [f.rig is not None for f in assembler.poll(2 * MS)] == [True]


def test_stamps_and_arrivals_are_told_per_stream() -> None:
    frames, _ = feed([(Channel.LIDAR, 5, 10), (Channel.EGO, 7, 20), (Channel.CAMERA, 8, 30)])
    assert dict(frames[-1].last_stamp_ns) == {Channel.LIDAR: 5, Channel.EGO: 7, Channel.CAMERA: 8}
    assert dict(frames[-1].last_seen_ns) == {Channel.LIDAR: 10, Channel.EGO: 20, Channel.CAMERA: 30}


def test_while_detections_are_under_way_the_image_and_a_sweep_are_foreseen() -> None:
    assembler = FrameAssembler(SETTINGS, expected=frozenset({Channel.CAMERA, Channel.LIDAR}))
    assembler.add(Channel.DETECTIONS, Detections.empty(1), 1)
    assembler.add(None, camera_model(), 1)
    assembler.add(None, [("camera", "lidar", np.eye(4))], 1)
    assert assembler.foreseen() is None
    seen, early, near = image(200 * MS), sweep(150 * MS), sweep(210 * MS)
    assembler.add(Channel.LIDAR, early, 210 * MS)
    assert assembler.foreseen() is None, "whether a sweep is used is not known before its image"
    assembler.add(Channel.CAMERA, seen, 220 * MS)
    told = assembler.foreseen()
    assert (told.image, told.points) == (seen, None), "a nearer sweep may come"
    assembler.add(Channel.LIDAR, near, 230 * MS)
    told = assembler.foreseen()
    assert (told.image, told.points, told.detections) == (seen, near, None)
    assembler.add(Channel.DETECTIONS, Detections.empty(200 * MS), 240 * MS)
    (frame,) = assembler.poll(240 * MS)
    assert (frame.image, frame.points, frame.rig) == (told.image, told.points, told.rig)
    assert assembler.foreseen() is None
