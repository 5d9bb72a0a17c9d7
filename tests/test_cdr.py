"""Strings lie at multiples of four, count their NUL, and never reach beyond the data."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.cdr import ORDERS, Order, string


def laid(text: str, order: Order) -> bytes:
    data = text.encode() + b"\0"
    return struct.pack(f"{order.mark}I", len(data)) + data


@given(st.sampled_from(sorted(ORDERS)), st.lists(st.text("aé😀", max_size=5), max_size=4))
def test_strings_come_out_one_behind_the_other(mark: bytes, texts: list[str]) -> None:
    order, data = ORDERS[mark], b""
    for text in texts:
        data += b"\0" * (-len(data) % 4) + laid(text, order)
    at = 0
    for text in texts:
        found, at = string(data, at, order)
        assert found == text
    assert at == len(data)


@pytest.mark.parametrize("damaged", [b"", b"\1", b"\0\0\0\0", b"\2\0\0\0a", b"\2\0\0\0ab", b"\2\0\0\0\xff\0"])
def test_what_is_no_string_is_refused(damaged: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        string(damaged, 0, ORDERS[b"\x00\x01"])
