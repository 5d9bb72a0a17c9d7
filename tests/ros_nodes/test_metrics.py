"""What a monitor counts, and that Prometheus can collect it."""

from __future__ import annotations

import json
import re
import socket
import urllib.request

import pytest

from edgeguard.errors import EdgeGuardError
from edgeguard.verdict import Coverage, Level, Verdict
from ros_nodes.metrics import FrameCount, Metrics
from tests.conftest import ROOT

PERIOD = 100_000_000


def test_frames_that_never_came_are_counted_from_stamps() -> None:
    count = FrameCount()
    assert [count.add(i * PERIOD) for i in (1, 2, 3, 4, 7, 8, 8, 6, 9)] == [0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert (count.judged, count.lost) == (9, 4)


@pytest.fixture
def port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_prometheus_collects_what_the_dashboard_shows(port: int) -> None:
    pytest.importorskip("prometheus_client")
    metrics = Metrics(port)
    verdict = Verdict(1, Level.CAUTION, coverage={"flow": Coverage(skipped=1)}, stage_ms={"total": 5.0})
    metrics.observe(verdict, age_s=0.03, lost=2)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        served = answer.read().decode()
    assert "edgeguard_level 1.0" in served and "edgeguard_frames_lost_total 2.0" in served
    assert 'edgeguard_skipped_total{check="flow"} 1.0' in served
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    shown = re.findall(r"edgeguard_\w+", json.dumps([p["targets"] for p in dashboard["panels"]]))
    assert shown and all(name in served for name in shown)
    with pytest.raises(EdgeGuardError, match="metrics.port"):
        Metrics(port)
    metrics.close()
