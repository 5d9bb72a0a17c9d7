"""Numbers and strings as they lie on the wire and in a recording: plain CDR, of either byte order.

No NumPy here: the fail-safe process reads its verdicts by it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple


class Order(NamedTuple):
    """How numbers of 32 bits lie in one byte order, and its mark in `struct` and NumPy."""

    mark: str
    signed: struct.Struct
    unsigned: struct.Struct


ORDERS = {
    b"\x00\x00": Order(">", struct.Struct(">i"), struct.Struct(">I")),
    b"\x00\x01": Order("<", struct.Struct("<i"), struct.Struct("<I")),
}
"""By the first two bytes of a message."""

BEGIN = 4
"""Behind the encapsulation; numbers lie at multiples of their size from there."""


def string(data: bytes, at: int, order: Order) -> tuple[str, int]:
    """Return the string at or right behind `at`, a multiple of 4 from where numbers begin, and where it ends.

    Raises:
        ValueError: it does not end within the data with its NUL, or is no UTF-8.
        struct.error: its size does not.
    """
    at += -at % 4
    begin, (size,) = at + 4, order.unsigned.unpack_from(data, at)
    # Its size counts the NUL at its end.
    end = begin + size
    if end > len(data):
        raise ValueError("it ends too early")
    if not size or data[end - 1]:
        raise ValueError("a string does not end with NUL")
    return data[begin : end - 1].decode(), end
