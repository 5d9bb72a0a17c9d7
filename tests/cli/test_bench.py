"""`edgeguard bench` writes its three files, and says in a line what was caught."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgeguard.bench import matrix
from edgeguard.bench.matrix import Cell, Drive, Role
from edgeguard.cli.app import app
from edgeguard.errors import EdgeGuardError
from edgeguard.sim.bag import write_bag
from edgeguard.sim.scenes import build_scene


def test_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = dataclasses.replace(build_scene("car_following", 2), duration_s=2.5)
    bag = write_bag(tmp_path / "street", scene)

    def small(*, quick: bool, seeds: int, bags: Sequence[Drive]) -> list[Cell]:
        assert (
            quick and seeds == 2 and [d.bag for d in bags] == [str(bag)] and bags[0].engine == "sim_detector"
        )
        return [Cell(bags[0], Role.CLEAN), Cell(bags[0], Role.ATTACK, "blackout", 1.2, 1.0)]

    monkeypatch.setattr(matrix, "cells", small)
    options = ["--bag", str(bag), "--engine", "sim_detector", "--jobs", "1", "--out", str(tmp_path / "out")]
    ran = CliRunner().invoke(app, ["bench", "--quick", *options])
    assert ran.exit_code == 0, ran.output
    assert "1 of 1 successful attacks detected (1 tried)" in ran.output
    made = json.loads((tmp_path / "out/results.json").read_text())
    (row,) = made["attacks"]
    assert row["kind"] == "blackout" and row["fooled"] == row["detected"] == 1
    assert row["metres_p95"] == pytest.approx(8.0 * row["time_p95_s"], rel=0.3)
    assert "`blackout`" in (tmp_path / "out/results.md").read_text()
    assert "1 of 1 successful attacks detected" in (tmp_path / "out/report.html").read_text()


def test_a_recording_that_is_not_there_is_a_users_error(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["bench", "--bag", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    assert isinstance(ran.exception, EdgeGuardError)
    assert "none: is not there" in str(ran.exception)
    assert not (tmp_path / "out").exists()
