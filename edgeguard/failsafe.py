"""Verdicts and clock ticks to one decision: a pure state machine over a clock that it is handed.

No NumPy and no pydantic here: the fail-safe process must start at once and stay small.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeguard.decision import ClearResult, Decision, Reason, Transition, Trouble
from edgeguard.errors import EdgeGuardError
from edgeguard.failsafe_settings import FailSafeSettings
from edgeguard.verdict import Level, Verdict

__all__ = ["ClearResult", "Decision", "FailSafe", "FailSafeSettings", "Reason", "Transition", "Trouble"]

STATE_SCHEMA = "edgeguard/failsafe/1"


@dataclass(slots=True)
class _Source:
    """One monitor, as far as it has spoken."""

    trouble: Trouble | None
    seen_ns: int
    stamp_ns: int | None = None
    level: Level = Level.NOMINAL
    healthy_from_ns: int | None = None
    healthy_to_ns: int = 0

    def fail(self, trouble: Trouble) -> None:
        self.trouble, self.healthy_from_ns = trouble, None


class FailSafe:
    """Trips on bad, late, missing or malformed verdicts and on a bad clock; recovers only when it has been
    healthy for long enough and, where it latches, when an operator clears it.

    Starts tripped with reason `startup` until every expected monitor has given a healthy verdict: fresh, and
    below FAIL_SAFE. Verdicts without an image and late ones leave that hold as it is, since sensors come up
    one by one; a FAIL_SAFE verdict on an image ends it with a real trip.

    All times are nanoseconds of one clock, the one that the image stamps are taken with. Not thread-safe.

    Args:
        settings: the budget, time-outs and recovery.
        now_ns: the clock.
        saved: what `state()` gave in an earlier life; a stop that stood then still stands.

    Raises:
        EdgeGuardError: `saved` is not what `state()` gives.
    """

    def __init__(
        self, settings: FailSafeSettings, *, now_ns: int, saved: Mapping[str, object] | None = None
    ) -> None:
        self._settings = settings
        self._sources: dict[str, _Source] = {}
        self._expect(settings, now_ns)
        self._enabled = True
        self._level = Level.FAIL_SAFE
        self._trouble = _restored(saved) or Trouble("", Reason.STARTUP, "no healthy verdict yet")
        self._since_ns = self._now_ns = now_ns
        self._transition: Transition | None = None
        self._stray = Trouble("", Reason.SILENCE, "no monitor has given a verdict yet")

    @property
    def settings(self) -> FailSafeSettings:
        return self._settings

    @property
    def sources(self) -> tuple[str, ...]:
        """The monitors that are expected or have spoken."""
        return tuple(self._sources)

    @property
    def decision(self) -> Decision:
        """The decision as of the last input."""
        return self._decision(self._standing())

    def update(self, verdict: Verdict, now_ns: int, source: str = "monitor") -> Decision:
        """Take a verdict of one monitor.

        A verdict that is not newer than the last of its source proves nothing and keeps no silence away,
        but a FAIL_SAFE in it still trips.
        """
        self._look(now_ns)
        known = self._known(source, now_ns)
        trouble = self._judge(verdict, now_ns, source)
        repeated = known.stamp_ns is not None and verdict.stamp_ns <= known.stamp_ns
        if trouble is not None:
            known.fail(trouble)
        if not repeated:
            known.seen_ns, known.stamp_ns, known.level = now_ns, verdict.stamp_ns, verdict.level
            if trouble is None:
                known.trouble, known.healthy_to_ns = None, now_ns
                if known.healthy_from_ns is None:
                    known.healthy_from_ns = now_ns
        on_image = trouble is not None and trouble.reason is Reason.VERDICT and verdict.has_image
        return self._decide(ends_startup=on_image)

    def malformed(self, problem: str, now_ns: int, source: str = "") -> Decision:
        """Take note that somebody sent something that is no verdict.

        It is held against its sender; where that is no monitor that is known, against every monitor until it
        has spoken again: a name that stands in nonsense is none to wait for.
        """
        if source in self._sources:
            return self._fail(source, Reason.MALFORMED, problem, now_ns)
        self._look(now_ns)
        for name, known in self._sources.items():
            known.fail(Trouble(name, Reason.MALFORMED, f"from {source or 'somebody'}: {problem}"))
        if not self._sources:
            self._stray = Trouble(source, Reason.MALFORMED, problem)
        return self._decide()

    def lost(self, now_ns: int, source: str | None = None) -> Decision:
        """Take note that the transport holds a monitor for dead; its silence need not be waited for.

        Where the transport does not say which, it is the one that has been silent for longest.
        """
        if source is None:
            if not self._sources:
                return self.tick(now_ns)
            source = min(self._sources, key=lambda name: self._sources[name].seen_ns)
        return self._fail(source, Reason.SILENCE, "its process is gone or stopped", now_ns)

    def tick(self, now_ns: int) -> Decision:
        """Look at the clock. Call at 20 Hz or more: silence trips at the first tick past its time-out."""
        self._look(now_ns)
        return self._decide()

    def clear(self, now_ns: int) -> ClearResult:
        """Try to clear a latched stop for an operator; refused while its cause lasts."""
        self._look(now_ns)
        decision = self._decide()
        if self._level is not Level.FAIL_SAFE:
            return ClearResult(True, "nothing to clear: not tripped", decision)
        if standing := self._standing():
            causes = "; ".join(str(t) for t in standing)
            return ClearResult(False, f"refused: the cause lasts ({causes})", decision)
        if not self._healed():
            remaining = f"{self._settings.clear_after_s:g} s of healthy verdicts are not complete"
            return ClearResult(False, f"refused: {remaining} (tripped by {self._trouble})", decision)
        self._move(self._worst(), Trouble("", Reason.CLEARED, f"by an operator, after {self._trouble}"))
        return ClearResult(True, "cleared", self.decision)

    def enable(self, enabled: bool, now_ns: int) -> Decision:
        """Switch the output on or off; off, the state runs on, so that a stop is not lost by it."""
        self._look(now_ns)
        if enabled is not self._enabled:
            self._enabled = enabled
            trouble = Trouble("", Reason.ENABLED if enabled else Reason.DISABLED, "by an operator")
            self._transition = Transition(now_ns, self._level, self._level, trouble)
        return self.decision

    def apply(self, settings: FailSafeSettings, now_ns: int) -> Decision:
        """Go on with other settings; a monitor newly expected must speak before a stop is left."""
        self._look(now_ns)
        self._settings = settings
        self._expect(settings, now_ns)
        return self._decide()

    def state(self) -> dict[str, object]:
        """Return what must survive a restart, ready for JSON."""
        tripped = self._level is Level.FAIL_SAFE and self._trouble.reason is not Reason.STARTUP
        state: dict[str, object] = {"schema": STATE_SCHEMA, "tripped": tripped}
        if tripped:
            trouble = self._trouble
            state |= {"source": trouble.source, "reason": trouble.reason.value, "detail": trouble.detail}
        return state

    def _look(self, now_ns: int) -> None:
        """Judge the clock itself, and who has been silent on it."""
        self._transition = None
        gap_ns = now_ns - self._now_ns
        self._now_ns = now_ns
        limit_ms = self._settings.verdict_timeout_ms
        for name, source in self._sources.items():
            if gap_ns < 0:
                detail = f"the clock ran back by {-gap_ns / 1e9:.3f} s"
                source.fail(Trouble(name, Reason.CLOCK, detail))
                source.seen_ns, source.stamp_ns = now_ns, None
            elif gap_ns > self._settings.max_tick_gap_ms * 1e6:
                detail = f"the clock jumped, or ticks were missed, for {gap_ns / 1e9:.3f} s"
                source.fail(Trouble(name, Reason.CLOCK, detail))
                source.seen_ns = now_ns
            elif source.trouble is None and now_ns - source.seen_ns > limit_ms * 1e6:
                source.fail(Trouble(name, Reason.SILENCE, f"no verdict for more than {limit_ms:g} ms"))

    def _judge(self, verdict: Verdict, now_ns: int, source: str) -> Trouble | None:
        age_ms = (now_ns - verdict.stamp_ns) / 1e6
        if verdict.level is Level.FAIL_SAFE:
            worst = verdict.alarms[0] if verdict.alarms else None
            return Trouble(
                source, Reason.VERDICT, f"{worst.check}: {worst.reason}" if worst else "no alarm named"
            )
        if age_ms > self._settings.latency_budget_ms:
            budget = f"the budget is {self._settings.latency_budget_ms:g} ms"
            return Trouble(source, Reason.LATE, f"verdict {age_ms:.0f} ms after its image; {budget}")
        if age_ms < -self._settings.clock_tolerance_ms:
            return Trouble(source, Reason.CLOCK, f"image stamp {-age_ms:.0f} ms in the future")
        return None

    def _fail(self, source: str, reason: Reason, detail: str, now_ns: int) -> Decision:
        self._look(now_ns)
        self._known(source, now_ns).fail(Trouble(source, reason, detail))
        return self._decide()

    def _known(self, source: str, now_ns: int) -> _Source:
        return self._sources.setdefault(source, _Source(None, now_ns))

    def _expect(self, settings: FailSafeSettings, now_ns: int) -> None:
        for name in settings.sources:
            unheard = Trouble(name, Reason.SILENCE, "has not given a verdict yet")
            self._sources.setdefault(name, _Source(unheard, now_ns))

    def _standing(self) -> tuple[Trouble, ...]:
        if not self._sources:
            return (self._stray,)
        return tuple([s.trouble for s in self._sources.values() if s.trouble is not None])

    def _decision(self, standing: tuple[Trouble, ...]) -> Decision:
        return Decision(
            now_ns=self._now_ns,
            level=self._level,
            enabled=self._enabled,
            trouble=self._trouble,
            since_ns=self._since_ns,
            standing=standing,
            clearable=self._level is Level.FAIL_SAFE and self._settings.latch and self._healed(),
            transition=self._transition,
        )

    def _worst(self) -> Level:
        return max([s.level for s in self._sources.values()])

    def _healed(self) -> bool:
        """True when every monitor has been healthy, by its verdicts, through one common interval."""
        if self._standing():
            return False
        begins = [s.healthy_from_ns for s in self._sources.values() if s.healthy_from_ns is not None]
        if len(begins) < len(self._sources):
            return False
        ends = min(s.healthy_to_ns for s in self._sources.values())
        return ends - max(begins) >= self._settings.clear_after_s * 1e9

    def _decide(self, *, ends_startup: bool = False) -> Decision:
        standing = self._standing()
        starting = self._trouble.reason is Reason.STARTUP
        if self._level is not Level.FAIL_SAFE:
            if standing:
                self._move(Level.FAIL_SAFE, standing[0])
            elif (worst := self._worst()) is not self._level:
                self._move(worst, Trouble("", Reason.VERDICT, f"monitors ask for {worst.name}"))
        elif starting:
            if ends_startup:
                self._move(Level.FAIL_SAFE, next(t for t in standing if t.reason is Reason.VERDICT))
            elif not standing:
                self._move(self._worst(), Trouble("", Reason.HEALTHY, "first healthy verdict"))
        elif not self._settings.latch and self._healed():
            after = f"healthy for {self._settings.clear_after_s:g} s after {self._trouble}"
            self._move(self._worst(), Trouble("", Reason.RECOVERED, after))
        return self._decision(standing)

    def _move(self, level: Level, trouble: Trouble) -> None:
        self._transition = Transition(self._now_ns, self._level, level, trouble)
        self._level, self._trouble, self._since_ns = level, trouble, self._now_ns


def _restored(saved: Mapping[str, object] | None) -> Trouble | None:
    if saved is None:
        return None
    try:
        if saved["schema"] != STATE_SCHEMA or not isinstance(saved["tripped"], bool):
            raise ValueError("unknown schema")
        if not saved["tripped"]:
            return None
        return Trouble(str(saved["source"]), Reason(saved["reason"]), str(saved["detail"]))
    except (KeyError, ValueError, TypeError) as e:
        raise EdgeGuardError(f"saved fail-safe state is not valid ({e!r}); delete it to start afresh") from e
