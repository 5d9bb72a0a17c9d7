"""The drive over time, as a Plotly figure in its own JSON form: levels, evidence, time spent.

Built as plain dicts: Plotly's Python classes would validate what never varies, at half a second a report.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeguard.report.drive import DriveRecord, Episode
from edgeguard.types import F64
from edgeguard.verdict import Level

MAX_CURVES = 24
MAX_POINTS = 2000
RATIO_CEILING = 20.0
"""Evidence is drawn up to this many times its threshold: an equal-frame score can be astronomical."""

LEVEL_LABELS = {Level.NOMINAL: "nominal", Level.CAUTION: "caution", Level.FAIL_SAFE: "fail-safe"}


def drive_figure(record: DriveRecord) -> dict[str, Any]:
    """Return `data` and `layout` for `Plotly.newPlot`; colours come from the page."""
    start = record.now_ns[0] if record.now_ns else 0
    curves = sorted(record.episodes, key=lambda e: -max(e.ratios))[:MAX_CURVES]
    data = [_levels(record, start)]
    data += [_evidence(episode, start, i) for i, episode in enumerate(curves)]
    data += _times(record, start)
    return {"data": data, "layout": _layout(bool(curves))}


def _levels(record: DriveRecord, start: int) -> dict[str, Any]:
    level = np.frombuffer(record.level, np.int8) if record.level else np.zeros(0, np.int8)
    changes = np.flatnonzero(np.diff(level, prepend=-1))
    keep = np.union1d(changes, [len(level) - 1]) if len(level) else changes
    return {
        "type": "scatter",
        "name": "level",
        "x": _seconds(record.now_ns, start)[keep].round(3).tolist(),
        "y": level[keep].tolist(),
        "text": [LEVEL_LABELS[Level(int(v))] for v in level[keep]],
        "hovertemplate": "%{x:.2f} s: %{text}<extra></extra>",
        "mode": "lines",
        "line": {"shape": "hv", "width": 2.5},
        "fill": "tozeroy",
        "showlegend": False,
        "meta": "level",
        "xaxis": "x",
        "yaxis": "y",
    }


def _evidence(episode: Episode, start: int, index: int) -> dict[str, Any]:
    t, ratio = _thinned(_seconds(episode.times_ns, start), np.frombuffer(episode.ratios, np.float64))
    label = f"{episode.first.check}, {episode.first.subject}"
    return {
        "type": "scatter",
        "name": label,
        "x": t.round(3).tolist(),
        "y": np.minimum(ratio, RATIO_CEILING).round(3).tolist(),
        "customdata": ratio.round(2).tolist(),
        "hovertemplate": "%{x:.2f} s: %{customdata} × threshold<extra>" + label + "</extra>",
        "mode": "lines+markers" if len(t) < 60 else "lines",
        "marker": {"size": 5, "symbol": index % 8},
        "line": {"dash": ("solid", "dash", "dot", "dashdot")[index // 8 % 4]},
        "xaxis": "x",
        "yaxis": "y2",
    }


def _times(record: DriveRecord, start: int) -> list[dict[str, Any]]:
    spent = record.stage_ms.get("monitor")
    if not spent or len(spent) != len(record.now_ns):
        return []
    t, ms = _thinned(_seconds(record.now_ns, start), np.frombuffer(spent, np.float32).astype(np.float64))
    return [
        {
            "type": "scatter",
            "name": "monitor",
            "x": t.round(3).tolist(),
            "y": ms.round(3).tolist(),
            "hovertemplate": "%{x:.2f} s: %{y:.2f} ms<extra></extra>",
            "mode": "lines",
            "line": {"width": 1},
            "showlegend": False,
            "meta": "time",
            "xaxis": "x",
            "yaxis": "y3",
        }
    ]


def _layout(has_evidence: bool) -> dict[str, Any]:
    # Without alarms the middle plot would be an empty frame: the two others share its room.
    domains = [(0.72, 1.0), (0.27, 0.66), (0.0, 0.19)] if has_evidence else [(0.5, 1.0), (0, 0), (0.0, 0.34)]
    axes = {
        "yaxis": {
            "domain": domains[0],
            "range": [-0.15, 2.25],
            "tickvals": [int(level) for level in Level],
            "ticktext": [LEVEL_LABELS[level] for level in Level],
        },
        "yaxis3": {"domain": domains[2], "title": {"text": "monitor, ms"}, "rangemode": "tozero"},
        "xaxis": {"title": {"text": "time in the drive, s"}, "anchor": "y3", "rangemode": "tozero"},
    }
    shapes: list[dict[str, Any]] = []
    if has_evidence:
        title = {"text": "evidence ÷ threshold"}
        axes["yaxis2"] = {"domain": domains[1], "title": title, "rangemode": "tozero"}
        ends = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y2", "y0": 1, "y1": 1}
        shapes = [{"type": "line", **ends, "line": {"dash": "dash", "width": 1}}]
    return {
        **axes,
        "shapes": shapes,
        "height": 560 if has_evidence else 320,
        "margin": {"l": 80, "r": 20, "t": 10, "b": 45},
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": -0.14, "yanchor": "top", "font": {"size": 11}},
    }


def _seconds(now_ns: Sequence[int], start: int) -> F64:
    return (np.frombuffer(now_ns, np.int64) - start) / 1e9 if len(now_ns) else np.zeros(0)  # type: ignore[call-overload]


def _thinned(t: F64, y: NDArray[np.float64]) -> tuple[F64, F64]:
    """At most `MAX_POINTS`, keeping the highest of each stretch: peaks are what is looked for."""
    if len(t) <= MAX_POINTS:
        return t, y
    bounds = np.linspace(0, len(t), MAX_POINTS + 1).astype(int)
    keep = np.array([a + int(np.argmax(y[a:b])) for a, b in zip(bounds[:-1], bounds[1:])])
    return t[keep], y[keep]
