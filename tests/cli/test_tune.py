"""`edgeguard tune` as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from edgeguard.cli.app import app
from edgeguard.errors import EdgeGuardError

NAME = "kitti_0012"


def test_labelled_attacks_are_drawn_against_alarms(shared: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    entry = {"bag": NAME, "kind": "imagined", "onset_ns": 0, "end_ns": 1}
    labels.write_text(json.dumps(entry) + "\n")
    bag = shared / "data/kitti_tracking" / NAME
    args = ["tune", str(bag), "--labels", str(labels), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out/tune.json").read_text())
    assert told["attacks"] == {"imagined": 1} and told["drives"] == [NAME]
    rates = [p["alarms_per_hour"] for p in told["evidence"]]
    assert rates == sorted(rates), "a larger budget never alarms less"
    assert all(p["in_time"] == {"imagined": 0.0} for p in told["evidence"]), "nothing happened there"
    assert [p["knob"] for p in told["debounce"]] == list(range(1, 16))
    assert "plotly" in (tmp_path / "out/tune.html").read_text()[:20000].lower()


def test_attacks_must_be_given_or_made(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["tune", str(tmp_path)])
    assert isinstance(done.exception, EdgeGuardError) and "--inject" in str(done.exception)


def test_labels_of_a_recording_that_is_not_given_are_refused(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"bag": "other", "kind": "hide", "onset_ns": 0, "end_ns": 1}\n')
    done = CliRunner().invoke(app, ["tune", str(tmp_path), "--labels", str(labels)])
    assert isinstance(done.exception, EdgeGuardError) and "other" in str(done.exception)
