"""A short simulated drive as a bag, and the smallest matrix over it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgeguard.bench.matrix import Cell, Drive, Role
from edgeguard.sim.bag import write_bag
from edgeguard.sim.scenes import build_scene


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = dataclasses.replace(build_scene("car_following", 2), duration_s=2.5)
    return write_bag(tmp_path_factory.mktemp("bench") / "street", scene)


@pytest.fixture(scope="session")
def cells(bag: Path) -> list[Cell]:
    drive = Drive("street", engine="sim_detector", bag=str(bag))
    return [
        Cell(drive, Role.CLEAN),
        Cell(drive, Role.ATTACK, "freeze", 1.2, 0.8),
        Cell(drive, Role.ATTACK, "overload", 1.2, 0.8),
        Cell(drive, Role.BENIGN, "lidar_drop_out", 0.0),
    ]
