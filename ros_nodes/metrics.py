"""What a monitor counts: frames that were lost on the way, and the figures that Prometheus collects."""

from __future__ import annotations

from collections import deque
from typing import Any

from edgeguard.errors import EdgeGuardError
from edgeguard.verdict import Verdict

_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


class FrameCount:
    """Frames judged, and frames that their stamps say never came."""

    def __init__(self) -> None:
        self.judged = 0
        self.lost = 0
        self._last_ns: int | None = None
        self._intervals: deque[int] = deque(maxlen=15)

    def add(self, stamp_ns: int) -> int:
        """Count a frame; return how many are missing before it."""
        self.judged += 1
        gap = stamp_ns - self._last_ns if self._last_ns is not None else 0
        self._last_ns = stamp_ns
        if gap <= 0:
            return 0
        self._intervals.append(gap)
        period = sorted(self._intervals)[len(self._intervals) // 2]
        missing = max(0, round(gap / period) - 1)
        self.lost += missing
        return missing


class Metrics:
    """An endpoint for Prometheus on this machine.

    Args:
        port: where it is served, on 127.0.0.1.

    Raises:
        EdgeGuardError: prometheus-client is not installed, or the port is taken.
    """

    def __init__(self, port: int) -> None:
        try:
            import prometheus_client as prometheus
        except ImportError as e:
            raise EdgeGuardError("metrics.port: needs `pip install prometheus-client`") from e
        registry = prometheus.CollectorRegistry()

        def make(kind: Any, name: str, text: str, labels: tuple[str, ...] = (), **options: Any) -> Any:
            return kind(f"edgeguard_{name}", text, labels, registry=registry, **options)

        self._age = make(
            prometheus.Histogram, "verdict_age_seconds", "From image stamp to verdict.", buckets=_BUCKETS_S
        )
        self._stage = make(prometheus.Summary, "stage_seconds", "Time of a stage of a frame.", ("stage",))
        self._level = make(prometheus.Gauge, "level", "0 NOMINAL, 1 CAUTION, 2 FAIL_SAFE.")
        self._alarms = make(prometheus.Gauge, "alarms", "Alarms that stand.", ("check",))
        self._skipped = make(prometheus.Counter, "skipped", "Checks left out for lack of time.", ("check",))
        self._lost = make(prometheus.Counter, "frames_lost", "Frames that their stamps say never came.")
        try:
            self._server, _ = prometheus.start_http_server(port, "127.0.0.1", registry)
        except OSError as e:
            raise EdgeGuardError(f"metrics.port = {port}: {e.strerror}") from e

    def observe(self, verdict: Verdict, *, age_s: float, lost: int) -> None:
        """Take a verdict in."""
        self._age.observe(age_s)
        self._level.set(int(verdict.level))
        self._lost.inc(lost)
        for stage, ms in verdict.stage_ms.items():
            self._stage.labels(stage).observe(ms / 1e3)
        for check in verdict.coverage:
            self._alarms.labels(check).set(sum(a.check == check for a in verdict.alarms))
        for check in verdict.skipped:
            self._skipped.labels(check).inc()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
