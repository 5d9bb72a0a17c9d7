"""`vision_msgs` detections read where they lie: an object for each part would cost ten times as much.

Of a detection its box and its likeliest class are kept: no covariance, source or identity flows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

from edgeguard import messages
from edgeguard.bags.definitions import Decoder, published
from edgeguard.cdr import ORDERS, Order, string
from edgeguard.types import Detections, Detections3D

DETECTIONS = "vision_msgs/msg/Detection2DArray"
DETECTIONS_3D = "vision_msgs/msg/Detection3DArray"

_POSE = 7 * 8
_COVARIANCE = 36 * 8
_BOX = {DETECTIONS: 5 * 8, DETECTIONS_3D: _POSE + 3 * 8}
_SCORE = {mark: struct.Struct(f"{mark}d{_POSE + _COVARIANCE}x") for mark in "<>"}
_PADDING = 3
"""Bytes that may stand behind a message: it is written in units of four."""

_Skip = Callable[[bytes, int, Order], int]
"""Returns where what begins right behind a place ends."""


class _Said(NamedTuple):
    """A message as it lies: of each detection the box's numbers, the likeliest class and its score."""

    stamp_ns: int
    frame_id: str
    boxes: bytes
    scores: list[float]
    labels: list[str]


class BoxDecoder(Decoder):
    """Reads the detections of one topic; a class keeps its number from message to message.

    Args:
        msgtype: `DETECTIONS` or `DETECTIONS_3D`.
        definition: as `Decoder`.
    """

    def __init__(self, msgtype: str, definition: str) -> None:
        super().__init__(msgtype, definition)
        self._names: tuple[str, ...] = ()

    def _generate(self) -> None:
        """Nothing for messages that are read where they lie."""
        if not (self.is_certain and _behind_box(self.store, self.msgtype)):
            super()._generate()

    def read(self, data: bytes | memoryview) -> Detections | Detections3D:
        """Return what a message says, as `edgeguard.messages` reads its object.

        Raises:
            SerdeError: the data is no such message, or ends before it does.
            MessageError: a box or score is not finite, or a size is negative.
        """
        found = self._where_it_lies(bytes(data))
        if (
            found is None
        ):  # A layout not yet told apart or of no release, or damage, of which rosbags says what.
            read = messages.detections if self.msgtype == DETECTIONS else messages.detections_3d
            found = read(self.decode(data), self._names)
        self._names = found.class_names
        return found

    def _where_it_lies(self, data: bytes) -> Detections | Detections3D | None:
        skip = _behind_box(self.store, self.msgtype) if self.is_certain else None
        order = ORDERS.get(data[:2])
        if skip is None or order is None:
            return None
        width = _BOX[self.msgtype]
        try:
            said = _said(data[4:], order, width, skip)
        except (struct.error, ValueError):
            return None
        numbers = {name: i for i, name in enumerate(self._names)}
        class_id = np.array(
            [numbers.setdefault(label.lower(), len(numbers)) for label in said.labels], np.int32
        )
        names = self._names if len(numbers) == len(self._names) else tuple(numbers)
        score = np.array(said.scores, np.float64).astype(np.float32)
        values = (
            np.frombuffer(said.boxes, order.mark + "f8").reshape(len(score), width // 8).astype(np.float64)
        )
        if self.msgtype == DETECTIONS:
            return messages.upright_boxes(said.stamp_ns, values, score, class_id, names)
        return messages.oriented_boxes(said.stamp_ns, said.frame_id, values, score, class_id, names)


def _said(data: bytes, order: Order, box: int, skip: _Skip) -> _Said:
    """Read a message from behind its encapsulation, as strictly as `rosbags`.

    Raises:
        ValueError: it is not what it should be.
        struct.error: it ends too early.
    """
    number, score_and_pose = order.unsigned.unpack_from, _SCORE[order.mark].unpack_from
    (sec,), (nanosec,) = order.signed.unpack_from(data, 0), number(data, 4)
    frame_id, at = string(data, 8, order)
    frame = data[8:at]
    at += -at & 3
    (n,), at = number(data, at), at + 4
    boxes: list[bytes] = []
    scores: list[float] = []
    labels: list[str] = []
    for _ in range(n):
        at += -at & 3
        # Mostly the array's own frame: to compare costs a quarter of reading it.
        at = at + 8 + len(frame) if data.startswith(frame, at + 8) else string(data, at + 8, order)[1]
        at += -at & 3
        (hypotheses,), at = number(data, at), at + 4
        best, likeliest = 1.0, "unknown"
        for i in range(hypotheses):
            label, at = string(data, at, order)
            at += -at & 7
            (score,) = score_and_pose(data, at)
            at += 8 + _POSE + _COVARIANCE
            if not i or score > best:
                best, likeliest = score, label
        at += -at & 7
        boxes.append(data[at : at + box])
        scores.append(best)
        labels.append(likeliest)
        at = skip(data, at + box, order)
    if at > len(data) or at + _PADDING < len(data):
        raise ValueError("its size is another than what it holds")
    return _Said(sec * 1_000_000_000 + nanosec, frame_id, b"".join(boxes), scores, labels)


@lru_cache(maxsize=16)
def _behind_box(store: Typestore, msgtype: str) -> _Skip | None:
    """What skips the rest of a detection behind its box; None for a layout of no release."""
    whole = Nodetype.NAME, msgtype
    for known, skip in zip(published(), (_skip_id, _skip_image if msgtype == DETECTIONS else _skip_cloud)):
        if known is store or _flat(known, whole) == _flat(store, whole):
            return skip
    return None


def _flat(store: Typestore, desc: Any) -> list[object]:
    """The primitives that a type is made of: names of types and fields do not show on the wire."""
    kind, what = desc
    if kind == Nodetype.NAME:
        return [part for _, field in store.fielddefs[what][1] for part in _flat(store, field)]
    return [what] if kind == Nodetype.BASE else [(kind, what[1], *_flat(store, what[0]))]


def _skip_id(data: bytes, at: int, order: Order) -> int:
    return string(data, at, order)[1]


def _skip_image(data: bytes, at: int, order: Order) -> int:
    """Behind a `Detection2D`'s source image, whether it is tracked, and its track's name."""
    _, at = string(data, at + (-at & 3) + 8, order)
    at += (-at & 3) + 8
    _, at = string(data, at, order)
    at += 1
    at += (-at & 3) + 4
    at = _skip_bytes(data, at, order) + 1
    return string(data, at, order)[1]


def _skip_cloud(data: bytes, at: int, order: Order) -> int:
    """Behind a `Detection3D`'s source cloud, whether it is tracked, and its track's name."""
    _, at = string(data, at + (-at & 3) + 8, order)
    at += (-at & 3) + 8
    (fields,), at = order.unsigned.unpack_from(data, at), at + 4
    for _ in range(fields):
        _, at = string(data, at, order)
        at += (-at & 3) + 5
        at += (-at & 3) + 4
    at += 1
    at += (-at & 3) + 8
    at = _skip_bytes(data, at, order) + 2
    return string(data, at, order)[1]


def _skip_bytes(data: bytes, at: int, order: Order) -> int:
    (size,) = order.unsigned.unpack_from(data, at)
    return at + 4 + int(size)
