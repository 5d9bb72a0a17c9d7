"""Detection against alarms per hour, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeguard.calibrate.trade import IN_TIME_S, Point
from edgeguard.report import require_libraries


def write(path: Path, evidence: Sequence[Point], debounce: Sequence[Point], *, hours: float) -> None:
    """Draw both curves, a colour for each kind of attack.

    Args:
        hours: clean time that the alarms were counted in.
    """
    require_libraries()
    import plotly.graph_objects as go
    from plotly.colors import qualitative

    figure = go.Figure()
    for name, points, dash in (("evidence", evidence, "solid"), ("plain debounce", debounce, "dot")):
        unit = "budget {:.3g}/h" if name == "evidence" else "{:.0f} frames"
        for i, kind in enumerate(points[0].in_time if points else ()):
            colour = qualitative.D3[i % 10]
            figure.add_scatter(
                x=[p.alarms_per_hour for p in points],
                y=[p.in_time[kind] for p in points],
                text=[unit.format(p.knob) for p in points],
                name=f"{kind}, {name}",
                mode="lines+markers",
                line={"dash": dash, "color": colour},
                hovertemplate="%{text}<br>%{x:.0f} alarms/h, %{y:.0%}",
            )
    figure.update_layout(
        title=f"Attacks alarmed within {IN_TIME_S} s, against alarms on {hours:.3f} h of clean drives",
        xaxis={"title": "alarms per hour, clean drives", "type": "linear", "rangemode": "tozero"},
        yaxis={"title": "share alarmed in time", "range": [0, 1.02], "tickformat": ".0%"},
        template="plotly_white",
    )
    figure.write_html(path, include_plotlyjs="inline", full_html=True)
