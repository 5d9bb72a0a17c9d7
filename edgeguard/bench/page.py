"""The benchmark's results as one HTML file that opens without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeguard.bench import score
from edgeguard.report import require_libraries


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write the page.

    Raises:
        EdgeGuardError: the libraries of the extra `report` are not installed.
    """
    require_libraries()
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("edgeguard.bench"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    figures = {"shares": _shares(document), "times": _times(document), "lost": _lost(document)}
    text = json.dumps(figures, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    template = environment.get_template("bench.html.j2")
    page = template.render(document=document, late_s=score.LATE_S, figures=text, plotly=get_plotlyjs())
    new = path.with_name(f".{path.name}.new")
    new.write_text(page, encoding="utf-8")
    new.replace(path)


def _shares(document: Mapping[str, Any]) -> dict[str, Any]:
    """Per attack the share that fooled the engine, and of those the share detected, with its interval."""
    rows = list(reversed(document["attacks"]))
    names = [r["kind"] for r in rows]
    share = [r["detected_share"] for r in rows]
    low, high = ([r["detected_interval"][i] for r in rows] for i in (0, 1))
    data = [
        {
            "type": "bar", "orientation": "h", "name": "fooled the engine", "y": names,
            "x": [r["fooled_share"] for r in rows], "hovertemplate": "%{y}: %{x:.0%}<extra>fooled</extra>",
        },
        {
            "type": "bar", "orientation": "h", "name": "detected, of those", "y": names, "x": share,
            "hovertemplate": "%{y}: %{x:.0%}<extra>detected</extra>",
            "error_x": {
                "type": "data", "symmetric": False,
                "array": [None if s is None else round(h - s, 4) for s, h in zip(share, high)],
                "arrayminus": [None if s is None else round(s - v, 4) for s, v in zip(share, low)],
            },
        },
    ]  # fmt: skip
    layout = {
        "height": 120 + 30 * len(names), "barmode": "group", "margin": {"l": 150, "r": 20, "t": 10, "b": 40},
        "xaxis": {"range": [0, 1.02], "tickformat": ".0%"}, "legend": {"orientation": "h", "y": 1.06},
    }  # fmt: skip
    return {"data": data, "layout": layout}


def _times(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every detected attack's time to detect."""
    seen = [t for t in document["trials"] if t["alarms"]]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [t["alarms"][0]["after_s"] for t in seen],
            "y": [t["kind"] for t in seen],
            "text": [f"{t['drive']}: {t['alarms'][0]['check']}" for t in seen],
            "hovertemplate": "%{y}, %{text}: %{x:.2f} s<extra></extra>",
            "marker": {"size": 9, "opacity": 0.6},
            "showlegend": False,
        }
    ]
    kinds = len({t["kind"] for t in seen})
    bar = {"type": "line", "x0": score.LATE_S, "x1": score.LATE_S, "yref": "paper", "y0": 0, "y1": 1}
    layout = {
        "height": 120 + 26 * kinds, "margin": {"l": 150, "r": 20, "t": 10, "b": 45},
        "xaxis": {"title": {"text": "time from the effect to the first alarm, s"}, "rangemode": "tozero"},
        "yaxis": {"autorange": "reversed"}, "shapes": [{**bar, "line": {"dash": "dash", "width": 1}}],
    }  # fmt: skip
    return {"data": data, "layout": layout}


def _lost(document: Mapping[str, Any]) -> dict[str, Any]:
    """Per check the attacks that it saw first, and those that nothing else saw."""
    rows = [r for r in reversed(document["checks"]) if r["alarmed"]]
    names = [r["check"] for r in rows]
    data = [
        {
            "type": "bar", "orientation": "h", "name": name, "y": names, "x": [r[key] for r in rows],
            "hovertemplate": "%{y}: %{x}<extra>" + name + "</extra>",
        }
        for key, name in (("first", "first to see"), ("lost_without", "lost without it"))
    ]  # fmt: skip
    layout = {
        "height": 120 + 34 * len(names), "margin": {"l": 150, "r": 20, "t": 10, "b": 45},
        "xaxis": {"title": {"text": "successful attacks"}, "rangemode": "tozero"},
        "legend": {"orientation": "h", "y": 1.08},
    }  # fmt: skip
    return {"data": data, "layout": layout}
