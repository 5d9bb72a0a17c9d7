"""A recording as frames, and what every check measured on them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeguard.assembler import FrameAssembler
from edgeguard.bags import BagReader
from edgeguard.calibrate.debounce import Debounce
from edgeguard.checks import Scores
from edgeguard.checks.input_distribution import MEASURES, look
from edgeguard.errors import BagError
from edgeguard.evidence import Evidence
from edgeguard.evidence.thresholds import NONE, Key
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.replay import FOREIGN_CLOCK_NS, ReplaySettings
from edgeguard.rig import CameraModel
from edgeguard.scene import Scene
from edgeguard.types import F64, I64, Channel, Detections, Frame, Image
from edgeguard.verdict import SubjectKind


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """What one check said of one subject, over the subject's life.

    Attributes:
        frame: (N,) index of the frame.
        dt_s: (N,) time since the frame before, s.
        score: (N,) as the check gave it.
        evidence: (N,) accumulated, without any threshold that would hold it down; facts left out.
        box: (N, 4) where the subject was, pixels; NaN for a stream.
    """

    frame: I64
    dt_s: F64
    score: F64
    evidence: F64
    box: F64


@dataclass(slots=True, eq=False)
class DriveLog:
    """What the checks said of one drive.

    Attributes:
        name: the recording's.
        stamp_ns: per frame.
        courses: per check and kind of subject, by the subject's identity.
        tracks, lidar_objects: how many there were.
        camera: the camera that it was recorded with.
        engine: what made the detections; None where the recording held them.
        inputs: (W, 4) `MEASURES` of the pictures, averaged over windows of the check's memory.
    """

    name: str
    stamp_ns: list[int] = field(default_factory=list)
    courses: dict[Key, dict[int, Course]] = field(default_factory=dict)
    tracks: int = 0
    lidar_objects: int = 0
    camera: CameraModel | None = None
    engine: str | None = None
    inputs: F64 = field(default_factory=lambda: np.zeros((0, len(MEASURES))))
    _peaks: dict[Key, list[tuple[int, F64]]] = field(default_factory=dict)

    def peaks(self, key: Key) -> list[tuple[int, F64]]:
        """Return per subject the heights of its evidence's excursions from 0; those with none left out."""
        if key not in self._peaks:
            found = ((i, _excursions(c.evidence)) for i, c in self.courses.get(key, {}).items())
            self._peaks[key] = [(i, p) for i, p in found if len(p)]
        return self._peaks[key]

    @property
    def hours(self) -> float:
        """From the first frame to one period after the last."""
        if len(self.stamp_ns) < 2:
            return 0.0
        gaps = np.diff(np.array(self.stamp_ns, np.int64))
        return float(gaps.sum() + np.median(gaps)) / 3.6e12


def frames(
    bag: Path,
    settings: ReplaySettings | None = None,
    *,
    engine: str | None = None,
    topics: Mapping[Channel | str, str] | None = None,
) -> Iterator[Frame]:
    """Yield a recording's frames as the vehicle would have had them.

    Args:
        engine: name or path of the engine that detects on the images in place of recorded detections.

    Raises:
        EdgeGuardError: the recording or the engine cannot be used.
    """
    settings = settings or ReplaySettings()
    with ExitStack() as stack:
        reader = stack.enter_context(BagReader(bag, topics=topics))
        streams = {c for c in Channel if c.value in reader.topics}
        detector = None
        if engine is not None:
            from edgeguard.engine import open_engine

            detector = open_engine(engine)
            stack.callback(detector.close)
            streams.add(Channel.DETECTIONS)
        if Channel.DETECTIONS not in streams:
            raise BagError(bag, "has no camera detections", "Name an engine to detect with: --engine")
        assembler = FrameAssembler(settings.assembler, expected=frozenset(streams))
        offset_ns: int | None = None
        now_ns = 0
        for item in reader.messages():
            if offset_ns is None and (stamp_ns := getattr(item.value, "stamp_ns", None)) is not None:
                apart = item.log_ns - stamp_ns
                offset_ns = apart if abs(apart) > FOREIGN_CLOCK_NS else 0
            now_ns = item.log_ns - (offset_ns or 0)
            if detector is not None and isinstance(item.value, Detections):
                continue
            assembler.add(item.channel, item.value, now_ns)
            if detector is not None and isinstance(item.value, Image):
                assembler.add(Channel.DETECTIONS, detector.detect(item.value), now_ns)
            yield from assembler.poll(now_ns)
        yield from assembler.flush(now_ns)


def observe(name: str, drive: Iterable[Frame], settings: MonitorSettings) -> DriveLog:
    """Run the checks over a drive and keep what they said, with evidence that no threshold holds down."""
    recorder = _Recorder(name, settings)
    for frame in drive:
        recorder.step(frame)
    return recorder.finish()


class _Recorder:
    def __init__(self, name: str, settings: MonitorSettings) -> None:
        self._log = DriveLog(name)
        free = settings.model_copy(update={"calibration": NONE})
        self._monitor = Monitor(free, observer=self._told)
        self._evidence = Evidence(settings.evidence, len(self._monitor.check_names))
        self._evidence.threshold = math.inf
        self._debounce = Debounce()
        self._rows: dict[Key, list[tuple[I64, int, float, F64, F64, F64]]] = {}
        self._seen: dict[SubjectKind, set[int]] = {kind: set() for kind in SubjectKind}
        self._scene: Scene | None = None
        self._looks: list[F64] = []
        self._window_s = settings.checks.input_distribution.memory_s

    def step(self, frame: Frame) -> None:
        self._scene = None
        self._monitor.step(frame)
        scene = self._scene
        if scene is not None:
            if scene.pixels is not None:
                self._looks.append(look(scene))
            for kind, ids, count in self._debounce.counts(scene):
                self._keep(scene, (Debounce.name, kind), ids, count, count)
            self._seen[SubjectKind.TRACK].update(scene.tracks.id.tolist())
            if scene.objects is not None:
                self._seen[SubjectKind.LIDAR_OBJECT].update(scene.objects.id.tolist())
        self._log.stamp_ns.append(frame.stamp_ns)
        if frame.rig is not None:
            self._log.camera = frame.rig.camera

    def _told(self, scene: Scene, check: str, scores: Scores) -> None:
        self._scene = scene
        chance = np.where(np.isposinf(scores.score), np.nan, scores.score)
        known = Scores(scores.kind, scores.ids, chance, scores.cause)
        standing = self._evidence.update(check, known, scene.frame.stamp_ns, scene.dt_s, scene)
        self._keep(scene, (check, scores.kind), scores.ids, scores.score, standing.evidence)

    def _keep(self, scene: Scene, key: Key, ids: I64, score: F64, evidence: F64) -> None:
        row = (ids.copy(), len(self._log.stamp_ns), scene.dt_s, score.copy(), evidence.copy())
        self._rows.setdefault(key, []).append((*row, _boxes(scene, key[1], ids)))

    def finish(self) -> DriveLog:
        log = self._log
        log.tracks, log.lidar_objects = (
            len(self._seen[k]) for k in (SubjectKind.TRACK, SubjectKind.LIDAR_OBJECT)
        )
        if self._looks:
            span_s = log.hours * 3600.0
            windows = np.array_split(np.array(self._looks), max(1, round(span_s / self._window_s)))
            log.inputs = np.array([w.mean(axis=0) for w in windows if len(w)])
        for key, rows in self._rows.items():
            ids = np.concatenate([r[0] for r in rows])
            size = [len(r[0]) for r in rows]
            frame, dt_s = (np.repeat(np.array([r[i] for r in rows]), size) for i in (1, 2))
            score, evidence, box = (np.concatenate([r[i] for r in rows]) for i in (3, 4, 5))
            order = np.argsort(ids, kind="stable")
            ends = np.flatnonzero(np.diff(ids[order])) + 1
            log.courses[key] = {
                int(ids[part[0]]): Course(frame[part], dt_s[part], score[part], evidence[part], box[part])
                for part in np.split(order, ends)
                if len(part)
            }
        return log


def _boxes(scene: Scene, kind: SubjectKind, ids: I64) -> F64:
    if kind is SubjectKind.TRACK:
        return scene.tracks.xyxy[np.searchsorted(scene.tracks.id, ids)].copy()
    if kind is SubjectKind.LIDAR_OBJECT and scene.objects is not None:
        return scene.clipped(scene.objects.xyxy[np.searchsorted(scene.objects.id, ids)])
    return np.full((len(ids), 4), np.nan)


def _excursions(evidence: F64) -> F64:
    up = np.concatenate([[False], evidence > 0, [False]])
    edge = np.flatnonzero(np.diff(up.astype(np.int8)))
    return np.array([evidence[a:b].max() for a, b in zip(edge[::2], edge[1::2])])
