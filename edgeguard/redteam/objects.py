"""Attacks at the level of detections: what one detector says of one object is altered for a second.

For recordings that hold detections and neither pixels nor points. The attack is what reaches the monitor,
not how it is made: a box gone, an object gone, another class, a box that slides off, an object that is not
there. Targets are objects that both sensors held without a gap; ghosts stand on open road.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgeguard import objects
from edgeguard.pairing import MIN_OVERLAP
from edgeguard.rig import CameraModel
from edgeguard.tracking import boxes
from edgeguard.tracking.lidar import LidarBoxes
from edgeguard.types import F64, Detections, Detections3D, Frame

KINDS = ("camera_drop", "lidar_drop", "class_flip", "box_drift", "camera_ghost", "lidar_ghost")
DURATION_S = 1.0
HELD_S = 0.5
MAX_RANGE_M = 30.0
_MIN_RANGE_M = 4.0
_MIN_PROBABILITY = 0.88
_MIN_SCORE = 0.5
_IOU = 0.4
_STEP_M = 2.0
_BORDER_PX = 5.0
_CAMERA_HEIGHT_M = 1.65
_CAR = np.array([1.7, 1.5, 4.0])  # width, height, length


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """What was done to a drive.

    Attributes:
        kind: one of `KINDS`, or another tool's name for what it did.
        onset_ns, end_ns: stamps of the first and last altered frame.
        boxes: per stamp, (4,) pixels around what was altered; empty where nothing is known of it.
    """

    kind: str
    onset_ns: int
    end_ns: int
    boxes: Mapping[int, F64]


@dataclass(frozen=True, slots=True, eq=False)
class Injection:
    """An attack planned on a drive: the label, and per stamp the altered frame."""

    label: Label
    frames: Mapping[int, Frame]


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A LiDAR object on one frame, and the camera's box of it."""

    frame: int
    center: F64
    box: F64
    row: int
    detection: int


def plan(drive: Sequence[Frame], kind: str, count: int, rng: np.random.Generator) -> list[Injection]:
    """Return up to `count` attacks of one kind, each meant for a run of its own over the drive.

    Args:
        drive: frames with camera and LiDAR detections and a rig; others are passed over.
        kind: one of `KINDS`.
    """
    logits = any(f.lidar_detections.has_logits for f in drive if f.lidar_detections is not None)
    if kind in ("camera_ghost", "lidar_ghost"):
        return list(_ghosts(drive, kind, count, rng, logits))
    windows = list(_windows(drive, logits, steady=kind != "camera_drop"))
    picked = rng.permutation(len(windows))[:count]
    return [_on_object(drive, kind, windows[i], rng) for i in picked]


def _windows(drive: Sequence[Frame], logits: bool, *, steady: bool) -> Iterator[list[_Seen]]:
    """Every stretch in which the LiDAR sees an object for the attack's time, after both held it.

    Args:
        steady: whether the camera must see it all along too.
    """
    for chain in _chains(drive, logits):
        stamp = [drive[s.frame].stamp_ns for s in chain]
        both = [s.detection >= 0 for s in chain]
        for a in range(1, len(chain)):
            begin = np.searchsorted(stamp, stamp[a] - round((HELD_S + 0.05) * 1e9))
            end = int(np.searchsorted(stamp, stamp[a] + round(DURATION_S * 1e9)))
            long = stamp[a] - stamp[begin] >= HELD_S * 0.98e9 and end < len(chain)
            if long and all(both[begin:a]) and (all(both[a:end]) or not steady):
                yield chain[a:end]


def _chains(drive: Sequence[Frame], logits: bool) -> list[list[_Seen]]:
    """Follow sure LiDAR objects in range and in view from frame to frame."""
    chains: list[list[_Seen]] = []
    alive: list[list[_Seen]] = []
    for i, frame in enumerate(drive):
        following: list[list[_Seen]] = []
        for seen in _objects(frame, i, logits):
            near = [c for c in alive if np.hypot(*(c[-1].center - seen.center)[[0, 2]]) < _STEP_M]
            chain = min(
                near, key=lambda c: float(np.hypot(*(c[-1].center - seen.center)[[0, 2]])), default=None
            )
            if chain is None:
                chain = []
                chains.append(chain)
            else:
                alive = [c for c in alive if c is not chain]
            chain.append(seen)
            following.append(chain)
        alive = following
    return chains


def _objects(frame: Frame, index: int, logits: bool) -> Iterator[_Seen]:
    found = _lidar(frame, logits)
    if found is None or frame.rig is None or frame.detections is None:
        return
    camera, detections = frame.rig.camera, frame.detections
    xyxy = detections.xyxy.astype(np.float64)
    for row in np.flatnonzero(found.probability >= _MIN_PROBABILITY):
        center = found.center[row]
        if not _MIN_RANGE_M <= center[2] <= MAX_RANGE_M or found.corners[row, :, 2].min() < 0.5:
            continue
        box = _projected(found.corners[row], camera)
        if box[0] < _BORDER_PX or box[2] > camera.width - _BORDER_PX:
            continue
        box = np.clip(box, 0.0, np.array([camera.width, camera.height] * 2, np.float64))
        overlap = boxes.iou(box[None], xyxy)[0] if len(xyxy) else np.zeros(0)
        best = int(overlap.argmax()) if len(overlap) else -1
        held = best >= 0 and overlap[best] >= _IOU and detections.score[best] > _MIN_SCORE
        yield _Seen(index, center, box, int(row), best if held else -1)


def _on_object(drive: Sequence[Frame], kind: str, window: list[_Seen], rng: np.random.Generator) -> Injection:
    side = float(rng.choice([-1.0, 1.0]))
    altered: dict[int, Frame] = {}
    at: dict[int, F64] = {}
    begin = drive[window[0].frame].stamp_ns
    for seen in window:
        frame = drive[seen.frame]
        assert frame.detections is not None and frame.lidar_detections is not None
        around = seen.box
        if kind == "camera_drop":
            overlap = boxes.iou(frame.detections.xyxy.astype(np.float64), seen.box[None])[:, 0]
            # What still covers the object so far would be taken for its box.
            new = replace(frame, detections=frame.detections.select(overlap < MIN_OVERLAP))
        elif kind == "lidar_drop":
            found = _lidar(frame, False)
            assert found is not None
            away = np.hypot(*(found.center - seen.center)[:, [0, 2]].T) > 1.5
            new = replace(frame, lidar_detections=frame.lidar_detections.select(away))
        elif kind == "class_flip":
            new = replace(frame, detections=_flipped(frame.detections, seen.detection))
        else:
            share = (frame.stamp_ns - begin) * 1e-9 / DURATION_S + 0.1
            xyxy = frame.detections.xyxy.copy()
            x0, _, x1, _ = xyxy[seen.detection]
            xyxy[seen.detection, [0, 2]] += np.float32(side * share) * (x1 - x0)
            moved = xyxy[seen.detection].astype(np.float64)
            around = np.concatenate([np.minimum(around, moved)[:2], np.maximum(around, moved)[2:]])
            new = replace(frame, detections=replace(frame.detections, xyxy=xyxy))
        altered[frame.stamp_ns], at[frame.stamp_ns] = new, around
    return Injection(Label(kind, min(altered), max(altered), at), altered)


def _ghosts(
    drive: Sequence[Frame], kind: str, count: int, rng: np.random.Generator, logits: bool
) -> Iterator[Injection]:
    """Cars that are not there, on road that the LiDAR sees free, still relative to the vehicle."""
    usable = [f for f in drive if f.rig is not None and f.detections is not None]
    made = 0
    for _ in range(20 * count):
        if made == count or len(usable) < 20:
            return
        begin = int(rng.integers(len(usable) // 4, len(usable)))
        end_ns = usable[begin].stamp_ns + round(DURATION_S * 1e9)
        window = [f for f in usable[begin:] if f.stamp_ns < end_ns]
        z, x = rng.uniform(8.0, MAX_RANGE_M - 2.0), rng.uniform(-3.0, 3.0)
        rig = usable[begin].rig
        if usable[-1].stamp_ns < end_ns or rig is None or not all(_is_free(f, x, z, logits) for f in window):
            continue
        k, (w, h, _length) = rig.camera.k, _CAR
        low = np.array([x - w / 2, _CAMERA_HEIGHT_M - h]) / z
        high = np.array([x + w / 2, _CAMERA_HEIGHT_M]) / z
        box = np.concatenate([np.diag(k)[:2] * low + k[:2, 2], np.diag(k)[:2] * high + k[:2, 2]])
        if box[0] < 20 or box[2] > rig.camera.width - 20 or box[3] > rig.camera.height - 3:
            continue
        made += 1
        frames = {f.stamp_ns: _with_ghost(f, kind, box, x, z, rng, logits) for f in window}
        yield Injection(Label(kind, min(frames), max(frames), dict.fromkeys(frames, box)), frames)


def _is_free(frame: Frame, x: float, z: float, logits: bool) -> bool:
    c = _centers(frame, logits)
    near = np.hypot(c[:, 0] - x, c[:, 2] - z) < 4.0
    ray = (c[:, 2] < z) & (np.abs(c[:, 0] / np.maximum(c[:, 2], 1.0) - x / z) < 0.15)
    return not bool((near | ray).any())


def _with_ghost(
    frame: Frame, kind: str, box: F64, x: float, z: float, rng: np.random.Generator, logits: bool
) -> Frame:
    if kind == "camera_ghost":
        d = frame.detections
        assert d is not None
        names, number = _with_class(d.class_names, "car")
        return replace(
            frame,
            detections=Detections(
                d.stamp_ns,
                np.vstack([d.xyxy, box + rng.normal(0.0, 1.0, 4)]).astype(np.float32),
                np.append(d.score, np.float32(0.9)),
                np.append(d.class_id, np.int32(number)),
                names,
            ),
        )
    s, rig = frame.lidar_detections, frame.rig
    assert s is not None and rig is not None
    names, number = _with_class(s.class_names, "car")
    # From the optical frame to the detector's.
    back = np.linalg.inv(rig.to_camera[s.frame_id.lstrip("/")])
    place = np.array([x + rng.normal(0, 0.05), _CAMERA_HEIGHT_M - _CAR[1] / 2, z + rng.normal(0, 0.05)])
    # The box's own x is its length: it points along the optical axis.
    axes = back[:3, :3] @ np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    return replace(
        frame,
        lidar_detections=Detections3D(
            s.stamp_ns,
            s.frame_id,
            np.vstack([s.center, back[:3, :3] @ place + back[:3, 3]]),
            np.vstack([s.size, [_CAR[2], _CAR[0], _CAR[1]]]),
            np.vstack([s.orientation, _quaternion(axes)]),
            np.append(s.score, np.float32(5.0 if logits else 0.99)),
            np.append(s.class_id, np.int32(number)),
            names,
        ),
    )


def _flipped(d: Detections, row: int) -> Detections:
    """Return the detections with one vehicle turned person, or the other way round."""
    person = objects.GROUPS[objects.GROUP[objects.class_number(d.labels[row])]] == "person"
    names, number = _with_class(d.class_names, "car" if person else "person")
    ids = d.class_id.copy()
    ids[row] = number
    return Detections(d.stamp_ns, d.xyxy, d.score, ids, names)


def _with_class(names: tuple[str, ...], name: str) -> tuple[tuple[str, ...], int]:
    return (names, names.index(name)) if name in names else ((*names, name), len(names))


def _lidar(frame: Frame, logits: bool) -> LidarBoxes | None:
    d, rig = frame.lidar_detections, frame.rig
    return None if d is None or rig is None else LidarBoxes.from_detections(d, rig, logits)


def _centers(frame: Frame, logits: bool) -> F64:
    """(N, 3) of the likely LiDAR objects."""
    found = _lidar(frame, logits)
    return np.zeros((0, 3)) if found is None else found.center[found.probability > 0.5]


def _projected(corners: F64, camera: CameraModel) -> F64:
    uv = corners @ camera.k.T
    uv = uv[:, :2] / uv[:, 2:]
    return np.concatenate([uv.min(axis=0), uv.max(axis=0)])


def _quaternion(r: F64) -> F64:
    """Return x, y, z, w of a rotation matrix."""
    w = math.sqrt(max(0.0, 1 + r[0, 0] + r[1, 1] + r[2, 2])) / 2
    x = math.copysign(math.sqrt(max(0.0, 1 + r[0, 0] - r[1, 1] - r[2, 2])) / 2, r[2, 1] - r[1, 2])
    y = math.copysign(math.sqrt(max(0.0, 1 - r[0, 0] + r[1, 1] - r[2, 2])) / 2, r[0, 2] - r[2, 0])
    z = math.copysign(math.sqrt(max(0.0, 1 - r[0, 0] - r[1, 1] + r[2, 2])) / 2, r[1, 0] - r[0, 1])
    q = np.array([x, y, z, w])
    unit: F64 = q / np.linalg.norm(q)
    return unit
