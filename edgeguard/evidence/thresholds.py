"""From what clean drives showed to the evidence at which each check alarms.

The CUSUM of a benign check rises from 0 and falls back to it: an excursion. How often excursions reach a
height is a rate per hour, counted where the drives reached it (over the j-th highest of T hours come j in the
next T hours on average, whatever their law) and continued by an exponential tail where they did not, as the
excursions of a random walk with negative drift have (Cramér–Lundberg; Asmussen, Applied Probability and
Queues, ch. XIII). The tail is the predictive one: of m exponential excesses with sum S, the next exceeds x
with probability (1 + x/S)^−m exactly, so that a short calibration pays with higher thresholds. Excursions of
one subject are one witness of the tail's scale, since frames of a track are dependent.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from edgeguard.config import Settings, validate
from edgeguard.errors import ParameterError
from edgeguard.evidence.accumulate import SPARE_SHARE
from edgeguard.locate import data_dir
from edgeguard.rig import CameraModel
from edgeguard.verdict import SubjectKind

FILE = "scores.yaml"
NONE = "none"
_MIN_WITNESSES = 10
"""Fewer excesses than this are taken as this many: the floor on the scale speaks for the missing ones."""

_FLOOR = 0.35
"""Scale of a tail that hardly showed, as a share of what one step may add: 1.75 nats, where Ville's
inequality gives 1 to evidence that is what it claims."""

_NOISY_SHARE = 0.1

_HIGHEST = (10, 20)
"""So many of the highest excursions are also fitted by themselves."""

Key = tuple[str, SubjectKind]


class Tail(Settings):
    """What clean drives showed of one check and kind of subject.

    Heights are in nats of accumulated evidence.
    """

    subjects: int = Field(ge=0, description="tracks, LiDAR objects or streams that were scored")
    told_s: float = Field(ge=0, description="time for which they could be told, all together, s")
    excursions: int = Field(ge=0, description="times that evidence rose from 0")
    level: float = Field(ge=0, description="height from which the tail is fitted")
    above: tuple[float, ...] = Field(description="heights of the excursions above the level, highest first")
    witnesses: int = Field(ge=0, description="subjects among those")
    facts: int = Field(ge=0, description="facts (silence, a clock that ran back) on these drives")

    def rate(self, height: float, hours: float, floor: float) -> float:
        """Return expected excursions per hour that reach a height at or above the level."""
        if self.above and height <= self.above[0]:
            return (1 + sum(peak >= height for peak in self.above)) / hours
        fitted = [
            (len(above) + 1) / hours * (1.0 + (height - level) / (m * _scale(above, level, floor))) ** -m
            for level, above, m in self._fits()
        ]
        return min(max(fitted), 1.0 / hours)

    def threshold(self, rate: float, hours: float, lowest: float, floor: float) -> float:
        """Return the least height, at least `lowest`, that excursions reach at most `rate` times an hour."""
        rank = int(rate * hours + 1e-9)
        if rank >= 1:
            return max(lowest, self.above[rank - 1] + 1e-6 if rank <= len(self.above) else self.level)
        heights = [lowest, self.above[0] + 1e-6 if self.above else self.level]
        for level, above, m in self._fits():
            odds: float = max((len(above) + 1) / hours / rate, 1.0)
            heights.append(level + m * _scale(above, level, floor) * (odds ** (1.0 / m) - 1.0))
        return max(heights)

    def _fits(self) -> Iterator[tuple[float, tuple[float, ...], int]]:
        """Yield level, heights above it and witnesses of the fitted tails, of which the heaviest counts.

        A mixture of very different subjects bends away from one exponential: the few highest excursions then
        ask for more than all together.
        """
        for count in _HIGHEST:
            if count < len(self.above):
                yield self.above[count], self.above[:count], max(min(count, self.witnesses), _MIN_WITNESSES)
        yield self.level, self.above, max(self.witnesses, _MIN_WITNESSES)


def _scale(above: Sequence[float], level: float, floor: float) -> float:
    n = len(above)
    excess = sum(above) - n * level
    return max((excess + max(_MIN_WITNESSES - n, 0) * floor) / max(n, _MIN_WITNESSES), floor)


class Usual(Settings):
    """What one measure of the pictures was on the drives."""

    mean: float
    spread: float = Field(gt=0)


class Drive(Settings):
    """One continuous recording that a calibration saw."""

    name: str
    hours: float = Field(ge=0)
    frames: int = Field(ge=0)


class Camera(Settings):
    """A camera that a calibration saw."""

    width: int
    height: int
    focal_px: float

    @classmethod
    def of(cls, model: CameraModel) -> Camera:
        return cls(width=model.width, height=model.height, focal_px=round(model.focal, 1))

    def fits(self, other: Camera) -> bool:
        """Whether both are the same camera, as far as a calibration minds: focal lengths within 5 %."""
        near = abs(math.log(self.focal_px / other.focal_px)) < 0.05
        return near and (self.width, self.height) == (other.width, other.height)


class Calibration(Settings):
    """The content of `scores.yaml`.

    Attributes:
        general: made to be used on any vehicle until that one has its own: what does not fit falls back to
            the uncalibrated threshold instead of being refused.
        engine: the engine whose detections were scored; None where the recordings held them.
        digests: per check, of the parameters that its scores depend on.
        tails: per check and kind of subject.
        inputs: per measure of `input_distribution`; empty where the drives held no pictures.
    """

    format: Literal["edgeguard/calibration/1"] = "edgeguard/calibration/1"
    made: str
    versions: dict[str, str]
    general: bool = False
    engine: str | None = None
    cameras: tuple[Camera, ...] = ()
    drives: tuple[Drive, ...]
    hours: float = Field(gt=0)
    tracks: int = Field(ge=0)
    lidar_objects: int = Field(ge=0)
    step_s: float
    max_step_evidence: float
    digests: dict[str, str]
    tails: dict[str, dict[SubjectKind, Tail]]
    inputs: dict[str, Usual] = {}

    def thresholds(self, budget: float, checks: Sequence[str]) -> dict[Key, float]:
        """Return the evidence at which each check alarms, so that all of them keep to a budget.

        One height for all, the least at which the rates of all tails add up to the budget: evidence grows
        no faster in one check than in another, so the slowest alarm is then as fast as it can be. A check
        that alone would double that height is noisy: it gets a tenth of the budget and a height of its own.
        The sum bounds the rate of all checks together however they depend on each other.

        Args:
            budget: alarms per hour, all checks together.
            checks: those that run; one without a tail keeps `SPARE_SHARE` of the budget and no threshold
                here.
        """
        floor = _FLOOR * self.max_step_evidence
        known = {(c, k): tail for c in checks for k, tail in self.tails.get(c, {}).items()}
        left = budget * (1.0 - SPARE_SHARE * sum(c not in self.tails for c in checks))
        lowest = 1.1 * self.max_step_evidence  # no single step alarms
        out: dict[Key, float] = {}
        while known:
            height = self._common(list(known.values()), left, lowest, floor)
            noisy = max(known, key=lambda k: known[k].rate(height, self.hours, floor))
            rest = [t for k, t in known.items() if k != noisy]
            share = (1.0 - _NOISY_SHARE) * left
            if not rest or self._common(rest, share, lowest, floor) > height / 2:
                return {**out, **dict.fromkeys(known, height)}
            out[noisy] = known.pop(noisy).threshold(_NOISY_SHARE * left, self.hours, lowest, floor)
            left = share
        return out

    def _common(self, tails: Sequence[Tail], rate: float, lowest: float, floor: float) -> float:
        """Return the least height, at least `lowest`, that all tails together reach `rate` times an hour."""
        low, high = lowest, 2.0 * lowest

        def most(height: float) -> float:
            return sum(t.rate(max(height, t.level), self.hours, floor) for t in tails)

        if most(low) <= rate:
            return low
        while most(high) > rate:
            low, high = high, 2.0 * high
        while high - low > 1e-6:
            middle = (low + high) / 2
            low, high = (middle, high) if most(middle) > rate else (low, middle)
        return high

    def write(self, folder: Path) -> Path:
        """Write `scores.yaml` into a folder, which is made; a file that is there is replaced whole."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE
        text = yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, default_flow_style=None, width=110
        )
        new = path.with_suffix(".new")
        new.write_text(f"# Written by `edgeguard calibrate`; see docs/evidence.md.\n{text}", encoding="utf-8")
        new.replace(path)
        return path

    def misfit(self, camera: CameraModel | None = None, engine: str | None = None) -> str | None:
        """Return why this was not measured with that camera or engine, or None; general ones always fit."""
        if self.general:
            return None
        if camera is not None and self.cameras and not any(Camera.of(camera).fits(c) for c in self.cameras):
            seen = ", ".join(f"{c.width}x{c.height}, f {c.focal_px:g} px" for c in self.cameras)
            this = f"{camera.width}x{camera.height}, f {camera.focal:.1f} px"
            return f"made with another camera ({seen}) than {this}"
        if engine is not None and self.engine is not None and engine != self.engine:
            return f"made with engine {self.engine}, not {engine}"
        return None


def locate(name_or_path: str) -> Path:
    """Return the `scores.yaml` of a calibration: a name under `calibration/`, a folder or the file.

    Raises:
        ParameterError: there is none; names those that there are.
    """
    given = Path(name_or_path)
    for path in (given, given / FILE):
        if path.is_file():
            return path
    folder = data_dir("calibration")
    if (path := folder / name_or_path / FILE).is_file():
        return path
    known = ", ".join(sorted(p.parent.name for p in folder.glob(f"*/{FILE}"))) or "none yet"
    raise ParameterError(
        "calibration",
        [f"calibration = {name_or_path!r}: neither a path nor a name under {folder}. There: {known}, {NONE}"],
    )


def load(name_or_path: str) -> Calibration:
    """Read a calibration.

    Raises:
        ParameterError: there is none, or it is not valid.
    """
    path = locate(name_or_path)
    return _read(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _read(path: Path, mtime_ns: int) -> Calibration:
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise ParameterError(path, [f"cannot be read: {e}"]) from e
    if not isinstance(document, dict):
        raise ParameterError(path, ["is not a calibration: `edgeguard calibrate` writes them"])
    return validate(Calibration, document, path)


def digest(parts: Sequence[Settings]) -> str:
    """Return a short name of what scores depend on."""
    text = json.dumps([p.model_dump(mode="json") for p in parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def select(
    name: str, digests: Mapping[str, str], step_s: float, max_step_evidence: float
) -> Calibration | None:
    """Return the named calibration as far as it was made under these parameters; None for `none`.

    Args:
        name: as for `locate`, or `none`.
        digests: per check that runs, `digest` of its parameters.
        step_s, max_step_evidence: those of the evidence.

    Raises:
        ParameterError: there is none, or it was made under other parameters and is not a general one.
    """
    if name == NONE:
        return None
    made = load(name)
    other = [c for c in made.tails if c in digests and digests[c] != made.digests.get(c)]
    steps = (made.step_s, made.max_step_evidence) != (step_s, max_step_evidence)
    if made.general:
        fits = {c: t for c, t in made.tails.items() if c not in other and not steps}
        return made.model_copy(update={"tails": fits})
    if other or steps:
        changed = ", ".join(other + ["evidence"] * steps)
        raise ParameterError(
            locate(name),
            [f"calibration = {name!r}: made under other parameters of {changed}. Run `edgeguard calibrate` "
             f"again, undo the change, or set calibration: {NONE}"],
        )  # fmt: skip
    return made
