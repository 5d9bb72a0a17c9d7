"""A recording through the monitor and the fail-safe, as the vehicle would have had it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO

from edgeguard import __version__, report, snapshot
from edgeguard.assembler import AssemblerSettings, FrameAssembler
from edgeguard.bags import BagItem, BagReader, load_definitions
from edgeguard.bags.skipped import skipped_checks
from edgeguard.bags.snapshots import first_snapshot
from edgeguard.config import read_parameters, validate
from edgeguard.errors import EdgeGuardError, ParameterError
from edgeguard.failsafe import FailSafe
from edgeguard.failsafe_settings import FailSafeSettings
from edgeguard.monitor import Monitor, MonitorSettings, open_engines
from edgeguard.report import DriveRecord, Summary
from edgeguard.report.summary import Source
from edgeguard.types import Channel, Detections, Frame, Image

DEFAULT_ENGINE = "yolox_nano"
NO_ENGINE = "none"

EVENTS, COVERAGE, SUMMARY, REPORT = "events.jsonl", "coverage.jsonl", "summary.json", "report.html"

FOREIGN_CLOCK_NS = 10_000_000_000
"""Log time and header stamp further apart than this are of two clocks: the bag was recorded anew."""

FAILSAFE_PERIOD_NS = 50_000_000
"""The fail-safe looks at its clock at 20 Hz on the vehicle, and so it does here."""

MAX_SILENT_LOOKS = 200
"""Looks at the clock for one silence; after 10 s of it nothing changes any more."""

Progress = Callable[[int, int], None]
"""Told how many of how many messages have been read."""


class Detector(Protocol):
    """What makes detections of an image: an open `edgeguard.engine.Engine`, or the simulated world's own."""

    name: str

    def detect(self, image: Image) -> Detections: ...


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What the nodes would have been told on the vehicle."""

    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    assembler: AssemblerSettings = field(default_factory=AssemblerSettings)
    failsafe: FailSafeSettings = field(default_factory=FailSafeSettings)
    engine: str = DEFAULT_ENGINE
    path: Path | None = None

    @classmethod
    def load(cls, path: Path) -> ReplaySettings:
        """Read the sections of a parameter file that concern a replay.

        What only the live nodes have is passed over: their topics, and the names of several monitors.

        Raises:
            ParameterError: the file or a value in it is not valid.
        """
        monitor = _offline(read_parameters(path, "monitor_node"))
        failsafe = _offline(read_parameters(path, "failsafe_node"))
        engine = read_parameters(path, "perception_node").get("engine", DEFAULT_ENGINE)
        if not isinstance(engine, str) or not engine:
            raise ParameterError(path, [f"perception_node: engine = {engine!r}: expected an engine's name"])
        return cls(
            assembler=validate(AssemblerSettings, monitor.pop("assembler", {}), path),
            monitor=validate(MonitorSettings, monitor, path),
            failsafe=FailSafeSettings.from_mapping(failsafe, path).updated({"sources": []}, path),
            engine=engine,
            path=path,
        )


def replay(
    bag: Path,
    *,
    out: Path,
    settings: ReplaySettings | None = None,
    engine: str | Detector | None = None,
    topics: Mapping[Channel | str, str] | None = None,
    partial: bool = False,
    on_progress: Progress | None = None,
) -> Summary:
    """Replay a recording and write `events.jsonl`, `coverage.jsonl`, `summary.json` and `report.html`.

    Nothing is written unless all of it can be: the files of an earlier replay stay until then.

    Args:
        bag: rosbag2 folder or file.
        out: folder for the results; made where it does not exist. Other files in it are left alone.
        settings: parameters; defaults where None.
        engine: name or path of the engine that detects on the images in place of the recorded detections,
            or one that is open; "none" detects nothing; None opens the one of the settings if the recording
            has images and no detections.
        topics: topics by channel, where their types do not decide.
        partial: use what is readable of a damaged recording.
        on_progress: called now and then.

    Raises:
        EdgeGuardError: the recording, the engine, the parameters or the folder cannot be used.
    """
    settings = settings or ReplaySettings()
    report.load()
    with ExitStack() as stack:
        reader = stack.enter_context(BagReader(bag, topics=topics, partial=partial))
        detector = _detector(reader, settings, engine, stack)
        results = stack.enter_context(_Results(bag, out))
        monitor = _monitor(settings.monitor, stack)
        if detector is not None:
            monitor.require_engine(detector.name)
        drive = _Drive(settings, monitor, reader, detector, results, on_progress)
        drive.run()
        source = Source(
            bag=str(bag),
            topics=dict(reader.topics),
            engine=detector.name if detector else None,
            parameters=str(settings.path) if settings.path else None,
            lost=tuple(reader.lost),
            clock_offset_s=drive.clock_offset_ns / 1e9,
            versions=_versions(with_engine=detector is not None),
        )
        summary = report.summarise(drive.record, source, duration_s=drive.duration_s, wall_s=drive.wall_s)
        summary.write(results.folder / SUMMARY)
        report.write_report(results.folder / REPORT, drive.record, summary)
        results.commit()
    return summary


def load() -> None:
    """Load what a replay otherwise loads on its way: processes forked from this one then have it.

    Raises:
        EdgeGuardError: the report's libraries are not installed.
    """
    report.load()
    load_definitions()


class _Drive:
    """One recording on its way from messages to decisions."""

    def __init__(
        self,
        settings: ReplaySettings,
        monitor: Monitor,
        reader: BagReader,
        engine: Detector | None,
        results: _Results,
        on_progress: Progress | None,
    ) -> None:
        self.record = DriveRecord()
        self.clock_offset_ns = 0
        self.wall_s = 0.0
        self._reader = reader
        self._engine = engine
        self._results = results
        self._on_progress = on_progress
        streams = {c for c in Channel if c.value in reader.topics}
        if engine is not None:
            streams.add(Channel.DETECTIONS)
        self._assembler = FrameAssembler(settings.assembler, expected=frozenset(streams))
        self._monitor = monitor
        self._failsafe_settings = settings.failsafe
        self._skipped = skipped_checks(reader)
        self._snapshot = first_snapshot(reader, monitor)
        self._failsafe: FailSafe | None = None
        self._failsafe_ns = 0
        self._first_ns: int | None = None
        self._last_ns = 0

    @property
    def duration_s(self) -> float:
        """First to last message on the drive's clock, seconds."""
        return 0.0 if self._first_ns is None else (self._last_ns - self._first_ns) / 1e9

    def run(self) -> None:
        began = time.perf_counter()
        for item in self._items():
            now_ns = item.log_ns - self.clock_offset_ns
            if self._first_ns is None:
                self._first_ns = now_ns
                began = time.perf_counter()  # before it libraries load, which no length of drive repeats
            self._last_ns = now_ns
            if self._engine is not None and item.channel == Channel.DETECTIONS:
                continue
            self._assembler.add(item.channel, item.value, now_ns)
            if self._engine is not None and isinstance(item.value, Image):
                with self._timed("engine"):
                    detections = self._engine.detect(item.value)
                self._assembler.add(Channel.DETECTIONS, detections, now_ns)
            self._judge_all(self._assembler.poll(now_ns))
        self._judge_all(self._assembler.flush(self._last_ns))
        self.wall_s = time.perf_counter() - began

    def _items(self) -> Iterator[BagItem]:
        counts = {c.topic: c.count for c in self._reader.connections}
        total = sum(counts.get(topic, 0) for topic in self._reader.topics.values())
        messages, done, stamped = self._reader.messages(), 0, False
        while True:
            with self._timed("read"):
                item = next(messages, None)
            if item is None:
                return
            if not stamped and (stamp_ns := getattr(item.value, "stamp_ns", None)) is not None:
                stamped = True
                if abs(item.log_ns - stamp_ns) > FOREIGN_CLOCK_NS:
                    self.clock_offset_ns = item.log_ns - stamp_ns
            done += 1
            if self._on_progress is not None and done % 8 == 0:
                self._on_progress(done, max(done, total))
            yield item

    def _judge_all(self, frames: list[Frame]) -> None:
        for frame in frames:
            failsafe = self._failsafe_at(frame.now_ns)
            with self._timed("monitor"):
                verdict = self._monitor.step(frame, skip=self._skipped_on(frame.image))
            self._take_up(frame)
            decision = failsafe.update(verdict, frame.now_ns)
            self._failsafe_ns = frame.now_ns
            self.record.add(frame, verdict, decision)
            self._results.events.write(verdict.to_json() + "\n")
            self._results.coverage.write(verdict.coverage_json() + "\n")

    def _take_up(self, frame: Frame) -> None:
        """Go on from what the vehicle's monitor knew after this frame, where that was recorded."""
        taken = self._snapshot
        if taken is None or frame.image is None or frame.stamp_ns != taken.stamp_ns:
            return
        self._monitor = snapshot.restore(taken.data, self._monitor)

    def _skipped_on(self, image: Image | None) -> frozenset[str]:
        """What a recorded live run had no time for is left out here, too."""
        if image is None:
            return frozenset()
        return self._skipped.get((image.stamp_ns, image.frame_id), frozenset())

    def _failsafe_at(self, now_ns: int) -> FailSafe:
        """The fail-safe after its own looks at the clock since the last verdict."""
        if self._failsafe is None:
            self._failsafe, self._failsafe_ns = FailSafe(self._failsafe_settings, now_ns=now_ns), now_ns
        looks = min((now_ns - self._failsafe_ns - 1) // FAILSAFE_PERIOD_NS, MAX_SILENT_LOOKS)
        for i in range(1, looks + 1):
            decision = self._failsafe.tick(self._failsafe_ns + i * FAILSAFE_PERIOD_NS)
            self.record.add_decision(decision)
        return self._failsafe

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.record.add_time(stage, (time.perf_counter() - began) * 1e3)


class _Results:
    """The results' files: written beside their folder, moved into it when all are complete."""

    events: TextIO
    coverage: TextIO
    folder: Path

    def __init__(self, bag: Path, out: Path) -> None:
        if out.exists() and (not out.is_dir() or out.resolve() == bag.resolve()):
            problem = "is the recording itself" if out.is_dir() else "is a file"
            raise EdgeGuardError(f"{out}: {problem}. Name another folder with --out")
        self._out = out
        self._made = not out.exists()

    def __enter__(self) -> _Results:
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            self.folder = Path(tempfile.mkdtemp(prefix=".edgeguard_", dir=self._out))
        except OSError as e:
            raise EdgeGuardError(f"{self._out}: cannot be written to: {e.strerror}. Use --out") from e
        self.events = (self.folder / EVENTS).open("w", encoding="utf-8", newline="\n")
        self.coverage = (self.folder / COVERAGE).open("w", encoding="utf-8", newline="\n")
        return self

    def commit(self) -> None:
        self.events.close()
        self.coverage.close()
        for name in (EVENTS, COVERAGE, SUMMARY, REPORT):
            os.replace(self.folder / name, self._out / name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.events.close()
        self.coverage.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._made and not any(self._out.iterdir()):
            self._out.rmdir()


def _offline(parameters: dict[str, Any]) -> dict[str, Any]:
    """Without what only a live node has: its topics, its deadline and its clock."""
    live = (
        "inputs",
        "deadline",
        "metrics",
        "use_sim_time",
        "qos_overrides",
        "start_type_description_service",
    )
    return {k: v for k, v in parameters.items() if k not in live}


def _detector(
    reader: BagReader, settings: ReplaySettings, engine: str | Detector | None, stack: ExitStack
) -> Detector | None:
    """The engine to detect with, if any; one that is opened here is closed with the stack."""
    has_images = Channel.CAMERA.value in reader.topics
    if engine is None:
        wanted = has_images and Channel.DETECTIONS.value not in reader.topics
        engine = settings.engine if wanted else NO_ENGINE
    elif engine != NO_ENGINE and not has_images:
        raise EdgeGuardError(f"{reader.path}: has no images for an engine to look at. Leave out --engine")
    if engine == NO_ENGINE:
        return None
    if isinstance(engine, str):
        from edgeguard.engine import open_engine

        opened = open_engine(engine)
        stack.callback(opened.close)
        return opened
    return engine


def _monitor(settings: MonitorSettings, stack: ExitStack) -> Monitor:
    """The monitor with the engines that its checks look with, closed with the stack."""
    engine, second = open_engines(settings.checks)
    for opened in {id(e): e for e in (engine, second) if e is not None}.values():
        stack.callback(opened.close)
    return Monitor(settings, engine=engine, second_engine=second)


@lru_cache(maxsize=2)
def _versions(*, with_engine: bool) -> dict[str, str]:
    versions = {"edgeguard": __version__}
    names = ["numpy", "opencv-python-headless", "scipy", "rosbags"]
    for name in names + (["onnxruntime"] if with_engine else []):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # OpenCV comes under several names
            continue
    return versions
