"""The matrix of the documentation is what the checks declare, and what they declare is what they do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeguard.calibrate import coverage, trade
from edgeguard.calibrate.drive import frames
from edgeguard.checks import CheckSettings, make_checks
from edgeguard.monitor import MonitorSettings
from edgeguard.redteam.catalogue import CATALOGUE
from edgeguard.redteam.objects import KINDS, plan
from edgeguard.redteam.registry import KINDS as RECORDED
from edgeguard.types import Channel

ROOT = Path(__file__).resolve().parents[2]
CHECKS = make_checks(CheckSettings())
ALL = frozenset(Channel)


def test_the_documentation_shows_what_the_checks_declare() -> None:
    shown = (ROOT / "docs/coverage.md").read_text()
    assert shown == coverage.markdown(CHECKS), "run: edgeguard coverage --markdown > docs/coverage.md"


def test_every_attack_that_can_be_made_is_in_the_catalogue_once() -> None:
    made = [kind for threat in CATALOGUE for kind in threat.made_by]
    assert set(made) == {*KINDS, *RECORDED}
    assert len(made) == len(set(made))


def test_an_object_invisible_to_camera_and_lidar_is_named_as_seen_by_nothing() -> None:
    table = coverage.rows(CHECKS, ALL)
    assert "invisible to camera and LiDAR at once" in coverage.blind_spots(table)


def test_fewer_sensors_never_see_more() -> None:
    every = {r.threat.name: set(r.checks) for r in coverage.rows(CHECKS, ALL)}
    for fitted in coverage.FITS.values():
        for row in coverage.rows(CHECKS, fitted):
            assert set(row.checks) <= every[row.threat.name]
    camera = {r.threat.name: r.checks for r in coverage.rows(CHECKS, coverage.FITS["camera"])}
    assert "object_agreement" not in camera["hide"]
    assert "lidar_ghost" not in camera


def test_declared_is_measured(shared: Path) -> None:
    """On a real drive each attack rouses a check that declares it, and none that does not."""
    settings = MonitorSettings()
    name = "kitti_0010"
    drive = list(frames(shared / "data/kitti_tracking" / name))
    declares = {c.name: getattr(c, "sees", frozenset()) for c in CHECKS}
    for kind in KINDS:
        threat = next(t.name for t in CATALOGUE if kind in t.made_by)
        roused: dict[str, float] = {}
        for attack in plan(drive, kind, 2, np.random.default_rng(0)):
            for rise in trade.inject(drive, name, attack, settings).rises:
                if rise.before <= 0 and rise.key[0] != "debounce":
                    roused[rise.key[0]] = max(roused.get(rise.key[0], 0.0), float(rise.evidence.max()))
        assert any(threat in declares[c] and h > 10 for c, h in roused.items()), (kind, roused)
        surprise = {c: h for c, h in roused.items() if threat not in declares[c] and h > 15}
        assert not surprise, f"{kind} rouses checks that do not declare {threat}: {surprise}"
