"""Puts an attack into a recording: a copy in which one sensor lies for a while."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeguard import messages
from edgeguard.bags import BagReader, BagWriter
from edgeguard.bags.reader import RawMessage
from edgeguard.bags.topics import CAMERA_INFO, TF_STATIC
from edgeguard.errors import MessageError
from edgeguard.redteam.base import Altered, Attack, AttackError, Pair, parts
from edgeguard.redteam.registry import KINDS, STRESS
from edgeguard.redteam.scout import Detector, Scout, View, Way
from edgeguard.rig import CameraModel, Rig, TransformTree
from edgeguard.types import Channel, EgoMotion, Image, PointCloud

TOPIC = "/edgeguard/attack"
SCHEMA = "edgeguard.attack/1"
DEFAULT_START = 0.4
"""Share of the drive before the attack, where no start is given: long enough for a monitor to settle."""
_LOOKS = 5
"""Moments of the window that an attack may look at beforehand."""
_PASSING_NS, _PASSING_STEP_NS = 3_000_000_000, 90_000_000
"""How far into the window a target is followed beforehand, and how close the pictures are that are kept."""
_LOOK_BACK_NS = 3_000_000_000
"""The last seconds before the window are seen too: what replays or delays takes from them."""
_SEEN = (Channel.CAMERA, Channel.LIDAR, Channel.RADAR, Channel.EGO)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attack did.

    Attributes:
        kind: its name.
        onset_ns, end_ns: header stamps of the first and last altered message.
        frames: messages in the window.
        fooled: how many of them had the effect; None where the attack does not ask.
        effects: header stamp of each altered message of the (first) sensor, and whether it had the effect;
            of an attack that does not ask, every one had.
        stale_detections: topic of recorded detections that were made before the attack, or None.
    """

    kind: str
    onset_ns: int
    end_ns: int
    frames: int
    fooled: int | None
    stale_detections: str | None
    effects: tuple[tuple[int, bool], ...] = ()


def attack_bag(
    bag: str | Path,
    out: str | Path,
    kind: str,
    *,
    engine: Callable[[], Detector],
    start_s: float | None = None,
    duration_s: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Write an attacked copy of a recording; the same arguments give the same bytes.

    Messages of one sensor change, or of two for a pair, within the window. All others are copied byte for
    byte, and so are recorded detections where pixels change: they stay those of the unattacked pixels, so
    replay the copy with an engine. What was done is on `/edgeguard/attack` (`std_msgs/String`, JSON): first
    the plan with onset and parameters, then a line for each altered message, last a summary.

    Args:
        bag: the recording.
        out: the folder to make.
        kind: one of `KINDS`, or of `STRESS`, which is benign.
        engine: opens the engine that aims the attack and is to be fooled; called only where one is needed.
        start_s: onset, seconds since the start of the drive; by default after 40 % of it.
        duration_s: length of the window, seconds; by default to the end of the drive.
        seed: of all that is random.
        progress: called with messages done and messages in all.

    Raises:
        AttackError: unknown kind, sensor absent, window outside the drive, no target.
        BagError: the recording cannot be read or the copy not be written.
    """
    makers = {**KINDS, **STRESS}
    if kind not in makers:
        known = f"{', '.join(sorted(KINDS))}; benign: {', '.join(sorted(STRESS))}"
        raise AttackError(kind, "unknown", f"Choose one of: {known}")
    attack = makers[kind]()
    with BagReader(bag) as reader, BagWriter(out) as writer:
        for part in parts(attack):
            if part.sensor not in reader.topics:
                raise AttackError(
                    kind, f"{bag} has no {part.sensor.value} topic", "Choose a recording that has one"
                )
        drive = _survey(reader, attack, start_s, duration_s)
        scout = _scout(reader, parts(attack)[0].sensor, drive, engine, seed)
        attack.prepare(scout)
        return _Injection(reader, writer, attack, scout, drive).run(progress)


@dataclass(slots=True)
class _Drive:
    """What a first pass over the recording found out."""

    first_ns: int
    last_ns: int
    window: tuple[int, int]
    targets: list[int]
    camera: CameraModel | None
    tree: TransformTree
    total: int
    onset_ns: int = 0
    end_ns: int = 0

    def rig(self) -> Rig | None:
        return None if self.camera is None else Rig.from_tree(self.camera, self.tree)


def _survey(
    reader: BagReader, attack: Attack | Pair, start_s: float | None, duration_s: float | None
) -> _Drive:
    """Find the window, in log time, and the calibration."""
    times: list[int] = []
    sensor = parts(attack)[0].sensor
    drive = _Drive(2**63, 0, (0, 0), [], None, TransformTree(), 0)
    for raw in reader.raw_messages():
        drive.first_ns, drive.last_ns = min(drive.first_ns, raw.log_ns), max(drive.last_ns, raw.log_ns)
        drive.total += 1
        if raw.channel == sensor:
            times.append(raw.log_ns)
        elif raw.channel == CAMERA_INFO and drive.camera is None:
            value = reader.value(raw)
            drive.camera = value if isinstance(value, CameraModel) else None
        elif raw.channel == TF_STATIC:
            for parent, child, pose in messages.transforms(reader.decode(raw)):
                drive.tree.add(parent, child, pose)
    length = (drive.last_ns - drive.first_ns) / 1e9
    start = DEFAULT_START * length if start_s is None else start_s
    until = length if duration_s is None else start + duration_s
    window = drive.first_ns + round(start * 1e9), drive.first_ns + round(until * 1e9)
    drive.targets = [t for t in times if window[0] <= t <= window[1]]
    if start < 0 or not drive.targets:
        raise AttackError(
            attack.kind,
            f"no {sensor.value} message from {start:g} s to {until:g} s",
            f"The drive lasts {length:.2f} s: give --start and --duration within it",
        )
    drive.window = window
    return drive


def _scout(
    reader: BagReader, sensor: Channel, drive: _Drive, engine: Callable[[], Detector], seed: int
) -> Scout:
    """Look at a few moments of the window, and learn the stamps at its ends."""
    opened: list[Detector] = []

    def once() -> Detector:
        if not opened:
            opened.append(engine())
        return opened[0]

    rig, way = drive.rig(), Way()
    looks = {drive.targets[i] for i in np.linspace(0, len(drive.targets) - 1, _LOOKS).round().astype(int)}
    views: list[View] = []
    passing: list[View] = []
    next_ns = drive.window[0]
    image: Image | None = None
    points: PointCloud | None = None
    for raw in reader.raw_messages():
        if raw.channel not in (*_SEEN, sensor) or raw.log_ns < drive.window[0] - _LOOK_BACK_NS:
            continue
        if raw.log_ns > drive.window[1]:
            break
        value: Any = reader.value(raw)
        if isinstance(value, Image):
            image = value
            if next_ns <= raw.log_ns < drive.window[0] + _PASSING_NS:
                next_ns = raw.log_ns + _PASSING_STEP_NS
                passing.append(View(rig, once, image, None, way.pose))
        elif isinstance(value, PointCloud):
            points = value
        elif isinstance(value, EgoMotion):
            way.add(value)
        if raw.channel == sensor and raw.log_ns >= drive.window[0]:
            drive.onset_ns = drive.onset_ns or value.stamp_ns
            drive.end_ns = value.stamp_ns
            if raw.log_ns in looks:
                views.append(View(rig, once, image, points, way.pose))
    return Scout(rig, once, tuple(views), seed, onset_ns=drive.onset_ns, passing=tuple(passing))


class _Injection:
    """The second pass: copies, alters and annotates."""

    def __init__(
        self, reader: BagReader, writer: BagWriter, attack: Attack | Pair, scout: Scout, drive: _Drive
    ) -> None:
        self._reader, self._writer = reader, writer
        self._kind, self._scout, self._drive = attack.kind, scout, drive
        self._parts: dict[Channel | str | None, Attack] = {p.sensor: p for p in parts(attack)}
        self._earlier: dict[Channel, deque[tuple[int, Any]]] = {p.sensor: deque() for p in parts(attack)}
        self._last: dict[Channel, bool | None] = {}
        self._frames = 0
        self._asked = False
        self._effects: list[tuple[int, bool]] = []

    def run(self, progress: Callable[[int, int], None]) -> Outcome:
        for connection in self._reader.connections:
            self._writer.add(connection)
        drive, told = self._drive, tuple(self._parts.values())
        self._say(
            drive.first_ns,
            "plan",
            {
                "benign": self._kind in STRESS,
                "sensor": "+".join(p.sensor.value for p in told),
                "topic": " ".join(self._reader.topics[p.sensor] for p in told),
                "seed": self._scout.seed,
                "parameters": {name: value for p in told for name, value in p.parameters.items()},
            },
        )
        for done, raw in enumerate(self._reader.raw_messages()):
            self._one(raw)
            progress(done + 1, drive.total)
        fooled = sum(had for _, had in self._effects) if self._asked else None
        share = None if fooled is None else round(fooled / len(self._effects), 4)
        self._say(drive.last_ns, "summary", {"frames": self._frames, "fooled": fooled, "fooled_share": share})
        stale = self._reader.topics.get(Channel.DETECTIONS) if Channel.CAMERA in self._parts else None
        return Outcome(
            self._kind, drive.onset_ns, drive.end_ns, self._frames, fooled, stale, tuple(self._effects)
        )

    def _one(self, raw: RawMessage) -> None:
        low, high = self._drive.window
        part = self._parts.get(raw.channel)
        near = low - _LOOK_BACK_NS <= raw.log_ns <= high
        if not near or (part is None and raw.channel not in _SEEN):
            self._writer.copy(raw.connection, raw.log_ns, raw.data)
            return
        value: Any = self._reader.value(raw)
        self._scout.see(value)
        if part is None:
            self._writer.copy(raw.connection, raw.log_ns, raw.data)
            return
        message = self._reader.decode(raw)
        earlier = self._earlier[part.sensor]
        while earlier and earlier[0][0] < raw.log_ns - _LOOK_BACK_NS:
            earlier.popleft()
        if raw.log_ns < low:
            self._writer.copy(raw.connection, raw.log_ns, raw.data)
        else:
            self._scout.earlier = deque(m for _, m in earlier)
            self._scout.message_ns = value.stamp_ns
            if part.sensor == Channel.CAMERA:
                self._scout.jpeg = hasattr(message, "format") and bytes(message.data[:2]) == b"\xff\xd8"
            altered = self._alter(part, message)
            if altered.message is not None:
                store = self._reader.decoder(raw.connection).store
                data = bytes(store.serialize_cdr(altered.message, raw.connection.msgtype))
                self._writer.copy(raw.connection, raw.log_ns, data)
            elif not altered.lost:
                self._writer.copy(raw.connection, raw.log_ns, raw.data)
            self._note(part, raw.log_ns, value.stamp_ns, altered)
        earlier.append((raw.log_ns, message))

    def _note(self, part: Attack, log_ns: int, stamp_ns: int, altered: Altered) -> None:
        """Annotate a message, and count its effect: of a pair, where both parts had theirs last."""
        self._frames += 1
        self._asked |= altered.fooled is not None
        self._last[part.sensor] = altered.fooled
        if part is next(iter(self._parts.values())):
            self._effects.append((stamp_ns, all(e is not False for e in self._last.values())))
        told = {"sensor": part.sensor.value} if len(self._parts) > 1 else {}
        self._say(log_ns, "frame", {"stamp_ns": stamp_ns, **told, **altered.record, "fooled": altered.fooled})

    def _alter(self, part: Attack, message: Any) -> Altered:
        try:
            return part.alter(message, self._scout)
        except MessageError as e:
            raise AttackError(
                self._kind, str(e), "Convert the topic to an encoding that can be written"
            ) from e

    def _say(self, log_ns: int, event: str, content: Mapping[str, Any]) -> None:
        """Annotate; every message tells kind and window, so that one is enough for who joins late."""
        head = {
            "schema": SCHEMA,
            "event": event,
            "kind": self._kind,
            "onset_ns": self._drive.onset_ns,
            "end_ns": self._drive.end_ns,
        }
        text = json.dumps({**head, **content}, default=_plain)
        string = self._writer.store.types["std_msgs/msg/String"]
        self._writer.write(TOPIC, "std_msgs/msg/String", log_ns, string(data=text))


def _plain(value: Any) -> Any:
    """Arrays as lists: boxes to a tenth of a pixel, metres to the millimetre."""
    if isinstance(value, np.ndarray):
        return [round(float(v), 3) for v in value.ravel()]
    raise TypeError(type(value).__name__)
