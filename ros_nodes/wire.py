"""A verdict's `diagnostic_msgs/DiagnosticArray` as it lies on the wire (CDR), read no further than needed.

rclpy's own message object costs the fail-safe twice as much as all that it then does with a verdict, and most
of it is coverage, which it does not read. No NumPy here: this runs in the fail-safe process.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from edgeguard.cdr import BEGIN, ORDERS, string
from edgeguard.errors import MessageError


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
        order = ORDERS[data[:2]]
        number = order.unsigned.unpack_from
        (sec,), (nanosec,) = order.signed.unpack_from(data, BEGIN), number(data, BEGIN + 4)
        _, at = string(data, BEGIN + 8, order)  # The frame.
        at += -at % 4
        if not number(data, at)[0]:
            raise ValueError("it has no status")
        level = data[at + 4 : at + 5]
        name, at = string(data, at + 5, order)
        _, at = string(data, at, order)  # The message: for people.
        source, at = string(data, at, order)
        at += -at % 4
        (count,), at = number(data, at), at + 4
        values = {}
        for _ in range(count):
            key, at = string(data, at, order)
            values[key], at = string(data, at, order)
    except KeyError:
        raise MessageError("verdict", "cannot be read: its encapsulation is not plain CDR") from None
    except (ValueError, struct.error) as e:
        raise MessageError("verdict", f"cannot be read: {e}") from e
    return Summary(sec * 1_000_000_000 + nanosec, name, level, source, values)
