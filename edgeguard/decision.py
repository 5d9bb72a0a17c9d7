"""What the fail-safe says: reasons, transitions and the decision, with their JSON form.

No NumPy here: the fail-safe process imports this module and must stay small.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from edgeguard.verdict import Level


class Reason(str, Enum):
    """Why the fail-safe is as it is; each transition carries one."""

    STARTUP = "startup"
    VERDICT = "verdict"
    LATE = "late"
    SILENCE = "silence"
    CLOCK = "clock"
    MALFORMED = "malformed"
    HEALTHY = "healthy"
    RECOVERED = "recovered"
    CLEARED = "cleared"
    DISABLED = "disabled"
    ENABLED = "enabled"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A cause that stands: what keeps the fail-safe from recovering.

    Attributes:
        source: the monitor it concerns; empty for all of them.
        reason: its kind.
        detail: one short English clause for people.
    """

    source: str
    reason: Reason
    detail: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.reason.value, self.detail) if part)


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of the decision.

    Attributes:
        stamp_ns: the clock at the change.
        before: level until then.
        after: level from then; equal to `before` where a real trip ends the hold at start-up, and where
            the fail-safe is disabled or enabled.
        trouble: what led to it.
    """

    stamp_ns: int
    before: Level
    after: Level
    trouble: Trouble

    @property
    def trips(self) -> bool:
        """True where the fail-safe tripped; the hold at start-up never appears as a transition."""
        masked = (Reason.DISABLED, Reason.ENABLED)
        return self.after is Level.FAIL_SAFE and self.trouble.reason not in masked

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "stamp_ns": self.stamp_ns,
            "from": self.before.name,
            "to": self.after.name,
            "reason": self.trouble.reason.value,
            "detail": self.trouble.detail,
            "source": self.trouble.source,
        }


class Decision(NamedTuple):
    """What the vehicle is told.

    Attributes:
        now_ns: the clock when it was made.
        level: FAIL_SAFE while tripped, else the worst level of the monitors' last verdicts.
        enabled: False while an operator has switched the fail-safe off.
        trouble: what led to the present level.
        since_ns: the clock when the present level began.
        standing: causes that last; empty when nothing speaks against recovery but time and operator.
        clearable: True when only an operator's clear is missing.
        transition: the change that this input made, if it made one.
    """

    now_ns: int
    level: Level
    enabled: bool
    trouble: Trouble
    since_ns: int
    standing: tuple[Trouble, ...] = ()
    clearable: bool = False
    transition: Transition | None = None

    @property
    def stop(self) -> bool:
        """What goes out on the fail-safe topic: True means stop."""
        return self.enabled and self.level is Level.FAIL_SAFE

    @property
    def startup(self) -> bool:
        """True in the hold at start-up, which a drive's report does not count as FAIL_SAFE."""
        return self.trouble.reason is Reason.STARTUP


@dataclass(frozen=True, slots=True)
class ClearResult:
    """The answer to an operator's clear: whether it was granted, and in words why or why not."""

    granted: bool
    message: str
    decision: Decision
