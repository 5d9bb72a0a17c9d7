"""`edgeguard coverage` as its users run it."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from edgeguard.cli.app import app
from edgeguard.errors import ParameterError


def told(expected: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(f"monitor_node:\n  ros__parameters:\n    inputs:\n      expected: {expected}\n")
    return path


def test_the_sensors_of_the_parameter_file_decide(tmp_path: Path) -> None:
    params = told(["camera", "detections"], tmp_path)
    camera = CliRunner().invoke(app, ["coverage", "--params", str(params)]).stdout
    every = CliRunner().invoke(app, ["coverage"]).stdout
    assert "lidar_support" in every and "lidar_support" not in camera
    assert "Nothing here sees:" in camera
    assert "invisible to camera and LiDAR at once" in every.replace("\n", " ")


def test_an_unknown_sensor_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["coverage", "--params", str(told(["sonar"], tmp_path))])
    assert isinstance(done.exception, ParameterError) and "sonar" in str(done.exception)
