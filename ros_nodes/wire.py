"""A verdict's `diagnostic_msgs/DiagnosticArray` as it lies on the wire (CDR), read no further than needed.

rclpy's own message object costs the fail-safe twice as much as all that it then does with a verdict, and most
of it is coverage, which it does not read. No NumPy here: this runs in the fail-safe process.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from edgeguard.errors import MessageError

_NUMBERS = {b"\x00\x00": (struct.Struct(">i"), struct.Struct(">I")),
            b"\x00\x01": (struct.Struct("<i"), struct.Struct("<I"))}  # fmt: skip
_BEGIN = 4
"""Behind the encapsulation; numbers lie at multiples of their size from there."""


class Summary(NamedTuple):
    """The first status of an array, under the array's stamp."""

    stamp_ns: int
    name: str
    level: bytes
    source: str
    values: dict[str, str]


def read_summary(data: bytes) -> Summary:
    """Read a serialised `DiagnosticArray`'s stamp and first status.

    Raises:
        MessageError: it has none, or ends before it does.
    """
    try:
        signed, unsigned = _NUMBERS[data[:2]]
        (sec,), (nanosec,) = signed.unpack_from(data, _BEGIN), unsigned.unpack_from(data, _BEGIN + 4)
        _, at = _string(data, _BEGIN + 8, unsigned)  # The frame.
        at += -at % 4
        if not unsigned.unpack_from(data, at)[0]:
            raise ValueError("it has no status")
        level = data[at + 4 : at + 5]
        name, at = _string(data, at + 5, unsigned)
        _, at = _string(data, at, unsigned)  # The message: for people.
        source, at = _string(data, at, unsigned)
        at += -at % 4
        (count,), at = unsigned.unpack_from(data, at), at + 4
        values = {}
        for _ in range(count):
            key, at = _string(data, at, unsigned)
            values[key], at = _string(data, at, unsigned)
    except KeyError:
        raise MessageError("verdict", "cannot be read: its encapsulation is not plain CDR") from None
    except (ValueError, struct.error) as e:
        raise MessageError("verdict", f"cannot be read: {e}") from e
    return Summary(sec * 1_000_000_000 + nanosec, name, level, source, values)


def _string(data: bytes, at: int, unsigned: struct.Struct) -> tuple[str, int]:
    """Return the string at or right behind `at`, and where it ends."""
    at += -at % 4
    begin, (size,) = at + 4, unsigned.unpack_from(data, at)
    # Its size counts the NUL at its end.
    end = begin + size
    if end > len(data):
        raise ValueError("it ends too early")
    return data[begin : end - 1].decode(), end
