"""What is written by hand is read as what rclpy would have written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ros_nodes.test_verdict_msg import stamps, texts

pytest.importorskip("diagnostic_msgs")
statuses = st.lists(
    st.tuples(st.sampled_from([b"\x00", b"\x03"]), texts, texts, texts, st.dictionaries(texts, texts)),
    max_size=3,
)


@given(statuses, stamps, texts)
def test_an_array_is_written_as_rclpy_writes_it(given_statuses, stamp_ns: int, frame_id: str) -> None:
    from builtin_interfaces.msg import Time
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
    from rclpy.serialization import deserialize_message, serialize_message
    from std_msgs.msg import Header

    from ros_nodes.status_array import Status, restamped, write

    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    expected = DiagnosticArray(header=Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id))
    for level, name, message, hardware_id, values in given_statuses:
        pairs = [KeyValue(key=k, value=v) for k, v in values.items()]
        status = DiagnosticStatus(
            level=level, name=name, message=message, hardware_id=hardware_id, values=pairs
        )
        expected.status.append(status)
    ours = write([Status(*s) for s in given_statuses], stamp_ns, frame_id)
    assert deserialize_message(ours, DiagnosticArray) == expected
    # A few bytes more are padding at the end.
    assert abs(len(ours) - len(serialize_message(expected))) < 4
    assert restamped(write([Status(*s) for s in given_statuses], 0, frame_id), stamp_ns) == ours


def test_a_string_ends_before_its_first_nul() -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.serialization import deserialize_message

    from ros_nodes.status_array import Status, write

    data = write([Status(b"\x00", "a\0b", "", "c", {})], 0)
    status = deserialize_message(data, DiagnosticArray).status[0]
    assert (status.name, status.hardware_id) == ("a", "c")
