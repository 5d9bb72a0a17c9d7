"""A monitor that is put down and taken up again goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest

from edgeguard import snapshot
from edgeguard.config import updated
from edgeguard.errors import EdgeGuardError
from edgeguard.monitor import Monitor, MonitorSettings
from tests.test_monitor import SETTINGS, lost_by_the_camera


class Looks:
    """An engine that sees nothing, and cannot be copied."""

    name = "looks"

    def __reduce__(self) -> str:
        raise TypeError("an engine is not data")


def taken_after(frames: int) -> tuple[Monitor, bytes, list]:
    """A monitor that has seen some frames, what it knew then, and the frames to come."""
    monitor, drive = Monitor(SETTINGS, observer=lambda *_: None), list(lost_by_the_camera())
    for frame in drive[:frames]:
        monitor.step(frame)
    return monitor, snapshot.dump(monitor, drive[frames - 1].stamp_ns), drive[frames:]


def test_what_is_taken_up_goes_on_to_the_byte() -> None:
    monitor, data, to_come = taken_after(15)
    again = snapshot.restore(data, Monitor(SETTINGS))
    verdicts = [(monitor.step(f).to_json(), again.step(f).to_json()) for f in to_come]
    assert all(a == b for a, b in verdicts)
    assert "FAIL_SAFE" in verdicts[-1][0]
    fresh = Monitor(SETTINGS)
    assert [fresh.step(f).to_json() for f in to_come] != [a for a, _ in verdicts]


def test_rows_that_are_held_by_name_stay_rows_of_their_table() -> None:
    monitor = Monitor(SETTINGS)
    monitor.table = np.zeros((3, 50))  # As habits are kept: a table, and names for its rows.
    monitor.row, monitor.part = monitor.table[1], monitor.table[:, 7:9]
    again = snapshot.restore(snapshot.dump(monitor, 1), Monitor(SETTINGS))
    again.table[1, 7] = 5.0
    assert (again.row[7], again.part[1, 0]) == (5.0, 5.0)
    assert not monitor.table.any()


def test_it_is_used_by_the_same_code_and_settings_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor, data, to_come = taken_after(15)
    assert snapshot.stamp_ns(data, Monitor(SETTINGS)) < to_come[0].stamp_ns
    other = Monitor(updated(SETTINGS, {"evidence.false_alarms_per_hour": 2.0}, "test"))
    assert snapshot.stamp_ns(data, other) is None
    monkeypatch.setattr(snapshot, "_code", lambda: "another")
    assert snapshot.stamp_ns(data, monitor) is None


def test_settings_engines_and_observer_stay_behind() -> None:
    class More(MonitorSettings):
        """As a node's are."""

    monitor = Monitor(More(calibration="none"), engine=Looks())
    other = Looks()
    assert snapshot.restore(snapshot.dump(monitor, 1), Monitor(SETTINGS, engine=other)).outside == {
        "observer": None,
        "engine": other,
        "second_engine": None,
    }


def test_what_cannot_be_put_into_bytes_is_one_clear_error() -> None:
    monitor = Monitor(SETTINGS)
    monitor._builder.looks = Looks()
    with pytest.raises(EdgeGuardError, match="cannot be recorded: TypeError: an engine is not data"):
        snapshot.dump(monitor, 1)


class Harm:
    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(Harm()),
        pickle.dumps(os.path.join),
        b"cedgeguard.scene\nnp.save\n.",
        b"\x80\x04\x8c\x0fedgeguard.scene\x8c\x07np.save\x93.",
        b"\x80\x04\x8c\x11edgeguard.monitor\x8c\x0copen_engines\x93.",
        b"\x80\x04\x8c\x10edgeguard.replay\x8c\x06replay\x93.",
        pickle.dumps({"plain": 1}),
        b"",
        b"nonsense",
    ],
)
def test_what_no_monitor_consists_of_is_refused(content: bytes) -> None:
    head = json.dumps({"schema": snapshot.SCHEMA, "by": "x", "stamp_ns": 1}).encode() + b"\n"
    with pytest.raises(EdgeGuardError, match="snapshot cannot be read"):
        snapshot.restore(head + content, Monitor(SETTINGS))


@pytest.mark.parametrize("data", [b"", b"{}", b"{}\n", b'{"schema": "edgeguard/snapshot/9"}\n', b"\xff\n"])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(EdgeGuardError, match="snapshot cannot be read"):
        snapshot.stamp_ns(data, Monitor(SETTINGS))
