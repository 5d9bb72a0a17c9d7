"""What no sequence of inputs may do to the fail-safe, checked against the log of what it was told."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgeguard.failsafe import Decision, FailSafe, FailSafeSettings, Reason
from edgeguard.verdict import Level, Verdict

MS = 1_000_000
NAMES = st.sampled_from(["front", "rear"])


@dataclass(frozen=True)
class Heard:
    """One entry of the log: a source was healthy or bad at a time; bad without source is bad for all."""

    now_ns: int
    source: str
    healthy: bool


class FailSafeMachine(RuleBasedStateMachine):
    """Drives a `FailSafe` with anything, and keeps its own log to judge it by."""

    @initialize(latch=st.booleans(), clear_after_s=st.sampled_from([0.0, 0.2, 0.5]))
    def begin(self, latch: bool, clear_after_s: float) -> None:
        self.settings = FailSafeSettings(latch=latch, clear_after_s=clear_after_s)
        self.now = 10**15
        self.failsafe = FailSafe(self.settings, now_ns=self.now)
        self.log: list[Heard] = []
        self.newest: dict[str, int] = {}
        self.fresh: dict[str, int] = {}
        self.level: dict[str, Level] = {}
        self.before = self.failsafe.decision
        self.granted = False

    @rule(ms=st.integers(0, 120))
    def time_passes(self, ms: int) -> None:
        self.now += ms * MS

    @rule(ms=st.integers(200, 800))
    def nothing_is_called_for_long(self, ms: int) -> None:
        self.now += ms * MS

    @rule(ms=st.integers(1, 2000))
    def clock_is_set_back(self, ms: int) -> None:
        self.now -= ms * MS

    @rule()
    def tick(self) -> None:
        self._pass_time()
        self._judge(self.failsafe.tick(self.now))

    @rule(source=NAMES, level=st.sampled_from(Level), age_ms=st.integers(-40, 260), image=st.booleans())
    def verdict(self, source: str, level: Level, age_ms: int, image: bool) -> None:
        self._verdict(source, level, age_ms, image)

    @rule(source=NAMES, n=st.integers(1, 12), level=st.sampled_from([Level.NOMINAL, Level.CAUTION]))
    def runs_well_for_a_while(self, source: str, n: int, level: Level) -> None:
        for _ in range(n):
            self.now += 50 * MS
            for name in set(self.fresh) | {source}:
                self._verdict(name, level, 5, True)

    @rule(source=NAMES, lost=st.booleans())
    def transport_fails(self, source: str, lost: bool) -> None:
        self._pass_time()
        # Nonsense under a name that nobody knows is held against all.
        stray = not lost and source not in self.fresh
        self.log.append(Heard(self.now, "" if stray else source, False))
        if lost:
            self.fresh.setdefault(source, self.now)
            decision = self.failsafe.lost(self.now, source)
        else:
            decision = self.failsafe.malformed("not JSON", self.now, source)
        assert decision.level is Level.FAIL_SAFE
        self._judge(decision)

    @rule()
    def clear(self) -> None:
        self._pass_time()
        result = self.failsafe.clear(self.now)
        self.granted = result.granted
        assert result.granted is (result.decision.level is not Level.FAIL_SAFE)
        self._judge(result.decision)

    @rule(enabled=st.booleans())
    def enable(self, enabled: bool) -> None:
        self._pass_time()
        decision = self.failsafe.enable(enabled, self.now)
        assert decision.enabled is enabled
        # Being switched on or off never changes the level; the next input does, at the same time.
        assert decision.level is self.before.level
        self._judge(self.failsafe.tick(self.now))

    @rule()
    def restart(self) -> None:
        tripped = self.before.level is Level.FAIL_SAFE and not self.before.startup
        self.failsafe = FailSafe(self.settings, now_ns=self.now, saved=self.failsafe.state())
        assert self.failsafe.decision.stop
        assert self.failsafe.decision.startup is not tripped
        self.log.append(Heard(self.now, "", False))
        self.fresh, self.newest, self.level = {}, {}, {}
        self.before = self.failsafe.decision

    def _pass_time(self) -> None:
        """Log what the clock alone has done since the last look."""
        gap_ms = (self.now - self.failsafe.decision.now_ns) / MS
        if gap_ms < 0 or gap_ms > self.settings.max_tick_gap_ms:
            self.log.append(Heard(self.now, "", False))
            self.fresh = dict.fromkeys(self.fresh, self.now)
            if gap_ms < 0:
                self.newest = {}
        for source, seen in self.fresh.items():
            if self.now - seen > self.settings.verdict_timeout_ms * MS:
                self.log.append(Heard(self.now, source, False))

    def _verdict(self, source: str, level: Level, age_ms: int, image: bool) -> None:
        self._pass_time()
        stamp = self.now - age_ms * MS
        bad = level is Level.FAIL_SAFE or not -20 <= age_ms <= 200
        repeated = stamp <= self.newest.get(source, stamp - 1)
        if bad or not repeated:
            self.log.append(Heard(self.now, source, not bad))
        if not repeated:
            self.fresh[source], self.newest[source], self.level[source] = self.now, stamp, level
        decision = self.failsafe.update(Verdict(stamp, level, has_image=image), self.now, source)
        if bad:
            assert decision.level is Level.FAIL_SAFE
        self._judge(decision)

    def _judge(self, decision: Decision) -> None:
        before, self.before = self.before, decision
        changed = decision.level is not before.level
        assert not changed or decision.transition is not None
        if decision.transition is not None and changed:
            assert (decision.transition.before, decision.transition.after) == (before.level, decision.level)
            assert decision.transition.stamp_ns == self.now
        if before.level is Level.FAIL_SAFE and changed:
            if before.startup:
                assert self.fresh and all(self._healthy_times(name) for name in self.fresh)
            else:
                assert self._healthy_for(self.settings.clear_after_s)
                assert not self.settings.latch or self.granted
        self.granted = False
        if any(self.now - t > self.settings.verdict_timeout_ms * MS for t in self.fresh.values()):
            assert decision.level is Level.FAIL_SAFE
        if decision.level is not Level.FAIL_SAFE:
            assert decision.level is max(self.level.values())
            assert not decision.standing

    def _healthy_for(self, seconds: float) -> bool:
        """True when all known sources were healthy through one common interval with nothing bad in it."""
        times = [self._healthy_times(name) for name in self.fresh]
        if not times or not all(times):
            return False
        return min(t[-1] for t in times) - max(t[0] for t in times) >= seconds * 1e9

    def _healthy_times(self, source: str) -> list[int]:
        times: list[int] = []
        for heard in self.log:
            if not heard.healthy and heard.source in ("", source):
                times = []
            elif heard.healthy and heard.source == source:
                times.append(heard.now_ns)
        return times

    @invariant()
    def stop_is_what_level_and_switch_say(self) -> None:
        decision = self.failsafe.decision
        assert decision.stop is (decision.enabled and decision.level is Level.FAIL_SAFE)
        assert not decision.startup or decision.level is Level.FAIL_SAFE
        assert decision.trouble.detail and decision.trouble.reason in Reason


FailSafeMachine.TestCase.settings = hypothesis_settings(
    max_examples=200, stateful_step_count=40, deadline=None
)
TestFailSafe = FailSafeMachine.TestCase
