"""Puts streams together into one `Frame` per camera tick. Pure: the clock is handed in.

Vehicle and replay use the same assembler and differ only in who feeds it, so that a replayed drive
gives the live verdicts. Which messages share a frame is decided by header stamps; the clock only decides
how long to wait and when a camera counts as silent.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from pydantic import Field, model_validator

from edgeguard.config import Settings
from edgeguard.rig import CameraModel, Rig, TransformTree
from edgeguard.types import (
    F64,
    Channel,
    Detections,
    Detections3D,
    EgoMotion,
    Frame,
    Image,
    PointCloud,
    RadarTargets,
)

PAIRED = (Channel.LIDAR, Channel.LIDAR_DETECTIONS, Channel.RADAR, Channel.EGO)
"""Streams of which a frame takes the message nearest in header stamp."""

_MS = 1_000_000


class AssemblerSettings(Settings):
    """How streams are put together into frames."""

    max_gap_ms: float = Field(
        60.0, gt=0, le=1000,
        description="ms; the furthest that a sweep, radar cycle or ego motion may lie from the image in "
        "header stamp. Larger pairs slower sensors, and lets moving objects shift between camera and LiDAR.",
    )  # fmt: skip
    wait_ms: float = Field(
        100.0, ge=0, le=5000,
        description="ms; how long an image waits for its detections and the other sensors before it is "
        "judged without them. Larger loses fewer partners, and adds to the latency whenever one is missing.",
    )  # fmt: skip
    camera_timeout_ms: float = Field(
        240.0, gt=0, le=60_000,
        description="ms; silence of the camera after which verdicts are given by timer. Above two "
        "frame periods, so that one lost image is no silence; below the fail-safe's verdict_timeout_ms, so "
        "that the monitor gets to name the cause.",
    )  # fmt: skip
    tick_period_ms: float = Field(
        100.0, ge=10, le=10_000, description="ms; period of the verdicts given while the camera is silent."
    )
    max_pending: int = Field(
        8, ge=1, le=256,
        description="images that may wait at once; one more releases the oldest early. Bounds memory.",
    )  # fmt: skip
    max_sweeps: int = Field(
        8, ge=2, le=256, description="LiDAR sweeps kept for pairing; the oldest is dropped. Bounds memory."
    )
    max_messages: int = Field(
        64, ge=2, le=4096,
        description="messages kept for pairing of each other stream. Bounds memory; must span wait_ms of the "
        "fastest stream.",
    )  # fmt: skip
    max_ticks: int = Field(
        600, ge=1, le=100_000,
        description="verdicts given by timer for one jump of the clock; the rest of a longer silence is "
        "passed over. Bounds work when a clock leaps.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _judged_before_silence(self) -> AssemblerSettings:
        if self.wait_ms >= self.camera_timeout_ms:
            raise ValueError("wait_ms must be below camera_timeout_ms: an image is judged before silence is")
        return self


class _Stamped(Protocol):
    @property
    def stamp_ns(self) -> int: ...


class _Stream:
    """The latest messages of a paired stream, in order of arrival, and its rhythm."""

    def __init__(self) -> None:
        self._messages: deque[tuple[int, int, _Stamped]] = deque()
        self._by_stamp: list[tuple[int, int, _Stamped]] = []
        self._size = 0
        self._intervals: deque[int] = deque(maxlen=9)
        self._period_ns = 0
        self._arrivals = 0

    def add(self, message: _Stamped) -> None:
        stamp_ns = message.stamp_ns
        if self._messages and (interval := stamp_ns - self._messages[-1][0]) > 0:
            self._intervals.append(interval)
            self._period_ns = sorted(self._intervals)[len(self._intervals) // 2]
        # No two arrive as the same, so that messages themselves are never compared.
        self._arrivals += 1
        entry = stamp_ns, self._arrivals, message
        self._messages.append(entry)
        insort(self._by_stamp, entry)
        self._cut()

    def resize(self, size: int) -> None:
        """Keep that many messages from now on."""
        self._size = size
        self._cut()

    def _cut(self) -> None:
        while len(self._messages) > self._size:
            del self._by_stamp[bisect_left(self._by_stamp, self._messages.popleft())]

    def nearest(self, stamp_ns: int, gap_ns: int) -> _Stamped | None:
        """The message nearest in stamp within the gap; of equals the earlier stamp, then the later come."""
        by_stamp = self._by_stamp
        at = bisect_left(by_stamp, (stamp_ns,))
        best = by_stamp[at - 1] if at else None
        if at < len(by_stamp) and (best is None or by_stamp[at][0] - stamp_ns < stamp_ns - best[0]):
            best = by_stamp[bisect_left(by_stamp, (by_stamp[at][0] + 1,)) - 1]
        return best[2] if best is not None and abs(best[0] - stamp_ns) <= gap_ns else None

    def settled(self, stamp_ns: int) -> bool:
        """Whether no message to come can be nearer: one is at or past the stamp, or the next will be further.

        Waiting for a message past the stamp alone would cost up to a period of the stream on every frame.
        """
        if not self._by_stamp:
            return False
        newest = self._by_stamp[-1][0]
        return newest >= stamp_ns or 2 * (stamp_ns - newest) < self._period_ns


class _Pending(NamedTuple):
    """An image, or detections where there is no camera stream, that waits for its partners."""

    value: Image | Detections
    arrived_ns: int


class FrameAssembler:
    """Collects messages and releases a `Frame` for each image, in order of arrival, none twice, none lost.

    A frame is released when every stream that is expected has delivered: detections with the image's own
    stamp, and of each other stream a message that none to come can be nearer than; or when `wait_ms` is
    over. A stream is expected once it was announced or has delivered. Where no camera is expected, each
    `Detections` makes a frame. Stamps may repeat, jump and run back: every image still makes its frame.

    While the camera is silent for longer than its timeout, frames without content (`silent`) are given at
    the tick period, counted from the last image.

    Call `poll` after `add`: what has been released is held until then.

    Args:
        settings: gaps, waits and bounds.
        expected: streams to wait for from the start: offline those of the bag, live those configured.
    """

    def __init__(
        self, settings: AssemblerSettings | None = None, *, expected: frozenset[Channel] = frozenset()
    ) -> None:
        self._expected = set(expected)
        self._streams = {c: _Stream() for c in PAIRED}
        self.apply(settings or AssemblerSettings())
        self._pending: deque[_Pending] = deque()
        self._detections: dict[int, Detections] = {}
        self._released: list[Frame] = []
        self._now_ns: int | None = None
        self._next_tick_ns = 0
        self._first_image_ns: int | None = None
        self._last_stamp_ns: dict[Channel, int] = {}
        self._last_seen_ns: dict[Channel, int] = {}
        self._calibration = _Calibration()

    @property
    def settings(self) -> AssemblerSettings:
        return self._settings

    def apply(self, settings: AssemblerSettings) -> None:
        """Go on with other settings; what was received stays, as far as the new bounds hold it."""
        self._settings = settings
        self._gap_ns = int(settings.max_gap_ms * _MS)
        self._wait_ns = int(settings.wait_ms * _MS)
        self._timeout_ns = int(settings.camera_timeout_ms * _MS)
        self._period_ns = int(settings.tick_period_ms * _MS)
        for channel, stream in self._streams.items():
            stream.resize(settings.max_sweeps if channel is Channel.LIDAR else settings.max_messages)

    def add(self, channel: Channel | str | None, value: Any, now_ns: int) -> None:
        """Take one message in.

        Args:
            channel: the stream; calibration is told by its type and needs none.
            value: `Image`, `Detections`, `PointCloud`, `Detections3D`, `RadarTargets`, `EgoMotion`,
                `CameraModel`, or a sequence of (parent, child, 4x4) transforms.
            now_ns: the clock, as in `poll`.
        """
        self._advance(now_ns)
        if isinstance(value, CameraModel):
            self._calibration.set_camera(value)
        elif isinstance(value, Sequence):
            self._calibration.add_transforms(value)
        else:
            self._take(Channel(channel), value, now_ns)
        self._release_ready(now_ns)

    def poll(self, now_ns: int) -> list[Frame]:
        """Return the frames that are ready, and the ticks that fell due, up to `now_ns`."""
        self._advance(now_ns)
        released, self._released = self._released, []
        return released

    def foreseen(self) -> Frame | None:
        """Return what is sure to be in the frame that waits first, as things stand; None where none waits.

        Its image, and of each stream the message that none to come can be nearer than.
        """
        if not self._pending:
            return None
        value = self._pending[0].value
        image = value if isinstance(value, Image) else None
        stamp_ns = value.stamp_ns
        near = {c: s.nearest(stamp_ns, self._gap_ns) for c, s in self._streams.items() if s.settled(stamp_ns)}
        return Frame(
            stamp_ns=stamp_ns,
            now_ns=self._now_ns if self._now_ns is not None else stamp_ns,
            image=image,
            points=cast("PointCloud | None", near.get(Channel.LIDAR)),
            lidar_detections=cast("Detections3D | None", near.get(Channel.LIDAR_DETECTIONS)),
            rig=self._rig_of(image),
        )

    def flush(self, now_ns: int) -> list[Frame]:
        """Return what `poll` returns and every image that still waits: nothing more will come."""
        self._advance(now_ns)
        while self._pending:
            self._release(now_ns)
        return self.poll(now_ns)

    def _take(self, channel: Channel, value: _Stamped, now_ns: int) -> None:
        self._expected.add(channel)
        self._last_stamp_ns[channel] = value.stamp_ns
        self._last_seen_ns[channel] = now_ns
        if channel is Channel.DETECTIONS:
            detections = cast(Detections, value)
            self._detections.pop(value.stamp_ns, None)  # so that a repeated stamp counts as the latest
            self._detections[value.stamp_ns] = detections
            while len(self._detections) > self._settings.max_messages:
                del self._detections[next(iter(self._detections))]
        elif channel is not Channel.CAMERA:
            self._streams[channel].add(value)
        if channel is self._source:
            if self._first_image_ns is None:
                self._first_image_ns = now_ns
            self._next_tick_ns = now_ns + self._timeout_ns
            self._pending.append(_Pending(cast("Image | Detections", value), now_ns))
            while len(self._pending) > self._settings.max_pending:
                self._release(now_ns)

    @property
    def _source(self) -> Channel:
        """The stream that makes frames."""
        detections_only = Channel.CAMERA not in self._expected and Channel.DETECTIONS in self._expected
        return Channel.DETECTIONS if detections_only else Channel.CAMERA

    def _advance(self, now_ns: int) -> None:
        """Let the clock run to `now_ns`: give what fell due on the way at the time it fell due."""
        if self._now_ns is None or now_ns < self._now_ns:
            # Deadlines and silence are measured on this clock; after it ran back they begin anew.
            self._next_tick_ns = now_ns + self._timeout_ns
            while self._pending:
                self._release(now_ns)
        self._now_ns = now_ns
        while self._pending and now_ns >= (due := self._pending[0].arrived_ns + self._wait_ns):
            self._release(due)
        if Channel.CAMERA in self._expected or Channel.DETECTIONS in self._expected:
            self._tick(now_ns)

    def _tick(self, now_ns: int) -> None:
        for _ in range(self._settings.max_ticks):
            if self._next_tick_ns > now_ns:
                return
            self._released.append(self._frame(self._next_tick_ns, self._next_tick_ns, silent=True))
            self._next_tick_ns += self._period_ns
        if self._next_tick_ns <= now_ns:
            self._next_tick_ns = now_ns + self._period_ns

    def _release_ready(self, now_ns: int) -> None:
        while self._pending and self._is_complete(self._pending[0], now_ns):
            self._release(now_ns)

    def _is_complete(self, pending: _Pending, now_ns: int) -> bool:
        stamp = pending.value.stamp_ns
        if Channel.DETECTIONS in self._expected and stamp not in self._detections:
            return False
        if not all(self._streams[c].settled(stamp) for c in PAIRED if c in self._expected):
            return False
        # Calibration has no stamp to wait for: only the first images are held for it.
        first = self._first_image_ns
        return self._is_calibrated(stamp) or first is None or now_ns >= first + self._wait_ns

    def _is_calibrated(self, stamp_ns: int) -> bool:
        rig = self._calibration.rig
        if rig is None:
            return False
        sweep = self._streams[Channel.LIDAR].nearest(stamp_ns, self._gap_ns)
        return sweep is None or cast(PointCloud, sweep).frame_id.lstrip("/") in rig.to_camera

    def _release(self, now_ns: int) -> None:
        value = self._pending.popleft().value
        image = value if isinstance(value, Image) else None
        detections = self._detections.get(value.stamp_ns) if image is not None else cast(Detections, value)
        self._released.append(self._frame(value.stamp_ns, now_ns, image=image, detections=detections))

    def _frame(
        self,
        stamp_ns: int,
        now_ns: int,
        *,
        image: Image | None = None,
        detections: Detections | None = None,
        silent: bool = False,
    ) -> Frame:
        near = {} if silent else {c: s.nearest(stamp_ns, self._gap_ns) for c, s in self._streams.items()}
        return Frame(
            stamp_ns=stamp_ns,
            now_ns=now_ns,
            image=image,
            detections=detections,
            points=cast("PointCloud | None", near.get(Channel.LIDAR)),
            lidar_detections=cast("Detections3D | None", near.get(Channel.LIDAR_DETECTIONS)),
            radar=cast("RadarTargets | None", near.get(Channel.RADAR)),
            ego=cast("EgoMotion | None", near.get(Channel.EGO)),
            rig=self._rig_of(image),
            last_stamp_ns=dict(self._last_stamp_ns),
            last_seen_ns=dict(self._last_seen_ns),
            silent=silent,
        )

    def _rig_of(self, image: Image | None) -> Rig | None:
        """The rig, unless it is of images of another size: what it says of places would be wrong."""
        rig = self._calibration.rig
        if rig is None or image is None:
            return rig
        return rig if image.size == (rig.camera.width, rig.camera.height) else None


class _Calibration:
    """Camera model and static transforms, as they come in; one `Rig` object until something changes."""

    def __init__(self) -> None:
        self.rig: Rig | None = None
        self._camera: CameraModel | None = None
        self._tree = TransformTree()
        self._known: dict[str, tuple[str, F64]] = {}

    def set_camera(self, camera: CameraModel) -> None:
        if self._camera is not camera and (self._camera is None or not _same(self._camera, camera)):
            self._camera = camera
            self._rebuild()

    def add_transforms(self, transforms: Sequence[tuple[str, str, F64]]) -> None:
        changed = list(self._changed(transforms))
        for parent, child, matrix in changed:
            self._tree.add(parent, child, matrix)
        if changed:
            self._rebuild()

    def _changed(self, transforms: Sequence[tuple[str, str, F64]]) -> Iterator[tuple[str, str, F64]]:
        for parent, child, matrix in transforms:
            known = self._known.get(child)
            if known is None or known[0] != parent or not np.array_equal(known[1], matrix):
                self._known[child] = (parent, matrix)
                yield parent, child, matrix

    def _rebuild(self) -> None:
        if self._camera is not None:
            self.rig = Rig.from_tree(self._camera, self._tree)


def _same(a: CameraModel, b: CameraModel) -> bool:
    return (
        (a.frame_id, a.width, a.height, a.distortion_model)
        == (b.frame_id, b.width, b.height, b.distortion_model)
        and np.array_equal(a.k, b.k)
        and np.array_equal(a.distortion, b.distortion)
    )
