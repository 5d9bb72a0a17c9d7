"""What the fail-safe can be told: light and validated without pydantic, which its process does not load."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeguard.errors import ParameterError


def _number(default: float, low: float, high: float, description: str) -> Any:
    return field(default=default, metadata={"low": low, "high": high, "description": description})


@dataclass(frozen=True, slots=True)
class FailSafeSettings:
    """Parameters of the fail-safe; each field's metadata holds its bounds and description.

    Raises:
        ParameterError: a value is of the wrong type or out of its bounds.
    """

    latency_budget_ms: float = _number(
        200.0, 1.0, 10_000.0, "Longest time from an image's header stamp to its verdict's arrival, ms."
    )
    verdict_timeout_ms: float = _number(
        250.0,
        10.0,
        10_000.0,
        "Longest silence of a monitor, ms; above the camera's period, and above two of"
        " them where a single lost image must not stop the vehicle.",
    )
    max_tick_gap_ms: float = _number(
        500.0,
        50.0,
        10_000.0,
        "Longest time between two looks at the clock, ms; more is a jump of the clock or a starved process.",
    )
    clock_tolerance_ms: float = _number(
        20.0, 0.0, 1_000.0, "How far an image stamp may lie in the future, ms: the sensors' synchronisation."
    )
    clear_after_s: float = _number(
        2.0, 0.0, 3_600.0, "Uninterrupted healthy verdicts before a stop is left, s."
    )
    latch: bool = field(
        default=False, metadata={"description": "A stop is left only after an operator's clear as well."}
    )
    sources: tuple[str, ...] = field(
        default=(),
        metadata={
            "description": "Monitors that must all speak before start-up ends; others count once heard."
        },
    )
    state_file: str = field(
        default="",
        metadata={"description": "File that keeps a stop over a restart; empty keeps none."},
    )

    def __post_init__(self) -> None:
        if problems := [p for f in dataclasses.fields(self) if (p := _problem(f, getattr(self, f.name)))]:
            raise ParameterError("fail-safe", problems)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str | Path) -> FailSafeSettings:
        """Return settings with `values` over the defaults.

        Raises:
            ParameterError: names every wrong key with its value and bound, and for an unknown key the
                nearest known one.
        """
        return cls().updated(values, where)

    def updated(self, changes: Mapping[str, Any], where: str | Path) -> FailSafeSettings:
        """Return the settings with some values changed, all validated together.

        Raises:
            ParameterError: as `from_mapping`; nothing is changed.
        """
        known = {f.name: f for f in dataclasses.fields(self)}
        problems = []
        accepted: dict[str, Any] = {}
        for key, value in changes.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)[0]
                problems.append(f"{key}: unknown key; did you mean {near}?")
            elif problem := _problem(known[key], value):
                problems.append(problem)
            else:
                # ROS 2 knows no empty list: [""] stands for it.
                accepted[key] = tuple(v for v in value if v) if key == "sources" else value
        if problems:
            raise ParameterError(where, problems)
        return dataclasses.replace(self, **accepted)


def _problem(known: dataclasses.Field[Any], value: Any) -> str | None:
    said = f"{known.name} = {value!r}"
    if known.name == "sources":
        texts = isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value)
        return None if texts else f"{said}: expected a list of monitors' names"
    if isinstance(known.default, str):
        return None if isinstance(value, str) else f"{said}: expected a path"
    if isinstance(known.default, bool):
        return None if isinstance(value, bool) else f"{said}: expected true or false"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return f"{said}: expected a finite number"
    low, high = known.metadata["low"], known.metadata["high"]
    return None if low <= value <= high else f"{said}: expected {low:g} to {high:g}"
