"""`diagnostic_msgs/DiagnosticArray` written as it lies on the wire (CDR).

rclpy's message objects check each of some three hundred strings and are then copied twice: on every verdict
that is latency, and on `/diagnostics` half a percent of a core. No NumPy here: the fail-safe process says its
state with this module.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticStatus

from edgeguard.cdr import BEGIN
from edgeguard.verdict import Level

STALE = bytes(DiagnosticStatus.STALE)
_LEVELS = {
    Level.NOMINAL: bytes(DiagnosticStatus.OK),
    Level.CAUTION: bytes(DiagnosticStatus.WARN),
    Level.FAIL_SAFE: bytes(DiagnosticStatus.ERROR),
}

_LITTLE_ENDIAN = b"\x00\x01\x00\x00"
_STAMP = struct.Struct("<iI")
_COUNT = struct.Struct("<I")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
"""By how far behind a multiple of 4 one stands: numbers lie at multiples of their size."""

_SHORT = 40


class Status(NamedTuple):
    """One `diagnostic_msgs/DiagnosticStatus`."""

    level: bytes
    name: str
    message: str
    hardware_id: str
    values: Mapping[str, str]


def status_level(level: Level) -> bytes:
    """Return a level as `DiagnosticStatus` says it."""
    return _LEVELS[level]


def write(statuses: Sequence[Status], stamp_ns: int, frame_id: str = "") -> bytes:
    """Return a serialised `DiagnosticArray`. Strings end before their first NUL, as they do in C."""
    out = bytearray(_LITTLE_ENDIAN + _stamp(stamp_ns))
    out += _string(frame_id)
    out += _PADDING[len(out) % 4]
    out += _COUNT.pack(len(statuses))
    for level, name, message, hardware_id, values in statuses:
        out += level
        for text in (name, message, hardware_id):
            out += _PADDING[len(out) % 4]
            out += _string(text)
        out += _PADDING[len(out) % 4]
        out += _COUNT.pack(len(values))
        for pair in values.items():
            for text in pair:
                out += _PADDING[len(out) % 4]
                out += _string(text)
    return bytes(out)


def restamped(data: bytes, stamp_ns: int) -> bytes:
    """Return what `write` gave, with another stamp."""
    return b"".join((data[:BEGIN], _stamp(stamp_ns), data[BEGIN + _STAMP.size :]))


def _stamp(stamp_ns: int) -> bytes:
    return _STAMP.pack(*divmod(stamp_ns, 1_000_000_000))


def _string(text: str) -> bytes:
    # Names and small counts come again and again; what a verdict says does not.
    return _short(text) if len(text) < _SHORT else _coded(text)


def _coded(text: str) -> bytes:
    data = text.encode()
    if b"\0" in data:
        data = data[: data.index(b"\0")]
    return _COUNT.pack(len(data) + 1) + data + b"\0"


_short = functools.lru_cache(maxsize=1024)(_coded)
