"""`edgeguard calibrate` as its users run it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeguard.cli.app import app
from edgeguard.errors import EdgeGuardError
from edgeguard.evidence.thresholds import load

DRIVES = ("kitti_0012", "kitti_0014")


def test_clean_drives_become_a_calibration_and_words(shared: Path, tmp_path: Path) -> None:
    bags = [str(shared / "data/kitti_tracking" / name) for name in DRIVES]
    done = CliRunner().invoke(app, ["calibrate", *bags, "--out", str(tmp_path / "car")])
    assert done.exit_code == 0, done.output
    made = load(str(tmp_path / "car"))
    assert [d.name for d in made.drives] == list(DRIVES)
    assert made.hours == pytest.approx(184 * 0.1 / 3600, rel=0.01)
    assert made.tracks > 10 and "object_agreement" in made.tails
    assert not made.general and made.cameras
    assert "NOT certified" in done.stdout, "eighteen seconds certify nothing"
    assert "patch_saliency" in done.stdout.split("stay uncalibrated:")[1], "what could tell nothing is named"


def test_a_recording_without_detections_is_refused_with_the_remedy(shared: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["calibrate", str(shared / "data/kitti_a"), "--out", str(tmp_path / "x")])
    assert isinstance(done.exception, EdgeGuardError) and "--engine" in str(done.exception)
    assert not (tmp_path / "x").exists()
