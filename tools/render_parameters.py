"""Write the monitor's part of config/monitor.param.yaml from its settings; --check only compares."""

from __future__ import annotations

import sys
from pathlib import Path

from edgeguard.assembler import AssemblerSettings
from edgeguard.config import entries, render
from edgeguard.monitor import MonitorSettings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from ros_nodes.settings import DeadlineSettings, MetricsSettings, MonitorInputs  # noqa: E402 (where it is not installed)

PATH = ROOT / "config" / "monitor.param.yaml"
SECTION = "/**/monitor_node:"


def rendered() -> str:
    """Return the whole file: what stands above the monitor's section is written by hand."""
    by_hand = PATH.read_text(encoding="utf-8").split(SECTION)[0]
    live = [
        *entries(MonitorInputs(), ("inputs",)),
        *entries(DeadlineSettings(), ("deadline",)),
        *entries(MetricsSettings(), ("metrics",)),
    ]
    offline_too = [*entries(AssemblerSettings(), ("assembler",)), *entries(MonitorSettings())]
    return by_hand + render({"monitor_node": [*live, *offline_too]})


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PATH.write_text(rendered(), encoding="utf-8")
    elif PATH.read_text(encoding="utf-8") != rendered():
        sys.exit(f"{PATH} is not what the settings say: run `make parameters`")
