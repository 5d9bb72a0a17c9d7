"""A short simulated drive that all attacks are tried on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgeguard.sim.bag import write_bag
from edgeguard.sim.scenes import build_scene


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = dataclasses.replace(build_scene("car_following", 2), duration_s=1.5)
    return write_bag(tmp_path_factory.mktemp("drive") / "clean", scene)
