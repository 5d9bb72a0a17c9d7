"""Which check can see which attack with the sensors fitted: read from the checks, not typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeguard.checks import Check
from edgeguard.redteam.catalogue import CATALOGUE, Threat
from edgeguard.types import Channel

FITS: dict[str, frozenset[Channel]] = {
    "camera": frozenset({Channel.CAMERA, Channel.DETECTIONS}),
    "camera and LiDAR": frozenset({Channel.CAMERA, Channel.DETECTIONS, Channel.LIDAR}),
    "camera, LiDAR and its detections": frozenset(Channel) - {Channel.RADAR, Channel.EGO},
    "camera, LiDAR, radar and odometry": frozenset(Channel) - {Channel.LIDAR_DETECTIONS},
}
"""Sensor sets that the documentation shows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One attack, and the checks that can see it with what is fitted."""

    threat: Threat
    checks: tuple[str, ...]


def rows(checks: Sequence[Check], fitted: frozenset[Channel]) -> list[Row]:
    """Return a row for each attack that exists against these sensors.

    A check counts where it declares the attack in `sees`, its `needs` are fitted, and, where it needs one of
    several (`needs_any`), one of them is.
    """
    out = []
    for threat in CATALOGUE:
        if threat.on & fitted:
            able = [c.name for c in checks if threat.name in _sees(c) and _works(c, fitted)]
            out.append(Row(threat, tuple(able)))
    return out


def markdown(checks: Sequence[Check]) -> str:
    """Return the matrix as the documentation shows it."""
    lines = [
        "# Coverage",
        "",
        "Which check can see which attack, by the sensors fitted. Written by `edgeguard coverage --markdown` "
        "from what the checks declare; a test holds both equal. That a check can see an attack does not say "
        "how often it does: [evidence.md](evidence.md) has what was measured. Checks of one row overlap: for "
        "every check `tests/checks` holds an attack that, of the whole monitor, it alone tells.",
        "",
    ]
    for name, fitted in FITS.items():
        lines += [f"## {name[0].upper()}{name[1:]}", "", "| attack | seen by |", "|---|---|"]
        table = rows(checks, fitted)
        for row in table:
            seen = ", ".join(f"`{c}`" for c in row.checks) or "**nothing**"
            lines.append(f"| `{row.threat.name}`: {row.threat.what} | {seen} |")
        lines += ["", f"Nothing here sees: {blind_spots(table)}.", ""]
    return "\n".join(lines)


def blind_spots(table: Sequence[Row]) -> str:
    """Name what no check sees."""
    names = [row.threat.what for row in table if not row.checks]
    return "; ".join(names) or "none of the catalogue; what is not in it, nobody looked for"


def _sees(check: Check) -> frozenset[str]:
    declared: frozenset[str] = getattr(check, "sees", frozenset())
    if unknown := declared - {t.name for t in CATALOGUE}:
        raise ValueError(f"{check.name}.sees: not in the catalogue: {', '.join(sorted(unknown))}")
    return declared


def _works(check: Check, fitted: frozenset[Channel]) -> bool:
    needs: frozenset[Channel] = getattr(check, "needs", frozenset())
    needs_any: frozenset[Channel] = getattr(check, "needs_any", frozenset())
    return needs <= fitted and (not needs_any or bool(needs_any & fitted))
