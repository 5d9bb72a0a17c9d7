"""A frame in, a verdict out, within a deadline."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.attribution import LevelSettings
from edgeguard.checks import Check, CheckSettings, Scores, make_checks
from edgeguard.checks.view import NO_ENGINE, Engine
from edgeguard.config import Settings
from edgeguard.errors import ParameterError
from edgeguard.evidence import NEUTRAL_SCORE, Evidence, EvidenceSettings, Standing, thresholds
from edgeguard.rig import CameraModel
from edgeguard.scene import Scene, SceneBuilder, SceneSettings
from edgeguard.types import Channel, Frame
from edgeguard.verdict import Alarm, Cause, Coverage, Level, Subject, SubjectKind, Verdict

# Silence and frozen streams are looked at however late it is.
_ALWAYS = frozenset({"stream_integrity"})

# Each under its own name in a verdict's times, and none before the check that can do without it.
_PRODUCTS_BEFORE = {
    "stream_integrity": (("projection", "cloud"),),
    "object_agreement": (("lidar_objects", "objects"), ("lidar_support", "support")),
}
_CHANNELS = tuple(c.value for c in Channel)


class MonitorSettings(Settings):
    """Every parameter of the monitor."""

    scene: SceneSettings = SceneSettings()
    checks: CheckSettings = CheckSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    levels: LevelSettings = LevelSettings()
    calibration: str = Field(
        "default",
        description="thresholds measured on clean drives by `edgeguard calibrate`: a name under "
        "calibration/, a path, or none, which trusts that scores are the surprisals they claim to be; "
        "default was measured on other vehicles and fits every rig and engine until there is one of yours",
    )


Observer = Callable[[Scene, str, Scores], None]
"""Told what each check measured, before it becomes evidence."""


def digests(settings: MonitorSettings) -> dict[str, str]:
    """Return per check a short name of the parameters that its scores depend on."""
    own = {name: getattr(settings.checks, name) for name in type(settings.checks).model_fields}
    return {name: thresholds.digest([settings.scene, check]) for name, check in own.items()}


def open_engines(settings: CheckSettings) -> tuple[Engine | None, Engine | None]:
    """Open the engines that `sanitised_view` and `ensemble` are told to look with; None where "none".

    Raises:
        EngineError: an engine cannot be opened.
    """
    names = settings.sanitised_view.engine, settings.ensemble.engine
    if set(names) == {NO_ENGINE}:
        return None, None
    from edgeguard.engine import open_engine

    opened = {name: open_engine(name) for name in dict.fromkeys(names) if name != NO_ENGINE}
    return opened.get(names[0]), opened.get(names[1])


class _Place(NamedTuple):
    """Where a subject is, for its alarm."""

    label: str
    box: tuple[float, float, float, float] | None
    lateral_m: float
    range_m: float


class _Grounds(NamedTuple):
    """What an alarm rests on."""

    cause: Cause
    measured: dict[str, float]
    reason: str


_Key = tuple[str, SubjectKind, int]


class Monitor:
    """Watches one camera and the sensors beside it.

    Deterministic: the same settings, frames and skipped checks give the same verdicts.
    """

    def __init__(
        self,
        settings: MonitorSettings,
        *,
        observer: Observer | None = None,
        engine: Engine | None = None,
        second_engine: Engine | None = None,
    ) -> None:
        """Begin to watch.

        Args:
            settings: every parameter.
            observer: told what each check measured.
            engine: what `sanitised_view` looks with (see `open_engines`); None leaves it unobservable.
            second_engine: what `ensemble` looks with; the same.

        Raises:
            ParameterError: the calibration does not fit the settings.
        """
        self._observer = observer
        self._engine, self._second_engine = engine, second_engine
        self._settings = settings
        self._camera: CameraModel | None = None
        self._last_grounds: dict[_Key, _Grounds] = {}
        self._grounds_now: dict[_Key, _Grounds] = {}
        self._early_ns = 0
        self._builder = SceneBuilder(settings.scene)
        self._calibration, measured = self._thresholds(settings)
        self._checks: tuple[Check, ...] = self._make_checks(settings)
        self._evidence = Evidence(settings.evidence, len(self._checks), measured)

    @property
    def settings(self) -> MonitorSettings:
        return self._settings

    @property
    def outside(self) -> dict[str, Engine | Observer | None]:
        """What was handed in and is nothing that the monitor has learnt, by name."""
        return {
            "observer": self._observer,
            "engine": self._engine,
            "second_engine": self._second_engine,
        }

    @property
    def check_names(self) -> tuple[str, ...]:
        """All checks, in the order in which a frame's budget is spent on them."""
        return tuple(c.name for c in self._checks)

    def apply(self, settings: MonitorSettings) -> None:
        """Take new settings while driving: what they do not touch is kept, standing alarms above all.

        A check whose own parameters change begins afresh; so does everything when the scene's do.

        Raises:
            ParameterError: the calibration does not fit the settings; nothing is changed.
        """
        self._calibration, measured = self._thresholds(settings)
        if settings.scene != self._settings.scene:
            self._builder = SceneBuilder(settings.scene)
        old, new = self._settings.checks, settings.checks
        kept = {c.name: c for c in self._checks if getattr(old, c.name) == getattr(new, c.name)}
        if settings.calibration != self._settings.calibration:
            kept.pop("input_distribution", None)
        self._checks = tuple(kept.get(c.name, c) for c in self._make_checks(settings))
        self._evidence.apply(settings.evidence, len(self._checks), measured)
        self._settings = settings
        self._camera = None

    def _make_checks(self, settings: MonitorSettings) -> tuple[Check, ...]:
        checks, calibration = settings.checks, self._calibration
        # Of other vehicles' pictures nothing follows for this one's.
        if calibration is not None and not (calibration.general or checks.input_distribution.calibrated):
            usual = {f"{m}_{k}": v for m, u in calibration.inputs.items() for k, v in u.model_dump().items()}
            inputs = checks.input_distribution.model_copy(update=usual)
            checks = checks.model_copy(update={"input_distribution": inputs})
        return make_checks(checks, engine=self._engine, second_engine=self._second_engine)

    def _thresholds(
        self, settings: MonitorSettings
    ) -> tuple[thresholds.Calibration | None, dict[tuple[str, SubjectKind], float] | None]:
        evidence = settings.evidence
        calibration = thresholds.select(
            settings.calibration, digests(settings), evidence.step_s, evidence.max_step_evidence
        )
        if calibration is None:
            return None, None
        names = list(type(settings.checks).model_fields)
        return calibration, calibration.thresholds(evidence.false_alarms_per_hour, names)

    def reset(self) -> None:
        """Forget everything seen: a new drive begins."""
        self._last_grounds, self._grounds_now = {}, {}
        self._builder.reset()
        self._evidence.reset()
        for check in self._checks:
            check.reset()

    def prepare(self, foreseen: Frame, *, deadline_ns: int | None = None) -> None:
        """Compute what a frame that waits for more needs of the image and the sweep that are here.

        Changes no verdict, only when the work is done.

        Args:
            foreseen: as much of the frame to come as will not change.
            deadline_ns: on `time.monotonic_ns`; what is not begun by then is left to `step`.
        """
        begin = time.perf_counter_ns()
        self._builder.prepare(foreseen, _clock(deadline_ns))
        self._early_ns += time.perf_counter_ns() - begin

    def step(
        self,
        frame: Frame,
        *,
        deadline_ns: int | None = None,
        skip: frozenset[str] = frozenset(),
        on_stop: Callable[[Verdict], None] | None = None,
    ) -> Verdict:
        """Judge a frame.

        Args:
            frame: frames come in the order in which they were put together.
            deadline_ns: on `time.monotonic_ns`; checks not begun by then are skipped, stream integrity apart.
            skip: checks to leave out, as a recorded run did.
            on_stop: told at once where a check raises a FAIL_SAFE alarm, before the checks behind it run,
                with what is known by then. The verdict that is returned holds it and the rest.

        Raises:
            ParameterError: the calibration was made with another camera.
        """
        self._require_camera(frame)
        stage_ms: dict[str, float] = {}
        if self._early_ns:
            stage_ms["early"], self._early_ns = self._early_ns / 1e6, 0
        begin = time.perf_counter_ns()
        scene = self._builder.build(frame)
        now = _elapsed(stage_ms, "tracking", begin)
        late = _clock(deadline_ns)
        alarms: list[Alarm] = []
        coverage: dict[str, Coverage] = {}

        def verdict() -> Verdict:
            alarms.sort(key=lambda a: (-a.level, a.check, a.subject.kind.value, str(a.subject.id)))
            stage_ms["total"] = (time.perf_counter_ns() - begin) / 1e6
            return Verdict(
                stamp_ns=frame.stamp_ns,
                level=max((a.level for a in alarms), default=Level.NOMINAL),
                alarms=tuple(alarms),
                coverage=dict(coverage),
                stage_ms=dict(stage_ms),
                has_image=not frame.silent,
            )

        for check in self._checks:
            name = check.name
            for stage, product in _PRODUCTS_BEFORE.get(name, ()):
                if not late():
                    getattr(scene, product)
                    now = _elapsed(stage_ms, f"scene.{stage}", now)
            if (name in skip or late()) and name not in _ALWAYS:
                coverage[name] = Coverage(skipped=1)
                continue
            coverage[name] = self._judge(check, scene, alarms)
            now = _elapsed(stage_ms, name, now)
            if on_stop is not None and any(a.level is Level.FAIL_SAFE for a in alarms):
                on_stop(verdict())
                on_stop = None
        self._last_grounds, self._grounds_now = self._grounds_now, {}
        return verdict()

    def require_fit(self, settings: MonitorSettings, *, engine: str | None = None) -> None:
        """Refuse settings that `apply` or the next frame would: nothing is changed.

        Args:
            settings: what is to be applied.
            engine: the engine that detections come from, where it is known.

        Raises:
            ParameterError: the calibration does not fit them, the camera that was last seen, or the engine.
        """
        calibration, _ = self._thresholds(settings)
        if calibration is not None and (why := calibration.misfit(self._camera, engine)):
            raise ParameterError("calibration", [f"calibration = {settings.calibration!r}: {why}"])

    def require_engine(self, engine: str) -> None:
        """Refuse a calibration that was made with another engine than the one that detects.

        Raises:
            ParameterError: it was; the message names both.
        """
        if self._calibration is not None and (why := self._calibration.misfit(engine=engine)):
            raise ParameterError("calibration", [f"calibration = {self._settings.calibration!r}: {why}"])

    def _require_camera(self, frame: Frame) -> None:
        camera = frame.rig.camera if frame.rig is not None else None
        if camera is None or camera is self._camera:
            return
        self._camera = camera
        if self._calibration is not None and (why := self._calibration.misfit(camera)):
            raise ParameterError("calibration", [f"calibration = {self._settings.calibration!r}: {why}"])

    def _judge(self, check: Check, scene: Scene, alarms: list[Alarm]) -> Coverage:
        passed = failed = unobservable = 0
        for scores in check.score(scene):
            if self._observer is not None:
                self._observer(scene, check.name, scores)
            n = len(scores.score)
            if scores.is_dark and self._evidence.is_quiet(check.name, scores.kind):
                unobservable += n  # as most of the time where a sensor is not fitted
                continue
            standing = self._evidence.update(check.name, scores, scene.frame.stamp_ns, scene.dt_s, scene)
            dark = standing.dark
            if standing.alarms:
                raised = np.flatnonzero(standing.raised)
                dark -= int(np.count_nonzero(np.isnan(scores.score[raised])))
                alarms += [self._alarm(check, scene, scores, standing, int(i)) for i in raised]
            failed += standing.alarms
            unobservable += dark
            passed += n - standing.alarms - dark
        return _coverage(passed, failed, unobservable)

    def _grounds(self, check: Check, scores: Scores, i: int) -> _Grounds:
        """What an alarm rests on: while evidence only fades, what last raised it, not what is seen now."""
        key = (check.name, scores.kind, int(scores.ids[i]))
        grounds = self._last_grounds.get(key)
        if grounds is None or scores.score[i] > NEUTRAL_SCORE:
            measured = {name: float(values[i]) for name, values in scores.detail.items()}
            grounds = _Grounds(scores.cause[i], measured, check.reason(scores.cause[i], measured))
        self._grounds_now[key] = grounds
        return grounds

    def _alarm(self, check: Check, scene: Scene, scores: Scores, standing: Standing, i: int) -> Alarm:
        place = _place(scene, scores, i)
        grounds = self._grounds(check, scores, i)
        number = int(scores.ids[i])
        ident = _CHANNELS[number] if scores.kind is SubjectKind.STREAM else number
        return Alarm(
            check=check.name,
            subject=Subject(scores.kind, ident, place.label, place.box),
            cause=grounds.cause,
            level=self._settings.levels.level(
                check.name,
                scores.kind,
                place.lateral_m,
                place.range_m,
                float(standing.evidence[i]) - standing.threshold,
            ),
            reason=grounds.reason,
            measured=grounds.measured,
            evidence=float(standing.evidence[i]),
            threshold=standing.threshold,
            onset_ns=int(standing.onset_ns[i]),
        )


# One for each check on each frame, and mostly the same.
_coverage = functools.lru_cache(maxsize=4096)(Coverage)


def _place(scene: Scene, scores: Scores, i: int) -> _Place:
    nan = float("nan")
    if scores.kind is SubjectKind.TRACK:
        t = scene.tracks
        row = int(np.searchsorted(t.id, scores.ids[i]))
        # Where the camera claims it stands: what LiDAR finds there may be another thing.
        range_m = np.where(np.isfinite(scene.size_range), scene.size_range, scene.range)
        lateral = scene.lateral_m(t.xyxy, range_m)
        return _Place(
            objects.NAMES[t.label[row]], _box(t.xyxy[row]), float(lateral[row]), float(range_m[row])
        )
    if scores.kind is SubjectKind.LIDAR_OBJECT and scene.objects is not None:
        seen = scene.objects
        row = int(np.searchsorted(seen.id, scores.ids[i]))
        label = objects.NAMES[seen.label[row]] if seen.label[row] >= 0 else ""
        box = scene.clipped(seen.xyxy[row : row + 1])[0]
        return _Place(label, _box(box), float(seen.center[row, 0]), float(seen.center[row, 2]))
    return _Place("", None, nan, nan)


def _box(xyxy: np.ndarray) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(v) for v in xyxy)
    return x0, y0, x1, y1


def _clock(deadline_ns: int | None) -> Callable[[], bool]:
    if deadline_ns is None:
        return lambda: False
    return lambda: time.monotonic_ns() >= deadline_ns


def _elapsed(stage_ms: dict[str, float], stage: str, since_ns: int) -> int:
    """Note how long a stage took and return the clock at its end, where the next begins."""
    now_ns = time.perf_counter_ns()
    stage_ms[stage] = (now_ns - since_ns) / 1e6
    return now_ns
