"""A short simulated drive that all attacks are tried on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from edgeguard.bags import BagReader
from edgeguard.redteam import KINDS
from edgeguard.redteam.base import parts
from edgeguard.redteam.gradient import GRADIENT
from edgeguard.sim.bag import write_bag
from edgeguard.sim.scenes import build_scene
from tests.sim.stand_in import SimDetector


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = dataclasses.replace(build_scene("car_following", 2), duration_s=1.5)
    return write_bag(tmp_path_factory.mktemp("drive") / "clean", scene, detector=SimDetector())


@pytest.fixture(scope="session")
def kinds(drive: Path) -> list[str]:
    """The attacks on sensors that the drive has, those apart that are made for one network."""
    made_for_one = {attack.kind for attack in GRADIENT}
    with BagReader(drive) as reader:
        fitted = [k for k, make in KINDS.items() if all(p.sensor in reader.topics for p in parts(make()))]
    return [k for k in fitted if k not in made_for_one]
