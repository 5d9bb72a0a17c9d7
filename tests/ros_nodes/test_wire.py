"""What the fail-safe reads off the wire is what rclpy would have read, and nothing damaged gets by."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.errors import MessageError
from edgeguard.verdict import Coverage, Level, Verdict
from tests.ros_nodes.test_verdict_msg import message, serialised, stamps, texts, verdicts

pytest.importorskip("diagnostic_msgs")


@given(verdicts, texts)
def test_the_wire_says_what_the_message_says(verdict: Verdict, frame_id: str) -> None:
    from rclpy.serialization import serialize_message

    from ros_nodes.verdict_msg import from_summary
    from ros_nodes.wire import read_summary

    msg = message(verdict)
    msg.header.frame_id = frame_id
    read = read_summary(bytes(serialize_message(msg)))
    assert (read.source, read.stamp_ns) == ("/front/monitor_node", verdict.stamp_ns)
    assert read.values == {v.key: v.value for v in msg.status[0].values}
    assert from_summary(read) == verdict
    assert from_summary(read, whole=False).alarms == verdict.alarms


@given(stamps, st.booleans())
def test_the_quiet_verdict_is_known_without_reading_it(stamp_ns: int, has_image: bool) -> None:
    from ros_nodes.verdict_msg import from_summary
    from ros_nodes.wire import read_summary

    verdict = Verdict(stamp_ns, Level.NOMINAL, has_image=has_image)
    read = read_summary(serialised(verdict))
    assert from_summary(read, whole=False) == verdict
    for spoilt in (read._replace(level=b"\x02"), read._replace(stamp_ns=stamp_ns + 1)):
        with pytest.raises(MessageError):
            from_summary(spoilt, whole=False)


def test_what_ends_too_early_is_refused_wherever_it_ends() -> None:
    from ros_nodes.wire import read_summary

    data = serialised(Verdict(5, Level.NOMINAL, coverage={"seen": Coverage(passed=2)}))
    whole = read_summary(data)
    for size in range(len(data)):
        with contextlib.suppress(MessageError):
            # What stands behind the last value is padding.
            assert read_summary(data[:size]) == whole and size >= len(data) - 3


@given(st.binary(max_size=200))
def test_nonsense_is_refused_or_read_but_never_worse(tail: bytes) -> None:
    from ros_nodes.wire import read_summary

    for data in (tail, b"\x00\x01\x00\x00" + tail, b"\x00\x00\x00\x00" + tail):
        try:
            read_summary(data)
        except MessageError as e:
            assert "verdict" in str(e)


def test_an_array_without_a_status_is_refused() -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.serialization import serialize_message

    from ros_nodes.wire import read_summary

    with pytest.raises(MessageError, match="no status"):
        read_summary(bytes(serialize_message(DiagnosticArray())))
