"""A verdict survives its message, and what is no verdict is refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.errors import MessageError
from edgeguard.verdict import Alarm, Cause, Coverage, Level, Subject, SubjectKind, Verdict

pytest.importorskip("diagnostic_msgs")
numbers = st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.6g}"))
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
stamps = st.integers(0, 2**31 * 10**9 - 1)
subjects = st.one_of(
    st.builds(
        Subject,
        kind=st.just(SubjectKind.TRACK),
        id=st.integers(0, 10**6),
        label=texts,
        box=st.tuples(numbers, numbers, numbers, numbers) | st.none(),
    ),
    st.builds(Subject, kind=st.just(SubjectKind.STREAM), id=st.sampled_from(["camera", "lidar"])),
)
alarms = st.builds(
    Alarm,
    check=st.sampled_from(["lidar_support", "stream_integrity"]),
    subject=subjects,
    cause=st.sampled_from(Cause),
    level=st.sampled_from(Level),
    reason=texts,
    measured=st.dictionaries(st.sampled_from(["range_m", "points"]), numbers),
    evidence=numbers,
    threshold=numbers,
    onset_ns=stamps,
)
counts = st.integers(0, 1000)
verdicts = st.builds(
    Verdict,
    stamp_ns=stamps,
    level=st.sampled_from(Level),
    alarms=st.lists(alarms, max_size=3).map(tuple),
    coverage=st.dictionaries(
        st.sampled_from(["lidar_support", "stream_integrity"]),
        st.builds(Coverage, counts, counts, counts, counts),
    ),
    has_image=st.booleans(),
)


INPUTS = {"camera": [0.5, None, 2.0]}


def serialised(verdict: Verdict) -> bytes:
    from ros_nodes.verdict_msg import to_message

    return to_message(verdict, source="/front/monitor_node", frame_id="camera", age_ms=12.5, inputs=INPUTS)


def message(verdict: Verdict):
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.serialization import deserialize_message

    return deserialize_message(serialised(verdict), DiagnosticArray)


@given(verdicts)
def test_a_verdict_survives_the_wire_to_the_byte(verdict: Verdict) -> None:
    from ros_nodes.verdict_msg import from_message

    received = message(verdict)
    assert from_message(received).to_json() == verdict.to_json()
    assert from_message(received) == verdict


def test_what_was_not_measured_stays_so() -> None:
    from ros_nodes.verdict_msg import from_message

    subject = Subject(SubjectKind.STREAM, "camera")
    alarm = Alarm("x", subject, Cause.CLOCK, Level.CAUTION, "", {"age_s": math.nan}, 1.0, 1.0, 0)
    verdict = from_message(message(Verdict(5, Level.CAUTION, (alarm,))))
    assert math.isnan(verdict.alarms[0].measured["age_s"])


def test_one_status_a_check_and_what_could_not_be_observed_is_not_ok() -> None:
    from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
    from rclpy.serialization import deserialize_message

    from ros_nodes.verdict_msg import to_diagnostics

    coverage = {"seen": Coverage(passed=2), "blind": Coverage(unobservable=3), "idle": Coverage()}
    verdict = Verdict(5, Level.NOMINAL, coverage=coverage, stage_ms={"seen": 1.25})
    data = to_diagnostics(verdict, source="/front/monitor_node", now_ns=7, judged=40, lost=2)
    *checks, frames = deserialize_message(data, DiagnosticArray).status
    assert [s.name for s in checks] == ["monitor_node: seen", "monitor_node: blind", "monitor_node: idle"]
    assert [s.level for s in checks] == [DiagnosticStatus.OK, DiagnosticStatus.STALE, DiagnosticStatus.OK]
    assert checks[1].message == "3 unobservable"
    assert {v.key: v.value for v in checks[0].values}["ms"] == "1.250"
    assert all(s.hardware_id == "/front/monitor_node" for s in (*checks, frames))
    assert (frames.name, frames.message) == ("monitor_node: frames", "40 judged, 2 lost")


def test_a_verdict_carries_its_age_its_stages_and_when_its_inputs_came() -> None:
    from ros_nodes.verdict_msg import from_message

    verdict = Verdict(5, Level.NOMINAL, stage_ms={"tracking": 1.25})
    msg = message(verdict)
    told = {v.key: v.value for v in msg.status[0].values}
    assert told["age_ms"] == "12.500"
    assert json.loads(told["inputs_ms"]) == INPUTS
    assert from_message(msg).stage_ms == {"tracking": 1.25}


def no_status(msg) -> None:
    msg.status = []


def other_name(msg) -> None:
    msg.status[0].name = "cpu"


def no_json(msg) -> None:
    msg.status[0].values = []


def broken_json(msg) -> None:
    msg.status[0].values[0].value = '{"schema":'


def other_schema(msg) -> None:
    msg.status[0].values[0].value = '{"schema":"edgeguard/verdict/9"}'


def milder_level(msg) -> None:
    msg.status[0].level = b"\x00"


def other_stamp(msg) -> None:
    msg.header.stamp.sec += 1


def no_list(msg) -> None:
    msg.status[0].values[0].value = "[]"


@pytest.mark.parametrize(
    "spoil",
    [no_status, other_name, no_json, broken_json, other_schema, milder_level, other_stamp, no_list],
)
def test_what_is_no_verdict_is_refused(spoil) -> None:
    from ros_nodes.verdict_msg import from_message

    msg = message(replace(Verdict(10**9, Level.FAIL_SAFE)))
    spoil(msg)
    with pytest.raises(MessageError):
        from_message(msg)


def test_the_first_word_of_a_verdict_is_for_the_fail_safe_alone() -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from rclpy.serialization import deserialize_message

    from ros_nodes.verdict_msg import STOP, from_message, from_summary, to_message
    from ros_nodes.wire import read_summary

    alarm = Alarm("flow", Subject(SubjectKind.TRACK, 1), Cause.CAMERA, Level.FAIL_SAFE, "x", {}, 9.0, 8.0, 1)
    verdict = Verdict(5, Level.FAIL_SAFE, (alarm,))
    data = to_message(verdict, source="/m", frame_id="camera", age_ms=1.0, inputs={}, name=STOP)
    assert from_summary(read_summary(data), whole=False) == verdict
    with pytest.raises(MessageError, match="the first status is not"):
        from_message(deserialize_message(data, DiagnosticArray))
    calm = to_message(Verdict(5, Level.NOMINAL), source="/m", frame_id="", age_ms=1.0, inputs={}, name=STOP)
    with pytest.raises(MessageError, match="does not say FAIL_SAFE"):
        from_summary(read_summary(calm), whole=False)
