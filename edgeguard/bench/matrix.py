"""What the benchmark runs: drives, and on each the clean replay, every attack and every benign stress."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from edgeguard.errors import EdgeGuardError
from edgeguard.redteam.base import parts
from edgeguard.redteam.registry import KINDS, STRESS
from edgeguard.types import Channel

DURATION_S = 7.0
ONSET_S = 3.0
"""Long enough for the monitor to settle."""
WINDOW_S = 2.5
WINDOWS_S = {"decalibrate": 3.5}
"""Attacks that take their time."""
QUICK_SCENES = ("car_following", "crossing_person")
QUICK_STRESS_SCENES = ("car_following",)
BENIGN_SCENES = ("crowd", "cut_in", "billboard")
"""Driven as they are: what happens in them is the stress."""
SEEDS = (101, 102)
"""The world's. Training takes from 1000 up, its own judging 900 to 905; nothing is calibrated."""
SIM_ENGINE, REAL_ENGINE = "sim_detector", "yolox_nano"
BACKDOORED = {("trigger", SIM_ENGINE): "sim_detector_backdoored"}
"""Engines that an attack needs in the place of a drive's own."""


class Role(str, Enum):
    """What a cell is for."""

    CLEAN = "clean"
    ATTACK = "attack"
    BENIGN = "benign"


@dataclass(frozen=True, slots=True)
class Drive:
    """A recording: one of the simulated world, or a bag.

    Attributes:
        name: unique in the matrix, fit for a file's name.
        engine: what detects on its images.
        scene, seed: of the simulated world; None and 0 for a bag.
        bag: path of a recording; None for the simulated world.
    """

    name: str
    engine: str = SIM_ENGINE
    scene: str | None = None
    seed: int = 0
    bag: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One replay.

    Attributes:
        drive: on which recording.
        role: what it is for.
        kind: attack or stress; None for the drive as it is.
        start_s, duration_s: the attack's window; None leaves `attack_bag` its default.
        seed: of all that is random in it.
    """

    drive: Drive
    role: Role
    kind: str | None = None
    start_s: float | None = None
    duration_s: float | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        """Unique in the matrix, fit for a file's name."""
        return f"{self.drive.name}.{self.kind or 'clean'}"

    @property
    def engine(self) -> str:
        """What detects on its images."""
        return BACKDOORED.get((self.kind or "", self.drive.engine), self.drive.engine)

    @property
    def recorded_detections(self) -> bool:
        """Whether the replay takes the recorded detections: where they are altered, or no picture is.

        Simulated drives hold those of their engine; a recording's own may be any other's.
        """
        sensors = {p.sensor for p in parts({**KINDS, **STRESS}[self.kind]())} if self.kind else set()
        return Channel.DETECTIONS in sensors or (
            self.drive.scene is not None and Channel.CAMERA not in sensors
        )

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def simulated(scene: str, seed: int) -> Drive:
    """Return a drive through the simulated world."""
    return Drive(f"{scene}-{seed}", scene=scene, seed=seed)


def real(bag: Path, engine: str = REAL_ENGINE) -> Drive:
    """Return a drive of a recording.

    Raises:
        EdgeGuardError: it is not there.
    """
    if not bag.exists():
        raise EdgeGuardError(f"{bag}: is not there. Name a rosbag2 folder or file")
    return Drive(bag.resolve().name.removesuffix(".mcap"), engine=engine, bag=str(bag))


def cells(*, quick: bool, seeds: int = len(SEEDS), bags: Sequence[Drive] = ()) -> list[Cell]:
    """Return the matrix; the same arguments give the same cells in the same order.

    Args:
        quick: two scenes of one seed, stress on one of them; else every scene of every seed. Benign scenes,
            of those seeds, are in both.
        seeds: of every scene, so many of `SEEDS`.
        bags: recordings beside the simulated drives.
    """
    from edgeguard.sim.scenes import SCENES

    scenes = QUICK_SCENES if quick else tuple(sorted(set(SCENES) - set(BENIGN_SCENES)))
    chosen = SEEDS[: 1 if quick else seeds]
    drives = [simulated(scene, seed) for seed in chosen for scene in scenes]
    drives += bags
    stressed = [d for d in drives if not quick or d.scene is None or d.scene in QUICK_STRESS_SCENES]
    out = [Cell(drive, Role.CLEAN) for drive in drives]
    for drive in drives:
        out += _attacks(drive)
    out += [Cell(drive, Role.BENIGN, kind, 0.0, None, drive.seed) for drive in stressed for kind in STRESS]
    out += [Cell(simulated(scene, seed), Role.BENIGN) for seed in chosen for scene in BENIGN_SCENES]
    return out


def _attacks(drive: Drive) -> Iterator[Cell]:
    for kind in KINDS:
        if drive.scene is None:
            yield Cell(drive, Role.ATTACK, kind)
        else:
            yield Cell(drive, Role.ATTACK, kind, ONSET_S, WINDOWS_S.get(kind, WINDOW_S), drive.seed)
