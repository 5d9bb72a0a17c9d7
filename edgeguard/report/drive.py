"""What is kept of a drive while it runs: a few numbers a frame, and the alarms joined to episodes."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeguard.decision import Decision, Transition
from edgeguard.report.pictures import Picture, take_picture
from edgeguard.types import Frame
from edgeguard.verdict import Alarm, Level, Outcome, Verdict

EPISODE_GAP_NS = 500_000_000
"""An alarm that returns within this time on the drive's clock goes on with its episode."""

MAX_PICTURES = 16
MAX_PICTURES_PER_CHECK = 4

_OUTCOMES = _PASS, _FAIL, _UNOBSERVABLE, _SKIPPED = tuple(outcome.value for outcome in Outcome)


@dataclass(slots=True)
class Episode:
    """One check's alarm on one subject, from its first frame to its last.

    Attributes:
        first: the alarm as it was first raised.
        worst: the alarm at its highest evidence over threshold.
        level: the worst level that it asked for.
        first_stamp_ns: header stamp of the first frame with the alarm; the last one's beside it.
        first_now_ns: the drive's clock at that frame; the last one's beside it.
        frames: verdicts that held the alarm.
        times_ns: the clock of each of them.
        ratios: evidence over threshold of each of them.
        picture: the camera image at the first frame, where one was kept.
    """

    first: Alarm
    worst: Alarm
    level: Level
    first_stamp_ns: int
    last_stamp_ns: int
    first_now_ns: int
    last_now_ns: int
    frames: int = 0
    times_ns: array[int] = field(default_factory=lambda: array("q"))
    ratios: array[float] = field(default_factory=lambda: array("d"))
    picture: Picture | None = None

    def extend(self, alarm: Alarm, stamp_ns: int, now_ns: int) -> None:
        """Add one more frame's alarm."""
        if ratio(alarm) > ratio(self.worst):
            self.worst = alarm
        self.level = max(self.level, alarm.level)
        self.last_stamp_ns, self.last_now_ns = stamp_ns, now_ns
        self.frames += 1
        self.times_ns.append(now_ns)
        self.ratios.append(ratio(alarm))


def ratio(alarm: Alarm) -> float:
    """Return the evidence in units of its threshold; 1 where there is no threshold to speak of."""
    return alarm.evidence / alarm.threshold if alarm.threshold > 0 else 1.0


class DriveRecord:
    """Collects a drive, verdict by verdict. Memory grows by some 100 bytes a frame, not with its content.

    Attributes:
        episodes: alarms in the order in which they were raised.
        transitions: changes of the fail-safe's decision.
        alarm_frames: per check, verdicts that held an alarm of it.
        level_frames: verdicts per level that the vehicle was in, by name. In the hold at start-up the
            verdict's own level counts.
        coverage: per check, subjects per outcome.
        now_ns: the drive's clock at each verdict.
        verdict_level: what each verdict asked for.
        level: what the fail-safe made of it.
        stage_ms: per stage, wall time on each frame that had it.
        frames: verdicts on camera frames.
        ticks: verdicts given because the camera was silent.
        left_startup: whether any verdict was healthy enough to end the hold at start-up.
    """

    def __init__(self) -> None:
        self.episodes: list[Episode] = []
        self.transitions: list[Transition] = []
        self.alarm_frames: Counter[str] = Counter()
        self.level_frames: Counter[str] = Counter({level.name: 0 for level in Level})
        self.coverage: dict[str, Counter[str]] = {}
        self.now_ns: array[int] = array("q")
        self.verdict_level: array[int] = array("b")
        self.level: array[int] = array("b")
        self.stage_ms: defaultdict[str, array[float]] = defaultdict(lambda: array("f"))
        self.frames = 0
        self.ticks = 0
        self.left_startup = False
        self._open: dict[tuple[str, str, int | str], Episode] = {}
        self._pictures: Counter[str] = Counter()

    def add_time(self, stage: str, ms: float) -> None:
        """Note wall time of a stage outside the monitor."""
        self.stage_ms[stage].append(ms)

    def add_decision(self, decision: Decision) -> None:
        """Note what the fail-safe said, of a verdict or of a tick of its clock."""
        if decision.transition is not None:
            self.transitions.append(decision.transition)
        self.left_startup = self.left_startup or not decision.startup

    def add(self, frame: Frame, verdict: Verdict, decision: Decision) -> None:
        """Note a verdict and what the fail-safe made of it."""
        self.add_decision(decision)
        level = verdict.level if decision.startup else decision.level
        self.level_frames[level.name] += 1
        self.now_ns.append(frame.now_ns)
        self.verdict_level.append(verdict.level)
        self.level.append(level)
        if frame.silent:
            self.ticks += 1
        else:
            self.frames += 1
        for stage, ms in verdict.stage_ms.items():
            self.stage_ms[stage].append(ms)
        self._add_coverage(verdict)
        self.alarm_frames.update({alarm.check for alarm in verdict.alarms})
        for alarm in verdict.alarms:
            self._add_alarm(alarm, frame, verdict)

    def _add_coverage(self, verdict: Verdict) -> None:
        for check, coverage in verdict.coverage.items():
            total = self.coverage.get(check)
            if total is None:
                total = self.coverage[check] = Counter(dict.fromkeys(_OUTCOMES, 0))
            total[_PASS] += coverage.passed
            total[_FAIL] += coverage.failed
            total[_UNOBSERVABLE] += coverage.unobservable
            total[_SKIPPED] += coverage.skipped

    def _add_alarm(self, alarm: Alarm, frame: Frame, verdict: Verdict) -> None:
        key = (alarm.check, alarm.subject.kind.value, alarm.subject.id)
        episode = self._open.get(key)
        if episode is None or not 0 <= frame.now_ns - episode.last_now_ns <= EPISODE_GAP_NS:
            stamp, now = frame.stamp_ns, frame.now_ns
            episode = Episode(alarm, alarm, alarm.level, stamp, stamp, now, now)
            episode.picture = self._picture(alarm, frame, verdict)
            self._open[key] = episode
            self.episodes.append(episode)
        episode.extend(alarm, frame.stamp_ns, frame.now_ns)

    def _picture(self, alarm: Alarm, frame: Frame, verdict: Verdict) -> Picture | None:
        full = self._pictures.total() >= MAX_PICTURES
        if frame.image is None or full or self._pictures[alarm.check] >= MAX_PICTURES_PER_CHECK:
            return None
        self._pictures[alarm.check] += 1
        return take_picture(frame, alarm, verdict.alarms)

    @property
    def reached_fail_safe(self) -> bool:
        """Whether the drive was stopped, or never let go: a hold at start-up that ended does not count."""
        return any(t.trips for t in self.transitions) or not self.left_startup

    def episodes_per_check(self) -> Mapping[str, int]:
        """Return how often each check raised an alarm; checks without any are there with 0."""
        counts = Counter(dict.fromkeys(self.coverage, 0))
        counts.update(episode.first.check for episode in self.episodes)
        return dict(sorted(counts.items()))
