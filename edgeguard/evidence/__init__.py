"""Score → p-value → accumulated evidence → alarm, held to a budget of alarms per hour."""

from edgeguard.evidence.accumulate import Evidence, EvidenceSettings, Standing

__all__ = ["Evidence", "EvidenceSettings", "Standing"]
