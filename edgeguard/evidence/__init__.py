"""Score → p-value → accumulated evidence → alarm, held to a budget of alarms per hour."""

from edgeguard.evidence.accumulate import NEUTRAL_SCORE, Evidence, EvidenceSettings, Standing

__all__ = ["NEUTRAL_SCORE", "Evidence", "EvidenceSettings", "Standing"]
